//! How well classes and probabilities are told, as scikit-learn 1.9 computes it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How often each class was told for each true one. Can be added up.
///
/// A share of nothing is 0, as with scikit-learn's `zero_division=0`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// By the true class and the one that was told.
    counts: BTreeMap<String, BTreeMap<String, u64>>,
    /// Where none was told, by the true class.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    untold: BTreeMap<String, u64>,
}

/// Classes at most.
pub const MOST_CLASSES: usize = 10_000;

/// How well one class, or all of them, are found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// The share of what was told that is right.
    pub precision: f64,
    /// The share of what is there that was told.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// How many there are.
    pub support: u64,
}

/// How the scores of classes become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// All decisions are counted together.
    Micro,
    /// Each class counts the same.
    Macro,
    /// Each class counts as often as it is there.
    Weighted,
}

const NAME: &str = "classification";

impl Confusion {
    /// Counts one decision.
    ///
    /// # Errors
    /// [`Error::Metric`] when there are over [`MOST_CLASSES`].
    pub fn add(&mut self, truth: &str, told: &str) -> Result<()> {
        if self.counts.len() >= MOST_CLASSES && !self.counts.contains_key(truth) {
            return Err(Error::metric(NAME, format!("there are over {MOST_CLASSES} classes")));
        }
        let row = self.counts.entry(truth.to_owned()).or_default();
        if row.len() >= MOST_CLASSES && !row.contains_key(told) {
            return Err(Error::metric(NAME, format!("there are over {MOST_CLASSES} classes")));
        }
        *row.entry(told.to_owned()).or_default() += 1;
        Ok(())
    }

    /// Counts an item of which no class was told: it is there, and not found.
    ///
    /// # Errors
    /// As [`Confusion::add`].
    pub fn add_untold(&mut self, truth: &str) -> Result<()> {
        if self.untold.len() >= MOST_CLASSES && !self.untold.contains_key(truth) {
            return Err(Error::metric(NAME, format!("there are over {MOST_CLASSES} classes")));
        }
        *self.untold.entry(truth.to_owned()).or_default() += 1;
        Ok(())
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (truth, row) in &other.counts {
            let sums = self.counts.entry(truth.clone()).or_default();
            row.iter().for_each(|(told, count)| *sums.entry(told.clone()).or_default() += count);
        }
        other.untold.iter().for_each(|(truth, count)| *self.untold.entry(truth.clone()).or_default() += count);
    }

    /// How often `told` was told where `truth` was right.
    pub fn count(&self, truth: &str, told: &str) -> u64 {
        self.counts.get(truth).and_then(|row| row.get(told)).copied().unwrap_or_default()
    }

    /// Decisions, those that told no class included.
    pub fn total(&self) -> u64 {
        self.decisions().map(|(_, _, count)| count).chain(self.untold.values().copied()).sum()
    }

    /// Classes that are there or were told, in order.
    pub fn classes(&self) -> Vec<&str> {
        let untold = self.untold.keys().map(String::as_str);
        let all: BTreeSet<&str> = self.decisions().flat_map(|(truth, told, _)| [truth, told]).chain(untold).collect();
        all.into_iter().collect()
    }

    /// The share of decisions that are right.
    pub fn accuracy(&self) -> f64 {
        share(self.decisions().filter(|(truth, told, _)| truth == told).map(|(_, _, count)| count).sum(), self.total())
    }

    /// How well one class is found: scikit-learn's `average="binary"` with it as the positive class.
    pub fn class(&self, class: &str) -> ClassScore {
        self.by_class().remove(class).map(Counts::score).unwrap_or_default()
    }

    /// All classes as one.
    pub fn average(&self, average: Average) -> ClassScore {
        let counts = self.by_class();
        let support = self.total();
        if average == Average::Micro {
            let sum = counts.values().fold(Counts::default(), |sum, one| Counts {
                right: sum.right + one.right,
                told: sum.told + one.told,
                there: sum.there + one.there,
            });
            return sum.score();
        }
        let weight = |score: &ClassScore| if average == Average::Weighted { score.support as f64 } else { 1.0 };
        let scores: Vec<ClassScore> = counts.into_values().map(Counts::score).collect();
        let weights: f64 = scores.iter().map(weight).sum();
        let mean = |of: fn(&ClassScore) -> f64| {
            let sum: f64 = scores.iter().map(|score| weight(score) * of(score)).sum();
            if weights > 0.0 { sum / weights } else { 0.0 }
        };
        ClassScore { precision: mean(|s| s.precision), recall: mean(|s| s.recall), f1: mean(|s| s.f1), support }
    }

