//! `/api/v1/scores`: what people and programs thought of an answer.

use axum::extract::State;
use http::StatusCode;
use qd_base::id::{ScoreId, SpanId, TraceId};
use qd_base::time::Timestamp;
use qd_catalog::Scope;
use qd_trace::score::{MOST_SCORES, MOST_TRACES};
use qd_trace::{Score, ScoreCursor, ScoreFilter, ScoreSource, ScoreValue};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, Query};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

/// Characters of a score's name or label at most.
const MAX_WORD_CHARS: usize = 200;
/// Characters of a comment at most.
const MAX_COMMENT_CHARS: usize = 10_000;

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Scores", "listScores", "What was thought of traces and spans, newest first")
        .query::<ScoreQuery>()
        .gives::<ScoreList>(200, "One page of scores");
    let give = Doc::new("Scores", "giveScores", "Score traces or spans")
        .text("Answered when every score is on disk. A score with the identifier of an earlier one takes its place.")
        .takes::<NewScores>()
        .gives::<ScoresGiven>(200, "The scores, with their identifiers");
    let back = Doc::new("Scores", "takeBackScore", "Take a score back").gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/scores", read, all, list),
        Route::post("/api/v1/scores", write, give, add),
        Route::delete("/api/v1/scores/{id}", write, back, take_back),
    ]
}

async fn list(
    State(surface): State<Shared>,
    caller: Caller,
    Query(query): Query<ScoreQuery>,
) -> Result<Json<ScoreList>> {
    let limit = query.limit.unwrap_or(100);
    if !(1..=MOST_SCORES).contains(&limit) {
        let message = format!("Invalid 'limit': between 1 and {MOST_SCORES} are given at once.");
        return Err(Error::parameter("limit", "invalid_value", message));
    }
    let after: Option<ScoreCursor> = query.cursor.as_deref().map(str::parse).transpose()?;
    let traces = query.traces()?;
    let project = Some(caller.project_name().clone());
    let filter = ScoreFilter { project, traces, name: query.name, id: None };
    let (found, next) = surface.app.traces.scores(&filter, limit, after).await?;
    let data = found.into_iter().map(ScoreBody::from).collect();
    Ok(Json(ScoreList { data, next_cursor: next.map(|cursor| cursor.to_string()) }))
}

async fn add(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewScores>,
) -> Result<Json<ScoresGiven>> {
    let limit = surface.app.config.limits.append_spans;
    if new.scores.len() > limit {
        let message = format!("Invalid 'scores': at most {limit} can be given at once.");
        return Err(Error::parameter("scores", "array_above_max_length", message));
    }
    let now = Timestamp::now();
    let scores = new
        .scores
        .into_iter()
        .enumerate()
        .map(|(at, new)| new.into_score(&caller, now, at))
        .collect::<Result<Vec<_>>>()?;
    surface.app.traces.give_scores(&scores).await?;
    Ok(Json(ScoresGiven { data: scores.into_iter().map(ScoreBody::from).collect() }))
}

async fn take_back(State(surface): State<Shared>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    let score: ScoreId = id.parse().map_err(|_| Error::missing("score", &id))?;
    match surface.app.traces.take_back_score(caller.project_name(), score, Some(caller.actor())).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Error::missing("score", score)),
    }
}

/// Which scores are wanted. Every part that is given must hold; the project is the caller's.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ScoreQuery {
    /// At most this many, of 1000 at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only those of these traces: identifiers with commas between them, 500 at most.
    trace: Option<String>,
    /// Only those of this name.
    name: Option<String>,
}

impl ScoreQuery {
    fn traces(&self) -> Result<Option<Vec<TraceId>>> {
        let Some(text) = &self.trace else { return Ok(None) };
        let traces: Vec<TraceId> = text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| {
            Error::parameter(
                "trace",
                "invalid_value",
                "Invalid 'trace': a trace's identifier is 32 hexadecimal digits.",
            )
        })?;
        if traces.len() > MOST_TRACES {
            let message = format!("Invalid 'trace': at most {MOST_TRACES} traces can be asked for at once.");
            return Err(Error::parameter("trace", "array_above_max_length", message));
        }
        Ok(Some(traces))
    }
}

