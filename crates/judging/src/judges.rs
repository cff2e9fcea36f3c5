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

    /// The same judges in the hands of `actor`, who is noted with what is made.
    ///
    /// # Errors
    /// [`Error::Catalog`] for what is no name of an actor.
    pub fn acting(&self, actor: &str) -> Result<Self> {
        Ok(Self { catalog: self.catalog.acting(actor)?, ..self.clone() })
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
        self.acting(actor)?.put(project, name, definition).await
    }

    async fn put(&self, project: ProjectId, name: &ArtifactName, definition: Definition) -> Result<Stored> {
        let judge = Judge::new(&definition)?;
        let models = self.models(project, &definition).await?;
        let content = json!(Content { definition, models }).to_string();
        let put =
            self.catalog.put_version(project, ArtifactKind::Judge, name, content.as_bytes(), json!({}), &[]).await?;
        let Content { models, .. } = put.read_content()?;
        Ok(Stored { info: put.info, judge, models })
    }

    /// What the models of a definition stand for.
    async fn models(&self, project: ProjectId, definition: &Definition) -> Result<BTreeMap<ModelName, Pinned>> {
        let mut models = BTreeMap::new();
        for model in models_of(definition) {
            let pinned = self.gateway.resolve(project, model.as_str()).await;
            let why = |error| Error::Model { model: model.to_string(), why: batch::told(&error) };
            models.insert(model.clone(), pinned.map_err(why)?);
        }
        Ok(models)
    }

    /// What [`Judges::find`] would find, without making an artifact of a ready judge: for whoever may still refuse.
    ///
    /// # Errors
    /// As [`Judges::find`].
    pub async fn look_up(&self, project: ProjectId, reference: &str) -> Result<Judge> {
        let Some((ready, model)) = ready_of(reference) else {
            return Ok(self.find(project, reference).await?.judge);
        };
        let (_, definition) = ready_with(ready, model)?;
        self.models(project, &definition).await?;
        Ok(Judge::new(&definition)?)
    }

    /// What [`Judges::find`] would find, if it is an artifact by now.
    ///
    /// # Errors
    /// As [`Judges::find`].
    pub(crate) async fn find_made(&self, project: ProjectId, reference: &str) -> Result<Option<Stored>> {
        let Some((ready, model)) = ready_of(reference) else { return self.find(project, reference).await.map(Some) };
        let (name, _) = ready_with(ready, model)?;
        match self.get(project, &name, &VersionRef::Latest).await {
            Ok(stored) => Ok(Some(stored)),
            Err(Error::Catalog(qd_catalog::Error::NotFound { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The judge that is meant by `name`, `name@3`, `name@label` or `ready/NAME@MODEL`. A ready judge with a model becomes an
    /// artifact when it is first meant: its judgements are those of a version.
    ///
    /// # Errors
    /// [`Error::Request`] for what means none, [`Error::Catalog`] when there is none, and others as [`Judges::create`].
    pub async fn find(&self, project: ProjectId, reference: &str) -> Result<Stored> {
        if let Some((ready, model)) = ready_of(reference) {
            let (name, definition) = ready_with(ready, model)?;
            return self.put(project, &name, definition).await;
        }
        let (name, which) = split(reference);
        let wrong = |error: qd_base::Error| Error::request("judge", error.to_string());
        let name: ArtifactName = name.trim().parse().map_err(wrong)?;
        let which = which.map_or(Ok(VersionRef::Latest), |which| which.trim().parse()).map_err(wrong)?;
        self.get(project, &name, &which).await
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

/// The name and what stands behind its `@`.
fn split(reference: &str) -> (&str, Option<&str>) {
    reference.split_once('@').map_or((reference, None), |(name, which)| (name, Some(which)))
}

/// The ready judge that a reference means, and its model; none of another judge.
fn ready_of(reference: &str) -> Option<(&str, Option<&str>)> {
    let (name, model) = split(reference);
    let ready = name.strip_prefix(READY).filter(|ready| !ready.contains('/'))?;
    Some((ready, model))
}

/// A ready judge with a model: what it is called as an artifact, and what it is.
fn ready_with(ready: &str, model: Option<&str>) -> Result<(ArtifactName, Definition)> {
    let wrong = |error: qd_base::Error| Error::request("judge", error.to_string());
    let definition = ready::find(ready)?;
    let needs = || format!("a ready judge needs a model: write ready/{ready}@MODEL");
    let model: ModelName = model.ok_or_else(|| Error::request("judge", needs()))?.parse().map_err(wrong)?;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_./".contains(c) { c } else { '_' };
    let slug: String = model.as_str().chars().take(MOST_MODEL_CHARS).map(plain).collect();
    let name = format!("{READY}{ready}/{slug}").parse().map_err(wrong)?;
    Ok((name, Definition { model: Some(model), ..definition }))
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
