//! How long a call takes as a function of how long its answer is: a line for each model.
//!
//! An answer of `n` tokens takes about `a + b·n`: `a` is what waiting, reading the prompt and the network cost, `b` one more
//! token. Only calls that ended well are looked at, since others stopped somewhere on their way.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use qd_base::{SpanId, Timestamp, TraceId};
use qd_lake::Param;

use super::StatsQuery;
use super::fit::{Fit, Moments};
use crate::filter::Condition;
use crate::overview::Weight;
use crate::sketch::Sketch;
use crate::table::{Rows, float_at, number_at};
use crate::{Filter, GroupBy, Result, Status, Traces};

/// Models that have a line at most.
pub const MOST_LINES: usize = 20;
/// Points that are given of one model at most.
pub const MOST_POINTS: usize = 2_000;
/// Calls from which a line is fitted at least: with two it would go through both and say nothing of how sure it is.
pub const FEWEST: u64 = 3;

/// Shares of the residuals that are told.
pub const RESIDUAL_QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// The line of one group.
#[derive(Debug, Clone, PartialEq)]
pub struct LengthFit {
    /// The group, empty for calls that do not say.
    pub group: String,
    /// Calls that ended well with an answer of a token or more.
    pub n: u64,
    /// The tokens of the shortest and of the longest answer.
    pub tokens: (u64, u64),
    /// `x` in tokens of the answer, `y` in milliseconds.
    pub fit: std::result::Result<Fit, NoFit>,
    /// What the calls took beyond the line, in milliseconds, at [`RESIDUAL_QUANTILES`]; within a hundredth of each.
    pub residuals_ms: Vec<f64>,
    /// Some of the calls, chosen by their span id, which has nothing to do with how long they took.
    pub points: Vec<LengthPoint>,
}

/// Why there is no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoFit {
    /// Fewer than [`FEWEST`] calls.
    TooFew,
    /// All answers have the same length.
    SameLength,
}

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct LengthPoint {
    /// Its trace.
    pub trace_id: TraceId,
    /// Its span.
    pub span_id: SpanId,
    /// When it began.
    pub start: Timestamp,
    /// Tokens of its answer.
    pub tokens: u64,
    /// From start to end.
    pub latency_ms: f64,
}

/// What is added up of one group.
#[derive(Debug, Clone, Copy)]
struct Added {
    moments: Moments,
    tokens: (u64, u64),
}

impl Traces {
    /// The line of each of the [`MOST_LINES`] largest groups (models when the query does not say), with at most `points`
    /// calls of each to draw. `x` is the number of tokens of the answer.
    ///
    /// # Errors
    /// [`crate::Error::Query`] when the lake does not answer within its limits.
    pub async fn length_fits(&self, query: &StatsQuery, points: usize) -> Result<Vec<LengthFit>> {
        let by = query.group_by.unwrap_or(GroupBy::Model);
        // The groups are those of all calls, which summaries tell, also where few of them ended well.
        let all = StatsQuery { group_by: Some(by), ..query.clone() };
        let mut groups = self.groups(&all.overview(), Weight::Requests).await?;
        groups.truncate(MOST_LINES);
        let ended_otherwise = query.filter.status.is_some_and(|status| status != Status::Ok);
        if ended_otherwise || groups.is_empty() {
            return Ok(Vec::new());
        }
        let filter = Filter { status: Some(Status::Ok), ..query.filter.clone() };
        let query = StatsQuery { filter, ..all };
        let sums = self.length_sums(&query, &groups).await?;
        let residuals = self.residuals(&query, &sums).await?;
        let mut drawn = self.length_points(&query, &sums, points.min(MOST_POINTS)).await?;
        let of_group = |(group, added): &(String, Added)| {
            let (sse, residuals_ms) = residuals.get(group).map_or((0.0, Vec::new()), Residuals::tell);
            let Added { moments, tokens } = *added;
            let fit = match moments.n {
                n if n < FEWEST => Err(NoFit::TooFew),
                _ => moments.fit(sse).ok_or(NoFit::SameLength),
            };
            let residuals_ms = if fit.is_ok() { residuals_ms } else { Vec::new() };
            let points = drawn.remove(group).unwrap_or_default();
            LengthFit { group: group.clone(), n: moments.n, tokens, fit, residuals_ms, points }
        };
        Ok(sums.iter().map(of_group).collect())
    }

