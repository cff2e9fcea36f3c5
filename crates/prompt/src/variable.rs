//! Which values does a prompt take, and of which type?

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::kind_of;
use crate::template::MAX_NESTING;
use crate::{Error, Result};

/// Variables of one prompt at most.
pub const MAX_VARIABLES: usize = 100;
/// The values of all variables of one rendering, as JSON.
pub const MAX_VALUES_BYTES: usize = 1 << 20;
/// The values of all variables that are messages, which may hold pictures.
const MAX_MESSAGES_BYTES: usize = 32 << 20;
/// The longest name of a variable.
const MAX_NAME_BYTES: usize = 64;
/// The longest description of a variable.
const MAX_DESCRIPTION_BYTES: usize = 2000;

/// Names that mean something to templates already.
const RESERVED: &[&str] = &[
    "and",
    "else",
    "endfor",
    "endif",
    "examples",
    "false",
    "False",
    "for",
    "if",
    "in",
    "is",
    "loop",
    "none",
    "None",
    "not",
    "or",
    "range",
    "recursive",
    "self",
    "set",
    "super",
    "true",
    "True",
];

/// A value that a prompt takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name in the templates.
    pub name: String,
    /// What it must be.
    #[serde(rename = "type", default)]
    pub kind: VariableKind,
    /// Whether a rendering without it is refused; it is null then when it is not, or its default.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub required: bool,
    /// What it is when nobody says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a variable must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VariableKind {
    /// Text.
    #[default]
    String,
    /// Any number.
    Number,
    /// A number without a fraction.
    Integer,
    /// True or false.
    Boolean,
    /// A list of anything.
    List,
    /// An object with anything in it.
    Object,
    /// Anything.
    Json,
    /// Messages of a conversation, for a placeholder.
    Messages,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

impl VariableKind {
    /// What is expected, with its article.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::String => "a string",
            Self::Number => "a number",
            Self::Integer => "an integer",
            Self::Boolean => "a boolean",
            Self::List => "a list",
            Self::Object => "an object",
            Self::Json => "any JSON",
            Self::Messages => "a list of messages",
        }
    }

    fn takes(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
            Self::List | Self::Messages => value.is_array(),
            Self::Object => value.is_object(),
            Self::Json => true,
        }
    }
}

impl Variable {
    /// A required variable.
    pub fn new(name: impl Into<String>, kind: VariableKind) -> Self {
        Self { name: name.into(), kind, required: true, default: None, description: None }
    }

    fn check(&self, field: &str) -> Result<()> {
        check_name(&self.name, field)?;
        if self.description.as_ref().is_some_and(|text| text.len() > MAX_DESCRIPTION_BYTES) {
            let reason = format!("it has more than {MAX_DESCRIPTION_BYTES} bytes");
            return Err(Error::definition(format!("{field}.description"), reason));
        }
        match &self.default {
            Some(default) if !self.kind.takes(default) => {
                let reason = format!("'{}' must be {}, not {}", self.name, self.kind.in_words(), kind_of(default));
                Err(Error::definition(format!("{field}.default"), reason))
            }
            _ => Ok(()),
        }
    }

    /// The value of this variable among those that were given.
    fn value(&self, given: &Map<String, Value>) -> Result<Value> {
        let found = given.get(&self.name).filter(|value| !value.is_null() || self.kind == VariableKind::Json);
        match (found, &self.default) {
            (Some(value), _) if self.kind.takes(value) => Ok(value.clone()),
            (Some(value), _) => {
                Err(Error::WrongType { name: self.name.clone(), expected: self.kind.in_words(), found: kind_of(value) })
            }
            (None, Some(default)) => Ok(default.clone()),
            (None, None) if self.required => {
                Err(Error::MissingVariable { name: self.name.clone(), kind: self.kind.in_words() })
            }
            (None, None) => Ok(Value::Null),
        }
    }
}

fn check_name(name: &str, field: &str) -> Result<()> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !first || !plain || name.len() > MAX_NAME_BYTES {
        let reason = format!("use 1 to {MAX_NAME_BYTES} letters, digits and '_', with a letter or '_' first");
        return Err(Error::definition(format!("{field}.name"), reason));
    }
    match RESERVED.contains(&name) {
        true => Err(Error::definition(format!("{field}.name"), format!("'{name}' has a meaning in templates already"))),
        false => Ok(()),
    }
}

/// Checks the declarations of a prompt.
pub(crate) fn check(variables: &[Variable]) -> Result<()> {
    if variables.len() > MAX_VARIABLES {
        return Err(Error::definition("variables", format!("there are at most {MAX_VARIABLES}")));
    }
    let mut names = BTreeSet::new();
    for (place, variable) in variables.iter().enumerate() {
        let field = format!("variables[{place}]");
        variable.check(&field)?;
        if !names.insert(&variable.name) {
            return Err(Error::definition(format!("{field}.name"), format!("'{}' is declared twice", variable.name)));
        }
    }
    Ok(())
}

/// The values that a rendering goes by: those that were given, checked, and the defaults.
///
/// # Errors
/// [`Error::UnknownVariable`], [`Error::MissingVariable`], [`Error::WrongType`] and [`Error::TooLarge`].
pub(crate) fn resolve(variables: &[Variable], given: &Map<String, Value>) -> Result<Map<String, Value>> {
    let are_messages =
        |name: &str| variables.iter().any(|variable| variable.name == name && variable.kind == VariableKind::Messages);
    check_size(given.iter().filter(|(name, _)| !are_messages(name)), MAX_VALUES_BYTES)?;
    check_size(given.iter().filter(|(name, _)| are_messages(name)), MAX_MESSAGES_BYTES)?;
    if let Some(unknown) = given.keys().find(|name| variables.iter().all(|variable| variable.name != **name)) {
        let known = variables.iter().map(|variable| variable.name.clone()).collect();
        return Err(Error::UnknownVariable { name: unknown.chars().take(MAX_NAME_BYTES).collect(), known });
    }
    variables.iter().map(|variable| Ok((variable.name.clone(), variable.value(given)?))).collect()
}

