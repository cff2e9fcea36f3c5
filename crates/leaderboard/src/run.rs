//! Running a leaderboard as a job: what is there is read, what is missing is asked, and every answer is kept before it counts.

mod job;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use parking_lot::Mutex;
use qd_base::{Picodollars, ProjectName, Sha256Hex, Timestamp, Usage, VersionId};
use qd_catalog::{JobContext, VersionInfo};
use qd_gateway::batch::{Failure, Ledger};
use qd_gateway::{CallContext, Pinned};
use qd_trace::LEADERBOARD_TAG;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::asking::{Answered, Asking, MOST_PROMPTS, Missing, PROMPTS_TOGETHER, prompts};
use crate::definition::{Budget, Definition};
use crate::health::Health;
use crate::leaderboards::Leaderboards;
use crate::plan::{Asked, LOCAL, Part};
use crate::table::{self, AnswerRow, Outcome, Place};
use crate::{Error, Result};

pub use self::job::RunHandler;

/// The kind of these jobs.
pub const KIND: &str = "leaderboard.run";
/// The part under which is kept how fast a model is.
pub const SPEED: &str = ":speed";
/// The part under which is kept what was paid for no answer.
pub const PAID: &str = ":paid";
/// Prompts that the engine here has of a job at once: what others ask it waits behind no more.
const ENGINE_PROMPTS: usize = MOST_PROMPTS;
/// Tokens of the answer that tells how fast a model is.
const SPEED_TOKENS: u64 = 64;
/// How often documents whose model was not reached are asked about again before the job ends without them.
const ROUNDS: usize = 3;
/// Keys that are looked for at once in what earlier leaderboards were answered.
const KEYS_TOGETHER: usize = 1_000;
/// How much of its time budget a job may forget in a crash.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// What a job is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The version of the leaderboard.
    pub leaderboard: VersionId,
    /// Whether documents that failed before are asked about again.
    #[serde(default)]
    pub retry_failed: bool,
    /// Another budget than the definition's.
    #[serde(default)]
    pub budget: Option<Budget>,
}

/// Where a job would go on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    worked_ms: u64,
}

/// A job's work: asks, keeps, counts.
struct Session<'l> {
    boards: &'l Leaderboards,
    context: JobContext,
    info: VersionInfo,
    project: ProjectName,
    definition: Definition,
    ledger: Ledger,
    rows: Mutex<HashMap<Place, AnswerRow>>,
    health: Mutex<Health>,
    /// Why no further calls are begun.
    stopped: Mutex<Option<String>>,
    saved: Mutex<std::time::Instant>,
    /// Places for prompts to the engine here.
    engine: Semaphore,
    /// The next row of what was paid for no answer.
    paid: AtomicUsize,
    /// Tokens that the engine reads, where that was set.
    engine_context: Option<u32>,
    total: usize,
}

/// A model that is asked about a part.
#[derive(Clone, Copy)]
struct Way<'a> {
    model: &'a str,
    target: &'a Pinned,
    part: &'a Part,
}

