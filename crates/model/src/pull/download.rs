//! One URL into one `.part` file, going on from where an earlier attempt was cut.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use qd_net::{
    Body, Client, Error as NetError, HeaderMap, HeaderValue, Request, Response, RetryPolicy, Timeouts, Url, header,
};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;

use crate::Error;
use crate::progress::{Stage, Watch};

/// What to fetch, and how much at most.
pub(crate) struct Download<'a> {
    /// Its name for a person.
    pub(crate) item: &'a str,
    pub(crate) url: Url,
    pub(crate) authorization: Option<HeaderValue>,
    /// Its size, when it is known beforehand.
    pub(crate) size_bytes: Option<u64>,
    pub(crate) limit_bytes: u64,
    pub(crate) part: &'a Path,
}

/// Attempts in a row that brought nothing new before the source is given up.
const MAX_STALLS: u32 = 5;

/// The waits between such attempts; together they bridge a short outage.
const STALLS: RetryPolicy = RetryPolicy {
    attempts: MAX_STALLS,
    base: Duration::from_millis(500),
    cap: Duration::from_secs(8),
    retry_after_cap: Duration::from_secs(60),
};

/// A file of any size may take any time, as long as something comes.
const TIMEOUTS: Timeouts = Timeouts { first_byte: Duration::from_secs(15), idle: Duration::from_secs(30), total: None };

/// How an attempt ended short of an error.
enum Attempt {
    Whole,
    /// The other side has another file now; what was kept does not fit it.
    StartOver,
}

