//! Tasks by themselves: which there are, what one is, and what it asks about a document.

use std::collections::BTreeMap;

use qd_base::ProjectId;
use qd_data::Datasets;
use qd_task::metric::OutputType;
use qd_task::{Ask, Chat, Library, Task, TaskConfig};
use serde::Serialize;

use crate::definition::{Definition, TaskEntry, check_counts};
use crate::source::{Need, Shelf};
use crate::{Error, Result};

/// A name of a task, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// Whether it is a group of tasks.
    pub is_group: bool,
    /// Words that it is found by.
    pub tags: Vec<String>,
}

/// What a task is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// What it measures from.
    pub output_type: OutputType,
    /// Examples in each prompt where nobody says otherwise.
    pub num_fewshot: Option<usize>,
    /// Metrics with their filters, the first of which counts: `acc,none`.
    pub metrics: Vec<String>,
    /// The documents that it needs.
    pub needs: Vec<Need>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// What a task asks about one document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rendered {
    /// The task.
    pub task: String,
    /// The document's place, from 0.
    pub document: usize,
    /// Its fields.
    pub fields: qd_task::Document,
    /// What is asked.
    pub asks: Vec<Ask>,
}

/// How a document is asked about.
#[derive(Debug, Clone, Default)]
pub struct Showing {
    /// The document's place, from 0.
    pub document: usize,
    /// Examples in each prompt.
    pub num_fewshot: Option<usize>,
    /// As messages.
    pub chat: Option<Chat>,
    /// Datasets by what tasks call their documents.
    pub documents: BTreeMap<String, String>,
}

/// The names of the tasks that come with Quarterdeck.
pub fn list() -> Vec<Named> {
    let named =
        |listed: qd_task::library::Listed| Named { name: listed.name, is_group: listed.is_group, tags: listed.tags };
    Library::shipped().list().into_iter().map(named).collect()
}

/// What a name means: a task, or all tasks of a group or with a tag.
///
/// # Errors
/// [`Error::Task`] when nothing has the name.
pub async fn describe(name: &str) -> Result<Vec<Described>> {
    let name = name.to_owned();
    read(move || described(&name)).await
}

/// Reads task files beside the threads that answer.
async fn read<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { doing: "reading a task" })?
}

fn described(name: &str) -> Result<Vec<Described>> {
    let entries = Library::shipped().load(name)?;
    let described = |config: &qd_task::TaskConfig| Described {
        name: config.name.clone(),
        version: config.version.clone(),
        output_type: config.output,
        num_fewshot: config.own_fewshot(),
        metrics: config.measures().into_iter().map(|told| format!("{},{}", told.metric, told.filter)).collect(),
        needs: Need::of(config),
        notes: config.notes.clone(),
    };
    Ok(entries.iter().flat_map(qd_task::Entry::tasks).map(described).collect())
}

/// What a task asks about a document, as every model is asked.
///
/// # Errors
/// [`Error::Definition`] when its documents are not here or there is no such document, and for a name of several tasks.
pub async fn render(datasets: &Datasets, project: ProjectId, name: &str, showing: Showing) -> Result<Rendered> {
    check_counts("", showing.num_fewshot, None)?;
    let config = read({
        let name = name.to_owned();
        move || the_task(&name)
    });
    let config = config.await?;
    let mut shelf = Shelf::new(datasets, project, &showing.documents);
    shelf.weigh(std::iter::once(&config)).await?;
    let documents = shelf.documents(&config).await?;
    let entry = TaskEntry { num_fewshot: showing.num_fewshot, chat: showing.chat, ..entry(name) };
    let settings = alone(entry.clone()).settings(&entry);
    let work = move || {
        let task = Task::new(config, &documents, settings)?;
        let found = task.requests_of(showing.document)?;
        let fields = task.asked()[found.document].clone();
        Ok(Rendered { task: task.config().name.clone(), document: found.document, fields, asks: found.asks })
    };
    read(work).await
}

fn the_task(name: &str) -> Result<TaskConfig> {
    let entries = Library::shipped().load(name)?;
    let tasks: Vec<_> = entries.iter().flat_map(qd_task::Entry::tasks).collect();
    match tasks.as_slice() {
        [config] => Ok((*config).clone()),
        _ => Err(Error::definition("task", format!("{name} is {} tasks; name one of them", tasks.len()))),
    }
}

fn entry(task: &str) -> TaskEntry {
    TaskEntry {
        task: task.to_owned(),
        metric: None,
        weight: 1.0,
        chance: None,
        best: 1.0,
        num_fewshot: None,
        limit: None,
        chat: None,
    }
}

/// A definition of one task, for its settings.
fn alone(entry: TaskEntry) -> Definition {
    let usual: Definition =
        serde_json::from_value(serde_json::json!({"tasks": []})).expect("everything else has a default");
    Definition { tasks: vec![entry], ..usual }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_say_what_they_need() {
        assert!(list().iter().any(|named| named.name == "gsm8k" && !named.is_group));
        assert!(list().iter().any(|named| named.name == "bbh_seven_zeroshot" && named.is_group));
        let found = described("gsm8k").unwrap();
        assert_eq!((found.len(), found[0].num_fewshot), (1, Some(5)));
        assert_eq!(found[0].metrics, ["exact_match,strict-match", "exact_match,flexible-extract"]);
        assert_eq!(found[0].needs.len(), 2);
        assert_eq!(described("bbh_seven_zeroshot").unwrap().len(), 7);
        assert!(described("nothing").is_err());
    }
}
