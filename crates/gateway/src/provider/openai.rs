//! Any upstream that speaks OpenAI's API: OpenAI itself, vLLM, SGLang, Ollama, llama-server, most hosted services.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use parking_lot::Mutex;
use qd_base::{ProviderName, Secret};
use qd_net::{HeaderMap, HeaderValue, Method, Request, RetryPolicy, Timeouts, Url, header};
use serde::Deserialize;

use super::{Ask, Incoming, Piece, Pieces, Provider};
use crate::call::Endpoint;
use crate::error::{Error, Result, openai_shaped};
use crate::listing::ListedModel;
use crate::sse::Framer;

/// How much of an upstream's error is read.
const ERROR_BYTES: u64 = 256 << 10;
/// How long a list of models is waited for.
const LISTING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an upstream that did not list its models is not asked again: the list of all must not wait for it each time.
const FAILED_LISTING_TTL: Duration = Duration::from_secs(15);
/// The largest list of models.
const LISTING_BYTES: u64 = 8 << 20;

/// An upstream as it is configured: the secret goes to this base URL and nowhere else.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub name: ProviderName,
    pub base_url: String,
    pub key: Option<Secret>,
    pub timeout_ms: Option<u64>,
}

/// A configured upstream with everything prepared that is the same for each request.
pub(crate) struct OpenAi {
    name: ProviderName,
    base_url: String,
    urls: HashMap<Endpoint, Url>,
    models_url: Url,
    headers: HeaderMap,
    timeout_ms: Option<u64>,
    client: qd_net::Client,
    /// When it was last asked for its models, and which it has; none when it did not tell.
    listing: Mutex<Option<(Instant, Option<Vec<ListedModel>>)>>,
    listing_ttl: Duration,
    /// Set when it has refused `stream_options`, which servers older than that field do.
    refuses_usage: AtomicBool,
}

impl OpenAi {
    /// Prepares an upstream.
    ///
    /// # Errors
    /// [`Error::Configuration`] when its base URL is none, or its key cannot stand in a header.
    pub fn new(upstream: Upstream, client: qd_net::Client, listing_ttl: Duration) -> Result<Self> {
        let url = |path: &str| join(&upstream, path);
        let endpoints = [Endpoint::Chat, Endpoint::Completions, Endpoint::Embeddings];
        let urls =
            endpoints.into_iter().map(|endpoint| Ok((endpoint, url(endpoint.path())?))).collect::<Result<_>>()?;
        Ok(Self {
            models_url: url("models")?,
            headers: headers(&upstream)?,
            name: upstream.name,
            base_url: upstream.base_url,
            urls,
            timeout_ms: upstream.timeout_ms,
            client,
            listing: Mutex::default(),
            listing_ttl,
            refuses_usage: AtomicBool::new(false),
        })
    }

    fn request(&self, ask: &Ask<'_>, asks_usage: bool) -> Request {
        let mut headers = self.headers.clone();
        if let Ok(value) = HeaderValue::try_from(ask.trace.to_string()) {
            headers.insert("traceparent", value);
        }
        Request {
            method: Method::POST,
            url: self.urls[&ask.call.endpoint].clone(),
            headers,
            body: ask.call.body_for(ask.model, asks_usage),
            timeouts: Timeouts { first_byte: ask.within, idle: ask.limits.idle_timeout(), total: None },
            // The dispatcher retries, so that each attempt is seen in the trace.
            retry: RetryPolicy::none(),
            redirects: 0,
            max_response_bytes: if ask.call.stream { ask.limits.stream_bytes } else { ask.limits.response_bytes },
        }
    }

    /// Asks for the usage of a stream on our own account; a server that does not know how is asked again without.
    async fn attempt(&self, ask: Ask<'_>) -> Result<Incoming> {
        if ask.call.measures {
            return Err(self.cannot_measure());
        }
        let asks_usage = ask.call.asks_usage_itself() && !self.refuses_usage.load(Ordering::Relaxed);
        match self.send_once(&ask, asks_usage).await {
            Err(error) if asks_usage && is_about_stream_options(&error) => {
                self.refuses_usage.store(true, Ordering::Relaxed);
                self.send_once(&ask, false).await
            }
            outcome => outcome,
        }
    }

