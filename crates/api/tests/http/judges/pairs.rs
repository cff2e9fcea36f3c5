//! A judge of pairs compared with three people.

use serde_json::{Value, json};

use super::{PATH, calibrate, calls, open};
use crate::house::House;

/// Ten pairs: five whose first answer is better, two whose second is, two of which the judge always takes the first place, and one on which
/// people do not agree.
async fn pairs(house: &House, key: &str) {
    let row = |id: usize, a: &str, b: &str, said: [i64; 3], authors: [&str; 2]| {
        json!({
            "id": format!("r{id}"), "question": "Which?", "one": a, "two": b,
            "p1": said[0], "p2": said[1], "p3": said[2], "author_a": authors[0], "author_b": authors[1],
        })
    };
    let own = ["stub/judge", "other"];
    let others = ["x", "y"];
    let mut rows: Vec<Value> =
        (0..5).map(|n| row(n, "strong", "weak", [1, 1, 1], if n == 0 { own } else { others })).collect();
    rows.push(row(5, "weak", "strong", [2, 2, 1], ["other", "stub/judge"]));
    rows.push(row(6, "weak", "strong", [2, 2, 1], others));
    rows.push(row(7, "first wins", "x", [1, 1, 0], others));
    rows.push(row(8, "first wins", "y", [0, 0, 0], others));
    rows.push(row(9, "strong", "weak", [1, 2, 0], others));
    house.post(key, "/api/v1/datasets/pairs/rows", json!({"add": rows})).await.expect(200);
}

#[tokio::test]
async fn a_judge_of_pairs_has_biases_and_people_have_agreement() {
    let (house, key) = open().await;
    pairs(&house, &key).await;
    let from = json!({"ready": "preference", "models": ["stub/judge"]});
    house.post(&key, PATH, json!({"name": "better", "from": from})).await.expect(201);
    let calibration = json!({
        "dataset": "pairs", "labels": ["p1", "p2", "p3"], "means": {"1": "A", "2": "B", "0": "tie"},
        "values": {"answer_a": "one", "answer_b": "two"}, "authors": ["author_a", "author_b"],
    });
    let mut without = calibration.clone();
    without["means"] = json!({});
    let path = format!("{PATH}/better/calibrations");
    let refused = house.post(&key, &path, json!({"calibration": without})).await.refused(400, "invalid_value");
    assert!(
        refused["message"].as_str().unwrap().contains("(B, tie, A)"),
        "numbers mean nothing by themselves: {refused}"
    );

    let found = calibrate(&house, &key, "better", calibration).await;
    let card = &found["card"];
    assert_eq!((&card["items"], &card["undecided"], calls(&house)), (&json!(9), &json!(1), 18), "both orders of nine");
    let value = |stat: &Value, expected: f64| {
        let found = stat["value"].as_f64().unwrap_or_else(|| panic!("{stat}"));
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    };
    // The judge flips on two, which are ties then: of one of them people say the same.
    value(&card["accuracy"]["all"], 8.0 / 9.0);
    value(&card["biases"]["order_flips"], 2.0 / 9.0);
    value(&card["biases"]["first_place"], 2.0 / 9.0);
    // In two pairs its own answer stands, which it prefers as people do.
    value(&card["biases"]["own"], 0.0);
    assert_eq!(card["biases"]["own"]["items"], 2);
    let counts = json!([[2, 0, 0], [0, 1, 0], [0, 1, 5]]);
    assert_eq!((&card["confusion"]["classes"], &card["confusion"]["counts"]), (&json!(["B", "tie", "A"]), &counts));
    assert_eq!(card["alpha_scale"], "ordinal");
    assert!(card["weighted_kappa"]["value"].as_f64().unwrap() > card["kappa"]["value"].as_f64().unwrap());
    assert!(card["spearman"]["value"].as_f64().unwrap() > 0.5 && card["offset"].is_null());
    let people = &card["people"];
    assert_eq!((people["pairs"].as_array().unwrap().len(), people["judge"].as_array().unwrap().len()), (3, 3));
    // The first two people differ on the tenth pair only.
    value(&people["pairs"][0]["alike"], 0.9);
    assert_eq!((&people["pairs"][0]["one"], &people["pairs"][0]["other"]), (&json!("p1"), &json!("p2")));
    assert!(people["alpha"]["value"].as_f64().unwrap() < 1.0);
}
