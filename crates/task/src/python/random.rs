//! `random.Random(seed)`: the Mersenne Twister as CPython seeds it and samples with it, so that one seed draws the same
//! examples here and there.
//!
//! Matsumoto and Nishimura, "Mersenne Twister: A 623-dimensionally equidistributed uniform pseudorandom number generator",
//! ACM TOMACS 8 (1998), by their `mt19937ar.c`; seeding and output as in CPython 3.11, `Modules/_randommodule.c`, sampling as
//! in its `Lib/random.py`.

use std::collections::HashSet;

const N: usize = 624;
const M: usize = 397;

/// A generator.
pub(crate) struct Random {
    state: Box<[u32; N]>,
    next: usize,
}

impl Random {
    /// `random.Random(seed)` for a whole number: `init_by_array` over its 32-bit digits, the lowest first.
    pub(crate) fn new(seed: u64) -> Self {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let mut random = Self::by_one_number(19_650_218);
        let digits = [low, high];
        random.mix(if high == 0 { &digits[..1] } else { &digits });
        random
    }

    /// `init_genrand`.
    fn by_one_number(seed: u32) -> Self {
        let mut state = Box::new([0; N]);
        state[0] = seed;
        for i in 1..N {
            let before = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: N }
    }

    /// The two loops of `init_by_array`.
    fn mix(&mut self, key: &[u32]) {
        let state = &mut self.state;
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let before = state[i - 1];
            state[i] = (state[i] ^ (before ^ (before >> 30)).wrapping_mul(1_664_525))
                .wrapping_add(key[j])
                .wrapping_add(j as u32);
            i += 1;
            if i == N {
                state[0] = state[N - 1];
                i = 1;
            }
            j = (j + 1) % key.len();
        }
        for _ in 0..N - 1 {
            let before = state[i - 1];
            state[i] = (state[i] ^ (before ^ (before >> 30)).wrapping_mul(1_566_083_941)).wrapping_sub(i as u32);
            i += 1;
            if i == N {
                state[0] = state[N - 1];
                i = 1;
            }
        }
        state[0] = 0x8000_0000;
    }

    /// `genrand_uint32`: 32 bits.
    fn bits(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }

    /// `random.random()`: 53 bits below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        let (a, b) = (self.bits() >> 5, self.bits() >> 6);
        (f64::from(a) * 67_108_864.0 + f64::from(b)) / 9_007_199_254_740_992.0
    }

    /// One draw of `random.choices` without weights from `n`: `floor(random() * n)`.
    pub(crate) fn choice(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    /// `_randbelow_with_getrandbits(n)` for `n` from 1 to below 2³².
    fn below(&mut self, n: usize) -> usize {
        let shift = (n as u32).leading_zeros();
        loop {
            let drawn = (self.bits() >> shift) as usize;
            if drawn < n {
                return drawn;
            }
        }
    }

    /// The places that `random.sample(range(n), k)` draws; none where `k` is above `n`, for which Python raises.
    pub(crate) fn sample(&mut self, n: usize, k: usize) -> Option<Vec<usize>> {
        if k > n || u32::try_from(n).is_err() {
            return None;
        }
        // The size of a small set minus that of an empty list, as CPython says: below it a list is cheaper than a set.
        let mut set_size = 21;
        if k > 5 {
            set_size += 4_usize.pow(((k * 3) as f64).log(4.0).ceil() as u32);
        }
        Some(if n <= set_size { self.sample_of_list(n, k) } else { self.sample_by_set(n, k) })
    }

    fn sample_of_list(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut pool: Vec<usize> = (0..n).collect();
        let mut drawn = Vec::with_capacity(k);
        for i in 0..k {
            let j = self.below(n - i);
            drawn.push(pool[j]);
            pool[j] = pool[n - i - 1];
        }
        drawn
    }

    fn sample_by_set(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut selected = HashSet::with_capacity(k);
        let mut drawn = Vec::with_capacity(k);
        while drawn.len() < k {
            let j = self.below(n);
            if selected.insert(j) {
                drawn.push(j);
            }
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All from CPython 3.11.7, `random.Random(seed)`.
    #[test]
    fn it_draws_what_cpython_draws() {
        let mut random = Random::new(1234);
        assert_eq!([random.bits(), random.bits()], BITS_OF_1234);
        assert_eq!(Random::new(0).unit(), 0.844_421_851_525_048_1);
        assert_eq!(Random::new(1 << 40).unit(), UNIT_OF_2_POW_40);
        let mut random = Random::new(1234);
        assert_eq!(random.sample(7473, 5).unwrap(), SAMPLE_5_OF_7473);
        assert_eq!(random.sample(7473, 5).unwrap(), NEXT_5_OF_7473);
        assert_eq!(random.sample(21, 5).unwrap(), THEN_5_OF_21);
        assert_eq!(random.sample(80, 8).unwrap(), THEN_8_OF_80);
        assert_eq!(random.sample(3, 3).unwrap(), THEN_3_OF_3);
        assert!(random.sample(3, 4).is_none());
        let mut random = Random::new(7);
        assert_eq!([(); 8].map(|()| random.choice(10)), CHOICES_OF_7);
    }

    const BITS_OF_1234: [u32; 2] = [4_150_886_329, 3_342_196_574];
    const UNIT_OF_2_POW_40: f64 = 0.1036394562812375;
    const SAMPLE_5_OF_7473: [usize; 5] = [6374, 3610, 957, 61, 742];
    const NEXT_5_OF_7473: [usize; 5] = [7462, 6610, 4769, 286, 5501];
    const THEN_5_OF_21: [usize; 5] = [2, 3, 11, 7, 0];
    const THEN_8_OF_80: [usize; 8] = [3, 2, 44, 61, 59, 19, 11, 23];
    const THEN_3_OF_3: [usize; 3] = [2, 0, 1];
    const CHOICES_OF_7: [usize; 8] = [3, 1, 6, 0, 5, 3, 0, 5];
}
