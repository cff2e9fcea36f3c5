//! Why a rule cannot be kept, followed or reported.

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
    /// There are as many rules as may be.
    #[error("{most} rules score already, which is the most; pause or remove one")]
    TooMany {
        /// How many.
        most: usize,
    },
    /// A group that nothing was scored of.
    #[error("nothing of the {by} {group:?} was scored by this rule; its report lists what was")]
    NoGroup {
        /// What the groups are told apart by.
        by: &'static str,
        /// The group that was asked for.
        group: String,
    },
    /// Scores that the rule's arithmetic cannot take.
    #[error(transparent)]
    Eval(#[from] qd_eval::Error),
    /// Spans and scores could not be read or written.
    #[error(transparent)]
    Trace(#[from] qd_trace::Error),
    /// Work in the lake broke off.
    #[error(transparent)]
    Lake(#[from] qd_lake::Error),
    /// A judge cannot be found or asked.
    #[error(transparent)]
    Judging(#[from] qd_judging::Error),
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
