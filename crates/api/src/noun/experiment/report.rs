//! What came of an experiment, and how two of its cells compare, as JSON.

use std::collections::BTreeMap;

use qd_eval::paired::Test;
use qd_eval::{Direction, Interval, Unit, Verdict};
use qd_experiment::Report;
use qd_experiment::definition::Chosen;
use qd_experiment::report::{CellReport, CellScore, Compared};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::noun::experiment::definition::ExperimentChoice;

/// What came of an experiment so far.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentReport)]
pub struct ReportBody {
    /// The scorer that cells are ranked by.
    pub metric: String,
    /// Items that are asked about.
    pub items: usize,
    /// Answers that are there.
    pub answers: usize,
    /// Calls that failed.
    pub failed: usize,
    /// Answers that were taken from earlier experiments.
    pub cached: usize,
    /// What was spent, in picodollars.
    pub spent_picodollars: i64,
    /// Tokens in and out that were paid for.
    pub tokens: u64,
    /// The cell with the best mean.
    pub best: Option<String>,
    /// The cell that is told apart from all others; null when there is none.
    pub winner: Option<String>,
    /// Cells that are not told apart from the best, which is the first.
    pub not_told_apart: Vec<String>,
    /// The same in a sentence.
    pub sentence: String,
    /// Of a halving search: on how many items cells were chosen. Statistics are made of the other items only.
    pub chosen_on: Option<usize>,
    /// Each cell.
    pub cells: Vec<CellBody>,
}

/// What came of one cell.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentCell)]
pub struct CellBody {
    /// What it is called in this experiment: `c1`, `c2`, …
    pub id: String,
    /// What it differs in.
    pub label: String,
    /// The prompt.
    pub prompt: String,
    /// Its version.
    pub prompt_version: u32,
    /// The model.
    pub model: String,
    /// Parameters that the experiment says.
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    /// How many examples are shown; what the prompt says when null.
    pub shots: Option<usize>,
    /// How they are chosen, where the experiment says it.
    #[schema(value_type = Option<ExperimentChoice>)]
    pub choose: Option<Chosen>,
    /// Answers that are there.
    pub answers: usize,
    /// Calls that failed.
    pub failed: usize,
    /// Answers that were taken from earlier experiments.
    pub cached: usize,
    /// Of a halving search: the rung after which it was left, from 1.
    pub left_after: Option<usize>,
    /// Scores by name.
    pub scores: BTreeMap<String, ScoreBody>,
    /// What was spent on it, in picodollars.
    pub spent_picodollars: i64,
    /// What its calls cost on average in dollars, whether paid for here or before; null when no price is known.
    pub cost_per_call_usd: Option<f64>,
    /// Milliseconds that half of the calls take at most.
    pub latency_p50_ms: Option<f64>,
    /// Milliseconds that 95 of 100 take at most.
    pub latency_p95_ms: Option<f64>,
    /// Tokens of a call's prompt on average.
    pub input_tokens: Option<f64>,
    /// Tokens of an answer on average.
    pub output_tokens: Option<f64>,
    /// Whether no other cell is at least as good, cheap and fast, and better in one of these, by the estimates as they are.
    pub on_front: bool,
    /// The p value against the best cell, corrected for all pairs of cells.
    pub adjusted_p: Option<f64>,
}

/// One score of a cell.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentScore)]
pub struct ScoreBody {
    /// The mean over items.
    pub mean: Option<f64>,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Items that have a score.
    pub items: usize,
    /// Answers that have none.
    pub missing: usize,
    /// `share`, `points`, `milliseconds`, `dollars` or `count`.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// Which way is better: `higher` or `lower`.
    #[schema(value_type = String)]
    pub better: Direction,
}

/// Comparisons of two cells.
#[derive(Serialize, ToSchema)]
pub struct ComparisonList {
    /// One for each score that both have.
    pub data: Vec<ComparisonBody>,
}

