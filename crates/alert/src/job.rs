//! Evaluating as a job: one that comes again and again, so that a list of jobs holds it once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_base::Timestamp;
use qd_catalog::{Handler, JobContext, JobError, JobKind};
use serde_json::Value;

use crate::Alerts;

/// The kind of this job.
pub const KIND: &str = "alert.evaluate";
/// The longest that it is away: a rule that is made while it looks for the next is not seen by it.
const AWAY: Duration = Duration::from_secs(60);
/// The shortest, so that rules which fall due one after another are taken together.
const REST: Duration = Duration::from_secs(1);
/// How long it waits when the catalog fails.
const TROUBLE: Duration = Duration::from_secs(10);
/// What was told is remembered so long, and so much of it in each project.
const KEEP: Duration = Duration::from_secs(90 * 86_400);
const KEEP_MOST: u64 = 10_000;
/// What is too old or too much is forgotten so often.
const PRUNE_EVERY_S: i64 = 3_600;

/// Runs the job `alert.evaluate`.
#[derive(Clone)]
pub struct EvaluateHandler {
    alerts: Alerts,
    /// When old events were last forgotten, in seconds since 1970.
    pruned_s: Arc<AtomicI64>,
}

impl EvaluateHandler {
    /// A handler that evaluates the rules of `alerts`.
    pub fn new(alerts: Alerts) -> Self {
        Self { alerts, pruned_s: Arc::default() }
    }

    async fn evaluate(self, context: JobContext) -> Result<Value, JobError> {
        let now = Timestamp::now();
        let ticked = tokio::select! {
            ticked = self.alerts.tick(now) => ticked,
            () = context.token().cancelled() => return Err(JobError::Cancelled),
        };
        let tick = match ticked {
            Ok(tick) => tick,
            // Not a failure of the job: after a few of those nothing would be evaluated any more.
            Err(error) => {
                tracing::error!(error = error.chain(), "alerts could not be evaluated; trying again");
                context.progress(0, None, format!("could not evaluate: {}", error.chain()));
                return Err(JobError::Again { after: TROUBLE });
            }
        };
        if now.as_secs() - self.pruned_s.load(Ordering::Relaxed) >= PRUNE_EVERY_S {
            self.pruned_s.store(now.as_secs(), Ordering::Relaxed);
            if let Err(error) = self.alerts.catalog.prune_alert_events(now.saturating_sub(KEEP), KEEP_MOST).await {
                tracing::error!(%error, "old events of alerts could not be forgotten");
            }
        }
        let failed = if tick.failed > 0 { format!(", {} could not be read", tick.failed) } else { String::new() };
        context.progress(tick.evaluated, None, format!("{} rules evaluated{failed}", tick.evaluated));
        let after = tick.next.map_or(AWAY, |next| next.since(Timestamp::now())).clamp(REST, AWAY);
        Err(JobError::Again { after })
    }
}

impl Handler for EvaluateHandler {
    fn kind(&self) -> JobKind {
        kind()
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Value, JobError>> {
        self.clone().evaluate(context).boxed()
    }
}

fn kind() -> JobKind {
    KIND.parse().expect("the word is a kind of job")
}

impl Alerts {
    /// Sees to it that rules are evaluated, and at once those that are due: after a rule was made or changed.
    ///
    /// # Errors
    /// [`crate::Error::Catalog`] when the job cannot be queued.
    pub async fn wake(&self) -> crate::Result<()> {
        let project = self.catalog.default_project().id;
        Ok(self.catalog.ensure_job(&kind(), project).await?)
    }

    /// The same when there is any rule to evaluate: as a server starts.
    ///
    /// # Errors
    /// As [`Alerts::wake`].
    pub async fn begin(&self) -> crate::Result<()> {
        match self.catalog.next_alert_due().await? {
            Some(_) => self.wake().await,
            None => Ok(()),
        }
    }
}
