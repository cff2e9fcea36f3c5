//! Calls of jobs: nobody waits at the other end, so a busy upstream is waited for longer, and what is paid is counted.
//!
//! [`ask`] makes one call and says of one that failed whether that was the model's word or the way to it; a [`Ledger`] counts
//! against a [`Budget`].

mod ledger;

use std::time::{Duration, Instant};

use bytes::Bytes;
use qd_base::{Picodollars, Usage};
use serde::Deserialize;
use serde_json::Value;

pub use self::ledger::{Budget, Ledger, Spent};
use crate::answer::{Answer, Served};
use crate::call::Endpoint;
use crate::context::CallContext;
use crate::error::Error;
use crate::gateway::Gateway;

/// How long an upstream that is busy is waited for before the call counts as failed.
const PATIENCE: Duration = Duration::from_secs(300);
/// The shortest wait before asking again, and the longest.
const WAITS_MS: (u64, u64) = (200, 20_000);
/// Characters of an error that are kept.
const LONGEST_ERROR_CHARS: usize = 2_000;

/// A call that was answered.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The answer, one JSON document.
    pub body: Bytes,
    /// Who gave it.
    pub served: Served,
    /// Its tokens, where they were told.
    pub usage: Option<Usage>,
    /// What it costs; none when the price is not known.
    pub cost: Option<Picodollars>,
    /// How long the last try took.
    pub latency_ms: f64,
}

/// A call without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The model, or whoever serves it, says that this request cannot be answered.
    #[error("{why}")]
    Refused {
        /// The same for calls that are refused for the same reason: the words may name the request.
        kind: String,
        /// In words.
        why: String,
    },
    /// The model was not reached, which says nothing of what it would have answered.
    #[error("{why}")]
    Unreached {
        /// In words.
        why: String,
    },
}

/// Makes a call whose body is a request in OpenAI's form. An upstream that is busy is asked again for a while, beyond what the
/// gateway does for callers who wait, until `gives_up` is done.
///
/// # Errors
/// [`Failure`], when no answer came.
pub async fn ask(
    gateway: &Gateway,
    context: &CallContext,
    endpoint: Endpoint,
    body: Bytes,
    gives_up: impl Future<Output = ()>,
) -> Result<Asked, Failure> {
    let mut gives_up = std::pin::pin!(gives_up);
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        let answer = gateway.call(context.clone(), endpoint, body.clone()).await;
        let latency_ms = asked.elapsed().as_secs_f64() * 1e3;
        let wait = match answer {
            Ok(Answer::Whole(reply)) => {
                let usage = serde_json::from_slice(&reply.body).map_or(None, |told: Told| told.usage);
                let cost = usage.and_then(|usage| gateway.price(&reply.served, usage));
                return Ok(Asked { body: reply.body, served: reply.served, usage, cost, latency_ms });
            }
            Ok(Answer::Events(_)) => {
                let why = "a stream came where a whole answer was asked for".to_owned();
                return Err(Failure::Refused { kind: "stream".to_owned(), why });
            }
            Err(error) => match busy_ms(&error).filter(|_| begun.elapsed() < PATIENCE) {
                Some(wait) => wait,
                None => return Err(failure(&error, endpoint)),
            },
        };
        tokio::select! {
            biased;
            () = &mut gives_up => {
                return Err(Failure::Unreached { why: "it was waiting for a busy model as the job was cancelled".to_owned() });
            }
            () = tokio::time::sleep(Duration::from_millis(wait.clamp(WAITS_MS.0, WAITS_MS.1))) => {}
        }
    }
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    usage: Option<Usage>,
}

/// What an error of a call says: whether the model refused, or was not reached.
pub fn failure(error: &Error, endpoint: Endpoint) -> Failure {
    let why = told(error).chars().take(LONGEST_ERROR_CHARS).collect();
    if is_answer(error) || has_no_completions(error, endpoint) {
        Failure::Refused { kind: kind_of(error), why }
    } else {
        Failure::Unreached { why }
    }
}

