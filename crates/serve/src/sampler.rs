//! From logits to a token: penalties and bias, temperature, truncation, a draw, and the grammar.
//!
//! The order is vLLM's: repetition, presence and frequency penalties, bias, temperature, then top-k, top-p
//! and min-p on what is left. The grammar comes last and lazily: a token is drawn first and checked, and the
//! whole vocabulary is masked only when the likely tokens do not fit.

use std::collections::HashMap;
use std::sync::Arc;

use llama_cpp_2::token::LlamaToken;

use crate::constraint::Constraint;
use crate::logprob::{NEGLIGIBLE_NATS, maximum};

/// How tokens are chosen. The defaults are OpenAI's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sampling {
    /// 0 takes the likeliest token.
    pub temperature: f32,
    pub top_p: f32,
    /// 0 keeps all tokens.
    pub top_k: usize,
    pub min_p: f32,
    /// Added once for a token that the answer already has (subtracted from its logit).
    pub presence: f32,
    /// Added for each time the answer has the token.
    pub frequency: f32,
    /// Divides the logits of tokens in prompt and answer (CTRL, Keskar et al. 2019, section 4.1); 1 is off.
    pub repetition: f32,
    /// Added to the logits of single tokens.
    pub bias: Arc<[(LlamaToken, f32)]>,
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: 0.0,
            presence: 0.0,
            frequency: 0.0,
            repetition: 1.0,
            bias: Arc::default(),
            seed: 0,
        }
    }
}

/// The likeliest tokens that are checked against a grammar before the whole vocabulary is.
const LIKELY_TOKENS: usize = 64;
/// Draws from an untruncated distribution that a grammar may reject before the whole vocabulary is masked.
const REJECTED_DRAWS: usize = 8;

/// The sampling state of one sequence.
pub(crate) struct Sampler {
    sampling: Sampling,
    random: SplitMix64,
    /// How often each token is in the answer.
    counts: HashMap<LlamaToken, u32>,
    /// The tokens that the repetition penalty is for: those of prompt and answer.
    seen: Vec<LlamaToken>,
    adjusted: Vec<f32>,
    candidates: Vec<(LlamaToken, f32)>,
}

impl Sampler {
    /// A sampler for an answer to `prompt`.
    pub fn new(sampling: Sampling, prompt: &[LlamaToken]) -> Self {
        let random = SplitMix64(sampling.seed);
        let mut seen = if sampling.repetition == 1.0 { Vec::new() } else { prompt.to_vec() };
        seen.sort_unstable();
        seen.dedup();
        Self { sampling, random, counts: HashMap::new(), seen, adjusted: Vec::new(), candidates: Vec::new() }
    }

    /// Chooses the next token. `None` only when the grammar leaves no token at all.
    pub fn choose(&mut self, logits: &[f32], constraint: Option<&mut Constraint>) -> Option<LlamaToken> {
        let mut adjusted = std::mem::take(&mut self.adjusted);
        let logits = if self.adjusts() { self.adjust(logits, &mut adjusted) } else { logits };
        let chosen = match constraint {
            None => Some(self.draw_from(logits)),
            Some(constraint) => self.draw_constrained(logits, constraint),
        };
        self.adjusted = adjusted;
        chosen
    }

    /// Remembers a token of the answer for the penalties.
    pub fn accept(&mut self, token: LlamaToken) {
        *self.counts.entry(token).or_default() += 1;
        if self.sampling.repetition != 1.0
            && let Err(place) = self.seen.binary_search(&token)
        {
            self.seen.insert(place, token);
        }
    }

    fn adjusts(&self) -> bool {
        let sampling = &self.sampling;
        sampling.presence != 0.0 || sampling.frequency != 0.0 || sampling.repetition != 1.0 || !sampling.bias.is_empty()
    }

