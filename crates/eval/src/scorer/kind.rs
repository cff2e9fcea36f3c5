//! What one may look at, as it is written in a definition.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::metric::pattern::{Leak, Toxicity};
use crate::metric::{Bleu, Chrf, Meteor, Rouge, Ter};
use crate::number::Tolerance;
use crate::score::Direction;
use crate::text::Normalise;

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
    /// BLEU of an answer against its references, as sacrebleu has it.
    Bleu(BleuOptions),
    /// chrF, and with `word_order` 2 chrF++.
    Chrf(ChrfOptions),
    /// Translation edit rate. Less is better.
    Ter(TerOptions),
    /// ROUGE, as rouge-score has it.
    Rouge(RougeOptions),
    /// METEOR, as NLTK has it.
    Meteor(MeteorOptions),
    /// How much of the answer's characters are a reference's.
    EditSimilarity(EditOptions),
    /// How hard an English answer is to read. Needs no reference.
    Readability {
        /// By which formula.
        #[serde(default)]
        index: ReadabilityIndex,
        /// Which way is better; easier, when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        better: Option<Direction>,
    },
    /// 1 when the answer has personal data or keys. Less is better, and no reference is needed.
    Leak {
        /// What counts; all of it, when there is none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kinds: Vec<Leak>,
    },
    /// 1 when patterns find the answer toxic. Less is better, and no reference is needed.
    Toxic {
        /// What counts; all of it, when there is none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        kinds: Vec<Toxicity>,
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

/// BLEU, and which part of the answer counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BleuOptions {
    /// How it is computed. A score of one answer counts the orders that it is long enough for, whatever `effective_order` says.
    #[serde(flatten)]
    pub bleu: Bleu,
    /// Which part of the answer counts.
    #[serde(flatten)]
    pub extract: ExtractOption,
}

/// chrF, and which part of the answer counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChrfOptions {
    /// How it is computed.
    #[serde(flatten)]
    pub chrf: Chrf,
    /// Which part of the answer counts.
    #[serde(flatten)]
    pub extract: ExtractOption,
}

/// TER, and which part of the answer counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TerOptions {
    /// How it is computed.
    #[serde(flatten)]
    pub ter: Ter,
    /// Which part of the answer counts.
    #[serde(flatten)]
    pub extract: ExtractOption,
}

/// Which ROUGE, and which part of the answer counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RougeOptions {
    /// What the answer and a reference share.
    #[serde(default)]
    pub variant: RougeVariant,
    /// Whose share it is of.
    #[serde(default)]
    pub value: ShareOf,
    /// What a word is.
    #[serde(flatten)]
    pub rouge: Rouge,
    /// Which part of the answer counts.
    #[serde(flatten)]
    pub extract: ExtractOption,
}

/// What ROUGE looks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RougeVariant {
    /// Words.
    #[serde(rename = "1")]
    One,
    /// Pairs of words.
    #[serde(rename = "2")]
    Two,
    /// The longest sequence of words that both have.
    #[default]
    #[serde(rename = "l", alias = "L")]
    Longest,
    /// The same by lines.
    #[serde(rename = "lsum", alias = "Lsum")]
    ByLines,
}

/// Whose share a score is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShareOf {
    /// The harmonic mean of both.
    #[default]
    F1,
    /// The answer's.
    Precision,
    /// The reference's.
    Recall,
}

/// METEOR, its stages, and which part of the answer counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeteorOptions {
    /// How it is computed.
    #[serde(flatten)]
    pub meteor: Meteor,
    /// In which ways words may match. `synonym` needs WordNet on the machine.
    #[serde(default = "all_stages")]
    pub stages: Vec<MeteorStage>,
    /// Which part of the answer counts.
    #[serde(flatten)]
    pub extract: ExtractOption,
}

impl Default for MeteorOptions {
    fn default() -> Self {
        Self { meteor: Meteor::default(), stages: all_stages(), extract: ExtractOption::default() }
    }
}

/// In which way words match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeteorStage {
    /// They are the same.
    Exact,
    /// Their stems are.
    Stem,
    /// WordNet says that they mean the same.
    Synonym,
}

fn all_stages() -> Vec<MeteorStage> {
    vec![MeteorStage::Exact, MeteorStage::Stem, MeteorStage::Synonym]
}

/// How characters are compared.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct EditOptions {
    /// What counts as an edit.
    #[serde(default)]
    pub measure: EditMeasure,
    /// What is made equal before.
    #[serde(flatten)]
    pub normalise: Normalise,
    /// Which part of the answer counts.
    #[serde(flatten)]
    pub extract: ExtractOption,
}

/// What counts as an edit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EditMeasure {
    /// Characters put in, taken out or replaced, each one edit.
    #[default]
    Levenshtein,
    /// Replacing is two: `fuzz.ratio`.
    Ratio,
}

/// How hard a text is to read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadabilityIndex {
    /// 100 is very easy, 0 very hard.
    #[default]
    FleschReadingEase,
    /// The school year, by syllables.
    FleschKincaidGrade,
    /// Years of education, by long words.
    GunningFog,
    /// Years of education, for 30 sentences and more.
    Smog,
    /// The school year, by letters.
    ColemanLiau,
    /// The school year, by characters.
    AutomatedReadabilityIndex,
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
            Self::Bleu(_) => "bleu",
            Self::Chrf(_) => "chrf",
            Self::Ter(_) => "ter",
            Self::Rouge(_) => "rouge",
            Self::Meteor(_) => "meteor",
            Self::EditSimilarity(_) => "edit_similarity",
            Self::Readability { .. } => "readability",
            Self::Leak { .. } => "leak",
            Self::Toxic { .. } => "toxic",
            Self::Latency => "latency",
            Self::Cost => "cost",
        }
    }

    /// Whether it compares with a reference, so that without one nothing has a score.
    pub fn needs_reference(&self) -> bool {
        match self {
            Self::ExactMatch(_)
            | Self::Contains(_)
            | Self::TokenF1(_)
            | Self::NumberMatch(_)
            | Self::Bleu(_)
            | Self::Chrf(_)
            | Self::Ter(_)
            | Self::Rouge(_)
            | Self::Meteor(_)
            | Self::EditSimilarity(_) => true,
            Self::Regex { .. }
            | Self::JsonSchema { .. }
            | Self::Length { .. }
            | Self::Readability { .. }
            | Self::Leak { .. }
            | Self::Toxic { .. }
            | Self::Latency
            | Self::Cost => false,
        }
    }

    /// Whether it reads what an answer says; otherwise it is enough that there is one.
    pub fn reads_text(&self) -> bool {
        !matches!(self, Self::Latency | Self::Cost | Self::Length { unit: LengthUnit::Tokens, .. })
    }
}

impl From<ScorerKind> for ScorerSpec {
    fn from(kind: ScorerKind) -> Self {
        Self { name: None, kind }
    }
}
