//! Krippendorff's alpha: do any number of raters agree, of whom some rated only some of the items?

use serde::{Deserialize, Serialize};

use crate::agreement::MOST_ITEMS;
use crate::bootstrap::{self, unseen};
use crate::estimate::{Estimate, Estimated, LARGEST, Undefined};
use crate::interval::{Interval, Sampling};
use crate::{Error, Result};

/// Ratings at most, and of one item.
const MOST_RATINGS: usize = 1_000_000;
const MOST_RATERS: usize = 100;
/// Distinct numbers of a ratio scale at most: each pair of them has a difference of its own.
const MOST_RATIO_VALUES: usize = 512;

/// What a difference of two ratings means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// They are different or they are not.
    Nominal,
    /// Only the order counts: the difference is the number of ratings between them, squared.
    Ordinal,
    /// The difference squared.
    Interval,
    /// The difference by the sum, squared, so that 1 against 2 is as much as 10 against 20. Of numbers from 0 on.
    Ratio,
}

/// Ratings of items by raters, as far as there are such.
#[derive(Debug, Clone)]
pub struct Ratings {
    /// The distinct numbers, ascending.
    values: Vec<f64>,
    /// Of each item that two or more rated the places of its ratings in `values`, ascending.
    units: Vec<Vec<usize>>,
}

impl Ratings {
    /// A row of ratings for each item; none where a rater said nothing. Items that fewer than two rated say nothing of
    /// agreement and are left out.
    ///
    /// # Errors
    /// [`Error::Data`] for a number that is not finite or beyond 10¹⁰⁰, more than [`MOST_ITEMS`] items, a million ratings or 100 of
    /// one item.
    pub fn new(items: &[Vec<Option<f64>>]) -> Result<Self> {
        if items.len() > MOST_ITEMS || items.iter().map(Vec::len).sum::<usize>() > MOST_RATINGS {
            return Err(Error::data("ratings", format!("{MOST_ITEMS} items and {MOST_RATINGS} ratings are the most")));
        }
        // 0 and −0 are the same number.
        let rated: Vec<Vec<f64>> =
            items.iter().map(|row| row.iter().flatten().map(|value| value + 0.0).collect::<Vec<_>>()).collect();
        let rated: Vec<Vec<f64>> = rated.into_iter().filter(|row| row.len() > 1).collect();
        if rated.iter().any(|row| row.len() > MOST_RATERS) {
            return Err(Error::data("ratings", format!("{MOST_RATERS} raters of one item are the most")));
        }
        let mut values: Vec<f64> = rated.iter().flatten().copied().collect();
        if !values.iter().all(|value| value.abs() <= LARGEST) {
            return Err(Error::data("ratings", format!("a number is not from -{LARGEST:e} to {LARGEST:e}")));
        }
        values.sort_unstable_by(f64::total_cmp);
        values.dedup();
        let place = |value: &f64| values.partition_point(|other| other < value);
        let mut units: Vec<Vec<usize>> = rated.iter().map(|row| row.iter().map(place).collect()).collect();
        units.iter_mut().for_each(|unit| unit.sort_unstable());
        Ok(Self { values, units })
    }

    /// Alpha: 1 when all raters of an item always agree, 0 when ratings agree as if they were dealt out at random.
    ///
    /// `α = 1 − Dₒ/Dₑ`. Dₒ is the mean difference `δ²` of two ratings of the same item, in which each item counts by its number of
    /// ratings; Dₑ that of any two ratings. On the ordinal scale `δ²` is the square of the difference of two mean ranks, which is
    /// what Krippendorff's sum of ratings between two comes to.
    ///
    /// The interval is the bootstrap's over items. When all agree, a share of at most `1 − (α/2)^(1/n)` of others may not have been
    /// seen, in which ratings may be as far apart as the farthest.
    ///
    /// Krippendorff, Content Analysis, 3rd edition (2013), chapter 12; Hayes, Krippendorff, "Answering the Call for a Standard
    /// Reliability Measure for Coding Data", Communication Methods and Measures 1 (2007); resampling of items as in Zapf,
    /// Castell, Morawietz, Karch, "Measuring inter-rater reliability for nominal data", BMC Medical Research Methodology 16 (2016).
    ///
    /// # Errors
    /// [`Undefined::TooFew`] for fewer than two items that two or more rated, [`Undefined::OneValue`] when all their ratings
    /// are the same.
    ///
    /// [`Error::Data`] for a ratio scale with a number below 0 or over 512 distinct ones.
    pub fn alpha(&self, scale: Scale, sampling: Sampling) -> Result<Estimated> {
        if scale == Scale::Ratio {
            self.checked_ratio()?;
        }
        Ok(self.estimated(scale, sampling))
    }

