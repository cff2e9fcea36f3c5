//! The judge writes the right answer, and scorers compare: no model says how good an answer is.

use std::sync::Arc;

use qd_eval::scorer::ScorerKind;
use qd_eval::{Answer, Scorer, ScorerSpec, Scorers};

use crate::ask::Shape;
use crate::judge::Case;
use crate::judgement::{Judgement, Outcome, Part};
use crate::method::Method;
use crate::{Error, Result, Step, said};

const REFERENCE: &str = "reference";

pub(super) fn check(scorers: &[ScorerSpec]) -> Result<()> {
    match scorers.iter().find(|scorer| matches!(scorer.kind, ScorerKind::Latency | ScorerKind::Cost)) {
        Some(scorer) => Err(Error::definition("method.scorers", format!("{} compares no texts", scorer.kind.word()))),
        None => read(scorers).map(drop),
    }
}

pub(crate) fn read(scorers: &[ScorerSpec]) -> Result<Vec<Scorer>> {
    let read = Scorers::new(scorers).map_err(|cause| Error::definition("method.scorers", cause.to_string()))?;
    Ok(read.iter().cloned().collect())
}

pub(crate) fn begin(case: Case) -> Result<Step> {
    let Method::Reference { answer, reasoning, .. } = case.method() else { unreachable!("the method is reference") };
    let shape = Shape::Text { name: REFERENCE, reasoning: *reasoning };
    let text = case.item.text(answer).map(str::to_owned);
    // What is not shown must not choose the key either: the same question is asked in the same words for every answer.
    let case = Case { item: Arc::new(case.item.without(answer)), ..case.clone() };
    let request = case.ask(&case.fence(&[]), &[], &shape)?;
    Ok(Step::ask(vec![request], move |replies| {
        let said = replies.first().map(|reply| said::text(reply, REFERENCE, &case.inner().definition));
        Step::done(match said {
            Some(Ok((reference, reasons))) => {
                let judgement = compared(&case.inner().scorers, text.as_deref(), &reference);
                Judgement { reasons, reference: Some(reference), ..judgement }
            }
            Some(Err(outcome)) => Judgement::new(outcome),
            None => Judgement::new(Outcome::failed("no reply came")),
        })
    }))
}

fn compared(scorers: &[Scorer], text: Option<&str>, reference: &str) -> Judgement {
    let references = [reference.to_owned()];
    let answer = Answer { text, references: &references, ..Answer::default() };
    let parts = scorers.iter().map(|scorer| {
        let outcome = match scorer.score(&answer) {
            Ok(value) => Outcome::number(value),
            Err(none) => Outcome::cannot_tell(none.to_string()),
        };
        Part::new(scorer.name(), outcome)
    });
    let parts: Vec<Part> = parts.collect();
    let outcome = parts.first().map_or_else(|| Outcome::failed("there is no scorer"), |part| part.outcome.clone());
    Judgement::new(outcome).with_parts(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Judge, stub};

    fn judge(content: &str) -> Result<Judge> {
        let definition = json!({
            "model": "m", "instruction": "Answer the question.", "content": content,
            "inputs": [{"name": "question"}, {"name": "answer"}],
            "method": {"kind": "reference", "scorers": [{"kind": "number_match"}, {"kind": "regex", "pattern": "^[0-9]+$"}]},
        });
        Judge::new(&serde_json::from_value(definition).unwrap())
    }

    fn run(answer: &str, says: &str) -> Judgement {
        let item = json!({"question": "What is 6 * 7?", "answer": answer});
        stub::run(judge("{{ question }}").unwrap().begin(item.as_object().unwrap()).unwrap(), |asked| {
            assert!(!asked.contains(answer), "the judge must not see the answer");
            stub::says(says)
        })
    }

    #[test]
    fn the_judge_writes_and_scorers_compare() {
        let right = run("It is 42.", r#"{"reasoning": "6 * 7", "reference": "42"}"#);
        assert_eq!((right.outcome.value(), right.reference.as_deref()), (Some(1.0), Some("42")));
        assert_eq!(right.parts[1].outcome.value(), Some(0.0), "the regex looks at the answer");
        assert_eq!(run("41.", r#"{"reference": "42"}"#).outcome.value(), Some(0.0));
        assert!(matches!(run("41!", r#"{"reference": "forty"}"#).outcome, Outcome::CannotTell { .. }));
        assert!(matches!(run("41!", r#"{"reference": "cannot tell"}"#).outcome, Outcome::CannotTell { .. }));
        assert!(matches!(run("41!", "42").outcome, Outcome::Invalid { .. }));
    }

    /// The right answer is asked for once, however many answers are compared with it: the request is the same.
    #[test]
    fn the_request_does_not_depend_on_the_answer() {
        let requests = ["41", "42"].map(|answer| {
            let item = json!({"question": "What is 6 * 7?", "answer": answer});
            let Step::Ask(asking) = judge("{{ question }}").unwrap().begin(item.as_object().unwrap()).unwrap() else {
                panic!()
            };
            asking.requests().to_vec()
        });
        assert_eq!(requests[0], requests[1]);
    }

    #[test]
    fn words_that_show_the_answer_are_refused() {
        let error = judge("{{ question }} {{ answer }}").unwrap_err();
        assert!(error.in_words().contains("'answer' is read and not declared"), "{}", error.in_words());
        let cost = json!({"model": "m", "content": "", "inputs": [{"name": "answer"}], "method": {"kind": "reference", "scorers": [{"kind": "cost"}]}});
        let refused = Judge::new(&serde_json::from_value::<crate::Definition>(cost).unwrap());
        assert!(refused.unwrap_err().to_string().contains("compares no texts"));
    }
}
