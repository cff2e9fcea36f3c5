//! Both default models behind the HTTP surface: loaded, asked, unloaded.

use std::path::PathBuf;

use http::Method;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{Events, House, OPERATOR, request};

/// The folder of the default models that tests use.
fn models() -> PathBuf {
    let folder = std::env::var_os("QUARTERDECK_TEST_MODELS").map(PathBuf::from);
    let folder = folder
        .unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/quarterdeck/test-models"));
    assert!(folder.join("smollm2-135m-instruct-q4_1.gguf").is_file(), "the test models are missing; run `make models`");
    folder
}

pub async fn house() -> House {
    let house = House::open().await;
    let folder = models();
    house.models.add(&"tiny".parse().unwrap(), &folder.join("smollm2-135m-instruct-q4_1.gguf")).await.unwrap();
    house.models.add(&"embed".parse().unwrap(), &folder.join("all-minilm-l6-v2")).await.unwrap();
    house
}

#[tokio::test]
async fn a_model_is_loaded_asked_traced_and_unloaded() {
    let house = house().await;
    let key = house.key(&[Scope::Infer, Scope::Read]).await;
    let loaded = house.post(OPERATOR, "/api/v1/models/tiny/load", json!({})).await.expect(200);
    assert_eq!(loaded["name"], "tiny@1");
    let body = json!({"model": "tiny", "max_tokens": 8, "temperature": 0, "messages": [{"role": "user", "content": "Say hello."}]});
    let answer = house.post(&key, "/v1/chat/completions", body).await;
    let chat = answer.expect(200);
    assert_eq!(chat["choices"][0]["message"]["role"], "assistant");
    assert!(chat["usage"]["completion_tokens"].as_u64().unwrap() <= 8);
    house.settle().await;
    let trace =
        house.get(&key, &format!("/api/v1/traces/{}", answer.header("x-quarterdeck-trace-id"))).await.expect(200);
    assert_eq!(trace["spans"][0]["input_tokens"], chat["usage"]["prompt_tokens"]);
    house.post(OPERATOR, "/api/v1/models/tiny/unload", json!({})).await.expect(204);
    assert_eq!(house.get(OPERATOR, "/api/v1/models/tiny").await.expect(200)["loaded"], json!([]));
    house.delete(OPERATOR, "/api/v1/models/tiny").await.expect(200);
    house.get(OPERATOR, "/api/v1/models/tiny").await.refused(404, "model_not_found");
}

#[tokio::test]
async fn a_stream_of_a_local_model_ends_with_usage_and_done() {
    let house = house().await;
    let key = house.key(&[Scope::Infer]).await;
    let body = json!({
        "model": "tiny", "max_tokens": 4, "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "Count."}]
    });
    let response = house.send(request(Method::POST, "/v1/chat/completions", Some(&key), Some(body.to_string()))).await;
    let mut events = Events::of(response);
    let (mut usage, mut last) = (Value::Null, String::new());
    while let Some(event) = events.data().await {
        last = event.strip_prefix("data: ").unwrap().to_owned();
        let chunk: Value = serde_json::from_str(&last).unwrap_or_default();
        usage = if chunk["usage"].is_object() { chunk["usage"].clone() } else { usage };
    }
    assert_eq!(last, "[DONE]");
    assert!(usage["completion_tokens"].as_u64().unwrap() <= 4);
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_a_clear_400() {
    let house = house().await;
    let key = house.key(&[Scope::Infer]).await;
    let body = json!({"model": "tiny", "messages": [{"role": "user", "content": "word ".repeat(20_000)}]});
    house.post(&key, "/v1/chat/completions", body).await.refused(400, "context_length_exceeded");
}

#[tokio::test]
async fn vectors_are_normalised_and_base64_holds_the_same() {
    let house = house().await;
    let key = house.key(&[Scope::Infer]).await;
    let embed = |format: &str| {
        house.post(
            &key,
            "/v1/embeddings",
            json!({"model": "embed", "input": ["a ship", "a boat"], "encoding_format": format}),
        )
    };
    let floats = embed("float").await.expect(200);
    let vector: Vec<f32> = serde_json::from_value(floats["data"][1]["embedding"].clone()).unwrap();
    assert_eq!(vector.len(), 384);
    assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-4);
    let text = embed("base64").await.expect(200)["data"][1]["embedding"].as_str().unwrap().to_owned();
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    let decoded: Vec<f32> = bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert!(decoded.iter().zip(&vector).all(|(one, other)| (one - other).abs() < 1e-6));
}

#[tokio::test]
async fn labels_move_between_versions_and_calls_follow_them() {
    let house = house().await;
    let key = house.key(&[Scope::Infer]).await;
    // A second version that can be told from the first: it embeds.
    house.models.add(&"tiny".parse().unwrap(), &models().join("all-minilm-l6-v2")).await.unwrap();
    let path = "/api/v1/models/tiny/labels/production";
    let set = async |body: Value| house.put(OPERATOR, path, body).await;
    let chat = json!({"model": "tiny@production", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]});

    house.post(&key, "/v1/chat/completions", chat.clone()).await.refused(404, "model_not_found");
    set(json!({"version": 3})).await.refused(404, "not_found");
    let labelled = set(json!({"version": 1, "expected": null})).await.expect(200);
    assert_eq!(labelled["installed"]["labels"], json!([{"label": "production", "version": 1}]));
    house.post(&key, "/v1/chat/completions", chat.clone()).await.expect(200);

    // Whoever looked before it was set, or saw it elsewhere, does not move it.
    set(json!({"version": 2, "expected": null})).await.refused(409, "conflict");
    set(json!({"version": 2, "expected": 2})).await.refused(409, "conflict");
    set(json!({"version": 2, "expected": 1})).await.expect(200);
    let embed = json!({"model": "tiny@production", "input": "a ship"});
    house.post(&key, "/v1/embeddings", embed).await.expect(200);
    assert_eq!(house.post(&key, "/v1/chat/completions", chat).await.status, 400, "it is another model now");
    set(json!({"version": 1})).await.expect(200);

    house.put(OPERATOR, "/api/v1/models/tiny/labels/latest", json!({"version": 1})).await.refused(400, "invalid_value");
    house.put(OPERATOR, "/api/v1/models/none/labels/x", json!({"version": 1})).await.refused(404, "model_not_found");
    house.delete(OPERATOR, &format!("{path}?expected=2")).await.refused(409, "conflict");
    let bare = house.delete(OPERATOR, &format!("{path}?expected=1")).await.expect(200);
    assert_eq!(bare["installed"]["labels"], json!([]));
    house.delete(OPERATOR, path).await.refused(404, "model_not_found");
    let audited = house.get(OPERATOR, "/api/v1/audit").await.expect(200);
    let moves = audited["data"].as_array().unwrap().iter().filter(|entry| entry["action"] == "label").count();
    assert_eq!(moves, 4);
}

#[tokio::test]
async fn a_model_whose_removal_is_refused_stays_loaded() {
    let house = house().await;
    house.post(OPERATOR, "/api/v1/models/tiny/load", json!({})).await.expect(200);
    house.put(OPERATOR, "/api/v1/models/tiny/labels/production", json!({"version": 1})).await.expect(200);
    house.delete(OPERATOR, "/api/v1/models/tiny").await.refused(409, "conflict");
    let shown = house.get(OPERATOR, "/api/v1/models/tiny").await.expect(200);
    assert_eq!(shown["loaded"][0]["name"], "tiny@1");
}
