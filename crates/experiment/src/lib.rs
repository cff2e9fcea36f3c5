//! Which prompt, with which model, parameters and examples, answers this dataset best?
//!
//! A [`Definition`] names prompts, models, parameters and numbers of examples; each way to combine them is a [`Cell`]. A job
//! asks every cell about every item through the gateway, scores the answers, and keeps each as one row of a lake's table:
//! a job that was killed reads what is there and goes on. A [`Report`] is made of the rows: what each cell scored with an
//! interval, what it cost, and whether there is a winner.
//!
//! Reading order: [`definition`] → [`cell`] → [`variables`] → [`pool`] → [`shown`] → [`plan`] → [`call`] → [`columns`] → [`table`] → [`rung`] → [`health`] → [`run`] →
//! [`report`] → [`items`] → [`experiments`] → [`evidence`] → [`foresight`] → [`proposal`] → [`variation`] → [`optimise`].
//!
//! What is deliberately absent: scores and statistics, which are `eval`'s.

pub mod definition;

pub mod cell;
pub mod plan;
pub mod pool;
pub mod shown;
pub mod variables;

pub mod call;
pub mod columns;
pub mod table;

pub mod health;
pub mod run;
pub mod rung;

pub mod items;
pub mod report;

pub mod evidence;
pub mod experiments;
pub mod foresight;
pub mod optimise;
pub mod proposal;
pub mod variation;

mod error;

pub use cell::Cell;
pub use definition::{Budget, Definition, Search, Shots};
pub use error::Error;
pub use evidence::Evidence;
pub use experiments::{Experiment, Experiments};
pub use foresight::Foreseen;
pub use optimise::{Optimisation, OptimiseHandler};
pub use report::Report;
pub use run::{KIND, RunHandler};
pub use table::{ITEMS, table};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