    fn checked_ratio(&self) -> Result<()> {
        if self.values.first().is_some_and(|&least| least < 0.0) {
            return Err(Error::data("ratings", "a ratio scale begins at 0"));
        }
        if self.values.len() > MOST_RATIO_VALUES {
            return Err(Error::data(
                "ratings",
                format!("{MOST_RATIO_VALUES} distinct numbers of a ratio scale are the most"),
            ));
        }
        Ok(())
    }

    fn estimated(&self, scale: Scale, sampling: Sampling) -> Estimated {
        let items = self.units.len();
        if items < 2 {
            return Err(Undefined::TooFew);
        }
        let mut difference = Difference::new(self, scale);
        let (seen, by_chance) = difference.both(self, None).ok_or(Undefined::OneValue)?;
        let interval = if seen == 0.0 {
            let low = 1.0 - unseen(items) * difference.farthest() / by_chance;
            Some(Interval { low: low.max(-1.0), high: 1.0 })
        } else {
            let of = |drawn: &[u32]| difference.both(self, Some(drawn)).map(|(seen, by_chance)| 1.0 - seen / by_chance);
            bootstrap::interval(items, sampling, of)
        };
        Ok(Estimate { value: 1.0 - seen / by_chance, interval, items })
    }
}

/// The differences of one scale, over ratings of which some are drawn more often than others.
struct Difference {
    scale: Scale,
    /// What the squared difference is of: the numbers, or on the ordinal scale their mean ranks in this resample.
    at: Vec<f64>,
    /// How often each number is there.
    counts: Vec<f64>,
    /// On the ratio scale the difference of each pair, in rows.
    ratio: Vec<f64>,
}

impl Difference {
    fn new(ratings: &Ratings, scale: Scale) -> Self {
        let values = &ratings.values;
        let ratio = |a: f64, b: f64| if a == b { 0.0 } else { ((a - b) / (a + b)).powi(2) };
        let pairs = values.iter().flat_map(|&a| values.iter().map(move |&b| ratio(a, b)));
        // Numbers far from 0 would lose their digits when squared.
        let middle = values.iter().sum::<f64>() / values.len().max(1) as f64;
        Self {
            scale,
            at: values.iter().map(|value| value - middle).collect(),
            counts: vec![0.0; values.len()],
            ratio: if scale == Scale::Ratio { pairs.collect() } else { Vec::new() },
        }
    }

    /// Dₒ and Dₑ; none when all ratings are the same.
    fn both(&mut self, ratings: &Ratings, drawn: Option<&[u32]>) -> Option<(f64, f64)> {
        let times = |item: usize| drawn.map_or(1.0, |drawn| f64::from(drawn[item]));
        self.counts.fill(0.0);
        for (item, unit) in ratings.units.iter().enumerate() {
            unit.iter().for_each(|&value| self.counts[value] += times(item));
        }
        let total: f64 = self.counts.iter().sum();
        if self.scale == Scale::Ordinal {
            self.rank();
        }
        let by_chance = self.among_all() / (total * (total - 1.0));
        let within = ratings.units.iter().enumerate().map(|(item, unit)| match times(item) {
            0.0 => 0.0,
            times => times * self.within(unit) / (unit.len() - 1) as f64,
        });
        let seen = within.sum::<f64>() / total;
        (by_chance > 0.0).then_some((seen, by_chance))
    }

    /// The mean rank of each number.
    fn rank(&mut self) {
        let total: f64 = self.counts.iter().sum();
        let mut before = -total / 2.0;
        for (at, count) in self.at.iter_mut().zip(&self.counts) {
            *at = before + count / 2.0;
            before += count;
        }
    }

