//! The rows of a version on their way out, as a file that others read: JSON lines, CSV or Parquet, made while it is sent.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use qd_lake::ParquetPieces;
use serde_json::Value;

use crate::column::Column;
use crate::dataset::{Dataset, OWN, blocking};
use crate::encode::decode;
use crate::value::text_of;
use crate::{Error, Result};

qd_base::words!(
    /// How rows are written.
    Form, "format", {
        /// A JSON object in each line, with the values as they were imported.
        Jsonl = "jsonl",
        /// RFC 4180 with a header. Columns of JSON are texts, and what a row lacks is empty.
        Csv = "csv",
        /// Parquet. Columns of JSON are texts.
        Parquet = "parquet",
    }
);

/// A version that is being written out, a batch of rows in memory at a time.
pub struct Export(Option<State>);

struct State {
    columns: Vec<Column>,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>> + Send>,
    at: u64,
    writing: Writing,
}

enum Writing {
    Jsonl,
    Csv { begun: bool },
    Parquet { schema: SchemaRef, pieces: Box<ParquetPieces> },
}

impl Export {
    /// Begins to write a version out.
    ///
    /// # Errors
    /// [`Error::Lake`] for columns that Parquet cannot hold.
    pub fn new(dataset: &Dataset, form: Form) -> Result<Self> {
        let writing = match form {
            Form::Jsonl => Writing::Jsonl,
            Form::Csv => Writing::Csv { begun: false },
            Form::Parquet => {
                let schema = without_own(&crate::encode::schema(dataset.columns()))?;
                let pieces = ParquetPieces::new(&schema).map_err(Error::lake("beginning an export"))?;
                Writing::Parquet { schema, pieces: Box::new(pieces) }
            }
        };
        let batches = Box::new(dataset.whole_batches());
        Ok(Self(Some(State { columns: dataset.columns().to_vec(), batches, at: 0, writing })))
    }

    /// What the file goes on with; none at the end. A piece may be empty.
    ///
    /// # Errors
    /// [`Error::Lake`] when a file is damaged; what was written so far is no whole file then.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(state) = self.0.take() else { return Ok(None) };
        let (state, piece) = blocking("writing rows out", move || state.step()).await?;
        self.0 = state;
        Ok(piece)
    }
}

impl State {
    fn step(mut self) -> Result<(Option<Self>, Option<Vec<u8>>)> {
        let piece = match self.batches.next() {
            Some(batch) => self.push(&batch?)?,
            None => return Ok((None, self.end()?)),
        };
        Ok((Some(self), Some(piece)))
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<Vec<u8>> {
        let from = self.at;
        self.at += batch.num_rows() as u64;
        if let Writing::Parquet { schema, pieces } = &mut self.writing {
            let batch = crate::dataset::complete(schema, batch)?;
            return pieces.push(&batch).map_err(Error::lake("writing rows out"));
        }
        let rows = decode(&self.columns, batch, from..self.at)?;
        let failed = |cause: String| Error::File { file: "the export".to_owned(), why: cause };
        let mut out = Vec::new();
        match &mut self.writing {
            Writing::Jsonl => {
                for row in rows {
                    serde_json::to_writer(&mut out, &row.values).map_err(|cause| failed(cause.to_string()))?;
                    out.push(b'\n');
                }
            }
            Writing::Csv { begun } => {
                let mut writer = csv::Writer::from_writer(&mut out);
                let mut records = Vec::new();
                if !std::mem::replace(begun, true) {
                    records.push(self.columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>());
                }
                records.extend(rows.iter().map(|row| row.values.values().map(field).collect()));
                let written = records.iter().try_for_each(|record| writer.write_record(record));
                written.and_then(|()| Ok(writer.flush()?)).map_err(|cause| failed(cause.to_string()))?;
                drop(writer);
            }
            Writing::Parquet { .. } => {}
        }
        Ok(out)
    }

    fn end(self) -> Result<Option<Vec<u8>>> {
        match self.writing {
            Writing::Parquet { pieces, .. } => pieces.finish().map(Some).map_err(Error::lake("ending an export")),
            Writing::Csv { begun: false } => {
                let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
                let mut writer = csv::Writer::from_writer(Vec::new());
                let failed = |why: String| Error::File { file: "the export".to_owned(), why };
                writer.write_record(names).map_err(|cause| failed(cause.to_string()))?;
                writer.into_inner().map(Some).map_err(|cause| failed(cause.to_string()))
            }
            _ => Ok(None),
        }
    }
}

fn field(value: &Value) -> String {
    if value.is_null() { String::new() } else { text_of(value) }
}

fn without_own(schema: &SchemaRef) -> Result<SchemaRef> {
    let kept: Vec<_> =
        (0..schema.fields().len()).filter(|at| !OWN.contains(&schema.field(*at).name().as_str())).collect();
    schema.project(&kept).map(Into::into).map_err(Error::arrow("choosing columns"))
}
