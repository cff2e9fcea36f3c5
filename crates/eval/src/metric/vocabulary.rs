//! Words and characters as small numbers, which are quick to compare and to count.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::LazyLock;

/// Numbers words in the order in which they come.
#[derive(Default)]
pub(crate) struct Vocabulary<'a>(HashMap<&'a str, u32, Folding>);

impl<'a> Vocabulary<'a> {
    /// With room for the words of texts of so many bytes.
    pub fn for_bytes(bytes: usize) -> Self {
        Self(HashMap::with_capacity_and_hasher((bytes / 8).min(1 << 16), Folding::default()))
    }

    /// The number of a word.
    pub fn number(&mut self, word: &'a str) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(word).or_insert(next)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// Numbers characters in the order in which they come.
pub(crate) struct Alphabet {
    ascii: [u32; 128],
    others: Table,
    len: u32,
}

impl Default for Alphabet {
    fn default() -> Self {
        Self { ascii: [u32::MAX; 128], others: Table::default(), len: 0 }
    }
}

impl Alphabet {
    /// The number of a character.
    pub fn number(&mut self, c: char) -> u32 {
        let next = self.len;
        let number = match self.ascii.get_mut(c as usize) {
            Some(slot) => {
                *slot = (*slot).min(next);
                *slot
            }
            None => self.others.insert(u64::from(u32::from(c)), next),
        };
        self.len += u32::from(number == next);
        number
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }
}

/// From keys to numbers: open addressing, for keys that are numbers themselves.
#[derive(Default)]
pub(crate) struct Table {
    slots: Vec<(u64, u32)>,
    used: usize,
    seed: u64,
}

/// No key: characters and pairs of numbers below 2³² − 1 are less.
const EMPTY: u64 = u64::MAX;

impl Table {
    /// Makes it empty, with room for so many keys.
    pub fn reset(&mut self, keys: usize) {
        self.slots.clear();
        self.slots.resize((keys * 2).next_power_of_two().max(16), (EMPTY, 0));
        self.used = 0;
        self.seed = *SEED;
    }

    /// The number of a key; `next` becomes it when there is none.
    pub fn insert(&mut self, key: u64, next: u32) -> u32 {
        if (self.used + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let slot = self.slot(key);
        if self.slots[slot].0 == EMPTY {
            self.slots[slot] = (key, next);
            self.used += 1;
        }
        self.slots[slot].1
    }

    /// The number of a key.
    pub fn find(&self, key: u64) -> Option<u32> {
        let slot = self.slot(key);
        (self.slots[slot].0 == key).then_some(self.slots[slot].1)
    }

    /// Where a key stands, or would.
    fn slot(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = fold(key ^ self.seed, MULTIPLIER) as usize & mask;
        while self.slots[slot].0 != key && self.slots[slot].0 != EMPTY {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.reset(old.len());
        for (key, number) in old.into_iter().filter(|&(key, _)| key != EMPTY) {
            let slot = self.slot(key);
            self.slots[slot] = (key, number);
            self.used += 1;
        }
    }
}

/// Another seed in each process, so that no text can be made that hits one slot again and again.
static SEED: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(0_u64));

/// 2⁶⁴ divided by the golden ratio, odd: Knuth, "The Art of Computer Programming" 3, section 6.4.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Both halves of a product, as wyhash mixes.
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    (product >> 64) as u64 ^ product as u64
}

/// A quick hash of short words with a seed.
#[derive(Clone)]
pub(crate) struct Folding(u64);

impl Default for Folding {
    fn default() -> Self {
        Self(*SEED)
    }
}

impl BuildHasher for Folding {
    type Hasher = FoldingHasher;

    fn build_hasher(&self) -> FoldingHasher {
        FoldingHasher(self.0)
    }
}

pub(crate) struct FoldingHasher(u64);

impl Hasher for FoldingHasher {
    fn write(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let word = u64::from_le_bytes(chunk.try_into().expect("a chunk of 8 has 8 bytes"));
            self.0 = fold(self.0 ^ word, MULTIPLIER);
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.0 = fold(self.0 ^ u64::from_le_bytes(last), MULTIPLIER ^ rest.len() as u64);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 = fold(self.0 ^ u64::from(byte), MULTIPLIER);
    }

    fn finish(&self) -> u64 {
        // The table takes its tag from the high bits and the place from the low ones.
        fold(self.0, MULTIPLIER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_in_order() {
        let mut words = Vocabulary::default();
        let numbers: Vec<u32> =
            ["b", "a", "b", "", "long enough for two steps", "a"].map(|word| words.number(word)).into();
        assert_eq!((numbers, words.len()), (vec![0, 1, 0, 2, 3, 1], 4));
        let mut letters = Alphabet::default();
        let numbers: Vec<u32> = "bäbaä漢".chars().map(|c| letters.number(c)).collect();
        assert_eq!((numbers, letters.len()), (vec![0, 1, 0, 2, 1, 3], 4));
    }

    #[test]
    fn a_table_grows() {
        let mut table = Table::default();
        table.reset(1);
        for key in 0..1_000 {
            assert_eq!(table.insert(key * 3, key as u32), key as u32);
        }
        assert!((0..1_000).all(|key| table.find(key * 3) == Some(key as u32) && table.find(key * 3 + 1).is_none()));
    }
}
