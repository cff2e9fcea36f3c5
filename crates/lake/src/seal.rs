//! Sealing: staged rows become a sorted segment, exactly once.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::{SortColumn, SortOptions, concat, interleave_record_batch, lexsort_to_indices};
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use qd_base::{SegmentId, TableName, Timestamp};
use qd_catalog::{SegmentRecord, TombstoneId};
use tokio::sync::watch;

use crate::core::Core;
use crate::segment::{self, Segment};
use crate::tables::ToSeal;
use crate::{Error, TableSpec};

/// Rows that are gathered and encoded at a time.
const CHUNK_ROWS: usize = 8192;

/// How long the sealer waits after a failure: at first, and at most.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MOST: Duration = Duration::from_secs(5);

/// How a segment comes to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// How often its rows were merged.
    pub level: u32,
    /// The last tombstone that was applied to its rows.
    pub tombstones_through: Option<TombstoneId>,
}

/// The first and last time among the rows of a segment; none while there are no rows.
#[derive(Debug, Default)]
struct TimeBounds {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
}

impl TimeBounds {
    fn note(&mut self, spec: &TableSpec, batch: &Result<RecordBatch, DataFusionError>) {
        if let Ok(batch) = batch
            && batch.num_rows() > 0
        {
            let (first, last) = spec.time_bounds(batch);
            self.first = Some(self.first.map_or(first, |known| known.min(first)));
            self.last = self.last.max(Some(last));
        }
    }
}

impl Core {
    /// Seals the oldest staged rows of a table, and returns how many batches that were.
    pub async fn seal_table(&self, table: &TableName) -> Result<usize, Error> {
        let _sealing = self.sealing.lock().await;
        if self.doubtful.lock().contains(table) {
            let _rewriting = self.rewriting.lock().await;
            self.settle(table).await?;
        }
        let Some(work) = self.tables.to_seal(table.as_str(), self.config.seal_bytes)? else { return Ok(0) };
        let ids = work.ids.clone();
        match self.seal_rows(table, work).await {
            Ok(segment) => {
                self.tables.sealed(table.as_str(), &ids, segment)?;
                self.health.sealed();
                self.sealed.notify_one();
                Ok(ids.len())
            }
            Err(error) => {
                self.tables.not_sealed(table.as_str())?;
                Err(error)
            }
        }
    }

    async fn seal_rows(&self, table: &TableName, work: ToSeal) -> Result<Option<Arc<Segment>>, Error> {
        let ids = work.ids;
        let segment = if work.batches.iter().all(|batch| batch.num_rows() == 0) {
            // All of it belonged to deleted subjects.
            None
        } else {
            let spec = self.tables.spec(table.as_str())?;
            let made = Made { level: 0, tombstones_through: work.tombstones_through };
            Some(self.write_segment(spec, made, move |spec| sorted(spec, work.batches)).await?)
        };
        let record = segment.as_ref().map(|segment| segment.record.clone());
        self.swap(table, record.as_slice(), &[], &ids).await?;
        Ok(segment)
    }

    /// Writes a segment of the batches that `rows` gives, in the order of the table. It is not in the catalog yet.
    pub async fn write_segment<I>(
        &self,
        spec: Arc<TableSpec>,
        made: Made,
        rows: impl FnOnce(&TableSpec) -> Result<I, Error> + Send + 'static,
    ) -> Result<Arc<Segment>, Error>
    where
        I: Iterator<Item = Result<RecordBatch, DataFusionError>>,
    {
        let id = SegmentId::new();
        let relative = format!("{}/{id}.parquet", spec.name);
        let path = self.folders.segments.join(&relative);
        let temporary = self.folders.temporary.join(format!("{id}.parquet"));
        let disk = Arc::clone(&self.disk);
        let write = move || {
            let mut times = TimeBounds::default();
            let batches = rows(&spec)?.inspect(|batch| times.note(&spec, batch));
            let sealed = segment::write(&*disk, &spec, temporary, &path, batches)?;
            let record = SegmentRecord {
                id,
                table: spec.name.clone(),
                path: relative,
                rows: sealed.rows,
                bytes: sealed.written.bytes,
                min_time: times.first.unwrap_or(Timestamp::MIN),
                max_time: times.last.unwrap_or(Timestamp::MAX),
                hash: sealed.written.sha256,
                level: made.level,
                tombstones_through: made.tombstones_through,
                created: Timestamp::now(),
            };
            Segment::new(disk, &spec, record, path, &sealed.metadata)
                .map(Arc::new)
                .map_err(Error::segment("reading back a segment", &spec.name))
        };
        self.engine.spawn_blocking(write).await.map_err(|_| Error::Broken { operation: "writing a segment" })?
    }

