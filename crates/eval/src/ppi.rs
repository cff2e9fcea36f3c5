//! What people would have said on average: few of their labels, and a judge's on many more items.
//!
//! Prediction-powered inference takes the judge's mean over all items and corrects it by how far the judge was off where
//! people labelled. The interval holds the truth whatever the judge is; a good judge makes it narrower, and one that knows
//! nothing is left aside.
//!
//! What must hold: the labelled items are a random sample of all (of each stratum), they are not among the unlabelled ones,
//! and the judge was not made from their labels. Then how good the judge is makes no difference to the promise. Of labels that are
//! of other answers altogether [`transferred`] makes what can be made.

mod transfer;

use serde::{Deserialize, Serialize};

pub use self::transfer::transferred;
use crate::bootstrap::{self, normal_quantile, student_quantile, unseen};
use crate::estimate::{Estimate, LARGEST, Undefined};
use crate::interval::{self, Interval, Sampling};
use crate::{Error, Result};

/// With fewer labels intervals held the truth in 87 to 99 of 100 simulated samples, from 50 on in 91 to 97, instead of 93 to 97.
pub const FEW_LABELS: usize = 100;
/// Items at most, labelled or not.
const MOST_ITEMS: usize = 10_000_000;
/// Strata at most.
const MOST_STRATA: usize = 1_000;
/// An interval that is narrower than this part of its value is the same number, up to rounding.
const ROUNDING: f64 = 1e-9;
/// Each stratum needs a variance and a λ.
const LEAST_LABELS: usize = 3;

/// Scores of one kind of items: what people said and the judge said, and where only the judge said something.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// Items that people labelled: their score, and the judge's.
    pub labelled: Vec<(f64, f64)>,
    /// The judge's scores of other items.
    pub unlabelled: Vec<f64>,
}

/// A kind of items, and its share of all.
#[derive(Debug, Clone)]
pub struct Stratum {
    /// Which share of all items is of this kind.
    pub share: f64,
    /// Its scores.
    pub sample: Sample,
}

/// The mean that people's labels would have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Corrected {
    /// The corrected mean, with its interval.
    pub estimate: Estimate,
    /// What people's labels alone say.
    pub humans: Estimate,
    /// The judge's own mean, over all items: not corrected.
    pub judge: f64,
    /// How much the judge counts: 0 is not at all, 1 as if it were right up to a constant. Of several strata their mean by share.
    pub lambda: f64,
    /// How many labels people alone would need for the same variance.
    pub effective_labels: f64,
    /// Labels of people.
    pub labels: usize,
    /// Whether there are too few labels ([`FEW_LABELS`]) for the interval to be relied on.
    pub few_labels: bool,
}

impl Corrected {
    /// How many labels of people the judge saves; below 0 when it costs some.
    pub fn labels_saved(&self) -> f64 {
        self.effective_labels - self.labels as f64
    }
}

/// The corrected mean: `θ̂ = λ·mean(f̃) + mean(y − λ·f)`, over `n` labelled items with people's scores `y` and the judge's `f`, and `N`
/// unlabelled ones with the judge's `f̃`.
///
/// `λ = cov(y, f) / ((1 + n/N)·var(f))` makes the variance `σ² = λ²·var(f̃)/N + var(y − λ·f)/n` the least; it is kept between 0
/// and 1, so that a judge whose word goes against people's is left aside. Since λ was chosen to make it small, the variance of
/// `y − λf` counts as if one label more had been seen whose variance is that of people's labels alone, and has `n − 2` degrees of
/// freedom when λ is not 0.
///
/// The interval is Student's, `θ̂ ± t·σ`. Where people say only 0 or 1 and `bounds` are these or none it is Wilson's, with `θ̂` for the share and `var(y)/σ²`, the labels
/// that people alone would need, for their number: Student's fell to 85 of 100 with few ones or few noughts. With λ = 0 both are the
/// usual ones of people's labels alone. These two choices are ours and were made by simulation: tests repeat it in small.
///
/// Scores that are all the same have no variance: then what was not seen may lie at one of the `bounds`, as in
/// [`interval::bootstrap_mean`]. `θ̂` is kept within the `bounds`, which of 0 and 1 are these: the correction may lead out of them.
///
/// Angelopoulos, Duchi, Zrnic, "PPI++: Efficient Prediction-Powered Inference", arXiv:2311.01453 (2023), example 6.1 and section 6.
///
/// # Errors
/// [`Error::Data`] for a number that is not finite or beyond 10¹⁰⁰, or over ten million items. [`Undefined::TooFew`] for fewer
/// than three labels.
pub fn mean(sample: &Sample, bounds: Option<(f64, f64)>) -> Result<std::result::Result<Corrected, Undefined>> {
    of(sample, bounds, is_binary(&sample.labelled, bounds))
}

