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
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::Error;
use crate::row_file::batch_rows;

/// A row group is closed when it has so many rows, or takes so much memory.
const GROUP_ROWS: usize = 16_384;
const GROUP_BYTES: usize = 16 << 20;
/// Rows that are read at a time at most, and what they take by the size of the row groups, or of the first row: one value of a
/// dictionary may stand in each row.
const READ_ROWS: usize = 512;
const READ_BYTES: u64 = 16 << 20;
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

/// The rows of a Parquet file, some at a time.
///
/// # Errors
/// [`Error::Disk`] when it cannot be opened, [`Error::Parquet`] when it is none, or for rows that are damaged.
pub fn read_parquet(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch, Error>> + use<>, Error> {
    let open = || File::open(path).map_err(Error::disk("opening", path));
    let metadata = ArrowReaderMetadata::load(&open()?, ArrowReaderOptions::new()).map_err(Error::parquet("reading"))?;
    let columns = metadata.metadata().file_metadata().schema_descr().num_columns();
    if columns > MAX_COLUMNS {
        let why = format!("it has {columns} columns; {MAX_COLUMNS} at most");
        return Err(Error::parquet("reading")(ParquetError::General(why)));
    }
    let reader = |file| ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone());
    let first = reader(open()?).with_batch_size(1).with_limit(1).build().map_err(Error::parquet("reading"))?;
    let first = first.map(|row| row.map_or(0, |row| row.get_array_memory_size() as u64)).sum::<u64>();
    let by_first = usize::try_from(4 * READ_BYTES / first.max(1)).unwrap_or(READ_ROWS);
    let size = batch_rows(metadata.metadata().row_groups(), READ_ROWS, READ_BYTES).min(by_first.max(1));
    let rows = reader(open()?).with_batch_size(size).build().map_err(Error::parquet("reading"))?;
    Ok(rows.map(|batch| batch.map_err(|cause| Error::parquet("reading")(ParquetError::from(cause)))))
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
    use arrow::array::{Decimal128Array, Int64Array};

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
