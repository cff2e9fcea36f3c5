//! What a table is: its columns, its order, and which columns find rows fast.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{cast, max, min};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampNanosecondType};
use qd_base::{TableName, Timestamp};

use crate::{Error, Summary};

/// A table of the lake, as the capability that owns it declares it.
///
/// Columns may be added at the end or anywhere between in a later version, if they are nullable: older
/// segments then show null there.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// The name that SQL uses.
    pub name: TableName,
    /// The columns.
    pub schema: SchemaRef,
    /// Segments are sorted by these columns, ascending, nulls first.
    pub sort: Vec<&'static str>,
    /// The non-null `Timestamp(Nanosecond)` column by which retention and pruning go.
    pub time_column: &'static str,
    /// Text columns with a bloom filter, for look-ups by identifier.
    pub bloom: Vec<&'static str>,
    /// The column that tells whose data a row is, if its rows can be deleted by subject.
    pub subject_column: Option<&'static str>,
    /// Text columns, none of them null, that together say what a row is about: of rows that agree in all of them the last
    /// one is shown. Empty where every row is about something of its own.
    pub identity: Vec<&'static str>,
    /// The column that tells a row's project, if it has one: subjects and retention are then a project's own.
    pub project_column: Option<&'static str>,
    /// The column of what a row is part of, as a span is of a trace: a row without a subject is that of its group's.
    pub group_column: Option<&'static str>,
    /// Smaller tables that are derived from it, beside which queries find `{name}_unsummarized`.
    pub summaries: Vec<Summary>,
}

