//! A number of a card: with its interval, or with the reason why there is none.

use qd_eval::interval;
use qd_eval::{Estimate, Estimated, Undefined};
use serde::Serialize;

/// A statistic with its 95 % interval, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stat {
    /// The number.
    pub value: Option<f64>,
    /// The lower end of its interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// Items that it is of.
    pub items: usize,
    /// Why there is no number.
    pub undefined: Option<String>,
}

impl From<Estimate> for Stat {
    fn from(estimate: Estimate) -> Self {
        Self {
            value: Some(estimate.value),
            low: estimate.interval.map(|interval| interval.low),
            high: estimate.interval.map(|interval| interval.high),
            items: estimate.items,
            undefined: None,
        }
    }
}

impl From<Estimated> for Stat {
    fn from(estimated: Estimated) -> Self {
        estimated.map_or_else(Self::none, Self::from)
    }
}

impl Stat {
    /// No number, and why.
    pub(crate) fn none(why: impl ToString) -> Self {
        Self { value: None, low: None, high: None, items: 0, undefined: Some(why.to_string()) }
    }

    /// A share with Wilson's interval.
    pub(crate) fn share(right: usize, items: usize) -> Self {
        if items == 0 {
            return Self::none(Undefined::TooFew);
        }
        let interval = Some(interval::wilson(right as u64, items as u64));
        Estimate { value: right as f64 / items as f64, interval, items }.into()
    }

    /// A quantile of sorted values.
    pub(crate) fn quantile(sorted: &[f64], share: f64) -> Self {
        if sorted.is_empty() {
            return Self::none(Undefined::TooFew);
        }
        let interval = interval::quantile_interval(sorted, share);
        Estimate { value: interval::quantile(sorted, share), interval, items: sorted.len() }.into()
    }

    /// In points of a hundred: `48.0 % [41.2, 54.9]`.
    pub(crate) fn in_points(&self) -> String {
        let points = |value: Option<f64>| value.map_or("?".to_owned(), |value| format!("{:.1}", value * 100.0));
        format!("{} % [{}, {}]", points(self.value), points(self.low), points(self.high))
    }
}
