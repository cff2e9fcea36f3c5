//! One sealed Parquet file: writing it, opening it, checking it, and letting it go.
//!
//! A segment is plain Parquet (zstd, dictionary and delta encodings, page index, bloom filters) without
//! anything of ours in it, so that any engine can read the folder.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::error::DataFusionError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, SortingColumn};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use qd_base::TableName;
use qd_catalog::SegmentRecord;

use crate::file::{Disk, NewFile, Written, digest};
use crate::identity::Superseded;
use crate::{Error, TableSpec};

/// Rows of a row group: what a look-up by identifier decodes one column of.
pub(crate) const ROW_GROUP_ROWS: usize = 65_536;

/// Rows of a data page at most: what a look-up decodes of each other column.
const PAGE_ROWS: usize = 8_192;

/// Of a hundred look-ups by an identifier that a row group does not hold, one reads it in vain.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// A segment that queries may read.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub record: SegmentRecord,
    pub file: Arc<SegmentFile>,
    /// Row count, and the bounds of the columns that segments are sorted by.
    pub statistics: Arc<Statistics>,
    /// What was derived from it, one for each summary of its table; none while it has not been summarized.
    pub summaries: Vec<Arc<Segment>>,
    /// Rows of it that came again later.
    pub superseded: Superseded,
}

/// The file of a segment. It is removed when it is doomed and the last query that may read it has ended.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub path: PathBuf,
    disk: Arc<dyn Disk>,
    doomed: AtomicBool,
}

impl SegmentFile {
    fn new(disk: Arc<dyn Disk>, path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, disk, doomed: AtomicBool::new(false) })
    }

    /// No new query will read this file.
    fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }
}

impl Drop for SegmentFile {
    fn drop(&mut self) {
        if *self.doomed.get_mut() {
            // A file that cannot be removed now is an orphan, and is swept when the lake is opened.
            let _ = self.disk.remove(&self.path);
        }
    }
}

/// Why a segment cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The file is not what was written; the sentence says how.
    Damaged(String),
    /// The system cannot open it at present: too many open files, no permission.
    Now(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(cause: io::Error) -> Self {
        const EIO: i32 = 5;
        match cause.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => {
                Self::Damaged(format!("it cannot be read: {cause}"))
            }
            _ if cause.raw_os_error() == Some(EIO) => Self::Damaged(format!("it cannot be read: {cause}")),
            _ => Self::Now(cause),
        }
    }
}

impl Segment {
    /// Opens a segment by its footer.
    pub fn open(
        disk: Arc<dyn Disk>,
        spec: &TableSpec,
        record: SegmentRecord,
        path: PathBuf,
    ) -> Result<Self, Unreadable> {
        let file = std::fs::File::open(&path)?;
        check_length(file.metadata()?.len(), &record)?;
        let damaged = |cause: DataFusionError| Unreadable::Damaged(format!("its footer is damaged: {cause}"));
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file).map_err(|cause| damaged(cause.into()))?;
        Self::new(disk, spec, record, path, &metadata).map_err(damaged)
    }

    /// A segment whose footer is known.
    pub fn new(
        disk: Arc<dyn Disk>,
        spec: &TableSpec,
        record: SegmentRecord,
        path: PathBuf,
        metadata: &ParquetMetaData,
    ) -> Result<Self, DataFusionError> {
        let statistics = Arc::new(sort_statistics(spec, metadata)?);
        Ok(Self {
            record,
            file: SegmentFile::new(disk, path),
            statistics,
            summaries: Vec::new(),
            superseded: Superseded::default(),
        })
    }

    /// No new query will read this segment or what was derived from it.
    pub fn doom(&self) {
        self.file.doom();
        self.doom_summaries();
    }

    /// No new query will read what was derived from this segment.
    pub fn doom_summaries(&self) {
        self.summaries.iter().for_each(|summary| summary.file.doom());
    }

    /// Reads all of the file and compares it with what was written.
    pub fn verify(&self) -> Result<(), Unreadable> {
        let found = digest(&self.file.path)?;
        check_length(found.bytes, &self.record)?;
        if found.sha256 == self.record.hash {
            Ok(())
        } else {
            Err(Unreadable::Damaged(format!("it has SHA-256 {}, {} was written", found.sha256, self.record.hash)))
        }
    }
}

fn check_length(found: u64, record: &SegmentRecord) -> Result<(), Unreadable> {
    if found == record.bytes {
        Ok(())
    } else {
        Err(Unreadable::Damaged(format!("it has {found} bytes, {} were written", record.bytes)))
    }
}

