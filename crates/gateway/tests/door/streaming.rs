//! Streams: passed on byte for byte, falling back before their first event and failing in good order after it.

use futures::StreamExt;
use qd_gateway::{Answer, Endpoint, EventStream};
use qd_trace::Status;
use serde_json::{Value, json};

use crate::house::{House, Settings};
use crate::upstream::{Piece, Reply, Upstream, refusal, stream, text};

const BODY: &str = r#"{"model":"m","stream":true,"messages":[]}"#;
const ROLE: &str = r#"{"id":"c","model":"x-1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"vendor":[1, 2]}"#;
const HELLO: &str =
    r#"{"id":"c","model":"x-1","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}"#;
const STOP: &str = r#"{"id":"c","model":"x-1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str =
    r#"{"id":"c","model":"x-1","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":2,"total_tokens":13}}"#;
const DONE: &str = "[DONE]";

/// The bytes of events with these data.
fn wire(data: &[&str]) -> String {
    data.iter().map(|data| format!("data: {data}\n\n")).collect()
}

async fn begin(house: &House, body: &str) -> EventStream {
    let Answer::Events(events) = house.call(Endpoint::Chat, body).await.unwrap() else {
        panic!("a stream was asked for")
    };
    events
}

async fn rest_of(events: EventStream) -> String {
    let bytes: Vec<_> = events.collect().await;
    String::from_utf8(bytes.concat()).unwrap()
}

async fn read_all(house: &House, body: &str) -> String {
    rest_of(begin(house, body).await).await
}

/// The error object in the last event.
fn last_error(stream: &str) -> Value {
    let last = stream.trim_end().rsplit("data: ").next().unwrap();
    serde_json::from_str::<Value>(last).unwrap()["error"].clone()
}

