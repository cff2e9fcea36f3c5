//! Why the lake could not do what it was asked.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::errors::ParquetError;
use qd_base::{Sha256Hex, TableName};

/// What failed, with its cause.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A table that was not declared when the lake was opened.
    #[error("the lake has no table {name:?}; it has {known}")]
    UnknownTable { name: String, known: String },
    /// A table specification that contradicts itself.
    #[error("table {table}: {reason}")]
    Spec { table: TableName, reason: String },
    /// A batch whose columns are not those of its table.
    #[error("a batch for table {table} has other columns than the table: {reason}")]
    Schema { table: TableName, reason: String },
    /// The queue, or the memory for rows that are not sealed yet, is full.
    #[error("the lake is busy; try again in {retry_after_ms} ms")]
    Full { retry_after_ms: u64 },
    /// A batch that the queue could never hold.
    #[error("a batch of {bytes} bytes is over the limit of {limit_bytes} bytes; append it in pieces")]
    TooLarge { bytes: usize, limit_bytes: usize },
    /// The lake has been closed.
    #[error("the lake is closed")]
    Closed,
    /// The group commit that held these rows failed: they may or may not be kept, and were not acknowledged.
    #[error("committing rows to the staging table")]
    Commit {
        #[source]
        cause: Arc<qd_catalog::Error>,
    },
    /// The catalog failed at something else.
    #[error("{operation} in the catalog")]
    Catalog {
        operation: &'static str,
        #[source]
        cause: Arc<qd_catalog::Error>,
    },
    /// The disk failed.
    #[error("{operation} {}", path.display())]
    Disk {
        operation: &'static str,
        path: PathBuf,
        #[source]
        cause: Arc<io::Error>,
    },
    /// Arrow data could not be built, encoded or decoded.
    #[error("{operation} of table {table}")]
    Arrow {
        operation: &'static str,
        table: TableName,
        #[source]
        cause: Arc<ArrowError>,
    },
    /// A segment could not be merged or written.
    #[error("{operation} of table {table}")]
    Segment {
        operation: &'static str,
        table: TableName,
        #[source]
        cause: Arc<DataFusionError>,
    },
    /// A Parquet file for others, or from elsewhere, could not be written or read.
    #[error("{operation} a Parquet file")]
    Parquet {
        operation: &'static str,
        #[source]
        cause: Arc<ParquetError>,
    },
    /// A background task ended unexpectedly.
    #[error("the task that was {operation} broke off")]
    Broken { operation: &'static str },
    /// A statement that is not allowed here.
    #[error("not allowed: {reason}; the lake answers SELECT, WITH, EXPLAIN, SHOW and DESCRIBE")]
    Refused { reason: String },
    /// A statement that is longer than allowed.
    #[error("the statement has {bytes} bytes, at most {limit_bytes} are allowed")]
    SqlTooLong { bytes: usize, limit_bytes: usize },
    /// A statement that could not be understood: a syntax error, an unknown column, a wrong type.
    #[error("{message}")]
    Sql { message: String },
    /// A query that ran longer than allowed; its work was stopped.
    #[error("the query was stopped after {limit_ms} ms; narrow its time range or raise the limit")]
    Timeout { limit_ms: u64 },
    /// A query that needed more memory or spill space than allowed.
    #[error("the query needs more than its {limit_bytes} bytes of memory: {message}")]
    Memory { limit_bytes: usize, message: String },
    /// A query that failed while it ran.
    #[error("running the query")]
    Query {
        #[source]
        cause: Arc<DataFusionError>,
    },
    /// A blob that is not kept here.
    #[error("there is no blob {sha256}")]
    NoBlob { sha256: Sha256Hex },
    /// A file or blob whose content is not what its name says.
    #[error("{} has SHA-256 {found}, expected {expected}", path.display())]
    Checksum { path: PathBuf, expected: Sha256Hex, found: Sha256Hex },
}

impl Error {
    pub(crate) fn disk(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |cause| Self::Disk { operation, path, cause: Arc::new(cause) }
    }

    pub(crate) fn catalog(operation: &'static str) -> impl FnOnce(qd_catalog::Error) -> Self {
        move |cause| Self::Catalog { operation, cause: Arc::new(cause) }
    }

    pub(crate) fn arrow(operation: &'static str, table: &TableName) -> impl FnOnce(ArrowError) -> Self {
        let table = table.clone();
        move |cause| Self::Arrow { operation, table, cause: Arc::new(cause) }
    }

    pub(crate) fn parquet(operation: &'static str) -> impl FnOnce(ParquetError) -> Self {
        move |cause| Self::Parquet { operation, cause: Arc::new(cause) }
    }

    pub(crate) fn segment<E: Into<DataFusionError>>(
        operation: &'static str,
        table: &TableName,
    ) -> impl FnOnce(E) -> Self {
        let table = table.clone();
        move |cause| Self::Segment { operation, table, cause: Arc::new(cause.into()) }
    }

    /// The message with the messages of its causes, for a log line or the statistics.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}
