//! A page of traces, newest first: each once, at its first span among those that are wanted.
//!
//! The spans are walked from the newest on. A trace that is met while its first span lies further back is put aside and
//! its other spans are skipped, however many they are, until the walk has come to the first. Where a few rounds of this
//! do not fill the page, one statement adds up all that is left, so that a page takes a bounded number of statements.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use arrow::array::{Float64Array, Int64Array, RecordBatch};
use qd_base::{Picodollars, SpanId, Timestamp, TraceId, Usage};

use crate::filter::Condition;
use crate::table::{Rows, Text, UsageColumns, float_at, number_at};
use crate::{Cursor, Filter, Page, Result, SpanSummary, Traces};

/// The spans of one trace begin within this time of each other, or a listing does not count them together.
const TRACE_LASTS: Duration = Duration::from_secs(24 * 3600);
/// Rounds of the walk for one page at most; what they leave is added up in one statement.
const ROUNDS: usize = 6;
/// Spans that the first round reads for each trace of a page. A round costs two statements whatever it reads, and a chain that
/// calls a model has some four spans.
const FIRST_SPANS_EACH: usize = 5;
/// How many times as many spans a round reads as the one before, when that did not fill the page.
const GROWTH: usize = 4;
/// Spans that one round reads at most.
const MOST_READ: usize = 4_000;

/// A trace as a listing shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSummary {
    /// Its first span among those that the filter wants.
    pub head: SpanSummary,
    /// The call of a model that the trace is told by.
    pub call: Call,
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

/// Which model was called: by the head of a trace, or where that names none, by the trace's first call of a language model.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Call {
    /// Who ran the model.
    pub provider: Option<String>,
    /// The model asked for.
    pub model_requested: Option<String>,
    /// The model that answered.
    pub model: Option<String>,
    /// From the start of that call to its first token, in milliseconds.
    pub ttft_ms: Option<f64>,
}

impl TraceSummary {
    /// From the first start to the last end, in milliseconds.
    pub fn latency_ms(&self) -> f64 {
        self.end.since(self.start).as_secs_f64() * 1e3
    }
}

impl Call {
    /// The call that a span is, if it names a model.
    fn of(span: &SpanSummary) -> Option<Self> {
        (span.model.is_some() || span.model_requested.is_some()).then(|| Self {
            provider: span.provider.clone(),
            model_requested: span.model_requested.clone(),
            model: span.model.clone(),
            ttft_ms: span.ttft_ms,
        })
    }
}

