//! What a leaderboard is: tasks with their weights and baselines, models, and how the numbers become one.

use std::collections::{BTreeMap, BTreeSet};

use qd_eval::board::{MOST_MODELS, Style};
pub use qd_gateway::batch::Budget;
use qd_task::{Chat, Library, Settings};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Entries of one leaderboard at most.
pub const MOST_ENTRIES: usize = 100;
/// Calls under way at once at most.
pub const MOST_CONCURRENT: usize = 64;
/// Task files of one definition at most, and their bytes together.
const MOST_FILES: usize = 200;
const MOST_FILE_BYTES: usize = 2 << 20;
/// Resamples for standard errors of what is no mean: 0.7 % of the error, for a tenth of the harness's time.
const RESAMPLES: usize = 10_000;
/// Examples in one prompt at most.
const MOST_SHOTS: usize = 100;

/// The leaderboards that come with Quarterdeck.
const READY: &[(&str, &str)] = &[("basic", include_str!("../boards/basic.json"))];

/// What a leaderboard does. Names of datasets are pinned to versions when it is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// What is asked.
    pub tasks: Vec<TaskEntry>,
    /// Who is asked.
    #[serde(default)]
    pub models: Vec<String>,
    /// How the numbers of tasks become one.
    #[serde(default)]
    pub style: Style,
    /// Examples in each prompt; each task's own number when absent. A task that sets 0 keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_fewshot: Option<usize>,
    /// Only the first documents of each task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// What examples are drawn by: 1234 is lm-evaluation-harness's.
    #[serde(default = "harness_seed")]
    pub seed: u64,
    /// Prompts as messages, for models that are asked by chat. Tasks that measure likelihoods are asked of texts only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
    /// What is said before each task's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Datasets by what tasks call their documents, as `{"openai/gsm8k:main#test": "gsm8k-main-test@1"}`. What is not named is
    /// looked for under its usual name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub documents: BTreeMap<String, String>,
    /// Task files of your own, by their paths.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// Whether answers to the same requests are taken from earlier leaderboards of the project.
    #[serde(default = "yes")]
    pub cache: bool,
    /// Whether each model is asked for a few tokens by itself, to see how fast it is here.
    #[serde(default = "yes")]
    pub measure_speed: bool,
    /// Calls under way at once.
    #[serde(default = "eight")]
    pub concurrency: usize,
    /// Where to stop.
    #[serde(default)]
    pub budget: Budget,
}

/// A task, a group of tasks, or all tasks with a tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskEntry {
    /// Its name.
    pub task: String,
    /// The metric that counts, with its filter where there are several: `exact_match,flexible-extract`. The first when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// How much it counts in the mean.
    #[serde(default = "one")]
    pub weight: f64,
    /// What guessing gets. When absent, the share of right choices where there are choices, else 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// The best there is.
    #[serde(default = "one")]
    pub best: f64,
    /// Examples in each prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_fewshot: Option<usize>,
    /// Only the first documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Its prompts as messages, whatever becomes of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<Chat>,
}

