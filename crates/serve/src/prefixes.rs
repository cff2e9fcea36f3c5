//! The caches of sequences that have ended, in host memory, for later requests that start alike.
//!
//! They are not left in the cells of the key-value cache, because llama.cpp's attention on the processor
//! looks at every cell up to the last used one, whosever it is: a full cache slows all that run.

use std::collections::VecDeque;

use llama_cpp_2::token::LlamaToken;

/// Copies of caches within a budget of bytes; those used longest ago are forgotten first. `S` is what is
/// copied from llama.cpp.
pub(crate) struct Prefixes<S> {
    /// Most recently used last.
    entries: VecDeque<Entry<S>>,
    bytes: usize,
    limit_bytes: usize,
}

struct Entry<S> {
    tokens: Vec<LlamaToken>,
    state: S,
    bytes: usize,
}

impl<S> Prefixes<S> {
    pub fn new(limit_bytes: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, limit_bytes }
    }

    /// Bytes of all copies.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The tokens of each copy, in the places that [`Prefixes::take_up`] knows.
    pub fn tokens(&self) -> impl Iterator<Item = &[LlamaToken]> {
        self.entries.iter().map(|entry| entry.tokens.as_slice())
    }

    /// The copy at `place`, which counts as used now. Changes the places of others.
    pub fn take_up(&mut self, place: usize) -> Option<(&[LlamaToken], &S)> {
        let entry = self.entries.remove(place)?;
        self.entries.push_back(entry);
        self.entries.back().map(|entry| (entry.tokens.as_slice(), &entry.state))
    }

    /// Keeps what `save` copies of the cache of `tokens`, unless a copy has all of them already, it takes
    /// more than the whole budget or saving fails. A copy that the new one goes on from is replaced by it.
    pub fn keep(&mut self, tokens: Vec<LlamaToken>, bytes: usize, save: impl FnOnce() -> Option<S>) {
        if tokens.is_empty() || bytes == 0 || bytes > self.limit_bytes {
            return;
        }
        let held = self.tokens().position(|held| held.starts_with(&tokens));
        if let Some(place) = held {
            self.take_up(place);
            return;
        }
        self.entries.retain(|entry| !tokens.starts_with(&entry.tokens));
        self.bytes = self.entries.iter().map(|entry| entry.bytes).sum();
        // Before copying, so that the budget holds at every moment.
        while self.bytes > self.limit_bytes - bytes {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
        if let Some(state) = save() {
            self.entries.push_back(Entry { tokens, state, bytes });
            self.bytes += bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(ids: std::ops::Range<i32>) -> Vec<LlamaToken> {
        ids.map(LlamaToken).collect()
    }

    /// A store of 100 bytes with these copies, each token one byte.
    fn store(all: &[std::ops::Range<i32>]) -> Prefixes<()> {
        let mut prefixes = Prefixes::new(100);
        for ids in all {
            prefixes.keep(tokens(ids.clone()), ids.len(), || Some(()));
        }
        prefixes
    }

    fn held(prefixes: &Prefixes<()>) -> Vec<(i32, usize)> {
        prefixes.tokens().map(|tokens| (tokens[0].0, tokens.len())).collect()
    }

    #[test]
    fn the_budget_holds_and_the_oldest_go_first() {
        let prefixes = store(&[0..40, 100..140, 200..250]);
        assert_eq!((held(&prefixes), prefixes.bytes()), (vec![(100, 40), (200, 50)], 90));
        let prefixes = store(&[0..40, 100..140, 200..300]);
        assert_eq!((held(&prefixes), prefixes.bytes()), (vec![(200, 100)], 100));
    }

    #[test]
    fn what_is_taken_up_stays_and_is_kept_longer() {
        let mut prefixes = store(&[0..40, 100..140]);
        assert_eq!(prefixes.take_up(0).map(|(held, ())| held.to_vec()), Some(tokens(0..40)));
        assert!(prefixes.take_up(2).is_none());
        prefixes.keep(tokens(200..230), 30, || Some(()));
        assert_eq!(held(&prefixes), [(0, 40), (200, 30)]);
    }

    #[test]
    fn a_sequence_that_goes_on_replaces_its_beginning() {
        let prefixes = store(&[0..40, 100..120, 0..60]);
        assert_eq!((held(&prefixes), prefixes.bytes()), (vec![(100, 20), (0, 60)], 80));
    }

    #[test]
    fn what_is_held_already_is_not_copied_again() {
        let mut prefixes = store(&[0..40, 100..120]);
        prefixes.keep(tokens(0..30), 30, || panic!("it is held"));
        assert_eq!(held(&prefixes), [(100, 20), (0, 40)]);
    }

    #[test]
    fn what_cannot_be_kept_is_forgotten() {
        let mut prefixes = store(std::slice::from_ref(&(0..40)));
        prefixes.keep(tokens(100..201), 101, || panic!("it is too large"));
        prefixes.keep(tokens(200..210), 0, || panic!("there is nothing to copy"));
        prefixes.keep(tokens(300..310), 10, || None);
        assert_eq!((held(&prefixes), prefixes.bytes()), (vec![(0, 40)], 40));
        let mut none = Prefixes::new(0);
        none.keep(tokens(0..1), 1, || Some(()));
        assert_eq!(held(&none), []);
    }
}
