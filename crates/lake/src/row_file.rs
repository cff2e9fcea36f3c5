//! Rows that never change: Parquet files named by their SHA-256, each written once as a stream and read in part.
//!
//! Unlike the segments of a table these are nobody's to merge, sort or expire: whoever records the name of such a file has
//! its rows, in the order in which they were written, until nobody names it any more and it is swept. Row groups and
//! pages are small and indexed, so that a few rows in the middle of millions cost the pages that hold them.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use qd_base::Sha256Hex;

use crate::Error;
use crate::blob::{BlobStore, NewBlob, Swept, Writing};
use crate::file::digest;

/// A row group is closed when it has so many rows, or takes so much memory.
const GROUP_ROWS: usize = 16_384;
const GROUP_BYTES: usize = 16 << 20;
/// Rows of a page at most: what a look at a few rows decodes of each column.
const PAGE_ROWS: usize = 1024;
/// Rows that are read at a time at most, and about how many bytes: more than 2 GiB of one column could not be read at all.
const READ_ROWS: usize = 1024;
const READ_BYTES: u64 = 16 << 20;
/// A longer dictionary is given up: a long value that every row repeats would hardly count as bytes of its group.
const DICTIONARY_BYTES: usize = 128 << 10;
/// Pages come in pieces of some 100 KB; this spares system calls.
const BUFFER_BYTES: usize = 256 << 10;

/// A folder of such files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RowFiles {
    blobs: BlobStore,
}

/// A file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenRows {
    /// Its name.
    pub sha256: Sha256Hex,
    /// How many rows it has.
    pub rows: u64,
    /// How large it is.
    pub bytes: u64,
}

impl RowFiles {
    /// Opens the folder, making it when it is missing and removing what a crash left half-written.
    ///
    /// # Errors
    /// [`Error::Disk`] when it cannot be made or read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        BlobStore::open(dir).map(|blobs| Self { blobs })
    }

    /// Begins to write files that are recorded afterwards: none is swept before this is dropped.
    pub fn writing(&self) -> Writing {
        self.blobs.writing()
    }

    /// Begins a file of rows with these columns. Those in `unique` hardly repeat a value, so no dictionary is tried.
    ///
    /// # Errors
    /// [`Error::Disk`], and [`Error::Parquet`] for a column that Parquet cannot hold.
    pub fn create(&self, schema: &SchemaRef, unique: &[&str]) -> Result<NewRowFile<'_>, Error> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_write_batch_size(PAGE_ROWS)
            .set_dictionary_page_size_limit(DICTIONARY_BYTES)
            .set_created_by("quarterdeck".to_owned());
        for column in unique {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(*column), false);
        }
        let file = BufWriter::with_capacity(BUFFER_BYTES, self.blobs.create()?);
        let writer = ArrowWriter::try_new(file, Arc::clone(schema), Some(properties.build()));
        Ok(NewRowFile { writer: writer.map_err(Error::parquet("beginning"))?, rows: 0 })
    }

    /// Opens a file by its footer.
    ///
    /// # Errors
    /// [`Error::NoBlob`] when it is not kept here, [`Error::Parquet`] when it is damaged.
    pub fn file(&self, sha256: Sha256Hex) -> Result<RowFile, Error> {
        let path = self.blobs.path(sha256);
        let file = File::open(&path).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => Error::NoBlob { sha256 },
            _ => Error::disk("opening", &path)(cause),
        })?;
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load(&file, options).map_err(Error::parquet("opening"))?;
        Ok(RowFile { path, metadata })
    }

    /// Where a file lies, or would lie.
    pub fn path(&self, sha256: Sha256Hex) -> PathBuf {
        self.blobs.path(sha256)
    }

    /// The folder that they lie in.
    pub(crate) fn dir(&self) -> &Path {
        self.blobs.dir()
    }

    /// Reads a file in full and checks that it is what was written.
    ///
    /// # Errors
    /// [`Error::NoBlob`] when it is not kept here, [`Error::Checksum`] when it was damaged.
    pub fn verify(&self, sha256: Sha256Hex) -> Result<(), Error> {
        let path = self.blobs.path(sha256);
        let found = digest(&path).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => Error::NoBlob { sha256 },
            _ => Error::disk("reading", &path)(cause),
        })?;
        if found.sha256 == sha256 {
            Ok(())
        } else {
            Err(Error::Checksum { path, expected: sha256, found: found.sha256 })
        }
    }

    /// Removes every file that is not in use; as [`BlobStore::sweep`].
    ///
    /// # Errors
    /// As there.
    pub async fn sweep<F>(&self, used: impl FnOnce() -> F) -> Result<Swept, Error>
    where
        F: Future<Output = Result<HashSet<Sha256Hex>, Error>>,
    {
        self.blobs.sweep(used).await
    }
}

