//! As a model-graded specification of OpenAI Evals asks, and its answer read as Evals reads it.
//!
//! The rule is that of `get_choice` in `evals/elsuite/modelgraded/classify_utils.py`, compared in `parity/judges.py`. One thing
//! differs: an answer in which there is no choice is invalid here, where Evals counts it as the lowest score.

use serde::{Deserialize, Serialize};

use crate::ask::Shape;
use crate::judge::Case;
use crate::judgement::{Judgement, Outcome, Part};
use crate::method::Method;
use crate::reply::Reply;
use crate::scale::Label;
use crate::{Result, Step, said};

/// Where the choice stands in the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvalType {
    /// The choice alone.
    Classify,
    /// The choice, then the reasons.
    ClassifyCot,
    /// The reasons, then the choice.
    CotClassify,
    /// The same in Japanese.
    CotClassifyJp,
}

impl EvalType {
    /// Whether the last line counts.
    pub fn is_last(self) -> bool {
        matches!(self, Self::CotClassify | Self::CotClassifyJp)
    }
}

/// How a line is a choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Match {
    /// The line stands in the choice; so it is in Evals.
    #[serde(rename = "include")]
    Include,
    /// It is the choice.
    #[serde(rename = "exact")]
    Exact,
    /// It ends with it.
    #[serde(rename = "endswith")]
    EndsWith,
    /// It begins or ends with it.
    #[default]
    #[serde(rename = "starts_or_endswith")]
    StartsOrEndsWith,
}

impl Match {
    fn is(self, line: &str, choice: &str) -> bool {
        match self {
            Self::Include => choice.contains(line),
            Self::Exact => line == choice,
            Self::EndsWith => line.ends_with(choice),
            Self::StartsOrEndsWith => line.starts_with(choice) || line.ends_with(choice),
        }
    }
}

/// The choice that an answer makes: that of the first line, or of the last, that makes one.
///
/// Lines are compared without ASCII punctuation; of several choices that a line makes, the first of the list counts.
pub fn choice<'c>(text: &str, eval_type: EvalType, matching: Match, choices: &[&'c str]) -> Option<&'c str> {
    let of_line = |line: &str| {
        let line: String = strip(line).chars().filter(|c| !c.is_ascii_punctuation()).collect();
        let mut found = choices.iter().filter(|choice| !line.is_empty() && matching.is(&line, choice));
        found.next().copied()
    };
    let mut lines = strip(text).split('\n');
    if eval_type.is_last() { lines.rev().find_map(of_line) } else { lines.find_map(of_line) }
}

/// Python's `str.strip`: white space of Unicode, and the four separators of ASCII.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\x1c'..='\x1f'))
}

pub(crate) fn begin(case: Case) -> Result<Step> {
    let request = case.ask(&case.fence(&[]), &[], &Shape::AsAsked)?;
    Ok(Step::ask(vec![request], move |replies| {
        let part = replies.first().map(|reply| graded(&case, reply));
        Step::done(part.map_or_else(|| Judgement::new(Outcome::failed("no reply came")), Judgement::of))
    }))
}

fn graded(case: &Case, reply: &Reply) -> Part {
    let Method::Graded { eval_type, matching } = case.method() else { unreachable!("the method is graded") };
    let labels: &[Label] = &case.inner().labels;
    let choices: Vec<&str> = labels.iter().map(|label| label.text.as_str()).collect();
    let read = reply.said().map(|said| {
        let text = said::after_thoughts(said.text).unwrap_or_default();
        let found = choice(text, *eval_type, *matching, &choices);
        match labels.iter().find(|label| Some(label.text.as_str()) == found) {
            _ if said.cut && eval_type.is_last() => {
                Outcome::invalid("it was cut off at its limit of tokens", said.text)
            }
            Some(label) => Outcome::Score { value: label.value, label: Some(label.text.clone()) },
            None => Outcome::invalid("it makes none of the choices", said.text),
        }
    });
    let reasons = reply.said().ok().map(|said| said.text.trim().to_owned());
    Part { reasons: reasons.filter(|text| !text.is_empty()), ..Part::new("", read.unwrap_or_else(|outcome| outcome)) }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn read<T: serde::de::DeserializeOwned>(list: &Value) -> Vec<T> {
        serde_json::from_value(list.clone()).unwrap()
    }

    /// What the function of the `evals` package says, in `parity/judges.py`.
    #[test]
    fn choices_are_those_of_evals() {
        let reference: Value = serde_json::from_str(include_str!("../../../../parity/judges.json")).unwrap();
        let ways: Vec<(EvalType, Match)> = read::<EvalType>(&reference["eval_types"])
            .into_iter()
            .flat_map(|eval_type| {
                read::<Match>(&reference["match_fns"]).into_iter().map(move |matching| (eval_type, matching))
            })
            .collect();
        let cases = reference["cases"].as_array().unwrap();
        assert!(ways.len() == 16 && cases.len() >= 100);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let strings: Vec<String> = read(&case["choice_strings"]);
            let strings: Vec<&str> = strings.iter().map(String::as_str).collect();
            let found = ways.iter().map(|&(eval_type, matching)| choice(text, eval_type, matching, &strings));
            let found: Vec<&str> = found.map(|choice| choice.unwrap_or("__invalid__")).collect();
            assert_eq!(found, read::<String>(&case["choices"]), "{case}");
        }
    }
}
