//! Perplexity: how much a text surprises a model, from the log-probabilities that the model gave it.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::text::is_space;
use crate::{Error, Result};

/// What of one text, or of many, makes perplexities. They can be added up.
///
/// By word and by byte they compare models with different tokenisers: the log-likelihood of the whole text is divided by what
/// does not depend on the model. These are `word_perplexity`, `byte_perplexity` and `bits_per_byte` of lm-evaluation-harness.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Likelihood {
    /// The sum of the natural logarithms of the tokens' probabilities.
    pub log_likelihood: f64,
    /// Tokens that have a probability.
    pub tokens: u64,
    /// Words of the text.
    pub words: u64,
    /// Bytes of the text in UTF-8.
    pub bytes: u64,
}

impl AddAssign for Likelihood {
    fn add_assign(&mut self, other: Self) {
        self.log_likelihood += other.log_likelihood;
        self.tokens += other.tokens;
        self.words += other.words;
        self.bytes += other.bytes;
    }
}

const NAME: &str = "perplexity";

impl Likelihood {
    /// Of a text with the natural logarithms of its tokens' probabilities.
    ///
    /// # Errors
    /// [`Error::Metric`] when one of them is above 0 or no number. Minus infinity is a probability of 0.
    pub fn new(text: &str, log_probabilities: &[f64]) -> Result<Self> {
        // What engines compute in single precision may come out a little above 0.
        const ROUNDING: f64 = 1e-4;
        if log_probabilities.iter().any(|&value| value.is_nan() || value > ROUNDING) {
            return Err(Error::metric(NAME, "a log-probability is above 0 or no number"));
        }
        Ok(Self {
            log_likelihood: log_probabilities.iter().sum(),
            tokens: log_probabilities.len() as u64,
            words: words(text),
            bytes: text.len() as u64,
        })
    }

    /// `exp(−L / tokens)`.
    ///
    /// # Errors
    /// [`Error::Metric`] without tokens.
    pub fn by_token(self) -> Result<f64> {
        self.surprise(self.tokens).map(f64::exp)
    }

    /// `exp(−L / words)`: `word_perplexity`.
    ///
    /// # Errors
    /// [`Error::Metric`] without words.
    pub fn by_word(self) -> Result<f64> {
        self.surprise(self.words).map(f64::exp)
    }

    /// `exp(−L / bytes)`: `byte_perplexity`.
    ///
    /// # Errors
    /// [`Error::Metric`] without bytes.
    pub fn by_byte(self) -> Result<f64> {
        self.surprise(self.bytes).map(f64::exp)
    }

    /// `−L / (bytes · ln 2)`: how many bits a compressor with this model needs for a byte.
    ///
    /// # Errors
    /// [`Error::Metric`] without bytes.
    pub fn bits_per_byte(self) -> Result<f64> {
        self.surprise(self.bytes).map(|nats| nats / std::f64::consts::LN_2)
    }

    fn surprise(self, units: u64) -> Result<f64> {
        if units == 0 {
            return Err(Error::metric(NAME, "there is no text"));
        }
        Ok(-self.log_likelihood / units as f64)
    }
}

/// Words as lm-evaluation-harness counts them, `len(re.split(r"\s+", text))`: white space at an end counts one more.
pub fn words(text: &str) -> u64 {
    let mut in_space = false;
    1 + text.chars().filter(|&c| !std::mem::replace(&mut in_space, is_space(c)) && is_space(c)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::reference;

    #[test]
    fn it_agrees_with_the_harness() {
        let expected = reference::section("perplexity");
        let mut sum = Likelihood::default();
        for case in expected["texts"].as_array().unwrap() {
            let log_probabilities: Vec<f64> = serde_json::from_value(case["log_probabilities"].clone()).unwrap();
            let one = Likelihood::new(case["text"].as_str().unwrap(), &log_probabilities).unwrap();
            assert_eq!((one.words, one.bytes), (case["words"].as_u64().unwrap(), case["bytes"].as_u64().unwrap()));
            sum += one;
        }
        reference::close(sum.by_word().unwrap(), &expected["word_perplexity"], 1e-9, "word");
        reference::close(sum.by_byte().unwrap(), &expected["byte_perplexity"], 1e-9, "byte");
        reference::close(sum.bits_per_byte().unwrap(), &expected["bits_per_byte"], 1e-9, "bits");
        reference::close(sum.by_token().unwrap(), &expected["token_perplexity"], 1e-9, "token");
    }

    #[test]
    fn what_has_no_perplexity() {
        assert!(Likelihood::new("a", &[0.5]).is_err() && Likelihood::new("a", &[f64::NAN]).is_err());
        assert!(Likelihood::new("a", &[]).unwrap().by_token().is_err());
        assert_eq!(Likelihood::new("a", &[f64::NEG_INFINITY]).unwrap().by_token().unwrap(), f64::INFINITY);
    }
}
