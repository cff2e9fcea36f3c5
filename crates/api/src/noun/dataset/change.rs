//! New versions: imported, changed by hand, out of traces, and as parts of others.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use qd_base::id::{JobId, SpanId, TraceId};
use qd_base::name::ArtifactName;
use qd_catalog::Scope;
use qd_data::{
    Calls, ColumnType, Edit, Edited, Format, ImportFile, ImportRequest, Outcome, Role, SplitRequest, UploadId,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::noun::job::JobBody;
use crate::noun::trace::TraceQuery;
use crate::permission::{Caller, Permission};
use crate::reply::{Accepted, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

/// Calls that are added when it is not said how many.
const USUAL_CALLS: usize = 1000;

pub(crate) fn routes() -> Vec<Route> {
    let write = Permission::Scope(Scope::Write);
    let bring = Doc::new("Datasets", "importDataset", "Import uploaded files as a new version")
        .text("JSON lines, JSON, CSV, Parquet, each perhaps compressed, and folders in the layout of the Hugging Face hub. Answers with a job. It looks at every row first: when some are bad, its error names them with their rows and reasons, and there is no new version, unless bad rows are to be left out. With `check` it looks only. The uploads are gone when it has ended, unless it looked only.")
        .takes::<NewImport>()
        .gives::<JobBody>(202, "The job; its result tells the version, the rows, and what was guessed");
    let edit = Doc::new("Datasets", "changeDatasetRows", "Add, replace and remove rows as a new version")
        .text("A dataset that does not exist comes to be with the rows that are added. 409 when `base` is given and is not the latest version any more. Rows that only come to others are written at once. What writes all rows anew (rows replaced or removed, a column of another type) does so at once when these are at most 20,000 and 8 MiB of files, else as a job, as does a change that finds the dataset busy.")
        .takes::<RowChanges>()
        .gives::<DatasetChanged>(200, "The new version")
        .gives::<JobBody>(202, "The job that makes it; its result is what 200 would have said");
    let calls = Doc::new("Datasets", "addTracesToDataset", "Add recorded calls as rows of a new version")
        .text("What was asked becomes the input (and the messages), what was answered the reference, and trace, span, model, cost and the like the metadata. Calls that the dataset has are not added again.")
        .takes::<NewCalls>()
        .gives::<DatasetChanged>(200, "The new version")
        .gives::<JobBody>(202, "The job that makes it, where all rows have to be written anew and are many; its result is what 200 would have said");
    let part = Doc::new("Datasets", "splitDataset", "Split a version into versions of other datasets")
        .text("By a digest of the seed and of each row, or of the column `group` whose equal values stay together. Rows that are added later move no other. With `stratify` the rows of each value of that column are shared out in proportion instead; a part that has none of a value says so in its `notes`. Answers with a job.")
        .takes::<NewSplit>()
        .gives::<JobBody>(202, "The job; its result tells the parts");
    vec![
        Route::post("/api/v1/datasets/{name}/import", write, bring, import),
        Route::post("/api/v1/datasets/{name}/rows", write, edit, change),
        Route::post("/api/v1/datasets/{name}/traces", write, calls, add_calls),
        Route::post("/api/v1/datasets/{name}/split", write, part, split),
    ]
}

async fn import(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(new): JsonBody<NewImport>,
) -> Result<Accepted<JobBody>> {
    let files =
        new.files.into_iter().map(|file| ImportFile { upload: file.upload, path: file.path, bytes: file.bytes });
    let request = ImportRequest {
        dataset: name.clone(),
        files: files.collect(),
        format: new.format,
        field: new.field,
        readme: new.readme,
        config: new.config,
        split: new.split,
        source: new.source,
        roles: new.roles,
        types: new.types,
        skip_bad: new.skip_bad,
        check: new.check,
    };
    let job = surface.app.datasets.begin_import(caller.project(), request).await?;
    begun(&surface, &caller, "import", &name, job).await
}

async fn split(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(new): JsonBody<NewSplit>,
) -> Result<Accepted<JobBody>> {
    let part = |part: NewPart| qd_data::split::Part { name: part.name, fraction: part.fraction, dataset: part.dataset };
    let request = SplitRequest {
        dataset: name.clone(),
        version: new.version.unwrap_or_else(|| "latest".to_owned()),
        parts: new.parts.into_iter().map(part).collect(),
        seed: new.seed,
        group: new.group,
        stratify: new.stratify,
    };
    let job = surface.app.datasets.begin_split(caller.project(), request).await?;
    begun(&surface, &caller, "split", &name, job).await
}

async fn begun(
    surface: &Surface,
    caller: &Caller,
    action: &str,
    name: &ArtifactName,
    job: JobId,
) -> Result<Accepted<JobBody>> {
    let detail = json!({ "project": caller.project_name(), "job": job });
    surface.app.catalog.audit(&caller.actor(), action, "dataset", name.as_str(), detail).await?;
    Ok(Accepted(surface.app.catalog.job(job).await?.into()))
}

async fn change(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(new): JsonBody<RowChanges>,
) -> Result<Response> {
    let edit = Edit {
        base: new.base,
        add: new.add.into_iter().map(|Values(row)| row).collect(),
        replace: new.replace.into_iter().map(|(id, Values(row))| (id, row)).collect(),
        remove: new.remove.into_iter().collect(),
        roles: new.roles,
    };
    let outcome = surface.app.datasets.acting(&caller.actor())?.edit(caller.project(), &name, edit).await?;
    changed(&surface, &caller, name, outcome).await
}

/// A change that is made is answered as such, one that takes long by its job.
async fn changed(surface: &Surface, caller: &Caller, name: ArtifactName, outcome: Outcome) -> Result<Response> {
    match outcome {
        Outcome::Edited(edited) => Ok(Json(DatasetChanged::of(name, edited)).into_response()),
        Outcome::Queued(job) => Ok(begun(surface, caller, "edit", &name, job).await?.into_response()),
    }
}

async fn add_calls(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(new): JsonBody<NewCalls>,
) -> Result<Response> {
    // Calls that were answered before are meant too, also those that still wait to be written down.
    surface.app.gateway.drain().await;
    surface.app.recorder.drain().await;
    let (calls, told) = new.into_calls(&caller)?;
    let datasets = surface.app.datasets.acting(&caller.actor())?;
    let outcome = datasets.add_calls((caller.project(), caller.project_name()), &name, calls, told).await?;
    changed(&surface, &caller, name, outcome).await
}

/// Files to be imported, and how.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewDatasetImport)]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// The files, each of which was uploaded.
    pub files: Vec<NewFile>,
    /// `jsonl`, `json`, `csv` or `parquet`; told by each file's name and beginning when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub format: Option<Format>,
    /// The field of a JSON document that holds the rows; the first array of objects when absent.
    #[serde(default)]
    pub field: Option<String>,
    /// The README of a folder of the Hugging Face hub: its front matter tells which files are which split.
    #[serde(default)]
    pub readme: Option<String>,
    /// The configuration of such a folder.
    #[serde(default)]
    pub config: Option<String>,
    /// Only the files of this split. When there are several, rows get a column `split`.
    #[serde(default)]
    pub split: Option<String>,
    /// Where the files come from, in your words: `hub:openai/gsm8k@COMMIT`. It is noted with the version; nothing is fetched from there.
    #[serde(default)]
    pub source: Option<String>,
    /// What columns are for: `{"question": "input"}`. Guessed from their names for those that are not told.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub roles: BTreeMap<String, Role>,
    /// What columns hold: `{"score": "number"}`. Found out for those that are not told.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub types: BTreeMap<String, ColumnType>,
    /// Whether bad rows are left out; otherwise one is enough that nothing is imported.
    #[serde(default)]
    pub skip_bad: bool,
    /// Whether the files are looked at only: the job's result tells the rows, the columns with what they would be for, and the
    /// bad rows. No version comes to be, and the uploads stay for the import.
    #[serde(default)]
    pub check: bool,
}

/// A file that was uploaded.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewDatasetFile)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// The upload.
    #[schema(value_type = String, format = Uuid)]
    pub upload: UploadId,
    /// Its path within the folder that it comes from, or its name.
    pub path: String,
    /// How large it is: one that did not come whole is not imported.
    #[serde(default)]
    pub bytes: Option<u64>,
}

