//! `/api/v1/annotations`: who sees what, whose labels count, and what becomes of them.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use http::Method;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};
use crate::sign_in::Browser;

const PATH: &str = "/api/v1/annotations";

async fn open() -> (House, String) {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    (house, key)
}

/// A dataset of pairs of answers, of which what made them must not be seen.
async fn answers(house: &House, key: &str, rows: usize) {
    let rows: Vec<Value> = (0..rows)
        .map(|n| {
            json!({
                "id": format!("gpt4-{n}"), "question": format!("{n}?"), "one": format!("one {n}"), "two": format!("two {n}"),
                "models": "gpt4 against llama", "topic": if n % 4 == 0 { "rare" } else { "common" },
            })
        })
        .collect();
    house.post(key, "/api/v1/datasets/answers/rows", json!({"add": rows})).await.expect(200);
}

fn pairs(change: &Value) -> Value {
    let mut definition = json!({
        "dataset": "answers", "sample": {"seed": 5}, "question": "Which one is better?", "show": ["question"],
        "scale": {"kind": "pairwise", "a": "one", "b": "two"}, "overlap": {"labels": 2},
    });
    for (name, value) in change.as_object().unwrap() {
        definition[name] = value.clone();
    }
    definition
}

async fn create(house: &House, key: &str, name: &str, definition: Value) -> Value {
    house.post(key, PATH, json!({"name": name, "definition": definition})).await.expect(201)
}

async fn next(house: &House, key: &str, name: &str, who: &str) -> Value {
    house.post(key, &format!("{PATH}/{name}/next"), json!({"annotator": who})).await.expect(200)
}

async fn say(house: &House, key: &str, name: &str, who: &str, item: &Value, value: &str) -> Value {
    let label = json!({"annotator": who, "item": item, "value": value});
    house.post(key, &format!("{PATH}/{name}/labels"), label).await.expect(201)
}

/// Labels everything that this annotator gets: the answer of the column that `choose` says, by the question's number.
async fn work(house: &House, key: &str, name: &str, who: &str, choose: impl Fn(usize) -> &'static str) -> usize {
    let mut done = 0;
    loop {
        let given = next(house, key, name, who).await;
        let item = &given["item"];
        if item.is_null() {
            return done;
        }
        let question = item["columns"]["question"].as_str().unwrap();
        let wanted = choose(question.trim_end_matches('?').parse().unwrap());
        let stands = |place: &str| item[place].as_str().unwrap().starts_with(wanted);
        let value = ["first", "second"].into_iter().find(|place| stands(place)).unwrap_or("tie");
        say(house, key, name, who, &item["item"], value).await;
        done += 1;
    }
}

async fn export(house: &House, key: &str, name: &str, wanted: Value) -> Value {
    let job = export_job(house, key, name, wanted).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    job["result"].clone()
}

/// How a job ends that may fail, and why it did.
async fn try_export(house: &House, key: &str, name: &str, wanted: Value) -> (String, String) {
    let job = export_job(house, key, name, wanted).await;
    (job["state"].as_str().unwrap().to_owned(), job["error"].to_string())
}

async fn export_job(house: &House, key: &str, name: &str, wanted: Value) -> Value {
    let begun = house.post(key, &format!("{PATH}/{name}/export"), wanted).await.expect(202);
    let runner = house.run_exports();
    let id = begun["job"].as_str().unwrap();
    let mut events = Box::pin(house.catalog.watch(id.parse().unwrap(), 0));
    while events.next().await.is_some() {}
    runner.shutdown().await;
    house.get(key, &format!("/api/v1/jobs/{id}")).await.expect(200)
}

