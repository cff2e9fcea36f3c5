//! Compaction: small segments become larger ones, and rows of deleted subjects go for good.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::SortOptions;
use datafusion::common::Statistics;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::session_state::SessionState;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use futures::StreamExt;
use qd_base::{TableName, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::core::Core;
use crate::scan::{Hidden, by_hidden, file, parquet_scan};
use crate::seal::Made;
use crate::segment::Segment;
use crate::subject::pending;
use crate::tables::{TableSnapshot, last};

/// A merge holds a batch of each segment and the row group that is being written.
const MERGE_MEMORY_BYTES: usize = 512 << 20;

/// Batches between the thread that reads and the one that writes.
const MERGE_AHEAD: usize = 2;

/// A segment that was made just now is not made again for rows that came again since.
const SETTLED: Duration = Duration::from_secs(60);

/// Without new segments, compaction looks for work this often.
const TICK: Duration = Duration::from_secs(60);

impl Core {
    /// Compacts, until `stop`, whenever something was sealed or deleted.
    pub async fn keep_compacting(&self, mut stop: watch::Receiver<()>) {
        loop {
            tokio::select! {
                _ = stop.changed() => return,
                () = self.sealed.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
            if let Err(error) = self.compact_all().await {
                self.health.failed("compact", &error);
            }
        }
    }

    /// Compacts and summarizes until there is nothing left to do.
    pub async fn compact_all(&self) -> Result<(), Error> {
        for table in self.tables.names() {
            self.apply_tombstones(&table, &CancellationToken::new(), &|_, _| {}).await?;
            while self.compact_table(&table).await? {}
            self.leave_out_superseded(&table).await?;
            self.summarize_table(&table).await?;
        }
        Ok(())
    }

    /// Merges one set of segments, if there is one that is worth it.
    async fn compact_table(&self, table: &TableName) -> Result<bool, Error> {
        if self.doubtful.lock().contains(table) {
            let _sealing = self.sealing.lock().await;
            let _rewriting = self.rewriting.lock().await;
            self.settle(table).await?;
        }
        let _rewriting = self.rewriting.lock().await;
        let snapshot = self.tables.table(table.as_str())?;
        let chosen = choose(&snapshot.segments, self.config.compact_fan_in, self.config.compact_bytes);
        if chosen.is_empty() {
            return Ok(false);
        }
        // Damaged segments are set aside here and not merged into good ones.
        if self.set_aside_damaged(chosen.clone()).await? > 0 {
            return Ok(true);
        }
        let level = chosen.iter().map(|segment| segment.record.level + 1).max().unwrap_or(0);
        self.rewrite(&snapshot, chosen, level).await?;
        self.health.compacted();
        Ok(true)
    }

    /// Replaces segments by one of this level with their visible rows, or by none when there are none.
    pub async fn rewrite(
        &self,
        snapshot: &TableSnapshot,
        segments: Vec<Arc<Segment>>,
        level: u32,
    ) -> Result<(), Error> {
        let table = &snapshot.spec.name;
        let made = Made {
            level,
            tombstones_through: segments
                .iter()
                .map(|segment| segment.record.tombstones_through)
                .max()
                .flatten()
                .max(last(&snapshot.tombstones)),
        };
        let old: Vec<_> = segments.iter().map(|segment| segment.record.id).collect();
        // Taken anew: what came again until now is left out, what comes later is noted beside what is made.
        let segments = self.tables.current(table.as_str(), &segments)?;
        let merged = self.merge(snapshot, &segments, made).await?;
        let merged = if merged.record.rows == 0 { None } else { Some(merged) };
        let record = merged.as_ref().map(|segment| segment.record.clone());
        self.swap(table, record.as_slice(), &old, &[]).await?;
        self.tables.rewritten(table.as_str(), &segments, merged)
    }

    async fn merge(
        &self,
        snapshot: &TableSnapshot,
        segments: &[Arc<Segment>],
        made: Made,
    ) -> Result<Arc<Segment>, Error> {
        let table = &snapshot.spec.name;
        let state =
            self.engine.session(MERGE_MEMORY_BYTES, Vec::new()).map_err(Error::segment("preparing a merge", table))?;
        let rows = merge_plan(&state, snapshot, segments)
            .and_then(|plan| execute_stream(plan, state.task_ctx()))
            .map_err(Error::segment("preparing a merge", table))?;
        let (sender, mut batches) = mpsc::channel(MERGE_AHEAD);
        let reader = self.engine.spawn_behind(pump(rows, sender));
        let segment = self
            .write_segment(Arc::clone(&snapshot.spec), made, move |_| {
                Ok(std::iter::from_fn(move || batches.blocking_recv()))
            })
            .await?;
        reader.await.map_err(|_| Error::Broken { operation: "merging segments" })?;
        if segment.record.rows == 0 {
            segment.doom();
        }
        Ok(segment)
    }

    /// Writes the segments that hold rows which came again without them, but not more often than now and then: a sender
    /// that sends everything twice would have them written all the time.
    async fn leave_out_superseded(&self, table: &TableName) -> Result<(), Error> {
        let _rewriting = self.rewriting.lock().await;
        let snapshot = self.tables.table(table.as_str())?;
        let settled = Timestamp::now().saturating_sub(SETTLED);
        let is_due = |segment: &&Arc<Segment>| !segment.superseded.is_empty() && segment.record.created <= settled;
        for segment in snapshot.segments.iter().filter(is_due) {
            if self.set_aside_damaged(vec![Arc::clone(segment)]).await? == 0 {
                self.rewrite(&snapshot, vec![Arc::clone(segment)], segment.record.level).await?;
            }
        }
        Ok(())
    }

    /// Writes the segments that hold rows of deleted subjects without them, and then forgets the tombstones. `report` hears
    /// how many of how many segments were looked at. Told to stop, it leaves the tombstones for the next time.
    pub async fn apply_tombstones(
        &self,
        table: &TableName,
        stop: &CancellationToken,
        report: &(dyn Fn(u64, u64) + Send + Sync),
    ) -> Result<(), Error> {
        let tombstones = self.tables.table(table.as_str())?.tombstones;
        if tombstones.is_empty() {
            return Ok(());
        }
        // Staged rows are hidden in memory but not in the catalog; sealed, they are gone there too.
        self.seal_staged(table).await?;
        let _rewriting = self.rewriting.lock().await;
        let snapshot = self.tables.table(table.as_str())?;
        let all = snapshot.segments.len() as u64;
        for (done, segment) in snapshot.segments.iter().enumerate() {
            report(done as u64, all);
            if stop.is_cancelled() {
                return Ok(());
            }
            if pending(&segment.record, &snapshot.tombstones).is_empty() {
                continue;
            }
            // A damaged segment is set aside here, or it would keep all others from being compacted for ever.
            let hidden = match self.hidden_rows(&snapshot, segment).await {
                Err(_) if self.set_aside_damaged(vec![Arc::clone(segment)]).await? > 0 => continue,
                hidden => hidden?,
            };
            if hidden > 0 && self.set_aside_damaged(vec![Arc::clone(segment)]).await? == 0 {
                self.rewrite(&snapshot, vec![Arc::clone(segment)], segment.record.level + 1).await?;
            }
        }
        report(all, all);
        let applied: Vec<_> = tombstones.iter().map(|tombstone| tombstone.id).collect();
        self.catalog.remove_tombstones(&applied).await.map_err(Error::catalog("removing tombstones"))?;
        self.tables.lift(table.as_str(), &applied)?;
        self.health.compacted();
        Ok(())
    }

    async fn seal_staged(&self, table: &TableName) -> Result<(), Error> {
        let staged_bytes = self.tables.size(table.as_str())?.staged_bytes;
        for _ in 0..=staged_bytes / self.config.seal_bytes.max(1) * 2 {
            if self.seal_table(table).await? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// How many rows of a segment are hidden. Only the columns that tell it are read.
    pub async fn hidden_rows(&self, snapshot: &TableSnapshot, segment: &Arc<Segment>) -> Result<u64, Error> {
        let count = async {
            let state = self.engine.session(MERGE_MEMORY_BYTES, Vec::new())?;
            let spec = &snapshot.spec;
            let told = spec.telling_columns().map(|column| spec.schema.index_of(column));
            let columns: Vec<usize> = told.collect::<Result<BTreeSet<_>, _>>()?.into_iter().collect();
            let schema = Arc::new(spec.schema.project(&columns)?);
            let Some(visible) = Hidden::of(segment, snapshot).visible(spec, &schema)? else { return Ok(0) };
            let group = FileGroup::new(vec![file(segment)]);
            let scan = parquet_scan(&state, &spec.schema, vec![group], Some(&columns), None)?;
            let mut rows = execute_stream(Arc::new(FilterExec::try_new(visible, scan)?), state.task_ctx())?;
            let mut shown = 0;
            while let Some(batch) = rows.next().await {
                shown += batch?.num_rows() as u64;
            }
            Ok::<_, DataFusionError>(segment.record.rows.saturating_sub(shown))
        };
        count.await.map_err(Error::segment("looking for hidden rows", &snapshot.spec.name))
    }
}

/// Segments of one level that together are not too large: the oldest of the lowest level that has enough of them.
fn choose(segments: &[Arc<Segment>], fan_in: usize, most_bytes: u64) -> Vec<Arc<Segment>> {
    // A segment of half the largest size gains nothing from being merged.
    let small = segments.iter().filter(|segment| segment.record.bytes < most_bytes / 2);
    let mut levels = std::collections::BTreeMap::<u32, Vec<&Arc<Segment>>>::new();
    small.for_each(|segment| levels.entry(segment.record.level).or_default().push(segment));
    for mut level in levels.into_values().filter(|level| level.len() >= fan_in.max(2)) {
        level.sort_by_key(|segment| segment.record.min_time);
        let mut bytes = 0;
        let fits = level.into_iter().take(fan_in).take_while(|segment| {
            bytes += segment.record.bytes;
            bytes <= most_bytes
        });
        let chosen: Vec<_> = fits.cloned().collect();
        if chosen.len() > 1 {
            return chosen;
        }
    }
    Vec::new()
}

/// The visible rows of sorted segments, in order, in the plain types of the table.
fn merge_plan(
    state: &SessionState,
    snapshot: &TableSnapshot,
    segments: &[Arc<Segment>],
) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
    let spec = &snapshot.spec;
    let unknown = Arc::new(Statistics::new_unknown(&spec.schema));
    let mut parts = Vec::<Arc<dyn ExecutionPlan>>::new();
    for (hidden, segments) in by_hidden(segments.to_vec(), snapshot) {
        let groups =
            segments.iter().map(|segment| FileGroup::new(vec![file(segment).with_statistics(Arc::clone(&unknown))]));
        let scan = parquet_scan(state, &spec.schema, groups.collect(), None, None)?;
        parts.push(match hidden.visible(spec, &spec.schema)? {
            Some(visible) => Arc::new(FilterExec::try_new(visible, scan)?),
            None => scan,
        });
    }
    let plan = UnionExec::try_new(parts)?;
    let options = SortOptions { descending: false, nulls_first: true };
    let order = spec
        .sort
        .iter()
        .map(|column| Ok(PhysicalSortExpr::new(col(column, &spec.schema)?, options)))
        .collect::<DataFusionResult<Vec<_>>>()?;
    let order =
        LexOrdering::new(order).ok_or_else(|| DataFusionError::Plan("a table needs a sort column".to_owned()))?;
    Ok(Arc::new(SortPreservingMergeExec::new(order, plan)))
}

/// Hands rows to the thread that writes, until it does not want more.
async fn pump(mut rows: SendableRecordBatchStream, sender: mpsc::Sender<DataFusionResult<RecordBatch>>) {
    while let Some(batch) = rows.next().await {
        let failed = batch.is_err();
        if sender.send(batch).await.is_err() || failed {
            return;
        }
    }
}
