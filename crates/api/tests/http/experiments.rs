//! `/api/v1/experiments`: sweeps over prompts, parameters and examples, through the gateway and a stub.

mod examples;
mod failing;
mod foreseeing;
mod optimising;
mod removing;
mod targets;

use std::collections::BTreeSet;

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/experiments";

/// A dataset of sums: `a + b = ?` with the sum as its reference.
pub async fn sums(house: &House, key: &str, rows: usize) {
    let rows: Vec<Value> = (0..rows)
        .map(|n| json!({"id": format!("r{n}"), "question": format!("{n} + {n} = ?"), "answer": (2 * n).to_string()}))
        .collect();
    house.post(key, "/api/v1/datasets/sums/rows", json!({"add": rows})).await.expect(200);
}

/// A prompt whose words the stub understands: it answers `right` with the sum and others with something else.
pub async fn prompt(house: &House, key: &str, name: &str, words: &str) {
    let content = json!({
        "messages": [{"role": "system", "content": words}, {"placeholder": "examples"}, {"role": "user", "content": "{{ question }}"}],
        "variables": [{"name": "question"}],
        "examples": {"template": [{"role": "user", "content": "{{ question }}"}, {"role": "assistant", "content": "{{ output }}"}]},
        "model": "stub/sums",
    });
    house.post(key, "/api/v1/prompts", json!({"name": name, "content": content})).await.expect(201);
}

async fn open() -> (House, String) {
    let house = House::open().await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    (house, key)
}

/// Runs an experiment to its end and gives its page.
pub async fn run(house: &House, key: &str, name: &str, definition: Value) -> Value {
    let made = house.post(key, PATH, json!({"name": name, "definition": definition})).await.expect(201);
    ended(house, key, name, &made).await
}

async fn ended(house: &House, key: &str, name: &str, made: &Value) -> Value {
    let runner = house.run_experiments();
    let job = made["job"].as_str().unwrap().parse().unwrap();
    let mut events = Box::pin(house.catalog.watch(job, 0));
    while futures::StreamExt::next(&mut events).await.is_some() {}
    runner.shutdown().await;
    house.get(key, &format!("{PATH}/{name}")).await.expect(200)
}

fn calls(house: &House) -> usize {
    house.stub.shared.all.lock().unwrap().len()
}

fn sweep() -> Value {
    json!({
        "dataset": "sums", "prompts": ["right", "wrong"], "items": {"limit": 30}, "shots": [0, 2],
        "parameters": {"temperature": [0]}, "scorers": [{"kind": "exact_match"}, {"kind": "number_match"}, {"kind": "latency"}],
    })
}