/// Rows to be added, replaced and removed.
#[derive(Deserialize, ToSchema)]
#[schema(as = DatasetRowChanges)]
#[serde(deny_unknown_fields)]
pub struct RowChanges {
    /// The version that this was thought of; when it is not the latest any more, nothing is changed and the answer is 409.
    #[serde(default)]
    pub base: Option<u32>,
    /// Rows that come after those that are there.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub add: Vec<Values>,
    /// Rows in place of those with these identifiers.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub replace: BTreeMap<String, Values>,
    /// Identifiers of rows that go.
    #[serde(default)]
    pub remove: Vec<String>,
    /// What columns are for, where that is new.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub roles: BTreeMap<String, Role>,
}

/// The values of a row. A whole number that would become another is refused, as it is in files.
pub struct Values(Map<String, Value>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(deserializer)?;
        if let Some(number) = qd_data::wide_number(text.get().as_bytes()) {
            return Err(D::Error::custom(format!(
                "the whole number {number} has more than 64 bits; write it as a text"
            )));
        }
        serde_json::from_str(text.get()).map(Self).map_err(D::Error::custom)
    }
}

/// What a change came to.
#[derive(Serialize, ToSchema)]
pub struct DatasetChanged {
    /// The dataset.
    #[schema(value_type = String)]
    pub dataset: ArtifactName,
    /// Its new version.
    pub version: u32,
    /// How many rows that has.
    pub rows: u64,
    /// Rows that were added.
    pub added: u64,
    /// Calls that were not added since they are there.
    pub known: u64,
    /// Rows that others took the place of.
    pub replaced: u64,
    /// Rows that went.
    pub removed: u64,
}

