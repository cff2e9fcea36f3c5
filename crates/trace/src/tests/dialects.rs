//! What real instrumentations sent for one and the same call, and what all of it comes to.
//!
//! The files hold OTLP/JSON as the packages that they name sent it in November 2026: `tests/telemetry` plays the same scene
//! against the running server. The call asks gpt-4o-mini a second time, with the result of a tool.

use serde_json::{Value, json};

use super::otlp::{Receiver, project};
use super::*;
use crate::otlp::{Compression, Encoding, Signal};

/// The messages, with arguments as what they say, since their spacing differs, and without what says nothing.
fn plain(payload: &Payload) -> Value {
    let mut messages: Value = serde_json::from_str(payload.as_str()).unwrap();
    for message in messages.as_array_mut().unwrap() {
        let message = message.as_object_mut().unwrap();
        message.retain(|name, value| !value.is_null() && name != "finish_reason");
        for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            let arguments = call["function"]["arguments"].as_str().unwrap().to_owned();
            call["function"]["arguments"] = serde_json::from_str(&arguments).unwrap();
        }
    }
    messages
}

async fn check(name: &str, sent: &str) {
    let sent: Value = serde_json::from_str(sent).unwrap();
    let receiver = Receiver::new().await;
    for (signal, body) in [(Signal::Traces, &sent["traces"]), (Signal::Logs, &sent["logs"])] {
        if !body.is_null() {
            let bytes = serde_json::to_vec(body).unwrap();
            let taken = receiver.take(signal, bytes, Encoding::Json, Compression::None).await.unwrap();
            assert_eq!(taken.rejected, 0, "{name}: {}", taken.message);
        }
    }
    let trace_id = sent["trace_id"].as_str().unwrap().parse().unwrap();
    let (spans, _) = receiver.house.traces.trace(&project(), trace_id).await.unwrap();
    let root = spans.iter().find(|span| span.parent_id.is_none()).unwrap();
    let call = spans.iter().find(|span| span.parent_id == Some(root.span_id)).unwrap();
    assert_eq!((spans.len(), root.name.as_str(), call.kind), (2, "after_tool", SpanKind::Llm), "{name}");
    assert_eq!(call.model.as_deref(), Some("gpt-4o-mini"), "{name}");
    let usage = Usage { input_tokens: 20, output_tokens: 7, ..Usage::default() };
    assert_eq!(call.usage, Some(usage), "{name}");
    // 20 × $0.15 and 7 × $0.60 for a million, as OpenAI publishes them: picodollars for one token.
    assert_eq!(call.cost, Some(Picodollars::new(20 * 150_000 + 7 * 600_000)), "{name}");
    let input = json!([
        {"role": "system", "content": "You are a weather desk."},
        {"role": "user", "content": "What is the weather in Paris?"},
        {"role": "assistant", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Paris"}}},
        ]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]);
    assert_eq!(plain(call.input.as_ref().unwrap()), input, "{name}");
    let output = json!([{"role": "assistant", "content": "It is sunny in Paris."}]);
    assert_eq!(plain(call.output.as_ref().unwrap()), output, "{name}");
}

macro_rules! dialects {
    ($($name:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $name() {
            check(stringify!($name), include_str!(concat!("dialects/", stringify!($name), ".json"))).await;
        })*
    };
}

dialects!(
    langfuse,
    openinference,
    opentelemetry_attributes,
    opentelemetry_events,
    opentelemetry_one_event,
    quarterdeck,
    traceloop,
);
