//! The words of a request, from a document: Jinja as lm-evaluation-harness sets it up.
//!
//! Undefined names are errors, a line break at the end stays, nothing is escaped, values are written as Python writes them,
//! and there is a filter `regex_replace` (`lm_eval/utils.py`, `apply_template`). Source, steps, nesting and output are
//! bounded; what a template may hold in between is not, so a task file is trusted as a program is.

use std::io;

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use crate::documents::Document;
use crate::python::pattern::Pattern;
use crate::python::text;

/// The longest template; those of the shipped tasks have under 1,000 bytes.
const MAX_SOURCE_BYTES: usize = 256 << 10;
/// The longest text of one template, some millions of tokens.
const MAX_OUTPUT_BYTES: usize = 16 << 20;
/// Steps of the template machine for one document.
const MAX_STEPS: u64 = 1_000_000;
/// Macros within macros.
const MAX_DEPTH: usize = 100;

/// The templates of one task, each read once.
pub(crate) struct Templates {
    environment: Environment<'static>,
}

/// Why a template gave no text.
#[derive(Debug)]
pub(crate) struct Failure {
    pub why: String,
    pub cause: Option<Error>,
}

impl Failure {
    fn by(cause: Error) -> Self {
        let why = match cause.kind() {
            ErrorKind::OutOfFuel => format!("the template takes more than {MAX_STEPS} steps; it has a loop too many"),
            _ => cause.to_string(),
        };
        Self { why, cause: Some(cause) }
    }

    fn because(why: String) -> Self {
        Self { why, cause: None }
    }
}

impl Templates {
    pub(crate) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_keep_trailing_newline(true);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_formatter(write_as_python);
        environment.set_unknown_method_callback(method);
        environment.set_recursion_limit(MAX_DEPTH);
        environment.set_fuel(Some(MAX_STEPS));
        environment.add_filter("regex_replace", regex_replace);
        environment.add_filter("string", |value: Value| text::str_of(&value));
        Self { environment }
    }

    /// Reads a template, which is known by its own text from then on.
    pub(crate) fn read(&mut self, source: &str) -> Result<(), Failure> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(Failure::because(format!(
                "the template has {} bytes, {MAX_SOURCE_BYTES} are allowed",
                source.len()
            )));
        }
        // Jinja reads any line break as `\n`.
        let normal = source.replace("\r\n", "\n").replace('\r', "\n");
        self.environment.add_template_owned(source.to_owned(), normal).map_err(Failure::by)
    }

    /// `apply_template`: the text for a document. The template was read before.
    pub(crate) fn render(&self, source: &str, document: &Document) -> Result<String, Failure> {
        let template = self.environment.get_template(source).map_err(Failure::by)?;
        let mut output = Limited::default();
        match template.render_captured_to(Value::from_serialize(document), &mut output) {
            Ok(_) => String::from_utf8(output.bytes).map_err(|error| Failure::because(error.to_string())),
            Err(_) if output.is_full => {
                Err(Failure::because(format!("the template writes more than {MAX_OUTPUT_BYTES} bytes")))
            }
            Err(error) => Err(Failure::by(error)),
        }
    }
}

fn write_as_python(output: &mut Output<'_>, _: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    match value.as_str() {
        Some(text) => output.write_str(text)?,
        None => output.write_str(&text::str_of(value))?,
    }
    Ok(())
}

/// `re.sub(pattern, replacement, text, count=count)`.
fn regex_replace(text: String, pattern: String, replacement: String, count: Option<usize>) -> Result<String, Error> {
    Pattern::new(&pattern)
        .and_then(|pattern| pattern.replace(&text, &replacement, count.unwrap_or(0)))
        .map_err(|why| Error::new(ErrorKind::InvalidOperation, why))
}

/// Python's methods: `index` of lists and texts here, the others by `minijinja-contrib`.
fn method(state: &State<'_, '_>, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    match (name, value.kind(), arguments) {
        ("index", ValueKind::Seq | ValueKind::Iterable, [wanted]) => value
            .try_iter()?
            .position(|item| item == *wanted)
            .map(Value::from)
            .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, format!("{wanted} is not in the list"))),
        ("index", ValueKind::String, [_]) => {
            match minijinja_contrib::pycompat::unknown_method_callback(state, value, "find", arguments)? {
                at if at.as_i64() == Some(-1) => Err(Error::new(ErrorKind::InvalidOperation, "the text is not in it")),
                at => Ok(at),
            }
        }
        ("rsplit" | "removeprefix" | "removesuffix", ValueKind::String, _) => text_method(value, name, arguments),
        _ => minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments),
    }
}

