//! What is looked at: what experiments look at, classes, embeddings of texts and of tokens, and judges.

use std::collections::BTreeMap;

use qd_eval::text::{Extract, Normalise};
use qd_eval::{Direction, ScorerSpec, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bertscore::TokenSimilarity;
use crate::{Error, Result};

/// What an input of a judge is called that gets the answer where nothing else is said, and how it is said.
pub const ANSWER: &str = "answer";
/// Stands for the target's answer among the values of a judge.
pub const TARGET_ANSWER: &str = "$answer";

/// What to look at, as it is written in a definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, try_from = "Value")]
pub enum EvaluationScorer {
    /// What only evaluations have.
    Own(OwnScorer),
    /// What experiments have too: a look at one answer.
    Plain(ScorerSpec),
}

/// What only evaluations have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OwnScorer {
    /// Classes that are told, over all items: precision, recall, F1, and of probabilities AUC and calibration.
    Classification(Classification),
    /// How near the answer's embedding is to a reference's.
    EmbeddingSimilarity(EmbeddingSimilarity),
    /// How near the tokens of the answer are to those of a reference.
    #[serde(rename = "bertscore")]
    BertScore(TokenSimilarity),
    /// What a judge says.
    Judge(JudgeScorer),
}

/// Classes that are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// What the score is called; `classification` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The column of the true class; the reference, or the label, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The class that probabilities are of, and that `"average": "positive"` is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// The column with the probability of `positive`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<String>,
    /// Which number is the score.
    #[serde(default)]
    pub measure: ClassMeasure,
    /// How classes become one number.
    #[serde(default)]
    pub average: ClassAverage,
    /// Upper and lower case are the same.
    #[serde(default)]
    pub ignore_case: bool,
    /// A pattern; of its last match the first group is the class that was told, or all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<String>,
}

/// Which number of a classification is its score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassMeasure {
    /// The harmonic mean of precision and recall.
    #[default]
    F1,
    /// The share of what was told that is right.
    Precision,
    /// The share of what is there that was told.
    Recall,
    /// The share of decisions that are right.
    Accuracy,
}

/// How classes become one number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassAverage {
    /// Each class counts the same.
    #[default]
    Macro,
    /// All decisions are counted together.
    Micro,
    /// Each class counts as often as it is there.
    Weighted,
    /// The class `positive` alone.
    Positive,
}

/// How near embeddings are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingSimilarity {
    /// What the score is called; `embedding_similarity` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The model of embeddings; the embedded one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// What a judge says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgeScorer {
    /// What the score is called; the judge's name, as far as it is one of a score, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The judge, as `name`, `name@3`, `name@label` or `ready/NAME@MODEL`.
    pub judge: String,
    /// From which column each input of the judge gets its value; `$answer` is the target's answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// The column with what people say of the answer, where they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub human: Option<Human>,
}

/// Where people's labels are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Human {
    /// In this column, of the only target whose answers are in the dataset.
    Column(String),
    /// In these columns, by target.
    ByTarget(BTreeMap<String, String>),
}

impl TryFrom<Value> for EvaluationScorer {
    type Error = String;

    fn try_from(value: Value) -> std::result::Result<Self, String> {
        let told = |cause: serde_json::Error| cause.to_string();
        match value["kind"].as_str() {
            Some("classification" | "embedding_similarity" | "bertscore" | "judge") => {
                serde_json::from_value(value).map(Self::Own).map_err(told)
            }
            _ => serde_json::from_value(value).map(Self::Plain).map_err(told),
        }
    }
}

/// A scorer that is ready to be used, but for a judge, which has to be found first.
#[derive(Debug, Clone)]
pub struct Reader {
    name: String,
    /// What it looks at.
    pub look: Look,
}

/// What a scorer looks at.
#[derive(Debug, Clone)]
pub enum Look {
    /// One answer.
    Plain(qd_eval::Scorer),
    /// Classes, and which part of an answer is one.
    Classes(Classification, Extract),
    /// Embeddings.
    Embeddings(EmbeddingSimilarity),
    /// Embeddings of tokens.
    Tokens(TokenSimilarity),
    /// What a judge says.
    Judge(JudgeScorer),
}

impl Reader {
    /// Reads what was asked for.
    ///
    /// # Errors
    /// [`Error::Eval`] and [`Error::Definition`] for what cannot be used.
    pub fn new(scorer: &EvaluationScorer) -> Result<Self> {
        let (name, look) = match scorer {
            EvaluationScorer::Plain(spec) => {
                let scorer = qd_eval::Scorer::new(spec)?;
                (scorer.name().to_owned(), Look::Plain(scorer))
            }
            EvaluationScorer::Own(OwnScorer::Classification(classes)) => {
                let name = classes.name.clone().unwrap_or_else(|| "classification".to_owned());
                let about_one = classes.probability.is_some() || classes.average == ClassAverage::Positive;
                if about_one && classes.positive.is_none() {
                    return Err(Error::definition("scorers", format!("{name}: say which class is `positive`")));
                }
                let extract = Extract::new(classes.extract.as_deref())
                    .map_err(|why| Error::definition("scorers", format!("{name}: {why}")))?;
                (name, Look::Classes(classes.clone(), extract))
            }
            EvaluationScorer::Own(OwnScorer::EmbeddingSimilarity(similarity)) => {
                let name = similarity.name.clone().unwrap_or_else(|| "embedding_similarity".to_owned());
                (name, Look::Embeddings(similarity.clone()))
            }
            EvaluationScorer::Own(OwnScorer::BertScore(similarity)) => {
                similarity.check()?;
                (similarity.name(), Look::Tokens(similarity.clone()))
            }
            EvaluationScorer::Own(OwnScorer::Judge(judge)) => (judge.name(), Look::Judge(judge.clone())),
        };
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > qd_eval::scorer::LONGEST_NAME_CHARS || !name.chars().all(fits) {
            let why = format!("{name:?} is no name of a scorer: 1 to 64 lower-case letters, digits and '_'");
            return Err(Error::definition("scorers", why));
        }
        Ok(Self { name, look })
    }

    /// What the score is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a model is asked for each score, so that it is a row of its own.
    pub fn is_paid(&self) -> bool {
        matches!(self.look, Look::Embeddings(_) | Look::Tokens(_) | Look::Judge(_))
    }

    /// What a score counts; of a judge that is not known here.
    pub fn unit(&self) -> Unit {
        match &self.look {
            Look::Plain(scorer) => scorer.unit(),
            // With a baseline it has no lowest value: texts that are less alike than unrelated ones are below 0.
            Look::Tokens(similarity) if similarity.baseline.is_some() => Unit::Count,
            _ => Unit::Share,
        }
    }

    /// Which way is better; of a judge that is not known here.
    pub fn direction(&self) -> Direction {
        match &self.look {
            Look::Plain(scorer) => scorer.direction(),
            _ => Direction::Higher,
        }
    }
}

impl Classification {
    /// A class as it is counted.
    pub fn class(&self, text: &str) -> String {
        Normalise { ignore_case: self.ignore_case, ..Normalise::default() }.apply(text)
    }
}

impl JudgeScorer {
    fn name(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
        let reference = self.judge.split('@').next().unwrap_or_default();
        let last = reference.strip_prefix("ready/").unwrap_or(reference);
        self.name.clone().unwrap_or_else(|| last.chars().map(plain).collect())
    }
}
