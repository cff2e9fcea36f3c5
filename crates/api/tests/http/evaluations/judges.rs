//! Scorers that ask models about answers: judges with what their word is worth, and embeddings.

use serde_json::{Value, json};

use super::{PATH, calls, ended, near, open, rows, run, score};
use crate::house::OPERATOR;
use crate::judges;

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
async fn what_a_judge_did_not_tell_is_known_under_any_name() {
    let (house, key) = open().await;
    rows(&house, &key, "answers", &answers()).await;
    run(&house, &key, "judged", judged(Value::Null)).await;
    let mut other = judged(Value::Null);
    other["scorers"][0]["name"] = json!("other");
    let page = run(&house, &key, "other", other).await;
    let why = &score(&page, "target", "other")["why"];
    assert_eq!((calls(&house), why), (40, &json!({"cannot_tell": 5, "invalid": 5})), "{page}");
}

/// Answers in groups: what people say of them, what the judge will say, and how many.
fn replies(groups: &[(&str, &str, usize)]) -> Vec<Value> {
    let group = |&(people, judge, count): &(&str, &str, usize)| {
        let (people, judge) = (people.to_owned(), judge.to_owned());
        (0..count).map(move |n| {
            json!({"id": format!("{people}-{judge}-{n}"), "reply": format!("{n} {people} says:{judge};"), "people": people})
        })
    };
    groups.iter().flat_map(group).collect()
}

fn polite(dataset: &str, column: &str) -> Value {
    json!({"dataset": dataset, "target": {"column": column}, "scorers": [{"kind": "judge", "judge": "polite@1"}]})
}

async fn calibrated(house: &crate::house::House, key: &str) {
    judges::create(house, key, "polite", "stub/judge").await;
    let calibration = json!({"dataset": "seen", "labels": ["people"], "values": {"answer": "reply"}});
    judges::calibrate(house, key, "polite", calibration).await;
}

/// Of 60 answers the judge calls 45 good and people 40: it says yes too often by 5 of 60, so of others, of which it calls half good, people
/// would have said 1/2 − 1/12.
#[tokio::test]
async fn a_calibration_is_shown_and_corrects_the_mean_of_other_answers() {
    let (house, key) = open().await;
    rows(&house, &key, "seen", &replies(&[("yes", "yes", 40), ("no", "yes", 5), ("no", "no", 15)])).await;
    rows(&house, &key, "new", &replies(&[("?", "yes", 30), ("?", "no", 30)])).await;
    calibrated(&house, &key).await;
    let page = run(&house, &key, "corrected", polite("new", "reply")).await;
    let judge = &score(&page, "target", "polite")["judge"];
    assert_eq!((&judge["calibrated"], &judge["calibration"]["dataset"]), (&json!(true), &json!("seen@1")), "{page}");
    near(&judge["calibration"]["accuracy"], 55.0 / 60.0, 1e-9);
    // By chance 45/60·40/60 + 15/60·20/60 = 7/12: (11/12 − 7/12)/(1 − 7/12).
    near(&judge["calibration"]["kappa"], 0.8, 1e-9);
    let corrected = &judge["corrected"];
    near(&corrected["value"], 0.5 - 1.0 / 12.0, 1e-9);
    near(&corrected["people"], 40.0 / 60.0, 1e-9);
    // The judge's 30 of 60 has Wilson's [0.37735, 0.62265]. Of −5/60: −1 has Wilson's [0.03612, 0.18069] and +1 [0, 0.06017], so it lies in
    // [−0.18069, −0.08333 + √(0.06017² + (0.08333 − 0.03612)²)] = [−0.18069, −0.00685]. Together 0.41667 − √(0.12265² + 0.09736²) and
    // 0.41667 + √(0.12265² + 0.07648²).
    near(&corrected["low"], 0.26007, 1e-5);
    near(&corrected["high"], 0.56121, 1e-5);
    // Wilson's of 40 of 60.
    near(&corrected["people_low"], 0.54062, 1e-4);
    near(&corrected["people_high"], 0.77267, 1e-4);
    assert_eq!(
        (&corrected["labels"], &corrected["same_answers"], &corrected["lambda"]),
        (&json!(60), &json!(false), &json!(1.0))
    );
    let notes = judge["notes"].to_string();
    assert!(notes.contains("seen@1") && notes.contains("another dataset") && notes.contains("by as much"), "{notes}");
}

