//! What each table consists of at this moment, and what a query saw when it began.
//!
//! The catalog decides; this is its picture in memory. A change is made in the catalog first and here after,
//! under one lock, so that a [`Snapshot`] holds every row exactly once: in a staged batch or in a segment.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Instant;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use parking_lot::Mutex;
use qd_base::{SegmentId, TableName};
use qd_catalog::{StagedId, Tombstone, TombstoneId};

use crate::horizon::Horizons;
use crate::identity::{Home, Identity, Known, Superseded};
use crate::segment::{Segment, SegmentFile};
use crate::subject::{pending, without_subjects};
use crate::table::batch_bytes;
use crate::{Error, TableSpec};

/// Small staged batches are merged in memory up to this many rows: each array costs a few hundred bytes however
/// few rows it has.
const MERGED_ROWS: usize = 4096;

/// Committed rows that are in no segment yet.
#[derive(Debug, Clone)]
pub(crate) struct StagedRows {
    /// The staged batches of the catalog that these rows come from, ascending.
    pub ids: Vec<StagedId>,
    /// The rows, without those that tombstones hide.
    pub batch: RecordBatch,
    pub bytes: usize,
    pub since: Instant,
}

/// One table as a query sees it.
#[derive(Debug, Clone)]
pub(crate) struct TableSnapshot {
    pub spec: Arc<TableSpec>,
    pub scan_schema: SchemaRef,
    pub segments: Vec<Arc<Segment>>,
    pub staged: Vec<RecordBatch>,
    pub tombstones: Arc<[Tombstone]>,
    /// How its rows are told from each other, if they are.
    pub identity: Option<Arc<Identity>>,
    pub horizons: Arc<Horizons>,
}

/// All tables at one moment. It keeps the files of its segments alive.
pub(crate) type Snapshot = BTreeMap<TableName, TableSnapshot>;

/// Staged rows that are to become a segment.
pub(crate) struct ToSeal {
    pub ids: Vec<StagedId>,
    pub batches: Vec<RecordBatch>,
    /// The last tombstone that was applied to these rows.
    pub tombstones_through: Option<TombstoneId>,
}

#[derive(Debug)]
struct Table {
    spec: Arc<TableSpec>,
    scan_schema: SchemaRef,
    segments: Vec<Arc<Segment>>,
    staged: Vec<StagedRows>,
    tombstones: Arc<[Tombstone]>,
    horizons: Arc<Horizons>,
    /// Rows up to here are being sealed, so they are merged with no others.
    sealing_through: Option<StagedId>,
    /// How rows are told from each other, if they are, and where those that came last lie.
    identity: Option<Arc<Identity>>,
    known: Known,
    /// Of the rows that are being sealed, those that came again meanwhile.
    superseded_in_sealing: HashSet<u64>,
    /// The summaries, each with the schema that queries see.
    summaries: Vec<(Arc<TableSpec>, SchemaRef)>,
    /// What queries call the rows that are in no summary; none while there are no summaries.
    unsummarized: Option<TableName>,
}

/// The picture in memory of what the catalog holds.
#[derive(Debug)]
pub(crate) struct Tables {
    tables: Mutex<BTreeMap<TableName, Table>>,
    names: String,
    /// Files of segments that are gone, as long as queries that began before read them.
    leaving: Mutex<Vec<Weak<SegmentFile>>>,
}

/// How much of a table is where.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub segments: usize,
    pub segment_rows: u64,
    pub segment_bytes: u64,
    pub staged_batches: usize,
    pub staged_rows: usize,
    pub staged_bytes: usize,
    pub oldest_staged: Option<Instant>,
    pub tombstones: usize,
}

