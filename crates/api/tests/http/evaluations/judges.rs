//! Scorers that ask models about answers: judges with what their word is worth, and embeddings.

use serde_json::{Value, json};

use super::{calls, near, open, rows, run, score};

/// Answers that say themselves what the stub's judge says of them; people labelled some.
fn answers() -> Vec<Value> {
    let row = |n: usize| {
        let word = ["correct", "correct", "wrong", "partial", "correct", "unclear", "babble", "correct"][n % 8];
        // People say the same of most, but call every answer wrong whose number ends with 4.
        let human = match (n % 2, word) {
            (1, _) | (_, "unclear" | "babble") => Value::Null,
            _ if n % 10 == 4 => json!("wrong"),
            (_, word) => json!(word),
        };
        json!({"id": format!("r{n}"), "question": format!("what is {n}?"), "reference": n.to_string(), "said": format!("{n}: hereby {word}"), "people": human})
    };
    (0..40).map(row).collect()
}

fn judged(human: Value) -> Value {
    json!({
        "dataset": "answers", "target": {"column": "said"}, "concurrency": 2,
        "scorers": [{"kind": "judge", "judge": "ready/correctness@stub/judging", "name": "correct", "human": human}],
    })
}

#[tokio::test]
async fn a_judge_beside_what_people_say() {
    let (house, key) = open().await;
    rows(&house, &key, "answers", &answers()).await;
    let page = run(&house, &key, "judged", judged(json!("people"))).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("finished"), 40), "{page}");
    let found = score(&page, "target", "correct");
    // Of 40, 20 are correct, 5 wrong and 5 partial: 22.5 of 30. The judge cannot tell 5 and says nothing of 5.
    near(&found["value"], 22.5 / 30.0, 1e-9);
    assert_eq!((&found["items"], &found["why"]), (&json!(30), &json!({"cannot_tell": 5, "invalid": 5})));
    let judge = &found["judge"];
    assert_eq!((&judge["calibrated"], &judge["calibration"]), (&json!(false), &Value::Null));
    let corrected = &judge["corrected"];
    assert_eq!(
        (&corrected["labels"], &corrected["few_labels"], &corrected["same_answers"]),
        (&json!(15), &json!(true), &json!(true)),
        "{judge}"
    );
    let (low, high) = (corrected["low"].as_f64().unwrap(), corrected["high"].as_f64().unwrap());
    assert!(low < corrected["value"].as_f64().unwrap() && high <= 1.0 && low < corrected["people"].as_f64().unwrap());
    let notes = judge["notes"].to_string();
    assert!(
        notes.contains("is uncalibrated") && notes.contains("random sample") && notes.contains("Under 100 labels"),
        "{notes}"
    );
    let wrong =
        house.get(&key, "/api/v1/evaluations/judged/items?scorer=correct&highest=0.5&limit=1").await.expect(200);
    assert_eq!(wrong["total"], 10);
    let judgement = &wrong["data"][0]["answers"][0]["judgements"]["correct"];
    assert_eq!((&judgement["outcome"], &judgement["reasons"]), (&json!("score"), &json!("so it is")));

    // The same questions to the same judge are not asked again.
    let page = run(&house, &key, "again", judged(Value::Null)).await;
    assert_eq!((calls(&house), score(&page, "target", "correct")["judge"]["corrected"].clone()), (40, Value::Null));
    near(&score(&page, "target", "correct")["value"], 0.75, 1e-9);
    assert_eq!(page["report"]["tokens"], 0);
}

#[tokio::test]
async fn judges_that_do_not_fit_are_refused() {
    let (house, key) = open().await;
    rows(&house, &key, "answers", &answers()).await;
    let refused = async |scorer: Value, says: &str| {
        let definition = json!({"dataset": "answers", "target": {"column": "said"}, "scorers": [scorer]});
        let answer = house.post(&key, super::PATH, json!({"name": "x", "definition": definition})).await;
        let error = answer.refused(400, "invalid_value");
        assert!(error["message"].as_str().unwrap().contains(says), "{error}");
    };
    let judge = |more: Value| {
        let mut scorer = json!({"kind": "judge", "judge": "ready/correctness@stub/judging", "name": "j"});
        more.as_object().unwrap().iter().for_each(|(name, value)| scorer[name] = value.clone());
        scorer
    };
    refused(judge(json!({"values": {"question": "quesion"}})), "no column").await;
    refused(judge(json!({"values": {"answr": "said"}})), "takes no").await;
    refused(judge(json!({"values": {"answer": "said"}})), "gets the answer").await;
    refused(judge(json!({"human": {"other": "people"}})), "no target").await;
    refused(judge(json!({"judge": "ready/correctness"})), "needs a model").await;
    assert_eq!(calls(&house), 0);
}

#[tokio::test]
async fn embeddings_are_compared_by_their_cosine() {
    let (house, key) = open().await;
    // The stub counts the letters a and b, and adds a hundredth: cos of (2.01, 0.01) and (1.01, 1.01) is 1.0100…/√2.
    let pairs = [("aa", "ab"), ("aa", "a"), ("bb", "aa")];
    let row =
        |(n, (said, right)): (usize, &(&str, &str))| json!({"id": format!("r{n}"), "said": said, "reference": right});
    let all: Vec<Value> = pairs.iter().enumerate().map(row).collect();
    rows(&house, &key, "letters", &all).await;
    let scorer = json!({"kind": "embedding_similarity", "model": "stub/vectors-2", "name": "near"});
    let page =
        run(&house, &key, "near", json!({"dataset": "letters", "target": {"column": "said"}, "scorers": [scorer]}))
            .await;
    let cosine = |a: [f64; 2], b: [f64; 2]| (a[0] * b[0] + a[1] * b[1]) / (a[0].hypot(a[1]) * b[0].hypot(b[1]));
    let expected =
        [cosine([2.01, 0.01], [1.01, 1.01]), cosine([2.01, 0.01], [1.01, 0.01]), cosine([0.01, 2.01], [2.01, 0.01])];
    near(&score(&page, "target", "near")["value"], expected.iter().sum::<f64>() / 3.0, 1e-6);
    assert_eq!((&page["state"], calls(&house)), (&json!("finished"), 3), "{page}");
}
