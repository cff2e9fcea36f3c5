//! What scorers say of one answer without asking anybody.

use std::collections::BTreeMap;
use std::sync::Arc;

use qd_data::{Row, text_of};
use qd_eval::text::Extract;
use qd_eval::{Answer, NoScore, Scorer};
use qd_experiment::call::Outcome;
use qd_experiment::plan::Item;
use serde_json::Value;

use crate::plan::Bench;
use crate::scorer::{Classification, Look, Reader};
use crate::table::Detail;

/// Scores by name, and what they are made of.
pub(crate) type Looked = (BTreeMap<String, Option<f64>>, BTreeMap<String, Detail>);

/// Looks at an answer with every scorer that asks nobody, and notes what people say of it.
pub(crate) fn look(
    readers: &[Reader],
    judges: &BTreeMap<String, Arc<Bench>>,
    (target, item): (&str, &Item),
    outcome: &Outcome,
) -> Looked {
    let (mut scores, mut details) = Looked::default();
    for reader in readers {
        let (score, detail) = match &reader.look {
            Look::Plain(scorer) => plain(scorer, item, outcome),
            Look::Classes(classes, extract) => told_class(classes, extract, &item.row, &item.references, outcome),
            Look::Judge(_) => {
                let human = judges.get(reader.name()).and_then(|bench| bench.human(&item.row, target));
                if human.is_some() {
                    details.insert(reader.name().to_owned(), Detail { human, ..Detail::default() });
                }
                continue;
            }
            Look::Embeddings(_) | Look::Tokens(_) => continue,
        };
        if detail != Detail::default() {
            details.insert(reader.name().to_owned(), detail);
        }
        scores.insert(reader.name().to_owned(), score);
    }
    (scores, details)
}

fn plain(scorer: &Scorer, item: &Item, outcome: &Outcome) -> (Option<f64>, Detail) {
    let answer = Answer {
        text: outcome.output.as_deref(),
        references: &item.references,
        // Of an answer from elsewhere it tells how busy the model was then.
        latency_ms: outcome.latency_ms.filter(|_| !outcome.cached),
        cost: outcome.cost,
        output_tokens: outcome.usage.map(|usage| usage.output_tokens),
    };
    let references = scorer.corpus().map(|_| item.references.len());
    match scorer.score(&answer) {
        Ok(score) => {
            let statistics = scorer.statistics(&answer).and_then(Result::ok).unwrap_or_default();
            (Some(score), Detail { statistics, references, ..Detail::default() })
        }
        Err(NoScore::NoAnswer) => {
            // Where a failure counts as an answer without words, this is what that is worth.
            let empty = Answer { text: Some(""), ..answer };
            let why = match scorer.score(&empty) {
                Err(why @ (NoScore::NoReference | NoScore::NoNumberInReference)) => why,
                _ => NoScore::NoAnswer,
            };
            let statistics = scorer.statistics(&empty).and_then(Result::ok).unwrap_or_default();
            (None, Detail { statistics, references, ..Detail::none(word(why)) })
        }
        Err(why) => (None, Detail::none(word(why))),
    }
}

/// A reason as it is counted.
fn word(why: NoScore) -> String {
    serde_json::to_value(why).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn told_class(
    classes: &Classification,
    extract: &Extract,
    row: &Row,
    references: &[String],
    outcome: &Outcome,
) -> (Option<f64>, Detail) {
    let labelled =
        classes.label.as_ref().map(|column| row.values.get(column).filter(|value| !value.is_null()).map(text_of));
    let truth = labelled.unwrap_or_else(|| references.first().cloned()).map(|truth| classes.class(&truth));
    let told = outcome.output.as_deref().map(|said| classes.class(extract.apply(said)));
    let probability = classes.probability.as_ref().and_then(|column| match row.values.get(column)? {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_f64(),
    });
    let why = match (&truth, &told) {
        (None, _) => Some("no_reference".to_owned()),
        (_, None) => Some("no_answer".to_owned()),
        _ => None,
    };
    let right = truth.as_ref().zip(told.as_ref()).map(|(truth, told)| f64::from(u8::from(truth == told)));
    (right, Detail { why, truth, told, probability, ..Detail::default() })
}