    fn decisions(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        self.counts
            .iter()
            .flat_map(|(truth, row)| row.iter().map(move |(told, &count)| (truth.as_str(), told.as_str(), count)))
    }

    fn by_class(&self) -> BTreeMap<&str, Counts> {
        let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
        for (truth, told, count) in self.decisions() {
            counts.entry(truth).or_default().there += count;
            counts.entry(told).or_default().told += count;
            if truth == told {
                counts.entry(truth).or_default().right += count;
            }
        }
        self.untold.iter().for_each(|(truth, count)| counts.entry(truth).or_default().there += count);
        counts
    }
}

/// What is counted of one class.
#[derive(Default, Clone, Copy)]
struct Counts {
    right: u64,
    told: u64,
    there: u64,
}

impl Counts {
    fn score(self) -> ClassScore {
        ClassScore {
            precision: share(self.right, self.told),
            recall: share(self.right, self.there),
            f1: share(2 * self.right, self.told + self.there),
            support: self.there,
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The chance that what is true has a higher score than what is not, where equal scores count half: the area under the ROC
/// curve, `roc_auc_score`.
///
/// Hanley and McNeil, "The meaning and use of the area under a receiver operating characteristic curve" (Radiology 143, 1982).
///
/// # Errors
/// [`Error::Metric`] when the lengths differ, a score is no number, or there is nothing true or nothing false.
pub fn roc_auc(truth: &[bool], scores: &[f64]) -> Result<f64> {
    let groups = descending(truth, scores)?;
    let (positives, negatives) = totals(&groups);
    if positives == 0 || negatives == 0 {
        return Err(Error::metric("ROC AUC", "it needs something true and something false"));
    }
    // Counted in halves, which is exact.
    let (mut above, mut halves) = (0_u128, 0_u128);
    for group in groups {
        halves += u128::from(group.negatives) * (2 * above + u128::from(group.positives));
        above += u128::from(group.positives);
    }
    Ok(halves as f64 / 2.0 / (positives as f64 * negatives as f64))
}

/// The mean of precisions, each weighted by how much recall its threshold adds: `average_precision_score`, without the
/// optimism of interpolation. 0 when nothing is true.
///
/// # Errors
/// [`Error::Metric`] when the lengths differ, a score is no number, or there is nothing.
pub fn average_precision(truth: &[bool], scores: &[f64]) -> Result<f64> {
    let groups = descending(truth, scores)?;
    let (positives, _) = totals(&groups);
    let (mut right, mut told, mut sum) = (0, 0, 0.0);
    for group in groups {
        right += group.positives;
        told += group.positives + group.negatives;
        sum += share(group.positives, positives) * share(right, told);
    }
    Ok(sum)
}

/// Items of one score.
struct Group {
    positives: u64,
    negatives: u64,
}

fn totals(groups: &[Group]) -> (u64, u64) {
    groups
        .iter()
        .fold((0, 0), |(positives, negatives), group| (positives + group.positives, negatives + group.negatives))
}

/// Items by score, the highest first.
fn descending(truth: &[bool], scores: &[f64]) -> Result<Vec<Group>> {
    same_length(truth.len(), scores.len())?;
    if scores.iter().any(|score| score.is_nan()) {
        return Err(Error::metric(NAME, "a score is no number"));
    }
    let mut items: Vec<(f64, bool)> = scores.iter().copied().zip(truth.iter().copied()).collect();
    items.sort_unstable_by(|left, right| right.0.total_cmp(&left.0));
    let groups = items.chunk_by(|left, right| left.0 == right.0);
    Ok(groups
        .map(|group| {
            let positives = group.iter().filter(|item| item.1).count() as u64;
            Group { positives, negatives: group.len() as u64 - positives }
        })
        .collect())
}

fn same_length(truth: usize, told: usize) -> Result<()> {
    if truth == told && truth > 0 {
        return Ok(());
    }
    Err(Error::metric(NAME, format!("there are {truth} truths and {told} predictions")))
}

/// The mean squared difference of probabilities and what came true: `brier_score_loss`. Less is better.
///
/// Brier, "Verification of forecasts expressed in terms of probability" (Monthly Weather Review 78, 1950), in halves: for
/// two classes.
///
/// # Errors
/// [`Error::Metric`] when the lengths differ, there is nothing, or something is no probability.
pub fn brier(truth: &[bool], probabilities: &[f64]) -> Result<f64> {
    check_probabilities(truth.len(), probabilities)?;
    let square = |(&truth, &told): (&bool, &f64)| (told - f64::from(u8::from(truth))).powi(2);
    Ok(truth.iter().zip(probabilities).map(square).sum::<f64>() / truth.len() as f64)
}

/// The mean negative logarithm of the probability of what came true: `log_loss`. Less is better.
///
/// Probabilities are kept away from 0 and 1 by the precision of a double, as there.
///
/// # Errors
/// As [`brier`].
pub fn log_loss(truth: &[bool], probabilities: &[f64]) -> Result<f64> {
    check_probabilities(truth.len(), probabilities)?;
    let of = |(&truth, &told): (&bool, &f64)| kept_away(if truth { told } else { 1.0 - told }).ln();
    Ok(-truth.iter().zip(probabilities).map(of).sum::<f64>() / truth.len() as f64)
}

/// The same for several classes: each item's true class, and the probability of each class.
///
/// # Errors
/// As [`brier`], and when a class has no probability or an item's probabilities do not sum to 1.
pub fn log_loss_of_classes(truth: &[usize], probabilities: &[Vec<f64>]) -> Result<f64> {
    same_length(truth.len(), probabilities.len())?;
    let mut sum = 0.0;
    for (&class, probabilities) in truth.iter().zip(probabilities) {
        check_probabilities(probabilities.len(), probabilities)?;
        let total: f64 = probabilities.iter().sum();
        let told = probabilities.get(class).filter(|_| (total - 1.0).abs() < 1e-6);
        let told = told.ok_or_else(|| Error::metric(NAME, "an item's probabilities do not fit its classes"))?;
        sum -= kept_away(*told).ln();
    }
    Ok(sum / truth.len() as f64)
}

fn kept_away(probability: f64) -> f64 {
    probability.clamp(f64::EPSILON, 1.0 - f64::EPSILON)
}

fn check_probabilities(truths: usize, probabilities: &[f64]) -> Result<()> {
    same_length(truths, probabilities.len())?;
    if probabilities.iter().all(|probability| (0.0..=1.0).contains(probability)) {
        return Ok(());
    }
    Err(Error::metric(NAME, "something is no probability between 0 and 1"))
}

/// How far probabilities are from how often they come true: the items fall into `bins` of the same width by their
/// probability; the differences of mean probability and frequency, weighted by how many there are. 0 is calibrated.
///
/// For the confidence in a told class give whether it was right as `truth`. An edge belongs to the bin below it.
///
/// Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning" (AAAI 2015), and Guo et al., "On Calibration
/// of Modern Neural Networks" (ICML 2017), equation 3.
///
/// # Errors
/// As [`brier`], and when `bins` is not 1 to 1,000.
pub fn expected_calibration_error(truth: &[bool], probabilities: &[f64], bins: usize) -> Result<f64> {
    check_probabilities(truth.len(), probabilities)?;
    if !(1..=1_000).contains(&bins) {
        return Err(Error::metric("ECE", "it needs 1 to 1,000 bins"));
    }
    let mut differences = vec![0.0; bins];
    for (&truth, &told) in truth.iter().zip(probabilities) {
        let bin = (told * bins as f64).ceil().max(1.0) as usize - 1;
        differences[bin.min(bins - 1)] += told - f64::from(u8::from(truth));
    }
    Ok(differences.iter().map(|difference: &f64| difference.abs()).sum::<f64>() / truth.len() as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::metric::reference::{self, close};

    fn list<T: serde::de::DeserializeOwned>(value: &Value) -> Vec<T> {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[test]
    fn classes_agree_with_scikit_learn() {
        for case in reference::section("classes").as_array().unwrap() {
            let (truth, told): (Vec<String>, Vec<String>) = (list(&case["truth"]), list(&case["told"]));
            let (mut confusion, mut second) = (Confusion::default(), Confusion::default());
            for (place, (truth, told)) in truth.iter().zip(&told).enumerate() {
                let half = if place % 2 == 0 { &mut confusion } else { &mut second };
                half.add(truth, told).unwrap();
            }
            confusion.merge(&second);
            assert_eq!(confusion.total(), truth.len() as u64);
            close(confusion.accuracy(), &case["accuracy"], 1e-9, "accuracy");
            let averages = [Average::Micro, Average::Macro, Average::Weighted];
            let found = averages.iter().map(|&average| confusion.average(average));
            let names = ["micro", "macro", "weighted"].map(str::to_owned);
            let classes = confusion.classes().into_iter().map(|class| (class.to_owned(), confusion.class(class)));
            for (name, found) in names.into_iter().zip(found).chain(classes) {
                let expected = &case["scores"][&name];
                close(found.precision, &expected[0], 1e-9, &name);
                close(found.recall, &expected[1], 1e-9, &name);
                close(found.f1, &expected[2], 1e-9, &name);
            }
        }
    }

    /// Of ten a's five are told and of five others nothing: all that was told is right, and half of what is there was found.
    #[test]
    fn what_was_not_told_is_there_and_not_found() {
        let mut confusion = Confusion::default();
        (0..5).for_each(|_| confusion.add("a", "a").unwrap());
        (0..5).for_each(|_| confusion.add_untold("a").unwrap());
        confusion.add_untold("b").unwrap();
        assert_eq!((confusion.total(), confusion.classes()), (11, vec!["a", "b"]));
        assert!((confusion.accuracy() - 5.0 / 11.0).abs() < 1e-12);
        let of = confusion.class("a");
        assert_eq!((of.precision, of.recall, of.support), (1.0, 0.5, 10));
        assert!((of.f1 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(confusion.class("b"), ClassScore { support: 1, ..ClassScore::default() });
        assert!((confusion.average(Average::Macro).f1 - 1.0 / 3.0).abs() < 1e-12);
        let mut twice = confusion.clone();
        twice.merge(&confusion);
        assert_eq!((twice.total(), twice.class("a").support), (22, 20));
    }

    #[test]
    fn probabilities_agree_with_scikit_learn() {
        let section = reference::section("probabilities");
        for case in section["binary"].as_array().unwrap() {
            let (truth, told): (Vec<bool>, Vec<f64>) = (list(&case["truth"]), list(&case["told"]));
            close(roc_auc(&truth, &told).unwrap(), &case["roc_auc"], 1e-9, "roc_auc");
            close(average_precision(&truth, &told).unwrap(), &case["average_precision"], 1e-9, "average precision");
            close(brier(&truth, &told).unwrap(), &case["brier"], 1e-9, "brier");
            close(log_loss(&truth, &told).unwrap(), &case["log_loss"], 1e-9, "log loss");
            for (bins, expected) in case["ece"].as_object().unwrap() {
                let found = expected_calibration_error(&truth, &told, bins.parse().unwrap()).unwrap();
                close(found, expected, 1e-9, "ece");
            }
        }
        for case in section["classes"].as_array().unwrap() {
            let (truth, told): (Vec<usize>, Vec<Vec<f64>>) = (list(&case["truth"]), list(&case["told"]));
            close(log_loss_of_classes(&truth, &told).unwrap(), &case["log_loss"], 1e-9, "log loss");
        }
    }

    #[test]
    fn what_cannot_be_told_is_refused() {
        assert!(roc_auc(&[true, true], &[0.1, 0.2]).is_err() && roc_auc(&[true, false], &[0.1, f64::NAN]).is_err());
        assert!(
            roc_auc(&[true], &[0.1, 0.2]).is_err() && brier(&[true], &[1.5]).is_err() && log_loss(&[], &[]).is_err()
        );
        assert!(log_loss_of_classes(&[2], &[vec![0.5, 0.5]]).is_err());
        assert!(log_loss_of_classes(&[0], &[vec![0.5, 0.4]]).is_err());
        assert!(expected_calibration_error(&[true], &[0.5], 0).is_err());
        assert_eq!(Confusion::default().average(Average::Macro), ClassScore::default());
    }
}
