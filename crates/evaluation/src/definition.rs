//! What is asked for: answers to the rows of a dataset, and what is looked at in them.

use std::collections::BTreeMap;

use qd_eval::Gate;
pub use qd_experiment::definition::{Budget, Items, Shots};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::scorer::{EvaluationScorer, OwnScorer, Reader};
use crate::{Error, Result};

/// Targets of one evaluation at most.
pub const MOST_TARGETS: usize = 8;
/// Scorers of one evaluation at most.
pub const MOST_SCORERS: usize = 16;
/// Conditions that are written as gates at most.
const MOST_GATES: usize = 16;
/// Letters of a target's name at most.
const LONGEST_TARGET_CHARS: usize = 32;
/// What a single target is called.
pub const ONLY_TARGET: &str = "target";

/// What an evaluation does. Its references to datasets, prompts and judges are pinned to numbers when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What the items are: a dataset as `name`, `name@3` or `name@label`.
    pub dataset: String,
    /// Which of its rows.
    #[serde(default)]
    pub items: Items,
    /// Whose answers are looked at, where that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// The same for several, side by side: by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, Target>,
    /// From which column a variable of prompts gets its value, where the names differ.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
    /// What is looked at.
    pub scorers: Vec<EvaluationScorer>,
    /// Whether a call that failed counts as a score of 0 where that is the lowest one and more is better.
    #[serde(default = "yes")]
    pub count_failures_as_zero: bool,
    /// Whether an answer to the same call is taken from an earlier evaluation or experiment of the project.
    #[serde(default = "yes")]
    pub cache: bool,
    /// Calls under way at once.
    #[serde(default = "four")]
    pub concurrency: usize,
    /// Where to stop.
    #[serde(default)]
    pub budget: Budget,
    /// What must hold of the report, for whoever waits for it: `bleu >= 30`, with several targets `a.bleu >= 30`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gate: Vec<String>,
}

/// Whose answers are looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub enum Target {
    /// Answers that are in the dataset.
    Column(ColumnTarget),
    /// Answers that a model is asked for.
    Asked(AskedTarget),
}

/// Answers that are in the dataset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnTarget {
    /// The column that has them.
    pub column: String,
}

/// Answers that a model is asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedTarget {
    /// The prompt, as `name`, `name@3` or `name@label`.
    pub prompt: String,
    /// The model; the prompt's own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Parameters of calls; the prompt's own stand below them.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
    /// How many examples are shown, and how they are chosen; what the prompt says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shots: Option<Shots>,
}

impl TryFrom<Value> for Target {
    type Error = String;

    fn try_from(value: Value) -> std::result::Result<Self, String> {
        let read = if value.get("column").is_some() {
            serde_json::from_value(value).map(Self::Column)
        } else {
            serde_json::from_value(value).map(Self::Asked)
        };
        read.map_err(|cause| format!("a target is {{\"column\": …}} or {{\"prompt\": …}}: {cause}"))
    }
}

impl Target {
    /// What it is, for people.
    pub fn label(&self) -> String {
        match self {
            Self::Column(ColumnTarget { column }) => format!("column {column}"),
            Self::Asked(AskedTarget { prompt, model, parameters, shots }) => {
                let model = model.iter().cloned();
                let parameters = parameters.iter().map(|(name, value)| format!("{name} {value}"));
                let shots = shots.iter().map(|shots| format!("{} shots", shots.count()));
                std::iter::once(prompt.clone())
                    .chain(model)
                    .chain(parameters)
                    .chain(shots)
                    .collect::<Vec<_>>()
                    .join(" · ")
            }
        }
    }
}

fn four() -> usize {
    4
}

fn yes() -> bool {
    true
}

impl Definition {
    /// Whose answers are looked at, by name.
    pub fn all_targets(&self) -> BTreeMap<String, Target> {
        let only = self.target.iter().map(|target| (ONLY_TARGET.to_owned(), target.clone()));
        self.targets.clone().into_iter().chain(only).collect()
    }

    /// Whether models are asked, for answers or about them.
    pub fn asks_models(&self) -> bool {
        let asks = |scorer: &EvaluationScorer| {
            matches!(
                scorer,
                EvaluationScorer::Own(
                    OwnScorer::Judge(_) | OwnScorer::EmbeddingSimilarity(_) | OwnScorer::BertScore(_)
                )
            )
        };
        let asked = self.all_targets().into_values().any(|target| matches!(target, Target::Asked(_)));
        asked || self.scorers.iter().any(asks)
    }

    /// Whether it can be run, as far as it says by itself.
    ///
    /// # Errors
    /// [`Error::Definition`] naming what is wrong, [`Error::Eval`] for a scorer.
    pub fn check(&self) -> Result<Vec<Reader>> {
        self.check_targets()?;
        let readers = self.readers()?;
        if !(1..=qd_experiment::definition::MOST_CONCURRENT).contains(&self.concurrency) {
            return Err(Error::definition("concurrency", format!("{} is not between 1 and 64", self.concurrency)));
        }
        if self.items.limit.is_some_and(|limit| !(1..=qd_experiment::definition::MOST_ITEMS).contains(&limit)) {
            return Err(Error::definition("items.limit", "it is between 1 and 10000"));
        }
        if self.budget.usd.is_some_and(|usd| !(usd > 0.0 && usd <= 1e6)) {
            return Err(Error::definition("budget.usd", "it is above 0 and at most a million"));
        }
        if self.gate.len() > MOST_GATES {
            return Err(Error::definition("gate", format!("{MOST_GATES} are the most")));
        }
        for gate in &self.gate {
            gate.parse::<Gate>().map_err(|error| Error::definition("gate", error.to_string()))?;
        }
        Ok(readers)
    }

