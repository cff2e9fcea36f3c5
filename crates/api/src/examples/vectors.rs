//! Vectors of texts: made by calls through the gateway, kept in memory by who made them.
//!
//! A name of a model says little about who answers: a route falls back, a label moves. Only vectors of one [`Maker`]
//! compare, so they are kept by it, and the text that is asked about tells with each call who that is now.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use qd_base::ProviderName;
use qd_base::hash::Sha256Hex;
use qd_base::id::ProjectId;
use qd_gateway::{CallContext, Embedded, Gateway};

use crate::error::{Error, Result};
use crate::examples::lru::Lru;

/// Vectors that are kept, in bytes: those of some ten thousand texts.
const MAX_KEPT_BYTES: usize = 64 << 20;
/// Who was last seen behind a name of a model: some thousands of names.
const MAX_SEEN_BYTES: usize = 2 << 20;
/// Texts of one call, and about how many bytes of them.
const BATCH: usize = 256;
const BATCH_BYTES: usize = 1 << 20;
/// How often another maker may answer before the vectors of one are complete.
const MAX_CHANGES: usize = 4;

/// Who made a vector.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Maker {
    provider: ProviderName,
    /// The model that was asked there.
    model: Arc<str>,
    /// The one that says that it answered.
    answered: Option<String>,
    /// The version of a local one.
    version: Option<u32>,
    /// Numbers in a vector.
    length: usize,
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, model, answered, version, length } = self;
        write!(f, "{provider}/{}", answered.as_deref().unwrap_or(model))?;
        version.map_or(Ok(()), |version| write!(f, "@{version}"))?;
        write!(f, " with {length} numbers")
    }
}

type Vector = Arc<[f32]>;
type Key = (ProjectId, Arc<Maker>, Sha256Hex);

/// Texts that are compared with one.
pub(crate) struct Texts {
    asked: (Sha256Hex, String),
    pool: Vec<(Sha256Hex, String)>,
    /// Of all texts of the pool.
    digest: Sha256Hex,
}

impl Texts {
    /// The texts of a pool and the one that is asked about.
    pub fn new(pool: impl Iterator<Item = String>, asked: String) -> Self {
        let digested = |text: String| (Sha256Hex::of(text.as_bytes()), text);
        let pool: Vec<_> = pool.map(digested).collect();
        let all: Vec<u8> = pool.iter().flat_map(|(digest, _)| *digest.as_bytes()).collect();
        Self { asked: digested(asked), digest: Sha256Hex::of(&all), pool }
    }
}

/// The vectors of a pool's texts, in their order, and that of the text that was asked about: all of one length.
pub(crate) struct Compared {
    pub pool: Vec<Vector>,
    pub asked: Vector,
}

/// What was made before.
pub(crate) struct Vectors {
    kept: Mutex<Lru<Key, Vector>>,
    seen: Mutex<Lru<(ProjectId, String), Arc<Maker>>>,
    /// Pools whose vectors are being made.
    fills: Mutex<HashMap<(ProjectId, String, Sha256Hex), Weak<Fill>>>,
}

/// The vectors of one pool are made by one caller; the others wait for it.
#[derive(Default)]
struct Fill {
    turn: Arc<tokio::sync::Mutex<()>>,
    /// How often that went wrong. Who has waited for one that failed does not wait for the next.
    failures: AtomicU64,
}

impl Default for Vectors {
    fn default() -> Self {
        Self {
            kept: Mutex::new(Lru::new(MAX_KEPT_BYTES)),
            seen: Mutex::new(Lru::new(MAX_SEEN_BYTES)),
            fills: Mutex::default(),
        }
    }
}

