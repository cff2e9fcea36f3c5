//! Comparing a judge with people as a job: what is there is read, what is missing is asked, and every judgement is kept before it counts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use qd_base::{ProjectName, Sha256Hex, Timestamp, VersionId};
use qd_catalog::{Handler, JobContext, JobError, JobKind};
use qd_data::Dataset;
use qd_gateway::CallContext;
use qd_gateway::batch::{Ledger, Spent};
use qd_judge::Outcome;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::asking::Judged;
use crate::calibrations::Calibrations;
use crate::judges::Stored;
use crate::plan::{Asked, Picked, Plan};
use crate::request::Request;
use crate::table::{self, JudgementRow};
use crate::{Error, Result};

/// The kind of these jobs.
pub const KIND: &str = "judge.calibrate";
/// Items whose rows are read together.
const TOGETHER: usize = 64;
/// How often items whose model was not reached are asked again before the job ends without them.
const ROUNDS: usize = 3;
/// Items in a row whose model was not reached, after which a round ends.
const MOST_MISSES: u32 = 8;
/// Judgements that fail, with none that is told, after which asking on would say nothing.
const MOST_FAILURES: u32 = 10;
/// How much of its time budget a job may forget in a crash.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// What a job is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrateRequest {
    /// The version of the judge.
    pub judge: VersionId,
    /// The version of the dataset.
    pub dataset: VersionId,
    /// Whether items are judged again whose judgement failed.
    #[serde(default)]
    pub retry_failed: bool,
    /// What earlier jobs spent and no row tells.
    #[serde(default)]
    pub aside: Spent,
}

/// Where a job would go on.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Checkpoint {
    worked_ms: u64,
    /// What was spent so far, by this job and others, and no row tells.
    #[serde(default)]
    aside: Spent,
}

/// Why not everything was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stop {
    /// A budget is used up.
    Budget(String),
    /// Judgements always fail, or a model is not reached.
    Failed(String),
    /// Rows could not be kept or read.
    Broken,
}

/// A job's work: asks, keeps, counts.
struct Session {
    calibrations: Calibrations,
    context: JobContext,
    stored: Stored,
    dataset: Dataset,
    plan: Plan,
    setting: Sha256Hex,
    concurrency: usize,
    project: ProjectName,
    calls: CallContext,
    ledger: Ledger,
    /// What there was when the job began, by item, and is not replaced yet.
    before: Mutex<BTreeMap<u64, Spent>>,
    /// The items that are done.
    done: Mutex<HashSet<u64>>,
    stopped: Mutex<Option<Stop>>,
    /// Why a model was not reached last, and how often in a row.
    missed: Mutex<(u32, String)>,
    told: AtomicU32,
    failed: AtomicU32,
    saved: Mutex<std::time::Instant>,
}

impl Session {
    async fn open(calibrations: &Calibrations, context: JobContext, told: &CalibrateRequest) -> Result<Self> {
        let Calibrations { judges, datasets } = calibrations;
        let stored = judges.by_id(told.judge).await?;
        let dataset = datasets.open_id(told.dataset).await?;
        let record = calibrations.record(told.judge, told.dataset).await?;
        if record.job != context.job().id {
            return Err(Error::Replaced { job: record.job });
        }
        let request: Request =
            serde_json::from_value(record.request).map_err(|cause| Error::request("calibration", cause.to_string()))?;
        let plan = Plan::new(&dataset, &stored.judge, &request).await?;
        let before = table::spent(&judges.lake, told.judge, told.dataset).await?;
        let mut spent = Spent::default();
        before.values().for_each(|row| spent.join(*row));
        let Checkpoint { worked_ms, aside } =
            context.checkpoint().unwrap_or(Checkpoint { worked_ms: 0, aside: told.aside });
        let project = judges.catalog.project_by_id(stored.info.project).await?.name;
        let session = Self {
            calibrations: calibrations.clone(),
            calls: stored.calls(project.clone()),
            ledger: Ledger::new(request.budget, Duration::from_millis(worked_ms), spent).with_aside(aside),
            before: Mutex::new(before),
            setting: request.setting(),
            concurrency: request.concurrency,
            done: Mutex::default(),
            stopped: Mutex::default(),
            missed: Mutex::default(),
            told: AtomicU32::new(0),
            failed: AtomicU32::new(0),
            saved: Mutex::new(std::time::Instant::now()),
            context,
            stored,
            dataset,
            plan,
            project,
        };
        session.take_up(told.retry_failed).await?;
        Ok(session)
    }

