//! The lake itself: opening, appending, querying, keeping house, closing.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use arrow::array::RecordBatch;
use parking_lot::Mutex;
use qd_base::{ProjectName, Sha256Hex, TableName};
use qd_catalog::{Burial, Catalog};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::commit;
use crate::core::Core;
use crate::file::{Disk, LocalDisk};
use crate::horizon::{Horizons, Retained};
use crate::purge::Purged;
use crate::query::Question;
use crate::queue::Queue;
use crate::scan::SegmentsRead;
use crate::table::batch_bytes;
use crate::tables::{Snapshot, Tables};
use crate::{Ack, Error, LakeConfig, LakeStats, Param, QueryLimits, QueryOutput, RowStream, RowTable, TableSpec};

/// Rows that cannot be sealed fast enough, or not at all, keep appends waiting for about this long.
const STAGED_RETRY_AFTER_MS: u64 = 1000;

/// A query that meets damaged segments is asked again without them, at most so often.
const MAX_TRIES: usize = 4;

/// An append-only store of Arrow tables. Cheap to clone; all clones are one lake.
///
/// Dropped without [`Lake::close`], it loses nothing that was acknowledged.
#[derive(Debug, Clone)]
pub struct Lake {
    open: Arc<Open>,
}

/// What a check of the lake found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Segments and summaries that were read in full.
    pub segments: u64,
    /// Those that were damaged, and were set aside.
    pub damaged: u64,
}

#[derive(Debug)]
struct Open {
    core: Arc<Core>,
    queue: Queue,
    /// Dropping this stops the background tasks.
    stop: Mutex<Option<watch::Sender<()>>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Lake {
    /// Opens the lake in `config.dir` with these tables, and reads back what was acknowledged and is not sealed.
    ///
    /// Damaged segments are set aside with an alarm in [`Lake::stats`]; the rest is served.
    ///
    /// # Errors
    /// [`Error::Spec`] for a table that contradicts itself; [`Error::Disk`] and [`Error::Catalog`] when the lake
    /// cannot be read.
    pub async fn open(config: LakeConfig, catalog: Catalog, tables: Vec<TableSpec>) -> Result<Self, Error> {
        Self::open_on(Arc::new(LocalDisk), config, catalog, tables).await
    }

    /// [`Lake::open`] on a disk of one's own.
    ///
    /// # Errors
    /// As there.
    pub async fn open_on(
        disk: Arc<dyn Disk>,
        config: LakeConfig,
        catalog: Catalog,
        tables: Vec<TableSpec>,
    ) -> Result<Self, Error> {
        let core = Arc::new(Core::open(config, catalog.clone(), tables, disk).await?);
        let (queue, batches) = Queue::new(core.config.queue_bytes);
        let (stop, stopped) = watch::channel(());
        let mut tasks = Vec::from(commit::start(&core, batches, catalog));
        let (sealer, stop_sealer) = (Arc::clone(&core), stopped.clone());
        tasks.push(tokio::spawn(async move { sealer.keep_sealing(stop_sealer).await }));
        let compactor = Arc::clone(&core);
        tasks.push(tokio::spawn(async move { compactor.keep_compacting(stopped).await }));
        let open = Open { core, queue, stop: Mutex::new(Some(stop)), tasks: Mutex::new(tasks) };
        Ok(Self { open: Arc::new(open) })
    }

    /// Appends rows and waits until they are on disk.
    ///
    /// # Errors
    /// Those of [`Lake::enqueue`], and [`Error::Commit`] when the group commit failed: the rows are then most
    /// likely not kept, and were not acknowledged.
    pub async fn append(&self, table: &str, batch: RecordBatch) -> Result<Ack, Error> {
        self.enqueue(table, batch)?.await
    }

    /// Queues rows and returns at once; the future is ready when they are on disk. They are committed whether it
    /// is awaited or not.
    ///
    /// # Errors
    /// [`Error::Full`] when the queue or the memory for unsealed rows is full, [`Error::TooLarge`] for a batch
    /// that is larger than the queue, [`Error::UnknownTable`], [`Error::Schema`] and [`Error::Closed`].
    pub fn enqueue(
        &self,
        table: &str,
        batch: RecordBatch,
    ) -> Result<impl Future<Output = Result<Ack, Error>> + Send + 'static, Error> {
        let core = &self.open.core;
        let spec = core.tables.spec(table)?;
        spec.admit(&batch)?;
        let queued =
            self.admit().and_then(|()| self.open.queue.push(spec.name.clone(), batch.clone(), batch_bytes(&batch)));
        if matches!(queued, Err(Error::Full { .. })) {
            core.health.refused();
        }
        let acked = queued?;
        Ok(async move { acked.await.unwrap_or(Err(Error::Broken { operation: "committing rows" })) })
    }

