//! Comparisons of judges with people: beginning them, where they stand, what came of them.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use qd_base::{ArtifactName, JobId, ProjectId, VersionId};
use qd_catalog::{ArtifactKind, CalibrationRecord, JobKind, VersionRef, WorkState};
use qd_data::{Dataset, Datasets};
use qd_gateway::batch::Spent;
use serde::Deserialize as _;
use serde_json::json;

use crate::calibrate::{CalibrateRequest, KIND};
use crate::card::{self, Card, Pair};
use crate::judges::{Judges, Stored};
use crate::plan::{Plan, inputs_of};
use crate::request::Request;
use crate::table::{self, JudgementRow};
use crate::{Error, Result};

/// Compares judges with people. Cheap to clone.
#[derive(Clone)]
pub struct Calibrations {
    /// The judges.
    pub judges: Judges,
    /// What people said.
    pub datasets: Datasets,
}

/// A comparison of a version of a judge with people.
#[derive(Debug, Clone)]
pub struct Calibration {
    /// How it was asked for.
    pub request: Request,
    /// The version of the dataset.
    pub dataset: VersionId,
    /// What its job does, or how it ended.
    pub state: WorkState,
    /// Its last job.
    pub job: JobId,
    /// How many items are done, and of how many, while it runs.
    pub progress: Option<(u64, Option<u64>)>,
    /// Why it stopped or failed.
    pub why: Option<String>,
}

/// What a judge and people said of the items of its latest calibration.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// All of it in numbers.
    pub card: Card,
    /// The columns of the dataset that the judge saw.
    pub columns: BTreeSet<String>,
    /// What both said, of the items that the judge told.
    pub pairs: Vec<Pair>,
}

impl Calibrations {
    /// Compares judges of `judges` with what people said in `datasets`.
    pub fn new(judges: Judges, datasets: Datasets) -> Self {
        Self { judges, datasets }
    }

    /// Begins to compare a judge with people, or goes on with it: what was judged before and saw the same is not asked again.
    ///
    /// # Errors
    /// [`Error::Request`] when the judge and the dataset do not fit each other, [`Error::Running`] while a job does it.
    pub async fn begin(&self, judge: &Stored, mut request: Request, retry_failed: bool) -> Result<Calibration> {
        request.check()?;
        let project = judge.info.project;
        let dataset = self.dataset(project, &request.dataset).await?;
        request.dataset = format!("{}@{}", dataset.info().name, dataset.info().number);
        Plan::new(&dataset, &judge.judge, &request).await?;
        let which = (judge.info.id, dataset.info().id);
        let running = |job| Error::Running { name: judge.reference(), job };
        let before = self.find(which).await?;
        if let Some(before) = before.as_ref().filter(|before| before.state.is_going()) {
            return Err(running(before.job));
        }
        let kind: JobKind = KIND.parse().expect("the word is a kind of job");
        let aside = self.aside(which).await?;
        let payload = json!(CalibrateRequest { judge: which.0, dataset: which.1, retry_failed, aside });
        let before = before.map(|before| before.job);
        let begun =
            self.judges.catalog.begin_calibration(which, before, &json!(request), (&kind, payload), project).await?;
        let found = self.find(which).await?.ok_or(Error::Broken { doing: "beginning a calibration" })?;
        if begun.is_some() { Ok(found) } else { Err(running(found.job)) }
    }

    /// What jobs of a calibration spent and no row tells, by the last one: as it ended, or as far as it came.
    async fn aside(&self, (judge, dataset): (VersionId, VersionId)) -> Result<Spent> {
        let catalog = &self.judges.catalog;
        let records = catalog.calibrations(judge).await?;
        let Some(record) = records.into_iter().find(|record| record.dataset == dataset) else {
            return Ok(Spent::default());
        };
        let told = match record.ending {
            Some(ending) => Some(ending),
            // A job that is forgotten tells nothing.
            None => catalog.job(record.job).await.ok().map(|job| job.checkpoint.unwrap_or(job.payload)),
        };
        Ok(told.and_then(|told| Spent::deserialize(told.get("aside")?).ok()).unwrap_or_default())
    }

    async fn dataset(&self, project: ProjectId, reference: &str) -> Result<Dataset> {
        let (name, which) = reference.split_once('@').map_or((reference, None), |(name, which)| (name, Some(which)));
        let wrong = |error: qd_base::Error| Error::request("dataset", error.to_string());
        let name = ArtifactName::from_str(name.trim()).map_err(wrong)?;
        let which = which.map_or(Ok(VersionRef::Latest), |which| which.trim().parse()).map_err(wrong)?;
        Ok(self.datasets.open(project, &name, &which).await?)
    }

    async fn find(&self, (judge, dataset): (VersionId, VersionId)) -> Result<Option<Calibration>> {
        Ok(self.judges.calibrations(judge).await?.into_iter().find(|found| found.dataset == dataset))
    }

    pub(crate) async fn record(&self, judge: VersionId, dataset: VersionId) -> Result<CalibrationRecord> {
        let found = self.judges.catalog.calibrations(judge).await?;
        let found = found.into_iter().find(|record| record.dataset == dataset);
        found.ok_or(Error::Broken { doing: "looking for a calibration" })
    }
}

impl Calibration {
    /// Whether it is on this dataset, said as `name` or `name@3`.
    fn is_on(&self, dataset: &str) -> bool {
        let pinned = self.request.dataset.as_str();
        pinned == dataset || pinned.rsplit_once('@').is_some_and(|(name, _)| name == dataset)
    }
}

