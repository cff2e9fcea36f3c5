//! The few-shot examples of a call: out of the version itself or of a dataset, as they stand or by what is most like the
//! values.
//!
//! Reading order: this file → [`vectors`] → [`lru`].

mod lru;
mod vectors;

use std::sync::Arc;

use parking_lot::Mutex;
use qd_base::id::{ProjectId, VersionId};
use qd_catalog::VersionRef;
use qd_data::Dataset;
use qd_experiment::pool::Pool;
use qd_gateway::CallContext;
use qd_prompt::{Example, Prompt, Reference, Slot, Strategy, VariableKind};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::examples::lru::Lru;
use crate::examples::vectors::{Texts, Vectors};
use crate::openai::prompted;
use crate::state::Surface;

/// The model of embeddings when the version names none: the embedded default.
const USUAL_MODEL: &str = "all-minilm-l6-v2";
/// Rows of a dataset that are compared with the values: the first ones.
const MAX_COMPARED: usize = 1000;
/// How much of the rows of datasets' versions is kept in memory as examples.
const MAX_KEPT_BYTES: usize = 64 << 20;

/// What was fetched and made for examples before.
pub(crate) struct Kept {
    /// Vectors of texts.
    vectors: Vectors,
    /// The rows of versions of datasets; those never change.
    pools: Mutex<Lru<VersionId, Arc<[Example]>>>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { vectors: Vectors::default(), pools: Mutex::new(Lru::new(MAX_KEPT_BYTES)) }
    }
}

/// The examples that a prompt shows with these values, which are its own: checked and completed.
pub(crate) async fn of(
    surface: &Surface,
    context: &CallContext,
    prompt: &Prompt,
    mut values: Map<String, Value>,
) -> Result<Vec<Example>> {
    let Some(slot) = prompt.needs_examples() else { return Ok(prompt.own_examples()) };
    // Examples have no conversations and leave out what is none.
    values.retain(|_, value| !value.is_null());
    for variable in prompt.variables.iter().filter(|variable| variable.kind == VariableKind::Messages) {
        values.shift_remove(&variable.name);
    }
    let pool = match &slot.dataset {
        Some(dataset) => rows(surface, context.project, &dataset.parse()?).await?,
        None => slot.items.clone().into(),
    };
    match slot.strategy {
        Strategy::Similar => similar(surface, context, slot, pool, values).await,
        Strategy::Fixed | Strategy::Random => Ok(slot.pick(&pool)),
    }
}

/// The version of a dataset that a prompt takes its examples from.
pub(crate) async fn dataset(surface: &Surface, project: ProjectId, reference: &Reference) -> Result<Dataset> {
    let open = |which: VersionRef| async move { surface.app.datasets.open(project, &reference.name, &which).await };
    let (meant, otherwise) = reference.meant();
    match (open(meant).await, otherwise) {
        (Err(qd_data::Error::Catalog { cause: qd_catalog::Error::NotFound { .. }, .. }), Some(other)) => {
            Ok(open(other).await?)
        }
        (found, _) => Ok(found?),
    }
}

/// The rows of a dataset as examples: the reference is the answer, or the label where there is none; every other column but
/// the identifier is a variable of its name.
async fn rows(surface: &Surface, project: ProjectId, reference: &Reference) -> Result<Arc<[Example]>> {
    let dataset = dataset(surface, project, reference).await?;
    let version = dataset.info().id;
    if let Some(pool) = surface.examples.pools.lock().get(&version) {
        return Ok(pool);
    }
    let Some(Pool { examples, size_bytes }) = qd_experiment::pool::read(&dataset).await? else {
        let message = format!(
            "The dataset {reference} has no column that is a reference or a label: an example needs an answer."
        );
        return Err(Error::parameter("content.examples.dataset", "invalid_value", message));
    };
    let pool: Arc<[Example]> = examples.into();
    surface.examples.pools.lock().put(version, pool.clone(), size_bytes);
    Ok(pool)
}

/// The first examples of `pool` that are most like the values.
async fn similar(
    surface: &Surface,
    context: &CallContext,
    slot: &Slot,
    pool: Arc<[Example]>,
    values: Map<String, Value>,
) -> Result<Vec<Example>> {
    if pool.is_empty() {
        return Ok(Vec::new());
    }
    let model = slot.embedding_model.as_deref().unwrap_or(USUAL_MODEL);
    let (slot, all) = (slot.clone(), pool.clone());
    let reading = move || {
        let pool = first(&all).iter().map(|example| slot.compared(&example.variables));
        (Texts::new(pool, slot.compared(&values)), slot)
    };
    let (texts, slot) = prompted::aside(surface, reading).await?;
    // They say no words of the prompt, so their rows name none. They are part of the call that is made with them.
    let parent = context.begun.map(|begun| begun.at).or(context.parent);
    let context = CallContext { prompt: None, begun: None, parent, ..context.clone() };
    let found = surface.examples.vectors.of(&surface.app.gateway, &context, model, &texts).await?;
    let comparing = move || slot.pick_similar(first(&pool), &found.pool, &found.asked);
    Ok(prompted::aside(surface, comparing).await??)
}

fn first(pool: &[Example]) -> &[Example] {
    &pool[..pool.len().min(MAX_COMPARED)]
}