    /// The differences of all ordered pairs of ratings, added up.
    fn among_all(&self) -> f64 {
        let total: f64 = self.counts.iter().sum();
        let values = self.counts.len();
        match self.scale {
            Scale::Nominal => total * total - self.counts.iter().map(|count| count * count).sum::<f64>(),
            Scale::Ratio => (0..values).map(|a| self.counts[a] * self.row(a)).sum(),
            Scale::Ordinal | Scale::Interval => {
                let sum: f64 = self.counts.iter().zip(&self.at).map(|(count, at)| count * at).sum();
                let middle = sum / total;
                let squares = self.counts.iter().zip(&self.at).map(|(count, at)| count * (at - middle).powi(2));
                2.0 * total * squares.sum::<f64>()
            }
        }
    }

    fn row(&self, a: usize) -> f64 {
        let row = &self.ratio[a * self.counts.len()..];
        self.counts.iter().zip(row).map(|(count, difference)| count * difference).sum()
    }

    /// The differences of all ordered pairs of ratings of an item, added up. Exactly 0 when all are the same.
    fn within(&self, unit: &[usize]) -> f64 {
        let raters = unit.len() as f64;
        match self.scale {
            Scale::Nominal => {
                raters * raters - unit.chunk_by(|a, b| a == b).map(|same| (same.len() as f64).powi(2)).sum::<f64>()
            }
            Scale::Ratio => {
                let pairs = unit.iter().enumerate().flat_map(|(place, &a)| unit[..place].iter().map(move |&b| (a, b)));
                pairs.map(|(a, b)| 2.0 * self.ratio[a * self.counts.len() + b]).sum()
            }
            Scale::Ordinal | Scale::Interval => {
                let (mut sum, mut squares) = (0.0, 0.0);
                for &value in unit {
                    let apart = self.at[value] - self.at[unit[0]];
                    sum += apart;
                    squares += apart * apart;
                }
                2.0 * (raters * squares - sum * sum)
            }
        }
    }

