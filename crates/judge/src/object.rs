//! Strict JSON: one object, no name twice.
//!
//! A name that stands twice would let the reader choose which verdict counts, so such an object is none.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// Reads the one JSON object that a text is, perhaps within a fenced block of Markdown.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn read(text: &str) -> Result<Map<String, Value>, String> {
    let text = text.trim();
    let text = unfenced(text).unwrap_or(text);
    let Strict(value) = serde_json::from_str(text).map_err(|cause| format!("it is not JSON: {cause}"))?;
    match value {
        Value::Object(map) => Ok(map),
        _ => Err("it is JSON and no object".to_owned()),
    }
}

/// What stands in the fenced block of Markdown that a trimmed text is. A block among other words may be a quotation.
pub(crate) fn unfenced(text: &str) -> Option<&str> {
    let (_, inside) = text.strip_prefix("```")?.strip_suffix("```")?.split_once('\n')?;
    Some(inside)
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Depth(MOST_DEPTH).deserialize(deserializer).map(Self)
    }
}

/// Values within values.
const MOST_DEPTH: usize = 32;

struct Depth(usize);

impl Depth {
    fn below<E: serde::de::Error>(&self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("it is nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self.below()?)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = access.next_key::<String>()? {
            let value = access.next_value_seed(self.below()?)?;
            if map.contains_key(&name) {
                return Err(A::Error::custom(format!("{name:?} stands there twice")));
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_alone_or_in_one_fence() {
        for text in [
            r#"{"verdict": "4"}"#,
            " \n{\"verdict\": \"4\"}\n",
            "```json\n{\"verdict\": \"4\"}\n```",
            "```\n{\"verdict\": \"4\"}```\n",
        ] {
            assert_eq!(Value::Object(read(text).unwrap()), json!({"verdict": "4"}), "{text:?}");
        }
        let code = r#"{"reasoning": "it uses ```rust\nfn```", "verdict": "4"}"#;
        assert_eq!(read(code).unwrap()["verdict"], json!("4"));
    }

    #[test]
    fn what_is_not_one_object_is_none() {
        for (text, why) in [
            (r#"{"verdict": "1", "verdict": "5"}"#, "twice"),
            (r#"{"a": {"b": 1, "b": 2}}"#, "twice"),
            (r#"{"verdict": "1"} {"verdict": "5"}"#, "not JSON"),
            ("```\n{\"verdict\": \"1\"}\n```\n```\n{\"verdict\": \"5\"}\n```", "not JSON"),
            ("Here it is:\n```\n{\"verdict\": \"5\"}\n```", "not JSON"),
            ("```\n{\"verdict\": \"5\"}\n```\nDone.", "not JSON"),
            ("[1]", "no object"),
            ("The verdict is 4", "not JSON"),
            (r#"{"verdict": "4""#, "not JSON"),
            ("", "not JSON"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(why), "{text:?}: {found}");
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(60), "}".repeat(60));
        assert!(read(&deep).unwrap_err().contains("too deep"));
    }
}
