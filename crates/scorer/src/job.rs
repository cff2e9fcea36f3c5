//! Scoring as a job: one that comes again and again, so that a list of jobs holds it once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_base::{ArtifactName, ProjectId, Timestamp, VersionId};
use qd_catalog::job::MAX_CHECKPOINT_BYTES;
use qd_catalog::{Handler, JobContext, JobError, JobKind};
use serde_json::{Value, json};
use tokio::sync::{Mutex, watch};

use crate::judging::UnderWay;
use crate::pass::{Passed, Recent};
use crate::scorers::{Active, Scorers};
use crate::standing::Standings;

/// The kind of this job.
pub const KIND: &str = "scorer.score";
/// Between two looks for what became durable.
const TICK: Duration = Duration::from_secs(1);
/// Looks of one run of the job.
const TICKS: usize = 600;
/// How long the job is away when no rule scores. One that begins to wakes it.
const AWAY: Duration = Duration::from_secs(60);
/// How long it waits when the catalog fails.
const TROUBLE: Duration = Duration::from_secs(10);
/// A rule that could not look waits so long.
const PAUSE_AFTER_ERROR: Duration = Duration::from_secs(10);

/// Runs the job `scorer.score`.
#[derive(Clone)]
pub struct ScoreHandler {
    scorers: Scorers,
    memory: Arc<Mutex<Memory>>,
}

/// What is remembered from one run of the job to the next.
#[derive(Default)]
struct Memory {
    /// What rules have just looked at.
    recent: HashMap<VersionId, Recent>,
    /// Which version of each rule scored at the last look.
    scored: HashMap<(ProjectId, ArtifactName), VersionId>,
    /// Calls that judges are asked about.
    under_way: UnderWay,
}

/// One run of the job.
struct Run<'a> {
    scorers: &'a Scorers,
    context: &'a JobContext,
    standings: Standings,
    memory: &'a mut Memory,
    /// Tells when artifacts change, of which rules may have been removed.
    artifacts: watch::Receiver<u64>,
}

/// What one look at all rules came to.
struct Looked {
    active: usize,
    passed: Passed,
}

impl ScoreHandler {
    /// A handler that follows the rules of `scorers`.
    pub fn new(scorers: Scorers) -> Self {
        Self { scorers, memory: Arc::default() }
    }

    async fn score(self, context: JobContext) -> Result<Value, JobError> {
        let standings = match context.checkpoint() {
            Some(standings) => standings,
            None => self.scorers.standings().await.map_err(|error| JobError::retry(&error, TROUBLE))?,
        };
        let mut artifacts = self.scorers.catalog.watch_artifacts();
        artifacts.mark_changed();
        let memory = &mut *self.memory.lock().await;
        Run { scorers: &self.scorers, context: &context, standings, memory, artifacts }.score().await
    }
}

