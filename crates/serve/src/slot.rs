//! Where a sequence runs, and whose cache it can start from.

use llama_cpp_2::token::LlamaToken;

use crate::task::Task;

/// One sequence of the key-value cache.
pub(crate) struct Slot {
    /// llama.cpp's sequence id.
    pub sequence: i32,
    /// The tokens whose keys and values are in the cache, from position 0 on.
    pub computed: Vec<LlamaToken>,
    pub task: Option<Task>,
    /// When a task last ended here, in admissions; 0 when never.
    pub last_used: u64,
}

impl Slot {
    pub fn new(sequence: i32) -> Self {
        Self { sequence, computed: Vec::new(), task: None, last_used: 0 }
    }

    /// Tokens that the running task still has to compute.
    pub fn remaining(&self) -> usize {
        self.task.as_ref().map_or(0, |task| task.tokens.len() - self.computed.len())
    }
}

/// Where a waiting sequence can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// All slots are busy.
    Full,
    /// A running sequence is just reading a prompt that starts the same: copying it later is cheaper than
    /// reading it twice.
    Later,
    /// Into `slot`, with the first `shared` tokens taken from the cache of `source` (which may be `slot`).
    At { slot: usize, source: usize, shared: usize },
}

/// A prefix that saves less than this is not worth waiting for.
const WORTH_WAITING_TOKENS: usize = 32;

/// Finds a slot for `prompt`: the longest prefix that some cache has, in the free slot that loses least.
pub(crate) fn place(prompt: &[LlamaToken], slots: &[Slot]) -> Placement {
    let free = slots.iter().enumerate().filter(|(_, slot)| slot.task.is_none());
    let Some((oldest, _)) = free.min_by_key(|(_, slot)| slot.last_used) else { return Placement::Full };
    // The last token is always computed, since its logits choose the first token of the answer.
    let reusable = prompt.len().saturating_sub(1);
    let shared = |tokens: &[LlamaToken]| common_prefix(tokens, prompt).min(reusable);
    let (best, have) = slots
        .iter()
        .enumerate()
        .map(|(place, slot)| (place, shared(&slot.computed)))
        .max_by_key(|(place, length)| (*length, *place == oldest))
        .unwrap_or((oldest, 0));
    let coming = slots.iter().filter_map(|slot| slot.task.as_ref()).map(|task| shared(&task.tokens)).max();
    if coming.unwrap_or(0) >= have + WORTH_WAITING_TOKENS {
        return Placement::Later;
    }
    Placement::At { slot: target(slots, best, have, oldest), source: best, shared: have }
}

/// The slot to run in: the one with the shared prefix, cutting off what follows it there, or the least
/// recently used one with a copy of the prefix, whichever loses fewer cached tokens.
fn target(slots: &[Slot], best: usize, shared: usize, oldest: usize) -> usize {
    let lost_in_place = slots[best].computed.len() - shared;
    if slots[best].task.is_none() && lost_in_place <= slots[oldest].computed.len() { best } else { oldest }
}

fn common_prefix(a: &[LlamaToken], b: &[LlamaToken]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::test_task;

    fn tokens(ids: std::ops::Range<i32>) -> Vec<LlamaToken> {
        ids.map(LlamaToken).collect()
    }

    fn idle(computed: Vec<LlamaToken>, last_used: u64) -> Slot {
        Slot { computed, last_used, ..Slot::new(0) }
    }

    fn busy(computed: Vec<LlamaToken>, prompt: Vec<LlamaToken>) -> Slot {
        Slot { computed, task: Some(test_task(&prompt)), ..Slot::new(0) }
    }

    #[test]
    fn a_conversation_that_goes_on_stays_in_its_slot() {
        let slots = [idle(tokens(0..10), 5), idle(vec![], 0)];
        assert_eq!(place(&tokens(0..20), &slots), Placement::At { slot: 0, source: 0, shared: 10 });
    }

    #[test]
    fn a_shared_beginning_is_copied_when_cutting_would_lose_more() {
        let slots = [idle(tokens(0..100), 5), idle(tokens(500..520), 1)];
        let mut prompt = tokens(0..50);
        prompt.extend(tokens(900..910));
        assert_eq!(place(&prompt, &slots), Placement::At { slot: 1, source: 0, shared: 50 });
    }

    #[test]
    fn a_shared_beginning_is_cut_when_copying_would_lose_more() {
        let slots = [idle(tokens(0..55), 5), idle(tokens(500..600), 1)];
        let mut prompt = tokens(0..50);
        prompt.extend(tokens(900..910));
        assert_eq!(place(&prompt, &slots), Placement::At { slot: 0, source: 0, shared: 50 });
    }

    #[test]
    fn a_running_sequence_lends_its_prefix() {
        let slots = [busy(tokens(0..60), tokens(0..60)), idle(vec![], 0)];
        assert_eq!(place(&tokens(0..60), &slots), Placement::At { slot: 1, source: 0, shared: 59 });
    }

    #[test]
    fn a_prefix_that_is_being_read_is_awaited() {
        let slots = [busy(tokens(0..8), tokens(0..60)), idle(vec![], 0)];
        assert_eq!(place(&tokens(0..60), &slots), Placement::Later);
        assert_eq!(place(&tokens(0..30), &slots), Placement::At { slot: 1, source: 0, shared: 8 });
    }

    #[test]
    fn busy_slots_are_full() {
        assert_eq!(place(&tokens(0..5), &[busy(vec![], tokens(0..5))]), Placement::Full);
    }
}
