//! A stub upstream: answers every chat at once, with words made from what it was asked.

use axum::Json;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};

/// Usage that the stub reports for every call.
pub const PROMPT_TOKENS: u64 = 11;
pub const COMPLETION_TOKENS: u64 = 3;

/// Starts the stub on a free port and returns its base URL.
pub async fn start() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let router = axum::Router::new().route("/v1/chat/completions", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/v1")
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
