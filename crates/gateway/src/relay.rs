//! A stream on its way to the client: passed on as it comes, captured for the trace, ended in good order.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use qd_base::ProviderName;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::capture::Capture;
use crate::config::Limits;
use crate::dispatch::{BegunEvents, is_error, time_left};
use crate::error::{Error, Result};
use crate::exchange::Seen;
use crate::provider::{Piece, Pieces};
use crate::record::Recording;
use crate::sse::Event;

/// After the last event a connection is read to its end for this long, so that it can be used again.
const EPILOGUE: Duration = Duration::from_millis(100);

/// The events for the client. When the client goes away the stream is dropped, and with it the upstream's connection and
/// `recording`, which then notes that the call was cancelled.
pub(crate) fn relay(
    begun: BegunEvents,
    provider: ProviderName,
    mut recording: Recording,
    limits: Limits,
) -> impl Stream<Item = Bytes> + Send {
    let BegunEvents { mut first, mut rest } = begun;
    let swallows_usage = recording.exchange().call.asks_usage_itself();
    recording.capture(limits.captured_bytes);
    async_stream::stream! {
        loop {
            let piece = match first.pop_front() {
                Some(piece) => Ok(Some(piece)),
                None => next_piece(&mut rest, &provider, &recording, &limits).await,
            };
            match piece {
                Ok(Some(Piece::Told(told))) => recording.told(told),
                Ok(Some(Piece::Event(event))) => {
                    recording.event(&event);
                    if event.is_done() {
                        yield last_event(recording, event).await.0;
                        read_to_end(&mut rest).await;
                        return;
                    }
                    if !(swallows_usage && is_usage_only(&event)) {
                        yield event.0;
                    }
                }
                Ok(None) => {
                    if let Some(last) = ended_without_done(&provider, recording).await {
                        yield last.0;
                    }
                    return;
                }
                Err(error) => {
                    recording.failed(&error).await;
                    yield Event::of(&error.body()).0;
                    return;
                }
            }
        }
    }
}

/// What the client hears last of a whole answer: `done`, or that it could not be recorded as was promised.
async fn last_event(recording: Recording, done: Event) -> Event {
    match recording.answered().await {
        Ok(()) => done,
        Err(error) => {
            tracing::error!(error = error.chain(), "a stream was answered and could not be recorded");
            Event::of(&error.body())
        }
    }
}

async fn next_piece(
    rest: &mut Pieces,
    provider: &ProviderName,
    recording: &Recording,
    limits: &Limits,
) -> Result<Option<Piece>> {
    let within = limits.idle_timeout().min(time_left(recording.exchange().began, limits));
    match tokio::time::timeout(within, rest.next()).await {
        Ok(piece) => piece.transpose(),
        Err(_) => Err(Error::Timeout {
            provider: provider.clone(),
            after_ms: u64::try_from(within.as_millis()).unwrap_or(u64::MAX),
        }),
    }
}

/// What ends a stream whose upstream has stopped without `[DONE]`: nothing after an error that it told itself, `[DONE]`
/// when its answer was complete, else an error, since a client must not take half an answer for a whole one.
async fn ended_without_done(provider: &ProviderName, mut recording: Recording) -> Option<Event> {
    let (told, complete) = match &mut recording.exchange_mut().seen {
        Seen::Events(capture) => how_far(capture),
        Seen::Nothing | Seen::Whole(_) => (None, false),
    };
    if let Some(told) = told {
        let error = Error::Protocol { provider: provider.clone(), message: told };
        recording.failed(&error).await;
        return None;
    }
    if complete {
        return Some(last_event(recording, Event::done()).await);
    }
    let error =
        Error::Protocol { provider: provider.clone(), message: "its stream ended before the answer did".to_owned() };
    recording.failed(&error).await;
    Some(Event::of(&error.body()))
}

fn how_far(capture: &mut Capture) -> (Option<String>, bool) {
    let read = capture.read();
    (read.error.clone(), !read.finish_reasons.is_empty())
}

async fn read_to_end(rest: &mut Pieces) {
    let drained = async { while rest.next().await.is_some_and(|piece| piece.is_ok()) {} };
    // Whether the upstream ends in time only decides if its connection is kept.
    let _ = tokio::time::timeout(EPILOGUE, drained).await;
}

/// The chunk that an upstream adds when it is asked for usage, as far as it is read.
#[derive(Deserialize)]
struct UsageChunk<'a> {
    #[serde(default)]
    choices: Vec<IgnoredAny>,
    #[serde(borrow, default)]
    usage: Option<&'a serde_json::value::RawValue>,
}

/// Whether an event is the chunk that carries usage and nothing else.
fn is_usage_only(event: &Event) -> bool {
    let Some(data) = event.data() else { return false };
    // Most chunks say nothing of usage; looking for the word is cheaper than parsing them.
    let may_be = std::str::from_utf8(&data).is_ok_and(|text| text.contains("\"usage\"")) && !is_error(&data);
    may_be
        && serde_json::from_slice::<UsageChunk>(&data)
            .is_ok_and(|chunk| chunk.choices.is_empty() && chunk.usage.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_extra_chunk_is_swallowed() {
        let check =
            |data: &str, swallowed: bool| assert_eq!(is_usage_only(&Event::of(data.as_bytes())), swallowed, "{data}");
        check(r#"{"choices":[],"usage":{"prompt_tokens":1}}"#, true);
        check(r#"{"choices":[{"index":0}],"usage":{"prompt_tokens":1}}"#, false);
        check(r#"{"choices":[],"usage":null}"#, false);
        check(r#"{"choices":[],"prompt_filter_results":[]}"#, false);
        check(r#"{"choices":[{"delta":{"content":"\"usage\""}}]}"#, false);
        check(r#"{"error":{"message":"usage"},"usage":{}}"#, false);
        check("[DONE]", false);
    }
}
