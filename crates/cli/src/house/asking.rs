//! The rooms that ask models in jobs, each with runners of its own: one that takes hours takes no place of another.

use std::sync::Arc;

use qd_catalog::{Catalog, Handler, Runner, Running};
use qd_data::Datasets;
use qd_evaluation::{Desk, Evaluations};
use qd_experiment::plan::Sources;
use qd_experiment::{Experiments, OptimiseHandler};
use qd_gateway::Gateway;
use qd_judging::{CalibrateHandler, Calibrations, Judges};
use qd_lake::{Lake, TableSpec};
use qd_leaderboard::Leaderboards;
use qd_model::Models;
use qd_prompt::Prompts;

use crate::config::Config;

/// What these rooms stand on.
pub struct Ground<'a> {
    pub catalog: &'a Catalog,
    pub lake: &'a Lake,
    pub gateway: &'a Gateway,
    pub datasets: &'a Datasets,
    pub models: &'a Models,
    /// Tokens that the engine here was told to read.
    pub context: Option<u32>,
}

/// The rooms.
pub struct Asking {
    pub experiments: Experiments,
    pub judges: Judges,
    pub calibrations: Calibrations,
    pub leaderboards: Leaderboards,
    pub evaluations: Evaluations,
}

impl Asking {
    pub fn open(Ground { catalog, lake, gateway, datasets, models, context }: Ground<'_>) -> Self {
        let sources = Sources { datasets: datasets.clone(), prompts: Prompts::new(catalog.clone()) };
        let judges = Judges::new(catalog.clone(), lake.clone(), gateway.clone());
        let desk = Desk { sources: sources.clone(), judges: judges.clone() };
        Self {
            experiments: Experiments::new(catalog.clone(), lake.clone(), gateway.clone(), sources),
            calibrations: Calibrations::new(judges.clone(), datasets.clone()),
            judges,
            leaderboards: Leaderboards::new(
                catalog.clone(),
                lake.clone(),
                gateway.clone(),
                datasets.clone(),
                models.clone(),
            )
            .reading(context),
            evaluations: Evaluations::new(catalog.clone(), lake.clone(), gateway.clone(), desk),
        }
    }

    /// Starts their runners.
    pub fn start(&self, catalog: &Catalog, config: &Config) -> Vec<Running> {
        let sweeps: [Arc<dyn Handler>; 2] = [
            Arc::new(qd_experiment::RunHandler::new(self.experiments.clone())),
            Arc::new(OptimiseHandler::new(self.experiments.clone())),
        ];
        let boards: [Arc<dyn Handler>; 2] = [
            Arc::new(CalibrateHandler::new(self.calibrations.clone())),
            Arc::new(qd_leaderboard::RunHandler::new(self.leaderboards.clone())),
        ];
        // Whoever waits for an evaluation in CI does not wait for the others.
        let evaluations: [Arc<dyn Handler>; 1] = [Arc::new(qd_evaluation::RunHandler::new(self.evaluations.clone()))];
        let start = |runner: Runner| runner.with_config(super::runner_config(config)).start();
        vec![
            start(Runner::new(catalog.clone(), sweeps)),
            start(Runner::new(catalog.clone(), boards)),
            start(Runner::new(catalog.clone(), evaluations)),
        ]
    }
}

/// Their tables in the lake.
pub fn tables() -> [TableSpec; 4] {
    [qd_experiment::table(), qd_judging::table(), qd_leaderboard::table(), qd_evaluation::table()]
}
