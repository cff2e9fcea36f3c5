//! What two versions of a dataset differ in, row by row.
//!
//! Rows are the same row when they have the same identifier; without a column of identifiers, when they have the same values, each as often
//! as it stands there. Only identifiers and digests are read, and of these only a part at a time: whatever the size of
//! the versions, a pass holds those of a million rows.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use qd_base::Sha256Hex;
use serde::Serialize;
use serde_json::Value;

use crate::Result;
use crate::column::Column;
use crate::dataset::{Dataset, Datasets, OWN, blocking};
use crate::encode::{Row, hashes, ids};
use crate::value::key_of;
use crate::version::id_column;

/// Rows of one pass.
const PASS_ROWS: u64 = 1_000_000;
/// Comparisons that are kept, and what they hold at most.
const KEPT: usize = 4;
const KEPT_BYTES: usize = 256 << 20;

qd_base::words!(
    /// What became of a row.
    Change, "change", {
        /// It is in the later version only.
        Added = "added",
        /// It is in the earlier version only.
        Removed = "removed",
        /// It is in both, with other values.
        Changed = "changed",
    }
);

/// All rows in which two versions differ, by their places.
#[derive(Debug, Default)]
pub struct Diff {
    /// Places in the later version.
    pub added: Vec<u32>,
    /// Places in the earlier version.
    pub removed: Vec<u32>,
    /// Places in both, the later first, by which they are in order.
    pub changed: Vec<(u32, u32)>,
    /// Rows that are the same in both.
    pub same: u64,
    /// The column whose values tell which rows are the same; none when all values do.
    pub by: Option<String>,
    /// How columns differ.
    pub columns: Vec<ColumnChange>,
}

/// A column that is not the same in both versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnChange {
    /// Its name.
    pub name: String,
    /// What it was; `None` when there was none.
    pub before: Option<Column>,
    /// What it is; `None` when there is none.
    pub after: Option<Column>,
}

/// A row in which two versions differ.
#[derive(Debug, Clone)]
pub struct Difference {
    /// What became of it.
    pub change: Change,
    /// As it was.
    pub before: Option<Row>,
    /// As it is.
    pub after: Option<Row>,
    /// Of a row that changed, the columns whose values did.
    pub columns: Vec<String>,
}

/// Comparisons of versions, which do not change, the latest first.
#[derive(Debug, Default)]
pub struct Kept(VecDeque<((Sha256Hex, Sha256Hex), Arc<Diff>)>);

impl Kept {
    fn find(&self, key: &(Sha256Hex, Sha256Hex)) -> Option<Arc<Diff>> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, diff)| Arc::clone(diff))
    }

    fn keep(&mut self, key: (Sha256Hex, Sha256Hex), diff: Arc<Diff>) {
        let kept = &mut self.0;
        kept.push_front((key, diff));
        while kept.len() > KEPT
            || (kept.len() > 1 && kept.iter().map(|(_, diff)| diff.bytes()).sum::<usize>() > KEPT_BYTES)
        {
            kept.pop_back();
        }
    }
}

impl Diff {
    fn bytes(&self) -> usize {
        4 * (self.added.len() + self.removed.len()) + 8 * self.changed.len()
    }

    /// How many rows differ in this way.
    pub fn count(&self, change: Change) -> usize {
        match change {
            Change::Added => self.added.len(),
            Change::Removed => self.removed.len(),
            Change::Changed => self.changed.len(),
        }
    }
}

impl Datasets {
    /// Compares two versions, which need not be of one dataset.
    ///
    /// # Errors
    /// [`Error::Lake`] or [`Error::Arrow`] when a file is damaged.
    pub async fn diff(&self, before: &Dataset, after: &Dataset) -> Result<Arc<Diff>> {
        let key = (before.info().hash, after.info().hash);
        // One at a time, and kept also when nobody waits for it any more: who asks again begins no other.
        let only = Arc::clone(&self.comparing).lock_owned().await;
        let (before, after, kept) = (before.clone(), after.clone(), Arc::clone(&self.diffs));
        let work = move || {
            let _only = only;
            if let Some(diff) = kept.lock().find(&key) {
                return Ok(diff);
            }
            let diff = Arc::new(compare(&before, &after)?);
            kept.lock().keep(key, Arc::clone(&diff));
            Ok(diff)
        };
        blocking("comparing versions", work).await
    }

