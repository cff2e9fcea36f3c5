//! How far a pull has come, and how it is stopped.

use std::future::Future;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::Error;

/// How far a pull has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// To what: a file of the model, or the package that carries it.
    pub item: String,
    /// How many bytes of it are done.
    pub done_bytes: u64,
    /// How many there are; 0 when nobody has said yet.
    pub total_bytes: u64,
}

/// What a pull is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Somebody else is pulling the same model.
    Waiting,
    /// Bytes are coming in.
    Downloading,
    /// The file is taken out of what carries it.
    Unpacking,
    /// It is checked and put in its place.
    Installing,
}

/// Who watches a pull and who may stop it: what every step of it is given.
pub(crate) struct Watch<'a> {
    pub(crate) report: &'a (dyn Fn(Progress) + Send + Sync),
    pub(crate) cancel: &'a CancellationToken,
}

impl Watch<'_> {
    pub(crate) fn report(&self, stage: Stage, item: &str, done_bytes: u64, total_bytes: u64) {
        (self.report)(Progress { stage, item: item.into(), done_bytes, total_bytes });
    }

    /// Runs `work` unless the pull is cancelled.
    pub(crate) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Error> {
        self.cancel.run_until_cancelled(work).await.ok_or(Error::Cancelled)
    }
}
