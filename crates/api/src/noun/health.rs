//! `/health`, `/ready` and `/openapi.json`: what anyone may ask.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use std::sync::LazyLock;
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::permission::Permission;
use crate::reply::Json;
use crate::route::Route;
use crate::routes;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let live = Doc::new("Health", "health", "Whether the process answers").gives::<Health>(200, "It does");
    let ready = Doc::new("Health", "ready", "Whether requests should be sent here")
        .text("503 while the server stops, or when its catalog cannot be read.")
        .gives::<Health>(200, "They should");
    let document = Doc::new("Health", "openapi", "This document").gives::<Document>(200, "The OpenAPI 3.1 document");
    vec![
        Route::get("/health", Permission::Public, live, health).of_probe(),
        Route::get("/ready", Permission::Public, ready, readiness).of_probe(),
        Route::get("/openapi.json", Permission::Public, document, openapi),
    ]
}

async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

async fn readiness(State(surface): State<Shared>) -> Result<Json<Health>> {
    if surface.lifecycle.stopping.is_cancelled() {
        return Err(Error::Stopping);
    }
    surface.app.catalog.projects().await?;
    Ok(Json(Health { status: "ok" }))
}

async fn openapi() -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(routes::openapi()));
    let mut response = Body::from(DOCUMENT.clone()).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// How the server fares, in a word.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`
    #[schema(value_type = String)]
    pub status: &'static str,
}

/// An OpenAPI document.
#[derive(ToSchema)]
#[schema(value_type = Object)]
#[expect(dead_code, reason = "only its schema is used")]
pub struct Document(serde_json::Value);
