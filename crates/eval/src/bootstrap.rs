//! The bootstrap of any statistic that can be computed from how often each item was drawn.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use crate::interval::{ALPHA, Interval, Sampling, quantile};
use crate::random::Random;

/// What lies beyond each end.
pub(crate) const TAIL: f64 = ALPHA / 2.0;
/// Resamples in which the statistic may be undefined before no interval is given: one in twenty.
const MOST_UNDEFINED: f64 = 0.05;
/// Items drawn for one interval at most, about a second of work; no fewer resamples than the others for that.
const MOST_DRAWS: usize = 200_000_000;
const LEAST_RESAMPLES: usize = 1_000;

/// The expanded percentile interval, at 95 %, of a statistic of `n` items drawn with replacement.
///
/// `statistic` gets the number of times that each item was drawn. A statistic that sorts does so once, before, and then only
/// adds up weights: 10,000 items and 2,000 resamples are 20 million steps, not 2,000 sorts. Resamples in which it is undefined are left
/// out, and with more than one in twenty of those there is no interval. Why the percentiles are expanded is said at
/// [`crate::interval::bootstrap_mean`].
pub(crate) fn interval(
    n: usize,
    sampling: Sampling,
    mut statistic: impl FnMut(&[u32]) -> Option<f64>,
) -> Option<Interval> {
    let resamples = sampling.resamples.min((MOST_DRAWS / n.max(1)).max(LEAST_RESAMPLES));
    let mut drawn = Vec::with_capacity(resamples);
    let mut counts = vec![0; n];
    let mut random = Random::new(sampling.seed);
    for _ in 0..resamples {
        draw(&mut random, &mut counts);
        drawn.extend(statistic(&counts).filter(|value| value.is_finite()));
    }
    percentiles(drawn, n, resamples)
}

/// How often each of as many items is drawn, with replacement.
pub(crate) fn draw(random: &mut Random, counts: &mut [u32]) {
    counts.fill(0);
    let n = counts.len();
    for _ in 0..n {
        counts[random.below(n)] += 1;
    }
}

/// The expanded percentiles of what resamples of `n` items gave.
pub(crate) fn percentiles(mut drawn: Vec<f64>, n: usize, resamples: usize) -> Option<Interval> {
    let undefined = resamples.saturating_sub(drawn.len()) as f64;
    if n < 2 || drawn.len() < 2 || undefined > MOST_UNDEFINED * resamples as f64 {
        return None;
    }
    drawn.sort_unstable_by(f64::total_cmp);
    let tail = expanded_tail(n);
    Some(Interval { low: quantile(&drawn, tail), high: quantile(&drawn, 1.0 - tail) })
}

/// `Φ(−√(n/(n−1))·t(1−α/2; n−1))`: by which percentiles resamples of `n` items come to Student's interval.
///
/// Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 69 (2015), section 3.3.
pub(crate) fn expanded_tail(n: usize) -> f64 {
    let n = n as f64;
    Normal::standard().cdf(-(n / (n - 1.0)).sqrt() * student_quantile(n - 1.0))
}

/// The most that something which was not seen in `n` items may happen, at 95 %: `1 − (α/2)^(1/n)`.
///
/// Clopper, Pearson, "The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial", Biometrika 26 (1934).
pub(crate) fn unseen(n: usize) -> f64 {
    1.0 - TAIL.powf(1.0 / n as f64)
}

/// `Φ⁻¹(0.975)`.
pub(crate) fn normal_quantile() -> f64 {
    Normal::standard().inverse_cdf(1.0 - TAIL)
}

/// Student's quantile at 0.975; without end for no degrees of freedom.
pub(crate) fn student_quantile(freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(f64::INFINITY, |t| t.inverse_cdf(1.0 - TAIL))
}
