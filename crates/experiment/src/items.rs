//! Items with the answers of cells side by side.

use std::collections::BTreeMap;

use qd_base::{Picodollars, TraceId, VersionId};
use qd_data::{Dataset, Row};
use qd_lake::Lake;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::plan::read_places;
use crate::table::{self, Scored};
use crate::{Result, variables};

/// Items of one page at most.
pub const MOST_ITEMS: usize = 100;
/// Cells of one page at most.
pub const MOST_CELLS: usize = 20;

/// An item with what cells answered.
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
    /// The answers, by cell and repeat.
    pub answers: Vec<AnswerView>,
}

/// An answer.
#[derive(Debug, Clone, Serialize)]
pub struct AnswerView {
    /// The cell.
    pub cell: String,
    /// The how-many-th answer, from 0.
    pub repeat: u32,
    /// What was said.
    pub output: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Why the answer ended.
    pub finish_reason: Option<String>,
    /// Scores by name; null where there is none.
    pub scores: BTreeMap<String, Option<f64>>,
    /// What such a call costs.
    pub cost: Option<Picodollars>,
    /// Whether it was taken from an earlier experiment.
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

/// These items, in their order, with the answers of these cells.
///
/// # Errors
/// What reading the dataset or the lake fails with.
pub async fn view(
    lake: &Lake,
    dataset: &Dataset,
    experiment: VersionId,
    items: &[u64],
    cells: &[String],
) -> Result<Vec<ItemView>> {
    let places: Vec<usize> = items.iter().map(|&item| usize::try_from(item).unwrap_or(usize::MAX)).collect();
    let rows = read_places(dataset, &places).await?;
    let mut by_item: BTreeMap<u64, BTreeMap<(usize, u32), AnswerView>> = BTreeMap::new();
    for (scored, outcome) in table::answers(lake, experiment, items, cells).await? {
        let place = cells.iter().position(|cell| *cell == scored.cell).unwrap_or(cells.len());
        let (item, at) = (scored.item, (place, scored.repeat));
        by_item
            .entry(item)
            .or_default()
            .insert(at, answer(scored, outcome.output, outcome.finish_reason, outcome.trace));
    }
    let whole = |row: Row| ItemView {
        item: row.index,
        references: variables::references(dataset, &row),
        answers: by_item.remove(&row.index).unwrap_or_default().into_values().collect(),
        row_id: row.id,
        values: row.values,
    };
    Ok(rows.into_iter().map(whole).collect())
}

fn answer(scored: Scored, output: Option<String>, finish_reason: Option<String>, trace: Option<TraceId>) -> AnswerView {
    AnswerView {
        cell: scored.cell,
        repeat: scored.repeat,
        output,
        error: scored.error,
        finish_reason,
        scores: scored.scores,
        cost: scored.cost,
        cached: scored.cached,
        latency_ms: scored.latency_ms,
        input_tokens: scored.usage.map(|usage| usage.input_tokens),
        output_tokens: scored.usage.map(|usage| usage.output_tokens),
        trace,
    }
}
