//! In which ways calls go wrong: the one place that names them.
//!
//! The gateway knows why a call failed and notes it in the attribute [`ERROR_KIND`]. Of spans from elsewhere the
//! attribute `error.type` of OpenTelemetry's conventions and the message of the status are looked at. Both roads are one
//! table of rules, from which a program's answer ([`FailureKind::of`]) and the lake's ([`FailureKind::sql`]) are made.

use std::borrow::Cow;

use qd_base::words;

use crate::{Span, Status};

/// The attribute in which the gateway notes the kind.
pub const ERROR_KIND: &str = "error_kind";
/// OpenTelemetry's: <https://opentelemetry.io/docs/specs/semconv/registry/attributes/error/#error-type>.
const ERROR_TYPE: &str = "error.type";
/// So much of a message is looked at.
const LOOKED_AT_CHARS: usize = 2_000;

words!(
    /// In which way a call went wrong.
    FailureKind, "kind of failure", {
        /// Nothing came in time.
        Timeout = "timeout",
        /// An upstream's limit on requests or tokens was reached (429).
        RateLimited = "rate_limited",
        /// The engine's own queue was full.
        Busy = "busy",
        /// An upstream failed (5xx).
        Upstream5xx = "upstream_5xx",
        /// An upstream refused for another reason than those below (4xx).
        Upstream4xx = "upstream_4xx",
        /// An upstream refused our credentials, or there are none that can be used.
        Credentials = "credentials",
        /// An upstream could not be reached, or the connection broke.
        Unreachable = "unreachable",
        /// An answer could not be understood, or ended before its end.
        Protocol = "protocol",
        /// What was asked would be wrong anywhere.
        InvalidRequest = "invalid_request",
        /// Nobody has a model of that name.
        UnknownModel = "unknown_model",
        /// This server failed.
        Internal = "internal",
        /// The caller left before the end.
        Cancelled = "cancelled",
        /// Nothing above.
        Other = "other",
    }
);

/// How a kind is known by spans from elsewhere.
struct Rule {
    kind: FailureKind,
    /// Values of `error.type`.
    types: &'static [&'static str],
    /// Texts in the message of the status, in lower case; a dot stands for itself, and no other character is special.
    texts: &'static [&'static str],
}

/// The first rule that holds decides. Classes are those of OpenAI's and Anthropic's client libraries, which their
/// instrumentations give as `error.type`, with and without the name of their package.
const RULES: [Rule; 9] = [
    Rule {
        kind: FailureKind::RateLimited,
        types: &["429", "RateLimitError", "openai.RateLimitError", "anthropic.RateLimitError"],
        texts: &["status 429", "error code: 429", "rate limit", "ratelimit", "too many requests"],
    },
    Rule {
        kind: FailureKind::Credentials,
        types: &["401", "403", "407", "AuthenticationError", "PermissionDeniedError", "openai.AuthenticationError"],
        texts: &[
            "status 401",
            "status 403",
            "status 407",
            "error code: 401",
            "error code: 403",
            "credentials",
            "invalid api key",
        ],
    },
    Rule {
        kind: FailureKind::Upstream5xx,
        types: &["500", "502", "503", "504", "529", "InternalServerError", "openai.InternalServerError"],
        texts: &[
            "answered with status 5",
            "error code: 5",
            "internal server error",
            "bad gateway",
            "service unavailable",
            "overloaded",
        ],
    },
    Rule {
        kind: FailureKind::Timeout,
        types: &["408", "timeout", "TimeoutError", "APITimeoutError", "openai.APITimeoutError"],
        texts: &["did not answer within", "timed out", "timeout", "deadline exceeded", "status 408"],
    },
    Rule { kind: FailureKind::Busy, types: &[], texts: &["the model is busy"] },
    Rule {
        kind: FailureKind::Unreachable,
        types: &["APIConnectionError", "openai.APIConnectionError", "ConnectionError", "ConnectError"],
        texts: &["could not be reached", "connection refused", "connection reset", "connection error", "connect error"],
    },
    Rule {
        kind: FailureKind::UnknownModel,
        types: &["model_not_found"],
        texts: &["does not exist: no route", "model_not_found", "is not installed"],
    },
    Rule {
        kind: FailureKind::InvalidRequest,
        types: &[
            "400",
            "409",
            "413",
            "415",
            "422",
            "BadRequestError",
            "openai.BadRequestError",
            "UnprocessableEntityError",
        ],
        texts: &[
            "status 400",
            "status 409",
            "status 413",
            "status 415",
            "status 422",
            "error code: 400",
            "error code: 422",
        ],
    },
    Rule {
        kind: FailureKind::Upstream4xx,
        types: &["402", "404", "NotFoundError", "openai.NotFoundError"],
        texts: &["answered with status 4", "error code: 4"],
    },
];

impl FailureKind {
    /// How a span went wrong; none when it ended well.
    pub fn of(span: &Span) -> Option<Self> {
        match span.status {
            Status::Ok => None,
            Status::Cancelled => Some(Self::Cancelled),
            Status::Error => {
                // Strings are the only keys, so writing them cannot fail.
                let attributes = serde_json::to_string(&span.attributes).unwrap_or_default();
                Some(Self::told(&attributes, span.status_message.as_deref().unwrap_or_default()))
            }
        }
    }

