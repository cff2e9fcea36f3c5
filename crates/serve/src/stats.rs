//! What a model has done and is doing, as counters that its thread writes and anyone reads.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Counters and gauges of one model since it was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ModelStats {
    /// Sequences that are being computed.
    pub slots_busy: u64,
    /// Sequences that wait for a slot.
    pub queue_length: u64,
    /// Sequences that ended, for whatever reason.
    pub finished: u64,
    /// Sequences that were cancelled by their client.
    pub cancelled: u64,
    /// Prompt tokens of all requests.
    pub prompt_tokens: u64,
    /// Prompt tokens that were not computed because an earlier request had.
    pub cached_tokens: u64,
    /// Generated tokens.
    pub completion_tokens: u64,
    /// Steps computed.
    pub steps: u64,
    /// Time spent computing steps.
    pub busy_ms: u64,
    /// Generated tokens per second of computing, recent steps weighing most.
    pub completion_tokens_per_s: f64,
    /// Bytes of the model's weights.
    pub model_bytes: u64,
    /// Bytes of host memory that hold what ended requests have computed, for later ones that start alike.
    pub prefix_bytes: u64,
}

/// The live form of [`ModelStats`]. Relaxed ordering: these are numbers to look at, nothing is decided by them.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub slots_busy: AtomicU64,
    pub finished: AtomicU64,
    pub cancelled: AtomicU64,
    pub prompt_tokens: AtomicU64,
    pub cached_tokens: AtomicU64,
    pub completion_tokens: AtomicU64,
    pub steps: AtomicU64,
    pub busy_us: AtomicU64,
    pub model_bytes: AtomicU64,
    pub prefix_bytes: AtomicU64,
    /// `f64::to_bits` of the smoothed rate.
    rate_bits: AtomicU64,
}

/// What a refused client is told to wait at least and at most, whatever the estimate is.
const RETRY_AFTER_MS: std::ops::RangeInclusive<u64> = 100..=30_000;

/// Weight of the newest step in the smoothed rate: about the last twenty steps count.
const RATE_WEIGHT: f64 = 0.05;

impl Counters {
    pub fn add(counter: &AtomicU64, amount: usize) {
        counter.fetch_add(amount as u64, Ordering::Relaxed);
    }

    pub fn set(gauge: &AtomicU64, value: usize) {
        gauge.store(value as u64, Ordering::Relaxed);
    }

    /// Counts one step that generated `tokens` in `elapsed`.
    pub fn step(&self, elapsed: std::time::Duration, tokens: usize) {
        Self::add(&self.steps, 1);
        self.busy_us.fetch_add(elapsed.as_micros() as u64, Ordering::Relaxed);
        Self::add(&self.completion_tokens, tokens);
        let now = tokens as f64 / elapsed.as_secs_f64().max(1e-6);
        let before = f64::from_bits(self.rate_bits.load(Ordering::Relaxed));
        let smoothed = if before == 0.0 { now } else { before + RATE_WEIGHT * (now - before) };
        self.rate_bits.store(smoothed.to_bits(), Ordering::Relaxed);
    }

    /// When a place will be free, by the mean computing time of the sequences so far: each slot ends one in
    /// that time, and `taken` of them share `slots`.
    pub fn retry_after_ms(&self, taken: usize, slots: usize) -> u64 {
        let stats = self.read();
        let mean_ms = stats.busy_ms / stats.finished.max(1);
        (mean_ms * taken as u64 / slots.max(1) as u64).clamp(*RETRY_AFTER_MS.start(), *RETRY_AFTER_MS.end())
    }

    pub fn read(&self) -> ModelStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ModelStats {
            slots_busy: get(&self.slots_busy),
            queue_length: 0,
            finished: get(&self.finished),
            cancelled: get(&self.cancelled),
            prompt_tokens: get(&self.prompt_tokens),
            cached_tokens: get(&self.cached_tokens),
            completion_tokens: get(&self.completion_tokens),
            steps: get(&self.steps),
            busy_ms: get(&self.busy_us) / 1000,
            completion_tokens_per_s: f64::from_bits(get(&self.rate_bits)),
            model_bytes: get(&self.model_bytes),
            prefix_bytes: get(&self.prefix_bytes),
        }
    }
}
