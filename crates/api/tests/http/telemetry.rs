//! `/v1/traces`, `/v1/logs` and `/v1/metrics`: OpenTelemetry's protocol.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Request};
use http_body::Body as _;
use qd_catalog::Scope;
use qd_trace::{Intake, IntakeConfig, PriceTable};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::house::{Answer, House, OPERATOR, Parts};

const TRACE: &str = "5b8efff798038103d269b633813fc60c";
const SPAN: &str = "eee19b7ec3c1b174";
/// The start of the example in the specification.
const START: u64 = 1_544_712_660_000_000_000;

/// An attribute as OTLP's JSON has it: numbers of 64 bits are texts.
fn attribute(key: &str, value: &Value) -> Value {
    json!({"key": key, "value": any(value)})
}

fn any(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(truth) => json!({"boolValue": truth}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::String(text) => json!({"stringValue": text}),
        Value::Array(list) => json!({"arrayValue": {"values": list.iter().map(any).collect::<Vec<_>>()}}),
        Value::Object(fields) => json!({"kvlistValue": {"values": attributes(&Value::Object(fields.clone()))}}),
    }
}

fn attributes(fields: &Value) -> Vec<Value> {
    fields.as_object().unwrap().iter().map(|(key, value)| attribute(key, value)).collect()
}

/// A span of 250 ms with these attributes.
fn span(told: &Value) -> Value {
    json!({
        "traceId": TRACE, "spanId": SPAN, "name": "chat gpt-4o-mini", "kind": 3,
        "startTimeUnixNano": START.to_string(), "endTimeUnixNano": (START + 250_000_000).to_string(),
        "attributes": attributes(told), "status": {"code": 1}
    })
}

fn export(spans: &[Value]) -> Value {
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes(&json!({"service.name": "shop", "service.version": "1.2.3", "deployment.environment.name": "production"}))},
        "scopeSpans": [{"scope": {"name": "lib", "version": "9"}, "spans": spans}]
    }]})
}

async fn send(house: &House, spans: &[Value]) -> Value {
    house.post(OPERATOR, "/v1/traces", export(spans)).await.expect(200)
}

async fn raw(house: &House, path: &str, media: &str, compression: Option<&str>, bytes: Vec<u8>) -> Answer {
    let mut request =
        Request::builder().method(Method::POST).uri(path).header(AUTHORIZATION, format!("Bearer {OPERATOR}"));
    request = request.header(CONTENT_TYPE, media);
    if let Some(compression) = compression {
        request = request.header(CONTENT_ENCODING, compression);
    }
    house.call(request.body(Body::from(bytes)).unwrap()).await
}

async fn found(house: &House, trace: &str) -> Vec<Value> {
    house.get(OPERATOR, &format!("/api/v1/traces/{trace}")).await.expect(200)["spans"].as_array().unwrap().clone()
}

/// The one span that these attributes make.
async fn read(told: Value) -> Value {
    let house = House::open().await;
    assert_eq!(send(&house, &[span(&told)]).await, json!({}));
    let mut spans = found(&house, TRACE).await;
    assert_eq!(spans.len(), 1);
    spans.remove(0)
}

/// The same call of gpt-4o-mini: 12 tokens of prompt of which 4 were cached, 3 of answer. By the price list of OpenAI that is
/// 8 × 0.15 + 4 × 0.075 + 3 × 0.60 = 3.3 millionths of a dollar.
async fn check_call(dialect: &str, told: Value) {
    let found = read(told).await;
    let expected = json!({
        "kind": "llm", "provider": "openai", "model": "gpt-4o-mini-2024-07-18", "input_tokens": 12, "output_tokens": 3,
        "cached_tokens": 4, "cost_picodollars": 3_300_000, "status": "ok", "latency_ms": 250.0,
        "session_id": "s-1", "user_id": "ann", "environment": "production", "release": "1.2.3",
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Paris?"}],
        "output": [{"role": "assistant", "content": "Rainy."}],
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&found[field], value, "{dialect}: {field}: {found}");
    }
    let parameters = found["parameters"].as_object().unwrap_or_else(|| panic!("{dialect}: {found}"));
    assert_eq!(parameters["temperature"], json!(0.5), "{dialect}");
    assert_eq!(found["attributes"]["otel.resource"]["service.name"], "shop");
    assert_eq!(found["attributes"]["otel.scope"], json!({"name": "lib", "version": "9"}));
}

fn with(one: Value, other: Value) -> Value {
    let mut all = one.as_object().unwrap().clone();
    all.extend(other.as_object().unwrap().clone());
    Value::Object(all)
}

