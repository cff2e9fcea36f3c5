//! Scores of tokens, with the encoder that tests have.

use qd_catalog::Scope;
use serde_json::{Value, json};

use super::{PATH, near, parity, rows, run, score};
use crate::house::House;
use crate::local;

/// So many of the pairs that `parity/bert_score.py` scored, with one reference or two.
const PAIRS: usize = 24;
/// Where they begin.
const FIRST: usize = 90;

async fn open() -> (House, String) {
    let house = local::house().await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    (house, key)
}

#[tokio::test]
async fn values_are_those_of_bert_score() {
    let (house, key) = open().await;
    let (pairs, expected) = (parity("metrics_pairs.json"), parity("bert_score.json"));
    let places = FIRST..FIRST + PAIRS;
    let row = |place: usize| {
        let pair = pairs["pairs"][place].as_array().unwrap();
        json!({"id": format!("r{place}"), "said": pair[0], "reference": pair[1..]})
    };
    rows(&house, &key, "pairs", &places.clone().map(row).collect::<Vec<Value>>()).await;
    let baseline = &expected["baseline"];
    let baseline = json!({"precision": baseline[0], "recall": baseline[1], "f1": baseline[2]});
    let scorer = |name: &str, more: Value| {
        let mut scorer = json!({"kind": "bertscore", "model": "embed", "name": name});
        scorer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scorer
    };
    let scorers = [
        scorer("f1", json!({})),
        scorer("precision", json!({"measure": "precision"})),
        scorer("recall_3", json!({"measure": "recall", "layer": 3})),
        scorer("rescaled", json!({"baseline": baseline})),
        scorer("idf", json!({"idf": true})),
    ];
    let definition = json!({"dataset": "pairs", "target": {"column": "said"}, "scorers": scorers});
    let page = run(&house, &key, "tokens", definition.clone()).await;
    assert_eq!((&page["state"], &page["report"]["spent_picodollars"]), (&json!("finished"), &json!(0)), "{page}");
    let mean = |way: &str, measure: usize| {
        places.clone().map(|place| expected[way][place][measure].as_f64().unwrap()).sum::<f64>() / PAIRS as f64
    };
    for (name, expected) in [("f1", mean("last", 2)), ("precision", mean("last", 0)), ("recall_3", mean("layer_3", 1))]
    {
        let found = score(&page, "target", name);
        assert_eq!(found["items"], PAIRS, "{found}");
        near(&found["value"], expected, 1e-4);
    }
    // The scale is linear, so the best reference and the mean are the same on it.
    let f1 = score(&page, "target", "f1")["value"].as_f64().unwrap();
    near(&score(&page, "target", "rescaled")["value"], (f1 - 0.3) / 0.7, 1e-6);
    // How rare tokens are follows from the references of these items, which are others than the script's.
    let idf = score(&page, "target", "idf")["value"].as_f64().unwrap();
    assert!((idf - f1).abs() > 1e-4 && (idf - f1).abs() < 0.2, "{idf} beside {f1}");

    // All is known: nothing is computed again.
    let mut again = definition;
    again["concurrency"] = json!(2);
    let page = run(&house, &key, "again", again).await;
    near(&score(&page, "target", "idf")["value"], idf, 0.0);
}

#[tokio::test]
async fn models_that_hand_out_no_tokens_are_refused() {
    let (house, key) = open().await;
    let row = json!({"id": "r", "said": "a", "reference": "b", "none": null});
    rows(&house, &key, "pairs", &[row]).await;
    let refused = async |scorer: Value, why: &str| {
        let definition = json!({"dataset": "pairs", "target": {"column": "said"}, "scorers": [scorer]});
        let answer = house.post(&key, PATH, json!({"name": "x", "definition": definition})).await;
        let error = answer.refused(400, "invalid_value");
        assert!(error["message"].as_str().unwrap_or_default().contains(why), "{error}");
    };
    refused(json!({"kind": "bertscore", "model": "stub/vectors-2"}), "installed here").await;
    refused(json!({"kind": "bertscore", "model": "tiny"}), "loaded for chat").await;
    refused(json!({"kind": "bertscore", "model": "embed", "layer": 7}), "the model has 1 to 6").await;
    let high = json!({"precision": 0.5, "recall": 0.5, "f1": 1.0});
    refused(json!({"kind": "bertscore", "model": "embed", "baseline": high}), "below 1").await;
    let writer = house.key(&[Scope::Write]).await;
    let asks =
        json!({"dataset": "pairs", "target": {"column": "said"}, "scorers": [{"kind": "bertscore", "model": "embed"}]});
    house.post(&writer, PATH, json!({"name": "x", "definition": asks})).await.refused(403, "missing_scope");
}
