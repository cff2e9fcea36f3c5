//! METEOR, as NLTK 3.10 computes it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::tokeniser::{Tokeniser, words};
use super::{WordNet, limit, porter};
use crate::{Error, Result};

/// How well the words of an answer can be aligned with those of a reference: as they are, by their stems, and by WordNet's
/// synonyms; the more pieces the alignment falls into, the less. Between 0 and 1; of several references the best counts.
///
/// `score = (1 − γ·(chunks/matches)^β) · P·R/(α·P + (1 − α)·R)`.
///
/// Lavie and Agarwal, "Meteor: An Automatic Metric for MT Evaluation with High Levels of Correlation with Human Judgments"
/// (WMT 2007). The order in which words are aligned is that of NLTK's `meteor_score`: the last words first.
///
/// ```
/// use qd_eval::metric::{Meteor, meteor::NoSynonyms};
///
/// let reference = "It is a guide to action that ensures that the military will forever heed Party commands";
/// let answer = "It is a guide to action which ensures that the military always obeys the commands of the party";
/// let score = Meteor::default().score_text(answer, &[reference], &NoSynonyms)?;
/// assert_eq!(format!("{score:.4}"), "0.6944");
/// # Ok::<(), qd_eval::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Meteor {
    /// How much precision counts against recall.
    pub alpha: f64,
    /// How steeply the penalty grows with the number of pieces.
    pub beta: f64,
    /// The penalty at most.
    pub gamma: f64,
    /// How texts are cut into words. NLTK is given words, so this is for the caller to say.
    pub tokenise: Tokeniser,
    /// Whether words match by their stems too, which NLTK always does. Without, synonyms are looked up by the words as they are.
    #[serde(skip)]
    pub stem: bool,
}

impl Default for Meteor {
    fn default() -> Self {
        Self { alpha: 0.9, beta: 3.0, gamma: 0.5, tokenise: Tokeniser::None, stem: true }
    }
}

/// Where words that mean the same come from.
pub trait Synonyms {
    /// Tells the words that mean the same as `word`.
    fn each(&self, word: &str, tell: &mut dyn FnMut(&str));
}

impl Synonyms for WordNet {
    fn each(&self, word: &str, tell: &mut dyn FnMut(&str)) {
        self.synonyms(word).into_iter().for_each(tell);
    }
}

/// Only words and stems are matched.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSynonyms;

impl Synonyms for NoSynonyms {
    fn each(&self, _: &str, _: &mut dyn FnMut(&str)) {}
}

const NAME: &str = "meteor";

impl Meteor {
    /// The score of an answer.
    ///
    /// # Errors
    /// [`Error::Metric`] without references, or when a text or an option is past its limit.
    pub fn score_text<R: AsRef<str>>(&self, answer: &str, references: &[R], synonyms: &dyn Synonyms) -> Result<f64> {
        limit::texts(NAME, answer, references)?;
        let separated = |text: &str| self.tokenise.separated(text);
        let (answer, references) = (separated(answer), references.iter().map(|text| separated(text.as_ref())));
        let references: Vec<String> = references.collect();
        let references: Vec<Vec<&str>> = references.iter().map(|text| words(text).collect()).collect();
        self.score(&words(&answer).collect::<Vec<_>>(), &references, synonyms)
    }

    /// The score of an answer that is cut into words already.
    ///
    /// # Errors
    /// As [`Self::score_text`].
    pub fn score(&self, answer: &[&str], references: &[Vec<&str>], synonyms: &dyn Synonyms) -> Result<f64> {
        let fits = |value: f64| value.is_finite() && value >= 0.0;
        if references.is_empty() || references.len() > limit::MOST_REFERENCES {
            return Err(Error::metric(NAME, format!("it needs 1 to {} references", limit::MOST_REFERENCES)));
        }
        if !(fits(self.beta) && (0.0..=1.0).contains(&self.alpha) && (0.0..=1.0).contains(&self.gamma)) {
            return Err(Error::metric(NAME, "alpha and gamma must be 0 to 1 and beta 0 or more"));
        }
        let scores = references.iter().map(|reference| self.single(answer, reference, synonyms));
        Ok(scores.fold(0.0, f64::max))
    }

    /// What the score was made with; `synonyms` names where synonyms came from.
    pub fn signature(&self, synonyms: &str) -> String {
        let Self { alpha, beta, gamma, tokenise, stem } = self;
        let stems = if *stem { "" } else { "|stem:no" };
        format!("alpha:{alpha}|beta:{beta}|gamma:{gamma}|tok:{}{stems}|synonyms:{synonyms}|nltk:3.10", tokenise.name())
    }

