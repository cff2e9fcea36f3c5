//! A table as DataFusion sees it: the segments and staged rows of one snapshot.
//!
//! The provider is made for one query and holds what that query began with, so a seal or compaction meanwhile
//! neither hides a row nor shows it twice.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::{DFSchema, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetRowSelection};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::{conjunction, split_binary, split_conjunction};
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::filter::FilterExecBuilder;
use datafusion::physical_plan::union::UnionExec;

use futures::{StreamExt, stream};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::RowSelection;
use qd_base::SegmentId;
use qd_catalog::Tombstone;

use crate::TableSpec;
use crate::horizon::Horizons;
use crate::identity::{Identity, Superseded};
use crate::segment::Segment;
use crate::staged;
use crate::subject::{all, pending, visible};
use crate::tables::TableSnapshot;
use crate::words::Sought;

/// Under this address a query finds the folder that it may read, that of the segments or [another](crate::row_scan), and nothing else.
pub(crate) const FILES_URL: &str = "lake://files";

/// The segments that a query reads; when it fails, one of them may be damaged.
pub(crate) type SegmentsRead = Arc<Mutex<Vec<Arc<Segment>>>>;

/// One table of a snapshot.
#[derive(Debug)]
pub(crate) struct TableScan {
    snapshot: TableSnapshot,
    read: SegmentsRead,
}

impl TableScan {
    pub fn new(snapshot: TableSnapshot, read: SegmentsRead) -> Self {
        Self { snapshot, read }
    }
}

#[async_trait]
impl TableProvider for TableScan {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.snapshot.scan_schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters prune segments, row groups and pages, and are pushed into the decoding of Parquet by the optimizer;
    /// it adds the rest of the work where that is not possible.
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
        let segments = self.prune(state, filters)?;
        let (segments, chosen) = self.search(segments, filters, state.config().target_partitions()).await;
        self.read.lock().extend(segments.iter().cloned());
        // With a filter above, the first rows of a scan may not be the first that pass.
        let limit = limit.filter(|_| filters.is_empty());
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        for (hidden, segments) in by_hidden(segments, &self.snapshot) {
            let files = groups(state, &segments, &chosen);
            parts.push(self.scan_files(state, files, &hidden, projection, limit)?);
        }
        if self.snapshot.staged.iter().any(|batch| batch.num_rows() > 0) {
            parts.push(self.scan_staged(state, filters, projection)?);
        }
        match parts.len() {
            0 => Ok(Arc::new(EmptyExec::new(projected(&self.snapshot.scan_schema, projection)?))),
            _ => UnionExec::try_new(parts),
        }
    }
}

impl TableScan {
    /// The segments that may hold rows that pass the filters, by what is known of their sort columns.
    fn prune(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<Segment>>> {
        let segments = self.snapshot.segments.clone();
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(segments) };
        let schema = &self.snapshot.scan_schema;
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(Arc::clone(schema))?)?;
        let Some(predicate) = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(filter) else {
            return Ok(segments);
        };
        let statistics = segments.iter().map(|segment| Arc::clone(&segment.statistics)).collect();
        let keep = predicate.prune(&PrunableStatistics::new(statistics, Arc::clone(schema)))?;
        Ok(segments.into_iter().zip(keep).filter_map(|(segment, keep)| keep.then_some(segment)).collect())
    }

    /// Where filters ask for texts: the segments that may hold them, and which of their rows do. Of a segment whose words
    /// are not known, or tell nothing, all rows may. The words of so many segments are in memory at one time.
    async fn search(
        &self,
        segments: Vec<Arc<Segment>>,
        filters: &[Expr],
        at_once: usize,
    ) -> (Vec<Arc<Segment>>, Chosen) {
        let summaries = &self.snapshot.spec.summaries;
        let Some(place) = summaries.iter().position(|summary| !summary.searched.is_empty()) else {
            return (segments, Chosen::default());
        };
        let demands = demands(filters, &summaries[place].searched);
        if demands.is_empty() {
            return (segments, Chosen::default());
        }
        let looking = segments.into_iter().map(|segment| {
            let (looked, demands) = (Arc::clone(&segment), Arc::clone(&demands));
            async move {
                let rows = tokio::task::spawn_blocking(move || chosen_rows(&looked, place, &demands)).await;
                (segment, rows.unwrap_or(None))
            }
        });
        let found: Vec<_> = stream::iter(looking).buffered(at_once.max(1)).collect().await;
        let found = found.into_iter().filter(|(_, rows)| rows.as_ref().is_none_or(RowSelection::selects_any));
        let found: Vec<_> = found.collect();
        let chosen = found.iter().filter_map(|(segment, rows)| Some((segment.record.id, rows.clone()?))).collect();
        (found.into_iter().map(|(segment, _)| segment).collect(), chosen)
    }

    /// Files of segments of which the same is to be hidden, without the rows that are.
    fn scan_files(
        &self,
        state: &dyn Session,
        files: Vec<FileGroup>,
        hidden: &Hidden,
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = &self.snapshot.scan_schema;
        if hidden.is_nothing() {
            return parquet_scan(state, schema, files, projection, limit);
        }
        self.without(hidden, projection, |columns| parquet_scan(state, schema, files, Some(columns), None))
    }

    fn scan_staged(
        &self,
        state: &dyn Session,
        filters: &[Expr],
        projection: Option<&Vec<usize>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (spec, schema) = (&self.snapshot.spec, &self.snapshot.scan_schema);
        let filter = staged::Filter::of(state, filters, schema)?;
        let scan = |projection: Option<&Vec<usize>>| {
            let partitions = state.config().target_partitions();
            staged::scan(spec, &self.snapshot.staged, &projected(schema, projection)?, filter, partitions)
        };
        // Tombstones have been applied to them already.
        let hidden = Hidden { horizons: Arc::clone(&self.snapshot.horizons), ..Hidden::default() };
        if hidden.horizons.latest().is_none() {
            return scan(projection);
        }
        self.without(&hidden, projection, |columns| scan(Some(columns)))
    }

    /// The wanted columns of the rows that are not hidden. `scan` reads columns, in the order of the table: those that are
    /// wanted and those that tell what is hidden, and no others.
    fn without(
        &self,
        hidden: &Hidden,
        projection: Option<&Vec<usize>>,
        scan: impl FnOnce(&Vec<usize>) -> Result<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let (spec, schema) = (&self.snapshot.spec, &self.snapshot.scan_schema);
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let told = spec.telling_columns().filter_map(|column| schema.index_of(column).ok());
        let columns: Vec<usize> = wanted.iter().copied().chain(told).collect::<BTreeSet<_>>().into_iter().collect();
        let narrow = projected(schema, Some(&columns))?;
        let scan = scan(&columns)?;
        let Some(visible) = hidden.visible(spec, &narrow)? else {
            return Err(DataFusionError::Internal("nothing is hidden".to_owned()));
        };
        let places = wanted.iter().filter_map(|column| columns.binary_search(column).ok()).collect();
        Ok(Arc::new(FilterExecBuilder::new(visible, scan).apply_projection(Some(places))?.build()?))
    }
}

