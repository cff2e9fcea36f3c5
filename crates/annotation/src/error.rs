//! Why an annotation cannot be made, an item not labelled, or a verdict not be had.

/// What failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something in a request that cannot be.
    #[error("Invalid '{field}': {why}.")]
    Definition {
        /// Which part of it.
        field: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// Somebody who may not do it.
    #[error("{who} is not among the {role} of {annotation}; `quarterdeck annotation show {annotation}` says who is")]
    NotAllowed {
        /// Who.
        who: String,
        /// `annotators` or `adjudicators`.
        role: &'static str,
        /// Of what.
        annotation: String,
    },
    /// There is no such item.
    #[error("there is no item {item}; {items} are labelled, from 0 on")]
    NoItem {
        /// What was asked for.
        item: u32,
        /// How many there are.
        items: usize,
    },
    /// An item that needs no more labels.
    #[error("item {item} has or gets all the labels it needs; ask for the next item")]
    Full {
        /// Which one.
        item: u32,
    },
    /// The dataset changed while its rows were written.
    #[error("the dataset {name} was changed again and again meanwhile; try once more")]
    Restless {
        /// Which one.
        name: String,
    },
    /// A job was told to end.
    #[error("cancelled")]
    Cancelled,
    /// A statistic that cannot be.
    #[error(transparent)]
    Eval(#[from] qd_eval::Error),
    /// The dataset cannot be read or made.
    #[error(transparent)]
    Data(#[from] qd_data::Error),
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] qd_catalog::Error),
    /// A row of the dataset is not where it was.
    #[error("row {place} of {dataset} cannot be found; was the dataset removed?")]
    Gone {
        /// Its place.
        place: u64,
        /// The dataset.
        dataset: String,
    },
    /// A thread that worked is gone.
    #[error("{doing} broke down")]
    Broken {
        /// What it did.
        doing: &'static str,
    },
}

impl Error {
    pub(crate) fn definition(field: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Definition { field: field.into(), why: why.into() }
    }
}
