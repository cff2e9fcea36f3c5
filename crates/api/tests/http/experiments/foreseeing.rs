//! What an experiment would take, told before it is begun.

use qd_catalog::Scope;
use serde_json::{Value, json};

use super::{PATH, calls, open, prompt, sums};
use crate::house::OPERATOR;

#[tokio::test]
async fn a_preview_counts_and_prices_and_asks_nobody() {
    let (house, key) = open().await;
    // Five items, `0 + 0 = ?` to `4 + 4 = ?`: 9 characters and the 3 of `add` make 3 tokens a call.
    sums(&house, &key, 5).await;
    prompt(&house, &key, "right", "add").await;
    let definition = |parameters: Value| json!({"dataset": "sums", "prompts": ["right"], "parameters": parameters, "scorers": [{"kind": "exact_match"}]});
    let reader = house.key(&[Scope::Read]).await;
    let path = format!("{PATH}/new/preview");
    let found = house.post(&reader, &path, definition(json!({"temperature": [0, 0.5, 1]}))).await.expect(200);
    assert_eq!((&found["items"], &found["calls"], &found["input_tokens"]), (&json!(5), &json!(15), &json!(45)));
    assert_eq!((&found["output_tokens"], &found["most_cost_picodollars"]), (&Value::Null, &Value::Null));
    assert_eq!((&found["unpriced"], &found["unknown"]), (&json!(["stub/sums"]), &json!([])));
    assert_eq!(found["cells"][2], json!({"id": "c3", "label": "right@1 · temperature 1"}));
    assert_eq!(found["definition"]["dataset"], "sums@1");

    let price = json!({"rows": [{"provider": "stub", "model": "sums", "input": 2.0, "output": 10.0}]});
    house.put(OPERATOR, "/api/v1/prices", price).await.expect(200);
    let bounded = definition(json!({"temperature": [0, 0.5, 1], "max_tokens": [8]}));
    let found = house.post(&reader, &path, bounded).await.expect(200);
    // 45 tokens at $2 a million are 90 millionths; 15 answers of 8 tokens at $10 are 1,200 millionths more.
    assert_eq!((&found["input_cost_picodollars"], &found["unpriced"]), (&json!(90_000_000), &json!([])));
    assert_eq!((&found["output_tokens"], &found["most_cost_picodollars"]), (&json!(120), &json!(1_290_000_000_u64)));

    let mut nobody = definition(json!({}));
    nobody["models"] = json!(["no-such-model"]);
    let found = house.post(&reader, &path, nobody).await.expect(200);
    assert_eq!((&found["unknown"], &found["unpriced"]), (&json!(["no-such-model"]), &json!([])));
    let refused = house.post(&reader, &path, definition(json!({"stream": [true]}))).await;
    refused.refused(400, "invalid_value");
    assert_eq!(calls(&house), 0);
    assert_eq!(house.get(&reader, PATH).await.expect(200)["data"], json!([]), "nothing was made");
}

/// Six cells on 5 items, then the best two on the 25 others: as many calls as such a search makes.
#[tokio::test]
async fn a_halving_search_is_counted_as_it_will_be() {
    let (house, key) = open().await;
    sums(&house, &key, 30).await;
    prompt(&house, &key, "right", "add").await;
    let definition = json!({
        "dataset": "sums", "prompts": ["right"], "parameters": {"seed": [1, 2, 3, 4, 5, 6]}, "scorers": [{"kind": "exact_match"}],
        "search": {"kind": "halving", "first_items": 5, "factor": 3},
    });
    let found = house.post(&key, &format!("{PATH}/new/preview"), definition).await.expect(200);
    assert_eq!(found["calls"], 6 * 5 + 2 * 25);
}

/// An experiment asks models in the caller's name.
#[tokio::test]
async fn making_and_optimising_take_the_scope_to_ask_models() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    let writer = house.key(&[Scope::Write]).await;
    let definition = json!({"dataset": "sums", "prompts": ["right"], "scorers": [{"kind": "exact_match"}]});
    let made = house.post(&writer, PATH, json!({"name": "x", "definition": definition})).await;
    made.refused(403, "missing_scope");
    let wanted = json!({"dataset": "sums", "prompt": "right", "scorer": {"kind": "exact_match"}});
    house.post(&writer, &format!("{PATH}/x/optimisation"), wanted).await.refused(403, "missing_scope");
}
