//! BLEU, as sacreBLEU 2.6.0 computes it.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::tokeniser::Tokeniser;
use super::vocabulary::Vocabulary;
use super::{limit, ngram};
use crate::text::is_space;
use crate::{Error, Result};

/// How much of an answer's n-grams stand in the references: the geometric mean of clipped precisions times a penalty for
/// brevity, from 0 to 100.
///
/// `BLEU = BP · exp(1/N · Σ ln pₙ)` with `BP = min(1, e^(1 − r/c))`.
///
/// Papineni et al., "Bleu: a Method for Automatic Evaluation of Machine Translation" (ACL 2002), section 2.3; the details are
/// those of Post, "A Call for Clarity in Reporting BLEU Scores" (WMT 2018).
///
/// ```
/// use qd_eval::metric::Bleu;
///
/// let bleu = Bleu { effective_order: true, ..Bleu::default() };
/// let score = bleu.sentence("The cat sat on the mat.", &["The cat sat on a mat."])?;
/// assert_eq!(format!("{:.2}", score.score), "48.89");
/// assert_eq!(bleu.signature(Some(1)), "nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:2.6.0");
/// # Ok::<(), qd_eval::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bleu {
    /// How texts are cut into words.
    pub tokenise: Tokeniser,
    /// Upper and lower case are the same.
    pub lowercase: bool,
    /// What stands for a precision of 0.
    pub smooth: Smoothing,
    /// The longest n-grams.
    pub max_order: usize,
    /// Orders that an answer is too short for do not count. For scores of single sentences.
    pub effective_order: bool,
}

impl Default for Bleu {
    fn default() -> Self {
        Self {
            tokenise: Tokeniser::V13a,
            lowercase: false,
            smooth: Smoothing::Exp,
            max_order: 4,
            effective_order: false,
        }
    }
}

/// What stands for a precision of 0. Names and values are sacreBLEU's.
///
/// Chen and Cherry, "A Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU" (WMT 2014).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smoothing {
    /// Nothing: the score is 0.
    None,
    /// Method 1: this number of matches.
    Floor(f64),
    /// Method 2: so many are added to matches and totals of orders above 1.
    AddK(f64),
    /// Method 3: half a match, a quarter the next time, and so on.
    Exp,
}

impl Smoothing {
    /// sacreBLEU's value for `floor`.
    pub const FLOOR: Self = Self::Floor(0.1);
    /// sacreBLEU's value for `add-k`.
    pub const ADD_K: Self = Self::AddK(1.0);

    fn signature(self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Floor(value) => format!("floor[{value:.2}]"),
            Self::AddK(value) => format!("add-k[{value:.2}]"),
            Self::Exp => "exp".to_owned(),
        }
    }
}

/// What of one text, or of many, makes the score. They can be added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BleuStatistics {
    /// Words of the answers.
    pub answer_words: u64,
    /// Words of the references whose length is nearest.
    pub reference_words: u64,
    /// Matching n-grams of each order.
    pub matches: Vec<u64>,
    /// N-grams of the answers of each order.
    pub totals: Vec<u64>,
}

impl AddAssign<&Self> for BleuStatistics {
    fn add_assign(&mut self, other: &Self) {
        self.answer_words += other.answer_words;
        self.reference_words += other.reference_words;
        add(&mut self.matches, &other.matches);
        add(&mut self.totals, &other.totals);
    }
}

/// Adds place by place; what nothing was added to yet has no places.
pub(crate) fn add(sums: &mut Vec<u64>, others: &[u64]) {
    sums.resize(sums.len().max(others.len()), 0);
    sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
}

/// The score and what it is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BleuScore {
    /// From 0 to 100.
    pub score: f64,
    /// Precision of each order in percent, smoothed.
    pub precisions: Vec<f64>,
    /// The penalty for brevity, from 0 to 1.
    pub brevity_penalty: f64,
}

const NAME: &str = "bleu";

