//! All evaluations: making, running, reading.

use std::collections::{BTreeMap, BTreeSet};

use qd_base::{ArtifactName, ProjectId, VersionId};
use qd_catalog::{
    ArtifactKind, Catalog, JobKind, Listed, Page, Version, VersionInfo, VersionRef, WorkStanding, WorkState,
};
use qd_gateway::batch::Spent;
use qd_gateway::{Gateway, Pinned};
use qd_lake::Lake;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::definition::{Budget, Definition};
use crate::items::{self, ItemView, Wanted};
use crate::paid::embedder;
use crate::plan::{Desk, JudgeFacts};
use crate::report::{Calibration, Compared, Report, Results};
use crate::run::{KIND, RunRequest, models_of};
use crate::scorer::{Look, Reader};
use crate::table;
use crate::{Error, Result};

/// Evaluations with their versions that a list tells at most.
const MOST_LISTED: usize = 200;

/// Evaluations of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Evaluations {
    pub(crate) catalog: Catalog,
    pub(crate) lake: Lake,
    pub(crate) gateway: Gateway,
    pub(crate) desk: Desk,
}

/// The content of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// What was asked for, every reference pinned to a number.
    pub definition: Definition,
    /// The items' places in the dataset, in order.
    pub order: Vec<u64>,
    /// For each prompt that takes its examples from a dataset, the version of that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub examples: BTreeMap<String, String>,
    /// For each name of a model what it stood for when the evaluation was made, as far as it stood for anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Pinned>,
    /// What reports have to know of judges, by scorer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judges: BTreeMap<String, JudgeFacts>,
}

/// A version of an evaluation.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// Which one.
    pub info: VersionInfo,
    /// What it is.
    pub content: Content,
    /// Where it stands.
    pub standing: WorkStanding,
}

impl Evaluation {
    /// `name@3`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.info.name, self.info.number)
    }
}

impl Evaluations {
    /// Evaluations over these rooms.
    pub fn new(catalog: Catalog, lake: Lake, gateway: Gateway, desk: Desk) -> Self {
        Self { catalog, lake, gateway, desk }
    }

    /// Makes a version of an evaluation and runs it. The same definition as the latest version's is that version: it goes on if it
    /// has not finished.
    ///
    /// # Errors
    /// [`Error::Definition`] and others for what cannot be run; nothing is made then.
    pub async fn create(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        definition: Definition,
        actor: &str,
    ) -> Result<Evaluation> {
        let project_name = self.catalog.project_by_id(project).await?.name;
        let desk = Desk { sources: self.desk.sources.clone(), judges: self.desk.judges.acting(actor)? };
        desk.check_gates(project, &definition).await?;
        let plan = desk.plan(project, (name, project_name), definition, &BTreeMap::new()).await?;
        let mut models = BTreeMap::new();
        for model in models_of(&plan) {
            if let Ok(pinned) = self.gateway.resolve(project, &model).await {
                models.insert(model, pinned);
            }
        }
        self.try_encoders(&plan.readers, &models).await?;
        let content = Content {
            order: plan.items.iter().map(|item| item.row.index).collect(),
            judges: plan.judges.iter().map(|(scorer, bench)| (scorer.clone(), bench.facts())).collect(),
            examples: plan.examples,
            definition: plan.definition,
            models,
        };
        let bytes = serde_json::to_vec(&content).map_err(|cause| Error::definition("definition", cause.to_string()))?;
        let catalog = self.catalog.acting(actor)?;
        let kind = ArtifactKind::Evaluation;
        let put = catalog.put_version(project, kind, name, &bytes, json!({}), &plan.parents).await?;
        let made = self.read(put).await?;
        match made.standing.state {
            _ if made.standing.job.is_none() => Ok(self.begin(&made, false, None).await?.0),
            WorkState::Cancelled | WorkState::Failed => Ok(self.begin(&made, false, None).await?.0),
            _ => Ok(made),
        }
    }

    /// Refuses scorers that compare tokens with a model that cannot tell them: that would fail with every item.
    async fn try_encoders(&self, readers: &[Reader], models: &BTreeMap<String, Pinned>) -> Result<()> {
        for reader in readers {
            let Look::Tokens(similarity) = &reader.look else { continue };
            // A model that is not there yet may be when the job asks for it.
            let Some(pinned) = models.get(embedder(&similarity.model)) else { continue };
            let tried = self.gateway.encode(pinned, vec![String::new()], similarity.layer).await;
            tried.map_err(|error| {
                Error::definition("scorers", format!("{}: {}", reader.name(), qd_gateway::batch::told(&error)))
            })?;
        }
        Ok(())
    }

