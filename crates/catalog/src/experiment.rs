//! Experiments and evaluations: which job runs a version of one, and how it ended. What one is, is the content of the version.

use qd_base::{JobId, ProjectId, Timestamp, VersionId};
use serde_json::Value;

use crate::column::Columns;
use crate::database::commit;
use crate::job::Signal;
use crate::{Catalog, Error, JobKind, Result, limit, queue};

/// The largest ending.
pub const MAX_ENDING_BYTES: usize = 64 << 10;

/// What became of a version of an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentRecord {
    /// The job that runs it, or ran it last. It may have been forgotten since.
    pub job: JobId,
    /// How the last job ended, as the job says; none while none has.
    pub ending: Option<Value>,
    /// When this was last changed.
    pub updated: Timestamp,
}

impl Catalog {
    /// Queues a job that runs a version of an experiment in the place of `before`, and forgets how that ended. None, and
    /// nothing is queued, when another job has taken that place.
    ///
    /// # Errors
    /// As [`Catalog::enqueue`], and [`Error::Database`] for a version that there is not.
    pub async fn begin_experiment(
        &self,
        version: VersionId,
        before: Option<JobId>,
        (kind, payload): (&JobKind, Value),
        project: ProjectId,
    ) -> Result<Option<JobId>> {
        const OPERATION: &str = "beginning an experiment";
        let mut tx = self.db().begin(OPERATION).await?;
        let job = queue::put(&mut tx, kind, &payload, project).await?;
        let taken = sqlx::query(
            "INSERT INTO experiment (version_id, job_id, ending, updated_ns) VALUES ($1, $2, NULL, $3) \
             ON CONFLICT (version_id) DO UPDATE SET job_id = excluded.job_id, ending = NULL, updated_ns = excluded.updated_ns \
             WHERE experiment.job_id = $4",
        )
        .bind(version.to_string())
        .bind(job.to_string())
        .bind(Timestamp::now().as_nanos())
        .bind(before.map(|job| job.to_string()).unwrap_or_default())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        if taken.rows_affected() == 0 {
            return Ok(None);
        }
        commit(tx, OPERATION).await?;
        self.signal(Signal::Queued);
        Ok(Some(job))
    }

    /// Notes how a job of an experiment ended. Of an experiment that another job runs by now nothing is noted.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_ENDING_BYTES`].
    pub async fn end_experiment(&self, version: VersionId, job: JobId, ending: &Value) -> Result<()> {
        const OPERATION: &str = "noting how an experiment ended";
        let text = ending.to_string();
        limit::bytes("ending", text.len(), MAX_ENDING_BYTES)?;
        let mut tx = self.db().begin(OPERATION).await?;
        sqlx::query("UPDATE experiment SET ending = $3, updated_ns = $4 WHERE version_id = $1 AND job_id = $2")
            .bind(version.to_string())
            .bind(job.to_string())
            .bind(text)
            .bind(Timestamp::now().as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?;
        commit(tx, OPERATION).await
    }

    /// What became of a version of an experiment; none when no job was ever noted.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when it cannot be read.
    pub async fn experiment(&self, version: VersionId) -> Result<Option<ExperimentRecord>> {
        let row = sqlx::query("SELECT job_id, ending, updated_ns FROM experiment WHERE version_id = $1")
            .bind(version.to_string())
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading what became of an experiment"))?;
        let Some(row) = row else { return Ok(None) };
        let row = Columns(&row);
        let (job, ending) = (row.parsed("job_id")?, row.json_opt("ending")?);
        Ok(Some(ExperimentRecord { job, ending, updated: row.time("updated_ns")? }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ArtifactKind;
    use crate::testing::{catalog, reopen};

    #[tokio::test]
    async fn the_last_job_says_how_it_ended() {
        let (catalog, dir) = catalog().await;
        let project = catalog.default_project().id;
        let name = "sweep".parse().unwrap();
        let put = catalog.put_version(project, ArtifactKind::Experiment, &name, b"{}", json!({}), &[]).await.unwrap();
        let version = put.info.id;
        let kind: JobKind = "experiment.run".parse().unwrap();
        let begin = async |catalog: &Catalog, version, before| {
            catalog.begin_experiment(version, before, (&kind, json!({})), project).await
        };
        assert_eq!(catalog.experiment(version).await.unwrap(), None);
        let first = begin(&catalog, version, None).await.unwrap().unwrap();
        assert_eq!(begin(&catalog, version, None).await.unwrap(), None, "another was first");
        catalog.end_experiment(version, first, &json!({"state": "stopped"})).await.unwrap();
        catalog.close().await;
        let catalog = reopen(dir.path()).await;
        let found = catalog.experiment(version).await.unwrap().unwrap();
        assert_eq!((found.job, found.ending), (first, Some(json!({"state": "stopped"}))));
        let second = begin(&catalog, version, Some(first)).await.unwrap().unwrap();
        assert_eq!(begin(&catalog, version, Some(first)).await.unwrap(), None);
        catalog.end_experiment(version, first, &json!({"state": "late"})).await.unwrap();
        let found = catalog.experiment(version).await.unwrap().unwrap();
        assert_eq!((found.job, found.ending), (second, None), "a job that was replaced says nothing any more");
        assert!(begin(&catalog, VersionId::new(), None).await.is_err());
    }
}