impl Bleu {
    /// The statistics of one answer.
    ///
    /// # Errors
    /// [`Error::Metric`] without references, or when a text or an option is past its [`limit`].
    pub fn statistics<R: AsRef<str>>(&self, answer: &str, references: &[R]) -> Result<BleuStatistics> {
        self.check()?;
        limit::texts(NAME, answer, references)?;
        let bytes = answer.len() + references.iter().map(|text| text.as_ref().len()).sum::<usize>();
        let mut vocabulary = Vocabulary::for_bytes(bytes);
        let mut numbers = |text| self.numbers(text, &mut vocabulary);
        // The answer's words come last: those that no reference has are then a class of their own each.
        let right: Vec<Vec<u32>> = references.iter().map(|text| numbers(text.as_ref())).collect();
        let said = numbers(answer);
        let right: Vec<&[u32]> = right.iter().map(Vec::as_slice).collect();
        Ok(BleuStatistics {
            answer_words: said.len() as u64,
            reference_words: nearest(said.len(), right.iter().map(|text| text.len())) as u64,
            matches: ngram::shared(&said, &right, vocabulary.len(), self.max_order),
            totals: (1..=self.max_order).map(|order| (said.len() + 1).saturating_sub(order) as u64).collect(),
        })
    }

    /// The score of one answer, or of what the statistics of many add up to.
    ///
    /// # Errors
    /// [`Error::Metric`] when an option is past its limit.
    pub fn score(&self, statistics: &BleuStatistics) -> Result<BleuScore> {
        self.check()?;
        let (said, right) = (statistics.answer_words as f64, statistics.reference_words as f64);
        let brevity_penalty = match said {
            said if said >= right => 1.0,
            0.0 => 0.0,
            said => (1.0 - right / said).exp(),
        };
        if statistics.matches.iter().all(|&matches| matches == 0) {
            return Ok(BleuScore { score: 0.0, precisions: vec![0.0; self.max_order], brevity_penalty });
        }
        let (precisions, orders) = self.precisions(statistics);
        let logarithms: f64 = precisions[..orders].iter().map(|&p| if p == 0.0 { LOG_OF_ZERO } else { p.ln() }).sum();
        Ok(BleuScore { score: brevity_penalty * (logarithms / orders as f64).exp(), precisions, brevity_penalty })
    }

    /// The score of one answer.
    ///
    /// # Errors
    /// As [`Self::statistics`].
    pub fn sentence<R: AsRef<str>>(&self, answer: &str, references: &[R]) -> Result<BleuScore> {
        self.score(&self.statistics(answer, references)?)
    }

    /// What the score was made with, in sacreBLEU's words. `None` stands for a number of references that differs.
    pub fn signature(&self, references: Option<usize>) -> String {
        format!(
            "{}|case:{}|eff:{}|tok:{}|smooth:{}|version:{SACREBLEU}",
            number_of(references),
            if self.lowercase { "lc" } else { "mixed" },
            yes_or_no(self.effective_order),
            self.tokenise.name(),
            self.smooth.signature(),
        )
    }

    fn check(&self) -> Result<()> {
        limit::order(NAME, "max_order", self.max_order, 1)?;
        match self.smooth {
            Smoothing::Floor(value) | Smoothing::AddK(value) if !(value.is_finite() && value >= 0.0) => {
                Err(Error::metric(NAME, "the value of its smoothing must be 0 or more"))
            }
            _ => Ok(()),
        }
    }

    /// The words of a text as numbers.
    fn numbers(&self, text: &str, vocabulary: &mut Vocabulary) -> Vec<u32> {
        let mut numbers = Vec::with_capacity(text.len() / 4);
        let number = |word: &str| numbers.push(vocabulary.number(word));
        if self.lowercase {
            self.tokenise.each_word(text.to_lowercase().trim_end_matches(is_space), number);
        } else {
            self.tokenise.each_word(text.trim_end_matches(is_space), number);
        }
        numbers
    }

    /// `BLEU.compute_bleu`: precisions in percent, and how many orders count.
    fn precisions(&self, statistics: &BleuStatistics) -> (Vec<f64>, usize) {
        let mut precisions = vec![0.0; self.max_order];
        let (mut orders, mut halving) = (self.max_order, 1.0);
        for (order, precision) in precisions.iter_mut().enumerate() {
            let count = |counts: &[u64]| counts.get(order).copied().unwrap_or_default() as f64;
            let (mut matches, mut total) = (count(&statistics.matches), count(&statistics.totals));
            if let (Smoothing::AddK(k), 1..) = (self.smooth, order) {
                matches += k;
                total += k;
            }
            if total == 0.0 {
                break;
            }
            if self.effective_order {
                orders = order + 1;
            }
            *precision = match self.smooth {
                _ if matches > 0.0 => 100.0 * matches / total,
                Smoothing::Exp => {
                    halving *= 2.0;
                    100.0 / (halving * total)
                }
                Smoothing::Floor(value) => 100.0 * value / total,
                Smoothing::None | Smoothing::AddK(_) => 0.0,
            };
        }
        (precisions, orders)
    }
}

