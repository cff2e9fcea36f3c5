//! `/api/v1/alerts/receivers`: webhooks that are told. A secret is shown once; a URL may hold a token, so who may not change it
//! sees its host only.

use axum::extract::State;
use http::StatusCode;
use qd_base::name::AlertName;
use qd_base::secret::Secret;
use qd_base::time::Timestamp;
use qd_catalog::alert::receiver::new_secret;
use qd_catalog::{AlertChange, NewReceiver, Receiver, ReceiverChange, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::Shared;

/// What receivers are told, and when nobody says what, are told.
const TOLD: [AlertChange; 4] = [AlertChange::Firing, AlertChange::Resolved, AlertChange::NoData, AlertChange::Error];

pub(crate) fn routes() -> Vec<Route> {
    let (read, admin) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Admin));
    let all = Doc::new("Alerts", "listAlertReceivers", "The webhooks that are told, and how each fares")
        .text("Without the scope admin a URL shows its host only: the rest may be a token.")
        .gives::<ReceiverList>(200, "The receivers, by name");
    let new = Doc::new("Alerts", "createAlertReceiver", "Add a webhook")
        .text("Messages are signed as Standard Webhooks 1.0.0 has it. Addresses of this machine and of private networks are refused, unless the operator allows them in [net] allow.")
        .takes::<NewReceiverBody>()
        .gives::<ReceiverWithSecret>(201, "The receiver, and its secret, this once");
    let one = Doc::new("Alerts", "getAlertReceiver", "One webhook").gives::<ReceiverBody>(200, "The receiver");
    let put = Doc::new("Alerts", "changeAlertReceiver", "Change a webhook")
        .text("What is absent stays.")
        .takes::<ReceiverSpec>()
        .gives::<ReceiverBody>(200, "The receiver");
    let gone = Doc::new("Alerts", "removeAlertReceiver", "Remove a webhook, its secret and what waits for it")
        .gives_nothing("It is gone");
    let again = Doc::new("Alerts", "renewAlertReceiverSecret", "Make another secret for a webhook")
        .text("The old one signs nothing from then on.")
        .gives::<ReceiverWithSecret>(200, "The receiver, and its new secret, this once");
    let test = Doc::new("Alerts", "testAlertReceiver", "Send a webhook a message that says it is a test")
        .gives::<TestBody>(200, "How that went; that it failed is an answer too");
    vec![
        Route::get("/api/v1/alerts/receivers", read, all, list),
        Route::post("/api/v1/alerts/receivers", admin, new, create),
        Route::get("/api/v1/alerts/receivers/{name}", read, one, show),
        Route::put("/api/v1/alerts/receivers/{name}", admin, put, change),
        Route::delete("/api/v1/alerts/receivers/{name}", admin, gone, remove),
        Route::post("/api/v1/alerts/receivers/{name}/secret", admin, again, renew),
        Route::post("/api/v1/alerts/receivers/{name}/test", admin, test, try_out),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<ReceiverList>> {
    let found = surface.app.catalog.receivers(caller.project()).await?;
    Ok(Json(ReceiverList { data: found.into_iter().map(|receiver| ReceiverBody::of(receiver, &caller)).collect() }))
}

async fn show(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<AlertName>,
) -> Result<Json<ReceiverBody>> {
    let receiver = surface.app.catalog.receiver(caller.project(), &name).await?;
    Ok(Json(ReceiverBody::of(receiver, &caller)))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewReceiverBody>,
) -> Result<Created<ReceiverWithSecret>> {
    let secret = new.secret.unwrap_or_else(new_secret);
    let spec = NewReceiver {
        name: new.name,
        url: new.url.parse()?,
        changes: told(new.changes)?.unwrap_or_else(|| TOLD.to_vec()),
        disabled: !new.enabled.unwrap_or(true),
    };
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let receiver = catalog.create_receiver(caller.project(), spec, &secret).await?;
    Ok(Created(ReceiverWithSecret::of(receiver, &secret, &caller)))
}

async fn change(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<AlertName>,
    JsonBody(spec): JsonBody<ReceiverSpec>,
) -> Result<Json<ReceiverBody>> {
    let change = ReceiverChange {
        url: spec.url.map(|url| url.parse()).transpose()?,
        changes: told(spec.changes)?,
        disabled: spec.enabled.map(|enabled| !enabled),
        secret: spec.secret,
    };
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let receiver = catalog.change_receiver(caller.project(), &name, change).await?;
    Ok(Json(ReceiverBody::of(receiver, &caller)))
}

async fn renew(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<AlertName>,
) -> Result<Json<ReceiverWithSecret>> {
    let secret = new_secret();
    let change = ReceiverChange { secret: Some(secret.clone()), ..ReceiverChange::default() };
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let receiver = catalog.change_receiver(caller.project(), &name, change).await?;
    Ok(Json(ReceiverWithSecret::of(receiver, &secret, &caller)))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<AlertName>) -> Result<StatusCode> {
    surface.app.catalog.acting(&caller.actor())?.remove_receiver(caller.project(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn try_out(State(surface): State<Shared>, caller: Caller, Path(name): Path<AlertName>) -> Result<Json<TestBody>> {
    let sent = surface.app.alerts.test(caller.project(), &name, Timestamp::now()).await?;
    Ok(Json(TestBody {
        delivered: sent.error.is_none(),
        status: sent.status,
        error: sent.error,
        took_ms: u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX),
    }))
}

/// Changes that receivers can be told of.
fn told(changes: Option<Vec<AlertChange>>) -> Result<Option<Vec<AlertChange>>> {
    let Some(mut changes) = changes else { return Ok(None) };
    changes.sort_unstable();
    changes.dedup();
    match changes.iter().find(|change| !TOLD.contains(change)) {
        None => Ok(Some(changes)),
        Some(_) => {
            let message = "Invalid 'changes': receivers are told of firing, resolved, no_data and error.";
            Err(Error::parameter("changes", "invalid_value", message))
        }
    }
}

/// A webhook to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAlertReceiver)]
pub struct NewReceiverBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: AlertName,
    /// Where messages are posted to.
    pub url: String,
    /// What it is told: `firing`, `resolved`, `no_data`, `error`; all of them when absent.
    #[schema(value_type = Option<Vec<String>>)]
    pub changes: Option<Vec<AlertChange>>,
    /// Whether it is told; true when absent.
    pub enabled: Option<bool>,
    /// `whsec_` and the base64 of 24 to 64 random bytes; one is made when absent.
    #[schema(value_type = Option<String>, write_only)]
    pub secret: Option<Secret>,
}

/// What is to change about a webhook.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AlertReceiverSpec)]
pub struct ReceiverSpec {
    /// Where messages are posted to.
    pub url: Option<String>,
    /// What it is told.
    #[schema(value_type = Option<Vec<String>>)]
    pub changes: Option<Vec<AlertChange>>,
    /// Whether it is told.
    pub enabled: Option<bool>,
    /// Another secret.
    #[schema(value_type = Option<String>, write_only)]
    pub secret: Option<Secret>,
}

/// A webhook that is told, and how it fares.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertReceiver)]
pub struct ReceiverBody {
    /// Its name.
    #[schema(value_type = String)]
    pub name: AlertName,
    /// Where messages are posted to; for who is no admin without path and query.
    pub url: String,
    /// What it is told.
    #[schema(value_type = Vec<String>)]
    pub changes: Vec<AlertChange>,
    /// Whether it is told. One that answered 410 is switched off.
    pub enabled: bool,
    /// Messages that it took.
    pub delivered: u64,
    /// Messages that wait for it.
    pub waiting: u64,
    /// Attempts that failed since the last that did not.
    pub failures: u64,
    /// When it last took a message.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success: Option<Timestamp>,
    /// When an attempt last failed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_failure: Option<Timestamp>,
    /// Why.
    pub last_error: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
}

/// A webhook with its secret, which is shown this once.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertReceiverWithSecret)]
pub struct ReceiverWithSecret {
    /// Verifies signatures; it cannot be read again.
    pub secret: String,
    /// The webhook.
    pub receiver: ReceiverBody,
}

/// Webhooks.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertReceiverList)]
pub struct ReceiverList {
    /// The receivers.
    pub data: Vec<ReceiverBody>,
}

/// How a test went.
#[derive(Serialize, ToSchema)]
#[schema(as = AlertReceiverTest)]
pub struct TestBody {
    /// Whether the receiver took it.
    pub delivered: bool,
    /// What it answered with, if it answered.
    pub status: Option<u16>,
    /// What went wrong, if it did.
    pub error: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}

impl ReceiverBody {
    fn of(receiver: Receiver, caller: &Caller) -> Self {
        let url = match caller.may(Scope::Admin) {
            true => receiver.spec.url.as_str().to_owned(),
            false => receiver.spec.url.place(),
        };
        Self {
            name: receiver.spec.name,
            url,
            changes: receiver.spec.changes,
            enabled: !receiver.spec.disabled,
            delivered: receiver.delivered,
            waiting: receiver.waiting,
            failures: receiver.failures,
            last_success: receiver.last_success,
            last_failure: receiver.last_failure,
            last_error: receiver.last_error,
            created: receiver.created,
            updated: receiver.updated,
        }
    }
}

impl ReceiverWithSecret {
    fn of(receiver: Receiver, secret: &Secret, caller: &Caller) -> Self {
        Self { secret: secret.expose().to_owned(), receiver: ReceiverBody::of(receiver, caller) }
    }
}
