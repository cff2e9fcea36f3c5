//! Translation edit rate, as sacreBLEU 2.6.0 computes it.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::bleu::{SACREBLEU, number_of, yes_or_no};
use super::limit;
use super::tokeniser::{unescaped, western, words};
use super::vocabulary::Vocabulary;
use crate::text::is_space;
use crate::{Error, Result};

mod shift;

/// Edits that make an answer the reference, for each hundred words of the reference: words put in, taken out or replaced, and
/// sequences of words moved to another place, which is one edit however long they are. Less is better; it may be over 100.
///
/// Snover et al., "A Study of Translation Edit Rate with Targeted Human Annotation" (AMTA 2006). Which shifts are tried, in
/// which order, and what bounds the search are those of `lib_ter.py` of sacreBLEU, which follows Tercom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ter {
    /// Punctuation stands apart, entities of XML are read, broken lines joined.
    pub normalized: bool,
    /// Punctuation is left out.
    pub no_punct: bool,
    /// The two above know the characters of Chinese and Japanese too.
    pub asian_support: bool,
    /// Upper and lower case differ.
    pub case_sensitive: bool,
}

/// What of one text, or of many, makes the score. They can be added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct TerStatistics {
    /// Edits to the nearest reference.
    pub edits: f64,
    /// Words of the references, on average over those of one answer.
    pub reference_words: f64,
}

impl AddAssign for TerStatistics {
    fn add_assign(&mut self, other: Self) {
        self.edits += other.edits;
        self.reference_words += other.reference_words;
    }
}

const NAME: &str = "ter";

impl Ter {
    /// The statistics of one answer.
    ///
    /// # Errors
    /// [`Error::Metric`] without references, or when a text is past its [`limit`].
    pub fn statistics<R: AsRef<str>>(&self, answer: &str, references: &[R]) -> Result<TerStatistics> {
        limit::texts(NAME, answer, references)?;
        let answer = self.separated(answer);
        let references: Vec<String> = references.iter().map(|text| self.separated(text.as_ref())).collect();
        let mut vocabulary = Vocabulary::default();
        let mut numbers = |text| {
            let numbers: Vec<u32> = words(text).map(|word| vocabulary.number(word)).collect();
            if numbers.len() <= limit::MOST_SHIFTED_WORDS {
                return Ok(numbers);
            }
            Err(Error::metric(NAME, format!("a text has over {} words", limit::MOST_SHIFTED_WORDS)))
        };
        let said = numbers(&answer)?;
        let (mut edits, mut right_words) = (u64::MAX, 0);
        for reference in &references {
            let right = numbers(reference)?;
            right_words += right.len();
            edits = edits.min(shift::edits(&said, &right));
        }
        Ok(TerStatistics { edits: edits as f64, reference_words: right_words as f64 / references.len() as f64 })
    }

    /// The score of one answer, or of what the statistics of many add up to.
    pub fn score(&self, statistics: TerStatistics) -> f64 {
        if statistics.reference_words > 0.0 {
            return 100.0 * statistics.edits / statistics.reference_words;
        }
        if statistics.edits > 0.0 { 100.0 } else { 0.0 }
    }

    /// The score of one answer.
    ///
    /// # Errors
    /// As [`Self::statistics`].
    pub fn sentence<R: AsRef<str>>(&self, answer: &str, references: &[R]) -> Result<f64> {
        Ok(self.score(self.statistics(answer, references)?))
    }

    /// What the score was made with, in sacreBLEU's words. `None` stands for a number of references that differs.
    pub fn signature(&self, references: Option<usize>) -> String {
        format!(
            "{}|case:{}|tok:tercom|norm:{}|punct:{}|asian:{}|version:{SACREBLEU}",
            number_of(references),
            if self.case_sensitive { "mixed" } else { "lc" },
            yes_or_no(self.normalized),
            yes_or_no(!self.no_punct),
            yes_or_no(self.asian_support),
        )
    }

    /// `TercomTokenizer`. Its rules for Hiragana and Katakana ask for the beginning of the text, where there is a space by
    /// then, so that they never apply and have no place here.
    fn separated(&self, text: &str) -> String {
        let text = text.trim_end_matches(is_space);
        let mut text = if self.case_sensitive { text.to_owned() } else { text.to_lowercase() };
        if text.is_empty() {
            return text;
        }
        if self.normalized {
            text = normalised(&text);
            if self.asian_support {
                text = asian_apart(&text);
            }
        }
        if self.no_punct {
            text.retain(|c| !matches!(c, '.' | ',' | '?' | ':' | ';' | '!' | '"' | '(' | ')'));
            if self.asian_support {
                text.retain(|c| !is_asian_punctuation(c));
            }
        }
        text
    }
}

/// `_normalize_general_and_western`.
fn normalised(text: &str) -> String {
    let joined = text.replace("\n-", "").replace('\n', " ");
    let padded = format!(" {} ", unescaped(&joined));
    western(padded.as_bytes(), true)
}

/// `_normalize_asian`, of which only where spaces come matters.
fn asian_apart(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        let is_apart = matches!(c,
            '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{31c0}'..='\u{31ef}' | '\u{2e80}'..='\u{2eff}'
            | '\u{3300}'..='\u{33ff}' | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe4f}' | '\u{3200}'..='\u{3f22}');
        if is_apart || is_asian_punctuation(c) {
            out.extend([' ', c, ' ']);
        } else {
            out.push(c);
        }
    }
    out
}

/// `ASIAN_PUNCT` and `FULL_WIDTH_PUNCT`.
fn is_asian_punctuation(c: char) -> bool {
    matches!(c,
        '\u{3001}' | '\u{3002}' | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{ff61}'..='\u{ff65}' | '\u{30fb}'
        | '\u{ff0e}' | '\u{ff0c}' | '\u{ff1f}' | '\u{ff1a}' | '\u{ff1b}' | '\u{ff01}' | '\u{ff02}' | '\u{ff08}' | '\u{ff09}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::reference::{self, Pair};

    fn configurations() -> Vec<Ter> {
        vec![
            Ter::default(),
            Ter { normalized: true, ..Ter::default() },
            Ter { normalized: true, no_punct: true, asian_support: true, case_sensitive: false },
            Ter { no_punct: true, case_sensitive: true, ..Ter::default() },
        ]
    }

    #[test]
    fn sentences_agree_with_sacrebleu() {
        let configurations = configurations();
        reference::each("ter", 1e-6, |pair: &Pair| {
            configurations.iter().map(|ter| ter.sentence(&pair.answer, &pair.references).unwrap()).collect()
        });
    }

    #[test]
    fn corpora_and_signatures_agree_with_sacrebleu() {
        let expected = reference::section("ter_corpus");
        let pairs = reference::pairs();
        for (ter, expected) in configurations().iter().zip(expected.as_array().unwrap()) {
            for (corpus, expected) in reference::corpora(&pairs, 100).into_iter().zip(expected.as_array().unwrap()) {
                let mut sum = TerStatistics::default();
                for pair in &corpus.pairs {
                    sum += ter.statistics(&pair.answer, &pair.references[..corpus.references(pair)]).unwrap();
                }
                reference::close(ter.score(sum), &expected["score"], 1e-6, "corpus");
                assert_eq!(ter.signature(corpus.signed), expected["signature"].as_str().unwrap());
            }
        }
    }
}
