//! From the measures of all documents to one number and its standard error.
//!
//! As `lm_eval/api/metrics.py` of lm-evaluation-harness 0.4.13: the mean has `s/√n` with the sample's deviation; what is no
//! mean is resampled, with the same numbers of the same generator; sums of ratios have none.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::fields::Fields;
use crate::metric::Measure;
use crate::python::random::Random;

/// Resamples at most, and by default: `bootstrap_iters` of the harness.
pub const MAX_RESAMPLES: usize = 100_000;
/// Resamples that one generator draws before the next begins.
const CHUNK: usize = 1_000;
/// Documents drawn for one standard error at most, some seconds of work: 100,000 resamples of 10,000 documents.
const MAX_DRAWS: usize = 1_000_000_000;

/// How many of the resamples that are asked for are drawn of so many documents: never under a thousand for their number alone.
pub(crate) fn resamples_of(documents: usize, asked: usize) -> usize {
    let most = (MAX_DRAWS / documents.max(1)).max(CHUNK);
    asked.min(MAX_RESAMPLES).min(most / CHUNK * CHUNK)
}

/// How measures become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aggregation {
    Mean,
    NanMean,
    Median,
    Perplexity,
    WeightedPerplexity,
    BitsPerByte,
    F1,
    Matthews,
    Brier,
}

/// A metric of a task over all its documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Its name: `acc`.
    pub metric: String,
    /// The filter that the answers went through: `none`.
    pub filter: String,
    /// The number.
    pub value: f64,
    /// Its standard error, where there is one.
    pub stderr: Option<f64>,
    /// Whether a higher number is better.
    pub higher_is_better: bool,
    /// How many documents have it.
    pub documents: usize,
}

impl Aggregation {
    const NAMES: [(&'static str, Self); 9] = [
        ("mean", Self::Mean),
        ("nanmean", Self::NanMean),
        ("median", Self::Median),
        ("perplexity", Self::Perplexity),
        ("weighted_perplexity", Self::WeightedPerplexity),
        ("bits_per_byte", Self::BitsPerByte),
        ("f1", Self::F1),
        ("matthews_corrcoef", Self::Matthews),
        ("brier_score", Self::Brier),
    ];

    pub(crate) fn read(fields: &mut Fields) -> Result<Option<Self>> {
        let Some(value) = fields.take("aggregation") else { return Ok(None) };
        let known = Self::NAMES.map(|(name, _)| name).join(", ");
        let wrong = || fields.wrong("aggregation", format!("it is not known; known are {known}"));
        let name = value.as_str().ok_or_else(wrong)?;
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| Some(*kind)).ok_or_else(wrong)
    }

    /// The number of these measures, or why there is none.
    pub(crate) fn of(self, measures: &[Measure]) -> std::result::Result<f64, String> {
        match self {
            Self::F1 => f1(&classes(measures)?),
            Self::Matthews => Ok(Classes::new(&classes(measures)?).matthews()),
            Self::Brier => brier(measures),
            Self::WeightedPerplexity => weighted_mean(measures).map(|mean| (-mean).exp()),
            Self::BitsPerByte => weighted_mean(measures).map(|mean| -mean / std::f64::consts::LN_2),
            _ => self.of_numbers(&numbers(measures)?),
        }
    }

    fn of_numbers(self, numbers: &[f64]) -> std::result::Result<f64, String> {
        Ok(match self {
            Self::Perplexity => (-mean(numbers)).exp(),
            Self::Median => {
                let (mut sorted, middle) = (numbers.to_vec(), numbers.len() / 2);
                if sorted.is_empty() {
                    return Err("there are no documents".to_owned());
                }
                *sorted.select_nth_unstable_by(middle, f64::total_cmp).1
            }
            Self::NanMean => mean(&numbers.iter().copied().filter(|n| !n.is_nan()).collect::<Vec<_>>()),
            _ => mean(numbers),
        })
    }

    /// Whether its standard error is made of resamples.
    pub(crate) fn is_resampled(self) -> bool {
        matches!(self, Self::NanMean | Self::Median | Self::Perplexity | Self::F1 | Self::Matthews)
    }

