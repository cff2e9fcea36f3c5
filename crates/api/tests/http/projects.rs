//! `/api/v1/projects`.

use qd_catalog::Scope;
use serde_json::json;

use crate::house::{House, OPERATOR};

#[tokio::test]
async fn the_operator_makes_projects_and_a_key_sees_its_own() {
    let house = House::open().await;
    house.post(OPERATOR, "/api/v1/projects", json!({"name": "team-7"})).await.expect(201);
    house.post(OPERATOR, "/api/v1/projects", json!({"name": "team-7"})).await.refused(409, "already_exists");
    house.post(OPERATOR, "/api/v1/projects", json!({"name": "No Good"})).await.refused(400, "invalid_value");
    assert_eq!(house.get(OPERATOR, "/api/v1/projects").await.expect(200)["data"].as_array().unwrap().len(), 2);

    let key = house.key_of("team-7", &[Scope::Admin]).await;
    let seen = house.get(&key, "/api/v1/projects").await.expect(200);
    assert_eq!((seen["data"].as_array().unwrap().len(), &seen["data"][0]["name"]), (1, &json!("team-7")));
    house.post(&key, "/api/v1/projects", json!({"name": "mine"})).await.refused(403, "operator_only");
}
