//! Running an evaluation as a job: what is there is read, what is missing is asked and looked at, and every row is kept before it counts.

mod asking;
mod looking;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use qd_base::{ProjectName, VersionId};
use qd_catalog::{Catalog, Handler, JobContext, JobError, JobKind, VersionInfo};
use qd_experiment::call::Outcome;
use qd_experiment::health::{Health, Waiting as _};
use qd_gateway::batch::{self, Ledger, Spent};
use qd_gateway::{CallContext, Gateway, Pinned};
use qd_lake::Lake;
use qd_trace::EVALUATION_TAG;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bertscore::Weights;
use crate::definition::Budget;
use crate::evaluations::{Content, Evaluations};
use crate::paid::embedder;
use crate::plan::{From, Plan};
use crate::scorer::Look;
use crate::table::{self, ItemRow, Place, Scored};
use crate::{Error, Result};

/// The kind of these jobs.
pub const KIND: &str = "evaluation.run";
/// Items that all targets answer, and all judges look at, before the next ones come: whoever stops has the same items of all. More where
/// more calls are under way at once.
const ITEMS_TOGETHER: usize = 8;
/// How often calls that did not reach a model are made again before the job ends without them.
const ROUNDS: usize = 3;
/// How much of its time budget a job may forget in a crash.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);

/// What a job is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The version of the evaluation.
    pub evaluation: VersionId,
    /// Whether calls that failed before are made again.
    #[serde(default)]
    pub retry_failed: bool,
    /// Another budget than the definition's.
    #[serde(default)]
    pub budget: Option<Budget>,
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
enum Stop {
    /// A budget is used up.
    Budget(String),
    /// Calls always fail.
    Failed(String),
}

/// A job's work: asks, looks, keeps, counts.
struct Session {
    context: JobContext,
    catalog: Catalog,
    lake: Lake,
    gateway: Gateway,
    info: VersionInfo,
    project_name: ProjectName,
    plan: Plan,
    /// What names of models stood for when the evaluation was made.
    models: BTreeMap<String, Pinned>,
    ledger: Ledger,
    /// How much tokens count, for each scorer that compares them, as it was first needed.
    weights: Mutex<HashMap<String, Arc<Weights>>>,
    rows: Mutex<HashMap<Place, Scored>>,
    /// Rows of calls that are made again.
    again: Mutex<HashMap<Place, Scored>>,
    /// What refusals took whose rows are held back.
    held: Mutex<HashMap<Place, Spent>>,
    health: Mutex<Health<ItemRow>>,
    /// Calls that did not reach their model, with why: they have no rows, and are made again.
    unreached: Mutex<HashMap<Place, String>>,
    /// Why no further calls are begun.
    stopped: Mutex<Option<String>>,
    saved: Mutex<Instant>,
}

impl Session {
    async fn open(
        evaluations: &Evaluations,
        context: JobContext,
        request: &RunRequest,
        (info, project_name, content): (VersionInfo, ProjectName, Content),
    ) -> Result<Self> {
        let there = table::scored(&evaluations.lake, info.id).await?;
        let begun = Checkpoint { worked_ms: 0, aside: request.aside };
        let Checkpoint { worked_ms, aside } = context.checkpoint().unwrap_or(begun);
        let budget = request.budget.unwrap_or(content.definition.budget);
        let ledger = Ledger::new(budget, Duration::from_millis(worked_ms), table::spent(&there)).with_aside(aside);
        let there = there.into_iter().map(|row| (row.place(), row));
        let (again, rows) = there.partition(|(_, row)| request.retry_failed && row.error.is_some());
        let name = (&info.name, project_name.clone());
        let plan = evaluations.desk.plan(info.project, name, content.definition, &content.examples).await?;
        Ok(Self {
            catalog: evaluations.catalog.clone(),
            lake: evaluations.lake.clone(),
            gateway: evaluations.gateway.clone(),
            info,
            project_name,
            plan,
            models: content.models,
            ledger,
            weights: Mutex::default(),
            rows: Mutex::new(rows),
            again: Mutex::new(again),
            held: Mutex::default(),
            health: Mutex::default(),
            unreached: Mutex::default(),
            stopped: Mutex::new(None),
            saved: Mutex::new(Instant::now()),
            context,
        })
    }

