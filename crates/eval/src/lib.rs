//! How good is this answer, and is the difference real?
//!
//! A [`Scorer`] looks at one [`Answer`] and gives a number with a direction, or says why there is none. Numbers of many
//! items make a [`Column`]: its mean with an [`Interval`]. Two columns over the same items make a [`Comparison`]: the
//! difference with its interval, a paired test, and a sentence. Many columns make a [`Ranking`]: a winner only when it
//! is told apart from all others, and the [`pareto`] front of what can be had for what.
//!
//! Whether a judge's scores are worth anything is said by its [`agreement`] with people and its [`bias`]; few of their labels
//! correct many of its own ([`ppi`]), and labels of several people make one ([`dawid_skene`]). Scores that keep coming are watched
//! [`anytime`]. Preferences make strengths ([`bradley_terry`], [`elo`]) with [`rank_range`]s, many scenarios a [`leaderboard`].
//! Each is an [`Estimate`] or, by name, [`Undefined`].
//!
//! Reading order: [`score`] → [`scorer`] → [`text`], [`number`], [`f1`], [`schema`] → [`metric`] → [`mod@column`], [`corpus`] →
//! [`interval`] → [`paired`] → [`holm`] → [`comparison`] → [`ranking`] → [`pareto`] → [`gate`]; then [`estimate`] → [`agreement`] → [`bias`] →
//! [`ppi`] → [`dawid_skene`] → [`anytime`] → [`bradley_terry`] → [`rank_range`] → [`elo`] → [`leaderboard`] → [`board`].
//!
//! What is deliberately absent: models, tables and time. Whoever asks brings the answers; the same numbers and the same
//! seed give the same result.

pub mod score;
pub mod scorer;

pub mod f1;
pub mod number;
pub mod schema;
pub mod text;

pub mod metric;

pub mod column;
pub mod corpus;
pub mod holm;
pub mod interval;
pub mod paired;

pub mod agreement;
pub mod bias;
pub mod dawid_skene;
pub mod estimate;
pub mod ppi;

pub mod anytime;

pub mod bradley_terry;
pub mod elo;
pub mod leaderboard;
pub mod rank_range;

pub mod board;

pub mod comparison;
pub mod gate;
pub mod pareto;
pub mod ranking;

mod bootstrap;
mod error;
mod linear;
mod logistic;
mod random;
mod symmetric;

#[cfg(test)]
mod judge_simulation;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod simulation;

pub use column::Column;
pub use comparison::{Comparison, Verdict};
pub use corpus::{Corpus, CorpusMetric};
pub use error::Error;
pub use estimate::{Estimate, Estimated, Undefined};
pub use gate::Gate;
pub use interval::Interval;
pub use ranking::Ranking;
pub use score::{Answer, Direction, NoScore, Unit};
pub use scorer::{Scorer, ScorerSpec, Scorers};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
