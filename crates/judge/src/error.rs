//! Why can something not be judged?

/// What can go wrong before a judge is asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of a definition is wrong.
    #[error("{field}: {reason}")]
    Definition {
        /// Where, as `scale.levels[1]`.
        field: String,
        /// What, and what would be right.
        reason: String,
    },
    /// A template of a definition cannot be read or written.
    #[error("the template {field:?} cannot be used")]
    Template {
        /// Which one.
        field: String,
        /// Why.
        #[source]
        cause: Box<qd_prompt::Error>,
    },
    /// An item is not as the judge needs it.
    #[error("the input '{input}' {reason}")]
    Item {
        /// Which part of it.
        input: String,
        /// What is wrong.
        reason: String,
    },
    /// A request would be too large.
    #[error("the request has over {limit_bytes} bytes; the item is too large for this judge, or used too often")]
    TooLarge {
        /// What is allowed.
        limit_bytes: usize,
    },
    /// The requests of one step would be too many or too large together.
    #[error(
        "one step would have over {limit_requests} requests or {limit_bytes} bytes; judge a smaller item, or with fewer criteria, samples, jurors or texts"
    )]
    TooMuch {
        /// Requests that are allowed.
        limit_requests: usize,
        /// Bytes of all of them that are allowed.
        limit_bytes: usize,
    },
    /// A file of model-graded specifications cannot be read.
    #[error("the model-graded specification {name:?} cannot be used: {reason}")]
    Evals {
        /// Which one of the file; empty when it is the file.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    pub(crate) fn definition(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Definition { field: field.into(), reason: reason.into() }
    }

    pub(crate) fn item(input: &str, reason: impl Into<String>) -> Self {
        const MOST_CHARS: usize = 64;
        Self::Item { input: input.chars().take(MOST_CHARS).collect(), reason: reason.into() }
    }

    /// The error with its causes, in one line.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Template { cause, .. } => format!("{self}: {cause}"),
            other => other.to_string(),
        }
    }
}
