//! Rows of JSON as batches of Arrow, and back.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use qd_base::Sha256Hex;
use serde_json::{Map, Value};

use crate::column::{Column, ColumnType, ROW_HASH, ROW_ID};
use crate::value::{digest, key_of, number};
use crate::{Error, Result};

/// Under this key the schema of a file tells a column's type, since texts and JSON are both texts to Arrow.
const TYPE: &str = "quarterdeck.type";

/// Rows that are encoded together, and bytes after which no more are added.
const BATCH_ROWS: usize = 1024;
const BATCH_BYTES: usize = 4 << 20;

/// The longest identifier of a row, in bytes.
pub(crate) const MAX_ID_BYTES: usize = 256;

/// How rows with these columns lie in a file: their identifier first, the digest of their values last.
pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    let field = |column: &Column| {
        let told = HashMap::from([(TYPE.to_owned(), column.kind.to_string())]);
        Field::new(&column.name, column.kind.arrow(), true).with_metadata(told)
    };
    let id = Field::new(ROW_ID, DataType::Utf8, false);
    let hash = Field::new(ROW_HASH, DataType::Int64, false);
    Arc::new(Schema::new([vec![id], columns.iter().map(field).collect(), vec![hash]].concat()))
}

/// The same as a statement sees them: the version's own columns, and last the identifiers.
pub(crate) fn queried(columns: &[Column]) -> SchemaRef {
    let mut fields: Vec<_> = columns.iter().map(|column| Field::new(&column.name, column.kind.arrow(), true)).collect();
    fields.push(Field::new(ROW_ID, DataType::Utf8, false));
    Arc::new(Schema::new(fields))
}

/// A row of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Its place in the version, from 0.
    pub index: u64,
    /// What it is known by, in this version and in others that have it too.
    pub id: String,
    /// Its values; what a row has none of is null.
    pub values: Map<String, Value>,
}

impl Row {
    /// About what it takes, by its texts.
    pub fn size_bytes(&self) -> usize {
        self.id.len() + self.values.iter().map(|(name, value)| name.len() + size_bytes(value)).sum::<usize>()
    }
}

fn size_bytes(value: &Value) -> usize {
    const SCALAR: usize = 16;
    match value {
        Value::String(text) => SCALAR + text.len(),
        Value::Array(items) => SCALAR + items.iter().map(size_bytes).sum::<usize>(),
        Value::Object(fields) => {
            SCALAR + fields.iter().map(|(name, field)| name.len() + size_bytes(field)).sum::<usize>()
        }
        _ => SCALAR,
    }
}

/// Makes batches of rows whose values fit their columns.
pub(crate) struct Encoder {
    columns: Vec<Column>,
    /// Names in the order of the alphabet, for digests.
    sorted: Vec<String>,
    /// The column whose values are the identifiers.
    id: Option<String>,
    schema: SchemaRef,
    builders: Vec<Builder>,
    ids: StringBuilder,
    hashes: Int64Builder,
    rows: usize,
    bytes: usize,
}

enum Builder {
    Text(StringBuilder),
    Json(StringBuilder),
    Integer(Int64Builder),
    Number(Float64Builder),
    Boolean(BooleanBuilder),
}

