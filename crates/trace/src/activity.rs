//! Who called and in which conversations: spans added up by session and by end user.

use std::fmt;
use std::str::FromStr;

use arrow::record_batch::RecordBatch;
use qd_base::{Picodollars, Timestamp};
use qd_lake::Param;

use crate::filter::Condition;
use crate::table::{Rows, number_at};
use crate::{Error, Filter, Page, Result, Span, SpanKind, Traces};

/// What a session or an end user did.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// The session or the user.
    pub id: String,
    /// A user of the session; the user itself in a list of users.
    pub user_id: Option<String>,
    /// When the first span began.
    pub first: Timestamp,
    /// When the last span began.
    pub last: Timestamp,
    /// Traces.
    pub traces: u64,
    /// Sessions: 1 in a list of sessions.
    pub sessions: u64,
    /// Calls of models.
    pub calls: u64,
    /// Spans that failed.
    pub errors: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What all spans whose price is known cost.
    pub cost: Picodollars,
}

/// Where a page of a list by activity ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityCursor {
    /// When the last entry was last active.
    pub last: Timestamp,
    /// Which of those it was.
    pub id: String,
}

impl fmt::Display for ActivityCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.last.as_nanos(), self.id)
    }
}

impl FromStr for ActivityCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let (nanos, id) = text.split_once('.')?;
            Some(Self { last: Timestamp::from_nanos(nanos.parse().ok()?), id: id.to_owned() })
        };
        read().ok_or_else(|| Error::cursor(text))
    }
}

/// By what spans are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Session,
    User,
}

impl By {
    fn column(self) -> &'static str {
        match self {
            Self::Session => "session_id",
            Self::User => "user_id",
        }
    }
}

/// A page of a list by activity and where the next begins.
type Listed = (Vec<Activity>, Option<ActivityCursor>);

impl Traces {
    /// Sessions, those active last first; `limit` of them at most [`Page::MOST`].
    ///
    /// # Errors
    /// [`Error::Query`] when the lake does not answer within its limits.
    pub async fn sessions(&self, filter: &Filter, limit: usize, after: Option<ActivityCursor>) -> Result<Listed> {
        self.active(By::Session, filter, limit, after).await
    }

    /// End users, those active last first; `limit` of them at most [`Page::MOST`].
    ///
    /// # Errors
    /// As [`Traces::sessions`].
    pub async fn users(&self, filter: &Filter, limit: usize, after: Option<ActivityCursor>) -> Result<Listed> {
        self.active(By::User, filter, limit, after).await
    }

    /// The calls of models in a session with their payloads, in the order of their starts, and where the next page begins.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake does not answer within its limits, [`Error::Row`] when a row is no span.
    pub async fn session(&self, filter: &Filter, page: Page) -> Result<(Vec<Span>, Option<crate::Cursor>)> {
        let limit = page.limit.clamp(1, Page::MOST);
        let mut condition = Condition::of(&Filter { kind: Some(SpanKind::Llm), ..filter.clone() });
        if let Some(cursor) = page.after {
            condition.since(cursor);
        }
        let sql =
            format!("SELECT * FROM spans WHERE {} ORDER BY start_time, span_id LIMIT {}", condition.sql(), limit + 1);
        let read = crate::table::read_spans;
        let mut spans = self.read("reading a session", &sql, condition, self.limits(), read).await?;
        let more = spans.len() > limit;
        spans.truncate(limit);
        let next = spans.last().filter(|_| more).map(|span| crate::Cursor { start: span.start, span_id: span.span_id });
        Ok((spans, next))
    }

    async fn active(&self, by: By, filter: &Filter, limit: usize, after: Option<ActivityCursor>) -> Result<Listed> {
        let limit = limit.clamp(1, Page::MOST);
        let mut found = self.latest(by, filter, limit, after).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).cloned();
        let totals = self.totals_of(by, filter, &found).await?;
        Ok((totals, next))
    }

    /// Who was active last. Only names and times are looked at: adding up everyone to show fifty would take many times as long.
    async fn latest(
        &self,
        by: By,
        filter: &Filter,
        limit: usize,
        after: Option<ActivityCursor>,
    ) -> Result<Vec<ActivityCursor>> {
        let column = by.column();
        let mut condition = Condition::of(filter);
        let wanted = condition.sql();
        let behind = match after {
            None => "true".to_owned(),
            Some(cursor) => {
                let (last, id) = (condition.bind(cursor.last.into()), condition.bind(Param::Text(cursor.id)));
                format!("max(start_time) < {last} OR (max(start_time) = {last} AND {column} < {id})")
            }
        };
        let sql = format!(
            "SELECT {column} AS id, max(start_time) AS last_time FROM spans WHERE {wanted} AND {column} IS NOT NULL \
             GROUP BY {column} HAVING {behind} ORDER BY last_time DESC, id DESC LIMIT {}",
            limit + 1
        );
        self.read("finding who was active", &sql, condition, self.limits(), |batch| {
            let rows = Rows::of(batch);
            let (id, last) = (rows.text("id")?, rows.time("last_time")?);
            let read = |row| ActivityCursor { last: last.get(row), id: id.owned(row).unwrap_or_default() };
            Ok((0..batch.num_rows()).map(read).collect())
        })
        .await
    }

    /// What those did, in the same order.
    async fn totals_of(&self, by: By, filter: &Filter, found: &[ActivityCursor]) -> Result<Vec<Activity>> {
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let column = by.column();
        let mut condition = Condition::of(filter);
        condition.one_of(column, found.iter().map(|one| Param::Text(one.id.clone())));
        let sql = format!(
            "SELECT {column} AS id, max(user_id) AS user_id, min(start_time) AS first_time, max(start_time) AS last_time, \
             count(DISTINCT trace_id) AS traces, count(DISTINCT session_id) AS sessions, \
             count(*) FILTER (WHERE kind IN ('llm', 'embedding')) AS calls, count(*) FILTER (WHERE status = 'error') AS errors, \
             sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cost_picodollars) AS cost_picodollars \
             FROM spans WHERE {} GROUP BY {column} ORDER BY last_time DESC, id DESC",
            condition.sql()
        );
        self.read("adding up activity", &sql, condition, self.limits(), read_activity).await
    }
}

fn read_activity(batch: &RecordBatch) -> Result<Vec<Activity>> {
    let rows = Rows::of(batch);
    let (id, user_id, first, last) =
        (rows.text("id")?, rows.text("user_id")?, rows.time("first_time")?, rows.time("last_time")?);
    let (traces, sessions) = (rows.number("traces")?, rows.number("sessions")?);
    let (calls, errors, cost) = (rows.number("calls")?, rows.number("errors")?, rows.number("cost_picodollars")?);
    let (input, output) = (rows.number("input_tokens")?, rows.number("output_tokens")?);
    let read = |row| {
        let count = |column| number_at(column, row).map_or(0, i64::unsigned_abs);
        Activity {
            id: id.owned(row).unwrap_or_default(),
            user_id: user_id.owned(row),
            first: first.get(row),
            last: last.get(row),
            traces: count(&traces),
            sessions: count(&sessions),
            calls: count(&calls),
            errors: count(&errors),
            input_tokens: count(&input),
            output_tokens: count(&output),
            cost: Picodollars::new(number_at(&cost, row).unwrap_or(0)),
        }
    };
    Ok((0..batch.num_rows()).map(read).collect())
}