    /// The standard error (`stderr_for_metric`), with `resamples` where it is resampled, which takes two; none for fewer than two
    /// documents and where the harness has none.
    pub(crate) fn stderr(self, measures: &[Measure], resamples: usize) -> std::result::Result<Option<f64>, String> {
        if measures.len() < 2 || resamples == 0 || self.is_resampled() && resamples < 2 {
            return Ok(None);
        }
        match self {
            Self::Mean => numbers(measures).map(|numbers| Some(mean_stderr(&numbers))),
            Self::WeightedPerplexity | Self::BitsPerByte | Self::Brier => Ok(None),
            Self::F1 => {
                let pairs = classes(measures)?;
                f1(&pairs)?;
                let positive: Vec<(bool, bool)> =
                    pairs.iter().map(|(gold, chosen)| (*gold == 1, *chosen == 1)).collect();
                bootstrap(&positive, resamples, |sample| Ok(f1_of(sample))).map(Some)
            }
            Self::Matthews => {
                let mut classes = Classes::new(&classes(measures)?);
                let items = std::mem::take(&mut classes.pairs);
                bootstrap(&items, resamples, |sample| Ok(classes.count(sample))).map(Some)
            }
            _ => bootstrap(&numbers(measures)?, resamples, |sample| self.of_numbers(sample)).map(Some),
        }
    }
}

fn numbers(measures: &[Measure]) -> std::result::Result<Vec<f64>, String> {
    let number = |measure: &Measure| match measure {
        Measure::Number(number) => Ok(*number),
        _ => {
            Err("this aggregation is of numbers, and the metric gives something else; leave aggregation out".to_owned())
        }
    };
    measures.iter().map(number).collect()
}

fn classes(measures: &[Measure]) -> std::result::Result<Vec<(i64, i64)>, String> {
    let pair = |measure: &Measure| match measure {
        Measure::Classes(gold, chosen) => Ok((*gold, *chosen)),
        _ => {
            Err("this aggregation is of classes, and the metric gives something else; leave aggregation out".to_owned())
        }
    };
    measures.iter().map(pair).collect()
}

/// `Σx/n`, not a number for none.
pub(crate) fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// The sample's standard deviation, `√(Σ(x − mean)²/(n − 1))`.
fn sample_deviation(numbers: &[f64]) -> f64 {
    let mean = mean(numbers);
    (numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (numbers.len() as f64 - 1.0)).sqrt()
}

/// The standard error of a mean, `s/√n`.
pub(crate) fn mean_stderr(numbers: &[f64]) -> f64 {
    sample_deviation(numbers) / (numbers.len() as f64).sqrt()
}

/// `Σa/Σb`.
fn weighted_mean(measures: &[Measure]) -> std::result::Result<f64, String> {
    let (mut sum, mut size) = (0.0, 0.0);
    for measure in measures {
        let Measure::Ratio(a, b) = measure else {
            return Err(
                "this aggregation is of sums and sizes, and the metric gives something else; leave aggregation out"
                    .to_owned(),
            );
        };
        sum += a;
        size += b;
    }
    Ok(sum / size)
}

/// The standard deviation of a statistic over resamples with replacement (`bootstrap_stderr`): chunk `i` of a thousand is
/// drawn by `random.Random(i)`, and what a last chunk would lack of a thousand is left out.
fn bootstrap<T: Copy>(
    items: &[T],
    resamples: usize,
    mut statistic: impl FnMut(&[T]) -> std::result::Result<f64, String>,
) -> std::result::Result<f64, String> {
    let resamples = resamples_of(items.len(), resamples);
    let chunk = resamples.min(CHUNK);
    let mut values = Vec::with_capacity(resamples);
    let mut sample = Vec::with_capacity(items.len());
    for index in 0..resamples / chunk {
        let mut random = Random::new(index as u64);
        for _ in 0..chunk {
            sample.clear();
            sample.extend((0..items.len()).map(|_| items[random.choice(items.len())]));
            values.push(statistic(&sample)?);
        }
    }
    Ok(sample_deviation(&values))
}

/// `sklearn.metrics.f1_score(golds, preds)` of two classes, of which 1 is the positive one: `2·tp/(2·tp + fp + fn)`, 0 where
/// there is none.
fn f1(pairs: &[(i64, i64)]) -> std::result::Result<f64, String> {
    let mut labels: Vec<i64> = pairs.iter().flat_map(|(gold, chosen)| [*gold, *chosen]).collect();
    labels.sort_unstable();
    labels.dedup();
    if labels.len() > 2 || labels.len() == 2 && !labels.contains(&1) {
        return Err(format!("f1 is of two classes, 0 and 1; there are {labels:?}. Use acc, or mcc for more classes"));
    }
    Ok(f1_of(&pairs.iter().map(|(gold, chosen)| (*gold == 1, *chosen == 1)).collect::<Vec<_>>()))
}

