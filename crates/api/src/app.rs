//! The application: the rooms it stands on, and the router made of them.

use axum::Router;
use qd_alert::Alerts;
use qd_annotation::Annotations;
use qd_catalog::Catalog;
use qd_data::Datasets;
use qd_evaluation::Evaluations;
use qd_experiment::Experiments;
use qd_gateway::Gateway;
use qd_judging::Calibrations;
use qd_lake::Lake;
use qd_leaderboard::Leaderboards;
use qd_model::Models;
use qd_scorer::Scorers;
use qd_serve::Engine;
use qd_trace::{Eraser, Intake, Recorder, Retention, Traces};

use crate::config::ApiConfig;
use crate::state::Surface;
use crate::{grpc, routes};

/// Everything that the HTTP surface speaks to.
pub struct App {
    /// Projects, keys, providers, jobs, audit log.
    pub catalog: Catalog,
    /// Tables and their queries.
    pub lake: Lake,
    /// Installed models and the catalogue of those that can be.
    pub models: Models,
    /// Runs local models.
    pub engine: Engine,
    /// Reads recorded calls.
    pub traces: Traces,
    /// How long traces are kept.
    pub retention: Retention,
    /// Erases end users.
    pub eraser: Eraser,
    /// Records calls.
    pub recorder: Recorder,
    /// Takes what others recorded.
    pub otlp: Intake,
    /// The one door to models.
    pub gateway: Gateway,
    /// Rows in versions.
    pub datasets: Datasets,
    /// Judges, and how far they agree with people.
    pub calibrations: Calibrations,
    /// Questions that people answer about rows of datasets.
    pub annotations: Annotations,
    /// Prompts, models and parameters compared on datasets.
    pub experiments: Experiments,
    /// Models compared on benchmark tasks.
    pub leaderboards: Leaderboards,
    /// Answers on datasets, with everything that is looked at in them.
    pub evaluations: Evaluations,
    /// Scores live calls by rules.
    pub scorers: Scorers,
    /// Evaluates rules and tells receivers.
    pub alerts: Alerts,
    /// Hosts, tokens and limits.
    pub config: ApiConfig,
}

/// The router over `app`, to be served with [`crate::serve`] or called in process with `tower::ServiceExt::oneshot`.
pub fn app(app: App) -> Router {
    routes::router(Surface::shared(app))
}

/// The router over `app` that takes OpenTelemetry's protocol over gRPC, for a server of HTTP/2.
pub fn grpc_app(app: App) -> Router {
    grpc::router(Surface::shared(app))
}