    fn admit(&self) -> Result<(), Error> {
        let core = &self.open.core;
        if core.tables.staged_bytes() >= core.config.staged_bytes {
            Err(Error::Full { retry_after_ms: STAGED_RETRY_AFTER_MS })
        } else {
            Ok(())
        }
    }

    /// Answers one statement that reads, over all rows that were acknowledged when it began, each exactly once.
    ///
    /// `$1`, `$2` and so on stand for `params`. If the query meets a damaged segment, that is set aside and the
    /// query answered from the rest.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Sql`] and [`Error::SqlTooLong`] for a statement that is not allowed or not
    /// understood; [`Error::Timeout`] and [`Error::Memory`] beyond its limits; [`Error::Query`] when it failed.
    pub async fn query(&self, sql: &str, params: Vec<Param>, limits: QueryLimits) -> Result<QueryOutput, Error> {
        self.answer(Question { sql, params, limits }, Tables::snapshot).await
    }

    /// The same over rows that lie beyond a horizon too, as far as they are still on disk: for who looks for what must not
    /// stay there.
    ///
    /// # Errors
    /// As [`Lake::query`].
    pub async fn query_with_old(
        &self,
        sql: &str,
        params: Vec<Param>,
        limits: QueryLimits,
    ) -> Result<QueryOutput, Error> {
        self.answer(Question { sql, params, limits }, Tables::snapshot_with_old).await
    }

    /// Answers one statement over rows that belong to no table, which it calls [`rows`](crate::row_scan::TABLE); nothing else is there.
    /// The guard and the limits are those of [`Lake::query`].
    ///
    /// # Errors
    /// As there.
    pub async fn query_over(
        &self,
        rows: RowTable,
        sql: &str,
        params: Vec<Param>,
        limits: QueryLimits,
    ) -> Result<QueryOutput, Error> {
        let core = &self.open.core;
        core.queries.answer_over(&core.engine, rows, &Question { sql, params, limits }).await
    }

    async fn answer(&self, question: Question<'_>, view: fn(&Tables) -> Snapshot) -> Result<QueryOutput, Error> {
        let core = &self.open.core;
        for _ in 1..MAX_TRIES {
            let read = SegmentsRead::default();
            let snapshot = view(&core.tables);
            match core.queries.answer(&core.engine, &snapshot, &question, &read).await {
                Err(error @ Error::Query { .. }) => {
                    let suspects = std::mem::take(&mut *read.lock());
                    if core.set_aside_damaged(suspects).await? == 0 {
                        return Err(error);
                    }
                }
                answer => return answer,
            }
        }
        core.queries.answer(&core.engine, &view(&core.tables), &question, &SegmentsRead::default()).await
    }

