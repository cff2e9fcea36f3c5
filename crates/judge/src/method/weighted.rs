//! For a place on the scale, weighting each by its probability: G-Eval.

use std::sync::LazyLock;

use qd_base::chat::ChatRequest;
use regex::Regex;

use crate::ask::{Shape, VERDICT};
use crate::combine::Missing;
use crate::definition::{Criterion, Definition, Form};
use crate::judge::Case;
use crate::judgement::{Outcome, Part};
use crate::method::{Method, direct};
use crate::reply::Reply;
use crate::scale::{CANNOT_TELL, Label};
use crate::step::Room;
use crate::weight::{Weighting, before, followed};
use crate::{Error, Result, Step};

/// Every place stands for a number, or there is nothing to weigh.
pub(super) fn check_scale(judge: &Definition) -> Result<()> {
    let labels = judge.scale.as_ref().map(crate::Scale::labels).unwrap_or_default();
    match labels.iter().find(|label| label.value.is_none()) {
        Some(label) => Err(Error::definition("scale", format!("{:?} stands for no number to be weighted", label.text))),
        None => Ok(()),
    }
}

pub(crate) fn begin(case: Case) -> Result<Step> {
    let Method::Weighted { top, samples, criteria, missing, .. } = case.method() else {
        unreachable!("the method is weighted")
    };
    let (criteria, missing, samples) = (criteria.clone(), *missing, *samples);
    let top = samples.is_none().then_some(*top);
    let shape = Shape::Bare { labels: case.inner().labels.clone(), top };
    let requests = direct::requests(&case, &criteria, &shape)?;
    match samples {
        None => Ok(Step::ask(requests, move |replies| {
            let parts = replies.iter().map(|reply| by_probability(&case, reply)).collect();
            Step::done(direct::combined(parts, &criteria, missing))
        })),
        Some(samples) => {
            let mut room = Room::default();
            requests.iter().try_for_each(|request| room.take(request, samples as usize))?;
            Ok(by_samples(case, &requests, samples, criteria, missing))
        }
    }
}

fn by_samples(case: Case, requests: &[ChatRequest], samples: u32, criteria: Vec<Criterion>, missing: Missing) -> Step {
    let repeated = requests.iter().flat_map(|request| {
        (0..samples).map(|sample| {
            // One seed would draw one answer so many times.
            let seed = request.seed.map(|seed| seed.wrapping_add(i64::from(sample)));
            ChatRequest { seed, ..request.clone() }
        })
    });
    Step::ask(repeated.collect(), move |replies| {
        let parts = replies.chunks(samples as usize).map(|replies| by_count(&case, replies)).collect();
        Step::done(direct::combined(parts, &criteria, missing))
    })
}

/// The mean over the scale by the probabilities of tokens.
fn by_probability(case: &Case, reply: &Reply) -> Part {
    let judge = &case.inner().definition;
    let labels = &case.inner().labels;
    let part = bare(case, reply);
    if part.outcome.trouble() > 1 {
        return part;
    }
    let said = match reply.said() {
        Ok(said) => said,
        Err(outcome) => return Part { outcome, ..part },
    };
    if said.tokens.iter().all(|token| token.top_logprobs.is_empty()) {
        let why = "the model gave no log-probabilities; ask for 'samples' instead";
        return Part { outcome: Outcome::invalid(why, said.text), ..part };
    }
    let words: Vec<&str> = labels.iter().map(|label| label.text.as_str()).chain([CANNOT_TELL]).collect();
    // Some upstreams give the tokens of hidden thoughts, or not all: then no place is known.
    let found = before(said.tokens, said.text)
        .and_then(|before| followed(said.tokens, before + offset(said.text, judge.form), &words));
    match found {
        Some((masses, word)) if word.is_some() && word == place(&part, labels) => {
            weigh(part, labels, &masses, case, said.text)
        }
        Some(_) => {
            Part { outcome: Outcome::invalid("its tokens do not say its verdict where they should", said.text), ..part }
        }
        None => Part { outcome: Outcome::invalid("its tokens are not those of its text", said.text), ..part },
    }
}

/// Where the word that was said stands among the labels and, after them, `cannot tell`.
fn place(part: &Part, labels: &[Label]) -> Option<usize> {
    match &part.outcome {
        Outcome::CannotTell { .. } => Some(labels.len()),
        outcome => labels.iter().position(|label| Some(label.text.as_str()) == outcome.label()),
    }
}

