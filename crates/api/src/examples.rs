//! The few-shot examples of a call: out of the version itself or of a dataset, as they stand or by what is most like the
//! values.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use qd_base::hash::Sha256Hex;
use qd_base::id::{ProjectId, VersionId};
use qd_catalog::VersionRef;
use qd_data::{Dataset, Role};
use qd_gateway::CallContext;
use qd_prompt::example::MAX_POOL;
use qd_prompt::{Example, Prompt, Reference, Slot, Strategy, VariableKind};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::state::Surface;

/// The model of embeddings when the version names none: the embedded default.
const USUAL_MODEL: &str = "all-minilm-l6-v2";
/// Texts of one call for embeddings.
const BATCH: usize = 256;
/// Vectors that are kept; when there are more, all are made anew.
const MAX_KEPT: usize = 20_000;

/// Rows of a dataset that are compared with the values: the first ones.
const MAX_COMPARED: usize = 1000;
/// Versions of datasets whose rows are kept in memory as examples, and how large such a pool may be.
const MAX_POOLS: usize = 8;
const MAX_POOL_BYTES: usize = 16 << 20;
/// Rows that are read at once until a pool is full.
const PAGE: usize = 100;

/// What was fetched and made for examples before.
#[derive(Default)]
pub(crate) struct Kept {
    /// Vectors of texts, by project, model and the text's digest.
    vectors: Mutex<HashMap<Key, Arc<[f32]>>>,
    /// The rows of versions of datasets; those never change.
    pools: Mutex<HashMap<VersionId, Arc<[Example]>>>,
}

type Key = (ProjectId, String, Sha256Hex);

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
        Strategy::Similar => similar(surface, context, slot, &pool[..pool.len().min(MAX_COMPARED)], &values).await,
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
        return Ok(pool.clone());
    }
    let Some(answer) = dataset.column(Role::Reference).or(dataset.column(Role::Label)).map(|column| &column.name)
    else {
        let message = format!(
            "The dataset {reference} has no column that is a reference or a label: an example needs an answer."
        );
        return Err(Error::parameter("content.examples.dataset", "invalid_value", message));
    };
    let identifier = dataset.column(Role::Id).map(|column| &column.name);
    let mut size_bytes = 0;
    let mut pool = Vec::new();
    'pages: for first in (0..MAX_POOL as u64).step_by(PAGE) {
        let page = dataset.rows(first..(first + PAGE as u64).min(MAX_POOL as u64)).await?;
        let full = page.len() == PAGE;
        for mut row in page {
            size_bytes += row.values.iter().map(|(name, value)| name.len() + size(value)).sum::<usize>();
            if size_bytes > MAX_POOL_BYTES {
                break 'pages;
            }
            let output = row.values.remove(answer).unwrap_or_default();
            row.values.retain(|name, value| Some(name) != identifier && !value.is_null());
            pool.push(Example { variables: row.values, output });
        }
        if !full {
            break;
        }
    }
    let pool: Arc<[Example]> = pool.into();
    let mut pools = surface.examples.pools.lock();
    if pools.len() >= MAX_POOLS {
        pools.clear();
    }
    pools.insert(version, pool.clone());
    Ok(pool)
}

/// About how many bytes a value takes.
fn size(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => size_of::<Value>(),
    }
}

/// The examples of `pool` that are most like the values.
async fn similar(
    surface: &Surface,
    context: &CallContext,
    slot: &Slot,
    pool: &[Example],
    values: &Map<String, Value>,
) -> Result<Vec<Example>> {
    let model = slot.embedding_model.as_deref().unwrap_or(USUAL_MODEL);
    let mut texts: Vec<String> = pool.iter().map(|example| slot.compared(&example.variables)).collect();
    texts.push(slot.compared(values));
    let mut vectors = embed(surface, context, model, &texts).await?;
    let asked = vectors.pop().unwrap_or_default();
    Ok(slot.pick_similar(pool, &vectors, &asked))
}

/// The vector of each text, by calls through the gateway for those that are not known: routed, priced and traced as a caller of
/// ours would make them, in the caller's trace if it sent one.
async fn embed(surface: &Surface, context: &CallContext, model: &str, texts: &[String]) -> Result<Vec<Vec<f32>>> {
    let keys: Vec<Key> =
        texts.iter().map(|text| (context.project, model.to_owned(), Sha256Hex::of(text.as_bytes()))).collect();
    let mut known: HashMap<&Key, Arc<[f32]>> = {
        let kept = surface.examples.vectors.lock();
        keys.iter().filter_map(|key| Some((key, kept.get(key)?.clone()))).collect()
    };
    let mut missing: Vec<(&Key, &str)> = Vec::new();
    for (key, text) in keys.iter().zip(texts) {
        if !known.contains_key(key) && missing.iter().all(|(other, _)| *other != key) {
            missing.push((key, text));
        }
    }
    for batch in missing.chunks(BATCH) {
        let asked: Vec<&str> = batch.iter().map(|(_, text)| *text).collect();
        // It says no words of the prompt, so its row names none.
        let context = CallContext { prompt: None, ..context.clone() };
        let made = surface.app.gateway.embed(context, model, &asked).await?.vectors;
        let mut kept = surface.examples.vectors.lock();
        if kept.len() + batch.len() > MAX_KEPT {
            kept.clear();
        }
        for ((key, _), vector) in batch.iter().zip(made) {
            let vector: Arc<[f32]> = vector.into();
            kept.insert((*key).clone(), vector.clone());
            known.insert(key, vector);
        }
    }
    Ok(keys.iter().map(|key| known.get(key).map(|vector| vector.to_vec()).unwrap_or_default()).collect())
}
