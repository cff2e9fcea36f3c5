//! `/api/v1/scores`.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/scores";

fn trace(number: u32) -> String {
    format!("{number:032x}")
}

async fn give(house: &House, key: &str, scores: Value) -> Value {
    house.post(key, PATH, json!({"scores": scores})).await.expect(200)["data"].clone()
}

async fn listed(house: &House, key: &str, query: &str) -> Vec<Value> {
    house.get(key, &format!("{PATH}{query}")).await.expect(200)["data"].as_array().unwrap().clone()
}

#[tokio::test]
async fn what_was_given_is_found_by_trace_and_name() {
    let house = House::open().await;
    let scores = json!([
        {"trace_id": trace(1), "name": "helpful", "value": true, "comment": "to the point"},
        {"trace_id": trace(1), "span_id": "00f067aa0ba902b7", "name": "faithfulness", "value": 0.25, "source": "model"},
        {"trace_id": trace(2), "name": "tone", "value": "friendly", "source": "human", "user_id": "ann"},
    ]);
    let given = give(&house, OPERATOR, scores).await;
    assert_eq!(given[0]["value"], 1.0);
    let of = async |query: &str| -> Vec<Value> { listed(&house, OPERATOR, query).await };
    let first = of(&format!("?trace={}", trace(1))).await;
    assert_eq!(first.len(), 2);
    let both = of(&format!("?trace={},{}", trace(1), trace(2))).await;
    assert_eq!(both.len(), 3);
    let tone = of("?name=tone").await;
    assert_eq!(tone, [given[2].clone()]);
    assert_eq!(
        (&tone[0]["value"], &tone[0]["source"], &tone[0]["user_id"]),
        (&json!("friendly"), &json!("human"), &json!("ann"))
    );
    let faithful = of("?name=faithfulness").await;
    assert_eq!((&faithful[0]["value"], &faithful[0]["span_id"]), (&json!(0.25), &json!("00f067aa0ba902b7")));
    assert_eq!(first.iter().find(|score| score["name"] == "helpful").unwrap()["source"], "code");
}

#[tokio::test]
async fn a_score_is_replaced_by_its_identifier_and_taken_back() {
    let house = House::open().await;
    let first = give(&house, OPERATOR, json!([{"trace_id": trace(1), "name": "helpful", "value": 0}])).await;
    let id = first[0]["id"].as_str().unwrap().to_owned();
    give(&house, OPERATOR, json!([{"id": id, "trace_id": trace(1), "name": "helpful", "value": 1}])).await;
    let now = listed(&house, OPERATOR, "").await;
    assert_eq!((now.len(), &now[0]["value"]), (1, &json!(1.0)));
    house.delete(OPERATOR, &format!("{PATH}/{id}")).await.expect(204);
    assert!(listed(&house, OPERATOR, "").await.is_empty());
    house.delete(OPERATOR, &format!("{PATH}/{id}")).await.refused(404, "not_found");
    house.delete(OPERATOR, &format!("{PATH}/nonsense")).await.refused(404, "not_found");
    give(&house, OPERATOR, json!([{"id": id, "trace_id": trace(1), "name": "helpful", "value": 0.5}])).await;
    assert_eq!(listed(&house, OPERATOR, "").await[0]["value"], 0.5);
}

#[tokio::test]
async fn pages_hold_every_score_once() {
    let house = House::open().await;
    for batch in 0..3 {
        let scores: Vec<_> =
            (0..4).map(|n| json!({"trace_id": trace(1), "name": "n", "value": batch * 4 + n})).collect();
        give(&house, OPERATOR, json!(scores)).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = house.get(OPERATOR, &format!("{PATH}?limit=5{cursor}")).await.expect(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(|score| score["value"].as_f64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 12);
    seen.sort_by(f64::total_cmp);
    assert_eq!(seen, (0..12).map(f64::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_project_scores_and_sees_only_its_own() {
    let house = House::open().await;
    house.post(OPERATOR, "/api/v1/projects", json!({"name": "other"})).await.expect(201);
    let other = house.key_of("other", &[Scope::Read, Scope::Write]).await;
    let given = give(&house, OPERATOR, json!([{"trace_id": trace(1), "name": "helpful", "value": 1}])).await;
    assert!(listed(&house, &other, "").await.is_empty());
    let id = given[0]["id"].as_str().unwrap();
    house.delete(&other, &format!("{PATH}/{id}")).await.refused(404, "not_found");
    // The same identifier in another project is another score.
    give(&house, &other, json!([{"id": id, "trace_id": trace(1), "name": "helpful", "value": 0}])).await;
    assert_eq!(listed(&house, OPERATOR, "").await[0]["value"], 1.0);
    let reader = house.key(&[Scope::Read]).await;
    house.post(&reader, PATH, json!({"scores": []})).await.refused(403, "missing_scope");
}

#[tokio::test]
async fn a_score_that_says_nothing_is_refused_and_none_is_kept() {
    let house = House::open().await;
    let good = json!({"trace_id": trace(1), "name": "helpful", "value": 1});
    for (field, value) in [
        ("name", json!("")),
        ("name", json!("two\nlines")),
        ("value", json!("")),
        ("comment", json!("x".repeat(10_001))),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let refused = house.post(OPERATOR, PATH, json!({"scores": [good, bad]})).await.refused(400, "invalid_value");
        assert_eq!(refused["param"], format!("scores[1].{field}"));
    }
    assert!(listed(&house, OPERATOR, "").await.is_empty());
    house.get(OPERATOR, &format!("{PATH}?limit=0")).await.refused(400, "invalid_value");
    house.get(OPERATOR, &format!("{PATH}?trace=x")).await.refused(400, "invalid_value");
    house.get(OPERATOR, &format!("{PATH}?cursor=x")).await.refused(400, "invalid_cursor");
}
