//! Which examples a cell shows: the same ones for every item, or for each item those that are most like it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use qd_data::Dataset;
use qd_prompt::example::MAX_POOL;
use qd_prompt::{Example, Slot, Stored, Strategy, VariableKind};

use crate::cell::shuffled;
use crate::definition::{Chosen, Definition, Shots};
use crate::plan::{Asked, Item, Sources, examples_of, read_places};
use crate::variables::Mapping;
use crate::{Error, Result};

/// Rows that items are compared with at most, as in every call with a prompt that chooses by similarity.
const MOST_COMPARED: usize = 1_000;
/// The model of embeddings where nobody names one: the embedded default.
pub const USUAL_MODEL: &str = "all-minilm-l6-v2";

/// The examples of a cell.
#[derive(Clone)]
pub enum Shown {
    /// The same ones for every item, in order.
    Same(Vec<Example>),
    /// For each item those that are most like it.
    Similar(Arc<Neighbours>),
}

impl Shown {
    /// The examples that stand before the item at this place of the dataset.
    pub fn of(&self, item: u64) -> &[Example] {
        match self {
            Self::Same(examples) => examples,
            Self::Similar(neighbours) => neighbours.of(item),
        }
    }

    /// Everything that may be shown.
    fn all(&self) -> &[Example] {
        match self {
            Self::Same(examples) => examples,
            Self::Similar(neighbours) => &neighbours.pool,
        }
    }
}

/// Examples to choose from, and which of them are most like an item, once they were compared.
pub struct Neighbours {
    slot: Slot,
    pool: Vec<Example>,
    found: OnceLock<HashMap<u64, Vec<Example>>>,
}

impl Neighbours {
    /// The model of the embeddings that they are compared by.
    pub fn model(&self) -> &str {
        self.slot.embedding_model.as_deref().unwrap_or(USUAL_MODEL)
    }

    /// Whether they were compared.
    pub fn is_found(&self) -> bool {
        self.found.get().is_some()
    }

    /// Before they were compared the first ones stand for those that will be found, which is enough to tell how long a call is.
    fn of(&self, item: u64) -> &[Example] {
        match self.found.get() {
            Some(found) => found.get(&item).map_or(&[], Vec::as_slice),
            None => &self.pool[..self.slot.count().min(self.pool.len())],
        }
    }

    /// The texts that are compared: those of the examples, then those of the items.
    pub fn texts(&self, prompt: &Stored, mapping: &Mapping, items: &[Arc<Item>]) -> Vec<String> {
        let asked = |item: &Arc<Item>| {
            let given = mapping.values(&item.row);
            // What every call compares: checked and completed, without conversations and what is none.
            let mut values = prompt.prompt.resolve(&given).unwrap_or(given);
            values.retain(|_, value| !value.is_null());
            for variable in prompt.prompt.variables.iter().filter(|one| one.kind == VariableKind::Messages) {
                values.shift_remove(&variable.name);
            }
            self.slot.compared(&values)
        };
        let examples = self.pool.iter().map(|example| self.slot.compared(&example.variables));
        examples.chain(items.iter().map(asked)).collect()
    }

    /// Notes which examples are nearest to each item; `vectors` are those of [`Neighbours::texts`].
    ///
    /// # Errors
    /// [`Error::Prompt`] for vectors that do not compare, as those of two models.
    pub fn find(&self, items: &[Arc<Item>], vectors: &[Vec<f32>]) -> Result<()> {
        let (examples, asked) = vectors.split_at(self.pool.len().min(vectors.len()));
        let near = |(item, vector): (&Arc<Item>, &Vec<f32>)| {
            Ok((item.row.index, self.slot.pick_similar(&self.pool, examples, vector)?))
        };
        let found = items.iter().zip(asked).map(near).collect::<Result<_>>()?;
        self.found.get_or_init(|| found);
        Ok(())
    }
}

/// What the examples of a prompt are looked for with.
pub(crate) struct Looking<'a> {
    pub definition: &'a Definition,
    pub prompt: &'a Stored,
    /// The dataset that the prompt takes its examples from.
    pub source: Option<&'a Dataset>,
    /// The dataset that is asked about.
    pub dataset: &'a Dataset,
    pub asked: &'a Asked,
}

