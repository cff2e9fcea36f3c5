//! What several annotators say together, when some are better than others and some have a leaning.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Labels, classes and cells of posteriors or confusion matrices at most.
const MOST_LABELS: usize = 5_000_000;
const MOST_CLASSES: usize = 64;
const MOST_CELLS: usize = 20_000_000;

/// One annotator's label of an item. All three are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    /// The item.
    pub item: usize,
    /// Who said it.
    pub annotator: usize,
    /// What was said.
    pub class: usize,
}

/// How many there are of each, and how the fit ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// Items; those without labels get what is known without looking.
    pub items: usize,
    /// Annotators.
    pub annotators: usize,
    /// Classes.
    pub classes: usize,
    /// Labels that each annotator is taken to have given beforehand in each cell of its matrix, and classes to have had items: a
    /// Dirichlet prior, which keeps an annotator with three labels from being certain. 0 is Dawid and Skene's own.
    pub smoothing: f64,
    /// Steps at most.
    pub most_steps: usize,
    /// The fit has converged when no posterior moves by more.
    pub tolerance: f64,
}

impl Setting {
    /// With a hundredth of a label of smoothing, and at most 1,000 steps until nothing moves by a millionth.
    pub fn new(items: usize, annotators: usize, classes: usize) -> Self {
        Self { items, annotators, classes, smoothing: 0.01, most_steps: 1_000, tolerance: 1e-6 }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Consensus {
    /// Of each item the probability of each class.
    pub posteriors: Vec<Vec<f64>>,
    /// The share of each class.
    pub prior: Vec<f64>,
    /// Of each annotator, for each true class, the probability of each class that it says.
    pub confusion: Vec<Vec<Vec<f64>>>,
    /// Steps that were taken.
    pub steps: usize,
    /// Whether the fit ended by itself.
    pub converged: bool,
    /// The logarithm of the probability of all labels, without that of the smoothing.
    pub log_likelihood: f64,
}

/// Dawid and Skene's model by expectation maximisation: an item has one true class, and annotators say something of it each by itself,
/// with the probabilities of their own confusion matrix.
///
/// It starts from the shares of votes, so nothing is drawn at random, and a class keeps its name as long as most
/// annotators are right more often than not; when most are wrong together, so is the answer. Probabilities of
/// items are multiplied as sums of logarithms. Items in `known` (adjudicated ones) keep their class.
///
/// Dawid, Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied Statistics 28 (1979).
///
/// # Errors
/// [`Error::Data`] for a number that is not below its count, two labels of an item by one annotator, smoothing that is
/// negative, or more of anything than is allowed: five million labels, 64 classes, twenty million cells.
pub fn fit(labels: &[Label], known: &[(usize, usize)], setting: Setting) -> Result<Consensus> {
    checked(labels, known, &setting)?;
    let mut fit = Fit::new(labels, known, setting);
    let mut steps = 0;
    let mut moved = f64::INFINITY;
    fit.maximise();
    while steps < setting.most_steps && moved > setting.tolerance {
        moved = fit.expect();
        fit.maximise();
        steps += 1;
    }
    let log_likelihood = fit.log_likelihood;
    let rows = |cells: &[f64]| cells.chunks(setting.classes).map(<[f64]>::to_vec).collect::<Vec<_>>();
    Ok(Consensus {
        posteriors: rows(&fit.posteriors),
        confusion: fit.confusion.chunks(setting.classes * setting.classes).map(rows).collect(),
        prior: fit.prior,
        steps,
        converged: moved <= setting.tolerance,
        log_likelihood,
    })
}

fn checked(labels: &[Label], known: &[(usize, usize)], setting: &Setting) -> Result<()> {
    let refused = |why: &str| Err(Error::data("labels", why));
    let Setting { items, annotators, classes, smoothing, .. } = *setting;
    if labels.len() > MOST_LABELS || !(1..=MOST_CLASSES).contains(&classes) {
        return Err(Error::data("labels", format!("{MOST_LABELS} of 1 to {MOST_CLASSES} classes are the most")));
    }
    let cells = annotators.saturating_mul(classes * classes).max(items.saturating_mul(classes));
    if cells > MOST_CELLS {
        return Err(Error::data(
            "labels",
            format!("items and annotators with their classes make over {MOST_CELLS} cells"),
        ));
    }
    if !smoothing.is_finite() || smoothing < 0.0 {
        return refused("smoothing is a number from 0 on");
    }
    let there = |label: &Label| label.item < items && label.annotator < annotators && label.class < classes;
    if !labels.iter().all(there) || known.iter().any(|&(item, class)| item >= items || class >= classes) {
        return refused("an item, an annotator or a class is not among those there are");
    }
    let mut whose: Vec<(usize, usize)> = labels.iter().map(|label| (label.item, label.annotator)).collect();
    whose.sort_unstable();
    if whose.windows(2).any(|pair| pair[0] == pair[1]) {
        return refused("an annotator labelled an item twice");
    }
    Ok(())
}

/// The numbers that the two steps exchange, in rows one after the other.
struct Fit<'a> {
    labels: &'a [Label],
    setting: Setting,
    /// Of each item the class that is known.
    known: Vec<Option<usize>>,
    /// Whether an item has a label or is known.
    seen: Vec<bool>,
    posteriors: Vec<f64>,
    prior: Vec<f64>,
    confusion: Vec<f64>,
    log_likelihood: f64,
}

/// What stands for a probability of 0, so that its logarithm is finite.
const LEAST: f64 = 1e-10;

impl<'a> Fit<'a> {
    fn new(labels: &'a [Label], known: &[(usize, usize)], setting: Setting) -> Self {
        let Setting { items, annotators, classes, .. } = setting;
        let mut votes = vec![0.0; items * classes];
        labels.iter().for_each(|label| votes[label.item * classes + label.class] += 1.0);
        for row in votes.chunks_mut(classes) {
            let total: f64 = row.iter().sum();
            row.iter_mut().for_each(|vote| *vote = if total > 0.0 { *vote / total } else { 1.0 / classes as f64 });
        }
        let mut certain = vec![None; items];
        known.iter().for_each(|&(item, class)| certain[item] = Some(class));
        let mut seen: Vec<bool> = certain.iter().map(Option::is_some).collect();
        labels.iter().for_each(|label| seen[label.item] = true);
        let mut fit = Self {
            labels,
            setting,
            known: certain,
            seen,
            posteriors: votes,
            prior: vec![0.0; classes],
            confusion: vec![0.0; annotators * classes * classes],
            log_likelihood: f64::NEG_INFINITY,
        };
        fit.clamp();
        fit
    }

