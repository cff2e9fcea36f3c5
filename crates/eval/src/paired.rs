//! Could a difference over the same items be chance?

use serde::Serialize;
use statrs::distribution::{Binomial, ContinuousCDF, Discrete, DiscreteCDF, StudentsT};

use crate::interval::Sampling;
use crate::random::Random;

/// Up to so many differences all assignments of signs are tried.
const ALL_SIGNS_ITEMS: usize = 16;

/// What a paired test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "test", rename_all = "snake_case")]
pub enum Test {
    /// Answers that are right or wrong: McNemar's test on the items that only one of them has right.
    Mcnemar {
        /// Items that only the first has right.
        only_a: u64,
        /// Items that only the second has right.
        only_b: u64,
        /// The mid-p value, by which is decided.
        p: f64,
        /// The exact conditional p value, which is never too small and mostly too large.
        exact_p: f64,
    },
    /// Other scores: the signs of the differences are flipped.
    SignFlip {
        /// The p value.
        p: f64,
        /// Whether all assignments of signs were tried.
        exact: bool,
    },
    /// Other scores where flips enough for a correction over many pairs would take too long: Student's paired t test.
    StudentT {
        /// The p value.
        p: f64,
    },
    /// Scores of a whole corpus, which are no means: items are drawn anew for both.
    PairedBootstrap {
        /// The p value.
        p: f64,
    },
}

impl Test {
    /// The p value by which is decided.
    pub fn p(&self) -> f64 {
        match self {
            Self::Mcnemar { p, .. } | Self::SignFlip { p, .. } | Self::StudentT { p } | Self::PairedBootstrap { p } => {
                *p
            }
        }
    }
}

/// McNemar's test: `only_a` and `only_b` items of which only one has the right answer; both sides.
///
/// Without a difference `only_b` is Binomial(only_a + only_b, ½). The exact p value is `2·P(X ≤ x)` with `x` the smaller
/// one; the mid-p value counts half of the observed outcome, `2·P(X ≤ x) − P(X = x)`, and `1 − P(X = x)/2` when both are
/// the same. The exact test finds a difference where there is none in 2.8 % of simulated comparisons instead of 5 %, since
/// few outcomes are possible; mid-p in 4.3 %. So mid-p decides.
///
/// McNemar, Psychometrika 12 (1947); Fagerland, Lydersen, Laake, "The McNemar test for binary matched-pairs data: mid-p and
/// asymptotic are better than exact conditional", BMC Medical Research Methodology 13:91 (2013).
pub fn mcnemar(only_a: u64, only_b: u64) -> Test {
    let (n, least) = (only_a + only_b, only_a.min(only_b));
    let Some(binomial) = Binomial::new(0.5, n).ok().filter(|_| n > 0) else {
        return Test::Mcnemar { only_a, only_b, p: 1.0, exact_p: 1.0 };
    };
    let (below, at) = (binomial.cdf(least), binomial.pmf(least));
    let p = if only_a == only_b { 1.0 - at / 2.0 } else { 2.0 * below - at };
    Test::Mcnemar { only_a, only_b, p, exact_p: (2.0 * below).min(1.0) }
}

/// The sign-flip test: could the mean of these differences be 0, if each was as likely of the other sign? Both sides.
///
/// All assignments of signs are tried for up to 16 differences that are not 0; of more, a number of random ones `m`, of
/// which `b` reach the observed sum: `p = (b + 1)/(m + 1)`, which is never 0.
///
/// Random ones cannot give a p below `1/(m + 1)`. Where no flips are allowed for (`sampling.flips` is 0), Student's paired t
/// test stands in, which the sign-flip test comes to with many items.
///
/// Fisher, The Design of Experiments (1935), section 21; Phipson, Smyth, "Permutation P-values Should Never Be Zero",
/// Statistical Applications in Genetics and Molecular Biology 9 (2010).
pub fn sign_flip(differences: &[f64], sampling: Sampling) -> Test {
    let moved: Vec<f64> = differences.iter().copied().filter(|&difference| difference != 0.0).collect();
    let total: f64 = moved.iter().sum();
    // Sums of the same numbers in another order differ in their last bits.
    let reached = total.abs() - 1e-9 * moved.iter().map(|difference| difference.abs()).sum::<f64>();
    if moved.len() <= ALL_SIGNS_ITEMS {
        let all = 1_usize << moved.len();
        let count = (0..all).filter(|signs| flipped(&moved, *signs as u64, total).abs() >= reached).count();
        return Test::SignFlip { p: count as f64 / all as f64, exact: true };
    }
    if sampling.flips == 0 {
        return Test::StudentT { p: student(differences, moved.len()) };
    }
    let mut random = Random::new(sampling.seed);
    let mut draw = || moved.chunks(64).map(|part| flipped(part, random.bits(), part.iter().sum())).sum::<f64>();
    let count = (0..sampling.flips).filter(|_| draw().abs() >= reached).count();
    Test::SignFlip { p: (count + 1) as f64 / (sampling.flips + 1) as f64, exact: false }
}