impl Run<'_> {
    async fn score(mut self) -> Result<Value, JobError> {
        let context = self.context;
        for _ in 0..TICKS {
            let looked = tokio::select! {
                looked = self.look() => looked,
                () = context.token().cancelled() => return self.leave().await,
            };
            let Looked { active, passed } = match looked {
                Ok(looked) => looked,
                // Not a failure of the job: after a few of those nothing would be scored any more.
                Err(error) => {
                    tracing::error!(error = error.chain(), "calls could not be scored; trying again");
                    context.progress(0, None, format!("could not score: {}", error.chain()));
                    return Err(JobError::Again { after: TROUBLE });
                }
            };
            let scores: u64 = self.standings.0.values().map(|standing| standing.scores).sum();
            context.progress(scores, None, format!("{active} rules score, {scores} scores given"));
            if active == 0 {
                return Err(JobError::Again { after: AWAY });
            }
            if !passed.more {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    () = self.memory.under_way.next() => {}
                    () = context.token().cancelled() => return self.leave().await,
                }
            }
        }
        Err(JobError::Again { after: TICK })
    }

    async fn look(&mut self) -> crate::Result<Looked> {
        let active = self.scorers.active().await?;
        let ids: Vec<VersionId> = active.iter().map(|rule| rule.info.id).collect();
        self.memory.recent.retain(|id, _| ids.contains(id));
        self.hand_over(&active);
        let mut passed = Passed::default();
        for rule in &active {
            passed += self.pass(rule).await;
        }
        if self.artifacts.has_changed().unwrap_or(false) {
            self.artifacts.mark_unchanged();
            passed.changed |= self.forget_removed().await?;
        }
        passed.changed |= self.take_in(&active).await;
        let (chosen, changed) =
            self.scorers.choose(&active, &mut self.standings, &self.memory.under_way, Timestamp::now());
        passed.changed |= changed;
        if passed.changed {
            self.standings.prune(&ids);
            self.standings.fit(&ids, MAX_CHECKPOINT_BYTES);
            self.context.save_checkpoint(&json!(self.standings)).await?;
        }
        self.scorers.ask(chosen, &mut self.memory.under_way);
        Ok(Looked { active: active.len(), passed })
    }

    /// Takes in what judges said, and says whether something is to be kept.
    async fn take_in(&mut self, active: &[Active]) -> bool {
        let taken =
            self.scorers.take_in(active, &mut self.standings, &mut self.memory.under_way, Timestamp::now()).await;
        taken.unwrap_or_else(|error| {
            tracing::warn!(error = error.chain(), "what judges said could not be taken in; trying again");
            true
        })
    }

    /// Ends with what is under way: what is said in time is kept, and nothing more is asked.
    async fn leave(mut self) -> Result<Value, JobError> {
        self.memory.under_way.end().await;
        if self.take_in(&[]).await
            && let Err(error) = self.context.save_checkpoint(&json!(self.standings)).await
        {
            tracing::warn!(%error, "what judges said last is not kept; it is looked up by the next process");
        }
        self.memory.under_way = UnderWay::default();
        Err(JobError::Cancelled)
    }

    /// Lets versions that took the place of others go on where these had come to.
    fn hand_over(&mut self, active: &[Active]) {
        let now: HashMap<_, _> =
            active.iter().map(|rule| ((rule.info.project, rule.info.name.clone()), rule.info.id)).collect();
        for rule in active {
            let before = self.memory.scored.get(&(rule.info.project, rule.info.name.clone()));
            if let Some(&before) = before.filter(|before| **before != rule.info.id) {
                self.standings.hand_over(before, rule.info.id, rule.since);
            }
        }
        self.memory.scored = now;
    }

    /// Forgets where rules stood that are removed, and says whether there were any.
    async fn forget_removed(&mut self) -> crate::Result<bool> {
        let before = self.standings.0.len();
        let there = self.scorers.remaining(self.standings.0.keys().copied()).await?;
        self.standings.0.retain(|id, _| there.contains(id));
        Ok(self.standings.0.len() < before)
    }

    /// Looks for one rule. What it cannot do is noted where the rule stands and holds no other up.
    async fn pass(&mut self, rule: &Active) -> Passed {
        let recent = self.memory.recent.entry(rule.info.id).or_default();
        if recent.waits(Timestamp::now()) {
            return Passed::default();
        }
        let standing = self.standings.0.entry(rule.info.id).or_default();
        let mut next = standing.clone();
        let passed = match self.scorers.pass(rule, &mut next, recent, Timestamp::now()).await {
            Ok(passed) => passed,
            Err(error) => {
                tracing::warn!(rule = %rule.info.name, error = error.chain(), "a rule could not score");
                // What is in the lake of this look is found there by the next.
                *recent = Recent::waiting(Timestamp::now().saturating_add(PAUSE_AFTER_ERROR));
                next = standing.clone();
                next.error = Some(error.chain());
                Passed { changed: true, more: false }
            }
        };
        *standing = next;
        passed
    }
}

impl Handler for ScoreHandler {
    fn kind(&self) -> JobKind {
        kind()
    }

    fn run(&self, context: JobContext) -> BoxFuture<'static, Result<Value, JobError>> {
        self.clone().score(context).boxed()
    }
}

pub(crate) fn kind() -> JobKind {
    KIND.parse().expect("the word is a kind of job")
}

impl Scorers {
    /// Sees to it that rules are followed, and at once: after one was made or resumed.
    ///
    /// # Errors
    /// [`crate::Error::Catalog`] when the job cannot be queued.
    pub async fn wake(&self) -> crate::Result<()> {
        let project = self.catalog.default_project().id;
        Ok(self.catalog.ensure_job(&kind(), project).await?)
    }

    /// The same when there is any rule that scores: as a server starts.
    ///
    /// # Errors
    /// As [`Scorers::wake`].
    pub async fn begin(&self) -> crate::Result<()> {
        if self.active().await?.is_empty() { Ok(()) } else { self.wake().await }
    }
}