impl TableSpec {
    /// Checks that the specification names only columns that exist and have the right type.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let named = self.sort.iter().chain(&self.bloom).chain(&self.subject_column).chain(&self.identity);
        let named = named.chain([&self.time_column]).chain(&self.project_column).chain(&self.group_column);
        for column in named {
            self.schema.index_of(column).map_err(|_| self.wrong(format!("there is no column {column:?}")))?;
        }
        let time = self.schema.field_with_name(self.time_column).map_err(|cause| self.wrong(cause.to_string()))?;
        if !matches!(time.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _)) || time.is_nullable() {
            return Err(
                self.wrong(format!("column {:?} must be a timestamp in nanoseconds and not null", self.time_column))
            );
        }
        for column in &self.identity {
            let field = self.schema.field_with_name(column).map_err(|cause| self.wrong(cause.to_string()))?;
            if !field.data_type().is_string() || field.is_nullable() {
                return Err(self.wrong(format!("column {column:?} identifies rows, so it must be text and not null")));
            }
        }
        if self.sort.is_empty() {
            return Err(self.wrong("it needs at least one column to sort by".to_owned()));
        }
        self.unsummarized()?;
        self.summaries.iter().try_for_each(|summary| self.check_summary(summary))
    }

    /// What queries call the rows of the table that are in none of its summaries; none when it has no summaries.
    pub(crate) fn unsummarized(&self) -> Result<Option<TableName>, Error> {
        if self.summaries.is_empty() {
            return Ok(None);
        }
        let name = format!("{}_unsummarized", self.name);
        name.parse().map(Some).map_err(|_| self.wrong(format!("{name:?} is no name for a table")))
    }

    fn check_summary(&self, summary: &Summary) -> Result<(), Error> {
        for column in &summary.columns {
            self.schema.index_of(column).map_err(|_| self.wrong(format!("there is no column {column:?}")))?;
        }
        if summary.table.subject_column.is_some() || !summary.table.summaries.is_empty() {
            return Err(summary.table.wrong("a summary has neither subjects nor summaries of its own".to_owned()));
        }
        summary.table.check()
    }

    /// The columns that tell whether a row is hidden.
    pub(crate) fn telling_columns(&self) -> impl Iterator<Item = &'static str> {
        let told = self.subject_column.into_iter().chain(self.project_column).chain(self.group_column);
        told.chain([self.time_column]).chain(self.identity.iter().copied())
    }

    /// The columns that name blobs: those that end in `_blob`.
    pub(crate) fn blob_columns(&self) -> impl Iterator<Item = &str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).filter(|name| name.ends_with("_blob"))
    }

    fn wrong(&self, reason: String) -> Error {
        Error::Spec { table: self.name.clone(), reason }
    }

    /// The schema that queries see: text and binary columns as views, which scan and group faster.
    pub(crate) fn scan_schema(&self) -> SchemaRef {
        let fields = self.schema.fields().iter().map(|field| match view_type(field.data_type()) {
            Some(view) => Arc::new(field.as_ref().clone().with_data_type(view)),
            None => Arc::clone(field),
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Refuses a batch that does not have exactly the table's columns, or holds null where none may be.
    pub(crate) fn admit(&self, batch: &RecordBatch) -> Result<(), Error> {
        let same = Arc::ptr_eq(batch.schema_ref(), &self.schema) || self.has_columns_of(batch.schema_ref());
        if !same {
            return Err(Error::Schema { table: self.name.clone(), reason: self.difference(batch.schema_ref()) });
        }
        for (field, column) in self.schema.fields().iter().zip(batch.columns()) {
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(Error::Schema {
                    table: self.name.clone(),
                    reason: format!("column {:?} may not hold null", field.name()),
                });
            }
        }
        Ok(())
    }

    fn has_columns_of(&self, other: &Schema) -> bool {
        let same = |(a, b): (&Arc<Field>, &Arc<Field>)| a.name() == b.name() && a.data_type() == b.data_type();
        self.schema.fields().len() == other.fields().len() && self.schema.fields().iter().zip(other.fields()).all(same)
    }

    fn difference(&self, other: &Schema) -> String {
        for (position, field) in self.schema.fields().iter().enumerate() {
            match other.fields().get(position) {
                Some(found) if found.name() == field.name() && found.data_type() == field.data_type() => {}
                Some(found) => return format!("column {position} is {found}, expected {field}"),
                None => return format!("column {position}, {field}, is missing"),
            }
        }
        format!("it has {} columns, expected {}", other.fields().len(), self.schema.fields().len())
    }

    /// Gives a batch the columns of `schema`: in its order, cast to its types, null where they are missing.
    pub(crate) fn conform(&self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, Error> {
        let column = |field: &Arc<Field>| -> Result<ArrayRef, Error> {
            match batch.column_by_name(field.name()) {
                Some(column) if column.data_type() == field.data_type() => Ok(Arc::clone(column)),
                Some(column) => {
                    cast(column, field.data_type()).map_err(Error::arrow("converting a column", &self.name))
                }
                None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            }
        };
        let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
            .map_err(Error::arrow("converting a batch", &self.name))
    }

    /// The first and last time in a batch that has rows; all time when the column is missing.
    pub(crate) fn time_bounds(&self, batch: &RecordBatch) -> (Timestamp, Timestamp) {
        let times = batch
            .column_by_name(self.time_column)
            .and_then(|column| column.as_primitive_opt::<TimestampNanosecondType>());
        let bounds = times.and_then(|times| Some((min(times)?, max(times)?)));
        bounds.map_or((Timestamp::MIN, Timestamp::MAX), |(first, last)| {
            (Timestamp::from_nanos(first), Timestamp::from_nanos(last))
        })
    }
}

fn view_type(plain: &DataType) -> Option<DataType> {
    match plain {
        DataType::Utf8 | DataType::LargeUtf8 => Some(DataType::Utf8View),
        DataType::Binary | DataType::LargeBinary => Some(DataType::BinaryView),
        _ => None,
    }
}

/// The bytes that the rows of a batch take, not counting what its arrays share with others.
pub(crate) fn batch_bytes(batch: &RecordBatch) -> usize {
    // An array costs about this much beside its buffers, which matters for batches of one row.
    const ARRAY_OVERHEAD_BYTES: usize = 256;
    let bytes = |column: &ArrayRef| {
        let data = column.to_data();
        // Views count only themselves there; their text is in the buffers.
        let text: usize = if column.data_type().is_string() || column.data_type() == &DataType::BinaryView {
            view_bytes(column)
        } else {
            0
        };
        data.get_slice_memory_size().unwrap_or(0) + text + ARRAY_OVERHEAD_BYTES
    };
    batch.columns().iter().map(bytes).sum()
}

fn view_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().data_buffers().iter().map(arrow::buffer::Buffer::len).sum(),
        DataType::BinaryView => column.as_binary_view().data_buffers().iter().map(arrow::buffer::Buffer::len).sum(),
        _ => 0,
    }
}
