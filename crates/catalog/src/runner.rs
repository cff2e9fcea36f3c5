//! The one runner of jobs: it claims what waits, keeps the lease while a handler works, and records how it ends.
//!
//! A runner is woken when a job is queued in its process; a slow timer finds leases that expired and retries that
//! are due. Handlers see cancellation and shut-down as one token; what they return decides what becomes of the job.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use qd_base::{JobId, ProjectId, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::job::{Job, JobKind, Progress, Signal};
use crate::queue::{Ending, Hold};
use crate::{Catalog, Error, Result};

/// Progress reaches the catalog this often at most; the last one always does.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Finished jobs are looked through this often for those that are forgotten.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// What a handler says in the end.
pub type Answer = std::result::Result<Value, JobError>;

/// Something that can do jobs of one kind.
///
/// A job may be begun again after a crash, so what a handler does must bear being done twice; a checkpoint says
/// where to go on.
pub trait Handler: Send + Sync + 'static {
    /// The kind of jobs it does.
    fn kind(&self) -> JobKind;

    /// Does one job. It should look at [`JobContext::token`] often enough to end within seconds.
    fn run(&self, context: JobContext) -> BoxFuture<'static, Answer>;
}

/// Why a handler did not do its job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobError {
    /// It was told to end, and did.
    #[error("cancelled")]
    Cancelled,
    /// It cannot be done.
    #[error("{message}")]
    Failed { message: String },
    /// It may work later.
    #[error("{message}")]
    Retry { message: String, after: Duration },
    /// It did what there was to do for now, and is to be begun again after a while: a job that comes again and again is
    /// one job.
    #[error("to be begun again")]
    Again { after: Duration },
}

impl JobError {
    /// A failure with the words of an error and of all its causes.
    pub fn failed(error: &dyn std::error::Error) -> Self {
        Self::Failed { message: chain(error) }
    }

    /// A failure that may pass by itself.
    pub fn retry(error: &dyn std::error::Error, after: Duration) -> Self {
        Self::Retry { message: chain(error), after }
    }
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        Self::failed(&error)
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message.push_str(": ");
        message.push_str(&error.to_string());
        cause = error.source();
    }
    message
}

/// What a handler is given.
#[derive(Clone)]
pub struct JobContext {
    catalog: Catalog,
    job: Arc<Job>,
    hold: Arc<Hold>,
    token: CancellationToken,
    progress: watch::Sender<Progress>,
}

impl JobContext {
    /// The job, as it was when this attempt began.
    pub fn job(&self) -> &Job {
        &self.job
    }

    /// The project that the job belongs to.
    pub fn project(&self) -> ProjectId {
        self.job.project
    }

    /// What the job was given, as the handler's own type.
    ///
    /// # Errors
    /// [`JobError::Failed`] when it is not such a value.
    pub fn payload<T: DeserializeOwned>(&self) -> std::result::Result<T, JobError> {
        T::deserialize(&self.job.payload)
            .map_err(|cause| JobError::Failed { message: format!("the payload is not what this job takes: {cause}") })
    }

    /// Where to go on; `None` when no attempt before this one saved a checkpoint, or it was another type's.
    pub fn checkpoint<T: DeserializeOwned>(&self) -> Option<T> {
        T::deserialize(self.job.checkpoint.as_ref()?).ok()
    }

    /// Keeps where to go on after a crash. It is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::LeaseLost`] when another runner has the job by now: then end.
    pub async fn save_checkpoint(&self, checkpoint: &Value) -> Result<()> {
        self.catalog.save_checkpoint(&self.hold, checkpoint).await
    }

    /// Tells how far the job is. Cheap enough to call for each piece of work: it does not wait for the disk.
    pub fn progress(&self, done: u64, total: Option<u64>, message: impl Into<String>) {
        self.progress.send_replace(Progress { done, total, message: message.into() });
    }

