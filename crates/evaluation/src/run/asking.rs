//! Getting answers: those of the dataset, and those of models.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use qd_base::{Sha256Hex, Timestamp};
use qd_experiment::call::{self, Outcome, Request};
use qd_experiment::plan::{Candidate, Item};
use qd_experiment::shown::Shown;
use qd_gateway::batch::{self, Spent};
use qd_gateway::{Pinned, PromptVersion};

use super::{Session, Stop};
use crate::plan::{From, Planned};
use crate::table::{self, ItemRow};
use crate::{Error, Result, answer};

/// Answers of the dataset that are looked at and kept at once.
const COLUMN_ITEMS_TOGETHER: usize = 512;
/// Texts of one call for embeddings of examples.
const TEXTS_TOGETHER: usize = 256;

/// A call for an answer.
struct Call {
    target: String,
    item: Arc<Item>,
    candidate: Arc<Candidate>,
    request: std::result::Result<Request, Outcome>,
    key: Sha256Hex,
}

impl Session {
    /// Looks at the answers that are in the dataset: nobody is asked.
    pub(super) async fn take_columns(&self) -> Result<()> {
        for items in self.plan.items.chunks(COLUMN_ITEMS_TOGETHER) {
            let mut missing = Vec::new();
            for Planned { name, from } in &self.plan.targets {
                let From::Column(column) = from else { continue };
                let rows = self.rows.lock();
                let missed = items.iter().filter(|item| !rows.contains_key(&(name.clone(), item.row.index, None)));
                missing.extend(missed.map(|item| (name.clone(), column.clone(), Arc::clone(item))));
            }
            if self.context.cancelled() {
                return Err(Error::Cancelled);
            }
            let mut rows = Vec::with_capacity(missing.len());
            for (target, column, item) in missing {
                let output = item.row.values.get(&column).filter(|value| !value.is_null()).map(qd_data::text_of);
                let outcome = Outcome { output, ..Outcome::default() };
                let key = Sha256Hex::of(outcome.output.as_deref().unwrap_or_default().as_bytes());
                rows.push(self.looked(target, item, (key, None, None), outcome).await?);
            }
            self.keep(rows).await?;
        }
        Ok(())
    }

