//! chrF and chrF++, as sacreBLEU 2.6.0 computes them.

use std::borrow::Cow;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::bleu::{SACREBLEU, add, number_of, yes_or_no};
use super::tokeniser::{is_ascii_space, words};
use super::vocabulary::{Alphabet, Vocabulary};
use super::{limit, ngram};
use crate::text::is_space;
use crate::{Error, Result};

/// F score of the n-grams of characters that an answer and a reference share, and with `word_order` those of words too: from
/// 0 to 100. Needs no tokeniser, so it is fair to languages that BLEU cuts badly. Of several references the best counts.
///
/// Popović, "chrF: character n-gram F-score for automatic MT evaluation" (WMT 2015), and "chrF++: words helping character
/// n-grams" (WMT 2017).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chrf {
    /// The longest n-grams of characters.
    pub char_order: usize,
    /// The longest n-grams of words: 0 is chrF, 2 is chrF++.
    pub word_order: usize,
    /// How many times as much recall counts as precision.
    pub beta: u32,
    /// Upper and lower case are the same.
    pub lowercase: bool,
    /// White space is a character too.
    pub whitespace: bool,
    /// A tiny number stands for precisions and recalls of 0, as in `chrF++.py`, NLTK and Moses; otherwise orders that one side
    /// does not have do not count.
    pub eps_smoothing: bool,
}

impl Default for Chrf {
    fn default() -> Self {
        Self { char_order: 6, word_order: 0, beta: 2, lowercase: false, whitespace: false, eps_smoothing: false }
    }
}

/// What of one text, or of many, makes the score. They can be added up. Orders of characters first, then those of words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChrfStatistics {
    /// N-grams of the answers; of orders that the reference has, too.
    pub answer: Vec<u64>,
    /// N-grams of the references.
    pub reference: Vec<u64>,
    /// Matching n-grams.
    pub matches: Vec<u64>,
}

impl AddAssign<&Self> for ChrfStatistics {
    fn add_assign(&mut self, other: &Self) {
        add(&mut self.answer, &other.answer);
        add(&mut self.reference, &other.reference);
        add(&mut self.matches, &other.matches);
    }
}

const NAME: &str = "chrf";
/// Beta at most; its square must stay exact.
const HIGHEST_BETA: u32 = 1_000;

impl Chrf {
    /// chrF++: n-grams of one and two words count too.
    pub const PLUS_PLUS: Self =
        Self { char_order: 6, word_order: 2, beta: 2, lowercase: false, whitespace: false, eps_smoothing: false };

    /// The statistics of one answer with the reference that is best for it.
    ///
    /// # Errors
    /// [`Error::Metric`] without references, or when a text or an option is past its [`limit`].
    pub fn statistics<R: AsRef<str>>(&self, answer: &str, references: &[R]) -> Result<ChrfStatistics> {
        self.check()?;
        limit::texts(NAME, answer, references)?;
        let answer = self.prepared(answer);
        let references: Vec<Cow<'_, str>> = references.iter().map(|text| self.prepared(text.as_ref())).collect();
        let bytes = answer.len() + references.iter().map(|text| text.len()).sum::<usize>();
        let words = if self.word_order > 0 { bytes } else { 0 };
        let (mut alphabet, mut vocabulary) = (Alphabet::default(), Vocabulary::for_bytes(words));
        let mut units = |text| self.units(text, &mut alphabet, &mut vocabulary);
        let right: Vec<Units> = references.iter().map(|text| units(text)).collect();
        let said = units(&answer);
        let of = |right| self.compared(&said, right, alphabet.len(), vocabulary.len());
        let scored = right.iter().map(|right| of(right)).map(|statistics| (self.f_score(&statistics), statistics));
        // The first of those that are best, as there.
        let best = scored.reduce(|best, other| if other.0 > best.0 { other } else { best });
        Ok(best.map(|(_, statistics)| statistics).unwrap_or_default())
    }

    /// The score of one answer, or of what the statistics of many add up to.
    ///
    /// # Errors
    /// [`Error::Metric`] when an option is past its limit.
    pub fn score(&self, statistics: &ChrfStatistics) -> Result<f64> {
        self.check()?;
        Ok(self.f_score(statistics))
    }

    /// The score of one answer.
    ///
    /// # Errors
    /// As [`Self::statistics`].
    pub fn sentence<R: AsRef<str>>(&self, answer: &str, references: &[R]) -> Result<f64> {
        self.score(&self.statistics(answer, references)?)
    }

    /// What the score was made with, in sacreBLEU's words. `None` stands for a number of references that differs.
    pub fn signature(&self, references: Option<usize>) -> String {
        format!(
            "{}|case:{}|eff:{}|nc:{}|nw:{}|space:{}|version:{SACREBLEU}",
            number_of(references),
            if self.lowercase { "lc" } else { "mixed" },
            yes_or_no(!self.eps_smoothing),
            self.char_order,
            self.word_order,
            yes_or_no(self.whitespace),
        )
    }

    fn check(&self) -> Result<()> {
        limit::order(NAME, "char_order", self.char_order, 0)?;
        limit::order(NAME, "word_order", self.word_order, 0)?;
        match self.char_order + self.word_order {
            0 => Err(Error::metric(NAME, "char_order or word_order must be above 0")),
            _ if self.beta > HIGHEST_BETA => Err(Error::metric(NAME, format!("beta must be at most {HIGHEST_BETA}"))),
            _ => Ok(()),
        }
    }