impl Encoder {
    pub fn new(columns: &[Column]) -> Self {
        let mut sorted: Vec<_> = columns.iter().map(|column| column.name.clone()).collect();
        sorted.sort();
        Self {
            sorted,
            id: crate::version::id_column(columns).map(str::to_owned),
            schema: schema(columns),
            builders: columns.iter().map(|column| Builder::new(column.kind)).collect(),
            columns: columns.to_vec(),
            ids: StringBuilder::new(),
            hashes: Int64Builder::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Adds a row; `distinct` makes of the digest of its values the identifier of a row that has none of its own.
    pub fn push(&mut self, row: &Map<String, Value>, distinct: impl FnOnce(&Sha256Hex) -> String) {
        let hash = digest(self.sorted.iter().map(String::as_str), row);
        let own = self.id.as_ref().and_then(|name| row.get(name)).map(key_of);
        let id = own.unwrap_or_else(|| distinct(&hash));
        self.bytes += id.len();
        self.ids.append_value(id);
        self.hashes.append_value(number(&hash));
        for (column, builder) in self.columns.iter().zip(&mut self.builders) {
            self.bytes += builder.append(row.get(&column.name).filter(|value| !value.is_null()));
        }
        self.rows += 1;
    }

    /// Whether enough rows wait to be taken.
    pub fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows that were added since the last time; none when there are none.
    pub fn take(&mut self) -> Result<Option<RecordBatch>> {
        if self.rows == 0 {
            return Ok(None);
        }
        let mut columns: Vec<ArrayRef> = vec![Arc::new(self.ids.finish())];
        columns.extend(self.builders.iter_mut().map(Builder::finish));
        columns.push(Arc::new(self.hashes.finish()));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map(Some).map_err(Error::arrow("building rows"))
    }
}

impl Builder {
    fn new(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::Json => Self::Json(StringBuilder::new()),
            ColumnType::Integer => Self::Integer(Int64Builder::new()),
            ColumnType::Number => Self::Number(Float64Builder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
        }
    }

    /// Adds a value that fits, and tells how many bytes it takes.
    fn append(&mut self, value: Option<&Value>) -> usize {
        match self {
            Self::Text(builder) => {
                let text = value.and_then(Value::as_str);
                builder.append_option(text);
                text.map_or(0, str::len)
            }
            Self::Json(builder) => {
                let text = value.map(Value::to_string);
                builder.append_option(text.as_deref());
                text.map_or(0, |text| text.len())
            }
            Self::Integer(builder) => {
                builder.append_option(value.and_then(Value::as_i64));
                8
            }
            Self::Number(builder) => {
                builder.append_option(value.and_then(Value::as_f64));
                8
            }
            Self::Boolean(builder) => {
                builder.append_option(value.and_then(Value::as_bool));
                1
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(builder) | Self::Json(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Number(builder) => Arc::new(builder.finish()),
            Self::Boolean(builder) => Arc::new(builder.finish()),
        }
    }
}

/// The rows of a batch of which each has its place in `indices`. A column that the batch lacks is null.
pub(crate) fn decode(columns: &[Column], batch: &RecordBatch, indices: impl Iterator<Item = u64>) -> Result<Vec<Row>> {
    let ids = ids(batch)?;
    let found: Vec<_> = columns.iter().map(|column| batch.column_by_name(&column.name)).collect();
    let mut rows = Vec::with_capacity(batch.num_rows());
    for (at, index) in (0..batch.num_rows()).zip(indices) {
        let mut values = Map::new();
        for (column, array) in columns.iter().zip(&found) {
            let value = array.map_or(Ok(Value::Null), |array| value(column, array, at))?;
            values.insert(column.name.clone(), value);
        }
        rows.push(Row { index, id: ids.value(at).to_owned(), values });
    }
    Ok(rows)
}

/// The identifiers of the rows of a batch.
pub(crate) fn ids(batch: &RecordBatch) -> Result<&arrow::array::StringArray> {
    batch.column_by_name(ROW_ID).and_then(|column| column.as_string_opt::<i32>()).ok_or_else(|| torn(ROW_ID))
}

/// The digests of the rows of a batch.
pub(crate) fn hashes(batch: &RecordBatch) -> Result<&arrow::array::Int64Array> {
    batch
        .column_by_name(ROW_HASH)
        .and_then(|column| column.as_primitive_opt::<Int64Type>())
        .ok_or_else(|| torn(ROW_HASH))
}

fn torn(column: &str) -> Error {
    let cause = arrow::error::ArrowError::SchemaError(format!("the column {column} is not what was written"));
    Error::arrow("reading rows")(cause)
}

pub(crate) fn value(column: &Column, array: &ArrayRef, at: usize) -> Result<Value> {
    if array.is_null(at) {
        return Ok(Value::Null);
    }
    let found = match column.kind {
        ColumnType::Text => array.as_string_opt::<i32>().map(|texts| Value::from(texts.value(at))),
        ColumnType::Json => array.as_string_opt::<i32>().and_then(|texts| serde_json::from_str(texts.value(at)).ok()),
        ColumnType::Integer => array.as_primitive_opt::<Int64Type>().map(|numbers| Value::from(numbers.value(at))),
        ColumnType::Number => array.as_primitive_opt::<Float64Type>().map(|numbers| Value::from(numbers.value(at))),
        ColumnType::Boolean => array.as_boolean_opt().map(|truths| Value::from(truths.value(at))),
    };
    found.ok_or_else(|| torn(&column.name))
}
