//! Random numbers that are the same on every machine for one seed.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A generator of known numbers: ChaCha with 8 rounds, whose output is specified, unlike that of "the standard generator".
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A whole number below `n`, which is at most 2³²: the high half of a product. It is off by at most 2⁻³².
    ///
    /// Lemire, "Fast Random Integer Generation in an Interval", ACM TOMACS 29 (2019), without its rejection.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }
}