    /// Goes on with an evaluation that has stopped, was cancelled, failed, or has calls that failed.
    ///
    /// # Errors
    /// [`Error::Running`] while it runs.
    pub async fn resume(
        &self,
        evaluation: &Evaluation,
        retry_failed: bool,
        budget: Option<Budget>,
    ) -> Result<Evaluation> {
        let running = |job| Error::Running { name: evaluation.info.name.to_string(), job };
        if let Some(job) = evaluation.standing.going() {
            return Err(running(job));
        }
        match self.begin(evaluation, retry_failed, budget).await? {
            (Evaluation { standing: WorkStanding { job: Some(job), .. }, .. }, false) => Err(running(job)),
            (begun, _) => Ok(begun),
        }
    }

    /// Queues a job, unless somebody else did since the evaluation was read. Says whether it did.
    async fn begin(
        &self,
        evaluation: &Evaluation,
        retry_failed: bool,
        budget: Option<Budget>,
    ) -> Result<(Evaluation, bool)> {
        let kind: JobKind = KIND.parse().expect("the word is a kind of job");
        let aside = self.aside(evaluation.info.id).await?;
        let request = RunRequest { evaluation: evaluation.info.id, retry_failed, budget, aside };
        let (version, project, before) = (evaluation.info.id, evaluation.info.project, evaluation.standing.job);
        let begun = self.catalog.begin_experiment(version, before, (&kind, json!(request)), project).await?;
        let standing = self.catalog.standing_of(evaluation.info.id).await?;
        Ok((Evaluation { standing, ..evaluation.clone() }, begun.is_some()))
    }

    /// What jobs of an evaluation spent and no row tells, by the last one: as it ended, or as far as it came.
    async fn aside(&self, evaluation: VersionId) -> Result<Spent> {
        let Some(record) = self.catalog.experiment(evaluation).await? else { return Ok(Spent::default()) };
        let told = match record.ending {
            Some(ending) => Some(ending),
            // A job that is forgotten tells nothing.
            None => self.catalog.job(record.job).await.ok().map(|job| job.checkpoint.unwrap_or(job.payload)),
        };
        Ok(told.and_then(|told| Spent::deserialize(told.get("aside")?).ok()).unwrap_or_default())
    }

    /// Deletes an evaluation with all of its versions and their rows. Queries that begin after this do not see them, and compaction
    /// takes them off the disk.
    ///
    /// # Errors
    /// [`Error::Running`] while one of its versions runs; [`Error::Catalog`] when there is none.
    pub async fn delete(&self, project: ProjectId, name: &ArtifactName, actor: &str) -> Result<()> {
        let versions = self.catalog.all_versions(project, ArtifactKind::Evaluation, name).await?;
        for info in &versions {
            if let Some(job) = self.catalog.standing_of(info.id).await?.going() {
                return Err(Error::Running { name: name.to_string(), job });
            }
        }
        let project_name = self.catalog.project_by_id(project).await?.name;
        let subjects = versions.iter().map(|info| info.id.to_string()).collect();
        self.lake.bury_each(&project_name, &table::name(), subjects).await?;
        // The rows first: who is interrupted in between deletes once more.
        let catalog = self.catalog.acting(actor)?;
        Ok(catalog.remove_artifact(project, ArtifactKind::Evaluation, name).await?)
    }