/// A judge that never errs, on answers that are worse than those of its calibration: nothing is to be corrected.
#[tokio::test]
async fn how_good_the_answers_of_a_calibration_are_is_no_part_of_a_correction() {
    let (house, key) = open().await;
    rows(&house, &key, "seen", &replies(&[("yes", "yes", 54), ("no", "no", 6)])).await;
    let mut new = replies(&[("yes", "yes", 18), ("no", "no", 42)]);
    new[0]["silent"] = json!("nothing that a judge could judge");
    rows(&house, &key, "new", &new).await;
    calibrated(&house, &key).await;
    let page = run(&house, &key, "worse", polite("new", "reply")).await;
    let corrected = &score(&page, "target", "polite")["judge"]["corrected"];
    near(&corrected["value"], 0.3, 1e-9);
    let (low, high) = (corrected["low"].as_f64().unwrap(), corrected["high"].as_f64().unwrap());
    assert!(low < 0.2 && 0.4 < high && 0.1 < low && high < 0.5, "{corrected}");
    let page = run(&house, &key, "silent", polite("new", "silent")).await;
    let found = score(&page, "target", "polite");
    assert_eq!((&found["items"], &found["judge"]["corrected"]), (&json!(0), &Value::Null), "nothing to correct");
}

/// People labelled these very answers, so none of them is one that only the judge saw.
#[tokio::test]
async fn answers_of_the_calibration_itself_are_counted_once() {
    let (house, key) = open().await;
    rows(&house, &key, "seen", &replies(&[("yes", "yes", 40), ("no", "yes", 5), ("no", "no", 15)])).await;
    calibrated(&house, &key).await;
    let page = run(&house, &key, "same", polite("seen", "reply")).await;
    let corrected = &score(&page, "target", "polite")["judge"]["corrected"];
    assert_eq!((&corrected["same_answers"], &corrected["lambda"]), (&json!(true), &json!(0.0)), "{page}");
    near(&corrected["value"], 40.0 / 60.0, 1e-9);
    assert_eq!((&corrected["low"], &corrected["high"]), (&corrected["people_low"], &corrected["people_high"]));
}

