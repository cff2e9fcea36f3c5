//! Append these rows durably; run this query.
//!
//! A [`Lake`] holds tables that only grow. Appended rows wait in a bounded queue for a group commit, which writes
//! them as one compressed blob into the catalog's staging table and acknowledges them; a sealer turns staged rows
//! into sorted Parquet segments, compaction merges these, retention drops them or writes them anew. A query sees segments and
//! staged rows as they were when it began, each row exactly once.
//!
//! Three things are deliberately absent. There is no write-ahead log of our own: what was acknowledged is safe
//! because SQLite's commit is. There is no background thread that could lose rows: rows leave the staging table
//! in the transaction that records their segment. And a query can reach no file, no network and no setting.
//!
//! Reading order: what is kept ([`table`] → [`config`]); how rows come in (`queue` → `commit` → `codec`); where
//! they are (`tables` → `segment` → [`file`](mod@file)); how they move (`seal` → `compact` → [`horizon`] → `subject` → `identity` →
//! [`purge`] → [`summary`] → [`words`]);
//! how they
//! are read (`guard` → `bounded` → [`query`] → `scan` → `staged` → `engine` → `stop`); all of it together (`core` → [`lake`] → [`health`] → [`job`]); and
//! beside it, what is opaque: [`blob`], rows that never change: [`row_file`] → [`row_scan`], and rows for others: [`portable`].

pub mod config;
pub mod table;

mod codec;
mod commit;
mod queue;

pub mod file;
mod segment;
mod tables;

mod compact;
pub mod horizon;
mod identity;
pub mod purge;
mod seal;
mod subject;
pub mod summary;
pub mod words;

mod bounded;
mod engine;
mod guard;
pub mod query;
mod scan;
mod staged;
mod stop;

mod core;
pub mod health;
pub mod job;
pub mod lake;

pub mod blob;
pub mod portable;
pub mod row_file;
pub mod row_scan;

mod error;
#[cfg(test)]
mod tests;

pub use blob::{BlobStore, Swept, Writing};
pub use config::{LakeConfig, QueryLimits};
pub use error::Error;
pub use file::{Disk, DiskFile, LocalDisk};
pub use health::{Alarm, LakeStats, TableStats};
pub use horizon::{Horizons, Retained};
pub use job::{Beside, VerifiedRows, VerifyHandler};
pub use lake::{Lake, Verified};
pub use portable::{ParquetPieces, read_parquet};
pub use purge::Purged;
pub use query::{Param, QueryOutput, RowStream};
pub use queue::Ack;
pub use row_file::{NewRowFile, RowFile, RowFiles, WrittenRows};
pub use row_scan::RowTable;
pub use summary::Summary;
pub use table::TableSpec;
