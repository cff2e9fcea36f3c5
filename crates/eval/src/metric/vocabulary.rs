//! Words and characters as small numbers, which are quick to compare and to count.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

/// Numbers words in the order in which they come.
#[derive(Default)]
pub(crate) struct Vocabulary {
    table: Table,
    /// Words of over [`SHORT`] bytes, each with [`END`] behind it.
    long: Vec<u8>,
    /// Where each word stands there, if it does.
    starts: Vec<u32>,
}

/// Bytes of a word that fit into a key with their number.
const SHORT: usize = 7;
/// A byte that UTF-8 does not have.
const END: u8 = 0xff;

impl Vocabulary {
    /// With room for the words of texts of so many bytes.
    pub fn for_bytes(bytes: usize) -> Self {
        let words = (bytes / 8).min(1 << 16);
        let mut table = Table::default();
        table.reset(words);
        Self { table, long: Vec::with_capacity(words * 4), starts: Vec::with_capacity(words) }
    }

    /// The number of a word.
    pub fn number(&mut self, word: &str) -> u32 {
        let (word, next) = (word.as_bytes(), self.starts.len() as u32);
        if word.len() <= SHORT {
            let number = self.table.insert(packed(word), next);
            if number == next {
                self.starts.push(0);
            }
            return number;
        }
        let Self { table, long, starts } = self;
        let is_same = |number: u32| {
            let there = &long[starts[number as usize] as usize..];
            there.starts_with(word) && there[word.len()] == END
        };
        let number = table.insert_same(hashed(word), next, is_same);
        if number == next {
            starts.push(long.len() as u32);
            long.extend_from_slice(word);
            long.push(END);
        }
        number
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }
}

/// The bytes of a short word, and how many there are in the highest byte.
fn packed(word: &[u8]) -> u64 {
    let byte = |at: usize| u64::from(word[at]) << (8 * at);
    let four = |at: usize| u64::from(u32::from_le_bytes([word[at], word[at + 1], word[at + 2], word[at + 3]]));
    let bytes = match word.len() {
        0 => 0,
        n @ 1..4 => byte(0) | byte(n / 2) | byte(n - 1),
        n => four(0) | four(n - 4) << (8 * (n - 4)),
    };
    (word.len() as u64) << 56 | bytes
}

/// A hash of a long word; its highest byte is none of a short word's.
fn hashed(word: &[u8]) -> u64 {
    let eight = |at: usize| u64::from_le_bytes(word[at..at + 8].try_into().expect("eight bytes are eight"));
    let last = word.len() - 8;
    let whole = (0..last).step_by(8).fold(*SEED ^ word.len() as u64, |hash, at| fold(hash ^ eight(at), MULTIPLIER));
    fold(whole ^ eight(last), MULTIPLIER) >> 8 | (SHORT as u64 + 1) << 56
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

    /// The number of a character of ASCII.
    pub fn number_of_ascii(&mut self, byte: u8) -> u32 {
        let next = self.len;
        let slot = &mut self.ascii[usize::from(byte & 0x7f)];
        *slot = (*slot).min(next);
        self.len += u32::from(*slot == next);
        *slot
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len as usize
    }
}

/// From keys to numbers: open addressing, for keys that are numbers themselves.
#[derive(Default)]
pub(crate) struct Table {
    /// Keys with their numbers, as they came.
    entries: Vec<(u64, u32)>,
    /// Where an entry is, from 1; 0 for none. They are small, since they are emptied for each length of n-grams.
    slots: Vec<u32>,
    seed: u64,
}

impl Table {
    /// Makes it empty, with room for so many keys.
    pub fn reset(&mut self, keys: usize) {
        self.entries.clear();
        self.entries.reserve(keys);
        self.make_slots(keys);
    }

    fn make_slots(&mut self, keys: usize) {
        self.slots.clear();
        self.slots.resize((keys * 2).next_power_of_two().max(16), 0);
        self.seed = *SEED;
    }

    /// The number of a key; `next` becomes it when there is none.
    pub fn insert(&mut self, key: u64, next: u32) -> u32 {
        self.insert_same(key, next, |_| true)
    }

    /// The same of keys that may be alike where not `is_same`.
    fn insert_same(&mut self, key: u64, next: u32, is_same: impl Fn(u32) -> bool) -> u32 {
        if (self.entries.len() + 1) * 2 > self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = self.first(key);
        loop {
            let Some(entry) = self.slots[slot].checked_sub(1) else {
                self.entries.push((key, next));
                self.slots[slot] = self.entries.len() as u32;
                return next;
            };
            let (there, number) = self.entries[entry as usize];
            if there == key && is_same(number) {
                return number;
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The number of a key.
    pub fn find(&self, key: u64) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut slot = self.first(key);
        loop {
            let (there, number) = self.entries[self.slots[slot].checked_sub(1)? as usize];
            if there == key {
                return Some(number);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Where a key is looked for first.
    fn first(&self, key: u64) -> usize {
        fold(key ^ self.seed, MULTIPLIER) as usize & (self.slots.len() - 1)
    }

    fn grow(&mut self) {
        self.make_slots(self.slots.len());
        let mask = self.slots.len() - 1;
        for entry in 0..self.entries.len() {
            let mut slot = self.first(self.entries[entry].0);
            while self.slots[slot] > 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = entry as u32 + 1;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_in_order() {
        let mut words = Vocabulary::default();
        let numbers: Vec<u32> =
            ["b", "a", "b", "", "long enough for two steps", "a"].map(|word| words.number(word)).into();
        assert_eq!((numbers, words.len()), (vec![0, 1, 0, 2, 3, 1], 4));
        let mut all = Vocabulary::default();
        // One letter more or another at any place is another word; a zero byte is a byte.
        let grown: Vec<String> = (1..40).flat_map(|n| ["a", "b", "\0"].map(|last| "a".repeat(n - 1) + last)).collect();
        let numbers = |all: &mut Vocabulary| grown.iter().map(|word| all.number(word)).collect::<Vec<_>>();
        assert_eq!(numbers(&mut all), (0..117).collect::<Vec<_>>());
        assert_eq!(numbers(&mut all), (0..117).collect::<Vec<_>>());
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