impl Session<'_> {
    /// Asks a model about everything that is missing.
    async fn model(&self, model: &str, target: &Pinned, parts: &[Arc<Part>]) -> Result<()> {
        if self.definition.measure_speed {
            self.speed(model, target).await?;
        }
        for part in parts {
            self.part(Way { model, target, part }).await?;
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    async fn part(&self, way: Way<'_>) -> Result<()> {
        let mut missing: Vec<Arc<Asked>> = way.part.documents.clone();
        for _ in 0..ROUNDS {
            missing.retain(|asked| !self.is_answered(way, asked));
            if missing.is_empty() || self.is_over() || self.health.lock().has_lost(way.model, &way.part.id) {
                break;
            }
            for asked in missing.chunks(KEYS_TOGETHER) {
                let rest = if self.definition.cache { self.take_known(way, asked).await? } else { asked.to_vec() };
                self.wave(way, packed(&rest)).await?;
            }
        }
        if way.part.documents.iter().all(|asked| self.is_answered(way, asked)) {
            self.health.lock().is_whole(way.model, &way.part.id);
        }
        Ok(())
    }

    /// Whether there is an answer to the very same requests.
    fn is_answered(&self, way: Way<'_>, asked: &Asked) -> bool {
        let place = (way.model.to_owned(), way.part.id.clone(), asked.document);
        self.rows.lock().get(&place).is_some_and(|row| row.key == self.key(way, asked))
    }

    fn key(&self, way: Way<'_>, asked: &Asked) -> Sha256Hex {
        asked.key(way.target, self.engine_context)
    }

    /// Keeps what earlier leaderboards were answered, and gives the rest.
    async fn take_known(&self, way: Way<'_>, asked: &[Arc<Asked>]) -> Result<Vec<Arc<Asked>>> {
        let keys: Vec<Sha256Hex> = asked.iter().map(|asked| self.key(way, asked)).collect();
        let known = table::known(&self.boards.lake, &self.project, &keys).await?;
        let (mut rows, mut rest) = (Vec::new(), Vec::new());
        for (asked, key) in asked.iter().zip(keys) {
            match known.get(&key) {
                Some(outcome) => rows.push(self.row(way, asked, outcome.clone())),
                None => rest.push(asked.clone()),
            }
        }
        if !rows.is_empty() {
            self.health.lock().answered(way.model, &way.part.id);
        }
        self.keep(rows).await?;
        Ok(rest)
    }

    /// Makes calls, several at once. After an error none is begun, and those under way are waited for: they are paid.
    async fn wave(&self, way: Way<'_>, calls: Vec<Vec<Arc<Asked>>>) -> Result<()> {
        let mut calls = calls.into_iter();
        // Of a model that is loaded only now, and with a budget that knows no costs yet, the first answer is waited for.
        if self.ledger.is_blind()
            && let Some(call) = calls.next()
        {
            self.one(way, call).await?;
        }
        let mut failed = None;
        let running =
            futures::stream::iter(calls.map(|call| self.one(way, call))).buffer_unordered(self.definition.concurrency);
        let mut running = std::pin::pin!(running);
        while let Some(done) = running.next().await {
            if let Err(error) = done {
                self.stopped.lock().get_or_insert_with(|| error.to_string());
                failed.get_or_insert(error);
            }
        }
        match failed {
            Some(error) => Err(error),
            None if self.context.cancelled() => Err(Error::Cancelled),
            None => Ok(()),
        }
    }

    fn is_over(&self) -> bool {
        self.context.cancelled() || self.stopped.lock().is_some()
    }

    /// One call about some documents. Nothing is begun after a stop; what was begun is waited for and kept.
    async fn one(&self, way: Way<'_>, asked: Vec<Arc<Asked>>) -> Result<()> {
        if self.is_over() || self.health.lock().has_lost(way.model, &way.part.id) {
            return Ok(());
        }
        match self.asked(way, &asked).await? {
            None => Ok(()),
            Some(Ok(rows)) => {
                self.health.lock().answered(way.model, &way.part.id);
                self.keep(rows).await
            }
            Some(Err(Failure::Unreached { why })) => {
                self.health.lock().unreached(way.model, &way.part.id, &why);
                Ok(())
            }
            // One of several may be the reason: each is asked about by itself.
            Some(Err(Failure::Refused { .. })) if asked.len() > 1 => {
                for one in asked {
                    Box::pin(self.one(way, vec![one])).await?;
                }
                Ok(())
            }
            Some(Err(Failure::Refused { kind, why })) => {
                let outcome = Outcome { error: Some(why.clone()), ..Outcome::default() };
                let rows = asked.iter().map(|asked| self.row(way, asked, outcome.clone())).collect();
                let kept = self.health.lock().refused(way.model, &way.part.id, &kind, &why, rows);
                self.keep(kept).await
            }
        }
    }

    /// Makes the call; nothing when a budget is used up or the job ends meanwhile.
    async fn asked(
        &self,
        way: Way<'_>,
        asked: &[Arc<Asked>],
    ) -> Result<Option<std::result::Result<Vec<AnswerRow>, Failure>>> {
        let _room = self.room(way, asked).await;
        if self.is_over() {
            return Ok(None);
        }
        let asks: Vec<&[qd_task::Ask]> = asked.iter().map(|asked| asked.asks.as_slice()).collect();
        let (told, done) = self.asking(way.model, way.target, Some(&way.part.id)).ask(&asks).await;
        let failure = match done {
            Ok(()) => {
                let rows = asked.iter().zip(shares(told));
                return Ok(Some(Ok(rows.map(|(asked, outcome)| self.row(way, asked, outcome)).collect())));
            }
            Err(missing) => self.missed(missing),
        };
        self.keep_paid((way.model, way.target), told).await?;
        // A call that was given up since the job ends is no answer: it is made again when the job goes on.
        Ok(failure.filter(|_| !self.context.cancelled()).map(Err))
    }

    /// Waits until the engine here has room for the prompts of a call; others are asked at once.
    async fn room(&self, way: Way<'_>, asked: &[Arc<Asked>]) -> Option<SemaphorePermit<'_>> {
        if way.target.provider.as_str() != LOCAL {
            return None;
        }
        let wanted: usize = asked.iter().map(|asked| prompts(&asked.asks).unwrap_or(1)).sum();
        let wanted = u32::try_from(wanted.clamp(1, ENGINE_PROMPTS)).unwrap_or(1);
        self.engine.acquire_many(wanted).await.ok()
    }

    /// The call's failure, unless it was not made for want of money: then nothing else is begun.
    fn missed(&self, missing: Missing) -> Option<Failure> {
        match missing {
            Missing::Failed(failure) => Some(failure),
            Missing::Stopped(why) => {
                self.stopped.lock().get_or_insert(why);
                None
            }
        }
    }

    /// Keeps what was paid for no answer, so that a job which goes on knows of it.
    async fn keep_paid(&self, who: (&str, &Pinned), told: Answered) -> Result<()> {
        if told.calls == 0 {
            return Ok(());
        }
        let number = self.paid.fetch_add(1, Ordering::Relaxed);
        let outcome = Outcome {
            error: Some("paid for no answer".to_owned()),
            cost: told.cost,
            usage: told.usage,
            latency_ms: Some(told.latency_ms),
            trace: told.trace,
            ..Outcome::default()
        };
        let key = Sha256Hex::of(json!([PAID, self.info.id, number]).to_string().as_bytes());
        self.keep(vec![self.row_at(who, PAID, number, key, outcome)]).await
    }

    fn asking<'a>(&'a self, model: &'a str, target: &'a Pinned, task: Option<&str>) -> Asking<'a> {
        let mut context = CallContext::of(self.info.project, self.project.clone());
        context.pinned = Some(target.clone());
        context.tags = vec![format!("{LEADERBOARD_TAG}{}@{}", self.info.name, self.info.number)];
        context.tags.extend(task.map(|task| format!("task:{task}")));
        let (gateway, ledger) = (&self.boards.gateway, &self.ledger);
        Asking { gateway, context, model, target, ledger, gives_up: self.context.token() }
    }

    /// Sees how fast a model is, once for a leaderboard. Whoever does not answer has no speed, and says why when it is asked in earnest.
    async fn speed(&self, model: &str, target: &Pinned) -> Result<()> {
        let place = (model.to_owned(), SPEED.to_owned(), 0);
        if self.rows.lock().contains_key(&place) || self.is_over() {
            return Ok(());
        }
        let Some(told) = self.fast(model, target).await? else { return Ok(()) };
        let outcome = Outcome {
            answers: Some(Vec::new()),
            cost: told.cost,
            usage: told.usage,
            latency_ms: Some(told.latency_ms),
            trace: told.trace,
            ..Outcome::default()
        };
        let key = Sha256Hex::of(json!([SPEED, target, self.info.id]).to_string().as_bytes());
        self.keep(vec![self.row_at((model, target), SPEED, 0, key, outcome)]).await
    }

    /// An answer that tells how fast a model is: of a server that has no completions its chat.
    async fn fast(&self, model: &str, target: &Pinned) -> Result<Option<Answered>> {
        let ways: &[bool] = if self.definition.chat.is_some() { &[true] } else { &[false, true] };
        for &chat in ways {
            let mut warming = Answered::default();
            let told = self.asking(model, target, None).speed(SPEED_TOKENS, chat, &mut warming).await;
            self.keep_paid((model, target), warming).await?;
            match told.map_err(|missing| self.missed(missing)) {
                Ok(told) => return Ok(Some(told)),
                Err(Some(Failure::Refused { .. })) => {}
                Err(_) => break,
            }
        }
        Ok(None)
    }

    fn row(&self, way: Way<'_>, asked: &Asked, outcome: Outcome) -> AnswerRow {
        self.row_at((way.model, way.target), &way.part.id, asked.document, self.key(way, asked), outcome)
    }

    fn row_at(
        &self,
        (model, target): (&str, &Pinned),
        task: &str,
        document: usize,
        key: Sha256Hex,
        outcome: Outcome,
    ) -> AnswerRow {
        AnswerRow {
            project: self.project.clone(),
            time: Timestamp::now(),
            leaderboard: self.info.id,
            model: model.to_owned(),
            target: target.to_string(),
            task: task.to_owned(),
            document,
            key,
            outcome,
        }
    }

    /// Keeps rows: they are on disk before they count.
    async fn keep(&self, rows: Vec<AnswerRow>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        table::keep(&self.boards.lake, &rows).await?;
        self.rows.lock().extend(rows.into_iter().map(|row| (row.place(), row)));
        self.tell();
        self.save().await
    }

    fn tell(&self) {
        let done = self.rows.lock().values().filter(|row| row.is_answer()).count();
        let spent = self.ledger.spent();
        let unpriced = match spent.unpriced {
            0 => String::new(),
            calls => format!(" and {calls} calls whose price is not known"),
        };
        let message = format!("{done} of {} documents, {} spent{unpriced}", self.total, spent.cost);
        self.context.progress(done as u64, Some(self.total as u64), message);
    }

    /// Keeps how long was worked, now and then: a budget of time holds across a crash.
    async fn save(&self) -> Result<()> {
        {
            let mut saved = self.saved.lock();
            if saved.elapsed() < CHECKPOINT_EVERY {
                return Ok(());
            }
            *saved = std::time::Instant::now();
        }
        let worked_ms = u64::try_from(self.ledger.worked().as_millis()).unwrap_or(u64::MAX);
        Ok(self.context.save_checkpoint(&json!(Checkpoint { worked_ms })).await?)
    }

    /// What the job ends with, which is noted with the leaderboard too: a job is forgotten some day.
    async fn end(&self, lost: &[String]) -> Result<Value> {
        let stopped = self.stopped.lock().clone();
        let (state, why) = match (stopped, lost) {
            (Some(why), _) => ("stopped", Some(why)),
            (None, []) => ("finished", None),
            (None, lost) => ("failed", Some(lost.join("; "))),
        };
        let (rows, failed) = {
            let rows = self.rows.lock();
            let answers = || rows.values().filter(|row| row.is_answer());
            (answers().count(), answers().filter(|row| row.outcome.error.is_some()).count())
        };
        let spent = self.ledger.spent();
        let ending = json!({
            "state": state, "why": why, "answers": rows, "failed": failed, "spent": spent.cost, "tokens": spent.tokens,
            "unpriced": spent.unpriced,
        });
        self.boards.catalog.end_experiment(self.info.id, self.context.job().id, &ending).await?;
        Ok(ending)
    }
}

