//! Judges as artifacts: what one is, is the content of a version, with what its models stood for when it was made.

use std::collections::BTreeMap;

use qd_base::{ArtifactName, ModelName, ProjectId, ProjectName, VersionId};
use qd_catalog::{Artifact, ArtifactKind, Catalog, Page, Version, VersionInfo, VersionRef};
use qd_gateway::{CallContext, Gateway, Pinned, batch};
use qd_judge::{Definition, Judge, Method, ready};
use qd_lake::Lake;
use qd_trace::JUDGE_TAG;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::asking::{self, Judged};
use crate::{Error, Result};

/// With what the names of ready judges begin.
const READY: &str = "ready/";
/// Characters of a model's name in the name of a ready judge.
const MOST_MODEL_CHARS: usize = 80;

/// Artifacts of judges. Cheap to clone.
#[derive(Clone)]
pub struct Judges {
    pub(crate) catalog: Catalog,
    pub(crate) lake: Lake,
    pub(crate) gateway: Gateway,
}

/// The content of a version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Content {
    /// What is asked, and how.
    pub definition: Definition,
    /// What each name of a model stood for when the version was made.
    pub models: BTreeMap<ModelName, Pinned>,
}

/// A version of a judge, ready to be asked.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Which one.
    pub info: VersionInfo,
    /// What it asks.
    pub judge: Judge,
    /// What the names of its models stand for: nobody else is asked.
    pub models: BTreeMap<ModelName, Pinned>,
}

impl Judges {
    /// Judges over these rooms.
    pub fn new(catalog: Catalog, lake: Lake, gateway: Gateway) -> Self {
        Self { catalog, lake, gateway }
    }

    /// Makes a version of a judge. The same definition with the same models as the latest version's is that version.
    ///
    /// # Errors
    /// [`Error::Judge`] for what cannot be asked, [`Error::Model`] for a model that cannot, [`Error::Request`] for a name that
    /// belongs to a ready judge.
    pub async fn create(
        &self,
        project: ProjectId,
        name: &ArtifactName,
        definition: Definition,
        actor: &str,
    ) -> Result<Stored> {
        if name.as_str().starts_with(READY) || format!("{name}/") == READY {
            return Err(Error::request("name", "'ready' and names that begin with 'ready/' are those of ready judges"));
        }
        self.put(&self.catalog.acting(actor)?, project, name, definition).await
    }

    async fn put(
        &self,
        catalog: &Catalog,
        project: ProjectId,
        name: &ArtifactName,
        definition: Definition,
    ) -> Result<Stored> {
        let judge = Judge::new(&definition)?;
        let mut models = BTreeMap::new();
        for model in models_of(&definition) {
            let pinned = self.gateway.resolve(project, model.as_str()).await;
            let why = |error| Error::Model { model: model.to_string(), why: batch::told(&error) };
            models.insert(model.clone(), pinned.map_err(why)?);
        }
        let content = json!(Content { definition, models }).to_string();
        let put = catalog.put_version(project, ArtifactKind::Judge, name, content.as_bytes(), json!({}), &[]).await?;
        let Content { models, .. } = put.read_content()?;
        Ok(Stored { info: put.info, judge, models })
    }

    /// The judge that is meant by `name`, `name@3`, `name@label` or `ready/NAME@MODEL`. A ready judge with a model becomes an
    /// artifact when it is first meant: its judgements are those of a version.
    ///
    /// # Errors
    /// [`Error::Request`] for what means none, [`Error::Catalog`] when there is none, and others as [`Judges::create`].
    pub async fn find(&self, project: ProjectId, reference: &str) -> Result<Stored> {
        let (name, which) = reference.split_once('@').map_or((reference, None), |(name, which)| (name, Some(which)));
        let ready = name.strip_prefix(READY).filter(|ready| !ready.contains('/'));
        if let Some(ready) = ready {
            return self.find_ready(project, ready, which).await;
        }
        let wrong = |error: qd_base::Error| Error::request("judge", error.to_string());
        let name: ArtifactName = name.trim().parse().map_err(wrong)?;
        let which = which.map_or(Ok(VersionRef::Latest), |which| which.trim().parse()).map_err(wrong)?;
        self.get(project, &name, &which).await
    }

