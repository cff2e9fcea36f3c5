//! Classes that were told, over all items.

use qd_eval::metric::classification::{self, Average, Confusion};
use qd_eval::{Interval, corpus};
use serde::Serialize;

use super::{Results, SEED};
use crate::scorer::{ClassAverage, ClassMeasure, Classification, Look, Reader};

/// Classes that are told one by one at most.
const MOST_TOLD: usize = 50;
/// Resamples of intervals, and how few there may be of many items.
const RESAMPLES: usize = 1_000;
const LEAST_RESAMPLES: usize = 200;
/// Decisions that are counted anew for all intervals of a report: some seconds of work.
const MOST_COUNTED: usize = 100_000_000;
/// Bins of calibration, as scikit-learn's `calibration_curve` would be given.
const BINS: usize = 10;

/// How well classes were told.
#[derive(Debug, Clone, Serialize)]
pub struct Classes {
    /// The measure that was asked for.
    #[serde(skip)]
    pub value: Option<f64>,
    /// Its interval, of items drawn with replacement.
    #[serde(skip)]
    pub interval: Option<Interval>,
    /// The share of decisions that are right.
    pub accuracy: f64,
    /// All decisions counted together: precision, recall and F1.
    pub micro: [f64; 3],
    /// Each class counted the same.
    #[serde(rename = "macro")]
    pub by_class: [f64; 3],
    /// Each class counted as often as it is there.
    pub weighted: [f64; 3],
    /// Each class, the first 50.
    pub classes: Vec<OneClass>,
    /// Of probabilities: the area under the ROC curve.
    pub roc_auc: Option<f64>,
    /// Of probabilities: average precision.
    pub average_precision: Option<f64>,
    /// Of probabilities: the mean squared difference to what is true. Less is better.
    pub brier: Option<f64>,
    /// Of probabilities: how far they are from how often they come true, in ten bins. Less is better.
    pub calibration_error: Option<f64>,
    /// Items with a probability.
    pub probabilities: usize,
}

/// One class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OneClass {
    /// Its name.
    pub class: String,
    /// The share of what was told that is right.
    pub precision: f64,
    /// The share of what is there that was told.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// How many there are.
    pub support: u64,
    /// What was told where it is right: each class with how often.
    pub told: Vec<(String, u64)>,
}

impl Results<'_> {
    /// The classes of a scorer that compares such; none of others.
    pub(super) fn classes(&self, target: &str, reader: &Reader) -> Option<Classes> {
        let Look::Classes(wanted, _) = &reader.look else { return None };
        let answers = self.order.iter().filter_map(|&item| self.answer(target, item));
        let answers: Vec<_> = answers.filter_map(|answer| Some((answer, answer.details.get(reader.name())?))).collect();
        // A failed call that counts as 0 told no class.
        let decisions: Vec<(&str, Option<&str>)> = answers
            .iter()
            .filter(|(answer, detail)| detail.told.is_some() || self.counts_as_zero(answer, reader))
            .filter_map(|(_, detail)| Some((detail.truth.as_deref()?, detail.told.as_deref())))
            .collect();
        let positive = wanted.positive.as_deref().map(|positive| wanted.class(positive));
        let told: (Vec<bool>, Vec<f64>) = answers
            .iter()
            .filter_map(|(_, detail)| {
                Some((detail.truth.as_ref() == positive.as_ref(), detail.truth.as_ref().and(detail.probability)?))
            })
            .unzip();
        let confusion = counted(decisions.iter().copied())?;
        let resampled = |drawn: &[usize]| {
            counted(drawn.iter().map(|&place| decisions[place])).map_or(0.0, |counts| measured(&counts, wanted))
        };
        let (truth, probabilities) = (&told.0, &told.1);
        let resamples = self.share_of(MOST_COUNTED) / decisions.len().max(1);
        let resamples = resamples.clamp(LEAST_RESAMPLES, RESAMPLES);
        Some(Classes {
            value: (!decisions.is_empty()).then(|| measured(&confusion, wanted)),
            interval: corpus::resampled(decisions.len(), resamples, SEED, resampled),
            accuracy: confusion.accuracy(),
            micro: averaged(&confusion, Average::Micro),
            by_class: averaged(&confusion, Average::Macro),
            weighted: averaged(&confusion, Average::Weighted),
            classes: each(&confusion),
            roc_auc: classification::roc_auc(truth, probabilities).ok(),
            average_precision: classification::average_precision(truth, probabilities).ok(),
            brier: classification::brier(truth, probabilities).ok(),
            calibration_error: classification::expected_calibration_error(truth, probabilities, BINS).ok(),
            probabilities: probabilities.len(),
        })
    }
}

fn counted<'a>(decisions: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Option<Confusion> {
    let mut confusion = Confusion::default();
    for (truth, told) in decisions {
        match told {
            Some(told) => confusion.add(truth, told).ok()?,
            None => confusion.add_untold(truth).ok()?,
        }
    }
    Some(confusion)
}

/// The measure that was asked for.
fn measured(confusion: &Confusion, wanted: &Classification) -> f64 {
    let score = match wanted.average {
        ClassAverage::Macro => confusion.average(Average::Macro),
        ClassAverage::Micro => confusion.average(Average::Micro),
        ClassAverage::Weighted => confusion.average(Average::Weighted),
        ClassAverage::Positive => confusion.class(&wanted.class(wanted.positive.as_deref().unwrap_or_default())),
    };
    match wanted.measure {
        ClassMeasure::F1 => score.f1,
        ClassMeasure::Precision => score.precision,
        ClassMeasure::Recall => score.recall,
        ClassMeasure::Accuracy => confusion.accuracy(),
    }
}

fn averaged(confusion: &Confusion, average: Average) -> [f64; 3] {
    let score = confusion.average(average);
    [score.precision, score.recall, score.f1]
}

fn each(confusion: &Confusion) -> Vec<OneClass> {
    let names = confusion.classes();
    let one = |class: &&str| {
        let score = confusion.class(class);
        let told = names.iter().map(|told| ((*told).to_owned(), confusion.count(class, told)));
        OneClass {
            class: (*class).to_owned(),
            precision: score.precision,
            recall: score.recall,
            f1: score.f1,
            support: score.support,
            told: told.filter(|(_, count)| *count > 0).take(MOST_TOLD).collect(),
        }
    };
    names.iter().take(MOST_TOLD).map(one).collect()
}
