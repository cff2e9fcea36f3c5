//! `/api/v1/jobs`.

use http::Method;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{Events, House, OPERATOR, request};

async fn pull(house: &House, key: &str) -> String {
    let job = house.post(key, "/api/v1/models/pull", json!({"name": "smollm2-135m-instruct"})).await.expect(202);
    job["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_is_listed_shown_and_cancelled() {
    let house = House::open().await;
    let id = pull(&house, OPERATOR).await;
    assert_eq!(house.get(OPERATOR, "/api/v1/jobs?state=queued").await.expect(200)["data"][0]["id"], *id);
    assert_eq!(house.get(OPERATOR, "/api/v1/jobs?state=running").await.expect(200)["data"], json!([]));
    let job = house.get(OPERATOR, &format!("/api/v1/jobs/{id}")).await.expect(200);
    assert_eq!(job["payload"], json!({"name": "smollm2-135m-instruct"}));
    let stopped = house.post(OPERATOR, &format!("/api/v1/jobs/{id}/cancel"), json!({})).await.expect(200);
    assert_eq!(stopped["state"], "cancelled");
    assert_eq!(house.get(OPERATOR, "/api/v1/audit?noun=job").await.expect(200)["data"][0]["action"], "cancel");
}

#[tokio::test]
async fn events_come_until_the_end_and_go_on_after_the_last_seen() {
    let house = House::open().await;
    let id = pull(&house, OPERATOR).await;
    let path = format!("/api/v1/jobs/{id}/events");
    let mut events = Events::of(house.send(request(Method::GET, &path, Some(OPERATOR), None)).await);
    let first = events.data().await.unwrap();
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!(lines[..2], ["event: state", "id: 1"]);
    let told: Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&told["seq"], &told["state"]), (&json!(1), &json!("queued")));

    house.post(OPERATOR, &format!("/api/v1/jobs/{id}/cancel"), json!({})).await.expect(200);
    assert!(events.data().await.unwrap().contains("\"cancelled\""));
    assert_eq!(events.data().await, None, "a finished job has no more events");

    let mut resumed = request(Method::GET, &path, Some(OPERATOR), None);
    resumed.headers_mut().insert("last-event-id", "1".parse().unwrap());
    let mut rest = Events::of(house.send(resumed).await);
    assert!(rest.data().await.unwrap().contains("id: 2"));
    assert_eq!(rest.data().await, None);
}

#[tokio::test]
async fn pages_follow_each_other() {
    let house = House::open().await;
    for _ in 0..3 {
        let id = pull(&house, OPERATOR).await;
        house.post(OPERATOR, &format!("/api/v1/jobs/{id}/cancel"), json!({})).await.expect(200);
    }
    let first = house.get(OPERATOR, "/api/v1/jobs?limit=2").await.expect(200);
    assert_eq!(first["data"].as_array().unwrap().len(), 2);
    let rest = house
        .get(OPERATOR, &format!("/api/v1/jobs?limit=2&cursor={}", first["next_cursor"].as_str().unwrap()))
        .await
        .expect(200);
    assert_eq!((rest["data"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
}

#[tokio::test]
async fn another_project_s_job_is_not_told_from_none() {
    let house = House::open().await;
    let id = pull(&house, OPERATOR).await;
    let theirs = house.key_of("theirs", &[Scope::Admin]).await;
    assert_eq!(house.get(&theirs, "/api/v1/jobs").await.expect(200)["data"], json!([]));
    house.get(&theirs, &format!("/api/v1/jobs/{id}")).await.refused(404, "not_found");
    house.get(&theirs, &format!("/api/v1/jobs/{id}/events")).await.refused(404, "not_found");
    house.post(&theirs, &format!("/api/v1/jobs/{id}/cancel"), json!({})).await.refused(404, "not_found");
    house.get(OPERATOR, "/api/v1/jobs?colour=red").await.refused(400, "invalid_value");
}
