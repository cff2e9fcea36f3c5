//! Money: whole picodollars, so that sums are exact and a price per token is an integer.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

/// US dollars in units of 10⁻¹². One dollar per million tokens is 1,000,000 of them per token.
///
/// 64 bits hold 9.2 million dollars; sums stay at the limit instead of wrapping.
///
/// ```
/// use qd_base::Picodollars;
/// let price_per_token = Picodollars::per_million(150_000); // $0.15 per million, in micro-dollars
/// assert_eq!(price_per_token.times(1_000).to_string(), "$0.00015");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Picodollars(i64);

impl Picodollars {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Picodollars in a dollar.
    pub const PER_DOLLAR: i64 = 1_000_000_000_000;

    /// This many picodollars.
    pub const fn new(picodollars: i64) -> Self {
        Self(picodollars)
    }

    /// The price of one unit when a million cost this many millionths of a dollar: the two millions cancel.
    pub const fn per_million(microdollars: i64) -> Self {
        Self(microdollars)
    }

    /// The number of picodollars.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// In dollars, rounded to the nearest `f64`: for charts, never for sums.
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / Self::PER_DOLLAR as f64
    }

    /// This price for `count` units, at the limit if beyond it.
    pub fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(i64::try_from(count).unwrap_or(i64::MAX)))
    }
}

impl Add for Picodollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Picodollars {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Picodollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) =
            (self.0.unsigned_abs() / Self::PER_DOLLAR as u64, self.0.unsigned_abs() % Self::PER_DOLLAR as u64);
        let sign = if self.0 < 0 { "-" } else { "" };
        let part = format!("{part:012}");
        let part = part.trim_end_matches('0');
        f.pad(&format!("{sign}${whole}.{part:0<2}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_exact() {
        let check = |picodollars, text| assert_eq!(Picodollars::new(picodollars).to_string(), text);
        check(0, "$0.00");
        check(1, "$0.000000000001");
        check(1_500_000_000_000, "$1.50");
        check(-123_000_000, "-$0.000123");
        check(i64::MIN, "-$9223372.036854775808");
    }

    #[test]
    fn sums_stop_at_the_limit() {
        assert_eq!(Picodollars::new(i64::MAX) + Picodollars::new(1), Picodollars::new(i64::MAX));
        assert_eq!(Picodollars::new(2).times(u64::MAX), Picodollars::new(i64::MAX));
        assert_eq!([1, 2, 3].map(Picodollars::new).into_iter().sum::<Picodollars>(), Picodollars::new(6));
    }
}
