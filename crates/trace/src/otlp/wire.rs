//! Bytes in, messages out: OTLP's encodings and compressions, and what is answered in them.
//!
//! [OTLP specification](https://opentelemetry.io/docs/specs/otlp/), and for its JSON form also
//! [the mapping of protobuf](https://protobuf.dev/programming-guides/json/).

use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::otlp::utf8::repair;
use crate::otlp::{Refusal, Signal, Taken};

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `application/x-protobuf`.
    Protobuf,
    /// `application/json`.
    Json,
}

impl Encoding {
    /// The encoding of a `Content-Type`; none for any other type.
    pub fn of(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" | "application/protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Its `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

/// How a message is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    /// The compression of a `Content-Encoding`; none for any other.
    pub fn of(content_encoding: &str) -> Option<Self> {
        match content_encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Some(Self::None),
            "gzip" | "x-gzip" => Some(Self::Gzip),
            "zstd" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The bytes that were compressed, `limit_bytes` of them at most.
    pub(crate) fn open(self, bytes: Bytes, limit_bytes: usize) -> Result<Bytes, Refusal> {
        let opened = match self {
            Self::None => Ok(bytes),
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(&*bytes), limit_bytes),
            Self::Zstd => zstd::stream::read::Decoder::with_buffer(&*bytes).and_then(|bytes| read(bytes, limit_bytes)),
        };
        let opened = opened.map_err(|cause| Refusal::unreadable(format!("it is not {self:?}: {cause}")))?;
        if opened.len() > limit_bytes { Err(Refusal::TooLarge { limit_bytes }) } else { Ok(opened) }
    }
}

/// Reads one byte more than the limit, so that going beyond it shows.
fn read(compressed: impl Read, limit_bytes: usize) -> std::io::Result<Bytes> {
    let mut bytes = Vec::new();
    compressed.take(limit_bytes as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

/// The request in these bytes. Texts that are not UTF-8 are mended, so that one of them does not cost all the others.
pub(crate) fn decode<M: Message + Default + DeserializeOwned>(
    bytes: &Bytes,
    encoding: Encoding,
    signal: Signal,
) -> Result<M, Refusal> {
    match encoding {
        Encoding::Protobuf => M::decode(bytes.clone()).or_else(|_| {
            let mut mended = bytes.to_vec();
            repair(&mut mended, signal);
            M::decode(Bytes::from(mended)).map_err(|cause| Refusal::unreadable(cause.to_string()))
        }),
        Encoding::Json => {
            let text = String::from_utf8_lossy(bytes);
            serde_json::from_str(&text).map_err(|cause| Refusal::unreadable(cause.to_string()))
        }
    }
}

/// The answer to a request that was taken, encoded as the request was. Without rejected records it says nothing, as the
/// specification demands.
pub fn response(signal: Signal, taken: &Taken, encoding: Encoding) -> Vec<u8> {
    let told = (taken.rejected > 0 || !taken.message.is_empty())
        .then(|| (i64::try_from(taken.rejected).unwrap_or(i64::MAX), taken.message.clone()));
    match signal {
        Signal::Traces => encode(encoding, "rejectedSpans", &told, |told| ExportTraceServiceResponse {
            partial_success: told
                .map(|(rejected_spans, error_message)| ExportTracePartialSuccess { rejected_spans, error_message }),
        }),
        Signal::Logs => encode(encoding, "rejectedLogRecords", &told, |told| ExportLogsServiceResponse {
            partial_success: told.map(|(rejected_log_records, error_message)| ExportLogsPartialSuccess {
                rejected_log_records,
                error_message,
            }),
        }),
        Signal::Metrics => encode(encoding, "rejectedDataPoints", &told, |told| ExportMetricsServiceResponse {
            partial_success: told.map(|(rejected_data_points, error_message)| ExportMetricsPartialSuccess {
                rejected_data_points,
                error_message,
            }),
        }),
    }
}

type Told = Option<(i64, String)>;

fn encode<M: Message>(encoding: Encoding, name: &str, told: &Told, message: impl FnOnce(Told) -> M) -> Vec<u8> {
    match (encoding, told) {
        (Encoding::Protobuf, told) => message(told.clone()).encode_to_vec(),
        (Encoding::Json, None) => b"{}".to_vec(),
        // A number of 64 bits is a text in the JSON form of protobuf.
        (Encoding::Json, Some((rejected, why))) => {
            json!({"partialSuccess": {name: rejected.to_string(), "errorMessage": why}}).to_string().into_bytes()
        }
    }
}

/// `google.rpc.Status`: what a refused request is answered with.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`: after how long to come again.
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The `google.rpc.Status` of a refusal. `code` is one of gRPC's.
pub fn refusal(code: i32, message: &str, retry_after: Option<Duration>, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => {
            let info = retry_after.map(|delay| RetryInfo {
                retry_delay: Some(Delay {
                    seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                    nanos: i32::try_from(delay.subsec_nanos()).unwrap_or(0),
                }),
            });
            let details = info.map(|info| Any { type_url: RETRY_INFO.to_owned(), value: info.encode_to_vec() });
            Status { code, message: message.to_owned(), details: details.into_iter().collect() }.encode_to_vec()
        }
        Encoding::Json => {
            let detail =
                |delay: Duration| json!({"@type": RETRY_INFO, "retryDelay": format!("{}s", delay.as_secs_f64())});
            let details: Vec<Value> = retry_after.map(detail).into_iter().collect();
            json!({"code": code, "message": message, "details": details}).to_string().into_bytes()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use std::io::Write as _;

    #[test]
    fn a_bomb_is_refused_at_the_limit() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(&vec![0; 1 << 20]).unwrap();
        let gzip = Bytes::from(gzip.finish().unwrap());
        let zstd = Bytes::from(zstd::encode_all(&vec![0; 1 << 20][..], 3).unwrap());
        for (compression, bytes) in [(Compression::Gzip, gzip), (Compression::Zstd, zstd)] {
            assert_eq!(compression.open(bytes.clone(), 1 << 20).unwrap().len(), 1 << 20);
            assert!(matches!(compression.open(bytes, (1 << 20) - 1), Err(Refusal::TooLarge { .. })));
            assert!(matches!(compression.open(Bytes::from_static(b"no"), 10), Err(Refusal::Unreadable { .. })));
        }
        assert!(matches!(Compression::None.open(Bytes::from_static(b"abc"), 2), Err(Refusal::TooLarge { .. })));
    }

    /// Written by hand after the specification's example: field 1 of a request, field 2 of ResourceSpans, field 2 of
    /// ScopeSpans, field 5 of a span, with one byte that is part of no character.
    #[test]
    fn a_text_that_is_not_utf8_does_not_cost_the_others() {
        let name = |text: &[u8]| [&[0x2a, text.len() as u8], text].concat();
        let within = |field: u8, inner: &[u8]| [&[field, inner.len() as u8], inner].concat();
        let spans = [within(0x12, &name(b"a\xffb")), within(0x12, &name("é".as_bytes()))].concat();
        let bytes = Bytes::from(within(0x0a, &within(0x12, &spans)));
        let request: ExportTraceServiceRequest = decode(&bytes, Encoding::Protobuf, Signal::Traces).unwrap();
        let names: Vec<_> =
            request.resource_spans[0].scope_spans[0].spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["a?b", "é"]);
        let torn = bytes.slice(..bytes.len() - 1);
        assert!(decode::<ExportTraceServiceRequest>(&torn, Encoding::Protobuf, Signal::Traces).is_err());
    }

    /// The bytes by hand: field 1 is `partial_success`, in it field 1 the number and field 2 the text.
    #[test]
    fn an_answer_says_what_was_rejected_and_else_nothing() {
        let taken = Taken { accepted: 1, rejected: 2, message: "why".into() };
        assert_eq!(response(Signal::Traces, &taken, Encoding::Protobuf), b"\x0a\x07\x08\x02\x12\x03why");
        assert_eq!(
            response(Signal::Logs, &taken, Encoding::Json),
            br#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"why"}}"#.to_vec()
        );
        let all = Taken { accepted: 1, ..Taken::default() };
        assert_eq!(
            (response(Signal::Metrics, &all, Encoding::Protobuf), response(Signal::Traces, &all, Encoding::Json)),
            (vec![], b"{}".to_vec())
        );
    }

    #[test]
    fn a_refusal_says_when_to_come_again() {
        let json: Value =
            serde_json::from_slice(&refusal(14, "full", Some(Duration::from_millis(1500)), Encoding::Json)).unwrap();
        assert_eq!(json["details"][0]["retryDelay"], "1.5s");
        // Status: code 14, message, details: Any with the type's name and RetryInfo { Duration { 1 s } }.
        let expected =
            [&b"\x08\x0e\x12\x04full\x1a\x30\x0a\x28"[..], RETRY_INFO.as_bytes(), b"\x12\x04\x0a\x02\x08\x01"].concat();
        assert_eq!(refusal(14, "full", Some(Duration::from_secs(1)), Encoding::Protobuf), expected);
    }
}