impl Tables {
    pub fn new(specs: Vec<TableSpec>) -> Self {
        let names = specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", ");
        let tables = specs.into_iter().map(|spec| (spec.name.clone(), Table::new(spec))).collect();
        Self { tables: Mutex::new(tables), names, leaving: Mutex::default() }
    }

    pub fn names(&self) -> Vec<TableName> {
        self.tables.lock().keys().cloned().collect()
    }

    pub fn spec(&self, name: &str) -> Result<Arc<TableSpec>, Error> {
        self.with(name, |table| Arc::clone(&table.spec))
    }

    pub fn snapshot(&self) -> Snapshot {
        self.tables.lock().iter().flat_map(|(name, table)| table.views(name)).collect()
    }

    /// The same without horizons.
    pub fn snapshot_with_old(&self) -> Snapshot {
        let mut snapshot = self.snapshot();
        snapshot.values_mut().for_each(|table| table.horizons = Arc::default());
        snapshot
    }

    /// The segments of all tables, without summaries.
    pub fn segments(&self) -> Vec<Arc<Segment>> {
        self.tables.lock().values().flat_map(|table| table.segments.clone()).collect()
    }

    /// Whether there is such a table; summaries are none.
    pub fn has(&self, name: &TableName) -> bool {
        self.tables.lock().contains_key(name)
    }

    pub fn table(&self, name: &str) -> Result<TableSnapshot, Error> {
        self.with(name, |table| table.snapshot())
    }

    /// How the rows of a table are told from each other, if they are.
    pub fn identity(&self, name: &str) -> Result<Option<Arc<Identity>>, Error> {
        self.with(name, |table| table.identity.clone())
    }

    /// These segments as they are now, with the rows of them that came again since; without those that are gone.
    pub fn current(&self, name: &str, segments: &[Arc<Segment>]) -> Result<Vec<Arc<Segment>>, Error> {
        self.with(name, |table| {
            let wanted = |segment: &&Arc<Segment>| segments.iter().any(|other| other.record.id == segment.record.id);
            table.segments.iter().filter(wanted).cloned().collect()
        })
    }

    pub fn size(&self, name: &str) -> Result<Size, Error> {
        self.with(name, |table| table.size())
    }

    /// Memory that the staged rows of all tables take.
    pub fn staged_bytes(&self) -> usize {
        self.tables.lock().values().flat_map(|table| &table.staged).map(|rows| rows.bytes).sum()
    }

    /// Fills a table with what the catalog held when the lake was opened.
    pub fn load(
        &self,
        name: &str,
        segments: Vec<Arc<Segment>>,
        recalled: Vec<(SegmentId, Vec<u64>)>,
        staged: Vec<(StagedId, RecordBatch)>,
        tombstones: Vec<Tombstone>,
    ) -> Result<(), Error> {
        self.with(name, |table| {
            table.segments = segments;
            table.tombstones = tombstones.into();
            // They were made in this order, so what a later one holds came later.
            for (id, numbers) in recalled {
                // A segment holds nothing twice.
                let _ = table.note(Home::Segment(id), numbers);
            }
            staged.into_iter().try_for_each(|(id, batch)| table.push(id, batch))
        })?
    }

    /// Corrects the picture of a table after a change whose outcome was unknown: it has these segments, and of its
    /// staged batches only these.
    pub fn reconcile(&self, name: &str, segments: Vec<Arc<Segment>>, staged: &HashSet<StagedId>) -> Result<(), Error> {
        self.with(name, |table| {
            table.segments = segments;
            table.staged.retain(|rows| rows.ids.iter().all(|id| staged.contains(id)));
        })
    }

    /// Shows rows that have just been committed.
    pub fn publish(&self, rows: Vec<(TableName, StagedId, RecordBatch)>) -> Result<(), Error> {
        let mut tables = self.tables.lock();
        for (name, id, batch) in rows {
            let table = tables.get_mut(&name).ok_or_else(|| self.unknown(name.as_str()))?;
            table.push(id, batch)?;
        }
        Ok(())
    }

    /// The oldest staged rows of a table, about `bytes` of them, or none.
    pub fn to_seal(&self, name: &str, bytes: usize) -> Result<Option<ToSeal>, Error> {
        self.with(name, |table| table.take_for_sealing(bytes))
    }

    /// The staged batches of a table that are in memory.
    pub fn staged_ids(&self, name: &str) -> Result<HashSet<StagedId>, Error> {
        self.with(name, |table| table.staged.iter().flat_map(|rows| rows.ids.iter().copied()).collect())
    }

    /// Swaps staged rows for the segment that now holds them, if any of them were left to hold.
    pub fn sealed(&self, name: &str, ids: &[StagedId], segment: Option<Arc<Segment>>) -> Result<(), Error> {
        self.with(name, |table| {
            let sealed: HashSet<_> = ids.iter().collect();
            table.staged.retain(|rows| !rows.ids.iter().any(|id| sealed.contains(id)));
            let superseded = Arc::new(std::mem::take(&mut table.superseded_in_sealing));
            let home = segment.as_ref().map_or(Home::Gone, |segment| Home::Segment(segment.record.id));
            table.known.moved(|home| matches!(home, Home::Staged(id) if sealed.contains(&id)), home);
            table.segments.extend(segment.map(|segment| with_superseded(&segment, superseded)));
            table.sealing_through = None;
        })
    }

    /// A seal was given up; its rows stay staged.
    pub fn not_sealed(&self, name: &str) -> Result<(), Error> {
        self.with(name, |table| {
            table.sealing_through = None;
            table.superseded_in_sealing.clear();
        })
    }

    /// Swaps segments for one that was made of them, or for none. The files of those that go are removed, if the segment
    /// that comes does not share one.
    pub fn rewritten(&self, name: &str, read: &[Arc<Segment>], made: Option<Arc<Segment>>) -> Result<(), Error> {
        let removed: Vec<_> = read.iter().map(|segment| segment.record.id).collect();
        self.with(name, |table| {
            let gone = table.take_segments(&removed);
            // Rows that came again since the segments were read are in the new one still.
            let left_out = |id| read.iter().find(|segment| segment.record.id == id).map(|segment| &segment.superseded);
            let since = gone.iter().flat_map(|segment| {
                let before = left_out(segment.record.id);
                segment.superseded.iter().filter(move |number| before.is_none_or(|before| !before.contains(number)))
            });
            let since: Superseded = Arc::new(since.copied().collect());
            let home = made.as_ref().map_or(Home::Gone, |segment| Home::Segment(segment.record.id));
            table.known.moved(|home| matches!(home, Home::Segment(id) if removed.contains(&id)), home);
            table.segments.extend(made.map(|segment| with_superseded(&segment, since)));
            let kept = |segment: &Segment| table.segments.iter().any(|other| Arc::ptr_eq(&other.file, &segment.file));
            let gone: Vec<_> = gone.into_iter().filter(|segment| !kept(segment)).collect();
            gone.iter().for_each(|segment| segment.doom());
            let summaries = gone.iter().flat_map(|segment| &segment.summaries);
            let files = gone.iter().chain(summaries).map(|segment| Arc::downgrade(&segment.file));
            self.leaving.lock().extend(files);
        })
    }

    /// How many files of segments that are gone are still read.
    pub fn leaving(&self) -> usize {
        let mut leaving = self.leaving.lock();
        leaving.retain(|file| file.strong_count() > 0);
        leaving.len()
    }

    /// Shows what was derived from a segment; when that is gone by now, so is this.
    pub fn summarized(&self, name: &str, id: SegmentId, summaries: Vec<Arc<Segment>>) -> Result<(), Error> {
        self.with(name, |table| {
            let summarized = |segment: &Segment| Segment { summaries: summaries.clone(), ..segment.clone() };
            match table.segments.iter_mut().find(|segment| segment.record.id == id) {
                Some(segment) => *segment = Arc::new(summarized(segment)),
                None => summaries.iter().for_each(|summary| summary.doom()),
            }
        })
    }

    /// Forgets what was derived from a segment. Returns whether there was anything.
    pub fn unsummarized(&self, id: SegmentId) -> bool {
        let mut tables = self.tables.lock();
        let mut segments = tables.values_mut().flat_map(|table| &mut table.segments);
        let found = segments.find(|segment| segment.record.id == id && !segment.summaries.is_empty());
        found.is_some_and(|segment| {
            segment.doom_summaries();
            *segment = Arc::new(Segment { summaries: Vec::new(), ..segment.as_ref().clone() });
            true
        })
    }

    /// Takes a damaged segment away from queries; its file stays.
    pub fn quarantine(&self, name: &str, id: SegmentId) -> Result<Option<Arc<Segment>>, Error> {
        self.with(name, |table| table.take_segments(&[id]).pop().inspect(|segment| segment.doom_summaries()))
    }

    /// Hides the rows beyond these horizons.
    pub fn set_horizons(&self, name: &str, horizons: Horizons) -> Result<(), Error> {
        self.with(name, |table| table.horizons = Arc::new(horizons))
    }

    /// Hides the rows that a tombstone holds for.
    pub fn bury(&self, name: &str, tombstone: Tombstone) -> Result<(), Error> {
        self.with(name, |table| table.bury(tombstone))?
    }

    /// Forgets tombstones that have been applied everywhere.
    pub fn lift(&self, name: &str, applied: &[TombstoneId]) -> Result<(), Error> {
        self.with(name, |table| {
            table.tombstones =
                table.tombstones.iter().filter(|tombstone| !applied.contains(&tombstone.id)).cloned().collect()
        })
    }

    fn with<T>(&self, name: &str, act: impl FnOnce(&mut Table) -> T) -> Result<T, Error> {
        self.tables.lock().get_mut(name).map(act).ok_or_else(|| self.unknown(name))
    }

    fn unknown(&self, name: &str) -> Error {
        Error::UnknownTable { name: name.to_owned(), known: self.names.clone() }
    }
}

