//! What is asked for: prompts, models, parameters and examples on a dataset, and what to look at.

use std::collections::BTreeMap;

use qd_eval::{ScorerSpec, Scorers};
pub use qd_gateway::batch::Budget;
use qd_prompt::Strategy;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result};

/// Cells of one experiment at most.
pub const MOST_CELLS: usize = 200;
/// Items of one experiment at most.
pub const MOST_ITEMS: usize = 10_000;
/// Calls of one experiment at most.
pub const MOST_CALLS: usize = 100_000;
/// Calls under way at once at most.
pub const MOST_CONCURRENT: usize = 64;
/// Values of one parameter, prompts, models and numbers of examples at most.
const MOST_VALUES: usize = 50;
/// Times that an item is answered by one cell at most.
const MOST_REPEATS: u32 = 50;
/// Examples in one prompt at most.
const MOST_SHOTS: usize = 50;

/// Parameters that have a place of their own, or are not for an experiment to say.
pub(crate) const NO_PARAMETERS: &[&str] =
    &["model", "messages", "prompt", "stream", "stream_options", "n", "best_of", "user", "prompt_variables"];

/// What an experiment does. Its references to datasets and prompts are pinned to numbers when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What the items are: a dataset as `name`, `name@3` or `name@label`.
    pub dataset: String,
    /// Which of its rows.
    #[serde(default)]
    pub items: Items,
    /// Prompts to compare, each as `name`, `name@3` or `name@label`.
    pub prompts: Vec<String>,
    /// Models to compare; each prompt's own when there are none.
    #[serde(default)]
    pub models: Vec<String>,
    /// Parameters of calls with the values to compare: `{"temperature": [0, 0.7], "max_tokens": [64]}`.
    #[serde(default)]
    pub parameters: BTreeMap<String, Vec<Value>>,
    /// Numbers of examples to compare; what each prompt itself says when there are none.
    #[serde(default)]
    pub shots: Vec<Shots>,
    /// Where examples come from for prompts that bring none.
    #[serde(default)]
    pub examples: Examples,
    /// From which column a variable of prompts gets its value, where the names differ.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// How often each cell answers each item.
    #[serde(default = "one")]
    pub repeats: u32,
    /// Which cells are tried, and on how many items.
    #[serde(default)]
    pub search: Search,
    /// What to look at.
    pub scorers: Vec<ScorerSpec>,
    /// The scorer that cells are ranked by; the first when absent.
    #[serde(default)]
    pub metric: Option<String>,
    /// Whether a call that failed counts as a score of 0 where scores are shares of which more is better. Leaving failures out
    /// would make a cell look the better the more often its hard items fail.
    #[serde(default = "yes")]
    pub count_failures_as_zero: bool,
    /// Whether an answer to the same call is taken from an earlier experiment of the project.
    #[serde(default = "yes")]
    pub cache: bool,
    /// Calls under way at once.
    #[serde(default = "four")]
    pub concurrency: usize,
    /// Where to stop.
    #[serde(default)]
    pub budget: Budget,
}

/// Which rows of the dataset are items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// How many, drawn at random; all when absent.
    #[serde(default)]
    pub limit: Option<usize>,
    /// What the draw and the order follow from.
    #[serde(default)]
    pub seed: u64,
    /// How many of those drawn first are left out.
    #[serde(default)]
    pub skip: usize,
}

/// A number of examples, with how they are chosen where that is compared too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub enum Shots {
    /// So many, chosen as the prompt itself says.
    Count(usize),
    /// So many, chosen in this way.
    Chosen(Chosen),
}

/// Examples that are chosen in a way of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// How many.
    pub count: usize,
    /// `fixed`: the first ones; `random`: drawn by a seed; `similar`: for each item those that are most like it.
    pub choose: Strategy,
    /// Of `random`: what the draw follows from; the prompt's own seed when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Of `similar`: the model of embeddings; the prompt's own, or the embedded one, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_model: Option<String>,
}

impl TryFrom<Value> for Shots {
    type Error = String;

    fn try_from(value: Value) -> std::result::Result<Self, String> {
        let read = if value.is_object() {
            serde_json::from_value(value).map(Self::Chosen)
        } else {
            serde_json::from_value(value).map(Self::Count)
        };
        read.map_err(|cause| format!("shots: {cause}"))
    }
}