/// One page of scores.
#[derive(Serialize, ToSchema)]
pub struct ScoreList {
    /// The scores, newest first.
    pub data: Vec<ScoreBody>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// What someone thought of a trace or a span.
#[derive(Serialize, ToSchema)]
#[schema(as = Score)]
pub struct ScoreBody {
    /// The score.
    #[schema(value_type = String)]
    pub id: ScoreId,
    /// The trace.
    #[schema(value_type = String)]
    pub trace_id: TraceId,
    /// The span, when it is about one of them.
    #[schema(value_type = Option<String>)]
    pub span_id: Option<SpanId>,
    /// What was looked at.
    pub name: String,
    /// A number, or a word.
    pub value: ScoreValueBody,
    /// Why.
    pub comment: Option<String>,
    /// `human`, `code` or `model`.
    #[schema(value_type = String)]
    pub source: ScoreSource,
    /// The key or account that gave it.
    pub author: Option<String>,
    /// The end user whose trace it is.
    pub user_id: Option<String>,
    /// When it was given.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
}

impl From<Score> for ScoreBody {
    fn from(score: Score) -> Self {
        Self {
            id: score.id,
            trace_id: score.trace_id,
            span_id: score.span_id,
            name: score.name,
            value: match score.value {
                ScoreValue::Number(number) => ScoreValueBody::Number(number),
                ScoreValue::Label(label) => ScoreValueBody::Label(label),
            },
            comment: score.comment,
            source: score.source,
            author: score.author,
            user_id: score.user_id,
            time: score.time,
        }
    }
}

/// A number, a word, or yes and no, which are kept as 1 and 0.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum ScoreValueBody {
    /// Yes or no.
    Boolean(bool),
    /// A number.
    Number(f64),
    /// A word.
    Label(String),
}

/// Scores to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScores {
    /// The scores.
    pub scores: Vec<NewScore>,
}

/// The scores as they were kept.
#[derive(Serialize, ToSchema)]
pub struct ScoresGiven {
    /// In the order in which they were sent.
    pub data: Vec<ScoreBody>,
}

/// A score to be given, in the caller's project.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScore {
    /// A UUID; a new one when absent. With that of an earlier score, this takes its place.
    #[schema(value_type = Option<String>)]
    pub id: Option<ScoreId>,
    /// The trace.
    #[schema(value_type = String)]
    pub trace_id: TraceId,
    /// The span, when it is about one of them.
    #[schema(value_type = Option<String>)]
    pub span_id: Option<SpanId>,
    /// What was looked at, for instance `helpful`.
    pub name: String,
    /// A number, a word, or yes and no.
    pub value: ScoreValueBody,
    /// Why.
    pub comment: Option<String>,
    /// `human`, `code` or `model`; `human` for someone who is signed in and `code` for others when absent.
    #[schema(value_type = Option<String>)]
    pub source: Option<ScoreSource>,
    /// The end user whose trace it is: the score is deleted with what else is known of them.
    pub user_id: Option<String>,
}

impl NewScore {
    pub(crate) fn into_score(self, caller: &Caller, time: Timestamp, at: usize) -> Result<Score> {
        let refused = |field: &str, why: &str| {
            Error::parameter(
                format!("scores[{at}].{field}"),
                "invalid_value",
                format!("Invalid 'scores[{at}].{field}': {why}"),
            )
        };
        let is_word =
            |word: &str| (1..=MAX_WORD_CHARS).contains(&word.chars().count()) && !word.chars().any(char::is_control);
        if !is_word(&self.name) {
            return Err(refused("name", "a name has 1 to 200 characters in one line."));
        }
        if self.comment.as_ref().is_some_and(|comment| comment.chars().count() > MAX_COMMENT_CHARS) {
            return Err(refused("comment", "a comment has at most 10,000 characters."));
        }
        let value = match self.value {
            ScoreValueBody::Boolean(yes) => ScoreValue::Number(f64::from(u8::from(yes))),
            ScoreValueBody::Number(number) if number.is_finite() => ScoreValue::Number(number),
            ScoreValueBody::Number(_) => return Err(refused("value", "a number must be finite.")),
            ScoreValueBody::Label(label) if is_word(&label) => ScoreValue::Label(label),
            ScoreValueBody::Label(_) => return Err(refused("value", "a word has 1 to 200 characters in one line.")),
        };
        let usual = if matches!(caller, Caller::Account(_)) { ScoreSource::Human } else { ScoreSource::Code };
        Ok(Score {
            id: self.id.unwrap_or_else(ScoreId::new),
            project: caller.project_name().clone(),
            trace_id: self.trace_id,
            span_id: self.span_id,
            name: self.name,
            value,
            comment: self.comment,
            source: self.source.unwrap_or(usual),
            author: Some(caller.actor()),
            user_id: self.user_id,
            time,
        })
    }
}
