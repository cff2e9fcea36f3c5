//! Which of two answers is better? Asked in both orders, since judges like what stands first.

use serde::{Deserialize, Serialize};

use crate::ask::Shape;
use crate::combine::{about, worst};
use crate::judge::Case;
use crate::judgement::{Judgement, Orders, Outcome, Part};
use crate::method::Method;
use crate::scale::Label;
use crate::{Result, Step};

/// The two answers as the judge calls them, and what it says of neither.
const FIRST: &str = "A";
const SECOND: &str = "B";
const TIE: &str = "tie";

/// What it means when each order has another winner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inconsistent {
    /// A tie, as Zheng et al., "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena" (NeurIPS 2023), section 3.4.
    #[default]
    Tie,
    /// Nothing: the judge cannot tell.
    OrderFlip,
}

pub(crate) fn labels() -> Vec<Label> {
    vec![
        Label::new(FIRST, 1.0).meaning("the first answer is better"),
        Label::new(SECOND, 0.0).meaning("the second answer is better"),
        Label::new(TIE, 0.5).meaning("they are equally good"),
    ]
}

pub(crate) fn begin(case: Case) -> Result<Step> {
    let Method::Pairwise { first, second, reasoning, both_orders, inconsistent } = case.method() else {
        unreachable!("the method is pairwise")
    };
    let shape = Shape::Verdict { labels: labels(), reasoning: *reasoning };
    let fence = case.fence(&[]);
    let words = &case.inner().words;
    let mut requests = vec![case.ask_in(words, &case.item, &fence, &[], &shape)?];
    if *both_orders {
        let swapped = case.item.swapped(first, second);
        requests.push(case.ask_in(words, &swapped, &fence, &[], &shape)?);
    }
    let inconsistent = *inconsistent;
    Ok(Step::ask(requests, move |replies| {
        let parts: Vec<Part> = replies.iter().map(|reply| case.verdict(reply, &labels())).collect();
        Step::done(match <[Part; 2]>::try_from(parts) {
            Ok([straight, exchanged]) => both(straight, turned(exchanged), inconsistent),
            Err(mut one) => Judgement::of(one.swap_remove(0)),
        })
    }))
}

/// A verdict on exchanged answers, in terms of the answers as they are.
fn turned(part: Part) -> Part {
    let outcome = match part.outcome.label() {
        Some(FIRST) => of(SECOND),
        Some(SECOND) => of(FIRST),
        _ => part.outcome,
    };
    Part { outcome, ..part }
}

fn of(text: &str) -> Outcome {
    let label = labels().into_iter().find(|label| label.text == text);
    label.map_or_else(
        || Outcome::failed("there is no such label"),
        |label| Outcome::Score { value: label.value, label: Some(label.text) },
    )
}

fn both(straight: Part, exchanged: Part, inconsistent: Inconsistent) -> Judgement {
    let (one, other) = (straight.outcome.clone(), exchanged.outcome.clone());
    let reasons = straight.reasons.clone();
    let parts = vec![straight.named("as given"), exchanged.named("exchanged")];
    let (outcome, orders) = match (one.label(), other.label()) {
        (Some(a), Some(b)) if a == b => (one, Some(Orders::Agree)),
        (Some(TIE), Some(_)) | (Some(_), Some(TIE)) => (of(TIE), Some(Orders::HalfAgree)),
        (Some(_), Some(_)) if inconsistent == Inconsistent::Tie => (of(TIE), Some(Orders::Flipped)),
        (Some(_), Some(_)) => {
            (Outcome::cannot_tell("order flip: each order has another winner"), Some(Orders::Flipped))
        }
        _ => (worst(&parts).map_or_else(|| of(TIE), about), None),
    };
    Judgement { orders, reasons: reasons.filter(|_| orders == Some(Orders::Agree)), ..Judgement::new(outcome) }
        .with_parts(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Judge, stub};

    /// A judge of which `says` tells what it says when the good answer stands first, and when it stands second.
    fn run(inconsistent: &str, says: [&'static str; 2]) -> Judgement {
        let definition = json!({
            "model": "m", "instruction": "Which answer is better?",
            "content": "A:\n{{ answer_a }}\nB:\n{{ answer_b }}", "inputs": [{"name": "answer_a"}, {"name": "answer_b"}],
            "method": {"kind": "pairwise", "inconsistent": inconsistent},
        });
        let judge = Judge::new(&serde_json::from_value(definition).unwrap()).unwrap();
        let item = json!({"answer_a": "GOOD", "answer_b": "BAD"});
        stub::run(judge.begin(item.as_object().unwrap()).unwrap(), |asked| {
            let first = asked.find("GOOD").unwrap() < asked.find("BAD").unwrap();
            stub::says(&format!("{{\"verdict\": \"{}\"}}", says[usize::from(!first)]))
        })
    }

    #[test]
    fn both_orders() {
        let value = |says| (run("tie", says).outcome.value(), run("tie", says).orders);
        assert_eq!(value(["A", "B"]), (Some(1.0), Some(Orders::Agree)));
        assert_eq!(value(["B", "A"]), (Some(0.0), Some(Orders::Agree)));
        assert_eq!(value(["tie", "tie"]), (Some(0.5), Some(Orders::Agree)));
        assert_eq!(value(["A", "tie"]), (Some(0.5), Some(Orders::HalfAgree)));
        assert_eq!(value(["A", "A"]), (Some(0.5), Some(Orders::Flipped)));
        assert_eq!(value(["B", "B"]), (Some(0.5), Some(Orders::Flipped)));
    }

    #[test]
    fn a_flip_may_be_no_score() {
        let flipped = run("order_flip", ["A", "A"]);
        assert!(matches!(flipped.outcome, Outcome::CannotTell { ref reason } if reason.starts_with("order flip")));
        assert_eq!((flipped.orders, flipped.parts[1].outcome.label()), (Some(Orders::Flipped), Some("B")));
        assert!(matches!(run("tie", ["A", "cannot tell"]).outcome, Outcome::CannotTell { .. }));
        assert!(matches!(run("tie", ["A", "C"]).outcome, Outcome::Invalid { .. }));
    }
}
