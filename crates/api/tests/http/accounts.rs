//! `/api/v1/accounts`.

use http::Method;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};
use crate::sign_in::{Browser, PASSWORD};

const PATH: &str = "/api/v1/accounts";

fn ada(role: &str) -> Value {
    json!({"name": "ada", "password": PASSWORD, "role": role})
}

#[tokio::test]
async fn an_account_is_made_listed_changed_and_removed() {
    let house = House::open().await;
    let made = house.post(OPERATOR, PATH, ada("viewer")).await.expect(201);
    assert_eq!((&made["name"], &made["role"], &made["disabled"]), (&json!("ada"), &json!("viewer"), &json!(false)));
    house.post(OPERATOR, PATH, ada("admin")).await.refused(409, "already_exists");
    let listed = house.get(OPERATOR, PATH).await;
    assert_eq!(listed.expect(200)["data"], json!([made]));
    assert!(!listed.text().contains("argon2"));

    let one = format!("{PATH}/ada");
    let changed = house.put(OPERATOR, &one, json!({"role": "editor", "disabled": true})).await.expect(200);
    assert_eq!((&changed["role"], &changed["disabled"]), (&json!("editor"), &json!(true)));
    house.put(OPERATOR, &format!("{PATH}/bob"), json!({"role": "editor"})).await.refused(404, "not_found");
    house.delete(OPERATOR, &one).await.expect(204);
    house.delete(OPERATOR, &one).await.refused(404, "not_found");
    assert_eq!(house.get(OPERATOR, PATH).await.expect(200)["data"], json!([]));

    let audit = house.get(OPERATOR, "/api/v1/audit?noun=account").await;
    let actions: Vec<_> =
        audit.expect(200)["data"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["remove", "update", "create"]);
    assert!(!audit.text().contains(PASSWORD));
}

#[tokio::test]
async fn wrong_accounts_are_refused() {
    let house = House::open().await;
    for (body, code) in [
        (json!({"name": "Ada Lovelace", "password": PASSWORD, "role": "viewer"}), "invalid_value"),
        (json!({"name": "ada", "password": "too short", "role": "viewer"}), "invalid_value"),
        (json!({"name": "ada", "password": "x".repeat(1025), "role": "viewer"}), "too_large"),
        (json!({"name": "ada", "password": PASSWORD, "role": "captain"}), "invalid_value"),
        (json!({"name": "ada", "password": PASSWORD}), "missing_required_parameter"),
    ] {
        house.post(OPERATOR, PATH, body).await.refused(400, code);
    }
}

#[tokio::test]
async fn a_role_is_what_may_be_done() {
    let house = House::open().await;
    for (role, read, write, admin) in
        [("viewer", true, false, false), ("editor", true, true, false), ("admin", true, true, true)]
    {
        let browser = Browser::of_account(&house, role, role).await;
        let may = async |method: Method, path: &str| browser.call(method, path, Some(json!({}))).await.status != 403;
        assert_eq!(may(Method::GET, "/api/v1/jobs").await, read, "{role}");
        assert_eq!(may(Method::POST, "/v1/chat/completions").await, write, "{role}");
        assert_eq!(
            may(Method::POST, "/api/v1/jobs/00000000-0000-7000-8000-000000000000/cancel").await,
            write,
            "{role}"
        );
        assert_eq!(may(Method::GET, PATH).await, admin, "{role}");
        assert_eq!(may(Method::POST, PATH).await, admin, "{role}");
    }
}

#[tokio::test]
async fn what_changes_about_an_account_holds_for_its_sign_ins_at_once() {
    let house = House::open().await;
    let browser = Browser::of_account(&house, "ada", "admin").await;
    browser.get(PATH).await.expect(200);
    let one = format!("{PATH}/ada");
    house.put(OPERATOR, &one, json!({"role": "viewer"})).await.expect(200);
    browser.get(PATH).await.refused(403, "missing_scope");
    assert_eq!(browser.get("/api/v1/sign-in").await.expect(200)["role"], "viewer");

    house.put(OPERATOR, &one, json!({"disabled": true})).await.expect(200);
    browser.get("/api/v1/sign-in").await.refused(401, "not_signed_in");
    house.put(OPERATOR, &one, json!({"disabled": false})).await.expect(200);
    browser.get("/api/v1/sign-in").await.refused(401, "not_signed_in");

    let browser = Browser::sign_in(&house, json!({"account": "ada", "password": PASSWORD})).await;
    house.put(OPERATOR, &one, json!({"password": "another password"})).await.expect(200);
    browser.get("/api/v1/sign-in").await.refused(401, "not_signed_in");
    let browser = Browser::sign_in(&house, json!({"account": "ada", "password": "another password"})).await;
    house.delete(OPERATOR, &one).await.expect(204);
    browser.get("/api/v1/sign-in").await.refused(401, "not_signed_in");
}

#[tokio::test]
async fn another_project_s_administrator_makes_no_way_into_this_one() {
    let house = House::open().await;
    let theirs = house.key_of("theirs", &[Scope::Admin]).await;
    house.post(&theirs, PATH, ada("admin")).await.refused(403, "operator_only");
    house.get(&theirs, PATH).await.refused(403, "operator_only");
    let ours = house.key(&[Scope::Admin]).await;
    house.post(&ours, PATH, ada("admin")).await.expect(201);
}
