//! What a judge said of an item.

use qd_base::Usage;
use serde::{Deserialize, Serialize};

use crate::weight::Weighting;

/// Characters of an answer that are kept where it is no verdict.
const MOST_SAID_CHARS: usize = 2_000;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A place on the scale.
    Score {
        /// As a number; none for a category that stands for none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<f64>,
        /// As the word that was said; none where several words made the number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        label: Option<String>,
    },
    /// The judge cannot tell, which is not 0.
    CannotTell {
        /// Why.
        reason: String,
    },
    /// The judge's answer is no verdict.
    Invalid {
        /// What is wrong with it.
        why: String,
        /// What it said, shortened.
        said: String,
    },
    /// The judge was not reached, or could not be asked.
    Failed {
        /// Why.
        why: String,
    },
}

impl Outcome {
    /// A number that no single word stands for.
    pub(crate) fn number(value: f64) -> Self {
        Self::Score { value: Some(value), label: None }
    }

    pub(crate) fn cannot_tell(reason: impl Into<String>) -> Self {
        Self::CannotTell { reason: reason.into() }
    }

    pub(crate) fn invalid(why: impl Into<String>, said: &str) -> Self {
        Self::Invalid { why: why.into(), said: said.chars().take(MOST_SAID_CHARS).collect() }
    }

    pub(crate) fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into() }
    }

    /// The number, where there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Score { value, .. } => *value,
            _ => None,
        }
    }

    /// The word, where there is one.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Score { label, .. } => label.as_deref(),
            _ => None,
        }
    }

    /// Whether the judge has told.
    pub fn is_told(&self) -> bool {
        matches!(self, Self::Score { .. })
    }

    /// How bad it is not to be a score: what failed is worse than what is invalid, and that than what cannot be told.
    pub(crate) fn trouble(&self) -> u8 {
        match self {
            Self::Score { .. } => 0,
            Self::CannotTell { .. } => 1,
            Self::Invalid { .. } => 2,
            Self::Failed { .. } => 3,
        }
    }
}

/// One of the questions that a judgement is made of: a criterion, a claim, a juror, an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Which one.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How much it counts.
    pub weight: f64,
    /// What the judge gave as its reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasons: Option<String>,
    /// How its number was made of probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighting: Option<Weighting>,
}

impl Part {
    pub(crate) fn new(name: impl Into<String>, outcome: Outcome) -> Self {
        Self { name: name.into(), outcome, weight: 1.0, reasons: None, weighting: None }
    }

    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    pub(crate) fn weighing(self, weight: f64) -> Self {
        Self { weight, ..self }
    }
}

/// How two orders of a pair were judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orders {
    /// Both orders have one winner, or are a tie.
    Agree,
    /// One order has a winner and the other is a tie.
    HalfAgree,
    /// What stands first wins, or what stands second does: the place was judged.
    Flipped,
}

/// How far the jurors are apart.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// The share of pairs of jurors that said different things.
    pub pairs: f64,
    /// The highest number less the lowest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<f64>,
}

/// What a judge said of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What came of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What the judge gave as its reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasons: Option<String>,
    /// What it is made of, where that is more than one question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// How its number was made of probabilities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weighting: Option<Weighting>,
    /// Of a pair: whether both orders agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<Orders>,
    /// Of a jury: how far its jurors are apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disagreement: Option<Disagreement>,
    /// What the judge wrote as the right answer, where it was asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Tokens of all calls.
    pub usage: Usage,
    /// Calls that were answered or failed.
    pub calls: u32,
}

impl Judgement {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            reasons: None,
            parts: Vec::new(),
            weighting: None,
            orders: None,
            disagreement: None,
            reference: None,
            usage: Usage::default(),
            calls: 0,
        }
    }

    /// A judgement that is the answer to one question.
    pub(crate) fn of(part: Part) -> Self {
        Self { reasons: part.reasons, weighting: part.weighting, ..Self::new(part.outcome) }
    }

    pub(crate) fn with_parts(self, parts: Vec<Part>) -> Self {
        Self { parts, ..self }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// As whoever keeps judgements sees them.
    #[test]
    fn judgements_survive_being_kept() {
        let outcomes = [
            (Outcome::number(4.25), json!({"outcome": "score", "value": 4.25})),
            (Outcome::cannot_tell("why"), json!({"outcome": "cannot_tell", "reason": "why"})),
            (Outcome::invalid("odd", "x"), json!({"outcome": "invalid", "why": "odd", "said": "x"})),
            (Outcome::failed("timeout"), json!({"outcome": "failed", "why": "timeout"})),
        ];
        for (outcome, expected) in outcomes {
            let part = Part { reasons: Some("r".to_owned()), ..Part::new("p", outcome.clone()) };
            let judgement =
                Judgement { orders: Some(Orders::Flipped), ..Judgement::new(outcome) }.with_parts(vec![part]);
            let kept = serde_json::to_value(&judgement).unwrap();
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!((&kept[name], &kept["parts"][0][name]), (value, value));
            }
            assert_eq!(kept["orders"], json!("flipped"));
            assert_eq!(serde_json::from_value::<Judgement>(kept).unwrap(), judgement);
        }
        let long = Outcome::invalid("odd", &"é".repeat(10_000));
        assert!(matches!(long, Outcome::Invalid { said, .. } if said.chars().count() == MOST_SAID_CHARS));
        assert_eq!(serde_json::to_value(Outcome::number(1.0)).unwrap().get("label"), None::<&Value>);
    }
}
