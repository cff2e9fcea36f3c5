//! How is a judge asked?
//!
//! Each method is a file with one function that begins it.

use qd_eval::ScorerSpec;
use serde::{Deserialize, Serialize};

use crate::ask::Words;
use crate::combine::Missing;
use crate::definition::{Criterion, Definition, check_weight};
use crate::{Error, Result};

pub(crate) mod checklist;
pub(crate) mod claims;
pub(crate) mod direct;
pub(crate) mod graded;
pub(crate) mod jury;
pub(crate) mod pairwise;
pub(crate) mod passages;
pub(crate) mod reference;
pub(crate) mod weighted;

pub use checklist::Question;
pub use graded::{EvalType, Match};
pub use jury::Combine;
pub use pairwise::Inconsistent;

/// Criteria of one judge at most.
pub const MOST_CRITERIA: usize = 32;
/// Questions of one checklist at most.
pub const MOST_QUESTIONS: usize = 100;
/// Claims of one text at most.
pub const MOST_CLAIMS: usize = 100;
/// Jurors of one jury at most.
pub const MOST_JURORS: usize = 15;
/// Samples of one question at most.
pub const MOST_SAMPLES: u32 = 100;
/// Log-probabilities of one place at most, as OpenAI has it.
pub const MOST_TOP: u32 = 20;

/// How a judge is asked, as it is written in a definition: `{"kind": "direct"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// For a place on the scale, once for each criterion. With an input for the right answer it is guided by a reference.
    Direct {
        /// Whether it reasons before its verdict.
        #[serde(default = "yes")]
        reasoning: bool,
        /// What is asked, when that is more than one thing; the score is their weighted mean.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        criteria: Vec<Criterion>,
        /// What becomes of the score when a criterion has none.
        #[serde(default)]
        missing: Missing,
    },
    /// For a place on the scale, weighting each by its probability.
    ///
    /// Liu et al., "G-Eval: NLG Evaluation using GPT-4 with Better Human Alignment" (EMNLP 2023), section 2.
    Weighted {
        /// Of how many tokens at a place the probability is asked for.
        #[serde(default = "most_top")]
        top: u32,
        /// Instead of log-probabilities: so many answers at temperature 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<u32>,
        /// The probability that has to lie on the scale; with less there is no score.
        #[serde(default = "half")]
        least_mass: f64,
        /// As of `direct`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        criteria: Vec<Criterion>,
        /// As of `direct`.
        #[serde(default)]
        missing: Missing,
    },
    /// Which of two answers is better: 1 for the first, 0 for the second, 0.5 for a tie.
    Pairwise {
        /// The input that is the first answer.
        #[serde(default = "answer_a")]
        first: String,
        /// The input that is the second.
        #[serde(default = "answer_b")]
        second: String,
        /// Whether it reasons before its verdict.
        #[serde(default = "yes")]
        reasoning: bool,
        /// Whether it is asked a second time with the answers exchanged.
        #[serde(default = "yes")]
        both_orders: bool,
        /// What it means when each order has another winner.
        #[serde(default)]
        inconsistent: Inconsistent,
    },
    /// For the right answer, with which scorers then compare. The judge does not see the answer.
    Reference {
        /// The input that is compared.
        #[serde(default = "answer")]
        answer: String,
        /// How it is compared; the first is the score, the others are parts.
        scorers: Vec<ScorerSpec>,
        /// Whether it reasons before it writes.
        #[serde(default = "yes")]
        reasoning: bool,
    },
    /// For a yes or no to each of several questions: the weighted share that is answered as it should be.
    Checklist {
        /// The questions; `{{ check }}` in the question.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        questions: Vec<Question>,
        /// Instead: so many questions at most that the judge writes first, without seeing the answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generate: Option<checklist::Generate>,
        /// Whether it reasons before each answer.
        #[serde(default)]
        reasoning: bool,
        /// What becomes of the score when a question has no answer.
        #[serde(default)]
        missing: Missing,
    },
    /// Several judges, whose judgements are combined.
    Jury {
        /// The judges; none is a jury.
        jurors: Vec<Definition>,
        /// How.
        #[serde(default)]
        combine: Combine,
    },
    /// For the claims that a text makes, then for each whether what else is seen supports it: the share that is supported.
    ///
    /// Es et al., "RAGAS: Automated Evaluation of Retrieval Augmented Generation" (EACL 2024), section 3.
    Claims {
        /// The input whose claims are looked at.
        of: String,
        /// Claims at most.
        #[serde(default = "twenty")]
        most: usize,
        /// How claims are asked for, in other words than the usual.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        extract: Option<Words>,
        /// Whether it reasons before each verdict.
        #[serde(default)]
        reasoning: bool,
        /// What becomes of the score when a claim has no verdict.
        #[serde(default)]
        missing: Missing,
    },
    /// Whether each text of a list is useful: the average precision of the list's order.
    Passages {
        /// The input that is a list.
        of: String,
        /// Whether it reasons before each verdict.
        #[serde(default)]
        reasoning: bool,
    },
    /// As a model-graded specification of OpenAI Evals asks; the scale has its choices.
    Graded {
        /// Where the choice stands in the answer.
        eval_type: EvalType,
        /// How a line is a choice.
        #[serde(default, rename = "match")]
        matching: Match,
    },
}