/// sacreBLEU's logarithm of 0.
const LOG_OF_ZERO: f64 = -9_999_999_999.0;

/// The version whose numbers and signatures ours are.
pub(crate) const SACREBLEU: &str = "2.6.0";

pub(crate) fn number_of(references: Option<usize>) -> String {
    references.map_or("nrefs:var".to_owned(), |count| format!("nrefs:{count}"))
}

pub(crate) fn yes_or_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// The length nearest to `length`; of two as near the shorter.
fn nearest(length: usize, others: impl Iterator<Item = usize>) -> usize {
    others.min_by_key(|&other| (length.abs_diff(other), other)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::reference::{self, Pair};

    fn configurations() -> Vec<Bleu> {
        let sentence = Bleu { effective_order: true, ..Bleu::default() };
        vec![
            sentence,
            Bleu { tokenise: Tokeniser::International, ..sentence },
            Bleu { tokenise: Tokeniser::Chinese, lowercase: true, ..sentence },
            Bleu { tokenise: Tokeniser::Characters, ..sentence },
            Bleu { tokenise: Tokeniser::None, smooth: Smoothing::FLOOR, ..sentence },
            Bleu { smooth: Smoothing::ADD_K, ..Bleu::default() },
            Bleu { smooth: Smoothing::None, effective_order: false, ..sentence },
            Bleu { smooth: Smoothing::Floor(0.5), effective_order: false, max_order: 6, ..sentence },
            Bleu { smooth: Smoothing::AddK(0.3), lowercase: true, max_order: 2, ..sentence },
        ]
    }

    #[test]
    fn sentences_agree_with_sacrebleu() {
        let configurations = configurations();
        reference::each("bleu", 1e-6, |pair: &Pair| {
            let score = |bleu: &Bleu| bleu.sentence(&pair.answer, &pair.references).unwrap().score;
            configurations.iter().map(score).collect()
        });
    }

    #[test]
    fn corpora_and_signatures_agree_with_sacrebleu() {
        let expected = reference::section("bleu_corpus");
        let pairs = reference::pairs();
        for (bleu, expected) in configurations().iter().zip(expected.as_array().unwrap()) {
            for (corpus, expected) in reference::corpora(&pairs, 4_000).into_iter().zip(expected.as_array().unwrap()) {
                let mut sum = BleuStatistics::default();
                for pair in &corpus.pairs {
                    sum += &bleu.statistics(&pair.answer, &pair.references[..corpus.references(pair)]).unwrap();
                }
                let found = bleu.score(&sum).unwrap();
                reference::close(found.score, &expected["score"], 1e-6, "corpus");
                reference::close(found.brevity_penalty, &expected["bp"], 1e-6, "penalty");
                for (found, expected) in found.precisions.iter().zip(expected["precisions"].as_array().unwrap()) {
                    reference::close(*found, expected, 1e-6, "precision");
                }
                assert_eq!(bleu.signature(corpus.signed), expected["signature"].as_str().unwrap());
            }
        }
    }

    #[test]
    fn parts_add_up() {
        let bleu = Bleu::default();
        let one = bleu.statistics("the cat sat on the mat", &["a cat sat on the mat"]).unwrap();
        let two = bleu.statistics("a dog", &["a dog barked", "the dog"]).unwrap();
        let mut sum = BleuStatistics::default();
        sum += &one;
        sum += &two;
        // By hand: 5 of 6 and 2 of 2 words; 4 of 5 and 1 of 1 pairs; the nearest reference of the second has 2 words.
        assert_eq!((sum.matches[..2].to_vec(), sum.totals[..2].to_vec()), (vec![7, 5], vec![8, 6]));
        assert_eq!((sum.answer_words, sum.reference_words), (8, 8));
    }
}
