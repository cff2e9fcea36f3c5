//! `/api/v1/alerts/silences`: for a while, some rules tell nobody. They are evaluated all the same.

use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use qd_base::id::SilenceId;
use qd_base::time::Timestamp;
use qd_catalog::{NewSilence, Scope, Severity, Silence};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::Shared;

/// The longest silence: a leap year.
const MAX_SILENCE: Duration = Duration::from_secs(366 * 86_400);

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Alerts", "listAlertSilences", "The silences that hold or will hold")
        .gives::<SilenceList>(200, "The silences, those that end first first");
    let new = Doc::new("Alerts", "createAlertSilence", "Keep rules from telling for a while")
        .text("Rules go on being evaluated, and what they would tell stands in the inbox as silenced. What still fires when the silence ends is told then.")
        .takes::<NewSilenceBody>()
        .gives::<SilenceBody>(201, "The silence");
    let gone = Doc::new("Alerts", "endAlertSilence", "End a silence").gives_nothing("It is over");
    vec![
        Route::get("/api/v1/alerts/silences", read, all, list),
        Route::post("/api/v1/alerts/silences", write, new, create),
        Route::delete("/api/v1/alerts/silences/{id}", write, gone, end),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<SilenceList>> {
    let found = surface.app.catalog.silences(caller.project(), Timestamp::now()).await?;
    Ok(Json(SilenceList { data: found.into_iter().map(SilenceBody::from).collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewSilenceBody>,
) -> Result<Created<SilenceBody>> {
    let from = new.from.unwrap_or_else(Timestamp::now);
    let until = match (new.until, new.for_s) {
        (Some(until), None) => until,
        (None, Some(seconds)) => from.saturating_add(Duration::from_secs(seconds)),
        _ => {
            return Err(Error::parameter("until", "invalid_value", "Invalid 'until': give either 'until' or 'for_s'."));
        }
    };
    if until <= Timestamp::now() || until.since(from) > MAX_SILENCE {
        let message = "Invalid 'until': a silence ends after now, and lasts 366 days at most.";
        return Err(Error::parameter("until", "invalid_value", message));
    }
    let spec = NewSilence { pattern: new.pattern, severity: new.severity, reason: new.reason, from, until };
    let (catalog, actor) = (surface.app.catalog.acting(&caller.actor())?, caller.actor());
    let silence = catalog.create_silence(caller.project(), spec, &actor).await?;
    Ok(Created(silence.into()))
}

async fn end(State(surface): State<Shared>, caller: Caller, Path(id): Path<SilenceId>) -> Result<StatusCode> {
    surface.app.catalog.acting(&caller.actor())?.remove_silence(caller.project(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A silence to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAlertSilence)]
pub struct NewSilenceBody {
    /// The names of rules, in which `*` stands for any characters: `*` is all of them.
    pub pattern: String,
    /// Only rules of this severity.
    #[schema(value_type = Option<String>)]
    pub severity: Option<Severity>,
    /// Why.
    pub reason: String,
    /// Since when; now when absent.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub from: Option<Timestamp>,
    /// Until when.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// Instead of `until`: for how many seconds.
    #[schema(minimum = 1)]
    pub for_s: Option<u64>,
}

/// A silence.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertSilence)]
pub struct SilenceBody {
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: SilenceId,
    /// The names of rules, in which `*` stands for any characters.
    pub pattern: String,
    /// Only rules of this severity.
    #[schema(value_type = Option<String>)]
    pub severity: Option<Severity>,
    /// Why.
    pub reason: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// Who made it.
    pub author: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

/// Silences.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertSilenceList)]
pub struct SilenceList {
    /// The silences.
    pub data: Vec<SilenceBody>,
}

impl From<Silence> for SilenceBody {
    fn from(silence: Silence) -> Self {
        Self {
            id: silence.id,
            pattern: silence.spec.pattern,
            severity: silence.spec.severity,
            reason: silence.spec.reason,
            from: silence.spec.from,
            until: silence.spec.until,
            author: silence.author,
            created: silence.created,
        }
    }
}