    /// Does what is missing. Says why it stopped early, if it did.
    async fn work(&self) -> Result<Option<Stop>> {
        self.tell();
        self.take_columns().await?;
        if let Some(stop) = self.find_similar().await? {
            return Ok(Some(stop));
        }
        self.remember_answers();
        for _ in 0..ROUNDS {
            self.unreached.lock().clear();
            for items in self.plan.items.chunks(ITEMS_TOGETHER.max(self.plan.definition.concurrency)) {
                self.ask(items).await?;
                self.look(items).await?;
                let stopped = self.stopped.lock().clone();
                if let Some(why) = stopped {
                    return self.settled(Some(Stop::Budget(why))).await;
                }
            }
            let all_reached = self.unreached.lock().is_empty();
            if all_reached {
                return self.settled(None).await;
            }
        }
        let why = {
            let unreached = self.unreached.lock();
            let last = unreached.values().next().map_or("", String::as_str);
            format!("{} calls did not reach their model: {last}", unreached.len())
        };
        self.settled(Some(Stop::Failed(why))).await
    }

    /// Who asks, each with its model, as its health is counted.
    fn askers(&self) -> Vec<(String, String)> {
        let targets = self.plan.targets.iter().filter_map(|target| match &target.from {
            From::Model(candidate) => Some((target.name.clone(), candidate.cell.model.clone())),
            From::Column(_) => None,
        });
        let judges = self.plan.judges.iter().map(|(name, bench)| (name.clone(), bench.stored.reference()));
        let embedders = self.plan.readers.iter().filter_map(|reader| match &reader.look {
            Look::Embeddings(similarity) => Some((reader.name().to_owned(), embedder(&similarity.model).to_owned())),
            Look::Tokens(similarity) => Some((reader.name().to_owned(), embedder(&similarity.model).to_owned())),
            _ => None,
        });
        targets.chain(judges).chain(embedders).collect()
    }

    /// Who was answered before can be answered: refusals are those of items.
    fn remember_answers(&self) {
        let answered = self.answered();
        for (asker, model) in self.askers() {
            if answered.contains(&asker) {
                self.health.lock().known(&asker, &model);
            }
        }
    }

    fn answered(&self) -> HashSet<String> {
        let rows = self.rows.lock();
        let answered = rows.values().filter(|row| row.error.is_none() && row.was_asked);
        answered.map(|row| row.scorer.clone().unwrap_or_else(|| row.target.clone())).collect()
    }

    /// Keeps what was held back, as far as it says something.
    async fn settled(&self, stop: Option<Stop>) -> Result<Option<Stop>> {
        let answered = self.answered();
        let all = !matches!(stop, Some(Stop::Budget(_)));
        let kept = self.health.lock().settle(all, |asker| answered.contains(asker));
        self.keep(kept).await?;
        let lost: Vec<Spent> = self.held.lock().drain().map(|(_, spent)| spent).collect();
        lost.into_iter().for_each(|spent| self.ledger.set_aside(spent));
        if matches!(stop, Some(Stop::Budget(_))) {
            return Ok(stop);
        }
        let askers = self.askers();
        let asked = askers.iter().map(|(asker, model)| (asker.as_str(), model.as_str()));
        Ok(self.health.lock().given_up(asked).map(Stop::Failed).or(stop))
    }

    /// How calls of this evaluation are traced.
    fn calls(&self) -> CallContext {
        let mut context = CallContext::of(self.info.project, self.project_name.clone());
        context.tags = vec![format!("{EVALUATION_TAG}{}@{}", self.info.name, self.info.number)];
        context
    }

