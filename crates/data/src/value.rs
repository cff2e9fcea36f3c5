//! Values of rows: whether they fit a column, what they become in it, and what tells two rows apart.

use qd_base::Sha256Hex;
use qd_base::hash::Hasher;
use serde_json::{Map, Value};

use crate::column::ColumnType;

/// Whole numbers up to here are the same number in double precision (IEEE 754: 53 bits).
pub(crate) const EXACT_IN_DOUBLE: u64 = 1 << 53;

/// The value of a row in a column of this type; `None` when it is missing. Values of `textual` files are all texts, which are
/// read as what the column holds; an empty one is missing.
///
/// # Errors
/// Why it does not fit, for a person.
pub(crate) fn fit(value: Option<&Value>, kind: ColumnType, textual: bool) -> Result<Option<Value>, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    match value {
        Value::String(text) if textual && text.is_empty() => Ok(None),
        Value::String(text) if textual => from_text(text, kind).map(Some),
        value => from_json(value, kind).map(Some),
    }
    .map_err(|()| format!("{} is no {kind}", shown(value)))
}

fn from_text(text: &str, kind: ColumnType) -> Result<Value, ()> {
    match kind {
        ColumnType::Text => Ok(Value::String(text.to_owned())),
        ColumnType::Integer => text.trim().parse::<i64>().map(Value::from).map_err(drop),
        ColumnType::Number => number_in(text.trim()).map(Value::from).ok_or(()),
        ColumnType::Boolean => boolean(text).map(Value::Bool).ok_or(()),
        ColumnType::Json => serde_json::from_str(text).map_err(drop),
    }
}

fn from_json(value: &Value, kind: ColumnType) -> Result<Value, ()> {
    let fits = match (kind, value) {
        (ColumnType::Json, _) | (ColumnType::Text, Value::String(_)) | (ColumnType::Boolean, Value::Bool(_)) => true,
        (ColumnType::Text, Value::Bool(_) | Value::Number(_)) => return Ok(Value::String(value.to_string())),
        (ColumnType::Integer, Value::Number(number)) => number.is_i64(),
        (ColumnType::Number, Value::Number(number)) => return double(number).map(Value::from).ok_or(()),
        _ => false,
    };
    fits.then(|| value.clone()).ok_or(())
}

/// The number that a text is, unless it is a whole one that would become another.
fn number_in(text: &str) -> Option<f64> {
    let is_whole = text.trim_start_matches(['-', '+']).bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|n: &f64| n.is_finite() && !(is_whole && n.abs() > EXACT_IN_DOUBLE as f64))
}

/// Whether a text is a number that is written out again as the same text: not `1.10`, which may be a version, and no whole
/// number that double precision would change.
pub(crate) fn is_number(text: &str) -> bool {
    let is_json = || text.len() <= 40 && serde_json::from_str::<f64>(text).is_ok();
    let Some(number) = number_in(text).filter(|_| is_json()) else { return false };
    match text.split_once(['e', 'E']) {
        None => text == number.to_string() || text == format!("{number:?}"),
        Some((mantissa, exponent)) => {
            let written = format!("{number:e}");
            let (of_number, expected) = written.split_once('e').unwrap_or((&written, "0"));
            mantissa.strip_suffix(".0").unwrap_or(mantissa) == of_number && exponent.parse::<i32>() == expected.parse()
        }
    }
}

/// A number in double precision, unless it is a whole one that would become another.
fn double(number: &serde_json::Number) -> Option<f64> {
    let is_exact = number.is_f64() || number.as_i64().is_some_and(|whole| whole.unsigned_abs() <= EXACT_IN_DOUBLE);
    number.as_f64().filter(|_| is_exact)
}

