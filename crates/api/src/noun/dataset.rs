//! `/api/v1/datasets`: rows in versions, imported, looked at, changed, compared and split.

mod change;
mod rows;
mod upload;

use axum::extract::State;
use http::StatusCode;
use qd_base::id::VersionId;
use qd_base::name::{ArtifactName, Label};
use qd_base::time::Timestamp;
use qd_catalog::{ArtifactKind, Page, Scope, VersionInfo, VersionRef};
use qd_data::{Column, ColumnType, Content, Dataset, Role};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Change, Json as JsonBody, Path, Query};
use crate::noun::label::LabelMove;
use crate::noun::model::LabelBody;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::{Shared, Surface};

const KIND: ArtifactKind = ArtifactKind::Dataset;
/// Versions that are given with a dataset.
const NEWEST: u32 = 50;

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all =
        Doc::new("Datasets", "listDatasets", "Datasets, by name").gives::<DatasetList>(200, "All of the project's");
    let one = Doc::new("Datasets", "getDataset", "One dataset, with its newest versions")
        .gives::<DatasetDetail>(200, "The dataset");
    let gone = Doc::new("Datasets", "removeDataset", "Remove a dataset with all its versions")
        .text("What was made from it keeps its lineage. Files that no other version names are removed from the disk.")
        .gives_nothing("It is gone");
    let versions = Doc::new("Datasets", "listDatasetVersions", "Versions of a dataset, newest first")
        .query::<VersionQuery>()
        .gives::<DatasetVersionList>(200, "One page of them");
    let version = Doc::new("Datasets", "getDatasetVersion", "One version, by its number, a label or `latest`")
        .gives::<DatasetVersionDetail>(200, "The version, and where it comes from");
    let point = Doc::new("Datasets", "putDatasetLabel", "Point a label at a version")
        .text("Of several who move a label from the same version, one succeeds; the others get 409.")
        .takes::<LabelMove>()
        .gives::<DatasetDetail>(200, "The dataset with its labels");
    let unpoint = Doc::new("Datasets", "removeDatasetLabel", "Take a label away")
        .gives::<DatasetDetail>(200, "The dataset with its labels");
    let routes = vec![
        Route::get("/api/v1/datasets", read, all, list),
        Route::get("/api/v1/datasets/{name}", read, one, show),
        Route::delete("/api/v1/datasets/{name}", write, gone, remove),
        Route::get("/api/v1/datasets/{name}/versions", read, versions, list_versions),
        Route::get("/api/v1/datasets/{name}/versions/{version}", read, version, show_version),
        Route::put("/api/v1/datasets/{name}/labels/{label}", write, point, set_label),
        Route::delete("/api/v1/datasets/{name}/labels/{label}", write, unpoint, remove_label),
    ];
    routes.into_iter().chain(rows::routes()).chain(change::routes()).chain(upload::routes()).collect()
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<DatasetList>> {
    let datasets = &surface.app.datasets;
    let mut data = Vec::new();
    for known in datasets.list(caller.project()).await? {
        // It may have been removed meanwhile.
        let Ok(version) = surface.app.catalog.version(caller.project(), KIND, &known.name, &VersionRef::Latest).await
        else {
            continue;
        };
        let content: Content = version.read_content()?;
        data.push(DatasetSummary {
            name: known.name,
            latest: known.latest,
            versions: known.versions,
            rows: content.rows,
            bytes: content.bytes,
            columns: content.columns.into_iter().map(ColumnBody::from).collect(),
            created: known.created,
            updated: known.updated,
        });
    }
    Ok(Json(DatasetList { data }))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
) -> Result<Json<DatasetDetail>> {
    detail(&surface, &caller, name).await.map(Json)
}

