//! Reads what a rule asks for: a measure over a window, the mean of scores, or the one number of a statement.

use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use qd_base::{Picodollars, ProjectName, TimeRange, Timestamp};
use qd_lake::{Lake, QueryLimits, QueryOutput};
use qd_trace::{Measures, OverviewQuery, Traces};

use crate::definition::{Against, ChangeUnit, Condition, Definition, Measure, amount};
use crate::judge::{Burn, Finding, Observed, Used, percent_change, threshold};
use crate::{Error, Result};

/// How long a statement of a rule may take.
const SQL_TIMEOUT: Duration = Duration::from_secs(10);
const SQL_MEMORY_BYTES: usize = 128 << 20;
const DAY: Duration = Duration::from_secs(86_400);
/// As the workbook has it: the shorter window is a twelfth of the long one.
const SHORTER: u64 = 12;

/// One evaluation of one rule.
pub(crate) struct Look<'a> {
    pub traces: &'a Traces,
    pub lake: &'a Lake,
    pub rule: &'a Definition,
    /// The project that is looked at; all of them when absent.
    pub project: Option<&'a ProjectName>,
    pub at: Timestamp,
    /// When the rule began to be evaluated.
    pub began: Timestamp,
}

impl Look<'_> {
    /// What was found, for people and for the state function. A failure is a finding as well.
    pub async fn observe(&self) -> Observed {
        match self.look().await {
            Ok(observed) => observed,
            Err(error) => Observed::failed(error.chain()),
        }
    }

    async fn look(&self) -> Result<Observed> {
        match &self.rule.condition {
            Condition::Threshold { direction, value, clear } => {
                let Some(now) = self.number(Duration::ZERO).await? else { return Ok(self.nothing()) };
                let finding = threshold(*direction, *value, *clear, now);
                Ok(Observed::of(finding, now, amount(now, self.rule.unit())))
            }
            Condition::Change { .. } => self.change().await,
            Condition::Budget { .. } => self.budget().await,
            Condition::Absence { grace_s } => self.absence(grace_s.unwrap_or(self.rule.window_s)).await,
        }
    }

    fn nothing(&self) -> Observed {
        Observed::nothing(match self.rule.query.measure {
            Some(Measure::Score) => "there are no scores in the window",
            Some(_) => "there are no calls in the window that tell",
            None => "the statement gives nothing",
        })
    }

    async fn change(&self) -> Result<Observed> {
        let Condition::Change { direction, value, clear, unit, against } = &self.rule.condition else {
            return Ok(self.nothing());
        };
        let back = match against {
            Against::Previous => self.rule.window(),
            Against::Day => DAY,
            Against::Week => 7 * DAY,
        };
        let Some(now) = self.number(Duration::ZERO).await? else { return Ok(self.nothing()) };
        let Some(before) = self.number(back).await? else {
            return Ok(Observed::nothing("there is nothing before to compare with"));
        };
        let words = |value: f64| amount(value, self.rule.query.measure.map_or("", Measure::unit));
        let told = format!("{} after {}", words(now), words(before));
        Ok(match unit {
            ChangeUnit::Absolute => {
                let finding = threshold(*direction, *value, *clear, now - before);
                Observed::of(finding, now - before, told)
            }
            ChangeUnit::Percent if before <= 0.0 => Observed::nothing("there is nothing before to compare with"),
            ChangeUnit::Percent => {
                let finding = percent_change(*direction, *value, *clear, (now, before));
                Observed::of(finding, (now - before) * 100.0 / before, told)
            }
        })
    }

    async fn budget(&self) -> Result<Observed> {
        let Condition::Budget { limit, period_s, factor, short_window_s, clear_factor } = &self.rule.condition else {
            return Ok(self.nothing());
        };
        let in_money = self.rule.query.measure == Some(Measure::Cost);
        let unit = if in_money { Picodollars::PER_DOLLAR as f64 } else { 1.0 };
        let burn = Burn {
            limit: (limit * unit).round().max(1.0) as i128,
            period_s: *period_s,
            factor: *factor,
            clear_factor: clear_factor.unwrap_or(*factor),
        };
        let shorter = short_window_s.unwrap_or((self.rule.window_s / SHORTER).max(1));
        let (long, short) = (self.used(self.rule.window_s).await?, self.used(shorter).await?);
        Ok(Observed::of(burn.judge(long, short), burn.rate(long), burn.words(long, short)))
    }

    async fn used(&self, window_s: u64) -> Result<Used> {
        let to = self.end();
        let found = self.measures(to.saturating_sub(Duration::from_secs(window_s)), to).await?;
        let units = match self.rule.query.measure {
            Some(Measure::Cost) => i128::from(found.cost_picodollars),
            Some(Measure::Errors) => i128::from(found.errors),
            Some(Measure::InputTokens) => i128::from(found.input_tokens),
            Some(Measure::OutputTokens) => i128::from(found.output_tokens),
            Some(Measure::Tokens) => i128::from(found.input_tokens) + i128::from(found.output_tokens),
            _ => i128::from(found.requests),
        };
        Ok(Used { units, window_s })
    }

    async fn absence(&self, grace_s: u64) -> Result<Observed> {
        let to = self.end();
        let calls = self.measures(to.saturating_sub(self.rule.window()), to).await?.requests;
        let waited = self.at.since(self.began) >= Duration::from_secs(grace_s);
        Ok(match (calls, waited) {
            (0, true) => Observed::of(Finding::Holds, 0.0, "no calls".to_owned()),
            (0, false) => Observed::nothing("no calls yet"),
            (calls, _) => Observed::of(Finding::Clear, calls as f64, format!("{calls} calls")),
        })
    }

    /// When the window ends: what is recorded a little late is in it.
    fn end(&self) -> Timestamp {
        self.at.saturating_sub(Duration::from_secs(self.rule.delay_s))
    }

    /// What the query gives over the window that ended `back` ago; none when there is nothing.
    async fn number(&self, back: Duration) -> Result<Option<f64>> {
        let to = self.end().saturating_sub(back);
        let from = to.saturating_sub(self.rule.window());
        if let Some(sql) = &self.rule.query.sql {
            return self.answer(sql, from, to).await;
        }
        match self.rule.query.measure {
            Some(Measure::Score) => {
                let name = self.rule.query.score.as_deref().unwrap_or_default();
                Ok(self.traces.mean_score(self.project, name, range(from, to)).await?)
            }
            Some(measure) => Ok(read(measure, &self.measures(from, to).await?)),
            None => Ok(None),
        }
    }

    async fn measures(&self, from: Timestamp, to: Timestamp) -> Result<Measures> {
        let filter = self.rule.query.filter(self.project.cloned());
        let range = range(from, to);
        let step = to.since(from).max(Duration::from_secs(1));
        let query = OverviewQuery { filter, range, step, group_by: None };
        Ok(self.traces.overview(&query).await?.total)
    }

    async fn answer(&self, sql: &str, from: Timestamp, to: Timestamp) -> Result<Option<f64>> {
        let limits = QueryLimits { timeout: SQL_TIMEOUT, memory_bytes: SQL_MEMORY_BYTES, max_rows: 2 };
        let output = self.lake.query(sql, vec![from.into(), to.into()], limits).await?;
        one_number(&output)
    }
}

