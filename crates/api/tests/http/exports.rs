//! `/api/v1/traces/export`.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/traces/export";

fn span(number: u32, user: &str, input: &str) -> Value {
    json!({
        "trace_id": format!("{number:032x}"), "span_id": format!("{number:016x}"), "parent_id": null, "kind": "llm", "name": "chat",
        "start_time": format!("2026-01-31T00:00:{:02}Z", number % 60), "end_time": "2026-01-31T00:01:00.123456789Z",
        "ttft_ms": 0.1, "status": "error", "status_message": "no", "session_id": "s", "user_id": user, "tags": ["a", "b"],
        "environment": "e", "release": "r", "provider": "p", "model_requested": "m", "model": "m-1",
        "parameters": {"temperature": 0.30000000000000004}, "input": {"text": input, "n": 1.0}, "output": [null, 1e3],
        "input_tokens": 3, "output_tokens": 5, "cached_tokens": 1, "reasoning_tokens": 2, "cost_picodollars": 7,
        "prompt_name": "greet", "prompt_version": 4, "arm": "champion", "attributes": {"x": [1, 0.1]},
    })
}

async fn append(house: &House, key: &str, spans: &[Value]) {
    house.post(key, "/api/v1/traces", json!({"spans": spans})).await.expect(200);
}

/// The lines of an export, by their spans' numbers.
async fn lines(house: &House, key: &str, query: &str) -> Vec<Value> {
    let answer = house.get(key, &format!("{PATH}{query}")).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/x-ndjson"));
    let mut lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["span_id"].as_str().unwrap().to_owned());
    lines
}

#[tokio::test]
async fn what_was_exported_is_what_was_appended_and_can_be_again() {
    let house = House::open().await;
    let large = "x".repeat(100_000);
    let spans: Vec<_> = (1..=1500).map(|n| span(n, "ada", if n == 7 { &large } else { "small" })).collect();
    append(&house, OPERATOR, &spans).await;
    let shop = house.key_of("shop", &[Scope::Admin]).await;
    append(&house, &shop, &[span(1, "shop's", "")]).await;
    let exported = lines(&house, OPERATOR, "").await;
    assert_eq!(exported, spans, "whole payloads, and only the project's own");
    append(&house, &shop, &exported).await;
    assert_eq!(lines(&house, &shop, "?user=ada").await, spans);
}

#[tokio::test]
async fn filters_and_beginnings() {
    let house = House::open().await;
    append(&house, OPERATOR, &[span(1, "ada", ""), span(2, "bob", &"y".repeat(100_000)), span(3, "bob", "")]).await;
    for (query, found) in [
        ("?user=bob", vec!["02", "03"]),
        ("?from=2026-01-31T00:00:02Z&format=jsonl", vec!["02", "03"]),
        ("?to=2026-01-31T00:00:03Z&user=bob", vec!["02"]),
        ("?status=ok", vec![]),
        ("?model=m-1&session=s&tag=a&kind=llm", vec!["01", "02", "03"]),
    ] {
        let lines = lines(&house, OPERATOR, query).await;
        let ids: Vec<_> = lines.iter().map(|line| line["span_id"].as_str().unwrap()[14..].to_owned()).collect();
        assert_eq!(ids, found, "{query}");
    }
    let cut = lines(&house, OPERATOR, "?payloads=beginning&user=bob").await;
    assert!(cut[0]["input"].as_str().unwrap().len() < 5000);
    for query in ["?limit=1", "?cursor=x", "?format=csv", "?payloads=some", "?moon=1"] {
        house.get(OPERATOR, &format!("{PATH}{query}")).await.refused(400, "invalid_value");
    }
}

#[tokio::test]
async fn parquet_has_the_columns_of_the_table() {
    let house = House::open().await;
    append(&house, OPERATOR, &[span(1, "ada", &"z".repeat(100_000)), span(2, "bob", "")]).await;
    for (query, length) in [("", 4096), ("&payloads=whole", 100_000)] {
        let answer = house.get(OPERATOR, &format!("{PATH}?format=parquet{query}")).await;
        assert_eq!(answer.header("content-type"), "application/vnd.apache.parquet");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &answer.bytes).unwrap();
        let batches: Vec<_> = qd_lake::read_parquet(file.path()).unwrap().map(Result::unwrap).collect();
        let rows: Vec<Value> = batches
            .iter()
            .flat_map(|batch| {
                let lines = qd_lake::portable::json_lines(batch).unwrap();
                String::from_utf8(lines)
                    .unwrap()
                    .lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(rows.len(), 2);
        let ada = rows.iter().find(|row| row["user_id"] == "ada").unwrap();
        let input = ada["input"].as_str().unwrap();
        assert!(input.len() >= length && input.len() < length + 100, "{}", input.len());
        assert_eq!(ada.get("input_blob").is_some(), query.is_empty());
        assert_eq!((&ada["tags"], &ada["cost_picodollars"]), (&json!(["a", "b"]), &json!(7)));
    }
    let none = house.get(OPERATOR, &format!("{PATH}?format=parquet&user=nobody")).await;
    assert!(none.status.is_success() && none.bytes.starts_with(b"PAR1") && none.bytes.ends_with(b"PAR1"));
    assert_eq!(house.get(OPERATOR, &format!("{PATH}?user=nobody")).await.text(), "");
}
