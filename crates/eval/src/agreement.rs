//! Do two raters agree, and by how much more than chance? A judge and a person, or two people.
//!
//! [`Pairs`] are classes that two raters gave the same items. Ratings of any number of raters, with some missing, are for
//! [`alpha`]; numbers of which only the order counts for [`rank`].

pub mod alpha;
pub mod rank;

use serde::{Deserialize, Serialize};

use crate::bootstrap::{self, unseen};
use crate::estimate::{Estimate, Estimated, Undefined};
use crate::interval::{self, Interval, Sampling};
use crate::{Error, Result};

/// Items of one calculation of agreement at most.
pub const MOST_ITEMS: usize = 200_000;
/// Classes at most.
pub const MOST_CLASSES: usize = 256;

/// The classes that two raters gave to the same items.
#[derive(Debug, Clone)]
pub struct Pairs {
    classes: usize,
    /// Of each item `first · classes + second`.
    cells: Vec<usize>,
}

/// How much a disagreement counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Weights {
    /// All the same: classes have no order. This is Cohen's kappa.
    Nominal,
    /// By the number of steps between two classes.
    Linear,
    /// By the square of that number.
    Quadratic,
}

impl Pairs {
    /// Classes by number, from 0 on, in their order where they have one.
    ///
    /// # Errors
    /// [`Error::Data`] for a class that is not below `classes`, or more than [`MOST_ITEMS`] or [`MOST_CLASSES`].
    pub fn new(pairs: &[(usize, usize)], classes: usize) -> Result<Self> {
        if classes > MOST_CLASSES || pairs.len() > MOST_ITEMS {
            return Err(Error::data("ratings", format!("{MOST_ITEMS} items of {MOST_CLASSES} classes are the most")));
        }
        if pairs.iter().any(|&(a, b)| a >= classes || b >= classes) {
            return Err(Error::data("ratings", format!("a class is not one of the {classes}")));
        }
        Ok(Self { classes, cells: pairs.iter().map(|(a, b)| a * classes + b).collect() })
    }

    /// How many items each pair of classes has: the first rater's class is the row.
    pub fn confusion(&self) -> Vec<Vec<u64>> {
        let mut counts = vec![vec![0; self.classes]; self.classes];
        self.cells.iter().for_each(|cell| counts[cell / self.classes][cell % self.classes] += 1);
        counts
    }

    /// The share of items to which both gave the same class, with Wilson's interval.
    ///
    /// # Errors
    /// [`Undefined::TooFew`] without items.
    pub fn accuracy(&self) -> Estimated {
        let items = self.cells.len();
        let same = self.cells.iter().filter(|&&cell| self.is_same(cell)).count();
        if items == 0 {
            return Err(Undefined::TooFew);
        }
        let interval = Some(interval::wilson(same as u64, items as u64));
        Ok(Estimate { value: same as f64 / items as f64, interval, items })
    }

    /// Cohen's kappa: 1 when the two always agree, 0 when they agree as often as if each drew its classes by itself.
    ///
    /// `κ = 1 − Σ w·o / Σ w·e`, with `o` the shares of pairs of classes, `e` the products of the shares of the first
    /// rater's class and the second's, and `w` the weight of a disagreement: 1, `|i − j|` or `(i − j)²`.
    ///
    /// The interval is the bootstrap's over items. When all agree nothing is left to draw from: a disagreement that was not seen
    /// in `n` items has a share of at most `1 − (α/2)^(1/n)`, and may weigh as much as the heaviest.
    ///
    /// Cohen, "A Coefficient of Agreement for Nominal Scales", Educational and Psychological Measurement 20 (1960); Cohen,
    /// "Weighted Kappa", Psychological Bulletin 70 (1968).
    ///
    /// # Errors
    /// [`Undefined::TooFew`] for fewer than two items, [`Undefined::OneValue`] when both gave one and the same class
    /// to all.
    pub fn kappa(&self, weights: Weights, sampling: Sampling) -> Estimated {
        let items = self.cells.len();
        if items < 2 {
            return Err(Undefined::TooFew);
        }
        let table = KappaTable::new(self.classes, weights);
        let mut counts = vec![0.0; self.classes * self.classes];
        let mut of = |drawn: Option<&[u32]>| {
            counts.fill(0.0);
            for (item, &cell) in self.cells.iter().enumerate() {
                counts[cell] += drawn.map_or(1.0, |drawn| f64::from(drawn[item]));
            }
            table.kappa(&counts, items as f64)
        };
        let (value, by_chance) = of(None).ok_or(Undefined::OneValue)?;
        let interval = if self.cells.iter().all(|&cell| self.is_same(cell)) {
            let low = 1.0 - unseen(items) * table.heaviest() / by_chance;
            Some(Interval { low: low.max(-1.0), high: 1.0 })
        } else {
            bootstrap::interval(items, sampling, |drawn| of(Some(drawn)).map(|(kappa, _)| kappa))
        };
        Ok(Estimate { value, interval, items })
    }

