//! What a model's name stands for: noted when the experiment is made, asked as that, and part of what makes a call the same.

use serde_json::{Value, json};

use super::{PATH, calls, ended, open, prompt, run, sums};
use crate::house::{House, OPERATOR};

async fn lead_to(house: &House, model: &str) {
    let route = json!({"targets": [{"provider": "stub", "model": model}]});
    house.put(OPERATOR, "/api/v1/routes/answers", route).await.expect(200);
}

fn definition() -> Value {
    json!({
        "dataset": "sums", "prompts": ["right"], "models": ["answers"], "parameters": {"temperature": [0]},
        "scorers": [{"kind": "exact_match"}, {"kind": "latency"}],
    })
}

fn asked(house: &House) -> Vec<String> {
    let all = house.stub.shared.all.lock().unwrap();
    all.iter().map(|(_, request)| request["model"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_answer_of_whom_a_route_led_to_before_is_not_used_for_whom_it_leads_to_now() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    lead_to(&house, "sums").await;
    let page = run(&house, &key, "routed", definition()).await;
    assert_eq!(page["models"], json!({"answers": "stub/sums"}));
    assert_eq!(asked(&house), vec!["sums"; 20]);

    // Another experiment, and the same model by its own name: no call is made.
    let mut direct = definition();
    direct["models"] = json!(["stub/sums"]);
    let page = run(&house, &key, "direct", direct).await;
    assert_eq!((calls(&house), &page["report"]["cached"]), (20, &json!(20)));
    let latency = &page["report"]["cells"][0]["scores"]["latency"];
    assert_eq!(
        (&latency["items"], &latency["missing"]),
        (&json!(0), &json!(20)),
        "it tells how busy the model was then"
    );

    // The same definition again, after the route was moved: that is another experiment, and everything is asked.
    lead_to(&house, "sums-other").await;
    let page = run(&house, &key, "routed", definition()).await;
    assert_eq!((&page["version"], &page["report"]["cached"]), (&json!(2), &json!(0)));
    assert_eq!(page["models"], json!({"answers": "stub/sums-other"}));
    assert_eq!(asked(&house)[20..], vec!["sums-other"; 20]);
    let sql = json!({"sql": "SELECT target, model, count(*) AS n FROM experiment_items GROUP BY 1, 2 ORDER BY 1, 2"});
    let found = house.post(OPERATOR, "/api/v1/sql", sql).await.expect(200);
    let rows = json!([
        {"target": "stub/sums", "model": "answers", "n": 20}, {"target": "stub/sums", "model": "stub/sums", "n": 20},
        {"target": "stub/sums-other", "model": "answers", "n": 20},
    ]);
    assert_eq!(found["rows"], rows, "{found}");
}

/// A route that is moved between the making and the running, or in the midst of it, mixes no two models in one cell.
#[tokio::test]
async fn an_experiment_asks_whom_its_models_stood_for_when_it_was_made() {
    let (house, key) = open().await;
    sums(&house, &key, 12).await;
    prompt(&house, &key, "right", "add").await;
    lead_to(&house, "sums").await;
    let made = house.post(&key, PATH, json!({"name": "pinned", "definition": definition()})).await.expect(201);
    lead_to(&house, "sums-other").await;
    let page = ended(&house, &key, "pinned", &made).await;
    assert_eq!((&page["state"], asked(&house)), (&json!("finished"), vec!["sums".to_owned(); 12]));
    house.settle().await;
    let sql = json!({"sql": "SELECT model_requested, count(*) AS n FROM spans GROUP BY 1"});
    let found = house.post(OPERATOR, "/api/v1/sql", sql).await.expect(200);
    assert_eq!(found["rows"], json!([{"model_requested": "answers", "n": 12}]), "traces know what was asked for");
}

/// A model that is not there when the experiment is made is looked for again when it goes on.
#[tokio::test]
async fn a_model_that_comes_later_is_asked_when_the_experiment_goes_on() {
    let (house, key) = open().await;
    sums(&house, &key, 12).await;
    prompt(&house, &key, "right", "add").await;
    let page = run(&house, &key, "early", definition()).await;
    assert_eq!((&page["state"], &page["models"], calls(&house)), (&json!("failed"), &json!({}), 0), "{page}");
    lead_to(&house, "sums").await;
    let going = house.post(&key, &format!("{PATH}/early/resume"), json!({})).await.expect(202);
    let page = ended(&house, &key, "early", &going).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("finished"), 12), "{page}");
}

/// Vectors of two models do not compare: the examples of an experiment are compared by the one that the name stood for.
#[tokio::test]
async fn examples_are_compared_by_whom_the_model_of_embeddings_stood_for_when_it_was_made() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    lead_to(&house, "sums-near").await;
    let definition = json!({
        "dataset": "sums", "prompts": ["right"], "items": {"limit": 12}, "scorers": [{"kind": "exact_match"}],
        "shots": [{"count": 1, "choose": "similar", "embedding_model": "answers"}],
    });
    let made = house.post(&key, PATH, json!({"name": "near", "definition": definition})).await.expect(201);
    assert_eq!(made["models"], json!({"answers": "stub/sums-near", "stub/sums": "stub/sums"}));
    lead_to(&house, "vectors-2").await;
    let page = ended(&house, &key, "near", &made).await;
    assert_eq!(page["state"], "finished", "{page}");
    let asked: std::collections::BTreeSet<String> = asked(&house).into_iter().collect();
    assert_eq!(asked, ["sums", "sums-near"].map(str::to_owned).into());
    let foreseen = json!({"dataset": "sums", "prompts": ["right"], "items": {"limit": 12}, "scorers": [{"kind": "exact_match"}],
        "shots": [{"count": 1, "choose": "similar", "embedding_model": "nobody"}]});
    let foreseen = house.post(&key, &format!("{PATH}/near/preview"), foreseen).await.expect(200);
    assert_eq!(foreseen["unknown"], json!(["nobody"]), "{foreseen}");
}
