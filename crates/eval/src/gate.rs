//! Gates: what must hold for a result to pass, as in `exact_match >= 0.8 and latency_p95_ms < 2000`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::{Error, Result};

/// Conditions of one gate at most, and characters.
const MOST_CONDITIONS: usize = 16;
const LONGEST_GATE_CHARS: usize = 1_000;

/// What a gate can ask for beside scores. No scorer may have such a name: one would stand for the other.
pub const MEASURES: [&str; 6] =
    ["cost_usd", "latency_p50_ms", "latency_p95_ms", "input_tokens", "output_tokens", "failed"];

/// One or more conditions that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate(Vec<GateCondition>);

/// A metric held against a number.
#[derive(Debug, Clone, PartialEq)]
pub struct GateCondition {
    /// The metric's name.
    pub metric: String,
    operator: Operator,
    limit: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    Above,
    AtMost,
    Below,
}

/// The longer ones first: `>=` begins with `>`.
const OPERATORS: &[(&str, Operator)] =
    &[(">=", Operator::AtLeast), ("<=", Operator::AtMost), (">", Operator::Above), ("<", Operator::Below)];

/// What became of one condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The condition as it was written.
    pub condition: String,
    /// The metric's value; none when it has no number.
    pub value: Option<f64>,
    /// Whether it holds. What has no number does not.
    pub passed: bool,
}

impl Gate {
    /// Judges values by their names. `find` gives none for a name that is not there, and `Some(None)` for one without a number.
    ///
    /// # Errors
    /// [`Error::NoMetric`] for a name that is not there; `there` tells those that are.
    pub fn judge(&self, find: impl Fn(&str) -> Option<Option<f64>>, there: &[String]) -> Result<Vec<Judged>> {
        let judge = |condition: &GateCondition| {
            let missing = || Error::NoMetric { metric: condition.metric.clone(), there: there.join(", ") };
            let value = find(&condition.metric).ok_or_else(missing)?;
            let passed = value.is_some_and(|value| condition.holds(value));
            Ok(Judged { condition: condition.to_string(), value, passed })
        };
        self.0.iter().map(judge).collect()
    }
}

impl GateCondition {
    fn holds(&self, value: f64) -> bool {
        match self.operator {
            Operator::AtLeast => value >= self.limit,
            Operator::Above => value > self.limit,
            Operator::AtMost => value <= self.limit,
            Operator::Below => value < self.limit,
        }
    }
}

impl fmt::Display for GateCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = OPERATORS.iter().find(|(_, operator)| *operator == self.operator).map_or("", |(sign, _)| sign);
        write!(f, "{} {sign} {}", self.metric, self.limit)
    }
}

impl FromStr for Gate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| Error::Gate { text: text.chars().take(80).collect(), why: why.to_owned() };
        if text.len() > LONGEST_GATE_CHARS {
            return Err(wrong("it is too long"));
        }
        let parts: Vec<&str> = text.split(" and ").flat_map(|part| part.split(',')).collect();
        if parts.len() > MOST_CONDITIONS {
            return Err(wrong("it has too many conditions"));
        }
        parts.into_iter().map(|part| condition(part.trim()).map_err(wrong)).collect::<Result<_>>().map(Self)
    }
}

fn condition(text: &str) -> std::result::Result<GateCondition, &'static str> {
    let found = OPERATORS.iter().find_map(|(sign, operator)| Some((text.split_once(sign)?, *operator)));
    let ((metric, limit), operator) = found.ok_or("it has no operator: use >=, >, <= or <")?;
    let metric = metric.trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    if metric.is_empty() || !metric.chars().all(fits) {
        return Err("the metric is no name");
    }
    let limit = limit.trim();
    let (digits, scale) = limit.strip_suffix('%').map_or((limit, 1.0), |digits| (digits, 100.0));
    let value = digits.parse::<f64>().ok().filter(|value| value.is_finite()).ok_or("the limit is no number")?;
    Ok(GateCondition { metric: metric.to_owned(), operator, limit: value / scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(gate: &str) -> Vec<bool> {
        let gate: Gate = gate.parse().unwrap();
        let find = |name: &str| match name {
            "exact_match" => Some(Some(0.8)),
            "exact_match.low" => Some(Some(0.72)),
            "cost" => Some(None),
            _ => None,
        };
        gate.judge(find, &[]).unwrap().into_iter().map(|condition| condition.passed).collect()
    }

    #[test]
    fn conditions() {
        assert_eq!(judged("exact_match >= 0.8"), [true]);
        assert_eq!(judged("exact_match>80%"), [false]);
        assert_eq!(judged("exact_match <= 0.8, exact_match.low < 0.7"), [true, false]);
        assert_eq!(judged("exact_match >= .5 and cost < 1"), [true, false]);
    }

    #[test]
    fn what_is_no_gate_says_why() {
        let why = |text: &str| text.parse::<Gate>().unwrap_err().to_string();
        assert!(why("exact_match").contains("no operator"));
        assert!(why("exact_match = 1").contains("no operator"));
        assert!(why(">= 1").contains("no name"));
        assert!(why("a >= x").contains("no number"));
        assert!(why("").contains("no operator"));
        let gate: Gate = "f1 >= 1".parse().unwrap();
        let error = gate.judge(|_| None, &["exact_match".to_owned()]).unwrap_err().to_string();
        assert!(error.contains("\"f1\"") && error.contains("exact_match"), "{error}");
    }
}
