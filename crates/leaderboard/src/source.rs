//! Where the documents of tasks lie: which dataset has a split, by what the task file says of itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use qd_base::{ArtifactName, ProjectId, VersionId};
use qd_catalog::VersionRef;
use qd_data::{Dataset, Datasets};
use qd_task::{Document, Documents, TaskConfig};
use serde::Serialize;
use serde_json::Value;

use crate::{Error, Result};

/// Rows of one split at most: all of them are in memory while a task is asked.
pub const MOST_ROWS: u64 = 100_000;
/// Rows of all tasks of one leaderboard at most, each task's counted by themselves.
const MOST_ROWS_TOGETHER: u64 = 1_000_000;
/// Bytes of what is read at most, in texts.
const MOST_BYTES: usize = 1 << 30;
/// Rows that are read at once.
const PAGE: u64 = 1_000;

/// Documents that a task needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Need {
    /// What definitions name it by: `openai/gsm8k:main#test`.
    pub key: String,
    /// `dataset_path`, where the task says one.
    pub path: Option<String>,
    /// `dataset_name`.
    pub name: Option<String>,
    /// The split.
    pub split: String,
    /// The dataset that it is looked for in where nobody says otherwise.
    pub dataset: String,
}

impl Need {
    /// The documents of a task: what is asked about, and where examples come from.
    pub fn of(task: &TaskConfig) -> Vec<Self> {
        task.splits().into_iter().map(|split| Self::of_split(task, split)).collect()
    }

    fn of_split(task: &TaskConfig, split: &str) -> Self {
        // `json` and `csv` say how a file is read, not whose it is.
        let hub = task.source.path.as_deref().filter(|path| !matches!(*path, "json" | "csv" | "text" | "parquet"));
        let name = task.source.name.as_deref().filter(|_| hub.is_some());
        let own = hub.unwrap_or(&task.name);
        let key = match name {
            Some(name) => format!("{own}:{name}#{split}"),
            None => format!("{own}#{split}"),
        };
        let last = own.rsplit('/').next().unwrap_or(own);
        let words = [Some(last), name, Some(split)];
        let dataset: Vec<String> = words.into_iter().flatten().map(word).collect();
        Self {
            key,
            path: hub.map(str::to_owned),
            name: name.map(str::to_owned),
            split: split.to_owned(),
            dataset: dataset.join("-"),
        }
    }
}

/// The text with what no name may have as `-`.
fn word(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    text.chars().map(|c| if fits(c) { c } else { '-' }).collect()
}

/// Splits that were read, each once.
pub struct Shelf<'d> {
    datasets: &'d Datasets,
    project: ProjectId,
    named: &'d BTreeMap<String, String>,
    opened: HashMap<String, Dataset>,
    read: HashMap<String, Arc<Vec<Document>>>,
    /// Bytes that may still be read.
    left: usize,
}

impl<'d> Shelf<'d> {
    /// Nothing read yet; `named` says which dataset a key means.
    pub fn new(datasets: &'d Datasets, project: ProjectId, named: &'d BTreeMap<String, String>) -> Self {
        Self { datasets, project, named, opened: HashMap::new(), read: HashMap::new(), left: MOST_BYTES }
    }

    /// The dataset that has these documents; none when there is none of its usual name.
    ///
    /// # Errors
    /// [`Error::Definition`] for a reference that is none, [`Error::Data`] for a dataset that was named and is not there.
    pub async fn find(&self, need: &Need) -> Result<Option<Dataset>> {
        let Some(reference) = self.named.get(&need.key) else {
            let name = artifact(&need.dataset, &need.key)?;
            return match self.datasets.open(self.project, &name, &VersionRef::Latest).await {
                Err(qd_data::Error::Catalog { cause: qd_catalog::Error::NotFound { .. }, .. }) => Ok(None),
                found => Ok(Some(found?)),
            };
        };
        let (name, which) = reference.rsplit_once('@').map_or((reference.as_str(), "latest"), |parts| parts);
        let which: VersionRef = which
            .parse()
            .map_err(|_| Error::definition(format!("documents.{}", need.key), "write name, name@3 or name@label"))?;
        Ok(Some(self.datasets.open(self.project, &artifact(name, &need.key)?, &which).await?))
    }

    /// How many documents a task could be asked about. Nothing is read of them.
    ///
    /// # Errors
    /// As [`Shelf::documents`].
    pub async fn count(&mut self, task: &TaskConfig) -> Result<u64> {
        let need = Need::of_split(task, task.split());
        Ok(self.open(task, &need).await?.len())
    }

    /// Refuses tasks whose documents are too many to be in memory together, before any is read.
    ///
    /// # Errors
    /// As [`Shelf::documents`], and [`Error::Definition`] for too many.
    pub async fn weigh(&mut self, tasks: impl Iterator<Item = &TaskConfig>) -> Result<()> {
        let mut together = 0;
        for task in tasks {
            for need in Need::of(task) {
                together += self.open(task, &need).await?.len();
                if together > MOST_ROWS_TOGETHER {
                    let why = format!("they have more than {MOST_ROWS_TOGETHER} documents together; leave some out");
                    return Err(Error::definition("tasks", why));
                }
            }
        }
        Ok(())
    }

