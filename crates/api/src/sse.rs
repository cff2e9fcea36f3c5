//! Server-sent events: a stream of bytes with a comment when it is silent for long, ended when the server must stop.
//!
//! WHATWG HTML, section 9.2: a line that begins with a colon is a comment, which clients skip.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::Stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::Serialize;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");

/// A response that sends `events`, each already in the form of the protocol.
///
/// A comment is sent after each silence of `keep_alive`. When `end` is cancelled the stream ends with `last_words`.
pub(crate) fn response<S>(events: S, keep_alive: Duration, end: CancellationToken, last_words: Bytes) -> Response
where
    S: Stream<Item = Bytes> + Send + 'static,
{
    let kept = KeptAlive {
        events: Box::pin(events),
        keep_alive,
        spoke: Instant::now(),
        silence: Box::pin(tokio::time::sleep(keep_alive)),
        end: Box::pin(end.cancelled_owned()),
        last_words: Some(last_words),
    };
    let mut response = Response::new(Body::from_stream(kept));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx holds answers back to fill its buffers unless it is told not to.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// One event of `data`, as JSON, with an optional name and id.
pub(crate) fn event<T: Serialize>(name: Option<&str>, id: Option<&str>, data: &T) -> Result<Bytes, serde_json::Error> {
    let mut text = Vec::with_capacity(256);
    for (field, value) in [("event", name), ("id", id)] {
        if let Some(value) = value {
            text.extend_from_slice(format!("{field}: {value}\n").as_bytes());
        }
    }
    text.extend_from_slice(b"data: ");
    // serde_json writes no line breaks, so one `data` line holds it all.
    serde_json::to_writer(&mut text, data)?;
    text.extend_from_slice(b"\n\n");
    Ok(text.into())
}

/// `data: ` and the bytes of one JSON object.
pub(crate) fn data(object: &[u8]) -> Bytes {
    [b"data: ", object, b"\n\n"].concat().into()
}

struct KeptAlive<S> {
    events: Pin<Box<S>>,
    keep_alive: Duration,
    spoke: Instant,
    silence: Pin<Box<Sleep>>,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
    last_words: Option<Bytes>,
}

impl<S: Stream<Item = Bytes>> KeptAlive<S> {
    /// Whether it is time for a comment. The timer is set anew only when it fires, not for every event.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            std::task::ready!(self.silence.as_mut().poll(cx));
            let due = self.spoke + self.keep_alive;
            let now = Instant::now();
            if now >= due {
                self.spoke = now;
                self.silence.as_mut().reset(now + self.keep_alive);
                return Poll::Ready(());
            }
            self.silence.as_mut().reset(due);
        }
    }
}

impl<S: Stream<Item = Bytes>> Stream for KeptAlive<S> {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.last_words.is_none() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(event) = self.events.as_mut().poll_next(cx) {
            self.spoke = Instant::now();
            if event.is_none() {
                self.last_words = None;
            }
            return Poll::Ready(event.map(Ok));
        }
        if self.end.as_mut().poll(cx).is_ready() {
            let words = self.last_words.take().filter(|words| !words.is_empty());
            return Poll::Ready(words.map(Ok));
        }
        self.poll_silence(cx).map(|()| Some(Ok(COMMENT)))
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[test]
    fn an_event_is_one_line_of_data() {
        let bytes = event(Some("span"), Some("7"), &serde_json::json!({"text": "a\nb"})).unwrap();
        assert_eq!(bytes, "event: span\nid: 7\ndata: {\"text\":\"a\\nb\"}\n\n");
    }

    #[tokio::test]
    async fn comments_fill_silence() {
        let (say, heard) = tokio::sync::mpsc::channel::<Bytes>(4);
        let events = tokio_stream::wrappers::ReceiverStream::new(heard);
        let response = response(events, Duration::from_millis(5), CancellationToken::new(), Bytes::new());
        let mut frames = response.into_body().into_data_stream();
        for _ in 0..2 {
            assert_eq!(frames.next().await.unwrap().unwrap(), COMMENT);
        }
        say.send(Bytes::from("data: x\n\n")).await.unwrap();
        drop(say);
        let rest: Vec<Bytes> =
            frames.map(Result::unwrap).filter(|frame| std::future::ready(*frame != COMMENT)).collect().await;
        assert_eq!(rest, ["data: x\n\n"]);
    }

    #[tokio::test]
    async fn a_cut_stream_says_its_last_words() {
        let end = CancellationToken::new();
        let response =
            response(futures::stream::pending(), Duration::from_secs(60), end.clone(), Bytes::from("data: bye\n\n"));
        end.cancel();
        let text = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        assert_eq!(text, "data: bye\n\n");
    }
}
