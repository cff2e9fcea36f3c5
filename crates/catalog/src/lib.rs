//! What versions, labels, lineage, jobs, keys, accounts, projects, providers, routes, budgets, audit entries exist?
//!
//! A [`Catalog`] is two SQLite files: `catalog.db` for what people and programs author, and `lake.db` for where
//! the rows of the lake are, so that a group commit of the lake never waits for a key or a job, nor they for it.
//! Each file has one writer connection and several readers. A call that returned `Ok` is on disk.
//!
//! Reading order: how it is kept ([`master`] → [`open`] → [`page`]); what is authored ([`project`] →
//! [`artifact`] → [`label`] → [`comment`] → [`lineage`] → [`experiment`] → [`calibration`] → [`annotation`]); what takes long ([`job`] → [`queue`] → [`runner`] → [`watch`] → [`standing`]);
//! who may do what ([`key`] → `password` → [`account`] → [`sign_in`] → [`provider`] → [`route`] → [`budget`] → [`audit`]); [`setting`], [`price`] and [`retention`]; who is to be told of what ([`alert`]); and where the lake's rows are
//! ([`staging`] → [`segment`] → [`tombstone`]).

pub mod master;
pub mod open;
pub mod page;

pub mod annotation;
pub mod artifact;
pub mod calibration;
pub mod comment;
pub mod experiment;
pub mod label;
pub mod lineage;
pub mod project;

pub mod job;
pub mod queue;
pub mod runner;
pub mod standing;
pub mod watch;

pub mod account;
pub mod audit;
pub mod budget;
pub mod key;
pub mod provider;
pub mod route;
pub mod sign_in;

pub mod price;
pub mod retention;
pub mod setting;

pub mod alert;

pub mod segment;
pub mod staging;
pub mod tombstone;

mod column;
mod database;
mod error;
mod limit;
mod password;
mod put;
mod sealed;
#[cfg(test)]
mod testing;

pub use account::{Account, AccountChange, Role, check_password};
pub use alert::{
    Alert, AlertChange, AlertEvent, AlertEventFilter, AlertState, AlertStep, Delivery, Ending as DeliveryEnding,
    NewAlert, NewAlertEvent, NewReceiver, NewSilence, Receiver, ReceiverChange, Severity, Silence, Standing,
};
pub use annotation::{
    AnnotationDecision, AnnotationItem, AnnotationLabel, AnnotationLease, AnnotationPeople, AnnotationStand,
};
pub use artifact::{Artifact, ArtifactKind, NewVersion, Version, VersionInfo, VersionRef};
pub use audit::{AuditBreak, AuditEntry, AuditFilter, AuditReport};
pub use budget::{Budget, BudgetBy, BudgetLimit, BudgetScope, StoredBudget};
pub use calibration::CalibrationRecord;
pub use comment::Comment;
pub use error::Error;
pub use experiment::ExperimentRecord;
pub use job::{Happening, Job, JobEvent, JobKind, JobState, Progress};
pub use key::{KeyRecord, NewKey, Principal, Scope, Scopes};
pub use label::LabelRecord;
pub use lineage::{Lineage, Relative};
pub use master::MasterKey;
pub use open::Catalog;
pub use page::{Listed, Page};
pub use price::PriceVersion;
pub use project::Project;
pub use provider::{BaseUrl, NewProvider, Provider, ProviderKind, SecretChange};
pub use queue::JobFilter;
pub use retention::Retention;
pub use route::{ModelRoute, StoredRoute, Target};
pub use runner::{Answer, Handler, JobContext, JobError, Runner, RunnerConfig, Running};
pub use segment::{Quarantined, SegmentRecord};
pub use sign_in::{Holder, NewSignIn, Person, SignIn};
pub use staging::{NewStaged, Staged, StagedId};
pub use standing::{WorkStanding, WorkState};
pub use tombstone::{Burial, Tombstone, TombstoneId};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
