//! What an experiment would take, before it is begun: cells, calls, tokens and, where prices are known, dollars.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qd_base::{ArtifactName, Picodollars, ProjectId, Usage};
use qd_gateway::Pinned;
use serde::Serialize;
use serde_json::{Value, json};

use crate::call::TOKEN_LIMITS;
use crate::cell::Cell;
use crate::definition::Definition;
use crate::experiments::Experiments;
use crate::plan::{Candidate, Plan};
use crate::run::expected;
use crate::{Error, Result, rung};

/// Items whose calls are rendered to see how long they are.
const SAMPLED_ITEMS: usize = 8;
/// Characters that a token is taken for, as where an upstream tells no tokens.
const CHARS_PER_TOKEN: f64 = 4.0;

/// What an experiment would take.
#[derive(Debug, Clone, Serialize)]
pub struct Foreseen {
    /// The definition, its references pinned.
    pub definition: Definition,
    /// The cells.
    pub cells: Vec<Cell>,
    /// Items that are asked about.
    pub items: usize,
    /// Calls that are made, if none was answered before.
    pub calls: usize,
    /// Their tokens in, estimated from the calls about a few items at four characters a token.
    pub input_tokens: u64,
    /// Tokens out at most; none when a cell has no limit for an answer.
    pub output_tokens: Option<u64>,
    /// What the tokens in cost; none when the price of a model is not known.
    pub input_cost: Option<Picodollars>,
    /// What the calls cost at most; none when that is not known, or answers have no limit.
    pub most_cost: Option<Picodollars>,
    /// Models whose price is not known.
    pub unpriced: Vec<String>,
    /// Models that stand for nothing now.
    pub unknown: Vec<String>,
}

impl Experiments {
    /// What an experiment with this definition would take. Nothing is made, and nobody is asked.
    ///
    /// # Errors
    /// As [`Experiments::create`].
    pub async fn foresee(&self, project: ProjectId, name: &ArtifactName, definition: Definition) -> Result<Foreseen> {
        let (plan, _) = self.planned(project, name, definition).await?;
        let targets = self.targets(project, plan.models()).await;
        let (plan, sampled) = tokio::task::spawn_blocking(move || {
            let sampled = sampled(&plan);
            (plan, sampled)
        })
        .await
        .map_err(|_| Error::Broken { doing: "rendering prompts" })?;
        Ok(self.foreseen(plan, &sampled?, &targets))
    }

    fn foreseen(&self, plan: Plan, sampled: &[Sample], targets: &BTreeMap<String, Pinned>) -> Foreseen {
        let sizes = rung::rungs(plan.definition.search, plan.items.len(), plan.candidates.len());
        let calls = expected(&plan, &sizes, 0, plan.candidates.len());
        // Of a halving search nobody knows yet which cells go on: each counts for its part.
        let each = calls as f64 / plan.candidates.len().max(1) as f64;
        let (mut told, mut unpriced) = (Told::default(), BTreeSet::new());
        let unknown = plan.models().into_iter().filter(|model| !targets.contains_key(*model)).map(str::to_owned);
        let unknown: Vec<String> = unknown.collect();
        for (candidate, sample) in plan.candidates.iter().zip(sampled) {
            let model = &candidate.cell.model;
            let input = (sample.chars / CHARS_PER_TOKEN * each) as u64;
            let output = sample.limit.map(|limit| (limit as f64 * each) as u64);
            let price = |output_tokens| {
                let usage = Usage { input_tokens: input, output_tokens, ..Usage::default() };
                self.gateway.price_of(targets.get(model)?, usage)
            };
            if targets.contains_key(model) && price(0).is_none() {
                unpriced.insert(model.clone());
            }
            told.add(input, output, price(0), output.and_then(price));
        }
        let cells = plan.candidates.iter().map(|candidate| candidate.cell.clone()).collect();
        Foreseen {
            cells,
            items: plan.items.len(),
            calls,
            input_tokens: told.input,
            output_tokens: told.output,
            input_cost: told.input_cost,
            most_cost: told.most_cost,
            unpriced: unpriced.into_iter().collect(),
            unknown,
            definition: plan.definition,
        }
    }
}

/// Sums; what is not known of one cell is not known of all.
struct Told {
    input: u64,
    output: Option<u64>,
    input_cost: Option<Picodollars>,
    most_cost: Option<Picodollars>,
}

impl Default for Told {
    fn default() -> Self {
        let nothing = Some(Picodollars::ZERO);
        Self { input: 0, output: Some(0), input_cost: nothing, most_cost: nothing }
    }
}

impl Told {
    fn add(&mut self, input: u64, output: Option<u64>, input_cost: Option<Picodollars>, most: Option<Picodollars>) {
        self.input += input;
        self.output = self.output.zip(output).map(|(all, one)| all + one);
        self.input_cost = self.input_cost.zip(input_cost).map(|(all, one)| all + one);
        self.most_cost = self.most_cost.zip(most).map(|(all, one)| all + one);
    }
}

/// How long the calls of a cell are.
struct Sample {
    chars: f64,
    limit: Option<u64>,
}

fn sampled(plan: &Plan) -> Result<Vec<Sample>> {
    plan.candidates.iter().map(|candidate| sample(candidate, plan)).collect()
}

fn sample(candidate: &Arc<Candidate>, plan: &Plan) -> Result<Sample> {
    // Whom the call goes to says nothing of how long it is.
    let nobody = Pinned {
        provider: "local".parse().map_err(|cause: qd_base::Error| Error::definition("models", cause.to_string()))?,
        model: String::new(),
        address_sha256: None,
    };
    let (mut chars, mut limit) = (Vec::new(), None);
    for item in plan.items.iter().take(SAMPLED_ITEMS) {
        let body = candidate.request(item, 0, &nobody)?.body;
        let said = ["messages", "prompt"].iter().filter_map(|name| body.get(*name)).map(text_chars).sum::<usize>();
        let tools = body.get("tools").map_or(0, |tools| json!(tools).to_string().len());
        chars.push((said + tools) as f64);
        limit = TOKEN_LIMITS.iter().find_map(|name| body.get(*name).and_then(Value::as_u64));
    }
    Ok(Sample { chars: chars.iter().sum::<f64>() / chars.len().max(1) as f64, limit })
}

/// Characters of all texts in a value.
fn text_chars(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(text_chars).sum(),
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| *name != "role").map(|(_, value)| text_chars(value)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