    async fn send_once(&self, ask: &Ask<'_>, asks_usage: bool) -> Result<Incoming> {
        let request = self.request(ask, asks_usage);
        let response = self.client.request(request).await.map_err(|cause| from_net(&self.name, cause))?;
        if !response.status.is_success() {
            return Err(self.refusal(response).await);
        }
        if ask.call.stream && is_event_stream(&response.headers) {
            return Ok(Incoming::Events(events(self.name.clone(), response.body, ask.limits.event_bytes)));
        }
        let body = response.bytes(ask.limits.response_bytes).await.map_err(|cause| from_net(&self.name, cause))?;
        match body.trim_ascii_start().first() {
            Some(b'{') if !ask.call.stream => Ok(Incoming::Whole { body, told: None }),
            Some(b'{') => Err(self.protocol("a whole answer came where a stream was asked for")),
            _ => Err(self.protocol("its body is not a JSON object")),
        }
    }

    async fn refusal(&self, response: qd_net::Response) -> Error {
        let status = response.status;
        let retry_after_ms = qd_net::retry::retry_after(&response.headers)
            .map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        match status.as_u16() {
            status @ (401 | 403 | 407) => Error::Credentials { provider: self.name.clone(), status },
            300..=399 => self.protocol("it redirects, which is not followed with a key and a body in hand"),
            code => {
                // A refusal whose body breaks off is still a refusal.
                let body = response.bytes(ERROR_BYTES).await.unwrap_or_default();
                let body = openai_shaped(&self.name, code, body);
                Error::Upstream { provider: self.name.clone(), status: code, body, retry_after_ms }
            }
        }
    }

    /// Whoever does not know the field would generate a text for it, and be paid.
    fn cannot_measure(&self) -> Error {
        let message = format!(
            "measure is answered by models that run here, and {} is another provider: ask it with echo and logprobs",
            self.name
        );
        Error::Invalid { message, param: Some("measure".to_owned()), code: Some("unsupported_parameter") }
    }

    fn protocol(&self, message: &str) -> Error {
        Error::Protocol { provider: self.name.clone(), message: message.to_owned() }
    }

    async fn list(&self) -> Result<Vec<ListedModel>> {
        if let Some((at, listed)) = &*self.listing.lock() {
            let believed = if listed.is_some() { self.listing_ttl } else { FAILED_LISTING_TTL.min(self.listing_ttl) };
            match listed {
                _ if at.elapsed() >= believed => {}
                Some(models) => return Ok(models.clone()),
                None => return Err(self.protocol("it could not list its models a moment ago")),
            }
        }
        let fetched = self.fetch_list().await;
        *self.listing.lock() = Some((Instant::now(), fetched.as_ref().ok().cloned()));
        fetched
    }

    async fn fetch_list(&self) -> Result<Vec<ListedModel>> {
        let timeouts = Timeouts { first_byte: LISTING_TIMEOUT, idle: LISTING_TIMEOUT, total: Some(LISTING_TIMEOUT) };
        let request = Request {
            headers: self.headers.clone(),
            timeouts,
            retry: RetryPolicy::none(),
            redirects: 0,
            ..Request::get(self.models_url.clone())
        };
        let response = self.client.request(request).await.map_err(|cause| from_net(&self.name, cause))?;
        if !response.status.is_success() {
            return Err(self.refusal(response).await);
        }
        let body = response.bytes(LISTING_BYTES).await.map_err(|cause| from_net(&self.name, cause))?;
        let list: WireList =
            serde_json::from_slice(&body).map_err(|cause| self.protocol(&format!("its list of models: {cause}")))?;
        Ok(list.data.into_iter().map(|model| self.listed(model)).collect())
    }

