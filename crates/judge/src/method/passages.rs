//! Is each text of a list useful, and do the useful ones stand first?

use crate::ask::{Own, Shape};
use crate::combine::{about, average_precision, worst};
use crate::judge::Case;
use crate::judgement::{Judgement, Outcome, Part};
use crate::method::Method;
use crate::scale::yes_or_no;
use crate::step::gathered;
use crate::{Result, Step};

pub(crate) fn begin(case: Case) -> Result<Step> {
    let Method::Passages { of, reasoning } = case.method() else { unreachable!("the method is passages") };
    let passages = case.item.get(of).map(|datum| datum.texts().to_vec()).unwrap_or_default();
    if passages.is_empty() {
        return Ok(Step::done(Judgement::new(Outcome::cannot_tell("there is no text to look at"))));
    }
    let shape = Shape::Verdict { labels: yes_or_no(), reasoning: *reasoning };
    let fence = case.fence(&[]);
    let requests = passages.iter().map(|text| case.ask(&fence, &[("passage", Own::Data(text.clone()))], &shape));
    let requests = gathered(requests)?;
    Ok(Step::ask(requests, move |replies| {
        let parts =
            (1_usize..).zip(&replies).map(|(rank, reply)| case.verdict(reply, &yes_or_no()).named(rank.to_string()));
        let parts: Vec<Part> = parts.collect();
        Step::done(Judgement::new(ranked(&parts)).with_parts(parts))
    }))
}

/// The precision of a ranking of which one place is not known is not known.
fn ranked(parts: &[Part]) -> Outcome {
    match worst(parts) {
        Some(part) => about(part),
        None => {
            let relevant: Vec<bool> = parts.iter().map(|part| part.outcome.value() == Some(1.0)).collect();
            Outcome::number(average_precision(&relevant))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{Judge, stub};

    fn run(contexts: Value, unsure: bool) -> Judgement {
        let definition = json!({
            "model": "m", "instruction": "Is the passage useful?", "content": "{{ question }}\n{{ passage }}",
            "inputs": [{"name": "question"}, {"name": "contexts", "list": true}], "method": {"kind": "passages", "of": "contexts"},
        });
        let judge = Judge::new(&serde_json::from_value(definition).unwrap()).unwrap();
        let item = json!({"question": "Where?", "contexts": contexts});
        stub::run(judge.begin(item.as_object().unwrap()).unwrap(), |asked| {
            let verdict = if asked.contains("Paris") {
                "yes"
            } else if unsure {
                "cannot tell"
            } else {
                "no"
            };
            stub::says(&format!(r#"{{"verdict": "{verdict}"}}"#))
        })
    }

    #[test]
    fn useful_texts_first() {
        // (1/2) / 1 and (1/1 + 2/3) / 2, by hand.
        assert_eq!(run(json!(["Rome", "Paris"]), false).outcome.value(), Some(0.5));
        let two = run(json!(["Paris", "Rome", "Paris too"]), false);
        assert!((two.outcome.value().unwrap() - 5.0 / 6.0).abs() < 1e-12);
        assert_eq!((two.parts.len(), two.calls), (3, 3));
        assert_eq!(run(json!(["Rome"]), false).outcome.value(), Some(0.0));
        assert!(matches!(run(json!(["Paris", "Rome"]), true).outcome, Outcome::CannotTell { .. }));
        assert!(matches!(run(json!([]), false).outcome, Outcome::CannotTell { .. }));
    }
}
