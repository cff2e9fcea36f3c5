//! What an evaluation does, as the document describes it. What is read and written is `qd_evaluation`'s own form.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::noun::experiment::definition::{ExperimentBudget, ExperimentItems, ExperimentScorer, ExperimentShots};

/// A dataset, whose answers are looked at, and what is looked at in them.
#[derive(ToSchema)]
pub struct EvaluationDefinition {
    /// What the items are: a dataset as `name`, `name@3` or `name@label`.
    pub dataset: String,
    /// Which of its rows; all when absent.
    pub items: Option<ExperimentItems>,
    /// Whose answers are looked at, where that is one.
    pub target: Option<EvaluationTarget>,
    /// The same for several, side by side, by name; 8 at most. Say `target` or `targets`.
    pub targets: Option<BTreeMap<String, EvaluationTarget>>,
    /// From which column a variable of prompts gets its value, where the names differ.
    pub variables: Option<BTreeMap<String, String>>,
    /// What is looked at, 16 at most.
    pub scorers: Vec<EvaluationScorer>,
    /// Whether a call that failed counts as a score of 0 where scores have a lowest value and more is better; true when absent.
    pub count_failures_as_zero: Option<bool>,
    /// Whether answers and judgements are taken from earlier ones of the project to the same call; true when absent.
    pub cache: Option<bool>,
    /// Calls under way at once, 64 at most; 4 when absent.
    pub concurrency: Option<usize>,
    /// Where to stop.
    pub budget: Option<ExperimentBudget>,
    /// What must hold of the report, for whoever waits for it: `bleu >= 30`; with several targets `a.bleu >= 30`.
    pub gate: Option<Vec<String>>,
}

/// Whose answers are looked at: `column`, or `prompt` with what goes with it.
#[derive(ToSchema)]
pub struct EvaluationTarget {
    /// The column that has the answers.
    pub column: Option<String>,
    /// The prompt that a model is asked with, as `name`, `name@3` or `name@label`.
    pub prompt: Option<String>,
    /// The model; the prompt's own when absent.
    pub model: Option<String>,
    /// Parameters of calls.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// How many examples are shown; what the prompt says when absent.
    pub shots: Option<ExperimentShots>,
}

/// What is looked at.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum EvaluationScorer {
    /// What experiments have too: a look at one answer.
    #[schema(value_type = ExperimentScorer)]
    Plain(Value),
    /// Classes, embeddings and judges.
    Own(OwnEvaluationScorer),
}

/// What only evaluations look at. Each kind has options of its own.
#[derive(Serialize, ToSchema)]
pub struct OwnEvaluationScorer {
    /// `classification`, `embedding_similarity`, `bertscore` or `judge`.
    pub kind: String,
    /// What the score is called; its kind, or the judge's name, when absent.
    pub name: Option<String>,
    /// Of `classification`: the column of the true class; the reference, or the label, when absent.
    pub label: Option<String>,
    /// Of `classification`: the class that probabilities are of, and that `"average": "positive"` is about.
    pub positive: Option<String>,
    /// Of `classification`: the column with the probability of `positive`.
    pub probability: Option<String>,
    /// Of `classification`: `f1`, `precision`, `recall` or `accuracy`; of `bertscore` one of the first three.
    pub measure: Option<String>,
    /// Of `classification`: `macro`, `micro`, `weighted` or `positive`.
    pub average: Option<String>,
    /// Of `classification`: upper and lower case are the same.
    pub ignore_case: Option<bool>,
    /// Of `classification`: a pattern; of its last match the first group is the class, or all of it.
    pub extract: Option<String>,
    /// Of `embedding_similarity` and `bertscore`: the model of embeddings; the embedded one when absent. `bertscore` takes one that is installed here.
    pub model: Option<String>,
    /// Of `bertscore`: the layer whose vectors are compared, counted from 1; the last one when absent.
    pub layer: Option<usize>,
    /// Of `bertscore`: tokens count the more, the fewer references of the evaluation have them.
    pub idf: Option<bool>,
    /// Of `bertscore`: what unrelated texts have, which becomes 0: `precision`, `recall` and `f1`.
    pub baseline: Option<BertBaseline>,
    /// Of `judge`: `name`, `name@3`, `name@label` or `ready/NAME@MODEL`.
    pub judge: Option<String>,
    /// Of `judge`: from which column each input gets its value; `$answer` is the target's answer.
    pub values: Option<BTreeMap<String, String>>,
    /// Of `judge`: the column with what people say of the answers, or such columns by target.
    #[schema(value_type = Option<Object>)]
    pub human: Option<Value>,
}

/// What unrelated texts have with an encoder, by BERTScore.
#[derive(Serialize, ToSchema)]
pub struct BertBaseline {
    /// Of the answer's tokens.
    pub precision: f64,
    /// Of the reference's.
    pub recall: f64,
    /// Of both.
    pub f1: f64,
}
