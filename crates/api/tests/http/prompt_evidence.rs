//! What is known of the difference between two versions of a prompt: from experiments, and from production without them.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{Answer, House};
use crate::prompts::{call, label, put, says};
use crate::{experiments, house};

const CHAT: &str = "/v1/chat/completions";

async fn open() -> (House, String) {
    let house = House::open().await;
    let key = house.key(&[Scope::Write, Scope::Infer]).await;
    (house, key)
}

async fn get(house: &House, key: &str, path: &str) -> Value {
    house.get(key, &format!("/api/v1/prompts/{path}")).await.expect(200)
}

#[tokio::test]
async fn an_experiment_with_both_versions_says_which_is_better() {
    let (house, key) = open().await;
    experiments::sums(&house, &key, 40).await;
    experiments::prompt(&house, &key, "sum", "guess").await;
    experiments::prompt(&house, &key, "sum", "add").await;
    experiments::prompt(&house, &key, "sum", "add well").await;
    let none = get(&house, &key, "sum/evidence?from=1&to=2").await;
    assert_eq!(none["experiment"], Value::Null);
    let sentence = none["experiment_sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("No experiment has asked version 1 and version 2 about the same items."),
        "{sentence}"
    );
    assert!(sentence.contains(r#""prompts": ["sum@1", "sum@2"]"#), "{sentence}");

    let sweep = |prompts: Value, more: Value| {
        let mut definition = json!({
            "dataset": "sums", "prompts": prompts, "items": {"limit": 30}, "parameters": {"temperature": [0]},
            "scorers": [{"kind": "exact_match"}, {"kind": "length"}],
        });
        definition.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        definition
    };
    experiments::run(&house, &key, "first", sweep(json!(["sum@1", "sum@2"]), json!({}))).await;
    // It has only one of the two, so it says nothing of their difference.
    experiments::run(&house, &key, "other", sweep(json!(["sum@2", "sum@3"]), json!({}))).await;
    let found = get(&house, &key, "sum/evidence?from=1&to=2").await;
    let experiment = &found["experiment"];
    assert_eq!(
        json!([experiment["name"], experiment["version"], experiment["state"], experiment["dataset"]]),
        json!(["first", 1, "finished", "sums@1"])
    );
    let [pair] = experiment["pairs"].as_array().unwrap().as_slice() else { panic!("{experiment}") };
    assert_eq!(json!([pair["from_cell"], pair["to_cell"], pair["setting"]]), json!(["c1", "c2", "stub/sums"]));
    let exact = &pair["scores"][0];
    assert_eq!(
        json!([exact["mean_a"], exact["mean_b"], exact["difference"], exact["verdict"], exact["items"]]),
        json!([0.0, 1.0, 1.0, "b_better", 30])
    );
    let sentence = found["experiment_sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with("Experiment first@1 on sums@1: exact_match: version 2 beats version 1 by 100.0 points ["),
        "{sentence}"
    );

    let back = get(&house, &key, "sum/evidence?from=2&to=1").await;
    assert_eq!(back["experiment"]["pairs"][0]["scores"][0]["difference"], -1.0);
    // The latest one counts, with a pair for each setting.
    experiments::run(&house, &key, "second", sweep(json!(["sum@1", "sum@2"]), json!({"shots": [0, 2]}))).await;
    let latest = get(&house, &key, "sum/evidence?from=1&to=latest").await;
    assert_eq!(latest["experiment"], Value::Null, "version 3 was never held against version 1");
    let latest = get(&house, &key, "sum/evidence?from=1&to=2").await;
    assert_eq!(latest["experiment"]["name"], "second");
    let settings: Vec<&str> = latest["experiment"]["pairs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair["setting"].as_str().unwrap())
        .collect();
    assert_eq!(settings, ["stub/sums · 0 shots", "stub/sums · 2 shots"]);
    assert_eq!(get(&house, &key, "sum/evidence?from=2&to=2").await["experiment_sentence"], "It is one version.");
    house.get(&key, "/api/v1/prompts/sum/evidence?from=1&to=9").await.refused(404, "not_found");
}

#[tokio::test]
async fn production_is_what_experiments_did_not_call() {
    let (house, key) = open().await;
    experiments::sums(&house, &key, 30).await;
    experiments::prompt(&house, &key, "sum", "add").await;
    let asked =
        json!({"dataset": "sums", "prompts": ["sum"], "items": {"limit": 20}, "scorers": [{"kind": "exact_match"}]});
    experiments::run(&house, &key, "first", asked).await;
    let body = json!({"prompt_variables": {"question": "1 + 1 = ?"}});
    for _ in 0..3 {
        call(&house, &key, CHAT, "sum@1", body.clone()).await.expect(200);
    }
    house.settle().await;
    let metrics = get(&house, &key, "sum/metrics").await;
    assert_eq!(json!([metrics["data"][0]["version"], metrics["data"][0]["calls"]]), json!([1, 3]));
    // The same by the filter that lists and statistics have.
    let count = |more: &str| {
        let path = format!("/api/v1/stats?prompt=sum{more}");
        let (house, key) = (&house, &key);
        async move { house.get(key, &path).await.expect(200)["total"]["requests"].clone() }
    };
    assert_eq!(
        json!([count("").await, count("&experiments=false").await, count("&experiments=true").await]),
        json!([23, 3, 20])
    );
    let listed = house.get(&key, "/api/v1/traces?prompt=sum&experiments=false").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
}

/// Three calls of version 1, of which one fails, and none of version 2; two answers are liked and one is not.
#[tokio::test]
async fn calls_of_a_version_are_told_with_their_scores() {
    let (house, key) = open().await;
    put(&house, &key, "greeting", says("one")).await;
    put(&house, &key, "greeting", says("two")).await;
    label(&house, &key, "greeting", json!({"version": 1})).await.expect(200);
    let said = |model: &str| json!({"model": model, "prompt_variables": {"name": "Ada"}});
    let mut answers: Vec<Answer> = Vec::new();
    for _ in 0..3 {
        answers.push(call(&house, &key, CHAT, "greeting", said("stub/echo-1")).await);
    }
    assert_eq!(call(&house, &key, CHAT, "greeting", said("stub/broken")).await.status.as_u16() / 100, 5);
    house.settle().await;
    let scores: Vec<Value> = answers
        .iter()
        .zip([1, 1, 0])
        .map(|(answer, value)| json!({"trace_id": answer.header("x-quarterdeck-trace-id"), "name": "helpful", "value": value}))
        .collect();
    house.post(&key, "/api/v1/scores", json!({"scores": scores})).await.expect(200);

    let metrics = get(&house, &key, "greeting/metrics?days=1").await;
    let [one] = metrics["data"].as_array().unwrap().as_slice() else { panic!("{metrics}") };
    assert_eq!(json!([one["version"], one["calls"], one["errors"], one["error_rate"]["mean"]]), json!([1, 4, 1, 0.25]));
    // statsmodels: proportion_confint(1, 4, method="wilson") = (0.04559, 0.69936), of (2, 3) = (0.20766, 0.93851).
    near(&one["error_rate"], (0.045_59, 0.699_36));
    let helpful = &one["scores"][0];
    assert_eq!(
        json!([helpful["name"], helpful["n"], one["scores"].as_array().unwrap().len()]),
        json!(["helpful", 3, 1])
    );
    assert!((helpful["mean"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-12);
    near(helpful, (0.207_66, 0.938_51));
    assert_eq!(one["cost_per_call_usd"], Value::Null, "the stub's prices are not known");

    let evidence = get(&house, &key, "greeting/evidence?from=1&to=2").await;
    let calls: Vec<&Value> =
        evidence["production"]["data"].as_array().unwrap().iter().map(|one| &one["calls"]).collect();
    assert_eq!(calls, [4, 0]);
    let sentence = evidence["production_sentence"].as_str().unwrap();
    assert!(sentence.starts_with("No call in this time said version 2."), "{sentence}");
    call(&house, &key, CHAT, "greeting@2", said("stub/echo-1")).await.expect(200);
    house.settle().await;
    let evidence = get(&house, &key, "greeting/evidence?from=1&to=2").await;
    assert!(evidence["production_sentence"].as_str().unwrap().contains("not drawn at random"));
    house.get(&key, "/api/v1/prompts/greeting/metrics?days=0").await.refused(400, "invalid_value");
    house.get(&key, "/api/v1/prompts/nobody/metrics").await.refused(404, "not_found");
    let theirs = house.key_of("other", &[Scope::Read]).await;
    house.get(&theirs, "/api/v1/prompts/greeting/metrics").await.refused(404, "not_found");
}

fn near(mean: &Value, (low, high): (f64, f64)) {
    let close = |end: &str, expected: f64| (mean[end].as_f64().unwrap() - expected).abs() < 1e-4;
    assert!(close("low", low) && close("high", high), "{mean}");
}

/// Tokens are counted by the model that would be asked, once it is loaded, and estimated before.
#[tokio::test]
async fn tokens_are_counted_where_the_model_is_here() {
    let house = crate::local::house().await;
    let key = house.key(&[Scope::Infer, Scope::Write]).await;
    let mut chat = says("Be kind.");
    chat["model"] = "tiny".into();
    put(&house, &key, "chat", chat).await;
    put(&house, &key, "text", json!({"kind": "text", "text": "Once upon a time", "model": "tiny"})).await;
    let render = async |name: &str, variables: Value| {
        let path = format!("/api/v1/prompts/{name}/render");
        house.post(&key, &path, json!({"variables": variables})).await.expect(200)
    };
    let ada = json!({"name": "Ada"});
    assert_eq!(render("chat", ada.clone()).await["tokens_estimated"], true, "the model is not loaded for it");
    house.post(house::OPERATOR, "/api/v1/models/tiny/load", json!({})).await.expect(200);
    let called = call(&house, &key, CHAT, "chat", json!({"prompt_variables": ada, "max_tokens": 1})).await.expect(200);
    let said = render("chat", ada).await;
    assert_eq!(json!([said["tokens"], said["tokens_estimated"]]), json!([called["usage"]["prompt_tokens"], false]));
    let continued = call(&house, &key, "/v1/completions", "text", json!({"max_tokens": 1})).await.expect(200);
    let said = render("text", json!({})).await;
    assert_eq!(json!([said["tokens"], said["tokens_estimated"]]), json!([continued["usage"]["prompt_tokens"], false]));
}
