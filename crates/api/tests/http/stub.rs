//! An OpenAI-compatible upstream that answers by the name of the model it is asked for.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::StreamExt;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// A running stub; it stops when dropped.
pub struct Stub {
    port: u16,
    pub shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

/// What tests see and decide.
pub struct Shared {
    /// The last request: its headers as text and its body.
    pub last: parking::Slot,
    /// Every request: its `traceparent` and its body.
    pub all: Mutex<Vec<(String, Value)>>,
    /// Requests for models `held…` wait for one permit each, before they answer or between two events.
    pub held: Semaphore,
    /// How many requests for `held` are waiting.
    pub waiting: watch::Sender<usize>,
    /// How many requests for `sums-moody` are answered; all further ones are refused.
    pub mood: AtomicUsize,
}

pub mod parking {
    use std::sync::Mutex;

    /// The last request that was seen.
    #[derive(Default)]
    pub struct Slot(Mutex<(String, String)>);

    impl Slot {
        pub fn put(&self, headers: String, body: String) {
            *self.0.lock().unwrap() = (headers, body);
        }

        pub fn headers(&self) -> String {
            self.0.lock().unwrap().0.clone()
        }

        pub fn body(&self) -> String {
            self.0.lock().unwrap().1.clone()
        }
    }
}

impl Stub {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            last: parking::Slot::default(),
            all: Mutex::default(),
            held: Semaphore::new(0),
            waiting: watch::Sender::new(0),
            mood: AtomicUsize::new(usize::MAX),
        });
        let router = Router::new()
            .route("/v1/chat/completions", post(chat))
            .route("/v1/completions", post(completion))
            .route("/v1/embeddings", post(embedding))
            .route("/v1/models", get(models))
            .with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, shared, task }
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// Waits until a request for the model `held` waits.
    pub async fn one_waits(&self) {
        self.shared.waiting.subscribe().wait_for(|waiting| *waiting > 0).await.unwrap();
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn read(shared: &Shared, headers: &http::HeaderMap, body: &Bytes) -> Value {
    shared.last.put(format!("{headers:?}"), String::from_utf8(body.to_vec()).unwrap());
    let request: Value = serde_json::from_slice(body).unwrap();
    let trace = headers.get("traceparent").map_or("", |value| value.to_str().unwrap());
    shared.all.lock().unwrap().push((trace.to_owned(), request.clone()));
    request
}

async fn wait(shared: &Shared) {
    shared.waiting.send_modify(|waiting| *waiting += 1);
    shared.held.acquire().await.unwrap().forget();
    shared.waiting.send_modify(|waiting| *waiting -= 1);
}

async fn chat(State(shared): State<Arc<Shared>>, headers: http::HeaderMap, body: Bytes) -> Response {
    let request = read(&shared, &headers, &body);
    let model = request["model"].as_str().unwrap();
    if model.starts_with("held") {
        wait(&shared).await;
    }
    match model {
        "limited" => refuse(StatusCode::TOO_MANY_REQUESTS, "slow down"),
        "broken" | "held-broken" => refuse(StatusCode::INTERNAL_SERVER_ERROR, "the upstream is broken"),
        "locked" => refuse(StatusCode::UNAUTHORIZED, "bad key"),
        "proposer" => said(model, "1. add both numbers\n2. guess very well please"),
        "proposer-mute" => said(model, ""),
        "proposer-template" => said(model, "{{ question }} and {{ answer }}\n{% for x in y %} go on"),
        "proposer-babbling" => said(model, &"very ".repeat(5_000)),
        "proposer-parrot" => said(model, "guess as well as you can\nGuess as well  as you CAN"),
        "proposer-half" => said(model, "{{ x }} is it\nadd both numbers\nAdd both numbers\nno"),
        "sums-moody"
            if shared.mood.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() =>
        {
            refuse(StatusCode::BAD_REQUEST, &format!("I do not take request {}", shared.all.lock().unwrap().len()))
        }
        "judging" => judged(model, &request),
        "scorer-chat" => said(model, &sum_after(model, request["messages"][0]["content"].as_str().unwrap_or_default())),
        "sums" | "sums-other" | "sums-flaky" | "sums-gone" | "sums-moody" | "held-sums" => sum(model, &request),
        "judge" | "judge-flaky" | "judge-gone" | "held-judge" => verdict(model, &request),
        _ if request["stream"] == true => stream(shared, model.to_owned()),
        _ => json_response(CHAT),
    }
}

/// `n + n = ?` answered right when the system message begins with `add`. Every fourth one is refused by `sums-flaky`, and does not
/// reach `sums-gone`.
fn sum(model: &str, request: &Value) -> Response {
    let messages = request["messages"].as_array().unwrap();
    let n: u64 = messages.last().unwrap()["content"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
    if model == "sums-flaky" && n % 4 == 3 {
        return refuse(StatusCode::BAD_REQUEST, "not this one");
    }
    if model == "sums-gone" && n % 4 == 3 {
        return refuse(StatusCode::SERVICE_UNAVAILABLE, "gone");
    }
    let right = messages[0]["content"].as_str().unwrap().starts_with("add");
    if right { said(model, &(2 * n).to_string()) } else { said(model, "a lot") }
}

/// A judge says what stands between `says:` and `;` in what it sees; of a pair it prefers `strong` to `weak`, and the first place where it
/// reads `first wins`. Whoever is to say `no` is refused by `judge-flaky`; nobody reaches `judge-gone`.
fn verdict(model: &str, request: &Value) -> Response {
    let text = request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
    let word = text.split_once("says:").and_then(|(_, rest)| rest.split_once(';')).map(|(word, _)| word);
    let word = match (text.find("strong"), text.find("weak")) {
        _ if text.contains("first wins") => "A",
        (Some(strong), Some(weak)) if strong < weak => "A",
        (Some(_), Some(_)) => "B",
        _ => word.unwrap_or("cannot tell"),
    };
    match model {
        "judge-gone" => refuse(StatusCode::SERVICE_UNAVAILABLE, "gone"),
        "judge-flaky" if word == "no" => refuse(StatusCode::BAD_REQUEST, "not this one"),
        _ => said(model, &json!({"reasoning": "Because.", "verdict": word}).to_string()),
    }
}

/// A judge who goes by the word after `hereby` in what it is shown.
fn judged(model: &str, request: &Value) -> Response {
    let shown = request["messages"].to_string();
    let word = shown.split("hereby ").nth(1).and_then(|rest| rest.split(|c: char| !c.is_alphabetic()).next());
    match word {
        Some("refused") => refuse(StatusCode::BAD_REQUEST, "I judge no such thing"),
        Some("babble") => said(model, "well, well"),
        Some("unclear") => said(model, r#"{"reasoning": "hm", "verdict": "cannot tell"}"#),
        Some(word) => said(model, &json!({"reasoning": "so it is", "verdict": word}).to_string()),
        None => said(model, r#"{"reasoning": "no", "verdict": "wrong"}"#),
    }
}

fn said(model: &str, text: &str) -> Response {
    let answer = json!({
        "id": "s", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    });
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// An answer with fields and spacing of its own, so that a byte that is changed shows.
pub const CHAT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"echo-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello  there"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}, "x_own": [1,  2]}"#;

fn json_response(body: &'static str) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

fn refuse(status: StatusCode, message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": "server_error", "param": null, "code": "of_the_upstream"}});
    (status, [(CONTENT_TYPE, "application/json"), (http::header::RETRY_AFTER, "7")], body.to_string()).into_response()
}

fn stream(shared: Arc<Shared>, model: String) -> Response {
    let pieces = ["Hel", "lo"].into_iter().map(|text| chunk(json!({"content": text}), Value::Null));
    let last = [chunk(json!({}), "stop".into()), usage(), "data: [DONE]\n\n".to_owned()];
    let events = futures::stream::iter(pieces.chain(last)).then(move |event| {
        let (shared, paused) = (shared.clone(), model == "paused" && event.contains("\"lo\""));
        async move {
            if paused {
                wait(&shared).await;
            }
            Ok::<_, Infallible>(Bytes::from(event))
        }
    });
    ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(events)).into_response()
}

fn chunk(delta: Value, finish: Value) -> String {
    let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "echo-1", "choices": choices});
    format!("data: {chunk}\n\n")
}

fn usage() -> String {
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12});
    let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "echo-1", "choices": [], "usage": usage});
    format!("data: {chunk}\n\n")
}

