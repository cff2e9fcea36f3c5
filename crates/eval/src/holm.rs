//! Many tests at once: which p values still count.

/// Holm's adjusted p values: the chance to call any true null hypothesis false stays at α when those up to α are called
/// so, whatever depends on what.
///
/// Of `m` values in ascending order, the i-th becomes `max over j ≤ i of min(1, (m − j + 1)·p₍ⱼ₎)`. Values that are not told
/// but belong to the family are allowed for by `family`, the number of all.
///
/// Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6 (1979).
///
/// ```
/// let adjusted = qd_eval::holm::adjusted(&[0.01, 0.04, 0.03], 3);
/// assert_eq!(adjusted, [0.03, 0.06, 0.06]);
/// ```
pub fn adjusted(p: &[f64], family: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_unstable_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut found = vec![1.0; p.len()];
    let mut highest: f64 = 0.0;
    for (place, &at) in order.iter().enumerate() {
        // Any that are not told may be smaller than all that are.
        let factor = if family > p.len() { family } else { p.len() - place };
        highest = highest.max((factor as f64 * p[at]).min(1.0));
        found[at] = highest;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_agrees_with_statsmodels() {
        let reference: serde_json::Value =
            serde_json::from_str(include_str!("../../../parity/comparison.json")).unwrap();
        for case in reference["holm"].as_array().unwrap() {
            let list =
                |name: &str| case[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect::<Vec<_>>();
            let found = adjusted(&list("p"), list("p").len());
            for (found, expected) in found.iter().zip(list("adjusted")) {
                assert!((found - expected).abs() < 1e-12, "{case} {found}");
            }
        }
    }

    #[test]
    fn those_that_are_not_told_count_in_full() {
        assert_eq!(adjusted(&[0.001, 0.01], 20), [0.02, 0.2]);
    }
}
