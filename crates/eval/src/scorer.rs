//! Scorers: what one may ask for as data, and the same read once and ready to use.

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::f1;
use crate::number::{self, Tolerance};
use crate::schema::Schema;
use crate::score::{Answer, Direction, NoScore, Unit};
use crate::text::{self, Extract, Normalise};
use crate::{Error, Result};

/// Scorers of one experiment at most.
pub const MOST_SCORERS: usize = 16;
/// Characters of a scorer's name at most.
pub const LONGEST_NAME_CHARS: usize = 64;

/// What to look at, as it is written in a definition: `{"kind": "exact_match", "ignore_case": true}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct ScorerSpec {
    /// What the score is called; its kind when nothing else is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is looked at.
    #[serde(flatten)]
    pub kind: ScorerKind,
}

/// The same, read without looking for options that nobody knows.
#[derive(Deserialize)]
struct Lenient {
    #[serde(default)]
    name: Option<String>,
    #[serde(flatten)]
    kind: ScorerKind,
}

impl TryFrom<Value> for ScorerSpec {
    type Error = String;

    /// An option that is not known is refused: a misspelled `ignore_case` would change every score in silence.
    fn try_from(value: Value) -> std::result::Result<Self, String> {
        let Lenient { name, kind } = Lenient::deserialize(&value).map_err(|cause| cause.to_string())?;
        let spec = Self { name, kind };
        let known = serde_json::to_value(&spec).map_err(|cause| cause.to_string())?;
        let given = value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        match given.map(|(option, _)| option).find(|option| known.get(option.as_str()).is_none()) {
            Some(option) => Err(format!("the scorer {:?} has no option {option:?}", spec.kind.word())),
            None => Ok(spec),
        }
    }
}

/// What is looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ScorerKind {
    /// Whether the answer is a reference, after both were normalised.
    ExactMatch(TextOptions),
    /// Whether a reference stands in the answer, after both were normalised.
    Contains(TextOptions),
    /// How many words the answer and a reference share: F1, as SQuAD counts it.
    TokenF1(ExtractOption),
    /// Whether the last number of the answer is that of a reference.
    NumberMatch(NumberOptions),
    /// Whether a pattern is found in the answer. Needs no reference.
    Regex {
        /// The pattern, in the syntax of the `regex` crate: linear time, no look-around.
        pattern: String,
    },
    /// Whether the answer is JSON that a schema allows. Needs no reference.
    JsonSchema {
        /// The schema.
        schema: Value,
        /// Whether the JSON may stand in a fenced block of Markdown.
        #[serde(default)]
        allow_fence: bool,
    },
    /// How long the answer is.
    Length {
        /// In what it is counted.
        #[serde(default)]
        unit: LengthUnit,
        /// Which way is better.
        #[serde(default = "lower")]
        better: Direction,
    },
    /// How long the call took, in milliseconds.
    Latency,
    /// What the call cost, in dollars.
    Cost,
}

/// How answers and references are compared as texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TextOptions {
    /// What is made equal before.
    #[serde(flatten)]
    pub normalise: Normalise,
    /// Which part of the answer counts.
    #[serde(flatten)]
    pub extract: ExtractOption,
}

/// Which part of an answer counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExtractOption {
    /// A pattern; of its last match the first group counts, or all of it. An answer without a match counts as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<String>,
}

/// How numbers are compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NumberOptions {
    /// How far they may be apart.
    #[serde(flatten)]
    pub tolerance: Tolerance,
    /// Which part of the answer counts.
    #[serde(flatten)]
    pub extract: ExtractOption,
}

/// In what a length is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthUnit {
    /// Unicode scalar values.
    #[default]
    Characters,
    /// What stands between white space.
    Words,
    /// Tokens, as the model counts them.
    Tokens,
}

fn lower() -> Direction {
    Direction::Lower
}

impl ScorerKind {
    /// The word that it is called by.
    pub fn word(&self) -> &'static str {
        match self {
            Self::ExactMatch(_) => "exact_match",
            Self::Contains(_) => "contains",
            Self::TokenF1(_) => "token_f1",
            Self::NumberMatch(_) => "number_match",
            Self::Regex { .. } => "regex",
            Self::JsonSchema { .. } => "json_schema",
            Self::Length { .. } => "length",
            Self::Latency => "latency",
            Self::Cost => "cost",
        }
    }
}

impl From<ScorerKind> for ScorerSpec {
    fn from(kind: ScorerKind) -> Self {
        Self { name: None, kind }
    }
}

