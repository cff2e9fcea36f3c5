//! `/v1/embeddings` against a stub upstream.

use qd_catalog::Scope;
use serde_json::json;

use crate::house::House;

#[tokio::test]
async fn vectors_pass_through() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let answer = house
        .post(
            &key,
            "/v1/embeddings",
            json!({"model": "stub/echo-1", "input": ["a"], "encoding_format": "base64", "dimensions": 2}),
        )
        .await;
    assert_eq!(answer.expect(200)["data"][0]["embedding"], json!([0.6, 0.8]));
    assert!(house.stub.shared.last.body().contains("\"encoding_format\":\"base64\""));
}

#[tokio::test]
async fn empty_inputs_are_refused() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    for (input, param, code) in [
        (json!(""), "input", "invalid_value"),
        (json!([]), "input", "empty_array"),
        (json!(["a", ""]), "input[1]", "invalid_value"),
    ] {
        let answer = house.post(&key, "/v1/embeddings", json!({"model": "stub/echo-1", "input": input})).await;
        assert_eq!(answer.refused(400, code)["param"], param);
    }
}
