//! Stub upstreams: one that answers every chat at once, with words made from what it was asked, and what those need that hold calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

/// Usage that the stub reports for every call.
pub const PROMPT_TOKENS: u64 = 11;
pub const COMPLETION_TOKENS: u64 = 3;

/// Starts the stub on a free port and returns its base URL.
pub async fn start() -> String {
    format!("{}/v1", serve(Router::new().route("/v1/chat/completions", post(answer))).await)
}

/// Serves a router on a free port for as long as the test runs, and gives where.
pub async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// How often each question was asked, and how often answered.
pub type Counts = HashMap<String, (usize, usize)>;

/// What an upstream shares that counts, and answers as many calls as it has permits.
pub struct Holding {
    pub permits: Semaphore,
    /// Calls that wait for a permit.
    pub held: watch::Sender<usize>,
    counts: Mutex<Counts>,
}

impl Holding {
    pub fn new(permits: usize) -> Arc<Self> {
        Arc::new(Self { permits: Semaphore::new(permits), held: watch::Sender::new(0), counts: Mutex::default() })
    }

    /// Counts a question, and waits until it may be answered.
    pub async fn hold(&self, question: &str) {
        self.counts.lock().expect("no test panics with it").entry(question.to_owned()).or_default().0 += 1;
        self.held.send_modify(|held| *held += 1);
        self.permits.acquire().await.expect("it is never closed").forget();
        self.held.send_modify(|held| *held -= 1);
        self.counts.lock().expect("no test panics with it").entry(question.to_owned()).or_default().1 += 1;
    }

    pub fn counts(&self) -> Counts {
        self.counts.lock().expect("no test panics with it").clone()
    }
}

/// A chat's answer to a request.
pub fn said(request: &Value, text: &str) -> Json<Value> {
    Json(json!({
        "id": "s", "object": "chat.completion", "created": 1, "model": request["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }))
}

/// The answer repeats the question, so that a row can be checked against its own id.
async fn answer(Json(request): Json<Value>) -> Response {
    let question = &request["messages"][0]["content"];
    if request["stream"] == true {
        return stream(question.as_str().unwrap_or_default());
    }
    Json(json!({
        "id": "chatcmpl-stub", "object": "chat.completion", "created": 1, "model": request["model"],
        "choices": [{
            "index": 0,
            "message": {"role": "assistant", "content": format!("echo {}", question.as_str().unwrap_or_default())},
            "finish_reason": "stop",
        }],
        "usage": {
            "prompt_tokens": PROMPT_TOKENS, "completion_tokens": COMPLETION_TOKENS,
            "total_tokens": PROMPT_TOKENS + COMPLETION_TOKENS,
        },
    }))
    .into_response()
}

/// The same in two pieces.
fn stream(question: &str) -> Response {
    let chunk = |delta: Value, finish: Value| {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
        format!(
            "data: {}\n\n",
            json!({"id": "chatcmpl-stub", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices})
        )
    };
    let pieces = ["echo ", question].map(|text| chunk(json!({"content": text}), Value::Null)).concat();
    let body = format!("{pieces}{}data: [DONE]\n\n", chunk(json!({}), "stop".into()));
    ([("content-type", "text/event-stream")], body).into_response()
}
