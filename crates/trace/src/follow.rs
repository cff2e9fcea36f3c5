//! Spans in the order in which they ended, for who follows what becomes durable; and what programs have scored of them.

use std::time::Duration;

use arrow::array::RecordBatch;
use qd_base::{ProjectName, SpanId, TimeRange, Timestamp, TraceId};
use qd_lake::{Param, QueryLimits};
use serde::{Deserialize, Serialize};

use crate::filter::Condition;
use crate::table::{Rows, float_at, number_at, read_spans};
use crate::{Filter, Page, Result, Span, Traces};

/// Spans that took longer are not found: the rows that have to be looked at are those that began within this before.
pub const LONGEST: Duration = Duration::from_secs(3_600);
/// Spans that are told by name at once at most.
const MOST_KEYS: usize = 1_000_000;
/// Spans of which it is told at once at most that they were scored.
pub const MOST_SCORED: usize = 200_000;
/// Points of a series at most.
const MOST_POINTS: usize = 20_000;

/// A place in the order of ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ended {
    /// When the span ended.
    pub end: Timestamp,
    /// Which of those that ended then; before all of them when absent.
    pub span_id: Option<SpanId>,
}

impl Ended {
    /// Before all spans that ended at this time or later.
    pub fn before(end: Timestamp) -> Self {
        Self { end, span_id: None }
    }

    /// After all spans that ended at this time or earlier.
    pub fn after(end: Timestamp) -> Self {
        Self { end, span_id: SpanId::from_bytes([0xff; 8]) }
    }

    /// The place of a span.
    pub fn at(span: &Span) -> Self {
        Self { end: span.end, span_id: Some(span.span_id) }
    }
}

/// A span by name, with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedKey {
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// When it ended.
    pub end: Timestamp,
}

/// A span that somebody has scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoredSpan {
    /// Its trace.
    pub trace_id: TraceId,
    /// Itself.
    pub span_id: SpanId,
    /// When it was scored first.
    pub first: Timestamp,
}

/// The mean of the scores of one name in a part of the time.
#[derive(Debug, Clone, PartialEq)]
pub struct ScorePoint {
    /// What the scores are called.
    pub name: String,
    /// When the part begins.
    pub from: Timestamp,
    /// How many scores.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
}

impl Traces {
    /// Spans that ended after a place and not after `until`, in the order of their ends; `limit` of them at most. Payloads that went
    /// to blobs have their beginning only; [`Traces::with_output`] brings the whole.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits, [`crate::Error::Row`] when a row is no span.
    pub async fn ended(&self, filter: &Filter, after: Ended, until: Timestamp, limit: usize) -> Result<Vec<Span>> {
        let limit = limit.clamp(1, Page::MOST);
        let condition = between(filter, after, until);
        let sql = format!("SELECT * FROM spans WHERE {} ORDER BY end_time, span_id LIMIT {limit}", condition.sql());
        self.read("following spans", &sql, condition, self.limits(), read_spans).await
    }

    /// The same by name alone, all of them.
    ///
    /// # Errors
    /// As [`Traces::ended`].
    pub async fn ended_keys(&self, filter: &Filter, after: Ended, until: Timestamp) -> Result<Vec<EndedKey>> {
        let condition = between(filter, after, until);
        let sql = format!(
            "SELECT trace_id, span_id, end_time FROM spans WHERE {} ORDER BY end_time, span_id LIMIT {MOST_KEYS}",
            condition.sql()
        );
        let limits = QueryLimits { max_rows: MOST_KEYS, ..self.limits() };
        self.read("following spans by name", &sql, condition, limits, read_keys).await
    }

    /// These spans of one project, as [`Traces::ended`] gives them; [`Page::MOST`] at most.
    ///
    /// # Errors
    /// As [`Traces::ended`].
    pub async fn ended_spans(&self, project: &ProjectName, keys: &[EndedKey]) -> Result<Vec<Span>> {
        let keys = &keys[..keys.len().min(Page::MOST)];
        let (Some(first), Some(last)) = (keys.iter().map(|key| key.end).min(), keys.iter().map(|key| key.end).max())
        else {
            return Ok(Vec::new());
        };
        let mut condition = between(&Filter::of(project.clone()), Ended::before(first), last);
        condition.one_of("span_id", keys.iter().map(|key| key.span_id.to_string().into()));
        condition.one_of("trace_id", keys.iter().map(|key| key.trace_id.to_string().into()));
        let sql =
            format!("SELECT * FROM spans WHERE {} ORDER BY end_time, span_id LIMIT {}", condition.sql(), Page::MOST);
        self.read("reading followed spans", &sql, condition, self.limits(), read_spans).await
    }

    /// A span with its whole output.
    ///
    /// # Errors
    /// [`crate::Error::ReadPayload`] when it is gone or damaged.
    pub async fn with_output(&self, mut span: Span) -> Result<Span> {
        if let Some(sha256) = span.output_blob {
            span.output = Some(self.payload(sha256).await?);
        }
        Ok(span)
    }

