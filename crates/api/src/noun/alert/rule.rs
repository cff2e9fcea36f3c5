//! `/api/v1/alerts/rules`: what is looked for, and how each rule stands.

use axum::extract::State;
use http::StatusCode;
use qd_alert::{Condition, Definition, Missing, Query as AlertReading};
use qd_base::id::AlertId;
use qd_base::name::AlertName;
use qd_base::time::Timestamp;
use qd_catalog::{Alert, AlertState, NewAlert, Scope, Severity, Silence};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, write) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Write));
    let all = Doc::new("Alerts", "listAlerts", "The rules of the project, and how each stands")
        .gives::<AlertList>(200, "The rules, by name");
    let new = Doc::new("Alerts", "createAlert", "Add a rule")
        .text("A rule with a statement needs the scope admin, since a statement sees the rows of every project; one over all projects is the operator's.")
        .takes::<AlertSpec>()
        .gives::<AlertBody>(201, "The rule; it is evaluated at once");
    let one = Doc::new("Alerts", "getAlert", "One rule, and how it stands").gives::<AlertBody>(200, "The rule");
    let put = Doc::new("Alerts", "putAlert", "Add or change a rule")
        .text("A rule that is read otherwise than before, or switched on or off, begins anew; if it fires, it is resolved.")
        .takes::<AlertSpec>()
        .gives::<AlertBody>(200, "The rule");
    let gone = Doc::new("Alerts", "removeAlert", "Remove a rule")
        .text("If it fires, it is resolved. What it told stays in the inbox.")
        .gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/alerts/rules", read, all, list),
        Route::post("/api/v1/alerts/rules", write, new, create),
        Route::get("/api/v1/alerts/rules/{name}", read, one, show),
        Route::put("/api/v1/alerts/rules/{name}", write, put, change),
        Route::delete("/api/v1/alerts/rules/{name}", write, gone, remove),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<AlertList>> {
    let catalog = &surface.app.catalog;
    let silences = catalog.silences(caller.project(), Timestamp::now()).await?;
    let alerts = catalog.alerts(caller.project()).await?;
    let data = alerts.into_iter().map(|alert| AlertBody::of(alert, &silences)).collect::<Result<_>>()?;
    Ok(Json(AlertList { data }))
}

async fn show(State(surface): State<Shared>, caller: Caller, Path(name): Path<AlertName>) -> Result<Json<AlertBody>> {
    let alert = surface.app.catalog.alert(caller.project(), &name).await?;
    shown(&surface, &caller, alert).await.map(Json)
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(spec): JsonBody<AlertSpec>,
) -> Result<Created<AlertBody>> {
    let name = spec
        .name
        .clone()
        .ok_or_else(|| Error::parameter("name", "missing_required_parameter", "Missing required parameter: 'name'."))?;
    let new = spec.checked(&caller)?.named(name)?;
    known(&surface, &caller, &new).await?;
    let alert = surface.app.catalog.acting(&caller.actor())?.create_alert(caller.project(), new).await?;
    surface.app.alerts.wake().await?;
    shown(&surface, &caller, alert).await.map(Created)
}