    /// Takes up what was judged before. Rows that were asked for in another way and saw the same are kept anew with what people said: they
    /// cost nothing. Items on which people did not agree are rows too, and are not asked.
    async fn take_up(&self, retry_failed: bool) -> Result<()> {
        let which = (self.stored.info.id, self.dataset.info().id);
        for chunk in self.plan.items.chunks(TOGETHER) {
            let places: Vec<u64> = {
                let before = self.before.lock();
                chunk.iter().map(|item| item.index).filter(|item| before.contains_key(item)).collect()
            };
            let there = table::rows_of(self.lake(), which, &places).await?;
            let mut there: HashMap<u64, JudgementRow> = there.into_iter().map(|row| (row.item, row)).collect();
            let mut kept = Vec::new();
            for (picked, asked) in self.asked(chunk).await? {
                let undecided = crate::place::truth(&picked.said).is_none();
                let before = there.remove(&picked.index).filter(|row| row.key == asked.key);
                let judged = before.as_ref().and_then(|row| row.judged.clone());
                if !undecided && judged.as_ref().is_none_or(|judged| retry_failed && failed(judged)) {
                    continue;
                }
                let row = self.row(&picked, &asked, judged);
                let same = before.is_some_and(|before| JudgementRow { time: before.time, ..row.clone() } == before);
                if row.judged.as_ref().is_some_and(|judged| !failed(judged)) {
                    self.told.fetch_add(1, Ordering::Relaxed);
                }
                if !same {
                    kept.push(row);
                }
                self.done.lock().insert(picked.index);
            }
            if !kept.is_empty() {
                table::keep(self.lake(), &kept).await?;
            }
        }
        Ok(())
    }

    fn lake(&self) -> &qd_lake::Lake {
        &self.calibrations.judges.lake
    }

    /// What is asked about items.
    async fn asked(&self, items: &[Picked]) -> Result<Vec<(Picked, Asked)>> {
        let mut places: Vec<u64> = items.iter().map(|item| item.index).collect();
        places.sort_unstable();
        let rows = self.dataset.rows_at(&places).await?;
        let mut by_place: HashMap<u64, Asked> = rows.iter().map(|row| (row.index, self.plan.asked(row))).collect();
        Ok(items.iter().filter_map(|item| Some((item.clone(), by_place.remove(&item.index)?))).collect())
    }

    /// Asks what is missing. Says why it stopped early, if it did.
    async fn ask_all(&self) -> Result<Option<Stop>> {
        for _ in 0..ROUNDS {
            *self.missed.lock() = (0, String::new());
            let missing: Vec<Picked> = {
                let done = self.done.lock();
                self.plan.items.iter().filter(|item| !done.contains(&item.index)).cloned().collect()
            };
            for chunk in missing.chunks(TOGETHER) {
                let asked = self.asked(chunk).await?;
                self.wave(asked).await?;
                if let Some(stop) = self.stopped.lock().clone() {
                    return Ok(Some(stop));
                }
                if self.missed.lock().0 >= MOST_MISSES {
                    break;
                }
            }
            if self.done.lock().len() >= self.plan.items.len() {
                return Ok(None);
            }
        }
        let left = self.plan.items.len() - self.done.lock().len();
        Ok(Some(Stop::Failed(format!("{left} items did not reach the judge's model: {}", self.missed.lock().1))))
    }

    /// Judges items, several at once. After an error none is begun, and those under way are waited for: they are paid.
    async fn wave(&self, asked: Vec<(Picked, Asked)>) -> Result<()> {
        let mut asked = asked.into_iter();
        while self.ledger.is_blind() {
            let Some((picked, asked)) = asked.next() else { break };
            self.one(picked, asked).await?;
        }
        let mut failed = None;
        let running = futures::stream::iter(asked.map(|(picked, asked)| self.one(picked, asked)));
        let mut running = std::pin::pin!(running.buffer_unordered(self.concurrency));
        while let Some(done) = running.next().await {
            if let Err(error) = done {
                self.stopped.lock().get_or_insert(Stop::Broken);
                failed.get_or_insert(error);
            }
        }
        match failed {
            Some(error) => Err(error),
            None if self.context.cancelled() => Err(Error::Cancelled),
            None => Ok(()),
        }
    }

    /// Judges one item and keeps what came of it. Nothing is begun after a stop; what was begun is waited for and kept.
    async fn one(&self, picked: Picked, asked: Asked) -> Result<()> {
        let is_over = self.stopped.lock().is_some() || self.missed.lock().0 >= MOST_MISSES;
        if is_over || self.context.cancelled() {
            return Ok(());
        }
        if let Err(why) = self.ledger.begin() {
            self.stopped.lock().get_or_insert(Stop::Budget(why));
            return Ok(());
        }
        let gateway = &self.calibrations.judges.gateway;
        let judged = self.stored.ask(gateway, &self.calls, &asked.values, self.context.token()).await;
        // An item that the judge cannot take is told as such, and cost nothing.
        let judged = judged.unwrap_or_else(|error| Judged::failed(error.to_string()));
        let spent = Spent::together(judged.unpriced.into(), judged.cost, Some(judged.judgement.usage));
        self.ledger.end_together(spent);
        if let Some(why) = judged.unreached {
            // Also one that was given up since the job ends: it is judged when the job goes on.
            {
                let mut missed = self.missed.lock();
                *missed = (missed.0 + 1, why);
            }
            return self.set_aside(spent).await;
        }
        self.missed.lock().0 = 0;
        self.note(&judged);
        table::keep(self.lake(), &[self.row(&picked, &asked, Some(judged))]).await?;
        self.done.lock().insert(picked.index);
        self.tell();
        let replaced = self.before.lock().remove(&picked.index);
        self.set_aside(replaced.unwrap_or_default()).await?;
        self.save().await
    }

