//! Judges that are there already, for whatever model.
//!
//! Each is a file of `ready/`, which is a definition without a model. What their words are worth with a model is not known
//! before both were compared with people.
//!
//! - Context precision, context recall and faithfulness are defined as in Ragas: Es et al., "RAGAS: Automated Evaluation of
//!   Retrieval Augmented Generation" (EACL 2024), and docs.ragas.io, v0.1.21. Where Ragas sums up claims that are supported, so
//!   do we; a text without claims has no score here.
//! - The four qualities of a summary are those of Fabbri et al., "SummEval: Re-evaluating Summarization Evaluation" (TACL 2021).

use crate::definition::Definition;
use crate::{Error, Result};

macro_rules! ready {
    ($($name:literal),* $(,)?) => {
        /// The names of all ready judges with their files.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("ready/", $name, ".yaml")))),*];
    };
}

ready![
    "answer-relevance",
    "bias",
    "checklist",
    "context-precision",
    "context-recall",
    "correctness",
    "faithfulness",
    "hallucination",
    "helpfulness",
    "preference",
    "privacy-leak",
    "prompt-injection",
    "reference-answer",
    "summarisation",
    "summarisation-weighted",
    "toxicity",
    "use-case",
];

/// The names of all ready judges.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// The ready judge of a name, without a model.
///
/// # Errors
/// [`Error::Definition`] when there is none.
///
/// ```
/// let judge = qd_judge::ready::find("toxicity")?;
/// assert!(judge.model.is_none() && judge.inputs[0].name == "answer");
/// # Ok::<(), qd_judge::Error>(())
/// ```
pub fn find(name: &str) -> Result<Definition> {
    let there = || format!("there is no ready judge {name:?}; there are {}", names().collect::<Vec<_>>().join(", "));
    let (_, file) = FILES.iter().find(|(other, _)| *other == name).ok_or_else(|| Error::definition("name", there()))?;
    read(file)
}

