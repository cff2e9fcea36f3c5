//! Why is there no prompt?

use serde_json::Value;

/// What can go wrong with prompts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of a definition is wrong.
    #[error("{field}: {reason}")]
    Definition {
        /// Where, as `messages[1].role`.
        field: String,
        /// What, and what would be right.
        reason: String,
    },
    /// A template cannot be read.
    #[error("{place}{}: {reason}", on(.line))]
    Template {
        /// Which one, as `messages[1].content`.
        place: String,
        /// On which of its lines, from 1.
        line: Option<usize>,
        /// What is wrong there.
        reason: String,
    },
    /// A template failed on the values that it was given.
    #[error("{place}{}: {reason}", on(.line))]
    Render {
        /// Which one.
        place: String,
        /// On which of its lines, from 1.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
    /// A template asks for more than it may have.
    #[error("{place}{}: the template takes {what} and was stopped; it has a loop too many, or a value too large", on(.line))]
    Exhausted {
        /// Which one.
        place: String,
        /// On which of its lines, from 1.
        line: Option<usize>,
        /// What it takes too much of.
        what: &'static str,
    },
    /// A variable that must be given was not.
    #[error("the variable '{name}' is missing; it is {kind} and has no default")]
    MissingVariable {
        /// Its name.
        name: String,
        /// What it must be.
        kind: &'static str,
    },
    /// A value was given for a variable that the prompt does not have.
    #[error("there is no variable '{name}'; {}", those(.known))]
    UnknownVariable {
        /// Its name.
        name: String,
        /// Those that there are.
        known: Vec<String>,
    },
    /// A variable has a value of another type.
    #[error("the variable '{name}' must be {expected}, not {found}")]
    WrongType {
        /// Its name.
        name: String,
        /// What it must be.
        expected: &'static str,
        /// What came.
        found: &'static str,
    },
    /// The values are too large together.
    #[error("the variables have {size_bytes} bytes together, {limit_bytes} are allowed")]
    TooLarge {
        /// Their size as JSON.
        size_bytes: usize,
        /// What is allowed.
        limit_bytes: usize,
    },
    /// What names a prompt and a version is no such name.
    #[error("{text:?} names no prompt: {reason}; write name, name@label or name@3")]
    Reference {
        /// What was said.
        text: String,
        /// Why it is none.
        reason: String,
    },
    /// A request and a prompt do not fit together.
    #[error("{reason}")]
    Request {
        /// The field of the request, when it is one.
        field: Option<&'static str>,
        /// What does not fit, and what to do.
        reason: String,
    },
    /// The few-shot examples are not as the prompt needs them.
    #[error("example {place}: {reason}")]
    Example {
        /// Which one, from 0.
        place: usize,
        /// What is wrong.
        reason: String,
    },
    /// A kept version cannot be read.
    #[error("version {number} of prompt {name} cannot be read")]
    Stored {
        /// The prompt.
        name: String,
        /// The version.
        number: u32,
        /// Why.
        #[source]
        cause: serde_json::Error,
    },
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] qd_catalog::Error),
}

impl Error {
    pub(crate) fn definition(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Definition { field: field.into(), reason: reason.into() }
    }

    /// The variable that it is about, when it is about one.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::MissingVariable { name, .. } | Self::UnknownVariable { name, .. } | Self::WrongType { name, .. } => {
                Some(name)
            }
            _ => None,
        }
    }
}

fn on(line: &Option<usize>) -> String {
    line.map_or_else(String::new, |line| format!(", line {line}"))
}

fn those(names: &[String]) -> String {
    match names {
        [] => "the prompt has none".to_owned(),
        names => format!("there are {}", names.join(", ")),
    }
}

/// What a value is, in a word.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
