//! How the versions of a prompt fare where people and programs call them: calls, failures, time, money, and what was
//! thought of the answers.
//!
//! Calls that experiments make say the words of a version too, and are no part of this.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch};
use qd_base::{ProjectName, TimeRange};

use super::StatsQuery;
use crate::sketch::Sketch;
use crate::table::{Rows, float_at, number_at};
use crate::{Filter, Result, Traces};

/// The calls that said one version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VersionStats {
    /// Its number.
    pub version: u32,
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// Calls whose price is known.
    pub priced: u64,
    /// What those cost, in picodollars.
    pub cost_picodollars: i64,
    /// The sum of the squares of what each of them cost.
    pub cost_squares: f64,
    /// From start to end, in milliseconds.
    pub latency_ms: Sketch,
    /// What was thought of its answers: by the name of the score one number for each trace, the mean of its scores.
    pub scores: BTreeMap<String, Vec<f64>>,
}

impl Traces {
    /// How the versions of a prompt fare, the newest first: over the calls that began in `range`.
    ///
    /// A score of a call's span counts for the version that the call said, a score of a trace when all calls of the prompt
    /// in it said one version. Several scores of one name in a trace are not independent, so that their mean counts once.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn prompt_versions(
        &self,
        project: &ProjectName,
        prompt: &str,
        range: TimeRange,
    ) -> Result<Vec<VersionStats>> {
        let filter =
            Filter { prompt: Some(prompt.to_owned()), experiments: Some(false), ..Filter::of(project.clone()) };
        let query = StatsQuery { filter, range, group_by: None };
        let mut versions: BTreeMap<u32, VersionStats> = BTreeMap::new();
        for cell in self.version_cells(&query).await? {
            let version = versions.entry(cell.version).or_default();
            version.version = cell.version;
            version.add(cell);
        }
        for (version, name, value) in self.version_scores(&query).await? {
            if let Some(stats) = versions.get_mut(&version) {
                stats.scores.entry(name).or_default().push(value);
            }
        }
        // Groups come in any order, and the same question has the same answer.
        versions.values_mut().flat_map(|stats| stats.scores.values_mut()).for_each(|of| of.sort_by(f64::total_cmp));
        Ok(versions.into_values().rev().collect())
    }

    /// What the calls of each version come to, by the size of their latency.
    async fn version_cells(&self, query: &StatsQuery) -> Result<Vec<VersionStats>> {
        let condition = query.condition();
        let sql = format!(
            "SELECT CAST(prompt_version AS BIGINT) AS version, {} AS cell, count(*) AS n, \
             count(*) FILTER (WHERE status = 'error') AS errors, sum(input_tokens) AS input_tokens, \
             sum(output_tokens) AS output_tokens, count(cost_picodollars) AS priced, \
             sum(cost_picodollars) AS cost_picodollars, \
             sum(CAST(cost_picodollars AS DOUBLE) * CAST(cost_picodollars AS DOUBLE)) AS cost_squares \
             FROM spans WHERE {} AND prompt_version IS NOT NULL GROUP BY version, cell",
            Sketch::cell_sql("latency_ms"),
            condition.sql()
        );
        self.read("adding up calls of a prompt's versions", &sql, condition, self.wide(), read_cells).await
    }

    /// For each version, name of scores and trace the mean of the scores.
    async fn version_scores(&self, query: &StatsQuery) -> Result<Vec<(u32, String, f64)>> {
        let mut condition = query.condition();
        let calls = condition.sql();
        let project = condition.bind(query.filter.project.as_ref().map_or("", ProjectName::as_str).into());
        // A score comes after the call that it is about, however late.
        let from = condition.bind(query.range.from().into());
        let sql = format!(
            "WITH calls AS (SELECT trace_id, span_id, prompt_version FROM spans \
             WHERE {calls} AND prompt_version IS NOT NULL), \
             told AS (SELECT trace_id, span_id, name, value FROM (SELECT *, row_number() OVER \
             (PARTITION BY project, score_id ORDER BY time DESC) AS nth FROM scores \
             WHERE project = {project} AND time >= {from}) WHERE nth = 1 AND value IS NOT NULL), \
             whole AS (SELECT trace_id, min(prompt_version) AS prompt_version FROM calls GROUP BY trace_id \
             HAVING count(DISTINCT prompt_version) = 1), \
             about AS (SELECT calls.prompt_version, told.name, told.trace_id, told.value FROM told JOIN calls \
             ON told.trace_id = calls.trace_id AND told.span_id = calls.span_id \
             UNION ALL SELECT whole.prompt_version, told.name, told.trace_id, told.value FROM told JOIN whole \
             ON told.trace_id = whole.trace_id WHERE told.span_id IS NULL) \
             SELECT CAST(prompt_version AS BIGINT) AS version, name, avg(value) AS value FROM about \
             GROUP BY prompt_version, name, trace_id"
        );
        self.read("averaging scores of a prompt's versions", &sql, condition, self.wide(), read_scores).await
    }
}

impl VersionStats {
    fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.priced += other.priced;
        self.cost_picodollars = self.cost_picodollars.saturating_add(other.cost_picodollars);
        self.cost_squares += other.cost_squares;
        self.latency_ms.merge(&other.latency_ms);
    }
}

fn read_cells(batch: &RecordBatch) -> Result<Vec<VersionStats>> {
    let rows = Rows::of(batch);
    let column = |name| rows.number(name);
    let (version, cell, n, errors) = (column("version")?, column("cell")?, column("n")?, column("errors")?);
    let (input, output, priced) = (column("input_tokens")?, column("output_tokens")?, column("priced")?);
    let (cost, squares) = (column("cost_picodollars")?, rows.float("cost_squares")?);
    let read = |row| {
        let count = |column| number_at(column, row).map_or(0, i64::unsigned_abs);
        let mut latency_ms = Sketch::default();
        latency_ms.add_cell(number_at(&cell, row).unwrap_or(0), count(&n));
        VersionStats {
            version: version_at(&version, row),
            calls: count(&n),
            errors: count(&errors),
            input_tokens: count(&input),
            output_tokens: count(&output),
            priced: count(&priced),
            cost_picodollars: number_at(&cost, row).unwrap_or(0),
            cost_squares: float_at(&squares, row).unwrap_or(0.0),
            latency_ms,
            scores: BTreeMap::new(),
        }
    };
    Ok((0..batch.num_rows()).map(read).collect())
}

fn version_at(column: &arrow::array::Int64Array, row: usize) -> u32 {
    number_at(column, row).and_then(|version| u32::try_from(version).ok()).unwrap_or(0)
}

fn read_scores(batch: &RecordBatch) -> Result<Vec<(u32, String, f64)>> {
    let rows = Rows::of(batch);
    let (version, name, value) = (rows.number("version")?, rows.text("name")?, rows.float("value")?);
    let valid = (0..batch.num_rows()).filter(|&row| value.is_valid(row));
    let read = |row| (version_at(&version, row), name.owned(row).unwrap_or_default(), value.value(row));
    Ok(valid.map(read).collect())
}
