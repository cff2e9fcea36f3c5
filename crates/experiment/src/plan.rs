//! Everything that a definition names, looked up: the rows, the prompts, the examples.

use std::collections::HashSet;
use std::sync::Arc;

use qd_base::{ArtifactName, ProjectId, ProjectName};
use qd_catalog::{VersionInfo, VersionRef};
use qd_data::{Dataset, Datasets, Row};
use qd_eval::Scorers;
use qd_prompt::{Example, Prompts, Reference, Slot, Stored, Strategy, Which};

use crate::cell::{self, Cell, shuffled};
use crate::definition::{Definition, Items, MOST_CALLS, MOST_ITEMS};
use crate::variables::{self, Mapping};
use crate::{Error, Result};

/// Rows of a dataset that examples are drawn from at most.
const MOST_POOL: usize = 10_000;
/// Rows that are read at once.
const PAGE: u64 = 1_000;

/// Where definitions are looked up.
#[derive(Clone)]
pub struct Sources {
    /// The datasets.
    pub datasets: Datasets,
    /// The prompts.
    pub prompts: Prompts,
}

/// An experiment that can be run.
pub struct Plan {
    /// Which version of which artifact it is.
    pub info: VersionInfo,
    /// The project's name.
    pub project_name: ProjectName,
    /// What is asked for.
    pub definition: Definition,
    /// What is looked at.
    pub scorers: Scorers,
    /// The dataset.
    pub dataset: Dataset,
    /// Its rows that are items, in the order in which they are asked.
    pub items: Vec<Arc<Item>>,
    /// The ways to ask.
    pub candidates: Vec<Arc<Candidate>>,
}

/// A row that is asked about.
#[derive(Debug)]
pub struct Item {
    /// The row.
    pub row: Row,
    /// What it should be answered.
    pub references: Vec<String>,
}

/// A cell with all that it takes to ask.
pub struct Candidate {
    /// The cell.
    pub cell: Cell,
    /// The prompt.
    pub prompt: Arc<Stored>,
    /// Which column goes where.
    pub mapping: Mapping,
    /// The examples that are shown, in order.
    pub examples: Vec<Example>,
    /// Whether the prompt is a version as it is kept, so that calls are traced with it.
    pub as_stored: bool,
}

impl Sources {
    /// The version of a dataset that a text like `name@3` means.
    ///
    /// # Errors
    /// [`Error::Definition`] for what is no reference, [`Error::Data`] when there is no such version.
    pub async fn dataset(&self, project: ProjectId, reference: &str, field: &str) -> Result<Dataset> {
        let (name, which) = parse(reference, field)?;
        Ok(self.datasets.open(project, &name, &which).await?)
    }

    /// The version of a prompt that a text like `name@3` means.
    ///
    /// # Errors
    /// [`Error::Prompt`] for what is no reference, and when there is no such version.
    pub async fn prompt(&self, project: ProjectId, reference: &str) -> Result<Arc<Stored>> {
        Ok(self.prompts.get(project, &reference.parse()?).await?)
    }

    /// Looks up everything that a pinned definition names.
    ///
    /// # Errors
    /// [`Error::Definition`] when parts of it do not fit each other, and what reading fails with.
    pub async fn plan(&self, info: VersionInfo, project_name: ProjectName, definition: Definition) -> Result<Plan> {
        let scorers = definition.check()?;
        let project = info.project;
        let dataset = self.dataset(project, &definition.dataset, "dataset").await?;
        let mut prompts = Vec::new();
        for reference in &definition.prompts {
            prompts.push(self.prompt(project, reference).await?);
        }
        let cells = cell::cells(&definition, &prompts)?;
        let items = self.items(&dataset, &definition).await?;
        let calls = cells.len() * items.len() * definition.repeats as usize;
        if items.is_empty() || calls > MOST_CALLS {
            let why = format!(
                "{} cells × {} items × {} times are {calls} calls, between 1 and {MOST_CALLS} can be made",
                cells.len(),
                items.len(),
                definition.repeats
            );
            return Err(Error::definition("items", why));
        }
        let mut bases = Vec::new();
        for prompt in prompts {
            let mapping = Mapping::new(&prompt.prompt, prompt.info.name.as_str(), &dataset, &definition.variables)?;
            let examples = self.examples(project, &definition, &prompt, &dataset, &items).await?;
            bases.push((prompt, mapping, examples));
        }
        let candidates = cells.into_iter().map(|cell| {
            let (prompt, mapping, examples) = &bases[cell.place];
            let count = cell.shots.unwrap_or(examples.len());
            let examples = examples[..count.min(examples.len())].to_vec();
            Arc::new(Candidate { cell, prompt: prompt.clone(), mapping: mapping.clone(), examples, as_stored: true })
        });
        Ok(Plan { project_name, candidates: candidates.collect(), scorers, items, dataset, definition, info })
    }

