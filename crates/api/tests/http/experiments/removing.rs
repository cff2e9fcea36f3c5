//! Experiments that are deleted, and rows that are old.

use std::collections::BTreeMap;
use std::time::Duration;

use qd_base::hash::Sha256Hex;
use qd_base::id::VersionId;
use qd_base::time::Timestamp;
use qd_catalog::Scope;
use qd_experiment::call::Outcome;
use qd_experiment::table::{self, ItemRow};
use serde_json::{Value, json};

use super::{PATH, calls, ended, open, prompt, run, sums};
use crate::house::{House, OPERATOR, Parts};

async fn rows(house: &House) -> u64 {
    let sql = json!({"sql": "SELECT count(*) AS n FROM experiment_items"});
    house.post(OPERATOR, "/api/v1/sql", sql).await.expect(200)["rows"][0]["n"].as_u64().unwrap()
}

fn definition(temperature: f64) -> Value {
    json!({"dataset": "sums", "prompts": ["right"], "scorers": [{"kind": "exact_match"}], "parameters": {"temperature": [temperature]}})
}

#[tokio::test]
async fn a_deleted_experiment_is_gone_with_its_rows_and_others_stay() {
    let (house, key) = open().await;
    sums(&house, &key, 10).await;
    prompt(&house, &key, "right", "add").await;
    run(&house, &key, "gone", definition(0.0)).await;
    run(&house, &key, "gone", definition(0.5)).await;
    run(&house, &key, "stays", definition(1.0)).await;
    assert_eq!((rows(&house).await, calls(&house)), (30, 30));

    let theirs = house.key_of("other", &[Scope::Write]).await;
    house.delete(&theirs, &format!("{PATH}/gone")).await.refused(404, "not_found");
    let reader = house.key(&[Scope::Read]).await;
    house.delete(&reader, &format!("{PATH}/gone")).await.refused(403, "missing_scope");
    house.delete(&key, &format!("{PATH}/gone")).await.expect(204);
    assert_eq!(rows(&house).await, 10, "both versions' rows are gone");
    house.get(&key, &format!("{PATH}/gone")).await.refused(404, "not_found");
    house.delete(&key, &format!("{PATH}/gone")).await.refused(404, "not_found");
    let stays = house.get(&key, &format!("{PATH}/stays")).await.expect(200);
    assert_eq!(stays["report"]["answers"], 10);
    let audit = house.get(OPERATOR, "/api/v1/audit").await.expect(200);
    assert_eq!(
        (&audit["data"][0]["action"], &audit["data"][0]["noun"], &audit["data"][0]["subject"]),
        (&json!("remove"), &json!("experiment"), &json!("gone")),
        "{audit}"
    );

    // What was deleted is not taken from anywhere, and its numbers are not given again.
    let page = run(&house, &key, "gone", definition(0.0)).await;
    assert_eq!((&page["version"], &page["report"]["cached"], calls(&house)), (&json!(3), &json!(0), 40));
}

#[tokio::test]
async fn an_experiment_that_runs_is_not_deleted() {
    let (house, key) = open().await;
    sums(&house, &key, 10).await;
    prompt(&house, &key, "right", "add").await;
    let made = house.post(&key, PATH, json!({"name": "runs", "definition": definition(0.0)})).await.expect(201);
    let refused = house.delete(&key, &format!("{PATH}/runs")).await.refused(409, "conflict");
    assert!(refused["message"].as_str().unwrap().contains("cancel that first"), "{refused}");
    ended(&house, &key, "runs", &made).await;
    house.delete(&key, &format!("{PATH}/runs")).await.expect(204);
}

/// An end user who is called as an experiment's identifier is no experiment, and the other way round.
#[tokio::test]
async fn erasing_a_user_touches_no_experiment() {
    let (house, key) = open().await;
    sums(&house, &key, 10).await;
    prompt(&house, &key, "right", "add").await;
    let page = run(&house, &key, "kept", definition(0.0)).await;
    let id = page["id"].as_str().unwrap();
    let chat = json!({"model": "stub/echo-1", "messages": [{"role": "user", "content": "Hi"}], "user": id});
    house.post(&key, "/v1/chat/completions", chat).await.expect(200);
    house.settle().await;
    house.delete(OPERATOR, &format!("/api/v1/users/{id}")).await.expect(202);
    assert_eq!(rows(&house).await, 10);
}

/// An answer of so many days ago.
pub fn old(days: u64) -> ItemRow {
    ItemRow {
        project: "default".parse().unwrap(),
        time: Timestamp::now().saturating_sub(Duration::from_secs(days * 86_400)),
        experiment: VersionId::new(),
        cell: "c1".to_owned(),
        item: 0,
        row_id: "r".to_owned(),
        repeat: 0,
        key: Sha256Hex::of(b""),
        model: "m".to_owned(),
        target: None,
        prompt: "p".to_owned(),
        prompt_version: 1,
        scores: BTreeMap::new(),
        outcome: Outcome { output: Some("yes".to_owned()), ..Outcome::default() },
    }
}

#[tokio::test]
async fn answers_are_kept_for_as_long_as_the_project_says() {
    let parts = Parts::open().await;
    table::keep(&parts.lake, &[old(0), old(40)]).await.unwrap();
    let house = House::of(parts).await;
    let said = house.get(OPERATOR, "/api/v1/retention").await.expect(200);
    let of_items = said["data"].as_array().unwrap().iter().find(|row| row["table"] == "experiment_items").unwrap();
    assert_eq!(
        (&of_items["days"], &of_items["origin"]),
        (&json!(0), &json!("operator")),
        "for ever, unless said otherwise"
    );
    house.put(OPERATOR, "/api/v1/retention/experiment_items", json!({"days": 30})).await.expect(200);
    assert_eq!(rows(&house).await, 1);
    house.delete(OPERATOR, "/api/v1/retention/experiment_items").await.expect(204);
    assert_eq!(rows(&house).await, 2);
}