#[tokio::test]
async fn a_sweep_names_its_winners_and_no_noise() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    prompt(&house, &key, "right", "add").await;
    prompt(&house, &key, "wrong", "guess").await;
    let page = run(&house, &key, "first", sweep()).await;
    assert_eq!((&page["state"], &page["cells"], &page["items"]), (&json!("finished"), &json!(4), &json!(30)));
    assert_eq!(page["definition"]["prompts"], json!(["right@1", "wrong@1"]), "references are pinned");
    assert_eq!(calls(&house), 4 * 30);
    let report = &page["report"];
    let means: Vec<f64> = report["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cell| cell["scores"]["exact_match"]["mean"].as_f64().unwrap())
        .collect();
    assert_eq!(means, [1.0, 1.0, 0.0, 0.0]);
    assert_eq!((&report["winner"], &report["not_told_apart"]), (&Value::Null, &json!(["c1", "c2"])));
    assert!(report["sentence"].as_str().unwrap().starts_with("there is no winner; these 2 are not told apart: c1 "));
    assert!(report["cells"][2]["adjusted_p"].as_f64().unwrap() < 0.001);
    // Wilson's interval of 30 of 30 is [0.886, 1].
    let low = report["cells"][0]["scores"]["exact_match"]["low"].as_f64().unwrap();
    assert!((low - 0.8865).abs() < 1e-3, "{low}");

    let compared = house.get(&key, &format!("{PATH}/first/comparison?a=c3&b=c1")).await.expect(200);
    let exact = &compared["data"][0];
    assert_eq!((&exact["verdict"], &exact["better_b"]), (&json!("b_better"), &json!(30)));
    assert!(exact["sentence"].as_str().unwrap().starts_with("c1 beats c3 by 100.0 points ["), "{exact}");
    house.get(&key, &format!("{PATH}/first/comparison?a=c3&b=c9")).await.refused(400, "invalid_value");

    let apart =
        house.get(&key, &format!("{PATH}/first/items?cells=c1,c3&disagree=exact_match&limit=2")).await.expect(200);
    assert_eq!((&apart["total"], &apart["next_cursor"]), (&json!(30), &json!("2")));
    let item = &apart["data"][0];
    assert_eq!(item["answers"][0]["output"], item["references"][0]);
    assert_eq!((&item["answers"][0]["cell"], &item["answers"][1]["cell"]), (&json!("c1"), &json!("c3")));
    let same = house.get(&key, &format!("{PATH}/first/items?cells=c1,c2&disagree=exact_match")).await.expect(200);
    assert_eq!(same["total"], 0);

    let theirs = house.key_of("other", &[Scope::Read]).await;
    house.get(&theirs, &format!("{PATH}/first")).await.refused(404, "not_found");
}

#[tokio::test]
async fn examples_come_from_rows_that_are_not_asked_about() {
    let (house, key) = open().await;
    sums(&house, &key, 40).await;
    prompt(&house, &key, "right", "add").await;
    run(&house, &key, "shots", json!({"dataset": "sums", "prompts": ["right"], "items": {"limit": 30}, "shots": [3], "scorers": [{"kind": "exact_match"}]})).await;
    let (mut asked, mut shown) = (BTreeSet::new(), BTreeSet::new());
    for (_, request) in house.stub.shared.all.lock().unwrap().iter() {
        let users: Vec<&str> = request["messages"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|m| m["role"] == "user")
            .map(|m| m["content"].as_str().unwrap())
            .collect();
        asked.insert(users[3].to_owned());
        shown.extend(users[..3].iter().map(|text| (*text).to_owned()));
    }
    assert_eq!((asked.len(), shown.len()), (30, 3));
    assert!(asked.is_disjoint(&shown), "{shown:?}");
}

#[tokio::test]
async fn what_was_answered_is_not_asked_again() {
    let (house, key) = open().await;
    sums(&house, &key, 30).await;
    prompt(&house, &key, "right", "add").await;
    prompt(&house, &key, "wrong", "guess").await;
    let definition = json!({"dataset": "sums", "prompts": ["right"], "scorers": [{"kind": "exact_match"}], "parameters": {"temperature": [0, 1]}, "repeats": 2});
    let page = run(&house, &key, "one", definition).await;
    // At temperature 0 the second answer is that of the first.
    assert_eq!((calls(&house), &page["report"]["cached"]), (30 + 60, &json!(30)));
    let made = house.post(&key, PATH, json!({"name": "one", "definition": page["definition"]})).await.expect(201);
    assert_eq!(
        (&made["version"], &made["state"]),
        (&json!(1), &json!("finished")),
        "the same definition is the same version"
    );
    let wider = json!({"dataset": "sums", "prompts": ["right", "wrong"], "scorers": [{"kind": "exact_match"}], "parameters": {"temperature": [0]}});
    let page = run(&house, &key, "two", wider).await;
    let cells = &page["report"]["cells"];
    assert_eq!((calls(&house), &cells[0]["cached"], &cells[1]["cached"]), (90 + 30, &json!(30), &json!(0)));
    assert_eq!(cells[0]["scores"]["exact_match"]["mean"], 1.0, "an answer from the cache is scored like any");
}

