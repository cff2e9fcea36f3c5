//! What came of a leaderboard: each task's numbers, the board, and what models cost, weigh and how fast they are.

use std::collections::HashMap;

use qd_eval::Interval;
use qd_eval::board::{self, Entry as Scored, Part as ScoredPart, Scores, Standing, Style};
use qd_eval::interval::Sampling;
use qd_eval::pareto::{self, Point};
use qd_eval::rank_range::RankRange;
use qd_task::metric::Measure;
use qd_task::{Aggregate, Answer};
use serde::Serialize;
use serde_json::Value;

use crate::Result;
use crate::facts::{Facts, Filter};
use crate::plan::{Part, Plan};
use crate::run::SPEED;
use crate::table::{AnswerRow, Place};

/// What came of a leaderboard so far.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// How the numbers of tasks became one.
    pub style: Style,
    /// The models: those with a score first, the best first of all; then those that were left out.
    pub models: Vec<ModelReport>,
    /// Documents that every model is asked about.
    pub documents: usize,
    /// Who is ahead, as far as that is sure, in a sentence.
    pub sentence: String,
}

/// A model with what came of it.
#[derive(Debug, Clone, Serialize)]
pub struct ModelReport {
    /// Its name in the leaderboard.
    pub model: String,
    /// What that stands for.
    pub target: Option<String>,
    /// Its score: of 100 when normalised, of 1 for win rates. None while it lacks a task.
    pub score: Option<f64>,
    /// Where it lies with 95 % confidence.
    pub interval: Option<Interval>,
    /// The places that it may take; those of all models hold together with 95 %.
    pub ranks: Option<RankRange>,
    /// Whether nothing else that is ranked is at least as good, as cheap and as fast.
    pub on_front: bool,
    /// Why it is not ranked: the filter that it does not pass.
    pub left_out: Option<String>,
    /// Each entry's normalised score.
    pub entries: Vec<Option<f64>>,
    /// Each task's numbers.
    pub tasks: Vec<TaskReport>,
    /// What is known of it.
    pub facts: Facts,
    /// Tokens a second here, of one answer while nothing else was asked for this leaderboard.
    pub tokens_per_second: Option<f64>,
    /// Documents that were answered.
    pub documents: usize,
    /// Documents that failed.
    pub failed: usize,
    /// Dollars that its answers cost, with what was paid for none and with those taken from earlier leaderboards; none when a price is not
    /// known.
    pub cost_usd: Option<f64>,
    /// Tokens that its answers took.
    pub tokens: u64,
    /// Of them, those of prompts that were not computed again.
    pub cached_tokens: u64,
    /// Seconds that calls took, each counted by itself.
    pub seconds: f64,
}

/// A task's numbers of one model.
#[derive(Debug, Clone, Serialize)]
pub struct TaskReport {
    /// The entry of the leaderboard.
    pub entry: String,
    /// The part.
    pub task: String,
    /// The metric that counts, with its filter.
    pub metric: String,
    /// Its value; none while nothing was answered.
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
    pub all: Vec<Aggregate>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// A document with what was measured of it.
#[derive(Debug, Clone, Serialize)]
pub struct DocumentReport {
    /// Its place, from 0.
    pub document: usize,
    /// What would be right.
    pub target: Value,
    /// What each filter left of the answer, with what each metric says.
    pub filters: Vec<FilterReport>,
    /// What was said.
    pub answers: Option<Vec<Answer>>,
    /// Why it failed.
    pub error: Option<String>,
    /// Its trace.
    pub trace: Option<qd_base::TraceId>,
}

/// What was measured of a document after a filter.
#[derive(Debug, Clone, Serialize)]
pub struct FilterReport {
    /// The filter.
    pub filter: String,
    /// What it left; null for likelihoods.
    pub answer: Value,
    /// Each metric's value.
    pub measures: Vec<(String, Measure)>,
}

/// The rows of a leaderboard beside its plan.
pub struct Results<'r> {
    plan: &'r Plan,
    rows: &'r HashMap<Place, AnswerRow>,
}

impl<'r> Results<'r> {
    /// What these rows say of a plan. All of them count: [`Plan::keep_current`] takes out those that answer something else.
    pub fn new(plan: &'r Plan, rows: &'r HashMap<Place, AnswerRow>) -> Self {
        Self { plan, rows }
    }