    /// Some of the rows in which two versions differ, with their values: first those that were added, then those that were
    /// removed, then those that changed; or only those of one kind.
    ///
    /// # Errors
    /// As [`Datasets::diff`].
    pub async fn differences(
        &self,
        (before, after): (&Dataset, &Dataset),
        diff: &Diff,
        only: Option<Change>,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<Difference>> {
        let (mut skip, mut left, mut found) = (offset, limit, Vec::new());
        for change in [Change::Added, Change::Removed, Change::Changed] {
            if only.is_some_and(|only| only != change) {
                continue;
            }
            let count = diff.count(change);
            let (from, to) = (skip.min(count), skip.saturating_add(left).min(count));
            skip -= from;
            left -= to - from;
            found.extend(match change {
                Change::Added => alone(after, &diff.added[from..to], change).await?,
                Change::Removed => alone(before, &diff.removed[from..to], change).await?,
                Change::Changed => changed(before, after, &diff.changed[from..to]).await?,
            });
        }
        Ok(found)
    }
}

async fn alone(dataset: &Dataset, places: &[u32], change: Change) -> Result<Vec<Difference>> {
    let places: Vec<_> = places.iter().map(|place| u64::from(*place)).collect();
    let rows = dataset.rows_at(&places).await?.into_iter();
    Ok(rows
        .map(|row| match change {
            Change::Removed => Difference { change, before: Some(row), after: None, columns: Vec::new() },
            _ => Difference { change, before: None, after: Some(row), columns: Vec::new() },
        })
        .collect())
}

async fn changed(before: &Dataset, after: &Dataset, places: &[(u32, u32)]) -> Result<Vec<Difference>> {
    let of_after: Vec<_> = places.iter().map(|(after, _)| u64::from(*after)).collect();
    let of_before: BTreeSet<_> = places.iter().map(|(_, before)| u64::from(*before)).collect();
    let olds = before.rows_at(&of_before.into_iter().collect::<Vec<_>>()).await?;
    let olds: HashMap<_, _> = olds.into_iter().map(|row| (row.index, row)).collect();
    let news = after.rows_at(&of_after).await?;
    let pairs = places.iter().zip(news).map(|((_, old), new)| {
        let old = olds.get(&u64::from(*old)).cloned();
        let names = before.columns().iter().chain(after.columns()).map(|column| &column.name).collect::<BTreeSet<_>>();
        let value = |row: &Row, name: &String| row.values.get(name).filter(|value| !value.is_null()).cloned();
        let differs = |name: &&String| !is_same(old.as_ref().and_then(|old| value(old, name)), value(&new, name));
        let columns = names.into_iter().filter(differs).cloned().collect();
        Difference { change: Change::Changed, before: old, after: Some(new), columns }
    });
    Ok(pairs.collect())
}

/// Whether two values are the same, as the digests of their rows have it: a number is the same in whatever column it lies.
fn is_same(old: Option<Value>, new: Option<Value>) -> bool {
    match (old, new) {
        (Some(old @ Value::Number(_)), Some(new @ Value::Number(_))) => key_of(&old) == key_of(&new),
        (old, new) => old == new,
    }
}

fn compare(before: &Dataset, after: &Dataset) -> Result<Diff> {
    let by = id_column(before.columns()).filter(|id| id_column(after.columns()) == Some(*id)).map(str::to_owned);
    let mut diff = Diff { columns: column_changes(before.columns(), after.columns()), by, ..Diff::default() };
    let passes = before.len().max(after.len()).div_ceil(PASS_ROWS).max(1);
    for pass in 0..passes {
        diff.pass(before, after, |key| key % u128::from(passes) == u128::from(pass))?;
    }
    diff.added.sort_unstable();
    diff.removed.sort_unstable();
    diff.changed.sort_unstable();
    Ok(diff)
}

impl Diff {
    /// Compares the rows whose keys belong to this pass.
    fn pass(&mut self, before: &Dataset, after: &Dataset, mine: impl Fn(u128) -> bool) -> Result<()> {
        let by_id = self.by.is_some();
        let mut olds: HashMap<u128, (u32, i64)> = HashMap::new();
        each(before, by_id, &mine, |key, place, hash| _ = olds.insert(key, (place, hash)))?;
        each(after, by_id, &mine, |key, place, hash| match olds.remove(&key) {
            None => self.added.push(place),
            Some((_, old)) if old == hash => self.same += 1,
            Some((old, _)) => self.changed.push((place, old)),
        })?;
        self.removed.extend(olds.into_values().map(|(place, _)| place));
        Ok(())
    }
}

/// The key of each row of a pass with its place and the digest of its values.
fn each(
    dataset: &Dataset,
    by_id: bool,
    mine: impl Fn(u128) -> bool,
    mut take: impl FnMut(u128, u32, i64),
) -> Result<()> {
    let mut place = 0;
    let mut repeats: HashMap<i64, u32> = HashMap::new();
    for batch in dataset.batches(vec![0..u64::MAX], Some(OWN)) {
        let batch = batch?;
        for (id, hash) in ids(&batch)?.iter().zip(hashes(&batch)?.values()) {
            let key = match by_id {
                true => of_text(id.unwrap_or_default()),
                false => of_number(*hash),
            };
            // The lower bits are room for numbers.
            if mine(key >> 32) {
                let key = if by_id { key } else { key + u128::from(again(&mut repeats, *hash)) };
                take(key, place, *hash);
            }
            place += 1;
        }
    }
    Ok(())
}

/// How often the same values came before.
fn again(repeats: &mut HashMap<i64, u32>, hash: i64) -> u32 {
    let before = repeats.entry(hash).or_default();
    *before += 1;
    *before - 1
}

fn of_text(id: &str) -> u128 {
    let digest = Sha256Hex::of(id.as_bytes());
    u128::from_be_bytes(std::array::from_fn(|at| digest.as_bytes()[at]))
}

/// A digest with room below it for the number of the row among those that have the same. The pass follows from it alone.
fn of_number(hash: i64) -> u128 {
    u128::from(hash.cast_unsigned()) << 32
}

fn column_changes(before: &[Column], after: &[Column]) -> Vec<ColumnChange> {
    let find = |columns: &[Column], name: &str| columns.iter().find(|column| column.name == name).cloned();
    let gone = before.iter().filter(|column| find(after, &column.name).is_none());
    let names = after.iter().chain(gone).map(|column| column.name.clone());
    let pairs = names.map(|name| ColumnChange { before: find(before, &name), after: find(after, &name), name });
    pairs.filter(|change| change.before != change.after).collect()
}
