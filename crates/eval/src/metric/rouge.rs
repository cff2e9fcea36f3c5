//! ROUGE, as rouge-score 0.1.2 computes it.

mod aggregate;

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::category::{is_mark, is_without_spaces};
use super::lcs::{self, Columns};
use super::vocabulary::Vocabulary;
use super::{limit, ngram, porter};
use crate::{Error, Result};

pub use aggregate::{RougeAggregate, RougeBootstrap};

/// How much of a reference's words, pairs of words and sequences of words stand in an answer.
///
/// Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004). Words are runs of `a` to `z` and digits, which leaves
/// nothing of Greek or Chinese; [`Words::Unicode`] finds words in all scripts and the same ones in English.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rouge {
    /// English words of over three letters count by their stems.
    pub use_stemmer: bool,
    /// What a word is.
    pub words: Words,
}

/// What a word is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Words {
    /// Runs of `a` to `z` and digits, as rouge-score has them.
    #[default]
    Ascii,
    /// Runs of letters and digits of any script; each character of a script that sets no spaces between words.
    Unicode,
}

/// Shares between 0 and 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RougeScore {
    /// Of the answer.
    pub precision: f64,
    /// Of the reference.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// All of ROUGE for one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct RougeScores {
    /// Words.
    pub rouge1: RougeScore,
    /// Pairs of words.
    pub rouge2: RougeScore,
    /// The longest sequence of words that both have, with others between.
    #[serde(rename = "rougeL")]
    pub rouge_l: RougeScore,
    /// The same by lines, as a summary has them: of each line of the reference the words that such a sequence with some line
    /// of the answer holds.
    #[serde(rename = "rougeLsum")]
    pub rouge_lsum: RougeScore,
}

const NAME: &str = "rouge";

impl Rouge {
    /// ROUGE-1, -2, -L and -Lsum of an answer.
    ///
    /// # Errors
    /// [`Error::Metric`] when the texts are past their [`limit`].
    pub fn score(&self, answer: &str, reference: &str) -> Result<RougeScores> {
        limit::texts(NAME, answer, &[reference])?;
        let both = Both::new(*self, answer, reference);
        limit::cells(NAME, both.said.words.len(), both.right.words.len(), limit::MOST_CELLS)?;
        let grams = ngram::shared(&both.said.words, &[&both.right.words], both.kinds, 2);
        let longest = lcs::length(&both.right.words, &both.said.words, both.kinds);
        Ok(RougeScores {
            rouge1: both.score(grams[0], 1),
            rouge2: both.score(grams[1], 2),
            rouge_l: both.score(longest as u64, 1),
            rouge_lsum: both.score(both.by_lines()?, 1),
        })
    }

    /// ROUGE with n-grams of another length.
    ///
    /// # Errors
    /// As [`Self::score`], and when `order` is past its limit.
    pub fn score_n(&self, answer: &str, reference: &str, order: usize) -> Result<RougeScore> {
        limit::order(NAME, "the order", order, 1)?;
        limit::texts(NAME, answer, &[reference])?;
        let both = Both::new(*self, answer, reference);
        let grams = ngram::shared(&both.said.words, &[&both.right.words], both.kinds, order);
        Ok(both.score(grams[order - 1], order))
    }

    /// Of several references for each measure the one with the best F1, the first of those that are equal.
    ///
    /// # Errors
    /// As [`Self::score`], and without references.
    pub fn score_multi<R: AsRef<str>>(&self, answer: &str, references: &[R]) -> Result<RougeScores> {
        limit::texts(NAME, answer, references)?;
        let mut scores = references.iter().map(|reference| self.score(answer, reference.as_ref()));
        let mut best = scores.next().ok_or_else(|| Error::metric(NAME, "it needs a reference"))??;
        for other in scores {
            let other = other?;
            let pairs: [(&mut RougeScore, RougeScore); 4] = [
                (&mut best.rouge1, other.rouge1),
                (&mut best.rouge2, other.rouge2),
                (&mut best.rouge_l, other.rouge_l),
                (&mut best.rouge_lsum, other.rouge_lsum),
            ];
            pairs.into_iter().filter(|(best, other)| other.f1 > best.f1).for_each(|(best, other)| *best = other);
        }
        Ok(best)
    }

    /// What the score was made with.
    pub fn signature(&self) -> String {
        let words = match self.words {
            Words::Ascii => "ascii",
            Words::Unicode => "unicode",
        };
        format!("words:{words}|stem:{}|rouge-score:0.1.2", if self.use_stemmer { "porter" } else { "no" })
    }
}