    fn row(&self, model: &str, task: &str, document: usize) -> Option<&'r AnswerRow> {
        self.rows.get(&(model.to_owned(), task.to_owned(), document))
    }

    /// The report. `models` are the models with what is known of them, in the order of the definition.
    ///
    /// # Errors
    /// [`crate::Error::Task`] when answers cannot be scored, [`crate::Error::Eval`] when numbers cannot be added up.
    pub fn report(&self, style: Style, models: Vec<(String, Facts)>, filter: &Filter) -> Result<Report> {
        let mut reports = Vec::with_capacity(models.len());
        let mut scores: Vec<Vec<Scores>> = Vec::with_capacity(models.len());
        for (model, facts) in models {
            let (tasks, of_parts): (Vec<TaskReport>, Vec<Scores>) = self.tasks(&model)?.into_iter().unzip();
            let report = self.model(model, facts, tasks);
            let left_out = filter.refuses(&report.facts, report.tokens_per_second);
            reports.push(ModelReport { left_out, ..report });
            scores.push(of_parts);
        }
        let ranked: Vec<usize> = (0..reports.len()).filter(|&at| reports[at].left_out.is_none()).collect();
        let entries = self.scored(&ranked, &scores);
        let standings = board::standings(style, ranked.len(), &entries, Sampling::default())?;
        for (&at, standing) in ranked.iter().zip(standings) {
            let Standing { score, interval, ranks, entries } = standing;
            reports[at] = ModelReport { score, interval, ranks, entries, ..reports[at].clone() };
        }
        let points: Vec<Point> = ranked.iter().map(|&at| point(&reports[at])).collect();
        for (&at, on_front) in ranked.iter().zip(pareto::front(&points)) {
            reports[at].on_front = on_front;
        }
        reports.sort_by(|a, b| {
            let place = |report: &ModelReport| (report.left_out.is_some(), report.score.is_none());
            place(a).cmp(&place(b)).then(b.score.unwrap_or(0.0).total_cmp(&a.score.unwrap_or(0.0)))
        });
        Ok(Report { style, sentence: sentence(&reports), models: reports, documents: self.plan.documents() })
    }

    /// The scores of those models, by entry and part.
    fn scored(&self, models: &[usize], scores: &[Vec<Scores>]) -> Vec<Scored> {
        let mut place = 0;
        let mut part = |part: &std::sync::Arc<Part>| {
            let at = place;
            place += 1;
            ScoredPart {
                direction: part.direction(),
                chance: part.chance,
                best: part.best,
                scores: models.iter().map(|&model| scores[model][at].clone()).collect(),
            }
        };
        let entry = |entry: &crate::plan::Entry| Scored {
            weight: entry.weight,
            parts: entry.parts.iter().map(&mut part).collect(),
        };
        self.plan.entries.iter().map(entry).collect()
    }

    /// The numbers of each part, with what counts of them on the board.
    fn tasks(&self, model: &str) -> Result<Vec<(TaskReport, Scores)>> {
        let mut found = Vec::new();
        for entry in &self.plan.entries {
            for part in &entry.parts {
                found.push(self.task(model, &entry.name, part)?);
            }
        }
        Ok(found)
    }

    fn answers(&self, model: &str, part: &Part) -> Vec<Option<&'r [Answer]>> {
        let of = |document: usize| self.row(model, &part.id, document)?.outcome.answers.as_deref();
        (0..part.documents.len()).map(of).collect()
    }

    fn task(&self, model: &str, entry: &str, part: &Part) -> Result<(TaskReport, Scores)> {
        let scored = part.task.score_answered(&self.answers(model, part))?;
        let failed =
            |document: usize| self.row(model, &part.id, document).is_some_and(|row| row.outcome.error.is_some());
        let is =
            |aggregate: &&Aggregate| aggregate.metric == part.counts.metric && aggregate.filter == part.counts.filter;
        let counted = scored.aggregates.iter().find(is);
        let scores = match counted {
            None => Scores::None,
            Some(counted) => by_document(part, &scored.results, counted),
        };
        let report = TaskReport {
            entry: entry.to_owned(),
            task: part.id.clone(),
            metric: format!("{},{}", part.counts.metric, part.counts.filter),
            value: counted.map(|counted| counted.value),
            stderr: counted.and_then(|counted| counted.stderr),
            chance: part.chance,
            documents: scored.documents,
            failed: (0..part.documents.len()).filter(|&document| failed(document)).count(),
            all: scored.aggregates,
            notes: scored.notes,
        };
        Ok((report, scores))
    }

    fn model(&self, model: String, facts: Facts, tasks: Vec<TaskReport>) -> ModelReport {
        let rows = || self.rows.values().filter(|row| row.model == model);
        let answers = || rows().filter(|row| row.is_answer());
        let local = facts.is_local;
        let cost = |row: &AnswerRow| match row.outcome.cost {
            Some(cost) => Some(cost.as_dollars()),
            // Nobody is paid for what is computed here.
            None if local || row.is_answer() && row.outcome.error.is_some() => Some(0.0),
            None => None,
        };
        let usage =
            |of: fn(&qd_base::Usage) -> u64| answers().filter_map(|row| row.outcome.usage.as_ref().map(of)).sum();
        let speed = rows().find(|row| row.task == SPEED).and_then(|row| {
            let (usage, latency) = (row.outcome.usage?, row.outcome.latency_ms?);
            (latency > 0.0 && usage.output_tokens > 0).then(|| usage.output_tokens as f64 * 1000.0 / latency)
        });
        ModelReport {
            target: rows().next().map(|row| row.target.clone()).or_else(|| facts.target.clone()),
            score: None,
            interval: None,
            ranks: None,
            on_front: false,
            left_out: None,
            entries: Vec::new(),
            tokens_per_second: speed,
            documents: tasks.iter().map(|task| task.documents).sum(),
            failed: tasks.iter().map(|task| task.failed).sum(),
            cost_usd: rows().filter(|row| row.task != SPEED).map(cost).sum(),
            tokens: usage(qd_base::Usage::total_tokens),
            cached_tokens: usage(|usage| usage.cached_tokens),
            seconds: answers().filter_map(|row| row.outcome.latency_ms).sum::<f64>() / 1000.0,
            tasks,
            facts,
            model,
        }
    }

    /// Documents of a part with what a model said about them.
    ///
    /// # Errors
    /// [`crate::Error::Task`] when answers cannot be scored.
    pub fn documents(&self, model: &str, part: &Part) -> Result<Vec<DocumentReport>> {
        let mut found: Vec<DocumentReport> = (0..part.documents.len())
            .map(|document| {
                let outcome = self.row(model, &part.id, document).map(|row| &row.outcome);
                DocumentReport {
                    document,
                    target: Value::Null,
                    filters: Vec::new(),
                    answers: outcome.and_then(|outcome| outcome.answers.clone()),
                    error: outcome.and_then(|outcome| outcome.error.clone()),
                    trace: outcome.and_then(|outcome| outcome.trace),
                }
            })
            .collect();
        for result in part.task.results(&self.answers(model, part))? {
            let Some(document) = found.get_mut(result.document) else { continue };
            document.target = result.target;
            let filter = FilterReport { filter: result.filter, answer: result.answer, measures: result.measures };
            document.filters.push(filter);
        }
        Ok(found)
    }
}

