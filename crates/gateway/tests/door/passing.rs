//! What goes through unchanged, and what is changed on purpose.

use qd_gateway::{Answer, Endpoint};
use serde_json::{Value, json};

use crate::house::{House, upstream_called};
use crate::upstream::{Upstream, json as reply, refusal};

const ANSWER: &str = r#"{ "id":"c1", "object":"chat.completion","created":1,"model":"gpt-4o-mini-2024","vendor_field":{"a":[1, 2]},
  "choices":[{"index":0,"message":{"role":"assistant","content":"Hi","vendor":true},"finish_reason":"stop"}],
  "usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10} }"#;

#[tokio::test]
async fn unknown_fields_survive_in_both_directions() {
    let upstream = Upstream::start(vec![reply(ANSWER)]).await;
    let house = House::with_route("fast", &[(&upstream, "gpt-4o-mini")]).await;
    let body =
        r#"{"vendor_option": {"x": [1,  2]}, "model":"fast","messages":[{"role":"user","content":"é","name2":1}]}"#;
    let reply = house.whole(Endpoint::Chat, body).await.unwrap();
    assert_eq!(reply.body, ANSWER, "the answer is passed on byte for byte");
    let asked = &upstream.asked()[0];
    assert_eq!(asked.body, body.replace("\"fast\"", "\"gpt-4o-mini\""), "only the model's name changes on the way");
    assert_eq!(asked.path, "/v1/chat/completions");
    assert_eq!(asked.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn each_endpoint_has_its_path() {
    let upstream = Upstream::start(vec![
        reply(json!({"choices": [{"text": "b"}]})),
        reply(json!({"data": [{"embedding": [1.5]}]})),
    ])
    .await;
    let house = House::with_route("m", &[(&upstream, "m")]).await;
    house.whole(Endpoint::Completions, r#"{"model":"m","prompt":"a"}"#).await.unwrap();
    house.whole(Endpoint::Embeddings, r#"{"model":"m","input":"a"}"#).await.unwrap();
    let paths: Vec<_> = upstream.asked().into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, ["/v1/completions", "/v1/embeddings"]);
}

#[tokio::test]
async fn a_provider_may_stand_before_the_model() {
    let upstream = Upstream::start(vec![reply(ANSWER)]).await;
    let house = House::with_route("unused", &[(&upstream, "x")]).await;
    let answer = house.call(Endpoint::Chat, r#"{"model":"up0/org/model:7b","messages":[]}"#).await.unwrap();
    let Answer::Whole(reply) = answer else { panic!("a whole answer was asked for") };
    assert_eq!((reply.served.provider.as_str(), &*reply.served.model), ("up0", "org/model:7b"));
    assert_eq!(upstream.asked()[0].json()["model"], "org/model:7b");
}

#[tokio::test]
async fn the_trace_is_passed_on_as_a_child() {
    let upstream = Upstream::start(vec![reply(ANSWER), reply(ANSWER)]).await;
    let mut house = House::with_route("m", &[(&upstream, "m")]).await;
    house.context.parent = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap());
    house.whole(Endpoint::Chat, r#"{"model":"m"}"#).await.unwrap();
    let span = house.span().await;
    assert_eq!(span.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(span.parent_id.unwrap().to_string(), "00f067aa0ba902b7");
    let expected = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", span.span_id);
    assert_eq!(upstream.asked()[0].header("traceparent"), Some(expected.as_str()));
}

#[tokio::test]
async fn a_project_sees_its_own_providers_only() {
    let (theirs, operators) = (Upstream::start(vec![reply(ANSWER)]).await, Upstream::start(vec![reply(ANSWER)]).await);
    let house = House::with_route("m", &[(&operators, "m")]).await;
    let other = house.other_project().await;
    house.add_provider(&other, "private", &theirs.base_url, Some("sk-private")).await;
    let body = r#"{"model":"private/m","messages":[]}"#;
    let error = house.call(Endpoint::Chat, body).await.unwrap_err();
    assert!(matches!(error, qd_gateway::Error::UnknownModel { .. }), "{error:?}");
    assert!(theirs.asked().is_empty());
    house.call_as(&other, Endpoint::Chat, body).await.unwrap();
    assert_eq!(theirs.asked()[0].header("authorization"), Some("Bearer sk-private"));
    house.call_as(&other, Endpoint::Chat, r#"{"model":"m","messages":[]}"#).await.unwrap();
    assert_eq!(operators.asked()[0].header("authorization"), None, "a key goes to the provider that it was stored for");
}

#[tokio::test]
async fn models_are_listed_once_in_a_while() {
    let list =
        json!({"object": "list", "data": [{"id": "a", "object": "model", "created": 7, "owned_by": "x"}, {"id": "b"}]});
    let (up, down) = (Upstream::start(vec![reply(list)]).await, Upstream::start(vec![refusal(500, "{}")]).await);
    let house = House::with_route("fast", &[(&up, "a"), (&down, "b")]).await;
    for _ in 0..2 {
        let ids: Vec<String> =
            house.gateway.models(house.context.project).await.into_iter().map(|model| model.id).collect();
        assert_eq!(ids, ["fast", "up0/a", "up0/b"], "the upstream that is down is left out");
    }
    assert_eq!(up.asked().len(), 1);
    assert_eq!(up.asked()[0].path, "/v1/models");
}

#[tokio::test]
async fn callers_inside_the_process_get_types() {
    let upstream = Upstream::start(vec![reply(ANSWER)]).await;
    let house = House::with_route("m", &[(&upstream, "m")]).await;
    let request =
        serde_json::from_value(json!({"model": "m", "messages": [{"role": "user", "content": "x"}]})).unwrap();
    let response = house.gateway.chat(house.context.clone(), &request).await.unwrap();
    assert_eq!(response.extra["vendor_field"], json!({"a": [1, 2]}));
    assert_eq!(response.usage.unwrap().input_tokens, 9);
}

#[tokio::test]
async fn a_request_that_is_none_is_refused_before_anyone_is_asked() {
    let upstream = Upstream::start(vec![]).await;
    let house = House::with_route("m", &[(&upstream, "m")]).await;
    for body in ["", "[1]", r#"{"model":1}"#, r#"{"messages":[]}"#] {
        let error = house.call(Endpoint::Chat, body).await.unwrap_err();
        assert!(matches!(error, qd_gateway::Error::Invalid { .. }), "{body} gave {error:?}");
        let object: Value = serde_json::from_slice(&error.body()).unwrap();
        assert_eq!(object["error"]["type"], "invalid_request_error");
    }
    assert!(!upstream_called(&upstream));
}
