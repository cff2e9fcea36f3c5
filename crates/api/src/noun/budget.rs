//! `/api/v1/budgets`: what a project means to spend at most, and how far it is.

use axum::extract::State;
use http::StatusCode;
use qd_base::money::Picodollars;
use qd_base::period::Period;
use qd_base::time::Timestamp;
use qd_catalog::{Budget, BudgetBy, BudgetLimit, BudgetScope, Scope, StoredBudget};
use qd_trace::stats::{BudgetState, BudgetUse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, admin) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Admin));
    let all = Doc::new("Budgets", "listBudgets", "The project's budgets and how far they are used")
        .text("Periods are days, weeks from Monday on, and months, by UTC. A budget is told and shown; no call is refused because of it.")
        .gives::<BudgetList>(200, "The budgets, by name");
    let one = Doc::new("Budgets", "getBudget", "One budget").gives::<BudgetBody>(200, "The budget");
    let put = Doc::new("Budgets", "putBudget", "Add or change a budget")
        .takes::<BudgetSpec>()
        .gives::<BudgetBody>(200, "The budget");
    let gone = Doc::new("Budgets", "removeBudget", "Remove a budget").gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/budgets", read, all, list),
        Route::get("/api/v1/budgets/{name}", read, one, show),
        Route::put("/api/v1/budgets/{name}", admin, put, change),
        Route::delete("/api/v1/budgets/{name}", admin, gone, remove),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<BudgetList>> {
    let mut data = Vec::new();
    for stored in surface.app.catalog.budgets(Some(caller.project())).await? {
        data.push(told(&surface, &caller, stored).await?);
    }
    Ok(Json(BudgetList { data }))
}

async fn show(State(surface): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<Json<BudgetBody>> {
    let stored = surface.app.catalog.budget(caller.project(), &name).await?;
    told(&surface, &caller, stored).await.map(Json)
}

async fn change(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(spec): JsonBody<BudgetSpec>,
) -> Result<Json<BudgetBody>> {
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let stored = catalog.put_budget(caller.project(), spec.named(name)?).await?;
    told(&surface, &caller, stored).await.map(Json)
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode> {
    surface.app.catalog.acting(&caller.actor())?.remove_budget(caller.project(), &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn told(surface: &Surface, caller: &Caller, stored: StoredBudget) -> Result<BudgetBody> {
    let used = surface.app.traces.budget_use(caller.project_name(), &stored.budget, Timestamp::now()).await?;
    Ok(BudgetBody::of(stored, used))
}

/// What a budget is to be: one of the two limits, and perhaps which calls count.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetSpec {
    /// `day`, `week` or `month`, by UTC; a week begins on Monday.
    #[schema(value_type = String)]
    pub period: Period,
    /// The most that calls should cost, in picodollars.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub limit_picodollars: Option<i64>,
    /// The most tokens of prompts and answers.
    #[serde(default)]
    #[schema(minimum = 1)]
    pub limit_tokens: Option<u64>,
    /// Only calls that agree in this count: `model` (that answered), `provider`, `user`, `environment` or `prompt`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub by: Option<BudgetBy>,
    /// With `by`, its name.
    #[serde(default)]
    pub value: Option<String>,
}

impl BudgetSpec {
    fn named(self, name: String) -> Result<Budget> {
        let limit = match (self.limit_picodollars, self.limit_tokens) {
            (Some(money), None) => BudgetLimit::Money(Picodollars::new(money)),
            (None, Some(tokens)) => BudgetLimit::Tokens(tokens),
            _ => {
                let message = "Invalid 'limit_picodollars': give it or 'limit_tokens', and not both.";
                return Err(Error::parameter("limit_picodollars", "invalid_value", message));
            }
        };
        let scope = match (self.by, self.value) {
            (None, None) => None,
            (Some(by), Some(value)) => Some(BudgetScope { by, value }),
            _ => {
                return Err(Error::parameter(
                    "value",
                    "invalid_value",
                    "Invalid 'value': it and 'by' belong together.",
                ));
            }
        };
        Ok(Budget { name, period: self.period, limit, scope })
    }
}

/// Budgets.
#[derive(Serialize, ToSchema)]
pub struct BudgetList {
    /// The budgets.
    pub data: Vec<BudgetBody>,
}

/// A budget and how far it is used in the present period.
#[derive(Serialize, ToSchema)]
#[schema(as = Budget)]
pub struct BudgetBody {
    /// Its name.
    pub name: String,
    /// `day`, `week` or `month`.
    #[schema(value_type = String)]
    pub period: Period,
    /// The limit of one in money; else null.
    pub limit_picodollars: Option<i64>,
    /// The limit of one in tokens; else null.
    pub limit_tokens: Option<u64>,
    /// In what the calls that count agree; null when all count.
    #[schema(value_type = Option<String>)]
    pub by: Option<BudgetBy>,
    /// Its name.
    pub value: Option<String>,
    /// When the present period began.
    #[schema(value_type = String, format = DateTime)]
    pub period_start: Timestamp,
    /// When it ends.
    #[schema(value_type = String, format = DateTime)]
    pub period_end: Timestamp,
    /// What the calls have come to, in the unit of the limit.
    pub used: i64,
    /// The share of the limit.
    pub used_share: f64,
    /// What they will have come to at the end of the period if they go on so; null at its very beginning.
    pub projected: Option<i64>,
    /// `within` the limit, `ahead` of it if calls go on so, or `reached`.
    #[schema(value_type = String)]
    pub state: BudgetState,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
}

impl BudgetBody {
    fn of(stored: StoredBudget, used: BudgetUse) -> Self {
        let StoredBudget { budget, created, updated, .. } = stored;
        let (limit_picodollars, limit_tokens) = match budget.limit {
            BudgetLimit::Money(money) => (Some(money.get()), None),
            BudgetLimit::Tokens(tokens) => (None, Some(tokens)),
        };
        let (by, value) = budget.scope.map(|scope| (scope.by, scope.value)).unzip();
        Self {
            name: budget.name,
            period: budget.period,
            limit_picodollars,
            limit_tokens,
            by,
            value,
            period_start: used.range.from(),
            period_end: used.range.to(),
            used: used.used,
            used_share: used.share,
            projected: used.projected,
            state: used.state,
            created,
            updated,
        }
    }
}
