//! How hard an English text is to read.

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::limit;
use crate::text::is_space;
use crate::{Error, Result};

/// What the formulas are made of, counted as textstat 0.7.13 counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextCounts {
    /// Sentences of over two words; at least 1.
    pub sentences: u64,
    /// Words: what stands between white space when punctuation is taken out.
    pub words: u64,
    /// What stands between white space, punctuation alone too.
    pub pieces: u64,
    /// Letters, digits and underscores.
    pub letters: u64,
    /// All characters but white space.
    pub characters: u64,
    /// Syllables of all words.
    pub syllables: u64,
    /// Words of three syllables and more.
    pub long_words: u64,
}

const NAME: &str = "readability";

impl TextCounts {
    /// Of an English text, with [`syllables`].
    ///
    /// # Errors
    /// [`Error::Metric`] when the text is past its [`limit`] or has no words.
    pub fn new(text: &str) -> Result<Self> {
        Self::with_syllables(text, syllables)
    }

    /// Of a text, with another way to count the syllables of a word in lower case, such as a dictionary.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_syllables(text: &str, syllables: impl Fn(&str) -> u64) -> Result<Self> {
        limit::text(NAME, text)?;
        let cleaned = without_punctuation(text);
        let words = cleaned.split(is_space).filter(|word| !word.is_empty());
        let (mut counts, mut lower) = (Self::default(), String::new());
        for word in words {
            lower.clear();
            lower.extend(word.chars().flat_map(char::to_lowercase));
            let of_word = syllables(&lower);
            counts.words += 1;
            counts.syllables += of_word;
            counts.long_words += u64::from(of_word >= 3);
        }
        if counts.words == 0 {
            return Err(Error::metric(NAME, "there are no words"));
        }
        counts.sentences = sentences(text);
        counts.pieces = text.split(is_space).filter(|piece| !piece.is_empty()).count() as u64;
        counts.characters = text.chars().filter(|&c| !is_space(c)).count() as u64;
        counts.letters = text.chars().filter(|&c| is_letter(c)).count() as u64;
        Ok(counts)
    }

    /// `206.835 − 1.015·words/sentences − 84.6·syllables/words`: 100 is very easy, 0 very hard.
    ///
    /// Flesch, "A new readability yardstick" (Journal of Applied Psychology 32, 1948).
    pub fn flesch_reading_ease(self) -> f64 {
        206.835 - 1.015 * ratio(self.words, self.sentences) - 84.6 * ratio(self.syllables, self.words)
    }

    /// `0.39·words/sentences + 11.8·syllables/words − 15.59`: the school year in the United States.
    ///
    /// Kincaid et al., Research Branch Report 8-75, Naval Technical Training (1975).
    pub fn flesch_kincaid_grade(self) -> f64 {
        0.39 * ratio(self.words, self.sentences) + 11.8 * ratio(self.syllables, self.words) - 15.59
    }

    /// `0.4·(words/sentences + 100·long words/words)`: years of education. All words of three syllables are hard here; textstat
    /// takes out those of a list of easy words.
    ///
    /// Gunning, "The Technique of Clear Writing" (1952).
    pub fn gunning_fog(self) -> f64 {
        0.4 * (ratio(self.words, self.sentences) + 100.0 * ratio(self.long_words, self.words))
    }

    /// `1.043·√(30·long words/sentences) + 3.1291`: years of education. Meant for 30 sentences and more.
    ///
    /// McLaughlin, "SMOG Grading: a New Readability Formula" (Journal of Reading 12, 1969).
    pub fn smog(self) -> f64 {
        1.043 * (30.0 * ratio(self.long_words, self.sentences)).sqrt() + 3.1291
    }

    /// `5.8·letters/words − 29.6·sentences/words − 15.8`: the school year. Needs no syllables.
    ///
    /// Coleman and Liau, "A computer readability formula designed for machine scoring" (Journal of Applied Psychology 60, 1975).
    pub fn coleman_liau(self) -> f64 {
        5.8 * ratio(self.letters, self.words) - 29.6 * ratio(self.sentences, self.words) - 15.8
    }

    /// `4.71·characters/pieces + 0.5·words/sentences − 21.43`: the school year. Needs no syllables.
    ///
    /// Smith and Senter, "Automated Readability Index", AMRL-TR-66-220 (1967).
    pub fn automated_readability_index(self) -> f64 {
        4.71 * ratio(self.characters, self.pieces) + 0.5 * ratio(self.words, self.sentences) - 21.43
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// textstat's `count_sentences`: runs up to a mark, of over two words.
fn sentences(text: &str) -> u64 {
    static SENTENCE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[^.!?]+[.!?]*").expect("the pattern is valid"));
    let has_words = |sentence: &str| {
        let cleaned = without_punctuation(sentence);
        cleaned.split(is_space).filter(|word| !word.is_empty()).nth(2).is_some()
    };
    (SENTENCE.find_iter(text).filter(|found| has_words(found.as_str())).count() as u64).max(1)
}

/// textstat's `remove_punctuation`: only letters, white space, and apostrophes before what contractions end in.
fn without_punctuation(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        let is_contraction = || {
            let rest = &text[at + 1..];
            rest.starts_with(['t', 's', 'd']) || ["ve", "ll", "re"].iter().any(|ending| rest.starts_with(ending))
        };
        if is_letter(c) || is_space(c) || c == '\'' && is_contraction() {
            kept.push(c);
        }
    }
    kept
}

