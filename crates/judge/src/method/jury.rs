//! Several judges, whose judgements are combined, and how far they are apart.
//!
//! Verga et al., "Replacing Judges with Juries: Evaluating LLM Generations with a Panel of Diverse Models" (2024).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::combine::{about, worst};
use crate::definition::Definition;
use crate::judgement::{Disagreement, Judgement, Outcome, Part};
use crate::method::{MOST_JURORS, Method};
use crate::step::Room;
use crate::{Error, Judge, Result, Step};

/// How judgements become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// The word that most say; when several words are said equally often, the jury cannot tell.
    #[default]
    Majority,
    /// The mean of the numbers.
    Mean,
    /// The median of the numbers.
    Median,
}

pub(super) fn check(jurors: &[Definition], judge: &Definition) -> Result<()> {
    if !(2..=MOST_JURORS).contains(&jurors.len()) {
        return Err(Error::definition("method.jurors", format!("there are 2 to {MOST_JURORS}")));
    }
    if jurors.iter().any(|juror| matches!(juror.method, Method::Jury { .. })) {
        return Err(Error::definition("method.jurors", "a juror is no jury"));
    }
    if jurors.iter().any(|juror| juror.better != judge.better) {
        return Err(Error::definition("method.jurors", "they and the jury have one 'better'"));
    }
    match judge.model.is_some() || !judge.content.is_empty() || !judge.inputs.is_empty() {
        true => {
            Err(Error::definition("method", "a jury asks its jurors; the model, the words and the inputs are theirs"))
        }
        false => Ok(()),
    }
}

/// Reads the jurors, which must speak of one scale.
pub(crate) fn read(jurors: &[Definition]) -> Result<Vec<Judge>> {
    let read = jurors.iter().enumerate().map(|(place, juror)| {
        Judge::new(juror).map_err(|error| Error::definition(format!("method.jurors[{place}]"), error.in_words()))
    });
    let read: Vec<Judge> = read.collect::<Result<_>>()?;
    let words =
        |judge: &Judge| judge.labels().iter().map(|label| (label.text.clone(), label.value)).collect::<Vec<_>>();
    match read.iter().all(|juror| words(juror) == words(&read[0]) && juror.range() == read[0].range()) {
        true => Ok(read),
        false => Err(Error::definition("method.jurors", "they have different scales, which cannot be combined")),
    }
}

pub(crate) fn begin(jury: &Judge, values: &Map<String, Value>) -> Result<Step> {
    go_on(jury.clone(), &mut jury.inner().jurors.iter().map(|juror| juror.begin(values)))
}

/// One step of all jurors that are not done. Their steps are made one after the other, as long as all fit together.
fn go_on(jury: Judge, next: &mut dyn Iterator<Item = Result<Step>>) -> Result<Step> {
    let (mut room, mut requests, mut steps) = (Room::default(), Vec::new(), Vec::new());
    for step in next {
        let mut step = step?;
        room.take_step(&step)?;
        let own = match &mut step {
            Step::Ask(asking) => asking.take_requests(),
            Step::Done(_) => Vec::new(),
        };
        steps.push((own.len(), step));
        requests.extend(own);
    }
    if requests.is_empty() {
        let judgements = steps.into_iter().filter_map(|(_, step)| match step {
            Step::Done(judgement) => Some(*judgement),
            Step::Ask(_) => None,
        });
        return Ok(Step::done(verdict(&jury, judgements.collect())));
    }
    Ok(Step::ask(requests, move |replies| {
        let mut replies = replies.into_iter();
        let mut next = steps.into_iter().map(|(count, step)| match step {
            Step::Ask(asking) => Ok(asking.answer(replies.by_ref().take(count).collect())),
            done @ Step::Done(_) => Ok(done),
        });
        Step::or_failed(go_on(jury, &mut next))
    }))
}