/// Student's paired t test, both sides. Never below what the sign-flip test could give for so many that moved, `2/2^moved`:
/// differences that are all the same have no spread.
fn student(differences: &[f64], moved: usize) -> f64 {
    let n = differences.len() as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let variance = differences.iter().map(|difference| (difference - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let t = mean.abs() / (variance / n).sqrt();
    let least = 0.5_f64.powf(moved as f64 - 1.0);
    let p = StudentsT::new(0.0, 1.0, n - 1.0).map_or(1.0, |student| 2.0 * student.sf(t));
    if p.is_nan() { 1.0 } else { p.clamp(least, 1.0) }
}

/// The sum with the signs of those flipped whose bit is set.
fn flipped(values: &[f64], signs: u64, total: f64) -> f64 {
    let taken: f64 = values.iter().enumerate().map(|(place, value)| value * ((signs >> place) & 1) as f64).sum();
    total - 2.0 * taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> serde_json::Value {
        serde_json::from_str(include_str!("../../../parity/comparison.json")).unwrap()
    }

    #[test]
    fn mcnemar_agrees_with_statsmodels_and_scipy() {
        let reference = reference();
        for case in reference["mcnemar"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let Test::Mcnemar { p, exact_p, .. } =
                mcnemar(case["only_a"].as_u64().unwrap(), case["only_b"].as_u64().unwrap())
            else {
                panic!("it is McNemar's");
            };
            assert!((exact_p - number("exact")).abs() < 1e-9, "{case} {exact_p}");
            assert!((p - number("mid")).abs() < 1e-9, "{case} {p}");
        }
    }

    /// scipy.stats.permutation_test with all assignments for few differences; for more, the same with 200,000 random ones, so
    /// that both draws' standard errors `√(p(1−p)/m)` count, four of them.
    #[test]
    fn sign_flips_agree_with_scipy() {
        let reference = reference();
        for case in reference["sign_flip"].as_array().unwrap() {
            let values: Vec<f64> =
                case["differences"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
            let expected = case["p"].as_f64().unwrap();
            let sampling = Sampling { seed: 3, flips: 99_999, ..Sampling::default() };
            let Test::SignFlip { p, exact } = sign_flip(&values, sampling) else { panic!("it flips signs") };
            assert_eq!(exact, case["exact"].as_bool().unwrap());
            let spread = (expected * (1.0 - expected) * (1.0 / 1e5 + 1.0 / 2e5)).sqrt();
            let allowed = if exact { 1e-12 } else { 4.0 * spread + 1e-5 };
            assert!((p - expected).abs() <= allowed, "{}: {p} instead of {expected}", case["name"]);
        }
    }

    /// scipy.stats.ttest_1samp of 0 … 39 less 15, and of the same less 19.5: t = 4.5/1.8484 = 2.4344, and 0.
    #[test]
    fn without_flips_students_test_stands_in() {
        let none = Sampling { flips: 0, ..Sampling::default() };
        let values = |less: f64| (0..40).map(|n| f64::from(n) - less).collect::<Vec<_>>();
        let found = sign_flip(&values(15.0), none);
        assert!(matches!(found, Test::StudentT { .. }) && (found.p() - 0.0196).abs() < 5e-4, "{found:?}");
        assert!((sign_flip(&values(19.5), none).p() - 1.0).abs() < 1e-9);
        assert_eq!(sign_flip(&[1.0; 30], none).p(), 0.5_f64.powi(29), "as if all signs were tried");
    }

    #[test]
    fn nothing_moved_is_no_evidence() {
        assert_eq!(mcnemar(0, 0).p(), 1.0);
        assert_eq!(sign_flip(&[], Sampling::default()).p(), 1.0);
        assert_eq!(sign_flip(&[0.0; 30], Sampling::default()).p(), 1.0);
        let random = sign_flip(&[1.0; 30], Sampling::default());
        assert_eq!(random, Test::SignFlip { p: 1.0 / 10_000.0, exact: false }, "it is never 0");
    }
}
