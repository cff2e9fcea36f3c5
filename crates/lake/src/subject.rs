//! Deleting a subject: which rows a tombstone hides.
//!
//! A tombstone holds for the rows of one subject from before one time. It hides them at once: staged rows are
//! filtered in memory, segments when they are read. Compaction then writes segments without them.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, Scalar, StringArray, TimestampNanosecondArray};
use arrow::compute::kernels::cmp::{eq, lt};
use arrow::compute::{and, cast, filter_record_batch, not, or, prep_null_mask_filter};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{binary, cast as cast_expr, col, is_null, lit};
use qd_catalog::Tombstone;

use crate::{Error, TableSpec};

/// The rows of a batch that no tombstone holds for.
pub(crate) fn without_subjects(spec: &TableSpec, batch: &RecordBatch, tombstones: &[Tombstone]) -> Result<RecordBatch, Error> {
    let Some(subject) = spec.subject_column.filter(|_| !tombstones.is_empty()) else { return Ok(batch.clone()) };
    let filter = || -> Result<RecordBatch, ArrowError> {
        let mut hidden = BooleanArray::from(vec![false; batch.num_rows()]);
        for tombstone in tombstones {
            hidden = or(&hidden, &hidden_rows(batch, subject, spec.time_column, tombstone)?)?;
        }
        filter_record_batch(batch, &not(&hidden)?)
    };
    filter().map_err(Error::arrow("hiding rows", &spec.name))
}

fn hidden_rows(batch: &RecordBatch, subject: &str, time: &str, tombstone: &Tombstone) -> Result<BooleanArray, ArrowError> {
    let missing = |column: &str| ArrowError::SchemaError(format!("column {column:?} is missing"));
    let subjects = cast(batch.column_by_name(subject).ok_or_else(|| missing(subject))?, &DataType::Utf8)?;
    let times = cast(batch.column_by_name(time).ok_or_else(|| missing(time))?, &DataType::Timestamp(arrow::datatypes::TimeUnit::Nanosecond, None))?;
    let theirs = eq(&subjects, &Scalar::new(StringArray::from(vec![tombstone.subject.as_str()])))?;
    let earlier = lt(&times, &Scalar::new(TimestampNanosecondArray::from(vec![tombstone.before.as_nanos()])))?;
    // A row without a subject is nobody's, so it stays.
    Ok(prep_null_mask_filter(&and(&theirs, &earlier)?))
}

/// The same as a filter over the columns that a query scans: true for rows that no tombstone holds for.
pub(crate) fn visible(spec: &TableSpec, schema: &SchemaRef, tombstones: &[Tombstone]) -> Result<Option<Arc<dyn PhysicalExpr>>, DataFusionError> {
    let Some(subject) = spec.subject_column else { return Ok(None) };
    let subject = col(subject, schema)?;
    let time = col(spec.time_column, schema)?;
    let subject_type = subject.data_type(schema)?;
    let time_type = time.data_type(schema)?;
    let mut terms = Vec::with_capacity(tombstones.len());
    for tombstone in tombstones {
        let name = cast_expr(lit(tombstone.subject.as_str()), schema, subject_type.clone())?;
        let before = lit(ScalarValue::TimestampNanosecond(Some(tombstone.before.as_nanos()), None).cast_to(&time_type)?);
        let other = binary(Arc::clone(&subject), Operator::NotEq, name, schema)?;
        let later = binary(Arc::clone(&time), Operator::GtEq, before, schema)?;
        let nobody = is_null(Arc::clone(&subject))?;
        terms.push(any(any(nobody, other, schema)?, later, schema)?);
    }
    all(terms, schema)
}

fn any(left: Arc<dyn PhysicalExpr>, right: Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
    binary(left, Operator::Or, right, schema)
}

/// The conjunction as a balanced tree: a chain of thousands of terms would overflow the stack.
fn all(mut terms: Vec<Arc<dyn PhysicalExpr>>, schema: &SchemaRef) -> Result<Option<Arc<dyn PhysicalExpr>>, DataFusionError> {
    while terms.len() > 1 {
        let mut halved = Vec::with_capacity(terms.len().div_ceil(2));
        for pair in terms.chunks(2) {
            halved.push(match pair {
                [left, right] => binary(Arc::clone(left), Operator::And, Arc::clone(right), schema)?,
                rest => Arc::clone(&rest[0]),
            });
        }
        terms = halved;
    }
    Ok(terms.pop())
}
