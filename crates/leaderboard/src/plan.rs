//! A definition with everything that it names looked up: the tasks with their documents, and what each document asks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use qd_base::{ProjectId, Sha256Hex, VersionId};
use qd_data::Datasets;
use qd_eval::Direction;
use qd_eval::board::Style;
use qd_gateway::Pinned;
use qd_task::config::Told;
use qd_task::metric::OutputType;
use qd_task::{Ask, Documents, Prompt, Settings, Task, TaskConfig};
use serde_json::json;

use crate::definition::{Definition, TaskEntry};
use crate::leaderboards::Content;
use crate::source::{Need, Shelf};
use crate::table::{AnswerRow, Place};
use crate::{Error, Result};

/// Parts of one leaderboard at most.
const MOST_PARTS: usize = 500;
/// Documents of all models and parts together at most.
pub const MOST_ANSWERS: usize = 500_000;
/// Bytes of all requests at most, in texts.
const MOST_REQUEST_BYTES: usize = 1 << 30;
/// The provider that is the engine in this process.
pub(crate) const LOCAL: &str = "local";

/// A leaderboard that can be run.
pub struct Plan {
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// Which version of a dataset each key means.
    pub documents: BTreeMap<String, String>,
    /// The versions of those datasets.
    pub parents: Vec<VersionId>,
}

/// An entry with its tasks.
pub struct Entry {
    /// The task, group or tag that it names.
    pub name: String,
    /// How much it counts.
    pub weight: f64,
    /// Its tasks.
    pub parts: Vec<Arc<Part>>,
}

/// A task of an entry.
pub struct Part {
    /// What its rows are known by: the task, with the entry before it where that is another name.
    pub id: String,
    /// The task with its documents.
    pub task: Task,
    /// What counts.
    pub counts: Told,
    /// What guessing gets.
    pub chance: f64,
    /// The best there is.
    pub best: f64,
    /// What each document asks, in order.
    pub documents: Vec<Arc<Asked>>,
}

/// What a document asks.
#[derive(Debug)]
pub struct Asked {
    /// Its place among the documents, from 0.
    pub document: usize,
    /// What is asked about it.
    pub asks: Vec<Ask>,
    /// The digest of that.
    digest: Sha256Hex,
}

impl Asked {
    /// What makes an answer the same as another: the same requests of the same model, which here reads so many tokens: longer texts are
    /// cut or measured in windows.
    pub fn key(&self, target: &Pinned, context: Option<u32>) -> Sha256Hex {
        let told = match context.filter(|_| target.provider.as_str() == LOCAL) {
            None => json!([target, self.digest]),
            Some(tokens) => json!([target, self.digest, tokens]),
        };
        Sha256Hex::of(told.to_string().as_bytes())
    }
}

impl Part {
    /// Which way is better.
    pub fn direction(&self) -> Direction {
        if self.counts.higher_is_better { Direction::Higher } else { Direction::Lower }
    }
}

impl Plan {
    /// The parts of all entries.
    pub fn parts(&self) -> impl Iterator<Item = &Arc<Part>> {
        self.entries.iter().flat_map(|entry| &entry.parts)
    }

    /// Leaves those rows that answer what is asked now, and what is no answer to a document. Rows of other words, as an earlier program
    /// asked, or of another model of the same name do not count.
    pub fn keep_current(&self, rows: &mut HashMap<Place, AnswerRow>, content: &Content) {
        let parts: HashMap<&str, &Arc<Part>> = self.parts().map(|part| (part.id.as_str(), part)).collect();
        rows.retain(|_, row| {
            let asked = || parts.get(row.task.as_str())?.documents.get(row.document);
            let key = || Some(asked()?.key(content.models.get(&row.model)?, content.context));
            !row.is_answer() || key() == Some(row.key)
        });
    }

    /// How many documents a model is asked about.
    pub fn documents(&self) -> usize {
        self.parts().map(|part| part.documents.len()).sum()
    }
}