    /// What a name of a model stands for: what it did when the evaluation was made, or now where it stood for nothing then.
    async fn stands_for(&self, model: &str) -> std::result::Result<Pinned, String> {
        match self.models.get(model) {
            Some(known) => Ok(known.clone()),
            None => self.gateway.resolve(self.info.project, model).await.map_err(|error| batch::told(&error)),
        }
    }

    /// Makes calls, several at once. Those that are `free`, since they were made before, do not wait for the first `paid` one to tell what a
    /// call takes.
    async fn wave<'a, C, F>(&'a self, free: Vec<C>, paid: Vec<C>, one: impl Fn(C) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + 'a,
    {
        self.together(free.into_iter(), &one).await?;
        let mut paid = paid.into_iter();
        while self.ledger.is_blind() {
            let Some(call) = paid.next() else { break };
            one(call).await?;
        }
        self.together(paid, &one).await
    }

    /// Makes calls, several at once. After an error none is begun, and those under way are waited for: they are paid.
    async fn together<'a, C, F>(&'a self, calls: std::vec::IntoIter<C>, one: &impl Fn(C) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + 'a,
    {
        let mut failed = None;
        let running = futures::stream::iter(calls.map(one)).buffer_unordered(self.plan.definition.concurrency);
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

    /// Whether nothing is begun any more for whom `asker` asks.
    fn is_over(&self, asker: &str, model: &str) -> bool {
        self.context.cancelled() || self.stopped.lock().is_some() || self.health.lock().is_over(asker, model)
    }

    /// Whether an outcome is one of its item. A call that was given up since the job ends, or did not reach its model, is none.
    fn counts(&self, place: &Place, model: &str, outcome: &Outcome) -> bool {
        if self.context.cancelled() && outcome.error.is_some() {
            return false;
        }
        if outcome.unreached {
            let why = outcome.error.clone().unwrap_or_default();
            self.health.lock().unreached(model, &why);
            self.unreached.lock().insert(place.clone(), why);
        }
        !outcome.unreached
    }

    /// Keeps a row, unless it is a refusal of which is not known yet what it says.
    async fn judge_health(&self, row: ItemRow) -> Result<()> {
        let Outcome { refusal, error, cached, .. } = &row.outcome;
        let (refusal, failed, cached) = (refusal.clone(), error.is_some(), *cached);
        if let Some(spent) = Scored::from(&row).paid().filter(|spent| refusal.is_some() && !spent.is_nothing()) {
            self.held.lock().insert(Scored::from(&row).place(), spent);
        }
        let rows = {
            let mut health = self.health.lock();
            match refusal {
                Some(kind) => health.refused(row, &kind),
                None if cached => {
                    health.known(row.cell(), row.model());
                    vec![row]
                }
                None if failed => health.silent(row),
                None => health.answered(row),
            }
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
        let mut replaced = Spent::default();
        for row in rows.iter().map(Scored::from) {
            let place = row.place();
            self.held.lock().remove(&place);
            let again = self.again.lock().remove(&place);
            let before = self.rows.lock().insert(place, row).or(again);
            before.and_then(|before| before.paid()).into_iter().for_each(|paid| replaced.join(paid));
        }
        self.tell();
        self.set_aside(replaced).await
    }

    /// Notes what was spent and no row tells, before anything else is.
    async fn set_aside(&self, spent: Spent) -> Result<()> {
        if spent.is_nothing() {
            return Ok(());
        }
        self.ledger.set_aside(spent);
        self.save_now().await
    }

    /// What was spent and no row tells: what is held back may get its row.
    fn aside(&self) -> Spent {
        let mut aside = self.ledger.aside();
        self.held.lock().values().for_each(|spent| aside.join(*spent));
        aside
    }

    fn tell(&self) {
        let (done, spent) = (self.rows.lock().len(), self.ledger.spent());
        let paid = self.plan.readers.iter().filter(|reader| reader.is_paid()).count();
        let total = (self.plan.items.len() * self.plan.targets.len() * (1 + paid)).max(done);
        let unpriced = match spent.unpriced {
            0 => String::new(),
            calls => format!(" and {calls} calls whose price is not known"),
        };
        let words = if paid > 0 { "answers and words of judges" } else { "answers" };
        let message = format!("{done} of {total} {words}, {} spent{unpriced}", spent.cost);
        self.context.progress(done as u64, Some(total as u64), message);
    }

    /// Keeps how long was worked, now and then: a budget of time holds across a crash.
    async fn save(&self) -> Result<()> {
        {
            let mut saved = self.saved.lock();
            if saved.elapsed() < CHECKPOINT_EVERY {
                return Ok(());
            }
            *saved = Instant::now();
        }
        self.save_now().await
    }

    async fn save_now(&self) -> Result<()> {
        let worked_ms = u64::try_from(self.ledger.worked().as_millis()).unwrap_or(u64::MAX);
        let checkpoint = Checkpoint { worked_ms, aside: self.aside() };
        Ok(self.context.save_checkpoint(&json!(checkpoint)).await?)
    }

    /// What the job ends with, which is noted with the evaluation too: a job is forgotten some day.
    async fn end(&self, state: &str, why: Option<&str>) -> Result<Value> {
        let spent = self.ledger.spent();
        let (rows, failed) = {
            let rows = self.rows.lock();
            (rows.len(), rows.values().filter(|row| row.error.is_some()).count())
        };
        let ending = json!({
            "state": state, "why": why, "rows": rows, "failed": failed,
            "spent": spent.cost, "tokens": spent.tokens, "unpriced": spent.unpriced, "aside": self.aside(),
        });
        self.catalog.end_experiment(self.info.id, self.context.job().id, &ending).await?;
        Ok(ending)
    }
}

/// The names of models that a plan asks, judges' not included: those are pinned with the judge.
pub(crate) fn models_of(plan: &Plan) -> BTreeSet<String> {
    let targets = plan.targets.iter().filter_map(|target| match &target.from {
        From::Model(candidate) => Some(candidate.cell.model.clone()),
        From::Column(_) => None,
    });
    let embedders = plan.readers.iter().filter_map(|reader| match &reader.look {
        Look::Embeddings(similarity) => Some(embedder(&similarity.model).to_owned()),
        Look::Tokens(similarity) => Some(embedder(&similarity.model).to_owned()),
        _ => None,
    });
    targets.chain(embedders).collect()
}

/// Runs `evaluation.run` jobs; their result says how the evaluation ended.
#[derive(Clone)]
pub struct RunHandler {
    evaluations: Evaluations,
}

impl RunHandler {
    /// A handler that runs `evaluations`.
    pub fn new(evaluations: Evaluations) -> Self {
        Self { evaluations }
    }

    async fn run(self, context: JobContext) -> std::result::Result<Value, JobError> {
        let request: RunRequest = context.payload()?;
        match self.evaluations.run(context, &request).await {
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

impl Evaluations {
    /// Does what is missing of an evaluation.
    async fn run(&self, context: JobContext, request: &RunRequest) -> Result<Value> {
        let record = self.catalog.experiment(request.evaluation).await?;
        if let Some(record) = record.filter(|record| record.job != context.job().id) {
            return Err(Error::Replaced { job: record.job });
        }
        let version = self.catalog.version_by_id(request.evaluation).await?;
        let content: Content = version.read_content()?;
        let project = self.catalog.project_by_id(version.info.project).await?.name;
        let session = Session::open(self, context, request, (version.info, project, content)).await?;
        match session.work().await? {
            None => session.end("finished", None).await,
            Some(Stop::Budget(why)) => session.end("stopped", Some(&why)).await,
            Some(Stop::Failed(why)) => {
                session.end("failed", Some(&why)).await?;
                Err(Error::Unanswered { why })
            }
        }
    }
}
