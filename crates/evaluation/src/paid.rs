//! What models are asked about an answer: judges, and embeddings of texts and of tokens.

use std::collections::BTreeMap;
use std::sync::Arc;

use qd_base::{Picodollars, Sha256Hex};
use qd_experiment::call::Outcome;
use qd_experiment::plan::Item;
use qd_experiment::shown::USUAL_MODEL;
use qd_gateway::batch::{self, Failure, Spent};
use qd_gateway::{CallContext, Endpoint, Gateway, Pinned};
use qd_judge::Outcome as Verdict;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::bertscore::{self, MOST_REFERENCES, TokenSimilarity, Weights};
use crate::plan::Bench;
use crate::scorer::EmbeddingSimilarity;
use crate::table::{Detail, Known, Place};

/// The least of what a refusal of a judge's model is called, so that those for the same reason are counted together.
const REFUSED: &str = "a judge was refused";

/// What is asked about one answer.
pub(crate) enum Question {
    Judge(Arc<Bench>, Map<String, Value>),
    Embeddings { model: String, target: Pinned, answer: String, references: Vec<String> },
    Tokens { how: TokenSimilarity, target: Pinned, weights: Arc<Weights>, answer: String, references: Vec<String> },
}

/// One answer that a scorer asks models about.
pub(crate) struct PaidAsk {
    pub target: String,
    pub scorer: String,
    pub item: Arc<Item>,
    pub key: Sha256Hex,
    pub question: Question,
}

impl PaidAsk {
    /// Which row comes of it.
    pub fn place(&self) -> Place {
        (self.target.clone(), self.item.row.index, Some(self.scorer.clone()))
    }
}

impl Question {
    /// What a judge is asked.
    pub fn judge(bench: &Arc<Bench>, item: &Item, answer: &str) -> Self {
        Self::Judge(Arc::clone(bench), bench.values(&item.row, answer))
    }

    /// Which embeddings are compared.
    pub fn embeddings(similarity: &EmbeddingSimilarity, target: Pinned, item: &Item, answer: &str) -> Self {
        let (answer, references) = (answer.to_owned(), item.references.clone());
        Self::Embeddings { model: embedder(&similarity.model).to_owned(), target, answer, references }
    }

    /// Which tokens are compared.
    pub fn tokens(how: &TokenSimilarity, target: Pinned, weights: Arc<Weights>, item: &Item, answer: &str) -> Self {
        let (answer, references) = (answer.to_owned(), item.references.clone());
        Self::Tokens { how: how.clone(), target, weights, answer, references }
    }

    /// The same for the same question to the same model.
    pub fn key(&self) -> Sha256Hex {
        let told = match self {
            // Places of a map are sorted, so that the order of a judge's inputs makes no other question.
            Self::Judge(bench, values) => {
                json!(["judge", bench.stored.info.id, values.iter().collect::<BTreeMap<_, _>>()])
            }
            Self::Embeddings { target, answer, references, .. } => json!(["embeddings", target, answer, references]),
            Self::Tokens { how, target, weights, answer, references } => {
                let how = TokenSimilarity { name: None, model: None, ..how.clone() };
                json!(["tokens", target, how, weights.digest(), answer, references])
            }
        };
        Sha256Hex::of(told.to_string().as_bytes())
    }

    /// Who is asked.
    pub fn model(&self) -> String {
        match self {
            Self::Judge(bench, _) => bench.stored.reference(),
            Self::Embeddings { model, .. } => model.clone(),
            Self::Tokens { how, .. } => embedder(&how.model).to_owned(),
        }
    }

    /// What that stands for.
    pub fn asked(&self) -> String {
        match self {
            Self::Judge(bench, _) => {
                bench.stored.models.values().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            Self::Embeddings { target, .. } | Self::Tokens { target, .. } => target.to_string(),
        }
    }

    /// Asks. What goes wrong is part of the outcome.
    pub async fn ask(&self, gateway: &Gateway, context: CallContext, token: &CancellationToken) -> Told {
        match self {
            Self::Judge(bench, values) => {
                let mut of_judge = bench.stored.calls(context.project_name.clone());
                of_judge.tags.extend(context.tags);
                judged(bench, gateway, &of_judge, values, token).await
            }
            Self::Embeddings { model, target, answer, references } => {
                let context = CallContext { pinned: Some(target.clone()), ..context };
                embedded(gateway, context, model, answer, references).await
            }
            Self::Tokens { how, target, weights, answer, references } => {
                compared(gateway, (how, target, weights), answer, references).await
            }
        }
    }
}

/// What came of asking about one answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    pub outcome: Outcome,
    pub score: Option<f64>,
    pub detail: Detail,
    pub judgement: Option<Value>,
    /// What it took here.
    pub spent: Spent,
    /// Whether nobody was asked, since the judge cannot take the item.
    pub unasked: bool,
}

impl Told {
    /// What was told before of the same question, whatever the scorer was called then.
    pub fn known(known: Known) -> Self {
        Self {
            score: known.scores.into_values().next().flatten(),
            detail: known.details.into_values().next().unwrap_or_default(),
            judgement: known.judgement,
            outcome: known.outcome,
            ..Self::default()
        }
    }
}

/// The model of embeddings that is meant.
pub(crate) fn embedder(model: &Option<String>) -> &str {
    model.as_deref().unwrap_or(USUAL_MODEL)
}

