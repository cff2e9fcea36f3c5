//! What can go wrong at the door, and how OpenAI's error object says it.

use bytes::Bytes;
use qd_base::name::ProviderName;
use qd_trace::FailureKind;
use serde_json::{Value, json};

use crate::exchange::Failure;

/// How much of an upstream's error that is not JSON is repeated.
const EXCERPT_CHARS: usize = 500;

/// The result of everything that the gateway does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call has no answer. `api` gives each its status code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a route, nor `provider/model`, nor installed here.
    #[error(
        "the model `{model}` does not exist: no route, provider or installed model has that name; `GET /v1/models` lists those that do"
    )]
    UnknownModel {
        /// The name in the request.
        model: String,
    },
    /// The model is known and not installed here, or has no such version.
    #[error("{message}")]
    NotInstalled {
        /// What is missing, and the command that fetches it.
        message: String,
    },
    /// The request is wrong, and would be wrong wherever it were sent.
    #[error("{message}")]
    Invalid {
        /// What is wrong, for a person.
        message: String,
        /// The field that is wrong.
        param: Option<String>,
        /// OpenAI's name for it, for a program.
        code: Option<&'static str>,
    },
    /// The upstream refused; its own answer is passed on.
    #[error("provider {provider} answered with status {status}")]
    Upstream {
        /// The last provider tried.
        provider: ProviderName,
        /// Its status, neither 401 nor 403.
        status: u16,
        /// Its error in OpenAI's shape: its own bytes where it has that shape, else wrapped.
        body: Bytes,
        /// How long it asked us to wait.
        retry_after_ms: Option<u64>,
    },
    /// The upstream refused our credentials. Never shown as 401: the caller's own key is good.
    #[error(
        "provider {provider} refused the credentials that this gateway holds for it (status {status}); the operator must renew them"
    )]
    Credentials {
        /// The provider that refused.
        provider: ProviderName,
        /// Its status: 401, 403 or 407.
        status: u16,
    },
    /// The upstream could not be reached, or broke off, or did not speak HTTP as it should.
    #[error("provider {provider} could not be reached")]
    Unreachable {
        /// The last provider tried.
        provider: ProviderName,
        /// What the network said.
        #[source]
        cause: qd_net::Error,
    },
    /// The upstream's answer is not what an OpenAI-compatible server sends.
    #[error("provider {provider} sent an answer that cannot be used: {message}")]
    Protocol {
        /// The provider.
        provider: ProviderName,
        /// What is wrong with it.
        message: String,
    },
    /// Nothing came in time.
    #[error("provider {provider} did not answer within {after_ms} ms")]
    Timeout {
        /// The last provider tried.
        provider: ProviderName,
        /// The limit that was reached.
        after_ms: u64,
    },
    /// The local engine's queue is full.
    #[error("the model is busy; try again in {retry_after_ms} ms")]
    Busy {
        /// When to try again.
        retry_after_ms: u64,
    },
    /// The provider is configured and cannot be used: its key is missing, or cannot be opened.
    #[error("provider {provider} cannot be used: {why}")]
    Unusable {
        /// The provider.
        provider: ProviderName,
        /// What is wrong with it.
        why: String,
    },
    /// The call was answered, and could not be recorded where a recorded call was promised.
    #[error("the answer is here and could not be recorded, and this server gives no answer that it has not recorded")]
    Unrecorded(#[source] qd_trace::Error),
    /// The operator's configuration cannot work.
    #[error("the gateway's configuration: {message}")]
    Configuration {
        /// What is wrong, and where.
        message: String,
    },
    /// Reading or decrypting the providers of the projects.
    #[error("reading the providers from the catalog")]
    Catalog(#[source] qd_catalog::Error),
    /// Looking up an installed model.
    #[error("looking up an installed model")]
    Model(#[source] qd_model::Error),
    /// The local engine failed.
    #[error("the local engine could not answer")]
    Engine(#[source] qd_serve::Error),
}

impl Error {
    /// The error as OpenAI's error object: `{"error": {"message", "type", "param", "code"}}`.
    ///
    /// An upstream's own object is returned byte for byte.
    pub fn body(&self) -> Bytes {
        if let Self::Upstream { body, .. } = self {
            return body.clone();
        }
        let (kind, code) = self.kind();
        let param = match self {
            Self::Invalid { param, .. } => param.as_deref(),
            Self::UnknownModel { .. } | Self::NotInstalled { .. } => Some("model"),
            _ => None,
        };
        let object = json!({"error": {"message": self.to_string(), "type": kind, "param": param, "code": code}});
        Bytes::from(object.to_string())
    }

    /// OpenAI's `type` and `code`.
    fn kind(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::UnknownModel { .. } | Self::NotInstalled { .. } => ("invalid_request_error", Some("model_not_found")),
            Self::Invalid { code, .. } => ("invalid_request_error", *code),
            Self::Upstream { .. } => ("upstream_error", None),
            Self::Credentials { .. } => ("upstream_error", Some("upstream_credentials")),
            Self::Unreachable { .. } => ("upstream_error", Some("upstream_unreachable")),
            Self::Protocol { .. } => ("upstream_error", Some("upstream_protocol")),
            Self::Timeout { .. } => ("upstream_error", Some("upstream_timeout")),
            Self::Busy { .. } => ("rate_limit_error", Some("engine_busy")),
            Self::Unusable { .. } => ("upstream_error", Some("provider_unusable")),
            Self::Unrecorded(_) => ("server_error", Some("not_recorded")),
            Self::Configuration { .. } | Self::Catalog(_) | Self::Model(_) | Self::Engine(_) => ("server_error", None),
        }
    }

    /// The error as a trace row tells it.
    pub(crate) fn failure(&self) -> Failure {
        Failure { kind: self.failure_kind(), message: self.chain() }
    }

    /// In which way a call with this error went wrong.
    fn failure_kind(&self) -> FailureKind {
        match self {
            Self::UnknownModel { .. } | Self::NotInstalled { .. } => FailureKind::UnknownModel,
            Self::Invalid { .. } => FailureKind::InvalidRequest,
            Self::Upstream { status, .. } => match *status {
                429 => FailureKind::RateLimited,
                408 => FailureKind::Timeout,
                400 | 409 | 413 | 415 | 422 => FailureKind::InvalidRequest,
                500.. => FailureKind::Upstream5xx,
                _ => FailureKind::Upstream4xx,
            },
            Self::Credentials { .. } | Self::Unusable { .. } => FailureKind::Credentials,
            Self::Unreachable { cause: qd_net::Error::Timeout { .. }, .. } | Self::Timeout { .. } => {
                FailureKind::Timeout
            }
            Self::Unreachable { .. } => FailureKind::Unreachable,
            Self::Protocol { .. } => FailureKind::Protocol,
            Self::Busy { .. } => FailureKind::Busy,
            Self::Unrecorded(_) | Self::Configuration { .. } | Self::Catalog(_) | Self::Model(_) | Self::Engine(_) => {
                FailureKind::Internal
            }
        }
    }

    /// The error and its causes in one line, for the trace.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// An upstream's error in OpenAI's shape: its own bytes where it has that shape, else its message in our frame.
pub(crate) fn openai_shaped(provider: &ProviderName, status: u16, body: Bytes) -> Bytes {
    let document: Option<Value> = serde_json::from_slice(&body).ok();
    if document.as_ref().is_some_and(|document| document["error"].is_object()) {
        return body;
    }
    let said = document.as_ref().and_then(said_in).map_or_else(|| excerpt(&body), str::to_owned);
    let message = format!("provider {provider} answered with status {status}: {said}");
    Bytes::from(
        json!({"error": {"message": message, "type": "upstream_error", "param": null, "code": status.to_string()}})
            .to_string(),
    )
}

/// Where servers that do not follow OpenAI's shape put their message.
fn said_in(document: &Value) -> Option<&str> {
    ["error", "message", "detail"].into_iter().find_map(|field| document[field].as_str())
}

fn excerpt(body: &[u8]) -> String {
    String::from_utf8_lossy(body).trim().chars().take(EXCERPT_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_other_shapes_are_framed() {
        let name: ProviderName = "up".parse().unwrap();
        let check = |body: &'static str, expected: &str| {
            let framed: Value =
                serde_json::from_slice(&openai_shaped(&name, 422, Bytes::from_static(body.as_bytes()))).unwrap();
            assert_eq!(framed["error"]["message"], format!("provider up answered with status 422: {expected}"));
            assert_eq!(framed["error"]["code"], "422");
        };
        check(r#"{"error":"model not found"}"#, "model not found");
        check(r#"{"object":"error","message":"too long"}"#, "too long");
        check(r#"{"detail":"Not Found"}"#, "Not Found");
        check("<html>no</html>", "<html>no</html>");
        let own = Bytes::from_static(br#"{"error":{"message":"m","x":1}}"#);
        assert_eq!(openai_shaped(&name, 422, own.clone()), own);
    }

    #[test]
    fn our_own_errors_have_the_shape_too() {
        let error = Error::UnknownModel { model: "gpt-5\"x".to_owned() };
        let body: Value = serde_json::from_slice(&error.body()).unwrap();
        assert_eq!(body["error"]["code"], "model_not_found");
        assert_eq!(body["error"]["param"], "model");
        assert!(body["error"]["message"].as_str().unwrap().contains("gpt-5\"x"));
    }
}