/// An answer and a reference as numbers below `kinds`.
struct Both {
    said: Text,
    right: Text,
    kinds: usize,
}

/// The words of all lines, and which of them each line has.
#[derive(Default)]
struct Text {
    words: Vec<u32>,
    lines: Vec<Range<usize>>,
}

impl Both {
    fn new(rouge: Rouge, answer: &str, reference: &str) -> Self {
        let (answer, reference) = (answer.to_lowercase(), reference.to_lowercase());
        let mut vocabulary = Vocabulary::default();
        let mut stems = Stems::default();
        let mut text = |text| {
            let mut numbers = Text::default();
            for line in str::split(text, '\n') {
                let start = numbers.words.len();
                each_word(rouge.words, line, |word| {
                    let number = vocabulary.number(word);
                    numbers.words.push(if rouge.use_stemmer { stems.of(number, word) } else { number });
                });
                if numbers.words.len() > start {
                    numbers.lines.push(start..numbers.words.len());
                }
            }
            numbers
        };
        let (right, said) = (text(&reference), text(&answer));
        Self { said, right, kinds: vocabulary.len() }
    }

    /// From what both share of their n-grams.
    fn score(&self, shared: u64, order: usize) -> RougeScore {
        let share = |text: &Text| shared as f64 / (text.words.len() + 1).saturating_sub(order).max(1) as f64;
        let (precision, recall) = (share(&self.said), share(&self.right));
        let sum = precision + recall;
        RougeScore { precision, recall, f1: if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 } }
    }

    /// Words that the lines share: of each line of the reference those that one of its longest common subsequences with any
    /// line of the answer takes, each as often as both texts have it (section 3.2 of the paper, and ROUGE 1.5.5's rule
    /// against counting twice).
    fn by_lines(&self) -> Result<u64> {
        self.check_lines()?;
        let mut taken = vec![false; self.right.words.len()];
        // The tokens of one line of the answer have numbers of their own, so that a line costs no table of all words.
        let mut own = vec![0; self.kinds];
        for line in &self.said.lines {
            let mut kinds = 1;
            let words: Vec<u32> =
                self.said.words[line.clone()].iter().map(|&word| number(&mut own, word, &mut kinds)).collect();
            let mut columns = Columns::new(&words, kinds as usize);
            for right in &self.right.lines {
                let reference: Vec<u32> =
                    self.right.words[right.clone()].iter().map(|&word| own[word as usize]).collect();
                if reference.iter().any(|&word| word > 0) {
                    columns.places(&reference, |place| taken[right.start + place] = true);
                }
            }
            self.said.words[line.clone()].iter().for_each(|&word| own[word as usize] = 0);
        }
        let mut left = vec![0_u32; self.kinds];
        self.said.words.iter().for_each(|&word| left[word as usize] += 1);
        let counted = self.right.words.iter().zip(&taken).filter(|&(&word, &taken)| {
            let left = &mut left[word as usize];
            let counts = taken && *left > 0;
            *left -= u32::from(counts);
            counts
        });
        Ok(counted.count() as u64)
    }

    fn check_lines(&self) -> Result<()> {
        let longest = |text: &Text| text.lines.iter().map(Range::len).max().unwrap_or_default();
        limit::cells(NAME, longest(&self.said), longest(&self.right), limit::MOST_KEPT_CELLS)?;
        // Each pair of lines costs as much as a few hundred cells, however short they are.
        let of_lines: usize = self.said.lines.iter().map(|line| line.len().next_multiple_of(64)).sum();
        limit::cells(NAME, of_lines, self.right.words.len() + 8 * self.right.lines.len(), limit::MOST_CELLS)
    }
}

/// The number of a word within its line, from 1.
fn number(own: &mut [u32], word: u32, kinds: &mut u32) -> u32 {
    let slot = &mut own[word as usize];
    if *slot == 0 {
        *slot = *kinds;
        *kinds += 1;
    }
    *slot
}

/// The numbers of words' stems: of those with one stem the number of the first.
#[derive(Default)]
struct Stems {
    /// By the number of a word.
    known: Vec<u32>,
    numbers: HashMap<String, u32>,
}

