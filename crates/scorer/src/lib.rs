//! How good are the answers that go out now, and may one look at that all day?
//!
//! A [`Definition`] says which calls are looked at, which share of them, and by which scorers. A job that comes again follows what
//! has become durable and scores it behind who answers; scores lie in the lake beside the spans, each there once whatever crashes. What is
//! kept of them for a report are three numbers a group ([`Tally`]), whose intervals hold at every moment together.
//! A rule may name a judge, which is asked about some of these calls as long as there is something left of a budget a day.
//!
//! Reading order: [`definition`] → [`look`] → [`sample`] → [`judged`] → [`tally`] → [`standing`] → [`scorers`] → [`pass`] → `judging` → [`report`] →
//! [`job`].
//!
//! What is deliberately absent: anything on the way of a call. A rule reads the lake after the answer has gone.

pub mod definition;
pub mod judged;
pub mod look;
pub mod sample;

pub mod standing;
pub mod tally;

pub mod pass;
pub mod report;
pub mod scorers;

pub mod job;
mod judging;

mod error;
#[cfg(test)]
mod tests;

pub use definition::{Definition, Wanted};
pub use error::Error;
pub use job::{KIND, ScoreHandler};
pub use judged::{DayBudget, JudgeRule, Judging};
pub use look::Look;
pub use report::{Compared, Report};
pub use scorers::{Rule, Scorers};
pub use standing::Standing;
pub use tally::{By, Tally};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