    /// The documents of a task.
    ///
    /// # Errors
    /// [`Error::Definition`] when they are not here, saying how they come here, or too large.
    pub async fn documents(&mut self, task: &TaskConfig) -> Result<Documents> {
        let mut documents = Documents::new();
        for need in Need::of(task) {
            if !self.read.contains_key(&need.key) {
                let dataset = self.open(task, &need).await?.clone();
                let rows = rows(&dataset, &need, &mut self.left).await?;
                self.read.insert(need.key.clone(), Arc::new(rows));
            }
            if let Some(rows) = self.read.get(&need.key) {
                documents = documents.with(&need.split, rows.as_ref().clone());
            }
        }
        Ok(documents)
    }

    async fn open(&mut self, task: &TaskConfig, need: &Need) -> Result<&Dataset> {
        if !self.opened.contains_key(&need.key) {
            let dataset = self.find(need).await?.ok_or_else(|| missing(task, need))?;
            if dataset.len() > MOST_ROWS {
                let why = format!("the dataset has {} rows, {MOST_ROWS} are allowed", dataset.len());
                return Err(Error::definition(format!("documents.{}", need.key), why));
            }
            self.opened.insert(need.key.clone(), dataset);
        }
        self.opened.get(&need.key).ok_or_else(|| missing(task, need))
    }

    /// What was opened: each key with the version that it means, and those versions.
    pub fn pinned(&self) -> (BTreeMap<String, String>, Vec<VersionId>) {
        let pin = |(key, dataset): (&String, &Dataset)| {
            let info = dataset.info();
            (key.clone(), format!("{}@{}", info.name, info.number))
        };
        let mut parents: Vec<VersionId> = self.opened.values().map(|dataset| dataset.info().id).collect();
        parents.sort_unstable();
        parents.dedup();
        (self.opened.iter().map(pin).collect(), parents)
    }
}

fn artifact(name: &str, key: &str) -> Result<ArtifactName> {
    name.parse().map_err(|cause: qd_base::Error| Error::definition(format!("documents.{key}"), cause.to_string()))
}

fn missing(task: &TaskConfig, need: &Need) -> Error {
    let why = format!(
        "the documents of {} (split {}) are not here: import them as the dataset {:?}, name another one, or let the command \
         line read them with --from DIR",
        task.name, need.split, need.dataset
    );
    Error::definition(format!("documents.{}", need.key), why)
}

async fn rows(dataset: &Dataset, need: &Need, left: &mut usize) -> Result<Vec<Document>> {
    let mut rows = Vec::new();
    while (rows.len() as u64) < dataset.len() {
        let from = rows.len() as u64;
        let page = dataset.rows(from..from + PAGE).await?;
        if page.is_empty() {
            break;
        }
        let bytes = page.iter().flat_map(|row| row.values.values()).map(bytes_of).sum();
        *left = left.checked_sub(bytes).ok_or_else(|| {
            let why = format!("the tasks' documents have more than {MOST_BYTES} bytes together; leave some out");
            Error::definition(format!("documents.{}", need.key), why)
        })?;
        rows.extend(page.into_iter().map(|row| row.values));
    }
    Ok(rows)
}

/// Bytes of the texts of a value, and a few for what is no text.
fn bytes_of(value: &Value) -> usize {
    const OTHERS: usize = 16;
    match value {
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(bytes_of).sum(),
        Value::Object(values) => values.iter().map(|(name, value)| name.len() + bytes_of(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => OTHERS,
    }
}

#[cfg(test)]
mod tests {
    use qd_task::Library;

    use super::*;

    fn needs(library: &Library, task: &str) -> Vec<(String, String)> {
        let entries = library.load(task).unwrap();
        let needs = entries[0].tasks().into_iter().flat_map(Need::of);
        needs.map(|need| (need.key, need.dataset)).collect()
    }

    #[test]
    fn documents_are_known_by_what_the_task_says_of_them() {
        let shipped = Library::shipped();
        let pair = |key: &str, dataset: &str| (key.to_owned(), dataset.to_owned());
        assert_eq!(
            needs(&shipped, "gsm8k"),
            [pair("openai/gsm8k:main#test", "gsm8k-main-test"), pair("openai/gsm8k:main#train", "gsm8k-main-train")]
        );
        assert_eq!(
            needs(&shipped, "bbh_zeroshot_navigate"),
            [pair("SaylorTwift/bbh:navigate#test", "bbh-navigate-test")]
        );
        let own = "task: capitals\ndataset_path: json\noutput_type: multiple_choice\ntest_split: test\ndoc_to_text: q\n\
                   doc_to_target: 0\ndoc_to_choice: [a, b]\n";
        let library = Library::new().with("capitals.yaml", own);
        assert_eq!(needs(&library, "capitals"), [pair("capitals#test", "capitals-test")]);
    }
}
