//! The last number of a text, and whether two numbers are the same.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

/// How far two numbers may be apart and still be the same: `|a − b| ≤ max(tolerance, relative · |reference|)`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tolerance {
    /// In the numbers' own unit.
    pub tolerance: f64,
    /// As a share of the reference.
    pub relative_tolerance: f64,
}

impl Tolerance {
    pub(crate) fn check(self) -> Result<(), String> {
        let fits = |value: f64| value.is_finite() && value >= 0.0;
        if fits(self.tolerance) && fits(self.relative_tolerance) {
            Ok(())
        } else {
            Err("its tolerance must be 0 or more".to_owned())
        }
    }

    /// Whether `said` is `reference`.
    pub fn equal(self, said: f64, reference: f64) -> bool {
        (said - reference).abs() <= self.tolerance.max(self.relative_tolerance * reference.abs())
    }
}

/// What marks the result in GSM8K's worked answers.
/// Cobbe et al., "Training Verifiers to Solve Math Word Problems" (2021), arXiv:2110.14168.
const RESULT_MARK: &str = "####";

/// The last number of a text: the first after the last `####`, as in GSM8K, where there is such a mark.
///
/// English notation: thousands are set apart by commas in groups of three, decimals by a point; a sign counts where no
/// letter or digit stands before it, so that `3-5` ends with 5.
pub fn last(text: &str) -> Option<f64> {
    let marked = text.rfind(RESULT_MARK).and_then(|at| all(&text[at + RESULT_MARK.len()..]).next());
    marked.or_else(|| all(text).last())
}

fn all(text: &str) -> impl Iterator<Item = f64> {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"[-+−]?[$£€]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]+\b)?",
        )
        .expect("the pattern is valid")
    });
    NUMBER.find_iter(text).filter_map(|found| read(found.as_str(), text[..found.start()].chars().next_back()))
}

fn read(found: &str, before: Option<char>) -> Option<f64> {
    let signed = !before.is_some_and(char::is_alphanumeric);
    let digits: String = found.chars().filter(|c| !matches!(c, ',' | '$' | '£' | '€' | '−' | '+')).collect();
    // The sign of an exponent stays.
    let value: f64 = digits.trim_start_matches('-').parse().ok().filter(|value: &f64| value.is_finite())?;
    Some(if signed && found.starts_with(['-', '−']) { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_number_by_hand() {
        for (text, expected) in [
            ("", None),
            ("none", None),
            ("42", Some(42.0)),
            ("It is 41, no, 42.", Some(42.0)),
            ("first 7 then #### 1,234 and 9", Some(1234.0)),
            ("#### 5\n#### 6", Some(6.0)),
            ("####", None),
            ("7 ####", Some(7.0)),
            ("$1,234,567.89", Some(1_234_567.89)),
            ("-$5", Some(-5.0)),
            ("$-5", Some(-5.0)),
            ("−3", Some(-3.0)),
            ("+3", Some(3.0)),
            ("3-5", Some(5.0)),
            ("x = -5", Some(-5.0)),
            ("1,2,3", Some(3.0)),
            ("12,34", Some(34.0)),
            ("0.50", Some(0.5)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("2e3", Some(2000.0)),
            ("1e-2", Some(0.01)),
            ("2eggs", Some(2.0)),
            ("50%", Some(50.0)),
            ("1e999", None),
            ("007", Some(7.0)),
        ] {
            assert_eq!(last(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tolerance() {
        let exact = Tolerance::default();
        assert!(exact.equal(0.5, 0.5) && !exact.equal(0.5, 0.500_001));
        let wide = Tolerance { tolerance: 0.01, relative_tolerance: 0.0 };
        assert!(wide.equal(2.5, 2.509) && !wide.equal(2.5, 2.52));
        let share = Tolerance { tolerance: 0.0, relative_tolerance: 0.01 };
        assert!(share.equal(101.0, 100.0) && !share.equal(102.0, 100.0) && share.equal(-101.0, -100.0));
    }
}
