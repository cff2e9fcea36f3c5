//! Whether and when to try again.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, StatusCode};

use crate::Error;

/// How often, and how long to wait between attempts.
///
/// The wait before attempt *k* is drawn evenly from 0 to `min(cap, base · 2^(k-1))` ("full jitter": it spreads
/// clients that failed together best; Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015),
/// and is at least what `Retry-After` asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all; 1 means no retry.
    pub attempts: u32,
    /// The longest wait before the second attempt.
    pub base: Duration,
    /// No drawn wait is longer.
    pub cap: Duration,
    /// A `Retry-After` beyond this is not waited for: the answer is returned instead.
    pub retry_after_cap: Duration,
}

impl RetryPolicy {
    /// One attempt.
    pub const fn none() -> Self {
        Self { attempts: 1, ..Self::standard() }
    }

    /// Three attempts within a few seconds.
    pub const fn standard() -> Self {
        Self {
            attempts: 3,
            base: Duration::from_millis(250),
            cap: Duration::from_secs(8),
            retry_after_cap: Duration::from_secs(30),
        }
    }

    /// How long to wait after the failed attempt `attempt` (1 is the first), or none to give up.
    pub fn wait(&self, attempt: u32, retry_after: Option<Duration>) -> Option<Duration> {
        if attempt >= self.attempts || retry_after.is_some_and(|asked| asked > self.retry_after_cap) {
            return None;
        }
        let ceiling = self.base.saturating_mul(2_u32.saturating_pow(attempt - 1)).min(self.cap);
        let drawn = ceiling.mul_f64(rand::random());
        Some(drawn.max(retry_after.unwrap_or_default()))
    }
}

/// The statuses that a later attempt may change.
pub fn is_retryable_status(status: StatusCode) -> bool {
    // 529 is what several providers of models answer when overloaded.
    matches!(status.as_u16(), 408 | 429 | 500 | 502 | 503 | 504 | 529)
}

/// Whether a later attempt is safe: nothing was sent, or what was sent may be repeated.
pub fn is_retryable_error(error: &Error, method: &Method) -> bool {
    match error {
        Error::Connect { .. } | Error::Timeout { phase: crate::Phase::Connect, .. } => true,
        Error::Broken { .. } => method.is_safe(),
        _ => false,
    }
}

/// What `Retry-After` asks: seconds, or a date (RFC 9110, section 10.2.3).
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let until = chrono::DateTime::parse_from_rfc2822(text).ok()?;
            // A date that has passed asks for nothing.
            Some((until.to_utc() - chrono::Utc::now()).to_std().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())])
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(retry_after(&headers("7")), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("Sun, 06 Nov 1994 08:49:37 GMT")), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers("soon")), None);
        let date =
            (chrono::Utc::now() + chrono::TimeDelta::seconds(90)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let asked = retry_after(&headers(&date)).unwrap().as_secs();
        assert!((80..=90).contains(&asked), "{asked}");
    }

    proptest::proptest! {
        #[test]
        fn a_wait_is_bounded_and_honours_the_server(attempt in 1_u32..100, asked in proptest::option::of(0_u64..60)) {
            let policy = RetryPolicy { attempts: 50, ..RetryPolicy::standard() };
            let asked = asked.map(Duration::from_secs);
            match policy.wait(attempt, asked) {
                Some(wait) => {
                    proptest::prop_assert!(attempt < 50);
                    proptest::prop_assert!(wait >= asked.unwrap_or_default());
                    proptest::prop_assert!(wait <= policy.cap.max(asked.unwrap_or_default()));
                }
                None => proptest::prop_assert!(attempt >= 50 || asked > Some(policy.retry_after_cap)),
            }
        }
    }
}
