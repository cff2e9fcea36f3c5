//! `/api/v1/evaluations`: answers of columns and of models, looked at by functions, metrics of a corpus and judges.

mod asked;
mod bertscore;
mod judges;

use std::path::Path;

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::House;

pub const PATH: &str = "/api/v1/evaluations";

pub async fn open() -> (House, String) {
    let house = House::open().await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    (house, key)
}

/// A dataset of these rows.
pub async fn rows(house: &House, key: &str, name: &str, rows: &[Value]) {
    for rows in rows.chunks(200) {
        house.post(key, &format!("/api/v1/datasets/{name}/rows"), json!({ "add": rows })).await.expect(200);
    }
}

/// Runs an evaluation to its end and gives its page.
pub async fn run(house: &House, key: &str, name: &str, definition: Value) -> Value {
    let made = house.post(key, PATH, json!({"name": name, "definition": definition})).await.expect(201);
    ended(house, key, name, &made).await
}

pub async fn ended(house: &House, key: &str, name: &str, made: &Value) -> Value {
    let runner = house.run_evaluations();
    let job = made["job"].as_str().unwrap().parse().unwrap();
    let mut events = Box::pin(house.catalog.watch(job, 0));
    while futures::StreamExt::next(&mut events).await.is_some() {}
    runner.shutdown().await;
    house.get(key, &format!("{PATH}/{name}")).await.expect(200)
}

/// How many calls the upstream saw.
pub fn calls(house: &House) -> usize {
    house.stub.shared.all.lock().unwrap().len()
}

/// A score of a target.
pub fn score<'a>(page: &'a Value, target: &str, name: &str) -> &'a Value {
    let named = |list: &'a Value, name: &str| {
        list.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}"))
    };
    named(&named(&page["report"]["targets"], target)["scores"], name)
}

#[track_caller]
fn near(found: &Value, expected: f64, tolerance: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is no number"));
    assert!((found - expected).abs() <= tolerance, "{found} instead of {expected}");
}

fn parity(file: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../parity");
    serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap()
}

/// The pairs that `parity/metrics.py` scores as one corpus: those of the file with their first reference, and the joins, as far as
/// their answers are short enough.
fn corpus() -> Vec<Value> {
    let file = parity("metrics_pairs.json");
    let text = |pair: usize, part: usize| file["pairs"][pair][part].as_str().unwrap().to_owned();
    let mut pairs: Vec<(String, String)> =
        (0..file["pairs"].as_array().unwrap().len()).map(|pair| (text(pair, 0), text(pair, 1))).collect();
    for range in file["joined"].as_array().unwrap() {
        let [from, until] = [0, 1].map(|end| range[end].as_u64().unwrap() as usize);
        let join = |part| (from..until).map(|pair| text(pair, part)).collect::<Vec<_>>().join("\n");
        pairs.push((join(0), join(1)));
    }
    let short = pairs.into_iter().filter(|(answer, _)| answer.chars().count() < 4_000).enumerate();
    short
        .map(|(id, (answer, reference))| json!({"id": format!("r{id}"), "said": answer, "reference": reference}))
        .collect()
}

#[tokio::test]
async fn values_of_a_corpus_are_those_of_sacrebleu() {
    let (house, key) = open().await;
    let pairs = corpus();
    rows(&house, &key, "pairs", &pairs).await;
    let page = run(
        &house,
        &key,
        "corpus",
        json!({
            "dataset": "pairs", "target": {"column": "said"},
            "scorers": [{"kind": "bleu", "smooth": {"add-k": 1.0}}, {"kind": "chrf"}, {"kind": "leak"}],
        }),
    )
    .await;
    assert_eq!((&page["state"], &page["items"]), (&json!("finished"), &json!(pairs.len())), "{page}");
    let expected = parity("metrics.json");
    for (name, section) in [("bleu", &expected["bleu_corpus"][5][0]), ("chrf", &expected["chrf_corpus"][0][0])] {
        let found = score(&page, "target", name);
        near(&found["value"], section["score"].as_f64().unwrap(), 1e-6);
        assert_eq!(found["signature"], section["signature"]);
        let (low, high) = (found["low"].as_f64().unwrap(), found["high"].as_f64().unwrap());
        let value = found["value"].as_f64().unwrap();
        assert!(low < value && value < high && high - low < 10.0, "{low} {value} {high}");
        assert_ne!(found["value"], found["sentence_mean"], "which is another number");
        let counts = found["distribution"]["counts"].as_array().unwrap();
        let all: u64 = counts.iter().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!((all as usize, &found["missing"]), (pairs.len(), &json!(0)));
    }
    assert_eq!(calls(&house), 0, "nobody is asked about answers that are there");
}

fn classed() -> Vec<Value> {
    // Of 10: truth a 5, b 5; `first` tells 4 a right, 1 as b, of b 3 right and 1 as a; one row has no answer.
    let told = [
        ("a", "a", 0.9),
        ("a", "a", 0.8),
        ("a", "a", 0.7),
        ("a", "a", 0.6),
        ("a", "b", 0.3),
        ("b", "b", 0.2),
        ("b", "b", 0.4),
        ("b", "b", 0.1),
        ("b", "a", 0.5),
        ("b", "", 0.0),
    ];
    let row = |(place, (truth, told, probability)): (usize, &(&str, &str, f64))| {
        let told = if told.is_empty() { Value::Null } else { json!(format!("Class: {}", told.to_uppercase())) };
        json!({"id": format!("r{place}"), "label": truth, "first": told, "second": format!("Class: {truth}"), "p": probability})
    };
    told.iter().enumerate().map(row).collect()
}

