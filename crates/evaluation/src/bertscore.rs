//! How near the tokens of an answer are to those of its references: BERTScore, with an encoder in this process.

use std::sync::Arc;

use qd_base::Sha256Hex;
use qd_eval::metric::BertScore;
use qd_eval::metric::bert_score::{Embedded, Idf, even_weights};
use qd_gateway::{Encoded, Gateway, Pinned};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// References whose vectors of tokens are asked for at once.
const TEXTS_TOGETHER: usize = 8;
/// References of one answer at most, as for other metrics.
pub(crate) const MOST_REFERENCES: usize = 64;
/// References that are only read as tokens at once.
const READ_TOGETHER: usize = 1_024;
/// References of all items together that idf counts at most.
const MOST_COUNTED: usize = 100_000;

/// How near tokens are, as it is written in a definition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSimilarity {
    /// What the score is called; `bertscore` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The encoder, which is installed here; the embedded one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The layer whose vectors are compared, counted from 1; the last one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// Whether tokens count the more, the fewer references have them.
    #[serde(default)]
    pub idf: bool,
    /// What unrelated texts have with this encoder and layer: that is 0 on the scale of the score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<BertScore>,
    /// Which number is the score.
    #[serde(default)]
    pub measure: TokenMeasure,
}

/// Which number of BERTScore is the score.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenMeasure {
    /// The harmonic mean of precision and recall.
    #[default]
    F1,
    /// How near the answer's tokens are to some of the reference.
    Precision,
    /// How near the reference's tokens are to some of the answer.
    Recall,
}

/// How much tokens count.
#[derive(Debug, Clone, Default)]
pub struct Weights {
    idf: Option<(Idf, Sha256Hex)>,
}

impl TokenSimilarity {
    /// What the score is called.
    pub(crate) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| "bertscore".to_owned())
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// [`Error::Definition`] for a baseline that is none.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(BertScore { precision, recall, f1 }) = self.baseline else { return Ok(()) };
        match [precision, recall, f1].into_iter().all(|number| (-1.0..1.0).contains(&number)) {
            true => Ok(()),
            false => {
                let why =
                    format!("{}: a baseline has `precision`, `recall` and `f1`, each from -1 to below 1", self.name());
                Err(Error::definition("scorers.baseline", why))
            }
        }
    }

    /// The measure of an answer that is asked for, of the reference that has most of it; none where none can be compared, as where all tokens
    /// of a text weigh nothing.
    pub fn score(&self, answer: &Encoded, references: &[Encoded], weights: &Weights) -> Option<f64> {
        let compared: Vec<BertScore> = references
            .iter()
            .filter_map(|reference| compare(answer, reference, weights))
            .map(|score| self.baseline.map_or(score, |baseline| score.rescaled(baseline)))
            .collect();
        let best = BertScore::best(&compared);
        (!compared.is_empty()).then_some(match self.measure {
            TokenMeasure::F1 => best.f1,
            TokenMeasure::Precision => best.precision,
            TokenMeasure::Recall => best.recall,
        })
    }
}

impl Weights {
    /// All tokens but the marks of beginning and end count the same.
    pub fn even() -> Self {
        Self::default()
    }

    /// Tokens count the more, the fewer references have them.
    pub fn rare<'a>(references: impl IntoIterator<Item = &'a [u32]> + Clone) -> Self {
        let text: Vec<u8> = references
            .clone()
            .into_iter()
            .flat_map(|tokens| [&[tokens.len() as u32][..], tokens].concat())
            .flat_map(u32::to_le_bytes)
            .collect();
        Self { idf: Some((Idf::new(references), Sha256Hex::of(&text))) }
    }

    /// The same for the same weights.
    pub(crate) fn digest(&self) -> Option<Sha256Hex> {
        self.idf.as_ref().map(|(_, digest)| *digest)
    }

    fn of(&self, tokens: &[u32]) -> Vec<f32> {
        self.idf.as_ref().map_or_else(|| even_weights(tokens), |(idf, _)| idf.weights(tokens))
    }

    /// The weights of a scorer over the references of all items.
    ///
    /// # Errors
    /// Why the references could not be read, for a person.
    pub(crate) async fn new(
        gateway: &Gateway,
        model: &Pinned,
        similarity: &TokenSimilarity,
        references: &[String],
    ) -> std::result::Result<Self, String> {
        if !similarity.idf {
            return Ok(Self::even());
        }
        if references.len() > MOST_COUNTED {
            return Err(format!("idf counts {MOST_COUNTED} references at most, the items have {}", references.len()));
        }
        let mut tokens = Vec::with_capacity(references.len());
        for texts in references.chunks(READ_TOGETHER) {
            let read = gateway.encoder_tokens(model, texts.to_vec()).await;
            tokens.extend(read.map_err(|error| qd_gateway::batch::told(&error))?);
        }
        Ok(Self::rare(tokens.iter().map(Vec::as_slice)))
    }
}