fn verdict(jury: &Judge, judgements: Vec<Judgement>) -> Judgement {
    let Method::Jury { jurors, combine } = &jury.inner().definition.method else { unreachable!("the method is jury") };
    let parts = judgements.into_iter().zip(jurors).enumerate().map(|(at, (judgement, juror))| {
        let name = juror.model.as_ref().map_or_else(String::new, ToString::to_string);
        let part = Part::new(format!("{} {name}", at + 1), judgement.outcome);
        Part { reasons: judgement.reasons, weighting: judgement.weighting, ..part }
    });
    let parts: Vec<Part> = parts.collect();
    let told: Vec<&Outcome> = parts.iter().map(|part| &part.outcome).filter(|outcome| outcome.is_told()).collect();
    let outcome = match (told.len() * 2 > parts.len(), worst(&parts)) {
        (false, Some(part)) => about(part),
        _ => combined(&told, *combine),
    };
    let disagreement = (told.len() > 1).then(|| disagreement(&told));
    Judgement { disagreement, ..Judgement::new(outcome) }.with_parts(parts)
}

fn combined(told: &[&Outcome], combine: Combine) -> Outcome {
    let mut numbers: Vec<f64> = told.iter().filter_map(|outcome| outcome.value()).collect();
    numbers.sort_by(f64::total_cmp);
    match combine {
        Combine::Majority => majority(told),
        _ if numbers.len() < told.len() || numbers.is_empty() => {
            Outcome::cannot_tell("what was said stands for no number")
        }
        Combine::Mean => Outcome::number(numbers.iter().sum::<f64>() / numbers.len() as f64),
        Combine::Median => {
            let (low, high) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
            Outcome::number(f64::midpoint(low, high))
        }
    }
}

fn majority(told: &[&Outcome]) -> Outcome {
    let mut votes: BTreeMap<String, (usize, &Outcome)> = BTreeMap::new();
    for outcome in told {
        votes.entry(said(outcome)).or_insert((0, outcome)).0 += 1;
    }
    let most = votes.values().map(|(count, _)| *count).max().unwrap_or(0);
    let mut first = votes.values().filter(|(count, _)| *count == most);
    match (first.next(), first.next()) {
        (Some((_, outcome)), None) => (*outcome).clone(),
        _ => Outcome::cannot_tell(format!("the jurors are split: {most} each")),
    }
}

/// What was said, so that the same is the same: a word, or else a number.
fn said(outcome: &Outcome) -> String {
    outcome.label().map_or_else(|| outcome.value().map(|value| value.to_string()).unwrap_or_default(), str::to_owned)
}