#[tokio::test]
async fn opentelemetry_s_conventions_new_and_old() {
    let new = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.request.temperature": 0.5,
        "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3, "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.conversation.id": "s-1", "user.id": "ann",
    });
    let texts = json!({
        "gen_ai.system_instructions": r#"[{"type":"text","content":"Be brief."}]"#,
        "gen_ai.input.messages": r#"[{"role":"user","parts":[{"type":"text","content":"Weather in Paris?"}]}]"#,
        "gen_ai.output.messages": r#"[{"role":"assistant","parts":[{"type":"text","content":"Rainy."}],"finish_reason":"stop"}]"#,
    });
    check_call("new, texts", with(new.clone(), texts)).await;
    let structured = json!({
        "gen_ai.system_instructions": [{"type": "text", "content": "Be brief."}],
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Weather in Paris?"}]}],
        "gen_ai.output.messages": [{"role": "assistant", "parts": [{"type": "text", "content": "Rainy."}], "finish_reason": "stop"}],
    });
    check_call("new, structured", with(new, structured)).await;
    let old = json!({
        "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.request.temperature": 0.5,
        "gen_ai.usage.prompt_tokens": 12, "gen_ai.usage.completion_tokens": 3, "gen_ai.usage.cache_read_input_tokens": 4,
        "session.id": "s-1", "enduser.id": "ann",
        "gen_ai.prompt": r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"Weather in Paris?"}]"#,
        "gen_ai.completion": r#"[{"role":"assistant","content":"Rainy."}]"#,
    });
    check_call("old", old).await;
}

#[tokio::test]
async fn openinference() {
    check_call(
        "OpenInference",
        json!({
            "openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini-2024-07-18", "llm.provider": "openai", "llm.system": "openai",
            "llm.invocation_parameters": r#"{"model":"gpt-4o-mini","temperature":0.5}"#,
            "llm.input_messages.0.message.role": "system", "llm.input_messages.0.message.content": "Be brief.",
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.1.message.contents.0.message_content.type": "text",
            "llm.input_messages.1.message.contents.0.message_content.text": "Weather in Paris?",
            "llm.output_messages.0.message.role": "assistant", "llm.output_messages.0.message.content": "Rainy.",
            "llm.token_count.prompt": 12, "llm.token_count.completion": 3, "llm.token_count.total": 15,
            "llm.token_count.prompt_details.cache_read": 4, "session.id": "s-1", "user.id": "ann",
            "input.value": "{\"model\": \"gpt-4o-mini\"}", "input.mime_type": "application/json",
            "metadata": "{\"a\": 1}", "tag.tags": ["one", "two"],
        }),
    )
    .await;
}

#[tokio::test]
async fn langfuse() {
    check_call(
        "Langfuse",
        json!({
            "langfuse.observation.type": "generation", "langfuse.observation.model.name": "gpt-4o-mini-2024-07-18", "gen_ai.system": "openai",
            "langfuse.observation.model.parameters": r#"{"temperature": 0.5}"#,
            "langfuse.observation.input": r#"[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Paris?"}]"#,
            "langfuse.observation.output": r#"{"role": "assistant", "content": "Rainy."}"#,
            "langfuse.observation.usage_details": r#"{"input": 8, "input_cached_tokens": 4, "output": 3, "total": 15}"#,
            "langfuse.session.id": "s-1", "langfuse.user.id": "ann", "langfuse.trace.tags": ["a"],
        }),
    )
    .await;
}

#[tokio::test]
async fn vercel() {
    check_call(
        "Vercel",
        json!({
            "operation.name": "ai.generateText.doGenerate", "ai.operationId": "ai.generateText.doGenerate",
            "ai.model.id": "gpt-4o-mini", "ai.model.provider": "openai.chat", "ai.response.model": "gpt-4o-mini-2024-07-18",
            "ai.settings.temperature": 0.5, "ai.response.text": "Rainy.", "ai.response.finishReason": "stop",
            "ai.prompt.messages": r#"[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Weather in Paris?"}]}]"#,
            "ai.usage.inputTokens": 12, "ai.usage.outputTokens": 3, "ai.usage.totalTokens": 15, "ai.usage.cachedInputTokens": 4,
            "ai.telemetry.metadata.sessionId": "s-1", "ai.telemetry.metadata.userId": "ann",
        }),
    )
    .await;
}