/// That values are not too large together, and that none nests deeper than templates follow.
pub(crate) fn check_values(values: &Map<String, Value>) -> Result<()> {
    check_size(values.iter(), MAX_VALUES_BYTES)
}

fn check_size<'v>(values: impl Iterator<Item = (&'v String, &'v Value)>, limit_bytes: usize) -> Result<()> {
    let sizes = values.map(|(name, value)| Ok(name.len() + weight(value, name, MAX_NESTING - 1)?));
    let size_bytes = sizes.sum::<Result<usize>>()?;
    match size_bytes > limit_bytes {
        true => Err(Error::TooLarge { size_bytes, limit_bytes }),
        false => Ok(()),
    }
}

fn weight(value: &Value, name: &str, levels: usize) -> Result<usize> {
    let Some(below) = levels.checked_sub(1) else {
        let name = name.chars().take(MAX_NAME_BYTES).collect();
        return Err(Error::WrongType { name, expected: "nested less than 64 levels", found: "deeper" });
    };
    match value {
        Value::String(text) => Ok(text.len() + 2),
        Value::Array(items) => {
            items.iter().map(|item| weight(item, name, below)).sum::<Result<usize>>().map(|size| size + 2)
        }
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| Ok(key.len() + 3 + weight(value, name, below)?))
            .sum::<Result<usize>>()
            .map(|size| size + 2),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(4),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(declared: Value, given: Value) -> Result<Value> {
        let variables: Vec<Variable> = serde_json::from_value(declared).unwrap();
        check(&variables)?;
        resolve(&variables, given.as_object().unwrap()).map(Value::Object)
    }

    #[track_caller]
    fn fails(declared: Value, given: Value, words: &str) {
        let error = resolved(declared, given).unwrap_err().to_string();
        assert_eq!(error, words);
    }

    #[test]
    fn values_are_checked_and_completed() {
        let declared = json!([
            {"name": "question"},
            {"name": "count", "type": "integer", "default": 3},
            {"name": "tone", "required": false},
            {"name": "any", "type": "json", "required": false},
        ]);
        assert_eq!(
            resolved(declared.clone(), json!({"question": "why?"})).unwrap(),
            json!({"question": "why?", "count": 3, "tone": null, "any": null})
        );
        fails(declared.clone(), json!({}), "the variable 'question' is missing; it is a string and has no default");
        fails(
            declared.clone(),
            json!({"question": null}),
            "the variable 'question' is missing; it is a string and has no default",
        );
        fails(declared.clone(), json!({"question": 7}), "the variable 'question' must be a string, not an integer");
        fails(
            declared.clone(),
            json!({"question": "a", "count": 1.5}),
            "the variable 'count' must be an integer, not a number",
        );
        fails(
            declared,
            json!({"question": "a", "quest": "b"}),
            "there is no variable 'quest'; there are question, count, tone, any",
        );
        fails(json!([]), json!({"a": 1}), "there is no variable 'a'; the prompt has none");
    }

    #[test]
    fn every_type_takes_its_own() {
        let of = |kind: &str, value: Value| resolved(json!([{"name": "v", "type": kind}]), json!({"v": value})).is_ok();
        let values = [json!("a"), json!(1), json!(1.5), json!(true), json!([1]), json!({"a": 1})];
        let taken = |kind: &str| values.iter().map(|value| of(kind, value.clone())).collect::<Vec<_>>();
        assert_eq!(taken("string"), [true, false, false, false, false, false]);
        assert_eq!(taken("integer"), [false, true, false, false, false, false]);
        assert_eq!(taken("number"), [false, true, true, false, false, false]);
        assert_eq!(taken("boolean"), [false, false, false, true, false, false]);
        assert_eq!(taken("list"), [false, false, false, false, true, false]);
        assert_eq!(taken("object"), [false, false, false, false, false, true]);
        assert_eq!(taken("json"), [true; 6]);
    }

    #[test]
    fn declarations_are_checked() {
        fails(
            json!([{"name": "a b"}]),
            json!({}),
            "variables[0].name: use 1 to 64 letters, digits and '_', with a letter or '_' first",
        );
        fails(json!([{"name": "loop"}]), json!({}), "variables[0].name: 'loop' has a meaning in templates already");
        fails(json!([{"name": "a"}, {"name": "a"}]), json!({}), "variables[1].name: 'a' is declared twice");
        fails(
            json!([{"name": "a", "type": "integer", "default": "x"}]),
            json!({}),
            "variables[0].default: 'a' must be an integer, not a string",
        );
    }

    #[test]
    fn values_are_bounded() {
        let large = "x".repeat(MAX_VALUES_BYTES);
        assert!(matches!(resolved(json!([{"name": "a"}]), json!({"a": large})), Err(Error::TooLarge { .. })));
        let picture = json!({"a": [{"role": "user", "content": large}]});
        assert!(resolved(json!([{"name": "a", "type": "messages"}]), picture).is_ok());
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        assert!(matches!(
            resolved(json!([{"name": "a", "type": "json"}]), json!({"a": deep})),
            Err(Error::WrongType { .. })
        ));
    }
}
