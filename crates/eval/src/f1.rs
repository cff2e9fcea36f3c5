//! How many words two texts share.

use std::collections::HashMap;

use crate::text::Normalise;

/// The harmonic mean of precision and recall over the words of two texts, each counted as often as it stands there.
///
/// `F1 = 2·P·R/(P + R)` with `P` the share of the answer's words that the reference has and `R` the reverse, after case,
/// punctuation, articles and white space are normalised. When one of them has no words left, 1 if both have none, else 0.
///
/// Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text" (EMNLP 2016), section 6.1; the rule for
/// no words is that of its second version's evaluation script (`compute_f1` in `evaluate-v2.0.py`).
pub fn token_f1(answer: &str, reference: &str) -> f64 {
    let (answer, reference) = (Normalise::ALL.apply(answer), Normalise::ALL.apply(reference));
    let (said, right) = (counts(&answer), counts(&reference));
    let total = |words: &HashMap<&str, u64>| words.values().sum::<u64>();
    let (said_total, right_total) = (total(&said), total(&right));
    if said_total == 0 || right_total == 0 {
        return f64::from(u8::from(said_total == right_total));
    }
    let shared: u64 = said.iter().map(|(word, &count)| count.min(right.get(word).copied().unwrap_or(0))).sum();
    2.0 * shared as f64 / (said_total + right_total) as f64
}

fn counts(text: &str) -> HashMap<&str, u64> {
    let mut counts = HashMap::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQuAD's own functions, in `parity/comparison.py`.
    #[test]
    fn it_agrees_with_the_script_of_squad() {
        let reference: serde_json::Value =
            serde_json::from_str(include_str!("../../../parity/comparison.json")).unwrap();
        let cases = reference["token_f1"].as_array().unwrap();
        assert!(cases.len() >= 20);
        for case in cases {
            let (answer, right) = (case["answer"].as_str().unwrap(), case["reference"].as_str().unwrap());
            let (found, expected) = (token_f1(answer, right), case["f1"].as_f64().unwrap());
            assert!((found - expected).abs() < 1e-12, "{answer:?} {right:?}: {found} instead of {expected}");
            let same = Normalise::ALL.apply(answer) == Normalise::ALL.apply(right);
            assert_eq!(same, case["exact"].as_bool().unwrap(), "{answer:?} {right:?}");
        }
    }
}
