//! How many calls, how fast, at what cost, over time and by group: what an overview shows.

use std::collections::HashMap;
use std::time::Duration;

use arrow::array::{Array, BinaryArray, RecordBatch};
use qd_base::{TimeRange, Timestamp, words};
use qd_lake::{Param, QueryLimits};

use crate::filter::Condition;
use crate::sketch::Sketch;
use crate::summaries::{self, Resolution};
use crate::table::{Rows, float_at, number_at};
use crate::{Error, Filter, GroupBy, GroupFilter, Groups, Result, Traces};

/// Points of time in an overview at most.
pub const MOST_POINTS: usize = 2_000;
/// Series of an overview at most; what is left over is one more.
pub const MOST_SERIES: usize = 10;
/// Groups that are counted at most.
const MOST_GROUPS: usize = 1_000;
/// Points that an overview has when nobody says how far they are apart.
const USUAL_POINTS: u64 = 120;
/// Steps that read well on an axis, in seconds: to a week.
const STEPS_S: [u64; 18] =
    [1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 604_800];

/// What an overview is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct OverviewQuery {
    /// Which spans; without a kind those that call models.
    pub filter: Filter,
    /// From when to when.
    pub range: TimeRange,
    /// How far the points are apart.
    pub step: Duration,
    /// What the series are.
    pub group_by: Option<GroupBy>,
}

/// The step that gives a range a readable number of points.
pub fn usual_step(range: TimeRange) -> Duration {
    let wanted_s = range.to().since(range.from()).as_secs().div_ceil(USUAL_POINTS);
    let step_s =
        STEPS_S.into_iter().find(|&step| step >= wanted_s).unwrap_or_else(|| wanted_s.next_multiple_of(604_800));
    Duration::from_secs(step_s.max(1))
}

/// How many points a range has with such a step.
pub fn points(range: TimeRange, step: Duration) -> u64 {
    let step_ns = nanos(step);
    let (first, last) = (range.from().as_nanos().div_euclid(step_ns), (range.to().as_nanos() - 1).div_euclid(step_ns));
    last.abs_diff(first) + 1
}

fn nanos(step: Duration) -> i64 {
    i64::try_from(step.as_nanos()).unwrap_or(i64::MAX).max(1)
}

words!(
    /// By what the largest groups are found.
    Weight, "order of groups", {
        /// Those of most calls.
        Requests = "requests",
        /// Those of most calls that failed.
        Errors = "errors",
        /// The most expensive.
        Cost = "cost",
        /// Those of most tokens, of prompts and answers.
        Tokens = "tokens",
    }
);

impl Weight {
    /// What is added up of calls, and of summaries.
    fn sql(self) -> (&'static str, &'static str) {
        match self {
            Self::Requests => ("count(*)", "sum(requests)"),
            Self::Errors => ("count(*) FILTER (WHERE status = 'error')", "sum(errors)"),
            Self::Cost => ("coalesce(sum(cost_picodollars), 0)", "sum(cost_picodollars)"),
            Self::Tokens => (
                "coalesce(sum(coalesce(input_tokens, 0) + coalesce(output_tokens, 0)), 0)",
                "sum(input_tokens + output_tokens)",
            ),
        }
    }
}

/// An overview.
#[derive(Debug, Clone, PartialEq)]
pub struct Overview {
    /// When each point begins; each ends where the next begins.
    pub times: Vec<Timestamp>,
    /// All calls.
    pub total: Measures,
    /// The series, largest first, those left over last.
    pub series: Vec<Series>,
    /// Groups in the last series, when some were left over.
    pub other_groups: usize,
}

/// The calls of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The group, empty for calls that do not say; none for all calls, or for all groups left over.
    pub group: Option<String>,
    /// All of its calls.
    pub total: Measures,
    /// Those of each point.
    pub points: Vec<Measures>,
}

/// What is measured of some calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measures {
    /// Calls.
    pub requests: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// Tokens of prompts that came from a cache.
    pub cached_tokens: u64,
    /// What they cost, in picodollars.
    pub cost_picodollars: i64,
    /// From start to end, in milliseconds.
    pub latency_ms: Sketch,
    /// From start to the first token, in milliseconds.
    pub ttft_ms: Sketch,
    /// Milliseconds in which answers were generated: from the first token, or from the start where that is not known.
    pub(crate) generating_ms: f64,
}

