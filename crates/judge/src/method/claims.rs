//! Is what a text says supported? Its claims are written down, then each is held against what else is seen.

use crate::ask::{Own, Shape, Words};
use crate::combine::weighted_mean;
use crate::judge::Case;
use crate::judgement::{Judgement, Outcome, Part};
use crate::method::Method;
use crate::scale::Label;
use crate::step::gathered;
use crate::{Result, Step, said};

const CLAIMS: &str = "claims";

/// In what words claims are asked for, when nothing else is said.
pub(crate) fn usual_words(of: &str) -> Words {
    Words {
        instruction: "You split a text into its claims. A claim is one short sentence that states one fact and can be \
            understood alone: write names in place of \"he\" or \"it\". Leave out questions, greetings and opinions. Add nothing."
            .to_owned(),
        content: format!("{{{{ {of} }}}}"),
        question: Some("List the claims that the text makes.".to_owned()),
    }
}

fn labels() -> Vec<Label> {
    vec![
        Label::new("supported", 1.0).meaning("the text says so, or it follows from it"),
        Label::new("contradicted", 0.0).meaning("the text says otherwise"),
        Label::new("not mentioned", 0.0).meaning("the text says nothing about it"),
    ]
}

pub(crate) fn begin(case: Case) -> Result<Step> {
    let Method::Claims { most, .. } = case.method() else { unreachable!("the method is claims") };
    let most = *most;
    let words = case.inner().first_words.as_ref().unwrap_or(&case.inner().words);
    let shape = Shape::List { name: CLAIMS, most };
    let request = case.ask_first(words, &shape)?;
    Ok(Step::ask(vec![request], move |replies| {
        let said = replies.first().map(|reply| said::list(reply, CLAIMS, most, &case.inner().definition));
        match said {
            Some(Ok(claims)) if claims.is_empty() => {
                Step::done(Judgement::new(Outcome::cannot_tell("the text makes no claim")))
            }
            Some(Ok(claims)) => Step::or_failed(check(case, claims)),
            Some(Err(outcome)) => Step::done(Judgement::new(outcome)),
            None => Step::done(Judgement::new(Outcome::failed("no reply came"))),
        }
    }))
}

fn check(case: Case, claims: Vec<String>) -> Result<Step> {
    let Method::Claims { reasoning, missing, .. } = case.method() else { unreachable!("the method is claims") };
    let (shape, missing) = (Shape::Verdict { labels: labels(), reasoning: *reasoning }, *missing);
    let texts: Vec<(&'static str, &str)> = claims.iter().map(|claim| ("claim", claim.as_str())).collect();
    let fence = case.fence(&texts);
    let requests = claims.iter().map(|claim| case.ask(&fence, &[("claim", Own::Data(claim.clone()))], &shape));
    let requests = gathered(requests)?;
    Ok(Step::ask(requests, move |replies| {
        let parts = claims.iter().zip(&replies).map(|(claim, reply)| case.verdict(reply, &labels()).named(claim));
        let parts: Vec<Part> = parts.collect();
        Step::done(Judgement::new(weighted_mean(&parts, missing)).with_parts(parts))
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Judge, stub};

    fn run(claims: &'static str, reply: impl Fn(&str) -> &'static str) -> Judgement {
        let definition = json!({
            "model": "m", "instruction": "Check the claim.", "content": "Text:\n{{ context }}", "question": "The claim:\n{{ claim }}",
            "inputs": [{"name": "answer"}, {"name": "context"}], "method": {"kind": "claims", "of": "answer", "most": 3},
        });
        let judge = Judge::new(&serde_json::from_value(definition).unwrap()).unwrap();
        let item = json!({"answer": "Paris lies on the Seine and has 9 million people.", "context": "Paris, on the Seine, has 2 million people."});
        stub::run(judge.begin(item.as_object().unwrap()).unwrap(), |asked| {
            stub::says(if asked.contains("List the claims") { claims } else { reply(asked) })
        })
    }

    #[test]
    fn the_share_that_is_supported() {
        let two = r#"{"claims": ["Paris lies on the Seine.", "Paris has 9 million people."]}"#;
        let judgement = run(two, |asked| match asked.contains("9 million people.\n</claim") {
            true => r#"{"verdict": "contradicted"}"#,
            false => r#"{"verdict": "supported"}"#,
        });
        assert_eq!((judgement.outcome.value(), judgement.calls), (Some(0.5), 3));
        assert_eq!(judgement.parts[1].outcome.label(), Some("contradicted"));
        let unsure = run(two, |_| r#"{"verdict": "cannot tell"}"#);
        assert!(matches!(unsure.outcome, Outcome::CannotTell { .. }));
    }

    #[test]
    fn no_claims_are_no_score() {
        assert!(matches!(run(r#"{"claims": []}"#, |_| "").outcome, Outcome::CannotTell { .. }));
        assert!(matches!(run(r#"{"claims": ["a", "b", "c", "d"]}"#, |_| "").outcome, Outcome::Invalid { .. }));
        assert!(matches!(run("nothing", |_| "").outcome, Outcome::Invalid { .. }));
    }
}
