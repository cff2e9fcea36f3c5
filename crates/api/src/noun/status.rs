//! `/api/v1/status`: how every room fares.

use axum::extract::State;
use qd_catalog::Scope;
use qd_lake::LakeStats;
use qd_trace::{IntakeStats, RecorderStats};
use serde::Serialize;
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::noun::model::LoadedBody;
use crate::permission::Permission;
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Status", "status", "How the server fares").gives::<StatusBody>(200, "Counters and gauges");
    vec![Route::get("/api/v1/status", Permission::Scope(Scope::Read), doc, status)]
}

async fn status(State(surface): State<Shared>) -> Json<StatusBody> {
    let app = &surface.app;
    Json(StatusBody {
        version: env!("CARGO_PKG_VERSION"),
        uptime_ms: u64::try_from(surface.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        stopping: surface.lifecycle.stopping.is_cancelled(),
        in_flight: surface.in_flight(),
        unrecorded_calls: app.gateway.unrecorded(),
        recorder: app.recorder.stats(),
        telemetry: app.otlp.stats(),
        lake: app.lake.stats(),
        engine: app.engine.loaded().into_iter().map(LoadedBody::from).collect(),
    })
}

/// Counters and gauges of the rooms.
#[derive(Serialize, ToSchema)]
#[schema(as = Status)]
pub struct StatusBody {
    /// The program's version.
    #[schema(value_type = String)]
    pub version: &'static str,
    /// Since the server started.
    pub uptime_ms: u64,
    /// Whether it has been told to stop.
    pub stopping: bool,
    /// Requests being answered now, streams and this one included.
    pub in_flight: usize,
    /// Calls that left no trace row because too many were waiting to become one.
    pub unrecorded_calls: u64,
    /// What became of the spans so far, and how long they were at risk of a crash.
    #[schema(value_type = Object)]
    pub recorder: RecorderStats,
    /// What became of the spans, log records and data points that others sent.
    #[schema(value_type = Object)]
    pub telemetry: IntakeStats,
    /// Rows, segments, failures and alarms.
    #[schema(value_type = Object)]
    pub lake: LakeStats,
    /// Loaded models.
    pub engine: Vec<LoadedBody>,
}
