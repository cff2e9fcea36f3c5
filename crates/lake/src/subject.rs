//! Deleting a subject: which rows a tombstone hides.
//!
//! A tombstone holds for the rows of one subject that were committed before it. It hides them at once: staged
//! rows are filtered in memory, segments when they are read. Compaction then writes segments without them. Every
//! segment remembers the last tombstone that was applied to its rows, so a later one is known by its number.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch, Scalar, StringArray};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{cast, filter_record_batch, not, or, prep_null_mask_filter};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{binary, col, in_list, is_null, lit};
use qd_catalog::{SegmentRecord, StagedId, Tombstone};

use crate::{Error, TableSpec};

/// The rows of a staged batch that no tombstone hides.
pub(crate) fn without_subjects(
    spec: &TableSpec,
    id: StagedId,
    batch: &RecordBatch,
    tombstones: &[Tombstone],
) -> Result<RecordBatch, Error> {
    let mut holding = tombstones.iter().filter(|tombstone| id <= tombstone.staged_through).peekable();
    let Some(subject) = spec.subject_column.filter(|_| holding.peek().is_some()) else { return Ok(batch.clone()) };
    let filter = || -> Result<RecordBatch, ArrowError> {
        let column = batch
            .column_by_name(subject)
            .ok_or_else(|| ArrowError::SchemaError(format!("column {subject:?} is missing")))?;
        let subjects = cast(column, &DataType::Utf8)?;
        let mut hidden = BooleanArray::from(vec![false; batch.num_rows()]);
        for tombstone in holding {
            let theirs = eq(&subjects, &Scalar::new(StringArray::from(vec![tombstone.subject.as_str()])))?;
            // A row without a subject is nobody's, so it stays.
            let theirs = if theirs.null_count() > 0 { prep_null_mask_filter(&theirs) } else { theirs };
            hidden = or(&hidden, &theirs)?;
        }
        filter_record_batch(batch, &not(&hidden)?)
    };
    filter().map_err(Error::arrow("hiding rows", &spec.name))
}

/// The tombstones that have not been applied to the rows of a segment.
pub(crate) fn pending(segment: &SegmentRecord, tombstones: &[Tombstone]) -> Vec<Tombstone> {
    tombstones
        .iter()
        .filter(|tombstone| segment.tombstones_through.is_none_or(|through| tombstone.id > through))
        .cloned()
        .collect()
}

/// A filter over the columns of a segment: true for rows that none of these tombstones hides.
pub(crate) fn visible(
    spec: &TableSpec,
    schema: &SchemaRef,
    tombstones: &[Tombstone],
) -> Result<Option<Arc<dyn PhysicalExpr>>, DataFusionError> {
    let Some(subject) = spec.subject_column.filter(|_| !tombstones.is_empty()) else { return Ok(None) };
    let subject = col(subject, schema)?;
    let subject_type = subject.data_type(schema)?;
    let name = |tombstone: &Tombstone| Ok(lit(ScalarValue::from(tombstone.subject.as_str()).cast_to(&subject_type)?));
    let names = tombstones.iter().map(name).collect::<Result<Vec<_>, DataFusionError>>()?;
    let others = in_list(Arc::clone(&subject), names, &true, schema)?;
    binary(is_null(subject)?, Operator::Or, others, schema).map(Some)
}