impl Sources {
    /// What a prompt shows with each of the numbers of examples; without any, what every call with it shows.
    pub(crate) async fn shown(&self, looking: &Looking<'_>) -> Result<Vec<Shown>> {
        let values = &looking.definition.shots;
        let Some(slot) = &looking.prompt.prompt.examples else {
            return match values.iter().any(|shots| shots.count() > 0) {
                true => Err(no_slot(looking.prompt)),
                false => Ok(vec![Shown::Same(Vec::new()); values.len().max(1)]),
            };
        };
        if values.iter().map(Shots::count).max().unwrap_or_else(|| slot.count()) == 0 {
            return Ok(vec![Shown::Same(Vec::new()); values.len().max(1)]);
        }
        // Read once for all numbers.
        let pool = match looking.source {
            Some(source) => examples_of(source).await?,
            None => slot.items.clone(),
        };
        if values.is_empty() {
            return Ok(vec![self.as_it_says(looking, slot, pool).await?]);
        }
        let mut all = Vec::with_capacity(values.len());
        for shots in values {
            all.push(self.so_many(looking, (slot, pool.as_slice()), shots).await?);
        }
        Ok(all)
    }

    /// What every call with a prompt shows. One that has a place for examples and brings none gets as many as it has place for.
    async fn as_it_says(&self, looking: &Looking<'_>, slot: &Slot, mut pool: Vec<Example>) -> Result<Shown> {
        if pool.is_empty() && looking.source.is_none() {
            return self.so_many(looking, (slot, &[]), &Shots::Count(slot.count())).await;
        }
        if slot.strategy == Strategy::Similar {
            pool.truncate(MOST_COMPARED);
        }
        let shown = chosen(slot.clone(), pool);
        looking.asked.refuse(shown.all(), &looking.prompt.info)?;
        Ok(shown)
    }

    /// A number of examples, none of which is asked about.
    async fn so_many(&self, looking: &Looking<'_>, (slot, pool): (&Slot, &[Example]), shots: &Shots) -> Result<Shown> {
        let mut wanted = wanted(slot, shots);
        let count = wanted.count();
        if count == 0 {
            return Ok(Shown::Same(Vec::new()));
        }
        let pool = if looking.source.is_none() && pool.is_empty() {
            let drawn = self.drawn(looking, &wanted, shots.chosen()).await?;
            // They are in a random order already.
            wanted.strategy = if wanted.strategy == Strategy::Similar { Strategy::Similar } else { Strategy::Fixed };
            drawn
        } else {
            pool.iter().filter(|example| !looking.asked.has(&example.variables)).cloned().collect()
        };
        if pool.len() < count {
            let (name, there) = (&looking.prompt.info.name, pool.len());
            let why =
                format!("{count} examples are asked for, and the prompt {name} has {there} that are not asked about");
            return Err(Error::definition("shots", why));
        }
        Ok(chosen(wanted, pool))
    }

    /// Rows as examples, drawn at random: of the dataset for examples, or of the one that is asked about.
    async fn drawn(&self, looking: &Looking<'_>, wanted: &Slot, chosen: Option<&Chosen>) -> Result<Vec<Example>> {
        let Looking { definition, prompt, asked, .. } = looking;
        let named = match &definition.examples.dataset {
            Some(reference) => Some(self.dataset(prompt.info.project, reference, "examples.dataset").await?),
            None => None,
        };
        let dataset = named.as_ref().unwrap_or(looking.dataset);
        let count = if wanted.strategy == Strategy::Similar { MOST_COMPARED } else { wanted.count() };
        let seed = chosen.and_then(|chosen| chosen.seed).unwrap_or(definition.examples.seed);
        let mapping = Mapping::new(&prompt.prompt, prompt.info.name.as_str(), dataset, &definition.variables)?;
        let length = usize::try_from(dataset.len()).unwrap_or(usize::MAX);
        let order = shuffled(length, seed, (asked.len() + count * 2).min(MAX_POOL));
        let rows = read_places(dataset, &order).await?;
        let free = rows.iter().filter(|row| !asked.has_row(&row.id) && !asked.has(&mapping.values(row)));
        Ok(free.filter_map(|row| mapping.example(dataset, row)).take(count).collect())
    }
}

fn chosen(wanted: Slot, mut pool: Vec<Example>) -> Shown {
    if wanted.strategy != Strategy::Similar {
        return Shown::Same(wanted.pick(&pool));
    }
    pool.truncate(MOST_COMPARED);
    Shown::Similar(Arc::new(Neighbours { slot: wanted, pool, found: OnceLock::new() }))
}

/// The prompt's place for examples with this number of them, chosen in this way.
fn wanted(slot: &Slot, shots: &Shots) -> Slot {
    let mut wanted = Slot { count: Some(shots.count()), ..slot.clone() };
    if let Some(Chosen { choose, seed, embedding_model, .. }) = shots.chosen() {
        wanted.strategy = *choose;
        wanted.seed = seed.or(wanted.seed);
        wanted.embedding_model = embedding_model.clone().or(wanted.embedding_model);
    }
    wanted
}

fn no_slot(prompt: &Stored) -> Error {
    let why =
        format!("the prompt {}@{} has no place for examples; give it `examples`", prompt.info.name, prompt.info.number);
    Error::definition("shots", why)
}
