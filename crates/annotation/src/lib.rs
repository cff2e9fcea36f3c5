//! What do people say of these items, do they agree, and what is true then?
//!
//! A [`Definition`] names a dataset, a [`sample`] of its rows, a question with its [`Scale`], and what annotators see of a row. Each item is
//! [`shown`] to so many of them as [`assign`] says, two answers side by side without a sign of which is which. What they say is in the catalog. The [`verdict`] of an
//! item is what was decided, else what most said, else what Dawid and Skene's model finds likeliest; a [`Report`] says how far people agree
//! and which leaning each has; an [`export`] makes verdicts a column of a dataset.
//!
//! Reading order: [`scale`] → [`definition`] → [`sample`] → [`shown`] → [`assign`] → [`verdict`] → [`report`] → [`annotations`] → [`work`] → [`items`] →
//! [`export`].
//!
//! What is deliberately absent: statistics, which are `eval`'s, and models.

pub mod scale;

pub mod definition;
pub mod sample;

pub mod assign;
pub mod shown;

pub mod report;
pub mod verdict;

mod fits;

pub mod annotations;
pub mod export;
pub mod items;
pub mod work;

mod error;

pub use annotations::{Annotation, Annotations};
pub use definition::Definition;
pub use error::Error;
pub use export::{ExportHandler, ExportRequest};
pub use report::Report;
pub use scale::Scale;

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
