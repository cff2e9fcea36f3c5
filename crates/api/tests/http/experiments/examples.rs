//! Which examples cells show.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{PATH, calls, ended, open, prompt, run, sums};
use crate::house::House;

/// The numbers that each call shows, in order, and the one that it asks about.
fn shown(house: &House) -> Vec<(Vec<i64>, i64)> {
    let number =
        |message: &Value| -> i64 { message["content"].as_str().unwrap().split(' ').next().unwrap().parse().unwrap() };
    let all = house.stub.shared.all.lock().unwrap();
    let chats = all.iter().filter(|(_, request)| request["messages"].is_array());
    let read = |(_, request): &(String, Value)| {
        let messages = request["messages"].as_array().unwrap();
        let mut users: Vec<i64> = messages.iter().filter(|one| one["role"] == "user").map(number).collect();
        let asked = users.pop().unwrap();
        (users, asked)
    };
    chats.map(read).collect()
}

/// The stub's vectors are the nearer the nearer the numbers are. Of the 10 rows that are not asked about the two nearest are shown,
/// the nearest next to the question.
#[tokio::test]
async fn similar_examples_are_an_axis_like_others() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    prompt(&house, &key, "right", "add").await;
    let similar = json!({"count": 2, "choose": "similar", "embedding_model": "stub/sums-near"});
    let random = |seed: u64| json!({"count": 2, "choose": "random", "seed": seed});
    let definition = json!({
        "dataset": "sums", "prompts": ["right"], "items": {"limit": 30}, "scorers": [{"kind": "exact_match"}],
        "shots": [0, similar, random(1), random(2)], "concurrency": 1, "cache": false,
    });
    let page = run(&house, &key, "near", definition).await;
    assert_eq!((&page["state"], &page["cells"]), (&json!("finished"), &json!(4)), "{page}");
    let cell = &page["report"]["cells"][1];
    assert_eq!(cell["label"], "right@1 · 2 similar shots by stub/sums-near");
    assert_eq!((&cell["shots"], &cell["choose"]), (&json!(2), &similar));

    let calls = shown(&house);
    let asked: BTreeSet<i64> = calls.iter().map(|(_, asked)| *asked).collect();
    let pool: Vec<i64> = (0..40).filter(|n| !asked.contains(n)).collect();
    assert_eq!((calls.len(), asked.len(), pool.len()), (120, 30, 10));
    let mut sets: Vec<BTreeSet<Vec<i64>>> = vec![BTreeSet::new(); 4];
    // Eight items at a time of each cell: 0 shots, similar, and two that are the same for all items.
    for (place, (examples, asked)) in calls.iter().enumerate() {
        let cell = if place < 96 { place / 8 % 4 } else { (place - 96) / 6 };
        sets[cell].insert(examples.clone());
        if cell == 1 {
            let mut distances: Vec<i64> = pool.iter().map(|n| (n - asked).abs()).collect();
            distances.sort_unstable();
            let told: Vec<i64> = examples.iter().map(|n| (n - asked).abs()).collect();
            assert_eq!(told, [distances[1], distances[0]], "{asked} with {examples:?} of {pool:?}");
        }
    }
    assert_eq!(sets[0], [Vec::new()].into(), "no examples");
    assert!(sets[1].len() > 3, "others for others: {:?}", sets[1]);
    assert_eq!((sets[2].len(), sets[3].len()), (1, 1), "the same for all items");
    assert_ne!(sets[2], sets[3], "two seeds");

    // Embeddings are made again by a job that goes on; what was answered is not.
    let going = house.post(&key, &format!("{PATH}/near/resume"), json!({})).await.expect(202);
    ended(&house, &key, "near", &going).await;
    assert_eq!(shown(&house).len(), 120);
}

/// A prompt that chooses by similarity itself is asked as every call with it is, and never shows what it asks about.
#[tokio::test]
async fn a_prompt_that_chooses_by_similarity_can_be_compared() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    let rows: Vec<Value> =
        (100..110).map(|n| json!({"question": format!("{n} + {n} = ?"), "answer": (2 * n).to_string()})).collect();
    house.post(&key, "/api/v1/datasets/others/rows", json!({"add": rows})).await.expect(200);
    for (name, dataset) in [("like", "others"), ("leak", "sums")] {
        let content = json!({
            "messages": [{"role": "system", "content": "add"}, {"placeholder": "examples"}, {"role": "user", "content": "{{ question }}"}],
            "variables": [{"name": "question"}], "model": "stub/sums",
            "examples": {"template": [{"role": "user", "content": "{{ question }}"}, {"role": "assistant", "content": "{{ output }}"}],
                         "dataset": dataset, "count": 1, "strategy": "similar", "embedding_model": "stub/sums-near"},
        });
        house.post(&key, "/api/v1/prompts", json!({"name": name, "content": content})).await.expect(201);
    }
    let definition =
        |prompt: &str| json!({"dataset": "sums", "prompts": [prompt], "scorers": [{"kind": "exact_match"}]});
    let page = run(&house, &key, "like", definition("like")).await;
    assert_eq!(page["state"], "finished", "{page}");
    assert!(shown(&house).iter().all(|(examples, _)| *examples == [100]), "100 is nearest to all of 0 to 19");
    let refused = house.post(&key, PATH, json!({"name": "leak", "definition": definition("leak")})).await;
    let refused = refused.refused(400, "invalid_value");
    assert!(refused["message"].as_str().unwrap().contains("shows rows that are asked about"), "{refused}");
}