/// What is hidden of some segments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hidden {
    /// Tombstones that are still to be applied to them.
    pub tombstones: Vec<Tombstone>,
    /// The horizons that some of their rows may lie beyond.
    pub horizons: Arc<Horizons>,
    /// Rows of one segment that came again later, and how they are told.
    pub superseded: Superseded,
    pub identity: Option<Arc<Identity>>,
}

impl Hidden {
    /// What is hidden of one segment.
    pub fn of(segment: &Segment, snapshot: &TableSnapshot) -> Self {
        let old = snapshot.horizons.latest().is_some_and(|latest| segment.record.min_time < latest);
        Self {
            tombstones: pending(&segment.record, &snapshot.tombstones),
            horizons: if old { Arc::clone(&snapshot.horizons) } else { Arc::default() },
            superseded: Arc::clone(&segment.superseded),
            identity: snapshot.identity.clone(),
        }
    }

    pub fn is_nothing(&self) -> bool {
        self.tombstones.is_empty() && self.horizons.latest().is_none() && self.superseded.is_empty()
    }

    /// True for rows that are not hidden; none when no row is.
    pub fn visible(&self, spec: &TableSpec, schema: &SchemaRef) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let current = match &self.identity {
            Some(identity) if !self.superseded.is_empty() => Some(identity.current(schema, &self.superseded)?),
            _ => None,
        };
        let parts = [visible(spec, schema, &self.tombstones)?, self.horizons.visible(spec, schema)?, current];
        all(parts.into_iter().flatten(), schema)
    }

    /// Whether as much is hidden: tombstones are in order, so those that remain are known by how many they are. Rows that
    /// came again are those of one segment.
    fn is_as(&self, other: &Self) -> bool {
        self.superseded.is_empty()
            && other.superseded.is_empty()
            && self.tombstones.len() == other.tombstones.len()
            && self.horizons.latest().is_some() == other.horizons.latest().is_some()
    }
}

/// Segments by what is hidden of them; most often that is nothing.
pub(crate) fn by_hidden(segments: Vec<Arc<Segment>>, snapshot: &TableSnapshot) -> Vec<(Hidden, Vec<Arc<Segment>>)> {
    let mut groups = Vec::<(Hidden, Vec<Arc<Segment>>)>::new();
    for segment in segments {
        let hidden = Hidden::of(&segment, snapshot);
        match groups.iter_mut().find(|(others, _)| others.is_as(&hidden)) {
            Some((_, group)) => group.push(segment),
            None => groups.push((hidden, vec![segment])),
        }
    }
    groups
}

