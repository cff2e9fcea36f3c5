//! The crash window: how long a finished span is not yet durable.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each doubling of time is divided into this many buckets, so a quantile is at most 1/16 too long.
const STEPS: usize = 16;
/// Doublings from one microsecond on: the last bucket ends at 2.4 hours.
const DOUBLINGS: usize = 30;

/// Counts durations in buckets that grow with them, without a lock.
pub(crate) struct Durations {
    buckets: Box<[AtomicU64]>,
    longest_us: AtomicU64,
}

/// How long spans were at risk of a crash since the start: from the end of the span until its commit was
/// acknowledged. Appended spans that finished elsewhere do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct CrashWindow {
    /// Spans measured.
    pub count: u64,
    /// Half of them were durable within this many milliseconds.
    pub p50_ms: f64,
    /// 99 of 100 were durable within this many milliseconds.
    pub p99_ms: f64,
    /// The longest, in milliseconds.
    pub max_ms: f64,
}

impl Durations {
    pub fn new() -> Self {
        let buckets = (0..STEPS * DOUBLINGS).map(|_| AtomicU64::new(0)).collect();
        Self { buckets, longest_us: AtomicU64::new(0) }
    }

    pub fn add(&self, duration: Duration) {
        let us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(us)].fetch_add(1, Ordering::Relaxed);
        self.longest_us.fetch_max(us, Ordering::Relaxed);
    }

    pub fn window(&self) -> CrashWindow {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let count = counts.iter().sum();
        let longest_us = self.longest_us.load(Ordering::Relaxed);
        let quantile_ms = |quantile: f64| quantile_us(&counts, count, quantile).min(longest_us) as f64 / 1e3;
        CrashWindow { count, p50_ms: quantile_ms(0.5), p99_ms: quantile_ms(0.99), max_ms: longest_us as f64 / 1e3 }
    }
}

/// Times below [`STEPS`] microseconds have a bucket each; above, the leading bits choose.
fn bucket(us: u64) -> usize {
    let steps = STEPS as u64;
    if us < steps {
        return us as usize;
    }
    let doubling = us.ilog2() - steps.ilog2();
    let step = (us >> doubling) - steps;
    ((doubling as usize + 1) * STEPS + step as usize).min(STEPS * DOUBLINGS - 1)
}

/// The last microsecond that falls into a bucket.
fn last_us(bucket: usize) -> u64 {
    let (doubling, step) = (bucket / STEPS, (bucket % STEPS) as u64);
    if doubling == 0 { step } else { ((STEPS as u64 + step + 1) << (doubling - 1)) - 1 }
}

fn quantile_us(counts: &[u64], count: u64, quantile: f64) -> u64 {
    let rank = (count as f64 * quantile).ceil() as u64;
    let mut seen = 0;
    let reached = counts.iter().position(|&in_bucket| {
        seen += in_bucket;
        seen >= rank.max(1)
    });
    reached.map_or(0, last_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_of_a_known_distribution() {
        let durations = Durations::new();
        assert_eq!(durations.window(), CrashWindow::default());
        for ms in 1..=1000 {
            durations.add(Duration::from_millis(ms));
        }
        let window = durations.window();
        assert_eq!((window.count, window.max_ms), (1000, 1000.0));
        assert!((500.0..=500.0 * 17.0 / 16.0).contains(&window.p50_ms), "{window:?}");
        assert!((990.0..=1000.0).contains(&window.p99_ms), "{window:?}");
    }

    proptest! {
        #[test]
        fn a_bucket_ends_at_most_a_sixteenth_after_what_is_in_it(us in 0u64..1 << 32) {
            let last = last_us(bucket(us));
            prop_assert!(us <= last && last <= us + us / 16, "{} {}", us, last);
            prop_assert_eq!(bucket(last), bucket(us));
            prop_assert_eq!(bucket(last + 1), bucket(us) + 1);
        }
    }
}
