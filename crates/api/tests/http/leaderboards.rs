//! `/api/v1/leaderboards`: models on tasks, through the gateway and a stub, and with the real small model.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};
use crate::local;

const PATH: &str = "/api/v1/leaderboards";
const PICK: &str = "task: pick\noutput_type: multiple_choice\ntest_split: test\ndoc_to_text: \"{{question}}\"\n\
                    doc_to_target: label\ndoc_to_choice: [\"yes\", \"no\"]\nmetric_list: [{metric: acc}]\n";
const SUMS: &str = "task: sums\noutput_type: generate_until\ntest_split: test\ndoc_to_text: \"{{question}}\"\n\
                    doc_to_target: \"{{answer}}\"\ngeneration_kwargs: {until: [\"\\n\"], max_gen_toks: 8}\n\
                    metric_list: [{metric: exact_match}]\n";

/// Twelve questions with a sum, of which every third is answered `no`.
pub async fn documents(house: &House, key: &str) {
    let rows: Vec<Value> = (0..12)
        .map(|n| json!({"question": format!("{n} + {n} = ?"), "answer": (2 * n).to_string(), "label": u8::from(n % 3 == 0)}))
        .collect();
    for dataset in ["pick-test", "sums-test"] {
        house.post(key, &format!("/api/v1/datasets/{dataset}/rows"), json!({"add": rows})).await.expect(200);
    }
}

fn definition(models: &[&str]) -> Value {
    json!({
        "tasks": [{"task": "pick"}, {"task": "sums"}], "models": models,
        "files": {"pick.yaml": PICK, "sums.yaml": SUMS}, "measure_speed": false,
    })
}

async fn open() -> (House, String) {
    let house = House::open().await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    documents(&house, &key).await;
    (house, key)
}

/// Runs a leaderboard to its end and gives its page.
async fn run(house: &House, key: &str, name: &str, definition: Value) -> Value {
    let made = house.post(key, PATH, json!({"name": name, "definition": definition})).await.expect(201);
    ended(house, key, name, &made).await
}

async fn ended(house: &House, key: &str, name: &str, made: &Value) -> Value {
    let runner = house.run_leaderboards();
    let job = made["job"].as_str().unwrap().parse().unwrap();
    let mut events = Box::pin(house.catalog.watch(job, 0));
    while futures::StreamExt::next(&mut events).await.is_some() {}
    runner.shutdown().await;
    house.get(key, &format!("{PATH}/{name}")).await.expect(200)
}

fn calls(house: &House) -> usize {
    house.stub.shared.all.lock().unwrap().len()
}

fn model<'p>(page: &'p Value, name: &str) -> &'p Value {
    page["report"]["models"].as_array().unwrap().iter().find(|row| row["model"] == name).unwrap()
}