    /// The row of an answer, with what scorers say of it that ask nobody.
    async fn looked(
        &self,
        target: String,
        item: Arc<Item>,
        (key, model, asked): (Sha256Hex, Option<String>, Option<String>),
        outcome: Outcome,
    ) -> Result<ItemRow> {
        let (readers, judges, about) = (self.plan.readers.clone(), self.plan.judges.clone(), Arc::clone(&item));
        // Metrics of long texts take a while.
        let work = move || {
            let looked = answer::look(&readers, &judges, (&target, &about), &outcome);
            (looked, target, outcome)
        };
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { doing: "scoring an answer" })?;
        let ((scores, details), target, outcome) = done;
        Ok(ItemRow { key, model, asked, scores, details, outcome, ..self.row(target, &item) })
    }

    pub(super) fn row(&self, target: String, item: &Item) -> ItemRow {
        ItemRow {
            project: self.project_name.clone(),
            time: Timestamp::now(),
            evaluation: self.info.id,
            target,
            item: item.row.index,
            row_id: item.row.id.clone(),
            scorer: None,
            key: Sha256Hex::of(b""),
            model: None,
            asked: None,
            scores: BTreeMap::new(),
            details: BTreeMap::new(),
            judgement: None,
            outcome: Outcome::default(),
        }
    }

    /// Finds the examples that are most like each item, where prompts show such.
    pub(super) async fn find_similar(&self) -> Result<Option<Stop>> {
        for target in &self.plan.targets {
            let From::Model(candidate) = &target.from else { continue };
            let Shown::Similar(neighbours) = &candidate.examples else { continue };
            let all_there = {
                let rows = self.rows.lock();
                let there = |item: &Arc<Item>| rows.contains_key(&(target.name.clone(), item.row.index, None));
                self.plan.items.iter().all(there)
            };
            if all_there {
                continue;
            }
            let texts = neighbours.texts(&candidate.prompt, &candidate.mapping, &self.plan.items);
            let mut vectors = Vec::with_capacity(texts.len());
            for batch in texts.chunks(TEXTS_TOGETHER) {
                match self.embed(neighbours.model(), batch).await? {
                    Ok(made) => vectors.extend(made),
                    Err(stop) => return Ok(Some(stop)),
                }
            }
            let (neighbours, items) = (Arc::clone(neighbours), self.plan.items.clone());
            let found = tokio::task::spawn_blocking(move || neighbours.find(&items, &vectors));
            found.await.map_err(|_| Error::Broken { doing: "comparing examples" })??;
        }
        Ok(None)
    }

    async fn embed(&self, model: &str, texts: &[String]) -> Result<std::result::Result<Vec<Vec<f32>>, Stop>> {
        if self.context.cancelled() {
            return Err(Error::Cancelled);
        }
        if let Err(why) = self.ledger.begin() {
            return Ok(Err(Stop::Budget(why)));
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let made = self.gateway.embed(self.calls(), model, &texts).await;
        let usage = made.as_ref().ok().and_then(|made| made.embeddings.usage);
        let cost = made.as_ref().ok().and_then(|made| self.gateway.price(&made.served, usage?));
        let spent = Spent::together(u64::from(made.is_ok() && cost.is_none()), cost, usage);
        self.ledger.end_together(spent);
        // The vectors are in no row, so a job that is begun again makes them again.
        self.set_aside(spent).await?;
        let failed =
            |error| Stop::Failed(format!("examples could not be compared by {model}: {}", batch::told(&error)));
        Ok(made.map(|made| made.embeddings.vectors).map_err(failed))
    }

    /// Gets the answers of models to some items.
    pub(super) async fn ask(&self, items: &[Arc<Item>]) -> Result<()> {
        let mut calls = Vec::new();
        for Planned { name, from } in &self.plan.targets {
            let From::Model(candidate) = from else { continue };
            let target = self.stands_for(&candidate.cell.model).await;
            calls.extend(
                items.iter().map(|item| (name.clone(), Arc::clone(item), Arc::clone(candidate), target.clone())),
            );
        }
        if calls.is_empty() {
            return Ok(());
        }
        let prepare = move || calls.into_iter().map(prepared).collect::<Vec<Call>>();
        let calls = tokio::task::spawn_blocking(prepare).await;
        let mut calls = calls.map_err(|_| Error::Broken { doing: "rendering prompts" })?;
        {
            let rows = self.rows.lock();
            // An answer to other words does not count, as after a draw that came out another way.
            let is_there = |call: &Call| {
                rows.get(&(call.target.clone(), call.item.row.index, None)).is_some_and(|row| row.key == call.key)
            };
            calls.retain(|call| !is_there(call));
        }
        // Of calls that are the same one is made, and the others take its answer.
        let mut seen = HashSet::new();
        let (first, again): (Vec<_>, Vec<_>) = calls
            .into_iter()
            .partition(|call| !self.plan.definition.cache || call.request.is_err() || seen.insert(call.key));
        self.ask_some(first).await?;
        self.ask_some(again).await
    }

    async fn ask_some(&self, calls: Vec<Call>) -> Result<()> {
        if calls.is_empty() {
            return Ok(());
        }
        let keys: Vec<Sha256Hex> = calls.iter().filter(|call| call.request.is_ok()).map(|call| call.key).collect();
        let mut known = HashMap::new();
        if self.plan.definition.cache {
            known.extend(qd_experiment::table::known(&self.lake, &self.project_name, &keys).await?);
            let ours = table::known(&self.lake, &self.project_name, &keys, false).await?;
            known.extend(ours.into_iter().map(|(key, known)| (key, known.outcome)));
        }
        let known = &known;
        let is_free = |call: &Call| call.request.is_err() || known.contains_key(&call.key);
        let (free, paid) = calls.into_iter().partition(is_free);
        self.wave(free, paid, move |call| async move { self.one(call, known).await }).await
    }

    /// One answer, from the cache or the model. What was begun is waited for and kept.
    async fn one(&self, call: Call, known: &HashMap<Sha256Hex, Outcome>) -> Result<()> {
        let Call { target, item, candidate, request, key } = call;
        let model = candidate.cell.model.clone();
        if self.is_over(&target, &model) {
            return Ok(());
        }
        let mut spent = Spent::default();
        let outcome = match (known.get(&key), &request) {
            (Some(outcome), Ok(_)) => outcome.clone(),
            (_, Err(outcome)) => outcome.clone(),
            (None, Ok(request)) => {
                if let Err(why) = self.ledger.begin() {
                    self.stopped.lock().get_or_insert(why);
                    return Ok(());
                }
                let mut context = self.calls();
                let name = candidate.prompt.info.name.clone();
                context.prompt = Some(PromptVersion { name, number: candidate.cell.version });
                let outcome = call::ask(&self.gateway, &context, request, self.context.token()).await;
                let unpriced = u64::from(outcome.output.is_some() && outcome.cost.is_none());
                spent = Spent::together(unpriced, outcome.cost, outcome.usage);
                self.ledger.end_together(spent);
                outcome
            }
        };
        let asked = request.ok().and_then(|request| request.target).map(|target| target.to_string());
        let place = (target.clone(), item.row.index, None);
        if !self.counts(&place, &model, &outcome) {
            return self.set_aside(spent).await;
        }
        let row = self.looked(target, item, (key, Some(model), asked), outcome).await?;
        self.judge_health(row).await
    }
}

/// A call as it is made. What cannot be rendered is refused before anybody is asked.
fn prepared(
    (target, item, candidate, stands_for): (String, Arc<Item>, Arc<Candidate>, std::result::Result<Pinned, String>),
) -> Call {
    let request = match stands_for {
        Ok(pinned) => candidate
            .request(&item, 0, &pinned)
            .map_err(|error| Outcome::refused("the prompt cannot be rendered", error)),
        Err(why) => Err(Outcome::unreached(why)),
    };
    let why = |outcome: &Outcome| Sha256Hex::of(outcome.error.as_deref().unwrap_or_default().as_bytes());
    let key = request.as_ref().map_or_else(why, |request| request.key);
    Call { target, item, candidate, request, key }
}