    /// Reads all rows that one statement gives, as they are found: for answers that are larger than memory. They are those
    /// that were acknowledged when it began. A damaged segment ends it with an error; [`Lake::verify`] sets it aside.
    ///
    /// # Errors
    /// As [`Lake::query`] without its limits of time and rows, and [`Error::Full`] while as many are being read as may be.
    pub async fn stream(&self, sql: &str, params: Vec<Param>) -> Result<RowStream, Error> {
        let core = &self.open.core;
        let limits = QueryLimits { max_rows: usize::MAX, ..QueryLimits::default() };
        let question = Question { sql, params, limits };
        core.queries.stream(&core.engine, &core.tables.snapshot(), &question, &SegmentsRead::default()).await
    }

    /// Seals everything that is staged.
    ///
    /// # Errors
    /// What failed; the rows stay staged.
    pub async fn seal(&self) -> Result<(), Error> {
        self.detached("sealing", |core| async move { core.seal_all().await }).await
    }

    /// Merges small segments and removes the rows of deleted subjects from disk, until nothing is left to do.
    ///
    /// # Errors
    /// What failed; all rows are still where they were.
    pub async fn compact(&self) -> Result<(), Error> {
        self.detached("compacting", |core| async move { core.compact_all().await }).await
    }

    /// Hides the rows of a table that lie beyond these horizons from queries that begin after this. Nothing is removed, and
    /// nothing is remembered when the lake is closed.
    ///
    /// # Errors
    /// [`Error::UnknownTable`].
    pub fn hide(&self, table: &str, horizons: Horizons) -> Result<(), Error> {
        self.open.core.tables.set_horizons(table, horizons)
    }

    /// Hides the rows of a table that lie beyond these horizons, and removes those that are cheap to remove: segments
    /// that have no others are dropped, and those of which enough is hidden are written anew.
    ///
    /// # Errors
    /// [`Error::UnknownTable`], or what failed; rows that were not removed are hidden all the same.
    pub async fn retain(&self, table: &str, horizons: Horizons) -> Result<Retained, Error> {
        self.hide(table, horizons)?;
        self.drop_hidden(table).await
    }

    /// Removes the rows of a table that lie beyond its horizons, as far as they are cheap to remove.
    ///
    /// # Errors
    /// As [`Lake::retain`].
    pub async fn drop_hidden(&self, table: &str) -> Result<Retained, Error> {
        let table = self.open.core.tables.spec(table)?.name.clone();
        self.detached("dropping old rows", move |core| async move { core.drop_hidden(&table).await }).await
    }

    /// Deletes the rows of one subject that were acknowledged before, from the tables that the burial names: queries that
    /// begin after this do not see them, and compaction or [`Lake::purge`] takes them off the disk. Rows appended later
    /// stay.
    ///
    /// # Errors
    /// [`Error::Catalog`] when the deletion could not be recorded; then nothing is hidden.
    pub async fn bury(&self, burial: Burial) -> Result<(), Error> {
        self.detached("deleting a subject", move |core| async move { core.bury(&burial).await }).await
    }

    /// The same of several subjects of a project whose rows are in one table, one after the other.
    ///
    /// # Errors
    /// As [`Lake::bury`]; subjects before the one that failed are deleted.
    pub async fn bury_each(
        &self,
        project: &ProjectName,
        table: &TableName,
        subjects: Vec<String>,
    ) -> Result<(), Error> {
        for subject in subjects {
            let (project, tables) = (Some(project.to_string()), vec![table.clone()]);
            self.bury(Burial { project, subject, groups: Vec::new(), tables }).await?;
        }
        Ok(())
    }

    /// Takes off the disk what [`Lake::bury`] hid in these tables, or in all when none is named: segments are written anew, what was set aside as damaged is removed,
    /// since nobody can say whose rows it holds, and the pages of the catalog that held staged rows are overwritten. Told
    /// to stop, it leaves the rest for the next time. `report` hears how many of how many segments were looked at.
    ///
    /// # Errors
    /// What failed; what is left is still hidden, and is removed the next time.
    pub async fn purge(
        &self,
        tables: &[TableName],
        stop: &CancellationToken,
        report: impl Fn(u64, u64) + Send + Sync + 'static,
    ) -> Result<Purged, Error> {
        let (tables, stop) = (tables.to_vec(), stop.clone());
        self.detached("purging", move |core| async move { core.purge(&tables, &stop, &report).await }).await
    }