async fn change(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<AlertName>,
    JsonBody(spec): JsonBody<AlertSpec>,
) -> Result<Json<AlertBody>> {
    if spec.name.as_ref().is_some_and(|other| *other != name) {
        let message = "Invalid 'name': a rule keeps its name; leave it out, or give the one of the path.";
        return Err(Error::parameter("name", "invalid_value", message));
    }
    may_touch(&surface, &caller, &name).await?;
    let new = spec.checked(&caller)?.named(name)?;
    known(&surface, &caller, &new).await?;
    let alert = surface.app.catalog.acting(&caller.actor())?.put_alert(caller.project(), new).await?;
    surface.app.alerts.wake().await?;
    shown(&surface, &caller, alert).await.map(Json)
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<AlertName>) -> Result<StatusCode> {
    may_touch(&surface, &caller, &name).await?;
    surface.app.catalog.acting(&caller.actor())?.remove_alert(caller.project(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses who may not have such a rule: SQL and other projects are not everybody's to read.
fn may_have(caller: &Caller, definition: &Definition) -> Result<()> {
    if definition.everywhere && !caller.is_operator() {
        return Err(Error::OperatorOnly { what: "have a rule over all projects" });
    }
    if definition.query.sql.is_some() { caller.needs(Scope::Admin) } else { Ok(()) }
}

/// Refuses who may not have the rule that there is under this name, if there is one.
async fn may_touch(surface: &Surface, caller: &Caller, name: &AlertName) -> Result<()> {
    match surface.app.catalog.alert(caller.project(), name).await {
        Ok(alert) => may_have(caller, &Definition::read(&alert.spec.definition)?),
        Err(qd_catalog::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a rule that would tell a receiver which is not there: a slip of the pen would tell nobody.
async fn known(surface: &Surface, caller: &Caller, new: &NewAlert) -> Result<()> {
    let Some(named) = &new.receivers else { return Ok(()) };
    let receivers = surface.app.catalog.receivers(caller.project()).await?;
    let missing = named.iter().find(|name| receivers.iter().all(|receiver| receiver.spec.name != **name));
    missing.map_or(Ok(()), |name| {
        let message = format!("Invalid 'receivers': there is no receiver {name}.");
        Err(Error::parameter("receivers", "invalid_value", message))
    })
}

async fn shown(surface: &Surface, caller: &Caller, alert: Alert) -> Result<AlertBody> {
    let silences = surface.app.catalog.silences(caller.project(), Timestamp::now()).await?;
    AlertBody::of(alert, &silences)
}

/// What a rule is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlertSpec {
    /// Its name, needed to add one: lower-case letters, digits, '-', '_' and '.'.
    #[schema(value_type = Option<String>)]
    pub name: Option<AlertName>,
    /// How much it matters: `info`, `warning` (when absent) or `critical`.
    #[schema(value_type = Option<String>)]
    pub severity: Option<Severity>,
    /// The receivers that are told; all of the project when absent.
    #[schema(value_type = Option<Vec<String>>)]
    pub receivers: Option<Vec<AlertName>>,
    /// Whether it is evaluated; true when absent.
    pub enabled: Option<bool>,
    /// What is read.
    #[schema(value_type = AlertQuery)]
    pub query: AlertReading,
    /// Over all projects; the operator's only.
    pub everywhere: Option<bool>,
    /// Over how many seconds: from a minute to 31 days.
    #[schema(minimum = 60)]
    pub window_s: u64,
    /// Every how many seconds; 60 when absent, 15 at least.
    #[schema(minimum = 15)]
    pub every_s: Option<u64>,
    /// How many seconds before its evaluation the window ends, 5 when absent: a call is recorded when it ends, and counts
    /// at its start.
    pub delay_s: Option<u64>,
    /// What is to be told.
    #[schema(value_type = AlertCondition)]
    pub condition: Condition,
    /// For how many seconds that has to hold before the rule fires; 0 when absent.
    pub for_s: Option<u64>,
    /// In how many evaluations on end; 1 when absent.
    #[schema(minimum = 1)]
    pub for_evaluations: Option<u32>,
    /// For how many seconds all has to be well before it is resolved; 0 when absent.
    pub keep_firing_for_s: Option<u64>,
    /// While there is nothing to judge by: `quiet` (when absent), `tell`, `firing` or `keep`.
    #[schema(value_type = Option<String>)]
    pub on_no_data: Option<Missing>,
    /// While it cannot be evaluated: `tell` (when absent), `quiet`, `firing` or `keep`.
    #[schema(value_type = Option<String>)]
    pub on_error: Option<Missing>,
    /// What to know and to do when it fires; receivers are sent it.
    pub description: Option<String>,
}

/// A rule that its caller may make.
pub(super) struct Checked {
    severity: Severity,
    receivers: Option<Vec<AlertName>>,
    enabled: bool,
    pub(super) definition: Definition,
}

impl AlertSpec {
    /// The rule, if it can be right and the caller may make it.
    pub(super) fn checked(self, caller: &Caller) -> Result<Checked> {
        let definition = Definition {
            query: self.query,
            everywhere: self.everywhere.unwrap_or(false),
            window_s: self.window_s,
            every_s: self.every_s.unwrap_or(60),
            delay_s: self.delay_s.unwrap_or(5),
            condition: self.condition,
            for_s: self.for_s.unwrap_or(0),
            for_evaluations: self.for_evaluations.unwrap_or(1),
            keep_firing_for_s: self.keep_firing_for_s.unwrap_or(0),
            on_no_data: self.on_no_data.unwrap_or(Missing::Quiet),
            on_error: self.on_error.unwrap_or(Missing::Tell),
            description: self.description,
        };
        may_have(caller, &definition)?;
        definition.check()?;
        let severity = self.severity.unwrap_or(Severity::Warning);
        Ok(Checked { severity, receivers: self.receivers, enabled: self.enabled.unwrap_or(true), definition })
    }
}

impl Checked {
    fn named(self, name: AlertName) -> Result<NewAlert> {
        let mut facts = json!({"condition": self.definition.words(), "unit": self.definition.unit()});
        if let Some(description) = &self.definition.description {
            facts["description"] = description.as_str().into();
        }
        Ok(NewAlert {
            name,
            severity: self.severity,
            receivers: self.receivers,
            disabled: !self.enabled,
            definition: serde_json::to_value(&self.definition).map_err(Error::encode)?,
            facts,
        })
    }
}

/// What is read: a measure of the calls that the rest takes, or what a statement says.
#[derive(ToSchema)]
pub struct AlertQuery {
    /// `calls`, `errors`, `error_rate`, `latency_p50`, `latency_p95`, `latency_p99`, `ttft_p50`, `ttft_p95`, `cost`, `tokens`,
    /// `input_tokens`, `output_tokens`, `output_tokens_per_s` or `score`.
    pub measure: Option<String>,
    /// Of the measure `score`: the name of the scores whose mean it is.
    pub score: Option<String>,
    /// Instead of a measure: a statement that gives one row with one number. `$1` and `$2` are when the window begins and
    /// ends.
    pub sql: Option<String>,
    /// `llm`, `embedding`, `retriever`, `tool`, …; those that call models when absent.
    pub kind: Option<String>,
    /// `ok`, `error` or `cancelled`.
    pub status: Option<String>,
    /// The model, as asked for or as it answered.
    pub model: Option<String>,
    /// Who ran it.
    pub provider: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// The end user.
    pub user: Option<String>,
    /// One of the tags.
    pub tag: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// The operation.
    pub name: Option<String>,
    /// The prompt artifact.
    pub prompt: Option<String>,
}

/// What is to be told.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AlertCondition {
    /// What is read passes a limit.
    Threshold {
        /// `above` or `below`.
        direction: String,
        /// The limit, in the measure's unit: %, ms, dollars.
        value: f64,
        /// The limit that it has to come back to; the same when absent.
        clear: Option<f64>,
    },
    /// What is read differs from what it was.
    Change {
        /// `above` or `below`.
        direction: String,
        /// By more than this; a fall is negative.
        value: f64,
        /// The difference that it has to come back to; the same when absent.
        clear: Option<f64>,
        /// `percent` (when absent) or `absolute`.
        unit: Option<String>,
        /// The window `previous` (when absent), or the same a `day` or a `week` before.
        against: Option<String>,
    },
    /// A budget is used up so many times as fast as it may be, over the window and over a shorter one as well.
    Budget {
        /// How much there is in a period: dollars, tokens, calls.
        limit: f64,
        /// The period, in seconds.
        period_s: u64,
        /// So many times as fast, in thousandths.
        factor: f64,
        /// The shorter window; a twelfth of the window when absent.
        short_window_s: Option<u64>,
        /// The factor that it has to fall below; the same when absent.
        clear_factor: Option<f64>,
    },
    /// There were no calls.
    Absence {
        /// For how many seconds a new rule waits for the first; the window when absent.
        grace_s: Option<u64>,
    },
}

/// A rule, and how it stands.
#[derive(Serialize, ToSchema)]
#[schema(as = Alert)]
pub struct AlertBody {
    /// Its identifier.
    #[schema(value_type = String, format = Uuid)]
    pub id: AlertId,
    /// Its name.
    #[schema(value_type = String)]
    pub name: AlertName,
    /// How it stands: `ok`, `pending`, `firing`, `recovering`, `no_data` or `error`.
    #[schema(value_type = String)]
    pub state: AlertState,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// What was read last.
    pub value: Option<f64>,
    /// In what that is told: `ms`, `%`, `$`, `×`, or nothing.
    #[schema(value_type = String)]
    pub unit: &'static str,
    /// The value in words, or what went wrong.
    pub message: String,
    /// When it was last evaluated; null before the first time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub evaluated: Option<Timestamp>,
    /// When it is evaluated next.
    #[schema(value_type = String, format = DateTime)]
    pub due: Timestamp,
    /// Whether a silence keeps it from the receivers now.
    pub silenced: bool,
    /// What it looks for, in words.
    pub summary: String,
    /// How much it matters: `info`, `warning` or `critical`.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// The receivers that are told; all of the project when null.
    #[schema(value_type = Option<Vec<String>>)]
    pub receivers: Option<Vec<AlertName>>,
    /// Whether it is evaluated.
    pub enabled: bool,
    /// What is read.
    #[schema(value_type = AlertQuery)]
    pub query: AlertReading,
    /// Whether it is over all projects.
    pub everywhere: bool,
    /// Over how many seconds.
    pub window_s: u64,
    /// Every how many seconds.
    pub every_s: u64,
    /// How many seconds before its evaluation the window ends.
    pub delay_s: u64,
    /// What is to be told.
    #[schema(value_type = AlertCondition)]
    pub condition: Condition,
    /// For how many seconds that has to hold.
    pub for_s: u64,
    /// In how many evaluations on end.
    pub for_evaluations: u32,
    /// For how many seconds all has to be well before it is resolved.
    pub keep_firing_for_s: u64,
    /// While there is nothing to judge by: `quiet`, `tell`, `firing` or `keep`.
    #[schema(value_type = String)]
    pub on_no_data: Missing,
    /// While it cannot be evaluated: the same.
    #[schema(value_type = String)]
    pub on_error: Missing,
    /// What to know and to do when it fires.
    pub description: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
}

/// Rules.
#[derive(Serialize, ToSchema)]
pub struct AlertList {
    /// The rules.
    pub data: Vec<AlertBody>,
}

impl AlertBody {
    fn of(alert: Alert, silences: &[Silence]) -> Result<Self> {
        let rule = Definition::read(&alert.spec.definition)?;
        let now = Timestamp::now();
        let silenced = silences.iter().any(|silence| silence.holds(&alert.spec.name, alert.spec.severity, now));
        Ok(Self {
            id: alert.id,
            state: alert.standing.state,
            since: alert.standing.since,
            value: alert.standing.value,
            unit: rule.unit(),
            message: alert.standing.message,
            evaluated: alert.standing.evaluated,
            due: alert.standing.due,
            silenced,
            summary: rule.words(),
            name: alert.spec.name,
            severity: alert.spec.severity,
            receivers: alert.spec.receivers,
            enabled: !alert.spec.disabled,
            query: rule.query,
            everywhere: rule.everywhere,
            window_s: rule.window_s,
            every_s: rule.every_s,
            delay_s: rule.delay_s,
            condition: rule.condition,
            for_s: rule.for_s,
            for_evaluations: rule.for_evaluations,
            keep_firing_for_s: rule.keep_firing_for_s,
            on_no_data: rule.on_no_data,
            on_error: rule.on_error,
            description: rule.description,
            created: alert.created,
            updated: alert.updated,
        })
    }
}
