//! Finds traces again: newest first, page by page, without reading the payloads of what is only listed.

use std::collections::HashMap;
use std::time::Duration;

use arrow::array::{Float64Array, Int64Array, RecordBatch};
use qd_base::{Picodollars, ProjectName, Sha256Hex, SpanId, Timestamp, TraceId, Usage};
use qd_lake::blob::BlobStore;
use qd_lake::{Lake, QueryLimits};

use crate::filter::Condition;
use crate::table::{Rows, Text, Times, UsageColumns, float_at, number_at, read_spans};
use crate::{Cursor, Error, Filter, Page, Payload, Result, Span, SpanKind, Status};

/// The columns of a listing: all but the payloads.
const LISTED: &str = "project, trace_id, span_id, parent_id, kind, name, start_time, end_time, ttft_ms, status, status_message, session_id, user_id, \
                      provider, model_requested, model, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_picodollars";
/// Spans of one trace that are read at most; a trace with more is an endless loop somewhere.
const TRACE_SPANS: usize = 10_000;
/// The same without payloads.
const OUTLINE_SPANS: usize = 100_000;
/// The spans of one trace begin within this time of each other, or a listing does not count them together.
const TRACE_LASTS: Duration = Duration::from_secs(24 * 3600);
/// How often one page may read on when all that it found belonged to traces that begin elsewhere.
const ROUNDS: usize = 16;

/// Finds spans and traces in the lake.
#[derive(Clone)]
pub struct Traces {
    lake: Lake,
    blobs: BlobStore,
    limits: QueryLimits,
}

/// A span as a listing shows it: everything but payloads, tags and attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanSummary {
    /// Whose span it is.
    pub project: ProjectName,
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// Its own identifier.
    pub span_id: SpanId,
    /// The span that caused it.
    pub parent_id: Option<SpanId>,
    /// What kind of work it was.
    pub kind: SpanKind,
    /// The operation.
    pub name: String,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// From the start to the first token, in milliseconds.
    pub ttft_ms: Option<f64>,
    /// How it ended.
    pub status: Status,
    /// Why it ended so.
    pub status_message: Option<String>,
    /// The conversation.
    pub session_id: Option<String>,
    /// The end user.
    pub user_id: Option<String>,
    /// Who ran the model.
    pub provider: Option<String>,
    /// The model asked for.
    pub model_requested: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// Tokens.
    pub usage: Option<Usage>,
    /// What it cost.
    pub cost: Option<Picodollars>,
}

/// A trace as a listing shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSummary {
    /// Its first span among those that the filter wants.
    pub head: SpanSummary,
    /// All its spans.
    pub spans: u64,
    /// Those that failed.
    pub errors: u64,
    /// When the first of its spans began.
    pub start: Timestamp,
    /// When the last of them ended.
    pub end: Timestamp,
    /// Tokens of all spans.
    pub usage: Usage,
    /// What all spans whose price is known cost.
    pub cost: Picodollars,
}

impl SpanSummary {
    /// From start to end, in milliseconds.
    pub fn latency_ms(&self) -> f64 {
        self.end.since(self.start).as_secs_f64() * 1e3
    }

    /// Where a listing that ends with this span goes on.
    pub fn cursor(&self) -> Cursor {
        Cursor { start: self.start, span_id: self.span_id }
    }
}

impl TraceSummary {
    /// From the first start to the last end, in milliseconds.
    pub fn latency_ms(&self) -> f64 {
        self.end.since(self.start).as_secs_f64() * 1e3
    }
}

impl From<&Span> for SpanSummary {
    fn from(span: &Span) -> Self {
        Self {
            project: span.project.clone(),
            trace_id: span.trace_id,
            span_id: span.span_id,
            parent_id: span.parent_id,
            kind: span.kind,
            name: span.name.clone(),
            start: span.start,
            end: span.end,
            ttft_ms: span.ttft_ms,
            status: span.status,
            status_message: span.status_message.clone(),
            session_id: span.session_id.clone(),
            user_id: span.user_id.clone(),
            provider: span.provider.clone(),
            model_requested: span.model_requested.clone(),
            model: span.model.clone(),
            usage: span.usage,
            cost: span.cost,
        }
    }
}