fn of(sample: &Sample, bounds: Option<(f64, f64)>, binary: bool) -> Result<std::result::Result<Corrected, Undefined>> {
    checked(sample)?;
    Ok(Part::new(sample, 1.0).map(|part| combined(&[part], &sample.labelled, bounds, binary)))
}

/// Whether people say yes or no: only 0 and 1, on a scale that has nothing beyond.
fn is_binary(labelled: &[(f64, f64)], bounds: Option<(f64, f64)>) -> bool {
    let yes_or_no = bounds.is_none_or(|bounds| bounds == (0.0, 1.0));
    yes_or_no && labelled.iter().all(|(human, _)| *human == 0.0 || *human == 1.0)
}

/// How many labels of people as many labels are worth together with the judge's word on `further` items like these: the
/// `effective_labels` that [`mean`] would tell.
///
/// What the judge will say of items that nobody has seen is taken to spread as what it said of these. The interval is the bootstrap's over
/// items; there is none where all resamples say the same, as of a judge that always says the same or that never errs: they do not
/// show what was not seen. People who say one thing only leave nothing to be saved, which is no number.
///
/// # Errors
/// [`Error::Data`] as of [`mean`]. [`Undefined::TooFew`] for fewer than three items, [`Undefined::OneValue`] when people always said
/// the same.
pub fn worth(
    labelled: &[(f64, f64)],
    further: usize,
    sampling: Sampling,
) -> Result<std::result::Result<Estimate, Undefined>> {
    checked(&Sample { labelled: labelled.to_vec(), unlabelled: Vec::new() })?;
    if further > MOST_ITEMS {
        return Err(Error::data("scores", format!("{MOST_ITEMS} items are the most")));
    }
    if labelled.len() < LEAST_LABELS {
        return Ok(Err(Undefined::TooFew));
    }
    if labelled.iter().all(|(human, _)| *human == labelled[0].0) {
        return Ok(Err(Undefined::OneValue));
    }
    let value = effective(labelled.iter().map(|&pair| (pair, 1.0)), further as f64);
    let drawn = bootstrap::interval(labelled.len(), sampling, |drawn| {
        effective(labelled.iter().zip(drawn).map(|(&pair, &times)| (pair, f64::from(times))), further as f64)
    });
    let interval = |value: f64| drawn.filter(|drawn| drawn.high - drawn.low > ROUNDING * value);
    let estimate = |value| Estimate { value, interval: interval(value), items: labelled.len() };
    Ok(value.map(estimate).ok_or(Undefined::OneValue))
}

/// `n·var(y)/(n·σ²)` of [`mean`] with `var(f̃) = var(f)`: of pairs of a person's score and the judge's, each with how often it counts; none
/// when people always said the same.
fn effective(pairs: impl Iterator<Item = ((f64, f64), f64)> + Clone, further: f64) -> Option<f64> {
    let sum = |of: &dyn Fn(f64, f64) -> f64| pairs.clone().map(|((y, f), times)| times * of(y, f)).sum::<f64>();
    let n = sum(&|_, _| 1.0);
    let (y, f) = (sum(&|y, _| y) / n, sum(&|_, f| f) / n);
    let spread = |left: f64| left / (n - 1.0);
    let human = spread(sum(&|one, _| (one - y).powi(2)));
    let judge = spread(sum(&|_, other| (other - f).powi(2)));
    let product = sum(&|one, other| (one - y) * (other - f)) / n;
    let useful = further > 1.0 && judge > 0.0;
    let lambda = if useful { (product / ((1.0 + n / further) * judge)).clamp(0.0, 1.0) } else { 0.0 };
    let residual = spread(sum(&|one, other| (one - y - lambda * (other - f)).powi(2)));
    let doubted = ((n - 1.0) * residual + residual.max(human)) / n;
    let variance = doubted / n + if lambda > 0.0 { lambda * lambda * judge / further } else { 0.0 };
    (human > 0.0 && variance > 0.0).then(|| human / variance)
}

