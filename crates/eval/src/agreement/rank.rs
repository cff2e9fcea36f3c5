//! Do two raters order the same items alike? Spearman's and Kendall's rank correlations.

use crate::agreement::MOST_ITEMS;
use crate::bootstrap::{self, student_quantile, unseen};
use crate::estimate::{Estimate, Estimated, Undefined};
use crate::interval::{Interval, Sampling};
use crate::{Error, Result};

/// Numbers that two raters gave the same items.
#[derive(Debug, Clone)]
pub struct RankedPairs {
    first: Side,
    second: Side,
}

/// One rater's numbers as places in the order of the distinct ones: equal numbers are tied.
#[derive(Debug, Clone)]
struct Side {
    level: Vec<usize>,
    levels: usize,
}

impl RankedPairs {
    /// Pairs of numbers, an item each.
    ///
    /// # Errors
    /// [`Error::Data`] for a number that is not finite, or more than [`MOST_ITEMS`] items.
    pub fn new(pairs: &[(f64, f64)]) -> Result<Self> {
        if pairs.len() > MOST_ITEMS {
            return Err(Error::data("ratings", format!("{MOST_ITEMS} items are the most")));
        }
        if pairs.iter().any(|(a, b)| !a.is_finite() || !b.is_finite()) {
            return Err(Error::data("ratings", "a number is not finite"));
        }
        let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        Ok(Self { first: Side::new(&first), second: Side::new(&second) })
    }

    /// Spearman's correlation: Pearson's of the ranks, where tied items share the mean of their ranks.
    ///
    /// The interval is the bootstrap's over items, with ranks made anew in each resample. When all items are in the same order,
    /// a share `u = 1 − (α/2)^(1/n)` of others may not have been seen; exchanging so many between both ends leaves no
    /// less than `1 − 6u(1 − u/2)²`.
    ///
    /// Spearman, "The Proof and Measurement of Association between Two Things", American Journal of Psychology 15 (1904).
    ///
    /// # Errors
    /// [`Undefined::TooFew`] for fewer than three items, [`Undefined::Constant`] when all numbers of a rater are the same.
    pub fn spearman(&self, sampling: Sampling) -> Estimated {
        let items = self.checked()?;
        let mut work = (Vec::new(), Vec::new());
        let value = self.rho(None, &mut work).ok_or(Undefined::Constant)?;
        let u = unseen(items);
        let interval = perfect(value, 1.0 - 6.0 * u * (1.0 - u / 2.0).powi(2))
            .or_else(|| bootstrap::interval(items, sampling, |drawn| self.rho(Some(drawn), &mut work)));
        Ok(Estimate { value, interval, items })
    }

    /// Kendall's tau-b: of the pairs of items, the share in the same order less that in the opposite one, with ties taken out
    /// of each side: `(C − D) / √((n₀ − n₁)(n₀ − n₂))`.
    ///
    /// The interval is the jackknife's on the scale of `atanh τ`, with Student's quantile: each item's concordant and discordant
    /// pairs are counted once, so leaving an item out costs nothing. When all items are in the same order, a share
    /// `u = 1 − (α/2)^(1/n)` of others may not have been seen, and leaves no less than `2(1 − u)² − 1`.
    ///
    /// Kendall, "The Treatment of Ties in Ranking Problems", Biometrika 33 (1945); Fieller, Hartley, Pearson, "Tests for Rank
    /// Correlation Coefficients", Biometrika 44 (1957) for the scale; counting as in Knight, JASA 61 (1966), with a Fenwick
    /// tree instead of a sort.
    ///
    /// # Errors
    /// [`Undefined::TooFew`] for fewer than three items, [`Undefined::Constant`] when all numbers of a rater are the same.
    pub fn kendall(&self) -> Estimated {
        let items = self.checked()?;
        let n = items as f64;
        let surplus = self.surplus();
        let (free_first, free_second) = (self.first.untied(), self.second.untied());
        let (pairs, first, second) = (
            surplus.iter().sum::<f64>() / 2.0,
            free_first.iter().sum::<f64>() / 2.0,
            free_second.iter().sum::<f64>() / 2.0,
        );
        let value = tau(pairs, first, second).ok_or(Undefined::Constant)?;
        let without = |item: usize| {
            tau(pairs - surplus[item], first - free_first[item], second - free_second[item]).unwrap_or(value)
        };
        let left: Vec<f64> = (0..items).map(without).collect();
        let middle = left.iter().sum::<f64>() / n;
        let spread = ((n - 1.0) / n * left.iter().map(|tau| (tau - middle).powi(2)).sum::<f64>()).sqrt();
        let half = student_quantile(n - 1.0) * spread / (1.0 - value * value);
        let end = |sign: f64| (value.atanh() + sign * half).tanh();
        let interval = perfect(value, 2.0 * (1.0 - unseen(items)).powi(2) - 1.0)
            .or(Some(Interval { low: end(-1.0), high: end(1.0) }));
        Ok(Estimate { value, interval, items })
    }