impl Shots {
    /// How many examples.
    pub fn count(&self) -> usize {
        match self {
            Self::Count(count) | Self::Chosen(Chosen { count, .. }) => *count,
        }
    }

    /// How they are chosen, where that is not left to the prompt.
    pub fn chosen(&self) -> Option<&Chosen> {
        match self {
            Self::Count(_) => None,
            Self::Chosen(chosen) => Some(chosen),
        }
    }

    fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::definition("shots", why));
        match (self.count(), self.chosen()) {
            (count, _) if count > MOST_SHOTS => wrong(format!("{count} is over {MOST_SHOTS}")),
            (0, Some(_)) => wrong("no examples need not be chosen; write 0".to_owned()),
            (_, Some(Chosen { choose, seed: Some(_), .. })) if *choose != Strategy::Random => {
                wrong("only random examples have a seed".to_owned())
            }
            (_, Some(Chosen { choose, embedding_model: Some(_), .. })) if *choose != Strategy::Similar => {
                wrong("only similar examples have a model of embeddings".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Where examples come from for prompts that bring none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// A dataset; rows of the experiment's own that are no items when absent.
    #[serde(default)]
    pub dataset: Option<String>,
    /// What the draw follows from.
    #[serde(default)]
    pub seed: u64,
}

/// Which cells are tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Search {
    /// All of them, on all items.
    #[default]
    Grid,
    /// Some of them, drawn at random, on all items.
    Random {
        /// How many.
        cells: usize,
        /// What the draw follows from.
        #[serde(default)]
        seed: u64,
    },
    /// All of them on a few items, the better part of them on more, and so on.
    ///
    /// Jamieson, Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization" (AISTATS 2016).
    Halving {
        /// Items of the first rung.
        first_items: usize,
        /// A rung keeps one cell in this many, and has this many times the items of the one before.
        #[serde(default = "three")]
        factor: usize,
    },
}

fn one() -> u32 {
    1
}

fn three() -> usize {
    3
}

fn four() -> usize {
    4
}

fn yes() -> bool {
    true
}

impl Definition {
    /// Whether it can be run, as far as it says by itself.
    ///
    /// # Errors
    /// [`Error::Definition`] naming what is wrong, [`Error::Eval`] for a scorer.
    pub fn check(&self) -> Result<Scorers> {
        let scorers = Scorers::new(&self.scorers)?;
        if let Some(scorer) = scorers.iter().find(|scorer| qd_eval::gate::MEASURES.contains(&scorer.name())) {
            let why =
                format!("{:?} is what gates call a measure of calls; give the scorer another name", scorer.name());
            return Err(Error::definition("scorers", why));
        }
        if let Some(metric) = &self.metric
            && scorers.find(metric).is_none()
        {
            return Err(Error::definition("metric", format!("no scorer has the name {metric:?}")));
        }
        within("prompts", self.prompts.len(), 1, MOST_VALUES)?;
        within("models", self.models.len(), 0, MOST_VALUES)?;
        within("shots", self.shots.len(), 0, MOST_VALUES)?;
        within("repeats", self.repeats as usize, 1, MOST_REPEATS as usize)?;
        within("concurrency", self.concurrency, 1, MOST_CONCURRENT)?;
        if let Some(limit) = self.items.limit {
            within("items.limit", limit, 1, MOST_ITEMS)?;
        }
        distinct("prompts", &self.prompts)?;
        distinct("models", &self.models)?;
        distinct("shots", &self.shots)?;
        self.shots.iter().try_for_each(Shots::check)?;
        self.check_parameters()?;
        self.check_search()?;
        self.check_budget()?;
        Ok(scorers)
    }

    /// The name of the scorer that cells are ranked by.
    pub fn metric<'a>(&'a self, scorers: &'a Scorers) -> &'a str {
        self.metric.as_deref().unwrap_or_else(|| scorers.first().name())
    }

    fn check_parameters(&self) -> Result<()> {
        for (name, values) in &self.parameters {
            let field = format!("parameters.{name}");
            if NO_PARAMETERS.contains(&name.as_str()) {
                return Err(Error::definition(field, "it is no parameter of calls, or not one of an experiment"));
            }
            within(&field, values.len(), 1, MOST_VALUES)?;
            distinct(&field, values)?;
        }
        Ok(())
    }

    fn check_search(&self) -> Result<()> {
        match self.search {
            Search::Grid => Ok(()),
            Search::Random { cells, .. } => within("search.cells", cells, 1, MOST_CELLS),
            Search::Halving { first_items, factor } => {
                within("search.first_items", first_items, 5, MOST_ITEMS)?;
                within("search.factor", factor, 2, 10)
            }
        }
    }

    fn check_budget(&self) -> Result<()> {
        match self.budget.usd {
            Some(usd) if !(usd > 0.0 && usd <= 1e6) => {
                Err(Error::definition("budget.usd", "it is above 0 and at most a million"))
            }
            _ => Ok(()),
        }
    }
}

fn within(field: &str, found: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(Error::definition(field, format!("{found} is not between {least} and {most}")))
    }
}

