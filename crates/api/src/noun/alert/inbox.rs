//! `/api/v1/alerts/inbox` and each rule's history: what changed, and what of it the caller has read.

use axum::extract::State;
use http::StatusCode;
use qd_base::id::AlertEventId;
use qd_base::name::AlertName;
use qd_base::time::Timestamp;
use qd_catalog::{AlertChange, AlertEvent, AlertEventFilter, Page, Scope, Severity};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path, Query};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::{Shared, Surface};

/// Events of a page when nobody says how many.
const USUAL_LIMIT: u32 = 50;

pub(crate) fn routes() -> Vec<Route> {
    let read = Permission::Scope(Scope::Read);
    let inbox = Doc::new("Alerts", "listAlertInbox", "What alerts told, newest first")
        .text("Each account and each key reads for itself. What a silence kept from the receivers stands here too.")
        .query::<InboxQuery>()
        .gives::<AlertEventList>(200, "One page");
    let unread = Doc::new("Alerts", "countAlertInbox", "How much of the inbox is unread, and how many rules fire")
        .gives::<InboxCount>(200, "The numbers");
    let mark = Doc::new("Alerts", "readAlertInbox", "Mark events as read by the caller")
        .takes::<MarkRead>()
        .gives_nothing("They are");
    let history = Doc::new("Alerts", "getAlertHistory", "What changed about a rule, newest first")
        .query::<HistoryQuery>()
        .gives::<AlertEventList>(200, "One page");
    vec![
        Route::get("/api/v1/alerts/inbox", read, inbox, list),
        Route::get("/api/v1/alerts/inbox/unread", read, unread, count),
        Route::post("/api/v1/alerts/inbox/read", read, mark, mark_read),
        Route::get("/api/v1/alerts/rules/{name}/history", read, history, of_rule),
    ]
}

async fn list(
    State(surface): State<Shared>,
    caller: Caller,
    Query(query): Query<InboxQuery>,
) -> Result<Json<AlertEventList>> {
    let unread = query.unread.unwrap_or(false);
    let filter = AlertEventFilter { unread, ..AlertEventFilter::inbox(caller.project()) };
    page(&surface, &caller, filter, query.limit, query.cursor).await
}

async fn of_rule(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<AlertName>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<AlertEventList>> {
    let alert = surface.app.catalog.alert(caller.project(), &name).await?.id;
    let filter = AlertEventFilter { alert: Some(alert), ..AlertEventFilter::of(caller.project()) };
    page(&surface, &caller, filter, query.limit, query.cursor).await
}

async fn page(
    surface: &Surface,
    caller: &Caller,
    filter: AlertEventFilter,
    limit: Option<u32>,
    cursor: Option<AlertEventId>,
) -> Result<Json<AlertEventList>> {
    let page = Page::maybe_after(limit.unwrap_or(USUAL_LIMIT), cursor);
    let found = surface.app.catalog.alert_events(&filter, &caller.actor(), page).await?;
    Ok(Json(AlertEventList {
        data: found.items.into_iter().map(AlertEventBody::from).collect(),
        next_cursor: found.next,
    }))
}

async fn count(State(surface): State<Shared>, caller: Caller) -> Result<Json<InboxCount>> {
    let catalog = &surface.app.catalog;
    let unread = catalog.unread_alert_events(caller.project(), &caller.actor()).await?;
    Ok(Json(InboxCount { unread, firing: catalog.raised_alerts(caller.project()).await? }))
}

async fn mark_read(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(mark): JsonBody<MarkRead>,
) -> Result<StatusCode> {
    let events = match (mark.ids, mark.all.unwrap_or(false)) {
        (Some(ids), false) => Some(ids),
        (None, true) => None,
        _ => {
            let message = "Invalid body: give either 'ids' or 'all': true.";
            return Err(Error::parameter("ids", "invalid_value", message));
        }
    };
    surface.app.catalog.mark_alert_events_read(caller.project(), &caller.actor(), events.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which of the inbox.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct InboxQuery {
    /// `true`: only what the caller has not read.
    unread: Option<bool>,
    /// At most this many, of 1000 at most; 50 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<AlertEventId>,
}

/// Which of the history.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// At most this many, of 1000 at most; 50 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<AlertEventId>,
}

/// What was read: some events, or all there are.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MarkAlertsRead)]
pub struct MarkRead {
    /// These events, 1000 at most.
    #[schema(value_type = Option<Vec<String>>)]
    pub ids: Option<Vec<AlertEventId>>,
    /// All of them.
    pub all: Option<bool>,
}

/// What a bell shows.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertInboxCount)]
pub struct InboxCount {
    /// Events that the caller has not read; 100 stands for 100 or more.
    pub unread: u64,
    /// Rules that fire.
    pub firing: u64,
}

/// A change of how a rule stands.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertEvent)]
pub struct AlertEventBody {
    /// Its identifier, which receivers see as the message's.
    #[schema(value_type = String, format = Uuid)]
    pub id: AlertEventId,
    /// The rule's name; the rule may be gone.
    #[schema(value_type = String)]
    pub alert: AlertName,
    /// How much it mattered.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// `firing`, `resolved`, `no_data`, `error`; in a history also `pending`, `recovering` and `ok`.
    #[schema(value_type = String)]
    pub change: AlertChange,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What was read.
    pub value: Option<f64>,
    /// In what that is told.
    pub unit: String,
    /// The value in words, or what went wrong.
    pub message: String,
    /// What the rule looked for, in words.
    pub summary: String,
    /// Whether it stands in the inbox.
    pub told: bool,
    /// Whether a silence kept it from the receivers.
    pub silenced: bool,
    /// Whether the caller has read it.
    pub read: bool,
}

/// One page of events.
#[derive(Serialize, ToSchema)]
pub struct AlertEventList {
    /// The events, newest first.
    pub data: Vec<AlertEventBody>,
    /// Asks for the next page; null on the last.
    #[schema(value_type = Option<String>)]
    pub next_cursor: Option<AlertEventId>,
}

impl From<AlertEvent> for AlertEventBody {
    fn from(event: AlertEvent) -> Self {
        let fact = |name: &str| event.facts[name].as_str().unwrap_or_default().to_owned();
        Self {
            unit: fact("unit"),
            summary: fact("condition"),
            id: event.id,
            alert: event.name,
            severity: event.severity,
            change: event.change,
            at: event.at,
            value: event.value,
            message: event.message,
            told: event.told,
            silenced: event.silenced,
            read: event.read,
        }
    }
}
