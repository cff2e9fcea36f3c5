//! Recorded calls as rows.

use qd_base::{ProjectName, Timestamp};
use qd_trace::{Filter, Payload, Recorder, RecorderConfig, Span, SpanKind, Status, TraceContext};

use super::*;

fn call(question: &str, answer: &str, second: i64) -> Span {
    let project: ProjectName = "default".parse().unwrap();
    let start = Timestamp::from_nanos(second * 1_000_000_000);
    let mut span = Span::new(project, TraceContext::root(), SpanKind::Llm, "chat", start);
    let messages = json!([{"role": "system", "content": "be brief"}, {"role": "user", "content": question}]);
    span.input = Some(Payload::of(&messages));
    span.output = Some(Payload::of(&json!([{"role": "assistant", "content": answer}])));
    span.model = Some("m".to_owned());
    span
}

impl Scene {
    async fn record(&self, spans: Vec<Span>) {
        let blobs = BlobStore::open(&self.dir.path().join("payloads")).unwrap();
        let recorder = Recorder::new(self.lake.clone(), blobs, RecorderConfig::default());
        recorder.append(spans).await.unwrap();
    }

    async fn add(&self, calls: Calls) -> Result<Edited> {
        let project: ProjectName = "default".parse().unwrap();
        self.datasets.add_calls((self.project, &project), &name(), calls, json!({"told": true})).await.map(at_once)
    }
}

fn newest(limit: usize) -> Calls {
    Calls::Newest { filter: Box::new(Filter::of("default".parse().unwrap())), limit }
}

#[tokio::test]
async fn calls_become_rows_once() {
    let scene = Scene::new().await;
    assert!(matches!(scene.add(newest(10)).await, Err(Error::Missing { .. })));
    let spans: Vec<_> = (0..5).map(|n| call(&format!("q{n}"), &format!("a{n}"), n)).collect();
    let mut tool = call("x", "y", 9);
    tool.kind = SpanKind::Tool;
    scene.record([spans.clone(), vec![tool]].concat()).await;
    let edited = scene.add(newest(3)).await.unwrap();
    assert_eq!((edited.version.number, edited.rows, edited.added), (1, 3, 3));
    let dataset = scene.open("1").await;
    assert_eq!(
        kinds(dataset.columns()),
        [
            ("id", "text", "id"),
            ("input", "text", "input"),
            ("messages", "json", "messages"),
            ("output", "text", "reference"),
            ("metadata", "json", "metadata"),
        ]
    );
    let rows = dataset.rows(0..10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.values["input"].clone()).collect::<Vec<_>>(), ["q2", "q3", "q4"]);
    assert_eq!(rows[0].values["output"], "a2");
    assert_eq!(rows[0].values["messages"][0]["content"], "be brief");
    assert_eq!(rows[0].values["metadata"]["trace_id"], json!(spans[2].trace_id));
    assert_eq!(rows[0].id, format!("{}:{}", spans[2].trace_id, spans[2].span_id));
    // The others come, and those that are there do not come again.
    let edited = scene.add(newest(100)).await.unwrap();
    assert_eq!((edited.rows, edited.added, edited.known), (5, 2, 3));
    let Some(Origin::Traces { added: 2, known: 3, wanted, job: None }) = scene.open("2").await.origin() else {
        panic!()
    };
    assert_eq!(wanted, json!({"told": true}));
}

#[tokio::test]
async fn calls_come_into_the_columns_that_a_dataset_has() {
    let scene = Scene::new().await;
    scene.of(&[json!({"question": "1+1", "answer": "2", "level": 3})]).await;
    let span = call("2+2", "4", 1);
    let mut failed = call("3+3", "", 2);
    (failed.status, failed.output) = (Status::Error, None);
    scene.record(vec![span.clone(), failed]).await;
    scene.add(Calls::Spans(vec![(span.trace_id, span.span_id)])).await.unwrap();
    let rows = values(&scene.open("latest").await).await;
    assert_eq!(
        (&rows[1]["question"], &rows[1]["answer"], &rows[1]["level"]),
        (&json!("2+2"), &json!("4"), &Value::Null)
    );
    assert_eq!(rows[1]["metadata"]["model"], "m");
    let mut filter = Filter::of("default".parse().unwrap());
    filter.status = Some(Status::Error);
    scene.add(Calls::Newest { filter: Box::new(filter), limit: 10 }).await.unwrap();
    let rows = values(&scene.open("latest").await).await;
    assert_eq!((&rows[2]["question"], &rows[2]["answer"]), (&json!("3+3"), &Value::Null));
    let missing = scene.add(Calls::Spans(vec![(span.trace_id, call("", "", 1).span_id)])).await;
    assert!(matches!(missing, Err(Error::Missing { what: "span", .. })));
}
