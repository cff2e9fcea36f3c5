//! Searches whose proposer answers rubbish, whose teacher is not always reached, and that are interrupted.

use serde_json::{Value, json};

use super::{PATH, open, sums};
use crate::house::House;

async fn poor(house: &House, key: &str) {
    let content = json!({
        "messages": [{"role": "system", "content": "guess as well as you can"}, {"role": "user", "content": "{{ question }}"}],
        "variables": [{"name": "question"}], "model": "stub/sums",
    });
    house.post(key, "/api/v1/prompts", json!({"name": "poor", "content": content})).await.expect(201);
}

fn wanted(proposer: &str, demonstrations: usize) -> Value {
    json!({
        "dataset": "sums", "prompt": "poor", "scorer": {"kind": "exact_match"}, "trials": 4, "demonstrations": demonstrations,
        "proposer": proposer, "held_out": 0.5,
    })
}

async fn begun(house: &House, key: &str, wanted: Value) -> qd_base::id::JobId {
    let begun = house.post(key, &format!("{PATH}/better/optimisation"), wanted).await.expect(202);
    begun["job"].as_str().unwrap().parse().unwrap()
}

/// Runs a search to its end and gives its job.
async fn searched(house: &House, job: qd_base::id::JobId) -> qd_catalog::Job {
    let runner = house.run_experiments();
    let mut events = Box::pin(house.catalog.watch(job, 0));
    while futures::StreamExt::next(&mut events).await.is_some() {}
    runner.shutdown().await;
    house.catalog.job(job).await.unwrap()
}

#[tokio::test]
async fn rubbish_of_a_proposer_is_left_out_and_told() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    poor(&house, &key).await;
    for (proposer, why) in [
        ("stub/proposer-mute", &[][..]),
        ("stub/proposer-template", &["it is a template"; 2][..]),
        ("stub/proposer-babbling", &["it is longer than 1,000 characters"][..]),
        ("stub/proposer-parrot", &["the prompt says it already"; 2][..]),
    ] {
        // The teacher guesses, so that there are no demonstrations either.
        let job = begun(&house, &key, wanted(proposer, 2)).await;
        let job = searched(&house, job).await;
        let result = job.result.unwrap_or_else(|| panic!("{proposer}: {:?}", job.error));
        assert_eq!(result["found"], Value::Null, "{proposer}");
        assert!(result["words"].as_str().unwrap().starts_with("there was nothing to try"), "{result}");
        let refused = result["search"]["proposed"]["refused"].as_array().unwrap();
        let told: Vec<&str> = refused.iter().map(|refused| refused["why"].as_str().unwrap()).collect();
        assert_eq!(told, why, "{proposer}");
    }
}

#[tokio::test]
async fn what_can_be_used_of_rubbish_is_tried() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    poor(&house, &key).await;
    let job = begun(&house, &key, wanted("stub/proposer-half", 0)).await;
    let result = searched(&house, job).await.result.unwrap();
    assert_eq!(result["search"]["proposed"]["kept"], json!(["add both numbers"]), "{result}");
    assert_eq!(result["found"], json!({"prompt": "poor-optimised", "version": 1}), "{result}");
}

#[tokio::test]
async fn a_proposer_that_is_not_reached_fails_the_search_with_why() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    poor(&house, &key).await;
    let job = begun(&house, &key, wanted("stub/locked", 0)).await;
    let job = searched(&house, job).await;
    assert!(job.error.as_deref().unwrap().starts_with("stub/locked, which is to propose instructions: "), "{job:?}");
}

/// Every fourth training row does not reach the teacher: the others teach all the same.
#[tokio::test]
async fn a_teacher_that_is_not_always_reached_teaches_what_it_answered() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    let content = json!({
        "messages": [{"role": "system", "content": "add"}, {"role": "user", "content": "{{ question }}"}],
        "variables": [{"name": "question"}], "model": "stub/sums",
    });
    house.post(&key, "/api/v1/prompts", json!({"name": "poor", "content": content})).await.expect(201);
    let mut wanted = wanted("stub/proposer", 2);
    wanted["teacher"] = json!("stub/sums-gone");
    let job = begun(&house, &key, wanted).await;
    let result = searched(&house, job).await.result.unwrap();
    let asked = |model: &str| -> std::collections::BTreeSet<String> {
        let all = house.stub.shared.all.lock().unwrap();
        let of = all.iter().filter(|(_, request)| request["model"] == model);
        of.map(|(_, request)| request["messages"].to_string()).collect()
    };
    let rows = asked("sums-gone");
    let gone = rows.iter().filter(|said| {
        let number = said.split("\"content\":\"").last().unwrap().split(' ').next().unwrap();
        number.parse::<usize>().unwrap() % 4 == 3
    });
    let right = rows.len() - gone.count();
    assert!(right < rows.len() && right > 0, "{rows:?}");
    assert_eq!(result["search"]["demonstrations"], right, "{result}");
    assert!(!asked("sums").is_empty(), "combinations were tried");
}

