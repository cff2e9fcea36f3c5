//! OpenAI's documented ranges, refused in OpenAI's words.

use std::fmt::Display;

use crate::error::{Error, Result};

/// A decimal within `[least, most]`.
pub(crate) fn decimal(param: &str, value: Option<f64>, least: f64, most: f64) -> Result<()> {
    match value {
        Some(value) if value < least => {
            Err(beyond(param, "decimal", "below minimum", ">=", "decimal_below_min_value", least, value))
        }
        Some(value) if value > most => {
            Err(beyond(param, "decimal", "above maximum", "<=", "decimal_above_max_value", most, value))
        }
        _ => Ok(()),
    }
}

/// An integer within `[least, most]`.
pub(crate) fn integer(param: &str, value: Option<i64>, least: i64, most: i64) -> Result<()> {
    match value {
        Some(value) if value < least => {
            Err(beyond(param, "integer", "below minimum", ">=", "integer_below_min_value", least, value))
        }
        Some(value) if value > most => {
            Err(beyond(param, "integer", "above maximum", "<=", "integer_above_max_value", most, value))
        }
        _ => Ok(()),
    }
}

fn beyond(
    param: &str,
    kind: &str,
    side: &str,
    sign: &str,
    code: &'static str,
    limit: impl Display,
    found: impl Display,
) -> Error {
    let message =
        format!("Invalid '{param}': {kind} {side} value. Expected a value {sign} {limit}, but got {found} instead.");
    Error::parameter(param, code, message)
}

/// An array of at least one and at most `most` items.
pub(crate) fn items(param: &str, found: usize, most: usize) -> Result<()> {
    if found == 0 {
        let message = format!(
            "Invalid '{param}': empty array. Expected an array with minimum length 1, but got an empty array instead."
        );
        return Err(Error::parameter(param, "empty_array", message));
    }
    at_most(param, found, most)
}

/// An array of at most `most` items.
pub(crate) fn at_most(param: &str, found: usize, most: usize) -> Result<()> {
    if found <= most {
        return Ok(());
    }
    let message = format!(
        "Invalid '{param}': array too long. Expected an array with maximum length {most}, but got an array with length {found} instead."
    );
    Err(Error::parameter(param, "array_above_max_length", message))
}

/// One of a few values.
pub(crate) fn one_of(param: &str, found: &str, supported: &[&str]) -> Result<()> {
    if supported.contains(&found) {
        return Ok(());
    }
    let shown: String = found.chars().take(64).collect();
    let (last, rest) = supported.split_last().map_or((&"", &[][..]), |(last, rest)| (last, rest));
    let listed: Vec<String> = rest.iter().map(|value| format!("'{value}'")).collect();
    let message = format!("Invalid value: '{shown}'. Supported values are: {}, and '{last}'.", listed.join(", "));
    Err(Error::parameter(param, "invalid_value", message))
}

/// A parameter that makes sense only when another is set.
pub(crate) fn only_with(param: &str, set: bool, other: &str, enabled: bool) -> Result<()> {
    match set && !enabled {
        true => Err(Error::parameter(
            param,
            "invalid_parameter_combination",
            format!("The '{param}' parameter is only allowed when '{other}' is enabled."),
        )),
        false => Ok(()),
    }
}

/// A name as OpenAI allows for functions and schemas.
pub(crate) fn identifier(param: &str, name: &str) -> Result<()> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !fits || name.is_empty() {
        let message = format!(
            "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
        );
        return Err(Error::parameter(param, "invalid_value", message));
    }
    if name.len() > 64 {
        let message = format!(
            "Invalid '{param}': string too long. Expected a string with maximum length 64, but got a string with length {} instead.",
            name.len()
        );
        return Err(Error::parameter(param, "string_above_max_length", message));
    }
    Ok(())
}

/// The model's name, which every request needs.
pub(crate) fn model(name: &str) -> Result<()> {
    match name.is_empty() {
        true => Err(Error::parameter("model", "missing_required_parameter", "you must provide a model parameter")),
        false => Ok(()),
    }
}