#[tokio::test]
async fn models_are_ranked_as_far_as_that_is_sure_and_nothing_is_asked_twice() {
    let (house, key) = open().await;
    let page = run(&house, &key, "ours", definition(&["stub/scorer-weak", "stub/scorer"])).await;
    assert_eq!((&page["state"], &page["why"], &page["documents"]), (&json!("finished"), &Value::Null, &json!(24)));
    assert_eq!(page["definition"]["documents"], json!({"pick#test": "pick-test@1", "sums#test": "sums-test@1"}));
    let best = &page["report"]["models"][0];
    // 8 of 12 are answered yes, of two choices: (8/12 − 1/2)/(1/2) = 1/3; all sums are right: (33.3 + 100)/2.
    assert_eq!(best["model"], "stub/scorer");
    assert!((best["score"].as_f64().unwrap() - 200.0 / 3.0).abs() < 1e-6, "{best}");
    let (acc, exact) = (&best["tasks"][0], &best["tasks"][1]);
    assert_eq!((&acc["chance"], &acc["documents"], &exact["value"]), (&json!(0.5), &json!(12), &json!(1.0)));
    assert!((acc["value"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9 && acc["stderr"].as_f64().unwrap() > 0.1);
    // Six of twelve sums differ: a test of signs gives 2^(1-6) at the best, which is below 5 %.
    let weak = model(&page, "stub/scorer-weak");
    assert_eq!(weak["tasks"][1]["value"], 0.5);
    assert_eq!((&best["rank_best"], &best["rank_worst"], &weak["rank_best"]), (&json!(1), &json!(1), &json!(2)));
    assert_eq!(page["report"]["sentence"], "stub/scorer is the best");
    // Twelve documents with two prompts each are two calls, and each sum is one.
    assert_eq!(calls(&house), 2 * (2 + 12));

    let documents = format!("{PATH}/ours/documents?task=sums&model=stub%2Fscorer-weak&limit=2&cursor=1");
    let documents = house.get(&key, &documents).await.expect(200);
    assert_eq!((&documents["total"], &documents["next_cursor"]), (&json!(12), &json!("3")));
    let first = &documents["data"][0];
    assert_eq!((&first["target"], &first["filters"][0]["answer"]), (&json!("2"), &json!("no idea")));
    assert_eq!(first["filters"][0]["measures"], json!({"exact_match": 0.0}));

    // The same again is the same version; another board takes the answers that are there.
    let same =
        house.post(&key, PATH, json!({"name": "ours", "definition": definition(&["stub/scorer-weak", "stub/scorer"])}));
    assert_eq!(same.await.expect(201)["version"], 1);
    let more = json!({"tasks": [{"task": "sums", "limit": 5}], "style": "win_rate"});
    let mut other = definition(&["stub/scorer", "stub/scorer-weak"]);
    other.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let page = run(&house, &key, "other", other).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("finished"), 28));
    // Three of five are even.
    assert_eq!(model(&page, "stub/scorer-weak")["tasks"][0]["value"], 0.6);
    assert_eq!(model(&page, "stub/scorer")["score"], 1.0);

    house.delete(&key, &format!("{PATH}/ours")).await.expect(204);
    house.get(&key, &format!("{PATH}/ours")).await.refused(404, "not_found");
    assert_eq!(house.get(&key, PATH).await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn who_cannot_say_how_likely_a_text_is_does_the_other_tasks() {
    let (house, key) = open().await;
    let page = run(&house, &key, "mute", definition(&["stub/scorer-mute"])).await;
    assert_eq!(page["state"], "failed");
    assert!(page["why"].as_str().unwrap().contains("echo and logprobs"), "{page}");
    let mute = model(&page, "stub/scorer-mute");
    assert_eq!(
        (&mute["score"], &mute["tasks"][0]["value"], &mute["tasks"][1]["value"]),
        (&Value::Null, &Value::Null, &json!(1.0))
    );
}

/// Servers that only chat have no completions: their models lose what is measured and nothing else.
#[tokio::test]
async fn who_only_chats_does_the_tasks_that_are_asked_by_messages() {
    let (house, key) = open().await;
    let mut chats = definition(&["stub/scorer-chat", "stub/scorer"]);
    chats["tasks"] = json!([{"task": "pick"}, {"task": "sums", "chat": "turns"}]);
    chats["measure_speed"] = json!(true);
    let page = run(&house, &key, "chats", chats).await;
    assert_eq!(page["state"], "failed");
    assert!(page["why"].as_str().unwrap().contains("refuses pick"), "{page}");
    let found = model(&page, "stub/scorer-chat");
    assert_eq!((&found["score"], &found["tasks"][1]["value"]), (&Value::Null, &json!(1.0)));
    assert!(found["tokens_per_second"].as_f64().unwrap() > 0.0, "its speed is measured by chat");
    assert_eq!(model(&page, "stub/scorer")["tasks"][0]["documents"], 12);
}

/// Each call of `scorer-mute` has 10 tokens for a prompt and 2 more: sixteen prompts, and the two of each document after that.
#[tokio::test]
async fn what_is_paid_for_no_answer_counts() {
    let (house, key) = open().await;
    let mut mute = definition(&["stub/scorer-mute"]);
    mute["tasks"] = json!([{"task": "pick"}]);
    mute["concurrency"] = json!(1);
    mute["budget"] = json!({"tokens": 200});
    let page = run(&house, &key, "mute", mute).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("stopped"), 3), "{page}");
    assert!(page["why"].as_str().unwrap().contains("206 were used"), "{page}");
    // It is known when the leaderboard goes on, and nothing more is paid.
    let going = house.post(&key, &format!("{PATH}/mute/resume"), json!({})).await.expect(202);
    let page = ended(&house, &key, "mute", &going).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("stopped"), 3), "{page}");
}

#[tokio::test]
async fn ends_of_prompts_are_measured_by_the_engine_here_only() {
    let house = House::open().await;
    let measure = json!({"model": "stub/scorer", "prompt": "a b", "max_tokens": 0, "measure": {"from": [1]}});
    let refused = house.post(OPERATOR, "/v1/completions", measure).await.refused(400, "unsupported_parameter");
    assert_eq!((&refused["param"], calls(&house)), (&json!("measure"), 0));
}