    /// Whether the handler should end, since the job was cancelled or the process shuts down.
    pub fn cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The token that says so, to be waited for or passed on.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

/// How a runner works.
#[derive(Debug, Clone)]
pub struct RunnerConfig {
    /// How many jobs run at once.
    pub slots: usize,
    /// How long a runner may be silent before its jobs are given to another. It renews three times as often.
    pub lease: Duration,
    /// How long a handler may take to end after it was told to, before it is dropped.
    pub grace: Duration,
    /// Whether no other process can hold jobs of this catalog. Then those that are marked as running were left by a
    /// process that died, and are begun again at once instead of when their lease expires.
    pub sole: bool,
    /// How long a finished job is remembered; `None` for ever.
    pub keep: Option<Duration>,
    /// The most finished jobs that are remembered.
    pub keep_most: u64,
}

impl Default for RunnerConfig {
    fn default() -> Self {
        Self {
            slots: 2,
            lease: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            sole: true,
            keep: Some(Duration::from_secs(30 * 24 * 3600)),
            keep_most: 10_000,
        }
    }
}

/// A runner that has not started.
pub struct Runner {
    catalog: Catalog,
    handlers: HashMap<JobKind, Arc<dyn Handler>>,
    config: RunnerConfig,
}

impl Runner {
    /// A runner of these handlers.
    pub fn new(catalog: Catalog, handlers: impl IntoIterator<Item = Arc<dyn Handler>>) -> Self {
        let handlers = handlers.into_iter().map(|handler| (handler.kind(), handler)).collect();
        Self { catalog, handlers, config: RunnerConfig::default() }
    }

    /// The same runner, configured.
    #[must_use]
    pub fn with_config(self, config: RunnerConfig) -> Self {
        Self { config, ..self }
    }

    /// Starts to run jobs, within the present Tokio runtime.
    pub fn start(self) -> Running {
        let stop = CancellationToken::new();
        // Listening begins now, so that a job which is queued right after is heard of.
        let signals = self.catalog.inner().signals.subscribe();
        let work = Loop {
            kinds: self.handlers.keys().cloned().collect(),
            owner: qd_base::RequestId::new().to_string(),
            runner: self,
            attempts: JoinSet::new(),
            tokens: HashMap::new(),
            look: true,
            stop: stop.clone(),
        };
        Running { task: tokio::spawn(work.run(signals)), stop }
    }
}

/// A runner at work. Dropped, it goes on until the runtime ends; what it held is then begun again by the next.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    /// Stops claiming jobs, tells the handlers to end, and waits until each has or its grace is over. Jobs that did
    /// not finish are queued again without counting as an attempt.
    pub async fn shutdown(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the runner of jobs broke down");
        }
    }
}

/// The runner's main loop and what it knows.
struct Loop {
    runner: Runner,
    kinds: Vec<JobKind>,
    owner: String,
    attempts: JoinSet<JobId>,
    tokens: HashMap<JobId, CancellationToken>,
    /// Whether a job may wait that was not seen yet.
    look: bool,
    stop: CancellationToken,
}

impl Loop {
    async fn run(mut self, mut signals: broadcast::Receiver<Signal>) {
        let first = if self.runner.config.sole { Timestamp::MAX } else { Timestamp::now() };
        self.reclaim(first).await;
        let mut timer = beats(self.runner.config.lease);
        // The first tick comes at once: a server that is restarted every day forgets too.
        let mut prune = tokio::time::interval(PRUNE_EVERY);
        while !self.stop.is_cancelled() {
            // Not a branch of the select: a claim that is dropped half-way would leave a job to nobody.
            self.fill_slots().await;
            tokio::select! {
                () = self.stop.cancelled() => {}
                Some(ended) = self.attempts.join_next() => self.forget(ended),
                _ = timer.tick() => self.reclaim(Timestamp::now()).await,
                _ = prune.tick() => self.prune().await,
                signal = signals.recv() => self.hear(signal),
            }
        }
        while let Some(ended) = self.attempts.join_next().await {
            self.forget(ended);
        }
    }

    fn hear(&mut self, signal: std::result::Result<Signal, RecvError>) {
        match signal {
            Ok(Signal::CancelRequested(job)) => {
                if let Some(token) = self.tokens.get(&job) {
                    token.cancel();
                }
            }
            Ok(Signal::Happened(_)) => {}
            // Of signals that were missed, cancellations are seen when the lease is renewed.
            Ok(Signal::Queued) | Err(_) => self.look = true,
        }
    }