    fn clamp(&mut self) {
        let classes = self.setting.classes;
        for (row, known) in self.posteriors.chunks_mut(classes).zip(&self.known) {
            if let Some(class) = *known {
                row.fill(0.0);
                row[class] = 1.0;
            }
        }
    }

    /// The shares of classes and the confusion matrices that go best with the posteriors.
    fn maximise(&mut self) {
        let Setting { classes, smoothing, .. } = self.setting;
        self.prior.fill(smoothing);
        // What nobody has seen says nothing of shares: its posterior is the shares of the others.
        for (row, _) in self.posteriors.chunks(classes).zip(&self.seen).filter(|(_, seen)| **seen) {
            self.prior.iter_mut().zip(row).for_each(|(prior, p)| *prior += p);
        }
        normalise(&mut self.prior);
        self.confusion.fill(smoothing);
        for label in self.labels {
            let row = &self.posteriors[label.item * classes..][..classes];
            let matrix = &mut self.confusion[label.annotator * classes * classes..][..classes * classes];
            row.iter().enumerate().for_each(|(truth, p)| matrix[truth * classes + label.class] += p);
        }
        self.confusion.chunks_mut(classes).for_each(normalise);
    }

    /// The posteriors that follow; gives by how much any of them moved.
    fn expect(&mut self) -> f64 {
        let classes = self.setting.classes;
        let logs: Vec<f64> = self.confusion.iter().map(|p| p.max(LEAST).ln()).collect();
        let prior: Vec<f64> = self.prior.iter().map(|p| p.max(LEAST).ln()).collect();
        let mut next = prior.repeat(self.setting.items);
        for label in self.labels {
            let matrix = &logs[label.annotator * classes * classes..];
            let row = &mut next[label.item * classes..][..classes];
            row.iter_mut().enumerate().for_each(|(truth, p)| *p += matrix[truth * classes + label.class]);
        }
        self.log_likelihood = 0.0;
        for row in next.chunks_mut(classes) {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let total: f64 = row.iter().map(|p| (p - most).exp()).sum();
            self.log_likelihood += most + total.ln();
            row.iter_mut().for_each(|p| *p = (*p - most).exp() / total);
        }
        std::mem::swap(&mut self.posteriors, &mut next);
        self.clamp();
        self.posteriors.iter().zip(&next).map(|(now, before)| (now - before).abs()).fold(0.0, f64::max)
    }
}

/// Makes a row of probabilities; the same for all classes where nothing is known.
fn normalise(row: &mut [f64]) {
    let (total, classes) = (row.iter().sum::<f64>(), row.len() as f64);
    row.iter_mut().for_each(|p| *p = if total > 0.0 { *p / total } else { 1.0 / classes });
}

impl Consensus {
    /// The likeliest class of an item, and its probability; the first of several that are as likely.
    pub fn best(&self, item: usize) -> Option<(usize, f64)> {
        let row = self.posteriors.get(item)?;
        row.iter().copied().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best })
    }

    /// How unsure an item is, in bits.
    pub fn entropy_bits(&self, item: usize) -> Option<f64> {
        let term = |&p: &f64| if p > 0.0 { -p * p.log2() } else { 0.0 };
        Some(self.posteriors.get(item)?.iter().map(term).sum())
    }

    /// Items in the order in which somebody should decide them: the least sure first.
    pub fn queue(&self) -> Vec<usize> {
        let bits: Vec<f64> = (0..self.posteriors.len()).map(|item| self.entropy_bits(item).unwrap_or(0.0)).collect();
        let mut order: Vec<usize> = (0..bits.len()).collect();
        order.sort_by(|&a, &b| bits[b].total_cmp(&bits[a]));
        order
    }

    /// How often an annotator is right: its matrix' diagonal, by the shares of classes.
    pub fn accuracy(&self, annotator: usize) -> Option<f64> {
        let matrix = self.confusion.get(annotator)?;
        Some(self.prior.iter().enumerate().map(|(class, share)| share * matrix[class][class]).sum())
    }

    /// An annotator's leaning: for each class, how much more often it says it than there are such items.
    pub fn leaning(&self, annotator: usize) -> Option<Vec<f64>> {
        let matrix = self.confusion.get(annotator)?;
        let said = |class: usize| self.prior.iter().zip(matrix).map(|(share, row)| share * row[class]).sum::<f64>();
        Some(self.prior.iter().enumerate().map(|(class, share)| said(class) - share).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{cases, near, number, numbers, places};

    fn label(item: usize, annotator: usize, class: usize) -> Label {
        Label { item, annotator, class }
    }

    #[test]
    fn posteriors_agree_with_crowd_kit() {
        for case in cases("dawid_skene") {
            let of = |name: &str| case[name].as_u64().unwrap() as usize;
            let row = |row: &serde_json::Value| {
                let row = places(row);
                label(row[0], row[1], row[2])
            };
            let labels: Vec<Label> = case["labels"].as_array().unwrap().iter().map(row).collect();
            let setting = Setting::new(of("items"), of("annotators"), of("classes"));
            let found =
                fit(&labels, &[], Setting { smoothing: 0.0, tolerance: 1e-12, most_steps: 5_000, ..setting }).unwrap();
            assert!(found.converged);
            for (found, expected) in found.posteriors.iter().zip(case["posteriors"].as_array().unwrap()) {
                found
                    .iter()
                    .zip(numbers(expected))
                    .for_each(|(found, expected)| near(*found, expected, 1e-5, "posterior"));
            }
            found
                .prior
                .iter()
                .zip(numbers(&case["prior"]))
                .for_each(|(found, expected)| near(*found, expected, 1e-5, "prior"));
            for (annotator, matrix) in found.confusion.iter().enumerate() {
                for (truth, row) in matrix.iter().enumerate() {
                    for (class, found) in row.iter().enumerate() {
                        near(*found, number(&case["confusion"][annotator][truth][class]), 1e-5, "confusion");
                    }
                }
            }
        }
    }

    /// Two careful annotators, one who always says 1, one who turns everything round.
    #[test]
    fn annotators_are_told_apart() {
        let truth = |item: usize| usize::from(item % 5 < 2);
        let labels: Vec<Label> = (0..200)
            .flat_map(|item| {
                let slip = |by: usize| if item % 10 == by { 1 - truth(item) } else { truth(item) };
                [label(item, 0, slip(3)), label(item, 1, slip(7)), label(item, 2, 1), label(item, 3, 1 - truth(item))]
            })
            .collect();
        let found = fit(&labels, &(0..10).map(|item| (item, truth(item))).collect::<Vec<_>>(), Setting::new(200, 4, 2))
            .unwrap();
        assert!(found.converged);
        let right = (0..200).filter(|&item| found.best(item).unwrap().0 == truth(item)).count();
        assert_eq!(right, 200);
        near(found.accuracy(0).unwrap(), 0.9, 0.01, "the first");
        near(found.accuracy(3).unwrap(), 0.0, 0.01, "who turns round");
        // 40 of 100 are 1, and the third says it always.
        near(found.leaning(2).unwrap()[1], 0.6, 0.01, "who leans");
        near(found.leaning(2).unwrap()[0], -0.6, 0.01, "who leans");
    }

    /// Nine of ten labelled items are 0, and a thousand were not looked at: 0.9 of them are 0 as well.
    #[test]
    fn items_without_labels_say_nothing_of_shares() {
        let labels: Vec<Label> = (0..10)
            .flat_map(|item| (0..3).map(move |annotator| label(item, annotator, usize::from(item == 9))))
            .collect();
        let few = fit(&labels, &[], Setting::new(10, 3, 2)).unwrap();
        let many = fit(&labels, &[], Setting::new(1_010, 3, 2)).unwrap();
        near(many.prior[0], few.prior[0], 1e-9, "share");
        near(many.prior[0], 0.9, 0.01, "share");
        near(many.posteriors[500][0], many.prior[0], 1e-6, "not looked at");
        assert!((many.log_likelihood - few.log_likelihood).abs() < 1e-3);
        // Known items count, also without labels.
        let known = fit(&labels, &[(20, 1), (21, 1)], Setting::new(1_010, 3, 2)).unwrap();
        near(known.prior[0], 9.0 / 12.0, 0.01, "share");
    }

    /// H(0.9) = −0.9·log₂ 0.9 − 0.1·log₂ 0.1 = 0.469 bits.
    #[test]
    fn the_least_sure_comes_first() {
        let labels: Vec<Label> = (0..4).map(|item| label(item, 0, item % 2)).collect();
        let mut found = fit(&labels, &[(2, 1)], Setting::new(4, 1, 2)).unwrap();
        assert_eq!((found.best(2), found.entropy_bits(2)), (Some((1, 1.0)), Some(0.0)), "what somebody decided");
        found.posteriors = vec![vec![0.9, 0.1], vec![1.0, 0.0], vec![0.5, 0.5], vec![0.2, 0.8]];
        assert_eq!(found.queue(), [2, 3, 0, 1]);
        near(found.entropy_bits(0).unwrap(), 0.469, 5e-4, "bits");
        near(found.entropy_bits(2).unwrap(), 1.0, 1e-12, "bits");
        assert_eq!((found.best(2), found.best(3)), (Some((0, 0.5)), Some((1, 0.8))));
        assert_eq!((found.best(9), found.accuracy(7)), (None, None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let setting = Setting::new(2, 2, 2);
        assert!(fit(&[label(2, 0, 0)], &[], setting).is_err());
        assert!(fit(&[label(0, 2, 0)], &[], setting).is_err());
        assert!(fit(&[label(0, 0, 2)], &[], setting).is_err());
        assert!(fit(&[label(0, 0, 0), label(0, 0, 1)], &[], setting).is_err());
        assert!(fit(&[], &[(0, 5)], setting).is_err());
        assert!(fit(&[], &[], Setting { smoothing: f64::NAN, ..setting }).is_err());
        assert!(fit(&[], &[], Setting::new(usize::MAX, 2, 2)).is_err());
        // Nothing known is nothing known.
        assert_eq!(fit(&[], &[], setting).unwrap().posteriors, [[0.5, 0.5], [0.5, 0.5]]);
    }

    proptest! {
        /// Names of classes, items and annotators say nothing; the likelihood of the labels does not fall below that of no knowledge.
        #[test]
        fn names_say_nothing(given in prop::collection::btree_set((0_usize..8, 0_usize..4), 1..30), seed in 0_u64..1_000) {
            let class = |item: usize, annotator: usize| (seed as usize / (1 + item * 3 + annotator)) % 3;
            let labels: Vec<Label> = given.iter().map(|&(item, annotator)| label(item, annotator, class(item, annotator))).collect();
            let renamed: Vec<Label> = labels.iter().rev().map(|one| label(7 - one.item, 3 - one.annotator, 2 - one.class)).collect();
            // Few steps: where two ways are as good, rounding would choose between them.
            let setting = Setting { most_steps: 3, ..Setting::new(8, 4, 3) };
            let (one, other) = (fit(&labels, &[], setting).unwrap(), fit(&renamed, &[], setting).unwrap());
            for (item, row) in one.posteriors.iter().enumerate() {
                prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9);
                for (class, p) in row.iter().enumerate() {
                    prop_assert!((p - other.posteriors[7 - item][2 - class]).abs() < 1e-9);
                }
            }
        }
    }
}