/// What is needed of a definition's tasks, each once, in their order.
///
/// # Errors
/// [`Error::Definition`] for what is out of bounds, [`Error::Task`] for a task that cannot be read.
pub async fn needs(definition: &Definition) -> Result<Vec<Need>> {
    definition.check_tasks()?;
    let configs = read_tasks(definition.clone(), configs).await?;
    let (mut needs, mut known) = (Vec::new(), BTreeSet::new());
    for need in configs.iter().flat_map(|(_, config)| Need::of(config)) {
        if known.insert(need.clone()) {
            needs.push(need);
        }
    }
    Ok(needs)
}

/// Every task of a definition with the place of its entry.
fn configs(definition: &Definition) -> Result<Vec<(usize, TaskConfig)>> {
    let library = definition.library();
    let mut found = Vec::new();
    for (place, entry) in definition.tasks.iter().enumerate() {
        for loaded in library.load(&entry.task)? {
            found.extend(loaded.tasks().into_iter().map(|config| (place, config.clone())));
        }
        if found.len() > MOST_PARTS {
            return Err(Error::definition("tasks", format!("they have more than {MOST_PARTS} parts")));
        }
    }
    Ok(found)
}

/// Looks up everything.
///
/// # Errors
/// [`Error::Definition`] when something does not fit or is not here, [`Error::Task`] when a document cannot be asked about.
pub async fn plan(datasets: &Datasets, project: ProjectId, definition: &Definition) -> Result<Plan> {
    definition.check()?;
    let named = definition.documents.clone();
    let mut shelf = Shelf::new(datasets, project, &named);
    let configs = read_tasks(definition.clone(), configs).await?;
    shelf.weigh(configs.iter().map(|(_, config)| config)).await?;
    foresee_answers(&mut shelf, definition, &configs).await?;
    let mut found = Vec::new();
    for (place, config) in configs {
        let documents = shelf.documents(&config).await?;
        found.push((place, config, documents));
    }
    let (documents, parents) = shelf.pinned();
    let entries = read_tasks(definition.clone(), move |definition| entries(definition, found)).await?;
    Ok(Plan { entries, documents, parents })
}

/// Does what takes long beside the threads that answer.
async fn read_tasks<T: Send + 'static>(
    definition: Definition,
    work: impl FnOnce(&Definition) -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(move || work(&definition)).await;
    done.map_err(|_| Error::Broken { doing: "reading tasks" })?
}

/// Refuses what asks for too many answers before any document is read.
async fn foresee_answers(
    shelf: &mut Shelf<'_>,
    definition: &Definition,
    configs: &[(usize, TaskConfig)],
) -> Result<()> {
    let mut answers = 0_usize;
    for (place, config) in configs {
        let limit = definition.settings(&definition.tasks[*place]).limit.unwrap_or(usize::MAX);
        let documents = usize::try_from(shelf.count(config).await?).unwrap_or(usize::MAX).min(limit);
        answers = answers.saturating_add(documents * definition.models.len() * config.repeats());
        if answers > MOST_ANSWERS {
            let why = format!("more than {MOST_ANSWERS} answers would be asked for by {}; set a limit", config.name);
            return Err(Error::definition("limit", why));
        }
    }
    Ok(())
}

fn entries(definition: &Definition, found: Vec<(usize, TaskConfig, Documents)>) -> Result<Vec<Entry>> {
    let entry = |entry: &TaskEntry| Entry { name: entry.task.clone(), weight: entry.weight, parts: Vec::new() };
    let mut entries: Vec<Entry> = definition.tasks.iter().map(entry).collect();
    let (mut ids, mut left) = (BTreeSet::new(), MOST_REQUEST_BYTES);
    for (place, config, documents) in found {
        let part = part(definition, (place, config), &documents, &mut left)?;
        if !ids.insert(part.id.clone()) {
            return Err(Error::definition(format!("tasks[{place}]"), format!("{} is there twice", part.id)));
        }
        entries[place].parts.push(Arc::new(part));
    }
    Ok(entries)
}

