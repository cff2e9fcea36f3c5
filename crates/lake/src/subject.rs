//! Deleting a subject: which rows a tombstone hides.
//!
//! A tombstone holds for the rows of one subject that were committed before it. It hides them at once: staged
//! rows are filtered in memory, segments when they are read. Compaction then writes segments without them. Every
//! segment remembers the last tombstone that was applied to its rows, so a later one is known by its number.
//!
//! A row is a subject's when it names the subject, or when it names nobody and belongs to one of the groups that the
//! tombstone lists: of a trace whose first span names the end user, the other spans are theirs too.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringArray};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{binary, col, in_list, is_not_null, is_null, lit};
use qd_catalog::{SegmentRecord, StagedId, Tombstone};

use crate::{Error, TableSpec};

/// The rows of a staged batch that no tombstone hides.
pub(crate) fn without_subjects(
    spec: &TableSpec,
    id: StagedId,
    batch: &RecordBatch,
    tombstones: &[Tombstone],
) -> Result<RecordBatch, Error> {
    let holding: Vec<_> = tombstones.iter().filter(|tombstone| id <= tombstone.staged_through).collect();
    let Some(subject) = spec.subject_column.filter(|_| !holding.is_empty()) else { return Ok(batch.clone()) };
    let filter = || -> Result<RecordBatch, ArrowError> {
        let rows = Rows {
            subject: text(batch, subject)?,
            project: spec.project_column.map(|column| text(batch, column)).transpose()?,
            group: spec.group_column.map(|column| text(batch, column)).transpose()?,
        };
        let graves: Vec<_> = holding.iter().map(|tombstone| Grave::of(tombstone)).collect();
        let visible: BooleanArray =
            (0..batch.num_rows()).map(|row| Some(!graves.iter().any(|grave| grave.holds(&rows, row)))).collect();
        filter_record_batch(batch, &visible)
    };
    filter().map_err(Error::arrow("hiding rows", &spec.name))
}

/// The columns that say whose a row is.
struct Rows {
    subject: StringArray,
    project: Option<StringArray>,
    group: Option<StringArray>,
}

/// A tombstone whose groups are found fast.
struct Grave<'a> {
    tombstone: &'a Tombstone,
    groups: HashSet<&'a str>,
}

impl<'a> Grave<'a> {
    fn of(tombstone: &'a Tombstone) -> Self {
        Self { tombstone, groups: tombstone.groups.iter().map(String::as_str).collect() }
    }

    fn holds(&self, rows: &Rows, row: usize) -> bool {
        let in_project = match (&self.tombstone.project, &rows.project) {
            (Some(wanted), Some(projects)) => projects.is_valid(row) && projects.value(row) == wanted,
            _ => true,
        };
        in_project
            && match (rows.subject.is_valid(row), &rows.group) {
                (true, _) => rows.subject.value(row) == self.tombstone.subject,
                (false, Some(groups)) => groups.is_valid(row) && self.groups.contains(groups.value(row)),
                (false, None) => false,
            }
    }
}

fn text(batch: &RecordBatch, column: &str) -> Result<StringArray, ArrowError> {
    let found: &ArrayRef =
        batch.column_by_name(column).ok_or_else(|| ArrowError::SchemaError(format!("column {column:?} is missing")))?;
    Ok(cast(found, &DataType::Utf8)?.as_string::<i32>().clone())
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
) -> DataFusionResult<Option<Arc<dyn PhysicalExpr>>> {
    if spec.subject_column.is_none() {
        return Ok(None);
    }
    let parts = tombstones.iter().map(|tombstone| beside(spec, schema, tombstone)).collect::<Result<Vec<_>, _>>()?;
    all(parts.into_iter().flatten(), schema)
}

/// What is true of the rows that one tombstone does not hide: each part by itself.
fn beside(spec: &TableSpec, schema: &SchemaRef, tombstone: &Tombstone) -> DataFusionResult<Vec<Arc<dyn PhysicalExpr>>> {
    let Some(subject) = spec.subject_column else { return Ok(Vec::new()) };
    let elsewhere = match (&tombstone.project, spec.project_column) {
        (Some(project), Some(column)) => Some(not_among(schema, column, [project.as_str()])?),
        _ => None,
    };
    let or_elsewhere = |part: Arc<dyn PhysicalExpr>| match &elsewhere {
        Some(elsewhere) => binary(Arc::clone(elsewhere), Operator::Or, part, schema),
        None => Ok(part),
    };
    let nobody = is_null(col(subject, schema)?)?;
    let another = not_among(schema, subject, [tombstone.subject.as_str()])?;
    let mut parts = vec![or_elsewhere(binary(nobody, Operator::Or, another, schema)?)?];
    if let Some(group) = spec.group_column.filter(|_| !tombstone.groups.is_empty()) {
        let somebody = is_not_null(col(subject, schema)?)?;
        let alone = is_null(col(group, schema)?)?;
        let others = not_among(schema, group, tombstone.groups.iter().map(String::as_str))?;
        let others = binary(alone, Operator::Or, others, schema)?;
        parts.push(or_elsewhere(binary(somebody, Operator::Or, others, schema)?)?);
    }
    Ok(parts)
}

/// That a text column is none of these; null where the column is.
pub(crate) fn not_among<'a>(
    schema: &SchemaRef,
    column: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
    let column = col(column, schema)?;
    let data_type = column.data_type(schema)?;
    let literal = |name: &str| Ok(lit(ScalarValue::from(name).cast_to(&data_type)?));
    let names = names.into_iter().map(literal).collect::<DataFusionResult<Vec<_>>>()?;
    in_list(column, names, &true, schema)
}

/// That all of these hold; none when there is nothing to hold.
pub(crate) fn all(
    parts: impl IntoIterator<Item = Arc<dyn PhysicalExpr>>,
    schema: &SchemaRef,
) -> DataFusionResult<Option<Arc<dyn PhysicalExpr>>> {
    parts.into_iter().try_fold(None, |whole, part| {
        Ok(Some(match whole {
            Some(whole) => binary(whole, Operator::And, part, schema)?,
            None => part,
        }))
    })
}
