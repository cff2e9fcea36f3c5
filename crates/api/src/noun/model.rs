//! `/api/v1/models`: which models there are, pulling and removing them, loading and unloading.

use axum::extract::State;
use http::StatusCode;
use qd_base::id::{JobId, VersionId};
use qd_base::name::{Label, ModelName};
use qd_base::time::Timestamp;
use qd_catalog::{JobFilter, JobState, Page, Scope};
use qd_model::job::{KIND, PullRequest};
use qd_model::{Format, InstalledVersion, Manifest, ModelKind, ModelRecord};
use qd_serve::LoadedModel;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Change, Json as JsonBody, Path, Query};
use crate::noun::job::JobBody;
use crate::noun::label::LabelMove;
use crate::permission::{Caller, Permission};
use crate::reply::{Accepted, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, admin) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Admin));
    let all = Doc::new("Local models", "listLocalModels", "Models of the catalogue and installed ones")
        .gives::<ModelList>(200, "The models");
    let one = Doc::new("Local models", "getLocalModel", "One model, by name, alias or name@version")
        .gives::<ModelBody>(200, "The model");
    let fetch = Doc::new("Local models", "pullModel", "Fetch and install a model of the catalogue")
        .text("Answers with a job, which goes on after a crash. While a pull of the same model is under way, that job is the answer.")
        .takes::<Pull>()
        .gives::<JobBody>(202, "The job");
    let gone = Doc::new("Local models", "removeModel", "Unload a model and delete its files")
        .gives::<RemovedBody>(200, "What was freed");
    let up = Doc::new("Local models", "loadModel", "Load an installed model into memory")
        .gives::<LoadedBody>(200, "The model in the engine");
    let point = Doc::new("Local models", "putModelLabel", "Point a label at a version of an installed model")
        .text("Calls that ask for `name@label` get that version from then on. Of several who move a label from the same version, one succeeds; the others get 409.")
        .takes::<LabelMove>()
        .gives::<ModelBody>(200, "The model with its labels");
    let unpoint = Doc::new("Local models", "removeModelLabel", "Take a label away from a model")
        .query::<LabelQuery>()
        .gives::<ModelBody>(200, "The model with its labels");
    let down = Doc::new("Local models", "unloadModel", "Free a model's memory, once its accepted requests are done")
        .gives_nothing("It is not loaded");
    vec![
        Route::get("/api/v1/models", read, all, list),
        Route::post("/api/v1/models/pull", admin, fetch, pull),
        Route::get("/api/v1/models/{name}", read, one, show),
        Route::delete("/api/v1/models/{name}", admin, gone, remove),
        Route::put("/api/v1/models/{name}/labels/{label}", admin, point, set_label),
        Route::delete("/api/v1/models/{name}/labels/{label}", admin, unpoint, remove_label),
        Route::post("/api/v1/models/{name}/load", admin, up, load).of_inference(),
        Route::post("/api/v1/models/{name}/unload", admin, down, unload).of_inference(),
    ]
}

async fn list(State(surface): State<Shared>) -> Result<Json<ModelList>> {
    let records = surface.app.models.list().await?;
    let loaded = surface.app.engine.loaded();
    Ok(Json(ModelList { data: records.into_iter().map(|record| ModelBody::of(record, &loaded)).collect() }))
}

async fn show(State(surface): State<Shared>, Path(name): Path<String>) -> Result<Json<ModelBody>> {
    let record = surface.app.models.show(&name).await?;
    Ok(Json(ModelBody::of(record, &surface.app.engine.loaded())))
}

async fn pull(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(wanted): JsonBody<Pull>,
) -> Result<Accepted<JobBody>> {
    let entry = surface
        .app
        .models
        .catalogue()
        .find(&wanted.name)
        .ok_or_else(|| qd_model::Error::Unknown { name: wanted.name.clone() })?;
    let name = entry.name.to_string();
    let id = match pulling(&surface, &caller, &name).await? {
        Some(id) => id,
        None => {
            let kind = KIND.parse()?;
            surface.app.catalog.audit(&caller.actor(), "pull", "model", &name, json!({})).await?;
            let payload = serde_json::to_value(PullRequest { name }).map_err(Error::encode)?;
            surface.app.catalog.enqueue(&kind, payload, caller.project()).await?
        }
    };
    let job = surface.app.catalog.job(id).await?;
    Ok(Accepted(job.into()))
}

