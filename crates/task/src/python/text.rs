//! `str` and `repr` of values, and what counts as white space.

use std::fmt::Write as _;

use minijinja::Value;
use minijinja::value::ValueKind;

/// White space as Python's `str.isspace` and `\s` see it: Unicode's, and the four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\x1c'..='\x1f')
}

/// `str.strip()`.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `len(re.split(r"\s+", text))`: one more than there are runs of white space.
pub(crate) fn count_split_on_space(text: &str) -> usize {
    let mut runs = 0;
    let mut in_run = false;
    for c in text.chars() {
        let space = is_space(c);
        runs += usize::from(space && !in_run);
        in_run = space;
    }
    runs + 1
}

/// `str(value)` of a JSON value.
pub(crate) fn str_of_json(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        other => str_of(&Value::from_serialize(other)),
    }
}

/// `str(value)`.
pub(crate) fn str_of(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => {
            let mut out = String::new();
            write_repr(&mut out, value);
            out
        }
    }
}

fn write_repr(out: &mut String, value: &Value) {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::String => write_text_repr(out, value.as_str().unwrap_or_default()),
        ValueKind::Number if !value.is_integer() => {
            out.push_str(&f64::try_from(value.clone()).map_or_else(|_| value.to_string(), float_repr));
        }
        ValueKind::Map => write_items(out, ['{', '}'], value, true),
        ValueKind::Seq | ValueKind::Iterable => write_items(out, ['[', ']'], value, false),
        _ => out.push_str(&value.to_string()),
    }
}

fn write_items(out: &mut String, brackets: [char; 2], value: &Value, with_values: bool) {
    out.push(brackets[0]);
    for (index, item) in value.try_iter().into_iter().flatten().enumerate() {
        out.push_str(if index == 0 { "" } else { ", " });
        write_repr(out, &item);
        if with_values {
            out.push_str(": ");
            write_repr(out, &value.get_item(&item).unwrap_or_default());
        }
    }
    out.push(brackets[1]);
}

/// Single quotes unless the text has some and no double ones (CPython, `Objects/unicodeobject.c`, `unicode_repr`).
fn write_text_repr(out: &mut String, text: &str) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if is_printable(c) => out.push(c),
            c => write_escape(out, u32::from(c)),
        }
    }
    out.push(quote);
}

fn write_escape(out: &mut String, code: u32) {
    // Writing to a String cannot fail.
    let _ = match code {
        0..0x100 => write!(out, "\\x{code:02x}"),
        0x100..0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
}

/// `str.isprintable` without its table of unassigned characters: separators but the space, controls, formats, private use.
fn is_printable(c: char) -> bool {
    c == ' '
        || !(c.is_control()
            || c.is_whitespace()
            || matches!(c, '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0001}'..='\u{e007f}' | '\u{f0000}'..))
}

/// The shortest text that reads back as the same number, with an exponent below 1e-4 and from 1e16 on.
fn float_repr(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() { "nan".to_owned() } else { format!("{number}") };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number == 0.0 || (-4..16).contains(&exponent) {
        format!("{number:?}")
    } else {
        format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        // Right-hand sides are what CPython 3.11 prints for `str(value)`.
        let cases = [
            (json!([1, "a", null, true, 1.5]), "[1, 'a', None, True, 1.5]"),
            (json!({"k": "v\n", "l": [false]}), "{'k': 'v\\n', 'l': [False]}"),
            (json!(["it's", "\"it's\"", "\\"]), "[\"it's\", '\"it\\'s\"', '\\\\']"),
            (json!([1e16, 1e-5, 123456789.0, 0.0001, 1e15]), "[1e+16, 1e-05, 123456789.0, 0.0001, 1000000000000000.0]"),
            (json!(["\u{a0}é\u{200b}\u{1}中"]), "['\\xa0é\\u200b\\x01中']"),
            (json!("plain"), "plain"),
        ];
        for (value, expected) in cases {
            assert_eq!(str_of_json(&value), expected);
        }
    }

    #[test]
    fn words_are_counted_as_python_splits() {
        // `len(re.split(r"\s+", text))` in CPython 3.11.
        for (text, expected) in [("", 1), ("a", 1), (" a  b\n", 4), ("a\x1cb", 2), ("a\u{2003}b c", 3)] {
            assert_eq!(count_split_on_space(text), expected, "{text:?}");
        }
    }
}