impl Download<'_> {
    /// Fetches what is missing. The file is whole afterwards, and not checked yet.
    pub(crate) async fn run(&self, client: &Client, watch: &Watch<'_>) -> Result<(), Error> {
        let mut stalls = 0;
        loop {
            let before = self.present_bytes().await;
            let cause = match self.attempt(client, watch, before).await? {
                Ok(Attempt::Whole) => return Ok(()),
                Ok(Attempt::StartOver) => None,
                Err(cause) => Some(cause),
            };
            let now = self.present_bytes().await;
            stalls = if now > before { 1 } else { stalls + 1 };
            let wait = STALLS.wait(stalls, cause.as_ref().and_then(asked_wait));
            match (cause, wait) {
                (Some(cause), _) if is_final(&cause, now) => return Err(self.failed(cause)),
                (Some(cause), None) => return Err(self.failed(cause)),
                (None, None) => return Err(self.unsteady()),
                (_, Some(wait)) => watch.unless_cancelled(tokio::time::sleep(wait)).await?,
            }
        }
    }

    fn unsteady(&self) -> Error {
        Error::Index { message: format!("{} keeps changing while it is fetched", self.item) }
    }

    async fn present_bytes(&self) -> u64 {
        tokio::fs::metadata(self.part).await.map_or(0, |metadata| metadata.len())
    }

    /// One request. The outer error is the disk's, the inner one the network's.
    async fn attempt(&self, client: &Client, watch: &Watch<'_>, have: u64) -> Result<Result<Attempt, NetError>, Error> {
        if have > 0 && self.size_bytes == Some(have) {
            return Ok(Ok(Attempt::Whole));
        }
        let response = match watch.unless_cancelled(client.request(self.request(have).await)).await? {
            Ok(response) => response,
            Err(cause) => return Ok(Err(cause)),
        };
        match response.status.as_u16() {
            206 if starts_at(&response, have) => self.receive(response, have, watch).await,
            // The range begins at the end: nothing is missing.
            416 if have > 0 && total_of(&response) == Some(have) => Ok(Ok(Attempt::Whole)),
            206 | 416 => self.start_over().await.map(|()| Ok(Attempt::StartOver)),
            200 => {
                self.start_over().await?;
                self.receive(response, 0, watch).await
            }
            _ => Ok(Err(unexpected(response).await)),
        }
    }

    async fn request(&self, have: u64) -> Request {
        // A compressed answer would make ranges meaningless.
        let identity = HeaderValue::from_static("identity");
        let mut request = Request::get(self.url.clone()).header(header::ACCEPT_ENCODING, identity);
        request.timeouts = TIMEOUTS;
        request.retry = RetryPolicy::none();
        // Of the whole: an answer to a range may be all of it. With what is there, `copy` counts.
        request.max_response_bytes = self.limit_bytes;
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        if have == 0 {
            return request;
        }
        if let Some(etag) = self.known_etag().await {
            request = request.header(header::IF_RANGE, etag);
        }
        match HeaderValue::try_from(format!("bytes={have}-")) {
            Ok(range) => request.header(header::RANGE, range),
            Err(_) => request,
        }
    }

    async fn receive(
        &self,
        response: Response,
        have: u64,
        watch: &Watch<'_>,
    ) -> Result<Result<Attempt, NetError>, Error> {
        self.remember_etag(&response.headers).await?;
        let total = response.content_length().map_or(self.size_bytes.unwrap_or(0), |length| have + length);
        let mut file = self.open().await?;
        let outcome = self.copy(response.body, &mut file, have, total, watch).await;
        // Also when cut or cancelled: what came counts, and no write may be left behind for the next attempt.
        file.flush().await.map_err(Error::file("writing", self.part))?;
        Ok(outcome?.map(|()| Attempt::Whole))
    }

    async fn copy(
        &self,
        mut body: Body,
        file: &mut File,
        have: u64,
        total: u64,
        watch: &Watch<'_>,
    ) -> Result<Result<(), NetError>, Error> {
        let mut done = have;
        while let Some(piece) = watch.unless_cancelled(body.next()).await? {
            let piece = match piece {
                Ok(piece) => piece,
                Err(cause) => return Ok(Err(cause)),
            };
            done += piece.len() as u64;
            if done > self.limit_bytes {
                return Ok(Err(NetError::TooLarge { place: self.item.into(), limit_bytes: self.limit_bytes }));
            }
            file.write_all(&piece).await.map_err(Error::file("writing", self.part))?;
            watch.report(Stage::Downloading, self.item, done, total);
        }
        Ok(Ok(()))
    }

    async fn open(&self) -> Result<File, Error> {
        OpenOptions::new().create(true).append(true).open(self.part).await.map_err(Error::file("opening", self.part))
    }

    async fn start_over(&self) -> Result<(), Error> {
        File::create(self.part).await.map(drop).map_err(Error::file("emptying", self.part))
    }

    /// The validator of what is kept, in a file beside it, so that it outlives the process.
    async fn known_etag(&self) -> Option<HeaderValue> {
        let etag = tokio::fs::read(self.part.with_extension("etag")).await.ok()?;
        HeaderValue::from_bytes(&etag).ok()
    }

    async fn remember_etag(&self, headers: &HeaderMap) -> Result<(), Error> {
        let path = self.part.with_extension("etag");
        // A weak validator does not promise equal bytes (RFC 9110, section 13.1.5).
        let strong = headers.get(header::ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/"));
        let etag = strong.map_or(&b""[..], HeaderValue::as_bytes);
        if etag.is_empty() {
            let _absent_is_fine = tokio::fs::remove_file(&path).await;
            return Ok(());
        }
        tokio::fs::write(&path, etag).await.map_err(Error::file("writing", &path))
    }

    fn failed(&self, cause: NetError) -> Error {
        Error::Fetch { place: self.item.into(), cause }
    }
}

/// A 2xx that is neither the whole nor a part is as useless as an error.
async fn unexpected(response: Response) -> NetError {
    let (place, status) = (response.url().path().to_owned(), response.status);
    let useless = NetError::Status { place, status, retry_after: None, body: "no content was expected here".into() };
    response.success().await.err().unwrap_or(useless)
}

/// Whether trying the same source again is pointless.
fn is_final(cause: &NetError, have: u64) -> bool {
    match cause {
        NetError::Status { status, .. } => !qd_net::retry::is_retryable_status(*status),
        // A source that was never reached may be beyond our network for good, and there may be another.
        NetError::Connect { .. } | NetError::Timeout { .. } => have == 0,
        NetError::Broken { .. } => false,
        _ => true,
    }
}

fn asked_wait(cause: &NetError) -> Option<Duration> {
    match cause {
        NetError::Status { retry_after, .. } => *retry_after,
        _ => None,
    }
}

/// `Content-Range: bytes 5-9/10` begins at `have`.
fn starts_at(response: &Response, have: u64) -> bool {
    content_range(response)
        .is_some_and(|(range, _)| range.split('-').next().and_then(|first| first.parse().ok()) == Some(have))
}

/// The 10 of `Content-Range: bytes */10`.
fn total_of(response: &Response) -> Option<u64> {
    content_range(response)?.1.parse().ok()
}

fn content_range(response: &Response) -> Option<(&str, &str)> {
    response.headers.get(header::CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')
}