/// Where the verdict begins.
fn offset(text: &str, form: Form) -> usize {
    static KEY: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(&format!(r#""{VERDICT}"\s*:\s*"?"#)).expect("the pattern is valid"));
    static LEAD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?i)^\s*[*_`]*(?:verdict[*_`]*\s*[:=]\s*)?[*_`]*").expect("the pattern is valid")
    });
    // Thoughts before the object may speak of a verdict too.
    let pattern = if form == Form::Text { &LEAD } else { &KEY };
    pattern.find_iter(text).last().map_or(0, |found| found.end())
}

/// The answer by its text alone.
fn bare(case: &Case, reply: &Reply) -> Part {
    case.verdict(reply, &case.inner().labels)
}

/// The expected value over the places of the scale.
fn weigh(part: Part, labels: &[Label], masses: &[f64], case: &Case, said: &str) -> Part {
    let Method::Weighted { least_mass, .. } = case.method() else { unreachable!("the method is weighted") };
    let (on_scale, cannot_tell) = masses.split_at(labels.len());
    let cannot_tell = cannot_tell.first().copied().unwrap_or(0.0);
    let total: f64 = on_scale.iter().sum();
    let share = |mass: &f64| if total > 0.0 { mass / total } else { 0.0 };
    let weighting = Weighting {
        probabilities: labels.iter().zip(on_scale).map(|(label, mass)| (label.text.clone(), share(mass))).collect(),
        missing: (1.0 - total - cannot_tell).max(0.0),
        cannot_tell,
    };
    let outcome = if case.inner().definition.may_not_tell && cannot_tell > total {
        Outcome::cannot_tell(format!("its probability is {cannot_tell:.2}"))
    } else if total < *least_mass || total <= 0.0 {
        Outcome::invalid(format!("only {:.0} % of the probability lies on the scale", total * 100.0), said)
    } else {
        let values = labels.iter().zip(on_scale).map(|(label, mass)| label.value.unwrap_or(0.0) * share(mass));
        Outcome::number(values.sum())
    };
    Part { outcome, weighting: Some(weighting), ..part }
}

/// The same with counts of answers in the place of probabilities, as the paper does where there are none.
fn by_count(case: &Case, replies: &[Reply]) -> Part {
    let labels = &case.inner().labels;
    let parts: Vec<Part> = replies.iter().map(|reply| bare(case, reply)).collect();
    if parts.iter().all(|part| part.outcome.trouble() > 1) {
        return parts.into_iter().next().unwrap_or_else(|| Part::new("", Outcome::failed("there are no samples")));
    }
    let each = 1.0 / parts.len() as f64;
    let share = |of: &dyn Fn(&Outcome) -> bool| parts.iter().filter(|part| of(&part.outcome)).count() as f64 * each;
    let mut masses: Vec<f64> =
        labels.iter().map(|label| share(&|outcome| outcome.label() == Some(&label.text))).collect();
    masses.push(share(&|outcome| matches!(outcome, Outcome::CannotTell { .. })));
    weigh(Part::new("", Outcome::number(0.0)), labels, &masses, case, "")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::judgement::Judgement;
    use crate::{Judge, stub};

    fn run(method: Value, form: &str, reply: impl FnMut(&str) -> Reply) -> Judgement {
        let definition = json!({
            "model": "m", "instruction": "Grade.", "content": "{{ answer }}", "inputs": [{"name": "answer"}],
            "scale": {"kind": "numeric", "lowest": 1, "highest": 5}, "method": method, "form": form, "parameters": {"seed": 7},
        });
        let judge = Judge::new(&serde_json::from_value(definition).unwrap()).unwrap();
        stub::run(judge.begin(json!({"answer": "x"}).as_object().unwrap()).unwrap(), reply)
    }

    fn drawn(top: &'static [(&'static str, f64)]) -> Judgement {
        run(json!({"kind": "weighted"}), "text", |_| stub::says_tokens(&[(top[0].0, top)]))
    }

    /// By hand: p = (4: 0.5, 5: 0.25, 3: 0.05), mass 0.8; (4·0.5 + 5·0.25 + 3·0.05) / 0.8 = 3.4 / 0.8 = 4.25.
    #[test]
    fn the_expected_value_by_hand() {
        let judgement = drawn(&[("4", 0.5), ("5", 0.25), ("3", 0.05), ("The", 0.2)]);
        assert!((judgement.outcome.value().unwrap() - 4.25).abs() < 1e-6);
        let weighting = judgement.weighting.unwrap();
        assert!((weighting.missing - 0.2).abs() < 1e-6 && weighting.cannot_tell == 0.0);
        assert!((weighting.probabilities[3].1 - 0.625).abs() < 1e-6);
    }

    #[test]
    fn in_json_the_verdict_is_found() {
        // 2·0.75 + 1·0.25, behind a key of which the probabilities do not count.
        let judgement = run(json!({"kind": "weighted"}), "schema", |_| {
            stub::says_tokens(&[
                ("{\"", &[("{\"", 0.1)]),
                ("verdict\":", &[]),
                (" \"", &[]),
                ("2", &[("2", 0.75), ("1", 0.25)]),
                ("\"}", &[]),
            ])
        });
        assert!((judgement.outcome.value().unwrap() - 1.75).abs() < 1e-6, "{judgement:?}");
    }

    #[test]
    fn too_little_on_the_scale_is_no_score() {
        assert!(
            matches!(drawn(&[("4", 0.3), ("A", 0.7)]).outcome, Outcome::Invalid { why, .. } if why.contains("30 %"))
        );
        let unsure = run(json!({"kind": "weighted"}), "text", |_| {
            stub::says_tokens(&[("cannot", &[("cannot", 0.6), ("4", 0.4)]), (" tell", &[(" tell", 1.0)])])
        });
        assert!(matches!(unsure.outcome, Outcome::CannotTell { .. }));
        let silent = run(json!({"kind": "weighted"}), "text", |_| stub::says("4"));
        assert!(matches!(silent.outcome, Outcome::Invalid { why, .. } if why.contains("samples")));
        let odd = run(json!({"kind": "weighted"}), "text", |_| stub::says_tokens(&[("4.5", &[("4.5", 0.9)])]));
        assert!(matches!(odd.outcome, Outcome::Invalid { .. }));
    }

    #[track_caller]
    fn check_odd(form: &str, text: &str, tokens: &[(&str, &[(&str, f64)])], why: &str) {
        let judgement = run(json!({"kind": "weighted"}), form, |_| stub::says_in_tokens(text, tokens));
        assert!(
            matches!(&judgement.outcome, Outcome::Invalid { why: said, .. } if said.contains(why)),
            "{judgement:?}"
        );
    }

    #[test]
    fn probabilities_are_those_of_the_word_that_was_said() {
        // Tokens of a thought that the text does not have: at the verdict's place in the text stands the 5 of the thought.
        let thought: &[(&str, &[(&str, f64)])] = &[
            ("I", &[]),
            (" would", &[]),
            (" pick", &[]),
            (" 5", &[(" 5", 0.9), (" 4", 0.1)]),
            ("{\"verdict\": \"", &[]),
            ("4", &[("4", 1.0)]),
            ("\"}", &[]),
        ];
        check_odd("schema", "{\"verdict\": \"4\"}", thought, "not those of its text");
        // The last line says 2, and what is followed is the 4 before it.
        let twice: &[(&str, &[(&str, f64)])] =
            &[("4", &[("4", 0.9), ("2", 0.1)]), ("\nVerdict:", &[]), (" 2", &[(" 2", 1.0)])];
        check_odd("text", "4\nVerdict: 2", twice, "do not say its verdict");
        // White space before the text, and a mark behind it, are of no account.
        let judgement = run(json!({"kind": "weighted"}), "text", |_| {
            stub::says_in_tokens("4", &[("\n", &[]), ("4", &[("4", 0.75), ("5", 0.25)]), ("<|im_end|>", &[])])
        });
        assert!((judgement.outcome.value().unwrap() - 4.25).abs() < 1e-6, "{judgement:?}");
    }

    /// 32 criteria of 100 samples are 3,200 copies of the item.
    #[test]
    fn copies_fit_or_are_not_made() {
        let criteria: Vec<Value> = (0..32).map(|n| json!({"name": n.to_string(), "text": "the style"})).collect();
        let definition = json!({
            "model": "m", "instruction": "Grade.", "content": "{{ answer }}", "inputs": [{"name": "answer"}], "form": "text",
            "scale": {"kind": "boolean"}, "method": {"kind": "weighted", "samples": 100, "criteria": criteria},
        });
        let judge = Judge::new(&serde_json::from_value(definition).unwrap()).unwrap();
        let begin = |bytes: usize| judge.begin(json!({"answer": "x".repeat(bytes)}).as_object().unwrap());
        let Step::Ask(asking) = begin(10_000).unwrap() else { panic!() };
        assert_eq!(asking.requests().len(), 3_200);
        assert!(matches!(begin(100_000), Err(Error::TooMuch { .. })));
    }

    #[test]
    fn samples_are_counted() {
        let mut texts = ["4", "4", "5", "nonsense really"].into_iter();
        let judgement = run(json!({"kind": "weighted", "samples": 4}), "text", |_| stub::says(texts.next().unwrap()));
        // Of three that say a place: (4 + 4 + 5) / 3; one of four is missing.
        assert!((judgement.outcome.value().unwrap() - 13.0 / 3.0).abs() < 1e-9);
        assert!((judgement.weighting.unwrap().missing - 0.25).abs() < 1e-9);
        assert_eq!(judgement.calls, 4);
    }
}