/// The answer of the proposer is in no row; it is kept with the job and paid for once.
#[tokio::test]
async fn a_search_that_goes_on_does_not_ask_its_proposer_again() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    poor(&house, &key).await;
    let mut wanted = wanted("stub/proposer", 0);
    wanted["model"] = json!("stub/held-sums");
    let job = begun(&house, &key, wanted).await;
    let runner = house.run_experiments();
    house.stub.one_waits().await;
    // What is under way when a runner ends is waited for.
    tokio::join!(runner.shutdown(), async { house.stub.shared.held.add_permits(10_000) });
    let job = searched(&house, job).await;
    assert_eq!(job.result.unwrap()["found"]["prompt"], "poor-optimised");
    let all = house.stub.shared.all.lock().unwrap();
    let proposals = all.iter().filter(|(_, request)| request["model"] == "proposer").count();
    assert_eq!(proposals, 1);
}

/// Examples out of the very rows by which is judged would give the answers away. That is told before anything is paid.
#[tokio::test]
async fn a_prompt_that_shows_what_is_judged_by_is_refused_at_once() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    let content = json!({
        "messages": [{"role": "system", "content": "add"}, {"placeholder": "examples"}, {"role": "user", "content": "{{ question }}"}],
        "variables": [{"name": "question"}], "model": "stub/sums",
        "examples": {"template": [{"role": "user", "content": "{{ question }}"}, {"role": "assistant", "content": "{{ output }}"}],
                     "dataset": "sums", "count": 40},
    });
    house.post(&key, "/api/v1/prompts", json!({"name": "poor", "content": content})).await.expect(201);
    let refused = house.post(&key, &format!("{PATH}/better/optimisation"), wanted("stub/proposer", 2)).await;
    let refused = refused.refused(400, "invalid_value");
    assert!(refused["message"].as_str().unwrap().contains("shows rows that are asked about"), "{refused}");
    assert!(house.stub.shared.all.lock().unwrap().is_empty());
}

/// Models that think refuse a temperature, and the limit by its old name.
#[tokio::test]
async fn a_proposer_is_asked_with_the_parameters_that_are_wanted() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    poor(&house, &key).await;
    let mut wanted = wanted("stub/proposer", 0);
    wanted["proposer_parameters"] = json!({"messages": []});
    let refused = house.post(&key, &format!("{PATH}/better/optimisation"), wanted.clone()).await;
    let refused = refused.refused(400, "invalid_value");
    assert!(refused["message"].as_str().unwrap().contains("proposer_parameters.messages"), "{refused}");
    wanted["proposer_parameters"] = json!({"max_completion_tokens": 500});
    let job = begun(&house, &key, wanted).await;
    searched(&house, job).await;
    let all = house.stub.shared.all.lock().unwrap();
    let (_, asked) = all.iter().find(|(_, request)| request["model"] == "proposer").unwrap();
    let names: Vec<&String> = asked.as_object().unwrap().keys().collect();
    assert_eq!((names.len(), &asked["max_completion_tokens"]), (3, &json!(500)), "{names:?}");
}

/// Ten combinations of two instructions without examples are two: both are tried, and each once.
#[tokio::test]
async fn what_was_proposed_is_tried() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    poor(&house, &key).await;
    for seed in 0..4 {
        let mut wanted = wanted("stub/proposer", 0);
        (wanted["trials"], wanted["seed"]) = (json!(2), json!(seed));
        let job = begun(&house, &key, wanted).await;
        let result = searched(&house, job).await.result.unwrap();
        let tried = result["search"]["trials"].as_array().unwrap().iter();
        let tried: std::collections::BTreeSet<&str> = tried.filter_map(|one| one["instruction"].as_str()).collect();
        assert_eq!(tried, ["add both numbers", "guess very well please"].into(), "with seed {seed}");
    }
}
