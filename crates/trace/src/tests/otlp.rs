//! Telemetry of others, taken by a real lake: late, odd and large.

use std::io::Write as _;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use proptest::prelude::*;
use prost::Message as _;
use qd_base::{ProjectName, SpanId};
use qd_lake::QueryLimits;
use serde_json::{Value, json};

use super::*;
use crate::otlp::{Compression, Encoding, Intake, IntakeConfig, Refusal, Request, Signal, Taken};

const TRACE: [u8; 16] = [0xab; 16];

pub(super) fn project() -> ProjectName {
    "default".parse().unwrap()
}

fn trace_id() -> TraceId {
    TraceId::from_bytes(TRACE).unwrap()
}

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Any::StringValue(value.to_owned()))
}

fn pair(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// Span `number` of the trace, of 250 ms, begun `number` milliseconds after a second that has passed.
fn told(number: u64) -> otlp::Span {
    let start = second(number as i64).as_nanos() as u64;
    otlp::Span {
        trace_id: TRACE.to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        name: format!("span {number}"),
        start_time_unix_nano: start,
        end_time_unix_nano: start + 250_000_000,
        ..otlp::Span::default()
    }
}

fn request(spans: Vec<otlp::Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![otlp::ScopeSpans { spans, ..otlp::ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![otlp::ResourceSpans { scope_spans, ..otlp::ResourceSpans::default() }],
    }
}

/// A house that takes telemetry.
pub(super) struct Receiver {
    pub house: House,
    intake: Intake,
}

impl Receiver {
    pub async fn new() -> Self {
        Self::with(IntakeConfig::default()).await
    }

    async fn with(config: IntakeConfig) -> Self {
        let house = House::new(RecorderConfig::default()).await;
        let intake = Intake::new(house.recorder.clone(), Arc::new(PriceTable::built_in()), config);
        Self { house, intake }
    }

    pub async fn take(
        &self,
        signal: Signal,
        bytes: Vec<u8>,
        encoding: Encoding,
        compression: Compression,
    ) -> Result<Taken, Refusal> {
        let request = Request { signal, project: project(), bytes: bytes.into(), encoding, compression };
        self.intake.take(request, self.intake.place()).await
    }

    async fn send(&self, spans: Vec<otlp::Span>) -> Taken {
        let bytes = request(spans).encode_to_vec();
        self.take(Signal::Traces, bytes, Encoding::Protobuf, Compression::None).await.unwrap()
    }

    async fn spans(&self) -> Vec<Span> {
        self.house.traces.trace(&project(), trace_id()).await.unwrap().0
    }

    async fn sql(&self, sql: &str) -> Vec<Vec<String>> {
        let output = self.house.lake.query(sql, vec![], QueryLimits::default()).await.unwrap();
        let cell = |batch: &arrow::array::RecordBatch, column: usize, row| {
            arrow::util::display::array_value_to_string(batch.column(column), row).unwrap()
        };
        let row = |batch: &arrow::array::RecordBatch, row| {
            (0..batch.num_columns()).map(|column| cell(batch, column, row)).collect()
        };
        output
            .batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(|at| row(batch, at)).collect::<Vec<_>>())
            .collect()
    }
}

fn all(accepted: u64) -> Taken {
    Taken { accepted, ..Taken::default() }
}

#[tokio::test]
async fn every_encoding_and_compression_brings_the_same_span() {
    let receiver = Receiver::new().await;
    let sent = request(vec![otlp::Span {
        attributes: vec![text("session.id", "s"), pair("n", Any::IntValue(i64::MIN))],
        ..told(7)
    }]);
    let (protobuf, json) = (sent.encode_to_vec(), serde_json::to_vec(&sent).unwrap());
    let gzip = |bytes: &[u8]| {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    };
    for (encoding, bytes) in [(Encoding::Protobuf, &protobuf), (Encoding::Json, &json)] {
        for (compression, bytes) in [
            (Compression::None, bytes.clone()),
            (Compression::Gzip, gzip(bytes)),
            (Compression::Zstd, zstd::encode_all(&bytes[..], 1).unwrap()),
        ] {
            assert_eq!(receiver.take(Signal::Traces, bytes, encoding, compression).await.unwrap(), all(1));
            let spans = receiver.spans().await;
            assert_eq!(spans.len(), 1, "it is the same span each time");
            let span = &spans[0];
            assert_eq!((span.start, span.latency_ms(), span.session_id.as_deref()), (second(7), 250.0, Some("s")));
            assert_eq!(Value::Object(span.attributes.clone()), json!({"n": i64::MIN}));
        }
    }
    // The example of the specification's JSON form, with a number where others write a text.
    let by_hand = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174","parentSpanId":"EEE19B7EC3C1B173","name":"I'm a server span","startTimeUnixNano":"1544712660000000000","endTimeUnixNano":1544712661000000000,"kind":2,"unknown":{"to":"us"},"attributes":[{"key":"my.span.attr","value":{"stringValue":"some value"}},{"key":"i","value":{"intValue":3}}]}]}]}]}"#;
    assert_eq!(receiver.take(Signal::Traces, by_hand.into(), Encoding::Json, Compression::None).await.unwrap(), all(1));
    let (spans, _) =
        receiver.house.traces.trace(&project(), "5b8efff798038103d269b633813fc60c".parse().unwrap()).await.unwrap();
    assert_eq!((spans[0].name.as_str(), spans[0].latency_ms()), ("I'm a server span", 1000.0));
    assert_eq!(
        Value::Object(spans[0].attributes.clone()),
        json!({"my.span.attr": "some value", "i": 3, "otel.kind": "server"})
    );
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_crash() {
    let receiver = Receiver::new().await;
    assert_eq!(receiver.send((1..=50).map(told).collect()).await, all(50));
    let House { folder, catalog, lake, recorder, traces } = receiver.house;
    drop((catalog, lake, recorder, traces, receiver.intake));
    let house = House::open(folder, RecorderConfig::default()).await;
    assert_eq!(house.traces.trace(&project(), trace_id()).await.unwrap().0.len(), 50);
}

#[tokio::test]
async fn spans_without_identity_are_rejected_and_the_others_kept() {
    let receiver = Receiver::new().await;
    let spans = vec![
        told(1),
        otlp::Span { trace_id: vec![0; 16], ..told(2) },
        otlp::Span { span_id: vec![], ..told(3) },
        otlp::Span { span_id: vec![1; 7], ..told(4) },
        told(5),
    ];
    let taken = receiver.send(spans).await;
    assert_eq!((taken.accepted, taken.rejected), (2, 3));
    assert!(
        taken.message.contains("1 rejected: its trace_id") && taken.message.contains("2 rejected: its span_id"),
        "{}",
        taken.message
    );
    assert_eq!(receiver.spans().await.len(), 2);
    let stats = receiver.intake.stats();
    assert_eq!((stats.accepted, stats.rejected, stats.refused_requests, stats.in_flight_bytes), (2, 3, 0, 0));
}

#[tokio::test]
async fn children_may_come_before_parents_and_parents_not_at_all() {
    let receiver = Receiver::new().await;
    let parent = |number: u64| number.to_be_bytes().to_vec();
    receiver.send(vec![otlp::Span { parent_span_id: parent(1), ..told(2) }]).await;
    receiver.send(vec![otlp::Span { parent_span_id: parent(99), ..told(3) }]).await;
    receiver.send(vec![otlp::Span { parent_span_id: vec![0; 8], ..told(1) }]).await;
    let spans = receiver.spans().await;
    let id = |number: u64| SpanId::from_bytes(number.to_be_bytes()).unwrap();
    let seen: Vec<_> = spans.iter().map(|span| (span.span_id, span.parent_id)).collect();
    assert_eq!(seen, [(id(1), None), (id(2), Some(id(1))), (id(3), Some(id(99)))], "in the order of their starts");
    let listed = receiver.house.pages(&Filter::default(), 10).await;
    assert_eq!((listed.len(), listed[0].spans, listed[0].head.span_id), (1, 3, id(1)));
}

#[tokio::test]
async fn clocks_may_be_wrong() {
    let receiver = Receiver::new().await;
    let before = Timestamp::now();
    let at = |number, start, end| otlp::Span { start_time_unix_nano: start, end_time_unix_nano: end, ..told(number) };
    let usual = second(0).as_nanos() as u64;
    receiver
        .send(vec![
            at(1, usual, usual - 1_000),
            at(2, 0, usual),
            at(3, usual, u64::MAX),
            at(4, 0, 0),
            at(5, u64::MAX, 7),
        ])
        .await;
    let spans = receiver.spans().await;
    assert_eq!(spans.len(), 5, "nothing hides a span");
    let of = |number: u64| spans.iter().find(|span| span.span_id.as_bytes() == &number.to_be_bytes()).unwrap();
    assert_eq!(
        (of(1).start, of(1).end, &of(1).attributes["otel.end_time_unix_nano"]),
        (second(0), second(0), &json!(usual - 1_000))
    );
    assert_eq!(
        (of(2).start, of(2).end, &of(2).attributes["otel.start_time_unix_nano"]),
        (second(0), second(0), &json!(0))
    );
    assert_eq!(
        (of(3).start, of(3).end, &of(3).attributes["otel.end_time_unix_nano"]),
        (second(0), second(0), &json!(u64::MAX))
    );
    for number in [4, 5] {
        let span = of(number);
        assert!(
            before <= span.start && span.start <= Timestamp::now() && span.end == span.start,
            "the time of arrival"
        );
    }
}

#[tokio::test]
async fn the_last_of_the_same_span_is_shown_once_everywhere() {
    let receiver = Receiver::new().await;
    let call = |number: u64, tokens: i64| otlp::Span {
        attributes: vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.request.model", "m"),
            pair("gen_ai.usage.input_tokens", Any::IntValue(tokens)),
        ],
        ..told(number)
    };
    receiver.send(vec![call(1, 10), call(2, 10), call(2, 20)]).await;
    receiver.house.lake.seal().await.unwrap();
    receiver.send(vec![call(1, 30)]).await;
    receiver.send(vec![otlp::Span { start_time_unix_nano: second(5).as_nanos() as u64, ..call(1, 40) }]).await;
    let check = async || {
        let spans = receiver.spans().await;
        let tokens: Vec<_> = spans.iter().map(|span| span.usage.unwrap().input_tokens).collect();
        assert_eq!(tokens, [20, 40], "span 2 began before the last telling of span 1");
        let listed = receiver.house.pages(&Filter::default(), 10).await;
        assert_eq!((listed.len(), listed[0].spans, listed[0].usage.input_tokens), (1, 2, 60));
        let range = TimeRange::new(second(0), second(60)).unwrap();
        let query =
            crate::OverviewQuery { filter: Filter::default(), range, step: Duration::from_secs(60), group_by: None };
        let overview = receiver.house.traces.overview(&query).await.unwrap();
        assert_eq!((overview.total.requests, overview.total.input_tokens), (2, 60));
    };
    check().await;
    receiver.house.lake.seal().await.unwrap();
    receiver.house.lake.compact().await.unwrap();
    check().await;
}

#[tokio::test]
async fn an_attribute_of_ten_megabytes_goes_to_a_blob() {
    let receiver = Receiver::new().await;
    let large = "é".repeat(5 << 20);
    let attributes = vec![
        text("image", &large),
        text("gen_ai.operation.name", "chat"),
        text("gen_ai.prompt", &large),
        text("small", "x"),
    ];
    assert_eq!(receiver.send(vec![otlp::Span { attributes, ..told(1) }]).await, all(1));
    let rows = receiver.sql("SELECT length(attributes) < 10000, length(input) < 10000, input_blob IS NOT NULL, attributes_blob IS NOT NULL FROM spans").await;
    assert_eq!(rows, [["true", "true", "true", "true"]], "the row is small");
    let span = &receiver.spans().await[0];
    assert_eq!(
        (&span.attributes["small"], &span.attributes["image"]["quarterdeck.cut_bytes"]),
        (&json!("x"), &json!(10 << 20))
    );
    let whole = receiver.house.traces.span(&project(), trace_id(), span.span_id).await.unwrap().unwrap();
    assert_eq!(whole.attributes["image"], json!(large));
    assert_eq!(whole.input.unwrap().as_str(), format!("\"{large}\""));
}

#[tokio::test]
async fn a_trace_of_a_hundred_thousand_spans_is_all_there() {
    let receiver = Receiver::new().await;
    const SPANS: u64 = 100_000;
    let spans: Vec<_> = (1..=SPANS)
        .map(|number| otlp::Span {
            start_time_unix_nano: told(1).start_time_unix_nano + number,
            parent_span_id: if number > 1 { 1_u64.to_be_bytes().to_vec() } else { Vec::new() },
            ..told(number)
        })
        .collect();
    for part in spans.chunks(20_000) {
        assert_eq!(receiver.send(part.to_vec()).await, all(part.len() as u64));
    }
    let outline = receiver.house.traces.outline(&project(), trace_id()).await.unwrap();
    assert_eq!(outline.len() as u64, SPANS);
    let (detail, more) = receiver.house.traces.trace(&project(), trace_id()).await.unwrap();
    assert!(more && detail.len() == 10_000, "the rest is told to be there");
    assert_eq!(receiver.house.pages(&Filter::default(), 10).await[0].spans, SPANS);
}

#[tokio::test]
async fn a_wrong_byte_costs_nothing_but_itself() {
    let receiver = Receiver::new().await;
    let mut bytes =
        request(vec![otlp::Span { name: "QQQQ".into(), attributes: vec![text("key", "ZZZZ")], ..told(1) }, told(2)])
            .encode_to_vec();
    for marker in [b"QQQQ", b"ZZZZ"] {
        let at = bytes.windows(4).position(|window| window == marker).unwrap();
        bytes[at + 1] = 0xff;
    }
    assert_eq!(receiver.take(Signal::Traces, bytes, Encoding::Protobuf, Compression::None).await.unwrap(), all(2));
    let spans = receiver.spans().await;
    assert_eq!(
        (spans[0].name.as_str(), &spans[0].attributes["key"], spans[1].name.as_str()),
        ("Q?QQ", &json!("Z?ZZ"), "span 2")
    );
    let json = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01010101010101010101010101010101","spanId":"0101010101010101","name":"a!b"}]}]}]}"#;
    let json: Vec<u8> = json.iter().map(|byte| if *byte == b'!' { 0xff } else { *byte }).collect();
    assert_eq!(receiver.take(Signal::Traces, json, Encoding::Json, Compression::None).await.unwrap(), all(1));
}

#[tokio::test]
async fn what_cannot_be_read_or_held_is_refused() {
    let receiver = Receiver::with(IntakeConfig { queue_bytes: 64 << 10, message_bytes: 32 << 10 }).await;
    let take = |bytes: Vec<u8>, encoding| receiver.take(Signal::Traces, bytes, encoding, Compression::None);
    assert!(matches!(take(b"\xff\xff".to_vec(), Encoding::Protobuf).await, Err(Refusal::Unreadable { .. })));
    assert!(matches!(take(b"{]".to_vec(), Encoding::Json).await, Err(Refusal::Unreadable { .. })));
    assert!(matches!(take(vec![0; 33 << 10], Encoding::Protobuf).await, Err(Refusal::TooLarge { .. })));
    let mut places = [receiver.intake.place(), receiver.intake.place(), receiver.intake.place()];
    places[0].hold(32 << 10).unwrap();
    places[1].hold(31 << 10).unwrap();
    let refused = places[2].hold(2 << 10).unwrap_err();
    assert!(matches!(refused, Refusal::Full { .. }) && refused.retry_after().is_some());
    let refused = take(request(vec![told(1); 100]).encode_to_vec(), Encoding::Protobuf).await.unwrap_err();
    assert!(matches!(refused, Refusal::Full { .. }), "{refused}");
    assert_eq!(receiver.intake.stats().refused_requests, 2);
    drop(places);
    assert_eq!(receiver.send(vec![told(1)]).await, all(1), "there is room again");
    assert_eq!(receiver.intake.stats().in_flight_bytes, 0);
}

#[tokio::test]
async fn log_records_are_rows_and_complete_the_spans_that_they_are_about() {
    let receiver = Receiver::new().await;
    receiver
        .send(vec![otlp::Span {
            attributes: vec![text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "m")],
            ..told(1)
        }])
        .await;
    let content =
        |words: &str| AnyValue { value: Some(Any::KvlistValue(KeyValueList { values: vec![text("content", words)] })) };
    let record = |at: u64, name: &str, body| LogRecord {
        time_unix_nano: told(1).start_time_unix_nano + at,
        severity_number: 9,
        trace_id: TRACE.to_vec(),
        span_id: 1_u64.to_be_bytes().to_vec(),
        event_name: name.to_owned(),
        body: Some(body),
        ..LogRecord::default()
    };
    let log_records = vec![
        record(1, "gen_ai.user.message", content("Hi")),
        record(
            2,
            "gen_ai.choice",
            AnyValue {
                value: Some(Any::KvlistValue(KeyValueList {
                    values: vec![pair(
                        "message",
                        Any::KvlistValue(KeyValueList {
                            values: vec![text("role", "assistant"), text("content", "Yo")],
                        }),
                    )],
                })),
            },
        ),
        LogRecord {
            body: Some(AnyValue { value: Some(Any::StringValue("plain".into())) }),
            attributes: vec![text("event.name", "old.name")],
            ..LogRecord::default()
        },
    ];
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let sent = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
    assert_eq!(
        receiver.take(Signal::Logs, sent.encode_to_vec(), Encoding::Protobuf, Compression::None).await.unwrap(),
        all(3)
    );
    let rows = receiver.sql("SELECT event_name, body, severity FROM logs ORDER BY time").await;
    assert_eq!(rows[0], ["gen_ai.user.message", r#"{"content":"Hi"}"#, "9"]);
    assert_eq!(rows[2], ["old.name", "plain", ""], "one without a time has that of its arrival");
    let span = &receiver.spans().await[0];
    assert_eq!(span.input.as_ref().unwrap().as_str(), r#"[{"role":"user","content":"Hi"}]"#);
    assert_eq!(span.output.as_ref().unwrap().as_str(), r#"[{"role":"assistant","content":"Yo"}]"#);
}

#[tokio::test]
async fn data_points_are_rows() {
    let receiver = Receiver::new().await;
    let time_unix_nano = second(1).as_nanos() as u64;
    let number = |value| NumberDataPoint {
        time_unix_nano,
        value,
        attributes: vec![text("gen_ai.token.type", "input")],
        ..NumberDataPoint::default()
    };
    let gauge = Gauge { data_points: vec![number(Some(number_data_point::Value::AsInt(7))), number(None)] };
    let point = HistogramDataPoint {
        time_unix_nano,
        count: 3,
        sum: Some(6.5),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![1.5],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    let metric =
        |name: &str, data| Metric { name: name.into(), unit: "{token}".into(), data: Some(data), ..Metric::default() };
    let metrics = vec![
        metric("gauge", metric::Data::Gauge(gauge.clone())),
        metric("gen_ai.client.token.usage", metric::Data::Histogram(histogram)),
        metric("", metric::Data::Gauge(Gauge { data_points: vec![number(Some(number_data_point::Value::AsInt(7)))] })),
    ];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let sent = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }],
    };
    let taken =
        receiver.take(Signal::Metrics, sent.encode_to_vec(), Encoding::Protobuf, Compression::None).await.unwrap();
    assert_eq!((taken.accepted, taken.rejected), (2, 2), "{}", taken.message);
    let rows = receiver
        .sql("SELECT name, kind, value, count, sum, temporality, buckets, attributes FROM metrics ORDER BY name")
        .await;
    assert_eq!(rows[0], ["gauge", "gauge", "7.0", "", "", "", "", r#"{"gen_ai.token.type":"input"}"#]);
    assert_eq!(
        rows[1],
        [
            "gen_ai.client.token.usage",
            "histogram",
            "",
            "3",
            "6.5",
            "cumulative",
            r#"{"bounds":[1.5],"counts":[1,2]}"#,
            ""
        ]
    );
}

/// Attributes with the names that mean something and values of every sort.
fn any_attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let rows = crate::otlp::dialect::TABLE.iter().map(|row| row.key.to_owned());
    let families = crate::otlp::dialect::FAMILIES.iter().map(|family| format!("{}0.message.role", family.prefix));
    let keys: Vec<String> =
        rows.chain(families).chain(["llm.input_messages.0".into(), "mine".into(), String::new()]).collect();
    let words = [
        "",
        "LLM",
        "chat",
        "{}",
        "[]",
        "null",
        "[{\"role\":\"user\",\"parts\":[{\"type\":\"text\"}]}]",
        "{\"messages\":[]}",
        "{\"choices\":[{\"message\":{}}]}",
        "{\"total\":-1}",
        "1e999",
        "\"x\"",
    ];
    let leaf = prop_oneof![
        Just(None),
        proptest::sample::select(words.to_vec()).prop_map(|word| Some(Any::StringValue(word.to_owned()))),
        any::<String>().prop_map(|text| Some(Any::StringValue(text))),
        any::<bool>().prop_map(|truth| Some(Any::BoolValue(truth))),
        any::<i64>().prop_map(|number| Some(Any::IntValue(number))),
        any::<f64>().prop_map(|number| Some(Any::DoubleValue(number))),
        any::<Vec<u8>>().prop_map(|bytes| Some(Any::BytesValue(bytes))),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        let values = proptest::collection::vec(inner, 0..4);
        prop_oneof![
            values.clone().prop_map(|values| Some(Any::ArrayValue(ArrayValue {
                values: values.into_iter().map(|value| AnyValue { value }).collect()
            }))),
            values.prop_map(|values| {
                let names = ["role", "content", "parts", "type"];
                let pairs = names.iter().zip(values).map(|(name, value)| KeyValue {
                    key: (*name).to_owned(),
                    value: Some(AnyValue { value }),
                    ..KeyValue::default()
                });
                Some(Any::KvlistValue(KeyValueList { values: pairs.collect() }))
            }),
        ]
    });
    let one = (proptest::sample::select(keys), value).prop_map(|(key, value)| KeyValue {
        key,
        value: Some(AnyValue { value }),
        ..KeyValue::default()
    });
    proptest::collection::vec(one, 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, rng_seed: proptest::test_runner::RngSeed::Fixed(20_261_130), ..ProptestConfig::default() })]

    /// Whatever the attributes say, a span with an identity becomes a row that reads back.
    #[test]
    fn every_span_becomes_a_row(attributes in any_attributes(), start: u64, end: u64, kind: i32) {
        use crate::otlp::read::{Origin, Reader};
        let prices = PriceTable::built_in();
        let project = project();
        let reader = Reader { project: &project, prices: &prices, now: Timestamp::now() };
        let event = otlp::span::Event { name: "gen_ai.choice".into(), attributes: attributes.clone(), ..otlp::span::Event::default() };
        let sent = otlp::Span { attributes, kind, start_time_unix_nano: start, end_time_unix_nano: end, events: vec![event], ..told(1) };
        let span = reader.span(sent, &Origin::of(None)).unwrap();
        let mut rows = crate::table::SpanRows::new();
        rows.append(&span, crate::table::PayloadBlobs::default());
        let read = crate::table::read_spans(&rows.finish().unwrap()).unwrap();
        prop_assert_eq!(read, [span]);
    }

    /// No bytes end the process, and what they are damaged into is either refused or read.
    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..64), at: usize, with: u8, attributes in any_attributes()) {
        use crate::otlp::wire::decode;
        for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
            let _ = decode::<ExportTraceServiceRequest>(&bytes.clone().into(), Encoding::Protobuf, signal);
            let _ = decode::<ExportLogsServiceRequest>(&bytes.clone().into(), Encoding::Json, signal);
        }
        bytes = request(vec![otlp::Span { attributes, ..told(1) }]).encode_to_vec();
        let place = at % bytes.len();
        bytes[place] = with;
        let _ = decode::<ExportTraceServiceRequest>(&bytes.into(), Encoding::Protobuf, Signal::Traces);
    }
}