#[tokio::test]
async fn a_jury_looks_at_answers() {
    let (house, key) = open().await;
    let row = |n: usize| json!({"id": format!("r{n}"), "question": "?", "reference": "1", "said": format!("{n} hereby correct says:correct;")});
    rows(&house, &key, "answers", &(0..4).map(row).collect::<Vec<_>>()).await;
    let from = json!({"ready": "ready/correctness", "models": ["stub/judging", "stub/judge"]});
    house.post(&key, judges::PATH, json!({"name": "panel", "from": from})).await.expect(201);
    let scorer = json!({"kind": "judge", "judge": "panel@1"});
    let definition = json!({"dataset": "answers", "target": {"column": "said"}, "scorers": [scorer]});
    let page = run(&house, &key, "tried", definition).await;
    assert_eq!((&page["state"], calls(&house)), (&json!("finished"), 8), "each juror sees each answer: {page}");
    assert_eq!(page["report"]["unpriced"], 8, "of no call the price is known");
    near(&score(&page, "target", "panel")["value"], 1.0, 1e-9);
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

fn near_references(dataset: &str, model: &str) -> Value {
    let scorer = json!({"kind": "embedding_similarity", "model": model, "name": "near"});
    json!({"dataset": dataset, "target": {"column": "said"}, "scorers": [scorer]})
}

#[tokio::test]
async fn an_answer_without_a_reference_is_compared_with_nothing_and_done() {
    let (house, key) = open().await;
    let all = [json!({"id": "r0", "said": "aa", "reference": "ab"}), json!({"id": "r1", "said": "aa"})];
    rows(&house, &key, "letters", &all).await;
    let page = run(&house, &key, "near", near_references("letters", "stub/vectors-2")).await;
    let found = score(&page, "target", "near");
    assert_eq!((&found["items"], &found["why"]), (&json!(1), &json!({"no_reference": 1})), "{page}");
    let sql = json!({"sql": "SELECT count(*) AS n FROM evaluation_items"});
    let kept = house.post(OPERATOR, "/api/v1/sql", sql).await.expect(200);
    assert_eq!((&kept["rows"][0]["n"], calls(&house)), (&json!(4), 1), "two answers, and what is said of each");
}

#[tokio::test]
async fn a_refused_embedding_is_no_model_that_was_not_reached() {
    let (house, key) = open().await;
    let row = |said: &str| json!({"id": format!("r{said}"), "said": said, "reference": "ab"});
    rows(&house, &key, "some", &["aa", "ab", "xa", "bb"].map(row)).await;
    let page = run(&house, &key, "some", near_references("some", "stub/vectors-picky")).await;
    let found = score(&page, "target", "near");
    assert_eq!(
        (&page["state"], &found["items"], &found["why"]),
        (&json!("finished"), &json!(3), &json!({"failed": 1}))
    );
    rows(&house, &key, "all", &["xa", "xb", "xc"].map(row)).await;
    let before = calls(&house);
    let page = run(&house, &key, "all", near_references("all", "stub/vectors-picky")).await;
    assert_eq!((&page["state"], calls(&house) - before), (&json!("failed"), 3), "nobody is asked again: {page}");
    assert!(page["why"].as_str().unwrap().contains("all 3 calls were refused"), "{page}");
}

/// One juror answers and the other is not reached: there is no judgement, and what was paid for it counts when somebody goes on.
#[tokio::test]
async fn what_was_paid_without_a_judgement_counts_when_an_evaluation_goes_on() {
    let (house, key) = open().await;
    rows(&house, &key, "new", &replies(&[("?", "yes", 1)])).await;
    let from = json!({"definition": judges::definition("stub/judge"), "models": ["stub/judge", "stub/judge-gone"]});
    house.post(&key, judges::PATH, json!({"name": "polite", "from": from})).await.expect(201);
    let page = run(&house, &key, "lost", polite("new", "reply")).await;
    assert_eq!((&page["state"], &page["report"]["tokens"]), (&json!("failed"), &json!(0)), "{page}");
    let before = calls(&house);
    for _ in 0..2 {
        let within = json!({"budget": {"tokens": 12}});
        let going = house.post(&key, &format!("{PATH}/lost/resume"), within).await.expect(202);
        let page = ended(&house, &key, "lost", &going).await;
        assert_eq!((&page["state"], calls(&house)), (&json!("stopped"), before), "{page}");
        assert!(page["why"].as_str().unwrap().contains("budget of 12 tokens is used up"), "{page}");
    }
}

#[tokio::test]
async fn an_item_that_a_judge_cannot_take_is_nobody_asked_about() {
    let (house, key) = open().await;
    let mut all = answers();
    all.truncate(4);
    all[3]["question"] = Value::Null;
    rows(&house, &key, "answers", &all).await;
    let page = run(&house, &key, "judged", judged(Value::Null)).await;
    let found = score(&page, "target", "correct");
    assert_eq!((&found["why"], calls(&house)), (&json!({"not_judged": 1}), 3), "{page}");
    assert_eq!((&page["state"], &page["report"]["unpriced"]), (&json!("finished"), &json!(3)));
    let sql = json!({"sql": "SELECT count(*) AS n FROM evaluation_items WHERE scorer IS NOT NULL AND asked IS NULL"});
    let kept = house.post(OPERATOR, "/api/v1/sql", sql).await.expect(200);
    assert_eq!(kept["rows"][0]["n"], 1);
}

#[tokio::test]
async fn labels_that_nobody_can_read_are_refused_before_anything_is_paid() {
    let (house, key) = open().await;
    let mut all = replies(&[("yes", "yes", 3), ("no", "no", 3)]);
    all[4]["people"] = json!("perhaps");
    rows(&house, &key, "seen", &all).await;
    judges::create(&house, &key, "polite", "stub/judge").await;
    let mut definition = polite("seen", "reply");
    definition["scorers"][0]["human"] = json!("people");
    let refused = house.post(&key, PATH, json!({"name": "x", "definition": definition})).await;
    let refused = refused.refused(400, "invalid_value");
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("\"perhaps\"") && message.contains("no-no-1") && message.contains("no, yes"), "{refused}");
    assert_eq!((&refused["param"], calls(&house)), (&json!("scorers.human"), 0));
}

