//! Which target answers: each in order, with retries, until one does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use qd_base::ProviderName;
use qd_net::{RetryPolicy, StatusCode, retry};

use crate::config::Limits;
use crate::error::{Error, Result, openai_shaped};
use crate::exchange::Exchange;
use crate::provider::{Ask, Incoming, Piece, Pieces, Provider, Told};

/// The bound of the first wait before a retry; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// What comes before a stream's first event is comments that keep the connection alive; more of them is no stream.
const COMMENTS_BEFORE_FIRST: usize = 10_000;

/// A target whose provider has been found.
pub(crate) struct Candidate {
    pub provider: Arc<dyn Provider>,
    /// The provider's own name of the model.
    pub model: Arc<str>,
    /// The same with the version of a local model that is wanted and no other.
    pub exact: Option<Arc<str>>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Retries after the first attempt.
    pub retries: u32,
}

/// An answer that has begun, and whose it is.
pub(crate) struct Opened {
    pub provider: ProviderName,
    pub model: Arc<str>,
    pub answer: Begun,
}

/// An answer that has begun.
pub(crate) enum Begun {
    Whole(Bytes, Option<Told>),
    Events(BegunEvents),
}

/// A stream whose first event is here, so that it can no longer fall back.
pub(crate) struct BegunEvents {
    /// What has come so far: comments, and one event with data.
    pub first: VecDeque<Piece>,
    pub rest: Pieces,
}

/// Asks the candidates until one answers; each attempt is noted in `exchange`.
///
/// # Errors
/// The error of the last candidate, or the first that no other candidate could do better about.
pub(crate) async fn dispatch(exchange: &mut Exchange, candidates: &[Candidate], limits: &Limits) -> Result<Opened> {
    let mut last = None;
    for candidate in candidates {
        match ask_with_retries(exchange, candidate, limits).await {
            Ok(opened) => return Ok(opened),
            Err(error) if after(&error) == After::Stop => return Err(error),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::UnknownModel { model: exchange.call.model.clone() }))
}

async fn ask_with_retries(exchange: &mut Exchange, candidate: &Candidate, limits: &Limits) -> Result<Opened> {
    let policy = RetryPolicy {
        attempts: candidate.retries.saturating_add(1),
        base: FIRST_WAIT,
        cap: Duration::from_millis(limits.retry_wait_ms),
        retry_after_cap: Duration::from_millis(limits.retry_wait_ms),
    };
    let mut attempt = 1;
    loop {
        let error = match ask_once(exchange, candidate, limits).await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let After::Retry(asked) = after(&error) else { return Err(error) };
        let left = time_left(exchange.began, limits);
        let wait = policy.wait(attempt, asked).filter(|wait| *wait < left);
        let Some(wait) = wait else { return Err(error) };
        tokio::time::sleep(wait).await;
        attempt += 1;
    }
}

async fn ask_once(exchange: &mut Exchange, candidate: &Candidate, limits: &Limits) -> Result<Opened> {
    exchange.ask(candidate.provider.name(), &candidate.model);
    let within = candidate.timeout.min(time_left(exchange.began, limits));
    let ask = Ask {
        call: &exchange.call,
        model: candidate.exact.as_deref().unwrap_or(&candidate.model),
        trace: exchange.at,
        within,
        limits,
    };
    let outcome = match tokio::time::timeout(within, open(&*candidate.provider, ask)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::Timeout { provider: candidate.provider.name().clone(), after_ms: millis(within) }),
    };
    exchange.heard(outcome.as_ref().err().map(Error::failure));
    let answer = outcome?;
    Ok(Opened { provider: candidate.provider.name().clone(), model: candidate.model.clone(), answer })
}

/// Sends the request and, of a stream, waits for the first event: until then another target can still take over.
async fn open(provider: &dyn Provider, ask: Ask<'_>) -> Result<Begun> {
    match provider.send(ask).await? {
        Incoming::Whole { body, told } => Ok(Begun::Whole(body, told)),
        Incoming::Events(mut rest) => {
            let first = first_event(provider.name(), &mut rest).await?;
            Ok(Begun::Events(BegunEvents { first, rest }))
        }
    }
}