fn distinct<T: PartialEq + std::fmt::Debug>(field: &str, values: &[T]) -> Result<()> {
    let twice = values.iter().enumerate().find(|(place, value)| values[..*place].contains(value));
    twice.map_or(Ok(()), |(_, value)| Err(Error::definition(field, format!("{value:?} is there twice"))))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn definition(change: Value) -> Definition {
        let mut whole = json!({"dataset": "d@1", "prompts": ["p@1"], "scorers": [{"kind": "exact_match"}]});
        for (name, value) in change.as_object().unwrap() {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn what_cannot_be_run_says_why() {
        let why = |change: Value| definition(change).check().unwrap_err().to_string();
        assert_eq!(why(json!({"prompts": []})), "Invalid 'prompts': 0 is not between 1 and 50.");
        assert_eq!(why(json!({"prompts": ["a", "a"]})), "Invalid 'prompts': \"a\" is there twice.");
        assert_eq!(why(json!({"repeats": 0})), "Invalid 'repeats': 0 is not between 1 and 50.");
        assert!(why(json!({"parameters": {"stream": [true]}})).contains("parameters.stream"));
        assert!(why(json!({"parameters": {"temperature": []}})).contains("parameters.temperature"));
        assert!(why(json!({"metric": "f1"})).contains("no scorer"));
        assert!(why(json!({"budget": {"usd": 0.0}})).contains("budget.usd"));
        assert!(why(json!({"search": {"kind": "halving", "first_items": 1}})).contains("search.first_items"));
        assert!(why(json!({"shots": [51]})).contains("over 50"));
        assert!(why(json!({"shots": [{"count": 0, "choose": "similar"}]})).contains("write 0"));
        assert!(why(json!({"shots": [{"count": 3, "choose": "similar", "seed": 1}]})).contains("have a seed"));
        assert!(
            why(json!({"shots": [{"count": 3, "choose": "fixed", "embedding_model": "m"}]})).contains("embeddings")
        );
        let twice = json!({"count": 3, "choose": "random", "seed": 1});
        assert!(why(json!({"shots": [twice, twice]})).contains("there twice"));
        assert!(why(json!({"scorers": [{"kind": "exact_match", "name": "failed"}]})).contains("another name"));
    }

    #[test]
    fn shots_are_numbers_or_say_how_they_are_chosen() {
        let told = json!([0, 3, {"count": 3, "choose": "random", "seed": 7}, {"count": 3, "choose": "similar"}]);
        let read = definition(json!({ "shots": told }));
        read.check().unwrap();
        assert_eq!(json!(read.shots), told, "what is written is what was read: it is hashed");
        let wrong = |shots: Value| serde_json::from_value::<Shots>(shots).unwrap_err().to_string();
        assert!(wrong(json!({"count": 3, "chose": "similar"})).contains("chose"));
        assert!(wrong(json!("3")).contains("shots"));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let read = |value: Value| serde_json::from_value::<Definition>(value).unwrap_err().to_string();
        assert!(read(json!({"dataset": "d", "prompts": [], "scorers": [], "promts": []})).contains("promts"));
        assert!(
            read(json!({"dataset": "d", "prompts": [], "scorers": [{"kind": "exact_match", "case": 1}]}))
                .contains("case")
        );
    }
}
