//! What a row says: messages, parameters, tokens, cost.

use futures::StreamExt;
use qd_base::{Picodollars, Usage};
use qd_gateway::{Answer, Endpoint, Error};
use qd_trace::SpanKind;
use serde_json::{Value, json};

use crate::house::{House, Settings};
use crate::upstream::{Upstream, json as reply, stream};

#[tokio::test]
async fn cost_counts_cached_tokens_apart() {
    let usage = json!({
        "prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200,
        "prompt_tokens_details": {"cached_tokens": 600, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 150},
    });
    let answer = json!({"model": "gpt-4o-mini-2024-07-18", "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}], "usage": usage});
    let upstream = Upstream::start(vec![reply(answer)]).await;
    let house =
        House::new(Settings { names: &["openai"], ..Settings::route("m", &[(&upstream, "gpt-4o-mini")]) }).await;
    house.whole(Endpoint::Chat, r#"{"model":"m","messages":[]}"#).await.unwrap();
    let span = house.span().await;
    assert_eq!(
        span.usage,
        Some(Usage { input_tokens: 1000, output_tokens: 200, cached_tokens: 600, reasoning_tokens: 150 })
    );
    // OpenAI's prices of gpt-4o-mini a million tokens: $0.15 in, $0.075 cached, $0.60 out; so in picodollars
    // 400 * 150,000 + 600 * 75,000 + 200 * 600,000 = 60,000,000 + 45,000,000 + 120,000,000.
    assert_eq!(span.cost, Some(Picodollars::new(225_000_000)));
}

#[tokio::test]
async fn a_row_has_both_sides_of_the_conversation() {
    let answer = json!({"model": "x", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": null, "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "finish_reason": "tool_calls"},
        {"index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": "stop"},
    ]});
    let upstream = Upstream::start(vec![reply(&answer)]).await;
    let mut house = House::with_route("m", &[(&upstream, "x")]).await;
    house.context.session = Some("s1".to_owned());
    house.context.tags = vec!["a".to_owned()];
    let body = r#"{"model":"m","messages":[ {"role":"user","content":"hi"} ],"temperature":0.5,"user":"ann","tools":[{"x": 1}],"stream":false}"#;
    house.whole(Endpoint::Chat, body).await.unwrap();
    let span = house.span().await;
    assert_eq!((span.kind, span.name.as_str()), (SpanKind::Llm, "chat"));
    assert_eq!(span.input.unwrap().as_str(), r#"[ {"role":"user","content":"hi"} ]"#);
    assert_eq!(span.parameters.unwrap().as_str(), r#"{"temperature":0.5,"tools":[{"x": 1}]}"#);
    let output: Value = serde_json::from_str(span.output.unwrap().as_str()).unwrap();
    assert_eq!(output, json!([answer["choices"][0]["message"], answer["choices"][1]["message"]]));
    assert_eq!(span.attributes["finish_reasons"], json!(["tool_calls", "stop"]));
    assert_eq!(
        (span.user_id.as_deref(), span.session_id.as_deref(), span.tags),
        (Some("ann"), Some("s1"), vec!["a".to_owned()])
    );
    assert_eq!(span.attributes["request_id"], house.context.request.to_string());
}

#[tokio::test]
async fn missing_usage_is_estimated_and_says_so() {
    let upstream = Upstream::start(vec![reply(json!({"choices": [{"index": 0, "text": "abcdefgh"}]}))]).await;
    let house = House::with_route("m", &[(&upstream, "x")]).await;
    house.whole(Endpoint::Completions, r#"{"model":"m","prompt":"0123456789"}"#).await.unwrap();
    let span = house.span().await;
    // Four characters a token: `"0123456789"` has 12, `["abcdefgh"]` has 12.
    assert_eq!(span.usage, Some(Usage { input_tokens: 3, output_tokens: 3, ..Usage::default() }));
    assert_eq!(span.attributes["usage_estimated"], true);
}

#[tokio::test]
async fn embeddings_are_counted_not_kept() {
    let upstream = Upstream::start(vec![reply(json!({"model": "e", "data": [{"embedding": [0.5]}, {"embedding": [1.5]}], "usage": {"prompt_tokens": 6, "total_tokens": 6}}))]).await;
    let house = House::with_route("m", &[(&upstream, "e")]).await;
    house.whole(Endpoint::Embeddings, r#"{"model":"m","input":["a","b"],"encoding_format":"float"}"#).await.unwrap();
    let span = house.span().await;
    assert_eq!((span.kind, &span.attributes["vectors"], span.output), (SpanKind::Embedding, &json!(2), None));
    assert_eq!(span.usage, Some(Usage { input_tokens: 6, ..Usage::default() }));
    assert_eq!(span.input.unwrap().as_str(), r#"["a","b"]"#);
}

#[tokio::test]
async fn in_sync_mode_an_answered_call_is_durable() {
    let upstream = Upstream::start(vec![reply(json!({"choices": []}))]).await;
    let house = House::new(Settings { mode: qd_trace::Mode::Sync, ..Settings::route("m", &[(&upstream, "x")]) }).await;
    house.whole(Endpoint::Chat, r#"{"model":"m","messages":[]}"#).await.unwrap();
    assert_eq!(house.recorder.stats().durable, 1);
}

/// Who was promised a recorded call must not take one for recorded that is not.
#[tokio::test]
async fn in_sync_mode_a_call_that_cannot_be_recorded_fails() {
    let whole = reply(json!({"choices": []}));
    let events = stream(&[r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#, "[DONE]"]);
    let upstream = Upstream::start(vec![whole, events]).await;
    let house = House::new(Settings { mode: qd_trace::Mode::Sync, ..Settings::route("m", &[(&upstream, "x")]) }).await;
    house.lake.close().await;
    let error = house.whole(Endpoint::Chat, r#"{"model":"m","messages":[]}"#).await.unwrap_err();
    assert!(matches!(error, Error::Unrecorded(_)), "{error:?}");
    let body = r#"{"model":"m","stream":true,"messages":[]}"#;
    let Answer::Events(events) = house.call(Endpoint::Chat, body).await.unwrap() else {
        panic!("a stream was asked for")
    };
    let text = String::from_utf8(events.collect::<Vec<_>>().await.concat()).unwrap();
    assert!(text.contains("not_recorded") && !text.contains("[DONE]"), "{text}");
    assert_eq!(house.recorder.stats().failed, 2);
}