#[tokio::test]
async fn classes_and_pairs_of_targets_by_hand() {
    let (house, key) = open().await;
    rows(&house, &key, "classes", &classed()).await;
    let classes = json!({"kind": "classification", "label": "label", "extract": "Class: (.*)", "ignore_case": true, "positive": "a", "probability": "p"});
    let page = run(&house, &key, "classes", json!({
        "dataset": "classes", "targets": {"one": {"column": "first"}, "two": {"column": "second"}},
        "scorers": [classes, {"kind": "length", "unit": "words", "better": "higher"}], "gate": ["one.classification >= 0.7"],
    }))
    .await;
    let found = score(&page, "one", "classification");
    let of = &found["classes"];
    // Of a: 4 of 5 told are right, 4 of 5 there are told: 0.8. Of b: 3 of 4, 3 of 4: 0.75.
    near(&of["macro"]["f1"], 0.775, 1e-9);
    near(&found["value"], 0.775, 1e-9);
    near(&of["micro"]["f1"], 7.0 / 9.0, 1e-9);
    near(&of["accuracy"], 7.0 / 9.0, 1e-9);
    assert_eq!(of["classes"][0]["told"], json!({"a": 4, "b": 1}));
    // Five a's and five b's: of 25 pairs a's 0.3 is below 0.4 and 0.5, so 23 are in order.
    near(&of["roc_auc"], 23.0 / 25.0, 1e-9);
    assert_eq!((&found["items"], &found["missing"], &found["why"]), (&json!(9), &json!(1), &json!({"no_answer": 1})));
    assert_eq!(page["report"]["targets"][0]["empty"], 1);
    near(&score(&page, "two", "classification")["value"], 1.0, 1e-9);

    let compared = &page["report"]["comparisons"];
    assert_eq!(
        (&compared[0]["a"], &compared[0]["b"], &compared[0]["test"]),
        (&json!("one"), &json!("two"), &json!("mcnemar"))
    );
    // Both answered 9 items, of which only `two` has 2 more right: mid-p = 2·¼ − ¼.
    assert_eq!(
        (&compared[0]["items"], &compared[0]["better_b"], &compared[0]["left_out"]),
        (&json!(9), &json!(2), &json!(1))
    );
    near(&compared[0]["p"], 0.25, 1e-9);

    let apart = house.get(&key, &format!("{PATH}/classes/items?disagree=classification")).await.expect(200);
    assert_eq!(apart["total"], 2);
    let wrong =
        house.get(&key, &format!("{PATH}/classes/items?target=one&scorer=classification&highest=0")).await.expect(200);
    let ids: Vec<&str> =
        wrong["data"].as_array().unwrap().iter().map(|item| item["row_id"].as_str().unwrap()).collect();
    assert_eq!((wrong["total"].clone(), ids.contains(&"r4") && ids.contains(&"r8")), (json!(2), true));
    let missing =
        house.get(&key, &format!("{PATH}/classes/items?scorer=classification&missing=true")).await.expect(200);
    let item = &missing["data"][0];
    assert_eq!(
        (&missing["total"], &item["row_id"], &item["answers"][0]["why"]["classification"]),
        (&json!(1), &json!("r9"), &json!("no_answer"))
    );
    let one = house.get(&key, &format!("{PATH}/classes/items/{}", item["item"])).await.expect(200);
    assert_eq!((one["answers"].as_array().unwrap().len(), &one["answers"][1]["output"]), (2, &json!("Class: b")));
    house.get(&key, &format!("{PATH}/classes/items/77")).await.refused(404, "not_found");
    house.get(&key, &format!("{PATH}/classes/items?scorer=f1&highest=1")).await.refused(400, "invalid_value");
    house.get(&key, &format!("{PATH}/classes/items?target=three")).await.refused(400, "invalid_value");
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_and_what_is_there_can_go() {
    let (house, key) = open().await;
    rows(&house, &key, "classes", &classed()).await;
    let refused = async |definition: Value, field: &str| {
        let error =
            house.post(&key, PATH, json!({"name": "x", "definition": definition})).await.refused(400, "invalid_value");
        assert!(error["param"].as_str().unwrap_or_default().contains(field), "{error}");
    };
    let with = |target: Value, scorer: Value| json!({"dataset": "classes", "target": target, "scorers": [scorer]});
    refused(with(json!({"column": "third"}), json!({"kind": "bleu"})), "target").await;
    refused(with(json!({"column": "first"}), json!({"kind": "classification", "label": "lable"})), "classification")
        .await;
    refused(with(json!({"column": "first"}), json!({"kind": "classification", "average": "positive"})), "scorers")
        .await;
    house
        .post(&key, PATH, json!({"name": "x", "definition": with(json!({"prompt": "none"}), json!({"kind": "bleu"}))}))
        .await
        .refused(404, "not_found");
    assert_eq!(house.get(&key, PATH).await.expect(200)["data"], json!([]), "nothing was made");

    let reader = house.key(&[Scope::Write]).await;
    let plain = with(json!({"column": "first"}), json!({"kind": "exact_match"}));
    let made = house.post(&reader, PATH, json!({"name": "plain", "definition": plain})).await.expect(201);
    ended(&house, &reader, "plain", &made).await;
    let similar = with(json!({"column": "first"}), json!({"kind": "embedding_similarity", "model": "stub/vectors-2"}));
    house.post(&reader, PATH, json!({"name": "asks", "definition": similar})).await.refused(403, "missing_scope");
    house.delete(&key, &format!("{PATH}/plain")).await.expect(204);
    house.get(&key, &format!("{PATH}/plain")).await.refused(404, "not_found");
}
