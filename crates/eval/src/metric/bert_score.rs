//! BERTScore's arithmetic, as bert-score 0.3.13 has it; the embeddings come from whoever has an encoder.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How similar the tokens of two texts are in meaning: each token of one text is matched with the most similar one of the
/// other, by the cosine of their embeddings.
///
/// Zhang et al., "BERTScore: Evaluating Text Generation with BERT" (ICLR 2020), section 3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct BertScore {
    /// Over the tokens of the answer.
    pub precision: f64,
    /// Over those of the reference.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
}

/// The tokens of one text as an encoder gives them, those that mark its beginning and end among them.
#[derive(Debug, Clone, Copy)]
pub struct Embedded<'a> {
    /// `[tokens, width]`, token by token.
    pub embeddings: &'a [f32],
    /// Numbers of one token.
    pub width: usize,
    /// How much each token counts: [`Idf::weights`], or else 1 for all but the first and the last, and 0 for these.
    pub weights: &'a [f32],
}

const NAME: &str = "BERTScore";
/// Tokens of one text at most; encoders take less.
pub const MOST_TOKENS: usize = 16_384;
/// Marks of beginning and end, which are all that an empty text has.
const MARKS: usize = 2;

impl BertScore {
    /// Of an answer and a reference. A text of no tokens but its marks has 0.
    ///
    /// Time is tokens times tokens times the width; the similarities are not kept.
    ///
    /// # Errors
    /// [`Error::Metric`] when a text has over [`MOST_TOKENS`], its tokens weigh nothing, lengths do not go together, or a number
    /// is not finite.
    pub fn new(answer: Embedded<'_>, reference: Embedded<'_>) -> Result<Self> {
        answer.check()?;
        reference.check()?;
        if answer.width != reference.width {
            return Err(Error::metric(NAME, "the embeddings are of two widths"));
        }
        if answer.weights.len() <= MARKS || reference.weights.len() <= MARKS {
            return Ok(Self::default());
        }
        let (said, right) = (answer.normalised(), reference.normalised());
        let (mut best_said, mut best_right) =
            (vec![f32::NEG_INFINITY; answer.weights.len()], vec![f32::NEG_INFINITY; reference.weights.len()]);
        for (said, best_said) in said.chunks_exact(answer.width).zip(&mut best_said) {
            for (right, best_right) in right.chunks_exact(answer.width).zip(&mut best_right) {
                let cosine = dot(said, right);
                *best_said = best_said.max(cosine);
                *best_right = best_right.max(cosine);
            }
        }
        Ok(Self::of(weighted(&best_said, answer.weights)?, weighted(&best_right, reference.weights)?))
    }

    fn of(precision: f64, recall: f64) -> Self {
        let f1 = 2.0 * precision * recall / (precision + recall);
        Self { precision, recall, f1: if f1.is_nan() { 0.0 } else { f1 } }
    }

    /// On a scale where `baseline`, what unrelated texts have, is 0: `(score − baseline) / (1 − baseline)` of each.
    pub fn rescaled(self, baseline: Self) -> Self {
        let rescale = |score: f64, baseline: f64| (score - baseline) / (1.0 - baseline);
        Self {
            precision: rescale(self.precision, baseline.precision),
            recall: rescale(self.recall, baseline.recall),
            f1: rescale(self.f1, baseline.f1),
        }
    }

    /// Of several references each measure's best, as bert-score has it.
    pub fn best(scores: &[Self]) -> Self {
        let best = |of: fn(&Self) -> f64| scores.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        if scores.is_empty() {
            return Self::default();
        }
        Self { precision: best(|s| s.precision), recall: best(|s| s.recall), f1: best(|s| s.f1) }
    }
}

impl Embedded<'_> {
    fn check(&self) -> Result<()> {
        let tokens = self.weights.len();
        if tokens > MOST_TOKENS || self.width == 0 || self.embeddings.len() != tokens * self.width {
            let why =
                format!("{tokens} weights do not go with {} numbers of width {}", self.embeddings.len(), self.width);
            return Err(Error::metric(NAME, why));
        }
        if !self.embeddings.iter().chain(self.weights).all(|number| number.is_finite()) {
            return Err(Error::metric(NAME, "a number of an embedding or a weight is not finite"));
        }
        Ok(())
    }

    /// The embeddings with a length of 1. One of length 0 stays as it is: it is similar to nothing.
    fn normalised(&self) -> Vec<f32> {
        let mut all = self.embeddings.to_vec();
        for token in all.chunks_exact_mut(self.width) {
            // The squares of what is very large or small would be none.
            let largest = token.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            if largest > 0.0 {
                token.iter_mut().for_each(|value| *value /= largest);
                let length = dot(token, token).sqrt();
                token.iter_mut().for_each(|value| *value /= length);
            }
        }
        all
    }
}

/// In eight sums, so that it is done in parallel.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let mut sums = [0_f32; 8];
    let (left_chunks, right_chunks) = (left.chunks_exact(8), right.chunks_exact(8));
    let rest: f32 = left_chunks.remainder().iter().zip(right_chunks.remainder()).map(|(l, r)| l * r).sum();
    for (left, right) in left_chunks.zip(right_chunks) {
        sums.iter_mut().zip(left).zip(right).for_each(|((sum, left), right)| *sum += left * right);
    }
    rest + sums.iter().sum::<f32>()
}