    /// The largest difference of two numbers.
    fn farthest(&self) -> f64 {
        let last = self.at.len() - 1;
        match self.scale {
            Scale::Nominal => 1.0,
            Scale::Ratio => self.ratio.iter().copied().fold(0.0, f64::max),
            Scale::Ordinal | Scale::Interval => (self.at[last] - self.at[0]).powi(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::reference::{TWO_BOOTSTRAPS, cases, near, number};

    fn none() -> Sampling {
        Sampling { resamples: 0, ..Sampling::default() }
    }

    #[test]
    fn alpha_agrees_with_krippendorff() {
        for case in cases("alpha") {
            let row = |row: &Value| row.as_array().unwrap().iter().map(Value::as_f64).collect();
            let rows: Vec<Vec<Option<f64>>> = case["ratings"].as_array().unwrap().iter().map(row).collect();
            let scale: Scale = serde_json::from_value(case["scale"].clone()).unwrap();
            let sampling = Sampling { resamples: 4_000, ..Sampling::default() };
            let found = Ratings::new(&rows).unwrap().alpha(scale, sampling).unwrap().unwrap();
            near(found.value, number(&case["alpha"]), 1e-12, &case["scale"]);
            let (interval, allowed) = (found.interval.unwrap(), TWO_BOOTSTRAPS * number(&case["standard_error"]));
            near(interval.low, number(&case["low"]), allowed, format!("low, {}", case["scale"]));
            near(interval.high, number(&case["high"]), allowed, format!("high, {}", case["scale"]));
        }
    }

    /// The example of Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers, twelve units.
    /// Its table gives 0.743, 0.815, 0.849 and 0.797.
    #[test]
    fn the_example_with_missing_ratings() {
        let observers = [
            "1 2 3 3 2 1 4 1 2 . . .",
            "1 2 3 3 2 2 4 1 2 5 . 3",
            ". 3 3 3 2 3 4 2 2 5 1 .",
            "1 2 3 3 2 4 4 1 2 5 1 .",
        ];
        let told: Vec<Vec<Option<f64>>> =
            observers.iter().map(|row| row.split(' ').map(|rating| rating.parse().ok()).collect()).collect();
        let units: Vec<Vec<Option<f64>>> = (0..12).map(|unit| told.iter().map(|row| row[unit]).collect()).collect();
        let ratings = Ratings::new(&units).unwrap();
        for (scale, expected) in
            [(Scale::Nominal, 0.743), (Scale::Ordinal, 0.815), (Scale::Interval, 0.849), (Scale::Ratio, 0.797)]
        {
            let found = ratings.alpha(scale, none()).unwrap().unwrap();
            near(found.value, expected, 5e-4, format!("{scale:?}"));
            assert_eq!(found.items, 11, "the last unit has one rating");
        }
    }

    #[test]
    fn what_says_nothing_has_a_name() {
        let of = |rows: &[Vec<Option<f64>>]| Ratings::new(rows).unwrap().alpha(Scale::Interval, none()).unwrap();
        assert_eq!(of(&[vec![Some(2.0), Some(2.0)], vec![Some(2.0), Some(2.0)]]), Err(Undefined::OneValue));
        assert_eq!(of(&[vec![Some(1.0), None], vec![None, Some(2.0)]]), Err(Undefined::TooFew));
        assert!(Ratings::new(&[vec![Some(f64::NAN), Some(1.0)]]).is_err());
        assert!(Ratings::new(&[vec![Some(1.0); 101]]).is_err());
        let negative = Ratings::new(&[vec![Some(-1.0), Some(1.0)], vec![Some(2.0), Some(1.0)]]).unwrap();
        assert!(negative.alpha(Scale::Ratio, none()).is_err());
    }

    #[test]
    fn always_agreeing_is_not_certain() {
        let rows: Vec<Vec<Option<f64>>> = (0..50).map(|item| vec![Some(f64::from(item % 2)); 2]).collect();
        let found = Ratings::new(&rows).unwrap().alpha(Scale::Nominal, none()).unwrap().unwrap();
        // Of 100 ratings, 50 of each: Dₑ = 2·50·50/(100·99) = 0.50505; 1 − 0.0711/0.50505.
        near(found.interval.unwrap().low, 1.0 - 0.0711 / 0.505_05, 2e-4, "low");
        assert_eq!(found.value, 1.0);
    }

    #[test]
    fn numbers_whose_squares_overflow_are_refused() {
        let rows = |x: f64| vec![vec![Some(x), Some(-x)], vec![Some(0.0), Some(x)], vec![Some(x), Some(x)]];
        assert!(Ratings::new(&rows(1e200)).unwrap_err().to_string().contains("1e100"));
        for scale in [Scale::Nominal, Scale::Ordinal, Scale::Interval] {
            assert!(alphas(&rows(1e100), scale).unwrap().is_finite(), "{scale:?}");
        }
    }

    fn alphas(rows: &[Vec<Option<f64>>], scale: Scale) -> Option<f64> {
        Ratings::new(rows).unwrap().alpha(scale, none()).unwrap().ok().map(|found| found.value)
    }

    proptest! {
        /// Raters have no place and units no order; an interval scale has no zero and no unit, an ordinal one only an order.
        #[test]
        fn what_a_scale_does_not_know_says_nothing(
            rows in prop::collection::vec(prop::collection::vec(prop::option::of(1_u8..6), 3), 2..30),
        ) {
            let of = |map: fn(f64) -> f64| -> Vec<Vec<Option<f64>>> {
                rows.iter().rev().map(|row| row.iter().rev().map(|x| x.map(|x| map(f64::from(x)))).collect()).collect()
            };
            let plain: Vec<Vec<Option<f64>>> = rows.iter().map(|row| row.iter().map(|x| x.map(f64::from)).collect()).collect();
            for (scale, map) in [
                (Scale::Nominal, (|x| 10.0 - x * x) as fn(f64) -> f64),
                (Scale::Ordinal, |x| x * x * x),
                (Scale::Interval, |x| 1e6 - 3.0 * x),
                (Scale::Ratio, |x| 7.0 * x),
            ] {
                let (found, other) = (alphas(&plain, scale), alphas(&of(map), scale));
                prop_assert_eq!(found.is_some(), other.is_some());
                prop_assert!((found.unwrap_or(0.0) - other.unwrap_or(0.0)).abs() < 1e-8, "{:?} {:?} {:?}", scale, found, other);
            }
        }
    }
}