/// A server with a token before every prompt and with tokens for pieces of characters, whose offsets are of no use.
#[tokio::test]
async fn the_end_of_a_prompt_is_found_by_its_tokens() {
    let (house, key) = open().await;
    let rows = json!([{"question": "Est-ce un café ?", "answer": "", "label": 0}, {"question": "Où ?", "answer": "", "label": 1}]);
    house.post(&key, "/api/v1/datasets/begun/rows", json!({"add": rows})).await.expect(200);
    let mut begun = definition(&["stub/scorer-begun"]);
    begun["tasks"] = json!([{"task": "pick"}]);
    begun["documents"] = json!({"pick#test": "begun"});
    let page = run(&house, &key, "begun", begun).await;
    assert_eq!(page["state"], "finished", "{page}");
    let path = format!("{PATH}/begun/documents?task=pick&model=stub%2Fscorer-begun");
    let documents = house.get(&key, &path).await.expect(200);
    for document in documents["data"].as_array().unwrap() {
        let choices =
            json!([{"sum": -0.5, "is_greedy": true, "tokens": 1}, {"sum": -2.0, "is_greedy": true, "tokens": 1}]);
        assert_eq!(document["answers"][0]["choices"], choices, "{document}");
    }
}

#[tokio::test]
async fn a_document_that_is_refused_fails_alone() {
    let (house, key) = open().await;
    let page = run(&house, &key, "picky", definition(&["stub/scorer-picky"])).await;
    assert_eq!((&page["state"], &model(&page, "stub/scorer-picky")["failed"]), (&json!("finished"), &json!(2)));
    let asked = calls(&house);
    let resume = json!({"retry_failed": true});
    let going = house.post(&key, &format!("{PATH}/picky/resume"), resume).await.expect(202);
    let page = ended(&house, &key, "picky", &going).await;
    assert_eq!(model(&page, "stub/scorer-picky")["failed"], 2);
    assert!(calls(&house) > asked && calls(&house) <= asked + 6, "only what failed is asked again");
}

#[tokio::test]
async fn a_budget_stops_it_and_it_goes_on() {
    let (house, key) = open().await;
    let mut small = definition(&["stub/scorer"]);
    small["budget"] = json!({"tokens": 300});
    small["concurrency"] = json!(1);
    let page = run(&house, &key, "small", small).await;
    assert_eq!(page["state"], "stopped");
    assert!(page["why"].as_str().unwrap().contains("300 tokens"), "{page}");
    let before = calls(&house);
    let resume = json!({"budget": {"tokens": 100_000}});
    let going = house.post(&key, &format!("{PATH}/small/resume"), resume).await.expect(202);
    let page = ended(&house, &key, "small", &going).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("finished"), 14));
    assert!(before < 14);
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_and_nothing_is_made() {
    let (house, key) = open().await;
    let refused = async |change: Value, param: &str| {
        let mut wrong = definition(&["stub/scorer"]);
        wrong.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = house.post(&key, PATH, json!({"name": "wrong", "definition": wrong})).await;
        let refused = answer.refused(400, "invalid_value");
        assert!(refused["param"].as_str().is_some_and(|found| found == param), "{param}: {refused}");
    };
    refused(json!({"models": ["nowhere/at-all"]}), "models").await;
    refused(json!({"models": []}), "models").await;
    refused(json!({"tasks": [{"task": "nothing"}]}), "task").await;
    refused(json!({"tasks": [{"task": "gsm8k"}]}), "documents.openai/gsm8k:main#test").await;
    refused(json!({"chat": "turns"}), "tasks[0].task").await;
    refused(json!({"documents": {"sums#test": "not a name"}}), "documents.sums#test").await;
    // Twelve documents, a thousand answers to each, of 42 models: known before anybody is looked up.
    let many = SUMS.replace("output_type", "repeats: 1000\noutput_type");
    let models: Vec<String> = (0..42).map(|n| format!("m{n}")).collect();
    refused(json!({"tasks": [{"task": "sums"}], "files": {"s.yaml": many}, "models": models}), "limit").await;
    refused(json!({"tasks": [{"task": "sums"}], "files": {"s.yaml": SUMS.replace("output_type", "repeats: 1001\noutput_type")}}), "task").await;
    let wrong = json!({"definition": {"tasks": []}});
    house.post(&key, &format!("{PATH}/wrong/preview"), wrong).await.refused(400, "invalid_value");
    house.post(&key, PATH, json!({"name": "unknown"})).await.refused(400, "invalid_value");
    let basic = house.post(&key, PATH, json!({"name": "basic", "models": ["stub/scorer"]})).await;
    basic.refused(400, "invalid_value");
    assert_eq!(house.get(&key, PATH).await.expect(200)["data"], json!([]));
    assert_eq!(calls(&house), 0);
    let reader = house.key(&[Scope::Write]).await;
    let without = house.post(&reader, PATH, json!({"name": "ours", "definition": definition(&["stub/scorer"])})).await;
    without.refused(403, "missing_scope");
    let preview = house.post(&key, &format!("{PATH}/basic/preview"), json!({"models": ["m"]})).await.expect(200);
    assert_eq!(preview["definition"]["models"], json!(["m"]));
    assert_eq!(preview["data"].as_array().unwrap().len(), 6);
    assert_eq!(preview["data"][0]["dataset"], "truthful_qa-multiple_choice-validation");
}

