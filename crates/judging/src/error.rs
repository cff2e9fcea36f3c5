//! Why a judge cannot be made, asked or calibrated.

/// What failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A part of a request that cannot be.
    #[error("Invalid '{field}': {why}.")]
    Request {
        /// Which part of it.
        field: &'static str,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A judge's model stands for nothing.
    #[error("the model {model} cannot be asked: {why}")]
    Model {
        /// Its name.
        model: String,
        /// Why.
        why: String,
    },
    /// A definition, or an item.
    #[error(transparent)]
    Judge(#[from] qd_judge::Error),
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] qd_catalog::Error),
}

impl Error {
    pub(crate) fn request(field: &'static str, why: impl Into<String>) -> Self {
        Self::Request { field, why: why.into() }
    }
}
