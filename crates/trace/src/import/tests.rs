//! Records as the tools write them, and what they come to.

use qd_base::{Picodollars, ScoreId, Usage};
use serde_json::json;

use super::*;
use crate::{ScoreSource, ScoreValue, SpanKind};

fn import(source: Source, record: Value) -> Result<Imported, Refused> {
    let Value::Object(record) = record else { panic!("a record is an object") };
    assert_eq!(guess(&record), Some(source), "{record:?}");
    let project = "default".parse().unwrap();
    let prices = PriceTable::built_in();
    Importer { project: &project, prices: &prices }.read(source, record)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A trace as `GET /api/public/traces/{id}` gives it, with fields of the schema `TraceWithFullDetails`.
fn langfuse_trace() -> Value {
    json!({
        "id": "5f1e0c3a-8a54-4be5-9a6f-0d1c1f1b2a3c", "timestamp": "2026-01-31T10:00:00.000Z", "name": "support",
        "sessionId": "s-1", "userId": "ada", "tags": ["a", "b"], "release": "1.2", "environment": "production",
        "input": {"question": "why"}, "output": "because", "metadata": {"team": "x"}, "totalCost": 0.01, "latency": 3.5,
        "observations": [
            {
                "id": "00f067aa0ba902b7", "traceId": "5f1e0c3a-8a54-4be5-9a6f-0d1c1f1b2a3c", "type": "SPAN", "name": "retrieve",
                "startTime": "2026-01-31T10:00:00.100Z", "endTime": "2026-01-31T10:00:00.600Z", "level": "DEFAULT",
            },
            {
                "id": "a-name-of-their-own", "type": "GENERATION", "name": "answer", "parentObservationId": "00f067aa0ba902b7",
                "startTime": "2026-01-31T10:00:01.000Z", "endTime": "2026-01-31T10:00:03.000Z",
                "completionStartTime": "2026-01-31T10:00:01.250Z", "model": "gpt-4o-2024-08-06",
                "modelParameters": {"temperature": 0.2}, "input": [{"role": "user", "content": "why"}],
                "output": {"role": "assistant", "content": "because"},
                "usageDetails": {"input": 600, "input_cached_tokens": 400, "output": 50, "total": 1050},
                "costDetails": {"input": 0.002, "output": 0.0005, "total": 0.0025}, "level": "ERROR", "statusMessage": "cut",
                "promptName": "support", "promptVersion": 3,
            },
        ],
        "scores": [{
            "id": "01890000-0000-7000-8000-000000000001", "name": "helpful", "value": 1, "dataType": "BOOLEAN", "source": "ANNOTATION",
            "timestamp": "2026-02-01T00:00:00Z", "observationId": "a-name-of-their-own", "comment": "good",
        }],
    })
}

#[test]
fn a_trace_of_langfuse_becomes_a_span_around_its_observations() {
    let imported = import(Source::Langfuse, langfuse_trace()).unwrap();
    let [trace, retrieve, answer] = &imported.spans[..] else { panic!("{imported:?}") };
    // A UUID without its hyphens is a trace id; a name of their own is known by its digest.
    assert!(imported.spans.iter().all(|span| span.trace_id.to_string() == "5f1e0c3a8a544be59a6f0d1c1f1b2a3c"));
    assert_eq!(retrieve.span_id.to_string(), "00f067aa0ba902b7");
    assert_eq!(answer.span_id.to_string(), NAMED);
    assert_eq!((trace.parent_id, retrieve.parent_id), (None, Some(trace.span_id)));
    assert_eq!(answer.parent_id, Some(retrieve.span_id));
    assert_eq!((trace.start, trace.end), (at("2026-01-31T10:00:00Z"), at("2026-01-31T10:00:03Z")));
    assert_eq!((trace.name.as_str(), trace.usage, trace.cost), ("support", None, None));
    assert_eq!((answer.kind, trace.kind), (SpanKind::Llm, SpanKind::Chain));
    for span in &imported.spans {
        assert_eq!((span.session_id.as_deref(), span.user_id.as_deref()), (Some("s-1"), Some("ada")));
        assert_eq!(
            (span.environment.as_deref(), &span.tags),
            (Some("production"), &vec!["a".to_owned(), "b".to_owned()])
        );
    }
    assert_eq!(answer.model.as_deref(), Some("gpt-4o-2024-08-06"));
    // Counts of Langfuse do not include each other: 600 and 400 from a cache are an input of 1000.
    let usage = Usage { input_tokens: 1000, output_tokens: 50, cached_tokens: 400, reasoning_tokens: 0 };
    assert_eq!((answer.usage, answer.cost), (Some(usage), Some(Picodollars::new(2_500_000_000))));
    assert_eq!((answer.ttft_ms, answer.latency_ms()), (Some(250.0), 2000.0));
    assert_eq!((answer.status, answer.status_message.as_deref()), (Status::Error, Some("cut")));
    assert_eq!((answer.prompt_name.as_deref(), answer.prompt_version), (Some("support"), Some(3)));
    assert!(trace.input.as_ref().unwrap().as_str().contains("why"), "{:?}", trace.input);
    let [score] = &imported.scores[..] else { panic!("{:?}", imported.scores) };
    assert_eq!(
        (score.id, score.span_id),
        ("01890000-0000-7000-8000-000000000001".parse::<ScoreId>().unwrap(), Some(answer.span_id))
    );
    assert_eq!(
        (&score.value, score.source, score.user_id.as_deref()),
        (&ScoreValue::Number(1.0), ScoreSource::Human, Some("ada"))
    );
}

/// `printf 'span a-name-of-their-own' | sha256sum | head -c 16`
const NAMED: &str = "8c4091eda92f7b3c";

#[test]
fn what_is_read_again_is_the_same() {
    assert_eq!(import(Source::Langfuse, langfuse_trace()), import(Source::Langfuse, langfuse_trace()));
}

#[test]
fn the_files_of_scheduled_exports_and_csv_are_read_too() {
    // Enriched observations: snake case, times without an offset, the trace's fields with each, no trace of its own.
    let row = json!({
        "id": "00f067aa0ba902b8", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "type": "GENERATION", "name": "chat",
        "start_time": "2026-01-31 10:00:00.500000", "end_time": "2026-01-31 10:00:01.500000", "user_id": "bob",
        "trace_name": "t", "provided_model_name": "gpt-4o", "usage_details": {"input": 7, "output": 3, "total": 10},
    });
    let imported = import(Source::Langfuse, row).unwrap();
    let span = &imported.spans[0];
    assert_eq!((span.start, span.latency_ms(), span.parent_id), (at("2026-01-31T10:00:00.5Z"), 1000.0, None));
    // gpt-4o: 7 × $2.50 + 3 × $10 per million tokens.
    assert_eq!((span.user_id.as_deref(), span.cost), (Some("bob"), Some(Picodollars::new(47_500_000))));
    // A row of a table as CSV: every value is a text.
    let row = json!({
        "id": "00f067aa0ba902b9", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "type": "GENERATION", "name": "chat", "endTime": "",
        "startTime": "2026-01-31T10:00:00.500Z", "model": "gpt-4o", "usageDetails": "{\"input\":7,\"output\":3}",
        "totalCost": "0.5", "input": "[{\"role\":\"user\",\"content\":\"hi\"}]", "output": "plain text", "promptVersion": "",
    });
    let imported = import(Source::Langfuse, row).unwrap();
    let span = &imported.spans[0];
    assert_eq!((span.latency_ms(), span.cost), (0.0, Some(Picodollars::new(500_000_000_000))));
    assert_eq!(span.usage.map(|usage| (usage.input_tokens, usage.output_tokens)), Some((7, 3)));
    assert_eq!(span.parent_id, Some(import(Source::Langfuse, json!({
        "id": "4bf92f3577b34da6a3ce929d0e0e4736", "timestamp": "2026-01-31T10:00:00Z", "observations": ["00f067aa0ba902b9"],
    })).unwrap().spans[0].span_id), "the trace may come from another file");
    let score = json!({
        "id": "x", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "name": "tone", "value": 0, "string_value": "kind",
        "data_type": "CATEGORICAL", "source": "EVAL", "timestamp": "2026-01-31 10:00:00.000000",
    });
    let imported = import(Source::Langfuse, score).unwrap();
    assert_eq!(
        (&imported.scores[0].value, imported.scores[0].source),
        (&ScoreValue::Label("kind".into()), ScoreSource::Model)
    );
}

/// A row of the data frame as `to_json(orient="records", lines=True)` writes it.
#[test]
fn a_row_of_phoenix_is_a_span() {
    let row = json!({
        "context.span_id": "00f067aa0ba902b7", "context.trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "parent_id": null,
        "name": "ChatCompletion", "span_kind": "LLM", "start_time": 1_769_853_600_500_i64, "end_time": 1_769_853_602_000_i64,
        "status_code": "OK", "status_message": "", "events": [],
        "attributes.llm.model_name": "gpt-4o", "attributes.llm.provider": "openai",
        "attributes.llm.input_messages": [{"message.role": "user", "message.content": "hi"}],
        "attributes.llm.output_messages": [{"message": {"role": "assistant", "content": "hello"}}],
        "attributes.llm.token_count.prompt": 7.0, "attributes.llm.token_count.completion": 3.0,
        "attributes.session.id": "s", "attributes.user.id": "ada", "attributes.metadata": {"a": {"b": 1}},
        "attributes.llm.invocation_parameters": "{\"temperature\": 0.2}", "cumulative_error_count": 0,
    });
    let imported = import(Source::Phoenix, row).unwrap();
    let span = &imported.spans[0];
    // 1769853600 is 2026-01-31T10:00:00Z (date -u -d @1769853600).
    assert_eq!((span.start, span.latency_ms()), (at("2026-01-31T10:00:00.5Z"), 1500.0));
    assert_eq!((span.kind, span.status, span.parent_id), (SpanKind::Llm, Status::Ok, None));
    assert_eq!((span.model.as_deref(), span.provider.as_deref()), (Some("gpt-4o"), Some("openai")));
    assert_eq!(span.cost, Some(Picodollars::new(47_500_000)), "7 × $2.50 + 3 × $10 per million tokens");
    assert_eq!((span.session_id.as_deref(), span.user_id.as_deref()), (Some("s"), Some("ada")));
    let read =
        |payload: &Option<crate::Payload>| serde_json::from_str::<Value>(payload.as_ref().unwrap().as_str()).unwrap();
    assert_eq!(read(&span.input)[0]["content"], "hi");
    assert_eq!(read(&span.output)[0]["content"], "hello");
    assert_eq!(span.attributes["metadata"], json!({"a": {"b": 1}}));
    assert_eq!(span.attributes["phoenix.cumulative_error_count"], 0);
    let nested = json!({
        "context": {"span_id": "00f067aa0ba902b7", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}, "name": "t", "span_kind": "TOOL",
        "start_time": "2026-01-31T10:00:00+00:00", "end_time": "2026-01-31T10:00:01.5+00:00", "status_code": "ERROR",
        "attributes": {"tool": {"name": "search"}}, "events": [{"name": "exception", "attributes": {"exception.message": "no"}}],
    });
    let span = import(Source::Phoenix, nested).unwrap().spans.remove(0);
    assert_eq!((span.kind, span.status, span.status_message.as_deref()), (SpanKind::Tool, Status::Error, Some("no")));
}

#[test]
fn what_is_no_record_says_why() {
    let why = |source, record| import(source, record).unwrap_err().to_string();
    assert!(why(Source::Langfuse, json!({"id": "x", "traceId": "t", "startTime": "yesterday"})).contains("starttime"));
    assert!(why(Source::Langfuse, json!({"traceId": "t", "name": "n", "value": 1})).contains("timestamp"));
    assert!(why(Source::Langfuse, json!({"id": "x", "observations": []})).contains("timestamp"));
    assert!(why(Source::Phoenix, json!({"context.trace_id": "x", "start_time": 0})).contains("reset_index"));
    assert!(why(Source::Phoenix, json!({"context.trace_id": "x", "context.span_id": "y"})).contains("start_time"));
    assert_eq!(guess(&Map::new()), None);
}

#[test]
fn times_in_all_their_forms() {
    let expected = Some(at("2026-01-31T10:00:00.5Z"));
    for text in [
        "2026-01-31T10:00:00.5Z",
        "2026-01-31 10:00:00.500000",
        "2026-01-31T12:00:00.5+02:00",
        " 2026-01-31T05:00:00.5-05:00",
    ] {
        assert_eq!(time(&json!(text)), expected, "{text}");
    }
    assert_eq!(time(&json!(1_769_853_600_500_i64)), expected);
    for value in [json!(""), json!("now"), json!(null), json!("2026-01-31")] {
        assert_eq!(time(&value), None, "{value}");
    }
}
