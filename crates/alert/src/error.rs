//! Why a rule cannot be kept, read or told of.

/// What failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A rule that cannot be right.
    #[error("Invalid '{field}': {why}.")]
    Definition {
        /// Which field of it.
        field: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A stored definition that this program cannot read.
    #[error("the stored rule cannot be read: {why}; save it again")]
    Stored {
        /// What is wrong.
        why: String,
    },
    /// What the query of a rule gives is not one number.
    #[error("the rule's SQL gives {found}; it must give one row with one number")]
    NotANumber {
        /// What it gives instead.
        found: String,
    },
    /// Spans and scores could not be read.
    #[error(transparent)]
    Trace(#[from] qd_trace::Error),
    /// A statement could not be answered.
    #[error(transparent)]
    Lake(#[from] qd_lake::Error),
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] qd_catalog::Error),
}

impl Error {
    pub(crate) fn definition(field: &'static str, why: impl Into<String>) -> Self {
        Self::Definition { field, why: why.into() }
    }

    /// The message with the messages of its causes.
    pub fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }
}