/// The same item answered by two systems: scores of the first and the second.
#[derive(Debug, Clone, Default)]
pub struct PairedSample {
    /// Items that people labelled: their scores of both, and the judge's of both.
    pub labelled: Vec<((f64, f64), (f64, f64))>,
    /// The judge's scores of both on other items.
    pub unlabelled: Vec<(f64, f64)>,
}

/// By how much the second system's mean is above the first's, over the same items: [`mean`] of the differences, with Student's
/// interval always. `bounds` are those of a score.
///
/// # Errors
/// As [`mean`].
pub fn difference(
    sample: &PairedSample,
    bounds: Option<(f64, f64)>,
) -> Result<std::result::Result<Corrected, Undefined>> {
    let less = |(first, second): (f64, f64)| second - first;
    let differences = Sample {
        labelled: sample.labelled.iter().map(|&(human, judge)| (less(human), less(judge))).collect(),
        unlabelled: sample.unlabelled.iter().map(|&both| less(both)).collect(),
    };
    // Differences of 0 and 1 are no yes or no: where there is no −1, there could have been one.
    of(&differences, bounds.map(|(least, most)| (least - most, most - least)), false)
}

/// The corrected mean over strata, each with a λ of its own: `Σ share·θ̂`, with the variance `Σ share²·σ²`.
///
/// Better than [`mean`] when the judge is better at some kinds of items than at others. Degrees of freedom are
/// Satterthwaite's. For 0 and 1 the number of Wilson's interval is `v/σ²` with `v` the variance of people's labels over all strata.
///
/// Fisch, Maynez, Hofer, Dhingra, Globerson, Cohen, "Stratified Prediction-Powered Inference for Effective Hybrid
/// Evaluation of Language Models", NeurIPS 2024; Satterthwaite, "An Approximate Distribution of Estimates of Variance
/// Components", Biometrics Bulletin 2 (1946).
///
/// # Errors
/// As [`mean`], and [`Error::Data`] for shares that are not of 1 or over a thousand strata. [`Undefined::TooFew`]
/// for fewer than three labels in any stratum, or no stratum.
pub fn stratified(strata: &[Stratum], bounds: Option<(f64, f64)>) -> Result<std::result::Result<Corrected, Undefined>> {
    if strata.len() > MOST_STRATA {
        return Err(Error::data("strata", format!("{MOST_STRATA} are the most")));
    }
    let total: f64 = strata.iter().map(|stratum| stratum.share).sum();
    if strata.iter().any(|stratum| !(0.0..=1.0).contains(&stratum.share)) || (total - 1.0).abs() > 1e-6 {
        return Err(Error::data("strata", "their shares are not 1 together"));
    }
    strata.iter().try_for_each(|stratum| checked(&stratum.sample))?;
    let parts: std::result::Result<Vec<Part>, Undefined> =
        strata.iter().map(|stratum| Part::new(&stratum.sample, stratum.share)).collect();
    let labelled: Vec<(f64, f64)> = strata.iter().flat_map(|stratum| stratum.sample.labelled.clone()).collect();
    Ok(parts.map(|parts| combined(&parts, &labelled, bounds, is_binary(&labelled, bounds))))
}

