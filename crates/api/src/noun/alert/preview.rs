//! `/api/v1/alerts/preview`: how often a rule would have fired, before it is saved.

use std::time::Duration;

use axum::extract::State;
use qd_alert::preview::{MAX_STEP_S, MOST_POINTS};
use qd_alert::{Preview, PreviewPoint};
use qd_base::time::Timestamp;
use qd_catalog::{AlertState, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rule::AlertSpec;
use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::Json as JsonBody;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

/// Evaluations when nobody asks for more or less.
const USUAL_POINTS: u32 = 48;

pub(crate) fn routes() -> Vec<Route> {
    let doc = Doc::new("Alerts", "previewAlert", "How often a rule would have fired")
        .text("Reads the past as the rule would have, once for each of its last windows, or as far apart as is asked for. Nothing is saved and nobody is told.")
        .takes::<PreviewRequest>()
        .gives::<PreviewBody>(200, "What it would have read, and how it would have stood");
    vec![Route::post("/api/v1/alerts/preview", Permission::Scope(Scope::Read), doc, preview)]
}

async fn preview(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(request): JsonBody<PreviewRequest>,
) -> Result<Json<PreviewBody>> {
    let rule = request.alert.checked(&caller)?.definition;
    let points = request.points.unwrap_or(USUAL_POINTS);
    let step_s = request.step_s.unwrap_or(rule.window_s);
    if !(1..=MOST_POINTS).contains(&points) {
        return Err(Error::parameter("points", "invalid_value", format!("Invalid 'points': 1 to {MOST_POINTS}.")));
    }
    if !(1..=MAX_STEP_S).contains(&step_s) {
        return Err(Error::parameter("step_s", "invalid_value", format!("Invalid 'step_s': 1 to {MAX_STEP_S}.")));
    }
    let until = request.until.unwrap_or_else(Timestamp::now);
    let step = Duration::from_secs(step_s);
    let found = surface.app.alerts.preview(&rule, caller.project_name(), until, points, step).await?;
    Ok(Json(PreviewBody::of(found, rule.unit(), rule.words(), step_s)))
}

/// A rule to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewRequest {
    /// The rule.
    pub alert: AlertSpec,
    /// How many evaluations, 200 at most; 48 when absent.
    #[schema(minimum = 1, maximum = 200)]
    pub points: Option<u32>,
    /// How many seconds they are apart; the rule's window when absent.
    #[schema(minimum = 1)]
    pub step_s: Option<u64>,
    /// When the last one is; now when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// What a rule would have done.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertPreview)]
pub struct PreviewBody {
    /// What it looks for, in words.
    pub summary: String,
    /// In what its value is told.
    #[schema(value_type = String)]
    pub unit: &'static str,
    /// Seconds from one evaluation to the next.
    pub step_s: u64,
    /// How often it would have begun to fire.
    pub fired: usize,
    /// The evaluations, the earliest first.
    pub points: Vec<PointBody>,
}

/// One evaluation.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertPreviewPoint)]
pub struct PointBody {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What it would have read; null where there is nothing.
    pub value: Option<f64>,
    /// The same in words, or why there is nothing.
    pub message: String,
    /// How it would have stood.
    #[schema(value_type = String)]
    pub state: AlertState,
}

impl PreviewBody {
    fn of(found: Preview, unit: &'static str, summary: String, step_s: u64) -> Self {
        let point = |PreviewPoint { at, value, message, state }| PointBody { at, value, message, state };
        Self { summary, unit, step_s, fired: found.fired, points: found.points.into_iter().map(point).collect() }
    }
}
