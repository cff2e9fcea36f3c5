//! `/api/v1/routes`: which model names the gateway answers to, and by whom.

use axum::extract::State;
use qd_catalog::Scope;
use qd_gateway::ModelRoute;
use serde::Serialize;
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::permission::Permission;
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let all = Doc::new("Routes", "listRoutes", "The operator's routes from model names to targets")
        .gives::<RouteList>(200, "The routes, by name");
    vec![Route::get("/api/v1/routes", Permission::Scope(Scope::Read), all, list)]
}

async fn list(State(surface): State<Shared>) -> Json<RouteList> {
    Json(RouteList { data: surface.app.gateway.routes().into_iter().map(RouteBody::from).collect() })
}

/// Routes.
#[derive(Serialize, ToSchema)]
pub struct RouteList {
    /// The routes.
    pub data: Vec<RouteBody>,
}

/// A model name and who may answer to it.
#[derive(Serialize, ToSchema)]
#[schema(as = Route)]
pub struct RouteBody {
    /// The name in a request's `model`.
    pub name: String,
    /// Tried in this order.
    pub targets: Vec<TargetBody>,
    /// Retries of each target; the gateway's own number when null.
    pub retries: Option<u32>,
    /// How long one attempt may take; the provider's or the gateway's limit when null.
    pub timeout_ms: Option<u64>,
}

/// A model at a provider.
#[derive(Serialize, ToSchema)]
#[schema(as = Target)]
pub struct TargetBody {
    /// The provider; `local` is the engine in this process.
    pub provider: String,
    /// The provider's own name of the model.
    pub model: String,
}

impl From<ModelRoute> for RouteBody {
    fn from(route: ModelRoute) -> Self {
        let targets = route
            .targets
            .into_iter()
            .map(|target| TargetBody { provider: target.provider.to_string(), model: target.model });
        Self { name: route.name, targets: targets.collect(), retries: route.retries, timeout_ms: route.timeout_ms }
    }
}
