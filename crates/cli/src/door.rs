//! The way to a server: over a socket when one runs, else the same router in this process.
//!
//! Commands ask here and never learn which it was. Whoever holds the data folder's lock decides: a
//! server is called with its local token; if nobody holds it, this process does for as long as the
//! command takes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use http::{Method, StatusCode};
use http_body_util::Full;
use qd_base::Secret;
use qd_net::{Client, ClientOptions, Policy, RetryPolicy, Timeouts, Url};
use serde_json::Value;

use crate::Error;
use crate::context::{Context, Named};
use crate::error::Cause;
use crate::events::Events;
use crate::house::Inside;
use crate::lock::{self, Lock};

/// A command that holds the folder is usually done in a moment; longer than this is not waited for.
const LOCK_WAIT: Duration = Duration::from_secs(5);
/// How often a folder that somebody holds is looked at again.
const LOCK_LOOK: Duration = Duration::from_millis(20);
/// Largest answer that is held in memory.
const ANSWER_BYTES_MAX: usize = 256 << 20;
/// A model may think for minutes before its first word.
const FIRST_BYTE: Duration = Duration::from_secs(600);
/// Feeds send a comment every few seconds, so a silence this long means a dead peer.
const IDLE: Duration = Duration::from_secs(120);

/// What requests carry.
const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// A body that is still coming in.
pub type Pieces = BoxStream<'static, Result<Vec<u8>, Cause>>;

/// An answer whose head is here.
pub struct Answer {
    pub status: StatusCode,
    pub body: Pieces,
}

/// The way to a server.
pub struct Door {
    way: Way,
    key: Option<Secret>,
    project: Option<String>,
    /// The prompt that calls of models say.
    prompt: Option<String>,
}

enum Way {
    Socket { client: Client, base: Url },
    Inside(Inside),
}

impl Door {
    /// Finds the server that `context` means, or becomes one.
    ///
    /// # Errors
    /// [`Error::Locked`] when a process that is no server keeps the folder; whatever keeps the folder
    /// from being opened.
    pub async fn open(context: &Context) -> Result<Self, Error> {
        match &context.server {
            Some(server) => Self::named(server, context.project.clone()),
            None => Self::find(context).await,
        }
    }

    /// A server that the person named.
    fn named(server: &Named, project: Option<String>) -> Result<Self, Error> {
        let way = Way::Socket { client: client(&server.url)?, base: server.url.clone() };
        Ok(Self { way, key: server.key.clone(), project, prompt: None })
    }

    /// The server on the data folder only, for what makes no sense without one.
    ///
    /// # Errors
    /// [`Error::NotRunning`] when there is none.
    pub async fn running(context: &Context) -> Result<Self, Error> {
        if let Some(server) = &context.server {
            return Self::named(server, context.project.clone());
        }
        let dir = context.data();
        let (running, token) = lock::running(dir).ok_or_else(|| Error::NotRunning { dir: dir.clone() })?;
        Self::to(running.address, token, context.project.clone())
    }

    /// A server of this machine's own user.
    ///
    /// # Errors
    /// When the client cannot be set up.
    pub fn to(mut address: std::net::SocketAddr, token: Secret, project: Option<String>) -> Result<Self, Error> {
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let base = Url::parse(&format!("http://{address}"))
            .map_err(|cause| Error::doing("reading the server's address", cause))?;
        Ok(Self { way: Way::Socket { client: client(&base)?, base }, key: Some(token), project, prompt: None })
    }

    /// Acts in another project from now on.
    pub fn act_in(&mut self, project: Option<String>) {
        self.project = project;
    }

    /// Calls of models say this prompt from now on.
    pub fn say(&mut self, prompt: &str) {
        self.prompt = Some(prompt.to_owned());
    }

    async fn find(context: &Context) -> Result<Self, Error> {
        let dir = context.data();
        let patience = Instant::now() + LOCK_WAIT;
        loop {
            if let Some(lock) = Lock::take(dir)? {
                let inside = Inside::open(&context.resolved.config, lock).await?;
                return Ok(Self {
                    key: Some(inside.token().clone()),
                    way: Way::Inside(inside),
                    project: context.project.clone(),
                    prompt: None,
                });
            }
            if let Some((running, token)) = lock::running(dir) {
                return Self::to(running.address, token, context.project.clone());
            }
            if Instant::now() > patience {
                let holder = lock::holder(dir).map_or_else(String::new, |pid| format!(" ({pid})"));
                return Err(Error::Locked { dir: dir.clone(), holder });
            }
            tokio::time::sleep(LOCK_LOOK).await;
        }
    }

