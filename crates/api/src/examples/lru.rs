//! Values within a budget of bytes; those used longest ago go first.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// What an entry takes beside its value: its key twice, and its places in both maps.
const ENTRY_BYTES: usize = 256;

/// Values within a budget of bytes.
pub(crate) struct Lru<K, V> {
    limit_bytes: usize,
    size_bytes: usize,
    /// How often something was used: the time by which uses are ordered.
    uses: u64,
    held: HashMap<K, Held<V>>,
    by_use: BTreeMap<u64, K>,
}

struct Held<V> {
    value: V,
    size_bytes: usize,
    used: u64,
}

impl<K: Hash + Eq + Clone, V: Clone> Lru<K, V> {
    /// Nothing yet, and at most so much.
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, size_bytes: 0, uses: 0, held: HashMap::new(), by_use: BTreeMap::new() }
    }

    /// The value of a key, which counts as used now.
    pub fn get(&mut self, key: &K) -> Option<V> {
        self.uses += 1;
        let held = self.held.get_mut(key)?;
        let before = std::mem::replace(&mut held.used, self.uses);
        if let Some(key) = self.by_use.remove(&before) {
            self.by_use.insert(self.uses, key);
        }
        Some(held.value.clone())
    }

    /// Keeps a value of about so many bytes, in the place of one that its key had. What is larger than the whole budget is
    /// not kept.
    pub fn put(&mut self, key: K, value: V, size_bytes: usize) {
        let size_bytes = size_bytes.saturating_add(ENTRY_BYTES);
        self.drop_key(&key);
        if size_bytes > self.limit_bytes {
            return;
        }
        while self.size_bytes > self.limit_bytes - size_bytes {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.drop_key(&oldest);
        }
        self.uses += 1;
        self.size_bytes += size_bytes;
        self.by_use.insert(self.uses, key.clone());
        self.held.insert(key, Held { value, size_bytes, used: self.uses });
    }

    fn drop_key(&mut self, key: &K) {
        if let Some(held) = self.held.remove(key) {
            self.size_bytes -= held.size_bytes;
            self.by_use.remove(&held.used);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Room for three values of 100 bytes with what each takes beside.
    fn three() -> Lru<&'static str, u32> {
        Lru::new(3 * (100 + ENTRY_BYTES))
    }

    fn held(lru: &Lru<&'static str, u32>) -> Vec<&'static str> {
        lru.by_use.values().copied().collect()
    }

    #[test]
    fn the_budget_holds_and_what_was_used_longest_ago_goes() {
        let mut lru = three();
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            lru.put(key, value, 100);
        }
        assert_eq!(lru.get(&"a"), Some(1));
        lru.put("d", 4, 100);
        assert_eq!((held(&lru), lru.get(&"b")), (vec!["c", "a", "d"], None));
        // One of 300 bytes takes the room of two: 300 + 256 is more than 2 × 356 − 356 and less than 2 × 356.
        lru.put("e", 5, 300);
        assert_eq!(held(&lru), ["d", "e"]);
        assert_eq!((lru.held.len(), lru.size_bytes), (2, 100 + 300 + 2 * ENTRY_BYTES));
    }

    #[test]
    fn a_key_has_one_value_and_what_is_too_large_is_not_kept() {
        let mut lru = three();
        lru.put("a", 1, 100);
        lru.put("a", 2, 50);
        assert_eq!((lru.get(&"a"), lru.size_bytes, lru.by_use.len()), (Some(2), 50 + ENTRY_BYTES, 1));
        lru.put("b", 3, 3 * (100 + ENTRY_BYTES));
        assert_eq!((lru.get(&"b"), lru.get(&"a")), (None, Some(2)));
    }
}
