//! All experiments: making, running, reading.

use std::collections::{BTreeMap, BTreeSet};

use qd_base::{ArtifactName, ProjectId, VersionId};
use qd_catalog::{ArtifactKind, Catalog, JobKind, Listed, Page, VersionInfo, VersionRef, WorkStanding, WorkState};
use qd_eval::Scorers;
use qd_gateway::{Gateway, Pinned};
use qd_lake::Lake;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cell::Cell;
use crate::definition::{Budget, Definition};
use crate::items::{self, ItemView};
use crate::plan::{Plan, Sources};
use crate::report::{self, Compared, Report, Results};
use crate::run::{KIND, RunRequest};
use crate::table;
use crate::{Error, Result};

/// Experiments with their versions that a list tells at most.
const MOST_LISTED: usize = 200;

/// Experiments of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Experiments {
    pub(crate) catalog: Catalog,
    pub(crate) lake: Lake,
    pub(crate) gateway: Gateway,
    pub(crate) sources: Sources,
}

/// The content of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// What was asked for, every reference pinned to a number.
    pub definition: Definition,
    /// The cells, in order.
    pub cells: Vec<Cell>,
    /// The items' places in the dataset, in the order in which they are asked.
    pub order: Vec<u64>,
    /// For each prompt that takes its examples from a dataset, the version of that.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub examples: BTreeMap<String, String>,
    /// For each name of a model what it stood for when the experiment was made, as far as it stood for anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Pinned>,
}

/// A version of an experiment.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// Which one.
    pub info: VersionInfo,
    /// What it is.
    pub content: Content,
    /// Where it stands.
    pub standing: WorkStanding,
}

impl Experiments {
    /// Experiments over these rooms.
    pub fn new(catalog: Catalog, lake: Lake, gateway: Gateway, sources: Sources) -> Self {
        Self { catalog, lake, gateway, sources }
    }

    /// Makes a version of an experiment and runs it. The same definition as the latest version's is that version: it goes on
    /// if it has not finished.
    ///
    /// # Errors
    /// [`Error::Definition`] and others for what cannot be run; nothing is made then.
    pub async fn create(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        definition: Definition,
        actor: &str,
    ) -> Result<Experiment> {
        self.make(project, name, definition, json!({}), actor).await
    }

    /// The same with what is noted beside a new version.
    pub(crate) async fn make(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        definition: Definition,
        metadata: Value,
        actor: &str,
    ) -> Result<Experiment> {
        let (content, parents) = self.pin(project, name, definition).await?;
        let catalog = self.catalog.acting(actor)?;
        let bytes = serde_json::to_vec(&content).map_err(|cause| Error::definition("definition", cause.to_string()))?;
        let put = catalog.put_version(project, ArtifactKind::Experiment, name, &bytes, metadata, &parents).await?;
        let made = self.read(put).await?;
        match made.standing.state {
            _ if made.standing.job.is_none() => Ok(self.begin(&made, false, None).await?.0),
            WorkState::Cancelled | WorkState::Failed => Ok(self.begin(&made, false, None).await?.0),
            _ => Ok(made),
        }
    }

    /// The content of a version with its references pinned, and the versions it is made of.
    async fn pin(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        definition: Definition,
    ) -> Result<(Content, Vec<VersionId>)> {
        let (plan, parents) = self.planned(project, name, definition).await?;
        let cells: Vec<Cell> = plan.candidates.iter().map(|candidate| candidate.cell.clone()).collect();
        let order = plan.items.iter().map(|item| item.row.index).collect();
        let models = self.targets(project, plan.models()).await;
        Ok((Content { definition: plan.definition, cells, order, examples: plan.examples, models }, parents))
    }

    /// A definition with its references pinned and everything looked up, so that what cannot be run is refused here and not by a
    /// job; and the versions it is made of.
    pub(crate) async fn planned(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        mut definition: Definition,
    ) -> Result<(Plan, Vec<VersionId>)> {
        definition.check()?;
        let dataset = self.sources.dataset(project, &definition.dataset, "dataset").await?;
        definition.dataset = pinned(dataset.info());
        let mut parents = vec![dataset.info().id];
        if let Some(reference) = &definition.examples.dataset {
            let examples = self.sources.dataset(project, reference, "examples.dataset").await?;
            definition.examples.dataset = Some(pinned(examples.info()));
            parents.push(examples.info().id);
        }
        for reference in &mut definition.prompts {
            let prompt = self.sources.prompt(project, reference).await?;
            *reference = pinned(&prompt.info);
            parents.push(prompt.info.id);
        }
        parents.sort_unstable();
        parents.dedup();
        definition.check()?;
        let info = VersionInfo { name: name.clone(), ..dataset.info().clone() };
        let project_name = self.catalog.project_by_id(project).await?.name;
        Ok((self.sources.plan(info, project_name, definition, &BTreeMap::new()).await?, parents))
    }

