//! What people author in files: JSON or TOML.

use std::path::Path;

use serde_json::Value;

use crate::Error;
use crate::command::input;

/// The value in a file: TOML where its name ends so, else JSON; `-` reads JSON from standard input.
///
/// # Errors
/// [`Error::Operation`] when it cannot be read, [`Error::Usage`] for what is neither.
pub fn read(file: &str) -> Result<Value, Error> {
    let text = match file {
        "-" => input()?,
        file => std::fs::read_to_string(file).map_err(|cause| Error::doing(format!("reading {file}"), cause))?,
    };
    let wrong = |cause: String| Error::Usage {
        problem: format!("{file} cannot be read: {cause}"),
        help: "a file that ends in .toml is TOML, every other is JSON".to_owned(),
    };
    match Path::new(file).extension().is_some_and(|ending| ending == "toml") {
        true => toml::from_str(&text).map_err(|cause| wrong(cause.to_string())),
        false => serde_json::from_str(&text).map_err(|cause| wrong(cause.to_string())),
    }
}