impl Measures {
    /// Tokens of answers over the time that generating them took; calls side by side count each for itself.
    pub fn output_tokens_per_s(&self) -> Option<f64> {
        (self.generating_ms > 0.0).then(|| self.output_tokens as f64 * 1e3 / self.generating_ms)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cached_tokens += other.cached_tokens;
        self.cost_picodollars = self.cost_picodollars.saturating_add(other.cost_picodollars);
        self.latency_ms.merge(&other.latency_ms);
        self.ttft_ms.merge(&other.ttft_ms);
        self.generating_ms += other.generating_ms;
    }
}

impl Traces {
    /// An overview of the calls in a range.
    ///
    /// Percentiles are within [`crate::sketch::ACCURACY`] of the exact ones.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn overview(&self, query: &OverviewQuery) -> Result<Overview> {
        let groups = self.groups(query, Weight::Requests).await?;
        let shown = &groups[..groups.len().min(MOST_SERIES)];
        let cells = self.cells(query, shown).await?;
        let step_ns = nanos(query.step);
        let first = query.range.from().as_nanos().div_euclid(step_ns);
        let count = usize::try_from(points(query.range, query.step)).unwrap_or(usize::MAX).min(MOST_POINTS);
        let mut series = HashMap::<Option<String>, Vec<Measures>>::new();
        for cell in cells {
            let at = usize::try_from(cell.bucket - first).ok().filter(|&at| at < count);
            let points = series.entry(cell.group).or_insert_with(|| vec![Measures::default(); count]);
            if let Some(at) = at {
                points[at].add(&cell.measures);
            }
        }
        let order = shown.iter().cloned().map(Some).chain([None]);
        let series: Vec<Series> = order
            .filter_map(|group| series.remove(&group).map(|points| Series { total: sum(&points), points, group }))
            .collect();
        let times = (0..count as i64).map(|at| Timestamp::from_nanos((first + at) * step_ns)).collect();
        let total = sum(series.iter().map(|series| &series.total));
        Ok(Overview { times, total, series, other_groups: groups.len().saturating_sub(MOST_SERIES) })
    }

    /// The groups of the range, those of most weight first.
    pub(crate) async fn groups(&self, query: &OverviewQuery, weight: Weight) -> Result<Vec<String>> {
        let Some(by) = query.group_by else { return Ok(Vec::new()) };
        let (sources, condition) = Sources::of(query);
        let (of_calls, of_summary) = weight.sql();
        let mut counts = vec![format!("SELECT {} AS grp, {of_calls} AS n FROM {} GROUP BY 1", by.sql(), sources.calls)];
        if let Some(summary) = &sources.summary {
            counts.push(format!("SELECT value AS grp, {of_summary} AS n FROM {} GROUP BY 1", summary));
        }
        let sql = format!(
            "SELECT grp, sum(n) AS n FROM ({}) GROUP BY grp ORDER BY n DESC, grp LIMIT {MOST_GROUPS}",
            counts.join(" UNION ALL ")
        );
        self.read("finding the groups of an overview", &sql, condition, self.wide(), |batch| {
            let group = Rows::of(batch).text("grp")?;
            Ok((0..batch.num_rows()).filter_map(|row| group.owned(row)).collect())
        })
        .await
    }

    /// What was measured in each point for each group: of calls by the size of the latency, then by the size of the time
    /// to first token; and what summaries say. It is one statement, so that a call is either in a summary or is not.
    pub(crate) async fn cells(&self, query: &OverviewQuery, shown: &[String]) -> Result<Vec<Cell>> {
        let (sources, mut condition) = Sources::of(query);
        let places: Vec<_> = shown.iter().map(|group| condition.bind(Param::Text(group.clone()))).collect();
        // Without a call there is no group, and a list must not be empty.
        let places = if places.is_empty() { "''".to_owned() } else { places.join(", ") };
        let group = |value: &str| match query.group_by {
            None => "CAST(NULL AS VARCHAR)".to_owned(),
            Some(_) => format!("CASE WHEN {value} IN ({places}) THEN {value} END"),
        };
        let bucket = |time: &str| format!("CAST({time} AS BIGINT) / {}", nanos(query.step));
        let of_call =
            format!("{} AS bucket, {} AS grp", bucket("start_time"), group(query.group_by.map_or("", GroupBy::sql)));
        let calls = &sources.calls;
        let mut parts = vec![
            format!("SELECT {of_call}, {} FROM {calls} GROUP BY bucket, grp, cell", latency_columns()),
            format!(
                "SELECT {of_call}, {} FROM {calls} WHERE ttft_ms IS NOT NULL GROUP BY bucket, grp, cell",
                ttft_columns()
            ),
        ];
        if let Some(summary) = &sources.summary {
            let (bucket, group) = (bucket("time"), group("value"));
            parts.push(format!("SELECT {bucket} AS bucket, {group} AS grp, {SUMMARY_COLUMNS} FROM {}", summary));
        }
        self.read("adding up calls", &parts.join(" UNION ALL "), condition, self.wide(), read_cells).await
    }

    /// Limits for answers of many small rows.
    pub(crate) fn wide(&self) -> QueryLimits {
        QueryLimits { max_rows: 2_000_000, ..self.limits() }
    }
}

