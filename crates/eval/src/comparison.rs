//! Two cells over the same items: the difference, how sure it is, and a sentence.

use serde::Serialize;

use crate::column::Column;
use crate::interval::{self, ALPHA, Interval, Sampling};
use crate::paired::{self, Test};
use crate::score::{Direction, Unit};

/// A cell `b` held against a cell `a`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Items that both have a score for: only those are compared.
    pub items: usize,
    /// Items that only one of them has a score for.
    pub left_out: usize,
    /// The mean of `a` over the items compared.
    pub mean_a: f64,
    /// The mean of `b` over them.
    pub mean_b: f64,
    /// `mean_b − mean_a`.
    pub difference: f64,
    /// Where the difference lies, with 95 % confidence; none for fewer than two items.
    pub interval: Option<Interval>,
    /// Whether it could be chance.
    pub test: Test,
    /// The p value after as many tests as were made; the test's own when it was the only one.
    pub adjusted_p: f64,
    /// Items on which `a` is better.
    pub better_a: usize,
    /// Items on which `b` is better.
    pub better_b: usize,
    /// What is counted.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
}

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// `a` is better.
    ABetter,
    /// `b` is better.
    BBetter,
    /// No difference is shown, which does not say that there is none.
    NotShown,
}

impl Comparison {
    /// Holds `b` against `a`. None when no item has a score in both.
    pub fn new(a: &Column, b: &Column, sampling: Sampling) -> Option<Self> {
        let pairs = a.pairs(b);
        let (first, second): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let differences: Vec<f64> = pairs.iter().map(|(a, b)| b - a).collect();
        let better = |sign: f64| differences.iter().filter(|&&d| a.direction.oriented(d) * sign > 0.0).count();
        let test = tested(a, b, &differences, sampling);
        Some(Self {
            items: pairs.len(),
            left_out: a.len() + b.len() - 2 * pairs.len(),
            mean_a: interval::mean(&first)?,
            mean_b: interval::mean(&second)?,
            difference: interval::mean(&differences)?,
            interval: interval::bootstrap_mean(
                &differences,
                a.bounds().map(|(least, most)| (least - most, most - least)),
                sampling,
            ),
            adjusted_p: test.p(),
            test,
            better_a: better(-1.0),
            better_b: better(1.0),
            unit: a.unit,
            direction: a.direction,
        })
    }

    /// Who is better: shown when the p value, after correction, is at most 5 % and the interval does not hold 0.
    pub fn verdict(&self) -> Verdict {
        let shown = self.adjusted_p <= ALPHA && self.interval.is_some_and(|interval| !interval.contains(0.0));
        match self.direction.oriented(self.difference) {
            _ if !shown => Verdict::NotShown,
            better if better > 0.0 => Verdict::BBetter,
            _ => Verdict::ABetter,
        }
    }

    /// The same in a sentence: `B beats A by 3.1 points [1.0, 5.3], costs 12% more`. `costs` are the mean costs of a call of
    /// `a` and `b`.
    pub fn sentence(&self, a: &str, b: &str, costs: Option<(f64, f64)>) -> String {
        let (winner, loser, costs) = match self.verdict() {
            Verdict::NotShown => return self.not_shown(a, b),
            Verdict::BBetter => (b, a, costs),
            Verdict::ABetter => (a, b, costs.map(|(a, b)| (b, a))),
        };
        let size = self.unit.words(self.difference.abs());
        let interval = self.interval.map(|interval| if self.difference < 0.0 { interval.negated() } else { interval });
        let ends = interval.map(|interval| self.ends(interval)).unwrap_or_default();
        let money = costs.map(|(before, now)| format!(", {}", cost_words(before, now))).unwrap_or_default();
        format!("{winner} beats {loser} by {size}{ends}{money}")
    }

    fn not_shown(&self, a: &str, b: &str) -> String {
        let ends = self.interval.map(|interval| self.ends(interval)).unwrap_or_default();
        let size = self.unit.words(self.difference);
        format!(
            "no difference shown: {b} − {a} is {size}{ends} over {} items (p = {})",
            self.items,
            p_words(self.adjusted_p)
        )
    }

    fn ends(&self, interval: Interval) -> String {
        format!(" [{}, {}]", self.unit.digits(interval.low), self.unit.digits(interval.high))
    }
}

/// The test alone, without an interval. None when no item has a score in both.
pub(crate) fn test(a: &Column, b: &Column, sampling: Sampling) -> Option<Test> {
    let differences: Vec<f64> = a.pairs(b).iter().map(|(a, b)| b - a).collect();
    (!differences.is_empty()).then(|| tested(a, b, &differences, sampling))
}

fn tested(a: &Column, b: &Column, differences: &[f64], sampling: Sampling) -> Test {
    if a.is_binary() && b.is_binary() {
        let only = |of: f64| differences.iter().filter(|&&difference| difference == of).count() as u64;
        return paired::mcnemar(only(-1.0), only(1.0));
    }
    paired::sign_flip(differences, sampling)
}