/// A file that is being written; dropped before it is finished, nothing of it remains.
pub struct NewRowFile<'a> {
    writer: ArrowWriter<BufWriter<NewBlob<'a>>>,
    rows: u64,
}

impl NewRowFile<'_> {
    /// Adds rows.
    ///
    /// # Errors
    /// [`Error::Parquet`] for rows with other columns, or when the disk fails.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<(), Error> {
        self.rows += rows.num_rows() as u64;
        let mut write = || {
            self.writer.write(rows)?;
            if self.writer.in_progress_size() >= GROUP_BYTES { self.writer.flush() } else { Ok(()) }
        };
        write().map_err(Error::parquet("writing"))
    }

    /// Rows that were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the file, which is then on disk and not swept while `writing` is held.
    ///
    /// # Errors
    /// [`Error::Parquet`] or [`Error::Disk`] when the disk fails; nothing is kept then.
    pub fn finish(self, writing: &Writing) -> Result<WrittenRows, Error> {
        let mut buffered = self.writer.into_inner().map_err(Error::parquet("finishing"))?;
        buffered.flush().map_err(|cause| Error::parquet("finishing")(ParquetError::External(Box::new(cause))))?;
        let (file, _) = buffered.into_parts();
        let written = file.finish(writing)?;
        Ok(WrittenRows { sha256: written.sha256, rows: self.rows, bytes: written.bytes })
    }
}

/// A file of rows, opened.
#[derive(Debug, Clone)]
pub struct RowFile {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

impl RowFile {
    /// Its columns.
    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// How many rows it has.
    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many of its rows are read at a time, so that they take little memory.
    pub(crate) fn rows_at_once(&self) -> usize {
        batch_rows(self.metadata.metadata().row_groups(), READ_ROWS, READ_BYTES)
    }

    /// Reads the rows in these ranges, which must not overlap and be in order; of `columns` only those that it has, or all.
    ///
    /// # Errors
    /// [`Error::Disk`] when it cannot be opened, [`Error::Parquet`] when it is damaged.
    pub fn read<I: IntoIterator<Item = Range<u64>>, S: AsRef<str>>(
        &self,
        ranges: I,
        columns: Option<&[S]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + Send + use<I, S>, Error> {
        let file = File::open(&self.path).map_err(Error::disk("opening", &self.path))?;
        let (groups, ranges) = self.select(ranges);
        let of_groups = groups.0.iter().map(|group| self.metadata.metadata().row_group(*group));
        let size = batch_rows(of_groups, READ_ROWS, READ_BYTES);
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_batch_size(size)
            .with_row_groups(groups.0)
            .with_row_selection(RowSelection::from_consecutive_ranges(ranges.into_iter(), groups.1));
        if let Some(columns) = columns {
            let roots = columns.iter().filter_map(|column| self.schema().index_of(column.as_ref()).ok());
            let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
            builder = builder.with_projection(mask);
        }
        let rows = builder.build().map_err(Error::parquet("reading"))?;
        Ok(rows.map(|batch| batch.map_err(|cause| Error::parquet("reading")(ParquetError::from(cause)))))
    }

    /// The row groups that hold these rows with the number of all their rows, and the ranges counted within them.
    fn select(&self, ranges: impl IntoIterator<Item = Range<u64>>) -> ((Vec<usize>, usize), Vec<Range<usize>>) {
        let mut ranges = ranges.into_iter().filter(|range| !range.is_empty()).peekable();
        let (mut groups, mut selected, mut begin, mut taken) = (Vec::new(), Vec::new(), 0_u64, 0_u64);
        for (group, metadata) in self.metadata.metadata().row_groups().iter().enumerate() {
            let rows = u64::try_from(metadata.num_rows()).unwrap_or(0);
            let end = begin + rows;
            let mut needed = false;
            while let Some(range) = ranges.peek().filter(|range| range.start < end).cloned() {
                needed = true;
                let within = range.start.max(begin) - begin + taken..range.end.min(end) - begin + taken;
                selected.push(place(within.start)..place(within.end));
                if range.end > end {
                    break;
                }
                ranges.next();
            }
            if needed {
                groups.push(group);
                taken += rows;
            }
            begin = end;
        }
        ((groups, place(taken)), selected)
    }
}

/// How many rows are read at a time, so that they take about `bytes` also in the row group whose rows are the largest.
pub(crate) fn batch_rows<'a>(groups: impl IntoIterator<Item = &'a RowGroupMetaData>, rows: usize, bytes: u64) -> usize {
    let of_group = |group: &RowGroupMetaData| {
        let positive = |number: i64| u64::try_from(number).unwrap_or(0).max(1);
        bytes.saturating_mul(positive(group.num_rows())) / positive(group.total_byte_size())
    };
    let fewest = groups.into_iter().map(of_group).min().unwrap_or(u64::MAX);
    usize::try_from(fewest).unwrap_or(rows).clamp(1, rows)
}

fn place(row: u64) -> usize {
    usize::try_from(row).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::tests::{events, events_table};

    const ROWS: i64 = 40_000;

    fn written(folder: &Path) -> (RowFiles, WrittenRows) {
        let files = RowFiles::open(folder).unwrap();
        let writing = files.writing();
        let mut file = files.create(&events_table().schema, &["id"]).unwrap();
        for start in (0..ROWS).step_by(1000) {
            file.push(&events(start..start + 1000)).unwrap();
        }
        let written = file.finish(&writing).unwrap();
        (files, written)
    }

    /// The numbers of the rows that are read.
    fn numbers(file: &RowFile, ranges: &[Range<u64>]) -> Vec<i64> {
        let batches = file.read(ranges.iter().cloned(), Some(&["n"])).unwrap();
        let values = |batch: RecordBatch| batch.column(0).as_primitive::<Int64Type>().values().to_vec();
        batches.map(Result::unwrap).flat_map(values).collect()
    }

    #[test]
    fn rows_are_read_in_part_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let (files, written) = written(folder.path());
        assert_eq!(written.rows, 40_000);
        let file = files.file(written.sha256).unwrap();
        assert_eq!(file.rows(), 40_000);
        let all: Vec<_> = file.read([0..u64::MAX], None::<&[&str]>).unwrap().map(Result::unwrap).collect();
        assert_eq!(arrow::compute::concat_batches(&events_table().schema, &all).unwrap(), events(0..ROWS));
        // Across the border of two row groups, at both ends, single rows, and beyond the end.
        for ranges in [
            vec![16_380..16_390],
            vec![0..1, 39_999..40_000],
            vec![5..6, 7..8, 16_384..16_385, 30_000..35_000],
            vec![39_990..50_000],
            vec![50_000..50_001],
            vec![3..3],
        ] {
            let expected: Vec<_> = ranges.iter().cloned().flatten().filter(|n| *n < 40_000).map(|n| n as i64).collect();
            assert_eq!(numbers(&file, &ranges), expected, "{ranges:?}");
        }
    }