fn checked(sample: &Sample) -> Result<()> {
    if sample.labelled.len() + sample.unlabelled.len() > MOST_ITEMS {
        return Err(Error::data("scores", format!("{MOST_ITEMS} items are the most")));
    }
    let mut numbers =
        sample.labelled.iter().flat_map(|&(human, judge)| [human, judge]).chain(sample.unlabelled.clone());
    match numbers.all(|number| number.abs() <= LARGEST) {
        true => Ok(()),
        false => Err(Error::data("scores", format!("a number is not from -{LARGEST:e} to {LARGEST:e}"))),
    }
}

/// What one stratum says.
#[derive(Debug, Clone, Copy)]
struct Part {
    share: f64,
    labels: usize,
    lambda: f64,
    /// θ̂ and its variance.
    mean: f64,
    variance: f64,
    /// Of people's labels: their mean and variance.
    human_mean: f64,
    human_variance: f64,
    judge_mean: f64,
}

impl Part {
    fn new(sample: &Sample, share: f64) -> std::result::Result<Self, Undefined> {
        let labels = sample.labelled.len();
        if labels < LEAST_LABELS {
            return Err(Undefined::TooFew);
        }
        let (n, rest) = (labels as f64, sample.unlabelled.len() as f64);
        let (human, judge): (Vec<f64>, Vec<f64>) = sample.labelled.iter().copied().unzip();
        let (human_mean, human_variance) = moments(&human);
        let (own_mean, _) = moments(&judge);
        let (other_mean, other_variance) = moments(&sample.unlabelled);
        let all: Vec<f64> = judge.iter().chain(&sample.unlabelled).copied().collect();
        let (judge_mean, judge_variance) = moments(&all);
        let product = |(human, judge): &(f64, f64)| (human - human_mean) * (judge - own_mean);
        let covariance = sample.labelled.iter().map(product).sum::<f64>() / n;
        let lambda = if rest > 1.0 && judge_variance > 0.0 {
            (covariance / ((1.0 + n / rest) * judge_variance)).clamp(0.0, 1.0)
        } else {
            0.0
        };
        let residuals: Vec<f64> = sample.labelled.iter().map(|(human, judge)| human - lambda * judge).collect();
        let (correction, residual_variance) = moments(&residuals);
        let doubted = ((n - 1.0) * residual_variance + residual_variance.max(human_variance)) / n;
        let of_judge = if lambda > 0.0 { lambda * lambda * other_variance / rest } else { 0.0 };
        Ok(Self {
            share,
            labels,
            lambda,
            mean: correction + if lambda > 0.0 { lambda * other_mean } else { 0.0 },
            variance: doubted / n + of_judge,
            human_mean,
            human_variance,
            judge_mean,
        })
    }

    fn freedom(&self) -> f64 {
        self.labels as f64 - if self.lambda > 0.0 { 2.0 } else { 1.0 }
    }
}

/// Mean and unbiased variance; 0 of nothing, and exactly 0 of values that are all the same, which rounding would spread.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let Some(mean) = interval::mean(values) else { return (0.0, 0.0) };
    if values.iter().all(|&value| value == values[0]) {
        return (values[0], 0.0);
    }
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, if n > 1.0 { squares / (n - 1.0) } else { 0.0 })
}

fn combined(parts: &[Part], labelled: &[(f64, f64)], bounds: Option<(f64, f64)>, binary: bool) -> Corrected {
    let weighted = |of: fn(&Part) -> f64| parts.iter().map(|part| part.share * of(part)).sum::<f64>();
    let bounds = if binary { Some((0.0, 1.0)) } else { bounds };
    // A correction may lead out of the bounds, and the truth does not lie there.
    let (least, most) = bounds.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let mean = weighted(|part| part.mean).max(least).min(most);
    let human_mean = weighted(|part| part.human_mean);
    let between = |part: &Part| part.share * (part.human_variance + (part.human_mean - human_mean).powi(2));
    let apart: f64 = parts.iter().map(between).sum();
    let humans_squared: Vec<f64> = parts.iter().map(|part| part.human_variance / part.labels as f64).collect();
    let squared: Vec<f64> = parts.iter().map(|part| part.variance).collect();
    let shape = Shape { parts, binary, apart, bounds };
    let humans = shape.interval(human_mean, &humans_squared, |part| part.labels as f64 - 1.0, true);
    let corrected = shape.interval(mean, &squared, Part::freedom, parts.iter().all(|part| part.lambda == 0.0));
    let labels = labelled.len();
    let estimate = |value, interval| Estimate { value, interval: Some(interval), items: labels };
    Corrected {
        estimate: estimate(mean, corrected),
        humans: estimate(human_mean, humans),
        judge: weighted(|part| part.judge_mean),
        lambda: weighted(|part| part.lambda),
        effective_labels: shape.effective(&squared),
        labels,
        few_labels: labels < FEW_LABELS,
    }
}

