//! Which models are there, where from, in which format, with which chat template, under which alias?
//!
//! A [`Catalogue`] names models and the [`Source`]s of their files; [`Models`] pulls them, checks them and keeps
//! them as versions of artifacts, so that they have numbers, labels and lineage like everything authored. What
//! is installed is [`resolve`](Models::resolve)d to files that an engine can load, with what their own head
//! ([`gguf`]) says, and the [`ChatTemplate`] that turns a conversation into the model's text.
//!
//! Reading order: [`source`] → [`catalogue`] → [`index`] → `pull` with [`progress`] → [`gguf`] and `hf_config` →
//! [`record`] → [`models`] → [`job`]; and on their own, [`template`], and [`hub`] with the data sets that lie where models do.

pub mod catalogue;
pub mod gguf;
pub mod hub;
pub mod index;
pub mod job;
pub mod models;
pub mod progress;
pub mod record;
pub mod source;
pub mod template;

mod error;
mod hf_config;
mod pull;

pub use catalogue::{Alternative, Catalogue, Entry, Format, ModelKind, SamplingDefaults};
pub use error::Error;
pub use hub::{HubDataset, HubDatasetId, HubFile};
pub use index::PackageIndex;
pub use job::{PullHandler, PullRequest};
pub use models::{Models, ModelsConfig};
pub use progress::{Progress, Stage};
pub use pull::Hub;
pub use record::{Installed, InstalledVersion, Manifest, ModelRecord, Removed};
pub use source::Source;
pub use template::{ChatTemplate, TemplateError};