/// Statistics of the sort columns and the time column only: those of all columns of thousands of segments
/// would take more memory than they save time.
fn sort_statistics(spec: &TableSpec, metadata: &ParquetMetaData) -> Result<Statistics, DataFusionError> {
    let schema = spec.scan_schema();
    let mut statistics = DFParquetMetadata::statistics_from_parquet_metadata(metadata, &schema)?;
    for (field, column) in schema.fields().iter().zip(&mut statistics.column_statistics) {
        let name = field.name().as_str();
        if name != spec.time_column && !spec.sort.contains(&name) {
            *column = ColumnStatistics::new_unknown();
        }
    }
    statistics.total_byte_size = Precision::Absent;
    Ok(statistics)
}

/// What a new segment turned out to be.
pub(crate) struct Sealed {
    pub written: Written,
    pub rows: u64,
    pub metadata: ParquetMetaData,
}

/// Writes sorted batches as a Parquet file that is whole and durable, or not there at all.
pub(crate) fn write(
    disk: &dyn Disk,
    spec: &TableSpec,
    temporary: PathBuf,
    path: &Path,
    batches: impl Iterator<Item = Result<RecordBatch, DataFusionError>>,
) -> Result<Sealed, Error> {
    let sealed = write_named(disk, spec, temporary, path, batches);
    if sealed.is_err() {
        // Whether the failed file has its name already is unknown; it must not have it.
        let _ = disk.remove(path);
    }
    sealed
}

fn write_named(
    disk: &dyn Disk,
    spec: &TableSpec,
    temporary: PathBuf,
    path: &Path,
    batches: impl Iterator<Item = Result<RecordBatch, DataFusionError>>,
) -> Result<Sealed, Error> {
    let file = NewFile::create(disk, temporary).map_err(Error::disk("creating segment", path))?;
    // Pages come in pieces of some 100 KB; this spares system calls and keeps the digest in the cache.
    let mut buffered = io::BufWriter::with_capacity(256 << 10, file);
    let options = ArrowWriterOptions::new().with_properties(properties(spec)).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(&mut buffered, Arc::clone(&spec.schema), options)
        .map_err(write_error(&spec.name, path))?;
    let mut rows = 0;
    for batch in batches {
        let batch = batch.map_err(Error::segment("reading rows", &spec.name))?;
        rows += batch.num_rows() as u64;
        writer.write(&batch).map_err(write_error(&spec.name, path))?;
    }
    let metadata = writer.finish().map_err(write_error(&spec.name, path))?;
    drop(writer);
    buffered.flush().map_err(Error::disk("writing segment", path))?;
    let file = buffered.into_inner().map_err(|error| Error::disk("writing segment", path)(error.into_error()))?;
    let written = file.finish(path).map_err(Error::disk("writing segment", path))?;
    Ok(Sealed { written, rows, metadata })
}

/// Tells a failing disk from rows that Parquet cannot hold.
fn write_error(table: &TableName, path: &Path) -> impl FnOnce(parquet::errors::ParquetError) -> Error {
    let (table, path) = (table.clone(), path.to_owned());
    move |cause| match cause {
        parquet::errors::ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(cause) => Error::disk("writing segment", path)(*cause),
            Err(cause) => Error::segment("writing a segment", &table)(DataFusionError::External(cause)),
        },
        other => Error::segment("writing a segment", &table)(other),
    }
}

fn properties(spec: &TableSpec) -> WriterProperties {
    let sorting = spec.sort.iter().filter_map(|column| leaf(&spec.schema, column));
    let sorting =
        sorting.map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true }).collect();
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_write_batch_size(PAGE_ROWS)
        .set_sorting_columns(Some(sorting))
        .set_created_by("quarterdeck".to_owned());
    for field in spec.schema.fields() {
        let column = ColumnPath::from(field.name().as_str());
        builder = match field.data_type() {
            // Sorted times differ by little; their differences take a third of the bytes.
            DataType::Timestamp(..) => builder
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
            // Measured values hardly repeat, but the high bytes of neighbours do.
            DataType::Float32 | DataType::Float64 => builder
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::BYTE_STREAM_SPLIT),
            _ => builder,
        };
    }
    for column in &spec.bloom {
        let column = ColumnPath::from(*column);
        builder = builder
            .set_column_bloom_filter_enabled(column.clone(), true)
            .set_column_bloom_filter_fpp(column.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(column, ROW_GROUP_ROWS as u64);
    }
    builder.build()
}

/// The position of a column among Parquet's leaves, which differs from its own after a nested column.
fn leaf(schema: &SchemaRef, column: &str) -> Option<i32> {
    let descriptor = parquet::arrow::ArrowSchemaConverter::new().convert(schema).ok()?;
    let position = descriptor.columns().iter().position(|leaf| leaf.path().string() == column)?;
    i32::try_from(position).ok()
}
