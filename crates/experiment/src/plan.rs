//! Everything that a definition names, looked up: the rows, the prompts, the examples.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use qd_base::{ArtifactName, ProjectId, ProjectName};
use qd_catalog::{VersionInfo, VersionRef};
use qd_data::{Dataset, Datasets, Row};
use qd_eval::Scorers;
use qd_prompt::{Example, Prompts, Reference, Stored, Which};
use serde_json::{Map, Value, json};

use crate::cell::{self, Cell, shuffled};
use crate::definition::{Definition, Items, MOST_CALLS, MOST_ITEMS, Shots};
use crate::shown::{Looking, Shown};
use crate::variables::{self, Mapping};
use crate::{Error, Result, pool};

/// Rows that are read at once.
const PAGE: u64 = 1_000;
/// Rows that are in memory at once at most, as their texts.
const MOST_BYTES: usize = 256 << 20;

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
    /// For each prompt that takes its examples from a dataset, the version of that.
    pub examples: BTreeMap<String, String>,
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
    /// The examples that are shown.
    pub examples: Shown,
    /// Whether the prompt is a version as it is kept, so that calls are traced with it.
    pub as_stored: bool,
}

impl Plan {
    /// The models that are asked: those of cells, and those of embeddings by which examples are compared.
    pub(crate) fn models(&self) -> BTreeSet<&str> {
        let embeddings = self.candidates.iter().filter_map(|candidate| match &candidate.examples {
            Shown::Similar(neighbours) => Some(neighbours.model()),
            Shown::Same(_) => None,
        });
        self.candidates.iter().map(|candidate| candidate.cell.model.as_str()).chain(embeddings).collect()
    }
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

    /// The version of a dataset that a prompt takes its examples from, as whoever calls with that prompt gets it: the usual label
    /// comes first.
    async fn usual(&self, project: ProjectId, reference: &str) -> Result<Dataset> {
        let read: Reference = reference.parse()?;
        let (meant, otherwise) = read.meant();
        match (self.datasets.open(project, &read.name, &meant).await, otherwise) {
            (Err(qd_data::Error::Catalog { cause: qd_catalog::Error::NotFound { .. }, .. }), Some(other)) => {
                Ok(self.datasets.open(project, &read.name, &other).await?)
            }
            (found, _) => Ok(found?),
        }
    }

    /// Looks up everything that a pinned definition names. `pinned` says from which versions prompts take their examples, as
    /// far as that was found before.
    ///
    /// # Errors
    /// [`Error::Definition`] when parts of it do not fit each other, and what reading fails with.
    pub async fn plan(
        &self,
        info: VersionInfo,
        project_name: ProjectName,
        definition: Definition,
        pinned: &BTreeMap<String, String>,
    ) -> Result<Plan> {
        let scorers = definition.check()?;
        let project = info.project;
        let dataset = self.dataset(project, &definition.dataset, "dataset").await?;
        let mut prompts = Vec::new();
        for reference in &definition.prompts {
            prompts.push(self.prompt(project, reference).await?);
        }
        let cells = cell::cells(&definition, &prompts)?;
        let items = self.items(&dataset, definition.items).await?;
        check_calls(cells.len(), items.len(), definition.repeats)?;
        let (mut bases, mut sources) = (Vec::new(), BTreeMap::new());
        for prompt in prompts {
            let mapping = Mapping::new(&prompt.prompt, prompt.info.name.as_str(), &dataset, &definition.variables)?;
            let source = self.source(project, &prompt, pinned).await?;
            if let Some(source) = &source {
                sources.insert(reference(&prompt.info), reference(source.info()));
            }
            let asked = Asked::new(&mapping, &items);
            let (source, dataset) = (source.as_ref(), &dataset);
            let looking = Looking { definition: &definition, prompt: &prompt, source, dataset, asked: &asked };
            let shown = self.shown(&looking).await?;
            bases.push((prompt, mapping, shown));
        }
        let candidates = cells.into_iter().map(|cell| {
            let (prompt, mapping, shown) = &bases[cell.place];
            let is_its = |shots: &Shots| Some(shots.count()) == cell.shots && shots.chosen() == cell.choose.as_ref();
            let examples = shown[definition.shots.iter().position(is_its).unwrap_or(0)].clone();
            Arc::new(Candidate { cell, prompt: prompt.clone(), mapping: mapping.clone(), examples, as_stored: true })
        });
        let candidates = candidates.collect();
        Ok(Plan { project_name, candidates, scorers, items, dataset, definition, info, examples: sources })
    }