    /// Where requests go, for people.
    pub fn place(&self) -> String {
        match &self.way {
            Way::Socket { base, .. } => base.to_string(),
            Way::Inside(_) => "this process".to_owned(),
        }
    }

    /// Sends a request and demands success.
    ///
    /// # Errors
    /// [`Error::Unreachable`]; [`Error::Refused`] when the key was, and [`Error::Failed`] when the request was,
    /// with the server's own sentence.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Pieces, Error> {
        let answer = self.send(method, path, body).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        Err(refusal(answer.status, path, &whole(answer.body).await.unwrap_or_default()))
    }

    /// Sends a request and reads the JSON that answers it; an empty answer is null.
    ///
    /// # Errors
    /// As [`Door::ask`], and [`Error::Answer`] for what is not JSON.
    pub async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let not_understood = |cause| Error::Answer { request: format!("{method} {path}"), cause };
        let pieces = self.ask(method.clone(), path, body).await?;
        let bytes = whole(pieces).await.map_err(not_understood)?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|cause| not_understood(cause.into()))
    }

    /// `GET` as JSON.
    pub async fn get(&self, path: &str) -> Result<Value, Error> {
        self.json(Method::GET, path, None).await
    }

    /// `POST` as JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value, Error> {
        self.json(Method::POST, path, Some(body)).await
    }

    /// `POST` of a text that is JSON already.
    ///
    /// # Errors
    /// As [`Door::json`].
    pub async fn post_text(&self, path: &str, body: String) -> Result<Value, Error> {
        let answer = self.send_text(Method::POST, path, body).await?;
        let bytes =
            whole(answer.body).await.map_err(|cause| Error::Answer { request: format!("POST {path}"), cause })?;
        if !answer.status.is_success() {
            return Err(match answer.status {
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Error::Busy,
                status => refusal(status, path, &bytes),
            });
        }
        serde_json::from_slice(&bytes)
            .map_err(|cause| Error::Answer { request: format!("POST {path}"), cause: cause.into() })
    }

    /// Bytes of a file.
    ///
    /// # Errors
    /// As [`Door::json`].
    pub async fn send_file(&self, method: Method, path: &str, bytes: Vec<u8>) -> Result<Value, Error> {
        let answer = self.send_bytes(method.clone(), path, BYTES, bytes.into()).await?;
        let not_understood = |cause| Error::Answer { request: format!("{method} {path}"), cause };
        let body = whole(answer.body).await.map_err(not_understood)?;
        match answer.status.is_success() {
            true => serde_json::from_slice(&body).map_err(|cause| not_understood(cause.into())),
            false => Err(refusal(answer.status, path, &body)),
        }
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Result<Value, Error> {
        self.json(Method::DELETE, path, None).await
    }

    /// A feed of server-sent events.
    ///
    /// # Errors
    /// As [`Door::ask`].
    pub async fn events(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Events, Error> {
        let request = format!("{method} {path}");
        Ok(Events::new(request, self.ask(method, path, body).await?))
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer, Error> {
        self.send_text(method, path, body.map_or_else(String::new, Value::to_string)).await
    }

    async fn send_text(&self, method: Method, path: &str, body: String) -> Result<Answer, Error> {
        self.send_bytes(method, path, JSON, body.into()).await
    }

    async fn send_bytes(&self, method: Method, path: &str, media: &str, body: Bytes) -> Result<Answer, Error> {
        let media = Some(media).filter(|media| *media == BYTES || !body.is_empty());
        match &self.way {
            Way::Inside(inside) => {
                let request = self.head(http::Request::builder().method(method).uri(path), media)?;
                Ok(inside.call(request.body(Full::new(body)).map_err(malformed)?).await)
            }
            Way::Socket { client, base } => {
                let url = base.join(path).map_err(malformed)?;
                let head = self.head(http::Request::builder().method(method), media)?.body(()).map_err(malformed)?;
                over_socket(client, url, head.into_parts().0, body).await
            }
        }
    }

    fn head(&self, mut head: http::request::Builder, media: Option<&str>) -> Result<http::request::Builder, Error> {
        if let Some(key) = &self.key {
            let mut value = http::HeaderValue::try_from(format!("Bearer {}", key.expose())).map_err(malformed)?;
            value.set_sensitive(true);
            head = head.header(http::header::AUTHORIZATION, value);
        }
        if let Some(project) = &self.project {
            head = head.header("x-quarterdeck-project", project);
        }
        if let Some(prompt) = &self.prompt {
            head = head.header("x-quarterdeck-prompt", prompt);
        }
        if let Some(media) = media {
            head = head.header(http::header::CONTENT_TYPE, media);
        }
        Ok(head)
    }

    /// Ends in order: what this process opened is drained and closed.
    pub async fn close(self) {
        if let Way::Inside(inside) = self.way {
            inside.close().await;
        }
    }
}

fn malformed(cause: impl Into<Cause>) -> Error {
    Error::doing("writing the request", cause)
}

/// A client for one server; the person who named it vouches for its address.
fn client(base: &Url) -> Result<Client, Error> {
    let host = base.host_str().unwrap_or_default();
    Policy::public()
        .allow(host)
        .and_then(|policy| Client::new(policy, ClientOptions::default()))
        .map_err(|cause| Error::doing("setting up the HTTP client", cause))
}

async fn over_socket(client: &Client, url: Url, head: http::request::Parts, body: Bytes) -> Result<Answer, Error> {
    let place = url.origin().ascii_serialization();
    let request = qd_net::Request {
        method: head.method,
        headers: head.headers,
        body,
        timeouts: Timeouts { first_byte: FIRST_BYTE, idle: IDLE, total: None },
        retry: RetryPolicy::none(),
        redirects: 0,
        max_response_bytes: u64::MAX,
        ..qd_net::Request::get(url)
    };
    let response =
        client.request(request).await.map_err(|cause| Error::Unreachable { url: place, cause: cause.into() })?;
    let body = response.body.map(|piece| piece.map(|bytes| bytes.to_vec()).map_err(Cause::from)).boxed();
    Ok(Answer { status: response.status, body })
}

/// The whole of an answer that is held in memory.
pub async fn whole(mut pieces: Pieces) -> Result<Vec<u8>, Cause> {
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next().await {
        bytes.extend_from_slice(&piece?);
        if bytes.len() > ANSWER_BYTES_MAX {
            return Err(format!("it is larger than {ANSWER_BYTES_MAX} bytes").into());
        }
    }
    Ok(bytes)
}

/// An answer that is no success, as the error that it means here: about the caller's key, or about what was asked.
fn refusal(status: StatusCode, path: &str, body: &[u8]) -> Error {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = body["error"]["message"].as_str().map(str::to_owned);
    let message = said.unwrap_or_else(|| format!("the server answered {status} to {path}"));
    match body["error"]["code"].as_str() {
        Some("invalid_api_key" | "missing_scope" | "operator_only") => Error::Refused { message },
        _ => Error::Failed { message },
    }
}

/// One segment of a path, so that a name with a slash stays one name (RFC 3986, section 3.3).
pub fn segment(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A query string of those parameters that have a value, with its question mark.
pub fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let given: Vec<_> = parameters
        .iter()
        .filter_map(|(name, value)| Some(format!("{name}={}", segment((*value)?).replace('+', "%2B"))))
        .collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_segment() {
        assert_eq!(segment("org/model:tag"), "org%2Fmodel:tag");
        assert_eq!(segment("ä?#"), "%C3%A4%3F%23");
    }

    #[test]
    fn absent_parameters_are_left_out() {
        assert_eq!(query(&[("a", Some("1 2")), ("b", None), ("c", Some("x&y"))]), "?a=1%202&c=x%26y");
        assert_eq!(query(&[("b", None)]), "");
    }

    #[test]
    fn the_servers_own_sentence_is_told() {
        let refused = |body: &str| refusal(StatusCode::FORBIDDEN, "/x", body.as_bytes());
        let key = refused(r#"{"error":{"message":"Missing scopes: admin.","code":"missing_scope"}}"#);
        assert!(matches!(key, Error::Refused { message } if message == "Missing scopes: admin."));
        let statement = refused(r#"{"error":{"message":"not allowed: DROP","code":"statement_not_allowed"}}"#);
        assert!(matches!(statement, Error::Failed { message } if message == "not allowed: DROP"));
        assert!(matches!(refused("<html>"), Error::Failed { message } if message.contains("403")));
    }
}
