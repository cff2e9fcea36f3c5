//! Values of `parity/estimates.json`, as tests read them.

use std::sync::LazyLock;

use serde_json::Value;

static ESTIMATES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../parity/estimates.json")).unwrap());

/// The cases of one part.
pub fn cases(part: &str) -> &'static [Value] {
    let cases = ESTIMATES[part].as_array().unwrap();
    assert!(!cases.is_empty(), "{part} has no cases");
    cases
}

pub fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

pub fn places(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|value| value.as_u64().unwrap() as usize).collect()
}

/// Fails unless the two are as near as `allowed`.
#[track_caller]
pub fn near(found: f64, expected: f64, allowed: f64, what: impl std::fmt::Display) {
    assert!((found - expected).abs() <= allowed, "{what}: {found} instead of {expected}, allowed is {allowed:e}");
}

/// What two bootstraps may differ by, in standard errors of the statistic: an end is a quantile of `r` resamples, whose standard error
/// is `√(α/2·(1 − α/2)/r)/φ(1.96)`, 2.67/√r; four of those of 2,000 and of 4,000 resamples together.
pub const TWO_BOOTSTRAPS: f64 = 0.30;
