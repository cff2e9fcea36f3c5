//! What came of a leaderboard, as JSON.

use qd_leaderboard::Report;
use qd_leaderboard::facts::Facts;
use qd_leaderboard::report::{ModelReport, TaskReport};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// What came of a leaderboard so far.
#[derive(Serialize, ToSchema)]
#[schema(as = LeaderboardReport)]
pub struct ReportBody {
    /// `normalised` or `win_rate`.
    pub style: String,
    /// Documents that every model is asked about.
    pub documents: usize,
    /// Who is ahead, as far as that is sure, in a sentence.
    pub sentence: String,
    /// The models, the best first; those that are not ranked last.
    pub models: Vec<ModelBody>,
}

/// A model with what came of it.
#[derive(Serialize, ToSchema)]
#[schema(as = LeaderboardModel)]
pub struct ModelBody {
    /// Its name in the leaderboard.
    pub model: String,
    /// What that stands for.
    pub target: Option<String>,
    /// Its score: of 100 when normalised, of 1 for win rates. Null while it lacks a task.
    pub score: Option<f64>,
    /// The lower end of its interval: 95 %, over other documents of the same kind, beside the same models.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// The best place that it may have.
    pub rank_best: Option<usize>,
    /// The worst.
    pub rank_worst: Option<usize>,
    /// Whether nothing else that is ranked is at least as good, as cheap and as fast, by the estimates as they are.
    pub on_front: bool,
    /// Why it is not ranked: the filter that it does not pass.
    pub left_out: Option<String>,
    /// Each entry's normalised score, in the order of the definition; empty for win rates.
    pub entries: Vec<Option<f64>>,
    /// Each task's numbers.
    pub tasks: Vec<TaskBody>,
    /// Tokens a second here, of one answer while nothing else was asked for this leaderboard.
    pub tokens_per_second: Option<f64>,
    /// Documents that were answered.
    pub documents: usize,
    /// Documents that failed; they are left out of the numbers.
    pub failed: usize,
    /// Dollars that its answers cost, those taken from earlier leaderboards included; null when a price is not known.
    pub cost_usd: Option<f64>,
    /// Tokens that its answers took.
    pub tokens: u64,
    /// Of them, those of prompts that were not computed again.
    pub cached_tokens: u64,
    /// Seconds that calls took, each counted by itself.
    pub seconds: f64,
    /// What is known of it.
    pub facts: FactsBody,
}

/// A task's numbers of one model.
#[derive(Serialize, ToSchema)]
#[schema(as = LeaderboardTaskReport)]
pub struct TaskBody {
    /// The entry of the leaderboard.
    pub entry: String,
    /// The task.
    pub task: String,
    /// The metric that counts, with its filter.
    pub metric: String,
    /// Its value; null while nothing was answered.
    pub value: Option<f64>,
    /// Its standard error.
    pub stderr: Option<f64>,
    /// What guessing gets.
    pub chance: f64,
    /// Documents that were answered.
    pub documents: usize,
    /// Documents that failed.
    pub failed: usize,
    /// All metrics after all filters.
    pub all: Vec<AggregateBody>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// A metric of a task.
#[derive(Serialize, ToSchema)]
#[schema(as = LeaderboardMetric)]
pub struct AggregateBody {
    /// Its name.
    pub metric: String,
    /// The filter.
    pub filter: String,
    /// The number.
    pub value: f64,
    /// Its standard error.
    pub stderr: Option<f64>,
    /// Whether more is better.
    pub higher_is_better: bool,
    /// How many documents have it.
    pub documents: usize,
}

/// What is known of a model.
#[derive(Serialize, ToSchema)]
#[schema(as = LeaderboardFacts)]
pub struct FactsBody {
    /// Whether it runs in this process.
    pub is_local: bool,
    /// Whether it can be asked now.
    pub is_available: bool,
    /// Bytes on disk.
    pub size_bytes: Option<u64>,
    /// Numbers in all its tensors.
    pub parameters: Option<u64>,
    /// How most of its weights are stored.
    pub quantisation: Option<String>,
    /// Tokens of context.
    pub context: Option<u64>,
    /// An SPDX id, or the name of the terms that apply.
    pub licence: Option<String>,
    /// Dollars for a million tokens of prompts.
    pub input_usd_per_million: Option<f64>,
    /// Dollars for a million tokens of answers.
    pub output_usd_per_million: Option<f64>,
}

impl From<Report> for ReportBody {
    fn from(report: Report) -> Self {
        Self {
            style: json!(report.style).as_str().unwrap_or_default().to_owned(),
            documents: report.documents,
            sentence: report.sentence,
            models: report.models.into_iter().map(ModelBody::from).collect(),
        }
    }
}

impl From<ModelReport> for ModelBody {
    fn from(report: ModelReport) -> Self {
        Self {
            model: report.model,
            target: report.target,
            score: report.score,
            low: report.interval.map(|interval| interval.low),
            high: report.interval.map(|interval| interval.high),
            rank_best: report.ranks.map(|ranks| ranks.best),
            rank_worst: report.ranks.map(|ranks| ranks.worst),
            on_front: report.on_front,
            left_out: report.left_out,
            entries: report.entries,
            tasks: report.tasks.into_iter().map(TaskBody::from).collect(),
            tokens_per_second: report.tokens_per_second,
            documents: report.documents,
            failed: report.failed,
            cost_usd: report.cost_usd,
            tokens: report.tokens,
            cached_tokens: report.cached_tokens,
            seconds: report.seconds,
            facts: report.facts.into(),
        }
    }
}

impl From<TaskReport> for TaskBody {
    fn from(report: TaskReport) -> Self {
        let aggregate = |one: qd_task::Aggregate| AggregateBody {
            metric: one.metric,
            filter: one.filter,
            value: one.value,
            stderr: one.stderr,
            higher_is_better: one.higher_is_better,
            documents: one.documents,
        };
        Self {
            entry: report.entry,
            task: report.task,
            metric: report.metric,
            value: report.value,
            stderr: report.stderr,
            chance: report.chance,
            documents: report.documents,
            failed: report.failed,
            all: report.all.into_iter().map(aggregate).collect(),
            notes: report.notes,
        }
    }
}

impl From<Facts> for FactsBody {
    fn from(facts: Facts) -> Self {
        Self {
            is_local: facts.is_local,
            is_available: facts.is_available,
            size_bytes: facts.size_bytes,
            parameters: facts.parameters,
            quantisation: facts.quantisation,
            context: facts.context,
            licence: facts.licence,
            input_usd_per_million: facts.input_usd_per_million,
            output_usd_per_million: facts.output_usd_per_million,
        }
    }
}