impl Stems {
    fn of(&mut self, number: u32, word: &str) -> u32 {
        if let Some(&known) = self.known.get(number as usize) {
            return known;
        }
        let is_long = word.is_ascii() && word.len() > 3;
        let stem = if is_long { porter::stem(word) } else { word.to_owned() };
        let number = *self.numbers.entry(stem).or_insert(number);
        self.known.push(number);
        number
    }
}

/// Tells each word of a text in lower case.
fn each_word<'a>(words: Words, text: &'a str, mut tell: impl FnMut(&'a str)) {
    match words {
        Words::Ascii => {
            let parts = text.split(|c: char| !matches!(c, 'a'..='z' | '0'..='9'));
            parts.filter(|word| !word.is_empty()).for_each(tell);
        }
        Words::Unicode => {
            let parts = text.split(|c: char| !is_part_of_word(c)).filter(|word| !word.is_empty());
            parts.for_each(|part| each_unspaced(part, &mut tell));
        }
    }
}

/// Letters, digits, marks on letters, and what joins letters.
fn is_part_of_word(c: char) -> bool {
    c.is_alphanumeric() || !c.is_ascii() && (is_mark(c) || matches!(c, '\u{200c}' | '\u{200d}'))
}

/// Cuts characters of scripts without spaces from each other and from what stands beside them; their marks stay with them.
fn each_unspaced<'a>(part: &'a str, tell: &mut impl FnMut(&'a str)) {
    if part.is_ascii() {
        return tell(part);
    }
    let mut start = 0;
    let mut unspaced = false;
    for (at, c) in part.char_indices() {
        if is_mark(c) {
            continue;
        }
        let before = std::mem::replace(&mut unspaced, is_without_spaces(c));
        if at > start && (before || unspaced) {
            tell(&part[start..at]);
            start = at;
        }
    }
    tell(&part[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::reference::{self, Pair};

    #[test]
    fn all_measures_agree_with_rouge_score() {
        reference::each("rouge", 1e-6, |pair: &Pair| {
            let mut found = Vec::new();
            for use_stemmer in [false, true] {
                let rouge = Rouge { use_stemmer, ..Rouge::default() };
                let scores = rouge.score(&pair.answer, &pair.references[0]).unwrap();
                for score in [scores.rouge1, scores.rouge2, scores.rouge_l, scores.rouge_lsum] {
                    found.extend([score.precision, score.recall]);
                }
                let scores = rouge.score_multi(&pair.answer, &pair.references).unwrap();
                found.extend([scores.rouge1, scores.rouge2, scores.rouge_l, scores.rouge_lsum].map(|score| score.f1));
                found.push(rouge.score_n(&pair.answer, &pair.references[0], 4).unwrap().f1);
            }
            found
        });
    }

    #[test]
    fn unicode_words_are_the_same_in_english_and_others_elsewhere() {
        let unicode = Rouge { words: Words::Unicode, use_stemmer: true };
        let ascii = Rouge { use_stemmer: true, ..Rouge::default() };
        let pairs = reference::pairs();
        let english = pairs.iter().filter(|pair| pair.answer.is_ascii() && pair.references[0].is_ascii());
        for pair in english {
            let score = |rouge: Rouge| rouge.score(&pair.answer, &pair.references[0]).unwrap();
            assert_eq!(score(unicode), score(ascii));
        }
        // Words counted by hand: 我 爱 北 京 against 我 爱 上 海 share 2 of 4; кошка of two words one.
        for (answer, right, shared) in
            [("我爱北京", "我爱上海", 0.5), ("Кошка спит", "кошка ест", 0.5), ("ไทย", "ไทย", 1.0)]
        {
            assert_eq!(ascii.score(answer, right).unwrap().rouge1.f1, 0.0);
            assert_eq!(unicode.score(answer, right).unwrap().rouge1.f1, shared, "{answer}");
        }
    }

    #[test]
    fn words_of_all_scripts() {
        let check = |text: &str, expected: &[&str]| {
            let mut found = Vec::new();
            each_word(Words::Unicode, text, |word| found.push(word));
            assert_eq!(found, expected, "{text:?}");
        };
        check("naïve café-bar 3.5", &["naïve", "café", "bar", "3", "5"]);
        check("हिन्दी भाषा", &["हिन्दी", "भाषा"]);
        check("gpt4は東京へ", &["gpt4", "は", "東", "京", "へ"]);
        check("ที่นี่", &["ที่", "นี่"]);
        check("한국어 문장", &["한국어", "문장"]);
    }
}