    fn adjust<'a>(&self, logits: &[f32], adjusted: &'a mut Vec<f32>) -> &'a [f32] {
        adjusted.clear();
        adjusted.extend_from_slice(logits);
        for token in &self.seen {
            let logit = &mut adjusted[token.0 as usize];
            *logit = if *logit > 0.0 { *logit / self.sampling.repetition } else { *logit * self.sampling.repetition };
        }
        for (token, count) in &self.counts {
            adjusted[token.0 as usize] -= self.sampling.presence + self.sampling.frequency * *count as f32;
        }
        for (token, bias) in self.sampling.bias.iter() {
            adjusted[token.0 as usize] += bias;
        }
        adjusted
    }

    fn draw_from(&mut self, logits: &[f32]) -> LlamaToken {
        if self.sampling.temperature == 0.0 {
            return likeliest(logits);
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        self.truncate(logits.iter().copied().enumerate().map(token_and_logit), maximum(logits), &mut candidates);
        let chosen = candidates[self.random.pick(&candidates)].0;
        self.candidates = candidates;
        chosen
    }

    fn draw_constrained(&mut self, logits: &[f32], constraint: &mut Constraint) -> Option<LlamaToken> {
        let mut candidates = std::mem::take(&mut self.candidates);
        let chosen = self
            .draw_likely(logits, constraint, &mut candidates)
            .or_else(|| self.draw_masked(logits, constraint, &mut candidates));
        self.candidates = candidates;
        chosen
    }

    /// Tries tokens in the way an unconstrained draw would, and keeps the first that fits. Rejecting and
    /// drawing again among the rest is the same as drawing from the masked distribution.
    fn draw_likely(
        &mut self,
        logits: &[f32],
        constraint: &mut Constraint,
        candidates: &mut Vec<(LlamaToken, f32)>,
    ) -> Option<LlamaToken> {
        if self.sampling.temperature == 0.0 {
            let best = likeliest(logits);
            return if constraint.allows(best) { Some(best) } else { first_allowed(logits, constraint, candidates) };
        }
        self.truncate(logits.iter().copied().enumerate().map(token_and_logit), maximum(logits), candidates);
        for _ in 0..REJECTED_DRAWS.min(candidates.len()) {
            let place = self.random.pick(candidates);
            if constraint.allows(candidates[place].0) {
                return Some(candidates[place].0);
            }
            candidates.swap_remove(place);
        }
        None
    }

    /// Masks the whole vocabulary, then truncates and draws among what is left.
    fn draw_masked(
        &mut self,
        logits: &[f32],
        constraint: &mut Constraint,
        candidates: &mut Vec<(LlamaToken, f32)>,
    ) -> Option<LlamaToken> {
        candidates.clear();
        candidates.extend(logits.iter().copied().enumerate().map(token_and_logit));
        let mut allowed = Vec::new();
        constraint.filter(candidates, |token, logit| allowed.push((token, logit)));
        let best = allowed.iter().copied().reduce(|best, other| if other.1 > best.1 { other } else { best })?;
        if self.sampling.temperature == 0.0 {
            return Some(best.0);
        }
        self.truncate(allowed.into_iter(), best.1, candidates);
        Some(candidates[self.random.pick(candidates)].0)
    }

    /// Fills `kept` with the tokens that temperature, top-k, top-p and min-p leave and their weights
    /// (probabilities up to a common factor, the likeliest has weight 1).
    fn truncate(
        &self,
        logits: impl Iterator<Item = (LlamaToken, f32)>,
        largest: f32,
        kept: &mut Vec<(LlamaToken, f32)>,
    ) {
        let sampling = &self.sampling;
        let floor = if sampling.min_p > 0.0 { sampling.min_p.ln().max(-NEGLIGIBLE_NATS) } else { -NEGLIGIBLE_NATS };
        // In logits, not in nats, so that the loop over the vocabulary is one comparison.
        let threshold = largest + floor * sampling.temperature;
        kept.clear();
        kept.extend(logits.filter(|(_, logit)| *logit >= threshold));
        if sampling.top_k > 0 && kept.len() > sampling.top_k {
            kept.select_nth_unstable_by(sampling.top_k - 1, by_weight);
            kept.truncate(sampling.top_k);
        }
        for (_, logit) in kept.iter_mut() {
            *logit = ((*logit - largest) / sampling.temperature).exp();
        }
        if sampling.top_p < 1.0 {
            keep_mass(kept, sampling.top_p);
        }
    }
}