#[tokio::test]
async fn who_labels_sees_only_what_is_listed_and_not_which_is_which() {
    let (house, key) = open().await;
    answers(&house, &key, 30).await;
    let made = create(&house, &key, "better", pairs(&json!({}))).await;
    assert_eq!((&made["items"], &made["definition"]["dataset"]), (&json!(30), &json!("answers@1")));
    let mut swapped = BTreeSet::new();
    for who in ["ada", "bob"] {
        for _ in 0..30 {
            let given = next(&house, &key, "better", who).await;
            let item = &given["item"];
            let text = given.to_string();
            for hidden in ["gpt4", "llama", "topic", "\"one\"", "\"two\"", "\"a\"", "\"b\""] {
                assert!(!text.contains(hidden), "{hidden} in {text}");
            }
            assert_eq!(
                (&item["choices"], &item["scale"]),
                (&json!(["first", "second", "tie"]), &json!({"kind": "pairwise", "ties": true}))
            );
            let same = next(&house, &key, "better", who).await;
            assert_eq!(
                (&same["item"]["first"], &same["item"]["item"]),
                (&item["first"], &item["item"]),
                "it is in hand"
            );
            let is_swapped = item["first"].as_str().unwrap().starts_with("two");
            swapped.insert((who, is_swapped));
            let told = say(&house, &key, "better", who, &item["item"], "first").await;
            assert_eq!(told["value"], "first", "also what is kept does not tell which it was");
        }
        assert_eq!(next(&house, &key, "better", who).await, json!({"item": null, "done": 30, "left": 0}));
    }
    assert_eq!(swapped.len(), 4, "both orders for both");
    let items = house.get(&key, &format!("{PATH}/better/items?limit=100")).await.expect(200);
    for item in items["data"].as_array().unwrap() {
        assert!(item["values"]["a"].as_str().unwrap().starts_with("one"), "{item}");
        assert!(["a", "b"].contains(&item["labels"][0]["value"].as_str().unwrap()));
    }
    let report = house.get(&key, &format!("{PATH}/better/report")).await.expect(200);
    let ada = &report["annotators"][0];
    assert_eq!((&ada["name"], &ada["labels"], &ada["first_place"]["value"]), (&json!("ada"), &json!(30), &json!(1.0)));
    assert!(ada["first_place"]["low"].as_f64().unwrap() > 0.8, "who always says first is found out: {ada}");
}

