//! Values of attributes, and what can be read out of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use qd_base::Extra;
use serde_json::{Number, Value};

/// The JSON form of an attribute's value. Numbers that JSON has no word for are texts, bytes are base64.
pub(crate) fn json(value: AnyValue) -> Value {
    match value.value {
        None | Some(Any::StringValueStrindex(_)) => Value::Null,
        Some(Any::StringValue(text)) => Value::String(text),
        Some(Any::BoolValue(truth)) => Value::Bool(truth),
        Some(Any::IntValue(number)) => Value::Number(number.into()),
        Some(Any::DoubleValue(number)) => double(number),
        Some(Any::ArrayValue(list)) => Value::Array(list.values.into_iter().map(json).collect()),
        Some(Any::KvlistValue(list)) => Value::Object(object(list.values)),
        Some(Any::BytesValue(bytes)) => Value::String(STANDARD.encode(bytes)),
    }
}

fn double(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

/// The JSON form of a list of attributes; of two of one name the last holds.
pub(crate) fn object(attributes: Vec<KeyValue>) -> Extra {
    let pair = |pair: KeyValue| (pair.key, pair.value.map_or(Value::Null, json));
    attributes.into_iter().map(pair).collect()
}

/// What a text holds: JSON where it is JSON, else the text itself. Dialects write objects into texts, since attributes
/// could hold none.
pub(crate) fn unfold(value: Value) -> Value {
    match value {
        Value::String(text) if looks_like_json(&text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        other => other,
    }
}

fn looks_like_json(text: &str) -> bool {
    let text = text.trim();
    let ends = |open: char, close: char| text.len() > 1 && text.starts_with(open) && text.ends_with(close);
    ends('{', '}') || ends('[', ']') || ends('"', '"') || text == "null"
}

/// A text that says something.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if looks_like_json(text) => match serde_json::from_str(text) {
            Ok(Value::String(inner)) => Some(inner).filter(|inner| !inner.is_empty()),
            _ => Some(text.clone()),
        },
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A number that counts.
pub(crate) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        // Data frames make `7.0` of 7 where some rows have none.
        Value::String(text) => text.trim().parse().ok().or_else(|| whole(text.trim().parse().ok()?)),
        _ => None,
    }
    // Beyond that the column has no room, and no call has so many tokens.
    .filter(|count| i64::try_from(*count).is_ok())
}

fn whole(number: f64) -> Option<u64> {
    ((0.0..9e15).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

/// A number that measures.
pub(crate) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite() && *number >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn any(value: Any) -> AnyValue {
        AnyValue { value: Some(value) }
    }

    #[test]
    fn values_keep_their_type() {
        let check = |value, expected| assert_eq!(super::json(value), expected);
        check(AnyValue { value: None }, Value::Null);
        check(any(Any::IntValue(-3)), json!(-3));
        check(any(Any::DoubleValue(1.0)), json!(1.0));
        check(any(Any::DoubleValue(f64::NAN)), json!("NaN"));
        check(any(Any::BoolValue(true)), json!(true));
        check(any(Any::BytesValue(vec![1, 2, 255])), json!("AQL/"));
    }

    #[test]
    fn what_a_text_holds_is_read() {
        assert_eq!(unfold(json!("[1, 2]")), json!([1, 2]));
        assert_eq!(unfold(json!("\"x\"")), json!("x"));
        assert_eq!(unfold(json!("{not json}")), json!("{not json}"));
        assert_eq!(unfold(json!("17")), json!("17"), "a number in a text was meant as text");
        assert_eq!(
            (text(&json!("\"LLM\"")), text(&json!("")), text(&json!(7))),
            (Some("LLM".into()), None, Some("7".into()))
        );
        assert_eq!(
            (count(&json!(12.0)), count(&json!("12")), count(&json!("12.0")), count(&json!(-1)), count(&json!(1.5))),
            (Some(12), Some(12), Some(12), None, None)
        );
        assert_eq!((number(&json!(0.25)), number(&json!("inf")), number(&json!(-1))), (Some(0.25), None, None));
    }
}
