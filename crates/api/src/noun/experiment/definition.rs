//! What an experiment does, as the document describes it. What is read and written is `qd_experiment`'s own form.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Prompts, models, parameters and numbers of examples on a dataset, and what to look at.
#[derive(ToSchema)]
pub struct ExperimentDefinition {
    /// What the items are: a dataset as `name`, `name@3` or `name@label`.
    pub dataset: String,
    /// Which of its rows; all when absent.
    pub items: Option<ExperimentItems>,
    /// Prompts to compare, each as `name`, `name@3` or `name@label`; 50 at most.
    pub prompts: Vec<String>,
    /// Models to compare; each prompt's own when absent.
    pub models: Option<Vec<String>>,
    /// Parameters of calls with the values to compare: `{"temperature": [0, 0.7]}`.
    #[schema(value_type = Option<BTreeMap<String, Vec<Value>>>)]
    pub parameters: Option<BTreeMap<String, Vec<Value>>>,
    /// Numbers of examples to compare, or ways to choose them; what each prompt itself says when absent.
    pub shots: Option<Vec<ExperimentShots>>,
    /// Where examples come from for prompts that bring none.
    pub examples: Option<ExperimentExamples>,
    /// From which column a variable of prompts gets its value, where the names differ.
    pub variables: Option<BTreeMap<String, String>>,
    /// How often each cell answers each item; once when absent.
    pub repeats: Option<u32>,
    /// Which cells are tried, and on how many items; all on all when absent.
    pub search: Option<ExperimentSearch>,
    /// What to look at, 16 at most.
    pub scorers: Vec<ExperimentScorer>,
    /// The scorer that cells are ranked by; the first when absent.
    pub metric: Option<String>,
    /// Whether a call that failed counts as a score of 0 where scores are shares of which more is better; true when absent.
    pub count_failures_as_zero: Option<bool>,
    /// Whether an answer to the same call is taken from an earlier experiment of the project; true when absent.
    pub cache: Option<bool>,
    /// Calls under way at once, 64 at most; 4 when absent.
    pub concurrency: Option<usize>,
    /// Where to stop.
    pub budget: Option<ExperimentBudget>,
}

/// A number of examples, chosen as the prompt says, or one with how they are chosen.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ExperimentShots {
    /// So many, chosen as the prompt itself says.
    Count(usize),
    /// So many, chosen in a way of their own.
    Chosen(ExperimentChoice),
}

/// Examples that are chosen in a way of their own.
#[derive(Serialize, ToSchema)]
pub struct ExperimentChoice {
    /// How many, 50 at most.
    pub count: usize,
    /// `fixed`: the first ones; `random`: drawn by a seed; `similar`: for each item those that are most like it.
    pub choose: String,
    /// Of `random`: what the draw follows from; the prompt's own seed when absent.
    pub seed: Option<u64>,
    /// Of `similar`: the model of embeddings; the prompt's own, or the embedded one, when absent.
    pub embedding_model: Option<String>,
}

/// Which rows of the dataset are items.
#[derive(ToSchema)]
pub struct ExperimentItems {
    /// How many, drawn at random, 10,000 at most; all when absent.
    pub limit: Option<usize>,
    /// What the draw and the order follow from; 0 when absent.
    pub seed: Option<u64>,
    /// How many of those drawn first are left out; none when absent.
    pub skip: Option<usize>,
}

/// What is to be improved, and how.
#[derive(ToSchema)]
pub struct PromptOptimisation {
    /// The dataset, as `name`, `name@3` or `name@label`.
    pub dataset: String,
    /// Which of its rows: they are parted into those trained on, those that choose, and those held out.
    pub items: Option<ExperimentItems>,
    /// The prompt to be improved, as `name`, `name@3` or `name@label`.
    pub prompt: String,
    /// The model that is asked; the prompt's own when absent.
    pub model: Option<String>,
    /// Parameters of its calls.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// From which column a variable gets its value, where the names differ.
    pub variables: Option<BTreeMap<String, String>>,
    /// What is to become better: a share of which more is better.
    pub scorer: ExperimentScorer,
    /// The share of the rows that the search never sees, between 0.1 and 0.8; 0.4 when absent.
    pub held_out: Option<f64>,
    /// How many combinations are tried, 50 at most; 10 when absent.
    pub trials: Option<usize>,
    /// Examples that a combination shows at most, 16 at most; 4 when absent.
    pub demonstrations: Option<usize>,
    /// The model whose right answers are shown; the one that is asked when absent.
    pub teacher: Option<String>,
    /// The model that proposes instructions; none are proposed when absent.
    pub proposer: Option<String>,
    /// Parameters of the call that asks it; `{"temperature": 0, "max_tokens": 1000}` when absent.
    #[schema(value_type = Option<Object>)]
    pub proposer_parameters: Option<Value>,
    /// How many it proposes, 20 at most; 4 when absent.
    pub instructions: Option<usize>,
    /// The prompt that the best combination becomes a version of; the prompt's name with `-optimised` when absent.
    pub save_as: Option<String>,
    /// What draws and parting follow from; 0 when absent.
    pub seed: Option<u64>,
    /// Calls under way at once; 4 when absent.
    pub concurrency: Option<usize>,
    /// Where to stop; the search uses 70 % of it at most.
    pub budget: Option<ExperimentBudget>,
}

/// Where examples come from for prompts that bring none.
#[derive(ToSchema)]
pub struct ExperimentExamples {
    /// A dataset; rows of the experiment's own that are no items when absent.
    pub dataset: Option<String>,
    /// What the draw follows from; 0 when absent.
    pub seed: Option<u64>,
}

