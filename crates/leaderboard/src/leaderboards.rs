//! All leaderboards: making, running, reading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use qd_base::{ArtifactName, JobId, ProjectId};
use qd_catalog::{ArtifactKind, Catalog, JobKind, VersionInfo, VersionRef, WorkStanding, WorkState};
use qd_data::Datasets;
use qd_gateway::batch;
use qd_gateway::{Gateway, Pinned};
use qd_lake::Lake;
use qd_model::Models;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::definition::{Budget, Definition};
use crate::desk::{Asked, Desk};
use crate::facts::{Facts, Filter};
use crate::plan::{self, Plan};
use crate::report::{DocumentReport, Report, Results};
use crate::run::{KIND, RunRequest};
use crate::source::{Need, Shelf};
use crate::table;
use crate::{Error, Result};

/// Leaderboards with their versions that a list tells at most.
const MOST_LISTED: usize = 200;

/// Leaderboards of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Leaderboards {
    pub(crate) catalog: Catalog,
    pub(crate) lake: Lake,
    pub(crate) gateway: Gateway,
    pub(crate) datasets: Datasets,
    pub(crate) models: Models,
    /// Tokens that the engine here was told to read.
    pub(crate) context: Option<u32>,
    pub(crate) desk: Arc<Desk>,
}

/// The content of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// What was asked for, every dataset pinned to a version.
    pub definition: Definition,
    /// For each name of a model what it stood for when the leaderboard was made.
    pub models: BTreeMap<String, Pinned>,
    /// Documents that each model is asked about.
    pub documents: usize,
    /// Tokens that the engine here was told to read when the leaderboard was made; none for what each model was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u32>,
}

/// A version of a leaderboard.
#[derive(Debug, Clone)]
pub struct Leaderboard {
    /// Which one.
    pub info: VersionInfo,
    /// What it is.
    pub content: Content,
    /// Where it stands.
    pub standing: WorkStanding,
}

/// What is to be made of a name.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What it does; when absent, what the ready leaderboard of this name or the latest version of it does.
    pub definition: Option<Definition>,
    /// Other models than the definition's; all of its own when empty.
    pub models: Vec<String>,
    /// Only the first documents of each task, instead of what the definition says.
    pub limit: Option<usize>,
    /// Datasets by what tasks call their documents, beside the definition's.
    pub documents: BTreeMap<String, String>,
}

/// Documents that a definition needs, and the dataset that has them.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// What is needed.
    #[serde(flatten)]
    pub need: Need,
    /// The dataset's version; none where there is none.
    pub found: Option<String>,
}

impl Leaderboards {
    /// Leaderboards over these rooms.
    pub fn new(catalog: Catalog, lake: Lake, gateway: Gateway, datasets: Datasets, models: Models) -> Self {
        Self { catalog, lake, gateway, datasets, models, context: None, desk: Arc::default() }
    }

    /// The same where the engine here was told how many tokens to read.
    #[must_use]
    pub fn reading(self, context: Option<u32>) -> Self {
        Self { context, ..self }
    }

    /// The definition that is meant.
    ///
    /// # Errors
    /// [`Error::NotReady`] when none was given and no leaderboard has the name.
    pub async fn definition(&self, project: ProjectId, name: &ArtifactName, wanted: Wanted) -> Result<Definition> {
        let mut definition = match wanted.definition {
            Some(definition) => definition,
            None => self.earlier(project, name).await?,
        };
        if !wanted.models.is_empty() {
            definition.models = wanted.models;
        }
        if let Some(limit) = wanted.limit {
            definition.limit = Some(limit);
            definition.tasks.iter_mut().for_each(|entry| entry.limit = None);
        }
        definition.documents.extend(wanted.documents);
        Ok(definition)
    }