fn range(from: Timestamp, to: Timestamp) -> TimeRange {
    TimeRange::new(from, to).unwrap_or(TimeRange::ALL)
}

/// A measure of these calls; none where they do not tell.
fn read(measure: Measure, found: &Measures) -> Option<f64> {
    let count = |count: u64| Some(count as f64);
    match measure {
        Measure::Calls => count(found.requests),
        Measure::Errors => count(found.errors),
        Measure::ErrorRate => (found.requests > 0).then(|| found.errors as f64 * 100.0 / found.requests as f64),
        Measure::LatencyP50 => found.latency_ms.quantile(0.5),
        Measure::LatencyP95 => found.latency_ms.quantile(0.95),
        Measure::LatencyP99 => found.latency_ms.quantile(0.99),
        Measure::TtftP50 => found.ttft_ms.quantile(0.5),
        Measure::TtftP95 => found.ttft_ms.quantile(0.95),
        Measure::Cost => Some(Picodollars::new(found.cost_picodollars).as_dollars()),
        Measure::Tokens => count(found.input_tokens + found.output_tokens),
        Measure::InputTokens => count(found.input_tokens),
        Measure::OutputTokens => count(found.output_tokens),
        Measure::OutputTokensPerS => found.output_tokens_per_s(),
        Measure::Score => None,
    }
}

/// The one number of an answer; none when there is no row, or it holds null.
fn one_number(output: &QueryOutput) -> Result<Option<f64>> {
    let rows: usize = output.batches.iter().map(|batch| batch.num_rows()).sum();
    let columns = output.schema.fields().len();
    if rows == 0 {
        return Ok(None);
    }
    if (rows, columns) != (1, 1) || output.truncated {
        let rows = if output.truncated { "more than 2".to_owned() } else { rows.to_string() };
        return Err(Error::NotANumber { found: format!("{rows} rows of {columns} columns") });
    }
    let kind = output.schema.field(0).data_type();
    let numeric = kind.is_numeric() || matches!(kind, DataType::Null | DataType::Boolean);
    let Some(batch) = output.batches.iter().find(|batch| batch.num_rows() == 1).filter(|_| numeric) else {
        return Err(Error::NotANumber { found: format!("a value of type {kind}") });
    };
    let numbers = cast(batch.column(0), &DataType::Float64)
        .map_err(|cause| Error::NotANumber { found: format!("a value that is none: {cause}") })?;
    let number = numbers.as_primitive_opt::<Float64Type>().filter(|numbers| numbers.is_valid(0));
    Ok(number.map(|numbers| numbers.value(0)).filter(|number| number.is_finite()))
}
