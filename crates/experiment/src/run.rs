//! Running an experiment as a job: what is there is read, what is missing is asked, and every answer is kept before it counts.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt};
use parking_lot::Mutex;
use qd_base::{ProjectName, Sha256Hex, Timestamp, VersionId};
use qd_catalog::{Catalog, Handler, JobContext, JobError, JobKind, VersionInfo};
use qd_eval::{Answer, Scorers};
use qd_gateway::{CallContext, Gateway, PromptVersion};
use qd_lake::Lake;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{self, Outcome, Request};
use crate::cell::Cell;
use crate::definition::{Budget, Definition, Search};
use crate::experiments::{Content, Experiments};
use crate::ledger::{Ledger, Spent};
use crate::plan::{Candidate, Item, Plan};
use crate::report::Results;
use crate::rung;
use crate::table::{self, ItemRow, Scored};
use crate::{Error, Result};

/// The kind of these jobs.
pub const KIND: &str = "experiment.run";
/// Items that all cells are asked about before the next ones come: if an experiment stops, its cells have the same items.
const ITEMS_TOGETHER: usize = 8;
/// Calls that are rendered and looked up at once.
const CALLS_TOGETHER: usize = 256;
/// After so many calls of which none was answered it makes no sense to go on.
const HOPELESS_CALLS: usize = 20;
/// How much of its time budget a job may forget in a crash.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// What a job is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The version of the experiment.
    pub experiment: VersionId,
    /// Whether calls that failed before are made again.
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

/// What is to be asked.
#[derive(Clone)]
pub(crate) struct Ask {
    pub candidate: Arc<Candidate>,
    pub item: Arc<Item>,
    pub repeat: u32,
}

impl Ask {
    fn place(&self) -> Place {
        (self.candidate.cell.id.clone(), self.item.row.index, self.repeat)
    }
}

/// The cell, the item and the repeat.
type Place = (String, u64, u32);

/// A job's work: asks, scores, keeps, counts.
pub(crate) struct Session {
    context: JobContext,
    catalog: Catalog,
    lake: Lake,
    gateway: Gateway,
    info: VersionInfo,
    project_name: ProjectName,
    scorers: Scorers,
    cache: bool,
    concurrency: usize,
    ledger: Ledger,
    rows: Mutex<HashMap<Place, Scored>>,
    total: AtomicUsize,
    /// Calls that failed before any was answered.
    hopeless: AtomicUsize,
    answered: AtomicBool,
    /// Why no further calls are begun.
    stopped: Mutex<Option<String>>,
    saved: Mutex<std::time::Instant>,
}

/// A call with what is known of it.
struct Prepared {
    ask: Ask,
    /// What is asked, or why that cannot be said.
    request: std::result::Result<Request, String>,
}

impl Session {
    pub async fn open(
        experiments: &Experiments,
        context: JobContext,
        request: &RunRequest,
        (info, project_name, definition): (VersionInfo, ProjectName, &Definition),
    ) -> Result<Self> {
        let scorers = definition.check()?;
        let there = table::scored(&experiments.lake, info.id).await?;
        let worked = Duration::from_millis(context.checkpoint::<Checkpoint>().unwrap_or_default().worked_ms);
        let ledger = Ledger::new(request.budget.unwrap_or(definition.budget), worked, there.iter());
        let kept = there.into_iter().filter(|row| row.error.is_none() || !request.retry_failed);
        let rows = kept.map(|row| ((row.cell.clone(), row.item, row.repeat), row)).collect();
        Ok(Self {
            catalog: experiments.catalog.clone(),
            lake: experiments.lake.clone(),
            gateway: experiments.gateway.clone(),
            info,
            project_name,
            scorers,
            cache: definition.cache,
            concurrency: definition.concurrency,
            ledger,
            rows: Mutex::new(rows),
            total: AtomicUsize::new(0),
            hopeless: AtomicUsize::new(0),
            answered: AtomicBool::new(false),
            stopped: Mutex::new(None),
            saved: Mutex::new(std::time::Instant::now()),
            context,
        })
    }

    /// How many answers there will be, as far as is known now.
    pub fn expect(&self, total: usize) {
        self.total.store(total, Ordering::Relaxed);
        self.tell();
    }

