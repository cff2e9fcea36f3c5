//! `/api/v1/scorers`: rules that score what went through the gateway.

use std::time::{Duration, Instant};

use qd_base::Timestamp;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::House;

const PATH: &str = "/api/v1/scorers";
/// Longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn rule() -> Value {
    json!({
        "filter": {"tag": "shop"},
        "scorers": [{"kind": "regex", "name": "polite", "pattern": "please"}, {"kind": "length", "unit": "words"}, {"kind": "latency"}],
    })
}

/// Calls that end now, of two releases.
async fn calls(house: &House, key: &str, from: u32, count: u32) {
    let end = Timestamp::now();
    let span = |number: u32| {
        let said = if number % 4 == 0 { "no" } else { "yes please" };
        json!({
            "trace_id": format!("{number:032x}"), "span_id": format!("{number:016x}"), "kind": "llm", "name": "chat", "model": "m",
            "start_time": end.saturating_sub(Duration::from_millis(200)), "end_time": end, "status": "ok",
            "release": if number % 2 == 0 { "1" } else { "2" }, "tags": ["shop"],
            "output": [{"role": "assistant", "content": said}],
        })
    };
    let spans: Vec<Value> = (from..from + count).map(span).collect();
    house.post(key, "/api/v1/traces", json!({"spans": spans})).await.expect(200);
}

async fn until(house: &House, key: &str, name: &str, scores: u64) -> Value {
    let begun = Instant::now();
    loop {
        let found = house.get(key, &format!("{PATH}/{name}")).await.expect(200);
        if found["scores"] == scores {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn scoring_is_an_administrator_s_to_stop_since_it_is_every_project_s() {
    let house = House::open().await;
    let (editor, admin) = (house.key(&[Scope::Write]).await, house.key(&[Scope::Admin]).await);
    house.post(&editor, PATH, json!({"name": "shop", "definition": rule()})).await.expect(201);
    let jobs = house.get(&editor, "/api/v1/jobs?kind=scorer.score").await.expect(200);
    let cancel = format!("/api/v1/jobs/{}/cancel", jobs["data"][0]["id"].as_str().unwrap());
    house.post(&editor, &cancel, json!({})).await.refused(403, "missing_scope");
    house.post(&admin, &cancel, json!({})).await.expect(200);
}

#[tokio::test]
async fn a_rule_scores_what_ends_and_its_report_tells_of_it() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    calls(&house, &key, 1, 5).await;
    let made = house.post(&key, PATH, json!({"name": "shop", "definition": rule()})).await.expect(201);
    assert_eq!((&made["version"], &made["active"], &made["scores"]), (&json!(1), &json!(true), &json!(0)));
    assert_eq!(made["author"], "scorer:shop@1");
    let runner = house.run_scorers();
    calls(&house, &key, 100, 20).await;
    let found = until(&house, &key, "shop", 60).await;
    assert_eq!((&found["calls"], &found["unscored"], &found["error"]), (&json!(20), &json!(0), &Value::Null));
    runner.shutdown().await;

    let scores = house.get(&key, "/api/v1/scores?name=polite&limit=100").await.expect(200);
    let scores = scores["data"].as_array().unwrap();
    assert_eq!(
        (scores.len(), &scores[0]["author"], &scores[0]["source"]),
        (20, &json!("scorer:shop@1"), &json!("code"))
    );
    let report = house.get(&key, &format!("{PATH}/shop/report?back_s=3600&step_s=3600")).await.expect(200);
    let polite = &report["scores"][0];
    assert_eq!((&polite["name"], &polite["count"], &polite["mean"]), (&json!("polite"), &json!(20), &json!(0.75)));
    assert!(polite["low"].as_f64().unwrap() < 0.75 && polite["high"].as_f64().unwrap() > 0.75);
    let first = polite["groups"].as_array().unwrap().iter().find(|group| group["group"] == "1").unwrap();
    assert_eq!((&first["by"], &first["mean"]), (&json!("release"), &json!(0.5)));
    assert_eq!(report["scores"][2]["low"], Value::Null, "nothing is said of few milliseconds");
    let over_time: u64 =
        report["over_time"].as_array().unwrap().iter().map(|point| point["count"].as_u64().unwrap()).sum();
    assert_eq!(over_time, 60);
    let path = format!("{PATH}/shop/comparison?by=release&a=1&b=2");
    let compared = house.get(&key, &path).await.expect(200);
    assert_eq!((&compared["data"][0]["a"]["mean"], &compared["data"][0]["b"]["mean"]), (&json!(0.5), &json!(1.0)));

    // Another process goes on where this one was, and gives nothing twice.
    let runner = house.run_scorers();
    calls(&house, &key, 200, 4).await;
    until(&house, &key, "shop", 72).await;
    runner.shutdown().await;
    let sql = json!({"sql": "SELECT count(*) AS n FROM scores"});
    let rows = house.post(crate::house::OPERATOR, "/api/v1/sql", sql).await.expect(200);
    assert_eq!(rows["rows"][0]["n"], 72, "{rows}");
}

#[tokio::test]
async fn rules_are_paused_resumed_and_removed() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    house.post(&key, PATH, json!({"name": "shop", "definition": rule()})).await.expect(201);
    assert_eq!(house.post(&key, &format!("{PATH}/shop/pause"), json!({})).await.expect(200)["active"], false);
    let listed = house.get(&key, PATH).await.expect(200);
    assert_eq!((&listed["data"][0]["name"], &listed["data"][0]["active"]), (&json!("shop"), &json!(false)));
    assert_eq!(house.post(&key, &format!("{PATH}/shop/resume"), json!({})).await.expect(200)["active"], true);
    let other = json!({"name": "shop", "definition": {"scorers": [{"kind": "cost"}]}});
    assert_eq!(house.post(&key, PATH, other).await.expect(201)["version"], 2);
    let first = house.get(&key, &format!("{PATH}/shop?version=1")).await.expect(200);
    assert_eq!(first["active"], false, "one version scores");
    house.delete(&key, &format!("{PATH}/shop")).await.expect(204);
    house.get(&key, &format!("{PATH}/shop")).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let new = |definition: Value| json!({"name": "shop", "definition": definition});
    let refused = house.post(&key, PATH, new(json!({"scorers": [{"kind": "exact_match"}]}))).await;
    let error = refused.refused(400, "invalid_value");
    assert!(
        error["message"].as_str().unwrap_or_default().contains("reference") || error.to_string().contains("reference")
    );
    house
        .post(&key, PATH, new(json!({"sample": 0, "scorers": [{"kind": "cost"}]})))
        .await
        .refused(400, "invalid_value");
    house.post(&key, PATH, new(rule())).await.expect(201);
    for path in ["report?step_s=1", "comparison?by=colour&a=1&b=2"] {
        house.get(&key, &format!("{PATH}/shop/{path}")).await.refused(400, "invalid_value");
    }
    house.get(&key, &format!("{PATH}/shop/comparison?by=tag&a=1&b=2")).await.refused(404, "not_found");
    let reader = house.key(&[Scope::Read]).await;
    house.post(&reader, PATH, new(rule())).await.expect(403);
    let elsewhere = house.key_of("elsewhere", &[Scope::Write]).await;
    house.get(&elsewhere, &format!("{PATH}/shop")).await.refused(404, "not_found");
}