/// The same of pairs that say whether each is the positive class.
fn f1_of(pairs: &[(bool, bool)]) -> f64 {
    let (mut right, mut wrong) = (0, 0);
    for &(gold, chosen) in pairs {
        right += 2 * usize::from(gold && chosen);
        wrong += usize::from(gold != chosen);
    }
    if right + wrong == 0 { 0.0 } else { right as f64 / (right + wrong) as f64 }
}

/// Classes by number, so that a resample is counted in one pass.
struct Classes {
    /// Of each document the right class and the chosen one.
    pairs: Vec<(usize, usize)>,
    golds: Vec<u32>,
    chosens: Vec<u32>,
}

impl Classes {
    fn new(pairs: &[(i64, i64)]) -> Self {
        let mut labels: Vec<i64> = pairs.iter().flat_map(|(gold, chosen)| [*gold, *chosen]).collect();
        labels.sort_unstable();
        labels.dedup();
        let number = |label: i64| labels.partition_point(|other| *other < label);
        let pairs = pairs.iter().map(|(gold, chosen)| (number(*gold), number(*chosen))).collect();
        Self { pairs, golds: vec![0; labels.len()], chosens: vec![0; labels.len()] }
    }

    fn matthews(mut self) -> f64 {
        let pairs = std::mem::take(&mut self.pairs);
        self.count(&pairs)
    }

    /// Matthews' correlation for any number of classes, 0 where one of the two never changes.
    ///
    /// Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient", Computational Biology and
    /// Chemistry 28 (2004), as `sklearn.metrics.matthews_corrcoef` computes it: from covariances of counts.
    fn count(&mut self, pairs: &[(usize, usize)]) -> f64 {
        self.golds.fill(0);
        self.chosens.fill(0);
        let mut right = 0_u32;
        for &(gold, chosen) in pairs {
            self.golds[gold] += 1;
            self.chosens[chosen] += 1;
            right += u32::from(gold == chosen);
        }
        let n = pairs.len() as f64;
        let (mut both, mut golds, mut chosens) = (0.0, 0.0, 0.0);
        for (gold, chosen) in self.golds.iter().zip(&self.chosens).map(|(g, c)| (f64::from(*g), f64::from(*c))) {
            both += gold * chosen;
            golds += gold * gold;
            chosens += chosen * chosen;
        }
        let (gold_spread, chosen_spread) = (n * n - golds, n * n - chosens);
        if gold_spread * chosen_spread == 0.0 {
            return 0.0;
        }
        (f64::from(right) * n - both) / (gold_spread * chosen_spread).sqrt()
    }
}

