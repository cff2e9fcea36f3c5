//! Calls that always fail: the experiment ends as failed with the cause, nothing counts as wrong, and it goes on when that is repaired.

use std::sync::atomic::Ordering;

use qd_catalog::Scope;
use qd_experiment::table::{self, ItemRow};
use serde_json::{Value, json};

use super::removing::old;
use super::{PATH, calls, ended, open, prompt, run, sums};
use crate::house::{House, Parts};

fn moody(items: usize) -> Value {
    json!({
        "dataset": "sums", "prompts": ["right"], "models": ["stub/sums-moody"], "shots": [0, 1, 2], "concurrency": 1, "cache": false,
        "items": {"limit": items}, "scorers": [{"kind": "exact_match"}],
    })
}

#[tokio::test]
async fn a_model_that_refuses_everything_is_no_wrong_answer_and_resumes_when_it_is_repaired() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    prompt(&house, &key, "right", "add").await;
    house.stub.shared.mood.store(0, Ordering::SeqCst);
    let page = run(&house, &key, "refused", moody(30)).await;
    let (state, why) = (&page["state"], page["why"].as_str().unwrap());
    assert_eq!(state, "failed", "{page}");
    assert!(why.starts_with("stub/sums-moody: 20 calls in a row were refused for the same reason: "), "{why}");
    assert!(why.contains("I do not take request"), "{why}");
    assert_eq!(calls(&house), 20, "twenty calls, not three times thirty");
    let report = &page["report"];
    assert_eq!((&report["answers"], &report["failed"]), (&json!(0), &json!(0)));
    assert_eq!(report["cells"][0]["scores"]["exact_match"]["mean"], Value::Null, "nothing counts as wrong");
    let job = house.get(&key, &format!("/api/v1/jobs/{}", page["job"].as_str().unwrap())).await.expect(200);
    assert_eq!(job["state"], "failed", "the list of jobs says so too");

    house.stub.shared.mood.store(usize::MAX, Ordering::SeqCst);
    let going = house.post(&key, &format!("{PATH}/refused/resume"), json!({})).await.expect(202);
    let page = ended(&house, &key, "refused", &going).await;
    assert_eq!((&page["state"], &page["report"]["answers"]), (&json!("finished"), &json!(90)), "{page}");
    assert_eq!(page["report"]["cells"][0]["scores"]["exact_match"]["mean"], 1.0);
}

#[tokio::test]
async fn a_model_that_begins_to_refuse_keeps_what_it_answered() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    prompt(&house, &key, "right", "add").await;
    house.stub.shared.mood.store(24, Ordering::SeqCst);
    let page = run(&house, &key, "later", moody(30)).await;
    assert_eq!(page["state"], "failed", "{page}");
    assert!(page["why"].as_str().unwrap().starts_with("c1, c2, c3: 20 calls in a row"), "{page}");
    let report = &page["report"];
    assert_eq!((&report["answers"], &report["failed"]), (&json!(24), &json!(0)), "{report}");
    assert_eq!(report["cells"][0]["scores"]["exact_match"]["mean"], 1.0);
    // Twenty for each of the three cells, since they did answer.
    assert_eq!(calls(&house), 24 + 3 * 20);

    house.stub.shared.mood.store(usize::MAX, Ordering::SeqCst);
    let again = house.post(&key, PATH, json!({"name": "later", "definition": page["definition"]})).await.expect(201);
    assert_eq!(again["version"], 1, "what failed goes on when it is begun again");
    let page = ended(&house, &key, "later", &again).await;
    assert_eq!(
        (&page["state"], calls(&house)),
        (&json!("finished"), 84 + 90 - 24),
        "what was answered is not asked again"
    );
}

/// Fewer than twenty, all refused: there is nothing to go by either.
#[tokio::test]
async fn a_few_calls_that_are_all_refused_fail_too() {
    let (house, key) = open().await;
    sums(&house, &key, 8).await;
    prompt(&house, &key, "right", "add").await;
    house.stub.shared.mood.store(0, Ordering::SeqCst);
    let page = run(&house, &key, "few", moody(2)).await;
    assert_eq!((&page["state"], &page["report"]["answers"]), (&json!("failed"), &json!(0)), "{page}");
    assert!(page["why"].as_str().unwrap().contains("all 2 calls were refused"), "{page}");
}

