//! What can go wrong, as OpenAI's error object and status code. The one place where status codes are chosen.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, StatusCode};
use qd_base::id::RequestId;
use qd_catalog::Scope;
use qd_trace::otlp::{Encoding, Refusal, wire};
use serde::Serialize;
use utoipa::ToSchema;

/// The result of everything here that answers a request.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The `Host` header names somebody else: a sign of DNS rebinding.
    #[error("this server does not answer to the host {host:?}; the operator can add it to the configured hosts")]
    Host {
        /// The name that was sent.
        host: String,
    },
    /// The request head is larger than the limit.
    #[error("the request's headers are larger than {limit_bytes} bytes")]
    HeadTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The server has been told to stop.
    #[error("the server is shutting down")]
    Stopping,
    /// Too many requests are being answered.
    #[error("the server is answering as many requests as it may ({limit}); try again shortly")]
    Full {
        /// The limit.
        limit: usize,
    },
    /// No key came with the request.
    #[error(
        "You didn't provide an API key. Provide it in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY); `quarterdeck key create` makes one."
    )]
    NoKey,
    /// The key is unknown, expired or revoked.
    #[error("Incorrect API key provided. `quarterdeck key list` shows the keys that exist.")]
    WrongKey,
    /// There is no cookie of a sign-in, or the sign-in has ended.
    #[error("You are not signed in, or your sign-in has ended. Sign in again.")]
    NotSignedIn,
    /// What was shown to sign in with opens nothing; which part of it is wrong is not told.
    #[error("The account, its password or the key is wrong.")]
    WrongCredentials,
    /// The password that was to be changed is another one.
    #[error("The current password is wrong.")]
    WrongPassword,
    /// Who is signed in with a key has no password.
    #[error("You are signed in with a key. Only an account has a password.")]
    NoPassword,
    /// Too many failures to show who one is, one after another.
    #[error("Too many attempts with a wrong password or key. Wait {} s before the next.", .wait_ms.div_ceil(1000).max(1))]
    Attempts {
        /// How long the next one has to wait.
        wait_ms: u64,
    },
    /// A change came with a cookie and without the token that only our own pages know.
    #[error("With a cookie, this request needs the header x-csrf-token with the csrf_token of the sign-in.")]
    Csrf,
    /// The key lacks a scope.
    #[error("You have insufficient permissions for this operation. Missing scopes: {}.", .needed)]
    MissingScope {
        /// The scope that the route needs.
        needed: Scope,
    },
    /// Somebody who is not among those who may do it.
    #[error("{message}")]
    NotAllowed {
        /// Who, and among whom they are not.
        message: String,
    },
    /// Only the user of this machine, by the local token, may do this.
    #[error("only the operator, who holds the server's local token, may {what}")]
    OperatorOnly {
        /// What was attempted.
        what: &'static str,
    },
    /// No such path.
    #[error("Invalid URL ({method} {path})")]
    NoRoute {
        /// The method asked with.
        method: Method,
        /// The path asked for.
        path: String,
    },
    /// The path exists, the method does not.
    #[error("Not allowed to {method} on {path}.")]
    Method {
        /// The method asked with.
        method: Method,
        /// The path asked for.
        path: String,
    },
    /// The body is larger than the limit.
    #[error("the request's body is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// The body did not come in time.
    #[error("the request's body did not arrive within {after_ms} ms")]
    BodyTimeout {
        /// The limit.
        after_ms: u64,
    },
    /// The connection broke while the body was being read.
    #[error("the request's body could not be read")]
    BodyBroken(#[source] axum::Error),
    /// A body that is not JSON.
    #[error(
        "Unsupported Content-Type {found:?}. This API method only accepts 'application/json' requests, but you specified the header 'Content-Type: {found}'."
    )]
    ContentType {
        /// What was sent; empty when no header was.
        found: String,
    },
    /// A body in a form that this route does not read.
    #[error("Unsupported {header} {found:?}; there are {offered}.")]
    MediaType {
        /// The header that says so.
        header: &'static str,
        /// What was sent; empty when no header was.
        found: String,
        /// What can be sent.
        offered: &'static str,
    },
    /// None of the forms asked for by `Accept` can be made.
    #[error("no form of the answer matches the Accept header {accept:?}; there are {offered}")]
    Accept {
        /// The header as it came.
        accept: String,
        /// What could have been asked for.
        offered: &'static str,
    },
    /// A body that is not valid JSON.
    #[error(
        "We could not parse the JSON body of your request: {detail}. The API expects a JSON payload, but what was sent was not valid JSON."
    )]
    Syntax {
        /// What the parser says, and where.
        detail: String,
    },
    /// JSON nested beyond the limit.
    #[error("the JSON body nests deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A field or parameter with a wrong value.
    #[error("{message}")]
    Parameter {
        /// What is wrong, for a person.
        message: String,
        /// The field's path, as `messages[0].role`.
        param: Option<String>,
        /// OpenAI's name for it, for a program.
        code: Option<&'static str>,
    },
    /// Something that does not exist, or that the caller may not see.
    #[error("there is no {noun} {name:?}")]
    Missing {
        /// What kind of thing.
        noun: &'static str,
        /// How it was asked for.
        name: String,
    },
    /// The state of things does not allow it.
    #[error("{message}")]
    Conflict {
        /// What stands in the way.
        message: String,
    },
    /// A judge's model was not reached.
    #[error("{message}")]
    Unreached {
        /// Why.
        message: String,
    },
    /// The time limit of the request.
    #[error("the request took longer than {after_ms} ms and was ended")]
    Timeout {
        /// The limit.
        after_ms: u64,
    },
    /// A defect: the code that answered panicked.
    #[error("a handler panicked: {message}")]
    Panic {
        /// What the panic said.
        message: String,
    },
    /// An answer that could not be written as JSON, CSV or Arrow.
    #[error("writing the answer")]
    Encode(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The gateway has no answer.
    #[error(transparent)]
    Gateway(#[from] qd_gateway::Error),
    /// The catalog failed or refused.
    #[error(transparent)]
    Catalog(#[from] qd_catalog::Error),
    /// The lake failed or refused.
    #[error(transparent)]
    Lake(#[from] qd_lake::Error),
    /// The registry of models failed or refused.
    #[error(transparent)]
    Model(#[from] qd_model::Error),
    /// The engine failed or refused.
    #[error(transparent)]
    Engine(#[from] qd_serve::Error),
    /// Reading or writing traces failed.
    #[error(transparent)]
    Trace(#[from] qd_trace::Error),
    /// Telemetry was not taken; its sender is told in its own form.
    #[error("{refusal}")]
    Telemetry {
        /// Why.
        #[source]
        refusal: Refusal,
        /// How the request was encoded.
        encoding: Encoding,
    },
}

impl Error {
    /// A field with a wrong value, in OpenAI's terms.
    pub(crate) fn parameter(param: impl Into<String>, code: &'static str, message: impl Into<String>) -> Self {
        Self::Parameter { message: message.into(), param: Some(param.into()), code: Some(code) }
    }

    pub(crate) fn missing(noun: &'static str, name: impl ToString) -> Self {
        Self::Missing { noun, name: name.to_string() }
    }

    /// gRPC's code for it and what to say, with its internal cause logged under the request's id and kept out of that.
    pub(crate) fn grpc(&self, request: RequestId) -> (i32, String) {
        let sort = sort(self);
        if sort.status.is_server_error() {
            tracing::error!(%request, status = sort.status.as_u16(), error = %chain(self), "request failed");
        }
        (grpc_code(sort.status), if sort.hidden { hidden(request) } else { self.to_string() })
    }

    pub(crate) fn encode(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Encode(Box::new(cause))
    }

    /// The response to send, with its internal cause logged under the request's id and kept out of the body.
    pub(crate) fn render(&self, request: RequestId) -> Response {
        let face = Face::of(self, request);
        if face.status.is_server_error() {
            tracing::error!(%request, status = face.status.as_u16(), error = %chain(self), "request failed");
        }
        let mut response = Response::new(Body::from(face.body));
        *response.status_mut() = face.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(face.media_type));
        if let Some(wait_ms) = face.retry_after_ms {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1000).max(1)));
        }
        if face.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }

    /// The error's object alone, for what may have to be said later: nothing is logged, since nothing has happened yet.
    pub(crate) fn words(&self, request: RequestId) -> Bytes {
        Face::of(self, request).body
    }

    /// The error's object alone, for streams whose status has already been sent.
    pub(crate) fn object(&self, request: RequestId) -> Bytes {
        let face = Face::of(self, request);
        if face.status.is_server_error() {
            tracing::error!(%request, error = %chain(self), "stream failed");
        }
        face.body
    }
}

impl From<qd_alert::Error> for Error {
    /// What is wrong with a rule is told by its field; the rest is what a room below says.
    fn from(error: qd_alert::Error) -> Self {
        use qd_alert::Error as Alert;
        match error {
            Alert::Definition { field, .. } => Self::parameter(field, "invalid_value", error.to_string()),
            Alert::NotANumber { .. } => Self::parameter("query.sql", "invalid_value", error.to_string()),
            Alert::Trace(cause) => cause.into(),
            Alert::Lake(cause) => cause.into(),
            Alert::Catalog(cause) => cause.into(),
            Alert::Stored { .. } => Self::encode(error),
        }
    }
}

impl From<qd_experiment::Error> for Error {
    /// What is wrong with a definition is told by its part; the rest is what a room below says.
    fn from(error: qd_experiment::Error) -> Self {
        use qd_experiment::Error as Experiment;
        let message = error.to_string();
        match error {
            Experiment::Definition { field, .. } => Self::parameter(field, "invalid_value", message),
            Experiment::NoCell { .. } => Self::parameter("cell", "invalid_value", message),
            Experiment::Eval(_) => Self::parameter("scorers", "invalid_value", message),
            Experiment::Running { .. } => Self::Conflict { message },
            Experiment::Cancelled => Self::Stopping,
            Experiment::Prompt(cause) => cause.into(),
            Experiment::Data(cause) => cause.into(),
            Experiment::Lake(cause) => cause.into(),
            Experiment::Catalog(cause) => cause.into(),
            Experiment::Unanswered { .. }
            | Experiment::Replaced { .. }
            | Experiment::Row { .. }
            | Experiment::Arrow(_)
            | Experiment::Broken { .. } => Self::encode(error),
        }
    }
}

impl From<qd_judging::Error> for Error {
    /// What is wrong with a judge, an item or a calibration is told by its part; the rest is what a room below says.
    fn from(error: qd_judging::Error) -> Self {
        use qd_judging::Error as Judging;
        let message = error.to_string();
        match error {
            Judging::Request { field, .. } => Self::parameter(field, "invalid_value", message),
            Judging::Model { .. } => Self::parameter("models", "model_not_found", message),
            Judging::Judge(cause) => cause.into(),
            Judging::Running { .. } => Self::Conflict { message },
            Judging::Cancelled => Self::Stopping,
            Judging::Eval(_) => Self::parameter("labels", "invalid_value", message),
            Judging::Data(cause) => cause.into(),
            Judging::Lake(cause) => cause.into(),
            Judging::Catalog(cause) => cause.into(),
            Judging::Replaced { .. }
            | Judging::Unanswered { .. }
            | Judging::Row { .. }
            | Judging::TooMany { .. }
            | Judging::Arrow(_)
            | Judging::Broken { .. } => Self::encode(error),
        }
    }
}

impl From<qd_annotation::Error> for Error {
    /// What is wrong with a request is told by its part; the rest is what a room below says.
    fn from(error: qd_annotation::Error) -> Self {
        use qd_annotation::Error as Annotation;
        let message = error.to_string();
        match error {
            Annotation::Definition { field, .. } => Self::parameter(field, "invalid_value", message),
            Annotation::NotAllowed { .. } => Self::NotAllowed { message },
            Annotation::NoItem { item, .. } => Self::missing("item", item),
            Annotation::Full { .. } | Annotation::Restless { .. } | Annotation::Gone { .. } => {
                Self::Conflict { message }
            }
            Annotation::Cancelled => Self::Stopping,
            Annotation::Data(cause) => cause.into(),
            Annotation::Catalog(cause) => cause.into(),
            Annotation::Eval(_) => Self::Parameter { message, param: None, code: Some("too_large") },
            Annotation::Broken { .. } => Self::encode(error),
        }
    }
}

impl From<qd_task::Error> for Error {
    /// Tasks are files that a person wrote: what is wrong with one is told, as is a name that none has.
    fn from(error: qd_task::Error) -> Self {
        Self::parameter("task", "invalid_value", error.to_string())
    }
}

impl From<qd_leaderboard::Error> for Error {
    /// What is wrong with a definition is told by its part; the rest is what a room below says.
    fn from(error: qd_leaderboard::Error) -> Self {
        use qd_leaderboard::Error as Board;
        let message = error.to_string();
        match error {
            Board::Definition { field, .. } => Self::parameter(field, "invalid_value", message),
            Board::NotReady { .. } => Self::parameter("definition", "invalid_value", message),
            Board::Eval(_) => Self::parameter("tasks", "invalid_value", message),
            Board::Running { .. } => Self::Conflict { message },
            Board::Cancelled => Self::Stopping,
            Board::Task(cause) => cause.into(),
            Board::Data(cause) => cause.into(),
            Board::Model(cause) => cause.into(),
            Board::Lake(cause) => cause.into(),
            Board::Catalog(cause) => cause.into(),
            Board::Unanswered { .. }
            | Board::Replaced { .. }
            | Board::Row { .. }
            | Board::Arrow(_)
            | Board::Broken { .. } => Self::encode(error),
        }
    }
}

impl From<qd_evaluation::Error> for Error {
    /// What is wrong with a definition is told by its part; the rest is what a room below says.
    fn from(error: qd_evaluation::Error) -> Self {
        use qd_evaluation::Error as Evaluation;
        use qd_judging::Error as Judging;
        let message = error.to_string();
        match error {
            Evaluation::Definition { field, .. } => Self::parameter(field, "invalid_value", message),
            Evaluation::Eval(_) => Self::parameter("scorers", "invalid_value", message),
            Evaluation::Running { .. } => Self::Conflict { message },
            Evaluation::Cancelled => Self::Stopping,
            Evaluation::Experiment(cause) => cause.into(),
            Evaluation::Judging(Judging::Request { .. } | Judging::Model { .. } | Judging::Judge(_)) => {
                Self::parameter("scorers", "invalid_value", message)
            }
            Evaluation::Judging(cause) => cause.into(),
            Evaluation::Data(cause) => cause.into(),
            Evaluation::Lake(cause) => cause.into(),
            Evaluation::Catalog(cause) => cause.into(),
            Evaluation::Unanswered { .. }
            | Evaluation::Replaced { .. }
            | Evaluation::Arrow(_)
            | Evaluation::TooMany { .. }
            | Evaluation::Broken { .. } => Self::encode(error),
        }
    }
}

impl From<qd_scorer::Error> for Error {
    /// What is wrong with a rule is told by its field; the rest is what a room below says.
    fn from(error: qd_scorer::Error) -> Self {
        use qd_scorer::Error as Scorer;
        let message = error.to_string();
        match error {
            Scorer::Definition { field, .. } => {
                Self::parameter(format!("definition.{field}"), "invalid_value", message)
            }
            Scorer::TooMany { .. } => Self::Conflict { message },
            Scorer::NoGroup { by, group } => Self::missing("group of scored calls", format!("{by} {group}")),
            Scorer::Eval(_) => Self::encode(error),
            Scorer::Trace(cause) => cause.into(),
            Scorer::Lake(cause) => cause.into(),
            Scorer::Judging(cause @ qd_judging::Error::Request { .. }) => {
                Self::parameter("definition.judge.judge", "invalid_value", cause.to_string())
            }
            Scorer::Judging(cause) => cause.into(),
            Scorer::Catalog(cause) => cause.into(),
        }
    }
}

impl From<qd_judge::Error> for Error {
    /// What is wrong is told by the part of the definition or of the item.
    fn from(error: qd_judge::Error) -> Self {
        use qd_judge::Error as Judge;
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let message = format!("{error}{cause}");
        let param = match error {
            Judge::Definition { field, .. } | Judge::Template { field, .. } => field,
            Judge::Item { input, .. } => format!("values.{input}"),
            Judge::TooLarge { .. } | Judge::TooMuch { .. } => "values".to_owned(),
            Judge::Evals { .. } => "evals".to_owned(),
        };
        Self::parameter(param, "invalid_value", message)
    }
}

impl From<qd_data::Error> for Error {
    /// What is wrong with a request is told by its field; the rest is what a room below says.
    fn from(error: qd_data::Error) -> Self {
        use qd_data::Error as Data;
        match error {
            Data::Invalid { what, .. } => Self::parameter(what, "invalid_value", error.to_string()),
            Data::Rows(_) => Self::parameter("rows", "invalid_rows", error.to_string()),
            Data::File { .. } => Self::parameter("files", "invalid_file", error.to_string()),
            Data::TooLarge { what, .. } => Self::parameter(what, "too_large", error.to_string()),
            Data::Missing { what, name } => Self::missing(what, name),
            Data::Conflict { message } => Self::Conflict { message },
            Data::Cancelled => Self::Stopping,
            Data::Catalog { cause, .. } => cause.into(),
            Data::Lake { cause, .. } => cause.into(),
            Data::Traces(cause) => cause.into(),
            Data::Content { .. } | Data::Arrow { .. } | Data::Disk { .. } | Data::Broken { .. } => Self::encode(error),
        }
    }
}

impl From<qd_prompt::Error> for Error {
    /// What is wrong with a prompt is told by the part of it; the rest is what the room below says.
    fn from(error: qd_prompt::Error) -> Self {
        use qd_prompt::Error as Prompt;
        let message = error.to_string();
        match error {
            Prompt::Catalog(cause) => cause.into(),
            Prompt::Stored { .. } => Self::encode(error),
            Prompt::Definition { field, .. } => Self::parameter(format!("content.{field}"), "invalid_value", message),
            Prompt::Template { place, .. } => Self::parameter(format!("content.{place}"), "invalid_template", message),
            Prompt::Render { place, .. } => Self::parameter(format!("content.{place}"), "template_failed", message),
            Prompt::Exhausted { place, .. } => Self::parameter(format!("content.{place}"), "template_limit", message),
            Prompt::Example { place, .. } => {
                Self::parameter(format!("content.examples.items[{place}]"), "invalid_value", message)
            }
            Prompt::Reference { .. } => Self::Parameter { message, param: None, code: Some("invalid_value") },
            Prompt::Request { field, .. } => {
                Self::Parameter { message, param: field.map(str::to_owned), code: Some("invalid_value") }
            }
            Prompt::MissingVariable { name, .. } => Self::parameter(name, "missing_variable", message),
            Prompt::UnknownVariable { name, .. } => Self::parameter(name, "unknown_variable", message),
            Prompt::WrongType { name, .. } => Self::parameter(name, "invalid_type", message),
            Prompt::TooLarge { .. } => Self::Parameter { message, param: None, code: Some("too_large") },
        }
    }
}

impl IntoResponse for Error {
    /// An empty response that carries the error; the gate, which knows the request's id, renders it.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// OpenAI's error object.
#[derive(Serialize, ToSchema)]
pub struct ErrorBody {
    /// The error.
    pub error: ErrorObject,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
pub struct ErrorObject {
    /// For a person.
    pub message: String,
    /// The class of the error: `invalid_request_error`, `rate_limit_error`, `server_error`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The field that is wrong, as `messages[0].role`.
    pub param: Option<String>,
    /// For a program.
    pub code: Option<&'static str>,
}

/// What the caller sees of an error.
struct Face {
    status: StatusCode,
    body: Bytes,
    media_type: &'static str,
    retry_after_ms: Option<u64>,
}

const JSON: &str = "application/json";

impl Face {
    fn of(error: &Error, request: RequestId) -> Self {
        let sort = sort(error);
        if let Error::Telemetry { refusal, encoding } = error {
            return Self::of_telemetry(refusal, *encoding, sort, request);
        }
        if let Error::Gateway(gateway) = error
            && !sort.hidden
        {
            let (body, retry_after_ms) = (gateway.body(), sort.retry_after_ms);
            return Self { status: sort.status, body, media_type: JSON, retry_after_ms };
        }
        let message = if sort.hidden { hidden(request) } else { error.to_string() };
        let param = match error {
            Error::Parameter { param, .. } => param.clone(),
            _ => sort.param.map(str::to_owned),
        };
        let body = ErrorBody { error: ErrorObject { message, kind: sort.kind, param, code: sort.code } };
        let body = serde_json::to_vec(&body).map_or_else(|_| Bytes::new(), Bytes::from);
        Self { status: sort.status, body, media_type: JSON, retry_after_ms: sort.retry_after_ms }
    }

    /// A `google.rpc.Status`, as OTLP wants it.
    fn of_telemetry(refusal: &Refusal, encoding: Encoding, sort: Sort, request: RequestId) -> Self {
        let message = if sort.hidden { hidden(request) } else { refusal.to_string() };
        let retry_after = sort.retry_after_ms.map(Duration::from_millis);
        let body = wire::refusal(grpc_code(sort.status), &message, retry_after, encoding).into();
        let media_type = encoding.media_type();
        Self { status: sort.status, body, media_type, retry_after_ms: sort.retry_after_ms }
    }
}

/// The code of gRPC that a status of HTTP stands for, as `google/rpc/code.proto` pairs them.
fn grpc_code(status: StatusCode) -> i32 {
    match status.as_u16() {
        400 | 415 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        413 | 429 | 431 => 8,
        500 => 13,
        503 => 14,
        504 => 4,
        _ => 2,
    }
}

/// What is said instead of an internal cause.
fn hidden(request: RequestId) -> String {
    format!("The server had an error while processing your request. Its log says why, under request id {request}.")
}

/// The error and its causes on one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// How an error is classified.
struct Sort {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    retry_after_ms: Option<u64>,
    /// Whether its message is for the log only.
    hidden: bool,
}

impl Sort {
    const fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>) -> Self {
        Self { status, kind, code, param: None, retry_after_ms: None, hidden: false }
    }

    const fn invalid(status: StatusCode, code: &'static str) -> Self {
        Self::new(status, "invalid_request_error", Some(code))
    }

    const fn after(mut self, wait_ms: u64) -> Self {
        self.retry_after_ms = Some(wait_ms);
        self
    }

    const fn about(mut self, param: &'static str) -> Self {
        self.param = Some(param);
        self
    }

    const INTERNAL: Self = Self { hidden: true, ..Self::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", None) };
}

const INVALID: &str = "invalid_request_error";

/// The class of an error; of a domain's error, what its room says it is.
fn sort(error: &Error) -> Sort {
    match error {
        Error::Host { .. } => Sort::invalid(StatusCode::MISDIRECTED_REQUEST, "host_not_allowed"),
        Error::HeadTooLarge { .. } => Sort::invalid(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large"),
        Error::Stopping => {
            Sort::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("shutting_down")).after(5_000)
        }
        Error::Full { .. } => {
            Sort::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("server_busy")).after(1_000)
        }
        Error::NoKey | Error::WrongKey => Sort::invalid(StatusCode::UNAUTHORIZED, "invalid_api_key"),
        Error::NotSignedIn => Sort::invalid(StatusCode::UNAUTHORIZED, "not_signed_in"),
        Error::WrongCredentials => Sort::invalid(StatusCode::UNAUTHORIZED, "wrong_credentials"),
        Error::WrongPassword => Sort::invalid(StatusCode::FORBIDDEN, "wrong_password"),
        Error::NoPassword => Sort::invalid(StatusCode::FORBIDDEN, "no_password"),
        Error::Attempts { wait_ms } => {
            Sort::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("too_many_attempts")).after(*wait_ms)
        }
        Error::Csrf => Sort::invalid(StatusCode::FORBIDDEN, "csrf_token"),
        Error::MissingScope { .. } => Sort::invalid(StatusCode::FORBIDDEN, "missing_scope"),
        Error::NotAllowed { .. } => Sort::invalid(StatusCode::FORBIDDEN, "not_allowed"),
        Error::OperatorOnly { .. } => Sort::invalid(StatusCode::FORBIDDEN, "operator_only"),
        Error::NoRoute { .. } => Sort::invalid(StatusCode::NOT_FOUND, "unknown_url"),
        Error::Method { .. } => Sort::invalid(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
        Error::BodyTooLarge { .. } => Sort::invalid(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        Error::BodyTimeout { .. } => Sort::invalid(StatusCode::REQUEST_TIMEOUT, "body_timeout"),
        Error::BodyBroken(_) => Sort::invalid(StatusCode::BAD_REQUEST, "body_incomplete"),
        Error::ContentType { .. } => Sort::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type"),
        Error::MediaType { .. } => Sort::invalid(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type"),
        Error::Accept { .. } => Sort::invalid(StatusCode::NOT_ACCEPTABLE, "not_acceptable"),
        Error::Syntax { .. } => Sort::invalid(StatusCode::BAD_REQUEST, "invalid_json"),
        Error::TooDeep { .. } => Sort::invalid(StatusCode::BAD_REQUEST, "json_too_deep"),
        Error::Parameter { code, .. } => Sort::new(StatusCode::BAD_REQUEST, INVALID, *code),
        Error::Missing { .. } => Sort::invalid(StatusCode::NOT_FOUND, "not_found"),
        Error::Conflict { .. } => Sort::invalid(StatusCode::CONFLICT, "conflict"),
        Error::Unreached { .. } => Sort::new(StatusCode::BAD_GATEWAY, "upstream_error", None),
        Error::Timeout { .. } => Sort::new(StatusCode::GATEWAY_TIMEOUT, "server_error", Some("request_timeout")),
        Error::Panic { .. } | Error::Encode(_) => Sort::INTERNAL,
        Error::Gateway(gateway) => sort_gateway(gateway),
        Error::Catalog(catalog) => sort_catalog(catalog),
        Error::Lake(lake) => sort_lake(lake),
        Error::Model(model) => sort_model(model),
        Error::Engine(engine) => sort_engine(engine),
        Error::Trace(trace) => sort_trace(trace),
        Error::Telemetry { refusal, .. } => sort_telemetry(refusal),
    }
}

fn sort_telemetry(refusal: &Refusal) -> Sort {
    match refusal {
        // 503 and not 429: there are exporters that come again after the one only.
        Refusal::Full { retry_after_ms } => {
            Sort::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("telemetry_busy")).after(*retry_after_ms)
        }
        Refusal::TooLarge { .. } => Sort::invalid(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        Refusal::Unreadable { .. } => Sort::invalid(StatusCode::BAD_REQUEST, "invalid_telemetry"),
        Refusal::Failed(error) => Sort { hidden: true, ..sort_trace(error) },
    }
}

fn sort_gateway(error: &qd_gateway::Error) -> Sort {
    use qd_gateway::Error as Gateway;
    const UPSTREAM: &str = "upstream_error";
    match error {
        Gateway::UnknownModel { .. } | Gateway::NotInstalled { .. } => {
            Sort::invalid(StatusCode::NOT_FOUND, "model_not_found").about("model")
        }
        Gateway::Invalid { code, .. } => Sort::new(StatusCode::BAD_REQUEST, INVALID, *code),
        Gateway::Upstream { status, retry_after_ms, .. } => {
            let status = StatusCode::from_u16(*status)
                .ok()
                .filter(|status| status.is_client_error() || status.is_server_error());
            let sort = Sort::new(status.unwrap_or(StatusCode::BAD_GATEWAY), UPSTREAM, None);
            Sort { retry_after_ms: *retry_after_ms, ..sort }
        }
        Gateway::Credentials { .. }
        | Gateway::Unusable { .. }
        | Gateway::Unreachable { .. }
        | Gateway::Protocol { .. } => Sort::new(StatusCode::BAD_GATEWAY, UPSTREAM, None),
        Gateway::Timeout { .. } => Sort::new(StatusCode::GATEWAY_TIMEOUT, UPSTREAM, None),
        Gateway::Busy { retry_after_ms } => {
            Sort::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", None).after(*retry_after_ms)
        }
        Gateway::Unrecorded(_) => {
            Sort::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("not_recorded")).after(5_000)
        }
        Gateway::Configuration { .. } | Gateway::Catalog(_) | Gateway::Model(_) | Gateway::Engine(_) => Sort::INTERNAL,
    }
}

fn sort_catalog(error: &qd_catalog::Error) -> Sort {
    use qd_catalog::Error as Catalog;
    match error {
        Catalog::NotFound { .. } => Sort::invalid(StatusCode::NOT_FOUND, "not_found"),
        Catalog::Exists { .. } => Sort::invalid(StatusCode::CONFLICT, "already_exists"),
        Catalog::Conflict { .. } | Catalog::Moved { .. } | Catalog::JobState { .. } => {
            Sort::invalid(StatusCode::CONFLICT, "conflict")
        }
        Catalog::Invalid { .. } => Sort::invalid(StatusCode::BAD_REQUEST, "invalid_value"),
        Catalog::TooLarge { .. } => Sort::invalid(StatusCode::BAD_REQUEST, "too_large"),
        full if full.is_disk_full() => {
            Sort::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("disk_full")).after(30_000)
        }
        _ => Sort::INTERNAL,
    }
}

fn sort_lake(error: &qd_lake::Error) -> Sort {
    use qd_lake::Error as Lake;
    match error {
        Lake::UnknownTable { .. } | Lake::NoBlob { .. } => Sort::invalid(StatusCode::NOT_FOUND, "not_found"),
        Lake::Schema { .. } => Sort::invalid(StatusCode::BAD_REQUEST, "invalid_value"),
        Lake::Full { retry_after_ms } => {
            Sort::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("lake_busy")).after(*retry_after_ms)
        }
        Lake::TooLarge { .. } => Sort::invalid(StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        Lake::Closed => Sort::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("shutting_down")).after(5_000),
        Lake::Refused { .. } => Sort::invalid(StatusCode::FORBIDDEN, "statement_not_allowed").about("sql"),
        Lake::SqlTooLong { .. } | Lake::Sql { .. } => {
            Sort::invalid(StatusCode::BAD_REQUEST, "invalid_sql").about("sql")
        }
        Lake::Timeout { .. } => Sort::invalid(StatusCode::REQUEST_TIMEOUT, "query_timeout").about("sql"),
        Lake::Memory { .. } => Sort::invalid(StatusCode::UNPROCESSABLE_ENTITY, "query_memory").about("sql"),
        // The rows were not acknowledged; the disk may be full, so the sender should keep them and come again.
        Lake::Commit { .. } => {
            Sort::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("commit_failed")).after(5_000)
        }
        _ => Sort::INTERNAL,
    }
}

fn sort_trace(error: &qd_trace::Error) -> Sort {
    use qd_trace::Error as Trace;
    match error {
        Trace::Append(cause)
        | Trace::StorePayload { cause, .. }
        | Trace::ReadPayload { cause, .. }
        | Trace::Query { cause, .. } => sort_lake(cause),
        Trace::Prices { cause, .. } => sort_catalog(cause),
        Trace::Word(_) | Trace::Price { .. } => Sort::invalid(StatusCode::BAD_REQUEST, "invalid_value"),
        Trace::Cursor { .. } => Sort::invalid(StatusCode::BAD_REQUEST, "invalid_cursor").about("cursor"),
        Trace::Stopped => {
            Sort::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", Some("shutting_down")).after(5_000)
        }
        _ => Sort::INTERNAL,
    }
}

fn sort_engine(error: &qd_serve::Error) -> Sort {
    use qd_serve::Error as Engine;
    match error {
        Engine::UnknownModel { .. } => Sort::invalid(StatusCode::NOT_FOUND, "model_not_found"),
        Engine::AlreadyLoaded { .. } => Sort::invalid(StatusCode::CONFLICT, "conflict"),
        Engine::WrongKind { .. } | Engine::Invalid { .. } => Sort::invalid(StatusCode::BAD_REQUEST, "invalid_value"),
        Engine::ContextOverflow { .. } => {
            Sort::invalid(StatusCode::BAD_REQUEST, "context_length_exceeded").about("messages")
        }
        Engine::QueueFull { retry_after_ms } => {
            Sort::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("engine_busy")).after(*retry_after_ms)
        }
        _ => Sort::INTERNAL,
    }
}

fn sort_model(error: &qd_model::Error) -> Sort {
    use qd_model::Error as Model;
    match error {
        Model::Unknown { .. } | Model::NotInstalled { .. } | Model::NoVersion { .. } => {
            Sort::invalid(StatusCode::NOT_FOUND, "model_not_found")
        }
        Model::Labelled { .. } | Model::Reserved { .. } => Sort::invalid(StatusCode::CONFLICT, "conflict"),
        Model::Name(_) | Model::LabelName { .. } | Model::Source { .. } | Model::Gguf { .. } | Model::Template(_) => {
            Sort::invalid(StatusCode::BAD_REQUEST, "invalid_value")
        }
        Model::Catalog { cause, .. } => sort_catalog(cause),
        _ => Sort::INTERNAL,
    }
}
