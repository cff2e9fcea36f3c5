//! Collect, import, split and compare: datasets in versions that never change.
//!
//! A dataset is an artifact of the catalog. Each of its versions names its [`column`]s, what they are for, and immutable Parquet files of
//! the lake that hold its rows; so a version is small, and may have millions of rows. Nothing here holds all rows of a version in
//! memory: files are imported as a stream, read in part, and compared by digests.
//!
//! Reading order: what a dataset is ([`column`] → [`version`] → [`dataset`]); how rows lie in files (`value` → `encode` →
//! `write`); where rows come from ([`upload`] → [`read`] → [`layout`] → `profile` → [`check`] → [`import`], and
//! [`calls`]); what becomes of them ([`edit`] → [`extend`] → [`split`] → `strata` → [`diff`] → [`export`]);
//! whether all is still there (`verify`).

pub mod column;
pub mod dataset;
pub mod version;

mod encode;
mod value;
mod write;

pub mod check;
pub mod import;
pub mod layout;
mod profile;
pub mod read;
pub mod upload;

pub mod calls;

pub mod diff;
pub mod edit;
pub mod export;
pub mod extend;
pub mod split;
mod strata;

mod verify;

mod error;
#[cfg(test)]
mod tests;

pub use calls::Calls;
pub use check::{BadRow, BadRows, Unit};
pub use column::{Column, ColumnType, Role};
pub use dataset::{Dataset, Datasets, Found, Search};
pub use diff::{Change, ColumnChange, Diff, Difference};
pub use edit::{Edit, EditHandler, Edited, Outcome};
pub use encode::Row;
pub use error::{Error, Result};
pub use export::{Export, Form};
pub use extend::Extension;
pub use import::{Checked, ImportFile, ImportHandler, ImportRequest, Imported};
pub use read::{Format, wide_number};
pub use split::{Made, SplitHandler, SplitRequest};
pub use upload::{UploadId, Uploads};
pub use value::{key_of, text_of};
pub use version::{Content, Origin, Part, Source};
