//! The route table: each route with its method, path, permission, description and handler, in one expression.
//!
//! A route cannot be written without a permission or a description, because [`Route`] has no other constructor. The router
//! and the OpenAPI document are both made from the same table, so neither can have a route that the other lacks.

use std::pin::Pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use crate::console;
use crate::doc::{Doc, Documented};
use crate::error::Error;
use crate::gate::{self, Rules};
use crate::permission::Permission;
use crate::state::Shared;

/// One route.
pub struct Route {
    method: Method,
    path: &'static str,
    permission: Permission,
    documented: Documented,
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
        handler: impl Handler<T, Shared>,
    ) -> Self {
        Self::new(Method::GET, path, permission, doc, handler)
    }

    pub(crate) fn post<T: 'static>(
        path: &'static str,
        permission: Permission,
        doc: Doc,
        handler: impl Handler<T, Shared>,
    ) -> Self {
        Self::new(Method::POST, path, permission, doc, handler)
    }

    pub(crate) fn put<T: 'static>(
        path: &'static str,
        permission: Permission,
        doc: Doc,
        handler: impl Handler<T, Shared>,
    ) -> Self {
        Self::new(Method::PUT, path, permission, doc, handler)
    }

    pub(crate) fn delete<T: 'static>(
        path: &'static str,
        permission: Permission,
        doc: Doc,
        handler: impl Handler<T, Shared>,
    ) -> Self {
        Self::new(Method::DELETE, path, permission, doc, handler)
    }

    fn new<T: 'static>(
        method: Method,
        path: &'static str,
        permission: Permission,
        doc: Doc,
        handler: impl Handler<T, Shared>,
    ) -> Self {
        // Every method above is one that a filter exists for.
        let filter = MethodFilter::try_from(method.clone()).unwrap_or(MethodFilter::GET);
        let handler = Box::new(move |rules| on(filter, Gated { rules, handler }));
        let documented = doc.complete(path, permission);
        Self { method, path, permission, documented, handler, pace: Pace::Request }
    }

    /// A route that calls a model and may take as long as models do.
    pub(crate) fn of_inference(self) -> Self {
        Self { pace: Pace::Inference, ..self }
    }

    /// A route whose request may be large and take as long to come as a call of a model to be answered.
    pub(crate) fn of_upload(self) -> Self {
        self.of_inference()
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

    pub(crate) fn documented(&self) -> &Documented {
        &self.documented
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
        .method_not_allowed_fallback(Gated { rules: public, handler: wrong_method })
        .fallback(Gated { rules: public, handler: no_route })
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

/// A handler behind the gate.
#[derive(Clone)]
struct Gated<H> {
    rules: Rules,
    handler: H,
}

impl<H: Handler<T, Shared>, T> Handler<T, Shared> for Gated<H> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, surface: Shared) -> Self::Future {
        let state = surface.clone();
        Box::pin(gate::pass(surface, self.rules, request, move |request| self.handler.call(request, state)))
    }
}

/// What is no route may be a page of the console.
async fn no_route(request: Request) -> Response {
    console::answer(&request).unwrap_or_else(|| {
        Error::NoRoute { method: request.method().clone(), path: shown(request.uri().path()) }.into_response()
    })
}

async fn wrong_method(request: Request) -> Response {
    Error::Method { method: request.method().clone(), path: shown(request.uri().path()) }.into_response()
}

/// So much of a path as an error repeats.
fn shown(path: &str) -> String {
    path.chars().take(200).collect()
}
