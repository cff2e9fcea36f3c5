//! The committed document is the one that is served.

use serde_json::Value;

use crate::house::{House, request};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

#[test]
fn docs_openapi_json_is_up_to_date() {
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == qd_api::openapi(),
        "docs/openapi.json is stale; write it with `cargo run --release -p qd-api --example openapi > docs/openapi.json`"
    );
}

#[tokio::test]
async fn it_is_served_to_anyone() {
    let answer = House::open().await.call(request(http::Method::GET, "/openapi.json", None, None)).await;
    assert_eq!(answer.text(), qd_api::openapi());
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.json()["openapi"], "3.1.0");
}

#[test]
fn every_reference_has_its_schema() {
    let document: Value = serde_json::from_str(&qd_api::openapi()).unwrap();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 50);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} is not in the document");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| match (key.as_str(), value) {
            ("$ref", Value::String(reference)) => references.push(reference.clone()),
            _ => collect(value, references),
        }),
        Value::Array(items) => items.iter().for_each(|item| collect(item, references)),
        _ => {}
    }
}
