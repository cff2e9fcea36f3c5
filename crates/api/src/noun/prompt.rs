//! `/api/v1/prompts`: what models are asked, in versions; which of them is called what; how they differ; what they say.
//!
//! Reading order: [`content`] → [`version`] → [`label`] → [`comment`] → [`rendering`].

pub mod comment;
pub mod content;
pub mod label;
pub mod rendering;
pub mod version;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    [version::routes(), label::routes(), comment::routes(), rendering::routes()].into_iter().flatten().collect()
}