/// Documents that make a call together: those whose likelihoods are measured, until there are enough prompts; each alone about which a
/// text is generated.
fn packed(asked: &[Arc<Asked>]) -> Vec<Vec<Arc<Asked>>> {
    let mut calls: Vec<Vec<Arc<Asked>>> = Vec::new();
    let mut room = 0;
    for asked in asked {
        match prompts(&asked.asks) {
            Some(prompts) if prompts <= room => {
                room -= prompts;
                if let Some(call) = calls.last_mut() {
                    call.push(asked.clone());
                }
            }
            prompts => {
                room = prompts.map_or(0, |prompts| PROMPTS_TOGETHER.saturating_sub(prompts));
                calls.push(vec![asked.clone()]);
            }
        }
    }
    calls
}

/// What each document of a call was answered, with its share of what that took; the first has what cannot be parted.
fn shares(told: Answered) -> Vec<Outcome> {
    let n = told.answers.len() as u64;
    let part = |whole: u64, place: u64| whole / n + if place == 0 { whole % n } else { 0 };
    let outcome = |(place, answers)| Outcome {
        answers: Some(answers),
        cost: told.cost.map(|cost| {
            let whole = u64::try_from(cost.get()).unwrap_or(0);
            Picodollars::new(i64::try_from(part(whole, place)).unwrap_or(i64::MAX))
        }),
        usage: told.usage.map(|usage| Usage {
            input_tokens: part(usage.input_tokens, place),
            output_tokens: part(usage.output_tokens, place),
            cached_tokens: part(usage.cached_tokens, place),
            reasoning_tokens: part(usage.reasoning_tokens, place),
        }),
        latency_ms: Some(told.latency_ms / n as f64),
        trace: told.trace,
        ..Outcome::default()
    };
    (0..).zip(told.answers).map(outcome).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::asked;

    #[test]
    fn documents_share_calls_until_they_are_full() {
        let sizes = |continuations: &[usize]| -> Vec<usize> {
            let documents: Vec<Arc<Asked>> = continuations.iter().map(|&n| asked(0, n)).collect();
            packed(&documents).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[4, 4, 4, 4, 4]), [4, 1]);
        assert_eq!(sizes(&[10, 10, 6, 1]), [1, 2, 1]);
        assert_eq!(sizes(&[30, 2]), [1, 1]);
        // No continuations stands for a text that is generated.
        assert_eq!(sizes(&[4, 0, 4, 4]), [1, 1, 2]);
    }

    #[test]
    fn what_a_call_took_is_shared_and_nothing_of_it_is_lost() {
        let usage = Usage { input_tokens: 10, output_tokens: 1, ..Usage::default() };
        let told = Answered {
            answers: vec![Vec::new(); 3],
            calls: 1,
            usage: Some(usage),
            cost: Some(Picodollars::new(8)),
            latency_ms: 3.0,
            trace: None,
        };
        let found = shares(told);
        let tokens: Vec<u64> = found.iter().map(|outcome| outcome.usage.unwrap().input_tokens).collect();
        let costs: Vec<i64> = found.iter().map(|outcome| outcome.cost.unwrap().get()).collect();
        assert_eq!((tokens, costs), (vec![4, 3, 3], vec![4, 2, 2]));
    }
}
