//! `/metrics`, as Prometheus sees it.

use http::Method;
use http::header::ACCEPT;
use qd_catalog::Scope;
use serde_json::json;

use crate::house::{Answer, House, OPERATOR, request};

/// The value of the sample that begins with `name` and has all of `labels`.
fn sample(text: &str, name: &str, labels: &[&str]) -> Option<f64> {
    let is_it = |line: &&str| {
        let found = line.split([' ', '{']).next();
        found == Some(name) && labels.iter().all(|label| line.contains(label))
    };
    text.lines().find(is_it).and_then(|line| line.rsplit_once(' ')?.1.parse().ok())
}

async fn called() -> House {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let chat = |model: &str, stream: bool| json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": stream});
    house.post(&key, "/v1/chat/completions", chat("stub/echo-1", false)).await.expect(200);
    house.post(&key, "/v1/chat/completions", chat("no-such-model", false)).await.refused(404, "model_not_found");
    house.settle().await;
    house
}

async fn scrape(house: &House, key: &str, accept: &str) -> Answer {
    let mut request = request(Method::GET, "/metrics", Some(key), None);
    request.headers_mut().insert(ACCEPT, accept.parse().unwrap());
    house.call(request).await
}

#[tokio::test]
async fn calls_are_counted_by_the_names_of_the_conventions() {
    let house = called().await;
    let answer = house.get(OPERATOR, "/metrics").await;
    assert_eq!(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text();
    let stub = ["project=\"default\"", "gen_ai_operation_name=\"chat\"", "gen_ai_provider_name=\"stub\""];
    let with = |more: &'static str| [&stub[..], &[more]].concat();
    assert_eq!(sample(text, "gen_ai_client_operation_duration_seconds_count", &stub), Some(1.0));
    assert_eq!(sample(text, "gen_ai_server_request_duration_seconds_bucket", &with("le=\"+Inf\"")), Some(1.0));
    assert_eq!(sample(text, "gen_ai_client_token_usage_count", &with("gen_ai_token_type=\"input\"")), Some(1.0));
    let unknown = ["error_type=\"unknown_model\"", "gen_ai_request_model=\"other\""];
    assert_eq!(sample(text, "gen_ai_client_operation_duration_seconds_count", &unknown), Some(1.0));
    assert_eq!(sample(text, "quarterdeck_recorder_spans_total", &["outcome=\"durable\""]), Some(2.0));
    assert!(sample(text, "process_resident_memory_bytes", &[]).unwrap() > 1e6);
    assert!(sample(text, "quarterdeck_http_requests_in_flight", &[]).unwrap() >= 1.0);
    let made_up: Vec<&str> = text.lines().filter(|line| line.contains("no-such-model")).collect();
    assert_eq!(made_up, [""; 0], "a name that a caller made up is no label");
}

#[tokio::test]
async fn openmetrics_is_written_when_it_is_asked_for() {
    let house = called().await;
    let answer = scrape(&house, OPERATOR, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    assert_eq!(answer.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(answer.text().ends_with("# EOF\n"));
    assert!(answer.text().contains("# TYPE quarterdeck_recorder_spans counter\n"));
}

#[tokio::test]
async fn a_key_sees_the_calls_of_its_project_and_an_administrator_all() {
    let house = called().await;
    let name = "gen_ai_client_operation_duration_seconds_count";
    let of = |key: String| {
        let house = &house;
        async move { sample(house.get(&key, "/metrics").await.text(), name, &["project=\"default\""]) }
    };
    assert_eq!(of(house.key(&[Scope::Read]).await).await, Some(1.0));
    assert_eq!(of(house.key_of("other", &[Scope::Read]).await).await, None);
    assert_eq!(of(house.key_of("other", &[Scope::Admin]).await).await, Some(1.0));
    let infer = house.key(&[Scope::Infer]).await;
    house.get(&infer, "/metrics").await.refused(403, "missing_scope");
}

/// A panel that asks for a metric nobody exposes stays empty and says nothing.
#[tokio::test]
async fn every_metric_of_the_dashboard_is_exposed() {
    let house = called().await;
    let text = house.get(OPERATOR, "/metrics").await.text().to_owned();
    let exposed: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let dashboard = include_str!("../../../../docs/grafana/quarterdeck.json");
    let dashboard: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    let mut asked = Vec::new();
    expressions(&dashboard, &mut asked);
    assert!(asked.len() >= 10, "{asked:?}");
    for expression in asked {
        let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let is_metric = |word: &&str| {
            ["quarterdeck_", "process_", "gen_ai_client_", "gen_ai_server_"].iter().any(|start| word.starts_with(start))
        };
        let mut found = 0;
        for name in words.filter(is_metric) {
            let family = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
            assert!(
                exposed.contains(&name) || family.is_some_and(|family| exposed.contains(&family)),
                "{name} in {expression}"
            );
            found += 1;
        }
        assert!(found > 0, "no metric in {expression}");
    }
}

/// The values of all members `expr`.
fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(expression) = members.get("expr").and_then(serde_json::Value::as_str) {
                found.push(expression.to_owned());
            }
            members.values().for_each(|value| expressions(value, found));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}
