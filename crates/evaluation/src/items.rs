//! Items with the answers of targets side by side.

use std::collections::{BTreeMap, HashMap};

use qd_base::{Picodollars, TraceId, VersionId};
use qd_data::{Dataset, Row};
use qd_experiment::plan::read_places;
use qd_experiment::variables;
use qd_lake::Lake;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::report::Results;
use crate::table::{self, Whole};
use crate::{Error, Result};

/// Items of one page at most.
pub const MOST_ITEMS: usize = 100;

/// Which items are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only answers of this target.
    pub target: Option<String>,
    /// The score that the three below are about.
    pub scorer: Option<String>,
    /// Only items with a score of at least this, of the target or of any.
    pub lowest: Option<f64>,
    /// Only items with a score of at most this.
    pub highest: Option<f64>,
    /// Only items that have no score, of the target or of any.
    pub missing: bool,
    /// Only items on which targets differ in this score.
    pub disagree: Option<String>,
    /// How many to leave out.
    pub from: usize,
    /// How many at most.
    pub limit: usize,
}

/// An item with what targets answered.
#[derive(Debug, Clone, Serialize)]
pub struct ItemView {
    /// The row's place in the dataset.
    pub item: u64,
    /// Its identifier.
    pub row_id: String,
    /// Its values.
    pub values: Map<String, Value>,
    /// What it should be answered.
    pub references: Vec<String>,
    /// The answers, by target.
    pub answers: Vec<AnswerView>,
}

/// An answer.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AnswerView {
    /// The target.
    pub target: String,
    /// What was said.
    pub output: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Why the answer ended.
    pub finish_reason: Option<String>,
    /// Scores by name; null where there is none.
    pub scores: BTreeMap<String, Option<f64>>,
    /// Why scores are missing, in one word each.
    pub why: BTreeMap<String, String>,
    /// All that judges said, by scorer.
    pub judgements: BTreeMap<String, Value>,
    /// What people say, by scorer.
    pub human: BTreeMap<String, f64>,
    /// What such a call costs.
    pub cost: Option<Picodollars>,
    /// Whether it was taken from elsewhere.
    pub cached: bool,
    /// How long it took.
    pub latency_ms: Option<f64>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Its trace.
    pub trace: Option<TraceId>,
}

impl Results<'_> {
    /// The items that are wanted, in order.
    pub(crate) fn wanted(&self, wanted: &Wanted) -> Result<Vec<u64>> {
        let all = self.definition.all_targets();
        let targets: Vec<&str> = match &wanted.target {
            None => all.keys().map(String::as_str).collect(),
            Some(target) => vec![all.get_key_value(target).map(|(name, _)| name.as_str()).ok_or_else(|| {
                let names: Vec<&str> = all.keys().map(String::as_str).collect();
                Error::definition("target", format!("{target:?} is no target; there are {}", names.join(", ")))
            })?],
        };
        let asks_of_scores = wanted.lowest.is_some() || wanted.highest.is_some() || wanted.missing;
        let reader = wanted.scorer.as_deref().map(|scorer| self.reader(scorer)).transpose()?;
        if asks_of_scores && reader.is_none() {
            return Err(Error::definition("scorer", "say which score is meant"));
        }
        let apart = wanted.disagree.as_deref().map(|scorer| self.reader(scorer)).transpose()?;
        let fits = |item: u64| {
            let Some(reader) = reader.filter(|_| asks_of_scores) else { return true };
            targets.iter().any(|target| match self.value(target, item, reader) {
                None => wanted.missing,
                Some(score) => {
                    let above = wanted.lowest.is_none_or(|lowest| score >= lowest);
                    !wanted.missing && above && wanted.highest.is_none_or(|highest| score <= highest)
                }
            })
        };
        let differs = |item: u64| {
            let Some(reader) = apart else { return true };
            let mut scores = all.keys().filter_map(|target| self.value(target, item, reader));
            scores.next().is_some_and(|first| scores.any(|other| (other - first).abs() > 1e-9))
        };
        Ok(self.order.iter().copied().filter(|&item| fits(item) && differs(item)).collect())
    }
}

/// These items, in their order, with the answers of these targets.
pub(crate) async fn view(
    lake: &Lake,
    dataset: &Dataset,
    evaluation: VersionId,
    items: &[u64],
    targets: &[String],
) -> Result<Vec<ItemView>> {
    let places: Vec<usize> = items.iter().map(|&item| usize::try_from(item).unwrap_or(usize::MAX)).collect();
    let rows = read_places(dataset, &places).await?;
    let mut found: HashMap<(u64, String), AnswerView> = HashMap::new();
    for whole in table::answers(lake, evaluation, items).await? {
        let place = (whole.item, whole.target.clone());
        add(found.entry(place).or_default(), whole);
    }
    let mut answers = |item: u64| -> Vec<AnswerView> {
        targets.iter().filter_map(|target| found.remove(&(item, target.clone()))).collect()
    };
    let view = |row: Row| ItemView {
        item: row.index,
        references: variables::references(dataset, &row),
        answers: answers(row.index),
        row_id: row.id,
        values: row.values,
    };
    Ok(rows.into_iter().map(view).collect())
}

/// What a row says of an answer: rows of the answer itself, and of scorers that asked models about it, in the order of time.
fn add(view: &mut AnswerView, whole: Whole) {
    let Whole { target, scorer, scores, details, judgement, outcome, .. } = whole;
    for name in scores.keys() {
        view.why.remove(name);
    }
    view.scores.extend(scores);
    for (name, detail) in details {
        view.human.extend(detail.human.map(|human| (name.clone(), human)));
        view.why.extend(detail.why.map(|why| (name, why)));
    }
    match scorer {
        Some(scorer) => view.judgements.extend(judgement.map(|judgement| (scorer, judgement))),
        None => {
            view.target = target;
            view.output = outcome.output;
            view.error = outcome.error;
            view.finish_reason = outcome.finish_reason;
            view.cost = outcome.cost;
            view.cached = outcome.cached;
            view.latency_ms = outcome.latency_ms;
            view.input_tokens = outcome.usage.map(|usage| usage.input_tokens);
            view.output_tokens = outcome.usage.map(|usage| usage.output_tokens);
            view.trace = outcome.trace;
        }
    }
}
