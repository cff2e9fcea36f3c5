//! `POST /api/v1/traces/import`: spans and scores that other tools exported.

use axum::extract::State;
use qd_catalog::Scope;
use qd_trace::import::{Imported, Importer, Source, guess};
use qd_trace::{PriceTable, SCORES, SPANS};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::NewSpan;
use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::Json as JsonBody;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::{Shared, Surface};

/// Refused records of one request that are told of; the others are counted.
const MOST_REFUSALS: usize = 100;
/// Characters of why a record is refused.
const MOST_CHARS: usize = 300;

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Traces", "importTraces", "Import records of a Langfuse or Phoenix export, or of our own")
        .text("Answered when all that could be read is on disk; what could not is told by its place among the records. Identifiers follow from those of the export, so that a record which is imported again takes the place of the first. Spans without a cost get the one of today's prices. Records that are older than the project keeps are counted and not taken. 429 with Retry-After when too much is waiting already: then nothing was taken.")
        .takes::<NewImport>()
        .gives::<ImportBody>(200, "What was taken and what was not");
    vec![Route::post("/api/v1/traces/import", Permission::Scope(Scope::Write), doc, import)]
}

async fn import(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewImport>,
) -> Result<Json<ImportBody>> {
    let limit = surface.app.config.limits.append_spans;
    if new.records.len() > limit {
        let message = format!("Invalid 'records': at most {limit} records can be imported at once.");
        return Err(Error::parameter("records", "array_above_max_length", message));
    }
    let prices = PriceTable::in_force(&surface.app.catalog).await?;
    let reading = caller.clone();
    // Many records take long enough to read to hold up other requests of this thread.
    let read = move || read(&reading, &prices, new);
    let (found, refused, refused_count) = tokio::task::spawn_blocking(read).await.map_err(Error::encode)?;
    let (kept, expired) = within_horizons(&surface, &caller, found).await?;
    let (spans, scores) = (kept.spans.len(), kept.scores.len());
    surface.app.recorder.append(kept.spans).await?;
    surface.app.traces.give_scores(&kept.scores).await?;
    Ok(Json(ImportBody { spans, scores, expired, refused_count, refused }))
}

/// All that can be read, what cannot, and how many records that are.
fn read(caller: &Caller, prices: &PriceTable, new: NewImport) -> (Imported, Vec<RefusedRecord>, usize) {
    let importer = Importer { project: caller.project_name(), prices };
    let (mut found, mut refused, mut count) = (Imported::default(), Vec::new(), 0);
    for (record, text) in new.records.into_iter().enumerate() {
        match read_one(caller, &importer, new.from, &text) {
            Ok(one) => {
                found.spans.extend(one.spans);
                found.scores.extend(one.scores);
            }
            Err(why) => {
                count += 1;
                if refused.len() < MOST_REFUSALS {
                    refused.push(RefusedRecord { record, why: why.chars().take(MOST_CHARS).collect() });
                }
            }
        }
    }
    (found, refused, count)
}

fn read_one(
    caller: &Caller,
    importer: &Importer<'_>,
    from: Option<Source>,
    text: &RawValue,
) -> std::result::Result<Imported, String> {
    let record: Map<String, Value> = serde_json::from_str(text.get()).map_err(|_| "it is no JSON object".to_owned())?;
    let source = from.or_else(|| guess(&record));
    match source.ok_or("it is a record neither of Langfuse's nor of Phoenix's nor of our own; `from` says whose")? {
        // From its text, so that payloads stay as they are written.
        Source::Jsonl => {
            let span: NewSpan = serde_json::from_str(text.get()).map_err(|cause| without_place(&cause.to_string()))?;
            let mut span = span.into_span(caller);
            span.cost = span.cost.or_else(|| importer.price(&span));
            Ok(Imported { spans: vec![span], scores: Vec::new() })
        }
        source => importer.read(source, record).map_err(|refused| refused.to_string()),
    }
}

/// A record has no lines of its own.
fn without_place(text: &str) -> String {
    text.rsplit_once(" at line ").map_or(text, |(text, _)| text).to_owned()
}

/// What the project still keeps, and how much it does not.
async fn within_horizons(surface: &Surface, caller: &Caller, mut found: Imported) -> Result<(Imported, usize)> {
    let project = caller.project_name();
    let all = found.spans.len() + found.scores.len();
    if let Some(before) = surface.app.retention.horizon(project, SPANS).await? {
        found.spans.retain(|span| span.start >= before);
    }
    if let Some(before) = surface.app.retention.horizon(project, SCORES).await? {
        found.scores.retain(|score| score.time >= before);
    }
    let expired = all - found.spans.len() - found.scores.len();
    Ok((found, expired))
}

/// Records to be imported.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewImport {
    /// `langfuse`, `phoenix` or `jsonl`; when absent, each record is known by the names of its fields.
    #[schema(value_type = Option<String>)]
    pub from: Option<Source>,
    /// The records: of Langfuse traces, observations or scores; of Phoenix rows of its data frame of spans; of our own
    /// spans as `POST /api/v1/traces` takes them.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<Box<RawValue>>,
}

/// What came of an import.
#[derive(Serialize, ToSchema)]
#[schema(as = Import)]
pub struct ImportBody {
    /// Spans that are on disk.
    pub spans: usize,
    /// Scores that are on disk.
    pub scores: usize,
    /// Spans and scores that are older than the project keeps.
    pub expired: usize,
    /// Records that could not be read.
    pub refused_count: usize,
    /// The first 100 of them.
    pub refused: Vec<RefusedRecord>,
}

/// A record that could not be read.
#[derive(Serialize, ToSchema)]
pub struct RefusedRecord {
    /// Its place among the records, from 0.
    pub record: usize,
    /// Why.
    pub why: String,
}
