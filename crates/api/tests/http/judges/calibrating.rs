//! A judge of single answers compared with one person.

use serde_json::{Value, json};

use super::{PATH, calibrate, calls, create, ended, open};
use crate::house::{House, OPERATOR};

/// How many judgements there are.
pub async fn rows(house: &House) -> u64 {
    let sql = json!({"sql": "SELECT count(*) AS n FROM judgements"});
    house.post(OPERATOR, "/api/v1/sql", sql).await.expect(200)["rows"][0]["n"].as_u64().unwrap()
}

/// A dataset of so many answers of which a person says yes and the judge will, too.
pub async fn answers(house: &House, key: &str, count: usize) {
    let rows: Vec<Value> = (0..count)
        .map(|n| json!({"id": format!("r{n}"), "answer": format!("{n} says:yes;"), "human": "yes"}))
        .collect();
    house.post(key, "/api/v1/datasets/answers/rows", json!({"add": rows})).await.expect(200);
}

/// Of 12 that a person calls good the judge says yes 10 times, no once, and nothing once; of 8 others no 5 times, yes twice, nothing once.
/// One has no label.
async fn labelled(house: &House, key: &str) {
    let groups = [
        ("yes", "yes", 10),
        ("yes", "no", 1),
        ("yes", "cannot tell", 1),
        ("no", "no", 5),
        ("no", "yes", 2),
        ("no", "cannot tell", 1),
    ];
    let mut rows = vec![json!({"id": "r", "text": "says:yes;", "human": null, "strict": null})];
    for (human, judge, count) in groups {
        rows.extend((0..count).map(|n| {
            json!({"id": format!("{human}-{judge}-{n}"), "text": format!("{n} {human} says:{judge};"), "human": human, "strict": "no", "by": (["mine", "theirs"][n % 2])})
        }));
    }
    house.post(key, "/api/v1/datasets/labelled/rows", json!({"add": rows})).await.expect(200);
}

#[track_caller]
fn near(found: &Value, value: f64, low: Option<f64>, high: Option<f64>) {
    let close = |name: &str, expected: f64| {
        let number = found[name].as_f64().unwrap_or_else(|| panic!("{name} of {found}"));
        assert!((number - expected).abs() < 1e-3, "{name} is {number}, not {expected}");
    };
    close("value", value);
    low.into_iter().for_each(|low| close("low", low));
    high.into_iter().for_each(|high| close("high", high));
}