    /// Whether rows of these tables, or of any when none is named, are hidden for good and not yet off the disk.
    pub fn is_purge_due(&self, tables: &[TableName]) -> bool {
        let is_named = |name: &TableName| tables.is_empty() || tables.contains(name);
        self.open.core.stats().tables.iter().any(|table| table.tombstones > 0 && is_named(&table.table))
    }

    /// The blobs that rows refer to, hidden ones included: in any column whose name ends in `_blob`.
    ///
    /// # Errors
    /// What failed; nobody knows then which blobs are needed.
    pub async fn blobs_in_use(&self) -> Result<HashSet<Sha256Hex>, Error> {
        self.detached("looking for blobs", |core| async move { core.blobs_in_use().await }).await
    }

    /// Whether something was set aside as damaged, whose rows nobody can read.
    ///
    /// # Errors
    /// [`Error::Catalog`].
    pub async fn has_quarantined(&self) -> Result<bool, Error> {
        let aside = self.open.core.catalog.quarantined().await;
        Ok(!aside.map_err(Error::catalog("listing quarantined segments"))?.is_empty())
    }

    /// Reads every segment in full and sets aside those that are not what was written, until `stop`. `report` hears how
    /// many of how many were read.
    ///
    /// # Errors
    /// [`Error::Broken`] when the check itself broke off.
    pub async fn verify(
        &self,
        stop: &CancellationToken,
        report: impl Fn(u64, u64) + Send + Sync,
    ) -> Result<Verified, Error> {
        let segments = self.open.core.tables.segments();
        let all = segments.len() as u64;
        let mut verified = Verified::default();
        report(0, all);
        for segment in segments {
            if stop.is_cancelled() {
                break;
            }
            let check = move |core: Arc<Core>| async move { core.set_aside_damaged(vec![segment]).await };
            verified.damaged += self.detached("checking segments", check).await? as u64;
            verified.segments += 1;
            report(verified.segments, all);
        }
        Ok(verified)
    }

    /// Does work that takes a processor for a while where sealing and merging are done: behind who answers requests.
    ///
    /// # Errors
    /// [`Error::Broken`] when the work panicked.
    pub async fn behind<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.open.core.engine.spawn_blocking(work).await.map_err(|_| Error::Broken { operation })
    }

    /// What the lake holds and how it fares.
    pub fn stats(&self) -> LakeStats {
        let mut stats = self.open.core.stats();
        stats.queue_bytes = self.open.queue.waiting_bytes();
        stats.queue_limit_bytes = self.open.queue.limit_bytes();
        stats
    }

    /// Refuses new rows, commits those that are queued, and ends the background tasks. What is staged stays
    /// staged. The catalog is left open.
    pub async fn close(&self) {
        self.open.queue.close();
        drop(self.open.stop.lock().take());
        let tasks = std::mem::take(&mut *self.open.tasks.lock());
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the lake broke off");
            }
        }
    }

    /// Runs a change to its end even when its caller stops waiting: between the catalog's change and that of the
    /// picture in memory there is no good place to stop.
    async fn detached<T, F>(&self, operation: &'static str, change: impl FnOnce(Arc<Core>) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        tokio::spawn(change(Arc::clone(&self.open.core))).await.map_err(|_| Error::Broken { operation })?
    }
}

#[cfg(test)]
impl Lake {
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.open.core
    }

    pub(crate) fn snapshot(&self) -> crate::tables::Snapshot {
        self.open.core.tables.snapshot()
    }

    pub(crate) fn staged_batches_in_memory(&self) -> usize {
        self.snapshot().values().map(|table| table.staged.len()).sum()
    }
}
