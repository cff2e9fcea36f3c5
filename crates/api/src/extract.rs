//! What handlers take from a request, with refusals as our own errors.

use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use futures::FutureExt;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use qd_base::id::RequestId;
use qd_catalog::SignIn;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::config::Limits;
use crate::error::{Error, Result};
use crate::json;
use crate::permission::Caller;
use crate::state::Shared;

/// The bytes of a JSON body, read within the limits and not yet parsed.
pub(crate) struct JsonBytes(pub Bytes);

impl FromRequest<Shared> for JsonBytes {
    type Rejection = Error;

    async fn from_request(request: Request, surface: &Shared) -> Result<Self> {
        check_content_type(request.headers())?;
        let limits = &surface.app.config.limits;
        check_length(request.headers(), limits)?;
        read_body(request.into_body(), limits).await.map(Self)
    }
}

/// A JSON body as a value.
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Shared> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, surface: &Shared) -> Result<Self> {
        let JsonBytes(body) = JsonBytes::from_request(request, surface).await?;
        json::read_owned(&body, surface.app.config.limits.json_depth).map(Self)
    }
}

/// A field for which absent and null differ.
#[derive(Default)]
pub enum Change<T> {
    /// It was not there.
    #[default]
    Absent,
    /// It was null.
    Null,
    /// It had a value.
    Value(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(|value| value.map_or(Self::Null, Self::Value))
    }
}

/// The most that a body may hold of somebody who is not known yet, and how long it may take to come.
const SMALL_BODY_BYTES: usize = 16 << 10;
const SMALL_BODY_MS: u64 = 5_000;

/// A JSON body as a value, for routes that anybody may call.
pub(crate) struct SmallJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Shared> for SmallJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, surface: &Shared) -> Result<Self> {
        check_content_type(request.headers())?;
        let usual = &surface.app.config.limits;
        let limits = Limits {
            body_bytes: usual.body_bytes.min(SMALL_BODY_BYTES),
            body_ms: usual.body_ms.min(SMALL_BODY_MS),
            ..usual.clone()
        };
        check_length(request.headers(), &limits)?;
        let body = read_body(request.into_body(), &limits).await?;
        json::read_owned(&body, limits.json_depth).map(Self)
    }
}

/// Only `application/json`, or a type built on it: also what keeps a page on the web from posting here without asking, since
/// browsers ask first (CORS) for any other type than those of forms.
fn check_content_type(headers: &HeaderMap) -> Result<()> {
    let found = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("?"));
    let essence = found.split(';').next().unwrap_or("").trim();
    let is_json = essence.eq_ignore_ascii_case("application/json")
        || (essence.len() > 5
            && essence.is_char_boundary(essence.len() - 5)
            && essence[essence.len() - 5..].eq_ignore_ascii_case("+json"));
    match is_json {
        true => Ok(()),
        false => Err(Error::ContentType { found: found.chars().take(100).collect() }),
    }
}

/// Refuses a body that says itself to be too large, before a byte of it is read.
fn check_length(headers: &HeaderMap, limits: &Limits) -> Result<()> {
    let length =
        headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()).and_then(|text| text.parse::<u64>().ok());
    match length.is_some_and(|length| length > limits.body_bytes as u64) {
        true => Err(Error::BodyTooLarge { limit_bytes: limits.body_bytes }),
        false => Ok(()),
    }
}

async fn read_body(body: Body, limits: &Limits) -> Result<Bytes> {
    let mut read = Box::pin(axum::body::to_bytes(body, limits.body_bytes));
    // Most bodies came with the head; those need no timer.
    let done = match (&mut read).now_or_never() {
        Some(done) => done,
        None => tokio::time::timeout(std::time::Duration::from_millis(limits.body_ms), read)
            .await
            .map_err(|_| Error::BodyTimeout { after_ms: limits.body_ms })?,
    };
    done.map_err(|cause| match is_length_limit(&cause) {
        true => Error::BodyTooLarge { limit_bytes: limits.body_bytes },
        false => Error::BodyBroken(cause),
    })
}

/// Whether reading stopped at the limit. The type of that cause is in a crate that is not ours to name, its text is stable.
fn is_length_limit(error: &axum::Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.to_string() == "length limit exceeded")
}

/// The parameters of the query string.
pub(crate) struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Shared> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(value)| Self(value))
            .map_err(wrong_query)
    }
}

fn wrong_query(rejection: QueryRejection) -> Error {
    let text = std::error::Error::source(&rejection).map_or_else(|| rejection.to_string(), ToString::to_string);
    let (param, message) = match text.split_once(": ") {
        Some((param, message)) if !param.contains(' ') => {
            (Some(param.to_owned()), format!("Invalid '{param}': {message}."))
        }
        _ => (None, format!("Invalid query: {text}.")),
    };
    Error::Parameter { message, param, code: Some("invalid_value") }
}

/// The parameter in the path.
pub(crate) struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, surface: &Shared) -> Result<Self> {
        let read = axum::extract::Path::from_request_parts(parts, surface).await;
        read.map(|axum::extract::Path(value)| Self(value)).map_err(|rejection| wrong_path(&rejection))
    }
}

fn wrong_path(rejection: &PathRejection) -> Error {
    let message = match rejection.status() {
        StatusCode::BAD_REQUEST => rejection.body_text(),
        _ => "the path could not be read".to_owned(),
    };
    Error::Parameter { message, param: None, code: Some("invalid_value") }
}

impl FromRequestParts<Shared> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self> {
        // The gate puts it there for every route that needs a scope; a public route has no caller to ask for.
        parts.extensions.get::<Self>().cloned().ok_or(Error::NoKey)
    }
}

/// The sign-in that the gate let through.
#[derive(Clone)]
pub(crate) struct ThisSignIn(pub SignIn);

impl FromRequestParts<Shared> for ThisSignIn {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self> {
        parts.extensions.get::<Self>().cloned().ok_or(Error::NotSignedIn)
    }
}

/// The id of this request, as the gate gave it.
#[derive(Clone, Copy)]
pub(crate) struct ThisRequest(pub RequestId);

impl FromRequestParts<Shared> for ThisRequest {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<RequestId>().copied().unwrap_or_else(RequestId::new)))
    }
}
