//! Why a scorer, a gate or a statistic cannot be.

/// What is wrong with what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A scorer that cannot be right.
    #[error("the scorer {name:?} cannot be used: {why}")]
    Scorer {
        /// Which one.
        name: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A metric that cannot be computed of what was given.
    #[error("{name} cannot be computed: {why}")]
    Metric {
        /// Which one.
        name: &'static str,
        /// What is wrong.
        why: String,
    },
    /// WordNet that cannot be read.
    #[error(
        "WordNet cannot be read: {why} in {file}; Debian's package wordnet-base has its files in /usr/share/wordnet"
    )]
    WordNet {
        /// Which file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A JSON schema that cannot be read.
    #[error("the schema cannot be used: {why} at {place}")]
    Schema {
        /// Where in the schema.
        place: String,
        /// What is wrong.
        why: String,
    },
    /// A gate that cannot be read.
    #[error("{text:?} is not a gate: {why}; write as in \"exact_match >= 0.8\"")]
    Gate {
        /// What was written.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// A gate on a number that is not there.
    #[error("the gate asks for {metric:?}, which is not there; there are {there}")]
    NoMetric {
        /// What it asks for.
        metric: String,
        /// What there is.
        there: String,
    },
    /// Data that no statistic can be made of.
    #[error("the {what} cannot be used: {why}")]
    Data {
        /// What was given.
        what: &'static str,
        /// What is wrong.
        why: String,
    },
}

impl Error {
    pub(crate) fn data(what: &'static str, why: impl Into<String>) -> Self {
        Self::Data { what, why: why.into() }
    }

    pub(crate) fn metric(name: &'static str, why: impl Into<String>) -> Self {
        Self::Metric { name, why: why.into() }
    }

    pub(crate) fn scorer(name: &str, why: impl Into<String>) -> Self {
        Self::Scorer { name: name.to_owned(), why: why.into() }
    }
}