#[tokio::test]
async fn usage_is_asked_for_and_kept_from_a_client_that_did_not() {
    let upstream = Upstream::start(vec![stream(&[ROLE, HELLO, STOP, USAGE, DONE])]).await;
    let house = House::with_route("m", &[(&upstream, "x")]).await;
    assert_eq!(read_all(&house, BODY).await, wire(&[ROLE, HELLO, STOP, DONE]));
    assert_eq!(upstream.asked()[0].json()["stream_options"], json!({"include_usage": true}));
    let span = house.span().await;
    assert_eq!((span.usage.unwrap().input_tokens, span.usage.unwrap().output_tokens), (11, 2));
    assert_eq!(span.output.unwrap().as_str(), r#"[{"role":"assistant","content":"Hello"}]"#);
    assert_eq!((span.model.as_deref(), &span.attributes["finish_reasons"]), (Some("x-1"), &json!(["stop"])));
    assert!(span.ttft_ms.unwrap() > 0.0 && span.status == Status::Ok);
}

#[tokio::test]
async fn a_client_that_asks_for_usage_gets_it() {
    let upstream = Upstream::start(vec![stream(&[ROLE, HELLO, STOP, USAGE, DONE])]).await;
    let house = House::with_route("m", &[(&upstream, "x")]).await;
    let body = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;
    assert_eq!(read_all(&house, body).await, wire(&[ROLE, HELLO, STOP, USAGE, DONE]));
}

#[tokio::test]
async fn a_server_that_does_not_know_of_usage_is_asked_without() {
    let refused = refusal(400, r#"{"error":{"message":"Unrecognized request argument supplied: stream_options"}}"#);
    let answers = || stream(&[HELLO, STOP, DONE]);
    let upstream = Upstream::start(vec![refused, answers(), answers()]).await;
    let house = House::with_route("m", &[(&upstream, "m")]).await;
    for _ in 0..2 {
        assert_eq!(read_all(&house, BODY).await, wire(&[HELLO, STOP, DONE]));
        assert_eq!(house.span().await.attributes["usage_estimated"], true);
    }
    let asked: Vec<_> = upstream.asked().iter().map(|asked| asked.body.contains("stream_options")).collect();
    assert_eq!(asked, [true, false, false], "it is remembered");
}

#[tokio::test]
async fn comments_and_odd_line_ends_are_passed_on() {
    let pieces = [": waiting\n\n", "data: {\"choices\":[]", "}\r\n\r\n", "event: x\ndata: ", "[DONE]\n\n"];
    let upstream =
        Upstream::start(vec![Reply::Stream(pieces.map(|piece| Piece::Text(piece.to_owned())).to_vec())]).await;
    let house = House::with_route("m", &[(&upstream, "x")]).await;
    assert_eq!(read_all(&house, BODY).await, pieces.concat());
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_event_falls_back() {
    let broken = [
        Reply::Stream(vec![Piece::Break]),
        Reply::Stream(vec![Piece::Text(": only a comment\n\n".to_owned())]),
        stream(&[r#"{"error":{"message":"overloaded"}}"#]),
        refusal(500, "{}"),
        crate::upstream::json("{}"),
    ];
    for reply in broken {
        let (first, second) =
            (Upstream::start(vec![reply]).await, Upstream::start(vec![stream(&[HELLO, STOP, DONE])]).await);
        let house = House::new(Settings { retries: 0, ..Settings::route("m", &[(&first, "a"), (&second, "b")]) }).await;
        assert_eq!(read_all(&house, BODY).await, wire(&[HELLO, STOP, DONE]));
        assert_eq!(house.span().await.attributes["fallbacks"], 1);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_after_its_first_event_ends_with_an_error() {
    let upstream = Upstream::start(vec![Reply::Stream(vec![text(HELLO), Piece::BreakWhenTold])]).await;
    let second = Upstream::start(vec![]).await;
    let house = House::with_route("m", &[(&upstream, "a"), (&second, "b")]).await;
    let mut events = begin(&house, BODY).await;
    assert_eq!(events.next().await.unwrap(), wire(&[HELLO]));
    upstream.break_now();
    let told = rest_of(events).await;
    assert!(!told.contains(DONE), "{told}");
    assert_eq!(last_error(&told)["code"], "upstream_unreachable");
    let span = house.span().await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(span.output.unwrap().as_str(), r#"[{"role":"assistant","content":"Hello"}]"#);
    assert!(second.asked().is_empty(), "the client already has half of another answer");
}

#[tokio::test]
async fn half_an_answer_is_not_taken_for_a_whole_one() {
    let upstream = Upstream::start(vec![stream(&[HELLO]), stream(&[HELLO, STOP])]).await;
    let house = House::with_route("m", &[(&upstream, "a")]).await;
    assert_eq!(last_error(&read_all(&house, BODY).await)["code"], "upstream_protocol");
    assert_eq!(
        read_all(&house, BODY).await,
        wire(&[HELLO, STOP, DONE]),
        "a complete answer gets the end that its server forgot"
    );
}

#[tokio::test]
async fn an_error_that_the_upstream_tells_is_not_told_twice() {
    let told = r#"{"error":{"message":"out of memory","vendor":1}}"#;
    let upstream = Upstream::start(vec![stream(&[HELLO, told])]).await;
    let house = House::with_route("m", &[(&upstream, "a")]).await;
    assert_eq!(read_all(&house, BODY).await, wire(&[HELLO, told]));
    let span = house.span().await;
    assert_eq!(span.status, Status::Error);
    assert!(span.status_message.unwrap().contains("out of memory"));
}

#[tokio::test]
async fn silence_inside_a_stream_ends_it() {
    let upstream = Upstream::start(vec![Reply::Stream(vec![text(HELLO), Piece::Hang])]).await;
    let mut settings = Settings::route("m", &[(&upstream, "a")]);
    settings.limits.idle_timeout_ms = 50;
    let house = House::new(settings).await;
    assert_eq!(last_error(&read_all(&house, BODY).await)["code"], "upstream_timeout");
    upstream.left().await;
}

#[tokio::test]
async fn an_event_has_a_largest_size() {
    let upstream = Upstream::start(vec![stream(&[HELLO, &"x".repeat(5_000), DONE])]).await;
    let mut settings = Settings::route("m", &[(&upstream, "a")]);
    settings.limits.event_bytes = 1_000;
    let told = read_all(&House::new(settings).await, BODY).await;
    assert_eq!(last_error(&told)["code"], "upstream_protocol");
}
