//! `/api/public`: what Langfuse's clients ask for beside sending spans, so that they work with this server as they are.
//!
//! Their spans come by OpenTelemetry's protocol, see [`crate::noun::telemetry`].

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use qd_base::Sha256Hex;
use qd_base::id::{ScoreId, SpanId, TraceId};
use qd_base::time::Timestamp;
use qd_catalog::Scope;
use qd_trace::Score;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, JsonBytes};
use crate::json;
use crate::noun::score::{NewScore, ScoreValueBody};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

/// The kind of event of the older ingestion that is a score.
const SCORE_EVENT: &str = "score-create";

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let health = Doc::new("Langfuse", "langfuseHealth", "Whether the server answers, as Langfuse's clients ask")
        .gives::<LangfuseHealth>(200, "It does");
    let projects = Doc::new("Langfuse", "langfuseProjects", "The key's project, as Langfuse's clients ask for it")
        .gives::<LangfuseProjects>(200, "The project");
    let scores = Doc::new("Langfuse", "langfuseScores", "Score traces or spans, as Langfuse's clients do")
        .text("One score or a list of them. 202 when all were taken, 207 with reasons when some were not.")
        .takes::<LangfuseScores>()
        .gives::<LangfuseScoresTaken>(202, "All of them are on disk")
        .gives::<LangfuseScoresTaken>(207, "Some were not taken");
    let ingestion = Doc::new("Langfuse", "langfuseIngestion", "Events of Langfuse's older clients")
        .text(
            "Scores are taken. Traces and observations are refused one by one: they come by OpenTelemetry's protocol.",
        )
        .takes::<LangfuseBatch>()
        .gives::<LangfuseBatchTaken>(207, "What became of each event");
    vec![
        Route::get("/api/public/health", Permission::Public, health, show_health),
        Route::get("/api/public/projects", read, projects, list_projects),
        Route::post("/api/public/scores", write, scores, add_scores),
        Route::post("/api/public/ingestion", write, ingestion, ingest),
    ]
}

async fn show_health() -> Json<LangfuseHealth> {
    Json(LangfuseHealth { status: "OK", version: env!("CARGO_PKG_VERSION") })
}

async fn list_projects(caller: Caller) -> Json<LangfuseProjects> {
    let (id, name) = (caller.project().to_string(), caller.project_name().to_string());
    let organization = LangfuseOrganization { id: "quarterdeck", name: "Quarterdeck" };
    let metadata = serde_json::Map::new();
    Json(LangfuseProjects { data: vec![LangfuseProject { id, name, organization, metadata }] })
}

async fn add_scores(State(surface): State<Shared>, caller: Caller, JsonBytes(body): JsonBytes) -> Result<Response> {
    let sent = match json::read_any(&body, surface.app.config.limits.json_depth)? {
        LangfuseScores::One(score) => vec![*score],
        LangfuseScores::Many(scores) => scores,
    };
    check_number(&surface, sent.len())?;
    let read: Vec<Result<Score>> = sent.into_iter().map(|score| score.into_score(&caller)).collect();
    let (taken, refused): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
    let scores: Vec<Score> = taken.into_iter().flatten().collect();
    let errors: Vec<LangfuseError> =
        refused.into_iter().filter_map(Result::err).map(|error| LangfuseError { message: error.to_string() }).collect();
    surface.app.traces.give_scores(&scores).await?;
    let status = if errors.is_empty() { StatusCode::ACCEPTED } else { StatusCode::MULTI_STATUS };
    let (accepted, rejected) = (scores.len(), errors.len());
    let message = errors.is_empty().then_some("Accepted");
    let body = match message {
        Some(message) => LangfuseScoresTaken { message: Some(message), ..LangfuseScoresTaken::default() },
        None => {
            LangfuseScoresTaken { message, accepted: Some(accepted), rejected: Some(rejected), errors: Some(errors) }
        }
    };
    Ok((status, Json(body)).into_response())
}

async fn ingest(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(sent): JsonBody<LangfuseBatch>,
) -> Result<Response> {
    check_number(&surface, sent.batch.len())?;
    let (mut scores, mut taken) = (Vec::new(), LangfuseBatchTaken::default());
    for event in sent.batch {
        match event.into_score(&caller) {
            Ok((id, score)) => {
                scores.push(score);
                taken.successes.push(LangfuseEventTaken { id, status: StatusCode::CREATED.as_u16(), message: None });
            }
            Err((id, message)) => {
                let status = StatusCode::BAD_REQUEST.as_u16();
                taken.errors.push(LangfuseEventTaken { id, status, message: Some(message) });
            }
        }
    }
    surface.app.traces.give_scores(&scores).await?;
    Ok((StatusCode::MULTI_STATUS, Json(taken)).into_response())
}

fn check_number(surface: &Shared, number: usize) -> Result<()> {
    let limit = surface.app.config.limits.append_spans;
    match number > limit {
        true => {
            Err(Error::parameter("scores", "array_above_max_length", format!("At most {limit} can be sent at once.")))
        }
        false => Ok(()),
    }
}