    /// What these models stand for now. One that stands for nothing is left out: its cells say so when they are asked.
    pub(crate) async fn targets(&self, project: ProjectId, names: BTreeSet<&str>) -> BTreeMap<String, Pinned> {
        let mut found = BTreeMap::new();
        for name in names {
            if let Ok(target) = self.gateway.resolve(project, name).await {
                found.insert(name.to_owned(), target);
            }
        }
        found
    }

    /// Deletes an experiment with all of its versions and their rows, those of the search that made it included. Queries that
    /// begin after this do not see them, and compaction takes them off the disk.
    ///
    /// # Errors
    /// [`Error::Running`] while one of its versions runs; [`Error::Catalog`] when there is none.
    pub async fn delete(&self, project: ProjectId, name: &ArtifactName, actor: &str) -> Result<()> {
        let versions = self.catalog.all_versions(project, ArtifactKind::Experiment, name).await?;
        for info in &versions {
            if let Some(job) = self.catalog.standing_of(info.id).await?.going() {
                return Err(Error::Running { name: name.to_string(), job });
            }
        }
        let project_name = self.catalog.project_by_id(project).await?.name;
        let search = |info: &VersionInfo| info.metadata["search"].as_str().map(str::to_owned);
        let subjects = versions.iter().flat_map(|info| [Some(info.id.to_string()), search(info)]).flatten().collect();
        self.lake.bury_each(&project_name, &table::name(), subjects).await?;
        // The rows first: who is interrupted in between deletes once more.
        let catalog = self.catalog.acting(actor)?;
        Ok(catalog.remove_artifact(project, ArtifactKind::Experiment, name).await?)
    }

    /// Goes on with an experiment that has stopped, was cancelled, failed, or has calls that failed.
    ///
    /// # Errors
    /// [`Error::Running`] while it runs.
    pub async fn resume(
        &self,
        experiment: &Experiment,
        retry_failed: bool,
        budget: Option<Budget>,
    ) -> Result<Experiment> {
        let running = |job| Error::Running { name: experiment.info.name.to_string(), job };
        if let Some(job) = experiment.standing.going() {
            return Err(running(job));
        }
        match self.begin(experiment, retry_failed, budget).await? {
            (Experiment { standing: WorkStanding { job: Some(job), .. }, .. }, false) => Err(running(job)),
            (begun, _) => Ok(begun),
        }
    }

    /// Queues a job, unless somebody else did since the experiment was read. Says whether it did.
    async fn begin(
        &self,
        experiment: &Experiment,
        retry_failed: bool,
        budget: Option<Budget>,
    ) -> Result<(Experiment, bool)> {
        let kind: JobKind = KIND.parse().expect("the word is a kind of job");
        let request = RunRequest { experiment: experiment.info.id, retry_failed, budget };
        let (version, project, before) = (experiment.info.id, experiment.info.project, experiment.standing.job);
        let begun = self.catalog.begin_experiment(version, before, (&kind, json!(request)), project).await?;
        let standing = self.catalog.standing_of(experiment.info.id).await?;
        Ok((Experiment { standing, ..experiment.clone() }, begun.is_some()))
    }