    /// A version of an evaluation.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn get(&self, project: ProjectId, name: &ArtifactName, which: &VersionRef) -> Result<Evaluation> {
        self.read(self.catalog.version(project, ArtifactKind::Evaluation, name, which).await?).await
    }

    async fn read(&self, version: Version) -> Result<Evaluation> {
        let standing = self.catalog.standing_of(version.info.id).await?;
        Ok(Evaluation { content: version.read_content()?, standing, info: version.info })
    }

    /// The latest versions of all evaluations of a project, the newest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn list(&self, project: ProjectId) -> Result<Vec<Evaluation>> {
        let mut known = self.catalog.artifacts(project, ArtifactKind::Evaluation).await?;
        known.sort_by_key(|artifact| std::cmp::Reverse(artifact.updated));
        let mut found = Vec::new();
        for artifact in known.into_iter().take(MOST_LISTED) {
            found.push(self.get(project, &artifact.name, &VersionRef::Latest).await?);
        }
        Ok(found)
    }

    /// A page of the versions of an evaluation, the newest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn versions(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        page: Page<u32>,
    ) -> Result<Listed<VersionInfo, u32>> {
        Ok(self.catalog.versions(project, ArtifactKind::Evaluation, name, page).await?)
    }

    /// What came of an evaluation so far.
    ///
    /// # Errors
    /// [`Error::Lake`] when the rows cannot be read.
    pub async fn report(&self, evaluation: &Evaluation) -> Result<Report> {
        let calibrations = self.calibrations(&evaluation.content.judges).await?;
        self.with_results(evaluation, calibrations, "making a report", |results| Ok(results.report())).await
    }

    /// A target of another evaluation held against one of this, item by item, by every score that both have in the same way.
    ///
    /// # Errors
    /// As [`Evaluations::report`], and [`Error::Definition`] for a target that is not meant, and for evaluations of different rows.
    pub async fn compare(
        &self,
        (one, target): (&Evaluation, Option<&str>),
        (other, other_target): (&Evaluation, Option<&str>),
    ) -> Result<Vec<Compared>> {
        let (here, there) = (&one.content.definition.dataset, &other.content.definition.dataset);
        if here != there {
            let why = format!(
                "items are held against each other, and those of one run are of {here}, those of the other of {there}; run both on the same version"
            );
            return Err(Error::definition("with", why));
        }
        let (told, other_told) = (other.reference(), other_target.map(str::to_owned));
        let theirs = table::scored(&self.lake, other.info.id).await?;
        let Content { definition, judges, order, .. } = other.content.clone();
        let (run, target) = (one.reference(), target.map(str::to_owned));
        let work = move |results: &Results<'_>| {
            let readers = definition.check()?;
            let nobody = BTreeMap::new();
            let others = Results::new((&definition, &readers), (&judges, &nobody), &order, &theirs);
            let target = results.meant("target", target.as_deref())?;
            let other_target = others.meant("with_target", other_told.as_deref())?;
            Ok(results.across((&run, &target), &others, (&told, &other_target)))
        };
        self.with_results(one, BTreeMap::new(), "comparing evaluations", work).await
    }

    /// A page of items with the answers of targets side by side, where the next begins, and how many there are.
    ///
    /// # Errors
    /// As [`Evaluations::report`], and [`Error::Definition`] for a target or a scorer that there is not.
    pub async fn items(
        &self,
        evaluation: &Evaluation,
        wanted: Wanted,
    ) -> Result<(Vec<ItemView>, Option<usize>, usize)> {
        let targets: Vec<String> = match &wanted.target {
            Some(target) => vec![target.clone()],
            None => evaluation.content.definition.all_targets().into_keys().collect(),
        };
        let (from, limit) = (wanted.from, wanted.limit.clamp(1, items::MOST_ITEMS));
        let find = move |results: &Results<'_>| results.wanted(&wanted);
        // Which items are wanted has nothing to do with people's labels.
        let chosen = self.with_results(evaluation, BTreeMap::new(), "looking for items", find).await?;
        let page: Vec<u64> = chosen.iter().copied().skip(from).take(limit).collect();
        let next = Some(from + page.len()).filter(|&next| next < chosen.len() && !page.is_empty());
        Ok((self.view(evaluation, &page, &targets).await?, next, chosen.len()))
    }

    /// One item with the answers of all targets; none when it is no item of the evaluation.
    ///
    /// # Errors
    /// As [`Evaluations::report`].
    pub async fn item(&self, evaluation: &Evaluation, item: u64) -> Result<Option<ItemView>> {
        if !evaluation.content.order.contains(&item) {
            return Ok(None);
        }
        let targets: Vec<String> = evaluation.content.definition.all_targets().into_keys().collect();
        Ok(self.view(evaluation, &[item], &targets).await?.pop())
    }

    async fn view(&self, evaluation: &Evaluation, items: &[u64], targets: &[String]) -> Result<Vec<ItemView>> {
        let reference = &evaluation.content.definition.dataset;
        let dataset = self.desk.sources.dataset(evaluation.info.project, reference, "dataset").await?;
        items::view(&self.lake, &dataset, evaluation.info.id, items, targets).await
    }

    /// Reads the rows of an evaluation and does something with them beside the threads that answer.
    async fn with_results<T: Send + 'static>(
        &self,
        evaluation: &Evaluation,
        calibrations: BTreeMap<VersionId, Calibration>,
        doing: &'static str,
        work: impl FnOnce(&Results<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let scored = table::scored(&self.lake, evaluation.info.id).await?;
        let Content { definition, judges, order, .. } = evaluation.content.clone();
        let work = move || {
            let readers = definition.check()?;
            work(&Results::new((&definition, &readers), (&judges, &calibrations), &order, &scored))
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { doing })?
    }

    /// How far judges agreed with people, of those that were compared.
    async fn calibrations(&self, judges: &BTreeMap<String, JudgeFacts>) -> Result<BTreeMap<VersionId, Calibration>> {
        let mut found = BTreeMap::new();
        let versions: BTreeSet<VersionId> = judges.values().map(|facts| facts.version).collect();
        for version in versions {
            if let Some(comparison) = self.desk.judges.comparison(version).await? {
                found.insert(version, Calibration::of(comparison));
            }
        }
        Ok(found)
    }
}