impl Traces {
    /// Traces in a lake that was opened with [`crate::spans_table`].
    pub fn new(lake: Lake, blobs: BlobStore) -> Self {
        Self { lake, blobs, limits: QueryLimits::default() }
    }

    /// A page of traces, newest first, and where the next begins if there is more.
    ///
    /// A trace is listed once, at its first span among those that `filter` wants. What is added while someone pages
    /// neither repeats a trace nor hides one.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake does not answer within its limits.
    pub async fn list(&self, filter: &Filter, page: Page) -> Result<(Vec<TraceSummary>, Option<Cursor>)> {
        let limit = page.limit.clamp(1, Page::MOST);
        let (mut found, mut after) = (Vec::new(), page.after);
        for _ in 0..ROUNDS {
            let (spans, next) = self.spans(filter, Page { limit, after }).await?;
            let totals = self.totals(filter, &spans).await?;
            let last = spans.last().map(SpanSummary::cursor);
            for span in spans {
                let cursor = span.cursor();
                found.extend(
                    totals
                        .get(&span.trace_id)
                        .filter(|total| total.head == span.span_id)
                        .map(|total| total.summary(span)),
                );
                if found.len() == limit {
                    let more = next.is_some() || Some(cursor) != last;
                    return Ok((found, more.then_some(cursor)));
                }
            }
            after = next;
            if next.is_none() {
                break;
            }
        }
        Ok((found, after))
    }

    /// A page of spans, newest first, and where the next begins if there is more.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake does not answer within its limits.
    pub async fn spans(&self, filter: &Filter, page: Page) -> Result<(Vec<SpanSummary>, Option<Cursor>)> {
        let limit = page.limit.clamp(1, Page::MOST);
        let mut condition = Condition::of(filter);
        if let Some(cursor) = page.after {
            condition.after(cursor);
        }
        let sql = format!(
            "SELECT {LISTED} FROM spans WHERE {} ORDER BY start_time DESC, span_id DESC LIMIT {}",
            condition.sql(),
            limit + 1
        );
        let mut spans = self.read("listing spans", &sql, condition, self.limits, read_summaries).await?;
        let more = spans.len() > limit;
        spans.truncate(limit);
        let next = spans.last().filter(|_| more).map(SpanSummary::cursor);
        Ok((spans, next))
    }

    /// All spans of a trace, in the order of their starts; empty when there is none. Payloads that went to blobs have
    /// their beginning only; [`Traces::span`] and [`Traces::payload`] bring the whole.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake does not answer within its limits, [`Error::Row`] when a row is no span.
    pub async fn trace(&self, project: &ProjectName, trace_id: TraceId) -> Result<Vec<Span>> {
        let mut condition = Condition::of(&Filter::of(project.clone()));
        condition.all("trace_id = $", Some(trace_id.to_string().into()));
        let sql =
            format!("SELECT * FROM spans WHERE {} ORDER BY start_time, span_id LIMIT {TRACE_SPANS}", condition.sql());
        self.read("reading a trace", &sql, condition, self.limits, read_spans).await
    }

    /// All spans of a trace as a listing shows them, in the order of their starts: for traces of very many spans.
    ///
    /// # Errors
    /// As [`Traces::trace`].
    pub async fn outline(&self, project: &ProjectName, trace_id: TraceId) -> Result<Vec<SpanSummary>> {
        let mut condition = Condition::of(&Filter::of(project.clone()));
        condition.all("trace_id = $", Some(trace_id.to_string().into()));
        let sql = format!(
            "SELECT {LISTED} FROM spans WHERE {} ORDER BY start_time, span_id LIMIT {OUTLINE_SPANS}",
            condition.sql()
        );
        let limits = QueryLimits { max_rows: OUTLINE_SPANS, ..self.limits };
        self.read("reading the outline of a trace", &sql, condition, limits, read_summaries).await
    }

