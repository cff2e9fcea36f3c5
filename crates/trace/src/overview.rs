//! How many calls, how fast, at what cost, over time and by group: what an overview shows.

use std::collections::HashMap;
use std::time::Duration;

use arrow::array::RecordBatch;
use qd_base::{TimeRange, Timestamp};
use qd_lake::{Param, QueryLimits};

use crate::filter::Condition;
use crate::sketch::Sketch;
use crate::table::{Rows, float_at, number_at};
use crate::{Filter, Result, Traces};

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

/// What calls are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The model that answered, or was asked for when none did.
    Model,
    /// Who ran it.
    Provider,
    /// The prompt artifact.
    Prompt,
    /// The end user.
    User,
    /// The environment.
    Environment,
    /// How it ended.
    Status,
}

impl GroupBy {
    /// Every one with its word.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Model, "model"),
        (Self::Provider, "provider"),
        (Self::Prompt, "prompt"),
        (Self::User, "user"),
        (Self::Environment, "environment"),
        (Self::Status, "status"),
    ];

    /// The group of a span as SQL: never null, empty where the span does not say.
    fn sql(self) -> &'static str {
        match self {
            Self::Model => "coalesce(model, model_requested, '')",
            Self::Provider => "coalesce(provider, '')",
            Self::Prompt => "coalesce(prompt_name, '')",
            Self::User => "coalesce(user_id, '')",
            Self::Environment => "coalesce(environment, '')",
            Self::Status => "coalesce(status, '')",
        }
    }
}

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
    generating_ms: f64,
    /// Tokens generated in that time.
    generated_tokens: u64,
}

impl Measures {
    /// Tokens of answers over the time that generating them took; calls side by side count each for itself.
    pub fn output_tokens_per_s(&self) -> Option<f64> {
        (self.generating_ms > 0.0).then(|| self.generated_tokens as f64 * 1e3 / self.generating_ms)
    }

    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cached_tokens += other.cached_tokens;
        self.cost_picodollars = self.cost_picodollars.saturating_add(other.cost_picodollars);
        self.latency_ms.merge(&other.latency_ms);
        self.ttft_ms.merge(&other.ttft_ms);
        self.generating_ms += other.generating_ms;
        self.generated_tokens += other.generated_tokens;
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
        let groups = self.groups(query).await?;
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

    /// The groups of the range, the largest first.
    async fn groups(&self, query: &OverviewQuery) -> Result<Vec<String>> {
        let Some(by) = query.group_by else { return Ok(Vec::new()) };
        let condition = condition(query);
        let sql = format!(
            "SELECT {} AS grp, count(*) AS n FROM spans WHERE {} GROUP BY 1 ORDER BY n DESC, grp LIMIT {MOST_GROUPS}",
            by.sql(),
            condition.sql()
        );
        self.read("finding the groups of an overview", &sql, condition, self.wide(), |batch| {
            let group = Rows::of(batch).text("grp")?;
            Ok((0..batch.num_rows()).filter_map(|row| group.owned(row)).collect())
        })
        .await
    }

    /// What was measured in each point for each group and size of latency, then for each size of the time to first token.
    async fn cells(&self, query: &OverviewQuery, shown: &[String]) -> Result<Vec<Cell>> {
        let latency = format!(
            "{} AS cell, count(*) AS n, count(*) FILTER (WHERE status = 'error') AS errors, sum(input_tokens) AS input_tokens, \
             sum(output_tokens) AS output_tokens, sum(cached_tokens) AS cached_tokens, sum(cost_picodollars) AS cost_picodollars, \
             sum(greatest(latency_ms - coalesce(ttft_ms, 0), 0)) FILTER (WHERE output_tokens > 0) AS generating_ms",
            Sketch::cell_sql("latency_ms")
        );
        let mut cells = self.grouped(query, shown, &latency, "true", read_latency).await?;
        let ttft = format!("{} AS cell, count(*) AS n", Sketch::cell_sql("ttft_ms"));
        cells.extend(self.grouped(query, shown, &ttft, "ttft_ms IS NOT NULL", read_ttft).await?);
        Ok(cells)
    }