    fn is_same(&self, cell: usize) -> bool {
        cell / self.classes == cell % self.classes
    }
}

/// The weights of disagreements by cell.
struct KappaTable {
    classes: usize,
    weights: Vec<f64>,
}

impl KappaTable {
    fn new(classes: usize, weights: Weights) -> Self {
        let weight = |cell: usize| {
            let apart = (cell / classes).abs_diff(cell % classes) as f64;
            match weights {
                Weights::Nominal => f64::from(u8::from(apart > 0.0)),
                Weights::Linear => apart,
                Weights::Quadratic => apart * apart,
            }
        };
        Self { classes, weights: (0..classes * classes).map(weight).collect() }
    }

    fn heaviest(&self) -> f64 {
        self.weights.iter().copied().fold(0.0, f64::max)
    }

    /// Kappa of the numbers of items by cell, and the disagreement that chance would make; none when it would make none.
    fn kappa(&self, counts: &[f64], items: f64) -> Option<(f64, f64)> {
        let (mut first, mut second) = (vec![0.0; self.classes], vec![0.0; self.classes]);
        for (cell, count) in counts.iter().enumerate() {
            first[cell / self.classes] += count;
            second[cell % self.classes] += count;
        }
        let seen: f64 = self.weights.iter().zip(counts).map(|(weight, count)| weight * count).sum::<f64>() / items;
        let product = |cell: usize| first[cell / self.classes] * second[cell % self.classes];
        let by_chance: f64 =
            self.weights.iter().enumerate().map(|(cell, weight)| weight * product(cell)).sum::<f64>() / (items * items);
        (by_chance > 0.0).then(|| (1.0 - seen / by_chance, by_chance))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{TWO_BOOTSTRAPS, cases, near, number, places};

    fn few() -> Sampling {
        Sampling { resamples: 200, ..Sampling::default() }
    }

    #[test]
    fn kappa_agrees_with_scikit_learn() {
        for case in cases("kappa") {
            let (first, second) = (places(&case["first"]), places(&case["second"]));
            let of: Vec<(usize, usize)> = first.into_iter().zip(second).collect();
            let pairs = Pairs::new(&of, case["classes"].as_u64().unwrap() as usize).unwrap();
            let weights: Weights = serde_json::from_value(case["weights"].clone()).unwrap();
            let found = pairs.kappa(weights, Sampling { resamples: 4_000, ..Sampling::default() }).unwrap();
            near(found.value, number(&case["kappa"]), 1e-12, &case["weights"]);
            near(pairs.accuracy().unwrap().value, number(&case["accuracy"]), 1e-12, "accuracy");
            let (interval, allowed) = (found.interval.unwrap(), TWO_BOOTSTRAPS * number(&case["standard_error"]));
            near(interval.low, number(&case["low"]), allowed, format!("low of {} {}", of.len(), case["weights"]));
            near(interval.high, number(&case["high"]), allowed, format!("high of {} {}", of.len(), case["weights"]));
        }
    }

    /// Cohen's own table (1960), of 200 items: κ = (0.70 − 0.41)/(1 − 0.41) = 0.4915.
    #[test]
    fn cohens_table() {
        let table = [[88, 14, 18], [10, 40, 10], [2, 6, 12]];
        let cell = |(a, b, n): (usize, usize, usize)| vec![(a, b); n];
        let of: Vec<(usize, usize)> = (0..9).map(|at| (at / 3, at % 3, table[at / 3][at % 3])).flat_map(cell).collect();
        let pairs = Pairs::new(&of, 3).unwrap();
        near(pairs.kappa(Weights::Nominal, few()).unwrap().value, 0.29 / 0.59, 1e-12, "κ");
        assert_eq!(pairs.confusion()[0], [88, 14, 18]);
    }

    #[test]
    fn what_says_nothing_has_a_name() {
        let of = |pairs: &[(usize, usize)]| Pairs::new(pairs, 3).unwrap().kappa(Weights::Quadratic, few());
        assert_eq!(of(&[(1, 1); 20]), Err(Undefined::OneValue));
        assert_eq!(of(&[(1, 2)]), Err(Undefined::TooFew));
        assert_eq!(Pairs::new(&[], 3).unwrap().accuracy(), Err(Undefined::TooFew));
        // One always says the same, the other does not: chance explains all of it.
        near(of(&[(1, 1), (1, 0), (1, 2), (1, 1)]).unwrap().value, 0.0, 1e-12, "κ");
        assert!(Pairs::new(&[(0, 3)], 3).is_err());
        assert!(Pairs::new(&[], 1_000).is_err());
    }

    #[test]
    fn always_agreeing_is_not_certain() {
        let of: Vec<(usize, usize)> = (0..50).map(|item| (item % 2, item % 2)).collect();
        let found = Pairs::new(&of, 2).unwrap().kappa(Weights::Nominal, few()).unwrap();
        // 1 − 0.025^(1/50) = 0.0711 of others, and by chance one half disagrees.
        let interval = found.interval.unwrap();
        near(interval.low, 1.0 - 2.0 * 0.0711, 2e-4, "low");
        assert_eq!((found.value, interval.high), (1.0, 1.0));
    }

    fn kappas(of: &[(usize, usize)], weights: Weights) -> Option<f64> {
        Pairs::new(of, 4).unwrap().kappa(weights, Sampling { resamples: 0, ..few() }).ok().map(|found| found.value)
    }

    proptest! {
        /// Who is called the first rater makes no difference, nor the order of items, nor (without an order) the names of classes.
        #[test]
        fn names_say_nothing(of in prop::collection::vec((0_usize..4, 0_usize..4), 2..60)) {
            for weights in [Weights::Nominal, Weights::Linear, Weights::Quadratic] {
                let found = kappas(&of, weights);
                let swapped: Vec<(usize, usize)> = of.iter().rev().map(|&(a, b)| (b, a)).collect();
                let reversed: Vec<(usize, usize)> = of.iter().map(|&(a, b)| (3 - a, 3 - b)).collect();
                for other in [kappas(&swapped, weights), kappas(&reversed, weights)] {
                    prop_assert_eq!(found.is_some(), other.is_some());
                    prop_assert!((found.unwrap_or(0.0) - other.unwrap_or(0.0)).abs() < 1e-12);
                }
                prop_assert!(found.unwrap_or(0.0) <= 1.0);
            }
        }

        /// Of two classes a disagreement is a disagreement.
        #[test]
        fn weights_say_nothing_of_two_classes(of in prop::collection::vec((0_usize..2, 0_usize..2), 2..60)) {
            prop_assert_eq!(kappas(&of, Weights::Nominal), kappas(&of, Weights::Linear));
            prop_assert_eq!(kappas(&of, Weights::Nominal), kappas(&of, Weights::Quadratic));
        }
    }
}
