//! `/v1/completions` against a stub upstream.

use qd_catalog::Scope;
use serde_json::json;

use crate::house::House;

#[tokio::test]
async fn prompts_pass_in_every_form() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    for prompt in [json!("Hello"), json!(["a", "b"]), json!([1, 2]), json!([[1], [2]])] {
        let answer =
            house.post(&key, "/v1/completions", json!({"model": "stub/echo-1", "prompt": prompt})).await.expect(200);
        assert_eq!(answer["choices"][0]["text"], " world");
    }
}

#[tokio::test]
async fn ranges_are_checked() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let error =
        house.post(&key, "/v1/completions", json!({"model": "stub/echo-1", "prompt": "a", "logprobs": 6})).await;
    assert_eq!(error.refused(400, "integer_above_max_value")["param"], "logprobs");
}