    #[tokio::test]
    async fn a_file_is_held_while_it_is_recorded_and_swept_when_nobody_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let (files, first) = written(folder.path());
        let (_, again) = written(folder.path());
        assert_eq!(first, again, "the same rows are the same file");
        files.verify(first.sha256).unwrap();
        let used = async || Ok(HashSet::from([first.sha256]));
        assert_eq!(files.sweep(used).await.unwrap().blobs, 0);
        let writing = files.writing();
        let mut file = files.create(&events_table().schema, &[]).unwrap();
        file.push(&events(0..10)).unwrap();
        let held = file.finish(&writing).unwrap();
        let none = async || Ok(HashSet::new());
        assert_eq!(files.sweep(none).await.unwrap().blobs, 1);
        assert!(matches!(files.file(first.sha256), Err(Error::NoBlob { .. })));
        assert_eq!(files.file(held.sha256).unwrap().rows(), 10);
        drop(writing);
        assert_eq!(files.sweep(none).await.unwrap().blobs, 1);
    }

    #[test]
    fn large_rows_are_read_a_few_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let files = RowFiles::open(folder.path()).unwrap();
        // 300 rows of 1 MiB, once all the same and once each another: 16 are 16 MiB.
        for differ in [false, true] {
            let text = |n: usize| format!("{}{}", if differ { n } else { 0 }, "x".repeat(1 << 20));
            let batch = |n: usize| {
                let texts = Arc::new(arrow::array::StringArray::from(vec![text(n)])) as arrow::array::ArrayRef;
                RecordBatch::try_from_iter([("text", texts)]).unwrap()
            };
            let writing = files.writing();
            let mut file = files.create(&batch(0).schema(), &[]).unwrap();
            (0..300).for_each(|n| file.push(&batch(n)).unwrap());
            let written = file.finish(&writing).unwrap();
            let file = files.file(written.sha256).unwrap();
            let rows = file.read([0..u64::MAX], None::<&[&str]>).unwrap().map(|batch| batch.unwrap().num_rows());
            let rows: Vec<_> = rows.collect();
            assert_eq!(rows.iter().sum::<usize>(), 300);
            assert!(rows.iter().all(|rows| *rows <= 16), "{differ}: {rows:?}");
        }
    }

    #[test]
    fn what_is_not_finished_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let files = RowFiles::open(folder.path()).unwrap();
        let mut file = files.create(&events_table().schema, &[]).unwrap();
        file.push(&events(0..20_000)).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 1);
        drop(file);
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (files, written) = written(folder.path());
        let path = files.path(written.sha256);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[1000] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(matches!(files.verify(written.sha256), Err(Error::Checksum { .. })));
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(files.file(written.sha256), Err(Error::Parquet { .. })));
    }
}