    fn listed(&self, model: WireModel) -> ListedModel {
        ListedModel {
            id: format!("{}/{}", self.name, model.id),
            owned_by: self.name.to_string(),
            created: model.created,
        }
    }
}

impl Provider for OpenAi {
    fn name(&self) -> &ProviderName {
        &self.name
    }

    fn base_url(&self) -> Option<&str> {
        Some(&self.base_url)
    }

    fn timeout_ms(&self) -> Option<u64> {
        self.timeout_ms
    }

    fn send<'a>(&'a self, ask: Ask<'a>) -> BoxFuture<'a, Result<Incoming>> {
        self.attempt(ask).boxed()
    }

    fn models(&self) -> BoxFuture<'_, Result<Vec<ListedModel>>> {
        self.list().boxed()
    }
}

fn is_about_stream_options(error: &Error) -> bool {
    match error {
        Error::Upstream { status: 400 | 422, body, .. } => String::from_utf8_lossy(body).contains("stream_options"),
        _ => false,
    }
}

/// OpenAI's list of models, as far as it is read.
#[derive(Deserialize)]
struct WireList {
    data: Vec<WireModel>,
}

#[derive(Deserialize)]
struct WireModel {
    id: String,
    #[serde(default)]
    created: i64,
}

fn join(upstream: &Upstream, path: &str) -> Result<Url> {
    let text = format!("{}/{path}", upstream.base_url.trim_end_matches('/'));
    Url::parse(&text).map_err(|cause| Error::Configuration {
        message: format!("provider {}: base_url {:?}: {cause}", upstream.name, upstream.base_url),
    })
}

fn headers(upstream: &Upstream) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(key) = &upstream.key {
        let message = || Error::Configuration {
            message: format!("provider {}: its key has characters that no header can hold", upstream.name),
        };
        let mut value = HeaderValue::try_from(format!("Bearer {}", key.expose())).map_err(|_| message())?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

/// An upstream's body as events.
fn events(provider: ProviderName, mut body: qd_net::response::Body, event_bytes: usize) -> Pieces {
    let stream = async_stream::try_stream! {
        let mut framer = Framer::new(event_bytes);
        while let Some(bytes) = body.next().await {
            framer.push(bytes.map_err(|cause| from_net(&provider, cause))?);
            while let Some(event) = framer.next().map_err(|_| too_large(&provider, event_bytes))? {
                yield Piece::Event(event);
            }
        }
        if let Some(event) = framer.rest() {
            yield Piece::Event(event);
        }
    };
    stream.boxed()
}

fn too_large(provider: &ProviderName, limit_bytes: usize) -> Error {
    Error::Protocol {
        provider: provider.clone(),
        message: format!("an event of its stream is larger than {limit_bytes} bytes"),
    }
}

fn from_net(provider: &ProviderName, cause: qd_net::Error) -> Error {
    let provider = provider.clone();
    match cause {
        qd_net::Error::Timeout { phase, after_ms, .. } if phase != qd_net::Phase::Connect => {
            Error::Timeout { provider, after_ms }
        }
        qd_net::Error::TooLarge { limit_bytes, .. } => {
            Error::Protocol { provider, message: format!("it is larger than {limit_bytes} bytes") }
        }
        cause => Error::Unreachable { provider, cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_end_in_a_slash() {
        for base_url in ["http://h/v1", "http://h/v1/"] {
            let upstream =
                Upstream { name: "up".parse().unwrap(), base_url: base_url.to_owned(), key: None, timeout_ms: None };
            assert_eq!(join(&upstream, "models").unwrap().as_str(), "http://h/v1/models");
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        let upstream = Upstream {
            name: "up".parse().unwrap(),
            base_url: "http://h/v1".to_owned(),
            key: Some(Secret::new("sk-1")),
            timeout_ms: None,
        };
        assert!(!format!("{:?}", headers(&upstream).unwrap()).contains("sk-1"));
        let broken = Upstream { key: Some(Secret::new("sk\n1")), ..upstream };
        assert!(matches!(headers(&broken), Err(Error::Configuration { .. })));
    }
}
