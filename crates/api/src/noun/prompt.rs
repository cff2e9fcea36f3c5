//! `/api/v1/prompts`: what models are asked, in versions; which of them is called what; how they differ; what they say.
//!
//! Reading order: [`content`] → [`version`] → [`label`] → [`comment`] → [`rendering`] → [`metrics`] → [`evidence`].

pub mod comment;
pub mod content;
pub mod evidence;
pub mod label;
pub mod metrics;
pub mod rendering;
pub mod version;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    let of_versions = [version::routes(), label::routes(), comment::routes(), rendering::routes()];
    of_versions.into_iter().chain([metrics::routes(), evidence::routes()]).flatten().collect()
}