/// The job that is pulling this model already, if one is.
async fn pulling(surface: &Surface, caller: &Caller, name: &str) -> Result<Option<JobId>> {
    for state in [JobState::Running, JobState::Queued] {
        let filter = JobFilter { project: Some(caller.project()), kind: Some(KIND.parse()?), state: Some(state) };
        let jobs = surface.app.catalog.jobs(&filter, Page::first(100)).await?;
        if let Some(job) = jobs.items.iter().find(|job| job.payload["name"] == name && !job.cancel_requested) {
            return Ok(Some(job.id));
        }
    }
    Ok(None)
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<Json<RemovedBody>> {
    let record = surface.app.models.show(&name).await?;
    // Before anything is unloaded: a model that stays must go on answering.
    surface.app.models.check_removable(record.name.as_str()).await?;
    unload_all(&surface, &record.name).await?;
    let removed = surface.app.models.remove(record.name.as_str()).await?;
    let detail = json!({ "versions": removed.versions, "freed_bytes": removed.freed_bytes });
    surface.app.catalog.audit(&caller.actor(), "remove", "model", record.name.as_str(), detail).await?;
    Ok(Json(RemovedBody { versions: removed.versions, freed_bytes: removed.freed_bytes }))
}

async fn set_label(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, label)): Path<(String, Label)>,
    JsonBody(wanted): JsonBody<LabelMove>,
) -> Result<Json<ModelBody>> {
    let expected = match wanted.expected {
        Change::Absent => None,
        Change::Null => Some(None),
        Change::Value(version) => Some(Some(version)),
    };
    let models = &surface.app.models;
    let record = models.set_label(&caller.actor(), &name, &label, expected, wanted.version).await?;
    Ok(Json(ModelBody::of(record, &surface.app.engine.loaded())))
}

async fn remove_label(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, label)): Path<(String, Label)>,
    Query(query): Query<LabelQuery>,
) -> Result<Json<ModelBody>> {
    let record = surface.app.models.remove_label(&caller.actor(), &name, &label, query.expected).await?;
    Ok(Json(ModelBody::of(record, &surface.app.engine.loaded())))
}

async fn load(State(surface): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<Json<LoadedBody>> {
    let in_engine = surface.app.gateway.load(&name).await?;
    surface.app.catalog.audit(&caller.actor(), "load", "model", in_engine.as_str(), json!({})).await?;
    let loaded = surface.app.engine.loaded().into_iter().find(|model| model.name == in_engine);
    // Somebody may have unloaded it in between.
    loaded.map(|model| Json(model.into())).ok_or_else(|| Error::missing("loaded model", name))
}

async fn unload(State(surface): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode> {
    let record = surface.app.models.show(&name).await?;
    if unload_all(&surface, &record.name).await? == 0 {
        return Err(Error::missing("loaded model", name));
    }
    surface.app.catalog.audit(&caller.actor(), "unload", "model", record.name.as_str(), json!({})).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unloads every version of a model that is in the engine, and tells how many those were.
async fn unload_all(surface: &Surface, name: &ModelName) -> Result<usize> {
    let loaded = surface.app.engine.loaded();
    let versions: Vec<_> = loaded.into_iter().filter(|model| is_of(model, name)).collect();
    for model in &versions {
        surface.app.engine.unload(&model.name).await?;
    }
    Ok(versions.len())
}

/// The engine calls a version of a model `name@version`.
fn is_of(loaded: &LoadedModel, name: &ModelName) -> bool {
    let base = loaded.name.as_str().rsplit_once('@').map_or(loaded.name.as_str(), |(base, _)| base);
    base == name.as_str()
}

/// A model to be pulled.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pull {
    /// Its name or alias in the catalogue.
    pub name: String,
}

/// Where a label is believed to be.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LabelQuery {
    /// The version where the label is believed to be now; when it is elsewhere, nothing is changed and the answer is 409.
    expected: Option<u32>,
}

/// Models.
#[derive(Serialize, ToSchema)]
pub struct ModelList {
    /// Those of the catalogue first, then others that are installed.
    pub data: Vec<ModelBody>,
}

/// A model of the catalogue, or an installed one.
#[derive(Serialize, ToSchema)]
#[schema(as = LocalModel)]
pub struct ModelBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ModelName,
    /// Other names for the same.
    #[schema(value_type = Vec<String>)]
    pub aliases: Vec<ModelName>,
    /// One sentence about it.
    pub description: Option<String>,
    /// `chat`, `completion` or `embedding`.
    #[schema(value_type = String)]
    pub kind: ModelKind,
    /// `gguf` or `safetensors`.
    #[schema(value_type = String)]
    pub format: Format,
    /// All files together.
    pub size_bytes: u64,
    /// An SPDX id, or the name of the terms that apply.
    pub licence: Option<String>,
    /// Tokens of context.
    pub context: Option<u64>,
    /// The latest installed version; null when it has to be pulled.
    pub installed: Option<InstalledBody>,
    /// What of it is in the engine now.
    pub loaded: Vec<LoadedBody>,
}