/// A scorer that is ready to use.
///
/// ```
/// use qd_eval::{Answer, Scorer, ScorerSpec};
/// let spec: ScorerSpec = serde_json::from_str(r#"{"kind": "number_match"}"#)?;
/// let scorer = Scorer::new(&spec)?;
/// let answer = Answer { text: Some("So it is $1,234."), references: &["#### 1234".into()], ..Answer::default() };
/// assert_eq!(scorer.score(&answer), Ok(1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Scorer {
    name: String,
    look: Look,
}

#[derive(Debug, Clone)]
enum Look {
    Exact(Normalise, Extract),
    Contains(Normalise, Extract),
    TokenF1(Extract),
    Number(Tolerance, Extract),
    Pattern(Regex),
    Schema(Box<Schema>, bool),
    Length(LengthUnit, Direction),
    Latency,
    Cost,
}

impl Scorer {
    /// Reads what was asked for.
    ///
    /// # Errors
    /// [`Error::Scorer`] for a name, a pattern or a schema that cannot be used.
    pub fn new(spec: &ScorerSpec) -> Result<Self> {
        let name = spec.name.as_deref().unwrap_or_else(|| spec.kind.word());
        if !is_name(name) {
            let why = format!("its name must be 1 to {LONGEST_NAME_CHARS} lower-case letters, digits and '_'");
            return Err(Error::scorer(name, why));
        }
        let extract = |option: &ExtractOption| Extract::new(option.extract.as_deref());
        let look = match &spec.kind {
            ScorerKind::ExactMatch(options) => extract(&options.extract).map(|e| Look::Exact(options.normalise, e)),
            ScorerKind::Contains(options) => extract(&options.extract).map(|e| Look::Contains(options.normalise, e)),
            ScorerKind::TokenF1(option) => extract(option).map(Look::TokenF1),
            ScorerKind::NumberMatch(options) => options
                .tolerance
                .check()
                .and_then(|()| extract(&options.extract))
                .map(|e| Look::Number(options.tolerance, e)),
            ScorerKind::Regex { pattern } => text::pattern(pattern).map(Look::Pattern),
            ScorerKind::JsonSchema { schema, allow_fence } => Schema::new(schema)
                .map(|schema| Look::Schema(Box::new(schema), *allow_fence))
                .map_err(|error| error.to_string()),
            ScorerKind::Length { unit, better } => Ok(Look::Length(*unit, *better)),
            ScorerKind::Latency => Ok(Look::Latency),
            ScorerKind::Cost => Ok(Look::Cost),
        };
        Ok(Self { name: name.to_owned(), look: look.map_err(|why| Error::scorer(name, why))? })
    }

    /// What the score is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which way is better.
    pub fn direction(&self) -> Direction {
        match self.look {
            Look::Length(_, better) => better,
            Look::Latency | Look::Cost => Direction::Lower,
            _ => Direction::Higher,
        }
    }

    /// What it counts.
    pub fn unit(&self) -> Unit {
        match self.look {
            Look::Length(..) => Unit::Count,
            Look::Latency => Unit::Milliseconds,
            Look::Cost => Unit::Dollars,
            _ => Unit::Share,
        }
    }

    /// The score of an answer.
    ///
    /// # Errors
    /// [`NoScore`] when there is none, which is not 0.
    pub fn score(&self, answer: &Answer<'_>) -> std::result::Result<f64, NoScore> {
        let said = answer.text.ok_or(NoScore::NoAnswer);
        match &self.look {
            Look::Exact(normalise, extract) => {
                let said = extract.apply(said?);
                yes(answer, |reference| {
                    let normalise = fitting(*normalise, reference);
                    normalise.apply(reference) == normalise.apply(said)
                })
            }
            Look::Contains(normalise, extract) => {
                let said = extract.apply(said?);
                // Nothing stands in every answer, and so says nothing of any.
                let references =
                    answer.references.iter().filter(|reference| !Normalise::default().is_nothing(reference));
                let stands = |reference: &String| {
                    let normalise = fitting(*normalise, reference);
                    share(normalise.apply(said).contains(normalise.apply(reference).as_str()))
                };
                references.map(stands).reduce(f64::max).ok_or(NoScore::NoReference)
            }
            Look::TokenF1(extract) => {
                let said = extract.apply(said?);
                best(answer, |reference| f1::token_f1(said, reference))
            }
            Look::Number(tolerance, extract) => numbers(answer, *tolerance, extract.apply(said?)),
            Look::Pattern(pattern) => Ok(share(pattern.is_match(said?))),
            Look::Schema(schema, fenced) => Ok(share(schema.allows_text(said?, *fenced))),
            Look::Length(unit, _) => length(answer, *unit, said?),
            Look::Latency => said.and(answer.latency_ms.ok_or(NoScore::NotMeasured)),
            Look::Cost => answer.cost.map(qd_base::Picodollars::as_dollars).ok_or(NoScore::NotMeasured),
        }
    }
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.len() <= LONGEST_NAME_CHARS && name.chars().all(fits)
}

