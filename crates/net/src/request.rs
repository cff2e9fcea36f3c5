//! What is asked for, how long it may take, and how much may come back.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::retry::RetryPolicy;

/// One call to the outside.
#[derive(Clone, Debug)]
pub struct Request {
    /// GET, POST, …
    pub method: Method,
    /// Where to; http or https, without credentials.
    pub url: Url,
    /// What is sent along; values marked sensitive are not printed.
    pub headers: HeaderMap,
    /// The body, whole, so that an attempt can be repeated.
    pub body: Bytes,
    /// How long each phase may take.
    pub timeouts: Timeouts,
    /// Whether and when to try again.
    pub retry: RetryPolicy,
    /// How many redirects are followed; with 0 a redirect is returned as the answer.
    pub redirects: u8,
    /// More than this is refused, counted after decompression.
    pub max_response_bytes: u64,
}

/// How long each phase of one attempt, and all of them together, may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From sending until the head of the answer is there; connecting counts.
    pub first_byte: Duration,
    /// Between two pieces of the body.
    pub idle: Duration,
    /// From the first attempt to the last byte, waiting between attempts included.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            total: Some(Duration::from_secs(300)),
        }
    }
}

/// Enough for any answer that is held in memory.
const MAX_RESPONSE_BYTES: u64 = 64 << 20;

/// What browsers allow is 20; five is plenty between servers.
const REDIRECTS: u8 = 5;

impl Request {
    /// A GET that follows redirects and is tried again when that is safe.
    pub fn get(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::standard(),
            redirects: REDIRECTS,
            max_response_bytes: MAX_RESPONSE_BYTES,
        }
    }

    /// A POST of a JSON body, sent once and not redirected: what is posted may cost money or be secret.
    pub fn post(url: Url, json: impl Into<Bytes>) -> Self {
        let post = Self {
            method: Method::POST,
            body: json.into(),
            retry: RetryPolicy::none(),
            redirects: 0,
            ..Self::get(url)
        };
        post.header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// The same with a header set.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// The same with `Authorization: Bearer …`, which no log prints; a token that no header can hold is left out.
    pub fn bearer(mut self, token: &str) -> Self {
        if let Ok(mut value) = HeaderValue::try_from(format!("Bearer {token}")) {
            value.set_sensitive(true);
            self.headers.insert(AUTHORIZATION, value);
        }
        self
    }
}
