//! A statistic with its interval, or why there is none.

use serde::{Deserialize, Serialize};

use crate::interval::Interval;

/// The largest number of which squares are taken: sums of some millions of them, and of their squares, stay finite.
pub(crate) const LARGEST: f64 = 1e100;

/// What was estimated from a sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The statistic.
    pub value: f64,
    /// Where it lies, with 95 % confidence; none where the sample does not say.
    pub interval: Option<Interval>,
    /// Items that it is of.
    pub items: usize,
}

/// Why a statistic has no value. It is never 0 and never NaN then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Undefined {
    /// Too little to look at.
    #[error("there are too few items")]
    TooFew,
    /// All ratings are the same, so that agreement by chance is certain, too.
    #[error("all ratings are the same, so that agreement says nothing")]
    OneValue,
    /// One of the two raters always says the same, so that nothing can go with it.
    #[error("one of the two always says the same")]
    Constant,
    /// A regression whose outcomes one side of a line predicts without an error: its coefficients have no bound.
    #[error("the outcomes can be told without an error, so that the effect has no bound")]
    Separated,
    /// Variables of a regression of which one follows from the others.
    #[error("the variables cannot be told apart")]
    Collinear,
}

/// A statistic, or why there is none.
pub type Estimated = std::result::Result<Estimate, Undefined>;
