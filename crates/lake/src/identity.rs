//! Rows that are the same thing told again: the last one that came is shown, the others are not.
//!
//! A table may name columns that together identify what a row is about. Of the last [`KNOWN_ROWS`] rows it is known where
//! each lies; when one comes again, the row before it is taken out of the staged rows in memory, or noted as superseded
//! beside the segment that holds it. Queries leave superseded rows out, a segment that has some does without its summaries,
//! and compaction writes it without them. Nothing of this is recorded: when a lake is opened the staged rows, in their
//! order, and the rows of the newest segments tell it again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use qd_base::SegmentId;
use qd_catalog::StagedId;

/// Rows whose place is known. A row that comes again after so many others is shown beside the first; 32 bytes each.
pub(crate) const KNOWN_ROWS: usize = 1 << 20;
/// Rows of segments whose place is found out again when a lake is opened.
pub(crate) const RECALLED_ROWS: u64 = 1 << 18;

/// Identities of rows, as numbers that differ from process to process, so that nobody can make two of them equal.
pub(crate) type Superseded = Arc<HashSet<u64>>;

/// Which columns identify a row, and how they become a number.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    columns: Vec<&'static str>,
    state: RandomState,
}

impl Identity {
    /// None when a table names no columns.
    pub fn of(columns: &[&'static str]) -> Option<Arc<Self>> {
        (!columns.is_empty()).then(|| Arc::new(Self { columns: columns.to_vec(), state: RandomState::new() }))
    }

    pub fn columns(&self) -> &[&'static str] {
        &self.columns
    }

    /// The identity of each row.
    pub fn numbers(&self, batch: &RecordBatch) -> Result<Vec<u64>, ArrowError> {
        let columns = self.columns.iter().map(|name| {
            batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("column {name:?} is missing")))
        });
        self.of_columns(&columns.map(|column| column.cloned()).collect::<Result<Vec<_>, _>>()?)
    }

    fn of_columns(&self, columns: &[ArrayRef]) -> Result<Vec<u64>, ArrowError> {
        let texts = columns.iter().map(|column| cast(column, &DataType::Utf8View)).collect::<Result<Vec<_>, _>>()?;
        let texts: Vec<_> = texts.iter().map(|column| column.as_string_view()).collect();
        let rows = texts.first().map_or(0, |column| column.len());
        Ok((0..rows)
            .map(|row| {
                let mut hasher = self.state.build_hasher();
                for text in &texts {
                    hasher.write(text.value(row).as_bytes());
                    // No byte of a text, so that texts do not run into each other.
                    hasher.write_u8(0xff);
                }
                hasher.finish()
            })
            .collect())
    }

    /// The rows of a batch that are none of these.
    pub fn without(&self, batch: &RecordBatch, superseded: &HashSet<u64>) -> Result<RecordBatch, ArrowError> {
        let stay: BooleanArray = self.numbers(batch)?.iter().map(|number| Some(!superseded.contains(number))).collect();
        filter_record_batch(batch, &stay)
    }

    /// A filter over rows of `schema`: true for those that are not superseded.
    pub fn current(
        self: &Arc<Self>,
        schema: &SchemaRef,
        superseded: &Superseded,
    ) -> Result<Arc<dyn PhysicalExpr>, DataFusionError> {
        let arguments = self.columns.iter().map(|name| col(name, schema)).collect::<Result<Vec<_>, _>>()?;
        let types = arguments.iter().map(|argument| argument.data_type(schema)).collect::<Result<Vec<_>, _>>()?;
        let (identity, superseded) = (Arc::clone(self), Arc::clone(superseded));
        let is_current = move |values: &[ColumnarValue]| {
            let numbers = identity.of_columns(&ColumnarValue::values_to_arrays(values)?)?;
            let current: BooleanArray = numbers.iter().map(|number| Some(!superseded.contains(number))).collect();
            Ok(ColumnarValue::Array(Arc::new(current)))
        };
        let name = "is_current";
        let function = create_udf(name, types, DataType::Boolean, Volatility::Immutable, Arc::new(is_current));
        let answer = Arc::new(Field::new(name, DataType::Boolean, true));
        let options = Arc::new(ConfigOptions::default());
        Ok(Arc::new(ScalarFunctionExpr::new(name, Arc::new(function), arguments, answer, options)))
    }
}

/// Where a group of rows lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    Staged(StagedId),
    Segment(SegmentId),
    /// They were removed, or nobody knows.
    Gone,
}

/// Rows that came together.
#[derive(Debug)]
struct Group {
    home: Home,
    numbers: Vec<u64>,
}