    /// `single_meteor_score`.
    fn single(&self, answer: &[&str], reference: &[&str], synonyms: &dyn Synonyms) -> f64 {
        let matches = aligned(answer, reference, self.stem, synonyms);
        if matches.is_empty() {
            return 0.0;
        }
        let count = matches.len() as f64;
        let (precision, recall) = (count / answer.len() as f64, count / reference.len() as f64);
        let mean = precision * recall / (self.alpha * precision + (1.0 - self.alpha) * recall);
        let follows = |pair: &[(usize, usize)]| pair[1] == (pair[0].0 + 1, pair[0].1 + 1);
        let chunks = 1 + matches.windows(2).filter(|pair| !follows(pair)).count();
        (1.0 - self.gamma * (chunks as f64 / count).powf(self.beta)) * mean
    }
}

/// Places of words in the answer and in the reference that belong together, in the order of the answer.
fn aligned(answer: &[&str], reference: &[&str], stem: bool, synonyms: &dyn Synonyms) -> Vec<(usize, usize)> {
    let lower = |words: &[&str]| words.iter().map(|word| word.to_lowercase()).enumerate().collect::<Vec<_>>();
    let (mut said, mut right) = (lower(answer), lower(reference));
    let mut pairs = Vec::new();
    let itself = |word: &str, tell: &mut dyn FnMut(&str)| tell(word);
    take_matches(&mut said, &mut right, &mut pairs, itself);
    if stem {
        said.iter_mut().chain(&mut right).for_each(|word| word.1 = porter::stem(&word.1));
        take_matches(&mut said, &mut right, &mut pairs, itself);
    }
    // Synonyms are looked up by stems, as NLTK does.
    take_matches(&mut said, &mut right, &mut pairs, |word, tell| {
        tell(word);
        synonyms.each(word, tell);
    });
    pairs.sort_unstable();
    pairs
}

/// From the last word of the answer to the first: the last word of the reference that is left and is one of those that
/// `candidates` tells.
fn take_matches(
    said: &mut Vec<(usize, String)>,
    right: &mut Vec<(usize, String)>,
    pairs: &mut Vec<(usize, usize)>,
    candidates: impl Fn(&str, &mut dyn FnMut(&str)),
) {
    if right.is_empty() {
        return;
    }
    let mut left: HashMap<&str, Vec<usize>> = HashMap::new();
    right.iter().for_each(|(place, word)| left.entry(word).or_default().push(*place));
    let mut taken = Vec::new();
    said.reverse();
    said.retain(|(place, word)| {
        let mut best: Option<(usize, String)> = None;
        candidates(word, &mut |candidate| {
            if let Some(&last) = left.get(candidate).and_then(|places| places.last())
                && best.as_ref().is_none_or(|(best, _)| last > *best)
            {
                best = Some((last, candidate.to_owned()));
            }
        });
        let Some((last, candidate)) = best else { return true };
        left.get_mut(candidate.as_str()).map(Vec::pop);
        taken.push(last);
        pairs.push((*place, last));
        false
    });
    said.reverse();
    taken.sort_unstable();
    right.retain(|(place, _)| taken.binary_search(place).is_err());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::metric::reference::{self, Pair};
    use crate::metric::wordnet::DEBIAN_FOLDER;

    /// What NLTK's WordNet said of the words of the pairs, as far as it matters to them.
    struct Told(BTreeMap<String, Vec<String>>);

    impl Synonyms for Told {
        fn each(&self, word: &str, tell: &mut dyn FnMut(&str)) {
            self.0.get(word).into_iter().flatten().for_each(|word| tell(word));
        }
    }

    fn scores(pair: &Pair, synonyms: &dyn Synonyms) -> Vec<f64> {
        let other = Meteor { alpha: 0.7, beta: 1.5, gamma: 0.3, ..Meteor::default() };
        let with = |meteor: Meteor, synonyms| meteor.score_text(&pair.answer, &pair.references, synonyms).unwrap();
        vec![with(Meteor::default(), synonyms), with(other, synonyms), with(Meteor::default(), &NoSynonyms)]
    }

    #[test]
    fn it_agrees_with_nltk() {
        let told = Told(serde_json::from_value(reference::section("synonyms_of_pairs")).unwrap());
        reference::each("meteor", 1e-6, |pair| scores(pair, &told));
    }

    /// The same through all of WordNet, where the machine has it.
    #[test]
    fn it_agrees_with_nltk_by_wordnet_itself() {
        let folder = std::env::var("QUARTERDECK_TEST_WORDNET").unwrap_or_else(|_| DEBIAN_FOLDER.to_owned());
        if !Path::new(&folder).exists() {
            eprintln!("skipped: there is no WordNet in {folder}");
            return;
        }
        let wordnet = WordNet::open(Path::new(&folder)).unwrap();
        reference::each("meteor", 1e-6, |pair| scores(pair, &wordnet));
    }
}
