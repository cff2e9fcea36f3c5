//! Rows as Parquet for others: a file that is written piece by piece, and one from elsewhere that is read.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use parking_lot::Mutex;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::column::page::{Page, PageReader as _};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::serialized_reader::SerializedPageReader;

use crate::Error;
use crate::row_file::batch_rows;

/// A row group is closed when it has so many rows, or takes so much memory.
const GROUP_ROWS: usize = 16_384;
const GROUP_BYTES: usize = 16 << 20;
/// Rows that are read at a time at most, and what they take by the size of their row group.
const READ_ROWS: usize = 512;
const READ_BYTES: u64 = 16 << 20;
/// What they take when each has the longest value of the dictionary, which takes the room of one in the file.
const REPEATED_BYTES: u64 = 64 << 20;
/// The longest value of a dictionary.
const MAX_VALUE_BYTES: u64 = 16 << 20;
/// Columns of a file from elsewhere, those within others included.
const MAX_COLUMNS: usize = 10_000;

/// A Parquet file whose bytes are handed on as they are made, so that it is never held as a whole.
#[derive(Debug)]
pub struct ParquetPieces {
    writer: ArrowWriter<Taken>,
    made: Taken,
}

/// Bytes that were written and not yet handed on.
#[derive(Debug, Clone, Default)]
struct Taken(Arc<Mutex<Vec<u8>>>);

impl Taken {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Write for Taken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ParquetPieces {
    /// A file of rows with these columns.
    ///
    /// # Errors
    /// [`Error::Parquet`] for a column that Parquet cannot hold.
    pub fn new(schema: &SchemaRef) -> Result<Self, Error> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_created_by("quarterdeck".to_owned())
            .build();
        let made = Taken::default();
        let writer = ArrowWriter::try_new(made.clone(), Arc::clone(schema), Some(properties));
        Ok(Self { writer: writer.map_err(Error::parquet("beginning"))?, made })
    }

    /// Adds rows, and gives what the file goes on with: often nothing, until a group of rows is full.
    ///
    /// # Errors
    /// [`Error::Parquet`] for rows with other columns.
    pub fn push(&mut self, rows: &RecordBatch) -> Result<Vec<u8>, Error> {
        let mut write = || {
            self.writer.write(rows)?;
            if self.writer.in_progress_size() >= GROUP_BYTES { self.writer.flush() } else { Ok(()) }
        };
        write().map_err(Error::parquet("writing"))?;
        Ok(self.made.take())
    }

    /// The end of the file.
    ///
    /// # Errors
    /// [`Error::Parquet`].
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        self.writer.finish().map_err(Error::parquet("finishing"))?;
        Ok(self.made.take())
    }
}

/// The rows of a Parquet file, some at a time: as few as fit into some memory whatever their dictionaries hold.
///
/// # Errors
/// [`Error::Disk`] when it cannot be opened, [`Error::Parquet`] when it is none, or for rows that are damaged or too large.
pub fn read_parquet(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
    let file = File::open(path).map_err(Error::disk("opening", path))?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(Error::parquet("reading"))?;
    let columns = metadata.metadata().file_metadata().schema_descr().num_columns();
    if columns > MAX_COLUMNS {
        let why = format!("it has {columns} columns; {MAX_COLUMNS} at most");
        return Err(Error::parquet("reading")(ParquetError::General(why)));
    }
    let foreign = Foreign { file: Arc::new(file), metadata };
    Ok((0..foreign.metadata.metadata().num_row_groups()).flat_map(move |group| foreign.read(group)))
}

/// A Parquet file from elsewhere.
struct Foreign {
    file: Arc<File>,
    metadata: ArrowReaderMetadata,
}

/// Rows of a file, some at a time.
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, Error>> + Send>;

impl Foreign {
    /// The rows of a row group.
    fn read(&self, group: usize) -> Batches {
        let rows = || {
            let (size, file) = (self.rows_at_once(group)?, self.file.try_clone()?);
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
            builder.with_row_groups(vec![group]).with_batch_size(size).build()
        };
        match rows() {
            Ok(rows) => {
                Box::new(rows.map(|batch| batch.map_err(|cause| Error::parquet("reading")(ParquetError::from(cause)))))
            }
            Err(cause) => Box::new(std::iter::once(Err(Error::parquet("reading")(cause)))),
        }
    }

    fn rows_at_once(&self, group: usize) -> Result<usize, ParquetError> {
        let group = self.metadata.metadata().row_group(group);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        let mut repeated = 0_u64;
        for column in group.columns() {
            let values = u64::try_from(column.num_values()).unwrap_or(0).div_ceil(rows);
            repeated = repeated.saturating_add(self.longest(column, rows)?.saturating_mul(values));
        }
        let by_dictionary = usize::try_from(REPEATED_BYTES / repeated.max(1)).unwrap_or(READ_ROWS);
        Ok(batch_rows([group], READ_ROWS, READ_BYTES).min(by_dictionary.max(1)))
    }