    /// The kind that a message speaks of, for what is known by its message only.
    pub fn of_message(message: &str) -> Self {
        Self::told("", message)
    }

    fn told(attributes: &str, message: &str) -> Self {
        let has = |name: &str, value: &str| attributes.contains(&member(name, value));
        let noted = Self::ALL.iter().copied().find(|kind| has(ERROR_KIND, kind.as_str()));
        let by_type = || RULES.iter().find(|rule| rule.types.iter().any(|value| has(ERROR_TYPE, value)));
        let message: Cow<'_, str> = message.chars().take(LOOKED_AT_CHARS).collect::<String>().to_lowercase().into();
        let by_text = || RULES.iter().find(|rule| rule.texts.iter().any(|text| message.contains(text)));
        noted.or_else(|| by_type().or_else(by_text).map(|rule| rule.kind)).unwrap_or(Self::Other)
    }

    /// The kind of a span as SQL; null for one that ended well.
    pub(crate) fn sql() -> String {
        let alternatives = |texts: &[&str]| texts.join("|").replace('.', "[.]");
        let mut arms =
            vec!["WHEN status = 'ok' THEN NULL".to_owned(), "WHEN status = 'cancelled' THEN 'cancelled'".to_owned()];
        let arm = |condition: String, kind: Self| format!("WHEN {condition} THEN '{kind}'");
        arms.extend(
            Self::ALL
                .iter()
                .map(|&kind| arm(format!("contains(attributes, '{}')", member(ERROR_KIND, kind.as_str())), kind)),
        );
        arms.extend(RULES.iter().filter(|rule| !rule.types.is_empty()).map(|rule| {
            let name = ERROR_TYPE.replace('.', "[.]");
            arm(format!("regexp_like(attributes, '\"{name}\":\"({})\"')", alternatives(rule.types)), rule.kind)
        }));
        arms.extend(RULES.iter().map(|rule| {
            let message = format!("lower(substr(status_message, 1, {LOOKED_AT_CHARS}))");
            arm(format!("regexp_like({message}, '{}')", alternatives(rule.texts)), rule.kind)
        }));
        format!("CASE {} ELSE 'other' END", arms.join(" "))
    }
}

/// A member of a JSON object as the column of attributes has it: without spaces, so that no text within a value looks the
/// same, whose quotes have a backslash before them.
fn member(name: &str, value: &str) -> String {
    format!("\"{name}\":\"{value}\"")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::table::tests::full_span;

    /// Spans that went wrong, and how.
    pub(crate) fn failures() -> Vec<(Span, Option<FailureKind>)> {
        let failed = |attributes: &str, message: &str, kind| {
            let attributes = serde_json::from_str(attributes).unwrap();
            (Span { attributes, status_message: Some(message.to_owned()), ..full_span() }, Some(kind))
        };
        let said = |message: &str, kind| failed("{}", message, kind);
        vec![
            (Span { status: Status::Ok, ..full_span() }, None),
            (Span { status: Status::Cancelled, ..full_span() }, Some(FailureKind::Cancelled)),
            (Span { status_message: None, ..full_span() }, Some(FailureKind::Other)),
            failed(r#"{"a":1,"error_kind":"busy"}"#, "provider a did not answer within 5 ms", FailureKind::Busy),
            // What a caller wrote into a value does not count.
            failed(r#"{"note":"\"error_kind\":\"busy\""}"#, "Request timed out.", FailureKind::Timeout),
            failed(r#"{"error.type":"429"}"#, "", FailureKind::RateLimited),
            failed(r#"{"error.type":"openai.APITimeoutError"}"#, "", FailureKind::Timeout),
            failed(r#"{"error.type":"openaiXAPITimeoutError"}"#, "", FailureKind::Other),
            said("provider a answered with status 429", FailureKind::RateLimited),
            said("provider a answered with status 503", FailureKind::Upstream5xx),
            said("provider a answered with status 504", FailureKind::Upstream5xx),
            said("provider a answered with status 402", FailureKind::Upstream4xx),
            said("provider a answered with status 400", FailureKind::InvalidRequest),
            said("provider a did not answer within 50 ms", FailureKind::Timeout),
            said("provider a could not be reached: connecting", FailureKind::Unreachable),
            said("Error code: 401 - {'error': {'code': 'invalid_api_key'}}", FailureKind::Credentials),
            said("the model is busy; try again in 5 ms", FailureKind::Busy),
            said(&format!("{}timeout", " ".repeat(LOOKED_AT_CHARS)), FailureKind::Other),
        ]
    }

    #[test]
    fn every_failure_has_a_kind() {
        for (span, kind) in failures() {
            assert_eq!(FailureKind::of(&span), kind, "{:?} {:?}", span.status_message, span.attributes);
        }
        assert_eq!(FailureKind::of_message("provider a answered with status 500"), FailureKind::Upstream5xx);
    }

    /// The texts stand in regular expressions and in quotes of SQL.
    #[test]
    fn rules_hold_nothing_special_but_dots() {
        let special =
            |text: &&&str| text.contains(['\'', '"', '\\', '|', '(', ')', '[', ']', '*', '+', '?', '^', '$', '{', '}']);
        for rule in &RULES {
            assert_eq!(rule.types.iter().chain(rule.texts).find(special), None);
            assert!(rule.texts.iter().all(|text| **text == text.to_lowercase()));
        }
    }
}
