//! Why a dataset could not be made, read or changed.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::error::ArrowError;

use crate::check::BadRows;

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something in a request that cannot be.
    #[error("{what}: {why}")]
    Invalid {
        /// The part of the request.
        what: &'static str,
        /// Why, and what to do.
        why: String,
    },
    /// Rows that cannot be part of a dataset.
    #[error("{0}")]
    Rows(BadRows),
    /// A file that cannot be read to its end.
    #[error("{file} cannot be read: {why}")]
    File {
        /// As the request names it.
        file: String,
        /// Why.
        why: String,
    },
    /// More than is allowed.
    #[error("{what}: {limit} at most")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// The limit, with its unit.
        limit: String,
    },
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    Missing {
        /// `upload`, `row`, …
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody else was first.
    #[error("{message}")]
    Conflict {
        /// What is the case, and what to do.
        message: String,
    },
    /// It was told to end.
    #[error("cancelled")]
    Cancelled,
    /// A version whose content is not what this program wrote.
    #[error("version {number} of dataset {name} cannot be read: {why}")]
    Content {
        /// The dataset.
        name: String,
        /// Its version.
        number: u32,
        /// Why.
        why: String,
    },
    /// Rows could not be built or read as Arrow arrays.
    #[error("{operation}")]
    Arrow {
        /// What was done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        cause: Arc<ArrowError>,
    },
    /// The catalog failed.
    #[error("{operation}")]
    Catalog {
        /// What was done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        cause: qd_catalog::Error,
    },
    /// The lake failed.
    #[error("{operation}")]
    Lake {
        /// What was done.
        operation: &'static str,
        /// Why it failed.
        #[source]
        cause: qd_lake::Error,
    },
    /// Traces could not be read.
    #[error("reading traces")]
    Traces(#[source] qd_trace::Error),
    /// The disk failed.
    #[error("{operation} {}", path.display())]
    Disk {
        /// What was done.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        cause: io::Error,
    },
    /// A background task ended unexpectedly.
    #[error("the task that was {operation} broke off")]
    Broken {
        /// What it was doing.
        operation: &'static str,
    },
}

impl Error {
    pub(crate) fn invalid(what: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid { what, why: why.into() }
    }

    pub(crate) fn catalog(operation: &'static str) -> impl FnOnce(qd_catalog::Error) -> Self {
        move |cause| Self::Catalog { operation, cause }
    }

    pub(crate) fn lake(operation: &'static str) -> impl FnOnce(qd_lake::Error) -> Self {
        move |cause| Self::Lake { operation, cause }
    }

    pub(crate) fn arrow(operation: &'static str) -> impl FnOnce(ArrowError) -> Self {
        move |cause| Self::Arrow { operation, cause: Arc::new(cause) }
    }

    pub(crate) fn disk(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Disk { operation, path, cause }
    }
}