fn yes() -> bool {
    true
}

fn most_top() -> u32 {
    MOST_TOP
}

fn half() -> f64 {
    0.5
}

fn twenty() -> usize {
    20
}

fn answer() -> String {
    "answer".to_owned()
}

fn answer_a() -> String {
    "answer_a".to_owned()
}

fn answer_b() -> String {
    "answer_b".to_owned()
}

impl Method {
    /// The word that it is called by.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Direct { .. } => "direct",
            Self::Weighted { .. } => "weighted",
            Self::Pairwise { .. } => "pairwise",
            Self::Reference { .. } => "reference",
            Self::Checklist { .. } => "checklist",
            Self::Jury { .. } => "jury",
            Self::Claims { .. } => "claims",
            Self::Passages { .. } => "passages",
            Self::Graded { .. } => "graded",
        }
    }

    pub(crate) fn needs_scale(&self) -> bool {
        matches!(self, Self::Direct { .. } | Self::Weighted { .. } | Self::Graded { .. })
    }

    /// Variables that the method itself gives to the content and the question.
    pub(crate) fn variables(&self) -> &'static [&'static str] {
        match self {
            Self::Direct { criteria, .. } | Self::Weighted { criteria, .. } if !criteria.is_empty() => &["criterion"],
            Self::Checklist { .. } => &["check"],
            Self::Claims { .. } => &["claim"],
            Self::Passages { .. } => &["passage"],
            _ => &[],
        }
    }

    pub(crate) fn check(&self, judge: &Definition) -> Result<()> {
        match self {
            Self::Direct { criteria, .. } => check_criteria(criteria),
            Self::Weighted { top, samples, least_mass, criteria, .. } => {
                let fits = (1..=MOST_TOP).contains(top)
                    && samples.is_none_or(|samples| (2..=MOST_SAMPLES).contains(&samples))
                    && (0.0..=1.0).contains(least_mass);
                if !fits {
                    let reason =
                        format!("'top' is 1 to {MOST_TOP}, 'samples' 2 to {MOST_SAMPLES}, 'least_mass' 0 to 1");
                    return Err(Error::definition("method", reason));
                }
                weighted::check_scale(judge)?;
                check_criteria(criteria)
            }
            Self::Pairwise { first, second, .. } => {
                judge.must_have("method.first", first, false)?;
                judge.must_have("method.second", second, false)
            }
            Self::Reference { answer, scorers, .. } => {
                judge.must_have("method.answer", answer, false)?;
                reference::check(scorers)
            }
            Self::Checklist { questions, generate, .. } => checklist::check(questions, generate.as_ref(), judge),
            Self::Jury { jurors, .. } => jury::check(jurors, judge),
            Self::Claims { of, most, .. } => {
                judge.must_have("method.of", of, false)?;
                between("method.most", *most, MOST_CLAIMS)
            }
            Self::Passages { of, .. } => judge.must_have("method.of", of, true),
            Self::Graded { .. } => Ok(()),
        }
    }
}

fn between(field: &str, count: usize, most: usize) -> Result<()> {
    match (1..=most).contains(&count) {
        true => Ok(()),
        false => Err(Error::definition(field, format!("it is 1 to {most}"))),
    }
}

fn check_criteria(criteria: &[Criterion]) -> Result<()> {
    if criteria.len() > MOST_CRITERIA {
        return Err(Error::definition("method.criteria", format!("there are at most {MOST_CRITERIA}")));
    }
    for (place, criterion) in criteria.iter().enumerate() {
        let field = format!("method.criteria[{place}]");
        check_weight(&field, criterion.weight)?;
        if criteria[..place].iter().any(|other| other.name == criterion.name) {
            return Err(Error::definition(field, format!("'{}' is there already", criterion.name)));
        }
    }
    Ok(())
}
