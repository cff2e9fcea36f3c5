//! `/api/v1/routes`: which model names the gateway answers to, and by whom.

use axum::extract::State;
use http::StatusCode;
use qd_base::name::ProviderName;
use qd_base::time::Timestamp;
use qd_catalog::{ModelRoute, Scope, StoredRoute, Target};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let (read, admin) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Admin));
    let all = Doc::new("Routes", "listRoutes", "The routes from model names to targets")
        .text("The project's own, and those of the operator's file that no own one of the same name stands before.")
        .gives::<RouteList>(200, "The routes, by name");
    let new =
        Doc::new("Routes", "createRoute", "Add a route").takes::<NewRouteBody>().gives::<RouteBody>(201, "The route");
    let one = Doc::new("Routes", "getRoute", "One route").gives::<RouteBody>(200, "The route");
    let put = Doc::new("Routes", "putRoute", "Add or change a route")
        .text("Calls that begin afterwards go by it. A provider that it names may be added later.")
        .takes::<RouteSpec>()
        .gives::<RouteBody>(200, "The route");
    let gone = Doc::new("Routes", "removeRoute", "Remove a route of the project's own")
        .text("A route of the operator's file of the same name is in force again afterwards.")
        .gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/routes", read, all, list),
        Route::post("/api/v1/routes", admin, new, create),
        Route::get("/api/v1/routes/{name}", read, one, show),
        Route::put("/api/v1/routes/{name}", admin, put, change),
        Route::delete("/api/v1/routes/{name}", admin, gone, remove),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<RouteList>> {
    Ok(Json(RouteList { data: in_force(&surface, &caller).await? }))
}

async fn show(State(surface): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<Json<RouteBody>> {
    let found = in_force(&surface, &caller).await?.into_iter().find(|route| route.name == name);
    found.map(Json).ok_or_else(|| Error::missing("route", &name))
}

/// The routes that calls of the caller's project go by, by name.
async fn in_force(surface: &Surface, caller: &Caller) -> Result<Vec<RouteBody>> {
    let own = surface.app.catalog.routes(Some(caller.project())).await?;
    let mut of_file = surface.app.gateway.routes();
    of_file.retain(|route| own.iter().all(|own| own.route.name != route.name));
    let mut routes: Vec<_> =
        own.into_iter().map(RouteBody::from).chain(of_file.into_iter().map(RouteBody::of_file)).collect();
    routes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(routes)
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewRouteBody>,
) -> Result<Created<RouteBody>> {
    let spec = RouteSpec { targets: new.targets, retries: new.retries, timeout_ms: new.timeout_ms };
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    let stored = catalog.create_route(caller.project(), spec.named(new.name)).await?;
    Ok(Created(stored.into()))
}

async fn change(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<String>,
    JsonBody(spec): JsonBody<RouteSpec>,
) -> Result<Json<RouteBody>> {
    let catalog = surface.app.catalog.acting(&caller.actor())?;
    // The gateway sees that it has changed before its next call.
    let stored = catalog.put_route(caller.project(), spec.named(name)).await?;
    Ok(Json(stored.into()))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<String>) -> Result<StatusCode> {
    let removed = surface.app.catalog.acting(&caller.actor())?.remove_route(caller.project(), &name).await;
    match removed {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(qd_catalog::Error::NotFound { .. })
            if surface.app.gateway.routes().iter().any(|route| route.name == name) =>
        {
            Err(Error::Conflict { message: format!("the route {name:?} stands in quarterdeck.toml; change it there") })
        }
        Err(error) => Err(error.into()),
    }
}

/// A route to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRoute)]
pub struct NewRouteBody {
    /// The name in a request's `model`. It stands before a provider's or a local model's name that is the same.
    pub name: String,
    /// Tried in this order; 16 at most.
    pub targets: Vec<TargetBody>,
    /// Retries of each target, 10 at most; the gateway's own number when absent.
    pub retries: Option<u32>,
    /// How long one attempt may take; the provider's or the gateway's limit when absent.
    pub timeout_ms: Option<u32>,
}

/// What a route is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteSpec {
    /// Tried in this order; 16 at most.
    pub targets: Vec<TargetBody>,
    /// Retries of each target, 10 at most; the gateway's own number when absent.
    pub retries: Option<u32>,
    /// How long one attempt may take; the provider's or the gateway's limit when absent.
    pub timeout_ms: Option<u32>,
}

impl RouteSpec {
    fn named(self, name: String) -> ModelRoute {
        let targets = self.targets.into_iter().map(|target| Target { provider: target.provider, model: target.model });
        ModelRoute { name, targets: targets.collect(), retries: self.retries, timeout_ms: self.timeout_ms }
    }
}

/// Routes.
#[derive(Serialize, ToSchema)]
pub struct RouteList {
    /// The routes.
    pub data: Vec<RouteBody>,
}

/// Where a route comes from.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RouteOrigin {
    /// The operator's `quarterdeck.toml`: for every project, and changed there only.
    File,
    /// The project's own, by this interface.
    Project,
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
    pub timeout_ms: Option<u32>,
    /// `file` or `project`.
    pub origin: RouteOrigin,
    /// When it was made; null for one of the file.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created: Option<Timestamp>,
    /// When it was last changed; null for one of the file.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated: Option<Timestamp>,
}

/// A model at a provider.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Target)]
pub struct TargetBody {
    /// The provider; `local` is the engine in this process.
    #[schema(value_type = String)]
    pub provider: ProviderName,
    /// The provider's own name of the model.
    pub model: String,
}

impl RouteBody {
    fn of(route: ModelRoute, origin: RouteOrigin, times: Option<(Timestamp, Timestamp)>) -> Self {
        let targets = route.targets.into_iter().map(|Target { provider, model }| TargetBody { provider, model });
        Self {
            name: route.name,
            targets: targets.collect(),
            retries: route.retries,
            timeout_ms: route.timeout_ms,
            origin,
            created: times.map(|(created, _)| created),
            updated: times.map(|(_, updated)| updated),
        }
    }

    fn of_file(route: ModelRoute) -> Self {
        Self::of(route, RouteOrigin::File, None)
    }
}

impl From<StoredRoute> for RouteBody {
    fn from(stored: StoredRoute) -> Self {
        Self::of(stored.route, RouteOrigin::Project, Some((stored.created, stored.updated)))
    }
}
