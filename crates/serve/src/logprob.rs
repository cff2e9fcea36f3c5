//! Log-probabilities of tokens under the model's own distribution, before penalties, bias and temperature.

use llama_cpp_2::token::LlamaToken;

/// Logits this far below the largest add less than 1e-13 of it each; with a vocabulary of a million tokens
/// they change no digit of a 32-bit result, so their exponentials are not computed.
pub(crate) const NEGLIGIBLE_NATS: f32 = 30.0;

/// One token's log-probability and the likeliest tokens at its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scored {
    pub token: LlamaToken,
    pub logprob: f32,
    /// Sorted, likeliest first.
    pub top: Vec<(LlamaToken, f32)>,
}

/// Scores `token` by the log-softmax of `logits` and lists the `top_count` likeliest tokens.
pub(crate) fn score(logits: &[f32], token: LlamaToken, top_count: usize) -> Scored {
    let normalizer = log_sum_exp(logits);
    let top = largest(logits, top_count).into_iter().map(|(id, logit)| (id, logit - normalizer)).collect();
    Scored { token, logprob: logits[token.0 as usize] - normalizer, top }
}

/// The largest value. Eight independent lanes, so that the compiler can use vector instructions.
pub(crate) fn maximum(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 8];
    let chunks = values.chunks_exact(8);
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.into_iter().fold(rest, f32::max)
}

fn log_sum_exp(logits: &[f32]) -> f32 {
    let largest = maximum(logits);
    let floor = largest - NEGLIGIBLE_NATS;
    let sum: f64 = logits.iter().filter(|logit| **logit > floor).map(|logit| f64::from(logit - largest).exp()).sum();
    largest + sum.ln() as f32
}

/// The `count` largest logits with their tokens, sorted. `count` is small, so a sorted list beats a heap.
fn largest(logits: &[f32], count: usize) -> Vec<(LlamaToken, f32)> {
    let mut best: Vec<(LlamaToken, f32)> = Vec::with_capacity(count + 1);
    if count == 0 {
        return best;
    }
    let mut threshold = f32::NEG_INFINITY;
    for (id, &logit) in logits.iter().enumerate() {
        if logit <= threshold && best.len() == count {
            continue;
        }
        let place = best.partition_point(|(_, other)| *other >= logit);
        best.insert(place, (LlamaToken(id as i32), logit));
        best.truncate(count);
        threshold = best[best.len() - 1].1;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_softmax_of_three_logits_by_hand() {
        // exp(0)=1, exp(1)=2.718282, exp(2)=7.389056; their sum is 11.107338, ln of it 2.407606.
        let scored = score(&[0.0, 1.0, 2.0], LlamaToken(1), 2);
        assert!((scored.logprob - (1.0 - 2.407_606)).abs() < 1e-5);
        let ids: Vec<_> = scored.top.iter().map(|(id, _)| id.0).collect();
        assert_eq!(ids, [2, 1]);
        assert!((scored.top[0].1 - (2.0 - 2.407_606)).abs() < 1e-5);
    }

    #[test]
    fn a_whole_distribution_sums_to_one() {
        let logits: Vec<f32> = (0..1000).map(|i| (i as f32 * 0.37).sin() * 12.0).collect();
        let total: f64 = score(&logits, LlamaToken(0), 1000).top.iter().map(|(_, l)| f64::from(*l).exp()).sum();
        assert!((total - 1.0).abs() < 1e-4, "{total}");
    }

    #[test]
    fn the_maximum_is_found_in_lanes_and_in_the_rest() {
        for at in 0..21 {
            let mut values = [0.0; 21];
            values[at] = 1.0;
            assert_eq!(maximum(&values), 1.0);
        }
    }
}