    fn forget(&mut self, ended: std::result::Result<JobId, JoinError>) {
        match ended {
            Ok(job) => drop(self.tokens.remove(&job)),
            Err(error) => tracing::error!(%error, "an attempt at a job broke down; its lease will expire"),
        }
    }

    async fn reclaim(&mut self, now: Timestamp) {
        // Retries fall due without a signal.
        self.look = true;
        match self.runner.catalog.reclaim(now).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "begin again jobs whose runner went away"),
            Err(error) => tracing::error!(error = %chain(&error), "cannot look for jobs whose runner went away"),
        }
    }

    async fn prune(&self) {
        let config = &self.runner.config;
        let before = config.keep.map_or(Timestamp::MIN, |keep| Timestamp::now().saturating_sub(keep));
        match self.runner.catalog.prune_jobs(before, config.keep_most).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "forgot finished jobs"),
            Err(error) => tracing::error!(error = %chain(&error), "cannot forget finished jobs"),
        }
    }

    async fn fill_slots(&mut self) {
        while self.look && self.attempts.len() < self.runner.config.slots && !self.stop.is_cancelled() {
            match self.runner.catalog.claim(&self.owner, &self.kinds, self.runner.config.lease).await {
                Ok(Some((job, hold))) => self.begin(job, hold),
                Ok(None) => self.look = false,
                Err(error) => {
                    tracing::error!(error = %chain(&error), "cannot claim a job; trying again later");
                    self.look = false;
                }
            }
        }
    }

    fn begin(&mut self, job: Job, hold: Hold) {
        // Only kinds that have a handler are claimed.
        let Some(handler) = self.runner.handlers.get(&job.kind) else { return };
        let attempt = Attempt {
            catalog: self.runner.catalog.clone(),
            config: self.runner.config.clone(),
            progress: watch::Sender::new(Progress::default()),
            token: CancellationToken::new(),
            stop: self.stop.clone(),
            hold,
        };
        self.tokens.insert(job.id, attempt.token.clone());
        // Before the handler begins, so that its first progress counts as news.
        let progress = attempt.progress.subscribe();
        let context = attempt.context(job);
        let handler = tokio::spawn(handler.run(context));
        self.attempts.spawn(attempt.run(AbortOnDropHandle::new(handler), progress));
    }
}

/// A handler at work; dropped when it is not waited for any more.
type Work = AbortOnDropHandle<Answer>;

/// One attempt at one job: everything beside the handler's own work.
struct Attempt {
    catalog: Catalog,
    hold: Hold,
    config: RunnerConfig,
    progress: watch::Sender<Progress>,
    token: CancellationToken,
    stop: CancellationToken,
}

impl Attempt {
    fn context(&self, job: Job) -> JobContext {
        JobContext {
            catalog: self.catalog.clone(),
            job: Arc::new(job),
            hold: Arc::new(self.hold.clone()),
            token: self.token.clone(),
            progress: self.progress.clone(),
        }
    }

    async fn run(self, handler: Work, mut progress: watch::Receiver<Progress>) -> JobId {
        if let Some(ending) = self.attend(handler, &mut progress).await {
            let last = progress.has_changed().unwrap_or(false).then(|| progress.borrow().clone());
            self.finish(ending, last).await;
        }
        self.hold.job
    }

    /// Keeps the lease and records progress until the handler is done; `None` when the job is not ours any more,
    /// and then the handler is dropped.
    async fn attend(&self, mut handler: Work, progress: &mut watch::Receiver<Progress>) -> Option<Ending> {
        let mut beat = beats(self.config.lease);
        let mut next_record = Instant::now();
        let mut deadline = None;
        loop {
            tokio::select! {
                outcome = &mut handler => return Some(self.ending(outcome)),
                _ = beat.tick() => self.renew().await?,
                () = self.stop.cancelled(), if !self.token.is_cancelled() => self.token.cancel(),
                () = self.token.cancelled(), if deadline.is_none() => deadline = Some(Instant::now() + self.config.grace),
                () = reached(deadline) => return Some(self.overdue()),
                () = changed(progress, next_record) => {
                    self.record(progress).await?;
                    next_record = Instant::now() + PROGRESS_EVERY;
                }
            }
        }
    }

