//! The server on a socket: how it ends.

use std::net::SocketAddr;

use http::Method;
use qd_api::{Ended, Limits};
use qd_catalog::Scope;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::house::Parts;

struct Server {
    parts: Parts,
    key: String,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Ended>,
}

impl Server {
    async fn start(drain_ms: u64) -> Self {
        Self::with(|limits| limits.drain_ms = drain_ms).await
    }

    async fn with(change: impl FnOnce(&mut Limits)) -> Self {
        let parts = Parts::open().await;
        let project = parts.catalog.default_project().id;
        let key = parts.catalog.create_key(project, "test", [Scope::Infer].into_iter().collect(), None).await.unwrap();
        let app = parts.app(|config| change(&mut config.limits));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let ended = tokio::spawn(qd_api::serve(listener, app, async move { drop(stopped.await) }));
        Self { parts, key: key.secret.expose().to_owned(), address, stop: Some(stop), ended }
    }

    async fn send(&self, method: Method, path: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.address,
            self.key,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }
}

/// Reads until `wanted` has come or the connection ends.
async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let length = stream.read(&mut buffer).await.unwrap_or(0);
        if length == 0 {
            break;
        }
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    text
}

fn chat(model: &str, stream: bool) -> String {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "Hi"}]}).to_string()
}

#[tokio::test]
async fn a_stream_in_flight_ends_well_and_new_connections_are_refused() {
    let mut server = Server::start(60_000).await;
    let mut stream = server.send(Method::POST, "/v1/chat/completions", &chat("stub/paused", true)).await;
    assert!(read_until(&mut stream, "Hel").await.starts_with("HTTP/1.1 200 OK"));
    server.parts.stub.one_waits().await;
    server.stop();
    // The listener is closed as soon as the server hears of it.
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    server.parts.stub.shared.held.add_permits(1);
    assert!(read_until(&mut stream, "[DONE]").await.contains("[DONE]"));
    drop(stream);
    assert_eq!(server.ended.await.unwrap(), Ended::Drained);
}

#[tokio::test]
async fn a_stream_that_outlasts_the_drain_is_told_so() {
    let mut server = Server::start(50).await;
    let mut stream = server.send(Method::POST, "/v1/chat/completions", &chat("stub/paused", true)).await;
    read_until(&mut stream, "Hel").await;
    server.stop();
    assert!(read_until(&mut stream, "shutting_down").await.contains("shutting_down"));
    assert_eq!(server.ended.await.unwrap(), Ended::Cut { connections: 1 });
}

#[tokio::test]
async fn a_call_that_outlasts_the_drain_is_closed() {
    let mut server = Server::start(50).await;
    let _waiting = server.send(Method::POST, "/v1/chat/completions", &chat("stub/held", false)).await;
    server.parts.stub.one_waits().await;
    server.stop();
    assert_eq!(server.ended.await.unwrap(), Ended::Cut { connections: 1 });
}

#[tokio::test]
async fn idle_connections_and_feeds_do_not_hold_up_the_end() {
    let mut server = Server::start(60_000).await;
    let mut idle = server.send(Method::GET, "/health", "").await;
    read_until(&mut idle, "\"ok\"").await;
    let key = server.parts.catalog.create_key(
        server.parts.catalog.default_project().id,
        "read",
        [Scope::Read].into_iter().collect(),
        None,
    );
    server.key = key.await.unwrap().secret.expose().to_owned();
    let mut tail = server.send(Method::GET, "/api/v1/traces/tail", "").await;
    read_until(&mut tail, "following").await;
    server.stop();
    assert_eq!(server.ended.await.unwrap(), Ended::Drained);
}

#[tokio::test]
async fn a_head_with_too_many_lines_is_refused() {
    let server = Server::start(60_000).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let lines: String = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    stream.write_all(format!("GET /health HTTP/1.1\r\n{lines}\r\n").as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let server = Server::with(|limits| limits.head_ms = 100).await;
    let mut stream = server.send(Method::POST, "/v1/chat/completions", &chat("stub/paused", true)).await;
    assert!(read_until(&mut stream, "Hel").await.starts_with("HTTP/1.1 200 OK"));
    server.parts.stub.one_waits().await;
    // RFC 9113, section 3.4: the preface, in part and whole with empty settings.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for said in [&b""[..], b"GET /hea", b"GET /health HTTP/1.1\r\nhost:", &preface[..10], preface] {
        let mut silent = TcpStream::connect(server.address).await.unwrap();
        silent.write_all(said).await.unwrap();
        // Until it is closed; a reset is an end too.
        let _ = silent.read_to_end(&mut Vec::new()).await;
    }
    // Meanwhile the limit has passed for the request that is being answered, which it does not concern.
    server.parts.stub.shared.held.add_permits(1);
    assert!(read_until(&mut stream, "[DONE]").await.contains("[DONE]"));
}