#[tokio::test]
async fn labels_agree_are_adjudicated_and_become_a_column() {
    let (house, key) = open().await;
    answers(&house, &key, 20).await;
    let sample = json!({"sample": {"limit": 12, "seed": 3, "stratify": "topic"}, "overlap": {"labels": 3}});
    create(&house, &key, "better", pairs(&sample)).await;
    // One is better where the question is even; cyd takes the other where it is a multiple of four, which are the rare ones.
    let truth = |n: usize| if n % 2 == 0 { "one" } else { "two" };
    assert_eq!(work(&house, &key, "better", "ada", truth).await, 12);
    assert_eq!(work(&house, &key, "better", "bob", truth).await, 12);
    let cyd = |n: usize| if n % 4 == 0 { "two" } else { truth(n) };
    assert_eq!(work(&house, &key, "better", "cyd", cyd).await, 12);
    assert_eq!(next(&house, &key, "better", "dan").await["left"], 0);
    let report = house.get(&key, &format!("{PATH}/better/report")).await.expect(200);
    let rare = report["disagreements"].as_u64().unwrap();
    assert_eq!(rare, 3, "a quarter of twelve are rare, and those are multiples of four");
    assert_eq!((&report["complete"], &report["undecided"]), (&json!(12), &json!(3)));
    // Of 12 items 9 have 3 of 3 equal pairs and 3 have 1 of 3: 10/12.
    let same = report["agreement"]["same"]["value"].as_f64().unwrap();
    assert!((same - 10.0 / 12.0).abs() < 1e-12, "{same}");
    let pairs = report["agreement"]["pairs"].as_array().unwrap();
    assert_eq!((pairs.len(), &pairs[0]["same"]["value"], &pairs[1]["same"]["value"]), (3, &json!(1.0), &json!(0.75)));

    let open = house.get(&key, &format!("{PATH}/better/items?undecided=true")).await.expect(200);
    assert_eq!((&open["total"], &open["data"][0]["verdict"]["by"]), (&json!(3), &json!("majority")));
    let item = open["data"][0]["item"].as_u64().unwrap();
    let row = open["data"][0]["row_id"].as_str().unwrap().to_owned();
    let decide = json!({"adjudicator": "eve", "value": "tie", "reason": "both are wrong"});
    house.put(&key, &format!("{PATH}/better/items/{item}/decision"), decide).await.expect(200);
    let rest = house.get(&key, &format!("{PATH}/better/items?undecided=true")).await.expect(200);
    assert_eq!(rest["total"], 2);
    let log = house.get(OPERATOR, "/api/v1/audit?noun=annotation").await.expect(200);
    assert_eq!((&log["data"][0]["action"], &log["data"][0]["detail"]["value"]), (&json!("adjudicate"), &json!("tie")));

    let made = export(
        &house,
        &key,
        "better",
        json!({"column": "verdict", "values": {"a": 1, "b": 2, "tie": 0}, "details": true}),
    )
    .await;
    assert_eq!(
        made,
        json!({"dataset": "answers", "version": 2, "rows": 20, "column": "verdict", "labelled": 12, "open": 0, "changed": 0})
    );
    let rows = house.get(&key, "/api/v1/datasets/answers/versions/2/rows?limit=100").await.expect(200);
    let rows = rows["data"].as_array().unwrap();
    let labelled: Vec<&Value> = rows.iter().filter(|row| !row["values"]["verdict"].is_null()).collect();
    assert_eq!(labelled.len(), 12);
    for of_row in labelled {
        let values = &of_row["values"];
        let n: usize = values["question"].as_str().unwrap().trim_end_matches('?').parse().unwrap();
        let expected = if values["id"] == row { 0 } else { 1 + n % 2 };
        assert_eq!(values["verdict"], expected, "{of_row}");
        let how = if values["id"] == row {
            "adjudicated"
        } else if n % 4 == 0 {
            "majority"
        } else {
            "unanimous"
        };
        assert_eq!(values["verdict_by"], how);
        assert_eq!(values["verdict_said"]["ada"], if n % 2 == 0 { "a" } else { "b" });
    }
    let version = house.get(&key, "/api/v1/datasets/answers/versions/2").await.expect(200);
    let made_from: BTreeSet<&str> =
        version["made_from"].as_array().unwrap().iter().map(|from| from["kind"].as_str().unwrap()).collect();
    assert!(made_from.contains("annotation") && made_from.contains("dataset"), "{version}");

    // A row that says something else meanwhile is not what was labelled.
    let gone = json!({"replace": {&row: {"id": row, "question": "another?"}}});
    house.post(&key, "/api/v1/datasets/answers/rows", gone).await.expect(200);
    let again = export(&house, &key, "better", json!({"column": "verdict"})).await;
    assert_eq!((&again["version"], &again["labelled"], &again["changed"]), (&json!(4), &json!(11), &json!(1)));
    let alone = export(&house, &key, "better", json!({"to": "gold"})).await;
    assert_eq!((&alone["rows"], &alone["labelled"], &alone["changed"]), (&json!(12), &json!(12), &json!(0)));
    let twice = export(&house, &key, "better", json!({"to": "gold"})).await;
    assert_eq!(twice["version"], 1, "the same is the same version");
    let refused = async |wanted: Value| {
        house.post(&key, &format!("{PATH}/better/export"), wanted).await.refused(400, "invalid_value")
    };
    assert_eq!(refused(json!({"column": "question"})).await["param"], "column");
    assert_eq!(refused(json!({"column": ""})).await["param"], "column");
    house.post(&key, "/api/v1/datasets/theirs/rows", json!({"add": [{"question": "?"}]})).await.expect(200);
    assert_eq!(refused(json!({"to": "theirs"})).await["param"], "to");
    assert_eq!(refused(json!({"to": "answers"})).await["param"], "to");
    assert_eq!(refused(json!({"values": {"c": 1}})).await["param"], "values");
}

#[tokio::test]
async fn an_export_replaces_no_column_of_others_and_leaves_out_what_nobody_labelled() {
    let (house, key) = open().await;
    answers(&house, &key, 5).await;
    create(&house, &key, "better", pairs(&json!({"overlap": {"labels": 1}}))).await;
    let path = format!("{PATH}/better/export");
    let none = house.post(&key, &path, json!({"to": "gold"})).await.refused(400, "invalid_value");
    assert_eq!(none["param"], "to", "{none}");
    for _ in 0..2 {
        let item = next(&house, &key, "better", "ada").await["item"]["item"].clone();
        say(&house, &key, "better", "ada", &item, "tie").await;
    }
    let alone = export(&house, &key, "better", json!({"to": "gold"})).await;
    assert_eq!((&alone["rows"], &alone["labelled"], &alone["open"]), (&json!(2), &json!(2), &json!(3)));
    for version in [2, 3] {
        let item = next(&house, &key, "better", "ada").await["item"]["item"].clone();
        say(&house, &key, "better", "ada", &item, "tie").await;
        assert_eq!(export(&house, &key, "better", json!({})).await["version"], version, "its own column is replaced");
    }
    let more = json!({"add": [{"id": "new", "question": "new?", "label": "mine"}]});
    house.post(&key, "/api/v1/datasets/answers/rows", more).await.expect(200);
    let (state, why) = try_export(&house, &key, "better", json!({})).await;
    assert_eq!(state, "failed", "{why}");
    assert!(why.contains("row new") && why.contains("label"), "{why}");
    let elsewhere = export(&house, &key, "better", json!({"column": "verdict"})).await;
    assert_eq!((&elsewhere["version"], &elsewhere["labelled"]), (&json!(5), &json!(4)));
}