#[tokio::test]
async fn traceloop() {
    check_call(
        "Traceloop",
        json!({
            "llm.request.type": "chat", "gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.request.temperature": 0.5,
            "gen_ai.prompt.0.role": "system", "gen_ai.prompt.0.content": "Be brief.",
            "gen_ai.prompt.1.role": "user", "gen_ai.prompt.1.content": "Weather in Paris?",
            "gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Rainy.", "gen_ai.completion.0.finish_reason": "stop",
            "gen_ai.usage.prompt_tokens": 12, "gen_ai.usage.completion_tokens": 3, "llm.usage.total_tokens": 15, "gen_ai.usage.cache_read_input_tokens": 4,
            "traceloop.association.properties.session_id": "s-1", "traceloop.association.properties.user_id": "ann",
        }),
    )
    .await;
}

#[tokio::test]
async fn mlflow() {
    check_call(
        "MLflow",
        json!({
            "mlflow.spanType": "\"CHAT_MODEL\"", "mlflow.llm.provider": "\"openai\"",
            "mlflow.spanInputs": r#"{"model": "gpt-4o-mini", "temperature": 0.5, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather in Paris?"}]}"#,
            "mlflow.spanOutputs": r#"{"id": "c", "model": "gpt-4o-mini-2024-07-18", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Rainy."}}]}"#,
            "mlflow.llm.model": "\"gpt-4o-mini-2024-07-18\"",
            "mlflow.chat.tokenUsage": r#"{"input_tokens": 12, "output_tokens": 3, "total_tokens": 15, "cache_read_input_tokens": 4}"#,
            "mlflow.trace.session": "s-1", "mlflow.trace.user": "ann",
        }),
    )
    .await;
}

