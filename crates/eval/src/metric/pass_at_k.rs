//! pass@k: the chance that one of `k` samples of a program passes its tests.

use crate::{Error, Result};

/// Samples of one problem at most.
pub const MOST_SAMPLES: u64 = 1_000_000;

/// The unbiased estimate from `samples` of which `passed` did: `1 − C(n − c, k) / C(n, k)`.
///
/// Chen et al., "Evaluating Large Language Models Trained on Code" (2021), arXiv:2107.03374, equation 1, as the product of
/// figure 3, which does not overflow.
///
/// # Errors
/// [`Error::Metric`] when more passed than there are samples, `k` is 0 or more than the samples, or they are over
/// [`MOST_SAMPLES`].
pub fn pass_at_k(samples: u64, passed: u64, k: u64) -> Result<f64> {
    if passed > samples || k == 0 || k > samples || samples > MOST_SAMPLES {
        let why = format!("{passed} of {samples} samples and k = {k} do not go together");
        return Err(Error::metric("pass@k", why));
    }
    if samples - passed < k {
        return Ok(1.0);
    }
    // Both products are the same; the shorter one is taken: over those that passed, or over k.
    let none: f64 = if passed < k {
        (samples - passed + 1..=samples).map(|i| 1.0 - k as f64 / i as f64).product()
    } else {
        (samples - k + 1..=samples).map(|i| 1.0 - passed as f64 / i as f64).product()
    };
    Ok(1.0 - none)
}

/// The mean over problems, each given as samples and how many of them passed.
///
/// # Errors
/// As [`pass_at_k`], and without problems.
pub fn mean_pass_at_k(problems: &[(u64, u64)], k: u64) -> Result<f64> {
    if problems.is_empty() {
        return Err(Error::metric("pass@k", "it needs a problem"));
    }
    let sum = problems.iter().map(|&(samples, passed)| pass_at_k(samples, passed, k)).sum::<Result<f64>>()?;
    Ok(sum / problems.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::reference;

    #[test]
    fn it_agrees_with_the_paper() {
        let cases = reference::section("pass_at_k");
        let cases = cases.as_array().unwrap();
        assert!(cases.len() > 100);
        for case in cases {
            let [n, c, k] = ["n", "c", "k"].map(|name| case[name].as_u64().unwrap());
            reference::close(pass_at_k(n, c, k).unwrap(), &case["value"], 1e-9, &format!("{n} {c} {k}"));
        }
        // By hand: 1 − (3·2)/(5·4) = 0.7 and 1 − 1 = 0; their mean.
        assert!((mean_pass_at_k(&[(5, 2), (5, 0)], 2).unwrap() - 0.35).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(pass_at_k(5, 6, 1).is_err() && pass_at_k(5, 1, 0).is_err() && pass_at_k(5, 1, 6).is_err());
        assert!(mean_pass_at_k(&[], 1).is_err());
        assert!(pass_at_k(u64::MAX, 0, 10).is_err());
    }
}
