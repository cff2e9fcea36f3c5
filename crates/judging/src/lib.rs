//! What do judges say of items, and how far do they agree with people?
//!
//! [`Judges`] are artifacts: a definition, with what its models stood for when the version was made. [`asking`] carries their steps
//! through the gateway. A job of [`Calibrations`] compares one with what people said in a dataset, and keeps each judgement as a row
//! of a lake's table: a job that was killed reads what is there and goes on. A [`Card`] is made of the rows: agreement, biases, effort, and
//! what the judge's word is worth, each with an interval.
//!
//! Reading order: [`asking`] → [`judges`] → [`recipe`] → [`place`] → [`request`] → [`plan`] → [`table`] → [`calibrate`] → [`calibrations`] → [`card`].
//!
//! What is deliberately absent: how a judge is asked and read, which is `judge`'s, and statistics, which are `eval`'s.

pub mod asking;
pub mod judges;
pub mod recipe;

pub mod place;
pub mod plan;
pub mod request;

pub mod table;

pub mod calibrate;
pub mod calibrations;

pub mod card;

mod error;

pub use asking::Judged;
pub use calibrate::{CalibrateHandler, KIND};
pub use calibrations::{Calibration, Calibrations};
pub use card::Card;
pub use error::Error;
pub use judges::{Judges, Stored};
pub use recipe::Recipe;
pub use request::Request;
pub use table::{JUDGEMENTS, table};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
