//! For a place on the scale, once for each criterion.

use crate::ask::{Own, Shape};
use crate::combine::{Missing, weighted_mean};
use crate::definition::Criterion;
use crate::judge::Case;
use crate::judgement::{Judgement, Part};
use crate::method::Method;
use crate::step::gathered;
use crate::{Result, Step};

pub(crate) fn begin(case: Case) -> Result<Step> {
    let Method::Direct { reasoning, criteria, missing } = case.method() else { unreachable!("the method is direct") };
    let shape = Shape::Verdict { labels: case.inner().labels.clone(), reasoning: *reasoning };
    let (criteria, missing) = (criteria.clone(), *missing);
    let requests = requests(&case, &criteria, &shape)?;
    Ok(Step::ask(requests, move |replies| {
        let parts = replies.iter().map(|reply| case.verdict(reply, &case.inner().labels)).collect();
        Step::done(combined(parts, &criteria, missing))
    }))
}

/// One request for each criterion, or one.
pub(super) fn requests(case: &Case, criteria: &[Criterion], shape: &Shape) -> Result<Vec<qd_base::chat::ChatRequest>> {
    let fence = case.fence(&[]);
    if criteria.is_empty() {
        return Ok(vec![case.ask(&fence, &[], shape)?]);
    }
    let of = |criterion: &Criterion| case.ask(&fence, &[("criterion", Own::Trusted(criterion.text.clone()))], shape);
    gathered(criteria.iter().map(of))
}

/// One judgement of the verdicts on criteria, in their order.
pub(super) fn combined(mut parts: Vec<Part>, criteria: &[Criterion], missing: Missing) -> Judgement {
    if criteria.is_empty() {
        return Judgement::of(parts.swap_remove(0));
    }
    let parts = parts.into_iter().zip(criteria);
    let parts: Vec<Part> = parts.map(|(part, of)| part.named(&of.name).weighing(of.weight)).collect();
    Judgement::new(weighted_mean(&parts, missing)).with_parts(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::judgement::{Judgement, Outcome};
    use crate::{Judge, stub};

    fn judge(method: Value) -> Value {
        json!({
            "model": "m", "instruction": "Grade the answer.", "content": "Answer:\n{{ answer }}", "question": "How good is {{ criterion }}?",
            "inputs": [{"name": "answer"}], "scale": {"kind": "numeric", "lowest": 1, "highest": 5}, "method": method,
        })
    }

    fn run(definition: Value, says: impl Fn(&str) -> &'static str) -> Judgement {
        let judge = Judge::new(&serde_json::from_value(definition).unwrap()).unwrap();
        let step = judge.begin(json!({"answer": "Paris"}).as_object().unwrap()).unwrap();
        stub::run(step, |asked| stub::says(says(asked)))
    }

    fn two() -> Value {
        json!([{"name": "style", "text": "the style", "weight": 1}, {"name": "truth", "text": "the truth", "weight": 3}])
    }

    #[test]
    fn criteria_are_asked_apart_and_weighed() {
        let asked = |missing: &str| judge(json!({"kind": "direct", "criteria": two(), "missing": missing}));
        let judgement = run(asked("no_score"), |asked| match asked.contains("the truth?") {
            true => r#"{"reasoning": "r", "verdict": "5"}"#,
            false => r#"{"reasoning": "r", "verdict": "1"}"#,
        });
        // (1·1 + 3·5) / 4
        assert_eq!(judgement.outcome, Outcome::number(4.0));
        assert_eq!((judgement.calls, judgement.usage.total_tokens()), (2, 24));
        assert_eq!(judgement.parts[1].reasons.as_deref(), Some("r"));
        let half = |asked: &str| match asked.contains("the truth?") {
            true => r#"{"reasoning": "no idea", "verdict": "cannot tell"}"#,
            false => r#"{"verdict": "2"}"#,
        };
        assert_eq!(run(asked("no_score"), half).outcome, Outcome::cannot_tell("truth: no idea"));
        assert_eq!(run(asked("leave_out"), half).outcome, Outcome::number(2.0));
    }

    #[test]
    fn a_category_is_its_number() {
        let mut definition = judge(json!({"kind": "direct", "reasoning": false}));
        definition["question"] = Value::Null;
        definition["scale"] =
            json!({"kind": "categorical", "categories": [{"name": "mild", "value": 0.5}, {"name": "odd"}]});
        let outcome = |text| run(definition.clone(), move |_| text).outcome;
        assert_eq!(
            outcome(r#"{"verdict": "mild"}"#),
            Outcome::Score { value: Some(0.5), label: Some("mild".to_owned()) }
        );
        assert_eq!(outcome(r#"{"verdict": "odd"}"#), Outcome::Score { value: None, label: Some("odd".to_owned()) });
    }
}