/// The truth values as JSON and Python write them.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The beginning of a value, for an error.
pub(crate) fn shown(value: &Value) -> String {
    const CHARS: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The digest of a row's values. `names` are those of the columns in the order of the alphabet, so that neither the order of
/// columns nor one without a value changes it; and a number is the same whatever column it lies in.
pub(crate) fn digest<'a>(names: impl Iterator<Item = &'a str>, row: &Map<String, Value>) -> Sha256Hex {
    let mut hasher = Hasher::new();
    let mut piece = |kind: u8, text: &[u8]| {
        hasher.update(&[kind]);
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text);
    };
    for name in names {
        let Some(value) = row.get(name).filter(|value| !value.is_null()) else { continue };
        piece(b'c', name.as_bytes());
        match value {
            Value::String(text) => piece(b's', text.as_bytes()),
            Value::Number(number) => piece(b'n', plain(number).as_bytes()),
            other => piece(b'j', other.to_string().as_bytes()),
        }
    }
    hasher.finish()
}

/// A number's text, which is that of a whole number when it is one.
fn plain(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT_IN_DOUBLE as f64 => {
            (float as i64).to_string()
        }
        _ => number.to_string(),
    }
}

/// The text by which a value is told apart: as [`text_of`], but a number has the same whether its column holds whole ones or
/// fractions.
pub fn key_of(value: &Value) -> String {
    match value {
        Value::Number(number) => plain(number),
        other => text_of(other),
    }
}

/// The text of a value as an identifier: a text as it is, anything else as JSON.
pub fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The first 24 hexadecimal digits of a digest: an identifier that two different rows of billions do not share.
pub(crate) fn short(digest: &Sha256Hex) -> String {
    digest.to_string()[..24].to_owned()
}

/// The first 64 bits of a digest, as they lie in a column.
pub(crate) fn number(digest: &Sha256Hex) -> i64 {
    let bytes = digest.as_bytes();
    i64::from_be_bytes(std::array::from_fn(|at| bytes[at]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value, kind: ColumnType, textual: bool, expected: Result<Option<Value>, &str>) {
        assert_eq!(fit(Some(&value), kind, textual), expected.map_err(str::to_owned), "{value} as {kind}");
    }

    #[test]
    fn values_become_what_the_column_holds_or_are_refused() {
        use ColumnType::*;
        check(json!("a"), Text, false, Ok(Some(json!("a"))));
        check(json!(1.5), Text, false, Ok(Some(json!("1.5"))));
        check(json!(1), Number, false, Ok(Some(json!(1.0))));
        check(json!(9_007_199_254_740_993_i64), Number, false, Err("9007199254740993 is no number"));
        check(json!(1.5), Integer, false, Err("1.5 is no integer"));
        check(json!("1"), Integer, false, Err("\"1\" is no integer"));
        check(json!("1"), Integer, true, Ok(Some(json!(1))));
        check(json!(""), Text, true, Ok(None));
        check(json!(""), Text, false, Ok(Some(json!(""))));
        check(json!("True"), Boolean, true, Ok(Some(json!(true))));
        check(json!("[1,"), Json, true, Err("\"[1,\" is no json"));
        check(json!("12345678901234567890"), Number, true, Err("\"12345678901234567890\" is no number"));
        check(json!("2.50"), Number, true, Ok(Some(json!(2.5))));
        check(json!("nan"), Number, true, Err("\"nan\" is no number"));
        check(json!(["a"]), Text, false, Err("[\"a\"] is no text"));
        check(json!(null), Integer, false, Ok(None));
    }

    #[test]
    fn a_digest_follows_from_the_values_alone() {
        let of = |row: Value| digest(["a", "b", "c"].into_iter(), row.as_object().unwrap());
        assert_eq!(of(json!({"a": 1, "b": "x"})), of(json!({"b": "x", "a": 1.0, "c": null})));
        assert_ne!(of(json!({"a": 1})), of(json!({"a": "1"})));
        assert_ne!(of(json!({"a": "x"})), of(json!({"b": "x"})));
        // A border between two values is no part of either.
        assert_ne!(of(json!({"a": "xb", "b": ""})), of(json!({"a": "x", "b": "b"})));
    }
}