/// How the server fares.
#[derive(Serialize, ToSchema)]
pub struct LangfuseHealth {
    /// `OK`
    #[schema(value_type = String)]
    pub status: &'static str,
    /// The program's version.
    #[schema(value_type = String)]
    pub version: &'static str,
}

/// Projects that a key opens.
#[derive(Serialize, ToSchema)]
pub struct LangfuseProjects {
    /// One.
    pub data: Vec<LangfuseProject>,
}

/// A project.
#[derive(Serialize, ToSchema)]
pub struct LangfuseProject {
    /// Its identifier.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub organization: LangfuseOrganization,
    /// Nothing.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

/// Langfuse has organizations above projects; here there is one.
#[derive(Serialize, ToSchema)]
pub struct LangfuseOrganization {
    /// Its identifier.
    #[schema(value_type = String)]
    pub id: &'static str,
    /// Its name.
    #[schema(value_type = String)]
    pub name: &'static str,
}

/// One score or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub enum LangfuseScores {
    /// As older clients send them.
    One(Box<LangfuseScore>),
    /// As newer ones do.
    Many(Vec<LangfuseScore>),
}

/// A score as Langfuse's clients write it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LangfuseScore {
    /// Any text; a score with that of an earlier one takes its place.
    pub id: Option<String>,
    /// The trace.
    pub trace_id: Option<String>,
    /// The span.
    pub observation_id: Option<String>,
    /// What was looked at.
    pub name: String,
    /// A number or a word.
    pub value: ScoreValueBody,
    /// Why.
    pub comment: Option<String>,
    /// When it was given.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub timestamp: Option<Timestamp>,
}

impl LangfuseScore {
    fn into_score(self, caller: &Caller) -> Result<Score> {
        let wrong = |what: &str| {
            Error::parameter(
                what,
                "invalid_value",
                format!(
                    "Invalid '{what}': it is no identifier of OpenTelemetry's; scores of sessions and experiments are not taken."
                ),
            )
        };
        let trace_id: TraceId = self.trace_id.unwrap_or_default().parse().map_err(|_| wrong("traceId"))?;
        let span_id: Option<SpanId> =
            self.observation_id.map(|id| id.parse()).transpose().map_err(|_| wrong("observationId"))?;
        let id = self.id.as_deref().map(score_id);
        let (name, value, comment) = (self.name, self.value, self.comment);
        let score = NewScore { id, trace_id, span_id, name, value, comment, source: None, user_id: None };
        score.into_score(caller, self.timestamp.unwrap_or_else(Timestamp::now), 0)
    }
}

/// The identifier of a score here: their own where that is a UUID, else one that follows from it.
fn score_id(theirs: &str) -> ScoreId {
    theirs.parse().unwrap_or_else(|_| {
        let digits = Sha256Hex::of(theirs.as_bytes()).to_string();
        let groups = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..32]];
        // Hexadecimal digits in these groups are a UUID.
        groups.join("-").parse().unwrap_or_else(|_| ScoreId::new())
    })
}

/// What became of scores.
#[derive(Default, Serialize, ToSchema)]
pub struct LangfuseScoresTaken {
    /// `Accepted`, when all were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub message: Option<&'static str>,
    /// How many were taken, when some were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<usize>,
    /// How many were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<usize>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<LangfuseError>>,
}

/// Why a score was not taken.
#[derive(Serialize, ToSchema)]
pub struct LangfuseError {
    /// For a person.
    pub message: String,
}

/// Events of older clients.
#[derive(Deserialize, ToSchema)]
pub struct LangfuseBatch {
    /// The events.
    pub batch: Vec<LangfuseEvent>,
}

/// An event.
#[derive(Deserialize, ToSchema)]
pub struct LangfuseEvent {
    /// Its identifier.
    pub id: String,
    /// `score-create` and others.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    #[schema(value_type = Object)]
    pub body: serde_json::Value,
}

impl LangfuseEvent {
    /// The score that it is, with the event's identifier; or why it is none.
    fn into_score(self, caller: &Caller) -> Result<(String, Score), (String, String)> {
        let Self { id, kind, body } = self;
        if kind != SCORE_EVENT {
            let message = format!("{kind} is not taken here: send spans to /api/public/otel/v1/traces");
            return Err((id, message));
        }
        let read = serde_json::from_value::<LangfuseScore>(body).map_err(|cause| cause.to_string());
        match read.and_then(|score| score.into_score(caller).map_err(|error| error.to_string())) {
            Ok(score) => Ok((id, score)),
            Err(message) => Err((id, message)),
        }
    }
}

/// What became of each event.
#[derive(Default, Serialize, ToSchema)]
pub struct LangfuseBatchTaken {
    /// Those that are on disk.
    pub successes: Vec<LangfuseEventTaken>,
    /// Those that are not.
    pub errors: Vec<LangfuseEventTaken>,
}

/// What became of an event.
#[derive(Serialize, ToSchema)]
pub struct LangfuseEventTaken {
    /// Its identifier.
    pub id: String,
    /// A status of HTTP.
    pub status: u16,
    /// Why it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}
