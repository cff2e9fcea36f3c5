//! The rows of a version: a page of them, those that are looked for or that a statement gives, the difference to another version, and
//! all as a file.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, TryStreamExt as _, stream};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use qd_base::name::ArtifactName;
use qd_catalog::Scope;
use qd_data::{Change, ColumnChange, Difference, Export, Form, Row, Search};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::{ColumnBody, opened};
use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, Query, ThisRequest};
use crate::noun::sql::{ARROW, CSV, Form as SqlForm, JSON_LINES, SqlAnswer, SqlQuery};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

/// Rows of one page.
const MOST: u64 = 1000;
/// Rows that are asked for by their identifiers.
const MOST_IDS: usize = 200;

pub(crate) fn routes() -> Vec<Route> {
    let read = Permission::Scope(Scope::Read);
    let some = Doc::new("Datasets", "listDatasetRows", "Rows of a version")
        .text("In the order of the version, from any place on. With `search`, or with `column` and `value`, those that are looked for; a search ends after it has looked through 200,000 rows, and `next` tells where to look on. With `ids`, those rows.")
        .query::<RowQuery>()
        .gives::<RowList>(200, "The rows");
    let all = Doc::new("Datasets", "exportDataset", "All rows of a version, as a file")
        .text("As JSON lines, CSV or Parquet, while they are read. In CSV and Parquet, values of columns of type `json` are their JSON text. The connection breaks off when they cannot be read to the end, so an answer that came to its end is whole.")
        .query::<ExportQuery>()
        .streams("application/x-ndjson", "The rows; with `format` as text/csv or application/vnd.apache.parquet");
    let differ = Doc::new("Datasets", "diffDataset", "What two versions of a dataset differ in, row by row")
        .text("Rows are the same when they have the same value in the column whose role is `id`; where there is none, when all their values are the same. Rows that were added come first, then those that were removed, then those that changed.")
        .query::<DiffQuery>()
        .gives::<DatasetDiff>(200, "How many rows differ, and some of them");
    let ask = Doc::new("Datasets", "queryDataset", "Run one read-only statement over the rows of a version")
        .text("They are the table `rows`: the version's columns, of which those of type `json` are their JSON text, and `__row_id`, what a row is known by. Nothing else is there, so this needs no more than reading. Limits, parameters and forms are those of `/api/v1/sql`. Rows come in no order unless the statement asks for one.")
        .takes::<SqlQuery>()
        .gives_also::<SqlAnswer>(200, "The rows, in the form that Accept asks for", &[JSON_LINES, CSV, ARROW]);
    vec![
        Route::get("/api/v1/datasets/{name}/versions/{version}/rows", read, some, list),
        Route::post("/api/v1/datasets/{name}/versions/{version}/sql", read, ask, sql),
        Route::get("/api/v1/datasets/{name}/versions/{version}/export", read, all, export),
        Route::get("/api/v1/datasets/{name}/diff", read, differ, diff),
    ]
}

async fn list(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, version)): Path<(ArtifactName, String)>,
    Query(query): Query<RowQuery>,
) -> Result<Json<RowList>> {
    let dataset = opened(&surface, &caller, &name, &version).await?;
    let (from, limit) = (query.offset.unwrap_or(0), query.limit.unwrap_or(100));
    check_limit(limit)?;
    let (version, total) = (dataset.info().number, dataset.len());
    let list =
        |rows: Vec<Row>, next| RowList { version, total, next, data: rows.into_iter().map(RowBody::from).collect() };
    if let Some(ids) = &query.ids {
        let ids: Vec<_> = ids.split(',').map(str::to_owned).collect();
        if ids.len() > MOST_IDS {
            let message = format!("Invalid 'ids': at most {MOST_IDS} rows can be asked for by their identifiers.");
            return Err(Error::parameter("ids", "array_above_max_length", message));
        }
        return Ok(Json(list(dataset.rows_of(&ids).await?, None)));
    }
    match query.into_search()? {
        Some(search) => {
            let found = dataset.search(search, from, usize::try_from(limit).unwrap_or(usize::MAX)).await?;
            Ok(Json(list(found.rows, found.next)))
        }
        None => {
            let found = dataset.page(from..from.saturating_add(limit)).await?;
            Ok(Json(list(found.rows, found.next)))
        }
    }
}