/// Where the calls of an overview are read, as tables of SQL.
struct Sources {
    /// Spans, each a call: all of the range, or those that are not in a summary.
    calls: String,
    /// The rest of the calls, added up.
    summary: Option<String>,
}

impl Sources {
    /// The sources of an overview, and the values that they are bound to.
    fn of(query: &OverviewQuery) -> (Self, Condition) {
        let range = query.range;
        let filter =
            Filter { range: None, calls: query.filter.calls || query.filter.kind.is_none(), ..query.filter.clone() };
        let mut condition = Condition::of(&filter);
        let wanted = condition.sql();
        let (from, to) = (condition.bind(range.from().into()), condition.bind(range.to().into()));
        let Some(summarized) = Summarized::of(query) else {
            let calls = format!(
                "(SELECT {CALL_COLUMNS} FROM spans WHERE {wanted} AND start_time >= {from} AND start_time < {to}) AS calls"
            );
            return (Self { calls, summary: None }, condition);
        };
        let (begin, end) = (condition.bind(summarized.from.into()), condition.bind(summarized.to.into()));
        let calls = format!(
            "(SELECT {CALL_COLUMNS} FROM spans_unsummarized WHERE {wanted} AND start_time >= {begin} AND start_time < {end} \
             UNION ALL SELECT {CALL_COLUMNS} FROM spans WHERE {wanted} \
             AND (start_time >= {from} AND start_time < {begin} OR start_time >= {end} AND start_time < {to})) AS calls"
        );
        let mut of_summary = condition.beside();
        of_summary.all("project = $", filter.project.as_ref().map(|project| project.as_str().into()));
        of_summary.all("dimension = $", Some(summaries::dimension(summarized.dimension).into()));
        of_summary.all("value = $", summarized.value.map(Param::Text));
        let summary = format!(
            "(SELECT * FROM {} WHERE {} AND time >= {begin} AND time < {end}) AS summary",
            summarized.resolution.table(),
            of_summary.sql()
        );
        (Self { calls, summary: Some(summary) }, of_summary)
    }
}

/// Which part of an overview summaries can answer.
struct Summarized {
    resolution: Resolution,
    /// Whole minutes, hours or days within the range.
    from: Timestamp,
    to: Timestamp,
    dimension: Option<GroupBy>,
    /// The one group that is wanted.
    value: Option<String>,
}

impl Summarized {
    /// None when the overview asks for what summaries do not tell apart, or for too short a time.
    fn of(query: &OverviewQuery) -> Option<Self> {
        let (dimension, value) = one_dimension(&query.filter, query.group_by)?;
        let coarsest_first = Resolution::ALL.into_iter().rev();
        coarsest_first
            .filter(|resolution| dimension.is_none_or(|by| resolution.dimensions().any(|other| other == by)))
            .find_map(|resolution| {
                let length = nanos(resolution.length());
                let (from, to) = (query.range.from().as_nanos(), query.range.to().as_nanos());
                let from = from.checked_add(length - 1)?.div_euclid(length) * length;
                let to = to.div_euclid(length) * length;
                let (from, to) = (Timestamp::from_nanos(from), Timestamp::from_nanos(to));
                (nanos(query.step) % length == 0 && from < to).then(|| Self {
                    resolution,
                    from,
                    to,
                    dimension,
                    value: value.clone(),
                })
            })
    }
}