    /// What was spent so far.
    pub fn spent(&self) -> Spent {
        self.ledger.spent()
    }

    /// What a cell answered to items, by their places.
    pub async fn outputs(&self, cell: &str, items: &[Arc<Item>]) -> Result<HashMap<u64, String>> {
        let places: Vec<u64> = items.iter().map(|item| item.row.index).collect();
        let found = table::answers(&self.lake, self.info.id, &places, &[cell.to_owned()]).await?;
        Ok(found.into_iter().filter_map(|(row, outcome)| Some((row.item, outcome.output?))).collect())
    }

    /// A call that is about no item. It is made again when the job is.
    pub async fn ask_once(&self, request: &Request) -> Result<Outcome> {
        if let Err(why) = self.ledger.begin() {
            return Ok(Outcome::failed(why));
        }
        let mut context = CallContext::of(self.info.project, self.project_name.clone());
        context.tags = vec!["experiment:optimise".to_owned()];
        let outcome = call::ask(&self.gateway, &context, request, self.context.token()).await;
        self.ledger.end_of(&outcome);
        if self.context.cancelled() { Err(Error::Cancelled) } else { Ok(outcome) }
    }

    /// Everything that is there.
    pub fn rows(&self) -> Vec<Scored> {
        self.rows.lock().values().cloned().collect()
    }

