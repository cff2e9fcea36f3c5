//! Scorers of live calls: those that need nobody to say what would have been right.

use qd_eval::metric::pattern;
use qd_eval::scorer::{MOST_SCORERS, ScorerKind};
use qd_eval::{Answer, Direction, NoScore, Scorer, ScorerSpec, Unit};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Error, Result};

/// Texts of `contains` at most.
const MOST_TEXTS: usize = 64;
/// The longest of them.
const MOST_TEXT_BYTES: usize = 4_096;

/// A scorer that is ready to use.
#[derive(Debug, Clone)]
pub struct Look {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Scorer { scorer: Scorer, texts: Vec<String> },
    Leak,
    Toxicity,
}

/// A pattern for what should not be there.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pattern {
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default)]
    name: Option<String>,
}

/// Reads what a rule looks at.
///
/// Beside the kinds of `eval` that need no reference there are `contains` with its `texts`, and `leak` and `toxicity`, which are 1 where a
/// pattern finds something and 0 otherwise.
///
/// # Errors
/// [`Error::Definition`] when there is none, there are too many, two have one name, or one cannot be used.
pub fn read(specs: &[Value]) -> Result<Vec<Look>> {
    if specs.is_empty() || specs.len() > MOST_SCORERS {
        return Err(wrong(format!("give 1 to {MOST_SCORERS}")));
    }
    let looks = specs.iter().map(Look::read).collect::<Result<Vec<_>>>()?;
    for (place, look) in looks.iter().enumerate() {
        if looks[..place].iter().any(|other| other.name == look.name) {
            return Err(wrong(format!("two are called {:?}; give each a `name`", look.name)));
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
            Some("leak") => Self::pattern(spec, Kind::Leak),
            Some("toxicity") => Self::pattern(spec, Kind::Toxicity),
            Some("contains") => Self::contains(spec.clone()),
            Some(_) => Self::plain(spec.clone(), Vec::new()),
            None => Err(wrong("each needs a `kind`")),
        }
    }

    fn pattern(spec: &Value, kind: Kind) -> Result<Self> {
        let Pattern { name, .. } = Pattern::deserialize(spec).map_err(|cause| wrong(cause.to_string()))?;
        let word = if matches!(kind, Kind::Leak) { "leak" } else { "toxicity" };
        let name = name.unwrap_or_else(|| word.to_owned());
        // A name is right when a scorer may have it.
        Scorer::new(&ScorerSpec { name: Some(name.clone()), kind: ScorerKind::Latency })
            .map_err(|e| wrong(e.to_string()))?;
        Ok(Self { name, kind })
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
        if let ScorerKind::ExactMatch(_) | ScorerKind::TokenF1(_) | ScorerKind::NumberMatch(_) = spec.kind {
            let why = format!("{:?} compares with a reference, and live calls have none", spec.kind.word());
            return Err(wrong(why));
        }
        let scorer = Scorer::new(&spec).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { name: scorer.name().to_owned(), kind: Kind::Scorer { scorer, texts } })
    }

    /// What its scores are called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which way is better.
    pub fn direction(&self) -> Direction {
        match &self.kind {
            Kind::Scorer { scorer, .. } => scorer.direction(),
            Kind::Leak | Kind::Toxicity => Direction::Lower,
        }
    }

    /// What a score counts.
    pub fn unit(&self) -> Unit {
        match &self.kind {
            Kind::Scorer { scorer, .. } => scorer.unit(),
            Kind::Leak | Kind::Toxicity => Unit::Share,
        }
    }

    /// The score of an answer.
    ///
    /// # Errors
    /// [`NoScore`] when there is none, which is not 0.
    pub fn score(&self, answer: &Answer<'_>) -> std::result::Result<f64, NoScore> {
        let found =
            |found: qd_eval::Result<bool>| found.map(|yes| f64::from(u8::from(yes))).map_err(|_| NoScore::NotMeasured);
        match &self.kind {
            Kind::Scorer { scorer, texts } => scorer.score(&Answer { references: texts, ..*answer }),
            Kind::Leak => found(pattern::leaks(answer.text.ok_or(NoScore::NoAnswer)?).map(|found| !found.is_empty())),
            Kind::Toxicity => {
                found(pattern::toxicity(answer.text.ok_or(NoScore::NoAnswer)?).map(|found| !found.is_empty()))
            }
        }
    }
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
        check(json!({"kind": "regex", "pattern": "^\\d+$"}), "42", 1.0, Direction::Higher);
        check(json!({"kind": "length", "unit": "words"}), "one two", 2.0, Direction::Lower);
        let silent = &read(&[json!({"kind": "leak"})]).unwrap()[0];
        assert_eq!(silent.score(&Answer::default()), Err(NoScore::NoAnswer));
    }

    #[test]
    fn what_cannot_be_used_says_why() {
        let refused = |specs: Value, words: &str| {
            let why = read(specs.as_array().unwrap()).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        };
        refused(json!([]), "1 to 16");
        refused(json!([{"kind": "exact_match"}]), "live calls have none");
        refused(json!([{"kind": "contains"}]), "texts");
        refused(json!([{"kind": "contains", "texts": [" "]}]), "texts");
        refused(json!([{"kind": "leak", "pattern": "x"}]), "pattern");
        refused(json!([{"kind": "leak", "name": "No Name"}]), "lower-case");
        refused(json!([{"kind": "regex", "pattern": "("}]), "unclosed");
        refused(json!([{"kind": "cost"}, {"kind": "latency", "name": "cost"}]), "two are called");
        refused(json!([{"name": "x"}]), "kind");
    }
}
