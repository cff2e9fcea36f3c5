//! Latencies of a run and their percentiles.

use std::fmt;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::connection::Answered;

/// One request's outcome.
pub(crate) struct Sample {
    /// From the intended start to the first and last byte; `None` for a failure.
    latency: Option<(Duration, Duration)>,
    at: Instant,
}

impl Sample {
    pub fn answered(intended: Instant, answered: &Answered) -> Self {
        Self { latency: Some((answered.first - intended, answered.last - intended)), at: answered.last }
    }

    pub fn failed() -> Self {
        Self { latency: None, at: Instant::now() }
    }
}

/// All samples within the measured time.
pub(crate) struct Samples {
    begin: Instant,
    measured: Duration,
    first_us: Vec<u32>,
    last_us: Vec<u32>,
    errors: u64,
}

impl Default for Samples {
    fn default() -> Self {
        Self::new(Instant::now(), Duration::ZERO)
    }
}

impl Samples {
    /// Samples that count from `begin` for `measured`.
    pub fn new(begin: Instant, measured: Duration) -> Self {
        Self { begin, measured, first_us: Vec::new(), last_us: Vec::new(), errors: 0 }
    }

    /// Adds a sample unless it falls outside the measured time.
    pub fn add(&mut self, sample: Sample) {
        if sample.at < self.begin || sample.at > self.begin + self.measured {
            return;
        }
        match sample.latency {
            None => self.errors += 1,
            Some((first, last)) => {
                self.first_us.push(micros(first));
                self.last_us.push(micros(last));
            }
        }
    }

    /// What the run has shown.
    pub fn summary(mut self, connections: usize, rate: Option<f64>) -> Summary {
        self.first_us.sort_unstable();
        self.last_us.sort_unstable();
        let requests = self.last_us.len();
        Summary(json!({
            "connections": connections,
            "rate_asked": rate,
            "seconds": self.measured.as_secs_f64(),
            "requests": requests,
            "errors": self.errors,
            "requests_per_s": requests as f64 / self.measured.as_secs_f64(),
            "latency_us": percentiles(&self.last_us),
            "first_byte_us": percentiles(&self.first_us),
        }))
    }
}

pub(crate) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

pub(crate) fn percentiles(sorted_us: &[u32]) -> serde_json::Value {
    let at = |q: f64| percentile(sorted_us, q);
    json!({"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p99_9": at(0.999), "max": at(1.0)})
}

/// The smallest value that at least the share `q` of all values does not exceed (nearest rank); `None` of nothing.
fn percentile(sorted: &[u32], q: f64) -> Option<u32> {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

/// One JSON object.
pub(crate) struct Summary(serde_json::Value);

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        // The worked example of the nearest-rank method: 15, 20, 35, 40, 50.
        let sorted = [15, 20, 35, 40, 50];
        let check = |q, expected| assert_eq!(percentile(&sorted, q), Some(expected), "at {q}");
        check(0.05, 15);
        check(0.30, 20);
        check(0.40, 20);
        check(0.50, 35);
        check(1.00, 50);
        assert_eq!(percentile(&[], 0.5), None);
    }
}
