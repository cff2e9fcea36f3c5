//! Scorers of live calls: those that need nobody to say what would have been right.

use qd_eval::scorer::MOST_SCORERS;
use qd_eval::{Answer, Direction, NoScore, Scorer, ScorerSpec, Unit};
use serde_json::{Value, json};

use crate::{Error, Result};

/// Texts of `contains` at most.
const MOST_TEXTS: usize = 64;
/// The longest of them.
const MOST_TEXT_BYTES: usize = 4_096;

/// What `toxic` is called here too.
const TOXICITY: &str = "toxicity";

/// A scorer that is ready to use.
#[derive(Debug, Clone)]
pub struct Look {
    scorer: Scorer,
    /// What `contains` looks for.
    texts: Vec<String>,
    reads_text: bool,
}

/// Reads what a rule looks at.
///
/// There are the kinds of `eval` that need no reference, with their options, and `contains` with its `texts`. `toxicity` is another
/// word for `toxic`.
///
/// # Errors
/// [`Error::Definition`] when there is none, there are too many, two have one name, or one cannot be used.
pub fn read(specs: &[Value]) -> Result<Vec<Look>> {
    if specs.is_empty() || specs.len() > MOST_SCORERS {
        return Err(wrong(format!("give 1 to {MOST_SCORERS}")));
    }
    let looks = specs.iter().map(Look::read).collect::<Result<Vec<_>>>()?;
    for (place, look) in looks.iter().enumerate() {
        if looks[..place].iter().any(|other| other.name() == look.name()) {
            return Err(wrong(format!("two are called {:?}; give each a `name`", look.name())));
        }
    }
    Ok(looks)
}

fn wrong(why: impl Into<String>) -> Error {
    Error::definition("scorers", why)
}

impl Look {
    fn read(spec: &Value) -> Result<Self> {
        match spec["kind"].as_str() {
            Some("contains") => Self::contains(spec.clone()),
            Some(TOXICITY) => Self::plain(toxic(spec.clone()), Vec::new()),
            Some(_) => Self::plain(spec.clone(), Vec::new()),
            None => Err(wrong("each needs a `kind`")),
        }
    }

    fn contains(mut spec: Value) -> Result<Self> {
        let texts = spec.as_object_mut().and_then(|spec| spec.remove("texts")).unwrap_or_else(|| json!([]));
        let texts: Vec<String> = serde_json::from_value(texts).map_err(|_| wrong("`texts` is a list of texts"))?;
        if texts.is_empty() || texts.len() > MOST_TEXTS {
            return Err(wrong(format!("`contains` needs 1 to {MOST_TEXTS} `texts`, of which any will do")));
        }
        if texts.iter().any(|text| text.trim().is_empty() || text.len() > MOST_TEXT_BYTES) {
            return Err(wrong(format!("each of `texts` has 1 to {MOST_TEXT_BYTES} bytes")));
        }
        Self::plain(spec, texts)
    }

    fn plain(spec: Value, texts: Vec<String>) -> Result<Self> {
        let spec: ScorerSpec = serde_json::from_value(spec).map_err(|cause| wrong(cause.to_string()))?;
        if spec.kind.needs_reference() && texts.is_empty() {
            let why = format!("{:?} compares with a reference, and live calls have none", spec.kind.word());
            return Err(wrong(why));
        }
        let scorer = Scorer::new(&spec).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { scorer, texts, reads_text: spec.kind.reads_text() })
    }

    /// What its scores are called.
    pub fn name(&self) -> &str {
        self.scorer.name()
    }

    /// Which way is better.
    pub fn direction(&self) -> Direction {
        self.scorer.direction()
    }

    /// What a score counts.
    pub fn unit(&self) -> Unit {
        self.scorer.unit()
    }

    /// Whether it reads what an answer says; otherwise it is enough that there is one.
    pub fn reads_text(&self) -> bool {
        self.reads_text
    }

    /// The score of an answer.
    ///
    /// # Errors
    /// [`NoScore`] when there is none, which is not 0.
    pub fn score(&self, answer: &Answer<'_>) -> std::result::Result<f64, NoScore> {
        self.scorer.score(&Answer { references: &self.texts, ..*answer })
    }
}

