//! From many verdicts to one.

use serde::{Deserialize, Serialize};

use crate::judgement::{Outcome, Part};

/// What becomes of a score of which a part is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// There is none: what is not known about a part is not known about the whole.
    #[default]
    NoScore,
    /// It is that of the others.
    LeaveOut,
}

/// The weighted mean of the parts' numbers: `Σ wᵢxᵢ / Σ wᵢ`.
///
/// A part without a number makes the outcome the worst of those parts, unless parts are left out; then it does when all are.
pub fn weighted_mean(parts: &[Part], missing: Missing) -> Outcome {
    let told = parts.iter().filter_map(|part| Some((part.outcome.value()?, part.weight)));
    let (count, sum, weight) =
        told.fold((0, 0.0, 0.0), |(count, sum, weight), (x, w)| (count + 1, w.mul_add(x, sum), weight + w));
    let complete = count == parts.len() || missing == Missing::LeaveOut;
    match (complete && count > 0, worst(parts)) {
        (true, _) => Outcome::number(sum / weight),
        (false, Some(part)) => about(part),
        (false, None) => Outcome::cannot_tell("there is nothing to judge"),
    }
}

/// The part that is least of a score.
pub(crate) fn worst(parts: &[Part]) -> Option<&Part> {
    let untold = parts.iter().filter(|part| part.outcome.value().is_none());
    // Of several that are equally bad the first is told.
    untold.rev().max_by_key(|part| part.outcome.trouble())
}

/// What a part's outcome is for the whole, with its name.
pub(crate) fn about(part: &Part) -> Outcome {
    let name: String = part.name.chars().take(80).collect();
    match &part.outcome {
        Outcome::Score { label, .. } => {
            Outcome::cannot_tell(format!("{name}: {:?} stands for no number", label.as_deref().unwrap_or_default()))
        }
        Outcome::CannotTell { reason } => Outcome::cannot_tell(format!("{name}: {reason}")),
        Outcome::Invalid { why, said } => Outcome::invalid(format!("{name}: {why}"), said),
        Outcome::Failed { why } => Outcome::failed(format!("{name}: {why}")),
    }
}

/// The average precision of a ranking: `Σₖ (Precision@k · vₖ) / Σₖ vₖ`, with `vₖ` whether the text at rank `k` is
/// relevant and `Precision@k` the share of relevant texts among the first `k`. 0 when none is relevant.
///
/// It is Ragas' context precision (docs.ragas.io, "Context Precision", v0.1.21), whose code adds 10⁻¹⁰ to the
/// denominator; we leave that out and say 0 for no relevant text, which it comes to as well.
///
/// ```
/// // By hand: (1/1 + 2/3) / 2 = 5/6.
/// let found = qd_judge::combine::average_precision(&[true, false, true]);
/// assert!((found - 5.0 / 6.0).abs() < 1e-12);
/// ```
pub fn average_precision(relevant: &[bool]) -> f64 {
    let mut found = 0_u32;
    let mut sum = 0.0;
    for (rank, _) in (1_u32..).zip(relevant).filter(|&(_, &relevant)| relevant) {
        found += 1;
        sum += f64::from(found) / f64::from(rank);
    }
    if found == 0 { 0.0 } else { sum / f64::from(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(outcomes: Vec<Outcome>) -> Vec<Part> {
        outcomes.into_iter().enumerate().map(|(at, outcome)| Part::new(format!("p{at}"), outcome)).collect()
    }

    #[test]
    fn means_with_and_without_what_is_missing() {
        let number = Outcome::number;
        let mut all = parts(vec![number(1.0), number(4.0)]);
        all[1].weight = 2.0;
        // (1·1 + 2·4) / 3
        assert_eq!(weighted_mean(&all, Missing::NoScore), number(3.0));
        let some = parts(vec![number(4.0), Outcome::cannot_tell("why"), Outcome::invalid("odd", "x")]);
        assert_eq!(weighted_mean(&some, Missing::NoScore), Outcome::invalid("p2: odd", "x"));
        assert_eq!(weighted_mean(&some, Missing::LeaveOut), number(4.0));
        let none = parts(vec![Outcome::cannot_tell("a"), Outcome::cannot_tell("b")]);
        assert_eq!(weighted_mean(&none, Missing::LeaveOut), Outcome::cannot_tell("p0: a"));
        let word = parts(vec![Outcome::Score { value: None, label: Some("odd".to_owned()) }]);
        assert!(matches!(weighted_mean(&word, Missing::NoScore), Outcome::CannotTell { .. }));
        assert!(matches!(weighted_mean(&[], Missing::LeaveOut), Outcome::CannotTell { .. }));
    }

    /// By hand, with the formula of Ragas' page.
    #[test]
    fn context_precision_by_hand() {
        for (relevant, expected) in [
            (&[true, true, true][..], 1.0),
            (&[false, true], 0.5),
            (&[true, false], 1.0),
            // (1/2 + 2/3 + 3/5) / 3
            (&[false, true, true, false, true], (0.5 + 2.0 / 3.0 + 0.6) / 3.0),
            (&[false, false], 0.0),
            (&[], 0.0),
        ] {
            assert!((average_precision(relevant) - expected).abs() < 1e-12, "{relevant:?}");
        }
    }
}
