//! Where the work for a version stands: made of its last job, as far as that is remembered, and of how it ended.

use qd_base::{JobId, VersionId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Catalog, Error, Job, JobState, Result};

/// Where the work for a version stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkStanding {
    /// What its job does, or how it ended.
    pub state: WorkState,
    /// Its last job.
    pub job: Option<JobId>,
    /// How much is done, and of how much, while it runs.
    pub progress: Option<(u64, Option<u64>)>,
    /// Why it stopped or failed.
    pub why: Option<String>,
}

/// The state of such work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// Its job waits for a place.
    Queued,
    /// Its job works.
    Running,
    /// Everything is there.
    Finished,
    /// A budget was used up before.
    Stopped,
    /// Somebody cancelled its job.
    Cancelled,
    /// Its job failed, or calls always did.
    Failed,
}

impl WorkState {
    /// Whether a job waits or works.
    pub fn is_going(self) -> bool {
        matches!(self, Self::Queued | Self::Running)
    }
}

impl WorkStanding {
    /// The job that waits or works.
    pub fn going(&self) -> Option<JobId> {
        self.job.filter(|_| self.state.is_going())
    }

    fn of(id: JobId, job: Option<Job>, ending: Option<&Value>) -> Self {
        let said = |part: &str| ending.and_then(|ending| ending[part].as_str());
        let why = said("why").map(str::to_owned);
        let (state, why) = match (job.as_ref().map(|job| job.state), said("state")) {
            (Some(JobState::Queued), _) => (WorkState::Queued, None),
            (Some(JobState::Running), _) => (WorkState::Running, None),
            (Some(JobState::Failed), _) => {
                (WorkState::Failed, why.or_else(|| job.as_ref().and_then(|job| job.error.clone())))
            }
            (Some(JobState::Cancelled), _) | (None, None) => (WorkState::Cancelled, None),
            (_, Some("failed")) => (WorkState::Failed, why),
            (_, Some("stopped")) => (WorkState::Stopped, why),
            (Some(JobState::Succeeded) | None, _) => (WorkState::Finished, None),
        };
        let progress = job.filter(|_| state.is_going()).map(|job| (job.progress.done, job.progress.total));
        Self { state, job: Some(id), progress, why }
    }
}

impl Catalog {
    /// Where the work stands whose last job this is, and which ended so, if it did.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when the job cannot be read.
    pub async fn standing(&self, job: JobId, ending: Option<&Value>) -> Result<WorkStanding> {
        let known = match self.job(job).await {
            Ok(known) => Some(known),
            // Jobs are forgotten some day.
            Err(Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(WorkStanding::of(job, known, ending))
    }

    /// The same of a version whose job was begun by [`Catalog::begin_experiment`].
    ///
    /// # Errors
    /// As [`Catalog::standing`].
    pub async fn standing_of(&self, version: VersionId) -> Result<WorkStanding> {
        match self.experiment(version).await? {
            Some(record) => self.standing(record.job, record.ending.as_ref()).await,
            None => Ok(WorkStanding { state: WorkState::Queued, job: None, progress: None, why: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::catalog;

    /// A job that was forgotten leaves what it noted; one that noted nothing was cancelled before it could.
    #[tokio::test]
    async fn what_a_job_noted_outlives_it() {
        let (catalog, _dir) = catalog().await;
        let gone = JobId::new();
        let state = async |ending: Option<Value>| catalog.standing(gone, ending.as_ref()).await.unwrap();
        assert_eq!(state(None).await.state, WorkState::Cancelled);
        assert_eq!(state(Some(json!({"state": "finished"}))).await.state, WorkState::Finished);
        let stopped = state(Some(json!({"state": "stopped", "why": "no money"}))).await;
        assert_eq!(
            (stopped.state, stopped.why.as_deref(), stopped.going()),
            (WorkState::Stopped, Some("no money"), None)
        );
        let failed = state(Some(json!({"state": "failed", "why": "nobody there"}))).await;
        assert_eq!((failed.state, failed.job), (WorkState::Failed, Some(gone)));
        let kind = "experiment.run".parse().unwrap();
        let job = catalog.enqueue(&kind, json!({}), catalog.default_project().id).await.unwrap();
        let queued = catalog.standing(job, Some(&json!({"state": "stopped"}))).await.unwrap();
        assert_eq!(
            (queued.state, queued.going()),
            (WorkState::Queued, Some(job)),
            "a new job says more than an old end"
        );
    }
}