/// The only dimension in which an overview tells calls apart, and the group if only one is wanted; none when there are
/// several dimensions or others than those of [`GroupBy`].
fn one_dimension(filter: &Filter, group_by: Option<GroupBy>) -> Option<(Option<GroupBy>, Option<String>)> {
    let one = match &filter.group {
        Some(GroupFilter { by, groups: Groups::One(value) }) => Some((*by, value.clone())),
        _ => None,
    };
    // A filter by model also takes those who asked for it and got another, so it is none of these.
    let told = [
        (GroupBy::Provider, filter.provider.clone()),
        (GroupBy::Prompt, filter.prompt.clone()),
        (GroupBy::User, filter.user.clone()),
        (GroupBy::Environment, filter.environment.clone()),
        (GroupBy::Status, filter.status.map(|status| status.as_str().to_owned())),
    ];
    let rest = Filter {
        project: None,
        range: None,
        calls: false,
        provider: None,
        prompt: None,
        user: None,
        environment: None,
        status: None,
        group: filter.group.clone().filter(|_| one.is_none()),
        ..filter.clone()
    };
    let mut told = told.into_iter().filter_map(|(by, value)| Some((by, value?))).chain(one);
    match (told.next(), told.next()) {
        _ if rest != Filter::default() => None,
        (None, _) => Some((group_by, None)),
        (Some((by, value)), None) if group_by.is_none_or(|other| other == by) => Some((Some(by), Some(value))),
        _ => None,
    }
}

/// What an overview needs of a call.
const CALL_COLUMNS: &str = "start_time, latency_ms, ttft_ms, status, user_id, session_id, environment, release, name, provider, \
    model_requested, model, prompt_name, prompt_version, input_tokens, output_tokens, cached_tokens, cost_picodollars";

/// What the rows of [`Traces::cells`] say beside their point and group, by the size of the latency.
fn latency_columns() -> String {
    format!(
        "{} AS cell, true AS counts, count(*) AS n, count(*) FILTER (WHERE status = 'error') AS errors, \
         sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens, \
         sum(cost_picodollars) AS cost_picodollars, \
         sum(greatest(latency_ms - coalesce(ttft_ms, 0), 0)) FILTER (WHERE output_tokens > 0) AS generating_ms, \
         CAST(NULL AS BYTEA) AS latency_sketch, CAST(NULL AS BYTEA) AS ttft_sketch",
        Sketch::cell_sql("latency_ms")
    )
}

/// The same by the size of the time to first token. These calls are counted already.
fn ttft_columns() -> String {
    format!(
        "{} AS cell, false AS counts, count(*) AS n, 0 AS errors, 0 AS input_tokens, 0 AS output_tokens, 0 AS cached_tokens, \
         0 AS cost_picodollars, 0.0 AS generating_ms, CAST(NULL AS BYTEA) AS latency_sketch, CAST(NULL AS BYTEA) AS ttft_sketch",
        Sketch::cell_sql("ttft_ms")
    )
}

/// The same of a summary, which has sketches instead of cells.
const SUMMARY_COLUMNS: &str = "CAST(NULL AS BIGINT) AS cell, true AS counts, requests AS n, errors, input_tokens, \
    output_tokens, cached_tokens, cost_picodollars, generating_ms, latency_sketch, ttft_sketch";

fn sum<'a>(parts: impl IntoIterator<Item = &'a Measures>) -> Measures {
    parts.into_iter().fold(Measures::default(), |mut total, part| {
        total.add(part);
        total
    })
}

/// What was measured of the calls of one group that began in one point and are of one size.
pub(crate) struct Cell {
    bucket: i64,
    pub group: Option<String>,
    pub measures: Measures,
}