/// What intervals of the same strata share.
struct Shape<'a> {
    parts: &'a [Part],
    binary: bool,
    /// The variance of people's labels over all strata.
    apart: f64,
    bounds: Option<(f64, f64)>,
}

impl Shape<'_> {
    fn variance(&self, squared: &[f64]) -> f64 {
        self.parts.iter().zip(squared).map(|(part, squared)| part.share * part.share * squared).sum()
    }

    /// Labels that people alone would need, all strata in one.
    fn effective(&self, squared: &[f64]) -> f64 {
        let variance = self.variance(squared);
        let labels: usize = self.parts.iter().map(|part| part.labels).sum();
        if variance > 0.0 && self.apart > 0.0 { self.apart / variance } else { labels as f64 }
    }

    fn interval(&self, mean: f64, squared: &[f64], freedom: fn(&Part) -> f64, usual: bool) -> Interval {
        let variance = self.variance(squared);
        let apart =
            |(part, squared): (&Part, &f64)| (part.share * part.share * squared / variance).powi(2) / freedom(part);
        let scatter: f64 = self.parts.iter().zip(squared).map(apart).sum();
        let degrees = if scatter > 0.0 { scatter.recip() } else { f64::INFINITY };
        let t = if degrees.is_finite() { student_quantile(degrees) } else { normal_quantile() };
        if self.binary {
            // Wilson's own quantile where nothing but people's labels counts.
            let quantile = if usual { normal_quantile() } else { t };
            return wilson(mean, self.effective(squared), quantile);
        }
        if let (Some((least, most)), true) = (self.bounds, variance == 0.0) {
            let labels: usize = self.parts.iter().map(|part| part.labels).sum();
            let unseen = unseen(labels);
            return Interval { low: mean - unseen * (mean - least), high: mean + unseen * (most - mean) };
        }
        let half = t * variance.sqrt();
        let (least, most) = self.bounds.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        Interval { low: (mean - half).max(least), high: (mean + half).min(most) }
    }
}

