//! `/v1/models` and `/api/v1/models`, without any weights.

use qd_catalog::Scope;
use serde_json::json;

use crate::house::{House, OPERATOR};

#[tokio::test]
async fn openai_s_list_has_what_upstreams_list() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let listed = house.get(&key, "/v1/models").await.expect(200);
    assert_eq!(listed["object"], "list");
    let model = listed["data"].as_array().unwrap().iter().find(|model| model["id"] == "stub/echo-1").unwrap();
    assert_eq!((&model["object"], &model["owned_by"]), (&json!("model"), &json!("stub")));
    house.get(&key, "/v1/models/stub/echo-1").await.expect(200);
    house.get(&key, "/v1/models/none").await.refused(404, "model_not_found");
}

#[tokio::test]
async fn the_catalogue_is_listed_as_not_installed() {
    let house = House::open().await;
    let listed = house.get(OPERATOR, "/api/v1/models").await.expect(200);
    let default =
        listed["data"].as_array().unwrap().iter().find(|model| model["name"] == "smollm2-135m-instruct").unwrap();
    assert_eq!(
        (&default["installed"], &default["loaded"], &default["kind"]),
        (&json!(null), &json!([]), &json!("chat"))
    );
    let one = house.get(OPERATOR, "/api/v1/models/all-minilm-l6-v2").await.expect(200);
    assert_eq!(one["kind"], "embedding");
}

#[tokio::test]
async fn what_is_not_there_cannot_be_used() {
    let house = House::open().await;
    house.get(OPERATOR, "/api/v1/models/none").await.refused(404, "model_not_found");
    house.delete(OPERATOR, "/api/v1/models/smollm2-135m-instruct").await.refused(404, "model_not_found");
    house.post(OPERATOR, "/api/v1/models/smollm2-135m-instruct/load", json!({})).await.refused(404, "model_not_found");
    house.post(OPERATOR, "/api/v1/models/smollm2-135m-instruct/unload", json!({})).await.refused(404, "not_found");
    house.post(OPERATOR, "/api/v1/models/pull", json!({"name": "none"})).await.refused(404, "model_not_found");
}

#[tokio::test]
async fn a_pull_is_one_job_however_often_it_is_asked_for() {
    let house = House::open().await;
    let first = house.post(OPERATOR, "/api/v1/models/pull", json!({"name": "smollm2-135m-instruct"})).await.expect(202);
    let again = house.post(OPERATOR, "/api/v1/models/pull", json!({"name": "smollm2-135m-instruct"})).await.expect(202);
    assert_eq!((&first["id"], &first["kind"], &first["state"]), (&again["id"], &json!("model.pull"), &json!("queued")));
}

#[tokio::test]
async fn routes_are_listed() {
    let house = House::open().await;
    assert_eq!(house.get(OPERATOR, "/api/v1/routes").await.expect(200), json!({"data": []}));
}