fn read_cells(batch: &RecordBatch) -> Result<Vec<Cell>> {
    let rows = Rows::of(batch);
    let column = |name| rows.number(name);
    let (bucket, group, cell) = (column("bucket")?, rows.text("grp")?, column("cell")?);
    let (counts, n, errors) = (column("counts")?, column("n")?, column("errors")?);
    let (input, output, cached) = (column("input_tokens")?, column("output_tokens")?, column("cached_tokens")?);
    let (cost, generating) = (column("cost_picodollars")?, rows.float("generating_ms")?);
    let (latency, ttft) = (rows.bytes("latency_sketch")?, rows.bytes("ttft_sketch")?);
    let read = |row| {
        let count = |column| number_at(column, row).map_or(0, i64::unsigned_abs);
        let mut measures = Measures {
            requests: count(&n) * count(&counts),
            errors: count(&errors),
            input_tokens: count(&input),
            output_tokens: count(&output),
            cached_tokens: count(&cached),
            cost_picodollars: number_at(&cost, row).unwrap_or(0),
            generating_ms: float_at(&generating, row).unwrap_or(0.0),
            latency_ms: sketch_at(&latency, row)?,
            ttft_ms: sketch_at(&ttft, row)?,
        };
        if let Some(cell) = number_at(&cell, row) {
            let sketch = if count(&counts) > 0 { &mut measures.latency_ms } else { &mut measures.ttft_ms };
            sketch.add_cell(cell, count(&n));
        }
        Ok(Cell { bucket: number_at(&bucket, row).unwrap_or(0), group: group.owned(row), measures })
    };
    (0..batch.num_rows()).map(read).collect()
}

/// The sketch of a summary; empty in a row of calls, which has a cell instead.
fn sketch_at(column: &BinaryArray, row: usize) -> Result<Sketch> {
    let bytes = if column.is_valid(row) { column.value(row) } else { &[] };
    Sketch::decode(bytes).ok_or_else(|| Error::Row { column: "latency_sketch", why: "it is no sketch".into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolution(from: i64, to: i64, step_s: u64, filter: Filter, group_by: Option<GroupBy>) -> Option<Resolution> {
        let range = TimeRange::new(Timestamp::from_secs(from), Timestamp::from_secs(to)).unwrap();
        let query = OverviewQuery { filter, range, step: Duration::from_secs(step_s), group_by };
        Summarized::of(&query).map(|summarized| summarized.resolution)
    }

    #[test]
    fn the_coarsest_summary_that_tells_enough_apart_is_read() {
        let user = || Filter { user: Some("ann".into()), ..Filter::default() };
        let of = |from, to, step_s| resolution(from, to, step_s, Filter::default(), None);
        assert_eq!(of(0, 259_200, 86_400), Some(Resolution::Day));
        assert_eq!(of(1, 172_799, 86_400), Some(Resolution::Hour), "no whole day lies in the range");
        assert_eq!(of(0, 259_200, 7_200), Some(Resolution::Hour));
        assert_eq!(of(0, 3_600, 60), Some(Resolution::Minute));
        assert_eq!((of(0, 3_600, 90), of(30, 119, 60)), (None, None), "points and ranges that cut minutes");
        assert_eq!(resolution(0, 86_400, 3_600, user(), None), None, "hours do not tell users apart");
        assert_eq!(resolution(0, 86_400, 86_400, user(), Some(GroupBy::User)), Some(Resolution::Day));
        assert_eq!(resolution(0, 86_400, 86_400, user(), Some(GroupBy::Model)), None, "two dimensions");
        let model = Filter { model: Some("gpt-4o".into()), ..Filter::default() };
        assert_eq!(resolution(0, 7_200, 3_600, model, None), None, "it also takes those who asked for the model");
        let answered = || Filter {
            group: Some(GroupFilter { by: GroupBy::Model, groups: Groups::One("gpt-4o".into()) }),
            ..Filter::default()
        };
        assert_eq!(resolution(0, 7_200, 3_600, answered(), None), Some(Resolution::Hour), "a group of one dimension");
        assert_eq!(resolution(0, 7_200, 3_600, answered(), Some(GroupBy::Provider)), None, "two dimensions");
        assert_eq!(resolution(0, 86_400, 86_400, Filter::default(), Some(GroupBy::Session)), None, "not summarized");
        let kind = Filter { kind: Some(crate::SpanKind::Tool), ..Filter::default() };
        assert_eq!(resolution(0, 7_200, 3_600, kind, None), None, "summaries hold calls of models only");
    }
}