    /// `None` when the lease is lost. Other errors may pass before it is.
    async fn renew(&self) -> Option<()> {
        match self.catalog.renew(&self.hold, self.config.lease).await {
            Ok(true) => self.token.cancel(),
            Ok(false) => {}
            Err(error) => return self.survive(&error),
        }
        Some(())
    }

    async fn record(&self, progress: &mut watch::Receiver<Progress>) -> Option<()> {
        let now = progress.borrow_and_update().clone();
        match self.catalog.record_progress(&self.hold, &now).await {
            Ok(()) => Some(()),
            Err(error) => self.survive(&error),
        }
    }

    fn survive(&self, error: &Error) -> Option<()> {
        tracing::warn!(job = %self.hold.job, error = %chain(error), "cannot keep a job up to date");
        if !matches!(error, Error::LeaseLost { .. }) {
            return Some(());
        }
        self.token.cancel();
        None
    }

    fn ending(&self, outcome: std::result::Result<Answer, JoinError>) -> Ending {
        match outcome {
            Ok(Ok(result)) => Ending::Succeeded(result),
            Ok(Err(JobError::Cancelled)) if self.stop.is_cancelled() => Ending::Released,
            Ok(Err(JobError::Cancelled)) => Ending::Cancelled(String::new()),
            Ok(Err(JobError::Failed { message })) => Ending::Failed(message),
            Ok(Err(JobError::Retry { message, after })) => Ending::Retry { message, after },
            Ok(Err(JobError::Again { after })) => Ending::Again { after },
            Err(broken) => Ending::Failed(panic_message(broken)),
        }
    }

    fn overdue(&self) -> Ending {
        if self.stop.is_cancelled() {
            Ending::Released
        } else {
            Ending::Cancelled("it was told to end, did not, and was dropped".to_owned())
        }
    }

    /// What a handler did must not be lost to a passing trouble of the disk; after the last try the lease expires
    /// and the job is begun again.
    async fn finish(&self, ending: Ending, last: Option<Progress>) {
        for wait in FINISH_WAITS {
            match self.catalog.finish(&self.hold, ending.clone(), last.as_ref()).await {
                Ok(_) => return,
                Err(error) => {
                    tracing::error!(job = %self.hold.job, error = %chain(&error), "cannot record how a job ended");
                    if matches!(error, Error::LeaseLost { .. }) {
                        return;
                    }
                }
            }
            tokio::time::sleep(wait).await;
        }
    }
}

const FINISH_WAITS: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(500), Duration::from_secs(2), Duration::ZERO];

