//! The scores of one cell: for each item one number, the mean of its repeats.

use std::collections::BTreeMap;

use crate::interval::{self, Interval, Sampling};
use crate::score::{Direction, Unit};

/// Scores over items.
///
/// An item that was answered several times counts once, with the mean of its scores: its repeats are not independent, so
/// items are what is drawn and flipped (a cluster bootstrap with items as clusters; Davison, Hinkley: Bootstrap Methods
/// and their Application (1997), section 3.8).
#[derive(Debug, Clone)]
pub struct Column {
    /// What is counted.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    bounds: Option<(f64, f64)>,
    items: BTreeMap<u64, Item>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Item {
    sum: f64,
    scores: u32,
}

impl Item {
    fn mean(self) -> f64 {
        self.sum / f64::from(self.scores)
    }

    fn is_yes_or_no(self) -> bool {
        self.scores == 1 && (self.sum == 0.0 || self.sum == 1.0)
    }
}

impl Column {
    /// A column without scores.
    pub fn new(unit: Unit, direction: Direction) -> Self {
        Self { unit, direction, bounds: unit.bounds(), items: BTreeMap::new() }
    }

    /// A column whose scores lie within other bounds than those of their unit: what a judge says from 1 to 5.
    #[must_use]
    pub fn within(self, bounds: Option<(f64, f64)>) -> Self {
        Self { bounds, ..self }
    }

    /// The lowest and the highest score that there can be, where there are such.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        self.bounds
    }

    /// Adds the score of one answer to an item.
    pub fn push(&mut self, item: u64, score: f64) {
        let entry = self.items.entry(item).or_default();
        entry.sum += score;
        entry.scores += 1;
    }

    /// Items that have a score.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether no item has one.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The score of an item.
    pub fn get(&self, item: u64) -> Option<f64> {
        self.items.get(&item).map(|item| item.mean())
    }

    /// The items that have a score, ascending.
    pub fn items(&self) -> impl Iterator<Item = u64> {
        self.items.keys().copied()
    }

    /// Their scores, in the order of the items.
    pub fn values(&self) -> Vec<f64> {
        self.items.values().map(|item| item.mean()).collect()
    }

    /// The mean over items; none without any.
    pub fn mean(&self) -> Option<f64> {
        interval::mean(&self.values())
    }

    /// Whether each item has one answer that is right or wrong.
    pub fn is_binary(&self) -> bool {
        self.unit == Unit::Share && self.items.values().all(|item| item.is_yes_or_no())
    }

    /// Where the mean of all such items lies, with 95 % confidence: Wilson's interval for answers that are right or wrong,
    /// the bootstrap's for other scores. None with fewer than two items.
    pub fn interval(&self, sampling: Sampling) -> Option<Interval> {
        let values = self.values();
        if self.is_binary() && values.len() > 1 {
            let right = values.iter().filter(|&&value| value == 1.0).count();
            return Some(interval::wilson(right as u64, values.len() as u64));
        }
        interval::bootstrap_mean(&values, self.bounds, sampling)
    }

    /// The scores of the items that both have, as pairs.
    pub fn pairs(&self, other: &Self) -> Vec<(f64, f64)> {
        self.items.iter().filter_map(|(&item, score)| Some((score.mean(), other.get(item)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_of_an_item_count_once() {
        let mut column = Column::new(Unit::Share, Direction::Higher);
        for (item, score) in [(7, 1.0), (7, 0.0), (7, 0.0), (3, 1.0)] {
            column.push(item, score);
        }
        // (1/3 + 1) / 2, not 2/4.
        assert_eq!((column.len(), column.mean()), (2, Some((1.0 / 3.0 + 1.0) / 2.0)));
        assert_eq!(column.values(), [1.0, 1.0 / 3.0]);
        assert!(!column.is_binary(), "an item with three answers is not right or wrong");
        assert_eq!(Column::new(Unit::Share, Direction::Higher).mean(), None);
    }

    /// Ten fives of a scale from 1 to 5: 1 − 0.025^(1/10) = 0.3085 of others may be at its other end.
    #[test]
    fn scores_that_are_all_the_same_may_have_others_within_their_bounds() {
        let mut column = Column::new(Unit::Count, Direction::Higher).within(Some((1.0, 5.0)));
        (0..10).for_each(|item| column.push(item, 5.0));
        let interval = column.interval(Sampling::default()).unwrap();
        assert!((interval.low - (5.0 - 4.0 * 0.3085)).abs() < 1e-3 && interval.high == 5.0, "{interval:?}");
    }
}
