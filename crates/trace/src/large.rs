//! What of a span is too large for its row: which parts go to blobs, and what the row keeps of its attributes.

use bytes::Bytes;
use qd_base::{Extra, Sha256Hex};
use serde_json::{Value, json};

use crate::table::PayloadBlobs;
use crate::{Payload, Span};

/// Bytes of one attribute that stay in a row whose attributes went to a blob; of a longer one its beginning stays.
const KEPT_BYTES: usize = 1 << 10;
/// Attributes that stay in such a row.
const KEPT_ATTRIBUTES: usize = 64;
/// What stands for the rest of an attribute that was cut.
const CUT_BYTES: &str = "quarterdeck.cut_bytes";
/// What stands for attributes that were left out.
const LEFT_OUT: &str = "quarterdeck.attributes_left_out";

/// The blobs that a span needs; their bytes are added to `payloads`, to be stored before its row is.
pub(crate) fn place(span: &Span, payloads: &mut Vec<Bytes>) -> PayloadBlobs {
    let mut store = |bytes: Bytes| {
        let sha256 = Sha256Hex::of(&bytes);
        payloads.push(bytes);
        sha256
    };
    let large = |payload: &Option<Payload>| {
        payload.as_ref().filter(|payload| payload.needs_blob()).map(|payload| payload.bytes().clone())
    };
    PayloadBlobs {
        input: large(&span.input).map(&mut store),
        output: large(&span.output).map(&mut store),
        // Half, since a text may take twice as much in JSON.
        attributes: (bytes(&span.attributes) > Payload::INLINE_BYTES / 2)
            .then(|| Payload::of(&span.attributes))
            .filter(Payload::needs_blob)
            .map(|whole| store(whole.bytes().clone())),
    }
}

/// About how many bytes attributes take, without writing them.
pub(crate) fn bytes(attributes: &Extra) -> usize {
    attributes.iter().map(|(key, value)| key.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    // Quotation marks, commas and the like.
    const AROUND: usize = 4;
    AROUND
        + match value {
            Value::Null | Value::Bool(_) => 4,
            Value::Number(_) => 8,
            Value::String(text) => text.len(),
            Value::Array(list) => list.iter().map(value_bytes).sum(),
            Value::Object(fields) => bytes(fields),
        }
}

/// What a row keeps of attributes that went to a blob: small ones, and the beginnings of large ones.
pub(crate) fn beginnings(attributes: &Extra) -> String {
    let mut kept: Extra =
        attributes.iter().take(KEPT_ATTRIBUTES).map(|(key, value)| (short(key), beginning(value))).collect();
    if let Some(left) = attributes.len().checked_sub(KEPT_ATTRIBUTES).filter(|left| *left > 0) {
        kept.insert(LEFT_OUT.to_owned(), left.into());
    }
    Value::Object(kept).to_string()
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(KEPT_BYTES)].to_owned()
}

fn beginning(value: &Value) -> Value {
    let bytes = value_bytes(value);
    if bytes <= KEPT_BYTES {
        return value.clone();
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    json!({"beginning": short(&text), CUT_BYTES: text.len()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::full_span;

    #[test]
    fn a_row_keeps_beginnings_and_the_blob_the_whole() {
        let text = "é".repeat(5 << 20);
        let mut span = full_span();
        span.attributes.insert("image".into(), text.clone().into());
        let mut payloads = Vec::new();
        let blobs = place(&span, &mut payloads);
        assert_eq!((blobs.input, blobs.output, payloads.len()), (None, None, 1));
        assert_eq!(blobs.attributes, Some(Sha256Hex::of(&payloads[0])));
        assert_eq!(serde_json::from_slice::<Extra>(&payloads[0]).unwrap(), span.attributes);
        let kept: Value = serde_json::from_str(&beginnings(&span.attributes)).unwrap();
        assert_eq!((&kept["request_id"], &kept["retries"]), (&json!("r"), &json!(2)));
        assert_eq!(kept["image"], json!({"beginning": "é".repeat(512), CUT_BYTES: 10 << 20}));
    }

    #[test]
    fn very_many_attributes_are_counted() {
        let many: Extra = (0..10_000).map(|at| (format!("attribute {at}"), Value::from(at))).collect();
        let kept: Value = serde_json::from_str(&beginnings(&many)).unwrap();
        assert_eq!((kept.as_object().unwrap().len(), &kept[LEFT_OUT]), (65, &json!(9_936)));
        let span = Span { attributes: many, ..full_span() };
        assert!(place(&span, &mut Vec::new()).attributes.is_some());
    }
}