impl Traces {
    /// A page of traces, newest first, and where the next begins if there is more.
    ///
    /// A trace is listed once, at its first span among those that `filter` wants. What is added while someone pages
    /// neither repeats a trace nor hides one.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn list(&self, filter: &Filter, page: Page) -> Result<(Vec<TraceSummary>, Option<Cursor>)> {
        let mut walk = Walk::along(page);
        for _ in 0..ROUNDS {
            if !walk.is_over() {
                self.walk_on(filter, &mut walk).await?;
            }
        }
        if !walk.is_over() {
            self.leap(filter, &mut walk).await?;
        }
        self.read_heads(filter, &mut walk).await?;
        let next = walk.next();
        Ok((walk.into_summaries(), next))
    }

    /// One round: reads on among the spans of traces that were not met yet, and finds the traces whose heads were passed.
    async fn walk_on(&self, filter: &Filter, walk: &mut Walk) -> Result<()> {
        let wanted = walk.wanted();
        let (spans, more) = match walk.ended {
            true => (Vec::new(), false),
            false => self.read_on(filter, wanted, walk.reached, walk.aside.keys().copied()).await?,
        };
        walk.read += spans.len();
        walk.last_wanted = wanted;
        walk.ended = !more;
        if let Some(last) = spans.last() {
            walk.reached = Some(last.cursor());
        }
        let (met, heads) = walk.candidates(&spans);
        let totals = self.totals(filter, &met, &heads).await?;
        walk.settle(spans, totals);
        Ok(())
    }

    /// Finds the traces that are missing among all that the walk has not come to.
    async fn leap(&self, filter: &Filter, walk: &mut Walk) -> Result<()> {
        let mut condition = Condition::of(filter);
        if let Some(cursor) = walk.reached {
            condition.after(cursor);
        }
        let missing = walk.limit - walk.found.len();
        let sql = format!(
            "SELECT trace_id, min(start_time) AS start_time, first_value(span_id ORDER BY start_time, span_id) AS span_id \
             FROM spans WHERE {} GROUP BY trace_id ORDER BY start_time DESC, span_id DESC LIMIT {}",
            condition.sql(),
            missing + 1
        );
        let mut left = self.read("finding traces", &sql, condition, self.limits(), read_heads).await?;
        walk.ended = left.len() <= missing;
        left.truncate(missing);
        let (met, heads): (Vec<TraceId>, Vec<Timestamp>) = left.iter().map(|(id, head)| (*id, head.start)).unzip();
        let totals = self.totals(filter, &met, &heads).await?;
        walk.aside.clear();
        walk.found_all(totals.into_iter().collect());
        Ok(())
    }

    /// What all spans of these traces come to, with their heads; every head that counts begins within
    /// [`TRACE_LASTS`] of `times`.
    async fn totals(
        &self,
        filter: &Filter,
        traces: &[TraceId],
        times: &[Timestamp],
    ) -> Result<HashMap<TraceId, Total>> {
        let (Some(&newest), Some(&oldest)) = (times.iter().max(), times.iter().min()) else {
            return Ok(HashMap::new());
        };
        let condition = Condition::of(filter);
        let wanted = condition.sql();
        let mut scope = condition.beside();
        scope.all("project = $", filter.project.as_ref().map(|project| project.as_str().into()));
        scope.all("start_time >= $", Some(oldest.saturating_sub(TRACE_LASTS).into()));
        scope.all("start_time <= $", Some(newest.saturating_add(TRACE_LASTS).into()));
        scope.one_of("trace_id", traces.iter().map(|trace_id| trace_id.to_string().into()));
        let sql = format!("{} FROM spans WHERE {} GROUP BY trace_id", total_columns(&wanted), scope.sql());
        let totals = self.read("adding up traces", &sql, scope, self.limits(), read_totals).await?;
        Ok(totals.into_iter().collect())
    }

    /// Reads the heads that the walk did not come by.
    async fn read_heads(&self, filter: &Filter, walk: &mut Walk) -> Result<()> {
        let missing = walk.unread();
        let (Some(newest), Some(oldest)) = (missing.first(), missing.last()) else { return Ok(()) };
        let mut condition = Condition::default();
        condition.all("project = $", filter.project.as_ref().map(|project| project.as_str().into()));
        condition.all("start_time >= $", Some(oldest.start.into()));
        condition.all("start_time <= $", Some(newest.start.into()));
        condition.one_of("span_id", missing.iter().map(|head| head.span_id.to_string().into()));
        let spans = self.read_listed("reading the first spans of traces", condition).await?;
        walk.heads.extend(spans.into_iter().map(|span| ((span.trace_id, span.span_id), span)));
        Ok(())
    }
}

/// How far a page has come.
struct Walk {
    /// Traces that the page is to have.
    limit: usize,
    /// The last span that was read: every trace whose head comes before is found.
    reached: Option<Cursor>,
    /// Whether no span of a trace that was not met is left.
    ended: bool,
    /// The heads of traces that were met and whose heads the walk has not come to.
    aside: HashMap<TraceId, Cursor>,
    /// What the page has so far, in its order.
    found: Vec<(TraceId, Total)>,
    /// Spans that were read and are heads.
    heads: HashMap<(TraceId, SpanId), SpanSummary>,
    /// Spans that were read.
    read: usize,
    /// Spans that the last round asked for.
    last_wanted: usize,
}

impl Walk {
    fn along(page: Page) -> Self {
        let limit = page.limit.clamp(1, Page::MOST);
        Self {
            limit,
            reached: page.after,
            ended: false,
            aside: HashMap::new(),
            found: Vec::new(),
            heads: HashMap::new(),
            read: 0,
            last_wanted: 0,
        }
    }

