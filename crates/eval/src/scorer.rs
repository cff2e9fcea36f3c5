//! Scorers: what one may ask for as data, and the same read once and ready to use.

mod kind;
mod overlap;

use regex::Regex;

pub use self::kind::{
    BleuOptions, ChrfOptions, EditMeasure, EditOptions, ExtractOption, LengthUnit, MeteorOptions, MeteorStage,
    NumberOptions, ReadabilityIndex, RougeOptions, RougeVariant, ScorerKind, ScorerSpec, ShareOf, TerOptions,
    TextOptions,
};
use self::overlap::Overlap;
use crate::corpus::CorpusMetric;
use crate::f1;
use crate::metric::pattern::{self, Leak, Toxicity};
use crate::metric::readability::TextCounts;
use crate::number::{self, Tolerance};
use crate::schema::Schema;
use crate::score::{Answer, Direction, NoScore, Unit};
use crate::text::{self, Extract, Normalise};
use crate::{Error, Result};

/// Scorers of one experiment at most.
pub const MOST_SCORERS: usize = 16;
/// Characters of a scorer's name at most.
pub const LONGEST_NAME_CHARS: usize = 64;

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
    Overlap(Overlap, Extract),
    Readability(ReadabilityIndex, Direction),
    Leak(Vec<Leak>),
    Toxic(Vec<Toxicity>),
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
        let look = Look::new(&spec.kind);
        Ok(Self { name: name.to_owned(), look: look.map_err(|why| Error::scorer(name, why))? })
    }

    /// What the score is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which way is better.
    pub fn direction(&self) -> Direction {
        match self.look {
            Look::Length(_, better) | Look::Readability(_, better) => better,
            Look::Overlap(ref overlap, _) => overlap.direction(),
            Look::Leak(_) | Look::Toxic(_) | Look::Latency | Look::Cost => Direction::Lower,
            _ => Direction::Higher,
        }
    }

    /// What it counts.
    pub fn unit(&self) -> Unit {
        match self.look {
            Look::Length(..) | Look::Readability(..) => Unit::Count,
            Look::Overlap(ref overlap, _) => overlap.unit(),
            Look::Latency => Unit::Milliseconds,
            Look::Cost => Unit::Dollars,
            _ => Unit::Share,
        }
    }

    /// How scores of many answers become one, where that is no mean of scores.
    pub fn corpus(&self) -> Option<CorpusMetric> {
        match &self.look {
            Look::Overlap(Overlap::Corpus(metric), _) => Some(*metric),
            _ => None,
        }
    }

    /// What makes the corpus score of an answer, to be added up; none where the score of many is the mean of scores.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub fn statistics(&self, answer: &Answer<'_>) -> Option<std::result::Result<Vec<f64>, NoScore>> {
        let Look::Overlap(Overlap::Corpus(metric), extract) = &self.look else { return None };
        let of = |said| match answer.references {
            [] => Err(NoScore::NoReference),
            references => metric.statistics(extract.apply(said), references).map_err(|_| NoScore::NotComputable),
        };
        Some(answer.text.ok_or(NoScore::NoAnswer).and_then(of))
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
            Look::Overlap(overlap, extract) => overlap.score(extract.apply(said?), answer.references),
            Look::Readability(index, _) => readability(*index, said?),
            Look::Leak(kinds) => {
                let found = pattern::leaks(said?).map_err(|_| NoScore::NotComputable)?;
                Ok(share(found.iter().any(|found| counts(kinds, found.kind))))
            }
            Look::Toxic(kinds) => {
                let found = pattern::toxicity(said?).map_err(|_| NoScore::NotComputable)?;
                Ok(share(found.iter().any(|&found| counts(kinds, found))))
            }
            Look::Latency => said.and(answer.latency_ms.ok_or(NoScore::NotMeasured)),
            Look::Cost => answer.cost.map(qd_base::Picodollars::as_dollars).ok_or(NoScore::NotMeasured),
        }
    }
}

