//! When should somebody be told, and whom?
//!
//! A rule's [`Definition`] is a query over a window of time and a [`Condition`]. Reading it once gives an [`Observed`];
//! the state function [`state::next`] makes of it how the rule stands and what changed; the catalog keeps both, with what is
//! to be sent, in one transaction. A job comes again and again to evaluate what is due; a [`Courier`] sends what waits,
//! signed, apart from evaluation: nobody who does not answer holds a rule up.
//!
//! Reading order: [`definition`] → [`judge`] → [`state`] → `read` → [`alerts`] → [`evaluate`] → [`preview`] → [`job`] →
//! [`signature`] → [`message`] → [`send`] → [`courier`].
//!
//! What is deliberately absent: a clock. Whoever evaluates says when, so a test needs no sleep.

pub mod definition;
pub mod judge;
pub mod state;

mod read;

pub mod alerts;
pub mod evaluate;
pub mod job;
pub mod preview;

pub mod courier;
pub mod message;
pub mod send;
pub mod signature;

mod error;
#[cfg(test)]
mod tests;

pub use alerts::Alerts;
pub use courier::Courier;
pub use definition::{Against, ChangeUnit, Condition, Definition, Direction, Measure, Missing, Query};
pub use error::Error;
pub use evaluate::Tick;
pub use job::{EvaluateHandler, KIND};
pub use judge::{Finding, Observed};
pub use preview::{Preview, PreviewPoint};
pub use send::Sent;

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