    /// The rows that are items: drawn at random and in that order, so that the first ones of them are a random part too.
    ///
    /// # Errors
    /// [`Error::Definition`] when they are too many, [`Error::Data`] when they cannot be read.
    pub async fn items(&self, dataset: &Dataset, items: Items) -> Result<Vec<Arc<Item>>> {
        let length = usize::try_from(dataset.len()).unwrap_or(usize::MAX);
        let Items { limit, seed, skip } = items;
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

    /// The dataset that a prompt takes its examples from, if it names one.
    pub(crate) async fn source(
        &self,
        project: ProjectId,
        prompt: &Stored,
        pinned: &BTreeMap<String, String>,
    ) -> Result<Option<Dataset>> {
        let slot = prompt.prompt.examples.as_ref();
        let Some(named) = slot.and_then(|slot| slot.dataset.as_ref()) else { return Ok(None) };
        let named = pinned.get(&reference(&prompt.info)).unwrap_or(named);
        Ok(Some(self.usual(project, named).await?))
    }
}

fn check_calls(cells: usize, items: usize, repeats: u32) -> Result<()> {
    let calls = cells * items * repeats as usize;
    if items > 0 && calls <= MOST_CALLS {
        return Ok(());
    }
    let why = format!(
        "{cells} cells × {items} items × {repeats} times are {calls} calls, between 1 and {MOST_CALLS} can be made"
    );
    Err(Error::definition("items", why))
}

fn reference(info: &VersionInfo) -> String {
    format!("{}@{}", info.name, info.number)
}

/// What is asked about: a row may stand in another dataset, under another identifier and with other columns beside.
pub(crate) struct Asked {
    ids: HashSet<String>,
    values: HashSet<String>,
}

impl Asked {
    /// What a prompt shows of these items.
    pub(crate) fn new(mapping: &Mapping, items: &[Arc<Item>]) -> Self {
        Self {
            ids: items.iter().map(|item| item.row.id.clone()).collect(),
            values: items.iter().map(|item| values_text(&mapping.values(&item.row))).collect(),
        }
    }

    /// Whether an example asks the same as an item.
    pub(crate) fn has(&self, values: &Map<String, Value>) -> bool {
        self.values.contains(&values_text(values))
    }

    /// How many rows are asked about.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether a row of this identifier is asked about.
    pub(crate) fn has_row(&self, id: &str) -> bool {
        self.ids.contains(id)
    }

    /// Examples that a prompt always shows must not be asked about: they would give the answer away.
    pub(crate) fn refuse(&self, examples: &[Example], prompt: &VersionInfo) -> Result<()> {
        if examples.iter().any(|example| self.has(&example.variables)) {
            let why = format!(
                "the prompt {} shows rows that are asked about; say `shots`, which leaves those out, or other items",
                prompt.name
            );
            return Err(Error::definition("prompts", why));
        }
        Ok(())
    }
}

/// Values in one order of names.
fn values_text(values: &Map<String, Value>) -> String {
    json!(values.iter().collect::<BTreeMap<_, _>>()).to_string()
}

/// The rows of a dataset as calls with a prompt get them.
pub(crate) async fn examples_of(dataset: &Dataset) -> Result<Vec<Example>> {
    let why = || format!("the dataset {} has no reference and no label to show as an answer", dataset.info().name);
    let found = pool::read(dataset).await?.ok_or_else(|| Error::definition("prompts", why()))?;
    Ok(found.examples)
}

/// Rows by their places, in the order of these.
///
/// # Errors
/// [`Error::Data`] when they cannot be read, [`Error::Definition`] when they are larger than may be in memory at once.
pub async fn read_places(dataset: &Dataset, places: &[usize]) -> Result<Vec<Row>> {
    let mut order: Vec<(u64, usize)> = places.iter().enumerate().map(|(at, &place)| (place as u64, at)).collect();
    order.sort_unstable();
    let (mut found, mut size_bytes): (Vec<(usize, Row)>, _) = (Vec::with_capacity(places.len()), 0);
    let mut rest = order.as_slice();
    while let Some(&(first, _)) = rest.first() {
        let end = first.saturating_add(PAGE);
        let near = rest[..rest.partition_point(|&(place, _)| place < end)].last().map_or(first, |&(place, _)| place);
        let page = dataset.page(first..near + 1).await?;
        let read = page.rows.last().map_or(near, |row| row.index);
        let mut rows = page.rows.into_iter().peekable();
        let (now, later) = rest.split_at(rest.partition_point(|&(place, _)| place <= read));
        for &(place, at) in now {
            while rows.peek().is_some_and(|row| row.index < place) {
                rows.next();
            }
            if let Some(row) = rows.next_if(|row| row.index == place) {
                size_bytes += row.size_bytes();
                found.push((at, row));
            }
        }
        if size_bytes > MOST_BYTES {
            let why = format!("{} rows are over {} MiB together; ask for fewer", places.len(), MOST_BYTES >> 20);
            return Err(Error::definition("items.limit", why));
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
