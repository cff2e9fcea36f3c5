//! `/api/v1/providers`.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const PATH: &str = "/api/v1/providers";

fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]})
}

#[tokio::test]
async fn a_provider_is_used_as_soon_as_it_is_there_and_its_secret_never_comes_out() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    house.post(&key, "/v1/chat/completions", chat("mine/echo-1")).await.refused(404, "model_not_found");
    let new = json!({"name": "mine", "base_url": house.stub.base_url(), "secret": "sk-very-secret"});
    let made = house.post(OPERATOR, PATH, new.clone()).await;
    assert_eq!(made.expect(201)["has_secret"], true);
    house.post(OPERATOR, PATH, new).await.refused(409, "already_exists");

    house.post(&key, "/v1/chat/completions", chat("mine/echo-1")).await.expect(200);
    assert!(house.stub.shared.last.headers().contains("Bearer sk-very-secret"), "the upstream gets it");
    for path in [PATH, "/api/v1/providers/mine", "/api/v1/audit"] {
        let answer = house.get(OPERATOR, path).await;
        answer.expect(200);
        assert!(!answer.text().contains("sk-very-secret"), "{path}");
    }
    house.delete(OPERATOR, "/api/v1/providers/mine").await.expect(204);
    house.post(&key, "/v1/chat/completions", chat("mine/echo-1")).await.refused(404, "model_not_found");
    house.delete(OPERATOR, "/api/v1/providers/mine").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_changed_base_url_drops_the_secret() {
    let house = House::open().await;
    let put = |body: Value| house.put(OPERATOR, "/api/v1/providers/mine", body);
    let secret = |answer: Value| answer["has_secret"].as_bool().unwrap();
    assert!(secret(put(json!({"base_url": "https://one.example/v1", "secret": "s"})).await.expect(200)));
    assert!(
        secret(put(json!({"base_url": "https://one.example/v1", "timeout_ms": 5})).await.expect(200)),
        "absent keeps it"
    );
    assert!(!secret(put(json!({"base_url": "https://two.example/v1"})).await.expect(200)));
    assert!(secret(put(json!({"base_url": "https://two.example/v1", "secret": "t"})).await.expect(200)));
    assert!(!secret(put(json!({"base_url": "https://two.example/v1", "secret": null})).await.expect(200)));
}

#[tokio::test]
async fn a_project_s_provider_is_its_own() {
    let house = House::open().await;
    let theirs = house.key_of("theirs", &[Scope::Admin]).await;
    house.post(OPERATOR, PATH, json!({"name": "mine", "base_url": house.stub.base_url()})).await.expect(201);
    assert_eq!(house.get(&theirs, PATH).await.expect(200)["data"], json!([]));
    house.get(&theirs, "/api/v1/providers/mine").await.refused(404, "not_found");
    house.post(&theirs, "/v1/chat/completions", chat("mine/echo-1")).await.refused(404, "model_not_found");
}

#[tokio::test]
async fn base_urls_with_credentials_are_refused() {
    let house = House::open().await;
    for url in ["ftp://x.example", "https://user:pass@x.example/v1", "https://x.example/v1?key=1", "no url"] {
        house.post(OPERATOR, PATH, json!({"name": "x", "base_url": url})).await.refused(400, "invalid_value");
    }
}
