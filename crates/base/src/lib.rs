//! What are the words?
//!
//! The nouns that every room shares, as types that cannot hold a wrong value: a [`TraceId`] is sixteen bytes,
//! a [`ModelName`] has been validated, [`Picodollars`] is an integer, a [`Secret`] does not print.
//!
//! Reading order: [`id`] → [`name`] → [`time`] → [`period`] → [`money`] → [`usage`] → [`hash`] → [`secret`], then what is
//! said to a model and what it answers: [`chat`] → [`completion`] → [`embedding`]; and [`words!`] for closed sets of words.

pub mod chat;
pub mod completion;
pub mod embedding;
pub mod hash;
pub mod id;
pub mod money;
pub mod name;
pub mod period;
pub mod secret;
pub mod time;
pub mod usage;
pub mod word;

mod error;

pub use error::Error;
pub use hash::Sha256Hex;
pub use id::{
    AlertEventId, AlertId, CommentId, JobId, KeyId, ProjectId, RequestId, ScoreId, SegmentId, SilenceId, SpanId,
    TraceId, VersionId,
};
pub use money::Picodollars;
pub use name::{AccountName, AlertName, ArtifactName, Label, ModelName, ProjectName, ProviderName, TableName, UserId};
pub use period::Period;
pub use secret::Secret;
pub use time::{TimeRange, Timestamp};
pub use usage::Usage;

#[doc(hidden)]
pub use serde;

/// Fields of a JSON object that Quarterdeck does not know: kept as they came and written back.
pub type Extra = serde_json::Map<String, serde_json::Value>;