/// Syllables of an English word in lower case by its spelling: groups of vowels, without a silent `e` at the end, and with
/// those of vowels that are spoken apart.
///
/// A rule and no dictionary. Of the words of the test texts that the CMU pronouncing dictionary has, it counts 19 in 20 as that
/// does; see `docs/evaluation-metrics.md`.
pub fn syllables(word: &str) -> u64 {
    let letters: Vec<u8> = word.bytes().filter(u8::is_ascii_alphabetic).collect();
    let mut count = 0_i64;
    let mut before = false;
    for (at, &letter) in letters.iter().enumerate() {
        let is_vowel = is_vowel(letter) && !(letter == b'y' && at == 0);
        count += i64::from(is_vowel && !before);
        before = is_vowel;
    }
    (count + apart(&letters) - silent(&letters)).max(1) as u64
}

fn is_vowel(letter: u8) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

/// Vowels that stand together and are spoken apart.
fn apart(letters: &[u8]) -> i64 {
    let pairs = letters.windows(2).enumerate().filter(|(at, pair)| {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(at + 2);
        match *pair {
            // `special`, `nation` and `religious` are spoken as one, `media` and `radio` are not.
            b"ia" | b"io" => !matches!(before, Some(b't' | b'c' | b's' | b'g' | b'x')) && *at > 0,
            b"iu" | b"eo" if *at > 0 => !matches!(before, Some(b'p' | b'g')),
            b"ie" => after == Some(&b't') || after == Some(&b'n') && matches!(before, Some(b'l' | b'd')),
            b"ua" => !matches!(before, Some(b'q' | b'g')),
            b"ue" => after == Some(&b'n') && !matches!(before, Some(b'q')),
            b"ea" => after == Some(&b't') && before == Some(b'r') && letters.ends_with(b"ate"),
            b"yi" | b"oi" => letters[at + 1..] == *b"ing",
            _ => false,
        }
    });
    pairs.count() as i64 + i64::from(letters.ends_with(b"sm"))
}

/// Endings that have a vowel and no syllable.
fn silent(letters: &[u8]) -> i64 {
    let vowel_at = |from_end: usize| letters.len().checked_sub(from_end).is_some_and(|at| is_vowel(letters[at]));
    let has_other =
        |ending: usize| letters[..letters.len().saturating_sub(ending)].iter().any(|&letter| is_vowel(letter));
    let is_silent = match letters {
        [.., b'l', b'e'] => has_other(2) && vowel_at(3),
        [.., b'e'] => has_other(1) && !vowel_at(2),
        [.., b'l', b'e', b's'] => has_other(3) && vowel_at(4),
        [.., b's' | b'x' | b'z' | b'c' | b'g', b'e', b's'] | [.., b'c' | b's', b'h', b'e', b's'] => false,
        [.., b'e', b's'] => has_other(2) && !vowel_at(3),
        [.., b't' | b'd', b'e', b'd'] => false,
        [.., b'e', b'd'] => has_other(2) && !vowel_at(3),
        [.., b'e', b'l', b'y'] => has_other(3) && !vowel_at(4),
        [.., b'e', b'm', b'e', b'n', b't'] | [.., b'e', b'm', b'e', b'n', b't', b's'] => has_other(5) && !vowel_at(6),
        _ => false,
    };
    i64::from(is_silent)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::metric::reference::{self, close};

    /// textstat's own counts and scores; the syllables of its dictionary are given.
    #[test]
    fn counts_and_formulas_agree_with_textstat() {
        let cases = reference::section("readability");
        let cases = cases.as_array().unwrap();
        assert!(cases.len() >= 20);
        for case in cases {
            let known: HashMap<String, u64> = serde_json::from_value(case["syllables"].clone()).unwrap();
            let text = case["text"].as_str().unwrap();
            let counts = TextCounts::with_syllables(text, |word| known[word]).unwrap();
            let expected: TextCounts = serde_json::from_value(case["counts"].clone()).unwrap();
            assert_eq!(counts, expected, "{text}");
            let scores = [
                (counts.flesch_reading_ease(), "flesch_reading_ease"),
                (counts.flesch_kincaid_grade(), "flesch_kincaid_grade"),
                (counts.smog(), "smog_index"),
                (counts.coleman_liau(), "coleman_liau_index"),
                (counts.automated_readability_index(), "automated_readability_index"),
                // textstat counts as hard what is not in its list of easy words.
                (TextCounts { long_words: case["difficult"].as_u64().unwrap(), ..counts }.gunning_fog(), "gunning_fog"),
            ];
            scores.iter().for_each(|(found, name)| close(*found, &case[name], 1e-6, name));
        }
    }

    /// The CMU pronouncing dictionary's syllables of the most frequent words of the pairs.
    #[test]
    fn the_rule_for_syllables_agrees_with_a_dictionary_nineteen_times_in_twenty() {
        let known: HashMap<String, u64> = serde_json::from_value(reference::section("cmu_syllables")).unwrap();
        assert!(known.len() >= 1_500);
        let wrong: Vec<_> = known.iter().filter(|(word, count)| syllables(word) != **count).collect();
        let share = 1.0 - wrong.len() as f64 / known.len() as f64;
        println!("{share:.4} of {} words; not {:?}", known.len(), &wrong[..wrong.len().min(60)]);
        assert!(share > 0.94, "{share} of {}, not {:?}", known.len(), &wrong[..40]);
    }

    #[test]
    fn what_has_no_words_is_refused() {
        assert!(TextCounts::new("").is_err() && TextCounts::new("?! …").is_err());
        assert_eq!(TextCounts::new("Go.").unwrap().sentences, 1);
    }
}