fn share(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// The best of all references.
fn best(answer: &Answer<'_>, of: impl Fn(&str) -> f64) -> std::result::Result<f64, NoScore> {
    answer.references.iter().map(|reference| of(reference)).reduce(f64::max).ok_or(NoScore::NoReference)
}

fn yes(answer: &Answer<'_>, of: impl Fn(&str) -> bool) -> std::result::Result<f64, NoScore> {
    best(answer, |reference| share(of(reference)))
}

/// How a reference is made equal: as it is, when normalising would leave nothing of it, as of `?` without punctuation.
fn fitting(normalise: Normalise, reference: &str) -> Normalise {
    if normalise.is_nothing(reference) { Normalise::default() } else { normalise }
}

fn numbers(answer: &Answer<'_>, tolerance: Tolerance, said: &str) -> std::result::Result<f64, NoScore> {
    if answer.references.is_empty() {
        return Err(NoScore::NoReference);
    }
    let right: Vec<f64> = answer.references.iter().filter_map(|reference| number::last(reference)).collect();
    if right.is_empty() {
        return Err(NoScore::NoNumberInReference);
    }
    Ok(share(number::last(said).is_some_and(|said| right.iter().any(|&right| tolerance.equal(said, right)))))
}

fn length(answer: &Answer<'_>, unit: LengthUnit, said: &str) -> std::result::Result<f64, NoScore> {
    match unit {
        LengthUnit::Characters => Ok(said.chars().count() as f64),
        LengthUnit::Words => Ok(said.split_whitespace().count() as f64),
        LengthUnit::Tokens => answer.output_tokens.map(|tokens| tokens as f64).ok_or(NoScore::NotMeasured),
    }
}

/// The scorers of one experiment: at least one, each with a name of its own.
#[derive(Debug, Clone)]
pub struct Scorers(Vec<Scorer>);

impl Scorers {
    /// Reads what was asked for.
    ///
    /// # Errors
    /// [`Error::Scorer`] when there is none, there are too many, two have one name, or one cannot be used.
    pub fn new(specs: &[ScorerSpec]) -> Result<Self> {
        if specs.is_empty() || specs.len() > MOST_SCORERS {
            return Err(Error::scorer("", format!("give 1 to {MOST_SCORERS} scorers")));
        }
        let scorers = specs.iter().map(Scorer::new).collect::<Result<Vec<_>>>()?;
        for (place, scorer) in scorers.iter().enumerate() {
            if scorers[..place].iter().any(|other| other.name == scorer.name) {
                return Err(Error::scorer(&scorer.name, "another one has its name; give each a `name`"));
            }
        }
        Ok(Self(scorers))
    }

    /// Them, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Scorer> {
        self.0.iter()
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<&Scorer> {
        self.0.iter().find(|scorer| scorer.name == name)
    }

    /// The first, by which cells are ranked when nothing else is said.
    pub fn first(&self) -> &Scorer {
        &self.0[0]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(spec: Value, text: &str, references: &[&str], expected: std::result::Result<f64, NoScore>) {
        let spec: ScorerSpec = serde_json::from_value(spec).unwrap();
        let references: Vec<String> = references.iter().map(|&text| text.to_owned()).collect();
        let answer = Answer { text: Some(text), references: &references, ..Answer::default() };
        assert_eq!(Scorer::new(&spec).unwrap().score(&answer), expected, "{spec:?} {text:?}");
    }

    #[test]
    fn what_is_missing_is_no_zero() {
        for kind in ["exact_match", "contains", "token_f1", "number_match"] {
            check(json!({"kind": kind}), "42", &[], Err(NoScore::NoReference));
        }
        check(json!({"kind": "number_match"}), "42", &["forty-two"], Err(NoScore::NoNumberInReference));
        check(json!({"kind": "length", "unit": "tokens"}), "42", &[], Err(NoScore::NotMeasured));
        check(json!({"kind": "latency"}), "42", &[], Err(NoScore::NotMeasured));
        check(json!({"kind": "cost"}), "42", &[], Err(NoScore::NotMeasured));
        let scorer = Scorer::new(&serde_json::from_value(json!({"kind": "exact_match"})).unwrap()).unwrap();
        assert_eq!(scorer.score(&Answer::default()), Err(NoScore::NoAnswer));
    }

    #[test]
    fn texts() {
        check(json!({"kind": "exact_match"}), "  Yes\n", &["No", "Yes"], Ok(1.0));
        check(json!({"kind": "exact_match"}), "yes", &["Yes"], Ok(0.0));
        check(
            json!({"kind": "exact_match", "ignore_case": true, "ignore_punctuation": true}),
            "\"Yes.\"",
            &["yes"],
            Ok(1.0),
        );
        let after = json!({"kind": "exact_match", "extract": "(?i)answer is:? *(\\w+)"});
        check(after.clone(), "The answer is no? The answer is Yes.", &["Yes"], Ok(1.0));
        check(after, "Yes", &["Yes"], Ok(1.0));
        check(json!({"kind": "contains", "ignore_case": true}), "So it is PARIS, I think", &["Paris"], Ok(1.0));
        check(json!({"kind": "regex", "pattern": "^\\d+$"}), "12", &[], Ok(1.0));
        check(json!({"kind": "regex", "pattern": "^\\d+$"}), "12 apples", &[], Ok(0.0));
        check(json!({"kind": "length", "unit": "words"}), "one two  three", &[], Ok(3.0));
        check(json!({"kind": "length"}), "héé", &[], Ok(3.0));
        let person = json!({"type": "object", "required": ["name"]});
        check(json!({"kind": "json_schema", "schema": person}), "{\"name\": 1}", &[], Ok(1.0));
        check(json!({"kind": "json_schema", "schema": person}), "```json\n{\"name\": 1}\n```", &[], Ok(0.0));
        let fenced = json!({"kind": "json_schema", "schema": person, "allow_fence": true});
        check(fenced.clone(), "Here:\n```json\n{\"name\": 1}\n```\nDone.", &[], Ok(1.0));
        check(fenced, "```\n{}\n```", &[], Ok(0.0));
    }

    /// A reference of which normalising leaves nothing would be equal to every answer of which it leaves nothing too.
    #[test]
    fn a_reference_of_which_nothing_would_be_left_is_compared_as_it_is() {
        let exact = json!({"kind": "exact_match", "ignore_punctuation": true});
        check(exact.clone(), "?", &["?"], Ok(1.0));
        check(exact.clone(), "!", &["?"], Ok(0.0));
        check(exact, "", &["?"], Ok(0.0));
        let contains = json!({"kind": "contains", "ignore_punctuation": true});
        check(contains.clone(), "yes", &["?"], Ok(0.0));
        check(contains.clone(), "yes?", &["?"], Ok(1.0));
        // Nothing stands in every answer.
        check(contains, "yes", &[""], Err(NoScore::NoReference));
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let refused = |spec: Value| Scorer::new(&serde_json::from_value(spec).unwrap()).unwrap_err().to_string();
        assert!(refused(json!({"kind": "regex", "pattern": "("})).contains("unclosed group"));
        assert!(refused(json!({"kind": "regex", "pattern": "a{1000}{1000}"})).contains("too large"));
        assert!(refused(json!({"kind": "json_schema", "schema": {"type": "thing"}})).contains("thing"));
        assert!(refused(json!({"kind": "cost", "name": "The Cost"})).contains("lower-case"));
        assert!(refused(json!({"kind": "number_match", "tolerance": -1.0})).contains("tolerance"));
        let twice: Vec<ScorerSpec> = serde_json::from_value(json!([{"kind": "cost"}, {"kind": "cost"}])).unwrap();
        assert!(Scorers::new(&twice).unwrap_err().to_string().contains("name"));
        assert!(Scorers::new(&[]).is_err());
        assert!(serde_json::from_value::<ScorerSpec>(json!({"kind": "vibes"})).is_err());
        let misspelled = serde_json::from_value::<ScorerSpec>(json!({"kind": "exact_match", "ignore_cas": true}));
        assert!(misspelled.unwrap_err().to_string().contains("no option \"ignore_cas\""));
    }

    #[test]
    fn a_definition_survives_being_written() {
        let spec = json!({"name": "right", "kind": "exact_match", "ignore_case": true, "extract": "x(.)"});
        let read: ScorerSpec = serde_json::from_value(spec).unwrap();
        let again: ScorerSpec = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
        assert_eq!(read, again);
    }
}