    /// The sums of each of `groups`, in their order; a group without an answer of a token is left out.
    async fn length_sums(&self, query: &StatsQuery, groups: &[String]) -> Result<Vec<(String, Added)>> {
        let by = query.group_sql();
        let mut condition = answered(query);
        condition.one_of(by, groups.iter().cloned().map(Param::Text));
        let (x, y) = ("CAST(output_tokens AS DOUBLE)", "latency_ms");
        let sql = format!(
            "SELECT {by} AS grp, count(*) AS n, avg({x}) AS mean_x, avg({y}) AS mean_y, var_pop({x}) * count(*) AS sxx, \
             covar_pop({x}, {y}) * count(*) AS sxy, var_pop({y}) * count(*) AS syy, min(output_tokens) AS least, \
             max(output_tokens) AS most FROM spans WHERE {} GROUP BY grp",
            condition.sql()
        );
        let mut found = self.read("adding up answers by length", &sql, condition, self.limits(), read_sums).await?;
        let place = |group: &String| groups.iter().position(|other| other == group);
        found.sort_by_key(|(group, _)| place(group));
        Ok(found)
    }

    /// What the calls took beyond the line of their group: squares summed up, and how many are of each size.
    async fn residuals(&self, query: &StatsQuery, sums: &[(String, Added)]) -> Result<HashMap<String, Residuals>> {
        let lines: Vec<_> = sums.iter().filter_map(|(group, added)| Some((group, added.moments.line()?))).collect();
        if lines.is_empty() {
            return Ok(HashMap::new());
        }
        let by = query.group_sql();
        let mut condition = answered(query);
        condition.one_of(by, lines.iter().map(|(group, _)| Param::Text((*group).clone())));
        let mut expected = String::new();
        for (group, (intercept, slope)) in &lines {
            let group = condition.bind(Param::Text((*group).clone()));
            let (intercept, slope) = (condition.bind(Param::Float(*intercept)), condition.bind(Param::Float(*slope)));
            expected += &format!(" WHEN {group} THEN {intercept} + {slope} * output_tokens");
        }
        let sql = format!(
            "SELECT grp, r >= 0 AS above, {} AS cell, count(*) AS n, sum(r * r) AS squares \
             FROM (SELECT {by} AS grp, latency_ms - CASE {by}{expected} END AS r FROM spans WHERE {}) GROUP BY grp, above, cell",
            Sketch::cell_sql("abs(r)"),
            condition.sql(),
        );
        let cells = self.read("adding up residuals", &sql, condition, self.wide(), read_residuals).await?;
        let mut found = HashMap::<String, Residuals>::new();
        for ResidualCell { group, above, cell, count, squares } in cells {
            found.entry(group).or_default().add(above, cell, count, squares);
        }
        Ok(found)
    }

    /// At most `limit` calls of each group. Span ids are random, so that those below a bound are a fair share.
    async fn length_points(
        &self,
        query: &StatsQuery,
        sums: &[(String, Added)],
        limit: usize,
    ) -> Result<HashMap<String, Vec<LengthPoint>>> {
        if sums.is_empty() || limit == 0 {
            return Ok(HashMap::new());
        }
        let by = query.group_sql();
        let mut condition = answered(query);
        condition.one_of(by, sums.iter().map(|(group, _)| Param::Text(group.clone())));
        let mut bounds = String::new();
        for (group, added) in sums {
            let (group, bound) = (condition.bind(Param::Text(group.clone())), span_id_bound(limit, added.moments.n));
            bounds += &format!(" WHEN {group} THEN {}", condition.bind(Param::Text(bound)));
        }
        // A few more than wanted may lie below the bounds; far more only where ids are not random.
        let most = limit * sums.len() * 2;
        let sql = format!(
            "SELECT {by} AS grp, trace_id, span_id, start_time, output_tokens, latency_ms FROM spans \
             WHERE {} AND span_id < CASE {by}{bounds} END ORDER BY span_id LIMIT {most}",
            condition.sql()
        );
        let limits = qd_lake::QueryLimits { max_rows: most, ..self.limits() };
        let mut found = HashMap::<String, Vec<LengthPoint>>::new();
        for (group, point) in self.read("choosing answers to draw", &sql, condition, limits, read_points).await? {
            let points = found.entry(group).or_default();
            if points.len() < limit {
                points.push(point);
            }
        }
        Ok(found)
    }
}

/// That a span is a call of the query with an answer of a token or more.
fn answered(query: &StatsQuery) -> Condition {
    let mut condition = query.condition();
    condition.also("output_tokens > 0".to_owned());
    condition
}

/// A bound below which about `limit` of `n` random span ids lie; above all of them when that is all.
fn span_id_bound(limit: usize, n: u64) -> String {
    let share = limit as f64 / n as f64;
    // After the greatest digit in every alphabet that compares bytes.
    if share >= 1.0 { "g".to_owned() } else { format!("{:016x}", (share * 2_f64.powi(64)) as u64) }
}

/// The residuals of one group by size, those below zero apart.
#[derive(Default)]
struct Residuals {
    below: Sketch,
    above: Sketch,
    counts: (u64, u64),
    squares: f64,
}

impl Residuals {
    fn add(&mut self, above: bool, cell: i64, count: u64, squares: f64) {
        let (sketch, counted) = match above {
            true => (&mut self.above, &mut self.counts.1),
            false => (&mut self.below, &mut self.counts.0),
        };
        sketch.add_cell(cell, count);
        *counted += count;
        self.squares += squares;
    }