fn check_limit(limit: u64) -> Result<()> {
    match (1..=MOST).contains(&limit) {
        true => Ok(()),
        false => Err(Error::parameter(
            "limit",
            "invalid_value",
            format!("Invalid 'limit': between 1 and {MOST} are given at once."),
        )),
    }
}

impl RowQuery {
    fn into_search(self) -> Result<Option<Search>> {
        let text = self.search.filter(|text| !text.is_empty());
        match (self.column, self.value) {
            (None, None) => Ok(text.map(|text| Search { text: Some(text), equal: None })),
            (Some(column), Some(value)) => Ok(Some(Search { text, equal: Some((column, value)) })),
            (column, _) => {
                let (there, missing) = if column.is_some() { ("column", "value") } else { ("value", "column") };
                let message = format!("Invalid '{there}': it needs '{missing}' beside it.");
                Err(Error::parameter(there, "invalid_value", message))
            }
        }
    }
}

async fn diff(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<DatasetDiff>> {
    let limit = query.limit.unwrap_or(100);
    check_limit(limit)?;
    let after = opened(&surface, &caller, &name, query.to.as_deref().unwrap_or("latest")).await?;
    let before = match &query.from {
        Some(from) => opened(&surface, &caller, &name, from).await?,
        None => {
            let number = after.info().number.checked_sub(1).filter(|number| *number > 0);
            let number = number.ok_or_else(|| Error::missing("version before", format!("{name}@1")))?;
            opened(&surface, &caller, &name, &number.to_string()).await?
        }
    };
    let datasets = &surface.app.datasets;
    let found = datasets.diff(&before, &after).await?;
    let (offset, limit) = (query.offset.unwrap_or(0), usize::try_from(limit).unwrap_or(usize::MAX));
    let data = datasets.differences((&before, &after), &found, query.change, offset, limit).await?;
    let count = |change| found.count(change) as u64;
    Ok(Json(DatasetDiff {
        from: before.info().number,
        to: after.info().number,
        by: found.by.clone(),
        added: count(Change::Added),
        removed: count(Change::Removed),
        changed: count(Change::Changed),
        same: found.same,
        columns: found.columns.iter().cloned().map(ColumnChangeBody::from).collect(),
        data: data.into_iter().map(DifferenceBody::from).collect(),
    }))
}

async fn export(
    State(surface): State<Shared>,
    caller: Caller,
    ThisRequest(request): ThisRequest,
    Path((name, version)): Path<(ArtifactName, String)>,
    Query(query): Query<ExportQuery>,
) -> Result<Response> {
    let dataset = opened(&surface, &caller, &name, &version).await?;
    let form = query.format.unwrap_or(Form::Jsonl);
    let (media, ending) = match form {
        Form::Jsonl => ("application/x-ndjson", "jsonl"),
        Form::Csv => ("text/csv; charset=utf-8", "csv"),
        Form::Parquet => ("application/vnd.apache.parquet", "parquet"),
    };
    let pieces = pieces(Export::new(&dataset, form)?, surface.lifecycle.cut.clone());
    let told = move |error: &Error| tracing::error!(%request, %error, "an export broke off");
    let mut response = Response::new(Body::from_stream(pieces.inspect_err(told)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    let file = name.as_str().replace('/', "-");
    let disposition = format!("attachment; filename=\"{file}-{}.{ending}\"", dataset.info().number);
    headers.insert(CONTENT_DISPOSITION, HeaderValue::try_from(disposition).map_err(Error::encode)?);
    Ok(response)
}

async fn sql(
    State(surface): State<Shared>,
    caller: Caller,
    Path((name, version)): Path<(ArtifactName, String)>,
    form: SqlForm,
    JsonBody(query): JsonBody<SqlQuery>,
) -> Result<Response> {
    let dataset = opened(&surface, &caller, &name, &version).await?;
    let (sql, params, limits) = query.into_question(&surface.app.config.limits)?;
    form.answer(surface.app.datasets.query(&dataset, &sql, params, limits).await?).await
}

/// The pieces of an export, unless the server ends its streams: one that stops must not look like one that is done.
fn pieces(export: Export, cut: CancellationToken) -> impl Stream<Item = Result<Bytes>> {
    stream::try_unfold(export, move |mut export| {
        let cut = cut.clone();
        async move {
            let piece = tokio::select! {
                () = cut.cancelled() => return Err(Error::Stopping),
                piece = export.next() => piece?,
            };
            Ok(piece.map(|piece| (Bytes::from(piece), export)))
        }
    })
}

/// Which rows are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RowQuery {
    /// The place of the first, from 0.
    offset: Option<u64>,
    /// At most this many, of 1000 at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
    /// Only rows with this text in any column, whatever its case.
    search: Option<String>,
    /// With `value`: only rows with this value in this column.
    column: Option<String>,
    /// See `column`; numbers and other values as their JSON text.
    value: Option<String>,
    /// Only the rows with these identifiers, separated by commas.
    ids: Option<String>,
}

/// Rows of a version.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetRowList)]
pub struct RowList {
    /// The version's number.
    pub version: u32,
    /// All rows of the version.
    pub total: u64,
    /// The `offset` to go on with; null at the end.
    pub next: Option<u64>,
    /// The rows.
    pub data: Vec<RowBody>,
}

/// A row.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetRow)]
pub struct RowBody {
    /// Its place in the version, from 0.
    pub index: u64,
    /// What it is known by: its value in the column whose role is `id`, else a digest of its values.
    pub id: String,
    /// Its values by the names of the columns; null for what it has none of.
    #[schema(value_type = Object)]
    pub values: serde_json::Map<String, serde_json::Value>,
}

impl From<Row> for RowBody {
    fn from(row: Row) -> Self {
        Self { index: row.index, id: row.id, values: row.values }
    }
}

/// How rows are written.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ExportQuery {
    /// `jsonl`, `csv` or `parquet`; `jsonl` when absent.
    #[param(value_type = Option<String>)]
    format: Option<Form>,
}

/// Which versions are compared, and which of the rows are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// The earlier version: a number or a label; the one before `to` when absent.
    from: Option<String>,
    /// The later version; the latest when absent.
    to: Option<String>,
    /// Only rows that were `added`, `removed` or `changed`.
    #[param(value_type = Option<String>)]
    change: Option<Change>,
    /// How many of these rows are passed over.
    offset: Option<usize>,
    /// At most this many, of 1000 at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u64>,
}