    fn checked(&self) -> std::result::Result<usize, Undefined> {
        let items = self.first.level.len();
        if items < 3 { Err(Undefined::TooFew) } else { Ok(items) }
    }

    /// Spearman's correlation of items that were drawn so often.
    fn rho(&self, drawn: Option<&[u32]>, work: &mut (Vec<f64>, Vec<f64>)) -> Option<f64> {
        let n = self.first.level.len() as f64;
        self.first.ranks(drawn, &mut work.0);
        self.second.ranks(drawn, &mut work.1);
        // Ranks lie around their mean, so that sums of squares lose nothing.
        let (mut both, mut first, mut second) = (0.0, 0.0, 0.0);
        for (item, (&a, &b)) in self.first.level.iter().zip(&self.second.level).enumerate() {
            let times = drawn.map_or(1.0, |drawn| f64::from(drawn[item]));
            let (a, b) = (work.0[a] - (n + 1.0) / 2.0, work.1[b] - (n + 1.0) / 2.0);
            both += times * a * b;
            first += times * a * a;
            second += times * b * b;
        }
        (first > 0.0 && second > 0.0).then(|| (both / (first * second).sqrt()).clamp(-1.0, 1.0))
    }

    /// Of each item the number of others in the same order less that of others in the opposite one.
    fn surplus(&self) -> Vec<f64> {
        let (x, y) = (&self.first, &self.second);
        let mut surplus = vec![0.0; x.level.len()];
        let order = x.order();
        // Those below in the first number from the left, then those above from the right.
        for (items, sign) in [(order.clone(), 1.0), (order.into_iter().rev().collect(), -1.0)] {
            let mut tree = Fenwick::new(y.levels);
            for tied in items.chunk_by(|&a, &b| x.level[a] == x.level[b]) {
                for &item in tied {
                    let (below, upto) = (tree.sum(y.level[item]), tree.sum(y.level[item] + 1));
                    surplus[item] += sign * (below - (tree.total - upto));
                }
                tied.iter().for_each(|&item| tree.add(y.level[item]));
            }
        }
        surplus
    }
}

/// The interval of a correlation of exactly 1 or −1, with `least` the lowest that 1 may be.
fn perfect(value: f64, least: f64) -> Option<Interval> {
    let interval = Interval { low: least.max(-1.0), high: 1.0 };
    let is = |of: f64| (value - of).abs() < 1e-12;
    if is(1.0) { Some(interval) } else { is(-1.0).then(|| interval.negated()) }
}

fn tau(surplus: f64, first: f64, second: f64) -> Option<f64> {
    (first > 0.0 && second > 0.0).then(|| (surplus / (first.sqrt() * second.sqrt())).clamp(-1.0, 1.0))
}

impl Side {
    fn new(values: &[f64]) -> Self {
        let mut distinct = values.to_vec();
        // 0 and −0 are the same number.
        distinct.iter_mut().for_each(|value| *value += 0.0);
        distinct.sort_unstable_by(f64::total_cmp);
        distinct.dedup();
        let level = values.iter().map(|&value| distinct.partition_point(|&other| other < value)).collect();
        Self { level, levels: distinct.len() }
    }

    fn sizes(&self) -> Vec<u32> {
        let mut sizes = vec![0; self.levels];
        self.level.iter().for_each(|&level| sizes[level] += 1);
        sizes
    }

    /// Items in ascending order.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.level.len()).collect();
        order.sort_unstable_by_key(|&item| self.level[item]);
        order
    }

    /// Of each item the number of others that are not tied with it.
    fn untied(&self) -> Vec<f64> {
        let (sizes, n) = (self.sizes(), self.level.len());
        self.level.iter().map(|&level| (n - sizes[level] as usize) as f64).collect()
    }

    /// The rank of each level when items were drawn so often.
    fn ranks(&self, drawn: Option<&[u32]>, ranks: &mut Vec<f64>) {
        ranks.clear();
        ranks.resize(self.levels, 0.0);
        for (item, &level) in self.level.iter().enumerate() {
            ranks[level] += drawn.map_or(1.0, |drawn| f64::from(drawn[item]));
        }
        let mut before = 0.0;
        for rank in ranks {
            let size = *rank;
            *rank = before + (size + 1.0) / 2.0;
            before += size;
        }
    }
}

/// Sums over the first levels, in logarithmic time.
///
/// Fenwick, "A New Data Structure for Cumulative Frequency Tables", Software: Practice and Experience 24 (1994).
struct Fenwick {
    sums: Vec<f64>,
    total: f64,
}

impl Fenwick {
    fn new(levels: usize) -> Self {
        Self { sums: vec![0.0; levels + 1], total: 0.0 }
    }