/// One way of asking is refused, the others are not: they are finished, and the experiment says which was refused.
#[tokio::test]
async fn one_cell_that_cannot_be_asked_does_not_keep_others_from_their_answers() {
    let (house, key) = open().await;
    sums(&house, &key, 30).await;
    prompt(&house, &key, "right", "add").await;
    let definition = json!({
        "dataset": "sums", "prompts": ["right"], "models": ["stub/sums", "stub/sums-moody"], "cache": false,
        "scorers": [{"kind": "exact_match"}],
    });
    house.stub.shared.mood.store(0, Ordering::SeqCst);
    let page = run(&house, &key, "half", definition).await;
    assert_eq!(page["state"], "failed");
    let cells = &page["report"]["cells"];
    assert_eq!((&cells[0]["answers"], &cells[1]["answers"]), (&json!(30), &json!(0)), "{page}");
}

/// A row says to which call it is the answer: one to other words is none to this.
#[tokio::test]
async fn an_answer_to_other_words_does_not_count() {
    let parts = Parts::open().await;
    let lake = parts.lake.clone();
    let house = House::of(parts).await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    sums(&house, &key, 5).await;
    prompt(&house, &key, "right", "add").await;
    let definition = json!({"dataset": "sums", "prompts": ["right"], "scorers": [{"kind": "exact_match"}]});
    let made = house.post(&key, PATH, json!({"name": "words", "definition": definition})).await.expect(201);
    let other = ItemRow { experiment: made["id"].as_str().unwrap().parse().unwrap(), item: 3, ..old(0) };
    table::keep(&lake, &[other]).await.unwrap();
    let page = ended(&house, &key, "words", &made).await;
    assert_eq!((calls(&house), &page["report"]["answers"]), (5, &json!(5)), "{page}");
    assert_eq!(page["report"]["cells"][0]["scores"]["exact_match"]["mean"], 1.0, "the answer took its place");
}

/// What should be answered is the label where there is no reference, and then nobody is shown it.
#[tokio::test]
async fn a_label_is_what_should_be_answered_only_where_there_is_no_reference() {
    let (house, key) = open().await;
    let content = json!({"messages": [{"role": "user", "content": "{{ kind }}"}], "variables": [{"name": "kind"}], "model": "stub/echo-1"});
    house.post(&key, "/api/v1/prompts", json!({"name": "shows", "content": content})).await.expect(201);
    let rows: Vec<Value> =
        (0..5).map(|n| json!({"text": n.to_string(), "kind": "odd", "answer": "Hello  there"})).collect();
    for (name, roles) in
        [("labelled", json!({"kind": "label"})), ("both", json!({"kind": "label", "answer": "reference"}))]
    {
        let mut rows = rows.clone();
        if name == "labelled" {
            rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("answer")));
        }
        house
            .post(&key, &format!("/api/v1/datasets/{name}/rows"), json!({"add": rows, "roles": roles}))
            .await
            .expect(200);
    }
    let definition = |dataset: &str| json!({"dataset": dataset, "prompts": ["shows"], "scorers": [{"kind": "exact_match", "ignore_white_space": true}]});
    let refused = house.post(&key, PATH, json!({"name": "x", "definition": definition("labelled")})).await;
    let refused = refused.refused(400, "invalid_value");
    assert!(refused["message"].as_str().unwrap().contains("gives the answer away"), "{refused}");
    let page = run(&house, &key, "both", definition("both")).await;
    assert_eq!(page["report"]["cells"][0]["scores"]["exact_match"]["mean"], 1.0, "{page}");
}

/// Two that go on at once would ask everything twice.
#[tokio::test]
async fn an_experiment_has_one_job_at_a_time() {
    let (house, key) = open().await;
    sums(&house, &key, 10).await;
    prompt(&house, &key, "right", "add").await;
    let definition = json!({"dataset": "sums", "prompts": ["right"], "scorers": [{"kind": "exact_match"}]});
    let made = house.post(&key, PATH, json!({"name": "one", "definition": definition})).await.expect(201);
    house.post(&key, &format!("{PATH}/one/resume"), json!({})).await.refused(409, "conflict");
    let again = house.post(&key, PATH, json!({"name": "one", "definition": definition})).await.expect(201);
    assert_eq!(again["job"], made["job"]);
    let page = ended(&house, &key, "one", &made).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("finished"), 10));
}