#[tokio::test]
async fn a_budget_stops_and_says_so_and_more_goes_on() {
    let (house, key) = open().await;
    sums(&house, &key, 30).await;
    prompt(&house, &key, "right", "add").await;
    // The stub tells 12 tokens a call.
    let definition = json!({"dataset": "sums", "prompts": ["right"], "scorers": [{"kind": "exact_match"}], "concurrency": 1, "budget": {"tokens": 120}});
    let page = run(&house, &key, "poor", definition).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("stopped"), 10));
    assert!(page["why"].as_str().unwrap().contains("120 tokens"), "{page}");
    let body = json!({"budget": {"tokens": 10_000}});
    let going = house.post(&key, &format!("{PATH}/poor/resume"), body).await.expect(202);
    let page = ended(&house, &key, "poor", &going).await;
    assert_eq!((&page["state"], calls(&house), &page["report"]["answers"]), (&json!("finished"), 30, &json!(30)));
}

#[tokio::test]
async fn failures_count_as_zero_unless_somebody_says_otherwise_and_are_asked_again_when_wanted() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    let definition = |zero: bool| {
        json!({"dataset": "sums", "prompts": ["right"], "models": ["stub/sums-flaky"], "scorers": [{"kind": "exact_match"}, {"kind": "latency"}],
               "cache": false, "concurrency": 1, "count_failures_as_zero": zero})
    };
    let page = run(&house, &key, "zero", definition(true)).await;
    let cell = &page["report"]["cells"][0];
    // The stub refuses every fourth question.
    assert_eq!((&cell["failed"], &cell["scores"]["exact_match"]["mean"]), (&json!(5), &json!(0.75)));
    assert_eq!((&cell["scores"]["latency"]["items"], &cell["scores"]["latency"]["missing"]), (&json!(15), &json!(5)));
    let page = run(&house, &key, "left-out", definition(false)).await;
    let exact = &page["report"]["cells"][0]["scores"]["exact_match"];
    assert_eq!((&exact["mean"], &exact["items"], &exact["missing"]), (&json!(1.0), &json!(15), &json!(5)));

    let before = calls(&house);
    let going = house.post(&key, &format!("{PATH}/zero/resume"), json!({"retry_failed": true})).await.expect(202);
    let page = ended(&house, &key, "zero", &going).await;
    assert_eq!(page["report"]["answers"], 20);
    let again = calls(&house) - before;
    assert!((5..=20).contains(&again), "five were asked again, as often as the gateway tries: {again}");
}

#[tokio::test]
async fn halving_leaves_cells_behind_and_judges_the_rest_by_other_items() {
    let (house, key) = open().await;
    sums(&house, &key, 30).await;
    for name in ["right", "also-right"] {
        prompt(&house, &key, name, &format!("add {name}")).await;
    }
    for name in ["w1", "w2", "w3", "w4"] {
        prompt(&house, &key, name, &format!("guess {name}")).await;
    }
    let definition = json!({
        "dataset": "sums", "prompts": ["right", "w1", "w2", "also-right", "w3", "w4"], "scorers": [{"kind": "exact_match"}],
        "search": {"kind": "halving", "first_items": 5, "factor": 3},
    });
    let page = run(&house, &key, "halving", definition).await;
    let report = &page["report"];
    // Six cells on 5 items, then the two best on all 30.
    assert_eq!((calls(&house), &report["chosen_on"]), (6 * 5 + 2 * 25, &json!(5)));
    let left: Vec<&Value> = report["cells"].as_array().unwrap().iter().map(|cell| &cell["left_after"]).collect();
    assert_eq!(left, [&Value::Null, &json!(1), &json!(1), &Value::Null, &json!(1), &json!(1)]);
    assert_eq!(report["cells"][0]["scores"]["exact_match"]["items"], 25, "not the five by which it was chosen");
    assert_eq!(report["not_told_apart"], json!(["c1", "c4"]));
}

