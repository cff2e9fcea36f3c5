//! Which requests does a benchmark make of a model, and what do its answers say?
//!
//! A [`Library`] of task files, in the YAML of lm-evaluation-harness, gives [`TaskConfig`]s and [`Group`]s of them by name. A
//! [`Task`] is one with its [`Documents`]: it makes [`DocumentRequests`], and from the [`Answer`]s a [`Report`] with the numbers of
//! all documents and their standard errors. Equal documents and answers give the harness's own prompts and numbers;
//! `parity/tasks.py` drives it for the proof.
//!
//! Reading order: [`library`] → [`config`] → [`documents`], [`truthfulqa`] → [`task`] → `prompt` → [`request`] → `filter` →
//! [`metric`] → [`aggregate`] → [`report`] → [`group`].
//!
//! What is deliberately absent: models, networks, files and clocks. Whoever runs a task brings its documents and the answers.

pub mod config;
pub mod library;

pub mod documents;
pub mod truthfulqa;

pub mod request;
pub mod task;

pub mod aggregate;
pub mod group;
pub mod metric;
pub mod report;

mod builtin;
mod error;
mod fields;
mod filter;
mod prompt;
mod python;
mod shipped;
mod template;
mod yaml;

pub use aggregate::Aggregate;
pub use config::TaskConfig;
pub use documents::{Document, Documents};
pub use error::Error;
pub use group::{Group, GroupReport};
pub use library::{Entry, Library};
pub use report::{DocumentResult, Report};
pub use request::{Answer, Ask, DocumentRequests, Generation, Likelihood, Prompt};
pub use task::{Chat, Settings, Task};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

#[cfg(test)]
mod parity;
