//! Evaluating alerts and telling of them, for as long as a server runs.

use std::sync::Arc;
use std::time::Duration;

use qd_alert::{Alerts, Courier, EvaluateHandler};
use qd_catalog::{Catalog, Handler, Runner, RunnerConfig, Running};

use crate::Error;
use crate::config::Config;
use crate::house::{failed, runner_config};

/// Rules that fall due are looked for three times in this.
const LEASE: Duration = Duration::from_secs(9);

/// The runner of evaluation and the courier.
pub struct Watch {
    jobs: Running,
    courier: Courier,
}

impl Watch {
    /// Begins. Evaluation has a runner of its own, so that two long pulls, which take all places of the other, do not keep
    /// alerts waiting.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn start(catalog: &Catalog, alerts: &Alerts, config: &Config) -> Result<Self, Error> {
        let evaluate: Arc<dyn Handler> = Arc::new(EvaluateHandler::new(alerts.clone()));
        let config = RunnerConfig { slots: 1, lease: LEASE, ..runner_config(config) };
        let jobs = Runner::new(catalog.clone(), [evaluate]).with_config(config).start();
        alerts.begin().await.map_err(failed("beginning to evaluate alerts"))?;
        Ok(Self { jobs, courier: Courier::start(alerts.clone()) })
    }

    /// Ends both.
    pub async fn shutdown(self) {
        self.jobs.shutdown().await;
        self.courier.shutdown().await;
    }
}
