//! Taking deleted subjects off the disk: out of segments, out of what was set aside, out of the catalog's free pages.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::error::DataFusionError;
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use qd_base::{Sha256Hex, TableName};
use qd_catalog::{Burial, Quarantined};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::core::Core;
use crate::scan::{file, parquet_scan};
use crate::segment::Segment;
use crate::tables::TableSnapshot;

/// Reading the names of blobs takes little: one column at a time.
const READ_MEMORY_BYTES: usize = 128 << 20;

/// A query is over within its time limit, an export when it has been read.
const LEAVING_TRIES: u32 = 1200;
const LEAVING_PAUSE: Duration = Duration::from_millis(100);

/// What a purge removed beside rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Purged {
    /// Damaged segments and staged batches that had been set aside.
    pub quarantined: u64,
}

impl Core {
    /// Hides a subject's rows in the tables that are named, or in every table that has subjects.
    pub async fn bury(&self, burial: &Burial) -> Result<(), Error> {
        let tables = self.tables_with_subjects(&burial.tables)?;
        let tombstones = self.catalog.add_tombstones(&tables, burial).await;
        for tombstone in tombstones.map_err(Error::catalog("deleting a subject"))? {
            let table = tombstone.table.clone();
            self.tables.bury(table.as_str(), tombstone)?;
        }
        self.sealed.notify_one();
        Ok(())
    }

    fn tables_with_subjects(&self, named: &[TableName]) -> Result<Vec<TableName>, Error> {
        let mut tables = self.tables.names();
        for table in std::mem::take(&mut tables) {
            let is_named = named.is_empty() || named.contains(&table);
            if is_named && self.tables.spec(table.as_str())?.subject_column.is_some() {
                tables.push(table);
            }
        }
        Ok(tables)
    }

    /// Takes what is buried in these tables off the disk; of all when none is named.
    pub async fn purge(
        &self,
        named: &[TableName],
        stop: &CancellationToken,
        report: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<Purged, Error> {
        let mut purged = Purged::default();
        for table in self.tables_with_subjects(named)? {
            self.apply_tombstones(&table, stop, report).await?;
            if stop.is_cancelled() {
                return Ok(purged);
            }
            // Also when compaction was first: it leaves what was set aside.
            purged.quarantined += self.remove_quarantined(&table).await? + self.remove_undecodable(&table).await?;
        }
        self.await_leaving().await;
        self.catalog.scrub_lake().await.map_err(Error::catalog("overwriting deleted rows"))?;
        Ok(purged)
    }

    /// Waits until queries that began before have let go of the files that they read.
    async fn await_leaving(&self) {
        for _ in 0..LEAVING_TRIES {
            if self.tables.leaving() == 0 {
                return;
            }
            tokio::time::sleep(LEAVING_PAUSE).await;
        }
        tracing::warn!("files of deleted rows are still read by queries; they go when these end");
    }

    /// Removes the damaged segments of a table: nobody can say whose rows they hold.
    async fn remove_quarantined(&self, table: &TableName) -> Result<u64, Error> {
        let aside = self.catalog.quarantined().await.map_err(Error::catalog("listing quarantined segments"))?;
        let aside = aside.into_iter().filter(|Quarantined { segment, .. }| segment.table == *table);
        let mut gone = Vec::new();
        for Quarantined { segment, .. } in aside {
            for path in [self.folders.set_aside(&segment), self.folders.of(&segment)] {
                match self.disk.remove(&path) {
                    Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                        return Err(Error::disk("removing a quarantined segment", path)(cause));
                    }
                    _ => {}
                }
            }
            gone.push(segment.id);
        }
        // The files first: a crash in between leaves records without files, which are removed the next time.
        self.catalog.remove_quarantined(&gone).await.map_err(Error::catalog("forgetting quarantined segments"))?;
        Ok(gone.len() as u64)
    }

    /// Removes staged batches that could not be decoded when the lake was opened: the catalog has them, memory has not.
    async fn remove_undecodable(&self, table: &TableName) -> Result<u64, Error> {
        let _sealing = self.sealing.lock().await;
        let _rewriting = self.rewriting.lock().await;
        self.settle(table).await?;
        let known = self.tables.staged_ids(table.as_str())?;
        let ids = self.catalog.staged_ids(table).await.map_err(Error::catalog("reading staged rows"))?;
        if ids.iter().all(|id| known.contains(id)) {
            return Ok(0);
        }
        let spec = self.tables.spec(table.as_str())?;
        let staged = self.catalog.staged(table).await.map_err(Error::catalog("reading staged rows"))?;
        let unknown = staged.into_iter().filter(|staged| !known.contains(&staged.id));
        // What was committed after `known` was asked for decodes.
        let broken = unknown.filter(|staged| crate::codec::decode(&spec.name, &staged.batch.blob).is_err());
        let ids: Vec<_> = broken.map(|staged| staged.id).collect();
        if !ids.is_empty() {
            self.swap(table, &[], &[], &ids).await?;
        }
        Ok(ids.len() as u64)
    }

    /// The blobs that rows of any table refer to, whether they are hidden or not.
    pub async fn blobs_in_use(&self) -> Result<HashSet<Sha256Hex>, Error> {
        let mut used = HashSet::new();
        for table in self.tables.names() {
            let snapshot = self.tables.table(table.as_str())?;
            for column in snapshot.spec.blob_columns() {
                for batch in &snapshot.staged {
                    let names = batch.column_by_name(column).map(|names| cast(names, &DataType::Utf8));
                    if let Some(names) = names.transpose().map_err(Error::arrow("reading names of blobs", &table))? {
                        note(&names, &mut used);
                    }
                }
                for segment in &snapshot.segments {
                    let noted = self.note_blobs(&snapshot, segment, column, &mut used).await;
                    noted.map_err(Error::segment("reading names of blobs", &table))?;
                }
            }
        }
        Ok(used)
    }

    async fn note_blobs(
        &self,
        snapshot: &TableSnapshot,
        segment: &Arc<Segment>,
        column: &str,
        used: &mut HashSet<Sha256Hex>,
    ) -> Result<(), DataFusionError> {
        let state = self.engine.session(READ_MEMORY_BYTES, Vec::new())?;
        let columns = vec![snapshot.spec.schema.index_of(column)?];
        let group = FileGroup::new(vec![file(segment)]);
        let scan = parquet_scan(&state, &snapshot.spec.schema, vec![group], Some(&columns), None)?;
        let mut rows = execute_stream(scan, state.task_ctx())?;
        while let Some(batch) = rows.next().await {
            note(&cast(batch?.column(0), &DataType::Utf8)?, used);
        }
        Ok(())
    }
}

fn note(names: &dyn Array, used: &mut HashSet<Sha256Hex>) {
    // What is no digest names no blob.
    used.extend(names.as_string::<i32>().iter().flatten().filter_map(|name| name.parse::<Sha256Hex>().ok()));
}