impl Table {
    fn new(spec: TableSpec) -> Self {
        let scan_schema = spec.scan_schema();
        let summaries = spec.summaries.iter().map(|summary| summary.table.clone());
        Self {
            unsummarized: spec.unsummarized().ok().flatten(),
            summaries: summaries.map(|table| (Arc::new(table.clone()), table.scan_schema())).collect(),
            identity: Identity::of(&spec.identity),
            known: Known::default(),
            superseded_in_sealing: HashSet::new(),
            spec: Arc::new(spec),
            scan_schema,
            segments: Vec::new(),
            staged: Vec::new(),
            tombstones: Arc::new([]),
            horizons: Arc::default(),
            sealing_through: None,
        }
    }

    fn snapshot(&self) -> TableSnapshot {
        TableSnapshot {
            spec: Arc::clone(&self.spec),
            scan_schema: Arc::clone(&self.scan_schema),
            segments: self.segments.clone(),
            staged: self.staged.iter().map(|rows| rows.batch.clone()).collect(),
            tombstones: Arc::clone(&self.tombstones),
            identity: self.identity.clone(),
            horizons: Arc::clone(&self.horizons),
        }
    }

    /// What queries see of the table under which names: its rows; if it has summaries, also these, and the rows that are
    /// in none of them.
    fn views(&self, name: &TableName) -> Vec<(TableName, TableSnapshot)> {
        let all = self.snapshot();
        let Some(unsummarized) = &self.unsummarized else { return vec![(name.clone(), all)] };
        // Rows that are hidden are in a summary nevertheless, until their segment is written without them.
        let holds = |segment: &Segment| {
            !segment.summaries.is_empty()
                && segment.superseded.is_empty()
                && pending(&segment.record, &self.tombstones).is_empty()
        };
        let (summarized, others) = self.segments.iter().cloned().partition::<Vec<_>, _>(|segment| holds(segment));
        let summary = |(place, (spec, scan_schema)): (usize, &(Arc<TableSpec>, SchemaRef))| {
            let segments = summarized.iter().filter_map(|segment| segment.summaries.get(place).cloned()).collect();
            let (spec, scan_schema) = (Arc::clone(spec), Arc::clone(scan_schema));
            // Horizons lie between the rows of a summary, so they hide the same there.
            let horizons = Arc::clone(&self.horizons);
            let (staged, tombstones) = (Vec::new(), Arc::new([]));
            let snapshot = TableSnapshot { spec, scan_schema, segments, staged, tombstones, horizons, identity: None };
            (snapshot.spec.name.clone(), snapshot)
        };
        let summaries: Vec<_> = self.summaries.iter().enumerate().map(summary).collect();
        let rest = TableSnapshot { segments: others, ..all.clone() };
        summaries.into_iter().chain([(unsummarized.clone(), rest), (name.clone(), all)]).collect()
    }

