//! What a leaderboard does, as the document describes it. What is read and written is `qd_leaderboard`'s own form.

use std::collections::BTreeMap;

use qd_leaderboard::Definition;
use qd_leaderboard::leaderboards::Found;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::noun::experiment::definition::ExperimentBudget;
use crate::noun::task::TaskNeed;

/// Tasks, models, and how the numbers become one.
#[derive(ToSchema)]
pub struct LeaderboardDefinition {
    /// What is asked, 100 entries at most.
    pub tasks: Vec<LeaderboardTask>,
    /// Who is asked, 100 at most.
    pub models: Option<Vec<String>>,
    /// `normalised` between chance and the best, as on the second Open LLM Leaderboard, which is taken when absent; or `win_rate`, as HELM has it.
    pub style: Option<String>,
    /// Examples in each prompt; each task's own number when absent. A task that sets 0 keeps it.
    pub num_fewshot: Option<usize>,
    /// Only the first documents of each task.
    pub limit: Option<usize>,
    /// What examples are drawn by; 1234, lm-evaluation-harness's, when absent.
    pub seed: Option<u64>,
    /// `turns` or `one_turn`: prompts as messages. Tasks that measure likelihoods are asked of texts only.
    pub chat: Option<String>,
    /// What is said before each task's description.
    pub system: Option<String>,
    /// Datasets by what tasks call their documents: `{"openai/gsm8k:main#test": "gsm8k-main-test@1"}`. What is not named is looked for under its usual name.
    pub documents: Option<BTreeMap<String, String>>,
    /// Task files of your own, by their paths: lm-evaluation-harness's YAML.
    pub files: Option<BTreeMap<String, String>>,
    /// Whether answers to the same requests are taken from earlier leaderboards of the project; true when absent.
    pub cache: Option<bool>,
    /// Whether each model is asked for a few tokens by itself, to see how fast it is here; true when absent.
    pub measure_speed: Option<bool>,
    /// Calls under way at once, 64 at most; 8 when absent.
    pub concurrency: Option<usize>,
    /// Where to stop.
    pub budget: Option<ExperimentBudget>,
}

/// A task, a group of tasks, or all tasks with a tag.
#[derive(ToSchema)]
pub struct LeaderboardTask {
    /// Its name.
    pub task: String,
    /// The metric that counts, with its filter where there are several: `exact_match,flexible-extract`. The first when absent.
    pub metric: Option<String>,
    /// How much it counts in the mean; 1 when absent.
    pub weight: Option<f64>,
    /// What guessing gets. When absent, the share of right choices where there are choices, else 0.
    pub chance: Option<f64>,
    /// The best there is; 1 when absent.
    pub best: Option<f64>,
    /// Examples in each prompt.
    pub num_fewshot: Option<usize>,
    /// Only the first documents.
    pub limit: Option<usize>,
    /// `turns` or `one_turn`: its prompts as messages, whatever becomes of the others.
    pub chat: Option<String>,
}

/// The documents of a leaderboard.
#[derive(Serialize, ToSchema)]
pub struct LeaderboardNeeds {
    /// The definition that is meant.
    #[schema(value_type = LeaderboardDefinition)]
    pub definition: Value,
    /// What it needs.
    pub data: Vec<LeaderboardNeed>,
}

/// Documents that a leaderboard needs.
#[derive(Serialize, ToSchema)]
pub struct LeaderboardNeed {
    /// What they are.
    #[serde(flatten)]
    pub need: TaskNeed,
    /// The version of the dataset that has them; null when there is none.
    pub found: Option<String>,
}

impl LeaderboardNeeds {
    pub(super) fn new(definition: &Definition, needs: Vec<Found>) -> Self {
        let need = |found: Found| LeaderboardNeed { need: found.need.into(), found: found.found };
        Self {
            definition: serde_json::to_value(definition).unwrap_or_default(),
            data: needs.into_iter().map(need).collect(),
        }
    }
}