impl DatasetChanged {
    fn of(dataset: ArtifactName, edited: Edited) -> Self {
        let Edited { version, rows, added, known, replaced, removed } = edited;
        Self { dataset, version: version.number, rows, added, known, replaced, removed }
    }
}

/// Recorded calls to be added: those that a filter wants, or those that are named.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewDatasetCalls)]
#[serde(deny_unknown_fields)]
pub struct NewCalls {
    /// The filters of `GET /api/v1/traces`, without its pages. Calls of language models, unless `kind` or `calls` says otherwise.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Value>,
    /// Of those that the filter wants the newest, at most so many of 10,000 at most; 1,000 when absent.
    #[serde(default)]
    pub limit: Option<usize>,
    /// Spans that are named, 1,000 at most.
    #[serde(default)]
    pub spans: Vec<SpanPlace>,
}

/// Where a span is.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpanPlace {
    /// Its trace.
    #[schema(value_type = String)]
    pub trace_id: TraceId,
    /// The span.
    #[schema(value_type = String)]
    pub span_id: SpanId,
}

impl NewCalls {
    /// What is wanted, and how that is told later.
    fn into_calls(self, caller: &Caller) -> Result<(Calls, Value)> {
        match (self.filter, self.spans.is_empty()) {
            (Some(_), false) => {
                let message = "Invalid 'spans': give either a filter or spans.";
                Err(Error::parameter("spans", "invalid_value", message))
            }
            (None, false) => {
                let told = json!({ "spans": self.spans });
                let places = self.spans.iter().map(|place| (place.trace_id, place.span_id)).collect();
                Ok((Calls::Spans(places), told))
            }
            (filter, true) => {
                let (filter, limit) = (filter.unwrap_or_else(|| json!({})), self.limit.unwrap_or(USUAL_CALLS));
                let told = json!({ "filter": filter, "limit": limit });
                let query: TraceQuery = serde_json::from_value(filter).map_err(|cause| {
                    Error::parameter("filter", "invalid_value", format!("Invalid 'filter': {cause}."))
                })?;
                query.refuse_pages("A filter of calls")?;
                Ok((Calls::Newest { filter: Box::new(query.into_filter(caller)?), limit }, told))
            }
        }
    }
}

/// How a version is to be split.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewDatasetSplit)]
#[serde(deny_unknown_fields)]
pub struct NewSplit {
    /// The version: a number or a label; the latest when absent.
    #[serde(default)]
    pub version: Option<String>,
    /// The parts.
    pub parts: Vec<NewPart>,
    /// Other seeds give other parts.
    #[serde(default)]
    pub seed: u64,
    /// A column: rows with the same value in it stay together.
    #[serde(default)]
    pub group: Option<String>,
    /// A column of few values: of the rows of each value every part gets its share. Not together with `group`.
    #[serde(default)]
    pub stratify: Option<String>,
}

/// A part of a dataset.
#[derive(Deserialize, ToSchema)]
#[schema(as = NewDatasetPart)]
#[serde(deny_unknown_fields)]
pub struct NewPart {
    /// Its name, as `train`.
    pub name: String,
    /// How much of the dataset it is; the fractions of all parts are 1 together at most.
    pub fraction: f64,
    /// The dataset that it becomes a version of; the names of the dataset and of the part with a hyphen when absent.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub dataset: Option<ArtifactName>,
}