    /// Asks what was not answered before. Says why it stopped early, if it did: since a budget is used up.
    pub async fn ask_all(&self, asks: Vec<Ask>) -> Result<Option<String>> {
        let missing: Vec<Ask> = {
            let rows = self.rows.lock();
            asks.into_iter().filter(|ask| !rows.contains_key(&ask.place())).collect()
        };
        for some in missing.chunks(CALLS_TOGETHER) {
            self.ask_some(some).await?;
            if let Some(why) = self.stopped.lock().clone() {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    async fn ask_some(&self, asks: &[Ask]) -> Result<()> {
        let prepared: Vec<Prepared> = asks.iter().map(prepare).collect();
        let keys: Vec<Sha256Hex> = prepared.iter().filter_map(|call| Some(call.request.as_ref().ok()?.key)).collect();
        let known =
            if self.cache { table::known(&self.lake, &self.project_name, &keys).await? } else { HashMap::new() };
        // Of calls that are the same one is made, and the others take its answer.
        let mut seen = HashSet::new();
        let (first, again): (Vec<_>, Vec<_>) = prepared
            .into_iter()
            .partition(|call| !self.cache || call.request.as_ref().map_or(true, |request| seen.insert(request.key)));
        self.wave(first, &known).await?;
        if again.is_empty() {
            return Ok(());
        }
        let keys: Vec<Sha256Hex> = again.iter().filter_map(|call| Some(call.request.as_ref().ok()?.key)).collect();
        let known = table::known(&self.lake, &self.project_name, &keys).await?;
        self.wave(again, &known).await
    }

    async fn wave(&self, calls: Vec<Prepared>, known: &HashMap<Sha256Hex, Outcome>) -> Result<()> {
        futures::stream::iter(calls.into_iter().map(|call| self.one(call, known)))
            .buffer_unordered(self.concurrency)
            .try_collect::<()>()
            .await?;
        if self.context.cancelled() { Err(Error::Cancelled) } else { self.save().await }
    }

    /// One answer, from the cache or the model. Nothing is begun after a stop; what was begun is waited for and kept.
    async fn one(&self, call: Prepared, known: &HashMap<Sha256Hex, Outcome>) -> Result<()> {
        if self.context.cancelled() || self.stopped.lock().is_some() {
            return Ok(());
        }
        let cached = call.request.as_ref().ok().and_then(|request| known.get(&request.key)).cloned();
        if cached.is_none()
            && call.request.is_ok()
            && let Err(why) = self.ledger.begin()
        {
            self.stopped.lock().get_or_insert(why);
            return Ok(());
        }
        let (paid, key) = (cached.is_none() && call.request.is_ok(), call.request.as_ref().map(|request| request.key));
        let key = key.unwrap_or_else(|why| Sha256Hex::of(why.as_bytes()));
        let outcome = match (cached, &call.request) {
            (Some(outcome), _) => outcome,
            (None, Ok(request)) => {
                call::ask(&self.gateway, &self.calls_of(&call.ask), request, self.context.token()).await
            }
            (None, Err(why)) => Outcome::failed(why),
        };
        // A call that was given up since the job ends is no answer: it is made again when the job goes on.
        if self.context.cancelled() && outcome.error.is_some() {
            return Ok(());
        }
        let row = self.scored(&call.ask, key, outcome);
        table::keep(&self.lake, std::slice::from_ref(&row)).await?;
        let scored = Scored::from(&row);
        if paid {
            self.ledger.end(&scored);
        }
        let error = scored.error.clone();
        self.rows.lock().insert(call.ask.place(), scored);
        self.tell();
        self.despair(error)
    }

    /// How the calls of a cell are traced.
    fn calls_of(&self, ask: &Ask) -> CallContext {
        let mut context = CallContext::of(self.info.project, self.project_name.clone());
        let cell = &ask.candidate.cell;
        let experiment = format!("{}@{}", self.info.name, self.info.number);
        let name = ask.candidate.prompt.info.name.clone();
        context.prompt = ask.candidate.as_stored.then_some(PromptVersion { name, number: cell.version });
        context.tags = vec![format!("experiment:{experiment}"), format!("cell:{experiment}/{}", cell.id)];
        context
    }

    fn scored(&self, ask: &Ask, key: Sha256Hex, outcome: Outcome) -> ItemRow {
        let answer = Answer {
            text: outcome.output.as_deref(),
            references: &ask.item.references,
            latency_ms: outcome.latency_ms,
            cost: outcome.cost,
            output_tokens: outcome.usage.map(|usage| usage.output_tokens),
        };
        let scores = self.scorers.iter().map(|scorer| (scorer.name().to_owned(), scorer.score(&answer).ok())).collect();
        let Cell { id, prompt, version, model, .. } = &ask.candidate.cell;
        ItemRow {
            project: self.project_name.clone(),
            time: Timestamp::now(),
            experiment: self.info.id,
            cell: id.clone(),
            item: ask.item.row.index,
            row_id: ask.item.row.id.clone(),
            repeat: ask.repeat,
            key,
            model: model.clone(),
            prompt: prompt.clone(),
            prompt_version: *version,
            scores,
            outcome,
        }
    }

    /// Ends a job whose every call fails.
    fn despair(&self, error: Option<String>) -> Result<()> {
        let Some(last) = error else {
            self.answered.store(true, Ordering::Relaxed);
            return Ok(());
        };
        let calls = self.hopeless.fetch_add(1, Ordering::Relaxed) + 1;
        match calls >= HOPELESS_CALLS && !self.answered.load(Ordering::Relaxed) {
            true => Err(Error::AllFailed { calls, last }),
            false => Ok(()),
        }
    }

    fn tell(&self) {
        let (done, spent) = (self.rows.lock().len(), self.ledger.spent());
        let total = self.total.load(Ordering::Relaxed).max(done);
        let message = format!("{done} of {total} answers, {} spent", spent.cost);
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
        if due {
            let worked_ms = u64::try_from(self.ledger.worked().as_millis()).unwrap_or(u64::MAX);
            self.context.save_checkpoint(&json!(Checkpoint { worked_ms })).await?;
        }
        Ok(())
    }

    /// What the job ends with, which is noted with the experiment too: a job is forgotten some day.
    pub async fn end(&self, mut ending: Value) -> Result<Value> {
        let (rows, spent) = (self.rows(), self.ledger.spent());
        ending["answers"] = json!(rows.len());
        ending["failed"] = json!(rows.iter().filter(|row| row.error.is_some()).count());
        ending["spent"] = json!(spent.cost);
        ending["tokens"] = json!(spent.tokens);
        self.catalog.end_experiment(self.info.id, self.context.job().id, &ending).await?;
        Ok(ending)
    }
}

fn prepare(ask: &Ask) -> Prepared {
    let request = ask.candidate.request(&ask.item, ask.repeat).map_err(|error| error.to_string());
    Prepared { ask: ask.clone(), request }
}

/// Runs `experiment.run` jobs; their result says how the experiment ended.
#[derive(Clone)]
pub struct RunHandler {
    experiments: Experiments,
}

impl RunHandler {
    /// A handler that runs `experiments`.
    pub fn new(experiments: Experiments) -> Self {
        Self { experiments }
    }

    async fn run(self, context: JobContext) -> std::result::Result<Value, JobError> {
        let request: RunRequest = context.payload()?;
        match self.experiments.run(context, &request).await {
            Ok(ending) => Ok(ending),
            Err(Error::Cancelled) => Err(JobError::Cancelled),
            Err(error) => Err(JobError::failed(&error)),
        }
    }
}

impl Handler for RunHandler {
    fn kind(&self) -> JobKind {
        KIND.parse().expect("the word is a kind of job")
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, std::result::Result<Value, JobError>> {
        self.clone().run(context).boxed()
    }
}

impl Experiments {
    /// Does what is missing of an experiment.
    async fn run(&self, context: JobContext, request: &RunRequest) -> Result<Value> {
        let version = self.catalog.version_by_id(request.experiment).await?;
        let content: Content = version.read_content()?;
        let project = self.catalog.project_by_id(version.info.project).await?.name;
        let definition = content.definition;
        let session =
            Session::open(self, context, request, (version.info.clone(), project.clone(), &definition)).await?;
        let plan = self.sources.plan(version.info, project, definition).await?;
        let stopped = sweep(&session, &plan).await?;
        let state = if stopped.is_some() { "stopped" } else { "finished" };
        session.end(json!({"state": state, "why": stopped})).await
    }
}

/// Asks what the search asks for. Says why it stopped early, if it did.
async fn sweep(session: &Session, plan: &Plan) -> Result<Option<String>> {
    let cells: Vec<Cell> = plan.candidates.iter().map(|candidate| candidate.cell.clone()).collect();
    let order: Vec<u64> = plan.items.iter().map(|item| item.row.index).collect();
    let sizes = rung::rungs(plan.definition.search, order.len(), cells.len());
    let mut alive: Vec<usize> = (0..cells.len()).collect();
    for (rung, &size) in sizes.iter().enumerate() {
        session.expect(expected(plan, &sizes, rung, alive.len()) + left_behind(session, plan, &alive));
        if let Some(why) = session.ask_all(asks(plan, &alive, size)).await? {
            return Ok(Some(why));
        }
        let rows = session.rows();
        let results = Results::new(&plan.definition, &session.scorers, &cells, &order, &rows);
        alive = results.rungs().get(rung + 1).cloned().unwrap_or(alive);
    }
    Ok(None)
}

/// What is asked of some cells: all about the first few items, then all about the next few.
fn asks(plan: &Plan, alive: &[usize], size: usize) -> Vec<Ask> {
    let mut asks = Vec::new();
    for items in plan.items[..size].chunks(ITEMS_TOGETHER) {
        for &cell in alive {
            for item in items {
                for repeat in 0..plan.definition.repeats {
                    asks.push(Ask { candidate: plan.candidates[cell].clone(), item: item.clone(), repeat });
                }
            }
        }
    }
    asks
}

/// How many answers cells that are in the race will have.
fn expected(plan: &Plan, sizes: &[usize], rung: usize, alive: usize) -> usize {
    let Search::Halving { factor, .. } = plan.definition.search else {
        return alive * plan.items.len() * plan.definition.repeats as usize;
    };
    let (mut cells, mut answers, mut before) = (alive, 0, 0);
    for &size in &sizes[rung..] {
        answers += cells * (size - before);
        before = size;
        cells = rung::kept(cells, factor);
    }
    answers * plan.definition.repeats as usize
}

/// How many answers there are of cells that are out of the race.
fn left_behind(session: &Session, plan: &Plan, alive: &[usize]) -> usize {
    let racing: HashSet<&str> = alive.iter().map(|&cell| plan.candidates[cell].cell.id.as_str()).collect();
    session.rows.lock().keys().filter(|(cell, _, _)| !racing.contains(cell.as_str())).count()
}
