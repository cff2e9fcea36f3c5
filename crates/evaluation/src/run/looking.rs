//! Asking models about answers: judges, and embeddings.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use qd_base::Sha256Hex;
use qd_experiment::plan::Item;

use super::Session;
use crate::Result;
use crate::bertscore::{TokenSimilarity, Weights};
use crate::paid::{PaidAsk, Question, Told, embedder};
use crate::scorer::{Look, Reader};
use crate::table::{self, Detail, ItemRow, Known, Place, Scored};

impl Session {
    /// Asks judges, and for embeddings, about the answers to some items.
    pub(super) async fn look(&self, items: &[Arc<Item>]) -> Result<()> {
        let paid: Vec<&Reader> = self.plan.readers.iter().filter(|reader| reader.is_paid()).collect();
        if paid.is_empty() || self.stopped.lock().is_some() {
            return Ok(());
        }
        let places: Vec<u64> = items.iter().map(|item| item.row.index).collect();
        let has_text = |target: &str, item: u64| {
            self.rows.lock().get(&(target.to_owned(), item, None)).is_some_and(|row| row.has_text)
        };
        let answers = table::answers(&self.lake, self.info.id, &places).await?;
        let answers: HashMap<(String, u64), String> = answers
            .into_iter()
            .filter(|row| row.scorer.is_none())
            .filter_map(|row| Some(((row.target, row.item), row.outcome.output?)))
            .filter(|((target, item), _)| has_text(target, *item))
            .collect();
        let (mut asks, mut kept) = (Vec::new(), Vec::new());
        for item in items {
            for target in &self.plan.targets {
                let Some(said) = answers.get(&(target.name.clone(), item.row.index)) else { continue };
                for reader in &paid {
                    if is_compared_with_nothing(reader, item) {
                        kept.push(self.compared_with_nothing(&target.name, item, reader, said));
                    } else {
                        asks.extend(self.question(&target.name, item, (reader.name(), &reader.look), said).await);
                    }
                }
            }
        }
        {
            let rows = self.rows.lock();
            // What was said of other words does not count, as when the answer was asked for anew.
            let is_there = |place: &Place, key| rows.get(place).is_some_and(|row| row.key == key);
            asks.retain(|ask| !is_there(&ask.place(), ask.key));
            kept.retain(|row| !is_there(&Scored::from(row).place(), row.key));
        }
        self.keep(kept).await?;
        self.look_at(asks).await
    }

    /// The row of an answer to an item that has no reference: there is nothing to ask.
    fn compared_with_nothing(&self, target: &str, item: &Item, reader: &Reader, said: &str) -> ItemRow {
        let scorer = reader.name().to_owned();
        ItemRow {
            key: Sha256Hex::of(said.as_bytes()),
            scores: BTreeMap::from([(scorer.clone(), None)]),
            details: BTreeMap::from([(scorer.clone(), Detail::none("no_reference"))]),
            scorer: Some(scorer),
            ..self.row(target.to_owned(), item)
        }
    }

    /// What is asked about an answer; nothing where nobody can be asked.
    async fn question(
        &self,
        target: &str,
        item: &Arc<Item>,
        (scorer, look): (&str, &Look),
        said: &str,
    ) -> Option<PaidAsk> {
        let question = match look {
            Look::Judge(_) => Ok(Question::judge(self.plan.judges.get(scorer)?, item, said)),
            Look::Embeddings(similarity) => {
                let pinned = self.stands_for(embedder(&similarity.model)).await;
                pinned.map(|pinned| Question::embeddings(similarity, pinned, item, said))
            }
            Look::Tokens(similarity) => self.tokens(scorer, similarity, item, said).await,
            Look::Plain(_) | Look::Classes(..) => return None,
        };
        let question = question
            .map_err(|why| {
                let place = (target.to_owned(), item.row.index, Some(scorer.to_owned()));
                self.unreached.lock().insert(place, why);
            })
            .ok()?;
        let key = question.key();
        Some(PaidAsk { target: target.to_owned(), scorer: scorer.to_owned(), item: Arc::clone(item), key, question })
    }

    /// The tokens that are compared, and how much each counts: with idf that follows from the references of all items.
    async fn tokens(
        &self,
        scorer: &str,
        similarity: &TokenSimilarity,
        item: &Item,
        said: &str,
    ) -> std::result::Result<Question, String> {
        let pinned = self.stands_for(embedder(&similarity.model)).await?;
        let known = self.weights.lock().get(scorer).cloned();
        let weights = match known {
            Some(known) => known,
            None => {
                let items = self.plan.items.iter();
                let references: Vec<String> = items.flat_map(|item| item.references.iter().cloned()).collect();
                let made = Arc::new(Weights::new(&self.gateway, &pinned, similarity, &references).await?);
                self.weights.lock().insert(scorer.to_owned(), Arc::clone(&made));
                made
            }
        };
        Ok(Question::tokens(similarity, pinned, weights, item, said))
    }

    async fn look_at(&self, asks: Vec<PaidAsk>) -> Result<()> {
        let mut seen = HashSet::new();
        let cache = self.plan.definition.cache;
        let (first, again): (Vec<_>, Vec<_>) = asks.into_iter().partition(|ask| !cache || seen.insert(ask.key));
        for asks in [first, again].into_iter().filter(|asks| !asks.is_empty()) {
            let keys: Vec<Sha256Hex> = asks.iter().map(|ask| ask.key).collect();
            let known = match cache {
                true => table::known(&self.lake, &self.project_name, &keys, true).await?,
                false => HashMap::new(),
            };
            let known = &known;
            let (free, paid) = asks.into_iter().partition(|ask| known.contains_key(&ask.key));
            self.wave(free, paid, move |ask| async move { self.tell_of(ask, known).await }).await?;
        }
        Ok(())
    }

    /// What is said of one answer, from before or by asking.
    async fn tell_of(&self, ask: PaidAsk, known: &HashMap<Sha256Hex, Known>) -> Result<()> {
        let PaidAsk { target, scorer, item, key, question } = ask;
        let model = question.model();
        if self.is_over(&scorer, &model) {
            return Ok(());
        }
        let told = match known.get(&key) {
            Some(known) => Told::known(known.clone()),
            None => {
                if let Err(why) = self.ledger.begin() {
                    self.stopped.lock().get_or_insert(why);
                    return Ok(());
                }
                let told = question.ask(&self.gateway, self.calls(), self.context.token()).await;
                self.ledger.end_together(told.spent);
                told
            }
        };
        let place = (target.clone(), item.row.index, Some(scorer.clone()));
        if !self.counts(&place, &model, &told.outcome) {
            return self.set_aside(told.spent).await;
        }
        let details = (told.detail != Detail::default()).then(|| (scorer.clone(), told.detail));
        let row = ItemRow {
            key,
            model: Some(model),
            asked: (!told.unasked).then(|| question.asked()),
            scores: BTreeMap::from([(scorer.clone(), told.score)]),
            details: details.into_iter().collect(),
            judgement: told.judgement,
            outcome: told.outcome,
            scorer: Some(scorer),
            ..self.row(target, &item)
        };
        if told.unasked { self.keep(vec![row]).await } else { self.judge_health(row).await }
    }
}

/// Whether embeddings of references are wanted and there is none.
fn is_compared_with_nothing(reader: &Reader, item: &Item) -> bool {
    matches!(reader.look, Look::Embeddings(_) | Look::Tokens(_)) && item.references.is_empty()
}