    async fn grouped(
        &self,
        query: &OverviewQuery,
        shown: &[String],
        columns: &str,
        also: &str,
        read: fn(&RecordBatch) -> Result<Vec<Cell>>,
    ) -> Result<Vec<Cell>> {
        let mut condition = condition(query);
        let wanted = condition.sql();
        let group = match query.group_by {
            None => "CAST(NULL AS VARCHAR)".to_owned(),
            Some(by) => {
                let places: Vec<_> = shown.iter().map(|group| condition.bind(Param::Text(group.clone()))).collect();
                // Without a call there is no group, and a list must not be empty.
                let places = if places.is_empty() { "''".to_owned() } else { places.join(", ") };
                format!("CASE WHEN {by} IN ({places}) THEN {by} END", by = by.sql())
            }
        };
        let bucket = format!("CAST(start_time AS BIGINT) / {}", nanos(query.step));
        let sql = format!(
            "SELECT {bucket} AS bucket, {group} AS grp, {columns} FROM spans WHERE {wanted} AND {also} \
             GROUP BY bucket, grp, cell"
        );
        self.read("adding up calls", &sql, condition, self.wide(), read).await
    }

    /// Limits for answers of many small rows.
    fn wide(&self) -> QueryLimits {
        QueryLimits { max_rows: 2_000_000, ..self.limits() }
    }
}

fn condition(query: &OverviewQuery) -> Condition {
    let mut condition = Condition::of(&Filter { range: Some(query.range), ..query.filter.clone() });
    if query.filter.kind.is_none() {
        condition.one_of("kind", ["llm", "embedding"].map(Param::from));
    }
    condition
}

fn sum<'a>(parts: impl IntoIterator<Item = &'a Measures>) -> Measures {
    parts.into_iter().fold(Measures::default(), |mut total, part| {
        total.add(part);
        total
    })
}

/// What was measured of the calls of one group that began in one point and are of one size.
struct Cell {
    bucket: i64,
    group: Option<String>,
    measures: Measures,
}

fn read_latency(batch: &RecordBatch) -> Result<Vec<Cell>> {
    let rows = Rows::of(batch);
    let column = |name| rows.number(name);
    let (bucket, group, cell) = (column("bucket")?, rows.text("grp")?, column("cell")?);
    let (requests, errors, cost) = (column("n")?, column("errors")?, column("cost_picodollars")?);
    let (input, output, cached) = (column("input_tokens")?, column("output_tokens")?, column("cached_tokens")?);
    let generating = rows.float("generating_ms")?;
    let read = |row| {
        let count = |column| number_at(column, row).map_or(0, i64::unsigned_abs);
        let mut measures = Measures {
            requests: count(&requests),
            errors: count(&errors),
            input_tokens: count(&input),
            output_tokens: count(&output),
            cached_tokens: count(&cached),
            cost_picodollars: number_at(&cost, row).unwrap_or(0),
            generating_ms: float_at(&generating, row).unwrap_or(0.0),
            generated_tokens: count(&output),
            ..Measures::default()
        };
        measures.latency_ms.add_cell(number_at(&cell, row).unwrap_or(0), measures.requests);
        Cell { bucket: number_at(&bucket, row).unwrap_or(0), group: group.owned(row), measures }
    };
    Ok((0..batch.num_rows()).map(read).collect())
}

fn read_ttft(batch: &RecordBatch) -> Result<Vec<Cell>> {
    let rows = Rows::of(batch);
    let (bucket, group) = (rows.number("bucket")?, rows.text("grp")?);
    let (cell, count) = (rows.number("cell")?, rows.number("n")?);
    let read = |row| {
        let mut measures = Measures::default();
        let count = number_at(&count, row).map_or(0, i64::unsigned_abs);
        measures.ttft_ms.add_cell(number_at(&cell, row).unwrap_or(0), count);
        Cell { bucket: number_at(&bucket, row).unwrap_or(0), group: group.owned(row), measures }
    };
    Ok((0..batch.num_rows()).map(read).collect())
}
