//! From a checked request to the gateway and back: the context of the call, and its answer as a response.

use std::time::Duration;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt, future, stream};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};
use qd_base::id::RequestId;
use qd_gateway::{Answer, CallContext, Endpoint, PromptVersion, Served};
use qd_prompt::Reference;

use crate::error::{Error, Result};
use crate::extract::ThisRequest;
use crate::openai::prompted;
use crate::permission::Caller;
use crate::sse;
use crate::state::{Shared, Surface};

const TRACE_ID: HeaderName = HeaderName::from_static("x-quarterdeck-trace-id");

/// The most characters of one header about a call, and the most tags.
const LABEL_CHARS: usize = 256;
const MOST_TAGS: usize = 32;

/// What the headers and the key say about a call.
pub(crate) struct Calling {
    /// For the gateway.
    pub context: CallContext,
    /// The prompt that the call is to say.
    pub prompt: Option<Reference>,
}

impl Calling {
    /// The body to send on: the caller's own, or when a prompt is named, what is made of both. The context then names the
    /// version.
    pub async fn complete(&mut self, surface: &Shared, endpoint: Endpoint, body: Bytes) -> Result<Bytes> {
        match self.prompt.take() {
            Some(prompt) => prompted::complete(surface, &mut self.context, &prompt, endpoint, body).await,
            None => Ok(body),
        }
    }
}

impl FromRequestParts<Shared> for Calling {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, surface: &Shared) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, surface).await?;
        let Ok(ThisRequest(request)) = ThisRequest::from_request_parts(parts, surface).await;
        let prompt = prompted::named(&parts.headers)?;
        Ok(Self { context: context(&caller, request, &parts.headers), prompt })
    }
}

/// The context of a call; a header that is too long or not text is ignored, as `traceparent` must be.
pub(crate) fn context(caller: &Caller, request: RequestId, headers: &HeaderMap) -> CallContext {
    CallContext {
        project: caller.project(),
        project_name: caller.project_name().clone(),
        key: caller.key(),
        request,
        parent: text(headers, "traceparent").and_then(|header| header.parse().ok()),
        session: label(headers, "x-quarterdeck-session"),
        user: label(headers, "x-quarterdeck-user"),
        tags: tags(headers),
        environment: label(headers, "x-quarterdeck-environment"),
        release: label(headers, "x-quarterdeck-release"),
        prompt: None,
        begun: None,
        pinned: None,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn label(headers: &HeaderMap, name: &str) -> Option<String> {
    text(headers, name)
        .map(str::trim)
        .filter(|value| !value.is_empty() && value.len() <= LABEL_CHARS)
        .map(str::to_owned)
}

/// `x-quarterdeck-tags: one, two`
fn tags(headers: &HeaderMap) -> Vec<String> {
    let listed = text(headers, "x-quarterdeck-tags").unwrap_or_default();
    let tags = listed.split(',').map(str::trim).filter(|tag| !tag.is_empty() && tag.len() <= LABEL_CHARS);
    tags.take(MOST_TAGS).map(str::to_owned).collect()
}

/// Makes the call and answers with what it brought.
pub(crate) async fn answer(
    surface: &Shared,
    context: CallContext,
    endpoint: Endpoint,
    body: Bytes,
    streams: bool,
) -> Result<Response> {
    if streams {
        return answer_early(surface.clone(), context, endpoint, body).await;
    }
    let (request, prompt) = (context.request, context.prompt.clone());
    let answered = surface.app.gateway.call(context, endpoint, body).await?;
    Ok(names(respond(surface, request, answered), prompt.as_ref()))
}

/// As [`answer`], but a client of a stream that has waited for long gets its headers and a comment, so that nothing between
/// us takes the connection for dead. What fails after that is an event, since the status has been sent.
async fn answer_early(surface: Shared, context: CallContext, endpoint: Endpoint, body: Bytes) -> Result<Response> {
    let (request, prompt) = (context.request, context.prompt.clone());
    let gateway = surface.app.gateway.clone();
    let mut call = Box::pin(async move { gateway.call(context, endpoint, body).await });
    match tokio::time::timeout(surface.app.config.limits.keep_alive(), &mut call).await {
        Ok(answered) => Ok(names(respond(&surface, request, answered?), prompt.as_ref())),
        Err(_) => {
            let late = stream::once(call).flat_map(move |answered| late_events(answered, request));
            let greeting = stream::once(future::ready(Bytes::from_static(b": waiting for the model\n\n")));
            Ok(names(events(&surface, request, greeting.chain(late)), prompt.as_ref()))
        }
    }
}

fn late_events(answered: qd_gateway::Result<Answer>, request: RequestId) -> stream::BoxStream<'static, Bytes> {
    match answered {
        Ok(Answer::Events(events)) => events.boxed(),
        Ok(Answer::Whole(reply)) => stream::once(future::ready(sse::data(&reply.body))).boxed(),
        Err(error) => stream::once(future::ready(sse::data(&Error::from(error).object(request)))).boxed(),
    }
}

fn respond(surface: &Surface, request: RequestId, answer: Answer) -> Response {
    match answer {
        Answer::Whole(reply) => {
            let mut response = Response::new(Body::from(reply.body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            told(response, &reply.served)
        }
        Answer::Events(stream) => {
            let served = stream.served().clone();
            told(events(surface, request, stream), &served)
        }
    }
}

/// Under which trace the call is recorded.
fn told(mut response: Response, served: &Served) -> Response {
    if let Ok(trace) = HeaderValue::try_from(served.trace.to_string()) {
        response.headers_mut().insert(TRACE_ID, trace);
    }
    response
}

/// Which version of a prompt the call said.
fn names(mut response: Response, prompt: Option<&PromptVersion>) -> Response {
    let version = prompt.and_then(|prompt| HeaderValue::try_from(prompted::told(prompt)).ok());
    if let Some(version) = version {
        response.headers_mut().insert(HeaderName::from_static(prompted::PROMPT), version);
    }
    response
}

fn events(surface: &Surface, request: RequestId, events: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let keep_alive: Duration = surface.app.config.limits.keep_alive();
    let last_words = sse::data(&Error::Stopping.words(request));
    sse::response(events, keep_alive, surface.lifecycle.cut.clone(), last_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn labels_are_trimmed_and_bounded() {
        let long = "x".repeat(LABEL_CHARS + 1);
        let headers = headers(&[
            ("x-quarterdeck-session", " s1 "),
            ("x-quarterdeck-user", &long),
            ("x-quarterdeck-tags", "a, b,,c "),
        ]);
        assert_eq!(label(&headers, "x-quarterdeck-session").as_deref(), Some("s1"));
        assert_eq!(label(&headers, "x-quarterdeck-user"), None);
        assert_eq!(tags(&headers), ["a", "b", "c"]);
    }
}