/// A p value for people.
pub fn p_words(p: f64) -> String {
    if p < 0.001 { "under 0.001".to_owned() } else { format!("{p:.3}") }
}

/// What `now` costs against `before`, in words.
fn cost_words(before: f64, now: f64) -> String {
    if before == now {
        return "costs the same".to_owned();
    }
    if before <= 0.0 || now <= 0.0 {
        return format!("costs {} a call against {}", Unit::Dollars.words(now), Unit::Dollars.words(before));
    }
    match (now / before - 1.0) * 100.0 {
        percent if percent.abs() < 0.5 => "costs the same".to_owned(),
        percent if percent < 0.0 => format!("costs {:.0}% less", -percent),
        percent => format!("costs {percent:.0}% more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(unit: Unit, direction: Direction, scores: impl IntoIterator<Item = f64>) -> Column {
        let mut column = Column::new(unit, direction);
        for (item, score) in scores.into_iter().enumerate() {
            column.push(item as u64, score);
        }
        column
    }

    fn yes(n: usize, right: impl Fn(usize) -> bool) -> Column {
        column(Unit::Share, Direction::Higher, (0..n).map(|item| f64::from(u8::from(right(item)))))
    }

    #[test]
    fn a_difference_that_is_shown() {
        // 200 items: 100 both right, 40 only b, 10 only a. McNemar's exact p of 10 in 50 is under 0.001.
        let (a, b) = (yes(200, |item| item < 110), yes(200, |item| item < 100 || (110..150).contains(&item)));
        let found = Comparison::new(&a, &b, Sampling::default()).unwrap();
        assert_eq!((found.items, found.left_out, found.better_a, found.better_b), (200, 0, 10, 40));
        assert!((found.difference - 0.15).abs() < 1e-12);
        assert!(matches!(found.test, Test::Mcnemar { only_a: 10, only_b: 40, .. }));
        assert_eq!(found.verdict(), Verdict::BBetter);
        // The difference's standard error is √(0.25 − 0.15²)/√200 = 0.0337: 15.0 ± 1.97·3.4.
        let sentence = found.sentence("A", "B", Some((1.0, 1.12)));
        assert!(sentence.starts_with("B beats A by 15.0 points [8."), "{sentence}");
        assert!(sentence.ends_with("], costs 12% more"), "{sentence}");
        let other = Comparison::new(&b, &a, Sampling::default()).unwrap();
        let sentence = other.sentence("B", "A", Some((1.12, 1.0)));
        assert!(sentence.starts_with("B beats A by 15.0 points [8."), "{sentence}");
        assert!(sentence.ends_with("costs 12% more"), "{sentence}");
    }

    #[test]
    fn noise_is_not_called_a_difference() {
        let (a, b) = (yes(100, |item| item < 50), yes(100, |item| (2..55).contains(&item)));
        let found = Comparison::new(&a, &b, Sampling::default()).unwrap();
        // 2 only a, 5 only b: mid-p = 2·P(X ≤ 2 of 7) − P(X = 2) = (2·29 − 21)/128 = 0.289.
        assert!((found.test.p() - 37.0 / 128.0).abs() < 1e-9);
        let sentence = found.sentence("A", "B", None);
        assert!(sentence.starts_with("no difference shown: B − A is 3.0 points [-"), "{sentence}");
        assert!(sentence.ends_with("over 100 items (p = 0.289)"), "{sentence}");
    }

    #[test]
    fn less_is_better_where_it_is() {
        let slow = column(Unit::Milliseconds, Direction::Lower, (0..40).map(|item| 500.0 + f64::from(item)));
        let fast = column(Unit::Milliseconds, Direction::Lower, (0..40).map(|item| 380.0 + f64::from(item * 7 % 40)));
        let found = Comparison::new(&slow, &fast, Sampling::default()).unwrap();
        assert_eq!((found.verdict(), found.better_b), (Verdict::BBetter, 40));
        let sentence = found.sentence("slow", "fast", Some((0.0, 0.0)));
        assert!(sentence.starts_with("fast beats slow by 120 ms [11"), "{sentence}");
        assert!(sentence.ends_with("], costs the same"), "{sentence}");
    }

    #[test]
    fn only_what_both_have_is_compared() {
        let mut a = yes(10, |_| true);
        a.push(77, 0.0);
        let b = yes(12, |_| true);
        let found = Comparison::new(&a, &b, Sampling::default()).unwrap();
        assert_eq!((found.items, found.left_out, found.mean_a), (10, 3, 1.0));
        assert_eq!(found.verdict(), Verdict::NotShown);
        assert!(Comparison::new(&a, &yes(0, |_| true), Sampling::default()).is_none());
    }

    #[test]
    fn money_in_words() {
        assert_eq!(cost_words(1.0, 0.75), "costs 25% less");
        assert_eq!(cost_words(1.0, 1.001), "costs the same");
        assert_eq!(cost_words(0.0, 0.002), "costs $2.000e-3 a call against $0.00");
    }
}
