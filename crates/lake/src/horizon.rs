//! How far back the rows of a table go, project by project.
//!
//! Rows from before the horizon of their project are hidden from queries at once. They leave the disk when a segment has
//! nothing else, when it is merged, or when so much of it is hidden that writing it anew is worth the work; a horizon
//! that moves back before that shows them again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{binary, col, in_list, lit};
use qd_base::{TableName, Timestamp};
use serde::Serialize;

use crate::core::Core;
use crate::subject::{all, not_among};
use crate::tables::TableSnapshot;
use crate::{Error, TableSpec};

/// Of a segment at least this part must be hidden for it to be written anew.
const WORTH_REWRITING: f64 = 0.1;

/// The times before which rows are not wanted any more.
///
/// A table with summaries needs times that are whole multiples of what one row of its coarsest summary stands for, since
/// a summary can only be cut between its rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Horizons {
    others: Option<Timestamp>,
    projects: BTreeMap<String, Option<Timestamp>>,
}

/// What retention did to a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Retained {
    /// Segments that were dropped whole.
    pub dropped: u64,
    /// Segments that were written anew.
    pub rewritten: u64,
    /// Rows that are gone.
    pub rows: u64,
}

impl Horizons {
    /// One horizon for all projects that have none of their own; none keeps their rows for ever.
    pub fn of_all(before: Option<Timestamp>) -> Self {
        Self { others: before, projects: BTreeMap::new() }
    }

    /// The same with a horizon of a project's own; none keeps its rows for ever.
    #[must_use]
    pub fn with(mut self, project: impl Into<String>, before: Option<Timestamp>) -> Self {
        self.projects.insert(project.into(), before);
        self
    }

    /// The horizon of a project.
    pub fn of(&self, project: &str) -> Option<Timestamp> {
        self.projects.get(project).copied().unwrap_or(self.others)
    }

    /// The latest of them: a segment that begins after it has nothing to hide.
    pub(crate) fn latest(&self) -> Option<Timestamp> {
        self.projects.values().copied().chain([self.others]).flatten().max()
    }

    /// The earliest of them; none when some rows are kept for ever. A segment that ends before it has nothing to show.
    pub(crate) fn earliest(&self, spec: &TableSpec) -> Option<Timestamp> {
        let own = self.projects.values().copied().filter(|_| spec.project_column.is_some());
        own.chain([self.others]).min().flatten()
    }

    /// True for rows that are within the horizon of their project; none where nothing is hidden.
    pub(crate) fn visible(
        &self,
        spec: &TableSpec,
        schema: &SchemaRef,
    ) -> DataFusionResult<Option<Arc<dyn PhysicalExpr>>> {
        let since = |before: Timestamp| {
            let time = col(spec.time_column, schema)?;
            let bound = ScalarValue::TimestampNanosecond(Some(before.as_nanos()), None);
            let bound = lit(bound.cast_to(&time.data_type(schema)?)?);
            binary(time, Operator::GtEq, bound, schema)
        };
        let Some(project) = spec.project_column else { return self.others.map(since).transpose() };
        let mut by_time = BTreeMap::<Timestamp, Vec<&str>>::new();
        for (name, before) in &self.projects {
            before.iter().for_each(|&before| by_time.entry(before).or_default().push(name));
        }
        let mut parts = Vec::new();
        for (before, names) in by_time {
            parts.push(binary(not_among(schema, project, names)?, Operator::Or, since(before)?, schema)?);
        }
        if let Some(before) = self.others {
            parts.push(match self.projects.is_empty() {
                true => since(before)?,
                false => binary(self.named(schema, project)?, Operator::Or, since(before)?, schema)?,
            });
        }
        all(parts, schema)
    }

    /// That a row's project has a word of its own.
    fn named(&self, schema: &SchemaRef, project: &str) -> DataFusionResult<Arc<dyn PhysicalExpr>> {
        let column = col(project, schema)?;
        let data_type = column.data_type(schema)?;
        let literal = |name: &String| Ok(lit(ScalarValue::from(name.as_str()).cast_to(&data_type)?));
        let names = self.projects.keys().map(literal).collect::<DataFusionResult<Vec<_>>>()?;
        in_list(column, names, &false, schema)
    }
}

impl Core {
    /// Removes the rows beyond the horizons of a table that are cheap to remove.
    pub async fn drop_hidden(&self, table: &TableName) -> Result<Retained, Error> {
        let sealing = self.sealing.lock().await;
        let _rewriting = self.rewriting.lock().await;
        self.settle(table).await?;
        // Only settling needs both locks; sealing may go on while segments are written anew.
        drop(sealing);
        let snapshot = self.tables.table(table.as_str())?;
        let mut retained = self.drop_old(table, &snapshot).await?;
        for segment in self.tables.table(table.as_str())?.segments {
            // Taken anew for each, since writing one takes long and horizons may be moved back meanwhile.
            let snapshot = self.tables.table(table.as_str())?;
            if snapshot.horizons.latest().is_none_or(|latest| segment.record.min_time >= latest) {
                continue;
            }
            let hidden = match self.hidden_rows(&snapshot, &segment).await {
                Err(_) if self.set_aside_damaged(vec![Arc::clone(&segment)]).await? > 0 => continue,
                hidden => hidden?,
            };
            let worth = hidden > 0 && hidden as f64 >= segment.record.rows as f64 * WORTH_REWRITING;
            if worth && self.set_aside_damaged(vec![Arc::clone(&segment)]).await? == 0 {
                let level = segment.record.level;
                self.rewrite(&snapshot, vec![segment], level).await?;
                retained.rewritten += 1;
                retained.rows += hidden;
            }
        }
        Ok(retained)
    }

    /// Drops segments all of whose rows are beyond every horizon, without reading them.
    async fn drop_old(&self, table: &TableName, snapshot: &TableSnapshot) -> Result<Retained, Error> {
        let Some(earliest) = snapshot.horizons.earliest(&snapshot.spec) else { return Ok(Retained::default()) };
        let old: Vec<_> =
            snapshot.segments.iter().filter(|segment| segment.record.max_time < earliest).map(Arc::clone).collect();
        let ids: Vec<_> = old.iter().map(|segment| segment.record.id).collect();
        if !ids.is_empty() {
            self.swap(table, &[], &ids, &[]).await?;
            self.tables.rewritten(table.as_str(), &old, None)?;
        }
        let rows = old.iter().map(|segment| segment.record.rows).sum();
        Ok(Retained { dropped: ids.len() as u64, rewritten: 0, rows })
    }
}
