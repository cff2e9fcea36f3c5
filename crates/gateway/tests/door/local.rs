//! The engine behind the same door: real models, the same wire form.

use std::path::PathBuf;

use futures::StreamExt;
use qd_gateway::{Answer, Endpoint};
use qd_serve::ModelOptions;
use serde_json::{Value, json};

use crate::house::{House, Settings};
use crate::upstream::{Upstream, refusal};

/// Where `make test` puts the default models.
fn test_model(file: &str) -> PathBuf {
    let given = std::env::var_os("QUARTERDECK_TEST_MODELS").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache/quarterdeck/test-models");
    let path = given.unwrap_or_else(home).join(file);
    assert!(path.exists(), "{} is missing; `make models` fetches it", path.display());
    path
}

/// A house in which `file` is installed as `tiny`.
async fn house_with(file: &str, settings: Settings<'_>) -> House {
    let house = House::new(settings).await;
    house.models.add(&"tiny".parse().unwrap(), &test_model(file)).await.unwrap();
    house
}

const GGUF: &str = "smollm2-135m-instruct-q4_1.gguf";
const BODY: &str =
    r#"{"model":"tiny","messages":[{"role":"user","content":"Say hi."}],"max_tokens":8,"temperature":0}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_local_model_answers_whole_and_streamed_alike() {
    let house = house_with(GGUF, Settings::route("unused", &[])).await;
    let reply = house.whole(Endpoint::Chat, BODY).await.unwrap();
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    let said = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(!said.is_empty() && answer["usage"]["completion_tokens"].as_u64().unwrap() <= 8, "{answer}");
    let span = house.span().await;
    assert_eq!((span.provider.as_deref(), span.model_requested.as_deref()), (Some("local"), Some("tiny")));
    assert_eq!(json!(span.usage.unwrap())["prompt_tokens"], answer["usage"]["prompt_tokens"]);
    assert!(span.ttft_ms.unwrap() > 0.0 && span.attributes.contains_key("queue_ms"));

    let streamed = BODY.replace("\"temperature\"", "\"stream\":true,\"temperature\"");
    let Answer::Events(events) = house.call(Endpoint::Chat, &streamed).await.unwrap() else {
        panic!("a stream was asked for")
    };
    let text = String::from_utf8(events.collect::<Vec<_>>().await.concat()).unwrap();
    assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("\"usage\""), "{text}");
    let row = house.span().await;
    let output: Value = serde_json::from_str(row.output.unwrap().as_str()).unwrap();
    assert_eq!(output[0]["content"], said, "greedy answers are the same however they are sent");
    assert_eq!(row.usage.unwrap().output_tokens, span.usage.unwrap().output_tokens);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_model_stands_in_for_an_upstream_that_is_down() {
    let upstream = Upstream::start(vec![refusal(500, "{}")]).await;
    let mut settings = Settings { retries: 0, ..Settings::route("m", &[(&upstream, "x")]) };
    settings.then_local = Some("tiny");
    let house = house_with(GGUF, settings).await;
    let reply = house.whole(Endpoint::Chat, &BODY.replace("tiny", "m")).await.unwrap();
    assert_eq!((reply.served.provider.as_str(), &*reply.served.model), ("local", "tiny"));
    assert_eq!(house.span().await.attributes["fallbacks"], 1);
}