    /// The longest value that rows may repeat although it stands in the file once: of a dictionary, or of one whose beginning is that
    /// of the value before.
    fn longest(&self, column: &ColumnChunkMetaData, rows: u64) -> Result<u64, ParquetError> {
        let has = |encoding: Encoding| column.encodings().any(|found| found == encoding);
        let longest = match column.column_type() {
            Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.column_descr().type_length()).unwrap_or(0),
            Type::BYTE_ARRAY if has(Encoding::DELTA_BYTE_ARRAY) => {
                return Ok(u64::try_from(column.uncompressed_size()).unwrap_or(0).min(MAX_VALUE_BYTES));
            }
            Type::BYTE_ARRAY if has(Encoding::RLE_DICTIONARY) || has(Encoding::PLAIN_DICTIONARY) => {
                let rows = usize::try_from(rows).unwrap_or(usize::MAX);
                let mut pages = SerializedPageReader::new(Arc::clone(&self.file), column, rows, None)?;
                match pages.get_next_page()? {
                    Some(Page::DictionaryPage { buf, .. }) => longest_plain(&buf),
                    _ => 0,
                }
            }
            _ => 0,
        };
        match longest > MAX_VALUE_BYTES {
            true => {
                let (path, limit) = (column.column_path(), MAX_VALUE_BYTES >> 20);
                let why =
                    format!("column {path} has a value of {longest} bytes in its dictionary; {limit} MiB at most");
                Err(ParquetError::General(why))
            }
            false => Ok(longest),
        }
    }
}

/// The length of the longest value of a dictionary, whose values stand one after the other, each behind its length.
fn longest_plain(mut values: &[u8]) -> u64 {
    let mut longest = 0;
    while let Some((length, rest)) = values.split_first_chunk() {
        let length = u32::from_le_bytes(*length);
        longest = longest.max(u64::from(length));
        values = rest.get(usize::try_from(length).unwrap_or(usize::MAX)..).unwrap_or_default();
    }
    longest
}

/// Rows as JSON objects, one a line, without what is null.
///
/// # Errors
/// [`Error::Parquet`] for columns that have no form in JSON.
pub fn json_lines(rows: &RecordBatch) -> Result<Vec<u8>, Error> {
    let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
    let written = writer.write(rows).and_then(|()| writer.finish());
    written.map_err(|cause| Error::parquet("reading the rows of")(ParquetError::from(cause)))?;
    Ok(writer.into_inner())
}

/// The same with what is null, so that a column of nothing else is there, and with decimals as texts: a double does not hold
/// what they hold.
///
/// # Errors
/// As there.
pub fn whole_json_lines(rows: &RecordBatch) -> Result<Vec<u8>, Error> {
    let failed = |cause| Error::parquet("reading the rows of")(ParquetError::from(cause));
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let kind = if field.data_type().is_decimal() { &DataType::Utf8 } else { field.data_type() };
        fields.push(field.as_ref().clone().with_data_type(kind.clone()));
        columns.push(arrow::compute::cast(column, kind).map_err(failed)?);
    }
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(failed)?;
    let builder = WriterBuilder::new().with_explicit_nulls(true);
    let mut writer = builder.build::<_, LineDelimited>(Vec::new());
    writer.write(&rows).and_then(|()| writer.finish()).map_err(failed)?;
    Ok(writer.into_inner())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Decimal128Array, Int64Array, StringArray};

    use super::*;
    use crate::tests::{events, events_table};

    #[test]
    fn a_file_in_pieces_is_a_file() {
        let mut pieces = ParquetPieces::new(&events_table().schema).unwrap();
        let mut bytes = Vec::new();
        for start in (0..40_000).step_by(1000) {
            bytes.extend(pieces.push(&events(start..start + 1000)).unwrap());
        }
        assert!(bytes.len() > 1000, "full groups are handed on before the end");
        bytes.extend(pieces.finish().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.parquet");
        std::fs::write(&path, &bytes).unwrap();
        let read: Vec<_> = read_parquet(&path).unwrap().map(Result::unwrap).collect();
        let whole = arrow::compute::concat_batches(&events_table().schema, &read).unwrap();
        assert_eq!(whole, events(0..40_000));
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(matches!(read_parquet(&path).err(), Some(Error::Parquet { .. })));
    }

    /// A file whose rows have these texts, as a dictionary of any size.
    fn dictionary(folder: &Path, texts: &[&str]) -> std::path::PathBuf {
        let path = folder.join("texts.parquet");
        let texts = Arc::new(StringArray::from(texts.to_vec())) as arrow::array::ArrayRef;
        let batch = RecordBatch::try_from_iter([("text", texts)]).unwrap();
        let properties = WriterProperties::builder().set_dictionary_page_size_limit(1 << 30).build();
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    }

    #[test]
    fn a_value_that_rows_repeat_takes_little_memory() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(1 << 20);
        // A small row first, and then 300 MiB of which the file holds one.
        let texts: Vec<&str> = std::iter::once("a").chain(std::iter::repeat_n(long.as_str(), 300)).collect();
        let path = dictionary(folder.path(), &texts);
        assert!(std::fs::metadata(&path).unwrap().len() < 2 << 20);
        let batches: Vec<_> = read_parquet(&path).unwrap().map(Result::unwrap).collect();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 301);
        let most = batches.iter().map(RecordBatch::num_rows).max();
        assert_eq!(most, Some(64), "as many as take 64 MiB");
        let longer = "x".repeat((16 << 20) + 1);
        let path = dictionary(folder.path(), &["a", &longer, "b"]);
        let error = read_parquet(&path).unwrap().find_map(Result::err).unwrap().chain();
        assert!(
            error.contains("column \"text\" has a value of 16777217 bytes in its dictionary; 16 MiB at most"),
            "{error}"
        );
    }

    #[test]
    fn nothing_of_a_row_is_lost() {
        let decimals = Decimal128Array::from(vec![12_345_678_901_234_567_890_i128]).with_precision_and_scale(38, 2);
        let batch = RecordBatch::try_from_iter([
            ("price", Arc::new(decimals.unwrap()) as _),
            ("none", Arc::new(Int64Array::from(vec![None])) as _),
        ]);
        let lines = whole_json_lines(&batch.unwrap()).unwrap();
        assert_eq!(String::from_utf8(lines).unwrap(), "{\"price\":\"123456789012345678.90\",\"none\":null}\n");
    }
}
