//! How good are these answers, by everything that can be asked of them?
//!
//! A [`Definition`] names a dataset, targets and scorers. A target is a column that has answers, or a prompt that a model is asked with;
//! a scorer is a function of one answer, a metric of all of them, or a judge. A job gets the answers, has them judged, and
//! keeps each as one row of a lake's table before it counts: a job that was killed reads what is there and goes on. A [`Report`]
//! is made of the rows when somebody asks.
//!
//! Reading order: [`bertscore`] → [`scorer`] → [`definition`] → [`plan`] → `gates` → [`table`] → `answer` → [`run`] → [`report`] → [`items`] → [`evaluations`].
//!
//! What is deliberately absent: scores and statistics, which are `eval`'s; judges, which are `judging`'s; and asking,
//! which is `experiment`'s.

pub mod bertscore;
pub mod scorer;

pub mod definition;
mod gates;
pub mod plan;

pub mod table;

mod answer;
mod paid;
pub mod run;

pub mod report;

pub mod evaluations;
pub mod items;

mod error;

pub use definition::Definition;
pub use error::Error;
pub use evaluations::{Evaluation, Evaluations};
pub use plan::Desk;
pub use report::Report;
pub use run::{KIND, RunHandler};
pub use table::{ITEMS, table};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