    fn check_targets(&self) -> Result<()> {
        match (&self.target, self.targets.len()) {
            (Some(_), 0) | (None, 1..=MOST_TARGETS) => {}
            (Some(_), _) => return Err(Error::definition("targets", "say `target` or `targets`, not both")),
            (None, 0) => return Err(Error::definition("target", "say whose answers are looked at")),
            (None, _) => return Err(Error::definition("targets", format!("{MOST_TARGETS} are the most"))),
        }
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let odd = self
            .targets
            .keys()
            .find(|name| name.is_empty() || name.len() > LONGEST_TARGET_CHARS || !name.chars().all(fits));
        match odd {
            Some(name) => {
                let why =
                    format!("{name:?} is no name: 1 to {LONGEST_TARGET_CHARS} lower-case letters, digits and '_'");
                Err(Error::definition("targets", why))
            }
            None => Ok(()),
        }
    }

    fn readers(&self) -> Result<Vec<Reader>> {
        if self.scorers.is_empty() || self.scorers.len() > MOST_SCORERS {
            return Err(Error::definition("scorers", format!("give 1 to {MOST_SCORERS} scorers")));
        }
        let readers = self.scorers.iter().map(Reader::new).collect::<Result<Vec<_>>>()?;
        for (place, reader) in readers.iter().enumerate() {
            let name = reader.name();
            let why = if readers[..place].iter().any(|other| other.name() == name) {
                "another scorer has this name; give each a `name`"
            } else if qd_eval::gate::MEASURES.contains(&name) {
                "gates call a measure of calls so; give the scorer another name"
            } else {
                continue;
            };
            return Err(Error::definition("scorers", format!("{name:?}: {why}")));
        }
        Ok(readers)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn definition(change: Value) -> Definition {
        let mut whole = json!({"dataset": "d@1", "target": {"column": "answer"}, "scorers": [{"kind": "exact_match"}]});
        for (name, value) in change.as_object().unwrap() {
            whole[name] = value.clone();
        }
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn what_cannot_be_run_says_why() {
        let why = |change: Value| definition(change).check().unwrap_err().to_string();
        assert!(why(json!({"target": null})).contains("whose answers"));
        assert!(why(json!({"targets": {"a": {"column": "x"}}})).contains("not both"));
        assert!(why(json!({"target": null, "targets": {"A b": {"column": "x"}}})).contains("no name"));
        assert!(why(json!({"scorers": []})).contains("1 to 16"));
        assert!(why(json!({"scorers": [{"kind": "bleu"}, {"kind": "bleu"}]})).contains("another scorer"));
        assert!(why(json!({"scorers": [{"kind": "cost", "name": "failed"}]})).contains("another name"));
        assert!(why(json!({"gate": ["bleu"]})).contains("no operator"));
        assert!(why(json!({"concurrency": 0})).contains("concurrency"));
        assert!(why(json!({"budget": {"usd": 0.0}})).contains("budget.usd"));
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let told = json!({
            "dataset": "d@1", "targets": {
                "old": {"column": "answer"},
                "new": {"prompt": "p@1", "model": "m", "parameters": {"temperature": 0}, "shots": 2},
            },
            "scorers": [
                {"kind": "bleu", "name": "b"}, {"kind": "classification", "positive": "yes"},
                {"kind": "embedding_similarity", "model": "e"},
                {"kind": "bertscore", "model": "e", "layer": 5, "idf": true, "measure": "recall"},
                {"kind": "judge", "judge": "good@1", "values": {"question": "q"}, "human": {"old": "label"}},
            ],
        });
        let read: Definition = serde_json::from_value(told.clone()).unwrap();
        read.check().unwrap();
        let written = json!(read);
        assert_eq!(written["targets"], told["targets"]);
        assert_eq!(written["scorers"][3], told["scorers"][3]);
        assert_eq!(written["scorers"][4], told["scorers"][4]);
        assert_eq!(serde_json::from_value::<Definition>(written).unwrap(), read);
        assert_eq!(read.all_targets()["new"].label(), "p@1 · m · temperature 0 · 2 shots");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let read = |target: Value, scorer: Value| {
            let whole = json!({"dataset": "d", "target": target, "scorers": [scorer]});
            serde_json::from_value::<Definition>(whole).map(drop).unwrap_err().to_string()
        };
        let answer = json!({"column": "a"});
        assert!(read(json!({"column": "a", "modl": "m"}), json!({"kind": "bleu"})).contains("modl"));
        assert!(read(json!({"prompt": "a", "modl": "m"}), json!({"kind": "bleu"})).contains("modl"));
        assert!(read(answer.clone(), json!({"kind": "bleu", "smoth": "exp"})).contains("smoth"));
        assert!(read(answer.clone(), json!({"kind": "judge", "judge": "j", "vals": {}})).contains("vals"));
        assert!(read(answer.clone(), json!({"kind": "classification", "possitive": "x"})).contains("possitive"));
        assert!(read(answer, json!({"kind": "bertscore", "layr": 5})).contains("layr"));
    }
}