/// Keeps the likeliest candidates whose weights reach `mass` of the total, at least one. Sorts only as many
/// as it needs: the first few hundred of ten thousand usually hold the mass.
fn keep_mass(candidates: &mut Vec<(LlamaToken, f32)>, mass: f32) {
    let wanted = candidates.iter().map(|(_, weight)| weight).sum::<f32>() * mass;
    let (mut sorted, mut reached) = (0, 0.0);
    while sorted < candidates.len() {
        let end = (sorted + 256 + sorted * 3).min(candidates.len());
        if end < candidates.len() {
            candidates[sorted..].select_nth_unstable_by(end - sorted - 1, by_weight);
        }
        candidates[sorted..end].sort_unstable_by(by_weight);
        for place in sorted..end {
            reached += candidates[place].1;
            if reached >= wanted {
                candidates.truncate(place + 1);
                return;
            }
        }
        sorted = end;
    }
}

/// Descending by weight; by id among equals, so that a seed always gives the same token.
fn by_weight(a: &(LlamaToken, f32), b: &(LlamaToken, f32)) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.0.cmp(&b.0.0))
}

fn token_and_logit((id, logit): (usize, f32)) -> (LlamaToken, f32) {
    (LlamaToken(id as i32), logit)
}

/// The token with the largest logit, the first among equals.
fn likeliest(logits: &[f32]) -> LlamaToken {
    let largest = maximum(logits);
    let place = logits.iter().position(|logit| *logit == largest).unwrap_or(0);
    LlamaToken(place as i32)
}

/// The likeliest token that the grammar allows, among the likeliest few.
fn first_allowed(
    logits: &[f32],
    constraint: &mut Constraint,
    candidates: &mut Vec<(LlamaToken, f32)>,
) -> Option<LlamaToken> {
    candidates.clear();
    candidates.extend(logits.iter().copied().enumerate().map(token_and_logit));
    let count = LIKELY_TOKENS.min(candidates.len());
    candidates.select_nth_unstable_by(count - 1, by_weight);
    candidates.truncate(count);
    candidates.sort_unstable_by(by_weight);
    let mut first = None;
    constraint.filter(candidates, |token, _| first = first.or(Some(token)));
    first
}

