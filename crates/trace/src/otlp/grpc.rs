//! OTLP over gRPC: the three services, each with its one method.
//!
//! Messages are handed on as the bytes that came: they are decoded where those of HTTP are, so that a large one holds up
//! nobody who is answered on the same thread, and a text that is not UTF-8 is mended here as there.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use parking_lot::Mutex;
use qd_base::ProjectName;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::{Body, Service, StdError, http};
use tonic::server::UnaryService;
use tonic::{Code, Response, Status};

use crate::otlp::wire::{self, Compression, Encoding};
use crate::otlp::{Intake, Place, Refusal, Request, Signal};

/// Whose records a request brings. Whoever lets requests through to [`Grpc`] puts it among their extensions.
#[derive(Debug, Clone)]
pub struct Sender(pub ProjectName);

/// The services, for a server of HTTP/2 that has found out who calls.
#[derive(Clone)]
pub struct Grpc {
    intake: Intake,
}

impl Grpc {
    /// Services that hand what they are sent to `intake`.
    pub fn new(intake: Intake) -> Self {
        Self { intake }
    }
}

/// The answer to a call that is refused before it reaches a service: gRPC's code and words.
pub fn refused(code: i32, message: &str) -> http::Response<tonic::body::Body> {
    Status::new(Code::from_i32(code), message).into_http()
}

/// The signal that a method exports.
fn signal(path: &str) -> Option<Signal> {
    match path {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Some(Signal::Traces),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Some(Signal::Logs),
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Some(Signal::Metrics),
        _ => None,
    }
}

impl<B> Service<http::Request<B>> for Grpc
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<StdError> + Send,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let Some(signal) = signal(request.uri().path()) else {
            return Box::pin(async { Ok(refused(Code::Unimplemented as i32, "there is no such method")) });
        };
        let intake = self.intake.clone();
        Box::pin(async move {
            let place = Arc::new(Mutex::new(intake.place()));
            let metered = request.map(|body| Metered { body, place: Arc::clone(&place) });
            let limit = intake.message_bytes();
            let mut grpc = tonic::server::Grpc::new(Raw)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .max_decoding_message_size(limit);
            Ok(grpc.unary(Export { intake, signal, place }, metered).await)
        })
    }
}

/// One call of a service.
struct Export {
    intake: Intake,
    signal: Signal,
    place: Arc<Mutex<Place>>,
}

impl UnaryService<Bytes> for Export {
    type Response = Vec<u8>;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Vec<u8>>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (intake, signal) = (self.intake.clone(), self.signal);
        let place = std::mem::replace(&mut *self.place.lock(), self.intake.place());
        let sender = request.extensions().get::<Sender>().cloned();
        Box::pin(async move {
            let Sender(project) = sender.ok_or_else(|| Status::unauthenticated("nobody has said who calls"))?;
            let bytes = request.into_inner();
            let request =
                Request { signal, project, bytes, encoding: Encoding::Protobuf, compression: Compression::None };
            let taken = intake.take(request, place).await.map_err(|refusal| status(&refusal))?;
            Ok(Response::new(wire::response(signal, &taken, Encoding::Protobuf)))
        })
    }
}

/// gRPC's word for a refusal, with the delay after which to come again where that is of use.
fn status(refusal: &Refusal) -> Status {
    let (code, message) = match refusal {
        Refusal::Full { .. } => (Code::Unavailable, refusal.to_string()),
        Refusal::TooLarge { .. } => (Code::ResourceExhausted, refusal.to_string()),
        Refusal::Unreadable { .. } => (Code::InvalidArgument, refusal.to_string()),
        Refusal::Failed(error) => {
            tracing::error!(cause = error.chain(), "telemetry could not be stored");
            (Code::Unavailable, "the server could not store it; its log says why".to_owned())
        }
    };
    let details = wire::refusal(code as i32, &message, refusal.retry_after(), Encoding::Protobuf);
    Status::with_details(code, message, details.into())
}

/// Hands messages on as they came.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// A body whose bytes take their room as they come.
struct Metered<B> {
    body: B,
    place: Arc<Mutex<Place>>,
}

impl<B> Body for Metered<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<StdError>,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| {
            let frame = frame.map_err(|cause| Status::from_error(cause.into()))?;
            if let Some(bytes) = frame.data_ref() {
                self.place.lock().grow(bytes.len()).map_err(|refusal| status(&refusal))?;
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