fn harness_seed() -> u64 {
    Settings::default().seed
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

fn eight() -> usize {
    8
}

impl Definition {
    /// The leaderboard of that name which comes with Quarterdeck, without models.
    pub fn ready(name: &str) -> Option<Self> {
        let (_, text) = READY.iter().find(|(known, _)| *known == name)?;
        // A test reads each of them.
        serde_json::from_str(text).ok()
    }

    /// The names of those that come with Quarterdeck.
    pub fn ready_names() -> impl Iterator<Item = &'static str> {
        READY.iter().map(|(name, _)| *name)
    }

    /// The task files: those that come with Quarterdeck, and the definition's own.
    pub fn library(&self) -> Library {
        self.files.iter().fold(Library::shipped(), |library, (path, text)| library.with(path, text))
    }

    /// How a task is run.
    pub fn settings(&self, entry: &TaskEntry) -> Settings {
        Settings {
            num_fewshot: entry.num_fewshot.or(self.num_fewshot),
            seed: self.seed,
            limit: entry.limit.or(self.limit),
            system_instruction: self.system.clone(),
            chat: entry.chat.or(self.chat),
            resamples: RESAMPLES,
            ..Settings::default()
        }
    }

    /// Refuses what can be seen to be wrong without looking anything up.
    ///
    /// # Errors
    /// [`Error::Definition`].
    pub fn check(&self) -> Result<()> {
        between("models", self.models.len(), MOST_MODELS)?;
        between("concurrency", self.concurrency, MOST_CONCURRENT)?;
        if self.models.iter().collect::<BTreeSet<_>>().len() < self.models.len() {
            return Err(Error::definition("models", "a model is named twice"));
        }
        self.check_tasks()
    }

    /// The same of its tasks alone.
    ///
    /// # Errors
    /// As [`Definition::check`].
    pub fn check_tasks(&self) -> Result<()> {
        between("tasks", self.tasks.len(), MOST_ENTRIES)?;
        if self.files.len() > MOST_FILES || self.files.values().map(String::len).sum::<usize>() > MOST_FILE_BYTES {
            let why = format!("there may be {MOST_FILES} files of {MOST_FILE_BYTES} bytes together");
            return Err(Error::definition("files", why));
        }
        check_counts("", self.num_fewshot, self.limit)?;
        let mut names = BTreeSet::new();
        for (place, entry) in self.tasks.iter().enumerate() {
            entry.check(&format!("tasks[{place}]"))?;
            if !names.insert(&entry.task) {
                return Err(Error::definition(format!("tasks[{place}].task"), "it is there twice"));
            }
        }
        Ok(())
    }
}

impl TaskEntry {
    fn check(&self, field: &str) -> Result<()> {
        let wrong = |part: &str, why: &str| Err(Error::definition(format!("{field}.{part}"), why));
        if !self.weight.is_finite() || self.weight <= 0.0 {
            return wrong("weight", "write a number above 0");
        }
        let chance = self.chance.unwrap_or(0.0);
        if !chance.is_finite() || !self.best.is_finite() || self.best <= chance {
            return wrong("chance", "it must be a number below best");
        }
        check_counts(&format!("{field}."), self.num_fewshot, self.limit)
    }
}

fn between(field: &str, found: usize, most: usize) -> Result<()> {
    match (1..=most).contains(&found) {
        true => Ok(()),
        false => Err(Error::definition(field, format!("there must be between 1 and {most}, not {found}"))),
    }
}

pub(crate) fn check_counts(field: &str, shots: Option<usize>, limit: Option<usize>) -> Result<()> {
    if shots.is_some_and(|shots| shots > MOST_SHOTS) {
        return Err(Error::definition(format!("{field}num_fewshot"), format!("at most {MOST_SHOTS} are shown")));
    }
    if limit == Some(0) {
        return Err(Error::definition(format!("{field}limit"), "write a number from 1"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn why(more: serde_json::Value) -> String {
        let mut definition = json!({"tasks": [{"task": "gsm8k"}], "models": ["m"]});
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let definition: Definition = serde_json::from_value(definition).unwrap();
        definition.check().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_ready_can_be_read_and_its_tasks_are_there() {
        for name in Definition::ready_names() {
            let definition = Definition { models: vec!["m".to_owned()], ..Definition::ready(name).unwrap() };
            definition.check().unwrap();
            for entry in &definition.tasks {
                definition.library().load(&entry.task).unwrap();
            }
        }
        assert_eq!(Definition::ready("other"), None);
    }

    #[test]
    fn what_cannot_be_is_told_by_its_field() {
        assert_eq!(why(json!({})), "");
        assert!(why(json!({"models": []})).contains("'models'"));
        assert!(why(json!({"models": ["m", "m"]})).contains("twice"));
        assert!(why(json!({"concurrency": 65})).contains("'concurrency'"));
        assert!(why(json!({"tasks": [{"task": "a", "weight": 0}]})).contains("'tasks[0].weight'"));
        assert!(why(json!({"tasks": [{"task": "a", "chance": 1}]})).contains("'tasks[0].chance'"));
        assert!(why(json!({"tasks": [{"task": "a"}, {"task": "a"}]})).contains("'tasks[1].task'"));
        assert!(why(json!({"limit": 0})).contains("'limit'"));
    }
}
