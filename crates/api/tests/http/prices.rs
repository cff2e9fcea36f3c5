//! `/api/v1/prices`.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/prices";

fn chat() -> Value {
    json!({"model": "stub/echo-1", "messages": [{"role": "user", "content": "Hi"}]})
}

#[tokio::test]
async fn new_prices_hold_for_the_next_call() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer, Scope::Read]).await;
    let before = house.get(&key, PATH).await.expect(200);
    let put = house
        .put(OPERATOR, PATH, json!({"rows": [{"provider": "stub", "model": "echo-1", "input": 2.0, "output": 10.0}]}))
        .await
        .expect(200);
    assert_eq!(put["rows"].as_array().unwrap().len(), before["rows"].as_array().unwrap().len() + 1);

    let trace = house.post(&key, "/v1/chat/completions", chat()).await;
    house.settle().await;
    let span = house.get(&key, &format!("/api/v1/traces/{}", trace.header("x-quarterdeck-trace-id"))).await.expect(200)
        ["spans"][0]
        .clone();
    // 9 tokens at $2 and 3 at $10 a million: 18 + 30 millionths of a dollar.
    assert_eq!(span["cost_picodollars"], 48_000_000);
    assert_eq!(house.get(OPERATOR, "/api/v1/audit").await.expect(200)["data"][0]["actor"], "operator");
}

#[tokio::test]
async fn prices_that_cannot_be_are_refused() {
    let house = House::open().await;
    let before = house.get(OPERATOR, PATH).await.expect(200);
    for row in [
        json!({"provider": "x", "model": "y", "input": -1.0, "output": 1.0}),
        json!({"provider": "x", "model": "y", "input": 1e9, "output": 1.0}),
    ] {
        house.put(OPERATOR, PATH, json!({"rows": [row]})).await.refused(400, "invalid_value");
    }
    house.put(OPERATOR, PATH, json!({"rows": [{"provider": "x"}]})).await.refused(400, "missing_required_parameter");
    assert_eq!(house.get(OPERATOR, PATH).await.expect(200), before);
}
