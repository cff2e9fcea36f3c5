//! The server on a socket: accepting, limits on connections, and an end that drains.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::MapRequest;

use crate::app::App;
use crate::config::Limits;
use crate::peer::Connected;
use crate::state::{Lifecycle, Surface};
use crate::{grpc, routes};

/// How a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every request in flight was answered to its end.
    Drained,
    /// The drain limit passed; this many connections still had requests in flight and were closed.
    Cut {
        /// Connections closed.
        connections: usize,
    },
}

/// Serves `app` on `listener` until `shutdown` completes; then refuses new requests, lets those in flight end within the
/// drain limit, and returns.
///
/// Streams that outlast the limit end with an error event; what is still open a second later is closed.
pub async fn serve(listener: TcpListener, app: App, shutdown: impl Future<Output = ()>) -> Ended {
    serve_with_grpc(listener, None, app, shutdown).await
}

/// As [`serve`], and on `grpc` OpenTelemetry's protocol over gRPC, if there is such a listener.
pub async fn serve_with_grpc(
    listener: TcpListener,
    grpc: Option<TcpListener>,
    app: App,
    shutdown: impl Future<Output = ()>,
) -> Ended {
    let limits = app.config.limits.clone();
    let surface = Surface::shared(app);
    let lifecycle = surface.lifecycle.clone();
    let stopping = lifecycle.stopping.clone();
    let connections = Connections::new(&limits, routes::router(surface.clone()), stopping.clone());
    let telemetry = Connections::new(&limits, grpc::router(surface), stopping.clone());
    let accept_grpc = async {
        match &grpc {
            Some(listener) => accept(listener, &telemetry, stopping.cancelled()).await,
            None => stopping.cancelled().await,
        }
    };
    let accept_http = async {
        accept(&listener, &connections, shutdown).await;
        stopping.cancel();
    };
    tokio::join!(accept_http, accept_grpc);
    drop((listener, grpc));
    let limit = Duration::from_millis(limits.drain_ms);
    drain([&connections, &telemetry], &lifecycle, limit).await
}

/// Open connections and what each is served with.
struct Connections {
    router: Router,
    builder: Builder<TokioExecutor>,
    /// How long the first request may take to come.
    head_limit: Duration,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    stopping: CancellationToken,
    /// Ends connections that did not end themselves.
    closed: CancellationToken,
}

impl Connections {
    fn new(limits: &Limits, router: Router, stopping: CancellationToken) -> Self {
        Self {
            router,
            builder: builder(limits),
            head_limit: Duration::from_millis(limits.head_ms),
            places: Arc::new(Semaphore::new(limits.connections)),
            tasks: TaskTracker::new(),
            stopping,
            closed: CancellationToken::new(),
        }
    }

    /// Serves one connection on a task of its own; its place is given back when it closes.
    fn serve(&self, stream: TcpStream, address: IpAddr, place: tokio::sync::OwnedSemaphorePermit) {
        // Small events of a stream must not wait for more to fill a packet.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let builder = self.builder.clone();
        let first = CancellationToken::new();
        let silent = silent(first.clone(), self.head_limit);
        let router = MapRequest::new(self.router.clone(), move |mut request: Request<Incoming>| {
            first.cancel();
            request.extensions_mut().insert(Connected(address));
            request
        });
        let (stopping, closed) = (self.stopping.clone(), self.closed.clone());
        self.tasks.spawn(async move {
            let connection = builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = connection.as_mut() => ended,
                () = silent => Ok(()),
                () = stopping.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    tokio::select! { ended = connection => ended, () = closed.cancelled() => Ok(()) }
                }
            };
            if let Err(error) = ended {
                tracing::debug!(error = %error, "connection ended");
            }
            drop(place);
        });
    }
}

/// Completes when no request has come within the limit. Hyper's own timer begins only once it knows the version of HTTP,
/// which a connection that says nothing, or the half of a preface, never tells.
async fn silent(first: CancellationToken, limit: Duration) {
    if tokio::time::timeout(limit, first.cancelled()).await.is_ok() {
        std::future::pending().await
    }
}

fn builder(limits: &Limits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    let head_bytes = u32::try_from(limits.header_bytes).unwrap_or(u32::MAX);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.head_ms))
        // Hyper answers 431 by itself beyond this, and beyond 100 headers; the gate's own limits are reached first.
        .max_buf_size((limits.header_bytes + 16 * 1024).max(64 * 1024));
    builder.http2().timer(TokioTimer::new()).max_header_list_size(head_bytes).max_concurrent_streams(256);
    builder
}

async fn accept(listener: &TcpListener, connections: &Connections, shutdown: impl Future<Output = ()>) {
    let mut shutdown = pin!(shutdown);
    loop {
        let place = tokio::select! {
            () = shutdown.as_mut() => return,
            place = connections.places.clone().acquire_owned() => place,
        };
        // The semaphore is never closed.
        let Ok(place) = place else { return };
        let accepted = tokio::select! {
            () = shutdown.as_mut() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => connections.serve(stream, address.ip(), place),
            Err(error) => wait_out(&error).await,
        }
    }
}

/// A client that went away before it was accepted costs nothing; without file descriptors, accepting at once again would spin.
async fn wait_out(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn drain(connections: [&Connections; 2], lifecycle: &Lifecycle, limit: Duration) -> Ended {
    // Time for a cut stream to send its last event.
    const LAST_WORDS: Duration = Duration::from_secs(1);
    for connections in connections {
        connections.tasks.close();
    }
    let all_ended = || futures::future::join_all(connections.iter().map(|connections| connections.tasks.wait()));
    if tokio::time::timeout(limit, all_ended()).await.is_ok() {
        return Ended::Drained;
    }
    let left = connections.iter().map(|connections| connections.tasks.len()).sum();
    lifecycle.cut.cancel();
    if tokio::time::timeout(LAST_WORDS, all_ended()).await.is_err() {
        connections.iter().for_each(|connections| connections.closed.cancel());
        all_ended().await;
    }
    Ended::Cut { connections: left }
}