impl Look {
    /// Reads what is looked at, or says why it cannot be.
    fn new(kind: &ScorerKind) -> std::result::Result<Self, String> {
        let extract = |option: &ExtractOption| Extract::new(option.extract.as_deref());
        let overlap = |overlap: Overlap, option: &ExtractOption| {
            overlap.check()?;
            Ok(Self::Overlap(overlap, extract(option)?))
        };
        match kind {
            ScorerKind::ExactMatch(options) => Ok(Self::Exact(options.normalise, extract(&options.extract)?)),
            ScorerKind::Contains(options) => Ok(Self::Contains(options.normalise, extract(&options.extract)?)),
            ScorerKind::TokenF1(option) => extract(option).map(Self::TokenF1),
            ScorerKind::NumberMatch(options) => {
                options.tolerance.check()?;
                Ok(Self::Number(options.tolerance, extract(&options.extract)?))
            }
            ScorerKind::Regex { pattern } => text::pattern(pattern).map(Self::Pattern),
            ScorerKind::JsonSchema { schema, allow_fence } => Schema::new(schema)
                .map(|schema| Self::Schema(Box::new(schema), *allow_fence))
                .map_err(|error| error.to_string()),
            ScorerKind::Length { unit, better } => Ok(Self::Length(*unit, *better)),
            ScorerKind::Bleu(options) => overlap(Overlap::Corpus(CorpusMetric::Bleu(options.bleu)), &options.extract),
            ScorerKind::Chrf(options) => overlap(Overlap::Corpus(CorpusMetric::Chrf(options.chrf)), &options.extract),
            ScorerKind::Ter(options) => overlap(Overlap::Corpus(CorpusMetric::Ter(options.ter)), &options.extract),
            ScorerKind::Rouge(options) => {
                overlap(Overlap::Rouge(options.rouge, options.variant, options.value), &options.extract)
            }
            ScorerKind::Meteor(options) => overlap(Overlap::meteor(options)?, &options.extract),
            ScorerKind::EditSimilarity(options) => {
                overlap(Overlap::Edit(options.measure, options.normalise), &options.extract)
            }
            ScorerKind::Readability { index, better } => {
                Ok(Self::Readability(*index, better.unwrap_or_else(|| index.easier())))
            }
            ScorerKind::Leak { kinds } => Ok(Self::Leak(kinds.clone())),
            ScorerKind::Toxic { kinds } => Ok(Self::Toxic(kinds.clone())),
            ScorerKind::Latency => Ok(Self::Latency),
            ScorerKind::Cost => Ok(Self::Cost),
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

/// Whether a kind counts: all do where none is named.
fn counts<K: PartialEq>(kinds: &[K], found: K) -> bool {
    kinds.is_empty() || kinds.contains(&found)
}

fn readability(index: ReadabilityIndex, said: &str) -> std::result::Result<f64, NoScore> {
    let counts = TextCounts::new(said).map_err(|_| NoScore::NotComputable)?;
    Ok(match index {
        ReadabilityIndex::FleschReadingEase => counts.flesch_reading_ease(),
        ReadabilityIndex::FleschKincaidGrade => counts.flesch_kincaid_grade(),
        ReadabilityIndex::GunningFog => counts.gunning_fog(),
        ReadabilityIndex::Smog => counts.smog(),
        ReadabilityIndex::ColemanLiau => counts.coleman_liau(),
        ReadabilityIndex::AutomatedReadabilityIndex => counts.automated_readability_index(),
    })
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
    use serde_json::{Value, json};

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
        assert!(refused(json!({"kind": "bleu", "max_order": 17})).contains("max_order"));
        assert!(refused(json!({"kind": "rouge", "extract": "("})).contains("unclosed group"));
        assert!(Scorers::new(&[]).is_err());
        assert!(serde_json::from_value::<ScorerSpec>(json!({"kind": "vibes"})).is_err());
        let misspelled = serde_json::from_value::<ScorerSpec>(json!({"kind": "exact_match", "ignore_cas": true}));
        assert!(misspelled.unwrap_err().to_string().contains("no option \"ignore_cas\""));
    }

    #[test]
    fn a_definition_survives_being_written() {
        for spec in [
            json!({"name": "right", "kind": "exact_match", "ignore_case": true, "extract": "x(.)"}),
            json!({"kind": "bleu", "tokenise": "intl", "smooth": {"add-k": 1.0}, "extract": "x(.)"}),
            json!({"kind": "chrf", "word_order": 2}),
            json!({"kind": "rouge", "variant": "lsum", "words": "unicode"}),
            json!({"kind": "meteor", "stages": ["exact", "stem"], "alpha": 0.8}),
            json!({"kind": "readability", "index": "smog", "better": "higher"}),
            json!({"kind": "leak", "kinds": ["email", "secret"]}),
        ] {
            let read: ScorerSpec = serde_json::from_value(spec.clone()).unwrap();
            let written = serde_json::to_value(&read).unwrap();
            let kept = |(option, value): (&String, &Value)| written[option] == *value;
            assert!(spec.as_object().unwrap().iter().all(kept), "{written} of {spec}");
            assert_eq!(serde_json::from_value::<ScorerSpec>(written).unwrap(), read);
        }
    }

    /// A score of one answer, to be compared with what a reference implementation or a hand says.
    #[track_caller]
    fn near(spec: Value, text: &str, references: &[&str], expected: f64) {
        let scorer = Scorer::new(&serde_json::from_value(spec.clone()).unwrap()).unwrap();
        let references: Vec<String> = references.iter().map(|&text| text.to_owned()).collect();
        let found = scorer.score(&Answer { text: Some(text), references: &references, ..Answer::default() }).unwrap();
        assert!((found - expected).abs() < 5e-5, "{spec}: {found} instead of {expected}");
    }

    #[test]
    fn overlaps() {
        let (said, right) = ("The cat sat on the mat.", "The cat sat on a mat.");
        // sacrebleu's sentence_bleu, as in the example of `Bleu`; a hand calculation for the others.
        near(json!({"kind": "bleu"}), said, &[right], 48.8923);
        // Of six words one is replaced.
        near(json!({"kind": "ter"}), said, &[right], 100.0 / 6.0);
        near(json!({"kind": "ter"}), said, &["no", said], 0.0);
        // Five of six words, three of five pairs (`the cat`, `cat sat`, `sat on`).
        near(json!({"kind": "rouge", "variant": "1"}), said, &[right], 5.0 / 6.0);
        near(json!({"kind": "rouge", "variant": "2"}), said, &[right], 3.0 / 5.0);
        near(json!({"kind": "rouge", "value": "recall"}), "cat", &[right], 1.0 / 6.0);
        near(json!({"kind": "rouge", "variant": "1"}), "αβγ", &["αβγ"], 0.0);
        near(json!({"kind": "rouge", "variant": "1", "words": "unicode"}), "αβγ", &["αβγ"], 1.0);
        // NLTK's own example.
        let meteor = json!({"kind": "meteor", "stages": ["exact", "stem"]});
        let guide = "It is a guide to action that ensures that the military will forever heed Party commands";
        let which = "It is a guide to action which ensures that the military always obeys the commands of the party";
        near(meteor.clone(), which, &[guide], 0.6944);
        near(meteor, "cats", &["cat"], 0.5);
        near(json!({"kind": "meteor", "stages": ["exact"]}), "cats", &["cat"], 0.0);
        // Three of seven characters differ; with replacing as two edits 2·4/13.
        near(json!({"kind": "edit_similarity"}), "kitten", &["sitting"], 4.0 / 7.0);
        near(json!({"kind": "edit_similarity", "measure": "ratio"}), "kitten", &["sitting"], 8.0 / 13.0);
        near(json!({"kind": "edit_similarity", "ignore_case": true}), "KITTEN", &["kitten"], 1.0);
        for kind in ["bleu", "chrf", "ter", "rouge", "edit_similarity"] {
            check(json!({ "kind": kind }), "a", &[], Err(NoScore::NoReference));
        }
        check(json!({"kind": "chrf", "word_order": 2}), said, &[said], Ok(100.0));
        near(json!({"kind": "bleu", "extract": "Answer: (.*)"}), "Well. Answer: a b c d", &["a b c d"], 100.0);
    }

    #[test]
    fn without_references() {
        // Nine words in one sentence, eleven syllables: 206.835 − 1.015·9 − 84.6·11/9.
        let fox = "The quick brown fox jumps over the lazy dog.";
        near(json!({"kind": "readability"}), fox, &[], 206.835 - 1.015 * 9.0 - 84.6 * 11.0 / 9.0);
        check(json!({"kind": "readability", "index": "smog"}), "…", &[], Err(NoScore::NotComputable));
        check(json!({"kind": "leak"}), "write to a@example.com", &[], Ok(1.0));
        check(json!({"kind": "leak", "kinds": ["iban"]}), "write to a@example.com", &[], Ok(0.0));
        check(json!({"kind": "toxic"}), "what a nice day", &[], Ok(0.0));
        check(json!({"kind": "toxic"}), "shut up, you are an idiot", &[], Ok(1.0));
        let direction =
            |spec: Value| Scorer::new(&serde_json::from_value(spec).unwrap()).map(|one| (one.direction(), one.unit()));
        assert_eq!(direction(json!({"kind": "leak"})).unwrap(), (Direction::Lower, Unit::Share));
        assert_eq!(direction(json!({"kind": "readability"})).unwrap(), (Direction::Higher, Unit::Count));
        assert_eq!(direction(json!({"kind": "readability", "index": "smog"})).unwrap().0, Direction::Lower);
        assert_eq!(direction(json!({"kind": "bleu"})).unwrap(), (Direction::Higher, Unit::Points));
        assert_eq!(direction(json!({"kind": "ter"})).unwrap(), (Direction::Lower, Unit::Count));
    }

    /// Silently leaving synonyms out would give other scores.
    #[test]
    fn meteor_says_when_wordnet_is_not_there() {
        let all: ScorerSpec = serde_json::from_value(json!({"kind": "meteor"})).unwrap();
        match Scorer::new(&all) {
            Ok(_) => assert!(std::path::Path::new(crate::metric::wordnet::DEBIAN_FOLDER).exists()),
            Err(error) => {
                let said = error.to_string();
                assert!(said.contains("wordnet-base") && said.contains("[\"exact\", \"stem\"]"), "{said}");
            }
        }
        let none: ScorerSpec = serde_json::from_value(json!({"kind": "meteor", "stages": ["stem"]})).unwrap();
        assert!(Scorer::new(&none).unwrap_err().to_string().contains("exact"));
    }
}
