//! `/api/v1/budgets`.

use qd_base::Timestamp;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/budgets";

/// A call of now, which costs `picodollars` and has 30 tokens.
fn call(number: u64, model: &str, picodollars: i64) -> Value {
    let now = Timestamp::now();
    json!({
        "trace_id": format!("{:032x}", number + 1), "span_id": format!("{:016x}", number + 1), "kind": "llm", "name": "chat",
        "start_time": now, "end_time": now, "model": model, "provider": "p", "user_id": "ada",
        "input_tokens": 10, "output_tokens": 20, "cost_picodollars": picodollars,
    })
}

#[tokio::test]
async fn a_budget_tells_what_its_calls_have_used() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let spans: Vec<Value> = (0..3).map(|number| call(number, if number == 0 { "a" } else { "b" }, 100)).collect();
    house.post(&key, "/api/v1/traces", json!({"spans": spans})).await.expect(200);
    let monthly = json!({"period": "month", "limit_picodollars": 1_200});
    let made = house.put(OPERATOR, &format!("{PATH}/all%20calls"), monthly).await.expect(200);
    assert_eq!((&made["name"], &made["used"], &made["used_share"]), (&json!("all calls"), &json!(300), &json!(0.25)));
    assert_eq!((&made["limit_tokens"], &made["by"]), (&Value::Null, &Value::Null));
    let of_b = json!({"period": "day", "limit_tokens": 60, "by": "model", "value": "b"});
    let made = house.put(OPERATOR, &format!("{PATH}/b"), of_b).await.expect(200);
    assert_eq!((&made["used"], &made["used_share"], &made["state"]), (&json!(60), &json!(1.0), &json!("reached")));
    assert!(made["period_start"].as_str().unwrap() < made["period_end"].as_str().unwrap());
    let of_nobody = json!({"period": "week", "limit_tokens": 60, "by": "user", "value": "bob"});
    let made = house.put(OPERATOR, &format!("{PATH}/c"), of_nobody).await.expect(200);
    assert_eq!((&made["used"], &made["state"]), (&json!(0), &json!("within")));

    let listed = house.get(&key, PATH).await.expect(200);
    let names: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|budget| &budget["name"]).collect();
    assert_eq!(names, ["all calls", "b", "c"]);
    let theirs = house.key_of("other", &[Scope::Admin]).await;
    assert_eq!(house.get(&theirs, PATH).await.expect(200)["data"], json!([]));
    house.get(&theirs, &format!("{PATH}/b")).await.refused(404, "not_found");
    house.delete(&theirs, &format!("{PATH}/b")).await.refused(404, "not_found");
    house.delete(OPERATOR, &format!("{PATH}/b")).await.expect(204);
    house.get(&key, &format!("{PATH}/b")).await.refused(404, "not_found");
    let audit = house.get(OPERATOR, "/api/v1/audit").await.expect(200);
    let noted = audit["data"].as_array().unwrap().iter().filter(|entry| entry["noun"] == "budget").count();
    assert_eq!(noted, 4, "{audit}");
}

#[tokio::test]
async fn what_cannot_be_a_budget_is_refused() {
    let house = House::open().await;
    for wrong in [
        json!({"period": "year", "limit_tokens": 1}),
        json!({"period": "day"}),
        json!({"period": "day", "limit_tokens": 1, "limit_picodollars": 1}),
        json!({"period": "day", "limit_tokens": 0}),
        json!({"period": "day", "limit_picodollars": -1}),
        json!({"period": "day", "limit_tokens": 1, "by": "model"}),
        json!({"period": "day", "limit_tokens": 1, "value": "x"}),
        json!({"period": "day", "limit_tokens": 1, "by": "moon", "value": "x"}),
        json!({"period": "day", "limit_tokens": 1, "moon": 1}),
    ] {
        let answer = house.put(OPERATOR, &format!("{PATH}/x"), wrong.clone()).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.text());
    }
    let key = house.key(&[Scope::Write]).await;
    let good = json!({"period": "day", "limit_tokens": 1});
    house.put(&key, &format!("{PATH}/x"), good).await.refused(403, "missing_scope");
    assert_eq!(house.get(&key, PATH).await.expect(200)["data"], json!([]));
}
