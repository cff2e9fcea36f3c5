//! What others recorded: OTLP's spans, log records and metrics, in whatever dialect of GenAI.
//!
//! An [`Intake`] takes an export request as the bytes that came, and acknowledges it when its rows are on disk. What the
//! attributes of a span mean stands in one table, [`dialect`]. [`Grpc`] is the service for port 4317; over HTTP the `api`
//! room hands requests in.
//!
//! Reading order: [`wire`] → `utf8` → `value` → [`dialect`] → `messages` → `draft` → `said` → `read` → `logs` → `metrics` →
//! [`intake`] → [`grpc`].

pub mod dialect;
pub mod grpc;
pub mod intake;
pub mod wire;

pub(crate) mod draft;
pub(crate) mod logs;
mod messages;
pub(crate) mod metrics;
pub(crate) mod read;
mod said;
mod spread;
mod utf8;
pub(crate) mod value;

pub use grpc::Grpc;
pub use intake::{Intake, IntakeConfig, IntakeStats, Place, Request, rehearse};
pub(crate) use read::price;
pub use wire::{Compression, Encoding};

use std::time::Duration;

/// What a request holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Data points of metrics.
    Metrics,
}

/// What became of a request that was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records that are on disk.
    pub accepted: u64,
    /// Records that never will be.
    pub rejected: u64,
    /// Why, for a person.
    pub message: String,
}

/// Why a request was not taken at all.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no room at present: the sender should keep it and come again.
    #[error("the server takes as much telemetry as it can; come again in {retry_after_ms} ms")]
    Full { retry_after_ms: u64 },
    /// It is larger than any request may be.
    #[error("the request is larger than {limit_bytes} bytes; send fewer records at once")]
    TooLarge { limit_bytes: usize },
    /// It cannot be decoded.
    #[error("the request cannot be read: {why}")]
    Unreadable { why: String },
    /// It could not be made durable.
    #[error(transparent)]
    Failed(#[from] crate::Error),
}

impl Refusal {
    /// At most this much of a decoder's words is repeated.
    const QUOTED_CHARS: usize = 300;

    pub(crate) fn unreadable(why: String) -> Self {
        Self::Unreadable { why: why.chars().take(Self::QUOTED_CHARS).collect() }
    }

    /// After how long to come again; none when that is of no use.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Full { retry_after_ms } => Some(Duration::from_millis(*retry_after_ms)),
            Self::Failed(_) => Some(Duration::from_secs(5)),
            Self::TooLarge { .. } | Self::Unreadable { .. } => None,
        }
    }
}
