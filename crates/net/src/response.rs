//! What came back: a head, and a body that arrives in pieces under a limit and a clock.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use http::{HeaderMap, StatusCode, header};
use tokio::time::{Instant, Sleep};
use url::Url;

use crate::client::Deadline;
use crate::error::{Error, Phase, place};
use crate::request::Request;
use crate::retry;

/// The answer to a [`crate::Request`].
#[derive(Debug)]
pub struct Response {
    /// The status, whatever it is; [`Response::success`] demands 2xx.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, not read yet.
    pub body: Body,
}

/// As much of an error's body as is repeated in an error message.
const EXCERPT_BYTES: u64 = 2048;

impl Response {
    /// The URL that answered: the last one when redirects were followed.
    pub fn url(&self) -> &Url {
        &self.body.url
    }

    /// How long the body says it is.
    pub fn content_length(&self) -> Option<u64> {
        content_length(&self.headers)
    }

    /// The same when its status is 2xx.
    ///
    /// # Errors
    /// [`Error::Status`] with the beginning of the body otherwise.
    pub async fn success(self) -> Result<Self, Error> {
        if self.status.is_success() {
            return Ok(self);
        }
        let (place, status, retry_after) = (place(self.url()), self.status, retry::retry_after(&self.headers));
        Err(Error::Status { place, status, retry_after, body: self.body.excerpt().await })
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond `limit_bytes`; [`Error::Timeout`] and [`Error::Broken`] on the way.
    pub async fn bytes(mut self, limit_bytes: u64) -> Result<Bytes, Error> {
        self.body.restrict(limit_bytes);
        if self.content_length().is_some_and(|length| length > self.body.limit_bytes) {
            return Err(self.body.too_large());
        }
        self.body.collect().await
    }
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

type Pieces = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send>>;

/// A body in pieces. It ends after its first error.
pub struct Body {
    url: Url,
    pieces: Option<Pieces>,
    limit_bytes: u64,
    seen_bytes: u64,
    idle: Duration,
    deadline: Option<Deadline>,
    // Registered with the runtime only when a piece has to be waited for.
    timer: Pin<Box<Sleep>>,
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Body")
            .field("place", &place(&self.url))
            .field("seen_bytes", &self.seen_bytes)
            .finish_non_exhaustive()
    }
}

impl Body {
    pub(crate) fn new(hop: &Request, answer: reqwest::Response, deadline: Option<Deadline>) -> Self {
        let idle = hop.timeouts.idle;
        Self {
            url: hop.url.clone(),
            pieces: Some(Box::pin(answer.bytes_stream())),
            limit_bytes: hop.max_response_bytes,
            seen_bytes: 0,
            idle,
            deadline,
            timer: Box::pin(tokio::time::sleep_until(wake(idle, deadline))),
        }
    }

    fn restrict(&mut self, limit_bytes: u64) {
        self.limit_bytes = self.limit_bytes.min(limit_bytes);
    }

    fn too_large(&self) -> Error {
        Error::TooLarge { place: place(&self.url), limit_bytes: self.limit_bytes }
    }

    /// All pieces; an answer that came in one piece, as small ones do, is not copied.
    async fn collect(mut self) -> Result<Bytes, Error> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await.transpose()? else { return Ok(first) };
        let mut whole = BytesMut::from(first);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.next().await {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole.freeze())
    }

    /// How the body begins, as far as it can be had.
    async fn excerpt(mut self) -> String {
        let mut text = Vec::new();
        while let Some(Ok(piece)) = self.next().await {
            text.extend_from_slice(&piece);
            if text.len() as u64 >= EXCERPT_BYTES {
                break;
            }
        }
        text.truncate(EXCERPT_BYTES as usize);
        String::from_utf8_lossy(&text).trim().to_owned()
    }

    fn take_piece(&mut self, piece: reqwest::Result<Bytes>) -> Result<Bytes, Error> {
        let piece =
            piece.map_err(|error| Error::Broken { place: place(&self.url), cause: error.without_url().into() })?;
        self.seen_bytes += piece.len() as u64;
        if self.seen_bytes > self.limit_bytes {
            return Err(self.too_large());
        }
        Ok(piece)
    }

    fn late(&self) -> Error {
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline.at => Error::timeout(&self.url, Phase::Total, deadline.total),
            _ => Error::timeout(&self.url, Phase::Idle, self.idle),
        }
    }
}

fn wake(idle: Duration, deadline: Option<Deadline>) -> Instant {
    let idle = Instant::now() + idle;
    deadline.map_or(idle, |deadline| deadline.at.min(idle))
}

impl Stream for Body {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(pieces) = this.pieces.as_mut() else { return Poll::Ready(None) };
        let item = match pieces.as_mut().poll_next(cx) {
            Poll::Ready(None) => None,
            Poll::Ready(Some(piece)) => Some(this.take_piece(piece)),
            Poll::Pending => match this.timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) => Some(Err(this.late())),
            },
        };
        match item {
            Some(Ok(_)) => this.timer.as_mut().reset(wake(this.idle, this.deadline)),
            // Dropping the pieces closes the connection, which is what stops a sender that does not end.
            _ => this.pieces = None,
        }
        Poll::Ready(item)
    }
}
