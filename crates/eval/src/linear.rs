//! Linear regression: how a number goes with several variables.

use crate::estimate::Undefined;
use crate::symmetric::Symmetric;

/// What is left of 1 when a row tells its own outcome alone.
const ALONE: f64 = 1e-9;

/// What was fitted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Linear {
    pub coefficients: Vec<f64>,
    pub standard_errors: Vec<f64>,
}

/// Fits `y = x·β` by least squares. Each row of `x` has the same number of variables; a constant is one of them. Standard errors hold
/// where the scatter of outcomes differs from row to row: HC3, which weighs a row's residual by what it pulls the fit.
///
/// MacKinnon, White, "Some Heteroskedasticity-Consistent Covariance Matrix Estimators with Improved Finite Sample Properties",
/// Journal of Econometrics 29 (1985); Long, Ervin, The American Statistician 54 (2000), who advise it below 250 rows.
pub(crate) fn fit(x: &[Vec<f64>], y: &[f64]) -> Result<Linear, Undefined> {
    let width = x.first().map_or(0, Vec::len);
    if x.len() <= width {
        return Err(Undefined::TooFew);
    }
    let mut products = Symmetric::zero(width);
    let mut right = vec![0.0; width];
    for (x, &y) in x.iter().zip(y) {
        products.add_outer(x, 1.0);
        right.iter_mut().zip(x).for_each(|(right, x)| *right += x * y);
    }
    let factor = products.factor().ok_or(Undefined::Collinear)?;
    let coefficients = factor.solve(&right);
    // (XᵀX)⁻¹ · Σ (e/(1−h))² x·xᵀ · (XᵀX)⁻¹ is the sum over rows of the outer products of (XᵀX)⁻¹·x.
    let mut covariance = Symmetric::zero(width);
    for (x, &y) in x.iter().zip(y) {
        let pull = factor.solve(x);
        let left = 1.0 - dot(x, &pull);
        if left < ALONE {
            return Err(Undefined::TooFew);
        }
        covariance.add_outer(&pull, ((y - dot(x, &coefficients)) / left).powi(2));
    }
    let standard_errors = (0..width).map(|place| covariance.at(place, place).sqrt()).collect();
    Ok(Linear { coefficients, standard_errors })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