/// Wilson's interval of a share `p` of `n`, which need not be whole; see [`interval::wilson`].
fn wilson(p: f64, n: f64, z: f64) -> Interval {
    let middle = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    Interval {
        low: if p == 0.0 { 0.0 } else { ((middle - half) / scale).max(0.0) },
        high: if p == 1.0 { 1.0 } else { ((middle + half) / scale).min(1.0) },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::reference::{cases, near, number, numbers};

    const SHARE: Option<(f64, f64)> = Some((0.0, 1.0));

    fn sample(human: &[f64], judge: &[f64], unlabelled: &[f64]) -> Sample {
        let labelled = human.iter().copied().zip(judge.iter().copied()).collect();
        Sample { labelled, unlabelled: unlabelled.to_vec() }
    }

    fn told(sample: &Sample) -> Corrected {
        mean(sample, SHARE).unwrap().unwrap()
    }

    #[test]
    fn means_agree_with_ppi_python() {
        let mut many = 0;
        for case in cases("ppi") {
            let of = sample(&numbers(&case["human"]), &numbers(&case["judge"]), &numbers(&case["unlabelled"]));
            let found = told(&of);
            let what = format!("{} {}", case["name"], case["binary"]);
            near(found.lambda, number(&case["lambda"]), 1e-9, &what);
            near(found.estimate.value, number(&case["mean"]), 1e-9, &what);
            let interval = found.estimate.interval.unwrap();
            near(interval.low, number(&case["low"]), 1e-6, &what);
            near(interval.high, number(&case["high"]), 1e-6, &what);
            near(found.effective_labels / number(&case["effective"]), 1.0, 1e-9, &what);
            // For some hundred labels that are no yes or no all the difference to ppi-python's own interval is small.
            if of.labelled.len() >= 200 && case["binary"] == false {
                near((interval.high - interval.low) / number(&case["their_width"]), 1.0, 0.03, &what);
                assert!(!found.few_labels);
                many += 1;
            }
        }
        assert!(many > 0);
    }

    #[test]
    fn a_judge_that_always_says_the_same_is_left_aside() {
        let human: Vec<f64> = (0..60).map(|item| f64::from(u8::from(item % 3 > 0))).collect();
        let found = told(&sample(&human, &[1.0; 60], &[1.0; 500]));
        assert_eq!((found.lambda, found.judge, found.few_labels), (0.0, 1.0, true));
        assert_eq!(found.estimate.interval, Some(interval::wilson(40, 60)).map(|wilson| rounded(&found, wilson)));
        assert_eq!(found.estimate, found.humans);
        near(found.labels_saved(), 0.0, 1e-9, "saved");
    }

    /// The same interval up to the last bits.
    fn rounded(found: &Corrected, expected: Interval) -> Interval {
        let interval = found.estimate.interval.unwrap();
        near(interval.low, expected.low, 1e-12, "low");
        near(interval.high, expected.high, 1e-12, "high");
        interval
    }

    /// What labels are worth together with further items is what the mean over such items tells, up to the one degree of freedom in
    /// which its variance of all items differs.
    #[test]
    fn labels_are_worth_what_the_mean_tells() {
        let few = Sampling { resamples: 1_000, ..Sampling::default() };
        // 200 items half of which people call right, and a judge that errs in every tenth.
        let pairs: Vec<(f64, f64)> =
            (0..200_u8).map(|n| (f64::from(n % 2), f64::from((n + u8::from(n % 10 == 0)) % 2))).collect();
        let (human, judge): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let told = told(&sample(&human, &judge, &judge.repeat(10)));
        let found = worth(&pairs, 2_000, few).unwrap().unwrap();
        near(found.value / told.effective_labels, 1.0, 1e-3, "effective labels");
        let interval = found.interval.unwrap();
        assert!(interval.low > 200.0 && interval.contains(found.value), "{found:?}");
        // A judge that knows nothing saves nothing, and people who always say the same leave nothing to save.
        let ignorant: Vec<(f64, f64)> = (0..200_u8).map(|n| (f64::from(n % 2), f64::from(n / 2 % 2))).collect();
        near(worth(&ignorant, 2_000, few).unwrap().unwrap().value, 200.0, 1e-9, "nothing");
        // A judge that always says the same, and one that never errs: all resamples say the same, which is not sure.
        let constant: Vec<(f64, f64)> = pairs.iter().map(|&(human, _)| (human, 1.0)).collect();
        let perfect: Vec<(f64, f64)> = pairs.iter().map(|&(human, _)| (human, human)).collect();
        for (same, least) in [(constant, 199.0), (perfect, 300.0)] {
            let found = worth(&same, 2_000, few).unwrap().unwrap();
            assert!(found.value >= least && found.interval.is_none(), "{found:?}");
        }
        assert_eq!(worth(&[(1.0, 0.0); 50], 2_000, few).unwrap(), Err(Undefined::OneValue));
        assert_eq!(worth(&pairs[..2], 2_000, few).unwrap(), Err(Undefined::TooFew));
    }

    #[test]
    fn too_few_and_too_strange() {
        assert_eq!(mean(&sample(&[1.0, 0.0], &[1.0, 0.0], &[1.0; 9]), SHARE).unwrap(), Err(Undefined::TooFew));
        assert!(mean(&sample(&[1.0, f64::NAN, 0.0], &[1.0; 3], &[]), SHARE).is_err());
        // Without other items people's labels are all there is.
        let alone = told(&sample(&[1.0, 0.0, 1.0, 1.0], &[1.0, 0.0, 1.0, 1.0], &[]));
        assert_eq!((alone.lambda, alone.few_labels), (0.0, true));
        // All labels are the same: 1 − 0.025^(1/20) = 0.1684 may be at the other end.
        let same = told(&sample(&[0.5; 20], &[0.1; 20], &[0.2; 50]));
        near(same.estimate.interval.unwrap().high, 0.5 + 0.5 * 0.1684, 1e-4, "high");
        let one = Stratum { share: 0.4, sample: Sample::default() };
        assert!(stratified(&[one], SHARE).is_err(), "shares are not 1");
        assert_eq!(
            stratified(&[Stratum { share: 1.0, sample: Sample::default() }], SHARE).unwrap(),
            Err(Undefined::TooFew)
        );
    }

    #[test]
    fn one_stratum_is_the_mean() {
        let case = &cases("ppi")[1];
        let of = sample(&numbers(&case["human"]), &numbers(&case["judge"]), &numbers(&case["unlabelled"]));
        let one = stratified(&[Stratum { share: 1.0, sample: of.clone() }], SHARE).unwrap().unwrap();
        assert_eq!(one, told(&of));
    }

    /// Two halves with means of 0.2 and 0.6, by hand: 0.3·0.2 + 0.7·0.6 = 0.48, and a variance of 0.09·v₁ + 0.49·v₂.
    #[test]
    fn strata_by_hand() {
        let yes = |n: usize, of: usize| (0..of).map(|item| f64::from(u8::from(item < n)) + 0.5).collect::<Vec<_>>();
        let strata = [(0.3, yes(20, 100)), (0.7, yes(60, 100))]
            .map(|(share, human)| Stratum { share, sample: sample(&human, &[0.0; 100], &[]) });
        let found = stratified(&strata, None).unwrap().unwrap();
        near(found.estimate.value, 0.98, 1e-12, "mean");
        let squared: f64 = 0.09 * (0.16 / 99.0) + 0.49 * (0.24 / 99.0);
        let interval = found.estimate.interval.unwrap();
        // Student's quantile at Satterthwaite's 99·(…)²/((…)² + (…)²) = 121.9 degrees is 1.9796.
        near((interval.high - interval.low) / 2.0, 1.9796 * squared.sqrt(), 1e-4, "half");
    }

    #[test]
    fn differences_are_means_of_differences() {
        let human: Vec<(f64, f64)> = (0..80).map(|n| (f64::from(n % 2), f64::from(u8::from(n % 4 != 1)))).collect();
        let judge: Vec<(f64, f64)> = (0..400).map(|n| (f64::from(n % 2), f64::from(u8::from(n % 5 != 1)))).collect();
        let labelled = human.into_iter().zip(judge.clone()).collect();
        let found = difference(&PairedSample { labelled, unlabelled: judge[80..].to_vec() }, SHARE).unwrap().unwrap();
        // Of people's labels: 1 in the second for 60 of 80 against 40 of 80.
        near(found.humans.value, 0.25, 1e-12, "humans");
        assert!(found.estimate.interval.unwrap().contains(0.25));
    }

    /// Of 100 labels that are all the same: 1 − 0.025^(1/100) = 0.03622 of others, which may be at either end of the scale.
    #[test]
    fn only_yes_or_no_is_yes_or_no() {
        let same = vec![((1.0, 1.0), (0.6, 0.6)); 100];
        let found =
            difference(&PairedSample { labelled: same, unlabelled: vec![(0.5, 0.4); 50] }, SHARE).unwrap().unwrap();
        let interval = found.estimate.interval.unwrap();
        near(interval.low, -0.036_22, 1e-5, "low");
        near(interval.high, 0.036_22, 1e-5, "high");
        // Differences of 0 and +1 have the mirror image of those of 0 and −1.
        let some: Vec<((f64, f64), (f64, f64))> =
            (0..100).map(|n| ((0.0, f64::from(u8::from(n < 5))), (0.0, 0.0))).collect();
        let swapped = some.iter().map(|&((a, b), judge)| ((b, a), judge)).collect();
        let of = |labelled| difference(&PairedSample { labelled, unlabelled: Vec::new() }, SHARE).unwrap().unwrap();
        let mirrored = of(swapped).estimate.interval.unwrap().negated();
        assert_eq!(of(some).estimate.interval, Some(mirrored));
        // From 1 to 5 all 1: what was not seen may be 5.
        let least = mean(&sample(&[1.0; 100], &[1.0; 100], &[]), Some((1.0, 5.0))).unwrap().unwrap();
        let interval = least.estimate.interval.unwrap();
        near(interval.low, 1.0, 1e-12, "low");
        near(interval.high, 1.0 + 4.0 * 0.036_22, 1e-4, "high");
    }

    /// 0.7 a hundred times: rounding would give it a variance of 10⁻³⁰.
    #[test]
    fn the_same_scores_have_no_variance() {
        let found = told(&sample(&[0.7; 100], &[0.3; 100], &[0.3, 0.4, 0.5]));
        let interval = found.estimate.interval.unwrap();
        near(interval.low, 0.7 - 0.036_22 * 0.7, 1e-5, "low");
        near(interval.high, 0.7 + 0.036_22 * 0.3, 1e-5, "high");
        assert_eq!((found.lambda, found.estimate.value, found.effective_labels), (0.0, 0.7, 100.0));
    }

    #[test]
    fn a_correction_does_not_lead_out_of_the_bounds() {
        // People and judge go together, and elsewhere the judge says 1 always: corrected by itself it would be above 1.
        let human: Vec<f64> = (0..40).map(|n| f64::from(u8::from(n % 20 > 0))).collect();
        let judge: Vec<f64> = human.iter().map(|human| human * 0.8).collect();
        for bounds in [SHARE, None] {
            let found = mean(&sample(&human, &judge, &[1.0; 400]), bounds).unwrap().unwrap();
            assert_eq!(found.estimate.value, 1.0);
            assert!(found.estimate.interval.unwrap().contains(1.0), "{found:?}");
        }
        let grades: Vec<f64> = human.iter().map(|human| 4.0 * human + 1.0).collect();
        let found = mean(&sample(&grades, &judge, &[1.0; 400]), Some((1.0, 5.0))).unwrap().unwrap();
        let interval = found.estimate.interval.unwrap();
        assert!(interval.low <= interval.high && interval.contains(found.estimate.value), "{found:?}");
    }

    #[test]
    fn numbers_whose_squares_overflow_are_refused() {
        let huge = sample(&[1e200, -1e200, 0.0], &[1.0, 0.0, 0.5], &[]);
        assert!(mean(&huge, None).unwrap_err().to_string().contains("1e100"));
        assert!(
            mean(&sample(&[1e100, -1e100, 0.0], &[1.0, 0.0, 0.5], &[]), None)
                .unwrap()
                .unwrap()
                .estimate
                .value
                .is_finite()
        );
    }

    proptest! {
        /// A constant added to all that the judge says changes nothing: the correction takes it out. λ stays between 0 and 1.
        #[test]
        fn what_the_judge_adds_everywhere_says_nothing(
            labelled in prop::collection::vec((0_u8..5, 0_u8..5), 4..40),
            unlabelled in prop::collection::vec(0_u8..5, 2..40),
        ) {
            let of = |more: f64| Sample {
                labelled: labelled.iter().map(|&(human, judge)| (f64::from(human), f64::from(judge) + more)).collect(),
                unlabelled: unlabelled.iter().map(|&judge| f64::from(judge) + more).collect(),
            };
            let (plain, more) = (mean(&of(0.0), None).unwrap().unwrap(), mean(&of(7.0), None).unwrap().unwrap());
            prop_assert!((plain.estimate.value - more.estimate.value).abs() < 1e-9);
            prop_assert!((plain.lambda - more.lambda).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&plain.lambda));
            prop_assert!(plain.estimate.interval.unwrap().contains(plain.estimate.value));
        }
    }
}
