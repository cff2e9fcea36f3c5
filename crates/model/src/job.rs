//! Pulling a model as a durable job: it survives a crash and goes on from what was fetched.

use qd_catalog::{Handler, JobContext, JobError, JobKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{Error, Models, Progress, Stage};

/// What a `model.pull` job is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullRequest {
    /// The model's name or alias in the catalogue.
    pub name: String,
}

/// Runs `model.pull` jobs.
pub struct PullHandler {
    models: Models,
}