    fn add(&mut self, level: usize) {
        self.total += 1.0;
        let mut at = level + 1;
        while at < self.sums.len() {
            self.sums[at] += 1.0;
            at += at & at.wrapping_neg();
        }
    }

    /// Of the levels below `end`.
    fn sum(&self, end: usize) -> f64 {
        let (mut at, mut sum) = (end, 0.0);
        while at > 0 {
            sum += self.sums[at];
            at -= at & at.wrapping_neg();
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{TWO_BOOTSTRAPS, cases, near, number, numbers};

    fn pairs(first: &[f64], second: &[f64]) -> RankedPairs {
        RankedPairs::new(&first.iter().copied().zip(second.iter().copied()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn correlations_agree_with_scipy() {
        for case in cases("rank") {
            let of = pairs(&numbers(&case["first"]), &numbers(&case["second"]));
            let spearman = of.spearman(Sampling { resamples: 4_000, ..Sampling::default() }).unwrap();
            near(spearman.value, number(&case["spearman"]), 1e-12, &case["name"]);
            let (interval, allowed) = (spearman.interval.unwrap(), TWO_BOOTSTRAPS * number(&case["standard_error"]));
            near(interval.low, number(&case["low"]), allowed, format!("low, {}", case["name"]));
            near(interval.high, number(&case["high"]), allowed, format!("high, {}", case["name"]));
            let kendall = of.kendall().unwrap();
            near(kendall.value, number(&case["kendall"]), 1e-12, &case["name"]);
            near(kendall.interval.unwrap().low, number(&case["kendall_low"]), 1e-9, &case["name"]);
            near(kendall.interval.unwrap().high, number(&case["kendall_high"]), 1e-9, &case["name"]);
        }
    }

    #[test]
    fn what_says_nothing_has_a_name() {
        let constant = pairs(&[1.0, 1.0, 1.0, 1.0], &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(constant.spearman(Sampling::default()), Err(Undefined::Constant));
        assert_eq!(constant.kendall(), Err(Undefined::Constant));
        let few = pairs(&[1.0, 2.0], &[1.0, 2.0]);
        assert_eq!(
            (few.spearman(Sampling::default()), few.kendall()),
            (Err(Undefined::TooFew), Err(Undefined::TooFew))
        );
        assert!(RankedPairs::new(&[(f64::INFINITY, 1.0)]).is_err());
        // −0 is 0: all are tied.
        assert_eq!(pairs(&[0.0, -0.0, 0.0], &[1.0, 2.0, 3.0]).kendall(), Err(Undefined::Constant));
    }

    #[test]
    fn the_same_order_is_not_certain() {
        let up: Vec<f64> = (0..40).map(f64::from).collect();
        let down: Vec<f64> = up.iter().map(|value| -value).collect();
        // 1 − 0.025^(1/40) = 0.0881.
        let (tau, rho) = (2.0 * 0.9119_f64.powi(2) - 1.0, 1.0 - 6.0 * 0.0881 * 0.955_95_f64.powi(2));
        let (kendall, spearman) =
            (pairs(&up, &up).kendall().unwrap(), pairs(&up, &up).spearman(Sampling::default()).unwrap());
        near(kendall.interval.unwrap().low, tau, 5e-4, "τ");
        near(spearman.interval.unwrap().low, rho, 5e-4, "ρ");
        assert_eq!((kendall.interval.unwrap().high, spearman.value), (1.0, 1.0));
        near(pairs(&up, &down).kendall().unwrap().interval.unwrap().high, -tau, 5e-4, "−τ");
    }

    proptest! {
        /// Only the order counts, and the opposite order is the opposite correlation.
        #[test]
        fn only_the_order_counts(of in prop::collection::vec((-5_i32..5, -5_i32..5), 3..50)) {
            let none = Sampling { resamples: 0, ..Sampling::default() };
            let (first, second): (Vec<f64>, Vec<f64>) = of.iter().map(|&(a, b)| (f64::from(a), f64::from(b))).unzip();
            let bent: Vec<f64> = first.iter().map(|x| (x / 3.0).exp()).collect();
            let opposite: Vec<f64> = second.iter().map(|x| -x).collect();
            for of in [|of: &RankedPairs, _| of.kendall(), |of: &RankedPairs, none| of.spearman(none)] {
                let found = of(&pairs(&first, &second), none).map(|found| found.value);
                let same = of(&pairs(&second, &bent), none).map(|found| found.value);
                let other = of(&pairs(&first, &opposite), none).map(|found| -found.value);
                for told in [same, other] {
                    prop_assert_eq!(found.is_ok(), told.is_ok());
                    prop_assert!((found.unwrap_or(0.0) - told.unwrap_or(0.0)).abs() < 1e-12);
                }
            }
        }
    }
}