/// How long to wait for an upstream that says that it is busy.
fn busy_ms(error: &Error) -> Option<u64> {
    match error {
        Error::Busy { retry_after_ms } => Some(*retry_after_ms),
        Error::Upstream { status: 429, retry_after_ms, .. } => Some(retry_after_ms.unwrap_or(1_000)),
        _ => None,
    }
}

/// Whether an error is what the model has to say to this request. All others (nobody there, no credentials, no money, too
/// busy, out of order) are about the way to it.
fn is_answer(error: &Error) -> bool {
    match error {
        Error::Invalid { .. } => true,
        Error::Upstream { status, .. } => {
            (400..500).contains(status) && !matches!(status, 402 | 404 | 408 | 409 | 425 | 429)
        }
        _ => false,
    }
}

/// Whether a server has no completions, as many have that only chat: nothing is wrong with the way to it, and its chat may answer.
fn has_no_completions(error: &Error, endpoint: Endpoint) -> bool {
    endpoint == Endpoint::Completions && matches!(error, Error::Upstream { status: 404 | 405 | 501, .. })
}

/// What refusals for the same reason have in common: the words may name the request.
fn kind_of(error: &Error) -> String {
    match error {
        Error::Invalid { param, code, .. } => {
            format!("invalid {} {}", param.as_deref().unwrap_or_default(), code.unwrap_or_default())
        }
        Error::Upstream { status, body, .. } => {
            let said: Value = serde_json::from_slice(body).unwrap_or_default();
            let part = |name: &str| said["error"][name].as_str().unwrap_or_default().to_owned();
            format!("{status} {} {} {}", part("type"), part("code"), part("param"))
        }
        _ => "other".to_owned(),
    }
}

/// What an error says with its causes; of an upstream's its own words.
pub fn told(error: &Error) -> String {
    if let Error::Upstream { body, .. } = error {
        let said: Option<Value> = serde_json::from_slice(body).ok();
        if let Some(message) = said.as_ref().and_then(|said| said["error"]["message"].as_str()) {
            return format!("{error}: {message}");
        }
    }
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The words of a refusal may name the request; its kind does not.
    #[test]
    fn refusals_for_the_same_reason_are_of_one_kind() {
        let refused = |status: u16, code: &str, message: &str| Error::Upstream {
            provider: "p".parse().unwrap(),
            status,
            body: json!({"error": {"message": message, "type": "invalid_request_error", "code": code}})
                .to_string()
                .into(),
            retry_after_ms: None,
        };
        let long = |tokens| refused(400, "context_length_exceeded", &format!("you asked for {tokens} tokens"));
        assert_eq!(kind_of(&long(9_000)), kind_of(&long(12_345)));
        assert_ne!(kind_of(&long(9_000)), kind_of(&refused(400, "unsupported_parameter", "no such parameter")));
        assert_ne!(kind_of(&long(9_000)), kind_of(&refused(413, "context_length_exceeded", "too large")));
    }

    #[test]
    fn only_what_a_model_says_to_a_request_is_its_failure() {
        let refused = |status| Error::Upstream {
            provider: "p".parse().unwrap(),
            status,
            body: "{}".into(),
            retry_after_ms: None,
        };
        assert!([400, 413, 422].into_iter().all(|status| is_answer(&refused(status))));
        assert!(![402, 404, 408, 429, 500, 503].into_iter().any(|status| is_answer(&refused(status))));
        assert!(!is_answer(&Error::Credentials { provider: "p".parse().unwrap(), status: 401 }));
        assert!(!is_answer(&Error::UnknownModel { model: "m".into() }));
        assert!(matches!(failure(&refused(404), Endpoint::Completions), Failure::Refused { .. }));
        assert!(matches!(failure(&refused(404), Endpoint::Chat), Failure::Unreached { .. }));
    }
}