/// What a scorer says of an answer: a few references are encoded at a time, since vectors of tokens are large. None where nothing can be compared.
///
/// # Errors
/// Why the texts could not be encoded, for a person.
pub(crate) async fn measure(
    gateway: &Gateway,
    (how, model, weights): (&TokenSimilarity, &Pinned, &Arc<Weights>),
    answer: &str,
    references: &[String],
) -> std::result::Result<Option<f64>, String> {
    let answer: Arc<Vec<Encoded>> = Arc::new(encode(gateway, (model, how.layer), &[answer.to_owned()]).await?);
    let mut best: Option<f64> = None;
    for references in references.chunks(TEXTS_TOGETHER) {
        let references = encode(gateway, (model, how.layer), references).await?;
        let (how, weights, answer) = (how.clone(), Arc::clone(weights), Arc::clone(&answer));
        // Two long texts have a quarter of a million pairs of tokens.
        let work = move || answer.first().and_then(|answer| how.score(answer, &references, &weights));
        let found = tokio::task::spawn_blocking(work).await.map_err(|_| "comparing tokens broke down".to_owned())?;
        best = best.into_iter().chain(found).reduce(f64::max);
    }
    Ok(best)
}

async fn encode(
    gateway: &Gateway,
    (model, layer): (&Pinned, Option<usize>),
    texts: &[String],
) -> std::result::Result<Vec<Encoded>, String> {
    gateway.encode(model, texts.to_vec(), layer).await.map_err(|error| qd_gateway::batch::told(&error))
}

fn compare(answer: &Encoded, reference: &Encoded, weights: &Weights) -> Option<BertScore> {
    let (said, right) = (weights.of(&answer.ids), weights.of(&reference.ids));
    let width = answer.vectors.len() / answer.ids.len().max(1);
    BertScore::new(
        Embedded { embeddings: &answer.vectors, width, weights: &said },
        Embedded { embeddings: &reference.vectors, width, weights: &right },
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn similarity(told: serde_json::Value) -> TokenSimilarity {
        serde_json::from_value(told).unwrap()
    }

    /// Marks 1 and 2 around one word, whose vector has a cosine of 0.6 with the one of the first reference and of 0.8 with that of the second.
    #[test]
    fn the_best_reference_counts_on_the_scale_of_the_baseline() {
        let text =
            |word: u32, x: f32, y: f32| Encoded { ids: vec![1, word, 2], vectors: vec![0.0, 0.0, x, y, 0.0, 0.0] };
        let (answer, references) = (text(5, 1.0, 0.0), [text(6, 3.0, 4.0), text(7, 4.0, 3.0)]);
        let score = |told, weights: &Weights| similarity(told).score(&answer, &references, weights);
        let near = |found: Option<f64>, expected: f64| assert!((found.unwrap() - expected).abs() < 1e-6, "{found:?}");
        near(score(json!({}), &Weights::even()), 0.8);
        let baseline = json!({"precision": 0.6, "recall": 0.5, "f1": 0.3});
        near(score(json!({"baseline": baseline, "measure": "precision"}), &Weights::even()), 0.5);
        near(score(json!({"baseline": baseline, "measure": "recall"}), &Weights::even()), 0.6);
        let idf = Weights::rare([&[1, 6, 2][..], &[1, 7, 2]]);
        near(score(json!({"idf": true}), &idf), 0.8);
        let alone = Weights::rare([&[1, 6, 2][..]]);
        assert_eq!(similarity(json!({})).score(&answer, &references[..1], &alone), None, "6 is in every reference");
        assert_ne!(idf.digest(), alone.digest());
    }

    #[test]
    fn what_is_no_baseline_is_refused() {
        let check = |f1: f64| similarity(json!({"baseline": {"precision": 0.1, "recall": 0.2, "f1": f1}})).check();
        assert!(check(0.9).is_ok());
        assert!(check(1.0).unwrap_err().to_string().contains("below 1"));
        assert!(serde_json::from_value::<TokenSimilarity>(json!({"baseline": {"f1": 0.1}})).is_err());
        assert!(serde_json::from_value::<TokenSimilarity>(json!({"measure": "accuracy"})).is_err());
    }
}
