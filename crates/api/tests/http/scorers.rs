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

/// What a judge is shown of a call; `says:yes;` is what it says of it.
fn judged_rule(change: Value) -> Value {
    let mut rule = json!({
        "filter": {"tag": "shop"}, "scorers": [{"kind": "contains", "name": "polite", "texts": ["please"]}],
        "judge": {"judge": "kind", "name": "kindness", "budget": {"calls_per_day": 3}},
    });
    change.as_object().unwrap().iter().for_each(|(field, value)| rule["judge"][field] = value.clone());
    rule
}

async fn a_judge(house: &House, key: &str, model: &str) {
    let definition = json!({
        "model": model, "instruction": "You judge answers.", "content": "{{ question }}\n{{ answer }}", "question": "Is it kind?",
        "inputs": [{"name": "question", "required": false}, {"name": "answer"}], "scale": {"kind": "boolean"}, "method": {"kind": "direct"},
    });
    let new = json!({"name": "kind", "from": {"definition": definition}});
    house.post(key, "/api/v1/judges", new).await.expect(201);
}

/// Calls that end now, each answered with one of these.
async fn answered(house: &House, key: &str, from: u32, said: &[&str]) {
    let end = Timestamp::now();
    let spans: Vec<Value> = (from..).zip(said).map(|(number, said)| {
        json!({
            "trace_id": format!("{number:032x}"), "span_id": format!("{number:016x}"), "kind": "llm", "name": "chat", "model": "m",
            "start_time": end.saturating_sub(Duration::from_millis(200)), "end_time": end, "status": "ok", "tags": ["shop"],
            "release": "1", "user_id": "ada", "input": [{"role": "user", "content": "be kind"}],
            "output": [{"role": "assistant", "content": said}],
        })
    }).collect();
    house.post(key, "/api/v1/traces", json!({"spans": spans})).await.expect(200);
}

/// Waits until so many calls are judged or are told why not.
async fn until_judged(house: &House, key: &str, calls: u64) -> Value {
    let begun = Instant::now();
    loop {
        let found = house.get(key, &format!("{PATH}/shop")).await.expect(200);
        let judging = &found["judging"];
        let not: u64 = judging["not_judged"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
        if judging["judged"].as_u64().unwrap() + not == calls {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{found}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_judge_is_asked_about_what_cheap_scorers_point_at_and_within_its_budget() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    a_judge(&house, &key, "stub/judge").await;
    let when = json!({"when": {"scorer": "polite", "below": 1}});
    let made = house.post(&key, PATH, json!({"name": "shop", "definition": judged_rule(when)})).await.expect(201);
    assert_eq!(made["definition"]["judge"]["judge"], "kind@1", "it is pinned");
    let runner = house.run_scorers();
    let said = ["says:yes; please", "says:yes;", "says:no;", "no word"];
    answered(&house, &key, 1, &said).await;
    let found = until_judged(&house, &key, 3).await;
    assert_eq!(
        (&found["judging"]["judged"], &found["judging"]["not_judged"]),
        (&json!(2), &json!({"cannot_tell": 1})),
        "of four calls one is polite"
    );
    assert_eq!(found["judging"]["today"], json!({"calls": 3, "dollars": 0.0, "unpriced": 3}));
    answered(&house, &key, 10, &["says:yes;", "says:yes;"]).await;
    let found = until_judged(&house, &key, 5).await;
    assert_eq!(found["judging"]["not_judged"], json!({"cannot_tell": 1, "budget": 2}));
    runner.shutdown().await;
    assert_eq!(house.stub.shared.all.lock().unwrap().len(), 3, "three calls a day");

    let scores = house.get(&key, "/api/v1/scores?name=kindness").await.expect(200);
    let scores = scores["data"].as_array().unwrap();
    assert_eq!(
        (scores.len(), &scores[0]["author"], &scores[0]["source"], &scores[0]["comment"]),
        (2, &json!("scorer:shop@1:judge"), &json!("model"), &json!("Because."))
    );
    let report = house.get(&key, &format!("{PATH}/shop/report?back_s=3600&step_s=3600")).await.expect(200);
    let kindness = &report["scores"][1];
    assert_eq!(
        (&kindness["name"], &kindness["count"], &kindness["mean"], &kindness["unit"], &kindness["groups"][0]["group"]),
        (&json!("kindness"), &json!(2), &json!(0.5), &json!("share"), &json!("m"))
    );
    let over_time = report["over_time"].as_array().unwrap();
    assert!(over_time.iter().any(|point| point["name"] == "kindness" && point["count"] == 2), "{report}");
    // Its own calls are the end user's too, and are not scored.
    house.settle().await;
    let sql = json!({"sql": "SELECT count(*) AS n FROM spans WHERE array_has(tags, 'judge:kind@1') AND array_has(tags, 'scorer:shop@1') AND user_id = 'ada'"});
    let rows = house.post(crate::house::OPERATOR, "/api/v1/sql", sql).await.expect(200);
    assert_eq!(rows["rows"][0]["n"], 3, "{rows}");
    assert_eq!((&found["calls"], &found["sampled"]), (&json!(6), &json!(6)));
}

#[tokio::test]
async fn a_judge_that_is_not_reached_holds_nothing_up() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    a_judge(&house, &key, "stub/held-judge").await;
    house.post(&key, PATH, json!({"name": "shop", "definition": judged_rule(json!({}))})).await.expect(201);
    let runner = house.run_scorers();
    answered(&house, &key, 1, &["says:yes;"; 4]).await;
    house.stub.one_waits().await;
    let found = until(&house, &key, "shop", 4).await;
    assert_eq!(
        (&found["judging"]["asked"], &found["judging"]["waiting"]),
        (&json!(1), &json!(3)),
        "as long as nobody knows what a judgement takes"
    );
    // The process ends meanwhile: what was asked may have been paid.
    runner.shutdown().await;
    house.stub.shared.held.add_permits(100);
    let runner = house.run_scorers();
    let found = until_judged(&house, &key, 4).await;
    runner.shutdown().await;
    let judging = &found["judging"];
    assert_eq!(judging["today"]["calls"], 3, "{found}");
    let asked = house.stub.shared.all.lock().unwrap().len();
    assert!(asked <= 3, "{asked} calls for a budget of three");
    assert_eq!((&judging["waiting"], &judging["asked"]), (&json!(0), &json!(0)));
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
    let writer = house.key(&[Scope::Write]).await;
    let both = house.key(&[Scope::Write, Scope::Infer]).await;
    a_judge(&house, &both, "stub/judge").await;
    house.post(&writer, PATH, new(judged_rule(json!({})))).await.refused(403, "missing_scope");
    for change in [
        json!({"budget": {}}),
        json!({"share": 2}),
        json!({"when": {"scorer": "rude", "below": 1}}),
        json!({"values": {"context": "answer"}}),
        json!({"name": "polite"}),
        json!({"judge": "ready/faithfulness@stub/judge"}),
    ] {
        house.post(&both, PATH, new(judged_rule(change))).await.refused(400, "invalid_value");
    }
    house.post(&both, PATH, new(judged_rule(json!({"judge": "nobody"})))).await.refused(404, "not_found");
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