    fn size(&self) -> Size {
        Size {
            segments: self.segments.len(),
            segment_rows: self.segments.iter().map(|segment| segment.record.rows).sum(),
            segment_bytes: self.segments.iter().map(|segment| segment.record.bytes).sum(),
            staged_batches: self.staged.iter().map(|rows| rows.ids.len()).sum(),
            staged_rows: self.staged.iter().map(|rows| rows.batch.num_rows()).sum(),
            staged_bytes: self.staged.iter().map(|rows| rows.bytes).sum(),
            oldest_staged: self.staged.first().map(|rows| rows.since),
            tombstones: self.tombstones.len(),
        }
    }

    fn push(&mut self, id: StagedId, batch: RecordBatch) -> Result<(), Error> {
        let batch = without_subjects(&self.spec, id, &batch, &self.tombstones)?;
        let batch = self.supersede(id, batch).map_err(Error::arrow("finding rows that came again", &self.spec.name))?;
        let bytes = batch_bytes(&batch);
        self.staged.push(StagedRows { ids: vec![id], batch, bytes, since: Instant::now() });
        self.merge_small()
    }

    /// Hides what the rows of a batch take the place of; returns those rows of it that stay.
    fn supersede(&mut self, id: StagedId, batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
        let Some(identity) = self.identity.clone() else { return Ok(batch) };
        let within = self.note(Home::Staged(id), identity.numbers(&batch)?)?;
        if within.is_empty() {
            return Ok(batch);
        }
        let gone: HashSet<usize> = within.into_iter().collect();
        let stay: BooleanArray = (0..batch.num_rows()).map(|row| Some(!gone.contains(&row))).collect();
        filter_record_batch(&batch, &stay)
    }