/// The scores of documents where the number is their mean, else the number alone.
fn by_document(part: &Part, results: &[qd_task::DocumentResult], counted: &Aggregate) -> Scores {
    let mut scores = vec![None; part.documents.len()];
    for result in results.iter().filter(|result| result.filter == counted.filter) {
        let measure = result.measures.iter().find(|(name, _)| *name == counted.metric);
        match measure {
            Some((_, Measure::Number(number))) => scores[result.document] = Some(*number),
            Some(_) => return Scores::Value(counted.value, counted.stderr),
            None => {}
        }
    }
    let known: Vec<f64> = scores.iter().flatten().copied().collect();
    let mean = qd_eval::interval::mean(&known);
    // Perplexities and medians are of numbers too, and are no means of them.
    if mean.is_some_and(|mean| (mean - counted.value).abs() <= 1e-9 * counted.value.abs().max(1.0)) {
        Scores::Documents(scores)
    } else {
        Scores::Value(counted.value, counted.stderr)
    }
}

/// What is held against others for the front: quality, dollars a document, seconds a token.
fn point(report: &ModelReport) -> Point {
    let documents = (report.documents + report.failed).max(1) as f64;
    Point {
        loss: report.score.map(|score| -score),
        cost: report.cost_usd.map(|cost| cost / documents),
        latency: report.tokens_per_second.map(|speed| 1.0 / speed),
    }
}

/// Who is ahead, as far as that is sure.
fn sentence(reports: &[ModelReport]) -> String {
    let ranked: Vec<(&str, RankRange)> =
        reports.iter().filter_map(|report| Some((report.model.as_str(), report.ranks?))).collect();
    let first: Vec<&str> = ranked.iter().filter(|(_, range)| range.best == 1).map(|(model, _)| *model).collect();
    match (ranked.len(), first.as_slice()) {
        (0, _) => "no model has answered enough of every task".to_owned(),
        (1, _) => format!("{} is the only one that is ranked", ranked[0].0),
        (_, [one]) => format!("{one} is the best"),
        (n, several) if several.len() == n => format!("no difference is shown between these {n} models"),
        (_, several) => format!("there is no best one; these are not told apart from the best: {}", several.join(", ")),
    }
}