    /// The sum of squares, and the quantiles.
    fn tell(&self) -> (f64, Vec<f64>) {
        (self.squares, RESIDUAL_QUANTILES.iter().filter_map(|&quantile| self.quantile(quantile)).collect())
    }

    /// The value of rank floor(quantile·(n−1)): counted from below among those below zero, whose sizes descend.
    fn quantile(&self, quantile: f64) -> Option<f64> {
        let (below, above) = self.counts;
        let rank = (quantile * (below + above).saturating_sub(1) as f64).floor() as u64;
        // A little more, so that rounding does not fall below the rank.
        let share = |rank: u64, count: u64| (rank as f64 + 1e-6) / count.saturating_sub(1).max(1) as f64;
        match rank < below {
            true => self.below.quantile(share(below - 1 - rank, below)).map(|size| -size),
            false => self.above.quantile(share(rank - below, above)),
        }
    }
}

fn read_sums(batch: &RecordBatch) -> Result<Vec<(String, Added)>> {
    let rows = Rows::of(batch);
    let (group, n) = (rows.text("grp")?, rows.number("n")?);
    let (least, most) = (rows.number("least")?, rows.number("most")?);
    let (mean_x, mean_y) = (rows.float("mean_x")?, rows.float("mean_y")?);
    let (sxx, sxy, syy) = (rows.float("sxx")?, rows.float("sxy")?, rows.float("syy")?);
    let read = |row| {
        let count = |column| number_at(column, row).map_or(0, i64::unsigned_abs);
        let sum = |column| float_at(column, row).unwrap_or(0.0);
        let moments = Moments {
            n: count(&n),
            mean_x: sum(&mean_x),
            mean_y: sum(&mean_y),
            sxx: sum(&sxx),
            sxy: sum(&sxy),
            syy: sum(&syy),
        };
        (group.owned(row).unwrap_or_default(), Added { moments, tokens: (count(&least), count(&most)) })
    };
    Ok((0..batch.num_rows()).map(read).collect())
}

struct ResidualCell {
    group: String,
    above: bool,
    cell: i64,
    count: u64,
    squares: f64,
}

fn read_residuals(batch: &RecordBatch) -> Result<Vec<ResidualCell>> {
    let rows = Rows::of(batch);
    let (group, above, cell) = (rows.text("grp")?, rows.number("above")?, rows.number("cell")?);
    let (count, squares) = (rows.number("n")?, rows.float("squares")?);
    let read = |row| ResidualCell {
        group: group.owned(row).unwrap_or_default(),
        above: number_at(&above, row) != Some(0),
        cell: number_at(&cell, row).unwrap_or(0),
        count: number_at(&count, row).map_or(0, i64::unsigned_abs),
        squares: float_at(&squares, row).unwrap_or(0.0),
    };
    Ok((0..batch.num_rows()).map(read).collect())
}

fn read_points(batch: &RecordBatch) -> Result<Vec<(String, LengthPoint)>> {
    let rows = Rows::of(batch);
    let (group, trace, span) = (rows.text("grp")?, rows.text("trace_id")?, rows.text("span_id")?);
    let (start, tokens, latency) = (rows.time("start_time")?, rows.number("output_tokens")?, rows.float("latency_ms")?);
    let read = |row| {
        let point = LengthPoint {
            trace_id: trace.required(row)?,
            span_id: span.required(row)?,
            start: start.get(row),
            tokens: number_at(&tokens, row).map_or(0, i64::unsigned_abs),
            latency_ms: float_at(&latency, row).unwrap_or(0.0),
        };
        Ok((group.owned(row).unwrap_or_default(), point))
    };
    (0..batch.num_rows()).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_on_both_sides_of_zero_are_ranked_together() {
        let mut residuals = Residuals::default();
        // −100, −10, −1, 2, 20 and 200; of rank floor(q·5): 0, 1, 2, 3 and 4.
        for value in [-100.0_f64, -10.0, -1.0, 2.0, 20.0, 200.0] {
            let mut one = Sketch::default();
            one.add(value.abs());
            let cell = (value.abs().ln() / ((1.01_f64 / 0.99).ln())).ceil() as i64;
            residuals.add(value >= 0.0, cell, 1, value * value);
        }
        let (squares, quantiles) = residuals.tell();
        assert_eq!(squares, 50_505.0);
        for (found, exact) in quantiles.iter().zip([-100.0_f64, -10.0, -1.0, 2.0, 20.0]) {
            assert!((found / exact - 1.0).abs() < 0.011, "{quantiles:?}");
        }
    }

    #[test]
    fn bounds_take_a_share_of_the_ids() {
        assert_eq!(span_id_bound(10, 5), "g");
        assert_eq!(span_id_bound(1, 2), "8000000000000000");
        assert_eq!(span_id_bound(1, 16), "1000000000000000");
    }
}
