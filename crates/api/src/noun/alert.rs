//! `/api/v1/alerts`: rules that tell when something is wrong, how each stands, what was told, and whom.
//!
//! Reading order: [`rule`] → [`preview`] → [`inbox`] → [`receiver`] → [`silence`].

pub mod inbox;
pub mod preview;
pub mod receiver;
pub mod rule;
pub mod silence;

use crate::route::Route;

pub(crate) fn routes() -> Vec<Route> {
    [rule::routes(), preview::routes(), inbox::routes(), receiver::routes(), silence::routes()]
        .into_iter()
        .flatten()
        .collect()
}