async fn judged(
    bench: &Bench,
    gateway: &Gateway,
    context: &CallContext,
    values: &Map<String, Value>,
    token: &CancellationToken,
) -> Told {
    let judged = match bench.stored.ask(gateway, context, values, token).await {
        Ok(judged) => judged,
        // The judge cannot take the item: nobody was asked, and asking again would change nothing.
        Err(error) => {
            let judgement = json!({"outcome": "failed", "why": error.to_string()});
            let detail = Detail::none("not_judged");
            return Told { detail, judgement: Some(judgement), unasked: true, ..Told::default() };
        }
    };
    let paid = Outcome {
        output: judged.judgement.reasons.clone(),
        cost: judged.cost,
        usage: Some(judged.judgement.usage).filter(|_| judged.judgement.calls > 0),
        latency_ms: Some(judged.latency_ms),
        trace: judged.trace,
        ..Outcome::default()
    };
    let spent = Spent::together(judged.unpriced.into(), paid.cost, paid.usage);
    if let Some(why) = &judged.unreached {
        // What was paid on the way counts, though the item is judged anew.
        return Told { outcome: Outcome::unreached(why), spent, ..Told::default() };
    }
    let judgement = serde_json::to_value(&judged.judgement).ok();
    let (score, why, outcome) = match &judged.judgement.outcome {
        Verdict::Score { value: Some(value), .. } => (Some(*value), None, paid),
        Verdict::Score { value: None, .. } => (None, Some("no_number"), paid),
        Verdict::CannotTell { .. } => (None, Some("cannot_tell"), paid),
        Verdict::Invalid { .. } => (None, Some("invalid"), paid),
        Verdict::Failed { why } => {
            let refused = Outcome::refused(REFUSED, why);
            (None, Some("failed"), Outcome { refusal: refused.refusal, error: refused.error, ..paid })
        }
    };
    let detail = Detail {
        unpriced: Some(judged.unpriced).filter(|&calls| calls > 0),
        ..why.map(Detail::none).unwrap_or_default()
    };
    Told { outcome, score, detail, judgement, spent, unasked: false }
}

async fn embedded(gateway: &Gateway, context: CallContext, model: &str, answer: &str, references: &[String]) -> Told {
    let begun = std::time::Instant::now();
    let texts: Vec<&str> = std::iter::once(answer).chain(references.iter().map(String::as_str)).collect();
    match gateway.embed(context, model, &texts).await {
        Ok(made) => {
            let outcome = Outcome {
                cost: made.embeddings.usage.and_then(|usage| gateway.price(&made.served, usage)),
                usage: made.embeddings.usage,
                latency_ms: Some(begun.elapsed().as_secs_f64() * 1e3),
                trace: Some(made.served.trace),
                span: Some(made.served.span),
                ..Outcome::default()
            };
            let near = made.embeddings.vectors.split_first().and_then(|(answer, references)| {
                references.iter().filter_map(|reference| cosine(answer, reference)).reduce(f64::max)
            });
            let detail = if near.is_none() { Detail::none("not_comparable") } else { Detail::default() };
            let spent = Spent::together(u64::from(outcome.cost.is_none()), outcome.cost, outcome.usage);
            Told { outcome, score: near.map(|near| near.max(0.0)), detail, spent, ..Told::default() }
        }
        Err(error) => match batch::failure(&error, Endpoint::Embeddings) {
            Failure::Refused { kind, why } => {
                Told { outcome: Outcome::refused(kind, why), detail: Detail::none("failed"), ..Told::default() }
            }
            Failure::Unreached { why } => Told { outcome: Outcome::unreached(why), ..Told::default() },
        },
    }
}

async fn compared(
    gateway: &Gateway,
    how: (&TokenSimilarity, &Pinned, &Arc<Weights>),
    answer: &str,
    references: &[String],
) -> Told {
    if references.len() > MOST_REFERENCES {
        return Told { detail: Detail::none("too_many_references"), unasked: true, ..Told::default() };
    }
    let begun = std::time::Instant::now();
    let score = match bertscore::measure(gateway, how, answer, references).await {
        Ok(score) => score,
        Err(why) => return Told { outcome: Outcome::unreached(why), ..Told::default() },
    };
    // It is computed here, and costs nothing.
    let outcome = Outcome {
        cost: Some(Picodollars::default()),
        latency_ms: Some(begun.elapsed().as_secs_f64() * 1e3),
        ..Outcome::default()
    };
    let detail = if score.is_none() { Detail::none("not_comparable") } else { Detail::default() };
    Told { outcome, score, detail, ..Told::default() }
}

/// The cosine of the angle between two vectors; none for a vector of noughts or two of different lengths.
fn cosine(a: &[f32], b: &[f32]) -> Option<f64> {
    let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let length = product(a, a).sqrt() * product(b, b).sqrt();
    (a.len() == b.len() && length > 0.0).then(|| product(a, b) / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_word_has_its_reason_under_any_name() {
        let known = Known {
            outcome: Outcome::default(),
            scores: BTreeMap::from([("old".to_owned(), None)]),
            details: BTreeMap::from([("old".to_owned(), Detail::none("cannot_tell"))]),
            judgement: None,
        };
        let told = Told::known(known);
        assert_eq!((told.score, told.detail.why.as_deref()), (None, Some("cannot_tell")));
    }

    #[test]
    fn cosines_by_hand() {
        let near = |a: &[f32], b: &[f32]| cosine(a, b).map(|cosine| (cosine * 1e6).round() / 1e6);
        assert_eq!(near(&[1.0, 0.0], &[3.0, 4.0]), Some(0.6));
        assert_eq!(near(&[1.0, 2.0], &[2.0, 4.0]), Some(1.0));
        assert_eq!(near(&[0.0, 0.0], &[1.0, 0.0]), None);
        assert_eq!(near(&[1.0], &[1.0, 0.0]), None);
    }
}
