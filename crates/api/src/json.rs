//! Reading JSON from callers, with errors in OpenAI's words: which field is wrong, by its path, and how.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::{Error, Result};

/// Reads a value that borrows from `body`.
///
/// # Errors
/// [`Error::TooDeep`] beyond `depth` levels, [`Error::Syntax`] for what is not JSON, [`Error::Parameter`] with the
/// field's path for a missing field or a wrong type.
pub(crate) fn read<'de, T: Deserialize<'de>>(body: &'de [u8], depth: usize) -> Result<T> {
    check_depth(body, depth)?;
    check_root(body)?;
    // Noting the path of every field costs, so it is done only when there is an error to tell.
    serde_json::from_slice(body).or_else(|plain| match plain.classify() {
        Category::Data => {
            serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(body)).map_err(wrong)
        }
        _ => Err(Error::Syntax { detail: plain.to_string() }),
    })
}

/// Reads a value that owns its parts.
pub(crate) fn read_owned<T: DeserializeOwned>(body: &[u8], depth: usize) -> Result<T> {
    read(body, depth)
}

/// Reads a value that may be a list as a whole, for types that tell a list from an object themselves.
///
/// # Errors
/// [`Error::TooDeep`] beyond `depth` levels, [`Error::Syntax`] for what is not JSON or not of the type.
pub(crate) fn read_any<T: DeserializeOwned>(body: &[u8], depth: usize) -> Result<T> {
    check_depth(body, depth)?;
    serde_json::from_slice(body).map_err(|cause| Error::Syntax { detail: cause.to_string() })
}

/// Refuses an array in the place of the request: serde would take its items for the fields of an object, in their order.
fn check_root(body: &[u8]) -> Result<()> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        Some(b'[') => Err(wrong_type(None, "an array", "an object")),
        _ => Ok(()),
    }
}

/// Refuses JSON that nests too deeply, before any parser builds a tree of it. One pass, nothing allocated.
pub(crate) fn check_depth(body: &[u8], limit: usize) -> Result<()> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return Err(Error::TooDeep { limit });
        }
    }
    Ok(())
}