/// Which cells are tried.
#[derive(ToSchema)]
pub struct ExperimentSearch {
    /// `grid`: all; `random`: some, drawn at random; `halving`: all on a few items, the better part on more, and so on.
    pub kind: String,
    /// Of `random`: how many.
    pub cells: Option<usize>,
    /// Of `random`: what the draw follows from; 0 when absent.
    pub seed: Option<u64>,
    /// Of `halving`: items of the first rung.
    pub first_items: Option<usize>,
    /// Of `halving`: a rung keeps one cell in this many, and has this many times the items; 3 when absent.
    pub factor: Option<usize>,
}

/// What is looked at. Each kind has options of its own.
#[derive(ToSchema)]
pub struct ExperimentScorer {
    /// `exact_match`, `contains`, `token_f1`, `number_match`, `regex`, `json_schema`, `length`, `bleu`, `chrf`, `ter`, `rouge`, `meteor`,
    /// `edit_similarity`, `readability`, `leak`, `toxic`, `latency` or `cost`.
    pub kind: String,
    /// What the score is called; its kind when absent.
    pub name: Option<String>,
    /// Of `exact_match` and `contains`: upper and lower case are the same.
    pub ignore_case: Option<bool>,
    /// Of these: ASCII punctuation is left out.
    pub ignore_punctuation: Option<bool>,
    /// Of these: `a`, `an` and `the` are left out.
    pub ignore_articles: Option<bool>,
    /// Of these: white space of any kind and length is one space.
    pub ignore_white_space: Option<bool>,
    /// Of these, `token_f1` and `number_match`: a pattern; of its last match the first group counts, or all of it.
    pub extract: Option<String>,
    /// Of `number_match`: how far numbers may be apart.
    pub tolerance: Option<f64>,
    /// Of `number_match`: how far, as a share of the reference.
    pub relative_tolerance: Option<f64>,
    /// Of `regex`: the pattern.
    pub pattern: Option<String>,
    /// Of `json_schema`: the schema.
    #[schema(value_type = Option<Value>)]
    pub schema: Option<Value>,
    /// Of `json_schema`: whether the JSON may stand in a fenced block of Markdown.
    pub allow_fence: Option<bool>,
    /// Of `length`: `characters`, `words` or `tokens`.
    pub unit: Option<String>,
    /// Of `length` and `readability`: `lower` or `higher`.
    pub better: Option<String>,
    /// Of `bleu` and `meteor`: `13a`, `intl`, `char`, `zh` or `none`.
    pub tokenise: Option<String>,
    /// Of `bleu` and `chrf`: upper and lower case are the same.
    pub lowercase: Option<bool>,
    /// Of `bleu`: `"none"`, `"exp"`, `{"floor": 0.1}` or `{"add-k": 1}`.
    #[schema(value_type = Option<Value>)]
    pub smooth: Option<Value>,
    /// Of `bleu`: the longest n-grams.
    pub max_order: Option<usize>,
    /// Of `bleu`: whether orders count in the corpus that answers are too short for.
    pub effective_order: Option<bool>,
    /// Of `chrf`: the longest n-grams of characters.
    pub char_order: Option<usize>,
    /// Of `chrf`: the longest n-grams of words; 2 is chrF++.
    pub word_order: Option<usize>,
    /// Of `chrf` and `meteor`: how much recall counts, and how steep the penalty is.
    pub beta: Option<f64>,
    /// Of `chrf`: white space is a character too.
    pub whitespace: Option<bool>,
    /// Of `chrf`: a tiny number stands for precisions and recalls of 0.
    pub eps_smoothing: Option<bool>,
    /// Of `ter`: punctuation stands apart.
    pub normalized: Option<bool>,
    /// Of `ter`: punctuation is left out.
    pub no_punct: Option<bool>,
    /// Of `ter`: the two above know Chinese and Japanese.
    pub asian_support: Option<bool>,
    /// Of `ter`: upper and lower case differ.
    pub case_sensitive: Option<bool>,
    /// Of `rouge`: `1`, `2`, `l` or `lsum`.
    pub variant: Option<String>,
    /// Of `rouge`: `f1`, `precision` or `recall`.
    pub value: Option<String>,
    /// Of `rouge`: English words count by their stems.
    pub use_stemmer: Option<bool>,
    /// Of `rouge`: `ascii` or `unicode`.
    pub words: Option<String>,
    /// Of `meteor`: `exact`, `stem` and `synonym`, which needs WordNet on the machine; all when absent.
    pub stages: Option<Vec<String>>,
    /// Of `meteor`: how much precision counts against recall.
    pub alpha: Option<f64>,
    /// Of `meteor`: the penalty at most.
    pub gamma: Option<f64>,
    /// Of `edit_similarity`: `levenshtein` or `ratio`.
    pub measure: Option<String>,
    /// Of `readability`: `flesch_reading_ease`, `flesch_kincaid_grade`, `gunning_fog`, `smog`, `coleman_liau` or
    /// `automated_readability_index`.
    pub index: Option<String>,
    /// Of `leak`: `secret`, `email`, `iban`, `credit_card`, `social_security`, `ip_address`, `phone`; of `toxic`: `hate`, `threat`, `slur`,
    /// `insult`, `profanity`. All when absent.
    pub kinds: Option<Vec<String>>,
}

/// Where an experiment stops. Calls under way are waited for and kept.
#[derive(ToSchema)]
pub struct ExperimentBudget {
    /// Dollars, of calls whose price is known.
    pub usd: Option<f64>,
    /// Tokens in and out.
    pub tokens: Option<u64>,
    /// Seconds of work.
    pub seconds: Option<u64>,
}
