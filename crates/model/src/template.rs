//! How a conversation becomes the text that a model was trained on.
//!
//! A [`ChatTemplate`] is the Jinja template that a model's publisher ships with it, rendered as Hugging Face's
//! `apply_chat_template` renders it: same whitespace control, same `tojson`, same functions. The committed
//! outputs of the Python implementation in `parity/` are the proof.
//!
//! A template is a program by whoever published the model: it runs without access to anything but its
//! variables, with limits on its size, its steps and its output.

use std::collections::BTreeMap;
use std::io;

use chrono::{DateTime, Local};
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, ErrorKind, Value};
use qd_base::Extra;
use qd_base::chat::{Message, Tool};

mod dialect;
mod json;
mod message;

/// No published template comes near; gpt-oss's, among the longest, has 17 KB.
const MAX_SOURCE_BYTES: usize = 512 << 10;

/// More text than any model reads: a million tokens are about 4 MB.
const MAX_OUTPUT_BYTES: usize = 32 << 20;

/// Steps of the template machine: about half a second. A message costs some hundreds, so this is for thousands.
const FUEL: u64 = 5_000_000;

/// Calls of macros within macros.
const MAX_DEPTH: usize = 100;

const NAME: &str = "chat template";

/// A parsed chat template.
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

/// Why a template gave no text.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The template itself is wrong.
    #[error("the model's chat template cannot be read")]
    Syntax(#[source] minijinja::Error),
    /// The template is longer than any real one.
    #[error("the model's chat template has {size_bytes} bytes, {MAX_SOURCE_BYTES} are allowed")]
    TooLong {
        /// Its length.
        size_bytes: usize,
    },
    /// The template refuses the conversation by `raise_exception`; the message is meant for the caller.
    #[error("the model's chat template refuses these messages: {message}")]
    Refused {
        /// What the template says.
        message: String,
    },
    /// The template ran out of its steps or its output.
    #[error("the model's chat template exceeds its limits")]
    Exhausted,
    /// The template failed on these messages.
    #[error("rendering the model's chat template")]
    Render(#[source] minijinja::Error),
}

impl ChatTemplate {
    /// Parses a template; `bos` and `eos` are the texts of the model's first and last token.
    ///
    /// # Errors
    /// [`TemplateError::Syntax`] and [`TemplateError::TooLong`].
    pub fn parse(source: &str, bos: &str, eos: &str) -> Result<Self, TemplateError> {
        Self::with_clock(source, bos, eos, Local::now)
    }

    /// The same, with `strftime_now` reading `clock`.
    ///
    /// # Errors
    /// As [`ChatTemplate::parse`].
    pub fn with_clock(
        source: &str,
        bos: &str,
        eos: &str,
        clock: fn() -> DateTime<Local>,
    ) -> Result<Self, TemplateError> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(TemplateError::TooLong { size_bytes: source.len() });
        }
        let mut environment = environment(clock);
        environment
            .add_template_owned(NAME, dialect::without_generation_tags(source))
            .map_err(TemplateError::Syntax)?;
        Ok(Self { environment, bos: bos.into(), eos: eos.into() })
    }

    /// The text for these messages; `extra` are more variables (`enable_thinking`, `documents`, …), which
    /// cannot replace the template's own.
    ///
    /// # Errors
    /// [`TemplateError::Refused`], [`TemplateError::Exhausted`] and [`TemplateError::Render`].
    pub fn render(
        &self,
        messages: &[Message],
        tools: &[Tool],
        add_generation_prompt: bool,
        extra: &Extra,
    ) -> Result<String, TemplateError> {
        let tools = if tools.is_empty() { Value::from(()) } else { Value::from_serialize(tools) };
        let mut variables: BTreeMap<&str, Value> =
            extra.iter().map(|(name, value)| (name.as_str(), Value::from_serialize(value))).collect();
        variables.entry("documents").or_insert_with(|| Value::from(()));
        variables.extend([
            ("messages", Value::from_serialize(message::as_templates_read_them(messages))),
            ("tools", tools),
            ("add_generation_prompt", Value::from(add_generation_prompt)),
            ("bos_token", Value::from(self.bos.as_str())),
            ("eos_token", Value::from(self.eos.as_str())),
        ]);
        self.render_with(variables)
    }

    fn render_with(&self, variables: BTreeMap<&str, Value>) -> Result<String, TemplateError> {
        let template = self.environment.get_template(NAME).map_err(TemplateError::Syntax)?;
        let mut output = Limited::default();
        match template.render_captured_to(variables, &mut output) {
            Ok(_) => Ok(output.text()),
            Err(_) if output.is_full => Err(TemplateError::Exhausted),
            Err(error) => Err(failure(error)),
        }
    }
}

impl std::fmt::Debug for ChatTemplate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatTemplate").field("bos", &self.bos).field("eos", &self.eos).finish_non_exhaustive()
    }
}

