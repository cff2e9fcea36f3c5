//! Items with the answers of targets side by side, as JSON.

use std::collections::BTreeMap;

use qd_base::id::TraceId;
use qd_evaluation::items::{AnswerView, ItemView, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

/// Which items are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EvaluationItemsQuery {
    /// Only answers of this target.
    pub(super) target: Option<String>,
    /// The score that `lowest`, `highest` and `missing` are about.
    pub(super) scorer: Option<String>,
    /// Only items with at least this score, of the target or of any.
    pub(super) lowest: Option<f64>,
    /// Only items with at most this score.
    pub(super) highest: Option<f64>,
    /// Only items without that score; false when absent.
    pub(super) missing: Option<bool>,
    /// Only items on which targets differ in this score.
    pub(super) disagree: Option<String>,
    /// At most this many, of 100 at most; 20 when absent.
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    pub(super) cursor: Option<usize>,
    /// The version of the evaluation; the latest when absent.
    #[param(minimum = 1)]
    pub(super) version: Option<u32>,
}

impl EvaluationItemsQuery {
    pub(super) fn wanted(self) -> Wanted {
        Wanted {
            target: self.target,
            scorer: self.scorer,
            lowest: self.lowest,
            highest: self.highest,
            missing: self.missing.unwrap_or(false),
            disagree: self.disagree,
            from: self.cursor.unwrap_or(0),
            limit: self.limit.unwrap_or(20) as usize,
        }
    }
}

/// A page of items.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationItemPage)]
pub struct ItemPage {
    /// The items.
    pub data: Vec<ItemBody>,
    /// How many there are on all pages.
    pub total: usize,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// An item with what targets answered.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationItem)]
pub struct ItemBody {
    /// The row's place in the dataset, from 0.
    pub item: u64,
    /// The row's identifier.
    pub row_id: String,
    /// The row's values.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// What it should be answered; any of them will do.
    pub references: Vec<String>,
    /// The answers, in the order of the targets.
    pub answers: Vec<AnswerBody>,
}

/// An answer.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationAnswer)]
pub struct AnswerBody {
    /// The target.
    pub target: String,
    /// What was said; null when the call failed, or the column is empty.
    pub output: Option<String>,
    /// Why the call failed.
    pub error: Option<String>,
    /// Why the answer ended.
    pub finish_reason: Option<String>,
    /// Scores by name; null where there is none.
    pub scores: BTreeMap<String, Option<f64>>,
    /// Why scores are missing, in one word each: `no_answer`, `no_reference`, `cannot_tell`, …
    pub why: BTreeMap<String, String>,
    /// All that judges said, by scorer.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub judgements: BTreeMap<String, Value>,
    /// What people say of the answer, by scorer.
    pub human: BTreeMap<String, f64>,
    /// What such a call costs, in picodollars; null when its price is not known.
    pub cost_picodollars: Option<i64>,
    /// Whether it was taken from elsewhere, and so cost nothing.
    pub cached: bool,
    /// How long it took.
    pub latency_ms: Option<f64>,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
    /// Its trace.
    #[schema(value_type = Option<String>)]
    pub trace_id: Option<TraceId>,
}

impl ItemPage {
    pub(super) fn new(items: Vec<ItemView>, next: Option<usize>, total: usize) -> Self {
        let data = items.into_iter().map(ItemBody::from).collect();
        Self { data, total, next_cursor: next.map(|next| next.to_string()) }
    }
}

impl From<ItemView> for ItemBody {
    fn from(view: ItemView) -> Self {
        let ItemView { item, row_id, values, references, answers } = view;
        Self { item, row_id, values, references, answers: answers.into_iter().map(AnswerBody::from).collect() }
    }
}

impl From<AnswerView> for AnswerBody {
    fn from(view: AnswerView) -> Self {
        Self {
            target: view.target,
            output: view.output,
            error: view.error,
            finish_reason: view.finish_reason,
            scores: view.scores,
            why: view.why,
            judgements: view.judgements,
            human: view.human,
            cost_picodollars: view.cost.map(qd_base::Picodollars::get),
            cached: view.cached,
            latency_ms: view.latency_ms,
            input_tokens: view.input_tokens,
            output_tokens: view.output_tokens,
            trace_id: view.trace,
        }
    }
}
