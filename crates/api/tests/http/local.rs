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

async fn house() -> House {
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
