//! Which model is the best for us: on which tasks, how surely, how fast, and at what price?
//!
//! A [`Definition`] names tasks of the room `task` with their weights, models, and how the numbers become one. A job asks each model about
//! each document through the gateway and keeps every answer as one row of a lake's table: a job that was killed reads what is
//! there and goes on, and a later leaderboard takes the answer to the same request of the same model. A [`Report`] is made of the rows.
//!
//! Reading order: [`definition`] → [`source`] → [`plan`] → [`echo`] → [`asking`] → [`table`] → [`health`] → [`run`] → [`facts`] → [`report`] →
//! [`desk`] → [`leaderboards`]; and on their own, [`ratings`] and [`tasks`].
//!
//! What is deliberately absent: prompts and metrics, which are `task`'s, and statistics, which are `eval`'s. No file is read here: documents
//! are datasets.

pub mod definition;

pub mod plan;
pub mod source;

pub mod asking;
pub mod echo;
pub mod table;

pub mod health;
pub mod run;

pub mod desk;
pub mod facts;
pub mod leaderboards;
pub mod report;

pub mod ratings;
pub mod tasks;

mod error;

pub use definition::{Budget, Definition, TaskEntry};
pub use error::Error;
pub use facts::{Facts, Filter};
pub use leaderboards::{Leaderboard, Leaderboards, Wanted};
pub use report::Report;
pub use run::{KIND, RunHandler};
pub use table::{ANSWERS, table};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
