//! Staged rows as a query reads them: those that pass its filters are found first, and only they are brought into the form
//! that the query sees.
//!
//! Staged rows lie in memory as they came. To give all columns of all of them the types of a scan takes longer than to look
//! at the few columns that a filter names, and under load there are tens of thousands of them.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::stream;

use crate::TableSpec;

/// A plan that reads staged batches in so many partitions, the newest first. Rows that do not pass the filter are left out.
pub(crate) fn scan(
    spec: &Arc<TableSpec>,
    batches: &[RecordBatch],
    schema: &SchemaRef,
    filter: Option<Filter>,
    partitions: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let reading = Arc::new(Reading { spec: Arc::clone(spec), schema: Arc::clone(schema), filter });
    let partitions = partitions.clamp(1, batches.len().max(1));
    let part = |first: usize| -> Arc<dyn PartitionStream> {
        let batches = batches.iter().rev().skip(first).step_by(partitions).cloned().collect();
        Arc::new(Part { reading: Arc::clone(&reading), batches })
    };
    let parts = (0..partitions).map(part).collect();
    Ok(Arc::new(StreamingTableExec::try_new(Arc::clone(schema), parts, None, [], false, None)?))
}

/// What rows must be to pass, and the columns that tell.
#[derive(Debug)]
pub(crate) struct Filter {
    schema: SchemaRef,
    passes: Arc<dyn PhysicalExpr>,
}

impl Filter {
    /// All of these filters over rows of `schema`; none when there are none.
    pub fn of(state: &dyn Session, filters: &[Expr], schema: &SchemaRef) -> Result<Option<Self>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
        let named = filter.column_refs().into_iter().map(|column| schema.index_of(column.name()));
        let mut columns = named.collect::<std::result::Result<Vec<_>, _>>()?;
        columns.sort_unstable();
        let schema = Arc::new(schema.project(&columns)?);
        let passes = state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(&schema))?)?;
        Ok(Some(Self { schema, passes }))
    }

    /// The rows that pass, in the columns of `schema`; their types are still those of the batch.
    fn of_batch(&self, spec: &TableSpec, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
        let telling = spec.conform(batch, &self.schema).map_err(external)?;
        let passes = self.passes.evaluate(&telling)?.into_array(batch.num_rows())?;
        let passes = passes.as_boolean();
        if passes.true_count() == batch.num_rows() {
            return Ok(batch.clone());
        }
        let wanted = schema.fields().iter().filter_map(|field| batch.schema_ref().index_of(field.name()).ok());
        Ok(filter_record_batch(&batch.project(&wanted.collect::<Vec<_>>())?, passes)?)
    }
}

/// What all partitions of a scan do with their batches.
#[derive(Debug)]
struct Reading {
    spec: Arc<TableSpec>,
    schema: SchemaRef,
    filter: Option<Filter>,
}

impl Reading {
    fn read(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let passing = match &self.filter {
            Some(filter) => filter.of_batch(&self.spec, batch, &self.schema)?,
            None => batch.clone(),
        };
        self.spec.conform(&passing, &self.schema).map_err(external)
    }
}

/// Staged batches that one partition reads.
#[derive(Debug)]
struct Part {
    reading: Arc<Reading>,
    batches: Vec<RecordBatch>,
}

impl PartitionStream for Part {
    fn schema(&self) -> &SchemaRef {
        &self.reading.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let reading = Arc::clone(&self.reading);
        let batches = self.batches.clone().into_iter().map(move |batch| reading.read(&batch));
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(self.schema()), stream::iter(batches)))
    }
}

fn external(error: crate::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}
