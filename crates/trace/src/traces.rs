//! Finds spans and traces again, without reading the payloads of what is only listed.

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
    /// Traces in a lake that was opened with [`crate::tables`].
    pub fn new(lake: Lake, blobs: BlobStore) -> Self {
        Self { lake, blobs, limits: QueryLimits::default() }
    }

    /// A page of spans, newest first, and where the next begins if there is more.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake does not answer within its limits.
    pub async fn spans(&self, filter: &Filter, page: Page) -> Result<(Vec<SpanSummary>, Option<Cursor>)> {
        let limit = page.limit.clamp(1, Page::MOST);
        let (spans, more) = self.read_on(filter, limit, page.after, []).await?;
        let next = spans.last().filter(|_| more).map(SpanSummary::cursor);
        Ok((spans, next))
    }

    /// The spans of a trace, in the order of their starts, and whether it has more than are read; empty when there is
    /// none. Payloads that went to blobs have their beginning only; [`Traces::span`] and [`Traces::payload`] bring the
    /// whole.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake does not answer within its limits, [`Error::Row`] when a row is no span.
    pub async fn trace(&self, project: &ProjectName, trace_id: TraceId) -> Result<(Vec<Span>, bool)> {
        const READ: usize = TRACE_SPANS + 1;
        let mut condition = Condition::of(&Filter::of(project.clone()));
        condition.all("trace_id = $", Some(trace_id.to_string().into()));
        let sql = format!("SELECT * FROM spans WHERE {} ORDER BY start_time, span_id LIMIT {READ}", condition.sql());
        let limits = QueryLimits { max_rows: READ, ..self.limits };
        let mut spans = self.read("reading a trace", &sql, condition, limits, read_spans).await?;
        let more = spans.len() > TRACE_SPANS;
        spans.truncate(TRACE_SPANS);
        self.hear(project, trace_id, &mut spans).await?;
        Ok((spans, more))
    }

    /// All spans of a trace, up to [`OUTLINE_SPANS`], as a listing shows them, in the order of their starts: for traces of
    /// very many spans.
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

    /// One span of a trace with its whole payloads; `None` when there is none.
    ///
    /// # Errors
    /// As [`Traces::trace`], and [`Error::ReadPayload`] when a payload is gone or damaged.
    pub async fn span(&self, project: &ProjectName, trace_id: TraceId, span_id: SpanId) -> Result<Option<Span>> {
        let mut condition = Condition::of(&Filter::of(project.clone()));
        condition.all("trace_id = $", Some(trace_id.to_string().into()));
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
        if let Some(sha256) = span.attributes_blob {
            let whole = self.payload(sha256).await?;
            span.attributes = serde_json::from_str(whole.as_str())
                .map_err(|cause| Error::Row { column: "attributes_blob", why: cause.to_string() })?;
        }
        self.hear(project, trace_id, std::slice::from_mut(&mut span)).await?;
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

    /// The newest spans after `after`, but for those of the traces `without`, and whether there are more.
    pub(crate) async fn read_on(
        &self,
        filter: &Filter,
        limit: usize,
        after: Option<Cursor>,
        without: impl IntoIterator<Item = TraceId>,
    ) -> Result<(Vec<SpanSummary>, bool)> {
        let mut condition = Condition::of(filter);
        if let Some(cursor) = after {
            condition.after(cursor);
        }
        condition.none_of("trace_id", without.into_iter().map(|trace_id| trace_id.to_string().into()));
        let sql = format!(
            "SELECT {LISTED} FROM spans WHERE {} ORDER BY start_time DESC, span_id DESC LIMIT {}",
            condition.sql(),
            limit + 1
        );
        let mut spans = self.read("listing spans", &sql, condition, self.limits, read_summaries).await?;
        let more = spans.len() > limit;
        spans.truncate(limit);
        Ok((spans, more))
    }

    /// All spans under this condition, in no order.
    pub(crate) async fn read_listed(&self, operation: &'static str, condition: Condition) -> Result<Vec<SpanSummary>> {
        let sql = format!("SELECT {LISTED} FROM spans WHERE {}", condition.sql());
        self.read(operation, &sql, condition, self.limits, read_summaries).await
    }

    pub(crate) fn lake(&self) -> &Lake {
        &self.lake
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
