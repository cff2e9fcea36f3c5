//! Checking the lake as a job, since it reads everything.

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_catalog::{Handler, JobContext, JobError, JobKind};
use serde_json::Value;

use crate::Lake;

/// The kind of these jobs.
pub const KIND: &str = "lake.verify";

/// Runs `lake.verify` jobs; their result is a [`Verified`](crate::Verified). One that is begun again begins anew: what was
/// found before is set aside already.
#[derive(Debug, Clone)]
pub struct VerifyHandler {
    lake: Lake,
}

impl VerifyHandler {
    /// A handler that checks `lake`.
    pub fn new(lake: Lake) -> Self {
        Self { lake }
    }

    async fn verify(self, context: JobContext) -> Result<Value, JobError> {
        let report = |done, all| context.progress(done, Some(all), "reading segments");
        let verified = self.lake.verify(context.token(), report).await.map_err(|error| JobError::failed(&error))?;
        if context.cancelled() {
            return Err(JobError::Cancelled);
        }
        serde_json::to_value(verified).map_err(|cause| JobError::failed(&cause))
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