async fn completion(State(shared): State<Arc<Shared>>, headers: http::HeaderMap, body: Bytes) -> Response {
    let request = read(&shared, &headers, &body);
    let model = request["model"].as_str().unwrap_or_default();
    if model == "scorer-chat" {
        return refuse(StatusCode::NOT_FOUND, "there are no completions here");
    }
    if model.starts_with("scorer") {
        return scorer(model, &request);
    }
    json_response(
        r#"{"id":"cmpl-1","object":"text_completion","created":1,"model":"echo-1","choices":[{"index":0,"text":" world","logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}"#,
    )
}

async fn embedding(State(shared): State<Arc<Shared>>, headers: http::HeaderMap, body: Bytes) -> Response {
    let request = read(&shared, &headers, &body);
    let model = request["model"].as_str().unwrap_or_default();
    if model.starts_with("held") {
        wait(&shared).await;
    }
    if model == "vectors-picky" && request["input"].to_string().contains('x') {
        return refuse(StatusCode::BAD_REQUEST, "not this one");
    }
    if let Some((_, kind)) = model.split_once("vectors-") {
        let before = shared.all.lock().unwrap().len();
        return vectors(model, kind, before, &request["input"]);
    }
    if model == "sums-near" {
        return near(&request);
    }
    json_response(
        r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6,0.8]}],"model":"echo-1","usage":{"prompt_tokens":2,"total_tokens":2}}"#,
    )
}