#[tokio::test]
async fn nobody_waits_and_nobody_works_for_nothing() {
    let (house, key) = open().await;
    answers(&house, &key, 3).await;
    create(&house, &key, "better", pairs(&json!({"overlap": {"labels": 1}}))).await;
    let given: Vec<u64> = {
        let mut given = Vec::new();
        for who in ["ada", "bob", "cyd"] {
            given.push(next(&house, &key, "better", who).await["item"]["item"].as_u64().unwrap());
        }
        given
    };
    assert_eq!(given, [0, 1, 2], "each has one in hand");
    assert_eq!(next(&house, &key, "better", "dan").await, json!({"item": null, "done": 0, "left": 3}));
    let label = json!({"annotator": "dan", "item": 0, "value": "tie"});
    let path = format!("{PATH}/better/labels");
    house.post(&key, &path, label).await.refused(409, "conflict");
    say(&house, &key, "better", "ada", &json!(0), "tie").await;
    let again = say(&house, &key, "better", "ada", &json!(0), "first").await;
    assert_eq!(again["changes"], 1, "who labelled an item may think again");
    let skip = json!({"annotator": "bob", "item": 1, "skipped": "the text is cut off"});
    house.post(&key, &path, skip).await.expect(201);
    assert_eq!(next(&house, &key, "better", "dan").await["item"]["item"], 1, "what was skipped needs another");
    let both = json!({"annotator": "dan", "item": 1, "value": "tie", "skipped": "no"});
    assert_eq!(house.post(&key, &path, both).await.refused(400, "invalid_value")["param"], "value");
    let wrong = json!({"annotator": "dan", "item": 1, "value": "a"});
    assert_eq!(house.post(&key, &path, wrong).await.refused(400, "invalid_value")["param"], "value");
    house.post(&key, &path, json!({"annotator": "dan", "item": 3, "value": "tie"})).await.refused(404, "not_found");
    let report = house.get(&key, &format!("{PATH}/better/report")).await.expect(200);
    assert_eq!(
        (&report["labels"], &report["skipped"], &report["agreement"]["alpha"]["undefined"]),
        (&json!(1), &json!(1), &json!("too_few"))
    );
}

#[tokio::test]
async fn people_speak_for_themselves() {
    let (house, key) = open().await;
    answers(&house, &key, 4).await;
    let people = json!({"annotators": ["ada"], "adjudicators": ["eve"]});
    house
        .post(&key, PATH, json!({"name": "better", "definition": pairs(&json!({})), "people": people}))
        .await
        .expect(201);
    let path = format!("{PATH}/better");
    let missing = house.post(&key, &format!("{path}/next"), json!({})).await.refused(400, "missing_value");
    assert_eq!(missing["param"], "annotator");
    house.post(&key, &format!("{path}/next"), json!({"annotator": "bob"})).await.refused(403, "not_allowed");
    let ada = Browser::of_account(&house, "ada", "editor").await;
    let given = ada.call(Method::POST, &format!("{path}/next"), Some(json!({}))).await.expect(200);
    assert_eq!(given["item"]["annotator"], "ada");
    let forged = json!({"annotator": "bob", "item": 0, "value": "tie"});
    ada.call(Method::POST, &format!("{path}/labels"), Some(forged)).await.refused(403, "not_allowed");
    let decide = json!({"value": "a", "reason": "I say so"});
    let decision = format!("{path}/items/0/decision");
    ada.call(Method::PUT, &decision, Some(decide.clone())).await.refused(403, "not_allowed");
    let changed = json!({"annotators": ["bob"], "adjudicators": ["ada"]});
    let told = house.put(&key, &format!("{path}/people"), changed.clone()).await.expect(200);
    assert_eq!(told["people"], changed);
    let decided = ada.call(Method::PUT, &decision, Some(decide)).await.expect(200);
    assert_eq!((&decided["adjudicator"], &decided["value"]), (&json!("ada"), &json!("a")));
    ada.call(Method::POST, &format!("{path}/next"), Some(json!({}))).await.refused(403, "not_allowed");
    for hidden in ["items", "items?disagreements=true"] {
        ada.get(&format!("{path}/{hidden}")).await.expect(200);
    }
    let bob = Browser::of_account(&house, "bob", "editor").await;
    bob.call(Method::POST, &format!("{path}/next"), Some(json!({}))).await.expect(200);
    bob.get(&format!("{path}/report")).await.expect(200);
    bob.get(&format!("{path}/items")).await.refused(403, "not_allowed");
    let free = json!({"annotators": [], "adjudicators": []});
    bob.call(Method::PUT, &format!("{path}/people"), Some(free.clone())).await.refused(403, "not_allowed");
    let anew = json!({"name": "better", "definition": pairs(&json!({"question": "?"})), "people": free});
    bob.call(Method::POST, PATH, Some(anew.clone())).await.refused(403, "not_allowed");
    bob.call(Method::POST, &format!("{path}/export"), Some(json!({}))).await.refused(403, "not_allowed");
    bob.call(Method::DELETE, &path, None).await.refused(403, "not_allowed");
    house.put(&key, &format!("{path}/people"), json!({"annotators": ["bob"], "adjudicators": []})).await.expect(200);
    let decide = json!({"value": "a", "reason": "I say so"});
    bob.call(Method::PUT, &decision, Some(decide)).await.refused(403, "not_allowed");
    let second = json!({"name": "better", "definition": pairs(&json!({"question": "Which one is shorter?"}))});
    let second = house.post(&key, PATH, second).await.expect(201);
    assert_eq!(
        (&second["version"], &second["people"]["annotators"]),
        (&json!(2), &json!(["bob"])),
        "who was asked is asked anew"
    );
    let looks = house.key(&[Scope::Read]).await;
    house.post(&looks, &format!("{path}/next"), json!({"annotator": "bob"})).await.refused(403, "missing_scope");
    let theirs = house.key_of("other", &[Scope::Write]).await;
    house.get(&theirs, &path).await.refused(404, "not_found");
}