    /// One span with its whole payloads; `None` when there is none.
    ///
    /// # Errors
    /// As [`Traces::trace`], and [`Error::ReadPayload`] when a payload is gone or damaged.
    pub async fn span(&self, project: &ProjectName, span_id: SpanId) -> Result<Option<Span>> {
        let mut condition = Condition::of(&Filter::of(project.clone()));
        condition.all("span_id = $", Some(span_id.to_string().into()));
        let sql = format!("SELECT * FROM spans WHERE {} LIMIT 1", condition.sql());
        let Some(mut span) = self.read("reading a span", &sql, condition, self.limits, read_spans).await?.pop() else {
            return Ok(None);
        };
        if let Some(sha256) = span.input_blob {
            span.input = Some(self.payload(sha256).await?);
        }
        if let Some(sha256) = span.output_blob {
            span.output = Some(self.payload(sha256).await?);
        }
        Ok(Some(span))
    }

    /// A payload that was too large for its row.
    ///
    /// # Errors
    /// [`Error::ReadPayload`] when it is gone or damaged.
    pub async fn payload(&self, sha256: Sha256Hex) -> Result<Payload> {
        let bytes = self.blobs.get(sha256).await.map_err(|cause| Error::ReadPayload { sha256, cause })?;
        Payload::from_utf8(bytes)
            .ok_or_else(|| Error::Row { column: "input_blob", why: format!("{sha256} is not text") })
    }

    /// What all spans of the listed spans' traces come to.
    async fn totals(&self, filter: &Filter, listed: &[SpanSummary]) -> Result<HashMap<TraceId, Total>> {
        let (Some(newest), Some(oldest)) = (listed.first(), listed.last()) else { return Ok(HashMap::new()) };
        let condition = Condition::of(filter);
        let wanted = condition.sql();
        let mut scope = condition.beside();
        scope.all("project = $", filter.project.as_ref().map(|project| project.as_str().into()));
        scope.all("start_time >= $", Some(oldest.start.saturating_sub(TRACE_LASTS).into()));
        scope.all("start_time <= $", Some(newest.start.saturating_add(TRACE_LASTS).into()));
        scope.one_of("trace_id", distinct(listed).into_iter().map(|trace_id| trace_id.to_string().into()));
        let sql = format!("{} FROM spans WHERE {} GROUP BY trace_id", total_columns(&wanted), scope.sql());
        let totals = self.read("adding up traces", &sql, scope, self.limits, read_totals).await?;
        Ok(totals.into_iter().collect())
    }

    /// What one question may use, when it does not say otherwise.
    pub(crate) fn limits(&self) -> QueryLimits {
        self.limits
    }

    pub(crate) async fn read<T>(
        &self,
        operation: &'static str,
        sql: &str,
        condition: Condition,
        limits: QueryLimits,
        rows: fn(&RecordBatch) -> Result<Vec<T>>,
    ) -> Result<Vec<T>> {
        let output = self
            .lake
            .query(sql, condition.params(), limits)
            .await
            .map_err(|cause| Error::Query { operation, cause })?;
        let parts: Vec<Vec<T>> = output.batches.iter().map(rows).collect::<Result<_>>()?;
        Ok(parts.into_iter().flatten().collect())
    }
}

