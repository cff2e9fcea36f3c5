//! `/v1/traces`, `/v1/logs` and `/v1/metrics`: OpenTelemetry's protocol over HTTP, as protobuf or JSON.
//!
//! The same stands under `/api/public/otel`, where Langfuse's clients send it.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use qd_catalog::Scope;
use qd_trace::otlp::{self, Compression, Encoding, Place, Refusal, Signal, wire};

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::permission::{Caller, Permission};
use crate::route::Route;
use crate::state::Shared;

/// What a request is, told before its body is read.
#[derive(Clone, Copy)]
struct Form {
    encoding: Encoding,
    compression: Compression,
}

pub(crate) fn routes() -> Vec<Route> {
    let write = Permission::Scope(Scope::Write);
    vec![
        Route::post("/v1/traces", write, doc("otlpTraces", "Export spans"), traces),
        Route::post("/v1/logs", write, doc("otlpLogs", "Export log records"), logs),
        Route::post("/v1/metrics", write, doc("otlpMetrics", "Export metrics"), metrics),
        Route::post(
            "/api/public/otel/v1/traces",
            write,
            doc("otlpTracesAsLangfuse", "Export spans, where Langfuse's clients send them"),
            traces,
        ),
        Route::post(
            "/api/public/otel/v1/logs",
            write,
            doc("otlpLogsAsLangfuse", "Export log records beside them"),
            logs,
        ),
        Route::post(
            "/api/public/otel/v1/metrics",
            write,
            doc("otlpMetricsAsLangfuse", "Export metrics beside them"),
            metrics,
        ),
    ]
}

fn doc(id: &'static str, summary: &'static str) -> Doc {
    Doc::new("OpenTelemetry", id, summary)
        .text("An export request of OTLP as application/x-protobuf or application/json, perhaps compressed with gzip or zstd. Answered in the same form, when all records that were taken are on disk; those rejected are told as partial success. 503 with Retry-After when there is no room: then none was taken. Refusals have the form of google.rpc.Status.")
        .takes_otlp()
        .gives_otlp("The export response of OTLP")
}

async fn traces(State(surface): State<Shared>, caller: Caller, request: Request) -> Result<Response> {
    export(surface, caller, request, Signal::Traces).await
}

async fn logs(State(surface): State<Shared>, caller: Caller, request: Request) -> Result<Response> {
    export(surface, caller, request, Signal::Logs).await
}

async fn metrics(State(surface): State<Shared>, caller: Caller, request: Request) -> Result<Response> {
    export(surface, caller, request, Signal::Metrics).await
}

async fn export(surface: Shared, caller: Caller, request: Request, signal: Signal) -> Result<Response> {
    let Form { encoding, compression } = Form::of(request.headers())?;
    let refused = |refusal| Error::Telemetry { refusal, encoding };
    let intake = &surface.app.otlp;
    let mut place = intake.place();
    // Room is made for all of it before a byte is read, where the request says how much it is.
    let room = place.hold(announced(request.headers()));
    let limit_ms = surface.app.config.limits.body_ms;
    let read = async {
        let mut pieces = request.into_body().into_data_stream();
        let read = match room {
            Ok(()) => read(&mut pieces, &mut place).await?,
            Err(refusal) => Err(refusal),
        };
        if matches!(read, Err(Refusal::Full { .. })) {
            pass_over(&mut pieces, intake.message_bytes()).await;
        }
        read.map_err(refused)
    };
    let read = tokio::time::timeout(Duration::from_millis(limit_ms), read);
    let bytes = read.await.map_err(|_| Error::BodyTimeout { after_ms: limit_ms })??;
    let request = otlp::Request { signal, project: caller.project_name().clone(), bytes, encoding, compression };
    let taken = intake.take(request, place).await.map_err(refused)?;
    let mut response = Response::new(Body::from(wire::response(signal, &taken, encoding)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(encoding.media_type()));
    Ok(response)
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self> {
        let told = |name| headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"));
        let found = told(CONTENT_TYPE);
        let encoding = Encoding::of(found).ok_or_else(|| Error::MediaType {
            header: "Content-Type",
            found: found.chars().take(100).collect(),
            offered: "application/x-protobuf and application/json",
        })?;
        let found = told(CONTENT_ENCODING);
        let compression = Compression::of(found).ok_or_else(|| Error::MediaType {
            header: "Content-Encoding",
            found: found.chars().take(100).collect(),
            offered: "gzip, zstd and identity",
        })?;
        Ok(Self { encoding, compression })
    }
}

/// The bytes of a body, which take their room as they come.
async fn read(pieces: &mut BodyDataStream, place: &mut Place) -> Result<Result<Bytes, Refusal>> {
    let mut read = BytesMut::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(Error::BodyBroken)?;
        if let Err(refusal) = place.hold(read.len() + piece.len()) {
            return Ok(Err(refusal));
        }
        read.extend_from_slice(&piece);
    }
    Ok(Ok(read.freeze()))
}

/// Lets what is still coming go by. An exporter that is sending when the connection is closed sees a broken connection and
/// not the answer, which tells it when to come again.
async fn pass_over(pieces: &mut BodyDataStream, most_bytes: usize) {
    let mut passed = 0;
    while let Some(Ok(piece)) = pieces.next().await {
        passed += piece.len();
        if passed > most_bytes {
            return;
        }
    }
}

fn announced(headers: &HeaderMap) -> usize {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}
