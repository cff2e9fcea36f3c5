//! What every request meets before and after its handler.

use axum::body::Body;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Method, Request};
use qd_catalog::Scope;
use serde_json::json;

use crate::house::{House, OPERATOR, request};

const CHAT: &str = "/v1/chat/completions";

async fn post_raw(house: &House, content_type: &str, body: impl Into<Body>) -> crate::house::Answer {
    let mut call = request(Method::POST, CHAT, Some(OPERATOR), None);
    if !content_type.is_empty() {
        call.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
    }
    house.call(call.map(|_| body.into())).await
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let house = House::open().await;
    let error = house.get(OPERATOR, "/v1/nothing").await.refused(404, "unknown_url");
    assert_eq!(error["message"], "Invalid URL (GET /v1/nothing)");
    let answer = house.get(OPERATOR, CHAT).await;
    answer.refused(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn bodies_that_are_not_json() {
    let house = House::open().await;
    post_raw(&house, "application/json", "{\"model\":").await.refused(400, "invalid_json");
    post_raw(&house, "application/json", "").await.refused(400, "invalid_json");
    post_raw(&house, "application/json", "[".repeat(100_000)).await.refused(400, "json_too_deep");
    post_raw(&house, "application/json", "[\"m\", []]").await.refused(400, "invalid_type");
    post_raw(&house, "text/plain", "{}").await.refused(415, "unsupported_content_type");
    post_raw(&house, "", "{}").await.refused(415, "unsupported_content_type");
    post_raw(&house, "application/json; charset=utf-8", "{}").await.refused(400, "missing_required_parameter");
}

#[tokio::test]
async fn bodies_that_are_too_large() {
    let house = House::with(|config| config.limits.body_bytes = 1000).await;
    let padded = |length: usize| format!("{{\"model\":\"{}\"}}", "m".repeat(length - 12));
    post_raw(&house, "application/json", padded(1000)).await.refused(400, "missing_required_parameter");
    post_raw(&house, "application/json", padded(1001)).await.refused(413, "body_too_large");
    let mut announced = request(Method::POST, CHAT, Some(OPERATOR), Some("{}".into()));
    announced.headers_mut().insert(CONTENT_LENGTH, "1001".parse().unwrap());
    house.call(announced).await.refused(413, "body_too_large");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let house = House::with(|config| config.limits.body_ms = 20).await;
    let never = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    post_raw(&house, "application/json", Body::from_stream(never)).await.refused(408, "body_timeout");
}

#[tokio::test]
async fn heads_that_are_too_large() {
    let house = House::with(|config| config.limits.header_bytes = 2000).await;
    let mut call = request(Method::GET, "/health", None, None);
    call.headers_mut().insert("x-long", "x".repeat(2000).parse().unwrap());
    house.call(call).await.refused(431, "headers_too_large");
    let house = House::with(|config| config.limits.header_count = 2).await;
    let mut call = request(Method::GET, "/health", None, None);
    for name in ["x-one", "x-two", "x-three"] {
        call.headers_mut().insert(name, "1".parse().unwrap());
    }
    house.call(call).await.refused(431, "headers_too_large");
}

#[tokio::test]
async fn keys_that_are_no_good() {
    let house = House::open().await;
    house.call(request(Method::GET, "/v1/models", None, None)).await.refused(401, "invalid_api_key");
    let wrong = house.get("qd-wrong", "/v1/models").await;
    wrong.refused(401, "invalid_api_key");
    assert_eq!(wrong.header("www-authenticate"), "Bearer");
    assert!(!wrong.text().contains("qd-wrong"), "a key is not repeated");
    let mut basic = request(Method::GET, "/v1/models", None, None);
    basic.headers_mut().insert("authorization", "Basic dXNlcjpwYXNz".parse().unwrap());
    house.call(basic).await.refused(401, "invalid_api_key");
}

#[tokio::test]
async fn somebody_elses_host_is_refused() {
    let house = House::with(|config| config.hosts = vec!["llm.example.org".into()]).await;
    for (host, status) in [
        ("evil.example", 421),
        ("127.0.0.1:4100", 200),
        ("localhost", 200),
        ("llm.example.org", 200),
        ("10.1.2.3", 421),
    ] {
        let mut call = request(Method::GET, "/health", None, None);
        call.headers_mut().insert(HOST, host.parse().unwrap());
        assert_eq!(house.call(call).await.status, status, "{host}");
    }
    let http2 = Request::builder().uri("http://evil.example/health").body(Body::empty()).unwrap();
    house.call(http2).await.refused(421, "host_not_allowed");
}

#[tokio::test]
async fn no_page_on_the_web_is_invited() {
    let house = House::open().await;
    let mut preflight = request(Method::OPTIONS, CHAT, None, None);
    preflight.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    preflight.headers_mut().insert("access-control-request-method", "POST".parse().unwrap());
    let answer = house.call(preflight).await;
    answer.refused(405, "method_not_allowed");
    assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
}

#[tokio::test]
async fn places_are_bounded_and_given_back() {
    let house = House::with(|config| config.limits.in_flight = 1).await;
    let key = house.key(&[Scope::Infer]).await;
    let held = json!({"model": "stub/held", "messages": [{"role": "user", "content": "Hi"}]});
    let first = tokio::spawn({
        let (router, call) = (house.router.clone(), request(Method::POST, CHAT, Some(&key), Some(held.to_string())));
        async move { tower::ServiceExt::oneshot(router, call).await.unwrap() }
    });
    house.stub.one_waits().await;
    let refused = house.get(&key, "/v1/models").await;
    refused.refused(503, "server_busy");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(house.call(request(Method::GET, "/health", None, None)).await.status, 200, "probes need no place");
    house.stub.shared.held.add_permits(1);
    assert_eq!(first.await.unwrap().status(), 200);
    house.get(&key, "/v1/models").await.expect(200);
}

#[tokio::test]
async fn a_stream_keeps_its_place_until_its_end() {
    let house = House::with(|config| config.limits.in_flight = 1).await;
    let key = house.key(&[Scope::Infer]).await;
    let paused = json!({"model": "stub/paused", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let response = house.send(request(Method::POST, CHAT, Some(&key), Some(paused.to_string()))).await;
    assert_eq!(response.status(), 200);
    house.get(&key, "/v1/models").await.refused(503, "server_busy");
    drop(response);
    house.get(&key, "/v1/models").await.expect(200);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let house = House::with(|config| config.limits.inference_ms = 20).await;
    let key = house.key(&[Scope::Infer]).await;
    let held = json!({"model": "stub/held", "messages": [{"role": "user", "content": "Hi"}]});
    house.post(&key, CHAT, held).await.refused(504, "request_timeout");
}