    /// The spans that an author has scored since a time, each once, in the order of their names; those that follow `after`, and `limit` of
    /// them at most. Those whose scores were taken back since are among them.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn scored_spans(
        &self,
        project: &ProjectName,
        author: &str,
        since: Timestamp,
        after: Option<(TraceId, SpanId)>,
        limit: usize,
    ) -> Result<Vec<ScoredSpan>> {
        let limit = limit.clamp(1, MOST_SCORED);
        let mut condition = Condition::default();
        condition.all("project = $", Some(project.as_str().into()));
        condition.all("time >= $", Some(since.into()));
        condition.all("author = $", Some(author.into()));
        if let Some((trace, span)) = after {
            let (trace, span) = (condition.bind(trace.to_string().into()), condition.bind(span.to_string().into()));
            condition.also(format!("(trace_id > {trace} OR (trace_id = {trace} AND span_id > {span}))"));
        }
        let sql = format!(
            "SELECT trace_id, span_id, min(time) AS first FROM scores WHERE {} AND value IS NOT NULL \
             AND span_id IS NOT NULL GROUP BY trace_id, span_id ORDER BY trace_id, span_id LIMIT {limit}",
            condition.sql()
        );
        let limits = QueryLimits { max_rows: limit, ..self.limits() };
        self.read("listing what an author has scored", &sql, condition, limits, read_scored).await
    }

    /// The means of an author's scores over time, in parts of so many seconds.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn score_series(
        &self,
        project: &ProjectName,
        author: &str,
        range: TimeRange,
        step_s: u32,
    ) -> Result<Vec<ScorePoint>> {
        let mut condition = Condition::default();
        condition.all("project = $", Some(project.as_str().into()));
        condition.all("author = $", Some(author.into()));
        condition.all("time >= $", Some(range.from().into()));
        condition.all("time < $", Some(range.to().into()));
        let rows = condition.sql();
        let step = i64::from(step_s.max(1)) * 1_000_000_000;
        let step_place = condition.bind(Param::Int(step));
        let sql = format!(
            "SELECT name, slot * {step_place} AS start_ns, count(*) AS scores, avg(value) AS mean FROM \
             (SELECT name, value, CAST(time AS BIGINT) / {step_place} AS slot, \
             row_number() OVER (PARTITION BY score_id ORDER BY time DESC) AS nth FROM scores WHERE {rows}) \
             WHERE nth = 1 AND value IS NOT NULL GROUP BY name, slot ORDER BY slot, name LIMIT {MOST_POINTS}"
        );
        let limits = QueryLimits { max_rows: MOST_POINTS, ..self.limits() };
        self.read("averaging scores over time", &sql, condition, limits, read_points).await
    }
}

fn between(filter: &Filter, after: Ended, until: Timestamp) -> Condition {
    let mut condition = Condition::of(filter);
    // What follows from the ends, so that segments can be skipped by their times.
    condition.all("start_time >= $", Some(after.end.saturating_sub(LONGEST).into()));
    condition.all("start_time <= $", Some(until.into()));
    condition.all("end_time <= $", Some(until.into()));
    let end = condition.bind(after.end.into());
    match after.span_id {
        None => condition.also(format!("end_time >= {end}")),
        Some(span_id) => {
            let span_id = condition.bind(span_id.to_string().into());
            condition.also(format!("end_time >= {end} AND (end_time > {end} OR span_id > {span_id})"));
        }
    }
    condition
}

fn read_keys(batch: &RecordBatch) -> Result<Vec<EndedKey>> {
    let rows = Rows::of(batch);
    let (trace, span, end) = (rows.text("trace_id")?, rows.text("span_id")?, rows.time("end_time")?);
    let read = |row| Ok(EndedKey { trace_id: trace.required(row)?, span_id: span.required(row)?, end: end.get(row) });
    (0..batch.num_rows()).map(read).collect()
}

fn read_scored(batch: &RecordBatch) -> Result<Vec<ScoredSpan>> {
    let rows = Rows::of(batch);
    let (trace, span, first) = (rows.text("trace_id")?, rows.text("span_id")?, rows.time("first")?);
    let read =
        |row| Ok(ScoredSpan { trace_id: trace.required(row)?, span_id: span.required(row)?, first: first.get(row) });
    (0..batch.num_rows()).map(read).collect()
}

fn read_points(batch: &RecordBatch) -> Result<Vec<ScorePoint>> {
    let rows = Rows::of(batch);
    let (name, from) = (rows.text("name")?, rows.number("start_ns")?);
    let (count, mean) = (rows.number("scores")?, rows.float("mean")?);
    let read = |row| ScorePoint {
        name: name.owned(row).unwrap_or_default(),
        from: Timestamp::from_nanos(number_at(&from, row).unwrap_or_default()),
        count: number_at(&count, row).map_or(0, i64::unsigned_abs),
        mean: float_at(&mean, row).unwrap_or_default(),
    };
    Ok((0..batch.num_rows()).map(read).collect())
}
