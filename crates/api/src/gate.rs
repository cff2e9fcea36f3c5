//! What every request passes before and after its handler: host, size of the head, place, permission; then time limit,
//! panics, errors and headers.
//!
//! One function instead of a stack of middleware: the order is plain to read, and a call to a model pays for it once.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::FutureExt;
use http::HeaderValue;
use http::header::{HeaderMap, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http_body::{Body as _, Frame, SizeHint};
use qd_base::id::RequestId;

use crate::authentication::{authenticate, signed_in};
use crate::error::{Error, Result};
use crate::extract::ThisSignIn;
use crate::host;
use crate::permission::Permission;
use crate::state::{Shared, Slot};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROCESSING_MS: HeaderName = HeaderName::from_static("openai-processing-ms");

/// What a route demands of the gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub permission: Permission,
    /// How long the handler may take until its answer begins.
    pub time_limit: Duration,
    /// Whether it answers while the server is stopping: only what tells how the server fares.
    pub while_stopping: bool,
}

/// Lets `request` through to `answer`, or refuses it; either way the response has its headers and its error object.
pub(crate) async fn pass<A>(
    surface: Shared,
    rules: Rules,
    mut request: Request,
    answer: impl FnOnce(Request) -> A,
) -> Response
where
    A: Future<Output = Response>,
{
    let started = Instant::now();
    let id = RequestId::new();
    let response = match admit(&surface, rules, &mut request, id).await {
        Ok(slot) => hold(slot, guarded(rules.time_limit, answer(request)).await),
        Err(refusal) => refusal.into_response(),
    };
    finish(response, id, started)
}

/// Everything that can refuse a request before its body is read.
async fn admit(surface: &Shared, rules: Rules, request: &mut Request, id: RequestId) -> Result<Option<Slot>> {
    check_head(surface, request)?;
    host::check(&surface.app.config, request)?;
    let slot = match rules.while_stopping {
        true => None,
        false => Some(surface.take_slot()?),
    };
    permit(surface, rules.permission, request).await?;
    request.extensions_mut().insert(id);
    Ok(slot)
}

/// Finds out who calls and whether they may, and notes it for the handler.
async fn permit(surface: &Shared, permission: Permission, request: &mut Request) -> Result<()> {
    match permission {
        Permission::Public => {}
        Permission::SignedIn => {
            let sign_in = signed_in(surface, request.method(), request.headers()).await?;
            request.extensions_mut().insert(ThisSignIn(sign_in));
        }
        Permission::Scope(needed) => {
            let caller = authenticate(surface, request.method(), request.headers()).await?;
            if !caller.may(needed) {
                return Err(Error::MissingScope { needed });
            }
            request.extensions_mut().insert(caller);
        }
    }
    Ok(())
}

fn check_head(surface: &Shared, request: &Request) -> Result<()> {
    let limits = &surface.app.config.limits;
    let head_bytes =
        request.uri().path().len() + request.uri().query().map_or(0, str::len) + headers_bytes(request.headers());
    match head_bytes > limits.header_bytes || request.headers().len() > limits.header_count {
        true => Err(Error::HeadTooLarge { limit_bytes: limits.header_bytes }),
        false => Ok(()),
    }
}

fn headers_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

/// The handler's response, or what became of it.
async fn guarded(time_limit: Duration, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(time_limit, AssertUnwindSafe(answer).catch_unwind()).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => Error::Panic { message: said(&*panic) }.into_response(),
        Err(_) => {
            Error::Timeout { after_ms: u64::try_from(time_limit.as_millis()).unwrap_or(u64::MAX) }.into_response()
        }
    }
}

fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a value that is not text").to_owned()
}

/// Keeps the slot until the body has been sent, when that takes longer than the handler.
fn hold(slot: Option<Slot>, response: Response) -> Response {
    match slot {
        Some(slot) if response.body().size_hint().exact().is_none() => {
            response.map(|body| Body::new(Held { body, _slot: slot }))
        }
        _ => response,
    }
}

fn finish(mut response: Response, id: RequestId, started: Instant) -> Response {
    if let Some(error) = response.extensions_mut().remove::<Arc<Error>>() {
        response = error.render(id);
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(PROCESSING_MS, HeaderValue::from(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A body that keeps its request's place until it has been sent.
struct Held {
    body: Body,
    _slot: Slot,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