impl Vectors {
    /// The vectors of these texts by the model that is called so, all by one maker. What is not known is asked for.
    pub async fn of(&self, gateway: &Gateway, context: &CallContext, model: &str, texts: &Texts) -> Result<Compared> {
        let mut making =
            Making { vectors: self, gateway, context, model, texts, maker: None, asked: None, before: None };
        if let Some(found) = making.go_on(false).await? {
            return Ok(found);
        }
        let fill = self.fill(context.project, model, texts.digest);
        let failures = fill.failures.load(Ordering::Acquire);
        let turn = fill.turn.clone().lock_owned().await;
        making.maker = self.seen(context.project, model);
        // What another has made meanwhile needs no turn, and so does who would wait for one failure after the other.
        let alone = making.is_complete() || fill.failures.load(Ordering::Acquire) != failures;
        let _turn = (!alone).then_some(turn);
        let found = making.go_on(true).await;
        if found.is_err() {
            fill.failures.fetch_add(1, Ordering::Release);
        }
        found?.ok_or_else(|| unusable("there is none"))
    }

    fn fill(&self, project: ProjectId, model: &str, digest: Sha256Hex) -> Arc<Fill> {
        let mut fills = self.fills.lock();
        let key = (project, model.to_owned(), digest);
        if let Some(fill) = fills.get(&key).and_then(Weak::upgrade) {
            return fill;
        }
        fills.retain(|_, fill| fill.strong_count() > 0);
        let fill = Arc::default();
        fills.insert(key, Arc::downgrade(&fill));
        fill
    }

    fn seen(&self, project: ProjectId, model: &str) -> Option<Arc<Maker>> {
        self.seen.lock().get(&(project, model.to_owned()))
    }

    /// Notes who answers to a name; one and the same while it is the same.
    fn see(&self, project: ProjectId, model: &str, maker: Maker) -> Arc<Maker> {
        let mut seen = self.seen.lock();
        let key = (project, model.to_owned());
        if let Some(known) = seen.get(&key).filter(|known| **known == maker) {
            return known;
        }
        let size_bytes = model.len() + maker.model.len() + maker.answered.as_ref().map_or(0, String::len);
        let maker = Arc::new(maker);
        seen.put(key, maker.clone(), size_bytes);
        maker
    }
}

/// The vectors of some texts, being made.
struct Making<'a> {
    vectors: &'a Vectors,
    gateway: &'a Gateway,
    context: &'a CallContext,
    model: &'a str,
    texts: &'a Texts,
    /// Who answers, as far as is known.
    maker: Option<Arc<Maker>>,
    /// The vector of the text that was asked about, and who made it.
    asked: Option<(Arc<Maker>, Vector)>,
    /// Who answered before somebody else did.
    before: Option<Arc<Maker>>,
}

impl<'a> Making<'a> {
    /// Asks for what is not known until all vectors are of one maker. Without leave to make those of the pool it gives up
    /// when one of them is missing.
    async fn go_on(&mut self, may_fill: bool) -> Result<Option<Compared>> {
        for _ in 0..=MAX_CHANGES {
            if self.maker.is_none() {
                self.maker = self.vectors.seen(self.context.project, self.model);
            }
            let known = self.known();
            let missing = self.missing(&known);
            if !missing.is_empty() && !may_fill {
                return Ok(None);
            }
            if let (Some(pool), Some((_, asked))) = (self.make(missing, known).await?, &self.asked) {
                return Ok(Some(Compared { pool, asked: asked.clone() }));
            }
        }
        let told = |maker: &Option<Arc<Maker>>| maker.as_ref().map_or_else(String::new, |maker| maker.to_string());
        Err(unusable(&format!(
            "'{}' is answered by one model and then by another ({}, {}), whose vectors do not compare; name a model of \
             embeddings that has one provider",
            self.model,
            told(&self.before),
            told(&self.maker)
        )))
    }

    /// The vectors of the pool that are known of who answers.
    fn known(&self) -> HashMap<Sha256Hex, Vector> {
        let Some(maker) = &self.maker else { return HashMap::new() };
        let mut kept = self.vectors.kept.lock();
        let of = |digest: Sha256Hex| Some((digest, kept.get(&(self.context.project, maker.clone(), digest))?));
        self.texts.pool.iter().map(|(digest, _)| *digest).filter_map(of).collect()
    }

    fn is_complete(&self) -> bool {
        self.missing(&self.known()).is_empty()
    }

