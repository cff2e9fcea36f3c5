//! Where Python's Jinja differs from ours: how values are written, and what a chat template may call.

use std::fmt::Write as _;

use chrono::{DateTime, Local};
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Output, State, Value};

use super::json::float_repr;

/// Writes a value as Python's `str` would.
pub(super) fn write_as_python(output: &mut Output<'_>, _: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => output.write_str(text)?,
        None => output.write_str(&python_str(value)?)?,
    }
    Ok(())
}

/// Python's `str`; what is undefined is empty.
pub(super) fn python_str(value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    match value.as_str() {
        Some(whole) => text.push_str(whole),
        None if value.is_undefined() => {}
        None => write_repr(&mut text, value)?,
    }
    Ok(text)
}

/// Whether Python could iterate over it: over nothing at all (`None`) it cannot, unlike our engine.
pub(super) fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// Python's `repr`, for the kinds of value that JSON has.
fn write_repr(out: &mut String, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::String => write_string_repr(out, value.as_str().unwrap_or_default()),
        ValueKind::Number if !value.is_integer() => out.push_str(&float_repr(f64::try_from(value.clone())?)),
        ValueKind::Seq => write_list_repr(out, value)?,
        ValueKind::Map => write_dict_repr(out, value)?,
        _ => write!(out, "{value}")?,
    }
    Ok(())
}

fn write_list_repr(out: &mut String, value: &Value) -> Result<(), Error> {
    out.push('[');
    for (index, item) in value.try_iter()?.enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_repr(out, &item)?;
    }
    out.push(']');
    Ok(())
}

fn write_dict_repr(out: &mut String, value: &Value) -> Result<(), Error> {
    out.push('{');
    for (index, key) in value.try_iter()?.enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_repr(out, &key)?;
        out.push_str(": ");
        write_repr(out, &value.get_item(&key)?)?;
    }
    out.push('}');
    Ok(())
}

/// Single quotes unless the text has some and no double ones.
fn write_string_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(quote);
}

/// `strftime`, with an error instead of a panic for a format that does not exist.
pub(super) fn format_time(now: DateTime<Local>, format: &str) -> Result<String, Error> {
    let mut text = String::new();
    write!(text, "{}", now.format(format))
        .map_err(|_| Error::new(ErrorKind::InvalidOperation, "strftime_now: there is no such format"))?;
    Ok(text)
}

/// Turns `{% generation %}…{% endgeneration %}` into a block that is always there.
///
/// The tag is an extension of the Python implementation that marks what to train on; it writes nothing. An
/// `if` in its place keeps the tag's control over the whitespace around it.
pub(super) fn without_generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let (before, tag_on) = rest.split_at(start);
        out.push_str(before);
        let end = tag_on.find("%}").map_or(tag_on.len(), |end| end + 2);
        let (tag, after) = tag_on.split_at(end);
        match tag.trim_matches(['{', '%', '}', '-', '+', ' ', '\n', '\t']) {
            "generation" => out.push_str(&tag.replacen("generation", "if true", 1)),
            "endgeneration" => out.push_str(&tag.replacen("endgeneration", "endif", 1)),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_generation_tags_change() {
        let source = "{%- generation -%}a{% endgeneration %}{% if generation %}{{ 'generation' }}{% endif %} %} {%";
        let expected = "{%- if true -%}a{% endif %}{% if generation %}{{ 'generation' }}{% endif %} %} {%";
        assert_eq!(without_generation_tags(source), expected);
    }
}