fn part(
    definition: &Definition,
    (place, config): (usize, TaskConfig),
    documents: &Documents,
    left: &mut usize,
) -> Result<Part> {
    let entry = &definition.tasks[place];
    let counts = counted(&config, entry, definition.style, place)?;
    let id = if entry.task == config.name { config.name.clone() } else { format!("{}/{}", entry.task, config.name) };
    let output = config.output;
    let settings: Settings = definition.settings(entry);
    let task = Task::new(config, documents, settings)?;
    let guessed = output == OutputType::MultipleChoice && counts.metric.starts_with("acc");
    let chance = match entry.chance {
        Some(chance) => chance,
        None if guessed => task.chance()?.unwrap_or(0.0),
        None => 0.0,
    };
    if definition.style == Style::Normalised && entry.best <= chance {
        return Err(Error::definition(format!("tasks[{place}].best"), format!("guessing gets {chance} of {id}")));
    }
    let asked = |requests: qd_task::DocumentRequests| {
        refuse_unmeasurable(&requests.asks, place)?;
        let digest = Sha256Hex::of(json!(requests.asks).to_string().as_bytes());
        Ok(Arc::new(Asked { document: requests.document, asks: requests.asks, digest }))
    };
    let requests = task.requests_within(*left)?;
    *left -= requests.iter().flat_map(|one| &one.asks).map(Ask::bytes).sum::<usize>();
    let documents = requests.into_iter().map(asked).collect::<Result<_>>()?;
    Ok(Part { id, task, counts, chance, best: entry.best, documents })
}

/// The metric that counts.
fn counted(config: &TaskConfig, entry: &TaskEntry, style: Style, place: usize) -> Result<Told> {
    let measures = config.measures();
    let wanted = entry.metric.as_deref().map(|metric| metric.split_once(',').unwrap_or((metric, "")));
    let is = |told: &&Told| match wanted {
        None => true,
        Some((metric, filter)) => told.metric == metric && (filter.is_empty() || told.filter == filter.trim()),
    };
    let there = || measures.iter().map(|told| format!("{},{}", told.metric, told.filter)).collect::<Vec<_>>().join(" ");
    let field = format!("tasks[{place}].metric");
    let found = measures.iter().find(is).cloned();
    let found = found.ok_or_else(|| Error::definition(&field, format!("{} has {}", config.name, there())))?;
    if style == Style::Normalised && !found.higher_is_better {
        let why = format!(
            "{} of {} has no best, so it cannot be normalised: use the style win_rate",
            found.metric, config.name
        );
        return Err(Error::definition(field, why));
    }
    Ok(found)
}

