//! Targets that are asked: refusals, models that are not reached, budgets, going on, and answers that were paid before.

use serde_json::{Value, json};

use super::{PATH, calls, ended, near, open, rows, run, score};
use crate::experiments::{prompt, sums};

fn asks(model: &str) -> Value {
    json!({
        "dataset": "sums", "target": {"prompt": "right", "model": model, "parameters": {"temperature": 0}}, "concurrency": 1,
        "scorers": [{"kind": "exact_match"}, {"kind": "bleu"}, {"kind": "latency"}],
    })
}

#[tokio::test]
async fn two_ways_to_ask_side_by_side_and_no_answer_is_paid_for_twice() {
    let (house, key) = open().await;
    sums(&house, &key, 30).await;
    prompt(&house, &key, "right", "add").await;
    prompt(&house, &key, "wrong", "guess").await;
    let definition = json!({
        "dataset": "sums", "items": {"limit": 20}, "targets": {"good": {"prompt": "right"}, "bad": {"prompt": "wrong"}},
        "scorers": [{"kind": "exact_match"}],
    });
    let page = run(&house, &key, "both", definition.clone()).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("finished"), 40), "{page}");
    assert_eq!(page["definition"]["targets"]["good"]["prompt"], "right@1", "references are pinned");
    near(&score(&page, "good", "exact_match")["value"], 1.0, 0.0);
    // Wilson's interval of 20 of 20 begins at 1/(1 + 1.96²/20) = 0.8389.
    near(&score(&page, "good", "exact_match")["low"], 0.8389, 1e-4);
    near(&score(&page, "bad", "exact_match")["value"], 0.0, 0.0);
    let compared = &page["report"]["comparisons"][0];
    assert_eq!(
        (&compared["a"], &compared["verdict"], &compared["better_b"]),
        (&json!("bad"), &json!("b_better"), &json!(20))
    );
    assert_eq!(page["report"]["targets"][1]["input_tokens"], 9.0);

    let again = house.post(&key, PATH, json!({"name": "both", "definition": definition})).await.expect(201);
    assert_eq!((&again["version"], &again["state"]), (&json!(1), &json!("finished")), "the same is the same version");
    // Another evaluation of the same calls takes their answers, and so would one of what an experiment asked.
    let page = run(&house, &key, "more", json!({"dataset": "sums", "items": {"limit": 20}, "target": {"prompt": "right"}, "scorers": [{"kind": "length"}]})).await;
    assert_eq!((calls(&house), &page["report"]["targets"][0]["cached"]), (40, &json!(20)));
    assert_eq!(page["report"]["spent_picodollars"], 0);
}

#[tokio::test]
async fn refusals_of_items_count_as_zero_and_are_asked_again_when_wanted() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    let page = run(&house, &key, "flaky", asks("stub/sums-flaky")).await;
    let exact = score(&page, "target", "exact_match");
    assert_eq!(
        (&exact["value"], &exact["failures_as_zero"], &exact["missing"]),
        (&json!(0.75), &json!(5), &json!(0)),
        "{page}"
    );
    let latency = score(&page, "target", "latency");
    assert_eq!((&latency["items"], &latency["why"]), (&json!(15), &json!({"no_answer": 5})));
    // A failed call is an answer without words there.
    assert_eq!(score(&page, "target", "bleu")["items"], 20);
    let mut definition = asks("stub/sums-flaky");
    definition["count_failures_as_zero"] = json!(false);
    let page = run(&house, &key, "left-out", definition).await;
    let exact = score(&page, "target", "exact_match");
    assert_eq!((&exact["value"], &exact["items"], &exact["why"]), (&json!(1.0), &json!(15), &json!({"no_answer": 5})));
    let before = calls(&house);
    let going = house.post(&key, &format!("{PATH}/left-out/resume"), json!({"retry_failed": true})).await.expect(202);
    ended(&house, &key, "left-out", &going).await;
    assert_eq!(calls(&house) - before, 5, "only what failed is asked again");
}

#[tokio::test]
async fn failures_that_are_part_of_a_corpus_are_told_as_such() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    let mut definition = asks("stub/sums-flaky");
    definition["scorers"] = json!([{"kind": "ter"}]);
    let page = run(&house, &key, "edits", definition).await;
    let found = score(&page, "target", "ter");
    // Five of twenty answers of one word have none: five edits for twenty words.
    near(&found["value"], 25.0, 1e-9);
    assert_eq!(
        (&found["items"], &found["failures_as_zero"], &found["missing"], &found["why"]),
        (&json!(20), &json!(5), &json!(0), &json!({})),
        "{page}"
    );
}

