//! Items with the answers of cells side by side, as JSON.

use std::collections::BTreeMap;

use qd_base::id::TraceId;
use qd_experiment::items::{AnswerView, ItemView};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

/// Which items are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ItemsQuery {
    /// Whose answers: identifiers of cells, separated by commas, 20 at most; those of the first 20 cells when absent.
    pub(super) cells: Option<String>,
    /// Only items on which these cells differ in this score.
    pub(super) disagree: Option<String>,
    /// At most this many, of 100 at most; 20 when absent.
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    pub(super) cursor: Option<usize>,
    /// The version of the experiment; the latest when absent.
    #[param(minimum = 1)]
    pub(super) version: Option<u32>,
}

/// A page of items.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentItemPage)]
pub struct ItemPage {
    /// The items.
    pub data: Vec<ItemBody>,
    /// How many there are on all pages.
    pub total: usize,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// An item with what cells answered.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentItem)]
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
    /// The answers, in the order of the cells and repeats.
    pub answers: Vec<AnswerBody>,
}

/// An answer.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentAnswer)]
pub struct AnswerBody {
    /// The cell.
    pub cell: String,
    /// The how-many-th answer, from 0.
    pub repeat: u32,
    /// What was said; null when the call failed.
    pub output: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Why the answer ended.
    pub finish_reason: Option<String>,
    /// Scores by name; null where there is none.
    pub scores: BTreeMap<String, Option<f64>>,
    /// What such a call costs, in picodollars; null when its price is not known.
    pub cost_picodollars: Option<i64>,
    /// Whether it was taken from an earlier experiment, and so cost nothing.
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
            cell: view.cell,
            repeat: view.repeat,
            output: view.output,
            error: view.error,
            finish_reason: view.finish_reason,
            scores: view.scores,
            cost_picodollars: view.cost.map(qd_base::Picodollars::get),
            cached: view.cached,
            latency_ms: view.latency_ms,
            input_tokens: view.input_tokens,
            output_tokens: view.output_tokens,
            trace_id: view.trace,
        }
    }
}