/// Where the rows that came last lie.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// The number of the group that a row came with last.
    places: HashMap<u64, u64>,
    groups: VecDeque<Group>,
    /// The number of the first group.
    first: u64,
    rows: usize,
}

/// What a group of rows takes the place of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Replaced {
    /// By where they lie.
    pub elsewhere: Vec<(Home, HashSet<u64>)>,
    /// Rows of the group itself, by their position, that another of it takes the place of.
    pub within: Vec<usize>,
}

impl Known {
    /// Notes a group of rows, and returns what it takes the place of.
    pub fn note(&mut self, home: Home, numbers: Vec<u64>) -> Replaced {
        let group = self.first + self.groups.len() as u64;
        let mut replaced = Replaced::default();
        let mut elsewhere = HashMap::<u64, HashSet<u64>>::new();
        let mut twice = HashSet::new();
        for number in &numbers {
            match self.places.insert(*number, group) {
                None => {}
                Some(before) if before == group => drop(twice.insert(*number)),
                Some(before) => drop(elsewhere.entry(before).or_default().insert(*number)),
            }
        }
        if !twice.is_empty() {
            // Of those that come twice, the last stays.
            for position in (0..numbers.len()).rev().filter(|&position| twice.contains(&numbers[position])) {
                replaced.within.push(position);
            }
            let mut last = HashSet::new();
            replaced.within.retain(|&position| !last.insert(numbers[position]));
        }
        for (before, numbers) in elsewhere {
            let home = self.home(before);
            match replaced.elsewhere.iter_mut().find(|(other, _)| *other == home) {
                Some((_, others)) => others.extend(numbers),
                None => replaced.elsewhere.push((home, numbers)),
            }
        }
        self.rows += numbers.len();
        self.groups.push_back(Group { home, numbers });
        self.forget();
        replaced
    }

    fn home(&self, group: u64) -> Home {
        let place = group.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.groups.get(place)).map_or(Home::Gone, |group| group.home)
    }

    /// Lets go of the oldest rows while there are too many, but not of staged ones, whose order still matters.
    fn forget(&mut self) {
        while self.rows > KNOWN_ROWS
            && let Some(oldest) = self.groups.front()
            && !matches!(oldest.home, Home::Staged(_))
        {
            let oldest = self.groups.pop_front().map(|group| group.numbers).unwrap_or_default();
            for number in &oldest {
                if self.places.get(number) == Some(&self.first) {
                    self.places.remove(number);
                }
            }
            self.rows -= oldest.len();
            self.first += 1;
        }
    }

    /// Rows have moved.
    pub fn moved(&mut self, from: impl Fn(Home) -> bool, to: Home) {
        self.groups.iter_mut().filter(|group| from(group.home)).for_each(|group| group.home = to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(numbers: impl IntoIterator<Item = u64>) -> HashSet<u64> {
        numbers.into_iter().collect()
    }

    #[test]
    fn what_comes_again_takes_the_place_of_what_came_before() {
        let mut known = Known::default();
        let staged = |id| Home::Staged(StagedId(id));
        assert_eq!(known.note(staged(1), vec![1, 2, 3]), Replaced::default());
        let replaced = known.note(staged(2), vec![3, 4, 4, 4]);
        assert_eq!(replaced, Replaced { elsewhere: vec![(staged(1), set([3]))], within: vec![2, 1] });
        let segment = Home::Segment(SegmentId::new());
        known.moved(|home| matches!(home, Home::Staged(_)), segment);
        assert_eq!(known.note(staged(3), vec![1, 3, 9]).elsewhere, [(segment, set([1, 3]))]);
        assert_eq!(known.note(staged(4), vec![3]).elsewhere, [(staged(3), set([3]))]);
    }

    #[test]
    fn the_oldest_are_forgotten_unless_they_are_staged() {
        let mut known = Known::default();
        known.note(Home::Staged(StagedId(1)), (0..10).collect());
        known.note(Home::Staged(StagedId(2)), (10..KNOWN_ROWS as u64 + 10).collect());
        assert_eq!((known.rows, known.places.len()), (KNOWN_ROWS + 10, KNOWN_ROWS + 10));
        known.moved(|home| home == Home::Staged(StagedId(1)), Home::Gone);
        known.note(Home::Staged(StagedId(3)), vec![5]);
        assert_eq!(
            (known.rows, known.places.contains_key(&0), known.places.contains_key(&5)),
            (KNOWN_ROWS + 1, false, true)
        );
    }
}