/// Two runs over the same twenty sums: one is right of all, the other of those whose calls are not refused.
#[tokio::test]
async fn two_runs_are_held_against_each_other_item_by_item() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    prompt(&house, &key, "wrong", "guess").await;
    let mut definition = asks("stub/sums-flaky");
    run(&house, &key, "old", definition.clone()).await;
    definition["target"]["model"] = json!("stub/sums");
    definition["scorers"] = json!([{"kind": "exact_match"}, {"kind": "bleu", "tokenise": "char"}]);
    run(&house, &key, "new", definition).await;
    let found = house.get(&key, &format!("{PATH}/old/comparison?with=new")).await.expect(200);
    let of = &found["data"][0];
    assert_eq!(found["data"].as_array().unwrap().len(), 1, "BLEU is another one, and latency only one has: {found}");
    assert_eq!((&of["scorer"], &of["a"], &of["b"]), (&json!("exact_match"), &json!("old@1"), &json!("new@1")));
    assert_eq!((&of["items"], &of["better_a"], &of["better_b"]), (&json!(20), &json!(0), &json!(5)));
    // Five of five are better: McNemar's mid-p is 2·(1/2)⁵ − (1/2)⁵ = 1/32.
    assert_eq!((&of["test"], &of["family"]), (&json!("mcnemar"), &json!(1)));
    near(&of["p"], 0.031_25, 1e-9);
    near(&of["difference"], 0.25, 1e-9);
    assert_eq!(of["verdict"], "b_better");
    let refused = house.get(&key, &format!("{PATH}/old/comparison?with=new&target=other")).await;
    assert_eq!(refused.refused(400, "invalid_value")["param"], "target");
    rows(&house, &key, "sums", &[json!({"id": "r99", "question": "99 + 99 = ?", "answer": "198"})]).await;
    run(&house, &key, "newer", asks("stub/sums")).await;
    let refused = house.get(&key, &format!("{PATH}/old/comparison?with=newer")).await.refused(400, "invalid_value");
    assert!(refused["message"].as_str().unwrap().contains("sums@2"), "{refused}");
}

#[tokio::test]
async fn versions_are_listed() {
    let (house, key) = open().await;
    sums(&house, &key, 3).await;
    let definition =
        |kind: &str| json!({"dataset": "sums", "target": {"column": "question"}, "scorers": [{"kind": kind}]});
    for kind in ["length", "exact_match"] {
        house.post(&key, PATH, json!({"name": "v", "definition": definition(kind)})).await.expect(201);
    }
    let page = house.get(&key, &format!("{PATH}/v/versions?limit=1")).await.expect(200);
    assert_eq!((&page["data"][0]["version"], &page["next_cursor"]), (&json!(2), &json!("2")), "{page}");
    let page = house.get(&key, &format!("{PATH}/v/versions?cursor=2")).await.expect(200);
    assert_eq!((&page["data"][0]["version"], &page["next_cursor"]), (&json!(1), &Value::Null));
    house.get(&key, &format!("{PATH}/w/versions")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_refused_call_tells_no_class() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    let mut definition = asks("stub/sums-flaky");
    definition["scorers"] = json!([{"kind": "classification", "measure": "accuracy"}]);
    let page = run(&house, &key, "classes", definition.clone()).await;
    let found = score(&page, "target", "classification");
    assert_eq!((&found["value"], &found["items"], &found["failures_as_zero"]), (&json!(0.75), &json!(20), &json!(5)));
    // What was told is right, and of 20 that are there 15 were told: F1 is 2·1·0.75/1.75.
    let micro = &found["classes"]["micro"];
    assert_eq!((&micro["precision"], &micro["recall"]), (&json!(1.0), &json!(0.75)), "{found}");
    near(&micro["f1"], 1.5 / 1.75, 1e-9);
    // Wilson's interval of 15 of 20 is [0.531, 0.888]; that of resamples is near it.
    assert!(found["low"].as_f64().unwrap() < 0.65 && found["high"].as_f64().unwrap() < 1.0, "{found}");
    definition["count_failures_as_zero"] = json!(false);
    let page = run(&house, &key, "left-out", definition).await;
    assert_eq!(score(&page, "target", "classification")["value"], 1.0);
}

#[tokio::test]
async fn a_model_that_is_not_reached_is_no_wrong_answer() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    let page = run(&house, &key, "gone", asks("stub/sums-gone")).await;
    assert_eq!(page["state"], "failed", "{page}");
    assert!(page["why"].as_str().unwrap().contains("did not reach"), "{page}");
    let exact = score(&page, "target", "exact_match");
    assert_eq!((&exact["value"], &exact["items"], &exact["why"]), (&json!(1.0), &json!(15), &json!({"not_done": 5})));
    // A model that refuses everything is given up after twenty calls, and nothing counts as wrong.
    house.stub.shared.mood.store(0, std::sync::atomic::Ordering::SeqCst);
    let before = calls(&house);
    let page = run(&house, &key, "moody", asks("stub/sums-moody")).await;
    assert_eq!((&page["state"], calls(&house) - before), (&json!("failed"), 20), "{page}");
    assert_eq!(score(&page, "target", "exact_match")["value"], Value::Null);
    house.stub.shared.mood.store(usize::MAX, std::sync::atomic::Ordering::SeqCst);
    let going = house.post(&key, &format!("{PATH}/moody/resume"), json!({})).await.expect(202);
    let page = ended(&house, &key, "moody", &going).await;
    assert_eq!(score(&page, "target", "exact_match")["value"], 1.0, "{page}");
}

#[tokio::test]
async fn a_budget_stops_and_more_goes_on() {
    let (house, key) = open().await;
    sums(&house, &key, 30).await;
    prompt(&house, &key, "right", "add").await;
    let mut definition = asks("stub/sums");
    // The stub tells 12 tokens a call.
    definition["budget"] = json!({"tokens": 120});
    let page = run(&house, &key, "poor", definition).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("stopped"), 10), "{page}");
    assert!(page["why"].as_str().unwrap().contains("120 tokens"), "{page}");
    let body = json!({"budget": {"tokens": 10_000}});
    let going = house.post(&key, &format!("{PATH}/poor/resume"), body).await.expect(202);
    house.post(&key, &format!("{PATH}/poor/resume"), json!({})).await.expect(409);
    let page = ended(&house, &key, "poor", &going).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("finished"), 30), "{page}");
}