fn text_method(value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let text = value.as_str().unwrap_or_default();
    let first = arguments.first().and_then(Value::as_str);
    let first = first.ok_or_else(|| Error::new(ErrorKind::MissingArgument, format!("{name} needs a text")))?;
    Ok(match name {
        "removeprefix" => Value::from(text.strip_prefix(first).unwrap_or(text)),
        "removesuffix" => Value::from(text.strip_suffix(first).unwrap_or(text)),
        _ => {
            let most = arguments.get(1).and_then(Value::as_i64).and_then(|n| usize::try_from(n).ok());
            let mut parts: Vec<&str> = match most {
                Some(n) => text.rsplitn(n.saturating_add(1), first).collect(),
                None => text.rsplit(first).collect(),
            };
            parts.reverse();
            Value::from_iter(parts.into_iter().map(Value::from))
        }
    })
}

/// Output that stops growing at its limit.
#[derive(Default)]
struct Limited {
    bytes: Vec<u8>,
    is_full: bool,
}

impl io::Write for Limited {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > MAX_OUTPUT_BYTES {
            self.is_full = true;
            return Err(io::Error::other("the output is full"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render(source: &str, document: serde_json::Value) -> Result<String, Failure> {
        let mut templates = Templates::new();
        templates.read(source)?;
        templates.render(source, document.as_object().unwrap())
    }

    /// `lm_eval.utils.apply_template` of 0.4.13.
    #[test]
    fn templates_write_what_the_harness_writes() {
        let document = || {
            json!({
                "question": "Why?", "answer": "one\n#### 4", "choices": {"text": ["it's", "b"], "label": ["A", "B"]},
                "key": "B", "n": 3, "x": 1.0, "none": null, "yes": true,
            })
        };
        let cases = [
            ("Q: {{question}}\nA:", "Q: Why?\nA:"),
            ("{{question}}\n", "Why?\n"),
            ("{{choices.text}}", "[\"it's\", 'b']"),
            ("{{choices.label.index(key)}}", "1"),
            ("{{answer.split('####')[-1].strip() if answer is defined else target}}", "4"),
            ("{{answer.split('####')[-1].strip() if nothing is defined else question}}", "Why?"),
            ("{{n}} {{x}} {{none}} {{yes}}", "3 1.0 None True"),
            ("{{question.split(' ')[:-1]|join(' ')}}|{{'a b c'.split(' ')[:-1]|join(' ')}}", "|a b"),
            ("{{ 'ABCD'[key|int - 1] if key|string in '1234' else key }}", "B"),
            ("{{ 'ABCD'[n - 1] }}", "C"),
            ("{% set p = 'Q: a\nA: b' %}{{p + '\n\nQ: ' + question + '\nA:'}}", "Q: a\nA: b\n\nQ: Why?\nA:"),
            ("{{ question|regex_replace('W(h)', '\\\\1-') }}", "h-y?"),
            ("<b>{{ '<' ~ n ~ '>' }}", "<b><3>"),
            (
                "{% for t in choices.text %}{{loop.index}}{{t}}{% if not loop.last %}, {% endif %}{% endfor %}",
                "1it's, 2b",
            ),
        ];
        for (source, expected) in cases {
            assert_eq!(
                render(source, document()).unwrap_or_else(|f| panic!("{source}: {}", f.why)),
                expected,
                "{source}"
            );
        }
        assert!(render("{{missing}}", document()).is_err());
        assert!(render("{{choices.label.index('Z')}}", document()).is_err());
    }

    #[test]
    fn what_a_template_may_use_is_limited() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
        assert!(render(endless, json!({})).unwrap_err().why.contains("steps"));
        let wide = "{% for a in range(9999) %}{{ s }}{% endfor %}";
        assert!(render(wide, json!({"s": "x".repeat(100_000)})).unwrap_err().why.contains("bytes"));
        assert!(render(&" ".repeat(MAX_SOURCE_BYTES + 1), json!({})).is_err());
        assert!(render("{% include 'a' %}", json!({})).is_err());
        assert!(render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", json!({})).is_err());
    }
}