#[tokio::test]
async fn a_card_says_what_the_rows_say() {
    let (house, key) = open().await;
    labelled(&house, &key).await;
    create(&house, &key, "polite", "stub/judge").await;
    let calibration = json!({
        "dataset": "labelled", "labels": ["human"], "values": {"answer": "text"}, "authors": ["by"], "own": "mine",
    });
    let found = calibrate(&house, &key, "polite", calibration.clone()).await;
    assert_eq!((&found["calibrated"], calls(&house)), (&json!(true), 20));
    let card = &found["card"];
    assert_eq!(
        (&card["state"], &card["items"], &card["dataset"]),
        (&json!("finished"), &json!(20), &json!("labelled@1"))
    );
    // Wilson's intervals of 15 of 20 and 15 of 18, as statsmodels' proportion_confint has them.
    near(&card["accuracy"]["all"], 0.75, Some(0.5313), Some(0.8881));
    near(&card["accuracy"]["told"], 15.0 / 18.0, Some(0.6078), Some(0.9416));
    assert_eq!(card["accuracy"]["most_common"], "yes");
    near(&card["accuracy"]["base_rate"], 0.6, None, None);
    near(&card["accuracy"]["gain"], 0.15, None, None);
    near(&card["outcomes"]["told"], 0.9, None, None);
    near(&card["outcomes"]["cannot_tell"], 0.1, None, None);
    near(&card["outcomes"]["failed"], 0.0, None, None);
    // Of 18: 15 alike, by chance (11·12 + 7·6)/18² = 0.537: (0.8333 − 0.5370)/(1 − 0.5370).
    near(&card["kappa"], 0.64, None, None);
    assert!(
        card["kappa"]["low"].as_f64().unwrap() < 0.64 && card["weighted_kappa"].is_null() && card["spearman"].is_null()
    );
    // The judge says yes once more often than people, in 18.
    near(&card["offset"], 1.0 / 18.0, None, None);
    let confusion = json!({"classes": ["no", "yes"], "counts": [[5, 2], [1, 10]], "untold": [1, 1]});
    assert_eq!(card["confusion"], confusion);
    // As statsmodels' OLS with HC3 has them; "yes" is longer than "no", which is why length tells so much here.
    near(&card["biases"]["length"], 10.2855, Some(9.7397), Some(10.8313));
    near(&card["biases"]["own"], -0.0036, Some(-0.0167), Some(0.0096));
    assert!(card["biases"]["order_flips"].is_null() && card["people"].is_null());
    assert_eq!((&card["worth"][0]["labels"], &card["worth"][1]["further"]), (&json!(18), &json!(180)));
    assert!(card["worth"][1]["effective_labels"]["value"].as_f64().unwrap() > 18.0);
    assert_eq!((&card["effort"]["calls"]["value"], &card["effort"]["unpriced"]), (&json!(1.0), &json!(20)));
    let sentence = card["sentence"].as_str().unwrap();
    assert!(
        sentence.starts_with(
            "polite@1 says what people say on 75.0 % [53.1, 88.8] of 20 items; who always says \"yes\" does on 60.0 %"
        ),
        "{sentence}"
    );
    assert!(sentence.ends_with("the two are not told apart"), "{sentence}");

    // Asked again there is nothing left to ask; with another person's labels neither, and the card is about those.
    let again = calibrate(&house, &key, "polite", calibration).await;
    assert_eq!((&again["card"]["accuracy"], calls(&house)), (&card["accuracy"], 20));
    let strict = json!({"dataset": "labelled", "labels": ["strict"], "values": {"answer": "text"}});
    let found = calibrate(&house, &key, "polite", strict).await;
    assert_eq!((calls(&house), rows(&house).await), (20, 20));
    near(&found["card"]["accuracy"]["all"], 6.0 / 20.0, None, None);
    assert_eq!(found["card"]["kappa"]["value"], 0.0, "people always say no");
    let listed = house.get(&key, &format!("{PATH}/polite/calibrations")).await.expect(200);
    assert_eq!((listed["data"].as_array().unwrap().len(), &listed["data"][0]["state"]), (1, &json!("finished")));
    assert_eq!(house.get(&key, &format!("{PATH}/polite")).await.expect(200)["calibrated"], true);
}

#[tokio::test]
async fn a_few_items_are_the_first_of_more() {
    let (house, key) = open().await;
    answers(&house, &key, 30).await;
    create(&house, &key, "polite", "stub/judge").await;
    let some =
        |limit: usize, seed: u64| json!({"dataset": "answers", "labels": ["human"], "limit": limit, "seed": seed});
    assert_eq!(calibrate(&house, &key, "polite", some(8, 3)).await["card"]["items"], 8);
    assert_eq!(calibrate(&house, &key, "polite", some(12, 3)).await["card"]["items"], 12);
    assert_eq!(calls(&house), 12, "the first 8 are among the 12");
    calibrate(&house, &key, "polite", some(12, 4)).await;
    assert!(calls(&house) > 12, "another seed draws others");
}

#[tokio::test]
async fn a_budget_stops_and_what_was_paid_is_not_paid_again() {
    let (house, key) = open().await;
    answers(&house, &key, 20).await;
    create(&house, &key, "polite", "stub/judge").await;
    // A judgement takes 12 tokens.
    let within = |tokens: u64| json!({"dataset": "answers", "labels": ["human"], "concurrency": 1, "budget": {"tokens": tokens}});
    let found = calibrate(&house, &key, "polite", within(60)).await;
    assert_eq!((&found["card"]["state"], &found["card"]["items"], calls(&house)), (&json!("stopped"), &json!(5), 5));
    assert!(found["card"]["why"].as_str().unwrap().contains("60 tokens"), "{found}");
    let found = calibrate(&house, &key, "polite", within(10_000)).await;
    assert_eq!((&found["card"]["state"], &found["card"]["items"], calls(&house)), (&json!("finished"), &json!(20), 20));
}