#[tokio::test]
async fn a_hopeless_experiment_ends_and_calls_are_traced_with_prompt_and_experiment() {
    let (house, key) = open().await;
    sums(&house, &key, 60).await;
    prompt(&house, &key, "right", "add").await;
    let definition = |model: &str| json!({"dataset": "sums", "prompts": ["right"], "models": [model], "scorers": [{"kind": "exact_match"}], "items": {"limit": 40}});
    let page = run(&house, &key, "hopeless", definition("no-such-model")).await;
    assert_eq!((&page["state"], &page["report"]["answers"]), (&json!("failed"), &json!(0)), "no answer, and no score");
    assert!(page["why"].as_str().unwrap().contains("no-such-model"), "{page}");
    run(&house, &key, "traced", definition("stub/sums")).await;
    house.settle().await;
    let sql = json!({"sql": "SELECT count(*) AS n FROM spans WHERE prompt_name = 'right' AND prompt_version = 1 AND array_has(tags, 'experiment:traced@1')"});
    let found = house.post(OPERATOR, "/api/v1/sql", sql).await.expect(200);
    assert!(found.to_string().contains("40"), "{found}");
}

/// A model that is out of order has no scores, and does not keep others from theirs.
#[tokio::test]
async fn an_outage_is_no_wrong_answer() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    prompt(&house, &key, "right", "add").await;
    let definition = json!({"dataset": "sums", "prompts": ["right"], "models": ["stub/locked", "stub/sums"], "scorers": [{"kind": "exact_match"}]});
    let page = run(&house, &key, "outage", definition).await;
    assert_eq!(page["state"], "failed", "{page}");
    assert!(page["why"].as_str().unwrap().contains("did not reach stub/locked"), "{page}");
    let cells = &page["report"]["cells"];
    assert_eq!((&cells[0]["answers"], &cells[0]["scores"]["exact_match"]["mean"]), (&json!(0), &Value::Null));
    assert_eq!((&cells[1]["answers"], &cells[1]["scores"]["exact_match"]["mean"]), (&json!(20), &json!(1.0)));
    let writer = house.key(&[Scope::Write]).await;
    house.post(&writer, &format!("{PATH}/outage/resume"), json!({})).await.refused(403, "missing_scope");
}

