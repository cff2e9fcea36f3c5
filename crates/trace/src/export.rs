//! Spans on their way out: all that a filter wants, as they are found, with whole payloads when they are wanted.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, RecordBatch, StringBuilder, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use qd_base::Sha256Hex;
use qd_lake::RowStream;

use crate::filter::Condition;
use crate::table::{Rows, read_spans};
use crate::{Error, Filter, Result, Span, Traces};

/// Payloads that are held at a time: when they are more, rows are handed on in smaller pieces.
const PIECE_BYTES: usize = 16 << 20;

/// Columns of which a row may hold the beginning only, and those that name the blobs of the whole.
const IN_BLOBS: [(&str, &str); 3] =
    [("input", "input_blob"), ("output", "output_blob"), ("attributes", "attributes_blob")];

/// Spans that are being read. What is held of them is a few hundred rows and [`PIECE_BYTES`] of payloads.
pub struct Export {
    rows: RowStream,
    traces: Traces,
    whole: bool,
    /// Rows that were read and not handed on.
    left: Option<RecordBatch>,
}

impl Traces {
    /// Reads all spans that are wanted, in no order; `whole` also brings the payloads that are too large for a row, of which
    /// there are the beginnings otherwise.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake cannot be asked, or when it is read by as many others as may.
    pub async fn export(&self, filter: &Filter, whole: bool) -> Result<Export> {
        let condition = Condition::of(filter);
        let sql = format!("SELECT * FROM spans WHERE {}", condition.sql());
        let rows = self.lake().stream(&sql, condition.params()).await;
        let rows = rows.map_err(|cause| Error::Query { operation: "exporting spans", cause })?;
        Ok(Export { rows, traces: self.clone(), whole, left: None })
    }
}

impl Export {
    /// The columns of the rows.
    pub fn schema() -> SchemaRef {
        crate::table::schema()
    }

    /// The next spans; none at the end.
    ///
    /// # Errors
    /// [`Error::Query`] when the lake cannot be read on, [`Error::ReadPayload`] when a payload is gone.
    pub async fn spans(&mut self) -> Result<Option<Vec<Span>>> {
        let Some(batch) = self.rows().await? else { return Ok(None) };
        read_spans(&batch).map(Some)
    }

    /// The next rows of the table; none at the end.
    ///
    /// # Errors
    /// As [`Export::spans`].
    pub async fn rows(&mut self) -> Result<Option<RecordBatch>> {
        let batch = match self.left.take() {
            Some(batch) => batch,
            None => match self.rows.next().await {
                Some(batch) => of_table(&batch.map_err(|cause| Error::Query { operation: "exporting spans", cause })?)?,
                None => return Ok(None),
            },
        };
        if !self.whole || batch.num_rows() == 0 {
            return Ok(Some(batch));
        }
        let (batch, left) = self.fetch(&batch).await?;
        self.left = left;
        Ok(Some(batch))
    }

    /// The first rows of a batch with their whole payloads, and the others as they are.
    async fn fetch(&self, batch: &RecordBatch) -> Result<(RecordBatch, Option<RecordBatch>)> {
        let rows = Rows::of(batch);
        let mut columns = Vec::new();
        for (text, blob) in IN_BLOBS {
            columns.push((text, rows.text(text)?, rows.text(blob)?, StringBuilder::new()));
        }
        let (mut taken, mut bytes) = (0, 0);
        while taken < batch.num_rows() && (taken == 0 || bytes < PIECE_BYTES) {
            for (_, texts, blobs, whole) in &mut columns {
                bytes += self.add(whole, texts.get(taken), blobs.parsed(taken)?).await?;
            }
            taken += 1;
        }
        let whole = columns.into_iter().map(|(text, _, _, mut whole)| (text, Arc::new(whole.finish()) as ArrayRef));
        let whole = with_payloads(&batch.slice(0, taken), &whole.collect::<Vec<_>>());
        let whole = whole.map_err(|cause| Error::Build(Arc::new(cause)))?;
        let left = batch.num_rows() - taken;
        Ok((whole, (left > 0).then(|| batch.slice(taken, left))))
    }

    async fn add(&self, column: &mut StringBuilder, text: Option<&str>, blob: Option<Sha256Hex>) -> Result<usize> {
        match blob {
            Some(sha256) => {
                let payload = self.traces.payload(sha256).await?;
                column.append_value(payload.as_str());
                Ok(payload.len())
            }
            None => {
                column.append_option(text);
                Ok(text.map_or(0, str::len))
            }
        }
    }
}

/// The same rows under the table's own schema.
fn of_table(batch: &RecordBatch) -> Result<RecordBatch> {
    let named = RecordBatch::try_new(Export::schema(), batch.columns().to_vec());
    named.map_err(|cause| Error::Build(Arc::new(cause)))
}

/// The same rows with these columns of whole payloads, which lie in no blobs.
fn with_payloads(batch: &RecordBatch, whole: &[(&str, ArrayRef)]) -> Result<RecordBatch, ArrowError> {
    let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(|(field, column)| {
        let found = whole.iter().find(|(name, _)| name == field.name());
        let is_blob = IN_BLOBS.iter().any(|(_, blob)| blob == field.name());
        match found {
            Some((_, whole)) => Arc::clone(whole),
            None if is_blob => new_null_array(&DataType::Utf8, column.len()),
            None => Arc::clone(column),
        }
    });
    RecordBatch::try_new(batch.schema(), columns.collect())
}