/// An installed version of a model.
#[derive(Serialize, ToSchema)]
#[schema(as = InstalledModel)]
pub struct InstalledBody {
    /// Its number.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was installed.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// Labels and the versions that they point at.
    pub labels: Vec<LabelBody>,
    /// What it consists of: files, architecture, quantisation, chat template.
    #[schema(value_type = Object)]
    pub manifest: Manifest,
}

/// A label and the version that it points at.
#[derive(Serialize, ToSchema)]
#[schema(as = Label)]
pub struct LabelBody {
    /// The label.
    #[schema(value_type = String)]
    pub label: Label,
    /// The version's number.
    pub version: u32,
}

/// A model in the engine.
#[derive(Serialize, ToSchema)]
#[schema(as = LoadedModel)]
pub struct LoadedBody {
    /// The engine's name of it: the model's, `@`, and the version's number.
    #[schema(value_type = String)]
    pub name: ModelName,
    /// Tokens that one request may have.
    pub context: usize,
    /// Requests that are computed together.
    pub slots: usize,
    /// Counters and gauges since it was loaded.
    #[schema(value_type = Object)]
    pub stats: serde_json::Value,
}

/// What a removal gave back.
#[derive(Serialize, ToSchema)]
#[schema(as = RemovedModel)]
pub struct RemovedBody {
    /// Versions that are gone.
    pub versions: u64,
    /// Disk space that is free again.
    pub freed_bytes: u64,
}

impl ModelBody {
    fn of(record: ModelRecord, loaded: &[LoadedModel]) -> Self {
        let loaded = loaded.iter().filter(|model| is_of(model, &record.name)).cloned().map(LoadedBody::from).collect();
        Self {
            name: record.name,
            aliases: record.aliases,
            description: record.description,
            kind: record.kind,
            format: record.format,
            size_bytes: record.size_bytes,
            licence: record.licence,
            context: record.context,
            installed: record.installed.map(InstalledBody::from),
            loaded,
        }
    }
}

impl From<InstalledVersion> for InstalledBody {
    fn from(version: InstalledVersion) -> Self {
        let labels = version.labels.into_iter().map(|(label, version)| LabelBody { label, version }).collect();
        Self { version: version.version, id: version.id, created: version.created, labels, manifest: version.manifest }
    }
}

impl From<LoadedModel> for LoadedBody {
    fn from(model: LoadedModel) -> Self {
        // Numbers only, which JSON can always tell.
        let stats = serde_json::to_value(model.stats).unwrap_or_default();
        Self { name: model.name, context: model.context, slots: model.slots, stats }
    }
}
