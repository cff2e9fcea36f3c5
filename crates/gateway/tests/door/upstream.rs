//! An upstream with a script: it notes what it is asked and gives the next answer of the script.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

/// One answer of the script.
pub enum Reply {
    /// A whole answer.
    Json(u16, Vec<(&'static str, String)>, String),
    /// A stream of these pieces.
    Stream(Vec<Piece>),
    /// No answer at all: the request hangs until the other side leaves.
    Silence,
}

/// A piece of a stream.
#[derive(Clone)]
pub enum Piece {
    /// Bytes as they go over the wire.
    Text(String),
    /// Nothing more comes, and the stream does not end.
    Hang,
    /// The connection breaks.
    Break,
    /// The connection breaks when the test says so: what came before has been read by then.
    BreakWhenTold,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("the gateway sends JSON")
    }
}

#[derive(Clone)]
pub struct Upstream {
    pub base_url: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
    /// Told when a hanging answer is dropped because the other side has left.
    left: mpsc::UnboundedSender<()>,
    left_receiver: tokio::sync::Mutex<mpsc::UnboundedReceiver<()>>,
    told_to_break: Notify,
}

impl Upstream {
    /// Starts a server that will give these answers, in this order, and 599 when there are no more.
    pub async fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (left, left_receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            script: Mutex::new(script.into()),
            asked: Mutex::default(),
            left,
            left_receiver: tokio::sync::Mutex::new(left_receiver),
            told_to_break: Notify::new(),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base_url, shared }
    }

    /// An upstream that nobody listens at.
    pub async fn absent() -> Self {
        // The discard port of RFC 863, which nothing has served for decades.
        Self { base_url: "http://127.0.0.1:9/v1".to_owned(), ..Self::start(vec![]).await }
    }

    /// Everything asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// Breaks the connection that waits to be told.
    pub fn break_now(&self) {
        self.shared.told_to_break.notify_one();
    }

    /// Waits until the other side has left a hanging answer.
    pub async fn left(&self) {
        let mut left = self.shared.left_receiver.lock().await;
        tokio::time::timeout(Duration::from_secs(10), left.recv())
            .await
            .expect("the upstream was not cancelled")
            .unwrap();
    }
}

/// A whole answer with status 200.
pub fn json(body: impl ToString) -> Reply {
    Reply::Json(200, Vec::new(), body.to_string())
}

/// A refusal.
pub fn refusal(status: u16, body: impl ToString) -> Reply {
    Reply::Json(status, Vec::new(), body.to_string())
}

/// A stream of these texts, each as one event.
pub fn stream(events: &[&str]) -> Reply {
    Reply::Stream(events.iter().map(|event| text(event)).collect())
}

/// A piece that is one event.
pub fn text(data: &str) -> Piece {
    Piece::Text(format!("data: {data}\n\n"))
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    shared.asked.lock().push(Asked { path: parts.uri.path().to_owned(), headers: parts.headers, body });
    let reply = shared.script.lock().pop_front();
    match reply {
        None => refused(599, Vec::new(), "the script is at its end".to_owned()),
        Some(Reply::Json(status, headers, body)) => refused(status, headers, body),
        Some(Reply::Stream(pieces)) => streamed(shared, pieces),
        Some(Reply::Silence) => {
            let _told = OnDrop(shared);
            std::future::pending().await
        }
    }
}

fn refused(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Response {
    let mut response =
        Response::builder().status(StatusCode::from_u16(status).unwrap()).header("content-type", "application/json");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).unwrap()
}

fn streamed(shared: Arc<Shared>, pieces: Vec<Piece>) -> Response {
    let told = OnDrop(shared);
    let body = async_stream::stream! {
        let told = told;
        for piece in pieces {
            match piece {
                Piece::Text(text) => yield Ok(Bytes::from(text)),
                Piece::Hang => std::future::pending().await,
                Piece::Break => yield Err(broken()),
                Piece::BreakWhenTold => {
                    told.0.told_to_break.notified().await;
                    yield Err(broken());
                }
            }
        }
    };
    Response::builder().header("content-type", "text/event-stream").body(Body::from_stream(body)).unwrap()
}

fn broken() -> std::io::Error {
    std::io::Error::other("the script says to break")
}

/// Tells that whoever held it was dropped.
struct OnDrop(Arc<Shared>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        // The test may be over.
        let _: Result<(), _> = self.0.left.send(());
    }
}
