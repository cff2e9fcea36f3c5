//! `/api/v1/tasks`: which there are, and what they ask.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::House;

#[tokio::test]
async fn tasks_say_what_they_need_and_what_they_ask() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let all = house.get(&key, "/api/v1/tasks").await.expect(200);
    assert!(all["data"].as_array().unwrap().iter().any(|task| task["name"] == "gsm8k"));
    let one = house.get(&key, "/api/v1/tasks/gsm8k").await.expect(200);
    assert_eq!((&one["data"][0]["output_type"], &one["data"][0]["num_fewshot"]), (&json!("generate_until"), &json!(5)));
    assert_eq!(one["data"][0]["needs"][0]["dataset"], "gsm8k-main-test");
    assert_eq!(
        house.get(&key, "/api/v1/tasks/bbh_seven_zeroshot").await.expect(200)["data"].as_array().unwrap().len(),
        7
    );
    house.get(&key, "/api/v1/tasks/nothing").await.refused(400, "invalid_value");

    house.get(&key, "/api/v1/tasks/gsm8k/documents/0").await.refused(400, "invalid_value");
    let rows: Vec<Value> =
        (0..8).map(|n| json!({"question": format!("What is {n}?"), "answer": format!("It is.\n#### {n}")})).collect();
    for dataset in ["gsm8k-main-test", "gsm8k-main-train"] {
        house.post(&key, &format!("/api/v1/datasets/{dataset}/rows"), json!({"add": rows})).await.expect(200);
    }
    let shown = house.get(&key, "/api/v1/tasks/gsm8k/documents/3?num_fewshot=2").await.expect(200);
    let prompt = shown["asks"][0]["prompt"]["text"].as_str().unwrap();
    assert_eq!((prompt.matches("####").count(), &shown["fields"]["question"]), (2, &json!("What is 3?")));
    assert!(prompt.ends_with("Question: What is 3?\nAnswer:"), "{prompt}");
    let chat = house.get(&key, "/api/v1/tasks/gsm8k/documents/3?num_fewshot=1&chat=turns").await.expect(200);
    assert_eq!(chat["asks"][0]["prompt"]["chat"]["messages"].as_array().unwrap().len(), 3);
    house.get(&key, "/api/v1/tasks/gsm8k/documents/8").await.refused(400, "invalid_value");
    let last = usize::MAX;
    house.get(&key, &format!("/api/v1/tasks/gsm8k/documents/{last}")).await.refused(400, "invalid_value");
    let many = house.get(&key, "/api/v1/tasks/gsm8k/documents/3?num_fewshot=1000000").await;
    many.refused(400, "invalid_value");
    house.get(&key, "/api/v1/tasks/bbh_seven_zeroshot/documents/0").await.refused(400, "invalid_value");
}