pub(crate) fn projected(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<SchemaRef> {
    match projection {
        Some(columns) => Ok(Arc::new(schema.project(columns)?)),
        None => Ok(Arc::clone(schema)),
    }
}

/// The rows of segments that may hold what is looked for; of others all may.
type Chosen = HashMap<SegmentId, RowSelection>;

/// The texts that filters ask for in columns whose words are listed: of each list, a row must have one.
pub(crate) fn demands(filters: &[Expr], searched: &[&str]) -> Arc<[Vec<Sought>]> {
    let demand = |filter: &Expr| {
        let texts =
            split_binary(filter, Operator::Or).into_iter().map(|part| contained(part, searched)).collect::<Option<_>>();
        let mut texts: Vec<Sought> = texts?;
        texts.dedup();
        Some(texts)
    };
    filters.iter().flat_map(split_conjunction).filter_map(demand).collect()
}

/// The text that `contains(lower(column), text)` asks for.
fn contained(expression: &Expr, searched: &[&str]) -> Option<Sought> {
    let Expr::ScalarFunction(contains) = expression else { return None };
    let [Expr::ScalarFunction(lower), Expr::Literal(text, _)] = contains.args.as_slice() else { return None };
    let [Expr::Column(column)] = lower.args.as_slice() else { return None };
    let asked = contains.name() == "contains" && lower.name() == "lower" && searched.contains(&column.name.as_str());
    Sought::of(text.try_as_str().flatten().filter(|_| asked)?)
}

/// The rows of a segment that may hold one text of each demand; `None` when nothing is known of that.
pub(crate) fn chosen_rows(segment: &Segment, place: usize, demands: &[Vec<Sought>]) -> Option<RowSelection> {
    let words = segment.summaries.get(place)?;
    let rows = usize::try_from(segment.record.rows).ok()?;
    let found = demands.iter().filter_map(|texts| {
        let rows = texts.iter().map(|text| selection(text, &words.file.path, rows)).collect::<Option<Vec<_>>>()?;
        rows.into_iter().reduce(|some, others| some.union(&others))
    });
    found.reduce(|some, others| some.intersection(&others))
}

fn selection(text: &Sought, words: &Path, rows: usize) -> Option<RowSelection> {
    let ranges = text.rows(words, rows).unwrap_or_else(|cause| {
        tracing::debug!(words = %words.display(), %cause, "the words of a segment cannot be read");
        None
    })?;
    Some(RowSelection::from_consecutive_ranges(ranges.into_iter(), rows))
}

/// Spreads segments over as many groups as there are threads, so that each has about the same work. The newest come first:
/// who wants the newest rows has them soon, and then the bound of what is still of interest spares reading the rest.
fn groups(state: &dyn Session, segments: &[Arc<Segment>], chosen: &Chosen) -> Vec<FileGroup> {
    let count = state.config().target_partitions().clamp(1, segments.len().max(1));
    let mut groups = vec![(0_u64, Vec::new()); count];
    let mut segments = segments.to_vec();
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.record.max_time));
    for segment in segments {
        if let Some((bytes, files)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += segment.record.bytes;
            let file = file(&segment).with_statistics(Arc::clone(&segment.statistics));
            files.push(match chosen.get(&segment.record.id) {
                Some(rows) => file.with_extension(ParquetRowSelection::new(rows.clone())),
                None => file,
            });
        }
    }
    groups.into_iter().map(|(_, files)| FileGroup::new(files)).collect()
}

/// Where the query engine finds a segment.
pub(crate) fn file(segment: &Segment) -> PartitionedFile {
    PartitionedFile::new(segment.record.path.clone(), segment.record.bytes)
}

/// Reads files of these groups, one partition a group.
pub(crate) fn parquet_scan(
    state: &dyn Session,
    schema: &SchemaRef,
    groups: Vec<FileGroup>,
    projection: Option<&Vec<usize>>,
    limit: Option<usize>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let url = ObjectStoreUrl::parse(FILES_URL)?;
    let environment = state.runtime_env();
    let metadata = environment.cache_manager.get_file_metadata_cache();
    let readers = Arc::new(CachedParquetFileReaderFactory::new(environment.object_store(&url)?, metadata));
    let source = ParquetSource::new(Arc::clone(schema))
        .with_table_parquet_options(state.default_table_options().parquet)
        .with_parquet_file_reader_factory(readers);
    let files =
        groups.iter().flat_map(FileGroup::iter).map(|file| file.statistics.as_deref()).collect::<Option<Vec<_>>>();
    let statistics =
        files.map_or(Ok(Statistics::new_unknown(schema)), |files| Statistics::try_merge_iter(files, schema))?;
    let config = FileScanConfigBuilder::new(url, Arc::new(source))
        .with_statistics(statistics)
        .with_file_groups(groups)
        .with_projection_indices(projection.cloned())?
        .with_limit(limit)
        .build();
    Ok(DataSourceExec::from_data_source(config))
}
