//! What the parts of an open lake share, and how it is read back when it is opened.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use qd_base::{SegmentId, TableName};
use qd_catalog::{Catalog, Quarantined, SegmentRecord, Staged};
use tokio::sync::Notify;

use crate::blob::sweep;
use crate::engine::Engine;
use crate::file::Disk;
use crate::health::{Alarm, Health, LakeStats, TableStats};
use crate::identity::RECALLED_ROWS;
use crate::query::Queries;
use crate::segment::{Segment, Unreadable};
use crate::tables::Tables;
use crate::{Error, LakeConfig, TableSpec, codec};

/// An open lake without its queue and its background tasks.
#[derive(Debug)]
pub(crate) struct Core {
    pub config: LakeConfig,
    pub catalog: CatalogHandle,
    pub disk: Arc<dyn Disk>,
    pub folders: Folders,
    pub tables: Arc<Tables>,
    pub health: Arc<Health>,
    pub engine: Arc<Engine>,
    pub queries: Queries,
    /// Held by whoever turns staged rows into a segment. Taken before `rewriting`, when both are needed.
    pub sealing: tokio::sync::Mutex<()>,
    /// Held by whoever replaces or removes segments.
    pub rewriting: tokio::sync::Mutex<()>,
    /// Tables of which it is unknown whether the last change reached the catalog.
    pub doubtful: Mutex<HashSet<TableName>>,
    /// Rows were committed.
    pub committed: Arc<Notify>,
    /// A segment was sealed, or a subject deleted.
    pub sealed: Notify,
}

/// The catalog, which does not print.
pub(crate) struct CatalogHandle(pub Catalog);

impl std::fmt::Debug for CatalogHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Catalog")
    }
}

impl std::ops::Deref for CatalogHandle {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        &self.0
    }
}

/// The folders of a lake. All are on one file system, so that files can be renamed from one to another.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// A folder for each table, with its segments and nothing else, for any engine to read.
    pub segments: PathBuf,
    /// Files that are being written.
    pub temporary: PathBuf,
    /// Damaged segments, a folder for each table.
    pub quarantine: PathBuf,
    /// What queries could not hold in memory.
    pub spill: PathBuf,
}

impl Folders {
    fn create(dir: &Path, tables: &[TableSpec]) -> Result<Self, Error> {
        let folders = Self {
            segments: dir.join("segments"),
            temporary: dir.join("tmp"),
            quarantine: dir.join("quarantine"),
            spill: dir.join("spill"),
        };
        let of_tables = tables.iter().flat_map(|table| {
            [folders.segments.join(table.name.as_str()), folders.quarantine.join(table.name.as_str())]
        });
        let summaries = tables.iter().flat_map(|table| &table.summaries);
        let of_summaries = summaries.map(|summary| folders.segments.join(summary.table.name.as_str()));
        for folder in of_tables.chain(of_summaries).chain([folders.temporary.clone(), folders.spill.clone()]) {
            std::fs::create_dir_all(&folder).map_err(Error::disk("creating folder", &folder))?;
        }
        for folder in [&folders.temporary, &folders.spill] {
            sweep(folder).map_err(Error::disk("sweeping folder", folder))?;
        }
        Ok(folders)
    }

    /// Where the file of a segment lies.
    pub fn of(&self, record: &SegmentRecord) -> PathBuf {
        self.segments.join(&record.path)
    }

    /// Where the file of a segment lies once it was set aside.
    pub fn set_aside(&self, record: &SegmentRecord) -> PathBuf {
        self.quarantine.join(record.table.as_str()).join(format!("{}.parquet", record.id))
    }
}