#[tokio::test]
async fn versions_labels_and_all_go_together() {
    let (house, key) = open().await;
    answers(&house, &key, 4).await;
    let first = create(&house, &key, "better", pairs(&json!({}))).await;
    let item = next(&house, &key, "better", "ada").await["item"]["item"].clone();
    say(&house, &key, "better", "ada", &item, "tie").await;
    assert_eq!(create(&house, &key, "better", pairs(&json!({}))).await["id"], first["id"], "the same, with its labels");
    let other = create(&house, &key, "better", pairs(&json!({"question": "Which one is shorter?"}))).await;
    assert_eq!(other["version"], 2);
    let labels = async |version: &str| {
        house.get(&key, &format!("{PATH}/better/report{version}")).await.expect(200)["labels"].clone()
    };
    assert_eq!((labels("").await, labels("?version=1").await), (json!(0), json!(1)));
    let versions = house.get(&key, &format!("{PATH}/better/versions")).await.expect(200);
    assert_eq!(versions["data"].as_array().unwrap().len(), 2);
    assert_eq!(house.get(&key, PATH).await.expect(200)["data"][0]["version"], 2);
    house.delete(&key, &format!("{PATH}/better")).await.expect(204);
    house.get(&key, &format!("{PATH}/better?version=1")).await.refused(404, "not_found");
    house.delete(&key, &format!("{PATH}/better")).await.refused(404, "not_found");
    let log = house.get(OPERATOR, "/api/v1/audit?noun=annotation").await.expect(200);
    assert_eq!(log["data"][0]["action"], "remove");
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let (house, key) = open().await;
    answers(&house, &key, 4).await;
    let why = async |change: Value| {
        let body = json!({"name": "better", "definition": pairs(&change)});
        house.post(&key, PATH, body).await.refused(400, "invalid_value")["param"].clone()
    };
    assert_eq!(why(json!({"show": ["one"]})).await, "show");
    assert_eq!(why(json!({"show": ["nothing"]})).await, "show");
    assert_eq!(why(json!({"scale": {"kind": "pairwise", "a": "one", "b": "three"}})).await, "scale.b");
    assert_eq!(why(json!({"sample": {"limit": 0}})).await, "sample.limit");
    assert_eq!(why(json!({"sample": {"stratify": "three"}})).await, "sample.stratify");
    assert_eq!(why(json!({"overlap": {"labels": 99}})).await, "overlap.labels");
    let nowhere = json!({"name": "better", "definition": pairs(&json!({"dataset": "nothing"}))});
    house.post(&key, PATH, nowhere).await.refused(404, "not_found");
    assert_eq!(house.get(&key, PATH).await.expect(200)["data"], json!([]));
}