    fn prepared<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.lowercase { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) }
    }

    fn units(&self, text: &str, alphabet: &mut Alphabet, vocabulary: &mut Vocabulary) -> Units {
        let mut characters = Vec::with_capacity(text.len());
        if text.is_ascii() {
            let counted = text.bytes().filter(|&byte| self.whitespace || !is_ascii_space(byte));
            counted.for_each(|byte| characters.push(alphabet.number_of_ascii(byte)));
        } else {
            let counted = text.chars().filter(|&c| self.whitespace || !is_space(c));
            counted.for_each(|c| characters.push(alphabet.number(c)));
        }
        let mut numbers = Vec::new();
        if self.word_order > 0 {
            numbers.reserve(text.len() / 4);
            words(text).for_each(|word| {
                let (first, second) = without_punctuation(word);
                numbers.push(vocabulary.number(first));
                if let Some(part) = second {
                    numbers.push(vocabulary.number(part));
                }
            });
        }
        Units { characters, words: numbers }
    }

    fn compared(&self, said: &Units, right: &Units, letters: usize, kinds: usize) -> ChrfStatistics {
        let mut statistics = ChrfStatistics::default();
        let mut append = |said: &[u32], right: &[u32], kinds, orders| {
            statistics.matches.extend(ngram::shared(said, &[right], kinds, orders));
            for order in 1..=orders {
                let grams = |text: &[u32]| (text.len() + 1).saturating_sub(order) as u64;
                // Nothing is counted of an order that the reference is too short for.
                statistics.answer.push(if grams(right) > 0 { grams(said) } else { 0 });
                statistics.reference.push(grams(right));
            }
        };
        append(&said.characters, &right.characters, letters, self.char_order);
        append(&said.words, &right.words, kinds, self.word_order);
        statistics
    }

    /// `CHRF._compute_f_score`.
    fn f_score(&self, statistics: &ChrfStatistics) -> f64 {
        const EPS: f64 = 1e-16;
        let factor = f64::from(self.beta).powi(2);
        let (mut score, mut precisions, mut recalls, mut orders) = (0.0, 0.0, 0.0, 0_u32);
        let counts = statistics.answer.iter().zip(&statistics.reference).zip(&statistics.matches);
        for ((&said, &right), &matches) in counts {
            let share = |of: u64| if of > 0 { matches as f64 / of as f64 } else { EPS };
            let (precision, recall) = (share(said), share(right));
            let below = factor * precision + recall;
            score += if below > 0.0 { (1.0 + factor) * precision * recall / below } else { EPS };
            if said > 0 && right > 0 {
                precisions += precision;
                recalls += recall;
                orders += 1;
            }
        }
        if self.eps_smoothing {
            return 100.0 * score / (self.char_order + self.word_order) as f64;
        }
        if precisions + recalls == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precisions / f64::from(orders), recalls / f64::from(orders));
        100.0 * (1.0 + factor) * precision * recall / (factor * precision + recall)
    }
}

/// A text as numbers.
struct Units {
    characters: Vec<u32>,
    words: Vec<u32>,
}

/// `CHRF._remove_punctuation`: punctuation at the end of a word stands apart, or else that at its beginning.
fn without_punctuation(word: &str) -> (&str, Option<&str>) {
    // No character has more bytes.
    let is_one_character = word.len() == 1 || word.len() <= 4 && word.chars().nth(1).is_none();
    if is_one_character {
        return (word, None);
    }
    let bytes = word.as_bytes();
    if bytes[bytes.len() - 1].is_ascii_punctuation() {
        let (word, mark) = word.split_at(word.len() - 1);
        return (word, Some(mark));
    }
    if bytes[0].is_ascii_punctuation() {
        let (mark, word) = word.split_at(1);
        return (mark, Some(word));
    }
    (word, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::reference::{self, Pair};

    fn configurations() -> Vec<Chrf> {
        vec![
            Chrf::default(),
            Chrf::PLUS_PLUS,
            Chrf { lowercase: true, whitespace: true, ..Chrf::PLUS_PLUS },
            Chrf { eps_smoothing: true, ..Chrf::PLUS_PLUS },
            Chrf { char_order: 3, word_order: 1, beta: 3, ..Chrf::default() },
        ]
    }

    #[test]
    fn sentences_agree_with_sacrebleu() {
        let configurations = configurations();
        reference::each("chrf", 1e-6, |pair: &Pair| {
            configurations.iter().map(|chrf| chrf.sentence(&pair.answer, &pair.references).unwrap()).collect()
        });
    }

    #[test]
    fn corpora_and_signatures_agree_with_sacrebleu() {
        let expected = reference::section("chrf_corpus");
        let pairs = reference::pairs();
        for (chrf, expected) in configurations().iter().zip(expected.as_array().unwrap()) {
            for (corpus, expected) in reference::corpora(&pairs, 4_000).into_iter().zip(expected.as_array().unwrap()) {
                let mut sum = ChrfStatistics::default();
                for pair in &corpus.pairs {
                    sum += &chrf.statistics(&pair.answer, &pair.references[..corpus.references(pair)]).unwrap();
                }
                reference::close(chrf.score(&sum).unwrap(), &expected["score"], 1e-6, "corpus");
                assert_eq!(chrf.signature(corpus.signed), expected["signature"].as_str().unwrap());
            }
        }
    }
}
