//! `/api/v1/keys`.

use qd_catalog::Scope;
use serde_json::json;

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/keys";

#[tokio::test]
async fn a_key_is_shown_once_works_and_is_revoked() {
    let house = House::open().await;
    let made = house.post(OPERATOR, PATH, json!({"name": "app", "scopes": ["infer"]})).await.expect(201);
    let key = made["key"].as_str().unwrap();
    assert!(key.starts_with("qd-") && key.len() == 46, "256 bits in base64 after the prefix");
    house.get(key, "/v1/models").await.expect(200);
    house.get(key, PATH).await.refused(403, "missing_scope");

    let listed = house.get(OPERATOR, PATH).await;
    assert_eq!(listed.expect(200)["data"][0]["hint"], key[..11]);
    assert!(!listed.text().contains(key));

    let id = made["record"]["id"].as_str().unwrap();
    house.delete(OPERATOR, &format!("{PATH}/{id}")).await.expect(204);
    house.get(key, "/v1/models").await.refused(401, "invalid_api_key");
    assert!(house.get(OPERATOR, PATH).await.expect(200)["data"][0]["revoked"].is_string());
}

#[tokio::test]
async fn a_key_reaches_its_own_project_only() {
    let house = House::open().await;
    let (mine, theirs) = (house.key_of("mine", &[Scope::Admin]).await, house.key_of("theirs", &[Scope::Admin]).await);
    let made = house.post(&theirs, PATH, json!({"name": "x", "scopes": ["read"]})).await.expect(201);
    let id = made["record"]["id"].as_str().unwrap();

    assert_eq!(house.get(&mine, PATH).await.expect(200)["data"].as_array().unwrap().len(), 1);
    house.delete(&mine, &format!("{PATH}/{id}")).await.refused(404, "not_found");
    let elsewhere = json!({"name": "x", "scopes": ["read"], "project": "theirs"});
    house.post(&mine, PATH, elsewhere.clone()).await.refused(403, "operator_only");
    house.post(OPERATOR, PATH, elsewhere).await.expect(201);
}

#[tokio::test]
async fn wrong_keys_are_refused() {
    let house = House::open().await;
    for (body, code) in [
        (json!({"name": "x", "scopes": []}), "invalid_value"),
        (json!({"name": "", "scopes": ["read"]}), "invalid_value"),
        (json!({"name": "x", "scopes": ["everything"]}), "invalid_value"),
        (json!({"name": "x", "scopes": ["read"], "expires": "2001-01-01T00:00:00Z"}), "invalid_value"),
        (json!({"name": "x", "scopes": ["read"], "colour": "red"}), "invalid_value"),
        (json!({"scopes": ["read"]}), "missing_required_parameter"),
    ] {
        house.post(OPERATOR, PATH, body).await.refused(400, code);
    }
    house.delete(OPERATOR, &format!("{PATH}/not-an-id")).await.refused(400, "invalid_value");
}

#[tokio::test]
async fn the_making_of_keys_is_audited_without_the_key() {
    let house = House::open().await;
    let key = house.post(OPERATOR, PATH, json!({"name": "app", "scopes": ["infer"]})).await.expect(201)["key"].clone();
    let audit = house.get(OPERATOR, "/api/v1/audit?noun=key").await;
    let entry = audit.expect(200)["data"][0].clone();
    assert_eq!((&entry["actor"], &entry["action"]), (&json!("operator"), &json!("create")));
    assert!(!audit.text().contains(key.as_str().unwrap()));
    assert_eq!(house.get(OPERATOR, "/api/v1/audit/verify").await.expect(200)["intact"], true);
}