impl Judges {
    /// On what a version of a judge was compared with people, the latest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] when it cannot be read.
    pub async fn calibrations(&self, judge: VersionId) -> Result<Vec<Calibration>> {
        let mut found = Vec::new();
        for record in self.catalog.calibrations(judge).await? {
            let standing = self.catalog.standing(record.job, record.ending.as_ref()).await?;
            let request = serde_json::from_value(record.request)
                .map_err(|cause| Error::request("calibration", cause.to_string()))?;
            found.push(Calibration {
                request,
                dataset: record.dataset,
                state: standing.state,
                job: record.job,
                progress: standing.progress,
                why: standing.why,
            });
        }
        Ok(found)
    }

    /// Whether a version of a judge was compared with people, to the end or to a budget's.
    ///
    /// # Errors
    /// [`Error::Catalog`] when that cannot be read.
    pub async fn is_calibrated(&self, judge: VersionId) -> Result<bool> {
        let ended = |found: &Calibration| matches!(found.state, WorkState::Finished | WorkState::Stopped);
        Ok(self.calibrations(judge).await?.iter().any(ended))
    }

    /// The same of what `reference` means to [`Judges::find`], of a ready judge as it is an artifact by now; nothing is made.
    ///
    /// # Errors
    /// As [`Judges::find`].
    pub async fn is_any_calibrated(&self, project: ProjectId, reference: &str) -> Result<bool> {
        match self.find_made(project, reference).await? {
            Some(stored) => self.is_calibrated(stored.info.id).await,
            None => Ok(false),
        }
    }

    /// What the word of a version of a judge is worth, by its latest calibration; none of a judge that was compared with nobody.
    ///
    /// # Errors
    /// [`Error::Lake`] when the rows cannot be read.
    pub async fn card(&self, judge: VersionId) -> Result<Option<Card>> {
        self.card_on(judge, None).await
    }

    /// The same by the calibration on a dataset, said as `name` or `name@3`.
    ///
    /// # Errors
    /// As [`Judges::card`].
    pub async fn card_on(&self, judge: VersionId, dataset: Option<&str>) -> Result<Option<Card>> {
        let Some((calibration, rows)) = self.latest(judge, dataset).await? else { return Ok(None) };
        let stored = self.by_id(judge).await?;
        let made = tokio::task::spawn_blocking(move || card::card(&stored, &calibration, &rows));
        Ok(Some(made.await.map_err(|_| Error::Broken { doing: "making a card" })??))
    }

    /// The card of the latest calibration, with what `qd_eval::ppi` corrects the judge's word by; none of a judge that was compared with
    /// nobody, or told nothing then.
    ///
    /// # Errors
    /// As [`Judges::card`].
    pub async fn comparison(&self, judge: VersionId) -> Result<Option<Comparison>> {
        let Some((calibration, rows)) = self.latest(judge, None).await? else { return Ok(None) };
        let stored = self.by_id(judge).await?;
        let columns = inputs_of(stored.judge.definition()).into_keys();
        let columns = columns.map(|input| calibration.request.values.get(&input).cloned().unwrap_or(input)).collect();
        let make = move || {
            let pairs = card::paired(&stored.judge, &rows);
            Ok(Comparison { card: card::card(&stored, &calibration, &rows)?, columns, pairs })
        };
        let made: Result<Comparison> =
            tokio::task::spawn_blocking(make).await.map_err(|_| Error::Broken { doing: "making a card" })?;
        Ok(Some(made?).filter(|made| made.card.has_told()))
    }

    /// The latest calibration that has rows, or the one on a dataset, with the rows that were asked for in its way.
    async fn latest(
        &self,
        judge: VersionId,
        dataset: Option<&str>,
    ) -> Result<Option<(Calibration, Vec<JudgementRow>)>> {
        let wanted = |found: &Calibration| dataset.is_none_or(|dataset| found.is_on(dataset));
        for calibration in self.calibrations(judge).await?.into_iter().filter(wanted) {
            let setting = calibration.request.setting();
            let mut rows = table::rows(&self.lake, judge, calibration.dataset).await?;
            rows.retain(|row| row.setting == setting);
            if rows.iter().any(|row| row.judged.is_some()) {
                return Ok(Some((calibration, rows)));
            }
        }
        Ok(None)
    }

    /// Deletes a judge with all of its versions and their judgements. Queries that begin after this do not see them, and
    /// compaction takes them off the disk.
    ///
    /// # Errors
    /// [`Error::Running`] while one of its versions is compared with people; [`Error::Catalog`] when there is none.
    pub async fn delete(&self, project: ProjectId, name: &ArtifactName, actor: &str) -> Result<()> {
        let versions = self.catalog.all_versions(project, ArtifactKind::Judge, name).await?;
        for info in &versions {
            if let Some(going) = self.calibrations(info.id).await?.into_iter().find(|found| found.state.is_going()) {
                return Err(Error::Running { name: format!("{name}@{}", info.number), job: going.job });
            }
        }
        let project_name = self.catalog.project_by_id(project).await?.name;
        let subjects = versions.iter().map(|info| info.id.to_string()).collect();
        self.lake.bury_each(&project_name, &table::name(), subjects).await?;
        // The rows first: who is interrupted in between deletes once more.
        Ok(self.catalog.acting(actor)?.remove_artifact(project, ArtifactKind::Judge, name).await?)
    }
}