/// Refuses messages where likelihoods are measured, and answers that are begun: no provider says how likely a text is after messages.
fn refuse_unmeasurable(asks: &[Ask], place: usize) -> Result<()> {
    let why = asks.iter().find_map(|ask| match ask {
        Ask::Choices { context: Prompt::Chat { .. }, .. } => {
            Some("it measures likelihoods, which are of texts: leave out chat, or the task")
        }
        Ask::Generate { prompt: Prompt::Chat { goes_on: true, .. }, .. } => {
            Some("it begins the answer itself, which messages cannot: leave out chat, or the task")
        }
        _ => None,
    });
    why.map_or(Ok(()), |why| Err(Error::definition(format!("tasks[{place}].task"), why)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A document with so many continuations; with none a text is generated.
    pub(crate) fn asked(document: usize, continuations: usize) -> Arc<Asked> {
        let prompt = Prompt::Text("Q".to_owned());
        let ask = match continuations {
            0 => Ask::Generate { prompt, generation: generation(), repeats: 1 },
            n => Ask::Choices { context: prompt, continuations: vec![" a".to_owned(); n] },
        };
        Arc::new(Asked { document, asks: vec![ask], digest: Sha256Hex::of(b"") })
    }

    fn generation() -> qd_task::Generation {
        qd_task::Generation { until: Vec::new(), max_tokens: None, temperature: 0.0, top_p: None, top_k: None }
    }

    const CHOICES: &str = "task: t\ntest_split: test\noutput_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: label\n\
                           doc_to_choice: [a, b, c, d]\n";

    fn made(more: serde_json::Value) -> Result<Vec<Entry>> {
        let mut definition = json!({"tasks": [{"task": "t"}], "models": ["m"], "files": {"t.yaml": CHOICES}});
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let definition: Definition = serde_json::from_value(definition).unwrap();
        let rows = (0..3).map(|n| json!({"q": format!("Q{n}"), "label": n}).as_object().unwrap().clone()).collect();
        let documents = Documents::new().with("test", rows);
        entries(
            &definition,
            configs(&definition)?.into_iter().map(|(at, config)| (at, config, documents.clone())).collect(),
        )
    }

    #[test]
    fn guessing_among_four_gets_a_quarter() {
        let entries = made(json!({"tasks": [{"task": "t", "metric": "acc_norm", "limit": 2}]})).unwrap();
        let part = &entries[0].parts[0];
        assert_eq!((part.chance, part.documents.len(), part.counts.metric.as_str()), (0.25, 2, "acc_norm"));
    }

    /// A row of other words than the plan's, as of a program whose task was another, and one of another model of the same name.
    #[test]
    fn only_answers_to_what_is_asked_count() {
        let plan = Plan { entries: made(json!({})).unwrap(), documents: BTreeMap::new(), parents: Vec::new() };
        let target =
            |model: &str| Pinned { provider: "local".parse().unwrap(), model: model.to_owned(), address_sha256: None };
        let content: Content = serde_json::from_value(json!({
            "definition": {"tasks": [{"task": "t"}], "models": ["m"]}, "models": {"m": target("m@1")}, "documents": 3,
        }))
        .unwrap();
        let key = |document: usize, model: &str| plan.entries[0].parts[0].documents[document].key(&target(model), None);
        let row = |document, key| AnswerRow { key, ..crate::table::tests::row("m", "t", document) };
        let other = AnswerRow { task: ":speed".to_owned(), ..row(0, Sha256Hex::of(b"speed")) };
        let rows = [row(0, key(0, "m@1")), row(1, key(0, "m@1")), row(2, key(2, "m@2")), row(7, key(2, "m@1")), other];
        let mut rows: HashMap<Place, AnswerRow> = rows.into_iter().map(|row| (row.place(), row)).collect();
        plan.keep_current(&mut rows, &content);
        let mut left: Vec<(String, usize)> = rows.into_keys().map(|(_, task, document)| (task, document)).collect();
        left.sort();
        assert_eq!(left, [(":speed".to_owned(), 0), ("t".to_owned(), 0)]);
    }

    #[test]
    fn what_cannot_be_asked_or_added_up_is_refused() {
        let why = |more| made(more).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(why(json!({"tasks": [{"task": "t", "metric": "f2"}]})).contains("t has acc,none acc_norm,none"));
        assert!(why(json!({"chat": "turns"})).contains("likelihoods"));
        assert!(why(json!({"tasks": [{"task": "u"}]})).contains("no task"));
        let brier = format!("{CHOICES}metric_list: [{{metric: brier_score}}]\n");
        assert!(why(json!({"files": {"t.yaml": brier.clone()}})).contains("win_rate"));
        assert_eq!(why(json!({"files": {"t.yaml": brier}, "style": "win_rate"})), "");
    }

    #[test]
    fn an_answer_is_the_same_for_the_same_words_and_model() {
        let entries = |more| made(more).unwrap();
        let target =
            |model: &str| Pinned { provider: "local".parse().unwrap(), model: model.to_owned(), address_sha256: None };
        let key = |more, model: &str| entries(more)[0].parts[0].documents[1].key(&target(model), None);
        assert_eq!(key(json!({}), "m@1"), key(json!({"limit": 2, "concurrency": 1}), "m@1"));
        assert_ne!(key(json!({}), "m@1"), key(json!({}), "m@2"));
        assert_ne!(key(json!({}), "m@1"), key(json!({"system": "Think."}), "m@1"));
        let found = entries(json!({}));
        let read = |provider: &str, context| {
            let target = Pinned { provider: provider.parse().unwrap(), ..target("m@1") };
            found[0].parts[0].documents[1].key(&target, context)
        };
        assert_ne!(read("local", Some(512)), read("local", None), "the engine cuts what it cannot read");
        assert_eq!(read("other", Some(512)), read("other", None));
    }
}
