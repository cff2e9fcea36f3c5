//! What was read, held against the condition: it holds, or not, or lies between the limit and the one to come back to.

use crate::definition::{Direction, amount, thousandths};

/// What reading a rule once came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// What that means.
    pub finding: Finding,
    /// What was read.
    pub value: Option<f64>,
    /// The same in words, or why there is nothing.
    pub message: String,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The condition holds.
    Holds,
    /// It does not, and what was read has not come back to the limit to clear at.
    Between,
    /// All is well.
    Clear,
    /// There is nothing to judge by.
    NoData,
    /// Reading failed.
    Failed,
}

impl Observed {
    pub(crate) fn of(finding: Finding, value: f64, message: String) -> Self {
        Self { finding, value: Some(value), message }
    }

    pub(crate) fn nothing(why: impl Into<String>) -> Self {
        Self { finding: Finding::NoData, value: None, message: why.into() }
    }

    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self { finding: Finding::Failed, value: None, message: why.into() }
    }
}

/// A value against a limit: it holds strictly beyond `limit`, and is clear from `clear` on.
pub(crate) fn threshold(direction: Direction, limit: f64, clear: Option<f64>, value: f64) -> Finding {
    let clear = clear.unwrap_or(limit);
    let (beyond, back) = match direction {
        Direction::Above => (value > limit, value <= clear),
        Direction::Below => (value < limit, value >= clear),
    };
    sort(beyond, back)
}

/// A difference in percent against a limit, without dividing: `now − before` against `limit` hundredths of `before`, where
/// `before` is above 0.
pub(crate) fn percent_change(
    direction: Direction,
    limit: f64,
    clear: Option<f64>,
    (now, before): (f64, f64),
) -> Finding {
    let clear = clear.unwrap_or(limit);
    let difference = (now - before) * 100.0;
    let (beyond, back) = match direction {
        Direction::Above => (difference > limit * before, difference <= clear * before),
        Direction::Below => (difference < limit * before, difference >= clear * before),
    };
    sort(beyond, back)
}

fn sort(holds: bool, clear: bool) -> Finding {
    match (holds, clear) {
        (true, _) => Finding::Holds,
        (false, true) => Finding::Clear,
        (false, false) => Finding::Between,
    }
}

/// A budget: what there is in a period, in whole units, and how fast it may be used up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Burn {
    /// Whole units: picodollars, tokens, calls.
    pub limit: i128,
    pub period_s: u64,
    pub factor: f64,
    pub clear_factor: f64,
}

/// What was used in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Used {
    pub units: i128,
    pub window_s: u64,
}

impl Burn {
    /// Whether the budget is used up `factor` times as fast as it may be, or faster, in both windows. In whole numbers,
    /// so that a pace of exactly the factor counts.
    pub fn judge(&self, long: Used, short: Used) -> Finding {
        let both = |factor: f64| self.reaches(factor, long) && self.reaches(factor, short);
        sort(both(self.factor), !both(self.clear_factor))
    }

    /// `used · period ≥ factor · limit · window`, in thousandths.
    fn reaches(&self, factor: f64, used: Used) -> bool {
        let pace = used.units.saturating_mul(i128::from(self.period_s)).saturating_mul(1_000);
        let allowed = thousandths(factor).saturating_mul(self.limit).saturating_mul(i128::from(used.window_s));
        pace >= allowed
    }

    /// How many times as fast as it may be; for people.
    pub fn rate(&self, used: Used) -> f64 {
        (used.units as f64 * self.period_s as f64) / (self.limit as f64 * used.window_s as f64)
    }

    pub fn words(&self, long: Used, short: Used) -> String {
        let of = |used| amount(self.rate(used), "");
        format!("{} times the pace of the budget, {} of late", of(long), of(short))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{Above, Below};
    use Finding::{Between, Clear, Holds};

    #[test]
    fn a_threshold_has_two_limits() {
        for (direction, limit, clear, value, expected) in [
            (Above, 5.0, None, 5.0, Clear),
            (Above, 5.0, None, 5.1, Holds),
            (Above, 5.0, Some(4.0), 4.5, Between),
            (Above, 5.0, Some(4.0), 4.0, Clear),
            (Below, 5.0, None, 5.0, Clear),
            (Below, 5.0, None, 4.9, Holds),
            (Below, 5.0, Some(6.0), 5.5, Between),
            (Below, 5.0, Some(6.0), 6.0, Clear),
        ] {
            assert_eq!(threshold(direction, limit, clear, value), expected, "{direction:?} {limit} {clear:?} {value}");
        }
    }

    #[test]
    fn a_change_is_in_percent_of_before() {
        // From 200: 300 is +50 %, 301 more than that; 100 is −50 %.
        for (direction, limit, clear, now, expected) in [
            (Above, 50.0, None, 300.0, Clear),
            (Above, 50.0, None, 301.0, Holds),
            (Above, 50.0, Some(10.0), 250.0, Between),
            (Above, 50.0, Some(10.0), 220.0, Clear),
            (Below, -50.0, None, 100.0, Clear),
            (Below, -50.0, None, 99.0, Holds),
            (Below, -50.0, Some(-10.0), 150.0, Between),
        ] {
            assert_eq!(percent_change(direction, limit, clear, (now, 200.0)), expected, "{direction:?} {limit} {now}");
        }
        // 0.1 + 0.2 is 0.30000000000000004: three times 0.1 would be more than +200 % if it was divided first.
        assert_eq!(percent_change(Above, 200.0, None, (0.3, 0.1)), Clear);
    }

    /// The workbook's page rule: 2 % of a 30 days' budget in an hour is 14.4 times the pace, and 0.1666… % in 5 minutes.
    #[test]
    fn a_pace_of_exactly_the_factor_counts() {
        let burn = Burn { limit: 100_000_000_000_000, period_s: 30 * 86_400, factor: 14.4, clear_factor: 14.4 };
        let hour = |units| Used { units, window_s: 3_600 };
        let short = |units| Used { units, window_s: 300 };
        // $100: 2 % is $2 in the hour. A twelfth of it is no whole number of picodollars: one more counts, one less does not.
        let (hourly, twelfth) = (2_000_000_000_000, 166_666_666_667);
        assert_eq!(burn.judge(hour(hourly), short(twelfth)), Holds);
        assert_eq!(burn.judge(hour(hourly - 1), short(twelfth)), Clear);
        assert_eq!(burn.judge(hour(hourly), short(twelfth - 1)), Clear, "the long window alone is no reason");
        assert!((burn.rate(hour(hourly)) - 14.4).abs() < 1e-12);
        let slow = Burn { clear_factor: 7.2, ..burn };
        assert_eq!(slow.judge(hour(hourly / 2), short(twelfth)), Between);
        assert_eq!(slow.judge(hour(hourly / 2 - 1), short(twelfth)), Clear);
        assert_eq!(slow.judge(hour(hourly), short(0)), Clear, "it has stopped");
    }

    #[test]
    fn the_largest_budget_does_not_overflow() {
        // A billion dollars a leap year, a million times as fast over 31 days.
        let burn = Burn { limit: 10_i128.pow(21), period_s: 366 * 86_400, factor: 1e6, clear_factor: 1e6 };
        let most = Used { units: i128::from(i64::MAX), window_s: 31 * 86_400 };
        assert_eq!(burn.judge(most, most), Clear);
    }
}