#[tokio::test]
async fn without_a_model_of_embeddings_it_fails_and_says_so() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    let definition = json!({
        "dataset": "sums", "prompts": ["right"], "items": {"limit": 10}, "scorers": [{"kind": "exact_match"}],
        "shots": [{"count": 2, "choose": "similar", "embedding_model": "no-such-model"}],
    });
    let page = run(&house, &key, "blind", definition).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("failed"), 0));
    assert!(page["why"].as_str().unwrap().starts_with("the examples could not be compared by no-such-model"), "{page}");
}

/// The version of a dataset that a prompt takes its examples from is noted when the experiment is made.
#[tokio::test]
async fn rows_that_come_later_are_not_shown() {
    let (house, key) = open().await;
    sums(&house, &key, 10).await;
    let row =
        |n: usize| json!({"id": format!("s{n}"), "question": format!("{n} + {n} = ?"), "answer": (2 * n).to_string()});
    house.post(&key, "/api/v1/datasets/shown/rows", json!({"add": [row(100)]})).await.expect(200);
    let content = json!({
        "messages": [{"role": "system", "content": "add"}, {"placeholder": "examples"}, {"role": "user", "content": "{{ question }}"}],
        "variables": [{"name": "question"}], "model": "stub/sums",
        "examples": {"template": [{"role": "user", "content": "{{ question }}"}, {"role": "assistant", "content": "{{ output }}"}], "dataset": "shown", "count": 1},
    });
    house.post(&key, "/api/v1/prompts", json!({"name": "shown", "content": content})).await.expect(201);
    let definition = json!({"dataset": "sums", "prompts": ["shown"], "scorers": [{"kind": "exact_match"}]});
    let made = house.post(&key, PATH, json!({"name": "shown", "definition": definition})).await.expect(201);
    let change = json!({"add": [row(200)], "remove": ["s100"]});
    house.post(&key, "/api/v1/datasets/shown/rows", change).await.expect(200);
    ended(&house, &key, "shown", &made).await;
    assert!(shown(&house).iter().all(|(examples, _)| *examples == [100]), "{:?}", shown(&house));
}

/// The same question may stand in another dataset, under another identifier and with other columns beside.
#[tokio::test]
async fn a_row_that_is_asked_about_is_not_shown_from_another_dataset() {
    let (house, key) = open().await;
    sums(&house, &key, 10).await;
    prompt(&house, &key, "right", "add").await;
    let row = |n: usize| json!({"id": format!("other{n}"), "question": format!("{n} + {n} = ?"), "answer": (2 * n).to_string(), "page": n});
    let rows: Vec<Value> = (0..14).map(row).collect();
    house.post(&key, "/api/v1/datasets/pool/rows", json!({"add": rows})).await.expect(200);
    let definition = json!({"dataset": "sums", "prompts": ["right"], "shots": [4], "examples": {"dataset": "pool"}, "scorers": [{"kind": "exact_match"}]});
    run(&house, &key, "pool", definition).await;
    for (examples, _) in shown(&house) {
        let mut examples = examples;
        examples.sort_unstable();
        assert_eq!(examples, [10, 11, 12, 13], "the others are asked about");
    }
}

/// What an experiment shows is what every call with the prompt shows, also where rows are so large that not all are chosen from.
#[tokio::test]
async fn large_rows_are_chosen_from_as_in_every_other_call() {
    let (house, key) = open().await;
    sums(&house, &key, 1).await;
    let padding = "x".repeat(900 << 10);
    let row =
        |n: usize| json!({"question": format!("{n} + {n} = ?"), "answer": (2 * n).to_string(), "padding": padding});
    let rows: Vec<Value> = (100..124).map(row).collect();
    house.post(&key, "/api/v1/datasets/large/rows", json!({"add": rows})).await.expect(200);
    let content = json!({
        "messages": [{"role": "system", "content": "add"}, {"placeholder": "examples"}, {"role": "user", "content": "{{ question }}"}],
        "variables": [{"name": "question"}], "model": "stub/sums",
        "examples": {"template": [{"role": "user", "content": "{{ question }}"}, {"role": "assistant", "content": "{{ output }}"}],
                     "dataset": "large", "count": 5, "strategy": "random", "seed": 3},
    });
    house.post(&key, "/api/v1/prompts", json!({"name": "large", "content": content})).await.expect(201);
    let said = json!({"variables": {"question": "0 + 0 = ?"}});
    let said = house.post(&key, "/api/v1/prompts/large/render", said).await.expect(200);
    let definition = json!({"dataset": "sums", "prompts": ["large"], "scorers": [{"kind": "exact_match"}]});
    run(&house, &key, "large", definition).await;
    let all = house.stub.shared.all.lock().unwrap();
    assert_eq!((all.len(), &all[0].1["messages"]), (1, &said["messages"]));
    assert_eq!(all[0].1["messages"].as_array().unwrap().len(), 1 + 2 * 5 + 1);
}
