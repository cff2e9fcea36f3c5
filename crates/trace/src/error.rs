//! Why a trace could not be written, priced or found.

use std::sync::Arc;

use arrow::error::ArrowError;
use qd_base::{Sha256Hex, SpanId};

/// Shorthand for results of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What failed, with its cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A header that breaks the grammar; it is to be ignored, and a trace begun.
    #[error("not a traceparent header of W3C Trace Context")]
    Traceparent,
    /// A word that is none of a closed set.
    #[error(transparent)]
    Word(#[from] qd_base::Error),
    /// A price that cannot be right.
    #[error("the price of {what} is refused: {why}")]
    Price { what: String, why: String },
    /// The catalog did not give or take prices.
    #[error("{operation}")]
    Prices {
        operation: &'static str,
        #[source]
        cause: qd_catalog::Error,
    },
    /// A page cursor that this program did not make.
    #[error("{text:?} is not a page cursor; pass `next` of the page before as it came")]
    Cursor { text: String },
    /// The lake did not take the rows, so they are not durable.
    #[error("making spans durable")]
    Append(#[source] qd_lake::Error),
    /// The blob store did not take a payload, so its span is not durable.
    #[error("storing a payload of span {span_id}")]
    StorePayload {
        span_id: SpanId,
        #[source]
        cause: qd_lake::Error,
    },
    /// A payload could not be read back.
    #[error("reading payload {sha256}")]
    ReadPayload {
        sha256: Sha256Hex,
        #[source]
        cause: qd_lake::Error,
    },
    /// The lake did not answer.
    #[error("{operation}")]
    Query {
        operation: &'static str,
        #[source]
        cause: qd_lake::Error,
    },
    /// Rows could not be built as Arrow arrays.
    #[error("building a batch of spans")]
    Build(#[source] Arc<ArrowError>),
    /// A stored row that is no span.
    #[error("column {column} of a stored span: {why}")]
    Row { column: &'static str, why: String },
    /// What was said about how long rows are kept could not be read.
    #[error("reading how long rows are kept")]
    Retention(#[source] qd_catalog::Error),
    /// Erased rows are hidden, and the job that takes them off the disk could not be begun.
    #[error("beginning the job that takes erased rows off the disk; the next start begins it")]
    Erasure(#[source] qd_catalog::Error),
    /// The recorder has stopped; the span is not durable.
    #[error("the recorder has stopped")]
    Stopped,
}

impl Error {
    /// At most this many characters of a refused text are repeated in the error.
    const QUOTED_CHARS: usize = 80;

    /// The message with the messages of its causes, for a log line.
    pub fn chain(&self) -> String {
        let causes = std::iter::successors(std::error::Error::source(self), |cause| cause.source());
        causes.fold(self.to_string(), |text, cause| format!("{text}: {cause}"))
    }

    pub(crate) fn prices(operation: &'static str) -> impl FnOnce(qd_catalog::Error) -> Self {
        move |cause| Self::Prices { operation, cause }
    }

    pub(crate) fn cursor(text: &str) -> Self {
        Self::Cursor { text: text.chars().take(Self::QUOTED_CHARS).collect() }
    }
}
