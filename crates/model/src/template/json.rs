//! `tojson` as Hugging Face defines it for chat templates: Python's `json.dumps` without escaping for HTML.

use std::fmt::Write as _;

use minijinja::value::Kwargs;
use minijinja::{Error, ErrorKind, Value};

/// How `json.dumps` was asked to write.
struct Style {
    /// The text of one level, when the value is spread over lines.
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
    ensure_ascii: bool,
}

/// More would be a way to write much with little.
const MAX_INDENT: usize = 32;

/// The filter `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn to_json(value: &Value, options: &Kwargs) -> Result<Value, Error> {
    let style = Style::from_options(options)?;
    options.assert_all_used()?;
    let json = serde_json::to_value(value)
        .map_err(|cause| Error::new(ErrorKind::BadSerialization, "tojson: the value is not JSON").with_source(cause))?;
    let mut out = String::new();
    style.write(&mut out, &json, 0);
    Ok(Value::from(out))
}

impl Style {
    fn from_options(options: &Kwargs) -> Result<Self, Error> {
        let indent = indent(options.get::<Option<Value>>("indent")?)?;
        let default_item = if indent.is_some() { "," } else { ", " };
        let separators: Option<Vec<String>> = options.get("separators")?;
        let (item_separator, key_separator) = match separators.as_deref() {
            None => (default_item.into(), ": ".into()),
            Some([item, key]) => (item.clone(), key.clone()),
            Some(_) => return Err(Error::new(ErrorKind::InvalidOperation, "tojson: separators are a pair")),
        };
        Ok(Self {
            indent,
            item_separator,
            key_separator,
            sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
            ensure_ascii: options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        })
    }

    fn write(&self, out: &mut String, json: &serde_json::Value, depth: usize) {
        match json {
            serde_json::Value::Array(items) => self.write_items(out, ['[', ']'], items, depth, |out, item| {
                self.write(out, item, depth + 1);
            }),
            serde_json::Value::Object(object) => {
                let mut entries: Vec<_> = object.iter().collect();
                if self.sort_keys {
                    entries.sort_by(|a, b| a.0.cmp(b.0));
                }
                self.write_items(out, ['{', '}'], &entries, depth, |out, (key, value)| {
                    self.write_string(out, key);
                    out.push_str(&self.key_separator);
                    self.write(out, value, depth + 1);
                });
            }
            serde_json::Value::String(text) => self.write_string(out, text),
            serde_json::Value::Number(number) => out.push_str(&number_repr(number)),
            other => out.push_str(&other.to_string()),
        }
    }

    fn write_items<T>(
        &self,
        out: &mut String,
        [open, close]: [char; 2],
        items: &[T],
        depth: usize,
        mut write: impl FnMut(&mut String, &T),
    ) {
        out.push(open);
        for (index, item) in items.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { &self.item_separator });
            self.break_line(out, depth + 1);
            write(out, item);
        }
        if !items.is_empty() {
            self.break_line(out, depth);
        }
        out.push(close);
    }

    fn break_line(&self, out: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(indent.as_str(), depth));
        }
    }

    fn write_string(&self, out: &mut String, text: &str) {
        // The escapes of serde_json and of Python are the same, except above ASCII.
        let quoted = serde_json::Value::from(text).to_string();
        if !self.ensure_ascii {
            return out.push_str(&quoted);
        }
        let mut units = [0; 2];
        for c in quoted.chars() {
            if c.is_ascii() {
                out.push(c);
            } else {
                c.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }
}

fn indent(option: Option<Value>) -> Result<Option<String>, Error> {
    let text = match option {
        None => return Ok(None),
        Some(value) if value.is_none() => return Ok(None),
        Some(value) => match value.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(value)?.min(MAX_INDENT)),
        },
    };
    Ok(Some(text.chars().take(MAX_INDENT).collect()))
}

fn number_repr(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float_repr(float),
        _ => number.to_string(),
    }
}

/// Python's `repr` of a float: the shortest digits that read back the same, with an exponent below 1e-4 and
/// from 1e16 on (the language's `float_repr_style` "short", format code `r`).
pub(super) fn float_repr(float: f64) -> String {
    if !float.is_finite() {
        return if float.is_nan() {
            "nan".into()
        } else if float > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    let scientific = format!("{float:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if float != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    let mut plain = float.to_string();
    if !plain.contains('.') {
        let _ = write!(plain, ".0");
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        let mut environment = minijinja::Environment::new();
        environment.add_filter("tojson", |value: Value, options: Kwargs| to_json(&value, &options));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        assert_eq!(environment.render_str(source, ()).unwrap(), expected, "{source}");
    }

    #[test]
    fn it_writes_what_json_dumps_writes() {
        // Right-hand sides were printed by CPython 3.11: json.dumps(value, ensure_ascii=False, …).
        check(r#"{{ {"b": [1, 2.0, "é<&'"], "a": {}} | tojson }}"#, r#"{"b": [1, 2.0, "é<&'"], "a": {}}"#);
        check(
            r#"{{ {"b": [1, []], "a": {}} | tojson(indent=2) }}"#,
            "{\n  \"b\": [\n    1,\n    []\n  ],\n  \"a\": {}\n}",
        );
        check(r#"{{ {"b": 1, "a": 2} | tojson(separators=(",", ":"), sort_keys=true) }}"#, r#"{"a":2,"b":1}"#);
        check(r#"{{ "é😀" | tojson(ensure_ascii=true) }}"#, r#""\u00e9\ud83d\ude00""#);
        check("{{ [none, true, 1e22, 1e-5, 0.0001] | tojson }}", "[null, true, 1e+22, 1e-05, 0.0001]");
    }

    #[test]
    fn floats_as_python_prints_them() {
        for (float, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(float_repr(float), text);
        }
    }
}