    /// Notes where rows lie and hides those before them; returns the positions of those that another of them replaces.
    fn note(&mut self, home: Home, numbers: Vec<u64>) -> Result<Vec<usize>, ArrowError> {
        let replaced = self.known.note(home, numbers);
        // Batches that came one by one lie together since: each is filtered once, whatever came again of it.
        let mut unstaged = HashMap::<usize, HashSet<u64>>::new();
        for (home, numbers) in replaced.elsewhere {
            match home {
                Home::Staged(id) => {
                    if self.sealing_through.is_some_and(|through| id <= through) {
                        self.superseded_in_sealing.extend(&numbers);
                    }
                    let place = self.staged.partition_point(|rows| rows.ids.last().is_some_and(|last| *last < id));
                    if self.staged.get(place).is_some_and(|rows| rows.ids.contains(&id)) {
                        unstaged.entry(place).or_default().extend(numbers);
                    }
                }
                Home::Segment(id) => self.supersede_in_segment(id, numbers),
                Home::Gone => {}
            }
        }
        for (place, numbers) in unstaged {
            self.unstage(place, &numbers)?;
        }
        Ok(replaced.within)
    }

    fn unstage(&mut self, place: usize, numbers: &HashSet<u64>) -> Result<(), ArrowError> {
        let (Some(identity), Some(rows)) = (&self.identity, self.staged.get_mut(place)) else { return Ok(()) };
        rows.batch = identity.without(&rows.batch, numbers)?;
        rows.bytes = batch_bytes(&rows.batch);
        Ok(())
    }

