//! Pulling a model as a durable job: it survives a crash and goes on from what was fetched.

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_catalog::{Handler, JobContext, JobError, JobKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Models, Progress, Stage};

/// The kind of these jobs.
pub const KIND: &str = "model.pull";

/// What a `model.pull` job is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PullRequest {
    /// The model's name or alias in the catalogue.
    pub name: String,
}

/// Runs `model.pull` jobs; their result is the model's record. They need no checkpoint of their own, since what
/// was fetched lies in `.part` files.
#[derive(Clone)]
pub struct PullHandler {
    models: Models,
}

impl PullHandler {
    /// A handler that pulls into `models`.
    pub fn new(models: Models) -> Self {
        Self { models }
    }

    async fn pull(self, context: JobContext) -> Result<Value, JobError> {
        let request: PullRequest = context.payload()?;
        let report = |progress: Progress| {
            let total = Some(progress.total_bytes).filter(|total| *total > 0);
            context.progress(progress.done_bytes, total, describe(&progress));
        };
        let record = self.models.pull(&request.name, report, context.token()).await.map_err(|error| match error {
            Error::Cancelled => JobError::Cancelled,
            error => JobError::failed(&error),
        })?;
        serde_json::to_value(record).map_err(|cause| JobError::failed(&cause))
    }
}

impl Handler for PullHandler {
    fn kind(&self) -> JobKind {
        KIND.parse().expect("the word is a kind of job")
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Value, JobError>> {
        self.clone().pull(context).boxed()
    }
}

fn describe(progress: &Progress) -> String {
    let doing = match progress.stage {
        Stage::Waiting => "waiting for another pull of",
        Stage::Downloading => "downloading",
        Stage::Unpacking => "unpacking",
        Stage::Installing => "installing",
    };
    format!("{doing} {}", progress.item)
}
