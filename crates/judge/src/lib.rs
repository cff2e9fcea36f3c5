//! What does a model say of this answer, and what is its word worth?
//!
//! A [`Definition`] is the content of one version of a judge: a model, templates, a [`Scale`] and a [`Method`]. Read
//! once it is a [`Judge`]. [`Judge::begin`] takes an item and gives a [`Step`]: requests to ask a model, whose
//! [`Reply`]s lead to the next step, until there is a [`Judgement`]: a score, or that the judge cannot tell, or that its
//! answer is none. What is not told is never 0.
//!
//! Reading order: [`scale`] → [`definition`] → [`method`] → [`item`] → [`fence`] → `probe` → [`judge`] → `ask` → [`reply`] →
//! `object`, `said` → [`weight`] → [`judgement`] → [`combine`] → [`step`] → the files of [`method`] → [`evals`] → [`ready`].
//!
//! What is deliberately absent: calls of models, tables and time. A runner above carries requests through the gateway;
//! the same definition, item and replies give the same requests and the same judgement.

pub mod scale;

pub mod definition;
pub mod method;

pub mod fence;
pub mod item;

mod probe;

mod ask;
pub mod judge;
mod object;
pub mod reply;
mod said;
pub mod weight;

pub mod combine;
pub mod judgement;
pub mod step;

pub mod evals;
pub mod ready;

mod error;
#[cfg(test)]
mod injection;
#[cfg(test)]
mod stub;

pub use definition::{Criterion, Definition, Form, Input};
pub use error::Error;
pub use judge::Judge;
pub use judgement::{Judgement, Outcome, Part};
pub use method::Method;
pub use reply::Reply;
pub use scale::Scale;
pub use step::{Asking, Step};

/// What every call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;
