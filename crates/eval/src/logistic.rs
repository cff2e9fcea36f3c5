//! Logistic regression: how the odds of an outcome go with several variables.

use crate::estimate::Undefined;
use crate::symmetric::Symmetric;

/// Steps of Newton's method at most. Where there is an estimate, ten are many.
const MOST_STEPS: usize = 60;
/// The log-likelihood an outcome, from which on outcomes are told without an error.
const CERTAIN: f64 = 1e-8;
/// A change of the log-likelihood, beside its size, that is rounding.
const CONVERGED: f64 = 1e-13;

/// What was fitted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Logistic {
    pub coefficients: Vec<f64>,
    pub standard_errors: Vec<f64>,
}

/// Fits `P(y = 1) = 1/(1 + exp(−x·β))` by maximum likelihood, with Newton's method, whose steps are halved until the
/// likelihood rises. Each row of `x` has the same number of variables; a constant is one of them. Standard errors are those
/// of the inverse of the information matrix.
///
/// McCullagh, Nelder, Generalized Linear Models, 2nd edition (1989), chapter 4; on outcomes that can be told without an error
/// Albert, Anderson, "On the Existence of Maximum Likelihood Estimates in Logistic Regression Models", Biometrika 71 (1984).
pub(crate) fn fit(x: &[Vec<f64>], y: &[bool]) -> Result<Logistic, Undefined> {
    let width = x.first().map_or(0, Vec::len);
    if x.len() <= width {
        return Err(Undefined::TooFew);
    }
    let mut beta = vec![0.0; width];
    let mut likelihood = log_likelihood(x, y, &beta);
    for _ in 0..MOST_STEPS {
        let (slope, information) = slope_and_information(x, y, &beta);
        // At β = 0 the information is singular only when the variables are; later, when all outcomes have become certain.
        let why = if beta.iter().all(|&value| value == 0.0) { Undefined::Collinear } else { Undefined::Separated };
        let factor = information.factor().ok_or(why)?;
        let step = factor.solve(&slope);
        let (next, now) = rising(x, y, &beta, &step, likelihood);
        let gained = now - likelihood;
        (beta, likelihood) = (next, now);
        if -likelihood < CERTAIN * x.len() as f64 {
            return Err(Undefined::Separated);
        }
        if gained.abs() <= CONVERGED * likelihood.abs() {
            let inverse = slope_and_information(x, y, &beta).1.factor().ok_or(Undefined::Separated)?.inverse();
            let standard_errors = (0..width).map(|place| inverse.at(place, place).sqrt()).collect();
            return Ok(Logistic { coefficients: beta, standard_errors });
        }
    }
    Err(Undefined::Separated)
}

/// The step, halved as often as it takes for the likelihood not to fall.
fn rising(x: &[Vec<f64>], y: &[bool], beta: &[f64], step: &[f64], likelihood: f64) -> (Vec<f64>, f64) {
    let mut share = 1.0;
    for _ in 0..30 {
        let next: Vec<f64> = beta.iter().zip(step).map(|(beta, step)| beta + share * step).collect();
        let now = log_likelihood(x, y, &next);
        if now >= likelihood {
            return (next, now);
        }
        share /= 2.0;
    }
    (beta.to_vec(), likelihood)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn log_likelihood(x: &[Vec<f64>], y: &[bool], beta: &[f64]) -> f64 {
    let one = |(x, &y): (&Vec<f64>, &bool)| {
        let margin = if y { dot(x, beta) } else { -dot(x, beta) };
        // −ln(1 + exp(−margin)), without overflow.
        margin.min(0.0) - (-margin.abs()).exp().ln_1p()
    };
    x.iter().zip(y).map(one).sum()
}

fn slope_and_information(x: &[Vec<f64>], y: &[bool], beta: &[f64]) -> (Vec<f64>, Symmetric) {
    let mut slope = vec![0.0; beta.len()];
    let mut information = Symmetric::zero(beta.len());
    for (x, &y) in x.iter().zip(y) {
        let p = 1.0 / (1.0 + (-dot(x, beta)).exp());
        let residual = f64::from(u8::from(y)) - p;
        slope.iter_mut().zip(x).for_each(|(slope, x)| *slope += residual * x);
        information.add_outer(x, p * (1.0 - p));
    }
    (slope, information)
}
