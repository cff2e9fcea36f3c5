//! What an experiment would take, as JSON.

use qd_experiment::Foreseen;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::noun::experiment::definition::ExperimentDefinition;

/// What an experiment would take.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentPreview)]
pub struct PreviewBody {
    /// What its cells would be called, in order.
    pub cells: Vec<PreviewCell>,
    /// Items that are asked about.
    pub items: usize,
    /// Calls that are made; fewer where some were answered before.
    pub calls: usize,
    /// Tokens in, estimated at four characters a token.
    pub input_tokens: u64,
    /// Tokens out at most; null when answers of a cell have no limit.
    pub output_tokens: Option<u64>,
    /// What the tokens in cost, in picodollars; null when the price of a model is not known.
    pub input_cost_picodollars: Option<i64>,
    /// What the calls cost at most, in picodollars; null when that is not known, or answers have no limit.
    pub most_cost_picodollars: Option<i64>,
    /// Models whose price is not known.
    pub unpriced: Vec<String>,
    /// Models that stand for nothing now.
    pub unknown: Vec<String>,
    /// The definition, its references pinned to numbers.
    #[schema(value_type = ExperimentDefinition)]
    pub definition: Value,
}

/// A cell that would be made.
#[derive(Serialize, ToSchema)]
#[schema(as = ExperimentPreviewCell)]
pub struct PreviewCell {
    /// What it would be called: `c1`, `c2`, …
    pub id: String,
    /// What it differs in.
    pub label: String,
}

impl From<Foreseen> for PreviewBody {
    fn from(foreseen: Foreseen) -> Self {
        let cells = foreseen.cells.into_iter().map(|cell| PreviewCell { id: cell.id, label: cell.label });
        Self {
            cells: cells.collect(),
            items: foreseen.items,
            calls: foreseen.calls,
            input_tokens: foreseen.input_tokens,
            output_tokens: foreseen.output_tokens,
            input_cost_picodollars: foreseen.input_cost.map(|cost| cost.get()),
            most_cost_picodollars: foreseen.most_cost.map(|cost| cost.get()),
            unpriced: foreseen.unpriced,
            unknown: foreseen.unknown,
            definition: serde_json::to_value(&foreseen.definition).unwrap_or_default(),
        }
    }
}