    /// Seals all that is staged now.
    pub async fn seal_all(&self) -> Result<(), Error> {
        for table in self.tables.names() {
            // What is appended meanwhile is left for the next time.
            let size = self.tables.size(table.as_str())?;
            for _ in 0..=size.staged_bytes / self.config.seal_bytes.max(1) * 2 {
                if self.seal_table(&table).await? == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Seals what is due, until `stop`. A failure is reported and tried again: the rows stay staged.
    pub async fn keep_sealing(&self, mut stop: watch::Receiver<()>) {
        let tick = Duration::from_millis((self.config.seal_age_ms / 4).clamp(10, 1000));
        let mut backoff = BACKOFF_FIRST;
        loop {
            let wait = match self.seal_due().await {
                Ok(()) => {
                    backoff = BACKOFF_FIRST;
                    tick
                }
                Err(error) => {
                    self.health.failed("seal", &error);
                    backoff = (backoff * 2).min(BACKOFF_MOST);
                    backoff
                }
            };
            let failed = backoff > BACKOFF_FIRST;
            tokio::select! {
                _ = stop.changed() => return,
                () = tokio::time::sleep(wait) => {}
                () = self.committed.notified(), if !failed => {}
            }
        }
    }

    async fn seal_due(&self) -> Result<(), Error> {
        for table in self.tables.names() {
            while self.is_due(&table)? {
                self.seal_table(&table).await?;
            }
        }
        Ok(())
    }

    fn is_due(&self, table: &TableName) -> Result<bool, Error> {
        let size = self.tables.size(table.as_str())?;
        let age = Duration::from_millis(self.config.seal_age_ms);
        let old = size.oldest_staged.is_some_and(|since| since.elapsed() >= age);
        Ok(old || size.staged_rows >= self.config.seal_rows || size.staged_bytes >= self.config.seal_bytes)
    }
}

/// The rows of these batches in the order of the table, a chunk at a time.
pub(crate) fn sorted(
    spec: &TableSpec,
    batches: Vec<RecordBatch>,
) -> Result<impl Iterator<Item = Result<RecordBatch, DataFusionError>> + use<>, Error> {
    let order = order(spec, &batches).map_err(Error::arrow("sorting rows", &spec.name))?;
    let chunks = order.len().div_ceil(CHUNK_ROWS);
    Ok((0..chunks).map(move |chunk| {
        let rows = &order[chunk * CHUNK_ROWS..order.len().min((chunk + 1) * CHUNK_ROWS)];
        let batches: Vec<_> = batches.iter().collect();
        interleave_record_batch(&batches, rows).map_err(DataFusionError::from)
    }))
}

/// For each row in the order of the table, its batch and its place there.
fn order(spec: &TableSpec, batches: &[RecordBatch]) -> Result<Vec<(usize, usize)>, ArrowError> {
    let sort = spec.sort.iter().map(|column| sort_column(batches, column)).collect::<Result<Vec<_>, _>>()?;
    let places: Vec<_> = batches
        .iter()
        .enumerate()
        .flat_map(|(batch, rows)| (0..rows.num_rows()).map(move |row| (batch, row)))
        .collect();
    Ok(lexsort_to_indices(&sort, None)?.values().iter().map(|&place| places[place as usize]).collect())
}

fn sort_column(batches: &[RecordBatch], column: &str) -> Result<SortColumn, ArrowError> {
    let parts: Vec<&ArrayRef> = batches.iter().filter_map(|batch| batch.column_by_name(column)).collect();
    let parts: Vec<_> = parts.iter().map(|part| part.as_ref()).collect();
    Ok(SortColumn { values: concat(&parts)?, options: Some(SortOptions { descending: false, nulls_first: true }) })
}
