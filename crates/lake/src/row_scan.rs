//! Files of rows that belong to no table, as one table of the query engine.
//!
//! A statement over them is guarded and limited like one over the lake's tables, and sees nothing but them: neither is a table of
//! the lake there, nor another file of their folder.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::FileGroup;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;

use crate::scan::{parquet_scan, projected};
use crate::{Error, RowFile, RowFiles};

/// What a statement calls the rows.
pub const TABLE: &str = "rows";

/// Rows that a statement may see: those of some files, with the columns of a schema. Of a column that a file lacks they have no value.
#[derive(Debug, Clone)]
pub struct RowTable {
    pub(crate) folder: PathBuf,
    pub(crate) rows_at_once: usize,
    schema: SchemaRef,
    /// Where each lies in the folder, and how large it is.
    files: Vec<(String, u64)>,
}

impl RowTable {
    /// The rows of `files`, which lie in the folder of `all`.
    ///
    /// # Errors
    /// [`Error::Disk`] when a file is gone.
    pub fn new(all: &RowFiles, files: &[RowFile], schema: SchemaRef) -> std::result::Result<Self, Error> {
        let folder = all.dir().to_owned();
        let place = |file: &RowFile| {
            let within = file.path().strip_prefix(&folder).unwrap_or(file.path());
            let found = std::fs::metadata(file.path()).map_err(Error::disk("reading", file.path()))?;
            Ok((within.to_string_lossy().into_owned(), found.len()))
        };
        let places = files.iter().map(place).collect::<std::result::Result<_, Error>>()?;
        let rows_at_once = files.iter().map(RowFile::rows_at_once).min().unwrap_or(1);
        Ok(Self { folder, rows_at_once, schema, files: places })
    }

    fn groups(&self, partitions: usize) -> Vec<FileGroup> {
        let mut groups = vec![Vec::new(); partitions.clamp(1, self.files.len().max(1))];
        for (at, (path, bytes)) in self.files.iter().enumerate() {
            let group = at % groups.len();
            groups[group].push(PartitionedFile::new(path.clone(), *bytes));
        }
        groups.into_iter().map(FileGroup::new).collect()
    }
}

#[async_trait]
impl TableProvider for RowTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if self.files.is_empty() {
            return Ok(Arc::new(EmptyExec::new(projected(&self.schema, projection)?)));
        }
        // With a filter above, the first rows of a scan may not be the first that pass.
        let limit = limit.filter(|_| filters.is_empty());
        parquet_scan(state, &self.schema, self.groups(state.config().target_partitions()), projection, limit)
    }
}