fn disagreement(told: &[&Outcome]) -> Disagreement {
    let mut differ = 0_u32;
    let mut pairs = 0_u32;
    for (place, one) in told.iter().enumerate() {
        for other in &told[place + 1..] {
            pairs += 1;
            differ += u32::from(said(one) != said(other));
        }
    }
    let numbers: Vec<f64> = told.iter().filter_map(|outcome| outcome.value()).collect();
    let (low, high) =
        numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)));
    Disagreement { pairs: f64::from(differ) / f64::from(pairs), spread: (!numbers.is_empty()).then_some(high - low) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stub;

    fn juror(model: &str, highest: i64) -> Value {
        json!({
            "model": model, "instruction": format!("You are {model}."), "content": "{{ answer }}", "inputs": [{"name": "answer"}],
            "scale": {"kind": "numeric", "lowest": 1, "highest": highest}, "method": {"kind": "direct"},
        })
    }

    fn run(combine: &str, says: [&'static str; 3]) -> Judgement {
        let jurors: Vec<Value> = ["a", "b", "c"].map(|model| juror(model, 5)).to_vec();
        let jury = json!({"method": {"kind": "jury", "jurors": jurors, "combine": combine}});
        let jury = Judge::new(&serde_json::from_value(jury).unwrap()).unwrap();
        stub::run(jury.begin(json!({"answer": "x"}).as_object().unwrap()).unwrap(), |asked| {
            let which =
                ["You are a.", "You are b.", "You are c."].iter().position(|name| asked.contains(name)).unwrap();
            stub::says(&format!(r#"{{"verdict": "{}"}}"#, says[which]))
        })
    }

    #[test]
    fn majority_mean_and_median() {
        let of = |combine, says| run(combine, says).outcome.value();
        assert_eq!(of("majority", ["4", "4", "1"]), Some(4.0));
        assert_eq!(of("mean", ["4", "4", "1"]), Some(3.0));
        assert_eq!(of("median", ["1", "5", "4"]), Some(4.0));
        assert_eq!(of("median", ["1", "cannot tell", "4"]), Some(2.5));
        assert!(matches!(run("majority", ["1", "2", "3"]).outcome, Outcome::CannotTell { .. }));
        assert!(matches!(run("mean", ["1", "cannot tell", "9"]).outcome, Outcome::Invalid { .. }));
    }

    /// By hand: of three pairs two differ, and the numbers go from 1 to 4.
    #[test]
    fn disagreement_is_told() {
        let judgement = run("majority", ["4", "4", "1"]);
        let apart = judgement.disagreement.unwrap();
        assert!((apart.pairs - 2.0 / 3.0).abs() < 1e-12 && apart.spread == Some(3.0));
        assert_eq!((judgement.calls, judgement.usage.total_tokens(), judgement.parts.len()), (3, 36, 3));
        assert_eq!(run("mean", ["2", "2", "2"]).disagreement.unwrap().pairs, 0.0);
    }

    /// Jurors of several steps go on beside others that are done.
    #[test]
    fn jurors_may_take_steps() {
        let claims = json!({
            "model": "c", "instruction": "Check.", "content": "{{ context }}{{ claim }}", "inputs": [{"name": "answer"}, {"name": "context"}],
            "method": {"kind": "claims", "of": "answer"},
        });
        let list = json!({
            "model": "l", "instruction": "Look.", "content": "{{ answer }}", "inputs": [{"name": "answer"}],
            "method": {"kind": "checklist", "questions": [{"text": "Is it true?"}]},
        });
        let jury = json!({"method": {"kind": "jury", "jurors": [claims, list], "combine": "mean"}});
        let jury = Judge::new(&serde_json::from_value(jury).unwrap()).unwrap();
        let item = json!({"answer": "a", "context": "b"});
        let judgement = stub::run(jury.begin(item.as_object().unwrap()).unwrap(), |asked| {
            stub::says(match () {
                () if asked.contains("List the claims") => r#"{"claims": ["x"]}"#,
                () if asked.contains("Is it true?") => r#"{"verdict": "yes"}"#,
                () => r#"{"verdict": "not mentioned"}"#,
            })
        });
        assert_eq!((judgement.outcome.value(), judgement.calls), (Some(0.5), 3));
    }

    /// Each of 15 jurors asks 32 times of an item of 200 kB: one alone may, all together do not fit.
    #[test]
    fn a_jury_is_one_step() {
        let criteria: Vec<Value> = (0..32).map(|n| json!({"name": n.to_string(), "text": "the style"})).collect();
        let mut one = juror("a", 5);
        one["method"] = json!({"kind": "direct", "criteria": criteria});
        let item = json!({"answer": "x".repeat(200_000)});
        let begin = |definition: Value| {
            Judge::new(&serde_json::from_value(definition).unwrap()).unwrap().begin(item.as_object().unwrap())
        };
        assert!(begin(one.clone()).is_ok());
        let jury = json!({"method": {"kind": "jury", "jurors": vec![one; 15], "combine": "mean"}});
        assert!(matches!(begin(jury), Err(Error::TooMuch { .. })));
    }

    #[test]
    fn juries_that_cannot_be() {
        let refused = |jury: Value| Judge::new(&serde_json::from_value(jury).unwrap()).unwrap_err().to_string();
        let of = |jurors: Value| json!({"method": {"kind": "jury", "jurors": jurors}});
        assert!(refused(of(json!([juror("a", 5)]))).contains("2 to 15"));
        assert!(refused(of(json!([juror("a", 5), juror("b", 10)]))).contains("different scales"));
        assert!(refused(of(json!([juror("a", 5), of(json!([]))]))).contains("no jury"));
        let mut lost = juror("a", 5);
        lost["content"] = json!("{{ nothing }}");
        assert!(refused(of(json!([juror("a", 5), lost]))).contains("jurors[1]"));
    }
}
