//! Retries, fallback, time-outs, and what a client is told.

use qd_gateway::{Endpoint, Error};
use serde_json::{Value, json};

use crate::house::{House, Settings, upstream_called};
use crate::upstream::{Reply, Upstream, json as reply, refusal};

const BODY: &str = r#"{"model":"m","messages":[]}"#;

fn ok() -> Reply {
    reply(json!({"model": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}}]}))
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let wait = Reply::Json(429, vec![("retry-after", "0".to_owned())], "{}".to_owned());
    let upstream = Upstream::start(vec![wait, refusal(503, "busy"), ok()]).await;
    let house = House::with_route("m", &[(&upstream, "x")]).await;
    house.whole(Endpoint::Chat, BODY).await.unwrap();
    let span = house.span().await;
    assert_eq!((&span.attributes["retries"], &span.attributes["fallbacks"]), (&json!(2), &json!(0)));
    let attempts = span.attributes["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 3);
    assert_eq!(attempts[0]["error"], "provider up0 answered with status 429");
    assert_eq!((&attempts[2]["provider"], &attempts[2]["error"]), (&json!("up0"), &Value::Null));
}

#[tokio::test]
async fn the_next_target_answers_for_the_first() {
    for reply in [
        refusal(500, "{}"),
        refusal(404, "{}"),
        refusal(401, "{}"),
        reply("<html>"),
        Reply::Json(302, vec![("location", "/x".to_owned())], String::new()),
    ] {
        let (first, second) = (Upstream::start(vec![reply]).await, Upstream::start(vec![ok()]).await);
        let house = House::new(Settings { retries: 0, ..Settings::route("m", &[(&first, "a"), (&second, "b")]) }).await;
        let answered = house.whole(Endpoint::Chat, BODY).await.unwrap();
        assert_eq!((answered.served.provider.as_str(), &*answered.served.model), ("up1", "b"));
        assert_eq!((first.asked().len(), second.asked()[0].json()["model"].as_str()), (1, Some("b")));
        let span = house.span().await;
        assert_eq!((span.provider.as_deref(), span.model_requested.as_deref()), (Some("up1"), Some("m")));
        assert_eq!(span.attributes["fallbacks"], 1);
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_left_for_the_next() {
    let gone = Upstream::absent().await;
    let second = Upstream::start(vec![ok()]).await;
    let house = House::new(Settings { retries: 0, ..Settings::route("m", &[(&gone, "a"), (&second, "b")]) }).await;
    house.whole(Endpoint::Chat, BODY).await.unwrap();
    assert_eq!(second.asked().len(), 1);
    let only = House::new(Settings { retries: 0, ..Settings::route("m", &[(&gone, "a")]) }).await;
    let error = only.call(Endpoint::Chat, BODY).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn a_wrong_request_is_not_sent_twice() {
    let told = r#"{"error": {"message":"bad temperature","type":"invalid_request_error","param":"temperature","code":null}, "x":1}"#;
    let (first, second) = (Upstream::start(vec![refusal(400, told)]).await, Upstream::start(vec![ok()]).await);
    let house = House::with_route("m", &[(&first, "a"), (&second, "b")]).await;
    let error = house.call(Endpoint::Chat, BODY).await.unwrap_err();
    assert!(matches!(&error, Error::Upstream { status: 400, .. }), "{error:?}");
    assert_eq!(error.body(), told, "the upstream's own words are passed on byte for byte");
    assert!(second.asked().is_empty());
}

#[tokio::test]
async fn a_refused_key_is_not_the_clients_and_not_shown() {
    let told = r#"{"error":{"message":"Incorrect API key provided: sk-ab***yz"}}"#;
    let upstream = Upstream::start(vec![refusal(401, told)]).await;
    let house = House::with_route("m", &[(&upstream, "a")]).await;
    let error = house.call(Endpoint::Chat, BODY).await.unwrap_err();
    assert!(matches!(error, Error::Credentials { status: 401, .. }), "{error:?}");
    let body = String::from_utf8(error.body().to_vec()).unwrap();
    assert!(body.contains("upstream_credentials") && !body.contains("sk-ab"), "{body}");
    assert_eq!(upstream.asked().len(), 1, "the same key would be refused again");
}

#[tokio::test]
async fn an_upstream_that_asks_for_too_long_a_wait_is_passed_over() {
    let wait = || Reply::Json(429, vec![("retry-after", "3600".to_owned())], "{}".to_owned());
    let (first, second) = (Upstream::start(vec![wait()]).await, Upstream::start(vec![wait()]).await);
    let house = House::with_route("m", &[(&first, "a"), (&second, "b")]).await;
    let error = house.call(Endpoint::Chat, BODY).await.unwrap_err();
    assert!(matches!(error, Error::Upstream { status: 429, retry_after_ms: Some(3_600_000), .. }), "{error:?}");
    assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
}

#[tokio::test]
async fn silence_ends() {
    let (first, second) = (Upstream::start(vec![Reply::Silence]).await, Upstream::start(vec![ok()]).await);
    let house =
        House::new(Settings { timeout_ms: Some(50), ..Settings::route("m", &[(&first, "a"), (&second, "b")]) }).await;
    house.whole(Endpoint::Chat, BODY).await.unwrap();
    first.left().await;
    let attempts = &house.span().await.attributes["attempts"];
    assert!(attempts[0]["error"].as_str().unwrap().contains("50 ms"));
    assert_eq!((&attempts[0]["kind"], &attempts[1]["kind"]), (&json!("timeout"), &json!(null)));
    let hung = Upstream::start(vec![Reply::Silence]).await;
    let only = House::new(Settings { timeout_ms: Some(50), ..Settings::route("m", &[(&hung, "a")]) }).await;
    assert!(matches!(only.call(Endpoint::Chat, BODY).await, Err(Error::Timeout { after_ms: 50, .. })));
}

#[tokio::test]
async fn an_answer_has_a_largest_size() {
    let upstream = Upstream::start(vec![reply(json!({"choices": "x".repeat(5_000)}))]).await;
    let mut settings = Settings::route("m", &[(&upstream, "a")]);
    settings.limits.response_bytes = 1_000;
    let error = House::new(settings).await.call(Endpoint::Chat, BODY).await.unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn a_provider_without_its_key_is_not_asked() {
    let (keyless, other) = (Upstream::start(vec![]).await, Upstream::start(vec![ok()]).await);
    let targets = [(&keyless, "a"), (&other, "b")];
    let house = House::new(Settings { key_env: Some("NO_SUCH_VARIABLE_HERE"), ..Settings::route("m", &targets) }).await;
    let error = house.whole(Endpoint::Chat, r#"{"model":"up0/a","messages":[]}"#).await.unwrap_err();
    assert!(error.to_string().contains("NO_SUCH_VARIABLE_HERE"), "{error}");
    let reply = house.whole(Endpoint::Chat, BODY).await.unwrap();
    assert_eq!(reply.served.provider.as_str(), "up1", "a route goes on to its next target");
    assert!(!upstream_called(&keyless), "nothing goes out without the key that belongs to it");
}

#[tokio::test]
async fn nobody_has_such_a_model() {
    let upstream = Upstream::start(vec![]).await;
    let house = House::with_route("m", &[(&upstream, "a")]).await;
    let error = house.call(Endpoint::Chat, r#"{"model":"gpt-9","messages":[]}"#).await.unwrap_err();
    assert!(matches!(&error, Error::UnknownModel { model } if model == "gpt-9"), "{error:?}");
    let span = house.span().await;
    assert_eq!(span.status, qd_trace::Status::Error);
    assert_eq!(qd_trace::FailureKind::of(&span), Some(qd_trace::FailureKind::UnknownModel));
}
