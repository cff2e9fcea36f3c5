//! Running an experiment as a job: what is there is read, what is missing is asked, and every answer is kept before it counts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use qd_base::{Picodollars, ProjectName, Sha256Hex, Timestamp, Usage, VersionId};
use qd_catalog::{Catalog, Handler, JobContext, JobError, JobKind, VersionInfo};
use qd_eval::{Answer, Scorer, Scorers};
use qd_gateway::batch::{self, Ledger, Spent};
use qd_gateway::{CallContext, Endpoint, Gateway, Pinned, PromptVersion, embedding};
use qd_lake::Lake;
use qd_trace::EXPERIMENT_TAG;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::call::{self, Outcome, Request};
use crate::cell::Cell;
use crate::definition::{Budget, Definition, Search};
use crate::experiments::{Content, Experiments};
use crate::health::Health;
use crate::plan::{Candidate, Item, Plan};
use crate::report::Results;
use crate::rung;
use crate::shown::Shown;
use crate::table::{self, ItemRow, Scored};
use crate::{Error, Result};

/// The kind of these jobs.
pub const KIND: &str = "experiment.run";
/// Items that all cells are asked about before the next ones come: if an experiment stops, its cells have the same items.
const ITEMS_TOGETHER: usize = 8;
/// Calls that are rendered and looked up at once, and about how many bytes of them.
const CALLS_TOGETHER: usize = 64;
const BYTES_TOGETHER: usize = 16 << 20;
/// Texts of one call for embeddings.
const TEXTS_TOGETHER: usize = 256;
/// How often calls that did not reach a model are made again before the job ends without them.
const ROUNDS: usize = 3;
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
    /// The call about no item, which is in no row.
    #[serde(default)]
    once: Option<Once>,
}

/// A call about no item that was answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Once {
    key: String,
    output: String,
    picodollars: i64,
    usage: Option<Usage>,
}

/// Why not everything was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// A budget is used up.
    Budget(String),
    /// Calls always fail.
    Failed(String),
}

impl Stop {
    pub fn into_why(self) -> String {
        match self {
            Self::Budget(why) | Self::Failed(why) => why,
        }
    }
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
    health: Mutex<Health>,
    /// What names of models stand for, as far as it is known.
    targets: Mutex<BTreeMap<String, Pinned>>,
    /// Calls that did not reach their model, with why: they have no rows, and are made again.
    unreached: Mutex<HashMap<Place, String>>,
    once: Mutex<Option<Once>>,
    /// Why no further calls are begun.
    stopped: Mutex<Option<String>>,
    saved: Mutex<std::time::Instant>,
}

/// A call with what is known of it.
struct Prepared {
    ask: Ask,
    /// What is asked, or what came of it without asking.
    request: std::result::Result<Request, Outcome>,
    key: Sha256Hex,
}

/// What names of models stand for, or why that is not known.
type Targets = Arc<HashMap<String, std::result::Result<Pinned, String>>>;