/// Who finds the queue full is told so at once, and waits in no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_model_is_not_asked_again() {
    let mut settings = Settings::route("unused", &[]);
    settings.model_options = ModelOptions { slots: 1, queue: 1, ..ModelOptions::default() };
    let house = house_with(GGUF, settings).await;
    house.whole(Endpoint::Chat, BODY).await.unwrap();
    house.span().await;
    let long = BODY.replace("\"max_tokens\":8", "\"max_tokens\":24");
    let outcomes = futures::future::join_all((0..5).map(|_| house.call(Endpoint::Chat, &long))).await;
    let busy = outcomes.iter().filter(|outcome| matches!(outcome, Err(qd_gateway::Error::Busy { .. }))).count();
    assert!((1..5).contains(&busy), "one is answered, one may wait, the others are refused: {busy}");
    for _ in 0..outcomes.len() {
        let span = house.span().await;
        let attempts = span.attributes.get("attempts").map_or(1, |attempts| attempts.as_array().unwrap().len());
        assert_eq!(attempts, 1, "{span:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_refuses_is_the_clients_mistake() {
    let house = house_with(GGUF, Settings::route("unused", &[])).await;
    let long = format!(r#"{{"model":"tiny","messages":[{{"role":"user","content":"{}"}}]}}"#, "word ".repeat(20_000));
    let error = house.call(Endpoint::Chat, &long).await.unwrap_err();
    let object: Value = serde_json::from_slice(&error.body()).unwrap();
    assert_eq!(object["error"]["code"], "context_length_exceeded");
    let error = house.call(Endpoint::Chat, r#"{"model":"tiny","messages":7}"#).await.unwrap_err();
    assert!(matches!(error, qd_gateway::Error::Invalid { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_completion_is_put_together() {
    let house = house_with(GGUF, Settings::route("unused", &[])).await;
    let body = r#"{"model":"tiny","prompt":["The capital of France is","One two three"],"max_tokens":4,"temperature":0,"logprobs":1}"#;
    let reply = house.whole(Endpoint::Completions, body).await.unwrap();
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(answer["choices"][0]["text"].as_str().unwrap().contains("Paris"), "{answer}");
    assert_eq!(answer["choices"][1]["index"], 1);
    let tokens = answer["choices"][0]["logprobs"]["tokens"].as_array().unwrap().len();
    assert_eq!(tokens, answer["choices"][0]["logprobs"]["token_logprobs"].as_array().unwrap().len());
    assert_eq!(house.span().await.name, "completion");
}

#[tokio::test(flavor = "multi_thread")]
async fn local_vectors_are_the_same_in_both_forms() {
    let house = house_with("all-minilm-l6-v2", Settings::route("unused", &[])).await;
    let body = |format: &str| format!(r#"{{"model":"tiny","input":["a","b"],"encoding_format":"{format}"}}"#);
    let vector = |reply: &qd_gateway::Reply| {
        serde_json::from_slice::<Value>(&reply.body).unwrap()["data"][1]["embedding"].clone()
    };
    let reply = house.whole(Endpoint::Embeddings, &body("float")).await.unwrap();
    // Vectors of two versions do not compare, so whoever keeps some has to know which one made them.
    assert_eq!((reply.served.version, house.span().await.attributes["model_version"].as_u64()), (Some(1), Some(1)));
    let floats = vector(&reply);
    let text = vector(&house.whole(Endpoint::Embeddings, &body("base64")).await.unwrap());
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text.as_str().unwrap()).unwrap();
    let decoded: Vec<f64> =
        bytes.chunks_exact(4).map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap()))).collect();
    let floats: Vec<f64> = floats.as_array().unwrap().iter().map(|float| float.as_f64().unwrap()).collect();
    assert_eq!(decoded.len(), 384);
    assert!(decoded.iter().zip(&floats).all(|(a, b)| (a - b).abs() < 1e-7));
    assert_eq!(house.span().await.attributes["vectors"], 2);
}

#[tokio::test]
async fn a_model_that_is_not_installed_says_how_to_get_it() {
    let house = House::new(Settings::route("unused", &[])).await;
    let error = house.call(Endpoint::Chat, r#"{"model":"smollm2-135m-instruct","messages":[]}"#).await.unwrap_err();
    assert!(matches!(error, qd_gateway::Error::NotInstalled { .. }), "{error:?}");
    assert!(error.to_string().contains("quarterdeck model pull"), "{error}");
    let names = house.gateway.models(house.context.project).await;
    assert_eq!(names, []);
}