fn weighted(best: &[f32], weights: &[f32]) -> Result<f64> {
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    if total <= 0.0 {
        return Err(Error::metric(NAME, "all tokens of a text weigh nothing: with idf it takes several references"));
    }
    let counted = best.iter().zip(weights).filter(|(_, weight)| **weight != 0.0);
    let sum: f64 = counted.map(|(&best, &weight)| f64::from(best) * f64::from(weight)).sum();
    Ok(sum / total)
}

/// How rare tokens are among the references: `ln((texts + 1) / (texts with it + 1))`.
#[derive(Debug, Clone, Default)]
pub struct Idf {
    texts: u64,
    with: HashMap<u32, u64>,
}

impl Idf {
    /// Of the tokens of all references, marks among them, which thereby weigh nothing.
    pub fn new<'a>(references: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut idf = Self::default();
        for tokens in references {
            idf.texts += 1;
            let distinct: HashSet<u32> = tokens.iter().copied().collect();
            distinct.into_iter().for_each(|token| *idf.with.entry(token).or_default() += 1);
        }
        idf
    }

    /// The weight of each token of a text.
    pub fn weights(&self, tokens: &[u32]) -> Vec<f32> {
        let weight = |token| (self.texts + 1) as f64 / (self.with.get(token).copied().unwrap_or_default() + 1) as f64;
        tokens.iter().map(|token| weight(token).ln() as f32).collect()
    }
}

/// The weights without idf: 1 for each token but the first and the last, which mark beginning and end, and those that are the same as
/// one of these, as where a text has the letters of a mark in it.
pub fn even_weights(tokens: &[u32]) -> Vec<f32> {
    let marks = [tokens.first(), tokens.last()];
    tokens.iter().map(|token| f32::from(u8::from(!marks.contains(&Some(token))))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::metric::reference::{self, close};

    fn numbers(value: &Value) -> Vec<f32> {
        serde_json::from_value(value.clone()).unwrap()
    }

    /// `greedy_cos_idf` of bert-score on embeddings that the script made.
    #[test]
    fn greedy_matching_agrees_with_bert_score() {
        let cases = reference::section("bert_score");
        let cases = cases.as_array().unwrap();
        assert!(cases.len() >= 10);
        for case in cases {
            let [answer, reference] =
                ["answer", "reference"].map(|side| (numbers(&case[side]), &case[format!("{side}_idf")]));
            let width = case["width"].as_u64().unwrap() as usize;
            let [said_weights, right_weights] = [&answer, &reference].map(|side| numbers(side.1));
            let said = Embedded { embeddings: &answer.0, width, weights: &said_weights };
            let right = Embedded { embeddings: &reference.0, width, weights: &right_weights };
            let found = BertScore::new(said, right).unwrap();
            let baseline = BertScore { precision: 0.3, recall: 0.2, f1: 0.25 };
            for (found, name) in [(found, "score"), (found.rescaled(baseline), "rescaled")] {
                close(found.precision, &case[name][0], 1e-4, "precision");
                close(found.recall, &case[name][1], 1e-4, "recall");
                close(found.f1, &case[name][2], 1e-4, "f1");
            }
        }
    }

    #[test]
    fn weights_agree_with_bert_score() {
        let section = reference::section("bert_score_idf");
        let texts: Vec<Vec<u32>> = serde_json::from_value(section["texts"].clone()).unwrap();
        let idf = Idf::new(texts.iter().map(Vec::as_slice));
        for (token, expected) in section["idf"].as_object().unwrap() {
            close(f64::from(idf.weights(&[token.parse().unwrap()])[0]), expected, 1e-6, token);
        }
        assert_eq!(even_weights(&[101, 7, 102, 8, 102]), [0.0, 1.0, 0.0, 1.0, 0.0]);
        assert!(even_weights(&[]).is_empty());
    }

    /// Of three tokens the middle one counts: with (3, 4) against (0, 1) it has a cosine of 4/5, without a length it has 0.
    #[test]
    fn no_length_is_no_similarity() {
        let of = |middle: [f32; 2]| {
            let text = [0.0, 0.0, middle[0], middle[1], 0.0, 0.0];
            let said = Embedded { embeddings: &text, width: 2, weights: &[0.0, 1.0, 0.0] };
            BertScore::new(said, Embedded { embeddings: &[0.0, 0.0, 0.0, 1.0, 0.0, 0.0], ..said })
                .map(|found| found.precision)
        };
        for (middle, expected) in [([3.0, 4.0], 0.8), ([0.0, 0.0], 0.0), ([3e30, 4e30], 0.8), ([3e-30, 4e-30], 0.8)] {
            assert!((of(middle).unwrap() - expected).abs() < 1e-6, "{middle:?}");
        }
        assert!(of([f32::NAN, 1.0]).is_err() && of([f32::INFINITY, 1.0]).is_err());
    }

    #[test]
    fn several_references_and_none() {
        let of = |precision, recall, f1| BertScore { precision, recall, f1 };
        assert_eq!(BertScore::best(&[of(0.1, 0.9, 0.2), of(0.5, 0.4, 0.45)]), of(0.5, 0.9, 0.45));
        assert_eq!(BertScore::best(&[]), BertScore::default());
        let nothing = Embedded { embeddings: &[1.0, 0.0, 0.0, 1.0], width: 2, weights: &[0.0, 0.0] };
        assert_eq!(BertScore::new(nothing, nothing).unwrap(), BertScore::default());
        assert!(BertScore::new(Embedded { width: 3, ..nothing }, nothing).is_err());
    }
}