#[tokio::test]
async fn a_ready_judge_is_made_only_with_an_evaluation_that_can_be() {
    let (house, key) = open().await;
    rows(&house, &key, "answers", &answers()).await;
    let mut definition = judged(Value::Null);
    definition["scorers"] = json!([definition["scorers"][0], {"kind": "classification", "label": "nowhere"}]);
    house.post(&key, PATH, json!({"name": "x", "definition": definition})).await.refused(400, "invalid_value");
    let there = async || house.get(&key, judges::PATH).await.expect(200)["data"].as_array().unwrap().len();
    assert_eq!(there().await, 0);
    run(&house, &key, "y", judged(Value::Null)).await;
    assert_eq!(there().await, 1);
}

#[tokio::test]
async fn gates_on_what_there_will_not_be_are_refused() {
    let (house, key) = open().await;
    rows(&house, &key, "seen", &replies(&[("yes", "yes", 4), ("no", "no", 4)])).await;
    judges::create(&house, &key, "polite", "stub/judge").await;
    let begin = async |gate: &str, human: Value| {
        let mut definition = polite("seen", "reply");
        definition["gate"] = json!([gate]);
        definition["scorers"][0]["human"] = human;
        house.post(&key, PATH, json!({"name": "gated", "definition": definition})).await
    };
    for gate in ["polite.corrected >= 0.5", "rude >= 0.5", "target.rude > 0", "polite.middle > 0"] {
        let refused = begin(gate, Value::Null).await.refused(400, "invalid_value");
        assert_eq!((&refused["param"], calls(&house)), (&json!("gate"), 0), "{refused}");
    }
    begin("polite.corrected.low >= 0.1 and target.polite > 0.1 and failed < 1", json!("people")).await.expect(201);
    let calibration = json!({"dataset": "seen", "labels": ["people"], "values": {"answer": "reply"}});
    judges::calibrate(&house, &key, "polite", calibration).await;
    begin("target.polite.corrected >= 0.1", Value::Null).await.expect(201);
}

#[tokio::test]
async fn a_calibration_of_which_nothing_was_told_is_none() {
    let (house, key) = open().await;
    rows(&house, &key, "seen", &replies(&[("no", "no", 12)])).await;
    rows(&house, &key, "new", &replies(&[("?", "yes", 3)])).await;
    judges::create(&house, &key, "polite", "stub/judge-flaky").await;
    let calibration = json!({"dataset": "seen", "labels": ["people"], "values": {"answer": "reply"}});
    judges::calibrate(&house, &key, "polite", calibration).await;
    let page = run(&house, &key, "new", polite("new", "reply")).await;
    let judge = &score(&page, "target", "polite")["judge"];
    assert_eq!((&judge["calibrated"], &judge["corrected"]), (&json!(false), &Value::Null), "{page}");
}
