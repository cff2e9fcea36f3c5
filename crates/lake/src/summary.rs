//! Smaller tables that are derived from segments, so that questions over long times need not read every row.
//!
//! A segment never changes, so what was derived from it stays true as long as it is there. When compaction has merged
//! a segment, its summaries are written beside it, each as a Parquet file in the folder of its own table. A query sees
//! a summary of each segment that has one, and the rows of all others as `{table}_unsummarized`: the two together
//! stand for each row exactly once. Summaries are never acknowledged and can be made again, so the catalog does not
//! know them: one that is missing or damaged costs time and no rows.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use qd_base::TableName;
use qd_catalog::SegmentRecord;

use crate::core::Core;
use crate::segment::{self, Segment};
use crate::subject::pending;
use crate::tables::TableSnapshot;
use crate::{Error, TableSpec};

/// Batches of rows, one after the other.
pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>>>;

/// A smaller table that is derived from the rows of each merged segment by itself.
///
/// So whoever reads it adds up what several segments say of the same thing.
#[derive(Debug, Clone)]
pub struct Summary {
    /// The table that it makes; with neither subjects nor summaries of its own. A change of what it holds needs another
    /// name, because files under the old one are not looked at again.
    pub table: TableSpec,
    /// The columns that it is derived from.
    pub columns: Vec<&'static str>,
    /// Derives it from the rows of a segment, which come in the order of their table. The same rows make the same
    /// summary, whose file takes the place of one that was damaged.
    pub derive: fn(Batches) -> Batches,
    /// The text columns whose words it lists, for searches; see [`crate::words`]. Most summaries list none.
    pub searched: Vec<&'static str>,
}

impl Summary {
    /// Where the summary of a segment lies, below the folder of all segments.
    fn path(&self, segment: &SegmentRecord) -> String {
        format!("{}/{}.parquet", self.table.name, segment.id)
    }

    /// What is known of the summary of a segment.
    fn record(&self, segment: &SegmentRecord, rows: u64, bytes: u64) -> SegmentRecord {
        let table = self.table.name.clone();
        SegmentRecord { table, path: self.path(segment), rows, bytes, ..segment.clone() }
    }
}

impl Core {
    /// Derives the summaries of merged segments that have none.
    pub async fn summarize_table(&self, table: &TableName) -> Result<(), Error> {
        if self.tables.spec(table.as_str())?.summaries.is_empty() {
            return Ok(());
        }
        loop {
            let _rewriting = self.rewriting.lock().await;
            let snapshot = self.tables.table(table.as_str())?;
            let Some(segment) = snapshot.segments.iter().find(|segment| is_due(&snapshot, segment)) else {
                return Ok(());
            };
            match self.summarize(&snapshot, segment).await {
                Ok(summaries) => self.tables.summarized(table.as_str(), segment.record.id, summaries)?,
                // A damaged segment is set aside, so that it does not keep all others waiting.
                Err(error) if self.set_aside_damaged(vec![Arc::clone(segment)]).await? == 0 => return Err(error),
                Err(_) => {}
            }
        }
    }

    async fn summarize(&self, snapshot: &TableSnapshot, segment: &Arc<Segment>) -> Result<Vec<Arc<Segment>>, Error> {
        let mut made = Vec::new();
        for summary in &snapshot.spec.summaries {
            let (spec, summary, segment) = (Arc::clone(&snapshot.spec), summary.clone(), Arc::clone(segment));
            let (disk, folders) = (Arc::clone(&self.disk), self.folders.clone());
            let write = move || {
                let record = summary.record(&segment.record, 0, 0);
                let (path, temporary) = (folders.of(&record), folders.temporary.join(format!("{}.summary", record.id)));
                let rows = (summary.derive)(rows(&spec, &segment, &summary.columns)?);
                let rows = rows.map(|batch| batch.map_err(DataFusionError::from));
                let sealed = segment::write(&*disk, &summary.table, temporary, &path, rows)?;
                let record = SegmentRecord { rows: sealed.rows, bytes: sealed.written.bytes, ..record };
                Segment::new(disk, &summary.table, record, path, &sealed.metadata)
                    .map(Arc::new)
                    .map_err(Error::segment("reading back a summary", &summary.table.name))
            };
            let written = self.engine.spawn_blocking(write).await;
            made.push(written.map_err(|_| Error::Broken { operation: "writing a summary" })??);
        }
        Ok(made)
    }

    /// The summaries of a segment, if they are all there and whole as far as their footers tell.
    pub fn open_summaries(&self, spec: &TableSpec, segment: &SegmentRecord) -> Vec<Arc<Segment>> {
        let open = |summary: &Summary| {
            let path = self.folders.of(&summary.record(segment, 0, 0));
            let file = File::open(&path).ok()?;
            let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).ok()?;
            let rows = u64::try_from(metadata.file_metadata().num_rows()).ok()?;
            let record = summary.record(segment, rows, file.metadata().ok()?.len());
            Segment::new(Arc::clone(&self.disk), &summary.table, record, path, &metadata).ok().map(Arc::new)
        };
        spec.summaries.iter().map(open).collect::<Option<_>>().unwrap_or_default()
    }

    /// Lets go of the summaries of a segment of which one cannot be read; compaction makes them again. Returns whether
    /// it was so.
    pub async fn discard_damaged_summary(&self, summary: &Arc<Segment>) -> Result<bool, Error> {
        let file = Arc::clone(&summary.file);
        let whole = self.engine.spawn_blocking(move || is_whole(&file.path)).await;
        let whole = whole.map_err(|_| Error::Broken { operation: "checking a summary" })?;
        Ok(!whole && self.tables.unsummarized(summary.record.id))
    }
}

/// Whether every row of a Parquet file can be read.
fn is_whole(path: &Path) -> bool {
    let rows = File::open(path).map_err(ParquetError::from).and_then(ParquetRecordBatchReaderBuilder::try_new);
    rows.and_then(ParquetRecordBatchReaderBuilder::build).is_ok_and(|mut batches| batches.all(|batch| batch.is_ok()))
}

/// Segments that were never merged soon will be, and from one with hidden rows another is made first.
fn is_due(snapshot: &TableSnapshot, segment: &Segment) -> bool {
    segment.record.level > 0
        && segment.summaries.is_empty()
        && segment.superseded.is_empty()
        && pending(&segment.record, &snapshot.tombstones).is_empty()
}

/// Rows of a segment as its table has them now, with these columns only.
pub(crate) fn rows(spec: &Arc<TableSpec>, segment: &Segment, columns: &[&'static str]) -> Result<Batches, Error> {
    let places: Vec<_> = columns
        .iter()
        .map(|column| spec.schema.index_of(column))
        .collect::<Result<_, _>>()
        .map_err(Error::arrow("summarizing rows", &spec.name))?;
    let schema = Arc::new(spec.schema.project(&places).map_err(Error::arrow("summarizing rows", &spec.name))?);
    let batches = read_columns(&segment.file.path, columns)
        .map_err(|cause| Error::segment("summarizing rows", &spec.name)(DataFusionError::from(cause)))?;
    let spec = Arc::clone(spec);
    // What keeps the file from being removed while it is read.
    let file = Arc::clone(&segment.file);
    Ok(Box::new(batches.map(move |batch| {
        let _file = &file;
        spec.conform(&batch?, &schema).map_err(|error| ArrowError::ExternalError(Box::new(error)))
    })))
}

fn read_columns(
    path: &Path,
    columns: &[&'static str],
) -> Result<impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<>, ParquetError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    builder.with_projection(mask).with_batch_size(8192).build()
}
