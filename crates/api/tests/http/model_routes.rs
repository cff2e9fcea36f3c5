//! `/api/v1/routes`.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/routes";

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
}

async fn with_provider() -> House {
    let house = House::open().await;
    let provider = json!({"name": "mine", "base_url": house.stub.base_url()});
    house.post(OPERATOR, "/api/v1/providers", provider).await.expect(201);
    house
}

#[tokio::test]
async fn a_route_is_in_force_from_the_next_call_to_its_removal() {
    let house = with_provider().await;
    let key = house.key(&[Scope::Infer, Scope::Read]).await;
    house.post(&key, "/v1/chat/completions", chat("team/fast")).await.refused(404, "model_not_found");
    let new = json!({"name": "team/fast", "targets": [{"provider": "mine", "model": "echo-1"}], "retries": 1});
    let made = house.post(OPERATOR, PATH, new.clone()).await.expect(201);
    assert_eq!((&made["origin"], &made["retries"], &made["timeout_ms"]), (&json!("project"), &json!(1), &Value::Null));
    house.post(OPERATOR, PATH, new).await.refused(409, "already_exists");

    house.post(&key, "/v1/chat/completions", chat("team/fast")).await.expect(200);
    let listed = house.get(&key, "/v1/models").await.expect(200);
    assert!(listed["data"].as_array().unwrap().iter().any(|model| model["id"] == "team/fast"), "{listed}");
    let one = house.get(&key, "/api/v1/routes/team%2Ffast").await.expect(200);
    assert_eq!(one["targets"], json!([{"provider": "mine", "model": "echo-1"}]));

    house.delete(OPERATOR, "/api/v1/routes/team%2Ffast").await.expect(204);
    house.post(&key, "/v1/chat/completions", chat("team/fast")).await.refused(404, "model_not_found");
    house.delete(OPERATOR, "/api/v1/routes/team%2Ffast").await.refused(404, "not_found");
    house.get(&key, "/api/v1/routes/team%2Ffast").await.refused(404, "not_found");
}

/// The first target's provider is not there, so the second answers; a changed route goes elsewhere.
#[tokio::test]
async fn targets_are_tried_in_order_and_can_be_changed() {
    let house = with_provider().await;
    let key = house.key(&[Scope::Infer]).await;
    let first = json!({"targets": [{"provider": "later", "model": "x"}, {"provider": "mine", "model": "echo-1"}]});
    house.put(OPERATOR, "/api/v1/routes/writer", first).await.expect(200);
    house.post(&key, "/v1/chat/completions", chat("writer")).await.expect(200);
    let nowhere = json!({"targets": [{"provider": "later", "model": "x"}]});
    house.put(OPERATOR, "/api/v1/routes/writer", nowhere).await.expect(200);
    house.post(&key, "/v1/chat/completions", chat("writer")).await.refused(404, "model_not_found");
}

#[tokio::test]
async fn a_project_s_routes_are_its_own() {
    let house = with_provider().await;
    let theirs = house.key_of("theirs", &[Scope::Admin]).await;
    let route = json!({"targets": [{"provider": "mine", "model": "echo-1"}]});
    house.put(OPERATOR, "/api/v1/routes/writer", route).await.expect(200);
    assert_eq!(house.get(&theirs, PATH).await.expect(200)["data"], json!([]));
    house.get(&theirs, "/api/v1/routes/writer").await.refused(404, "not_found");
    house.post(&theirs, "/v1/chat/completions", chat("writer")).await.refused(404, "model_not_found");
}

#[tokio::test]
async fn what_cannot_be_a_route_is_refused() {
    let house = House::open().await;
    let target = json!({"provider": "mine", "model": "m"});
    for wrong in [
        json!({"name": "", "targets": [target]}),
        json!({"name": "x", "targets": []}),
        json!({"name": "x", "targets": [target, target]}),
        json!({"name": "x", "targets": [target], "retries": 11}),
        json!({"name": "x", "targets": [target], "timeout_ms": 0}),
        json!({"name": "x", "targets": [{"provider": "Not A Name", "model": "m"}]}),
    ] {
        let answer = house.post(OPERATOR, PATH, wrong.clone()).await;
        assert_eq!(answer.expect(400)["error"]["type"], "invalid_request_error", "{wrong}");
    }
    assert_eq!(house.get(OPERATOR, PATH).await.expect(200)["data"], json!([]));
}