#[tokio::test]
async fn judgements_that_fail_are_told_and_made_again_when_asked() {
    let (house, key) = open().await;
    labelled(&house, &key).await;
    create(&house, &key, "flaky", "stub/judge-flaky").await;
    let calibration = json!({"dataset": "labelled", "labels": ["human"], "values": {"answer": "text"}});
    let found = calibrate(&house, &key, "flaky", calibration.clone()).await;
    assert_eq!(found["card"]["state"], "finished");
    near(&found["card"]["outcomes"]["failed"], 6.0 / 20.0, None, None);
    near(&found["card"]["accuracy"]["all"], 10.0 / 20.0, None, None);
    assert_eq!(calls(&house), 20);
    let again = json!({"retry_failed": true, "calibration": calibration});
    let begun = house.post(&key, &format!("{PATH}/flaky/calibrations"), again).await.expect(202);
    ended(&house, &begun).await;
    assert_eq!(calls(&house), 26, "the six that failed");
}

#[tokio::test]
async fn failures_after_what_was_told_before_are_those_of_items() {
    let (house, key) = open().await;
    let row = |n: usize| {
        let says = if n % 2 == 0 { "yes" } else { "no" };
        json!({"id": format!("r{n}"), "text": format!("{n} says:{says};"), "human": says})
    };
    crate::evaluations::rows(&house, &key, "halves", &(0..40).map(row).collect::<Vec<_>>()).await;
    create(&house, &key, "flaky", "stub/judge-flaky").await;
    let calibration = json!({"dataset": "halves", "labels": ["human"], "values": {"answer": "text"}});
    let found = calibrate(&house, &key, "flaky", calibration.clone()).await;
    assert_eq!(found["card"]["state"], "finished");
    let again = json!({"retry_failed": true, "calibration": calibration});
    let begun = house.post(&key, &format!("{PATH}/flaky/calibrations"), again).await.expect(202);
    ended(&house, &begun).await;
    let listed = house.get(&key, &format!("{PATH}/flaky/calibrations")).await.expect(200);
    assert_eq!((&listed["data"][0]["state"], calls(&house)), (&json!("finished"), 60), "twenty fail again: {listed}");
}

#[tokio::test]
async fn a_judge_that_is_not_reached_leaves_no_rows() {
    let (house, key) = open().await;
    answers(&house, &key, 20).await;
    create(&house, &key, "gone", "stub/judge-gone").await;
    let found = calibrate(&house, &key, "gone", json!({"dataset": "answers", "labels": ["human"]})).await;
    assert_eq!(found, json!({"judge": "gone@1", "calibrated": false, "card": null}));
    assert_eq!(rows(&house).await, 0);
    let listed = house.get(&key, &format!("{PATH}/gone/calibrations")).await.expect(200);
    assert_eq!(listed["data"][0]["state"], "failed");
    assert!(listed["data"][0]["why"].as_str().unwrap().contains("20 items did not reach"), "{listed}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anybody_is_asked() {
    let (house, key) = open().await;
    labelled(&house, &key).await;
    create(&house, &key, "polite", "stub/judge").await;
    let refused = async |change: Value| {
        let mut calibration = json!({"dataset": "labelled", "labels": ["human"], "values": {"answer": "text"}});
        calibration.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let path = format!("{PATH}/polite/calibrations");
        house.post(&key, &path, json!({"calibration": calibration})).await.refused(400, "invalid_value")
    };
    let message = |refused: Value| refused["message"].as_str().unwrap().to_owned();
    assert!(message(refused(json!({"labels": ["nobody"]})).await).contains("no column \"nobody\"; it has id, text"));
    assert!(message(refused(json!({"values": {}})).await).contains("'answer=COLUMN'"));
    assert!(message(refused(json!({"values": {"reply": "text"}})).await).contains("no input \"reply\""));
    assert!(message(refused(json!({"labels": ["id"]})).await).contains("none of the judge's places (no, yes)"));
    refused(json!({"limit": 0})).await;
    assert!(message(refused(json!({"authors": ["id", "text"]})).await).contains("one column"));
    let nothing = json!({"calibration": {"dataset": "other", "labels": ["human"]}});
    house.post(&key, &format!("{PATH}/polite/calibrations"), nothing).await.refused(404, "not_found");
    assert_eq!(calls(&house), 0);
    let calibration =
        json!({"calibration": {"dataset": "labelled", "labels": ["human"], "values": {"answer": "text"}}});
    let begun = house.post(&key, &format!("{PATH}/polite/calibrations"), calibration.clone()).await.expect(202);
    house.post(&key, &format!("{PATH}/polite/calibrations"), calibration).await.refused(409, "conflict");
    house.delete(&key, &format!("{PATH}/polite")).await.refused(409, "conflict");
    ended(&house, &begun).await;
    house.delete(&key, &format!("{PATH}/polite")).await.expect(204);
}
