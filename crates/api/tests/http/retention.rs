//! `/api/v1/retention`.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/retention";

/// The row of a table, of the project that the key acts in.
async fn of(house: &House, key: &str, table: &str) -> Value {
    let all = house.get(key, PATH).await.expect(200)["data"].as_array().unwrap().clone();
    all.into_iter().find(|row| row["table"] == table).unwrap()
}

/// A span that began so many days ago.
fn span(number: u32, days: i64) -> Value {
    let start = qd_base::Timestamp::now().saturating_sub(std::time::Duration::from_secs(days as u64 * 86_400));
    json!({
        "trace_id": format!("{number:032x}"), "span_id": format!("{number:016x}"), "kind": "llm", "name": "chat",
        "start_time": start.to_string(), "end_time": start.to_string(),
    })
}

async fn traces(house: &House, key: &str) -> usize {
    house.get(key, "/api/v1/traces").await.expect(200)["data"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_project_keeps_what_it_says_and_others_are_as_they_were() {
    let house = House::open().await;
    let shop = house.key_of("shop", &[Scope::Admin]).await;
    for key in [OPERATOR, &shop] {
        let spans = json!({"spans": [span(1, 0), span(2, 5), span(3, 40)]});
        house.post(key, "/api/v1/traces", spans).await.expect(200);
    }
    assert_eq!(
        of(&house, &shop, "spans").await,
        json!({"table": "spans", "days": 0, "origin": "operator", "updated": null})
    );
    let put = house.put(&shop, &format!("{PATH}/spans"), json!({"days": 30})).await.expect(200);
    assert_eq!((&put["days"], &put["origin"]), (&json!(30), &json!("project")));
    assert_eq!(of(&house, &shop, "spans").await, put);
    assert_eq!((traces(&house, &shop).await, traces(&house, OPERATOR).await), (2, 3));
    house.put(&shop, &format!("{PATH}/spans"), json!({"days": 3})).await.expect(200);
    assert_eq!((traces(&house, &shop).await, traces(&house, OPERATOR).await), (1, 3));
    assert_eq!(of(&house, &shop, "scores").await["origin"], "operator", "tables are apart");
    house.delete(&shop, &format!("{PATH}/spans")).await.expect(204);
    // Nothing was taken off the disk in between, so what is kept again is seen again.
    assert_eq!(traces(&house, &shop).await, 3);
    house.delete(&shop, &format!("{PATH}/spans")).await.refused(404, "not_found");
    let audit = house.get(OPERATOR, "/api/v1/audit").await.expect(200);
    let said = audit["data"].as_array().unwrap().iter().filter(|entry| entry["noun"] == "retention").count();
    assert_eq!(said, 3, "{audit}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let house = House::open().await;
    house.put(OPERATOR, &format!("{PATH}/moon"), json!({"days": 1})).await.refused(404, "not_found");
    house.put(OPERATOR, &format!("{PATH}/span_days"), json!({"days": 1})).await.refused(404, "not_found");
    house.put(OPERATOR, &format!("{PATH}/spans"), json!({"days": -1})).await.refused(400, "invalid_value");
    house.put(OPERATOR, &format!("{PATH}/spans"), json!({})).await.refused(400, "missing_required_parameter");
    let answer = house.put(OPERATOR, &format!("{PATH}/spans"), json!({"days": 36_501})).await;
    assert!(answer.status.is_client_error(), "{}", answer.text());
    let writer = house.key(&[Scope::Write]).await;
    house.put(&writer, &format!("{PATH}/spans"), json!({"days": 1})).await.refused(403, "missing_scope");
}