/// The mean over documents of `Σ_k (p_k − [k is right])²`.
///
/// Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).
fn brier(measures: &[Measure]) -> std::result::Result<f64, String> {
    let one = |measure: &Measure| match measure {
        Measure::Probabilities(gold, probabilities) => {
            let right = usize::try_from(*gold).ok().filter(|gold| *gold < probabilities.len());
            let right = right.ok_or("brier_score needs a right choice for each document")?;
            let square = |(k, p): (usize, &f64)| (p - f64::from(u8::from(k == right))).powi(2);
            Ok(probabilities.iter().enumerate().map(square).sum::<f64>())
        }
        _ => Err("this aggregation is of probabilities, and the metric gives something else; leave aggregation out"
            .to_owned()),
    };
    measures.iter().map(one).collect::<std::result::Result<Vec<_>, String>>().map(|all| mean(&all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_the_error_of_its_sample() {
        // 1, 0, 1, 1: mean 3/4, Σ(x − mean)² = 3/4, s = √(1/4), s/√4 = 1/4.
        let measures = [1.0, 0.0, 1.0, 1.0].map(Measure::Number);
        assert_eq!(Aggregation::Mean.of(&measures).unwrap(), 0.75);
        assert_eq!(Aggregation::Mean.stderr(&measures, MAX_RESAMPLES).unwrap(), Some(0.25));
        assert_eq!(Aggregation::Mean.stderr(&measures[..1], MAX_RESAMPLES).unwrap(), None);
        assert_eq!(Aggregation::Mean.stderr(&measures, 0).unwrap(), None);
        assert_eq!(Aggregation::Median.of(&[3.0, 1.0, 2.0, 4.0].map(Measure::Number)).unwrap(), 3.0);
        assert_eq!(Aggregation::NanMean.of(&[3.0, f64::NAN, 1.0].map(Measure::Number)).unwrap(), 2.0);
    }

    #[test]
    fn sums_of_ratios_weigh_by_size() {
        // (-6 ln 2 - 2 ln 2) / (3 + 1) = -2 ln 2: perplexity 4, two bits.
        let ln2 = std::f64::consts::LN_2;
        let measures = [Measure::Ratio(-6.0 * ln2, 3.0), Measure::Ratio(-2.0 * ln2, 1.0)];
        assert!((Aggregation::WeightedPerplexity.of(&measures).unwrap() - 4.0).abs() < 1e-12);
        assert!((Aggregation::BitsPerByte.of(&measures).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(Aggregation::BitsPerByte.stderr(&measures, 100).unwrap(), None);
        assert!(Aggregation::Mean.of(&measures).is_err());
    }

    #[test]
    fn resamples_are_bounded_by_what_they_draw() {
        assert_eq!(resamples_of(10_000, MAX_RESAMPLES), MAX_RESAMPLES);
        assert_eq!(resamples_of(30_000, MAX_RESAMPLES), 33_000);
        assert_eq!(resamples_of(1_000_000, MAX_RESAMPLES), 1_000);
        assert_eq!(resamples_of(50_000_000, MAX_RESAMPLES), 1_000);
        assert_eq!((resamples_of(100, 30), resamples_of(1_000_000, 30), resamples_of(0, 5)), (30, 30, 5));
    }

    #[test]
    fn one_resample_has_no_error() {
        let numbers = [1.0, 2.0, 4.0].map(Measure::Number);
        let classes = [(0, 1), (1, 1), (0, 0)].map(|(gold, chosen)| Measure::Classes(gold, chosen));
        for resamples in [0, 1] {
            assert_eq!(Aggregation::Median.stderr(&numbers, resamples).unwrap(), None);
            assert_eq!(Aggregation::F1.stderr(&classes, resamples).unwrap(), None);
        }
        assert!(Aggregation::Matthews.stderr(&classes, 2).unwrap().unwrap().is_finite());
        assert!(Aggregation::Mean.stderr(&numbers, 1).unwrap().is_some(), "a mean needs no resamples");
    }

    /// Each resample's own correlation, with the counting of the whole: it is the same whatever was counted before.
    #[test]
    fn counting_begins_anew() {
        let mut classes = Classes::new(&[(0, 0), (1, 2), (2, 2), (1, 1), (0, 1), (2, 0)]);
        let pairs = classes.pairs.clone();
        let first = classes.count(&pairs[..4]);
        classes.count(&pairs);
        assert_eq!(classes.count(&pairs[..4]), first);
    }

    #[test]
    fn classes_are_compared_as_sklearn_does() {
        let matthews = |pairs: &[(i64, i64)]| Classes::new(pairs).matthews();
        // sklearn 1.9.1: f1_score([1,0,1,1,0], [1,1,0,1,0]) and matthews_corrcoef of the same; then of three classes.
        let pairs: Vec<(i64, i64)> = vec![(1, 1), (0, 1), (1, 0), (1, 1), (0, 0)];
        assert!((f1(&pairs).unwrap() - 2.0 / 3.0).abs() < 1e-12);
        assert!((matthews(&pairs) - 0.166_666_666_666_666_66).abs() < 1e-12);
        let three = [(0, 0), (1, 2), (2, 2), (1, 1), (0, 1), (2, 0)];
        assert!((matthews(&three) - MATTHEWS_OF_THREE).abs() < 1e-12);
        assert!(f1(&three).is_err());
        assert_eq!(f1(&[(0, 0)]).unwrap(), 0.0);
        assert_eq!(matthews(&[(1, 1), (1, 1)]), 0.0);
    }

    const MATTHEWS_OF_THREE: f64 = 0.25;
}