/// Says a serde error as OpenAI would.
fn wrong(error: serde_path_to_error::Error<serde_json::Error>) -> Error {
    let path = match error.path().to_string() {
        root if root == "." => None,
        path => Some(path),
    };
    let text = without_place(&error.inner().to_string()).to_owned();
    if let Some(field) = text.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return missing(path, field);
    }
    if let Some(field) = text.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`')) {
        return twice(path, field);
    }
    if let Some((got, expected)) = text.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected ")) {
        return wrong_type(path, kind_of(got), &in_words(expected));
    }
    let message = match &path {
        Some(path) => format!("Invalid '{path}': {text}."),
        None => format!("Invalid request: {text}."),
    };
    Error::Parameter { message, param: path, code: Some("invalid_value") }
}

fn missing(parent: Option<String>, field: &str) -> Error {
    let path = below(parent, field);
    Error::parameter(path.clone(), "missing_required_parameter", format!("Missing required parameter: '{path}'."))
}

/// Two readers of the same bytes could take a different one of the two.
fn twice(parent: Option<String>, field: &str) -> Error {
    let path = below(parent, field);
    Error::parameter(path.clone(), "invalid_value", format!("Duplicate parameter: '{path}'."))
}

fn below(parent: Option<String>, field: &str) -> String {
    parent.map_or_else(|| field.to_owned(), |parent| format!("{parent}.{field}"))
}

fn wrong_type(path: Option<String>, got: &str, expected: &str) -> Error {
    let message = match &path {
        Some(path) => format!("Invalid type for '{path}': expected {expected}, but got {got} instead."),
        None => format!("Invalid type for the request: expected {expected}, but got {got} instead."),
    };
    Error::Parameter { message, param: path, code: Some("invalid_type") }
}

/// What was sent, in a word; serde adds the value itself, which may be long.
fn kind_of(got: &str) -> &'static str {
    match got.split(' ').next().unwrap_or(got) {
        "boolean" => "a boolean",
        "integer" => "an integer",
        "floating" | "number" => "a decimal",
        "string" | "character" => "a string",
        "null" | "unit" | "Option" => "null",
        "sequence" => "an array",
        "map" => "an object",
        _ => "something else",
    }
}

/// What was expected, without Rust's names for it.
fn in_words(expected: &str) -> String {
    match expected {
        "f64" | "f32" => "a decimal".to_owned(),
        "i64" | "i32" | "u64" | "u32" | "u16" | "usize" => "an integer".to_owned(),
        "a map" => "an object".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        _ => expected.replace("a sequence", "an array"),
    }
}

/// serde_json appends ` at line 1 column 5`, which the path says better.
fn without_place(text: &str) -> &str {
    text.rsplit_once(" at line ").map_or(text, |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Outer {
        model: String,
        #[serde(default)]
        items: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only read")]
    struct Inner {
        size: u32,
    }

    fn check(body: &str, param: Option<&str>, code: &str) {
        match read_owned::<Outer>(body.as_bytes(), 8).unwrap_err() {
            Error::Parameter { param: found, code: Some(found_code), message } => {
                assert_eq!((found.as_deref(), found_code), (param, code), "{body}: {message}");
            }
            other => panic!("{body} gave {other:?}"),
        }
    }

    #[test]
    fn wrong_fields_are_named_by_their_path() {
        check(r#"{}"#, Some("model"), "missing_required_parameter");
        check(r#"{"model":7}"#, Some("model"), "invalid_type");
        check(r#"{"model":"m","items":[{"size":1},{"size":"x"}]}"#, Some("items[1].size"), "invalid_type");
        check(r#"{"model":"m","items":[{}]}"#, Some("items[0].size"), "missing_required_parameter");
        check(r#"{"model":"m","items":[{"size":-1}]}"#, Some("items[0].size"), "invalid_value");
        check(r#"{"model":"m","model":"n"}"#, Some("model"), "invalid_value");
        check(r#"7"#, None, "invalid_type");
    }

    #[test]
    fn types_are_told_in_json_s_words() {
        let message = |body: &str| read_owned::<Outer>(body.as_bytes(), 8).unwrap_err().to_string();
        assert_eq!(
            message(r#"{"model":7}"#),
            "Invalid type for 'model': expected a string, but got an integer instead."
        );
        assert_eq!(
            message(r#"{"model":"m","items":{}}"#),
            "Invalid type for 'items': expected an array, but got an object instead."
        );
        assert_eq!(
            message(r#"{"model":"m","items":[{"size":"7"}]}"#),
            "Invalid type for 'items[0].size': expected an integer, but got a string instead."
        );
        assert_eq!(message("[]"), "Invalid type for the request: expected an object, but got an array instead.");
        assert_eq!(message("7"), "Invalid type for the request: expected an object, but got an integer instead.");
    }

    #[test]
    fn what_is_not_json() {
        for body in ["", "{", "{\"model\":}", "nul", "{\"model\":\"m\"} x", "{'model': 'm'}"] {
            assert!(matches!(read_owned::<Outer>(body.as_bytes(), 8), Err(Error::Syntax { .. })), "{body}");
        }
        assert!(read_owned::<Outer>(b"{\"model\":\"\xff\"}", 8).is_err());
    }

    #[test]
    fn depth_is_counted_outside_strings() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check_depth(nested(8).as_bytes(), 8).is_ok());
        assert!(matches!(check_depth(nested(9).as_bytes(), 8), Err(Error::TooDeep { limit: 8 })));
        assert!(check_depth(br#"{"a":"[[[[[[[[[[\"[[[[[[["}"#, 8).is_ok());
        assert!(check_depth(b"[[[[[[[[[[[[[[[[", 8).is_err());
    }
}
