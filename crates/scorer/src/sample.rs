//! Whether a trace is scored: by its identifier, so that all of its calls are in or out, today and after a restart.

use qd_base::{Sha256Hex, TraceId};

/// Hexadecimal digits that decide: a share is met to 2⁻⁴⁸.
const DIGITS: usize = 12;

/// Whether a trace is in a sample of this share. `salt` makes samples of several rules independent of each other.
///
/// A digest and not the identifier's own bits: who makes identifiers may count upwards.
pub fn is_in(trace: TraceId, salt: &str, share: f64) -> bool {
    if share >= 1.0 {
        return true;
    }
    let digest = Sha256Hex::of(format!("{salt} {trace}").as_bytes()).to_string();
    let place = u64::from_str_radix(&digest[..DIGITS], 16).expect("a digest is hexadecimal");
    (place as f64) < share * 16_f64.powi(DIGITS as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(number: u32) -> TraceId {
        format!("{:032x}", number + 1).parse().unwrap()
    }

    #[test]
    fn a_share_of_traces_is_in_and_a_larger_share_keeps_them() {
        let inside = |share: f64| (0..10_000).filter(|&n| is_in(trace(n), "rule", share)).collect::<Vec<_>>();
        let (tenth, half) = (inside(0.1), inside(0.5));
        // Five standard deviations of a binomial: 150 and 250.
        assert!((850..=1_150).contains(&tenth.len()) && (4_750..=5_250).contains(&half.len()));
        assert!(tenth.iter().all(|n| half.contains(n)));
        assert_eq!(inside(1.0).len(), 10_000);
        assert_eq!(tenth, inside(0.1));
        let other = (0..10_000).filter(|&n| is_in(trace(n), "other", 0.1) && tenth.contains(&n)).count();
        assert!(other < 200, "two rules draw apart: about 100 traces are in both, and {other} are");
    }
}