/// With the shots that a prompt says itself, it shows what it shows to everybody: the first rows of its dataset.
#[tokio::test]
async fn a_prompt_shows_the_examples_that_it_shows_elsewhere() {
    let (house, key) = open().await;
    sums(&house, &key, 20).await;
    let rows = |from: usize| -> Vec<Value> {
        (from..from + 5).map(|n| json!({"question": format!("{n} + {n} = ?"), "answer": (2 * n).to_string()})).collect()
    };
    for (name, from) in [("shown", 100), ("leak", 0)] {
        house.post(&key, &format!("/api/v1/datasets/{name}/rows"), json!({"add": rows(from)})).await.expect(200);
        let content = json!({
            "messages": [{"role": "system", "content": "add"}, {"placeholder": "examples"}, {"role": "user", "content": "{{ question }}"}],
            "variables": [{"name": "question"}], "model": "stub/sums",
            "examples": {"template": [{"role": "user", "content": "{{ question }}"}, {"role": "assistant", "content": "{{ output }}"}], "dataset": name, "count": 2},
        });
        house.post(&key, "/api/v1/prompts", json!({"name": name, "content": content})).await.expect(201);
    }
    let definition =
        |prompt: &str| json!({"dataset": "sums", "prompts": [prompt], "scorers": [{"kind": "exact_match"}]});
    run(&house, &key, "shown", definition("shown")).await;
    for (_, request) in house.stub.shared.all.lock().unwrap().iter() {
        assert_eq!(request["messages"][1]["content"], "100 + 100 = ?");
        assert_eq!(request["messages"][3]["content"], "101 + 101 = ?");
    }
    let refused = house.post(&key, PATH, json!({"name": "leak", "definition": definition("leak")})).await;
    let refused = refused.refused(400, "invalid_value");
    assert!(refused["message"].as_str().unwrap().contains("shows rows that are asked about"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_its_part() {
    let (house, key) = open().await;
    sums(&house, &key, 5).await;
    prompt(&house, &key, "right", "add").await;
    let plain = json!({"messages": [{"role": "user", "content": "{{ answer }}"}], "variables": [{"name": "answer"}], "model": "stub/sums"});
    house.post(&key, "/api/v1/prompts", json!({"name": "cheat", "content": plain})).await.expect(201);
    let refused = |change: Value| {
        let (house, key) = (&house, &key);
        async move {
            let mut definition = json!({"dataset": "sums", "prompts": ["right"], "scorers": [{"kind": "exact_match"}]});
            for (name, value) in change.as_object().unwrap() {
                definition[name] = value.clone();
            }
            let answer = house.post(key, PATH, json!({"name": "x", "definition": definition})).await;
            answer.refused(400, "invalid_value")["message"].as_str().unwrap().to_owned()
        }
    };
    assert!(refused(json!({"prompts": ["cheat"]})).await.contains("gives the answer away"));
    assert!(refused(json!({"shots": [9]})).await.contains("9 examples are asked for"));
    assert!(refused(json!({"variables": {"question": "nothing"}})).await.contains("no column"));
    assert!(refused(json!({"scorers": [{"kind": "regex", "pattern": "("}]})).await.contains("pattern"));
    assert!(refused(json!({"metric": "f1"})).await.contains("f1"));
    let nowhere =
        json!({"name": "x", "definition": {"dataset": "none", "prompts": ["right"], "scorers": [{"kind": "cost"}]}});
    house.post(&key, PATH, nowhere).await.refused(404, "not_found");
    assert_eq!(house.get(&key, PATH).await.expect(200)["data"], json!([]), "nothing was made");
}

#[tokio::test]
async fn optimising_never_sees_the_rows_that_it_is_judged_by() {
    let (house, key) = open().await;
    sums(&house, &key, 60).await;
    let content = json!({
        "messages": [{"role": "system", "content": "guess"}, {"role": "user", "content": "{{ question }}"}],
        "variables": [{"name": "question"}], "model": "stub/sums",
    });
    house.post(&key, "/api/v1/prompts", json!({"name": "poor", "content": content})).await.expect(201);
    let wanted = json!({
        "dataset": "sums", "prompt": "poor", "scorer": {"kind": "exact_match"}, "trials": 6, "demonstrations": 2,
        "proposer": "stub/proposer", "held_out": 0.5,
    });
    let begun = house.post(&key, &format!("{PATH}/better/optimisation"), wanted).await.expect(202);
    let runner = house.run_experiments();
    let job = begun["job"].as_str().unwrap().parse().unwrap();
    let mut events = Box::pin(house.catalog.watch(job, 0));
    while futures::StreamExt::next(&mut events).await.is_some() {}
    let result = house.catalog.job(job).await.unwrap().result.unwrap();
    assert_eq!(result["found"], json!({"prompt": "poor-optimised", "version": 1}), "{result}");
    let made = json!({"job": result["experiment"]["job"]});
    runner.shutdown().await;
    let page = ended(&house, &key, "better", &made).await;
    assert_eq!((&page["state"], &page["items"], &page["cells"]), (&json!("finished"), &json!(30), &json!(2)));
    let compared = house.get(&key, &format!("{PATH}/better/comparison?a=c1&b=c2&planned=true")).await.expect(200);
    assert_eq!(compared["data"][0]["verdict"], "b_better", "{compared}");

    // The experiment's items are the rows held out: no call of the search asked about one, or showed one.
    let items = house.get(&key, &format!("{PATH}/better/items?limit=100")).await.expect(200);
    let held_out: BTreeSet<&str> =
        items["data"].as_array().unwrap().iter().map(|item| item["values"]["question"].as_str().unwrap()).collect();
    assert_eq!(held_out.len(), 30);
    let calls = house.stub.shared.all.lock().unwrap().clone();
    let about = |request: &Value| {
        held_out.contains(request["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap())
    };
    let first = calls.iter().position(|(_, request)| about(request)).unwrap();
    assert_eq!(calls.len() - first, 60, "both prompts on 30 rows, and nothing after");
    for (_, request) in &calls[..first] {
        let said = request.to_string();
        assert!(held_out.iter().all(|question| !said.contains(question)), "{said}");
    }
    let lineage = house.get(&key, "/api/v1/prompts/poor-optimised").await.expect(200);
    assert_eq!(lineage["content"]["messages"][0]["content"], "add both numbers");
}

/// Failures since the job began are those of its own attempt before a crash: they are not made again.
#[tokio::test]
async fn a_job_that_makes_failed_calls_again_makes_each_once_whatever_interrupts_it() {
    let parts = crate::house::Parts::open().await;
    let lake = parts.lake.clone();
    let house = House::of(parts).await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    sums(&house, &key, 8).await;
    prompt(&house, &key, "right", "add").await;
    let definition = json!({"dataset": "sums", "prompts": ["right"], "models": ["stub/sums-flaky"], "scorers": [{"kind": "exact_match"}], "cache": false});
    let page = run(&house, &key, "flaky", definition).await;
    assert_eq!(page["report"]["failed"], 2, "{page}");
    let going = house.post(&key, &format!("{PATH}/flaky/resume"), json!({"retry_failed": true})).await.expect(202);
    // The job has made one of them again and was interrupted then.
    let sql = json!({"sql": "SELECT item, row_id, key FROM experiment_items WHERE item = 3"});
    let row = house.post(OPERATOR, "/api/v1/sql", sql).await.expect(200)["rows"][0].take();
    let failed = qd_experiment::table::ItemRow {
        experiment: page["id"].as_str().unwrap().parse().unwrap(),
        item: 3,
        key: row["key"].as_str().unwrap().parse().unwrap(),
        outcome: qd_experiment::call::Outcome { error: Some("not this one".to_owned()), ..Default::default() },
        ..removing::old(0)
    };
    qd_experiment::table::keep(&lake, &[failed]).await.unwrap();
    house.stub.shared.all.lock().unwrap().clear();
    ended(&house, &key, "flaky", &going).await;
    let asked: BTreeSet<String> =
        house.stub.shared.all.lock().unwrap().iter().map(|(_, request)| request["messages"].to_string()).collect();
    assert_eq!((asked.len(), asked.iter().all(|said| said.contains("7 + 7"))), (1, true), "{asked:?}");
}

#[tokio::test]
async fn experiments_and_their_versions_come_in_pages() {
    let (house, key) = open().await;
    sums(&house, &key, 8).await;
    prompt(&house, &key, "right", "add").await;
    for name in ["one", "two", "three", "three"] {
        let versions = house.get(&key, &format!("{PATH}/{name}/versions")).await;
        let seed = if versions.status == 404 { 0 } else { 1 };
        let definition = json!({"dataset": "sums", "prompts": ["right"], "items": {"limit": 2, "seed": seed}, "scorers": [{"kind": "exact_match"}]});
        house.post(&key, PATH, json!({"name": name, "definition": definition})).await.expect(201);
    }
    let names = |page: &Value| -> Vec<String> {
        page["data"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let first = house.get(&key, &format!("{PATH}?limit=2")).await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    assert_eq!(names(&first), ["three", "two"]);
    let second = house.get(&key, &format!("{PATH}?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!((names(&second), &second["next_cursor"]), (vec!["one".to_owned()], &Value::Null));
    let newest = house.get(&key, &format!("{PATH}/three/versions?limit=1")).await.expect(200);
    assert_eq!((&newest["data"][0]["version"], &newest["next_cursor"]), (&json!(2), &json!("2")));
    let before = house.get(&key, &format!("{PATH}/three/versions?cursor=2")).await.expect(200);
    assert_eq!((&before["data"][0]["version"], &before["next_cursor"]), (&json!(1), &Value::Null));
}
