//! Scoring as a job: one that comes again and again, so that a list of jobs holds it once.

use std::collections::HashMap;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use qd_base::{Timestamp, VersionId};
use qd_catalog::{Handler, JobContext, JobError, JobKind};
use serde_json::{Value, json};

use crate::pass::{Passed, Recent};
use crate::scorers::{Active, Scorers};
use crate::standing::Standings;

/// The kind of this job.
pub const KIND: &str = "scorer.score";
/// Between two looks for what became durable.
const TICK: Duration = Duration::from_secs(1);
/// Looks of one run of the job. What a run remembers of its rules it reads anew from the lake when it begins.
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
}

/// What one look at all rules came to.
struct Looked {
    active: usize,
    passed: Passed,
}

impl ScoreHandler {
    /// A handler that follows the rules of `scorers`.
    pub fn new(scorers: Scorers) -> Self {
        Self { scorers }
    }

    async fn score(self, context: JobContext) -> Result<Value, JobError> {
        let mut standings = match context.checkpoint() {
            Some(standings) => standings,
            None => self.scorers.standings().await.map_err(|error| JobError::retry(&error, TROUBLE))?,
        };
        let mut recent = HashMap::new();
        for _ in 0..TICKS {
            let looked = tokio::select! {
                looked = self.look(&context, &mut standings, &mut recent) => looked,
                () = context.token().cancelled() => return Err(JobError::Cancelled),
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
            let scores: u64 = standings.0.values().map(|standing| standing.scores).sum();
            context.progress(scores, None, format!("{active} rules score, {scores} scores given"));
            if active == 0 {
                return Err(JobError::Again { after: AWAY });
            }
            if !passed.more {
                tokio::select! {
                    () = tokio::time::sleep(TICK) => {}
                    () = context.token().cancelled() => return Err(JobError::Cancelled),
                }
            }
        }
        Err(JobError::Again { after: TICK })
    }

    async fn look(
        &self,
        context: &JobContext,
        standings: &mut Standings,
        recent: &mut HashMap<VersionId, Recent>,
    ) -> crate::Result<Looked> {
        let active = self.scorers.active().await?;
        let ids: Vec<VersionId> = active.iter().map(|rule| rule.info.id).collect();
        recent.retain(|id, _| ids.contains(id));
        let mut passed = Passed::default();
        for rule in &active {
            let of_rule = recent.entry(rule.info.id).or_default();
            if of_rule.waits(Timestamp::now()) {
                continue;
            }
            passed += self.pass(context, rule, standings, of_rule).await?;
        }
        if passed.changed {
            let there = self.scorers.remaining(standings.0.keys().copied()).await?;
            standings.0.retain(|id, _| there.contains(id));
            standings.prune(&ids);
        }
        Ok(Looked { active: active.len(), passed })
    }

    /// Looks for one rule. What it cannot do is noted where the rule stands and holds no other up.
    async fn pass(
        &self,
        context: &JobContext,
        rule: &Active,
        standings: &mut Standings,
        recent: &mut Recent,
    ) -> crate::Result<Passed> {
        let standing = standings.0.entry(rule.info.id).or_default();
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
        if passed.changed {
            context.save_checkpoint(&json!(standings)).await?;
        }
        Ok(passed)
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