    /// Whether the page is full or nothing is left.
    fn is_over(&self) -> bool {
        self.found.len() == self.limit || (self.ended && self.aside.is_empty())
    }

    /// Spans that the next round asks for: as many as the missing traces have, if they are like those found.
    fn wanted(&self) -> usize {
        if self.last_wanted == 0 {
            return self.limit.saturating_mul(FIRST_SPANS_EACH).min(MOST_READ);
        }
        let spans_each = self.read.div_ceil(self.found.len().max(1)).max(1);
        let missing = self.limit - self.found.len();
        missing.saturating_mul(spans_each).clamp(self.limit, GROWTH * self.last_wanted).min(MOST_READ)
    }

    /// Which heads the walk has come by.
    fn passed(&self) -> impl Fn(Cursor) -> bool + use<> {
        let (ended, reached) = (self.ended, self.reached);
        move |head| ended || reached.is_some_and(|reached| reached <= head)
    }

    /// The traces to be added up now that `spans` were read, and times at which they have spans: those just met, and those
    /// put aside whose heads were passed.
    fn candidates(&self, spans: &[SpanSummary]) -> (Vec<TraceId>, Vec<Timestamp>) {
        let has_passed = self.passed();
        let passed = self.aside.iter().filter(|(_, head)| has_passed(**head));
        let (mut traces, mut times): (Vec<TraceId>, Vec<Timestamp>) =
            passed.map(|(id, head)| (*id, head.start)).unzip();
        let met: HashSet<TraceId> = spans.iter().map(|span| span.trace_id).collect();
        traces.extend(met);
        times.extend([spans.first(), spans.last()].into_iter().flatten().map(|span| span.start));
        (traces, times)
    }

    /// Takes what a round read: traces whose heads were passed are found, the others put aside.
    fn settle(&mut self, spans: Vec<SpanSummary>, mut totals: HashMap<TraceId, Total>) {
        // A head is certain when it was just read, or was told twice: so much before it was looked at the second time.
        let told_again = totals.iter().filter(|(id, total)| self.aside.get(*id) == Some(&total.head));
        let mut certain: HashSet<TraceId> = told_again.map(|(id, _)| *id).collect();
        for span in spans {
            if totals.get(&span.trace_id).is_some_and(|total| total.head.span_id == span.span_id) {
                certain.insert(span.trace_id);
                self.heads.insert((span.trace_id, span.span_id), span);
            }
        }
        let has_passed = self.passed();
        self.aside.retain(|_, head| !has_passed(*head));
        self.aside.extend(totals.iter().map(|(id, total)| (*id, total.head)));
        let found = totals.extract_if(|id, total| certain.contains(id) && has_passed(total.head)).collect();
        self.found_all(found);
    }

    /// Adds traces that come after all found so far; those for which there is no room are put aside.
    fn found_all(&mut self, mut more: Vec<(TraceId, Total)>) {
        more.sort_unstable_by_key(|(_, total)| std::cmp::Reverse(total.head));
        for (id, total) in more {
            // While its spans are coming in a trace may be met again.
            let known = self.found.iter().any(|(other, _)| *other == id);
            if known || self.found.len() < self.limit {
                self.aside.remove(&id);
            } else {
                self.aside.insert(id, total.head);
            }
            if !known && self.found.len() < self.limit {
                self.found.push((id, total));
            }
        }
    }

    /// Where the next page begins, if there is more.
    fn next(&self) -> Option<Cursor> {
        let more = !self.ended || !self.aside.is_empty();
        self.found.last().map(|(_, total)| total.head).or(self.reached).filter(|_| more)
    }

    /// The heads of the page that were not read, newest first.
    fn unread(&self) -> Vec<Cursor> {
        let unread = |(id, total): &(TraceId, Total)| {
            (!self.heads.contains_key(&(*id, total.head.span_id))).then_some(total.head)
        };
        self.found.iter().filter_map(unread).collect()
    }

    /// The page.
    fn into_summaries(mut self) -> Vec<TraceSummary> {
        let summary = |(id, total): (TraceId, Total)| {
            self.heads.remove(&(id, total.head.span_id)).map(|head| total.summary(head))
        };
        self.found.into_iter().filter_map(summary).collect()
    }
}