    /// The rows that are items: drawn at random and in that order, so that the first ones of them are a random part too.
    pub(crate) async fn items(&self, dataset: &Dataset, definition: &Definition) -> Result<Vec<Arc<Item>>> {
        let length = usize::try_from(dataset.len()).unwrap_or(usize::MAX);
        let Items { limit, seed, skip } = definition.items;
        let rest = length.saturating_sub(skip);
        let count = limit.unwrap_or(rest).min(rest);
        if count > MOST_ITEMS {
            let why = format!("the dataset has {length} rows; say a limit, at most {MOST_ITEMS}");
            return Err(Error::definition("items.limit", why));
        }
        let places = shuffled(length, seed, skip + count);
        let rows = read_places(dataset, &places[skip.min(places.len())..]).await?;
        Ok(rows
            .into_iter()
            .map(|row| Arc::new(Item { references: variables::references(dataset, &row), row }))
            .collect())
    }

    /// The examples of a prompt, as many as any cell shows: its own, or drawn from rows that are no items.
    async fn examples(
        &self,
        project: ProjectId,
        definition: &Definition,
        prompt: &Stored,
        dataset: &Dataset,
        items: &[Arc<Item>],
    ) -> Result<Vec<Example>> {
        let Some(slot) = &prompt.prompt.examples else {
            return match definition.shots.iter().any(|&shots| shots > 0) {
                true => Err(no_slot(prompt)),
                false => Ok(Vec::new()),
            };
        };
        let count = definition.shots.iter().copied().max().unwrap_or_else(|| slot.count());
        if count == 0 {
            return Ok(Vec::new());
        }
        if slot.strategy == Strategy::Similar {
            let why = format!(
                "the prompt {} chooses examples by similarity, which experiments cannot compare",
                prompt.info.name
            );
            return Err(Error::definition("prompts", why));
        }
        let examples = if slot.items.is_empty() {
            let source = slot.dataset.as_ref().or(definition.examples.dataset.as_ref());
            let of = match source {
                Some(reference) => self.dataset(project, reference, "examples.dataset").await?,
                None => dataset.clone(),
            };
            drawn(&of, prompt, definition, items, count).await?
        } else {
            own(slot, count)
        };
        if examples.len() < count {
            let why =
                format!("{count} examples are asked for, and the prompt {} has {}", prompt.info.name, examples.len());
            return Err(Error::definition("shots", why));
        }
        Ok(examples)
    }
}

fn no_slot(prompt: &Stored) -> Error {
    let why =
        format!("the prompt {}@{} has no place for examples; give it `examples`", prompt.info.name, prompt.info.number);
    Error::definition("shots", why)
}

/// The examples of the version itself.
fn own(slot: &Slot, count: usize) -> Vec<Example> {
    let order = match slot.strategy {
        Strategy::Random => shuffled(slot.items.len(), slot.seed.unwrap_or(0), count),
        Strategy::Fixed | Strategy::Similar => (0..slot.items.len().min(count)).collect(),
    };
    order.into_iter().map(|place| slot.items[place].clone()).collect()
}

/// Rows of a dataset as examples: drawn at random, and never a row that is asked about.
async fn drawn(
    dataset: &Dataset,
    prompt: &Stored,
    definition: &Definition,
    items: &[Arc<Item>],
    count: usize,
) -> Result<Vec<Example>> {
    let mapping = Mapping::new(&prompt.prompt, prompt.info.name.as_str(), dataset, &definition.variables)?;
    let asked: HashSet<&str> = items.iter().map(|item| item.row.id.as_str()).collect();
    let length = usize::try_from(dataset.len()).unwrap_or(usize::MAX);
    let order = shuffled(length, definition.examples.seed, (asked.len() + count * 2).min(MOST_POOL));
    let rows = read_places(dataset, &order).await?;
    let free = rows.iter().filter(|row| !asked.contains(row.id.as_str()) && !is_asked(row, items));
    Ok(free.filter_map(|row| mapping.example(dataset, row)).take(count).collect())
}

/// Whether an item has the same values: a row may stand in another dataset under another identifier.
fn is_asked(row: &Row, items: &[Arc<Item>]) -> bool {
    items.iter().any(|item| item.row.values == row.values)
}

/// Rows by their places, in the order of these.
pub(crate) async fn read_places(dataset: &Dataset, places: &[usize]) -> Result<Vec<Row>> {
    let mut order: Vec<(u64, usize)> = places.iter().enumerate().map(|(at, &place)| (place as u64, at)).collect();
    order.sort_unstable();
    let mut found: Vec<(usize, Row)> = Vec::with_capacity(places.len());
    let mut rest = order.as_slice();
    while let Some(&(first, _)) = rest.first() {
        let end = first.saturating_add(PAGE);
        let (now, later) = rest.split_at(rest.partition_point(|&(place, _)| place < end));
        let last = now.last().map_or(first, |&(place, _)| place);
        let mut rows = dataset.rows(first..last + 1).await?.into_iter().peekable();
        for &(place, at) in now {
            while rows.peek().is_some_and(|row| row.index < place) {
                rows.next();
            }
            if let Some(row) = rows.next_if(|row| row.index == place) {
                found.push((at, row));
            }
        }
        rest = later;
    }
    found.sort_unstable_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// `name`, `name@3` or `name@label`.
fn parse(reference: &str, field: &str) -> Result<(ArtifactName, VersionRef)> {
    let read: Reference =
        reference.parse().map_err(|error: qd_prompt::Error| Error::definition(field, error.to_string()))?;
    let which = match read.which {
        Which::Usual => VersionRef::Latest,
        Which::Named(which) => which,
    };
    Ok((read.name, which))
}
