//! The route table: each route with its method, path, permission, description and handler, in one expression.
//!
//! A route cannot be written without a permission or a description, because [`Route`] has no other constructor. The router
//! and the OpenAPI document are both made from the same table, so neither can have a route that the other lacks.

use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use crate::doc::Doc;
use crate::error::Error;
use crate::gate::{self, Rules};
use crate::permission::Permission;
use crate::state::Shared;

/// One route.
pub struct Route {
    method: Method,
    path: &'static str,
    permission: Permission,
    doc: Doc,
    handler: Box<dyn FnOnce(Rules) -> MethodRouter<Shared> + Send>,
    pace: Pace,
}

/// Which time limit holds for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Request,
    Inference,
    /// As [`Pace::Request`], and answered while the server stops.
    Probe,
}

impl Route {
    pub(crate) fn get<T: 'static>(
        path: &'static str,
        permission: Permission,
        doc: Doc,
        handler: impl Handler<T, Shared> + Sync,
    ) -> Self {
        Self::new(Method::GET, path, permission, doc, handler)
    }

    pub(crate) fn post<T: 'static>(
        path: &'static str,
        permission: Permission,
        doc: Doc,
        handler: impl Handler<T, Shared> + Sync,
    ) -> Self {
        Self::new(Method::POST, path, permission, doc, handler)
    }

    pub(crate) fn put<T: 'static>(
        path: &'static str,
        permission: Permission,
        doc: Doc,
        handler: impl Handler<T, Shared> + Sync,
    ) -> Self {
        Self::new(Method::PUT, path, permission, doc, handler)
    }

    pub(crate) fn delete<T: 'static>(
        path: &'static str,
        permission: Permission,
        doc: Doc,
        handler: impl Handler<T, Shared> + Sync,
    ) -> Self {
        Self::new(Method::DELETE, path, permission, doc, handler)
    }

    fn new<T: 'static>(
        method: Method,
        path: &'static str,
        permission: Permission,
        doc: Doc,
        handler: impl Handler<T, Shared> + Sync,
    ) -> Self {
        // Every method above is one that a filter exists for.
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        let handler = Box::new(move |rules| on(filter, gated(rules, handler)));
        Self { method, path, permission, doc, handler, pace: Pace::Request }
    }

    /// A route that calls a model and may take as long as models do.
    pub(crate) fn of_inference(self) -> Self {
        Self { pace: Pace::Inference, ..self }
    }

    /// A route that answers even while the server stops.
    pub(crate) fn of_probe(self) -> Self {
        Self { pace: Pace::Probe, ..self }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, in axum's form: `{name}` for one segment, `{*name}` for the rest.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The path in OpenAPI's form, which has no `*`.
    pub fn documented_path(&self) -> String {
        self.path.replace("{*", "{")
    }

    /// What a caller needs.
    pub fn permission(&self) -> Permission {
        self.permission
    }

    pub(crate) fn doc(&self) -> &Doc {
        &self.doc
    }
}

/// The router of `routes`, with our own answers for unknown paths and methods.
pub(crate) fn router(routes: Vec<Route>, surface: Shared) -> Router {
    let mut router = Router::new();
    for route in routes {
        let rules = rules(&surface, route.permission, route.pace);
        router = router.route(route.path, (route.handler)(rules));
    }
    let public = rules(&surface, Permission::Public, Pace::Request);
    router
        .method_not_allowed_fallback(gated(public, wrong_method))
        .fallback(gated(public, no_route))
        .with_state(surface)
}

fn rules(surface: &Shared, permission: Permission, pace: Pace) -> Rules {
    let limits = &surface.app.config.limits;
    let limit_ms = match pace {
        Pace::Inference => limits.inference_ms,
        Pace::Request | Pace::Probe => limits.request_ms,
    };
    Rules { permission, time_limit: Duration::from_millis(limit_ms), while_stopping: pace == Pace::Probe }
}

/// `handler` behind the gate.
fn gated<T: 'static>(
    rules: Rules,
    handler: impl Handler<T, Shared> + Sync,
) -> impl Handler<(State<Shared>, Request), Shared> + Sync {
    move |State(surface): State<Shared>, request: Request| {
        let state = surface.clone();
        gate::pass(surface, rules, request, move |request| handler.call(request, state))
    }
}

async fn no_route(request: Request) -> Response {
    Error::NoRoute { method: request.method().clone(), path: shown(request.uri().path()) }.into_response()
}

async fn wrong_method(request: Request) -> Response {
    Error::Method { method: request.method().clone(), path: shown(request.uri().path()) }.into_response()
}

/// So much of a path as an error repeats.
fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}
