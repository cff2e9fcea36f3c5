//! A straight line through points, and how sure it is.

/// What is known of points `(x, y)`, from which a line is fitted: centred sums, since the difference of large sums would
/// leave little but rounding.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    /// Points.
    pub n: u64,
    /// x̄.
    pub mean_x: f64,
    /// ȳ.
    pub mean_y: f64,
    /// Sxx = Σ(x−x̄)².
    pub sxx: f64,
    /// Sxy = Σ(x−x̄)(y−ȳ).
    pub sxy: f64,
    /// Syy = Σ(y−ȳ)².
    pub syy: f64,
}

/// A line `y = a + b·x` by least squares.
///
/// With the [`Moments`] of the points, b = Sxy/Sxx and a = ȳ − b·x̄. With the sum of squared residuals SSE and s² = SSE/(n−2):
/// se(b) = s/√Sxx, se(a) = s·√(1/n + x̄²/Sxx), R² = 1 − SSE/Syy.
///
/// Draper, Smith: Applied Regression Analysis, 3rd edition (Wiley 1998), sections 1.2 to 1.4. `x` in tokens and `y` in
/// milliseconds give `a` in milliseconds and `b` in milliseconds per token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// a.
    pub intercept: f64,
    /// b.
    pub slope: f64,
    /// The standard error of a; none when the residuals are not known or n = 2.
    pub intercept_se: Option<f64>,
    /// The standard error of b; likewise.
    pub slope_se: Option<f64>,
    /// The share of the variance of y that the line accounts for; none when all y are the same.
    pub r2: Option<f64>,
    /// s, the standard deviation of the residuals; none when n = 2.
    pub residual_sd: Option<f64>,
}

impl Moments {
    /// a and b; none when there are fewer than two points or all x are the same.
    pub fn line(&self) -> Option<(f64, f64)> {
        // Around a mean that is not exact, equal values leave a little.
        let least = f64::EPSILON * self.mean_x * self.mean_x * self.n as f64;
        if self.n < 2 || self.sxx <= least {
            return None;
        }
        let slope = self.sxy / self.sxx;
        Some((self.mean_y - slope * self.mean_x, slope))
    }

    /// The line with its errors, `sse` being the sum of its squared residuals.
    pub fn fit(&self, sse: f64) -> Option<Fit> {
        let (intercept, slope) = self.line()?;
        let n = self.n as f64;
        let residual_sd = (self.n > 2).then(|| (sse / (n - 2.0)).sqrt());
        let varies = self.syy > f64::EPSILON * self.mean_y * self.mean_y * n;
        Some(Fit {
            intercept,
            slope,
            intercept_se: residual_sd.map(|sd| sd * (1.0 / n + self.mean_x * self.mean_x / self.sxx).sqrt()),
            slope_se: residual_sd.map(|sd| sd / self.sxx.sqrt()),
            r2: varies.then(|| (1.0 - sse / self.syy).clamp(0.0, 1.0)),
            residual_sd,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(points: &[(f64, f64)]) -> Moments {
        let n = points.len().max(1) as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / n;
        let (mean_x, mean_y) = (mean(|point| point.0), mean(|point| point.1));
        let sum = |of: &dyn Fn(f64, f64) -> f64| points.iter().map(|(x, y)| of(x - mean_x, y - mean_y)).sum();
        let (sxx, sxy, syy) = (sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y));
        Moments { n: points.len() as u64, mean_x, mean_y, sxx, sxy, syy }
    }

    fn fit(points: &[(f64, f64)]) -> Option<Fit> {
        let moments = moments(points);
        let (a, b) = moments.line()?;
        moments.fit(points.iter().map(|&(x, y)| (y - a - b * x).powi(2)).sum())
    }

    #[test]
    fn a_line_by_hand() {
        // x̄ = 2, ȳ = 3; Sxx = 2, Sxy = 3, Syy = 1 + 1 + 4 = 6, so b = 1.5 and a = 0.
        // Residuals 0.5, −1, 0.5: SSE = 1.5, s² = 1.5; se(b) = √(1.5/2), se(a) = √(1.5·(1/3 + 4/2)), R² = 1 − 1.5/6.
        let found = fit(&[(1.0, 2.0), (2.0, 2.0), (3.0, 5.0)]).unwrap();
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        near(found.intercept, 0.0);
        near(found.slope, 1.5);
        near(found.slope_se.unwrap(), 0.75_f64.sqrt());
        near(found.intercept_se.unwrap(), 3.5_f64.sqrt());
        near(found.r2.unwrap(), 0.75);
        near(found.residual_sd.unwrap(), 1.5_f64.sqrt());
    }

    #[test]
    fn few_points_and_points_above_each_other_have_no_line() {
        assert_eq!(fit(&[]), None);
        assert_eq!(fit(&[(5.0, 1.0)]), None);
        assert_eq!(fit(&[(5.1, 1.0), (5.1, 2.0), (5.1, 9.0)]), None);
        let two = fit(&[(1.0, 1.0), (2.0, 3.0)]).unwrap();
        assert_eq!((two.slope, two.intercept, two.slope_se, two.residual_sd), (2.0, -1.0, None, None));
        assert_eq!(fit(&[(1.0, 7.0), (2.0, 7.0), (3.0, 7.0)]).unwrap().r2, None, "nothing varies");
    }

    /// The outputs of numpy and scipy in `parity/fit.json`; `parity/fit.py` makes them.
    #[test]
    fn lines_agree_with_scipy() {
        let cases: serde_json::Value = serde_json::from_str(include_str!("../../../../parity/fit.json")).unwrap();
        let cases = cases["cases"].as_array().unwrap();
        assert!(cases.len() >= 5);
        for case in cases {
            let list =
                |name: &str| case[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
            let points: Vec<(f64, f64)> = list("x").into_iter().zip(list("y")).collect();
            let found = fit(&points).unwrap();
            let pairs = [
                ("intercept", found.intercept),
                ("slope", found.slope),
                ("intercept_se", found.intercept_se.unwrap()),
                ("slope_se", found.slope_se.unwrap()),
                ("r2", found.r2.unwrap()),
                ("residual_sd", found.residual_sd.unwrap()),
            ];
            for (name, found) in pairs {
                let expected = case[name].as_f64().unwrap();
                let close = (found - expected).abs() <= 1e-8 * expected.abs().max(1e-3);
                assert!(close, "{}: {name} {found} instead of {expected}", case["name"]);
            }
        }
    }
}
