//! `/api/v1/traces/import`.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/traces/import";

fn observation(id: &str, start: &str) -> Value {
    json!({
        "id": id, "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "type": "GENERATION", "name": "chat", "startTime": start,
        "model": "gpt-4o", "usageDetails": {"input": 7, "output": 3}, "input": "hi", "userId": "ada",
    })
}

fn phoenix(id: &str) -> Value {
    json!({
        "context.trace_id": "4bf92f3577b34da6a3ce929d0e0e4737", "context.span_id": id, "name": "t", "span_kind": "TOOL",
        "start_time": "2026-01-31T10:00:00Z", "end_time": "2026-01-31T10:00:01Z", "status_code": "OK",
    })
}

async fn import(house: &House, key: &str, records: Value) -> Value {
    house.post(key, PATH, json!({"records": records})).await.expect(200)
}

#[tokio::test]
async fn records_of_all_kinds_at_once_and_what_is_wrong_with_others() {
    let house = House::open().await;
    let score = json!({"id": "s", "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "name": "tone", "value": 1, "timestamp": "2026-01-31T10:00:00Z"});
    let own =
        json!({"kind": "tool", "name": "t", "start_time": "2026-01-31T10:00:00Z", "end_time": "2026-01-31T10:00:01Z"});
    let records = json!([observation("00f067aa0ba902b7", "2026-01-31T10:00:00Z"), {"moon": 1}, phoenix("00f067aa0ba902b8"), score, own, 7]);
    let answer = import(&house, OPERATOR, records).await;
    assert_eq!(
        (&answer["spans"], &answer["scores"], &answer["refused_count"]),
        (&json!(3), &json!(1), &json!(2)),
        "{answer}"
    );
    let refused: Vec<_> =
        answer["refused"].as_array().unwrap().iter().map(|one| one["record"].as_u64().unwrap()).collect();
    assert_eq!(refused, [1, 5]);
    let trace = house.get(OPERATOR, "/api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736").await.expect(200);
    let span = &trace["spans"][0];
    // gpt-4o: 7 × $2.50 + 3 × $10 per million tokens are 47.5 millionths of a dollar.
    assert_eq!(
        (&span["model"], &span["user_id"], &span["cost_picodollars"]),
        (&json!("gpt-4o"), &json!("ada"), &json!(47_500_000))
    );
    let scores = house.get(OPERATOR, "/api/v1/scores?trace=4bf92f3577b34da6a3ce929d0e0e4736").await.expect(200);
    assert_eq!(scores["data"][0]["name"], "tone");
}

#[tokio::test]
async fn what_is_older_than_is_kept_is_counted() {
    let house = House::open().await;
    house.put(OPERATOR, "/api/v1/retention/spans", json!({"days": 30})).await.expect(200);
    let now = qd_base::Timestamp::now().to_string();
    let records =
        json!([observation("00f067aa0ba902b7", "2020-01-31T10:00:00Z"), observation("00f067aa0ba902b8", &now)]);
    let answer = import(&house, OPERATOR, records).await;
    assert_eq!((&answer["spans"], &answer["expired"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_request_that_makes_no_sense_is_refused() {
    let house = House::open().await;
    house.post(OPERATOR, PATH, json!({"from": "moon", "records": []})).await.refused(400, "invalid_value");
    house.post(OPERATOR, PATH, json!({})).await.refused(400, "missing_required_parameter");
    let many = json!({"records": vec![json!({}); 10_001]});
    house.post(OPERATOR, PATH, many).await.refused(400, "array_above_max_length");
    let reader = house.key(&[Scope::Read]).await;
    house.post(&reader, PATH, json!({"records": []})).await.refused(403, "missing_scope");
    let told = house
        .post(OPERATOR, PATH, json!({"from": "phoenix", "records": [observation("x", "2026-01-31T10:00:00Z")]}))
        .await;
    assert_eq!(told.expect(200)["refused_count"], 1, "who says whose it is gets no guess");
}

#[tokio::test]
async fn what_is_imported_again_is_there_once() {
    let house = House::open().await;
    let records = json!([observation("00f067aa0ba902b7", "2026-01-31T10:00:00Z"), phoenix("00f067aa0ba902b8")]);
    for _ in 0..2 {
        import(&house, OPERATOR, records.clone()).await;
    }
    for trace in ["4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4737"] {
        let found = house.get(OPERATOR, &format!("/api/v1/traces/{trace}")).await.expect(200);
        assert_eq!(found["spans"].as_array().unwrap().len(), 1, "{found}");
    }
}
