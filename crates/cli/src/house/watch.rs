//! Evaluating alerts, telling of them, and scoring live calls, for as long as a server runs.

use std::sync::Arc;
use std::time::Duration;

use qd_alert::{Alerts, Courier, EvaluateHandler};
use qd_catalog::{Catalog, Handler, Runner, RunnerConfig, Running};
use qd_scorer::{ScoreHandler, Scorers};

use crate::Error;
use crate::config::Config;
use crate::house::{failed, runner_config};

/// Rules that fall due are looked for three times in this.
const LEASE: Duration = Duration::from_secs(9);

/// The runners of evaluation and of scoring, and the courier.
pub struct Watch {
    jobs: Running,
    scoring: Running,
    courier: Courier,
}

impl Watch {
    /// Begins. Evaluation and scoring have a runner of their own each, so that two long pulls, which take all places of the other, keep
    /// neither waiting.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn start(
        catalog: &Catalog,
        (alerts, scorers): (&Alerts, &Scorers),
        config: &Config,
    ) -> Result<Self, Error> {
        let evaluate: Arc<dyn Handler> = Arc::new(EvaluateHandler::new(alerts.clone()));
        let config = RunnerConfig { slots: 1, lease: LEASE, ..runner_config(config) };
        let jobs = Runner::new(catalog.clone(), [evaluate]).with_config(config.clone()).start();
        let score: Arc<dyn Handler> = Arc::new(ScoreHandler::new(scorers.clone()));
        let scoring = Runner::new(catalog.clone(), [score]).with_config(config).start();
        alerts.begin().await.map_err(failed("beginning to evaluate alerts"))?;
        scorers.begin().await.map_err(failed("beginning to score calls"))?;
        Ok(Self { jobs, scoring, courier: Courier::start(alerts.clone()) })
    }

    /// Ends all three.
    pub async fn shutdown(self) {
        self.jobs.shutdown().await;
        self.scoring.shutdown().await;
        self.courier.shutdown().await;
    }
}
