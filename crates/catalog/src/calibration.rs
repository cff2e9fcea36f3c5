//! Calibrations: what a version of a judge was compared with people on, which job does it, and how it ended.

use qd_base::{ArtifactName, JobId, ProjectId, Timestamp, VersionId};
use serde_json::Value;

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::experiment::MAX_ENDING_BYTES;
use crate::job::Signal;
use crate::{ArtifactKind, Catalog, Error, JobKind, Result, limit, queue};

/// The largest request.
pub const MAX_REQUEST_BYTES: usize = 256 << 10;

/// A comparison of a version of a judge with people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalibrationRecord {
    /// The version of the judge.
    pub judge: VersionId,
    /// The version of the dataset.
    pub dataset: VersionId,
    /// How it was asked for last.
    pub request: Value,
    /// The job that does it, or did it last. It may have been forgotten since.
    pub job: JobId,
    /// How the last job ended, as the job says; none while none has.
    pub ending: Option<Value>,
    /// When this was last changed.
    pub updated: Timestamp,
}

impl Catalog {
    /// Queues a job that compares a judge with what people said in a dataset, in the place of `before`. None, and nothing is queued, when
    /// another job has taken that place.
    ///
    /// # Errors
    /// As [`Catalog::enqueue`], [`Error::TooLarge`] beyond [`MAX_REQUEST_BYTES`], and [`Error::Database`] for versions that there are
    /// not.
    pub async fn begin_calibration(
        &self,
        (judge, dataset): (VersionId, VersionId),
        before: Option<JobId>,
        request: &Value,
        (kind, payload): (&JobKind, Value),
        project: ProjectId,
    ) -> Result<Option<JobId>> {
        const OPERATION: &str = "beginning a calibration";
        let text = request.to_string();
        limit::bytes("request", text.len(), MAX_REQUEST_BYTES)?;
        let mut tx = self.db().begin(OPERATION).await?;
        let job = queue::put(&mut tx, kind, &payload, project).await?;
        let taken = sqlx::query(
            "INSERT INTO calibration (judge_id, dataset_id, request, job_id, ending, updated_ns) \
             VALUES ($1, $2, $3, $4, NULL, $5) \
             ON CONFLICT (judge_id, dataset_id) DO UPDATE SET request = excluded.request, job_id = excluded.job_id, \
             ending = NULL, updated_ns = excluded.updated_ns WHERE calibration.job_id = $6",
        )
        .bind(judge.to_string())
        .bind(dataset.to_string())
        .bind(text)
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

    /// Notes how a job of a calibration ended. Of one that another job does by now nothing is noted.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MAX_ENDING_BYTES`].
    pub async fn end_calibration(
        &self,
        (judge, dataset): (VersionId, VersionId),
        job: JobId,
        ending: &Value,
    ) -> Result<()> {
        const OPERATION: &str = "noting how a calibration ended";
        let text = ending.to_string();
        limit::bytes("ending", text.len(), MAX_ENDING_BYTES)?;
        let mut tx = self.db().begin(OPERATION).await?;
        sqlx::query(
            "UPDATE calibration SET ending = $4, updated_ns = $5 \
             WHERE judge_id = $1 AND dataset_id = $2 AND job_id = $3",
        )
        .bind(judge.to_string())
        .bind(dataset.to_string())
        .bind(job.to_string())
        .bind(text)
        .bind(Timestamp::now().as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        commit(tx, OPERATION).await
    }

    /// The calibrations of a version of a judge, the latest changed first.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be read.
    pub async fn calibrations(&self, judge: VersionId) -> Result<Vec<CalibrationRecord>> {
        let rows = sqlx::query(
            "SELECT judge_id, dataset_id, request, job_id, ending, updated_ns FROM calibration \
             WHERE judge_id = $1 ORDER BY updated_ns DESC, dataset_id",
        )
        .bind(judge.to_string())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("reading calibrations"))?;
        column::all(&rows, read)
    }
}

/// With what a judge was compared goes with the judge. What it was compared on may go before: a card outlives its dataset.
pub(crate) async fn remove_all(tx: &mut Tx, project: ProjectId, kind: ArtifactKind, name: &ArtifactName) -> Result<()> {
    if kind != ArtifactKind::Judge {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM calibration WHERE judge_id IN \
         (SELECT id FROM version WHERE project_id = $1 AND kind = $2 AND name = $3)",
    )
    .bind(project.to_string())
    .bind(kind.as_str())
    .bind(name.as_str())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("removing calibrations"))
}

fn read(row: Columns<'_>) -> Result<CalibrationRecord> {
    Ok(CalibrationRecord {
        judge: row.parsed("judge_id")?,
        dataset: row.parsed("dataset_id")?,
        request: row.json("request")?,
        job: row.parsed("job_id")?,
        ending: row.json_opt("ending")?,
        updated: row.time("updated_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::catalog;

    #[tokio::test]
    async fn one_job_at_a_time_compares_a_judge_on_a_dataset() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        let put = async |kind, name: &str| {
            let name = name.parse().unwrap();
            catalog.put_version(project, kind, &name, b"{}", json!({}), &[]).await.unwrap().info.id
        };
        let (judge, one, other) = (
            put(ArtifactKind::Judge, "j").await,
            put(ArtifactKind::Dataset, "one").await,
            put(ArtifactKind::Dataset, "other").await,
        );
        let kind: JobKind = "judge.calibrate".parse().unwrap();
        let begin = async |dataset, before, limit: u32| {
            let request = json!({ "limit": limit });
            catalog.begin_calibration((judge, dataset), before, &request, (&kind, json!({})), project).await.unwrap()
        };
        assert!(catalog.calibrations(judge).await.unwrap().is_empty());
        let first = begin(one, None, 1).await.unwrap();
        assert_eq!(begin(one, None, 2).await, None, "who did not know of the first is too late");
        assert!(begin(other, None, 3).await.is_some(), "another dataset is another comparison");
        catalog.end_calibration((judge, one), first, &json!({"state": "stopped"})).await.unwrap();
        let found = catalog.calibrations(judge).await.unwrap();
        assert_eq!((found.len(), found[0].dataset, &found[0].request), (2, one, &json!({"limit": 1})));
        assert_eq!(found[0].ending, Some(json!({"state": "stopped"})));
        let second = begin(one, Some(first), 4).await.unwrap();
        catalog.end_calibration((judge, one), first, &json!({"state": "late"})).await.unwrap();
        let found = catalog.calibrations(judge).await.unwrap();
        assert_eq!((found[0].job, &found[0].ending, &found[0].request), (second, &None, &json!({"limit": 4})));
        let remove = async |kind, name: &str| {
            catalog.remove_artifact(project, kind, &name.parse().unwrap()).await.unwrap();
            catalog.calibrations(judge).await.unwrap().len()
        };
        assert_eq!(remove(ArtifactKind::Dataset, "one").await, 2, "a card outlives its dataset");
        assert_eq!(remove(ArtifactKind::Judge, "j").await, 0);
    }
}
