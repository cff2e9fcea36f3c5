//! `/v1/chat/completions` against a stub upstream.

use http::Method;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{Events, House, request};
use crate::stub;

const PATH: &str = "/v1/chat/completions";

fn body(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
}

#[tokio::test]
async fn an_answer_comes_byte_for_byte() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let answer = house.post(&key, PATH, body("stub/echo-1")).await;
    answer.expect(200);
    assert_eq!(answer.text(), stub::CHAT);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-quarterdeck-trace-id").len(), 32);
    assert!(answer.header("openai-processing-ms").parse::<u64>().is_ok());
    assert_eq!(answer.header("x-request-id").len(), 36);
}

#[tokio::test]
async fn unknown_fields_reach_the_upstream() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let mut sent = body("stub/echo-1");
    sent["x_future"] = json!({"deep": [1, {"er": null}]});
    house.post(&key, PATH, sent.clone()).await.expect(200);
    let seen: Value = serde_json::from_str(&house.stub.shared.last.body()).unwrap();
    sent["model"] = "echo-1".into();
    assert_eq!(seen, sent);
}

#[tokio::test]
async fn a_stream_ends_with_done() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let mut sent = body("stub/echo-1");
    sent["stream"] = true.into();
    sent["stream_options"] = json!({"include_usage": true});
    let response = house.send(request(Method::POST, PATH, Some(&key), Some(sent.to_string()))).await;
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let mut events = Events::of(response);
    let mut text = String::new();
    let mut usage = Value::Null;
    let mut last = String::new();
    while let Some(event) = events.data().await {
        last = event.strip_prefix("data: ").unwrap().to_owned();
        if let Ok(chunk) = serde_json::from_str::<Value>(&last) {
            text += chunk["choices"][0]["delta"]["content"].as_str().unwrap_or("");
            usage = chunk["usage"].clone();
        }
    }
    assert_eq!((text.as_str(), last.as_str(), &usage["total_tokens"]), ("Hello", "[DONE]", &json!(12)));
}

#[tokio::test]
async fn usage_that_was_not_asked_for_is_not_told() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let mut sent = body("stub/echo-1");
    sent["stream"] = true.into();
    let answer = house.post(&key, PATH, sent).await;
    assert!(
        answer.text().ends_with("data: [DONE]\n\n") && !answer.text().contains("total_tokens"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn a_call_is_traced_in_its_project_with_what_the_headers_tell() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer, Scope::Read]).await;
    let mut call = request(Method::POST, PATH, Some(&key), Some(body("stub/echo-1").to_string()));
    for (name, value) in [
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("x-quarterdeck-session", "s-1"),
        ("x-quarterdeck-user", "alice"),
        ("x-quarterdeck-tags", "one, two"),
        ("x-quarterdeck-environment", "staging"),
        ("x-quarterdeck-release", "1.2.3"),
    ] {
        call.headers_mut().insert(name, value.parse().unwrap());
    }
    let answer = house.call(call).await;
    answer.expect(200);
    assert_eq!(answer.header("x-quarterdeck-trace-id"), "4bf92f3577b34da6a3ce929d0e0e4736");
    house.settle().await;
    let trace = house.get(&key, "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736").await.expect(200);
    let span = &trace["spans"][0];
    let told = json!([
        span["parent_id"],
        span["session_id"],
        span["user_id"],
        span["tags"],
        span["environment"],
        span["release"]
    ]);
    assert_eq!(told, json!(["00f067aa0ba902b7", "s-1", "alice", ["one", "two"], "staging", "1.2.3"]));
    assert_eq!(
        (&span["input_tokens"], &span["output_tokens"], &span["provider"]),
        (&json!(9), &json!(3), &json!("stub"))
    );
    assert!(
        house.stub.shared.last.headers().contains("4bf92f3577b34da6a3ce929d0e0e4736"),
        "the trace goes on upstream"
    );
}

#[tokio::test]
async fn upstream_errors_keep_their_status_and_body() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let limited = house.post(&key, PATH, body("stub/limited")).await;
    limited.refused(429, "of_the_upstream");
    assert_eq!(limited.header("retry-after"), "7");
    house.post(&key, PATH, body("stub/broken")).await.refused(500, "of_the_upstream");
    // The caller's own key is good, so it must not look as if it were not.
    house.post(&key, PATH, body("stub/locked")).await.refused(502, "upstream_credentials");
}

#[tokio::test]
async fn an_unknown_model_is_not_found() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let error = house.post(&key, PATH, body("no-such-model")).await.refused(404, "model_not_found");
    assert_eq!((&error["type"], &error["param"]), (&json!("invalid_request_error"), &json!("model")));
}

#[tokio::test]
async fn wrong_requests_never_reach_the_upstream() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let mut warm = body("stub/echo-1");
    warm["temperature"] = 7.into();
    let error = house.post(&key, PATH, warm).await.refused(400, "decimal_above_max_value");
    assert_eq!(error["param"], "temperature");
    assert_eq!(
        error["message"],
        "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 7 instead."
    );
    let error = house
        .post(&key, PATH, json!({"model": "stub/echo-1", "messages": [{"role": "user", "content": 7}]}))
        .await
        .refused(400, "invalid_type");
    assert_eq!(error["param"], "messages[0].content");
    assert_eq!(house.stub.shared.last.body(), "");
}

#[tokio::test]
async fn a_long_wait_for_a_stream_is_filled_with_comments() {
    let house = House::with(|config| config.limits.keep_alive_ms = 20).await;
    let key = house.key(&[Scope::Infer]).await;
    let mut sent = body("stub/held");
    sent["stream"] = true.into();
    let mut events = Events::of(house.send(request(Method::POST, PATH, Some(&key), Some(sent.to_string()))).await);
    assert_eq!(events.next().await.unwrap(), ": waiting for the model");
    assert_eq!(events.next().await.unwrap(), ": keep-alive");
    house.stub.shared.held.add_permits(1);
    let mut last = String::new();
    while let Some(event) = events.data().await {
        last = event;
    }
    assert_eq!(last, "data: [DONE]");
}

#[tokio::test]
async fn what_fails_after_the_status_was_sent_is_an_event() {
    let house = House::with(|config| config.limits.keep_alive_ms = 20).await;
    let key = house.key(&[Scope::Infer]).await;
    let mut sent = body("stub/held-broken");
    sent["stream"] = true.into();
    let mut events = Events::of(house.send(request(Method::POST, PATH, Some(&key), Some(sent.to_string()))).await);
    assert_eq!(events.next().await.unwrap(), ": waiting for the model");
    house.stub.shared.held.add_permits(1);
    let event = events.data().await.unwrap();
    let error: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(error["error"]["code"], "of_the_upstream");
    assert_eq!(events.data().await, None);
}
