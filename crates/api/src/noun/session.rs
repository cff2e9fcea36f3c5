//! `/api/v1/sessions` and `/api/v1/users`: conversations, and the end users who had them.

use axum::extract::State;
use qd_base::time::{TimeRange, Timestamp};
use qd_catalog::Scope;
use qd_trace::{Activity, ActivityCursor, Cursor, Filter, Page};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Path, Query};
use crate::noun::trace::SpanBody;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let read = Permission::Scope(Scope::Read);
    let all = Doc::new("Sessions", "listSessions", "Conversations, those active last first")
        .query::<ActivityParams>()
        .gives::<SessionList>(200, "One page of them");
    let one = Doc::new("Sessions", "getSession", "The calls of a conversation, in order")
        .text("Payloads that are too large for a row have their beginning only.")
        .query::<SessionParams>()
        .gives::<SessionDetail>(200, "One page of its calls");
    let users = Doc::new("Users", "listUsers", "End users, those active last first")
        .query::<ActivityParams>()
        .gives::<UserList>(200, "One page of them");
    vec![
        Route::get("/api/v1/sessions", read, all, sessions),
        Route::get("/api/v1/sessions/{id}", read, one, show),
        Route::get("/api/v1/users", read, users, list_users),
    ]
}

async fn sessions(
    State(surface): State<Shared>,
    caller: Caller,
    Query(params): Query<ActivityParams>,
) -> Result<Json<SessionList>> {
    let (limit, after) = (limit(params.limit)?, params.cursor()?);
    let (found, next) = surface.app.traces.sessions(&params.filter(&caller)?, limit, after).await?;
    let data = found.into_iter().map(Session::from).collect();
    Ok(Json(SessionList { data, next_cursor: next.map(|cursor| cursor.to_string()) }))
}

async fn list_users(
    State(surface): State<Shared>,
    caller: Caller,
    Query(params): Query<ActivityParams>,
) -> Result<Json<UserList>> {
    let (limit, after) = (limit(params.limit)?, params.cursor()?);
    let (found, next) = surface.app.traces.users(&params.filter(&caller)?, limit, after).await?;
    let data = found.into_iter().map(User::from).collect();
    Ok(Json(UserList { data, next_cursor: next.map(|cursor| cursor.to_string()) }))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(params): Query<SessionParams>,
) -> Result<Json<SessionDetail>> {
    let filter = Filter { session: Some(id.clone()), ..Filter::of(caller.project_name().clone()) };
    let after: Option<Cursor> = params.cursor.as_deref().map(str::parse).transpose()?;
    let page = Page { limit: limit(params.limit)?, after };
    let (spans, next) = surface.app.traces.session(&filter, page).await?;
    if spans.is_empty() && after.is_none() {
        return Err(Error::missing("session", id));
    }
    let data = spans.iter().map(SpanBody::from).collect();
    Ok(Json(SessionDetail { session_id: id, data, next_cursor: next.map(|cursor| cursor.to_string()) }))
}

fn limit(wanted: Option<usize>) -> Result<usize> {
    let limit = wanted.unwrap_or(50);
    match (1..=Page::MOST).contains(&limit) {
        true => Ok(limit),
        false => Err(Error::parameter(
            "limit",
            "invalid_value",
            format!("Invalid 'limit': between 1 and {} are given at once.", Page::MOST),
        )),
    }
}

/// Whose activity is wanted, and which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ActivityParams {
    /// At most this many, of 500 at most; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only spans that began at or after this time count.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only spans that began before this time count.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Only spans of this end user count.
    user: Option<String>,
}

impl ActivityParams {
    fn cursor(&self) -> Result<Option<ActivityCursor>> {
        Ok(self.cursor.as_deref().map(str::parse).transpose()?)
    }

    fn filter(self, caller: &Caller) -> Result<Filter> {
        let range = match (self.from, self.to) {
            (None, None) => None,
            (from, to) => {
                let range = TimeRange::new(from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX));
                Some(range.map_err(|error| Error::parameter("from", "invalid_value", error.to_string()))?)
            }
        };
        Ok(Filter { range, user: self.user, ..Filter::of(caller.project_name().clone()) })
    }
}

/// Which page of a conversation.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SessionParams {
    /// At most this many calls, of 500 at most; 50 when absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A conversation.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// As the caller named it.
    pub session_id: String,
    /// The end user, or one of them.
    pub user_id: Option<String>,
    /// When its first span began.
    #[schema(value_type = String, format = DateTime)]
    pub first_time: Timestamp,
    /// When its last span began.
    #[schema(value_type = String, format = DateTime)]
    pub last_time: Timestamp,
    /// Traces.
    pub traces: u64,
    /// Calls of models.
    pub calls: u64,
    /// Spans that failed.
    pub errors: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What it cost, in picodollars.
    pub cost_picodollars: i64,
}

/// An end user.
#[derive(Serialize, ToSchema)]
pub struct User {
    /// As the caller named them.
    pub user_id: String,
    /// When their first span began.
    #[schema(value_type = String, format = DateTime)]
    pub first_time: Timestamp,
    /// When their last span began.
    #[schema(value_type = String, format = DateTime)]
    pub last_time: Timestamp,
    /// Conversations.
    pub sessions: u64,
    /// Calls of models.
    pub calls: u64,
    /// Spans that failed.
    pub errors: u64,
    /// Tokens of prompts.
    pub input_tokens: u64,
    /// Tokens of answers.
    pub output_tokens: u64,
    /// What they cost, in picodollars.
    pub cost_picodollars: i64,
}

/// A page of conversations.
#[derive(Serialize, ToSchema)]
pub struct SessionList {
    /// The conversations.
    pub data: Vec<Session>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A page of end users.
#[derive(Serialize, ToSchema)]
pub struct UserList {
    /// The users.
    pub data: Vec<User>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A page of a conversation's calls.
#[derive(Serialize, ToSchema)]
pub struct SessionDetail {
    /// The conversation.
    pub session_id: String,
    /// Its calls, in the order in which they began.
    pub data: Vec<SpanBody>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

impl From<Activity> for Session {
    fn from(found: Activity) -> Self {
        Self {
            session_id: found.id,
            user_id: found.user_id,
            first_time: found.first,
            last_time: found.last,
            traces: found.traces,
            calls: found.calls,
            errors: found.errors,
            input_tokens: found.input_tokens,
            output_tokens: found.output_tokens,
            cost_picodollars: found.cost.get(),
        }
    }
}

impl From<Activity> for User {
    fn from(found: Activity) -> Self {
        Self {
            user_id: found.id,
            first_time: found.first,
            last_time: found.last,
            sessions: found.sessions,
            calls: found.calls,
            errors: found.errors,
            input_tokens: found.input_tokens,
            output_tokens: found.output_tokens,
            cost_picodollars: found.cost.get(),
        }
    }
}
