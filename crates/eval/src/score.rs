//! What is scored, and what a score is: a number with a direction, or the reason why there is none.

use std::fmt;

use qd_base::Picodollars;
use serde::{Deserialize, Serialize};

/// One answer of a model, as scorers see it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Answer<'a> {
    /// What it said; none when the call failed.
    pub text: Option<&'a str>,
    /// What it should have said. Any of them will do.
    pub references: &'a [String],
    /// How long it took.
    pub latency_ms: Option<f64>,
    /// What it cost; none when its price is not known.
    pub cost: Option<Picodollars>,
    /// Tokens of the answer.
    pub output_tokens: Option<u64>,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    Higher,
    /// Less is better.
    Lower,
}

impl Direction {
    /// `value`, so that more is better.
    pub fn oriented(self, value: f64) -> f64 {
        match self {
            Self::Higher => value,
            Self::Lower => -value,
        }
    }
}

/// What a score counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share between 0 and 1, told in points: hundredths.
    Share,
    /// Hundredths themselves, as BLEU has them: between 0 and 100.
    Points,
    /// Milliseconds.
    Milliseconds,
    /// Dollars.
    Dollars,
    /// Characters, words or tokens.
    Count,
}

impl Unit {
    /// The lowest and the highest value, where there are such.
    pub fn bounds(self) -> Option<(f64, f64)> {
        match self {
            Self::Share => Some((0.0, 1.0)),
            Self::Points => Some((0.0, 100.0)),
            Self::Milliseconds | Self::Dollars | Self::Count => None,
        }
    }

    /// A value or a difference in words, as in `3.1 points`.
    pub fn words(self, value: f64) -> String {
        match self {
            Self::Share | Self::Points => format!("{} points", self.digits(value)),
            Self::Milliseconds => format!("{} ms", self.digits(value)),
            Self::Dollars => format!("${}", self.digits(value)),
            Self::Count => self.digits(value),
        }
    }

    /// The digits alone.
    pub fn digits(self, value: f64) -> String {
        let text = match self {
            Self::Share => format!("{:.1}", value * 100.0),
            Self::Milliseconds => format!("{value:.0}"),
            // What one call costs may be a millionth of a dollar.
            Self::Dollars if value != 0.0 && value.abs() < 0.01 => format!("{value:.3e}"),
            Self::Dollars => format!("{value:.2}"),
            Self::Points | Self::Count => format!("{value:.1}"),
        };
        // A rounded −0.04 is no negative number.
        match text.strip_prefix('-') {
            Some(rest) if rest.chars().all(|c| matches!(c, '0' | '.')) => rest.to_owned(),
            _ => text,
        }
    }
}

/// Why an answer has no score. It is not 0: what was not measured is not bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoScore {
    /// The call failed.
    NoAnswer,
    /// Nothing says what would be right.
    NoReference,
    /// There is a reference, and no number in it.
    NoNumberInReference,
    /// The time, the price or the tokens are not known.
    NotMeasured,
    /// The text is too long for the metric, or has nothing that it could measure.
    NotComputable,
}

impl fmt::Display for NoScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "the call failed",
            Self::NoReference => "the item has no reference",
            Self::NoNumberInReference => "the reference has no number",
            Self::NotMeasured => "it was not measured",
            Self::NotComputable => "the text is too long for the metric or has no words",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_words() {
        assert_eq!(Unit::Share.words(0.0314), "3.1 points");
        assert_eq!(Unit::Share.words(-0.0004), "0.0 points");
        assert_eq!(Unit::Milliseconds.words(-12.4), "-12 ms");
        assert_eq!(Unit::Dollars.words(0.000_012_3), "$1.230e-5");
        assert_eq!(Unit::Dollars.words(1.5), "$1.50");
        assert_eq!(Unit::Count.words(12.25), "12.2");
    }
}