    /// A version of an experiment.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn get(&self, project: ProjectId, name: &ArtifactName, which: &VersionRef) -> Result<Experiment> {
        self.read(self.catalog.version(project, ArtifactKind::Experiment, name, which).await?).await
    }

    pub(crate) async fn read(&self, version: qd_catalog::Version) -> Result<Experiment> {
        let standing = self.catalog.standing_of(version.info.id).await?;
        Ok(Experiment { content: version.read_content()?, standing, info: version.info })
    }

    /// A page of the latest versions of the experiments of a project, those that changed last first, and where the next begins.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn list(
        &self,
        project: ProjectId,
        from: usize,
        limit: usize,
    ) -> Result<(Vec<Experiment>, Option<usize>)> {
        let mut known = self.catalog.artifacts(project, ArtifactKind::Experiment).await?;
        known.sort_by_key(|artifact| std::cmp::Reverse(artifact.updated));
        let end = from.saturating_add(limit.clamp(1, MOST_LISTED)).min(known.len());
        let mut found = Vec::new();
        for artifact in &known[from.min(end)..end] {
            match self.get(project, &artifact.name, &VersionRef::Latest).await {
                Ok(experiment) => found.push(experiment),
                // It was deleted meanwhile.
                Err(Error::Catalog(qd_catalog::Error::NotFound { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((found, Some(end).filter(|end| *end < known.len())))
    }

    /// A page of the versions of an experiment, the newest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn versions(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        page: Page<u32>,
    ) -> Result<Listed<VersionInfo, u32>> {
        Ok(self.catalog.versions(project, ArtifactKind::Experiment, name, page).await?)
    }

    /// What came of an experiment so far.
    ///
    /// # Errors
    /// [`Error::Lake`] when the rows cannot be read.
    pub async fn report(&self, experiment: &Experiment) -> Result<Report> {
        self.with_results(experiment, "making a report", |results| Ok(results.report())).await
    }

    /// Two cells held against each other by every score.
    ///
    /// # Errors
    /// As [`Experiments::report`], and [`Error::NoCell`].
    pub async fn compare(&self, experiment: &Experiment, a: &str, b: &str, planned: bool) -> Result<Vec<Compared>> {
        let (a, b) = (a.to_owned(), b.to_owned());
        self.with_results(experiment, "comparing", move |results| results.compare(&a, &b, planned)).await
    }

    /// A page of items with the answers of cells side by side, and where the next begins.
    ///
    /// # Errors
    /// As [`Experiments::report`], [`Error::NoCell`], and [`Error::Definition`] for a scorer that there is not.
    pub async fn items(
        &self,
        experiment: &Experiment,
        wanted: Wanted,
    ) -> Result<(Vec<ItemView>, Option<usize>, usize)> {
        let cells = self.cells_of(experiment, &wanted.cells)?;
        let ids: Vec<String> = cells.iter().map(|cell| cell.id.clone()).collect();
        let chosen = match wanted.disagree {
            None => experiment.content.order.clone(),
            Some(scorer) => {
                let find =
                    move |results: &Results<'_>| results.disagreements(&cells.iter().collect::<Vec<_>>(), &scorer);
                self.with_results(experiment, "looking for items", find).await?
            }
        };
        let limit = wanted.limit.clamp(1, items::MOST_ITEMS);
        let page: Vec<u64> = chosen.iter().copied().skip(wanted.from).take(limit).collect();
        let next = Some(wanted.from + page.len()).filter(|&next| next < chosen.len() && !page.is_empty());
        let dataset =
            self.sources.dataset(experiment.info.project, &experiment.content.definition.dataset, "dataset").await?;
        Ok((items::view(&self.lake, &dataset, experiment.info.id, &page, &ids).await?, next, chosen.len()))
    }

    fn cells_of(&self, experiment: &Experiment, wanted: &[String]) -> Result<Vec<Cell>> {
        let known = &experiment.content.cells;
        let cells: Vec<Cell> = match wanted.is_empty() {
            true => known.iter().take(items::MOST_CELLS).cloned().collect(),
            false => wanted.iter().map(|cell| report::find(known, cell).cloned()).collect::<Result<_>>()?,
        };
        if cells.len() > items::MOST_CELLS {
            return Err(Error::definition("cells", format!("at most {} are shown side by side", items::MOST_CELLS)));
        }
        Ok(cells)
    }

    /// Reads the rows of an experiment and does something with them beside the threads that answer.
    pub(crate) async fn with_results<T: Send + 'static>(
        &self,
        experiment: &Experiment,
        doing: &'static str,
        work: impl FnOnce(&Results<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let scored = table::scored(&self.lake, experiment.info.id).await?;
        let content = experiment.content.clone();
        let work = move || {
            let scorers = Scorers::new(&content.definition.scorers)?;
            work(&Results::new(&content.definition, &scorers, &content.cells, &content.order, &scored))
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { doing })?
    }
}

/// Which items are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of these cells, by identifier or label; of the first ones when empty.
    pub cells: Vec<String>,
    /// Only items on which those cells differ in this score.
    pub disagree: Option<String>,
    /// How many to leave out.
    pub from: usize,
    /// How many at most.
    pub limit: usize,
}

fn pinned(info: &VersionInfo) -> String {
    format!("{}@{}", info.name, info.number)
}