    /// Stops when judgements fail and nothing else happens.
    fn note(&self, judged: &Judged) {
        let Outcome::Failed { why } = &judged.judgement.outcome else {
            self.told.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if failed >= MOST_FAILURES && self.told.load(Ordering::Relaxed) == 0 {
            let why = format!("the first {failed} judgements all failed: {why}");
            self.stopped.lock().get_or_insert(Stop::Failed(why));
        }
    }

    fn row(&self, picked: &Picked, asked: &Asked, judged: Option<Judged>) -> JudgementRow {
        JudgementRow {
            project: self.project.clone(),
            time: Timestamp::now(),
            judge: self.stored.info.id,
            dataset: self.dataset.info().id,
            item: picked.index,
            row_id: picked.row_id.clone(),
            setting: self.setting,
            key: asked.key,
            said: picked.said.clone(),
            authors: asked.authors.clone(),
            lengths: asked.lengths.clone(),
            judged,
        }
    }

    fn tell(&self) {
        let (done, total, spent) = (self.done.lock().len(), self.plan.items.len(), self.ledger.spent());
        let unpriced = match spent.unpriced {
            0 => String::new(),
            calls => format!(" and {calls} calls whose price is not known"),
        };
        let message = format!("{done} of {total} items, {} spent{unpriced}", spent.cost);
        self.context.progress(done as u64, Some(total as u64), message);
    }

    /// Keeps how long was worked, now and then: a budget of time holds across a crash.
    async fn save(&self) -> Result<()> {
        let due = {
            let mut saved = self.saved.lock();
            let due = saved.elapsed() >= CHECKPOINT_EVERY;
            if due {
                *saved = std::time::Instant::now();
            }
            due
        };
        if due { self.save_now().await } else { Ok(()) }
    }

    async fn save_now(&self) -> Result<()> {
        let worked_ms = u64::try_from(self.ledger.worked().as_millis()).unwrap_or(u64::MAX);
        let checkpoint = Checkpoint { worked_ms, aside: self.ledger.aside() };
        Ok(self.context.save_checkpoint(&json!(checkpoint)).await?)
    }

    /// Notes what was spent and no row tells, before anything else is.
    async fn set_aside(&self, spent: Spent) -> Result<()> {
        if spent.is_nothing() {
            return Ok(());
        }
        self.ledger.set_aside(spent);
        self.save_now().await
    }

    /// What the job ends with, which is noted with the calibration too: a job is forgotten some day.
    async fn end(&self, state: &str, why: Option<&str>) -> Result<Value> {
        let spent = self.ledger.spent();
        let ending = json!({
            "state": state,
            "why": why,
            "items": self.done.lock().len(),
            "wanted": self.plan.items.len(),
            "spent": spent.cost,
            "tokens": spent.tokens,
            "unpriced": spent.unpriced,
            "aside": self.ledger.aside(),
        });
        let which = (self.stored.info.id, self.dataset.info().id);
        self.calibrations.judges.catalog.end_calibration(which, self.context.job().id, &ending).await?;
        Ok(ending)
    }
}

fn failed(judged: &Judged) -> bool {
    matches!(judged.judgement.outcome, Outcome::Failed { .. })
}

/// Runs `judge.calibrate` jobs; their result says how the calibration ended.
#[derive(Clone)]
pub struct CalibrateHandler {
    calibrations: Arc<Calibrations>,
}

impl CalibrateHandler {
    /// A handler that does `calibrations`.
    pub fn new(calibrations: Calibrations) -> Self {
        Self { calibrations: Arc::new(calibrations) }
    }

    async fn run(self, context: JobContext) -> std::result::Result<Value, JobError> {
        let request: CalibrateRequest = context.payload()?;
        match run(&self.calibrations, context, &request).await {
            Ok(ending) => Ok(ending),
            Err(Error::Cancelled) => Err(JobError::Cancelled),
            Err(error) => Err(JobError::failed(&error)),
        }
    }
}

impl Handler for CalibrateHandler {
    fn kind(&self) -> JobKind {
        KIND.parse().expect("the word is a kind of job")
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, std::result::Result<Value, JobError>> {
        self.clone().run(context).boxed()
    }
}

async fn run(calibrations: &Calibrations, context: JobContext, request: &CalibrateRequest) -> Result<Value> {
    let session = Session::open(calibrations, context, request).await?;
    session.tell();
    match session.ask_all().await? {
        None => session.end("finished", None).await,
        Some(Stop::Budget(why)) => session.end("stopped", Some(&why)).await,
        Some(Stop::Failed(why)) => {
            session.end("failed", Some(&why)).await?;
            Err(Error::Unanswered { why })
        }
        Some(Stop::Broken) => Err(Error::Broken { doing: "keeping judgements" }),
    }
}
