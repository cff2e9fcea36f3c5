//! All routes, and what is made of them: the router and the OpenAPI document.

use axum::Router;

use crate::doc;
use crate::route::{self, Route};
use crate::state::Shared;
use crate::{noun, openai};

/// Every route of the HTTP surface, in the order of the document.
pub fn table() -> Vec<Route> {
    let parts = [
        openai::chat::routes(),
        openai::completions::routes(),
        openai::embeddings::routes(),
        openai::models::routes(),
        noun::telemetry::routes(),
        noun::langfuse::routes(),
        noun::model::routes(),
        noun::provider::routes(),
        noun::model_route::routes(),
        noun::price::routes(),
        noun::trace::routes(),
        noun::overview::routes(),
        noun::stats::routes(),
        noun::budget::routes(),
        noun::session::routes(),
        noun::user::routes(),
        noun::score::routes(),
        noun::retention::routes(),
        noun::prompt::routes(),
        noun::view::routes(),
        noun::judge::routes(),
        noun::annotation::routes(),
        noun::experiment::routes(),
        noun::task::routes(),
        noun::leaderboard::routes(),
        noun::evaluation::routes(),
        noun::scorer::routes(),
        noun::alert::routes(),
        noun::dataset::routes(),
        noun::sql::routes(),
        noun::lake::routes(),
        noun::job::routes(),
        noun::project::routes(),
        noun::key::routes(),
        noun::account::routes(),
        noun::sign_in::routes(),
        noun::audit::routes(),
        noun::status::routes(),
        noun::metrics::routes(),
        noun::health::routes(),
    ];
    parts.into_iter().flatten().collect()
}

/// The OpenAPI 3.1 document of [`table`], as indented JSON with a line break at its end.
///
/// # Panics
/// Never: the document is made of strings and numbers only.
pub fn openapi() -> String {
    let document = doc::document(&table());
    document.to_pretty_json().expect("an OpenAPI document is JSON") + "\n"
}

pub(crate) fn router(surface: Shared) -> Router {
    route::router(table(), surface)
}