fn distinct(listed: &[SpanSummary]) -> Vec<TraceId> {
    let mut ids: Vec<TraceId> = listed.iter().map(|span| span.trace_id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Adds up a trace; its head is its first span among the `wanted` ones.
fn total_columns(wanted: &str) -> String {
    format!(
        "SELECT trace_id, first_value(span_id ORDER BY start_time, span_id) FILTER (WHERE {wanted}) AS head, count(*) AS spans, \
         count(*) FILTER (WHERE status = 'error') AS errors, min(start_time) AS start_time, max(end_time) AS end_time, \
         coalesce(sum(input_tokens), 0) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens, \
         sum(reasoning_tokens) AS reasoning_tokens, sum(cost_picodollars) AS cost_picodollars"
    )
}

/// What the spans of one trace come to.
struct Total {
    head: SpanId,
    spans: u64,
    errors: u64,
    start: Timestamp,
    end: Timestamp,
    usage: Usage,
    cost: Picodollars,
}

impl Total {
    fn summary(&self, head: SpanSummary) -> TraceSummary {
        TraceSummary {
            head,
            spans: self.spans,
            errors: self.errors,
            start: self.start,
            end: self.end,
            usage: self.usage,
            cost: self.cost,
        }
    }
}

fn read_totals(batch: &RecordBatch) -> Result<Vec<(TraceId, Total)>> {
    let rows = Rows::of(batch);
    let (trace_id, head, usage) = (rows.text("trace_id")?, rows.text("head")?, UsageColumns::of(&rows)?);
    let (spans, errors, cost) = (rows.number("spans")?, rows.number("errors")?, rows.number("cost_picodollars")?);
    let (start, end) = (rows.time("start_time")?, rows.time("end_time")?);
    let count = |column: &Int64Array, row| number_at(column, row).map_or(0, |count| count.unsigned_abs());
    let total = |row| {
        let total = Total {
            head: head.required(row)?,
            spans: count(&spans, row),
            errors: count(&errors, row),
            start: start.get(row),
            end: end.get(row),
            usage: usage.get(row).unwrap_or_default(),
            cost: Picodollars::new(number_at(&cost, row).unwrap_or(0)),
        };
        Ok((trace_id.required(row)?, total))
    };
    (0..batch.num_rows()).map(total).collect()
}

fn read_summaries(batch: &RecordBatch) -> Result<Vec<SpanSummary>> {
    let columns = SummaryColumns::of(&Rows::of(batch))?;
    (0..batch.num_rows()).map(|row| columns.summary(row)).collect()
}

/// The columns of [`LISTED`], typed.
struct SummaryColumns {
    project: Text,
    trace_id: Text,
    span_id: Text,
    parent_id: Text,
    kind: Text,
    name: Text,
    start_time: Times,
    end_time: Times,
    ttft_ms: Float64Array,
    status: Text,
    status_message: Text,
    session_id: Text,
    user_id: Text,
    provider: Text,
    model_requested: Text,
    model: Text,
    usage: UsageColumns,
    cost_picodollars: Int64Array,
}

impl SummaryColumns {
    fn of(rows: &Rows<'_>) -> Result<Self> {
        Ok(Self {
            project: rows.text("project")?,
            trace_id: rows.text("trace_id")?,
            span_id: rows.text("span_id")?,
            parent_id: rows.text("parent_id")?,
            kind: rows.text("kind")?,
            name: rows.text("name")?,
            start_time: rows.time("start_time")?,
            end_time: rows.time("end_time")?,
            ttft_ms: rows.float("ttft_ms")?,
            status: rows.text("status")?,
            status_message: rows.text("status_message")?,
            session_id: rows.text("session_id")?,
            user_id: rows.text("user_id")?,
            provider: rows.text("provider")?,
            model_requested: rows.text("model_requested")?,
            model: rows.text("model")?,
            usage: UsageColumns::of(rows)?,
            cost_picodollars: rows.number("cost_picodollars")?,
        })
    }

    fn summary(&self, row: usize) -> Result<SpanSummary> {
        Ok(SpanSummary {
            project: self.project.required(row)?,
            trace_id: self.trace_id.required(row)?,
            span_id: self.span_id.required(row)?,
            parent_id: self.parent_id.parsed(row)?,
            kind: self.kind.required(row)?,
            name: self.name.owned(row).unwrap_or_default(),
            start: self.start_time.get(row),
            end: self.end_time.get(row),
            ttft_ms: float_at(&self.ttft_ms, row),
            status: self.status.required(row)?,
            status_message: self.status_message.owned(row),
            session_id: self.session_id.owned(row),
            user_id: self.user_id.owned(row),
            provider: self.provider.owned(row),
            model_requested: self.model_requested.owned(row),
            model: self.model.owned(row),
            usage: self.usage.get(row),
            cost: number_at(&self.cost_picodollars, row).map(Picodollars::new),
        })
    }
}