/// What two versions differ in.
#[derive(Serialize, ToSchema)]
pub struct DatasetDiff {
    /// The earlier version.
    pub from: u32,
    /// The later version.
    pub to: u32,
    /// The column by which rows are the same; null when all their values are.
    pub by: Option<String>,
    /// Rows that are in the later version only.
    pub added: u64,
    /// Rows that are in the earlier version only.
    pub removed: u64,
    /// Rows that are in both, with other values.
    pub changed: u64,
    /// Rows that are the same in both.
    pub same: u64,
    /// Columns that differ.
    pub columns: Vec<ColumnChangeBody>,
    /// Some of the rows that differ.
    pub data: Vec<DifferenceBody>,
}

/// A column that is not the same in both versions.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetColumnChange)]
pub struct ColumnChangeBody {
    /// Its name.
    pub name: String,
    /// What it was; null when there was none.
    pub before: Option<ColumnBody>,
    /// What it is; null when there is none.
    pub after: Option<ColumnBody>,
}

impl From<ColumnChange> for ColumnChangeBody {
    fn from(change: ColumnChange) -> Self {
        Self {
            name: change.name,
            before: change.before.map(ColumnBody::from),
            after: change.after.map(ColumnBody::from),
        }
    }
}

/// A row in which two versions differ.
#[derive(Serialize, ToSchema)]
#[schema(as = DatasetDifference)]
pub struct DifferenceBody {
    /// `added`, `removed` or `changed`.
    #[schema(value_type = String)]
    pub change: Change,
    /// As it was.
    pub before: Option<RowBody>,
    /// As it is.
    pub after: Option<RowBody>,
    /// Of a row that changed, the columns whose values did.
    pub columns: Vec<String>,
}

impl From<Difference> for DifferenceBody {
    fn from(found: Difference) -> Self {
        let Difference { change, before, after, columns } = found;
        Self { change, before: before.map(RowBody::from), after: after.map(RowBody::from), columns }
    }
}
