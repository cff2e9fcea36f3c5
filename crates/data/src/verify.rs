//! Whether the files of datasets are what was written.

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_catalog::JobError;
use qd_lake::job::Report;
use qd_lake::{Beside, VerifiedRows};
use tokio_util::sync::CancellationToken;

use crate::dataset::{Datasets, named_files};
use crate::{Error, Result};

/// Damaged files that are told of.
const TOLD: usize = 100;

impl Datasets {
    /// Reads every file that a version names in full, until `stop`.
    ///
    /// # Errors
    /// [`Error::Catalog`] when it is unknown which these are.
    pub async fn verify(&self, stop: &CancellationToken, report: impl Fn(u64, u64)) -> Result<VerifiedRows> {
        let named = named_files(&self.catalog).await?;
        let (all, mut verified) = (named.len() as u64, VerifiedRows::default());
        report(0, all);
        for (sha256, (project, info)) in named {
            if stop.is_cancelled() {
                break;
            }
            let files = self.files.clone();
            let read = move || files.verify(sha256).map_err(Error::lake("reading a file of rows"));
            let read = self.behind("checking files of rows", read).await;
            verified.row_files += 1;
            report(verified.row_files, all);
            // Of a dataset that was removed meanwhile the files are gone by right.
            if let Err(error) = read
                && self.catalog.version_by_id(info.id).await.is_ok()
            {
                let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                let told = format!("{}@{} of project {project}: {cause}", info.name, info.number);
                tracing::error!(file = %sha256, told, "a file of a dataset is damaged");
                if verified.damaged_row_files.len() < TOLD {
                    verified.damaged_row_files.push(told);
                }
            }
        }
        Ok(verified)
    }
}

impl Beside for Datasets {
    fn verify(&self, stop: CancellationToken, report: Report) -> BoxFuture<'static, Result<VerifiedRows, JobError>> {
        let datasets = self.clone();
        let verify = async move { Self::verify(&datasets, &stop, |done, all| report(done, all)).await };
        verify.map(|found| found.map_err(|error| JobError::failed(&error))).boxed()
    }
}