#[tokio::test]
async fn events_of_a_span_are_messages_too() {
    let event = |name: &str, at: u64, told: Value| json!({"name": name, "timeUnixNano": (START + at).to_string(), "attributes": attributes(&told)});
    let house = House::open().await;
    let mut sent =
        span(&json!({"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "m"}));
    sent["events"] = json!([
        event("gen_ai.user.message", 1, json!({"gen_ai.system": "openai", "content": "Hi"})),
        event("First Token Stream Event", 40_000_000, json!({})),
        event(
            "gen_ai.choice",
            2,
            json!({"index": 0, "finish_reason": "length", "message": "{\"role\": \"assistant\", \"content\": \"Yo\"}"})
        ),
        event("retrying", 3, json!({"attempt": 2})),
    ]);
    send(&house, &[sent]).await;
    let found = &found(&house, TRACE).await[0];
    assert_eq!(found["input"], json!([{"role": "user", "content": "Hi"}]));
    assert_eq!(found["output"], json!([{"role": "assistant", "finish_reason": "length", "content": "Yo"}]));
    assert_eq!(found["ttft_ms"], 40.0);
    let events = found["attributes"]["otel.events"].as_array().unwrap();
    let names: Vec<_> = events.iter().map(|event| event["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["First Token Stream Event", "retrying"], "what is no message is kept as it was");
    assert_eq!(events[1]["attributes"], json!({"attempt": 2}));
}

#[tokio::test]
async fn the_time_to_the_first_token_is_told_in_several_ways() {
    for told in [
        json!({"gen_ai.response.time_to_first_chunk": 0.04}),
        json!({"ai.response.msToFirstChunk": 40}),
        json!({"langfuse.observation.completion_start_time": "\"2018-12-13T14:51:00.040000Z\""}),
    ] {
        let found = read(with(told.clone(), json!({"gen_ai.request.model": "m"}))).await;
        assert!((found["ttft_ms"].as_f64().unwrap() - 40.0).abs() < 1e-6, "{told}: {found}");
    }
}

#[tokio::test]
async fn what_is_around_calls_does_not_count_their_tokens_again() {
    let found = read(json!({"ai.operationId": "ai.generateText", "ai.model.id": "gpt-4o-mini", "ai.model.provider": "openai.chat", "ai.usage.inputTokens": 12, "ai.usage.outputTokens": 3})).await;
    assert_eq!(
        (&found["kind"], &found["input_tokens"], &found["cost_picodollars"]),
        (&json!("chain"), &Value::Null, &Value::Null)
    );
    assert_eq!(found["attributes"]["usage_within"]["prompt_tokens"], 12);
}

#[tokio::test]
async fn tools_retrievers_and_embeddings_say_what_they_did() {
    let tool = read(json!({"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather", "gen_ai.tool.call.arguments": "{\"city\":\"Paris\"}", "gen_ai.tool.call.result": "rainy"})).await;
    assert_eq!(
        (&tool["kind"], &tool["input"], &tool["output"]),
        (&json!("tool"), &json!({"city": "Paris"}), &json!("rainy"))
    );
    assert_eq!(tool["attributes"]["gen_ai.tool.name"], "weather");
    let retriever = read(json!({
        "openinference.span.kind": "RETRIEVER", "input.value": "what?", "input.mime_type": "text/plain",
        "retrieval.documents.0.document.content": "one", "retrieval.documents.0.document.score": 0.9,
        "retrieval.documents.1.document.content": "two", "retrieval.documents.1.document.metadata": "{\"page\": 2}",
    }))
    .await;
    assert_eq!((&retriever["kind"], &retriever["input"]), (&json!("retriever"), &json!("what?")));
    assert_eq!(
        retriever["output"],
        json!([{"content": "one", "score": 0.9}, {"content": "two", "metadata": {"page": 2}}])
    );
    let embedding = read(json!({
        "openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-small", "llm.token_count.prompt": 5,
        "embedding.embeddings.0.embedding.text": "a", "embedding.embeddings.1.embedding.text": "b",
    })).await;
    assert_eq!(
        (&embedding["kind"], &embedding["input"], &embedding["input_tokens"]),
        (&json!("embedding"), &json!(["a", "b"]), &json!(5))
    );
}

#[tokio::test]
async fn failures_say_why() {
    let house = House::open().await;
    let mut told = span(&json!({}));
    told["status"] = json!({"code": 2});
    told["events"] = json!([{"name": "exception", "attributes": attributes(&json!({"exception.type": "ValueError", "exception.message": "no"}))}]);
    let mut langfuse =
        span(&json!({"langfuse.observation.level": "ERROR", "langfuse.observation.status_message": "broke"}));
    langfuse["spanId"] = json!("00000000000000ff");
    langfuse["status"] = json!({});
    send(&house, &[told, langfuse]).await;
    let spans = found(&house, TRACE).await;
    let said: Vec<_> =
        spans.iter().map(|span| (span["status"].as_str().unwrap(), span["status_message"].as_str().unwrap())).collect();
    assert!(said.contains(&("error", "ValueError: no")) && said.contains(&("error", "broke")), "{said:?}");
}

#[tokio::test]
async fn a_key_sends_to_its_own_project_as_a_bearer_or_as_langfuse_does() {
    let house = House::open().await;
    let (key, other) =
        (house.key_of("one", &[Scope::Write, Scope::Read]).await, house.key_of("two", &[Scope::Read]).await);
    let body = export(&[span(&json!({}))]).to_string();
    let send = async |path: &str, authorization: &str| {
        let request = Request::builder().method(Method::POST).uri(path).header(AUTHORIZATION, authorization);
        house.call(request.header(CONTENT_TYPE, "application/json").body(Body::from(body.clone())).unwrap()).await
    };
    use base64::Engine as _;
    let basic = |pair: String| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    for path in ["/v1/traces", "/api/public/otel/v1/traces"] {
        send(path, &format!("Bearer {key}")).await.expect(200);
        send(path, &basic(format!("pk-lf-any:{key}"))).await.expect(200);
        send(path, &basic("pk-lf-any:wrong".to_owned())).await.refused(401, "invalid_api_key");
        send(path, &format!("Bearer {other}")).await.refused(403, "missing_scope");
    }
    house.get(&key, &format!("/api/v1/traces/{TRACE}")).await.expect(200);
    house.get(&other, &format!("/api/v1/traces/{TRACE}")).await.refused(404, "not_found");
}

/// The same span in protobuf by hand: a request holds ResourceSpans (1), these ScopeSpans (2), these spans (2) with trace_id
/// (1), span_id (2), name (5), start (7) and end (8) as fixed64.
fn protobuf() -> Vec<u8> {
    let within = |field: u8, inner: &[u8]| [&[field << 3 | 2, u8::try_from(inner.len()).unwrap()], inner].concat();
    let fixed = |field: u8, number: u64| [&[field << 3 | 1][..], &number.to_le_bytes()].concat();
    let span =
        [within(1, &[7; 16]), within(2, &[8; 8]), within(5, b"by hand"), fixed(7, START), fixed(8, START + 1_000_000)];
    within(1, &within(2, &within(2, &span.concat())))
}

#[tokio::test]
async fn a_request_is_answered_in_its_own_form() {
    let house = House::open().await;
    let answer = raw(&house, "/v1/traces", "application/x-protobuf", None, protobuf()).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type"), &answer.bytes[..]),
        (200, "application/x-protobuf", &b""[..])
    );
    let found = found(&house, &"07".repeat(16)).await;
    assert_eq!((&found[0]["name"], &found[0]["latency_ms"]), (&json!("by hand"), &json!(1.0)));
    let answer = raw(&house, "/v1/logs", "application/json; charset=utf-8", None, b"{}".to_vec()).await;
    assert_eq!((answer.expect(200), answer.header("content-type")), (json!({}), "application/json"));
    raw(&house, "/v1/metrics", "application/json", None, b"{}".to_vec()).await.expect(200);
    // google.rpc.Status: code 3, INVALID_ARGUMENT.
    let refused = raw(&house, "/v1/traces", "application/json", None, b"{]".to_vec()).await;
    let status = refused.expect(400);
    assert!(status["code"] == 3 && status["message"].as_str().unwrap().contains("cannot be read"), "{status}");
    let refused = raw(&house, "/v1/traces", "application/x-protobuf", None, b"\xff".to_vec()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.header("content-type"), &refused.bytes[..2]),
        (400, "application/x-protobuf", &b"\x08\x03"[..])
    );
    raw(&house, "/v1/traces", "application/json", Some("gzip"), b"{}".to_vec()).await.expect(400);
    raw(&house, "/v1/traces", "text/plain", None, b"{}".to_vec()).await.refused(415, "unsupported_content_type");
    raw(&house, "/v1/traces", "application/json", Some("br"), b"{}".to_vec())
        .await
        .refused(415, "unsupported_content_type");
    let large = raw(&house, "/v1/traces", "application/json", None, vec![b' '; (32 << 20) + 1]).await;
    assert_eq!(large.expect(413)["code"], 8);
}

#[tokio::test]
async fn rejected_spans_are_told_and_counted() {
    let house = House::open().await;
    let mut nobody = span(&json!({}));
    nobody["spanId"] = json!("0000000000000000");
    let answer = send(&house, &[nobody, span(&json!({}))]).await;
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "1", "a number of 64 bits is a text");
    assert!(answer["partialSuccess"]["errorMessage"].as_str().unwrap().contains("span_id"), "{answer}");
    assert_eq!(found(&house, TRACE).await.len(), 1);
    let status = house.get(OPERATOR, "/api/v1/status").await.expect(200);
    assert_eq!(status["telemetry"], json!({"accepted": 1, "rejected": 1, "refused_requests": 0, "in_flight_bytes": 0}));
}

#[tokio::test]
async fn without_room_a_sender_is_told_when_to_come_again() {
    let mut parts = Parts::open().await;
    let config = IntakeConfig { queue_bytes: 1 << 10, ..IntakeConfig::default() };
    parts.otlp = Intake::new(parts.recorder.clone(), Arc::new(PriceTable::built_in()), config);
    let router = qd_api::app(parts.app(|_| {}));
    let request =
        Request::builder().method(Method::POST).uri("/v1/traces").header(AUTHORIZATION, format!("Bearer {OPERATOR}"));
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let pieces = std::iter::repeat_with(move || {
        counted.fetch_add(1 << 10, Ordering::Relaxed);
        Ok::<_, Infallible>(vec![b' '; 1 << 10])
    });
    let body = Body::from_stream(futures::stream::iter(pieces.take(2)));
    let request = request.header(CONTENT_TYPE, "application/json").header(CONTENT_LENGTH, 2 << 10).body(body).unwrap();
    let answer = Answer::read(router.oneshot(request).await.unwrap()).await;
    let status = answer.expect(503);
    assert_eq!(read.load(Ordering::Relaxed), 2 << 10, "who is still sending does not hear an answer");
    assert_eq!((&status["code"], answer.header("retry-after")), (&json!(14), "1"));
    assert_eq!(status["details"][0]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
}

/// A message as gRPC frames it: one byte for its compression, four for its length.
fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

#[tokio::test]
async fn grpc_takes_the_same_from_who_may_send_it() {
    let parts = Parts::open().await;
    let router = qd_api::grpc_app(parts.app(|_| {}));
    let call = async |path: &str, token: &str, message: Vec<u8>| {
        let request = Request::builder().method(Method::POST).uri(format!("/opentelemetry.proto.collector.{path}"));
        let request = request.header(AUTHORIZATION, format!("Bearer {token}")).header(CONTENT_TYPE, "application/grpc");
        let response = router.clone().oneshot(request.body(Body::from(message)).unwrap()).await.unwrap();
        let in_head = response.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
        let (mut body, mut in_trailers) = (response.into_body(), None);
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            if let Ok(trailers) = frame.unwrap().into_trailers() {
                in_trailers = trailers.get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
            }
        }
        in_head.or(in_trailers).unwrap()
    };
    let traces = "trace.v1.TraceService/Export";
    assert_eq!(call(traces, OPERATOR, framed(&protobuf())).await, "0");
    assert_eq!(call("logs.v1.LogsService/Export", OPERATOR, framed(b"")).await, "0");
    assert_eq!(call("metrics.v1.MetricsService/Export", OPERATOR, framed(b"")).await, "0");
    assert_eq!(call(traces, "wrong", framed(&protobuf())).await, "16", "UNAUTHENTICATED");
    let project = parts.catalog.default_project().id;
    let reader = parts.catalog.create_key(project, "reader", [Scope::Read].into_iter().collect(), None).await.unwrap();
    assert_eq!(call(traces, reader.secret.expose(), framed(&protobuf())).await, "7", "PERMISSION_DENIED");
    assert_eq!(call(traces, OPERATOR, framed(b"\xff")).await, "3", "INVALID_ARGUMENT");
    assert_eq!(call("trace.v1.TraceService/Import", OPERATOR, framed(b"")).await, "12", "UNIMPLEMENTED");
    let trace = qd_base::TraceId::from_bytes([7; 16]).unwrap();
    let (spans, _) = parts.traces.trace(&"default".parse().unwrap(), trace).await.unwrap();
    assert_eq!((spans.len(), spans[0].name.as_str()), (1, "by hand"));
}

#[tokio::test]
async fn what_langfuse_s_clients_ask_beside_is_answered() {
    let house = House::open().await;
    assert_eq!(house.get(OPERATOR, "/api/public/health").await.expect(200)["status"], "OK");
    let projects = house.get(OPERATOR, "/api/public/projects").await.expect(200);
    assert_eq!((&projects["data"][0]["name"], &projects["data"][0]["metadata"]), (&json!("default"), &json!({})));
    let score = |id: &str, trace: &str, value: Value| json!({"id": id, "traceId": trace, "observationId": SPAN, "name": "good", "value": value, "dataType": "NUMERIC", "environment": "default", "timestamp": "2026-01-31T00:00:00Z"});
    let taken = house
        .post(OPERATOR, "/api/public/scores", json!([score("a", TRACE, json!(0.5)), score("b", TRACE, json!("fine"))]))
        .await;
    assert_eq!(taken.expect(202), json!({"message": "Accepted"}));
    let mut later = score("a", TRACE, json!(1.0));
    later["timestamp"] = json!("2026-01-31T00:00:01Z");
    let some = house
        .post(OPERATOR, "/api/public/scores", json!([later, score("c", "session only", json!(1.0))]))
        .await
        .expect(207);
    assert_eq!((&some["accepted"], &some["rejected"]), (&json!(1), &json!(1)));
    let event = |kind: &str| json!({"id": kind, "type": kind, "timestamp": "2026-01-31T00:00:00Z", "body": score("d", TRACE, json!(2))});
    let batch = house
        .post(OPERATOR, "/api/public/ingestion", json!({"batch": [event("score-create"), event("trace-create")]}))
        .await
        .expect(207);
    assert_eq!(
        (&batch["successes"][0]["id"], &batch["errors"][0]["id"]),
        (&json!("score-create"), &json!("trace-create"))
    );
    let scores = house.get(OPERATOR, &format!("/api/v1/scores?trace={TRACE}")).await.expect(200);
    let mut values: Vec<_> =
        scores["data"].as_array().unwrap().iter().map(|score| score["value"].to_string()).collect();
    values.sort();
    assert_eq!(values, ["\"fine\"", "1.0", "2.0"], "the second score of one identifier took the place of the first");
}

#[tokio::test]
async fn a_message_over_grpc_that_does_not_end_gives_its_place_back() {
    let parts = Parts::open().await;
    let router = qd_api::grpc_app(parts.app(|config| config.limits.request_ms = 50));
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let request = Request::builder().method(Method::POST).uri(path).header(CONTENT_TYPE, "application/grpc");
    let request = request.header(AUTHORIZATION, format!("Bearer {OPERATOR}"));
    let body = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, Infallible>>());
    let response = router.oneshot(request.body(body).unwrap()).await.unwrap();
    // DEADLINE_EXCEEDED
    assert_eq!(response.headers()["grpc-status"], "4");
}
