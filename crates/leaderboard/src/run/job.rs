//! The job: what a session begins with, and how it ends.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use qd_catalog::{Handler, JobContext, JobError, JobKind, VersionInfo};
use qd_gateway::Pinned;
use qd_gateway::batch::{self, Ledger};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Checkpoint, ENGINE_PROMPTS, KIND, PAID, RunRequest, Session};
use crate::health::Health;
use crate::leaderboards::{Content, Leaderboards};
use crate::plan::{self, LOCAL, Part, Plan};
use crate::table;
use crate::{Error, Result};

/// Runs `leaderboard.run` jobs; their result says how the leaderboard ended.
#[derive(Clone)]
pub struct RunHandler {
    boards: Leaderboards,
}

impl RunHandler {
    /// A handler that runs `boards`.
    pub fn new(boards: Leaderboards) -> Self {
        Self { boards }
    }

    async fn run(self, context: JobContext) -> std::result::Result<Value, JobError> {
        let request: RunRequest = context.payload()?;
        match self.boards.run(context, &request).await {
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

impl Leaderboards {
    /// Does what is missing of a leaderboard.
    async fn run(&self, context: JobContext, request: &RunRequest) -> Result<Value> {
        let record = self.catalog.experiment(request.leaderboard).await?;
        if let Some(record) = record.filter(|record| record.job != context.job().id) {
            return Err(Error::Replaced { job: record.job });
        }
        let version = self.catalog.version_by_id(request.leaderboard).await?;
        let content: Content = version.read_content()?;
        let plan = plan::plan(&self.datasets, version.info.project, &content.definition).await?;
        self.refuse_other_context(&content)?;
        let session = self.session(context, request, version.info, (&content, &plan)).await?;
        session.tell();
        let targets = session.targets(&content.models).await;
        let parts: Vec<Arc<Part>> = plan.parts().cloned().collect();
        for model in &content.definition.models {
            match &targets[model] {
                Ok(target) => session.model(model, target, &parts).await?,
                Err(why) => session.health.lock().unknown(model, why),
            }
            if session.is_over() {
                break;
            }
        }
        if session.context.cancelled() {
            return Err(Error::Cancelled);
        }
        let (lost, rows) = session.health.lock().settle();
        session.keep(rows).await?;
        let ending = session.end(&lost).await?;
        match ending["state"].as_str() {
            Some("failed") => Err(Error::Unanswered { why: lost.join("; ") }),
            _ => Ok(ending),
        }
    }

    async fn session(
        &self,
        context: JobContext,
        request: &RunRequest,
        info: VersionInfo,
        (content, plan): (&Content, &Plan),
    ) -> Result<Session<'_>> {
        let definition = content.definition.clone();
        let project = self.catalog.project_by_id(info.project).await?.name;
        let mut rows = table::answered(&self.lake, info.id).await?;
        let spent = table::spent(rows.values());
        let paid = rows.values().filter(|row| row.task == PAID).map(|row| row.document + 1).max().unwrap_or(0);
        plan.keep_current(&mut rows, content);
        rows.retain(|_, row| row.outcome.error.is_none() || !row.is_answer() || !request.retry_failed);
        let checkpoint = context.checkpoint::<Checkpoint>().unwrap_or_default();
        let budget = request.budget.unwrap_or(definition.budget);
        let answered: HashSet<(String, String)> = rows
            .values()
            .filter(|row| row.outcome.error.is_none())
            .map(|row| (row.model.clone(), row.task.clone()))
            .collect();
        let mut health = Health::default();
        answered.iter().for_each(|(model, task)| health.answered(model, task));
        Ok(Session {
            boards: self,
            context,
            info,
            project,
            definition,
            ledger: Ledger::new(budget, Duration::from_millis(checkpoint.worked_ms), spent),
            rows: Mutex::new(rows),
            health: Mutex::new(health),
            stopped: Mutex::new(None),
            saved: Mutex::new(std::time::Instant::now()),
            engine: Semaphore::new(ENGINE_PROMPTS),
            paid: AtomicUsize::new(paid),
            engine_context: content.context,
            total: plan.documents() * content.definition.models.len(),
        })
    }

    /// Answers of an engine that reads more or less would stand beside those that are there.
    fn refuse_other_context(&self, content: &Content) -> Result<()> {
        let is_local = content.models.values().any(|target| target.provider.as_str() == LOCAL);
        if !is_local || content.context == self.context {
            return Ok(());
        }
        let told = |context: Option<u32>| {
            context.map_or("what each model reads".to_owned(), |tokens| format!("{tokens} tokens"))
        };
        let (then, now) = (told(content.context), told(self.context));
        let why = format!(
            "the leaderboard was made while engine.context was {then}, and now it is {now}: set it back, or make a new version"
        );
        Err(Error::Unanswered { why })
    }
}

impl Session<'_> {
    /// What the names of the models stand for: what they stood for when the leaderboard was made, as far as they stood for anything.
    async fn targets(&self, pinned: &BTreeMap<String, Pinned>) -> HashMap<String, std::result::Result<Pinned, String>> {
        let mut found = HashMap::new();
        for name in &self.definition.models {
            let target = match pinned.get(name) {
                Some(target) => Ok(target.clone()),
                None => {
                    let resolved = self.boards.gateway.resolve(self.info.project, name).await;
                    resolved.map_err(|error| batch::told(&error))
                }
            };
            found.insert(name.clone(), target);
        }
        found
    }
}