/// Says how likely each word of echoed prompts is, `yes` more than every other; and goes on from `n + n = ?` with the sum, which
/// `scorer-weak` does for even numbers only. `scorer-mute` echoes nothing, `scorer-picky` takes no prompt with the number 3.
/// `scorer-chat` only chats.
/// `scorer-begun` has a token that begins every prompt and tokens for pieces of characters, whose texts it counts as vLLM does.
fn scorer(model: &str, request: &Value) -> Response {
    let prompts: Vec<&str> = match &request["prompt"] {
        Value::String(prompt) => vec![prompt],
        prompts => prompts.as_array().unwrap().iter().map(|prompt| prompt.as_str().unwrap()).collect(),
    };
    if model == "scorer-picky" && prompts.iter().any(|prompt| prompt.contains("3 + 3")) {
        return refuse(StatusCode::BAD_REQUEST, "not this one");
    }
    let echoes = request["echo"] == true && model != "scorer-mute";
    let choice = |(index, prompt): (usize, &&str)| match echoes {
        true => {
            json!({"index": index, "text": prompt, "logprobs": word_logprobs(prompt, model == "scorer-begun"), "finish_reason": "length"})
        }
        false => json!({"index": index, "text": sum_after(model, prompt), "logprobs": null, "finish_reason": "stop"}),
    };
    let choices: Vec<Value> = prompts.iter().enumerate().map(choice).collect();
    let answer = json!({
        "id": "c", "object": "text_completion", "created": 1, "model": model, "choices": choices,
        "usage": {"prompt_tokens": 10 * prompts.len(), "completion_tokens": 2, "total_tokens": 10 * prompts.len() + 2},
    });
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

fn word_logprobs(prompt: &str, is_begun: bool) -> Value {
    let mut words: Vec<&str> = prompt.split_inclusive(' ').collect();
    if is_begun {
        words = words.into_iter().flat_map(pieces).collect();
        words.insert(0, "<|begin_of_text|>");
    }
    let (mut offsets, mut at) = (Vec::new(), 0);
    for word in &words {
        // The blank before a word is a part of its token.
        offsets.push(if at == 0 { 0 } else { at - 1 });
        at += word.chars().count();
    }
    let number = |(place, word): (usize, &&str)| match (place, *word) {
        (0, _) => Value::Null,
        (_, "yes") => json!(-0.5),
        _ => json!(-2.0),
    };
    let numbers: Vec<Value> = words.iter().enumerate().map(number).collect();
    let top = |(word, number): (&&str, &Value)| if number.is_null() { Value::Null } else { json!({*word: number}) };
    let tops: Vec<Value> = words.iter().zip(&numbers).map(top).collect();
    json!({"tokens": words, "token_logprobs": numbers, "top_logprobs": tops, "text_offset": offsets})
}

/// The tokens of a word; a letter of two bytes is two, each told as what stands for bytes that are no character.
fn pieces(word: &str) -> Vec<&str> {
    let rare = |c: char| c.len_utf8() == 2;
    let mut found = Vec::new();
    for part in word.split_inclusive(rare) {
        let whole = part.trim_end_matches(rare);
        found.extend(Some(whole).filter(|whole| !whole.is_empty()));
        found.extend(std::iter::repeat_n("\u{FFFD}", 2 * usize::from(whole.len() < part.len())));
    }
    found
}

fn sum_after(model: &str, prompt: &str) -> String {
    let Some(n) = prompt.split(" + ").next().and_then(|n| n.rsplit(' ').next()?.parse::<u64>().ok()) else {
        return "Once upon a time".to_owned();
    };
    if model == "scorer-weak" && n % 2 == 1 { "no idea".to_owned() } else { (2 * n).to_string() }
}

/// A vector for each text: how often each of the first letters of the alphabet is in it, and a little more than nothing. Of
/// `mixed` the last one is longer, `alternating` gives every other call longer ones, and `picky` takes no text with an x.
fn vectors(model: &str, kind: &str, calls: usize, input: &Value) -> Response {
    let texts: Vec<&str> = input.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    let length = |place: usize| match kind {
        "mixed" => 2 + usize::from(place + 1 == texts.len()),
        "alternating" => 2 + calls % 2,
        "picky" => 2,
        length => length.parse().unwrap(),
    };
    let count = |text: &str, letter: u8| text.bytes().filter(|&byte| byte == b'a' + letter).count() as f64 + 0.01;
    let vector = |(place, text): (usize, &&str)| {
        let vector: Vec<f64> = (0..length(place) as u8).map(|letter| count(text, letter)).collect();
        json!({"object": "embedding", "index": place, "embedding": vector})
    };
    let data: Vec<Value> = texts.iter().enumerate().map(vector).collect();
    let answer =
        json!({"object": "list", "data": data, "model": model, "usage": {"prompt_tokens": 1, "total_tokens": 1}});
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

/// Vectors that are the nearer to each other the nearer the first numbers in the texts are. The last one comes first.
fn near(request: &Value) -> Response {
    let vector = |(place, text): (usize, &Value)| {
        let digits = |word: &&str| word.chars().all(|c| c.is_ascii_digit());
        let n: f64 = text.as_str().unwrap().split(' ').find(digits).unwrap().parse().unwrap();
        json!({"object": "embedding", "index": place, "embedding": [(n / 100.0).cos(), (n / 100.0).sin()]})
    };
    let data: Vec<Value> = request["input"].as_array().unwrap().iter().enumerate().map(vector).rev().collect();
    let answer =
        json!({"object": "list", "data": data, "model": "sums-near", "usage": {"prompt_tokens": 5, "total_tokens": 5}});
    ([(CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

async fn models() -> Response {
    json_response(
        r#"{"object":"list","data":[{"id":"echo-1","object":"model","created":1700000000,"owned_by":"stub"}]}"#,
    )
}