/// Of 40 comparisons x won 30: 400·log₁₀ 3 = 190.85 points apart.
#[tokio::test]
async fn models_are_rated_by_who_was_preferred() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let row = |n: usize| json!({"n": n, "model_a": "x", "model_b": "y", "winner": if n.is_multiple_of(4) { "model_b" } else { "x" }});
    let mut rows: Vec<Value> = (0..40).map(row).collect();
    rows.push(json!({"n": 40, "model_a": "x", "model_b": "y", "winner": null}));
    house.post(&key, "/api/v1/datasets/arena/rows", json!({"add": rows})).await.expect(200);
    let found = house.get(&key, "/api/v1/datasets/arena/ratings").await.expect(200);
    assert_eq!(
        (&found["dataset"], &found["comparisons"], &found["left_out"]),
        (&json!("arena@1"), &json!(40), &json!(1))
    );
    let (x, y) = (&found["data"][0], &found["data"][1]);
    let apart = x["rating"].as_f64().unwrap() - y["rating"].as_f64().unwrap();
    assert!((apart - 190.85).abs() < 1.0, "{found}");
    assert_eq!((&x["rank_worst"], &y["rank_best"], &x["wins"]), (&json!(1), &json!(2), &json!(30)));
    let other = house.get(&key, "/api/v1/datasets/arena/ratings?winner=nothing").await;
    other.refused(400, "invalid_value");
    let wrong = house.get(&key, "/api/v1/datasets/arena/ratings?winner=n").await.refused(400, "invalid_value");
    assert_eq!(wrong["param"], "winner");
    house.get(&key, "/api/v1/datasets/nothing/ratings").await.refused(404, "not_found");
}

#[tokio::test]
async fn the_engine_here_measures_and_is_measured() {
    let house = local::house().await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    documents(&house, &key).await;
    let mut here = definition(&["tiny"]);
    here["tasks"] = json!([{"task": "pick", "limit": 4}, {"task": "sums", "limit": 2}]);
    here["measure_speed"] = json!(true);
    let page = run(&house, &key, "here", here).await;
    assert_eq!((&page["state"], &page["models"]["tiny"]), (&json!("finished"), &json!("local/tiny@1")), "{page}");
    let tiny = model(&page, "tiny");
    assert_eq!((&tiny["documents"], &tiny["failed"], &tiny["cost_usd"]), (&json!(6), &json!(0), &json!(0.0)));
    assert!(tiny["tokens_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!((&tiny["facts"]["size_bytes"], &tiny["facts"]["is_local"]), (&json!(98_362_432), &json!(true)));
    let documents = house.get(&key, &format!("{PATH}/here/documents?task=pick&model=tiny")).await.expect(200);
    let likelihoods = documents["data"][3]["answers"][0]["choices"].as_array().unwrap();
    // The same by echoing the whole text.
    let echo = json!({"model": "tiny", "prompt": "3 + 3 = ? no", "echo": true, "logprobs": 1, "max_tokens": 0});
    let echo = house.post(OPERATOR, "/v1/completions", echo).await.expect(200);
    let last = echo["choices"][0]["logprobs"]["token_logprobs"].as_array().unwrap().last().unwrap().as_f64().unwrap();
    let measured = likelihoods[1]["sum"].as_f64().unwrap();
    assert!((measured - last).abs() < 0.1 * last.abs(), "{measured} and {last}");

    // Nobody is left once models have to be smaller than this one.
    let filtered = house.get(&key, &format!("{PATH}/here?max_size_bytes=1000000")).await.expect(200);
    assert!(model(&filtered, "tiny")["left_out"].as_str().unwrap().contains("its size"));
    assert_eq!(filtered["report"]["sentence"], "no model has answered enough of every task");
}