/// A cell `b` held against a cell `a` by one score.
#[derive(Serialize, ToSchema)]
#[schema(as = CellComparison)]
pub struct ComparisonBody {
    /// The score.
    pub scorer: String,
    /// In a sentence.
    pub sentence: String,
    /// `a_better`, `b_better` or `not_shown`.
    #[schema(value_type = String)]
    pub verdict: Verdict,
    /// Items that both have a score for.
    pub items: usize,
    /// Items that only one of them has a score for; they do not count.
    pub left_out: usize,
    /// The mean of `a` over the items compared.
    pub mean_a: f64,
    /// The mean of `b`.
    pub mean_b: f64,
    /// `mean_b − mean_a`.
    pub difference: f64,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// `mcnemar`, `sign_flip`, `student_t` or `paired_bootstrap`.
    pub test: String,
    /// Its p value: mid-p of McNemar's.
    pub p: f64,
    /// Of McNemar's test: the exact p value.
    pub exact_p: Option<f64>,
    /// The p value after correction, by which is decided.
    pub adjusted_p: f64,
    /// How many pairs of cells it is corrected for, by Holm: all that are in the race and have this score. Null when planned.
    pub family: Option<usize>,
    /// Items on which `a` is better.
    pub better_a: usize,
    /// Items on which `b` is better.
    pub better_b: usize,
    /// `share`, `points`, `milliseconds`, `dollars` or `count`.
    #[schema(value_type = String)]
    pub unit: Unit,
    /// Which way is better: `higher` or `lower`.
    #[schema(value_type = String)]
    pub better: Direction,
}

impl From<Report> for ReportBody {
    fn from(report: Report) -> Self {
        Self {
            metric: report.metric,
            items: report.items,
            answers: report.answers,
            failed: report.failed,
            cached: report.cached,
            spent_picodollars: report.spent.get(),
            tokens: report.tokens,
            best: report.best,
            winner: report.winner,
            not_told_apart: report.not_told_apart,
            sentence: report.sentence,
            chosen_on: report.chosen_on,
            cells: report.cells.into_iter().map(CellBody::from).collect(),
        }
    }
}

impl From<CellReport> for CellBody {
    fn from(report: CellReport) -> Self {
        let cell = report.cell;
        Self {
            id: cell.id,
            label: cell.label,
            prompt: cell.prompt,
            prompt_version: cell.version,
            model: cell.model,
            parameters: cell.parameters,
            shots: cell.shots,
            choose: cell.choose,
            answers: report.answers,
            failed: report.failed,
            cached: report.cached,
            left_after: report.left_after,
            scores: report.scores.into_iter().map(|(name, score)| (name, score.into())).collect(),
            spent_picodollars: report.spent.get(),
            cost_per_call_usd: report.cost_per_call,
            latency_p50_ms: report.latency_p50_ms,
            latency_p95_ms: report.latency_p95_ms,
            input_tokens: report.input_tokens,
            output_tokens: report.output_tokens,
            on_front: report.on_front,
            adjusted_p: report.adjusted_p,
        }
    }
}

/// The ends of an interval, if there is one.
fn ends(interval: Option<Interval>) -> (Option<f64>, Option<f64>) {
    (interval.map(|interval| interval.low), interval.map(|interval| interval.high))
}

impl From<CellScore> for ScoreBody {
    fn from(score: CellScore) -> Self {
        let (low, high) = ends(score.interval);
        let CellScore { mean, items, missing, unit, direction, .. } = score;
        Self { mean, low, high, items, missing, unit, better: direction }
    }
}

impl From<Compared> for ComparisonBody {
    fn from(compared: Compared) -> Self {
        let Compared { scorer, comparison, verdict, sentence, family } = compared;
        let (low, high) = ends(comparison.interval);
        let (test, exact_p) = match comparison.test {
            Test::Mcnemar { exact_p, .. } => ("mcnemar", Some(exact_p)),
            Test::SignFlip { .. } => ("sign_flip", None),
            Test::StudentT { .. } => ("student_t", None),
            Test::PairedBootstrap { .. } => ("paired_bootstrap", None),
        };
        Self {
            scorer,
            sentence,
            verdict,
            items: comparison.items,
            left_out: comparison.left_out,
            mean_a: comparison.mean_a,
            mean_b: comparison.mean_b,
            difference: comparison.difference,
            low,
            high,
            test: test.to_owned(),
            p: comparison.test.p(),
            exact_p,
            adjusted_p: comparison.adjusted_p,
            family,
            better_a: comparison.better_a,
            better_b: comparison.better_b,
            unit: comparison.unit,
            better: comparison.direction,
        }
    }
}