    async fn find_ready(&self, project: ProjectId, ready: &str, model: Option<&str>) -> Result<Stored> {
        let definition = ready::find(ready)?;
        let needs = || format!("a ready judge needs a model: write ready/{ready}@MODEL");
        let model = model.ok_or_else(|| Error::request("judge", needs()))?;
        let model: ModelName =
            model.parse().map_err(|error: qd_base::Error| Error::request("judge", error.to_string()))?;
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_./".contains(c) { c } else { '_' };
        let slug: String = model.as_str().chars().take(MOST_MODEL_CHARS).map(plain).collect();
        let name: ArtifactName = format!("{READY}{ready}/{slug}")
            .parse()
            .map_err(|error: qd_base::Error| Error::request("judge", error.to_string()))?;
        self.put(&self.catalog, project, &name, Definition { model: Some(model), ..definition }).await
    }

    /// A version of a judge.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn get(&self, project: ProjectId, name: &ArtifactName, which: &VersionRef) -> Result<Stored> {
        read(self.catalog.version(project, ArtifactKind::Judge, name, which).await?)
    }

    /// The version of this identifier.
    ///
    /// # Errors
    /// [`Error::Catalog`] when there is none.
    pub async fn by_id(&self, judge: VersionId) -> Result<Stored> {
        read(self.catalog.version_by_id(judge).await?)
    }

    /// The judges of a project, by name.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be listed.
    pub async fn list(&self, project: ProjectId) -> Result<Vec<Artifact>> {
        Ok(self.catalog.artifacts(project, ArtifactKind::Judge).await?)
    }

    /// The versions of a judge, the newest first.
    ///
    /// # Errors
    /// [`Error::Catalog`] when they cannot be listed.
    pub async fn versions(&self, project: ProjectId, name: &ArtifactName) -> Result<Vec<VersionInfo>> {
        Ok(self.catalog.versions(project, ArtifactKind::Judge, name, Page::default()).await?.items)
    }

    /// Judges one item, by calls that are traced as `context` says.
    ///
    /// # Errors
    /// [`Error::Judge`] for an item that the judge cannot take.
    pub async fn ask(
        &self,
        judge: &Stored,
        context: &CallContext,
        values: &Map<String, Value>,
        gives_up: &CancellationToken,
    ) -> Result<Judged> {
        Ok(judge.ask(&self.gateway, context, values, gives_up).await?)
    }

    /// Judges one item now.
    ///
    /// # Errors
    /// [`Error::Judge`] for an item that the judge cannot take.
    pub async fn run(&self, judge: &Stored, values: &Map<String, Value>, stop: &CancellationToken) -> Result<Judged> {
        let project = self.catalog.project_by_id(judge.info.project).await?.name;
        self.ask(judge, &judge.calls(project), values, stop).await
    }
}

impl Stored {
    /// How its calls are traced, and whom they ask.
    pub fn calls(&self, project: ProjectName) -> CallContext {
        let mut context = CallContext::of(self.info.project, project);
        context.tags = vec![format!("{JUDGE_TAG}{}@{}", self.info.name, self.info.number)];
        context.pinned = self.models.values().next().filter(|_| self.models.len() == 1).cloned();
        context
    }

    /// Judges an item with the models that the version was made with.
    ///
    /// # Errors
    /// As [`asking::judge`].
    pub async fn ask(
        &self,
        gateway: &Gateway,
        context: &CallContext,
        values: &Map<String, Value>,
        gives_up: &CancellationToken,
    ) -> qd_judge::Result<Judged> {
        asking::judge_pinned(gateway, context, &self.judge, &self.models, values, gives_up).await
    }

    /// `name@3`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.info.name, self.info.number)
    }
}

fn read(version: Version) -> Result<Stored> {
    let Content { definition, models } = version.read_content()?;
    Ok(Stored { judge: Judge::new(&definition)?, info: version.info, models })
}

/// The models that a judge asks.
fn models_of(definition: &Definition) -> Vec<&ModelName> {
    match &definition.method {
        Method::Jury { jurors, .. } => jurors.iter().flat_map(models_of).collect(),
        _ => definition.model.iter().collect(),
    }
}