/// The environment of `transformers.utils.chat_template_utils`: `trim_blocks`, `lstrip_blocks`, loop controls.
fn environment(clock: fn() -> DateTime<Local>) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_formatter(dialect::write_as_python);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.set_recursion_limit(MAX_DEPTH);
    environment.set_fuel(Some(FUEL));
    environment.add_filter("tojson", |value: Value, options: Kwargs| json::to_json(&value, &options));
    environment.add_filter("string", |value: Value| dialect::python_str(&value));
    environment.add_test("iterable", dialect::is_iterable);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", move |format: String| dialect::format_time(clock(), &format));
    environment
}

/// What `raise_exception` was told, carried through the engine as the source of its error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Raised(String);

fn raise_exception(message: String) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Raised(message)))
}

fn failure(error: minijinja::Error) -> TemplateError {
    let raised = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
        .find_map(|error| error.downcast_ref::<Raised>());
    match raised {
        Some(Raised(message)) => TemplateError::Refused { message: message.clone() },
        None if error.kind() == ErrorKind::OutOfFuel => TemplateError::Exhausted,
        None => TemplateError::Render(error),
    }
}

/// Output that stops growing at its limit.
#[derive(Default)]
struct Limited {
    bytes: Vec<u8>,
    is_full: bool,
}

impl Limited {
    fn text(self) -> String {
        // The engine writes whole strings only, so this never replaces anything.
        String::from_utf8(self.bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
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
    use qd_base::chat::Role;

    use super::*;

    fn check(source: &str, expected: &str) {
        let template = ChatTemplate::parse(source, "<s>", "</s>").unwrap();
        let messages = [Message::text(Role::User, "hi")];
        assert_eq!(template.render(&messages, &[], true, &Extra::new()).unwrap(), expected, "{source}");
    }

    fn fails(source: &str) -> TemplateError {
        let template = ChatTemplate::parse(source, "", "").unwrap();
        template.render(&[], &[], false, &Extra::new()).unwrap_err()
    }

    #[test]
    fn values_are_written_as_python_writes_them() {
        // Right-hand sides are what Python's `str` gives.
        check("{{ none }} {{ true }} {{ false }} {{ missing }}", "None True False ");
        check("{{ 1.0 }} {{ 0.1 }} {{ 1e20 }} {{ 1e-7 }} {{ 123456789.0 }}", "1.0 0.1 1e+20 1e-07 123456789.0");
        check("{{ [1, 'a', none, true] }} {{ {'k': 'v\\n'} }}", "[1, 'a', None, True] {'k': 'v\\n'}");
        check("{{ \"it's\" }} {{ [\"it's\"] }}", "it's [\"it's\"]");
        check("{{ none | string ~ 1e-05 | string }}", "None1e-05");
        check("{{ none is iterable }} {{ 'text' is iterable }} {{ 1 is iterable }}", "False True False");
    }

    #[test]
    fn strings_have_pythons_methods() {
        check("{{ messages[0].content.upper().lstrip('H') }} {{ 'a,b'.split(',')[-1] }} {{ ' x '.strip() }}", "I b x");
        check("{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}{{ v }}{% endfor %}", "b1a2");
    }

    #[test]
    fn the_date_comes_from_the_clock() {
        let noon = || chrono::TimeZone::with_ymd_and_hms(&Local, 2024, 7, 26, 12, 0, 0).unwrap();
        let template = ChatTemplate::with_clock("{{ strftime_now('%d %b %Y') }}", "", "", noon).unwrap();
        assert_eq!(template.render(&[], &[], false, &Extra::new()).unwrap(), "26 Jul 2024");
        assert!(matches!(fails("{{ strftime_now('%Q') }}"), TemplateError::Render(_)));
    }

    #[test]
    fn a_refusal_is_told_apart_and_kept_for_the_caller() {
        let refusal = fails("{{ raise_exception('System role not supported') }}");
        assert!(
            matches!(&refusal, TemplateError::Refused { message } if message == "System role not supported"),
            "{refusal}"
        );
    }

    #[test]
    fn what_a_template_may_use_is_limited() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
        assert!(matches!(fails(endless), TemplateError::Exhausted));
        let wide = "{% set s = 'x' * 1000000 %}{% for a in range(999) %}{{ s }}{% endfor %}";
        assert!(matches!(fails(wide), TemplateError::Exhausted));
        let deep = "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}";
        assert!(matches!(fails(deep), TemplateError::Render(_)));
        let long = " ".repeat(MAX_SOURCE_BYTES + 1);
        assert!(matches!(ChatTemplate::parse(&long, "", ""), Err(TemplateError::TooLong { .. })));
        assert!(matches!(fails("{% include '/etc/passwd' %}"), TemplateError::Render(_)));
    }

    #[test]
    fn more_variables_are_seen_but_replace_nothing() {
        let template = ChatTemplate::parse("{{ enable_thinking }} {{ bos_token }}", "<s>", "").unwrap();
        let extra = serde_json::json!({"enable_thinking": false, "bos_token": "forged"});
        let text = template.render(&[], &[], false, extra.as_object().unwrap()).unwrap();
        assert_eq!(text, "False <s>");
    }
}