/// A small, fast, seedable generator: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
/// Generators", OOPSLA 2014. Written out here so that a seed gives the same answer in every version.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The place of a candidate, drawn with probability proportional to its weight.
    fn pick(&mut self, candidates: &[(LlamaToken, f32)]) -> usize {
        let total: f64 = candidates.iter().map(|(_, weight)| f64::from(*weight)).sum();
        // 53 random bits are a uniform double in [0, 1).
        let mut left = (self.next() >> 11) as f64 / (1u64 << 53) as f64 * total;
        for (place, (_, weight)) in candidates.iter().enumerate() {
            left -= f64::from(*weight);
            if left < 0.0 {
                return place;
            }
        }
        candidates.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(sampling: Sampling, logits: &[f32], count: usize) -> Vec<usize> {
        let mut sampler = Sampler::new(sampling, &[]);
        let mut histogram = vec![0; logits.len()];
        for _ in 0..count {
            histogram[sampler.choose(logits, None).unwrap().0 as usize] += 1;
        }
        histogram
    }

    /// Weights 1:2:4 as logits.
    const LOGITS: [f32; 3] = [0.0, std::f32::consts::LN_2, 2.0 * std::f32::consts::LN_2];

    #[test]
    fn temperature_zero_takes_the_likeliest() {
        assert_eq!(draws(Sampling { temperature: 0.0, ..Sampling::default() }, &LOGITS, 5), [0, 0, 5]);
    }

    #[test]
    fn draws_follow_the_softmax() {
        // 7000 draws with probabilities 1/7, 2/7, 4/7; five standard deviations are at most 207.
        let histogram = draws(Sampling { seed: 7, ..Sampling::default() }, &LOGITS, 7000);
        for (found, expected) in histogram.iter().zip([1000_i64, 2000, 4000]) {
            assert!((*found as i64 - expected).abs() < 210, "{histogram:?}");
        }
    }

    #[test]
    fn a_temperature_of_one_half_squares_the_weights() {
        // Weights 1:4:16, so 21000 draws are 1000, 4000, 16000; five standard deviations are at most 290.
        let histogram = draws(Sampling { seed: 1, temperature: 0.5, ..Sampling::default() }, &LOGITS, 21_000);
        for (found, expected) in histogram.iter().zip([1000_i64, 4000, 16_000]) {
            assert!((*found as i64 - expected).abs() < 300, "{histogram:?}");
        }
    }

    #[test]
    fn truncation_removes_the_unlikely() {
        let check = |sampling: Sampling, allowed: [bool; 3]| {
            let histogram = draws(sampling, &LOGITS, 300);
            assert_eq!([histogram[0] > 0, histogram[1] > 0, histogram[2] > 0], allowed, "{histogram:?}");
        };
        check(Sampling { top_k: 2, ..Sampling::default() }, [false, true, true]);
        check(Sampling { top_p: 0.5, ..Sampling::default() }, [false, false, true]);
        check(Sampling { top_p: 0.6, ..Sampling::default() }, [false, true, true]);
        // The likeliest has 4/7; a quarter of that is 1/7, so 0.3 of it is more than the first token has.
        check(Sampling { min_p: 0.3, ..Sampling::default() }, [false, true, true]);
    }

    #[test]
    fn a_seed_gives_the_same_draws() {
        let logits: Vec<f32> = (0..500).map(|i| (i as f32).sin()).collect();
        let answer = |seed| {
            let mut sampler = Sampler::new(Sampling { seed, ..Sampling::default() }, &[]);
            (0..20).map(|_| sampler.choose(&logits, None).unwrap().0).collect::<Vec<_>>()
        };
        assert_eq!(answer(3), answer(3));
        assert_ne!(answer(3), answer(4));
    }

    #[test]
    fn penalties_and_bias_move_logits() {
        let greedy = Sampling { temperature: 0.0, ..Sampling::default() };
        let after = |sampling: Sampling, prompt: &[LlamaToken], answer: &[i32]| {
            let mut sampler = Sampler::new(sampling, prompt);
            answer.iter().for_each(|token| sampler.accept(LlamaToken(*token)));
            sampler.choose(&LOGITS, None).unwrap().0
        };
        assert_eq!(after(Sampling { presence: 1.0, ..greedy.clone() }, &[], &[2]), 1);
        assert_eq!(after(Sampling { frequency: 0.5, ..greedy.clone() }, &[], &[2]), 2);
        assert_eq!(after(Sampling { frequency: 0.5, ..greedy.clone() }, &[], &[2, 2]), 1);
        // 1.386 / 3 = 0.462 is below 0.693.
        assert_eq!(after(Sampling { repetition: 3.0, ..greedy.clone() }, &[LlamaToken(2)], &[]), 1);
        assert_eq!(after(Sampling { presence: 1.0, ..greedy.clone() }, &[LlamaToken(2)], &[]), 2);
        let bias = Arc::from([(LlamaToken(0), 100.0)]);
        assert_eq!(after(Sampling { bias, ..greedy }, &[], &[]), 0);
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // The first outputs for the seed 1234567, from the reference implementation in C by Vigna.
        let mut random = SplitMix64(1_234_567);
        assert_eq!(
            [random.next(), random.next(), random.next()],
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }
}