/// A timer that fires three times a lease, for the first time after a third.
fn beats(lease: Duration) -> Interval {
    let every = (lease / 3).max(Duration::from_millis(1));
    let mut beats = interval_at(Instant::now() + every, every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Waits for progress that was not recorded, but not before `earliest`.
async fn changed(progress: &mut watch::Receiver<Progress>, earliest: Instant) {
    sleep_until(earliest).await;
    if progress.changed().await.is_err() {
        std::future::pending().await
    }
}

fn panic_message(broken: JoinError) -> String {
    let Ok(panic) = broken.try_into_panic() else { return "the handler was dropped".to_owned() };
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    format!("the handler panicked: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Happening, JobState};
    use crate::queue::tests::{enqueue, kind};
    use crate::testing::{catalog, reopen};
    use futures::{FutureExt, StreamExt};
    use serde_json::json;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A handler that is a function.
    struct Run<F>(F);

    impl<F, R> Handler for Run<F>
    where
        F: Fn(JobContext) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        fn kind(&self) -> JobKind {
            kind()
        }

        fn run(&self, context: JobContext) -> BoxFuture<'static, Answer> {
            (self.0)(context).boxed()
        }
    }

    fn runner<F, R>(catalog: &Catalog, handler: F) -> Runner
    where
        F: Fn(JobContext) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        let handler: Arc<dyn Handler> = Arc::new(Run(handler));
        Runner::new(catalog.clone(), [handler])
    }

    /// Waits until the job is finished, and tells how.
    async fn finished(catalog: &Catalog, id: JobId) -> Job {
        catalog.watch(id, 0).for_each(|event| async { drop(event.unwrap()) }).await;
        catalog.job(id).await.unwrap()
    }

    async fn reached_state(catalog: &Catalog, id: JobId, wanted: JobState) {
        let mut events = catalog.watch(id, 0);
        while let Some(event) = events.next().await {
            if matches!(event.unwrap().what, Happening::State { state, .. } if state == wanted) {
                return;
            }
        }
        panic!("job {id} was never {wanted}");
    }

    async fn until_cancelled(context: JobContext) -> Answer {
        context.token().cancelled().await;
        Err(JobError::Cancelled)
    }

    #[tokio::test]
    async fn a_runner_forgets_old_jobs() {
        let (catalog, _dir) = catalog().await;
        for _ in 0..5 {
            let id = enqueue(&catalog).await;
            catalog.cancel(id).await.unwrap();
        }
        let config = RunnerConfig { keep_most: 2, ..RunnerConfig::default() };
        let running = runner(&catalog, |_| async { Ok(Value::Null) }).with_config(config).start();
        let jobs =
            async || catalog.jobs(&crate::JobFilter::default(), crate::Page::default()).await.unwrap().items.len();
        while jobs().await > 2 {
            tokio::task::yield_now().await;
        }
        running.shutdown().await;
        assert_eq!(jobs().await, 2);
    }

    #[tokio::test]
    async fn a_job_runs_and_tells_how_far_it_is() {
        let (catalog, _dir) = catalog().await;
        let handler = |context: JobContext| async move {
            for done in 1..=1000 {
                context.progress(done, Some(1000), "counting");
            }
            Ok(context.payload::<Value>()?["n"].clone())
        };
        let running = runner(&catalog, handler).start();
        let job = finished(&catalog, enqueue(&catalog).await).await;
        assert_eq!((job.state, job.result, job.progress.done), (JobState::Succeeded, Some(json!(1)), 1000));
        let recorded = catalog.job_events(job.id, 0).await.unwrap().len();
        assert!(recorded < 20, "a thousand steps made {recorded} events");
        running.shutdown().await;
    }

    #[tokio::test]
    async fn what_handlers_return_decides() {
        let (catalog, _dir) = catalog().await;
        let handler = |context: JobContext| async move {
            match context.payload::<String>()?.as_str() {
                "panic" => panic!("out of cheese"),
                "retry" if context.job().attempts == 1 => {
                    Err(JobError::Retry { message: "busy".into(), after: Duration::ZERO })
                }
                "retry" => Ok(json!(context.job().attempts)),
                "cancelled" => Err(JobError::Cancelled),
                other => Err(JobError::Failed { message: format!("{other} is not known") }),
            }
        };
        let running = runner(&catalog, handler).start();
        let outcome = async |payload: Value| {
            let id = catalog.enqueue(&kind(), payload, catalog.default_project().id).await.unwrap();
            let job = finished(&catalog, id).await;
            (job.state, job.result, job.error.unwrap_or_default())
        };
        assert_eq!(outcome(json!("retry")).await, (JobState::Succeeded, Some(json!(2)), String::new()));
        assert_eq!(outcome(json!("x")).await, (JobState::Failed, None, "x is not known".into()));
        assert_eq!(outcome(json!("cancelled")).await, (JobState::Cancelled, None, String::new()));
        let panicked = "the handler panicked: out of cheese".to_owned();
        assert_eq!(outcome(json!("panic")).await, (JobState::Failed, None, panicked));
        assert!(outcome(json!(7)).await.2.starts_with("the payload is not what this job takes"));
        running.shutdown().await;
    }

    #[tokio::test]
    async fn a_running_job_is_cancelled() {
        let (catalog, _dir) = catalog().await;
        let running = runner(&catalog, until_cancelled).start();
        let id = enqueue(&catalog).await;
        reached_state(&catalog, id, JobState::Running).await;
        catalog.cancel(id).await.unwrap();
        assert_eq!(finished(&catalog, id).await.state, JobState::Cancelled);
        running.shutdown().await;
    }

    #[tokio::test]
    async fn a_handler_that_does_not_listen_is_dropped() {
        let (catalog, _dir) = catalog().await;
        let config = RunnerConfig { grace: Duration::from_millis(20), ..RunnerConfig::default() };
        let deaf = |_| std::future::pending::<Answer>();
        let running = runner(&catalog, deaf).with_config(config).start();
        let id = enqueue(&catalog).await;
        reached_state(&catalog, id, JobState::Running).await;
        catalog.cancel(id).await.unwrap();
        let job = finished(&catalog, id).await;
        assert_eq!(job.state, JobState::Cancelled);
        assert!(job.error.unwrap().contains("was dropped"));
        running.shutdown().await;
    }

    #[tokio::test]
    async fn shutting_down_gives_jobs_back() {
        let (catalog, dir) = catalog().await;
        let running = runner(&catalog, until_cancelled).start();
        let id = enqueue(&catalog).await;
        reached_state(&catalog, id, JobState::Running).await;
        running.shutdown().await;
        assert_eq!(catalog.job(id).await.unwrap().state, JobState::Queued);
        catalog.close().await;

        let catalog = reopen(dir.path()).await;
        let running = runner(&catalog, |_| async { Ok(json!("second")) }).start();
        assert_eq!(finished(&catalog, id).await.result, Some(json!("second")));
        running.shutdown().await;
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_begun_again_at_once() {
        let (catalog, _dir) = catalog().await;
        let id = enqueue(&catalog).await;
        let (_, hold) = catalog.claim("dead", &[kind()], Duration::from_secs(3600)).await.unwrap().unwrap();
        catalog.save_checkpoint(&hold, &json!(7)).await.unwrap();
        let handler = |context: JobContext| async move { Ok(json!(context.checkpoint::<u32>())) };
        let running = runner(&catalog, handler).start();
        assert_eq!(finished(&catalog, id).await.result, Some(json!(7)));
        running.shutdown().await;
    }

    #[tokio::test]
    async fn slots_bound_what_runs_at_once_and_two_runners_share() {
        static NOW: AtomicU32 = AtomicU32::new(0);
        static MOST: AtomicU32 = AtomicU32::new(0);
        let (catalog, _dir) = catalog().await;
        let handler = |_| async {
            MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            NOW.fetch_sub(1, Ordering::SeqCst);
            Ok(json!(null))
        };
        let config = RunnerConfig { slots: 2, sole: false, ..RunnerConfig::default() };
        let runners = [0, 1].map(|_| runner(&catalog, handler).with_config(config.clone()).start());
        let mut ids = Vec::new();
        for _ in 0..30 {
            ids.push(enqueue(&catalog).await);
        }
        for id in ids {
            let job = finished(&catalog, id).await;
            assert_eq!((job.state, job.attempts), (JobState::Succeeded, 1));
        }
        assert!(MOST.load(Ordering::SeqCst) <= 4);
        for running in runners {
            running.shutdown().await;
        }
    }

    #[tokio::test]
    async fn an_expired_lease_is_taken_over_and_the_late_handler_dropped() {
        let (catalog, _dir) = catalog().await;
        let config = RunnerConfig { lease: Duration::from_millis(30), sole: false, ..RunnerConfig::default() };
        let id = enqueue(&catalog).await;
        let (_, hold) = catalog.claim("slow", &[kind()], Duration::ZERO).await.unwrap().unwrap();
        let running = runner(&catalog, |_| async { Ok(json!("taken over")) }).with_config(config).start();
        assert_eq!(finished(&catalog, id).await.result, Some(json!("taken over")));
        assert!(matches!(catalog.finish(&hold, Ending::Released, None).await, Err(Error::LeaseLost { .. })));
        running.shutdown().await;
    }
}