async fn detail(surface: &Surface, caller: &Caller, name: ArtifactName) -> Result<DatasetDetail> {
    let catalog = &surface.app.catalog;
    let newest = catalog.versions(caller.project(), KIND, &name, Page::first(NEWEST)).await?;
    let labels = catalog.labels(caller.project(), KIND, &name).await?;
    let latest = surface.app.datasets.open(caller.project(), &name, &VersionRef::Latest).await?;
    Ok(DatasetDetail {
        name,
        latest: DatasetVersionBody::from(&latest),
        versions: newest.items.into_iter().map(VersionLine::from).collect(),
        next_cursor: newest.next,
        labels: labels.into_iter().map(|found| LabelBody { label: found.label, version: found.number }).collect(),
    })
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<ArtifactName>) -> Result<StatusCode> {
    surface.app.datasets.acting(&caller.actor())?.remove(caller.project(), &name).await?;
    let datasets = surface.app.datasets.clone();
    // Reading which files are still named takes a while, and nobody has to wait for it.
    tokio::spawn(async move {
        match datasets.sweep().await {
            Ok(swept) => tracing::info!(files = swept.blobs, swept.bytes, "removed files of a dataset that is gone"),
            Err(error) => tracing::error!(%error, "files of a dataset that is gone could not be swept"),
        }
    });
    Ok(StatusCode::NO_CONTENT)
}

async fn list_versions(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<VersionQuery>,
) -> Result<Json<DatasetVersionList>> {
    let page = Page::maybe_after(query.limit.unwrap_or(100), query.cursor);
    let found = surface.app.catalog.versions(caller.project(), KIND, &name, page).await?;
    if found.items.is_empty() && query.cursor.is_none() {
        return Err(Error::missing("dataset", name));
    }
    let data = found.items.into_iter().map(VersionLine::from).collect();
    Ok(Json(DatasetVersionList { data, next_cursor: found.next }))
}

async fn show_version(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, version)): Path<(ArtifactName, String)>,
) -> Result<Json<DatasetVersionDetail>> {
    let dataset = opened(&surface, &caller, &name, &version).await?;
    let lineage = surface.app.catalog.lineage(dataset.info().id).await?;
    let near = |relatives: Vec<qd_catalog::Relative>| {
        let visible = relatives.into_iter().filter(|relative| caller.reaches(relative.version.project));
        visible.map(RelativeBody::from).collect()
    };
    Ok(Json(DatasetVersionDetail {
        version: DatasetVersionBody::from(&dataset),
        made_from: near(lineage.up),
        made_into: near(lineage.down),
    }))
}

async fn set_label(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, label)): Path<(ArtifactName, Label)>,
    JsonBody(wanted): JsonBody<LabelMove>,
) -> Result<Json<DatasetDetail>> {
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let expected = match wanted.expected {
        Change::Absent => at(&surface, &caller, &name, &label).await?,
        Change::Null => None,
        Change::Value(version) => Some(version),
    };
    catalog.set_label(caller.project(), KIND, &name, &label, expected, wanted.version).await?;
    detail(&surface, &caller, name).await.map(Json)
}

async fn remove_label(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, label)): Path<(ArtifactName, Label)>,
) -> Result<Json<DatasetDetail>> {
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let found = at(&surface, &caller, &name, &label).await?.ok_or_else(|| Error::missing("label", &label))?;
    catalog.remove_label(caller.project(), KIND, &name, &label, found).await?;
    detail(&surface, &caller, name).await.map(Json)
}

/// The version that a label points at.
async fn at(surface: &Surface, caller: &Caller, name: &ArtifactName, label: &Label) -> Result<Option<u32>> {
    let labels = surface.app.catalog.labels(caller.project(), KIND, name).await?;
    Ok(labels.into_iter().find(|found| found.label == *label).map(|found| found.number))
}

/// The version that is meant by its number, a label or `latest`.
async fn opened(surface: &Surface, caller: &Caller, name: &ArtifactName, version: &str) -> Result<Dataset> {
    let which: VersionRef = version.parse().map_err(|cause: qd_base::Error| {
        Error::parameter("version", "invalid_value", format!("Invalid 'version': {cause}."))
    })?;
    Ok(surface.app.datasets.open(caller.project(), name, &which).await?)
}

/// Which page of versions.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct VersionQuery {
    /// At most this many, of 1000 at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<u32>,
}

/// Datasets.
#[derive(Serialize, ToSchema)]
pub struct DatasetList {
    /// The datasets.
    pub data: Vec<DatasetSummary>,
}