impl Core {
    /// Opens the folders and reads back every table.
    pub async fn open(
        config: LakeConfig,
        catalog: Catalog,
        tables: Vec<TableSpec>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, Error> {
        tables.iter().try_for_each(TableSpec::check)?;
        let folders = Folders::create(&config.dir, &tables)?;
        let engine = Engine::new(&config, &folders.segments, &folders.spill)
            .map_err(|cause| Error::Query { cause: Arc::new(cause) })?;
        let core = Self {
            queries: Queries::new(&config),
            catalog: CatalogHandle(catalog),
            disk,
            folders,
            tables: Arc::new(Tables::new(tables)),
            health: Arc::default(),
            engine: Arc::new(engine),
            sealing: tokio::sync::Mutex::default(),
            rewriting: tokio::sync::Mutex::default(),
            doubtful: Mutex::default(),
            committed: Arc::default(),
            sealed: Notify::new(),
            config,
        };
        core.recall_quarantined().await?;
        for table in core.tables.names() {
            core.load(&table).await?;
        }
        Ok(core)
    }

    /// Raises again the alarms about segments that were set aside: a restart does not bring their rows back.
    async fn recall_quarantined(&self) -> Result<(), Error> {
        let aside = self.catalog.quarantined().await.map_err(Error::catalog("listing quarantined segments"))?;
        for Quarantined { segment, since, reason } in aside {
            let file = self.folders.set_aside(&segment);
            let place = if file.exists() { format!("; it is now {}", file.display()) } else { String::new() };
            let message = format!("{reason}; its {} rows are not served{place}", segment.rows);
            self.health.still_quarantined(Alarm { at: since, subject: format!("segment {}", segment.path), message });
        }
        Ok(())
    }

    async fn load(&self, table: &TableName) -> Result<(), Error> {
        let spec = self.tables.spec(table.as_str())?;
        let segments = self.open_segments(table, &[]).await?;
        self.sweep_summaries(&spec, &segments)
            .map_err(Error::disk("sweeping folders of", self.folders.segments.join(table.as_str())))?;
        let staged = self.catalog.staged(table).await.map_err(Error::catalog("reading staged rows"))?;
        let tombstones = self.catalog.tombstones(table).await.map_err(Error::catalog("listing tombstones"))?;
        let staged = staged.into_iter().filter_map(|staged| self.decode(&spec, staged)).collect();
        let recalled = self.recall(&spec, &segments).await?;
        self.tables.load(table.as_str(), segments, recalled, staged, tombstones)
    }

    /// What the rows of the newest segments are about, the oldest of these segments first.
    async fn recall(
        &self,
        spec: &Arc<TableSpec>,
        segments: &[Arc<Segment>],
    ) -> Result<Vec<(SegmentId, Vec<u64>)>, Error> {
        let Some(identity) = self.tables.identity(spec.name.as_str())? else { return Ok(Vec::new()) };
        let mut newest = segments.to_vec();
        newest.sort_by_key(|segment| std::cmp::Reverse(segment.record.id));
        // One that is too large, as merged ones are, does not keep those before it from being recalled.
        let mut left = RECALLED_ROWS;
        newest.retain(|segment| match left.checked_sub(segment.record.rows) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        });
        let spec = Arc::clone(spec);
        let read = move || {
            let of = |segment: &Arc<Segment>| {
                let batches = crate::summary::rows(&spec, segment, identity.columns()).ok()?;
                let numbers = batches.map(|batch| identity.numbers(&batch?)).collect::<Result<Vec<_>, _>>().ok()?;
                Some((segment.record.id, numbers.concat()))
            };
            // A damaged segment is found when it is queried.
            newest.iter().rev().filter_map(of).collect()
        };
        self.engine.spawn_blocking(read).await.map_err(|_| Error::Broken { operation: "reading what rows are about" })
    }

    /// A staged batch that cannot be decoded stays in the catalog for a person to look at.
    fn decode(&self, spec: &TableSpec, staged: Staged) -> Option<(qd_catalog::StagedId, arrow::array::RecordBatch)> {
        let batch = codec::decode(&spec.name, &staged.batch.blob).and_then(|batch| spec.conform(&batch, &spec.schema));
        match batch {
            Ok(batch) => Some((staged.id, batch)),
            Err(error) => {
                self.health.quarantined(format!("staged batch {} of {}", staged.id.0, spec.name), error.chain());
                None
            }
        }
    }

    /// The segments of a table as the catalog lists them: those that are known already, and the others opened by
    /// their footers. Damaged ones are set aside, files that the catalog does not list are removed.
    pub async fn open_segments(&self, table: &TableName, known: &[Arc<Segment>]) -> Result<Vec<Arc<Segment>>, Error> {
        let spec = self.tables.spec(table.as_str())?;
        let records = self.catalog.segments(table).await.map_err(Error::catalog("listing segments"))?;
        self.sweep_orphans(table, &records)
            .map_err(Error::disk("sweeping folder", self.folders.segments.join(table.as_str())))?;
        let mut segments = Vec::with_capacity(records.len());
        for record in records {
            if let Some(segment) = known.iter().find(|segment| segment.record.id == record.id) {
                segments.push(Arc::clone(segment));
                continue;
            }
            let path = self.folders.of(&record);
            match Segment::open(Arc::clone(&self.disk), &spec, record.clone(), path.clone()) {
                Ok(mut segment) => {
                    segment.summaries = self.open_summaries(&spec, &segment.record);
                    segments.push(Arc::new(segment));
                }
                Err(Unreadable::Damaged(reason)) => self.set_aside(&record, &reason).await,
                Err(Unreadable::Now(cause)) => return Err(Error::disk("opening segment", path)(cause)),
            }
        }
        Ok(segments)
    }

