//! Scorers that hold an answer against its references word by word or character by character.

use std::sync::Arc;

use super::kind::{EditMeasure, MeteorOptions, MeteorStage, ReadabilityIndex, RougeVariant, ShareOf};
use crate::corpus::CorpusMetric;
use crate::metric::meteor::NoSynonyms;
use crate::metric::rouge::RougeScore;
use crate::metric::{Meteor, Rouge, WordNet, edit};
use crate::score::{Direction, NoScore, Unit};
use crate::text::Normalise;

/// A measure of what an answer and its references share.
#[derive(Debug, Clone)]
pub(super) enum Overlap {
    Corpus(CorpusMetric),
    Rouge(Rouge, RougeVariant, ShareOf),
    Meteor(Meteor, Option<Arc<WordNet>>),
    Edit(EditMeasure, Normalise),
}

impl Overlap {
    /// METEOR with the stages that are asked for, or why that cannot be.
    pub fn meteor(options: &MeteorOptions) -> Result<Self, String> {
        let asks = |stage| options.stages.contains(&stage);
        if !asks(MeteorStage::Exact) {
            return Err("its stages begin with \"exact\"".to_owned());
        }
        let wordnet = match asks(MeteorStage::Synonym) {
            true => Some(WordNet::shared().map_err(|error| {
                format!(
                    "{error}; or leave synonyms out with \"stages\": [\"exact\", \"stem\"], which gives other scores"
                )
            })?),
            false => None,
        };
        Ok(Self::Meteor(Meteor { stem: asks(MeteorStage::Stem), ..options.meteor }, wordnet))
    }

    /// Whether its options are within their limits.
    pub fn check(&self) -> Result<(), String> {
        self.of("a", &["a".to_owned()]).map(drop).map_err(|error| error.to_string())
    }

    pub fn direction(&self) -> Direction {
        match self {
            Self::Corpus(metric) => metric.direction(),
            _ => Direction::Higher,
        }
    }

    pub fn unit(&self) -> Unit {
        match self {
            Self::Corpus(metric) => metric.unit(),
            _ => Unit::Share,
        }
    }

    /// The score of an answer; of several references the best, as each metric has it.
    pub fn score(&self, said: &str, references: &[String]) -> Result<f64, NoScore> {
        match references {
            [] => Err(NoScore::NoReference),
            references => self.of(said, references).map_err(|_| NoScore::NotComputable),
        }
    }

    fn of(&self, said: &str, references: &[String]) -> crate::Result<f64> {
        match self {
            Self::Corpus(metric) => Ok(metric.sentence(&metric.statistics(said, references)?)),
            Self::Rouge(rouge, variant, value) => {
                let scores = rouge.score_multi(said, references)?;
                let RougeScore { precision, recall, f1 } = match variant {
                    RougeVariant::One => scores.rouge1,
                    RougeVariant::Two => scores.rouge2,
                    RougeVariant::Longest => scores.rouge_l,
                    RougeVariant::ByLines => scores.rouge_lsum,
                };
                Ok(match value {
                    ShareOf::F1 => f1,
                    ShareOf::Precision => precision,
                    ShareOf::Recall => recall,
                })
            }
            Self::Meteor(meteor, Some(wordnet)) => meteor.score_text(said, references, wordnet.as_ref()),
            Self::Meteor(meteor, None) => meteor.score_text(said, references, &NoSynonyms),
            Self::Edit(measure, normalise) => {
                let said = normalise.apply(said);
                let similar = match measure {
                    EditMeasure::Levenshtein => edit::similarity,
                    EditMeasure::Ratio => edit::ratio,
                };
                let mut best: f64 = 0.0;
                for reference in references {
                    best = best.max(similar(&said, &normalise.apply(reference))?);
                }
                Ok(best)
            }
        }
    }
}

impl ReadabilityIndex {
    /// In which direction a text is easier to read.
    pub(super) fn easier(self) -> Direction {
        match self {
            Self::FleschReadingEase => Direction::Higher,
            _ => Direction::Lower,
        }
    }
}
