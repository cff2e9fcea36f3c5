//! Checking the lake as a job, since it reads everything.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_catalog::{Handler, JobContext, JobError, JobKind};
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{Lake, Verified};

/// The kind of these jobs.
pub const KIND: &str = "lake.verify";

/// Who hears how many of how many files were read.
pub type Report = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// Files that belong to no table and are checked with the lake's: whoever names them knows what they are.
pub trait Beside: Send + Sync + 'static {
    /// Reads each in full, until `stop`.
    fn verify(&self, stop: CancellationToken, report: Report) -> BoxFuture<'static, Result<VerifiedRows, JobError>>;
}

/// What a check of such files found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifiedRows {
    /// Files that were read in full.
    pub row_files: u64,
    /// Those that are damaged or gone, and what names them. They stay where they are: nothing else holds their rows.
    pub damaged_row_files: Vec<String>,
}

/// What a job found.
#[derive(Debug, Serialize)]
struct Found {
    #[serde(flatten)]
    verified: Verified,
    #[serde(flatten)]
    rows: VerifiedRows,
}

/// Runs `lake.verify` jobs; their result is a [`Verified`] and a [`VerifiedRows`]. One that is begun again begins anew: what was
/// found before is set aside already.
#[derive(Clone)]
pub struct VerifyHandler {
    lake: Lake,
    beside: Option<Arc<dyn Beside>>,
}

impl VerifyHandler {
    /// A handler that checks `lake`.
    pub fn new(lake: Lake) -> Self {
        Self { lake, beside: None }
    }

    /// The same with other files.
    #[must_use]
    pub fn and(self, beside: Arc<dyn Beside>) -> Self {
        Self { beside: Some(beside), ..self }
    }

    async fn verify(self, context: JobContext) -> Result<Value, JobError> {
        let report = |done, all| context.progress(done, Some(all), "reading segments");
        let verified = self.lake.verify(context.token(), report).await.map_err(|error| JobError::failed(&error))?;
        let rows = match self.beside {
            Some(beside) if !context.cancelled() => {
                let told = context.clone();
                let report = Arc::new(move |done, all| told.progress(done, Some(all), "reading files of rows"));
                beside.verify(context.token().clone(), report).await?
            }
            _ => VerifiedRows::default(),
        };
        if context.cancelled() {
            return Err(JobError::Cancelled);
        }
        Ok(json!(Found { verified, rows }))
    }
}

impl Handler for VerifyHandler {
    fn kind(&self) -> JobKind {
        KIND.parse().expect("the word is a kind of job")
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Value, JobError>> {
        self.clone().verify(context).boxed()
    }
}