    /// A crash between writing a segment and recording it leaves a file that nobody knows.
    fn sweep_orphans(&self, table: &TableName, records: &[SegmentRecord]) -> io::Result<()> {
        self.sweep_but(table, &records.iter().map(|record| self.folders.of(record)).collect())
    }

    /// Summaries of segments that are gone, and those that are not whole, are removed.
    fn sweep_summaries(&self, spec: &TableSpec, segments: &[Arc<Segment>]) -> io::Result<()> {
        let known = segments.iter().flat_map(|segment| &segment.summaries).map(|summary| summary.file.path.clone());
        let known = known.collect();
        spec.summaries.iter().try_for_each(|summary| self.sweep_but(&summary.table.name, &known))
    }

    fn sweep_but(&self, table: &TableName, known: &HashSet<PathBuf>) -> io::Result<()> {
        for entry in std::fs::read_dir(self.folders.segments.join(table.as_str()))? {
            let path = entry?.path();
            if !known.contains(&path) {
                tracing::info!(path = %path.display(), "removing a segment that was never recorded");
                self.disk.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Takes a damaged segment out of use and raises an alarm; its file is kept in the quarantine folder.
    pub async fn set_aside(&self, record: &SegmentRecord, reason: &str) {
        let aside = self.folders.set_aside(record);
        // The file may be the one that is missing, and the catalog the one that fails: the rest is served anyway.
        let moved = self.disk.rename(&self.folders.of(record), &aside);
        let recorded = self.catalog.quarantine_segment(record.id, reason).await;
        let place = if moved.is_ok() { format!("; it is now {}", aside.display()) } else { String::new() };
        let unrecorded = recorded.err().map(|cause| format!("; recording that failed: {cause}")).unwrap_or_default();
        let rows = record.rows;
        self.health.quarantined(
            format!("segment {}", record.path),
            format!("{reason}; its {rows} rows are not served{place}{unrecorded}"),
        );
    }

    /// Checks these segments in full and sets damaged ones aside. Returns how many there were.
    pub async fn set_aside_damaged(&self, suspects: Vec<Arc<Segment>>) -> Result<usize, Error> {
        let mut damaged = 0;
        for segment in suspects {
            if !self.tables.has(&segment.record.table) {
                damaged += usize::from(self.discard_damaged_summary(&segment).await?);
                continue;
            }
            let checked = Arc::clone(&segment);
            let verdict = self
                .engine
                .spawn_blocking(move || checked.verify())
                .await
                .map_err(|_| Error::Broken { operation: "checking a segment" })?;
            if let Err(Unreadable::Damaged(reason)) = verdict {
                damaged += 1;
                // Another query may have been first.
                if self.tables.quarantine(segment.record.table.as_str(), segment.record.id)?.is_some() {
                    self.set_aside(&segment.record, &reason).await;
                }
            }
        }
        Ok(damaged)
    }

    /// After a change of segments failed, nobody knows whether the catalog made it. Until that is known, the
    /// picture in memory stays as it was, which shows the same rows either way.
    pub fn doubt(&self, table: &TableName) {
        self.doubtful.lock().insert(table.clone());
    }

    /// Asks the catalog what became of a doubtful change. The caller holds both locks.
    pub async fn settle(&self, table: &TableName) -> Result<(), Error> {
        if !self.doubtful.lock().contains(table) {
            return Ok(());
        }
        let staged = self.catalog.staged(table).await.map_err(Error::catalog("reading staged rows"))?;
        let known = self.tables.table(table.as_str())?.segments;
        let segments = self.open_segments(table, &known).await?;
        self.tables.reconcile(table.as_str(), segments, &staged.iter().map(|staged| staged.id).collect())?;
        self.doubtful.lock().remove(table);
        Ok(())
    }

    /// Changes the segments of a table in the catalog; when that fails, the table is in doubt.
    pub async fn swap(
        &self,
        table: &TableName,
        add: &[SegmentRecord],
        remove: &[qd_base::SegmentId],
        unstage: &[qd_catalog::StagedId],
    ) -> Result<(), Error> {
        let swapped = self.catalog.swap_segments(add, remove, unstage).await;
        swapped.map_err(|cause| {
            self.doubt(table);
            Error::catalog("exchanging segments")(cause)
        })
    }

    pub fn stats(&self) -> LakeStats {
        let tables = self.tables.names().into_iter().filter_map(|table| {
            let size = self.tables.size(table.as_str()).ok()?;
            Some(TableStats {
                table,
                segments: size.segments,
                segment_rows: size.segment_rows,
                segment_bytes: size.segment_bytes,
                staged_batches: size.staged_batches,
                staged_rows: size.staged_rows,
                staged_bytes: size.staged_bytes,
                tombstones: size.tombstones,
            })
        });
        let mut stats = self.health.report(tables.collect());
        stats.queries_running = self.engine.running();
        stats
    }
}