    /// The texts of the pool whose vectors are not known, each once.
    fn missing(&self, known: &HashMap<Sha256Hex, Vector>) -> Vec<&'a (Sha256Hex, String)> {
        let mut listed = HashSet::new();
        let is_missing = |digest: &Sha256Hex| !known.contains_key(digest);
        self.texts.pool.iter().filter(|(digest, _)| is_missing(digest) && listed.insert(*digest)).collect()
    }

    /// Asks for the vectors that are missing and that of the text asked about. None when somebody else answers than those
    /// that are known are of.
    async fn make(
        &mut self,
        missing: Vec<&'a (Sha256Hex, String)>,
        mut known: HashMap<Sha256Hex, Vector>,
    ) -> Result<Option<Vec<Vector>>> {
        let is_asked = self.asked.as_ref().is_some_and(|(maker, _)| Some(maker) == self.maker.as_ref());
        let texts = self.texts;
        let wanted: Vec<_> = (!is_asked).then_some(&texts.asked).into_iter().chain(missing).collect();
        let mut rest = wanted.as_slice();
        let mut is_first = !is_asked;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(batch(rest));
            let (maker, made) = call(self.gateway, self.context, self.model, batch).await?;
            let maker = self.vectors.see(self.context.project, self.model, maker);
            self.keep(&maker, batch, &made, is_first);
            let before = self.maker.replace(maker.clone());
            if before.as_ref().is_some_and(|before| *before != maker) {
                self.before = before;
                return Ok(None);
            }
            known.extend(batch.iter().map(|(digest, _)| *digest).zip(made));
            (rest, is_first) = (later, false);
        }
        Ok(Some(texts.pool.iter().filter_map(|(digest, _)| known.get(digest).cloned()).collect()))
    }

    /// Keeps what was made, also when it is of no use now. The text asked about comes first, and seldom again.
    fn keep(&mut self, maker: &Arc<Maker>, batch: &[&(Sha256Hex, String)], made: &[Vector], has_asked: bool) {
        let mut kept = self.vectors.kept.lock();
        for ((digest, _), vector) in batch.iter().zip(made).skip(usize::from(has_asked)) {
            kept.put((self.context.project, maker.clone(), *digest), vector.clone(), size_of_val(&**vector));
        }
        if let Some(asked) = made.first().filter(|_| has_asked) {
            self.asked = Some((maker.clone(), asked.clone()));
        }
    }
}

/// How many of the first texts go into one call.
fn batch(texts: &[&(Sha256Hex, String)]) -> usize {
    let mut size_bytes = 0;
    let fits = |(_, text): &&&(Sha256Hex, String)| {
        size_bytes += text.len();
        size_bytes <= BATCH_BYTES
    };
    texts.iter().take(BATCH).take_while(fits).count().max(1)
}

/// One call for embeddings, as a caller of ours would make it: routed, priced and traced.
async fn call(
    gateway: &Gateway,
    context: &CallContext,
    model: &str,
    texts: &[&(Sha256Hex, String)],
) -> Result<(Maker, Vec<Vector>)> {
    let texts: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
    let made = gateway.embed(context.clone(), model, &texts).await.map_err(|error| match error {
        qd_gateway::Error::Protocol { message, .. } => unusable(&message),
        error => error.into(),
    })?;
    let Embedded { embeddings, served } = made;
    let length = embeddings.vectors.first().map_or(0, Vec::len);
    let (provider, answered) = (served.provider, embeddings.model);
    let maker = Maker { provider, model: served.model, answered, version: served.version, length };
    Ok((maker, embeddings.vectors.into_iter().map(Vector::from).collect()))
}

fn unusable(why: &str) -> Error {
    let message =
        format!("the examples cannot be compared: the answer of the model of embeddings is not usable: {why}");
    Error::Conflict { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_so_many_texts_and_so_many_bytes() {
        let text = |length: usize| (Sha256Hex::of(b""), "x".repeat(length));
        let of = |texts: &[(Sha256Hex, String)]| batch(&texts.iter().collect::<Vec<_>>());
        assert_eq!(of(&vec![text(1); BATCH + 1]), BATCH);
        assert_eq!(of(&[text(BATCH_BYTES - 1), text(1), text(1)]), 2);
        assert_eq!(of(&[text(2 * BATCH_BYTES), text(1)]), 1, "a long one goes alone");
    }
}