/// The same by the word that experiments have for it, with the name that its scores have here.
fn toxic(mut spec: Value) -> Value {
    spec["kind"] = json!("toxic");
    if spec["name"].is_null() {
        spec["name"] = json!(TOXICITY);
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(spec: Value, text: &str, expected: f64, better: Direction) {
        let look = &read(&[spec]).unwrap()[0];
        let answer = Answer { text: Some(text), ..Answer::default() };
        assert_eq!((look.score(&answer), look.direction()), (Ok(expected), better), "{text:?}");
    }

    #[test]
    fn what_needs_no_reference() {
        let sorry =
            json!({"kind": "contains", "texts": ["I cannot", "as an AI"], "ignore_case": true, "name": "refuses"});
        check(sorry.clone(), "Well, i CANNOT do that", 1.0, Direction::Higher);
        check(sorry, "Yes.", 0.0, Direction::Higher);
        check(json!({"kind": "leak"}), "write to ada@example.org", 1.0, Direction::Lower);
        check(json!({"kind": "leak"}), "write to ada", 0.0, Direction::Lower);
        check(json!({"kind": "toxicity", "name": "rude"}), "you idiot", 1.0, Direction::Lower);
        check(json!({"kind": "toxicity"}), "good morning", 0.0, Direction::Lower);
        check(json!({"kind": "toxic"}), "you idiot", 1.0, Direction::Lower);
        check(json!({"kind": "leak", "kinds": ["secret"]}), "write to ada@example.org", 0.0, Direction::Lower);
        check(json!({"kind": "leak", "kinds": ["secret", "email"]}), "write to ada@example.org", 1.0, Direction::Lower);
        check(json!({"kind": "toxicity", "kinds": ["threat"]}), "you idiot", 0.0, Direction::Lower);
        check(json!({"kind": "regex", "pattern": "^\\d+$"}), "42", 1.0, Direction::Higher);
        check(json!({"kind": "length", "unit": "words"}), "one two", 2.0, Direction::Lower);
        let silent = &read(&[json!({"kind": "leak"})]).unwrap()[0];
        assert_eq!(silent.score(&Answer::default()), Err(NoScore::NoAnswer));
    }

    #[test]
    fn names_follow_from_kinds_and_some_need_no_text() {
        let specs = json!([{"kind": "toxicity"}, {"kind": "toxic"}, {"kind": "latency"}, {"kind": "cost"},
                           {"kind": "length", "unit": "tokens", "name": "tokens"}, {"kind": "length"}]);
        let looks = read(specs.as_array().unwrap()).unwrap();
        let found: Vec<_> = looks.iter().map(|look| (look.name(), look.reads_text())).collect();
        let expected = [("toxicity", true), ("toxic", true), ("latency", false), ("cost", false), ("tokens", false)];
        assert_eq!(found, [&expected[..], &[("length", true)]].concat());
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let refused = |specs: Value, words: &str| {
            let why = read(specs.as_array().unwrap()).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        };
        refused(json!([]), "1 to 16");
        refused(json!([{"kind": "exact_match"}]), "live calls have none");
        for kind in ["token_f1", "number_match", "bleu", "chrf", "ter", "rouge", "meteor", "edit_similarity"] {
            refused(json!([{"kind": kind}]), "live calls have none");
        }
        refused(json!([{"kind": "contains"}]), "texts");
        refused(json!([{"kind": "leak", "kinds": ["secrets"]}]), "secrets");
        refused(json!([{"kind": "contains", "texts": [" "]}]), "texts");
        refused(json!([{"kind": "leak", "pattern": "x"}]), "pattern");
        refused(json!([{"kind": "leak", "name": "No Name"}]), "lower-case");
        refused(json!([{"kind": "regex", "pattern": "("}]), "unclosed");
        refused(json!([{"kind": "cost"}, {"kind": "latency", "name": "cost"}]), "two are called");
        refused(json!([{"name": "x"}]), "kind");
    }
}