/// Reads a definition that is written as YAML.
///
/// # Errors
/// [`Error::Definition`] when it is none.
pub fn read(yaml: &str) -> Result<Definition> {
    if yaml.len() > crate::definition::MOST_DEFINITION_BYTES {
        return Err(Error::definition("judge", "the file is too large"));
    }
    serde_yaml_ng::from_str(yaml).map_err(|cause| Error::definition("judge", cause.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::definition::Form;
    use crate::judgement::{Judgement, Outcome};
    use crate::{Judge, Method, Reply, stub};

    fn judge(name: &str, form: Form) -> Judge {
        let mut definition = Definition { model: Some("m".parse().unwrap()), form, ..find(name).unwrap() };
        for value in definition.settings.values_mut().filter(|value| value.is_null()) {
            *value = json!("booking trains");
        }
        Judge::new(&definition).unwrap()
    }

    fn item(definition: &Definition) -> Map<String, Value> {
        let value = |list: bool, name: &str| {
            if list { json!([format!("one {name}"), format!("two {name}")]) } else { json!(format!("the {name}")) }
        };
        definition.inputs.iter().map(|input| (input.name.clone(), value(input.list, &input.name))).collect()
    }

    /// Answers as each form wants it: to a question for a list, for a text, or for a verdict, which is the word given.
    fn obey(asked: &str, form: Form, verdict: &str) -> Reply {
        let json = |name: &str, value: Value| stub::says(&json!({name: value}).to_string());
        let text = form == Form::Text;
        match () {
            () if asked.contains("at most") && text => stub::says("- one\n- two"),
            () if asked.contains("\"claims\"") => json("claims", json!(["one", "two"])),
            () if asked.contains("\"questions\"") => json("questions", json!(["one?", "two?"])),
            () if asked.contains("\"reference:\"") => stub::says("Short.\nreference: the answer"),
            () if asked.contains("Its \"reference\" is") => json("reference", json!("the answer")),
            () if text && asked.contains("and nothing else") => {
                stub::says_tokens(&[(verdict_token(verdict), &[("4", 0.9)])])
            }
            () if text => stub::says(&format!("Because.\nVerdict: {verdict}")),
            () if asked.contains("\"reasoning\"") => {
                stub::says(&json!({"reasoning": "Because.", "verdict": verdict}).to_string())
            }
            () => {
                stub::says_tokens(&[("{\"verdict\": \"", &[]), (verdict_token(verdict), &[("4", 0.9)]), ("\"}", &[])])
            }
        }
    }

    fn verdict_token(verdict: &str) -> &'static str {
        ["1", "4", "5", "yes", "no", "supported", "A", "B", "correct", "cannot tell"]
            .into_iter()
            .find(|word| *word == verdict)
            .unwrap()
    }

    fn run(name: &str, form: Form, verdict: &str) -> Judgement {
        let judge = judge(name, form);
        let step = judge.begin(&item(judge.definition())).unwrap();
        stub::run(step, |asked| obey(asked, form, verdict))
    }

    /// Every judge writes its requests, in every form, and reads what such a request asks for; scores by hand.
    #[test]
    fn all_are_written_and_read() {
        for (name, verdict, value) in [
            ("answer-relevance", "4", 4.0),
            ("bias", "no", 0.0),
            ("checklist", "yes", 1.0),
            ("context-precision", "yes", 1.0),
            ("context-recall", "supported", 1.0),
            ("correctness", "correct", 1.0),
            ("faithfulness", "supported", 1.0),
            ("hallucination", "yes", 1.0),
            ("helpfulness", "5", 5.0),
            ("privacy-leak", "no", 0.0),
            ("prompt-injection", "yes", 1.0),
            ("reference-answer", "no", 1.0),
            ("summarisation", "4", 4.0),
            ("summarisation-weighted", "4", 4.0),
            ("toxicity", "no", 0.0),
            ("use-case", "1", 1.0),
        ] {
            for form in [Form::Schema, Form::Json, Form::Text] {
                let judgement = run(name, form, verdict);
                assert_eq!(judgement.outcome.value(), Some(value), "{name} {form:?} {judgement:?}");
            }
        }
        // Whoever says A in both orders goes by the place.
        assert_eq!(run("preference", Form::Schema, "A").outcome.value(), Some(0.5));
        let tested = names().count();
        assert_eq!(tested, 17, "a new judge has its line above");
    }

    #[test]
    fn all_may_say_that_they_cannot_tell() {
        // A claim is "not mentioned", and of probabilities there is what is missing.
        let others = ["summarisation-weighted", "reference-answer", "faithfulness", "context-recall"];
        for name in names().filter(|name| !others.contains(name)) {
            let judgement = run(name, Form::Schema, "cannot tell");
            assert!(matches!(judgement.outcome, Outcome::CannotTell { .. }), "{name} {judgement:?}");
        }
    }

    /// What an item says stands in the requests, fenced; words of a template that was not filled do not.
    #[test]
    fn requests_show_the_item() {
        for name in names() {
            let judge = judge(name, Form::Schema);
            let item = item(judge.definition());
            let mut all = String::new();
            stub::run(judge.begin(&item).unwrap(), |asked| {
                all.push_str(asked);
                obey(asked, Form::Schema, if name == "preference" { "A" } else { "yes" })
            });
            for input in &judge.definition().inputs {
                let hidden =
                    matches!(&judge.definition().method, Method::Reference { answer, .. } if *answer == input.name);
                let shown =
                    if input.list { format!("two {}\n</", input.name) } else { format!("the {}\n</", input.name) };
                assert_eq!(all.contains(&shown), !hidden, "{name}: {shown:?}");
            }
            assert!(!all.contains("none\n") && !all.contains("{{") && !all.contains("@@"), "{name}:\n{all}");
        }
    }

    #[test]
    fn the_use_case_must_be_said() {
        let definition = Definition { model: Some("m".parse().unwrap()), ..find("use-case").unwrap() };
        assert!(Judge::new(&definition).unwrap_err().to_string().contains("settings.use_case"));
        assert!(find("vibes").unwrap_err().to_string().contains("toxicity"));
    }

    /// As an artifact a definition is JSON, and comes back the same.
    #[test]
    fn definitions_survive_being_kept() {
        for name in names() {
            let definition = find(name).unwrap();
            let again: Definition = serde_json::from_slice(&definition.to_content()).unwrap();
            assert_eq!((again.digest(), &again), (definition.digest(), &definition), "{name}");
        }
    }
}