async fn first_event(provider: &ProviderName, pieces: &mut Pieces) -> Result<VecDeque<Piece>> {
    let protocol = |message: &str| Error::Protocol { provider: provider.clone(), message: message.to_owned() };
    let mut first = VecDeque::with_capacity(1);
    while let Some(piece) = pieces.next().await.transpose()? {
        let begins = begins_answer(provider, &piece)?;
        first.push_back(piece);
        if begins {
            return Ok(first);
        }
        if first.len() > COMMENTS_BEFORE_FIRST {
            return Err(protocol("its stream is comments only"));
        }
    }
    Err(protocol("its stream ended before its first event"))
}

/// Whether this piece is the first of the answer, and not a comment before it.
fn begins_answer(provider: &ProviderName, piece: &Piece) -> Result<bool> {
    let Piece::Event(event) = piece else { return Ok(false) };
    match event.data() {
        None => Ok(false),
        Some(data) if is_error(&data) => Err(error_in_stream(provider, &data)),
        Some(_) => Ok(true),
    }
}

/// Whether an event is an error rather than a chunk. Chunks never begin with that field.
pub(crate) fn is_error(data: &[u8]) -> bool {
    let inside = data.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inside.is_some_and(|inside| inside.starts_with(b"\"error\""))
}

/// An upstream that answers 200 and then says in its stream that it cannot.
fn error_in_stream(provider: &ProviderName, data: &[u8]) -> Error {
    // 502 is what the proxies in front of such servers would have said.
    let status = 502;
    let body = openai_shaped(provider, status, Bytes::copy_from_slice(data));
    Error::Upstream { provider: provider.clone(), status, body, retry_after_ms: None }
}

/// What to do after an error.
#[derive(Debug, PartialEq, Eq)]
enum After {
    /// Ask the same target again, not before this has passed.
    Retry(Option<Duration>),
    /// Ask the next target.
    FallBack,
    /// Tell the client: the request would be wrong anywhere.
    Stop,
}

fn after(error: &Error) -> After {
    match error {
        Error::Upstream { status, retry_after_ms, .. } => after_status(*status, *retry_after_ms),
        Error::Unreachable {
            cause: qd_net::Error::Connect { .. } | qd_net::Error::Broken { .. } | qd_net::Error::Timeout { .. },
            ..
        } => After::Retry(None),
        Error::Invalid { .. } | Error::Configuration { .. } | Error::Catalog(_) | Error::Unrecorded(_) => After::Stop,
        // Waiting a second time as long, or asking again somebody who does not know the model or the key, helps nobody.
        // The engine's queue is the place to wait in; who waited here for a place in it would be in no queue at all.
        Error::Busy { .. }
        | Error::Unusable { .. }
        | Error::Unreachable { .. }
        | Error::Timeout { .. }
        | Error::Credentials { .. }
        | Error::Protocol { .. }
        | Error::UnknownModel { .. }
        | Error::NotInstalled { .. }
        | Error::Model(_)
        | Error::Engine(_) => After::FallBack,
    }
}

fn after_status(status: u16, retry_after_ms: Option<u64>) -> After {
    let retryable = StatusCode::from_u16(status).is_ok_and(retry::is_retryable_status);
    match status {
        _ if retryable => After::Retry(retry_after_ms.map(Duration::from_millis)),
        // What these say of the request is true at every provider.
        400 | 409 | 413 | 415 | 422 => After::Stop,
        _ => After::FallBack,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is left of a call's time.
pub(crate) fn time_left(began: Instant, limits: &Limits) -> Duration {
    limits.call_timeout().saturating_sub(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_sorted_by_who_can_help() {
        for status in [408, 429, 500, 502, 503, 504, 529] {
            assert!(matches!(after_status(status, None), After::Retry(None)), "{status}");
        }
        for status in [400, 413, 422] {
            assert_eq!(after_status(status, None), After::Stop, "{status}");
        }
        for status in [402, 404, 501] {
            assert_eq!(after_status(status, None), After::FallBack, "{status}");
        }
        assert_eq!(after_status(429, Some(1500)), After::Retry(Some(Duration::from_millis(1500))));
    }

    #[test]
    fn an_error_event_is_told_from_a_chunk() {
        assert!(is_error(br#"{"error":{"message":"x"}}"#) && is_error(b" { \"error\": 1}"));
        assert!(!is_error(br#"{"id":"x","choices":[],"error":null}"#) && !is_error(b"[DONE]"));
    }
}