/// What the spans of one trace come to.
struct Total {
    head: Cursor,
    first_call: Call,
    spans: u64,
    errors: u64,
    start: Timestamp,
    end: Timestamp,
    usage: Usage,
    cost: Picodollars,
}

impl Total {
    fn summary(self, head: SpanSummary) -> TraceSummary {
        TraceSummary {
            call: Call::of(&head).unwrap_or(self.first_call),
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

/// Adds up a trace; its head is its first span among the `wanted` ones.
fn total_columns(wanted: &str) -> String {
    let first = |column: &str, which: &str| {
        format!("first_value({column} ORDER BY start_time, span_id) FILTER (WHERE {which})")
    };
    let of_call = |column: &str| format!("{} AS {column}", first(column, "kind = 'llm'"));
    format!(
        "SELECT trace_id, {} AS head, min(start_time) FILTER (WHERE {wanted}) AS head_start, count(*) AS spans, \
         count(*) FILTER (WHERE status = 'error') AS errors, min(start_time) AS start_time, max(end_time) AS end_time, \
         {}, {}, {}, {}, \
         coalesce(sum(input_tokens), 0) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens, \
         sum(reasoning_tokens) AS reasoning_tokens, sum(cost_picodollars) AS cost_picodollars",
        first("span_id", wanted),
        of_call("provider"),
        of_call("model_requested"),
        of_call("model"),
        of_call("ttft_ms"),
    )
}

fn read_heads(batch: &RecordBatch) -> Result<Vec<(TraceId, Cursor)>> {
    let rows = Rows::of(batch);
    let (trace_id, span_id, start) = (rows.text("trace_id")?, rows.text("span_id")?, rows.time("start_time")?);
    let head = |row| {
        let cursor = Cursor { start: start.get(row), span_id: span_id.required(row)? };
        Ok((trace_id.required(row)?, cursor))
    };
    (0..batch.num_rows()).map(head).collect()
}

fn read_totals(batch: &RecordBatch) -> Result<Vec<(TraceId, Total)>> {
    let rows = Rows::of(batch);
    let (trace_id, usage, calls) = (rows.text("trace_id")?, UsageColumns::of(&rows)?, CallColumns::of(&rows)?);
    let (head, head_start) = (rows.text("head")?, rows.time("head_start")?);
    let (spans, errors, cost) = (rows.number("spans")?, rows.number("errors")?, rows.number("cost_picodollars")?);
    let (start, end) = (rows.time("start_time")?, rows.time("end_time")?);
    let count = |column: &Int64Array, row| number_at(column, row).map_or(0, |count| count.unsigned_abs());
    let total = |row| {
        // A trace of which nothing is wanted any more has no head: it was removed meanwhile.
        let Some(span_id) = head.parsed(row)? else { return Ok(None) };
        let total = Total {
            head: Cursor { start: head_start.get(row), span_id },
            first_call: calls.get(row),
            spans: count(&spans, row),
            errors: count(&errors, row),
            start: start.get(row),
            end: end.get(row),
            usage: usage.get(row).unwrap_or_default(),
            cost: Picodollars::new(number_at(&cost, row).unwrap_or(0)),
        };
        Ok(Some((trace_id.required(row)?, total)))
    };
    (0..batch.num_rows()).filter_map(|row| total(row).transpose()).collect()
}

/// The four columns that are a [`Call`].
struct CallColumns {
    provider: Text,
    model_requested: Text,
    model: Text,
    ttft_ms: Float64Array,
}

impl CallColumns {
    fn of(rows: &Rows<'_>) -> Result<Self> {
        Ok(Self {
            provider: rows.text("provider")?,
            model_requested: rows.text("model_requested")?,
            model: rows.text("model")?,
            ttft_ms: rows.float("ttft_ms")?,
        })
    }

    fn get(&self, row: usize) -> Call {
        Call {
            provider: self.provider.owned(row),
            model_requested: self.model_requested.owned(row),
            model: self.model.owned(row),
            ttft_ms: float_at(&self.ttft_ms, row),
        }
    }
}