impl Session {
    pub async fn open(
        experiments: &Experiments,
        context: JobContext,
        request: &RunRequest,
        (info, project_name, definition): (VersionInfo, ProjectName, &Definition),
    ) -> Result<Self> {
        let scorers = definition.check()?;
        let there = table::scored(&experiments.lake, info.id).await?;
        let checkpoint = context.checkpoint::<Checkpoint>().unwrap_or_default();
        let worked = Duration::from_millis(checkpoint.worked_ms);
        let ledger = Ledger::new(request.budget.unwrap_or(definition.budget), worked, table::spent(&there));
        if let Some(once) = &checkpoint.once {
            ledger.add_before(Picodollars::new(once.picodollars), once.usage);
        }
        // What failed since the job began was made again by it already, before it was interrupted.
        let begun = context.job().created;
        let is_again = |row: &Scored| request.retry_failed && row.error.is_some() && row.time < begun;
        let kept = there.into_iter().filter(|row| !is_again(row));
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
            health: Mutex::default(),
            targets: Mutex::default(),
            unreached: Mutex::default(),
            once: Mutex::new(checkpoint.once),
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

    /// A call that is about no item. Its answer is kept with the job: it is paid for once, and says the same when the job goes on.
    /// Says why it is not made when a budget is used up.
    pub async fn ask_once(&self, request: &Request) -> Result<std::result::Result<Outcome, String>> {
        let key = request.key.to_string();
        if let Some(once) = self.once.lock().as_ref().filter(|once| once.key == key) {
            return Ok(Ok(Outcome { output: Some(once.output.clone()), usage: once.usage, ..Outcome::default() }));
        }
        if let Err(why) = self.ledger.begin() {
            return Ok(Err(why));
        }
        let mut context = CallContext::of(self.info.project, self.project_name.clone());
        context.tags = vec![format!("{EXPERIMENT_TAG}optimise")];
        let outcome = call::ask(&self.gateway, &context, request, self.context.token()).await;
        self.ledger.end(outcome.output.is_some(), outcome.cost, outcome.usage);
        if let Some(output) = outcome.output.clone() {
            let picodollars = outcome.cost.map_or(0, Picodollars::get);
            *self.once.lock() = Some(Once { key, output, picodollars, usage: outcome.usage });
            self.save_now().await?;
        }
        if self.context.cancelled() { Err(Error::Cancelled) } else { Ok(Ok(outcome)) }
    }

    /// Everything that is there.
    pub fn rows(&self) -> Vec<Scored> {
        self.rows.lock().values().cloned().collect()
    }

    /// Says what names of models stood for when the experiment was made: they are asked as that.
    pub fn pin(&self, targets: &BTreeMap<String, Pinned>) {
        self.targets.lock().extend(targets.clone());
    }

    /// Asks what was not answered before. Says why it stopped early, if it did: since a budget is used up, or calls always fail.
    pub async fn ask_all(&self, asks: Vec<Ask>) -> Result<Option<Stop>> {
        let asked: BTreeSet<(String, String)> = asks
            .iter()
            .map(|Ask { candidate, .. }| (candidate.cell.id.clone(), candidate.cell.model.clone()))
            .collect();
        let answered = |rows: &HashMap<Place, Scored>| -> HashSet<String> {
            rows.values().filter(|row| row.error.is_none()).map(|row| row.cell.clone()).collect()
        };
        let before = answered(&self.rows.lock());
        for (cell, model) in asked.iter().filter(|(cell, _)| before.contains(cell)) {
            self.health.lock().known(cell, model);
        }
        let stopped = self.ask_in_rounds(asks).await?;
        let kept = {
            let answered = answered(&self.rows.lock());
            let all = !matches!(stopped, Some(Stop::Budget(_)));
            self.health.lock().settle(all, |cell| answered.contains(cell))
        };
        self.keep(kept).await?;
        let asked = asked.iter().map(|(cell, model)| (cell.as_str(), model.as_str()));
        match stopped {
            Some(Stop::Budget(why)) => Ok(Some(Stop::Budget(why))),
            stopped => Ok(self.health.lock().given_up(asked).map(Stop::Failed).or(stopped)),
        }
    }

    async fn ask_in_rounds(&self, mut asks: Vec<Ask>) -> Result<Option<Stop>> {
        for _ in 0..ROUNDS {
            self.unreached.lock().clear();
            let targets = self.targets_of(&asks).await;
            let mut rest = asks.clone();
            while !rest.is_empty() {
                let (prepared, later) = prepared(rest, targets.clone()).await?;
                rest = later;
                self.ask_some(prepared).await?;
                if let Some(why) = self.stopped.lock().clone() {
                    return Ok(Some(Stop::Budget(why)));
                }
            }
            let unreached = self.unreached.lock();
            asks.retain(|ask| unreached.contains_key(&ask.place()));
            if asks.is_empty() {
                return Ok(None);
            }
        }
        let unreached = self.unreached.lock();
        let last = unreached.values().next().map_or("", String::as_str);
        Ok(Some(Stop::Failed(format!("{} calls did not reach their model: {last}", unreached.len()))))
    }

    /// What the names of the models that are asked stand for. What was found once holds to the end, so that a cell is one model.
    async fn targets_of(&self, asks: &[Ask]) -> Targets {
        let names: BTreeSet<&str> = asks.iter().map(|ask| ask.candidate.cell.model.as_str()).collect();
        let mut found = HashMap::new();
        for name in names {
            found.insert(name.to_owned(), self.target_of(name).await);
        }
        Arc::new(found)
    }

    async fn target_of(&self, name: &str) -> std::result::Result<Pinned, String> {
        let known = self.targets.lock().get(name).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let target = self.gateway.resolve(self.info.project, name).await.map_err(|error| batch::told(&error))?;
        self.targets.lock().insert(name.to_owned(), target.clone());
        Ok(target)
    }

    /// The vectors of texts, in their order, or why there are none. They are in no row, so a job that is begun again makes them again.
    pub async fn embed(&self, model: &str, texts: &[String]) -> Result<std::result::Result<Vec<Vec<f32>>, Stop>> {
        let failed = |why: String| Stop::Failed(format!("the examples could not be compared by {model}: {why}"));
        let mut context = CallContext::of(self.info.project, self.project_name.clone());
        context.tags = vec![format!("{EXPERIMENT_TAG}{}@{}", self.info.name, self.info.number)];
        // Vectors of two models do not compare, so one is asked for all.
        context.pinned = match self.target_of(model).await {
            Ok(target) => Some(target),
            Err(why) => return Ok(Err(failed(why))),
        };
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(TEXTS_TOGETHER) {
            if self.context.cancelled() {
                return Err(Error::Cancelled);
            }
            if let Err(why) = self.ledger.begin() {
                return Ok(Err(Stop::Budget(why)));
            }
            let texts: Vec<&str> = batch.iter().map(String::as_str).collect();
            let body = embedding::request(model, &texts);
            let token = self.context.token();
            let asked = batch::ask(&self.gateway, &context, Endpoint::Embeddings, body, token.cancelled()).await;
            let (cost, usage) = asked.as_ref().map_or((None, None), |asked| (asked.cost, asked.usage));
            self.ledger.end(asked.is_ok(), cost, usage);
            if self.context.cancelled() {
                return Err(Error::Cancelled);
            }
            let read = asked.map_err(|failure| failure.to_string());
            match read.and_then(|asked| embedding::read(&asked.body, texts.len())) {
                Ok(made) => vectors.extend(made.vectors),
                Err(why) => return Ok(Err(failed(why))),
            }
        }
        Ok(Ok(vectors))
    }

    /// Whether no further calls would be made, not even others.
    pub fn is_over(&self) -> bool {
        self.stopped.lock().is_some() || self.health.lock().has_lost_a_model()
    }

    /// Whether there is an answer to the very same call. One to other words does not count, as after a draw that came out another way.
    fn is_answered(&self, call: &Prepared) -> bool {
        self.rows.lock().get(&call.ask.place()).is_some_and(|row| row.key == call.key)
    }

    async fn ask_some(&self, mut prepared: Vec<Prepared>) -> Result<()> {
        prepared.retain(|call| !self.is_answered(call));
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

    /// Makes calls, several at once. After an error none is begun, and those under way are waited for: they are paid.
    async fn wave(&self, calls: Vec<Prepared>, known: &HashMap<Sha256Hex, Outcome>) -> Result<()> {
        let mut calls = calls.into_iter();
        while self.ledger.is_blind() {
            let Some(call) = calls.next() else { break };
            self.one(call, known).await?;
        }
        let mut failed = None;
        let running = futures::stream::iter(calls.map(|call| self.one(call, known))).buffer_unordered(self.concurrency);
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

    /// One answer, from the cache or the model. Nothing is begun after a stop; what was begun is waited for and kept.
    async fn one(&self, call: Prepared, known: &HashMap<Sha256Hex, Outcome>) -> Result<()> {
        let cell = &call.ask.candidate.cell;
        let is_over = || self.health.lock().is_over(&cell.id, &cell.model);
        if self.context.cancelled() || self.stopped.lock().is_some() || is_over() {
            return Ok(());
        }
        let cached = call.request.as_ref().ok().and_then(|request| known.get(&request.key)).cloned();
        let paid = cached.is_none() && call.request.is_ok();
        if paid && let Err(why) = self.ledger.begin() {
            self.stopped.lock().get_or_insert(why);
            return Ok(());
        }
        let outcome = match (cached, &call.request) {
            (Some(outcome), _) => outcome,
            (None, Ok(request)) => {
                call::ask(&self.gateway, &self.calls_of(&call.ask), request, self.context.token()).await
            }
            (None, Err(outcome)) => outcome.clone(),
        };
        if paid {
            self.ledger.end(outcome.output.is_some(), outcome.cost, outcome.usage);
        }
        // A call that was given up since the job ends is no answer: it is made again when the job goes on.
        if self.context.cancelled() && outcome.error.is_some() {
            return Ok(());
        }
        if outcome.unreached {
            self.miss(&call.ask, outcome.error.unwrap_or_default());
            return Ok(());
        }
        self.judged(self.scored(&call, outcome)).await
    }

    /// Keeps a row, unless it is a refusal of which is not known yet what it says.
    async fn judged(&self, row: ItemRow) -> Result<()> {
        let Outcome { refusal, error, cached, .. } = &row.outcome;
        let (refusal, failed, cached) = (refusal.clone(), error.is_some(), *cached);
        let rows = match refusal {
            Some(kind) => self.health.lock().refused(row, &kind),
            // What a model said some other day says nothing of how it does now, only that it could.
            None if cached => {
                self.health.lock().known(&row.cell, &row.model);
                vec![row]
            }
            None if failed => self.health.lock().silent(row),
            None => self.health.lock().answered(row),
        };
        self.keep(rows).await?;
        self.save().await
    }

    /// Keeps rows: they are on disk before they count.
    async fn keep(&self, rows: Vec<ItemRow>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        table::keep(&self.lake, &rows).await?;
        let scored = rows.iter().map(Scored::from).map(|row| ((row.cell.clone(), row.item, row.repeat), row));
        self.rows.lock().extend(scored);
        self.tell();
        Ok(())
    }

    /// How the calls of a cell are traced.
    fn calls_of(&self, ask: &Ask) -> CallContext {
        let mut context = CallContext::of(self.info.project, self.project_name.clone());
        let cell = &ask.candidate.cell;
        let experiment = format!("{}@{}", self.info.name, self.info.number);
        let name = ask.candidate.prompt.info.name.clone();
        context.prompt = ask.candidate.as_stored.then_some(PromptVersion { name, number: cell.version });
        context.tags = vec![format!("{EXPERIMENT_TAG}{experiment}"), format!("cell:{experiment}/{}", cell.id)];
        context
    }

    fn scored(&self, Prepared { ask, request, key }: &Prepared, outcome: Outcome) -> ItemRow {
        let answer = Answer {
            text: outcome.output.as_deref(),
            references: &ask.item.references,
            // Of an answer from an earlier experiment it tells how busy the model was then, which is no pair to one of now.
            latency_ms: outcome.latency_ms.filter(|_| !outcome.cached),
            cost: outcome.cost,
            output_tokens: outcome.usage.map(|usage| usage.output_tokens),
        };
        // Of a call that failed a score is told as missing only where an answer, if only of no words, would have one.
        let empty = Answer { text: Some(""), ..answer };
        let tells = |scorer: &Scorer| answer.text.is_some() || scorer.score(&empty).is_ok();
        let scorers = self.scorers.iter().filter(|scorer| tells(scorer));
        let scores = scorers.map(|scorer| (scorer.name().to_owned(), scorer.score(&answer).ok())).collect();
        let Cell { id, prompt, version, model, .. } = &ask.candidate.cell;
        ItemRow {
            project: self.project_name.clone(),
            time: Timestamp::now(),
            experiment: self.info.id,
            cell: id.clone(),
            item: ask.item.row.index,
            row_id: ask.item.row.id.clone(),
            repeat: ask.repeat,
            key: *key,
            target: request.as_ref().ok().and_then(|request| Some(request.target.as_ref()?.to_string())),
            model: model.clone(),
            prompt: prompt.clone(),
            prompt_version: *version,
            scores,
            outcome,
        }
    }

    /// Notes that a call did not reach its model. After several in a row that is not asked any more.
    fn miss(&self, ask: &Ask, why: String) {
        self.health.lock().unreached(&ask.candidate.cell.model, &why);
        self.unreached.lock().insert(ask.place(), why);
    }

    fn tell(&self) {
        let (done, spent) = (self.rows.lock().len(), self.ledger.spent());
        let total = self.total.load(Ordering::Relaxed).max(done);
        let unpriced = match spent.unpriced {
            0 => String::new(),
            calls => format!(" and {calls} calls whose price is not known"),
        };
        let message = format!("{done} of {total} answers, {} spent{unpriced}", spent.cost);
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
        let once = self.once.lock().clone();
        Ok(self.context.save_checkpoint(&json!(Checkpoint { worked_ms, once })).await?)
    }

    /// What the job ends with, which is noted with the experiment too: a job is forgotten some day.
    pub async fn end(&self, mut ending: Value) -> Result<Value> {
        let (rows, spent) = (self.rows(), self.ledger.spent());
        ending["answers"] = json!(rows.len());
        ending["failed"] = json!(rows.iter().filter(|row| row.error.is_some()).count());
        ending["spent"] = json!(spent.cost);
        ending["tokens"] = json!(spent.tokens);
        ending["unpriced"] = json!(spent.unpriced);
        self.catalog.end_experiment(self.info.id, self.context.job().id, &ending).await?;
        Ok(ending)
    }
}

/// The first of these calls, as many as may be in memory at once, and the rest. Prompts are rendered beside the threads that answer.
async fn prepared(asks: Vec<Ask>, targets: Targets) -> Result<(Vec<Prepared>, Vec<Ask>)> {
    let work = move || {
        let (mut size_bytes, mut ready) = (0, Vec::new());
        let mut asks = asks.into_iter();
        while ready.len() < CALLS_TOGETHER && size_bytes < BYTES_TOGETHER {
            let Some(ask) = asks.next() else { break };
            let call = prepare(ask, &targets);
            size_bytes += call.request.as_ref().map_or(0, |request| json!(request.body).to_string().len());
            ready.push(call);
        }
        (ready, asks.collect())
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { doing: "rendering prompts" })
}

fn prepare(ask: Ask, targets: &HashMap<String, std::result::Result<Pinned, String>>) -> Prepared {
    let request = match targets.get(&ask.candidate.cell.model) {
        Some(Ok(target)) => ask
            .candidate
            .request(&ask.item, ask.repeat, target)
            .map_err(|error| Outcome::refused("the prompt cannot be rendered", error)),
        Some(Err(why)) => Err(Outcome::unreached(why)),
        None => Err(Outcome::unreached("nobody looked for its model")),
    };
    let why = |outcome: &Outcome| Sha256Hex::of(outcome.error.as_deref().unwrap_or_default().as_bytes());
    let key = request.as_ref().map_or_else(why, |request| request.key);
    Prepared { ask, request, key }
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
        let record = self.catalog.experiment(request.experiment).await?;
        if let Some(record) = record.filter(|record| record.job != context.job().id) {
            return Err(Error::Replaced { job: record.job });
        }
        let version = self.catalog.version_by_id(request.experiment).await?;
        let content: Content = version.read_content()?;
        let project = self.catalog.project_by_id(version.info.project).await?.name;
        let definition = content.definition;
        let session =
            Session::open(self, context, request, (version.info.clone(), project.clone(), &definition)).await?;
        session.pin(&content.models);
        let plan = self.sources.plan(version.info, project, definition, &content.examples).await?;
        match sweep(&session, &plan).await? {
            None => session.end(json!({"state": "finished", "why": null})).await,
            Some(Stop::Budget(why)) => session.end(json!({"state": "stopped", "why": why})).await,
            Some(Stop::Failed(why)) => {
                session.end(json!({"state": "failed", "why": why})).await?;
                Err(Error::Unanswered { why })
            }
        }
    }
}

/// Asks what the search asks for. Says why it stopped early, if it did.
async fn sweep(session: &Session, plan: &Plan) -> Result<Option<Stop>> {
    if let Some(stop) = find_similar(session, plan).await? {
        return Ok(Some(stop));
    }
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

/// Looks for the examples that are most like each item, where cells show such.
async fn find_similar(session: &Session, plan: &Plan) -> Result<Option<Stop>> {
    let mut known: HashMap<(String, String), Vec<f32>> = HashMap::new();
    for candidate in &plan.candidates {
        let Shown::Similar(neighbours) = &candidate.examples else { continue };
        if neighbours.is_found() {
            continue;
        }
        let model = neighbours.model();
        let texts = neighbours.texts(&candidate.prompt, &candidate.mapping, &plan.items);
        let mut seen = HashSet::new();
        let mut missing: Vec<String> = Vec::new();
        for text in &texts {
            if !known.contains_key(&(model.to_owned(), text.clone())) && seen.insert(text) {
                missing.push(text.clone());
            }
        }
        match session.embed(model, &missing).await? {
            Ok(vectors) => known.extend(missing.into_iter().map(|text| (model.to_owned(), text)).zip(vectors)),
            Err(stop) => return Ok(Some(stop)),
        }
        let vectors: Vec<Vec<f32>> =
            texts.into_iter().map(|text| known.get(&(model.to_owned(), text)).cloned().unwrap_or_default()).collect();
        let (neighbours, items) = (Arc::clone(neighbours), plan.items.clone());
        let found = tokio::task::spawn_blocking(move || neighbours.find(&items, &vectors));
        found.await.map_err(|_| Error::Broken { doing: "comparing examples" })??;
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
pub(crate) fn expected(plan: &Plan, sizes: &[usize], rung: usize, alive: usize) -> usize {
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