/// A dataset in a list.
#[derive(Serialize, ToSchema)]
pub struct DatasetSummary {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// The number of its latest version.
    pub latest: u32,
    /// How many versions it has.
    pub versions: u64,
    /// Rows of the latest version.
    pub rows: u64,
    /// The size of its files.
    pub bytes: u64,
    /// Its columns.
    pub columns: Vec<ColumnBody>,
    /// When its first version was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When its latest version was made.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
}

/// A column of a dataset.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetColumn)]
pub struct ColumnBody {
    /// Its name.
    pub name: String,
    /// `text`, `integer`, `number`, `boolean` or `json`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: ColumnType,
    /// `id`, `input`, `messages`, `reference`, `context`, `label`, `variables` or `metadata`.
    #[schema(value_type = String)]
    pub role: Role,
}

impl From<Column> for ColumnBody {
    fn from(column: Column) -> Self {
        Self { name: column.name, kind: column.kind, role: column.role }
    }
}

/// A dataset.
#[derive(Serialize, ToSchema)]
pub struct DatasetDetail {
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its latest version.
    pub latest: DatasetVersionBody,
    /// Its newest versions, the newest first.
    pub versions: Vec<VersionLine>,
    /// Asks for those before them; null when these are all.
    pub next_cursor: Option<u32>,
    /// Labels and the versions that they point at.
    pub labels: Vec<LabelBody>,
}

/// One page of versions.
#[derive(Serialize, ToSchema)]
pub struct DatasetVersionList {
    /// The versions, newest first.
    pub data: Vec<VersionLine>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<u32>,
}

/// A version in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetVersionLine)]
pub struct VersionLine {
    /// Its number.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// What made it.
    #[schema(value_type = Object)]
    pub origin: serde_json::Value,
}

impl From<VersionInfo> for VersionLine {
    fn from(info: VersionInfo) -> Self {
        Self { version: info.number, id: info.id, created: info.created, origin: info.metadata }
    }
}

/// A version of a dataset.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetVersion)]
pub struct DatasetVersionBody {
    /// Its number.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// The digest of its content: two versions with the same rows in the same order have the same.
    pub hash: String,
    /// How many rows it has.
    pub rows: u64,
    /// The size of its files.
    pub bytes: u64,
    /// Its columns.
    pub columns: Vec<ColumnBody>,
    /// What made it: `from` is `import`, `traces`, `edit` or `split`.
    #[schema(value_type = Object)]
    pub origin: serde_json::Value,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

impl From<&Dataset> for DatasetVersionBody {
    fn from(dataset: &Dataset) -> Self {
        let (info, content) = (dataset.info(), dataset.content());
        Self {
            version: info.number,
            id: info.id,
            hash: info.hash.to_string(),
            rows: content.rows,
            bytes: content.bytes,
            columns: content.columns.iter().cloned().map(ColumnBody::from).collect(),
            origin: info.metadata.clone(),
            created: info.created,
        }
    }
}

/// A version of a dataset, and where it comes from.
#[derive(Serialize, ToSchema)]
pub struct DatasetVersionDetail {
    /// The version.
    #[serde(flatten)]
    pub version: DatasetVersionBody,
    /// Versions that it was made from, the nearest first.
    pub made_from: Vec<RelativeBody>,
    /// Versions that were made from it, the nearest first.
    pub made_into: Vec<RelativeBody>,
}

/// A version that another was made from, or that was made from it.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetRelative)]
pub struct RelativeBody {
    /// What it is: `dataset`, `prompt`, …
    #[schema(value_type = String)]
    pub kind: ArtifactKind,
    /// Its name.
    #[schema(value_type = String)]
    pub name: ArtifactName,
    /// Its number.
    pub version: u32,
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: VersionId,
    /// How many steps away it is.
    pub distance: u32,
    /// Whether it was removed.
    pub removed: bool,
}

impl From<qd_catalog::Relative> for RelativeBody {
    fn from(relative: qd_catalog::Relative) -> Self {
        let qd_catalog::Relative { version, distance } = relative;
        Self {
            kind: version.kind,
            name: version.name,
            version: version.number,
            id: version.id,
            distance,
            removed: version.removed.is_some(),
        }
    }
}