    /// Copies what is known of the segment only while a query holds that.
    fn supersede_in_segment(&mut self, id: SegmentId, numbers: HashSet<u64>) {
        if let Some(segment) = self.segments.iter_mut().find(|segment| segment.record.id == id) {
            Arc::make_mut(&mut Arc::make_mut(segment).superseded).extend(numbers);
        }
    }

    /// Merges the last batches as long as the one before is not larger, so that each row is copied a few times only.
    fn merge_small(&mut self) -> Result<(), Error> {
        while let [.., before, last] = self.staged.as_slice() {
            let rows = before.batch.num_rows() + last.batch.num_rows();
            if before.batch.num_rows() > last.batch.num_rows() || rows > MERGED_ROWS || !self.may_merge(before, last) {
                break;
            }
            let batch = concat_batches(&self.spec.schema, [&before.batch, &last.batch])
                .map_err(Error::arrow("merging staged rows", &self.spec.name))?;
            let merged = StagedRows {
                ids: [before.ids.as_slice(), &last.ids].concat(),
                bytes: batch_bytes(&batch),
                batch,
                since: before.since,
            };
            self.staged.truncate(self.staged.len() - 2);
            self.staged.push(merged);
        }
        Ok(())
    }

    /// Rows that are being sealed, and rows on different sides of a tombstone, stay apart.
    fn may_merge(&self, before: &StagedRows, last: &StagedRows) -> bool {
        let (Some(first), Some(through)) = (before.ids.first(), last.ids.last()) else { return false };
        let apart = |tombstone: &Tombstone| *first <= tombstone.staged_through && *through > tombstone.staged_through;
        self.sealing_through.is_none_or(|sealing| *first > sealing) && !self.tombstones.iter().any(apart)
    }

    fn take_for_sealing(&mut self, bytes: usize) -> Option<ToSeal> {
        let mut work = ToSeal { ids: Vec::new(), batches: Vec::new(), tombstones_through: last(&self.tombstones) };
        let mut taken = 0;
        for rows in &self.staged {
            if taken > 0 && taken + rows.bytes > bytes {
                break;
            }
            taken += rows.bytes;
            work.ids.extend(&rows.ids);
            work.batches.push(rows.batch.clone());
        }
        self.sealing_through = work.ids.last().copied();
        self.sealing_through.map(|_| work)
    }

    fn take_segments(&mut self, ids: &[SegmentId]) -> Vec<Arc<Segment>> {
        let (gone, kept) =
            std::mem::take(&mut self.segments).into_iter().partition(|segment| ids.contains(&segment.record.id));
        self.segments = kept;
        gone
    }

    fn bury(&mut self, tombstone: Tombstone) -> Result<(), Error> {
        let tombstone = [tombstone];
        for rows in &mut self.staged {
            // Of batches that were merged since the tombstone was made some are older than it: all of them lose such rows,
            // as if the newer had come a moment earlier.
            if let Some(first) = rows.ids.first() {
                rows.batch = without_subjects(&self.spec, *first, &rows.batch, &tombstone)?;
                rows.bytes = batch_bytes(&rows.batch);
            }
        }
        self.tombstones = self.tombstones.iter().cloned().chain(tombstone).collect();
        Ok(())
    }
}

fn with_superseded(segment: &Arc<Segment>, superseded: Superseded) -> Arc<Segment> {
    match superseded == segment.superseded {
        true => Arc::clone(segment),
        false => Arc::new(Segment { superseded, ..segment.as_ref().clone() }),
    }
}

/// The number of the last of these tombstones.
pub(crate) fn last(tombstones: &[Tombstone]) -> Option<TombstoneId> {
    tombstones.iter().map(|tombstone| tombstone.id).max()
}
