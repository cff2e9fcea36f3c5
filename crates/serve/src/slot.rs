//! Where a sequence runs, and whose cache it can start from.

use llama_cpp_2::token::LlamaToken;

use crate::task::Task;

/// One sequence of the key-value cache.
pub(crate) struct Slot {
    /// llama.cpp's sequence id.
    pub sequence: i32,
    /// The tokens whose keys and values are in the cache, from position 0 on; none when nothing runs here.
    pub computed: Vec<LlamaToken>,
    pub task: Option<Task>,
}

impl Slot {
    pub fn new(sequence: i32) -> Self {
        Self { sequence, computed: Vec::new(), task: None }
    }

    /// Tokens that the running task still has to compute.
    pub fn remaining(&self) -> usize {
        self.task.as_ref().map_or(0, |task| task.tokens.len() - self.computed.len())
    }

    /// Whether one token is missing until the next of an answer is chosen.
    pub fn needs_one(&self) -> bool {
        self.remaining() == 1 && self.task.as_ref().is_some_and(|task| !task.work.only_scores())
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
    /// Into `slot`, with what another sequence has computed.
    At { slot: usize, prefix: Option<Prefix> },
}

/// A beginning that need not be computed: the first `length` tokens of what `source` has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prefix {
    pub source: Source,
    pub length: usize,
}

/// Whose cache a sequence can start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The sequence that runs in this slot.
    Running(usize),
    /// The copy at this place of [`Prefixes`](crate::prefixes::Prefixes).
    Kept(usize),
}

/// A prefix that saves less than this is not worth waiting for.
const WORTH_WAITING_TOKENS: usize = 32;
/// Moving this many tokens of a kept cache takes at most as long as computing one: for a model of 135
/// million weights it is 3 microseconds against 4 milliseconds, and larger models compute more for each byte.
const MOVED_FOR_ONE_COMPUTED: usize = 100;

/// Finds a slot for `prompt`, and the running sequence or kept cache that spares it most computing.
pub(crate) fn place<'a>(
    prompt: &[LlamaToken],
    slots: &[Slot],
    kept: impl Iterator<Item = &'a [LlamaToken]>,
) -> Placement {
    let Some(slot) = slots.iter().position(|slot| slot.task.is_none()) else { return Placement::Full };
    // The last token is always computed, since its logits choose the first token of the answer.
    let reusable = &prompt[..prompt.len().saturating_sub(1)];
    let running = slots.iter().enumerate().map(|(place, slot)| {
        // Cells of a running sequence are shared, nothing moves.
        (Prefix { source: Source::Running(place), length: common_prefix(&slot.computed, reusable) }, 0)
    });
    let kept = kept.enumerate().map(|(place, tokens)| {
        // A kept cache is restored as a whole, then cut.
        (Prefix { source: Source::Kept(place), length: common_prefix(tokens, reusable) }, tokens.len())
    });
    let gain = |prefix: Prefix, moved: usize| (prefix.length * MOVED_FOR_ONE_COMPUTED).saturating_sub(moved);
    let prefix = running
        .chain(kept)
        .max_by_key(|(prefix, moved)| gain(*prefix, *moved))
        .and_then(|(prefix, moved)| (gain(prefix, moved) > 0).then_some(prefix));
    let have = prefix.map_or(0, |prefix| prefix.length);
    let reading = slots.iter().filter_map(|slot| slot.task.as_ref());
    let coming = reading.map(|task| common_prefix(&task.tokens, reusable)).max();
    if coming.unwrap_or(0) >= have + WORTH_WAITING_TOKENS {
        return Placement::Later;
    }
    Placement::At { slot, prefix }
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

    fn free() -> Slot {
        Slot::new(0)
    }

    fn busy(computed: Vec<LlamaToken>, prompt: Vec<LlamaToken>) -> Slot {
        Slot { computed, task: Some(test_task(&prompt)), ..Slot::new(0) }
    }

    fn placed(prompt: &[LlamaToken], slots: &[Slot], kept: &[Vec<LlamaToken>]) -> Placement {
        place(prompt, slots, kept.iter().map(Vec::as_slice))
    }

    fn at(slot: usize, source: Source, length: usize) -> Placement {
        Placement::At { slot, prefix: Some(Prefix { source, length }) }
    }

    #[test]
    fn a_conversation_that_goes_on_finds_its_cache() {
        let kept = [tokens(500..600), tokens(0..10)];
        assert_eq!(placed(&tokens(0..20), &[free()], &kept), at(0, Source::Kept(1), 10));
        assert_eq!(placed(&tokens(0..10), &[free()], &kept), at(0, Source::Kept(1), 9));
        assert_eq!(placed(&tokens(700..720), &[free()], &kept), Placement::At { slot: 0, prefix: None });
    }

    #[test]
    fn the_longest_common_beginning_is_taken_unless_moving_it_costs_more() {
        let with_end = |length: i32, end: std::ops::Range<i32>| [tokens(0..length), tokens(end)].concat();
        let kept = [with_end(30, 900..910), with_end(50, 800..810), with_end(51, 2000..4000)];
        assert_eq!(placed(&tokens(0..100), &[free()], &kept[..2]), at(0, Source::Kept(1), 50));
        // One more token, for two thousand that are restored and cut off.
        assert_eq!(placed(&tokens(0..100), &[free()], &kept), at(0, Source::Kept(1), 50));
        let longer = [tokens(0..1), tokens(2000..4000)].concat();
        assert_eq!(placed(&tokens(0..100), &[free()], &[longer]), Placement::At { slot: 0, prefix: None });
    }

    #[test]
    fn a_running_sequence_lends_its_prefix() {
        let slots = [busy(tokens(0..60), tokens(0..60)), free()];
        assert_eq!(placed(&tokens(0..60), &slots, &[]), at(1, Source::Running(0), 59));
        assert_eq!(placed(&tokens(0..60), &slots, &[tokens(0..60)]), at(1, Source::Running(0), 59));
    }

    #[test]
    fn a_prefix_that_is_being_read_is_awaited() {
        let slots = [busy(tokens(0..8), tokens(0..60)), free()];
        assert_eq!(placed(&tokens(0..60), &slots, &[]), Placement::Later);
        assert_eq!(placed(&tokens(0..30), &slots, &[]), at(1, Source::Running(0), 8));
        assert_eq!(placed(&tokens(0..60), &slots, &[tokens(0..50)]), at(1, Source::Kept(0), 50));
    }

    #[test]
    fn busy_slots_are_full() {
        assert_eq!(placed(&tokens(0..5), &[busy(vec![], tokens(0..5))], &[]), Placement::Full);
    }
}