    /// What the latest version of a leaderboard does, or a ready one.
    async fn earlier(&self, project: ProjectId, name: &ArtifactName) -> Result<Definition> {
        match self.catalog.version(project, ArtifactKind::Leaderboard, name, &VersionRef::Latest).await {
            Ok(version) => Ok(version.read_content::<Content>()?.definition),
            Err(qd_catalog::Error::NotFound { .. }) => Definition::ready(name.as_str()).ok_or_else(|| {
                let ready = Definition::ready_names().collect::<Vec<_>>().join(", ");
                Error::NotReady { name: name.to_string(), ready }
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// What a definition needs, and which of it is here.
    ///
    /// # Errors
    /// [`Error::Definition`] for what is out of bounds, [`Error::Task`] for a task that cannot be read, [`Error::Data`] for a dataset that was named and is not there.
    pub async fn needs(&self, project: ProjectId, definition: &Definition) -> Result<Vec<Found>> {
        let shelf = Shelf::new(&self.datasets, project, &definition.documents);
        let mut needs = Vec::new();
        for need in plan::needs(definition).await? {
            let found =
                shelf.find(&need).await?.map(|dataset| format!("{}@{}", dataset.info().name, dataset.info().number));
            needs.push(Found { need, found });
        }
        Ok(needs)
    }

    /// Makes a version of a leaderboard and runs it. The same as the latest version is that version: it goes on if it has not finished.
    ///
    /// # Errors
    /// [`Error::Definition`] and others for what cannot be run; nothing is made then.
    pub async fn create(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        wanted: Wanted,
        actor: &str,
    ) -> Result<Leaderboard> {
        let mut definition = self.definition(project, name, wanted).await?;
        let plan = {
            let _place = self.desk.place().await;
            plan::plan(&self.datasets, project, &definition).await?
        };
        let models = self.targets(project, &definition.models).await?;
        definition.documents = plan.documents.clone();
        let content = Content { definition, models, documents: plan.documents(), context: self.context };
        let catalog = self.catalog.acting(actor)?;
        let bytes = serde_json::to_vec(&content).map_err(|cause| Error::definition("definition", cause.to_string()))?;
        let kind = ArtifactKind::Leaderboard;
        let put = catalog.put_version(project, kind, name, &bytes, json!({}), &plan.parents).await?;
        let made = self.read(put).await?;
        match made.standing.state {
            _ if made.standing.job.is_none() => Ok(self.begin(&made, false, None).await?.0),
            WorkState::Cancelled | WorkState::Failed => Ok(self.begin(&made, false, None).await?.0),
            _ => Ok(made),
        }
    }

    /// What the models stand for now.
    async fn targets(&self, project: ProjectId, names: &[String]) -> Result<BTreeMap<String, Pinned>> {
        let mut found = BTreeMap::new();
        for name in names {
            let target = self.gateway.resolve(project, name).await;
            let target =
                target.map_err(|error| Error::definition("models", format!("{name}: {}", batch::told(&error))))?;
            found.insert(name.clone(), target);
        }
        Ok(found)
    }

    /// Deletes a leaderboard with all of its versions and their rows. Queries that begin after this do not see them, and compaction
    /// takes them off the disk.
    ///
    /// # Errors
    /// [`Error::Running`] while one of its versions runs; [`Error::Catalog`] when there is none.
    pub async fn delete(&self, project: ProjectId, name: &ArtifactName, actor: &str) -> Result<()> {
        let versions = self.catalog.all_versions(project, ArtifactKind::Leaderboard, name).await?;
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
        Ok(catalog.remove_artifact(project, ArtifactKind::Leaderboard, name).await?)
    }

    /// The versions of a leaderboard, the newest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn versions(&self, project: ProjectId, name: &ArtifactName) -> Result<Vec<VersionInfo>> {
        Ok(self.catalog.all_versions(project, ArtifactKind::Leaderboard, name).await?)
    }

    /// Goes on with a leaderboard that has stopped, was cancelled, failed, or has documents that failed.
    ///
    /// # Errors
    /// [`Error::Running`] while it runs.
    pub async fn resume(&self, board: &Leaderboard, retry_failed: bool, budget: Option<Budget>) -> Result<Leaderboard> {
        let running = |job: JobId| Error::Running { name: board.info.name.to_string(), job };
        if let Some(job) = board.standing.going() {
            return Err(running(job));
        }
        match self.begin(board, retry_failed, budget).await? {
            (Leaderboard { standing: WorkStanding { job: Some(job), .. }, .. }, false) => Err(running(job)),
            (begun, _) => Ok(begun),
        }
    }

    /// Queues a job, unless somebody else did since the leaderboard was read. Says whether it did.
    async fn begin(
        &self,
        board: &Leaderboard,
        retry_failed: bool,
        budget: Option<Budget>,
    ) -> Result<(Leaderboard, bool)> {
        let kind: JobKind = KIND.parse().expect("the word is a kind of job");
        let request = RunRequest { leaderboard: board.info.id, retry_failed, budget };
        let (version, project, before) = (board.info.id, board.info.project, board.standing.job);
        let begun = self.catalog.begin_experiment(version, before, (&kind, json!(request)), project).await?;
        let standing = self.catalog.standing_of(board.info.id).await?;
        Ok((Leaderboard { standing, ..board.clone() }, begun.is_some()))
    }

    /// A version of a leaderboard.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn get(&self, project: ProjectId, name: &ArtifactName, which: &VersionRef) -> Result<Leaderboard> {
        self.read(self.catalog.version(project, ArtifactKind::Leaderboard, name, which).await?).await
    }

    async fn read(&self, version: qd_catalog::Version) -> Result<Leaderboard> {
        let standing = self.catalog.standing_of(version.info.id).await?;
        Ok(Leaderboard { content: version.read_content()?, standing, info: version.info })
    }

    /// The latest versions of all leaderboards of a project, the newest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be read.
    pub async fn list(&self, project: ProjectId) -> Result<Vec<Leaderboard>> {
        let mut known = self.catalog.artifacts(project, ArtifactKind::Leaderboard).await?;
        known.sort_by_key(|artifact| std::cmp::Reverse(artifact.updated));
        let mut found = Vec::new();
        for artifact in known.into_iter().take(MOST_LISTED) {
            found.push(self.get(project, &artifact.name, &VersionRef::Latest).await?);
        }
        Ok(found)
    }

    /// What came of a leaderboard so far.
    ///
    /// # Errors
    /// [`Error::Lake`] when the rows cannot be read, [`Error::Definition`] when its documents are not there any more.
    pub async fn report(&self, board: &Leaderboard, filter: Filter) -> Result<Report> {
        let Content { definition, models: targets, .. } = &board.content;
        let mut models = Vec::with_capacity(definition.models.len());
        for model in &definition.models {
            models.push((model.clone(), Facts::of(&self.gateway, &self.models, targets.get(model)).await?));
        }
        let style = definition.style;
        let wanted = Asked {
            version: board.info.id,
            stamp: table::stamp(&self.lake, board.info.id).await?,
            models: models.clone(),
            filter: filter.clone(),
        };
        let place = self.desk.place().await;
        let is_going = board.standing.going().is_some();
        if let Some(known) = self.desk.known(&wanted, is_going) {
            return Ok(known);
        }
        let begun = Instant::now();
        let work = move |results: &Results<'_>, _: &Plan| results.report(style, models, &filter);
        let made = self.with_results(board, "making a report", work).await?;
        self.desk.keep(wanted, made.clone(), begun.elapsed());
        drop(place);
        Ok(made)
    }

    /// The documents of a task with what a model said about them.
    ///
    /// # Errors
    /// As [`Leaderboards::report`], and [`Error::Definition`] for a task or a model that it has not.
    pub async fn documents(&self, board: &Leaderboard, model: &str, task: &str) -> Result<Vec<DocumentReport>> {
        let models = &board.content.definition.models;
        if !models.iter().any(|known| known == model) {
            return Err(Error::definition("model", format!("{model:?} is not in it; it has {}", models.join(", "))));
        }
        let (model, task) = (model.to_owned(), task.to_owned());
        let work = move |results: &Results<'_>, plan: &Plan| {
            let there = || plan.parts().map(|part| part.id.as_str()).collect::<Vec<_>>().join(", ");
            let part = plan.parts().find(|part| part.id == task);
            let part =
                part.ok_or_else(|| Error::definition("task", format!("{task:?} is not in it; it has {}", there())))?;
            results.documents(&model, part)
        };
        let _place = self.desk.place().await;
        self.with_results(board, "reading documents", work).await
    }

    /// Reads the rows of a leaderboard and does something with them beside the threads that answer.
    async fn with_results<T: Send + 'static>(
        &self,
        board: &Leaderboard,
        doing: &'static str,
        work: impl FnOnce(&Results<'_>, &Plan) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let plan = plan::plan(&self.datasets, board.info.project, &board.content.definition).await?;
        let mut rows = table::answered(&self.lake, board.info.id).await?;
        let content = board.content.clone();
        let work = move || {
            plan.keep_current(&mut rows, &content);
            work(&Results::new(&plan, &rows), &plan)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { doing })?
    }
}
