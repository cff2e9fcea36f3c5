//! Few-shot examples that are chosen by their likeness to the question: which vectors are made, by whom, how often, and where
//! their calls stand in a trace. The stub's vectors count letters: those of `aab` and `aa` are near each other.

use std::sync::Arc;

use http::Method;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{Answer, House, OPERATOR, request};
use crate::prompts::{call, put};

const CHAT: &str = "/v1/chat/completions";

/// A prompt that shows the one of three texts that is most like the question.
fn likest(model: &str) -> Value {
    let texts = ["aaa", "bbb", "ab"].map(|text| json!({"variables": {"q": text}, "output": format!("<{text}>")}));
    likest_of(model, texts.into())
}

fn likest_of(model: &str, items: Vec<Value>) -> Value {
    json!({
        "messages": [{"placeholder": "examples"}, {"role": "user", "content": "{{ q }}"}],
        "variables": [{"name": "q"}],
        "model": "stub/echo-1",
        "examples": {
            "strategy": "similar", "by": "q", "count": 1, "embedding_model": model, "items": items,
            "template": [{"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "{{ output }}"}],
        },
    })
}

async fn render(house: &House, key: &str, variables: Value) -> Answer {
    house.post(key, "/api/v1/prompts/likest/render", json!({"variables": variables})).await
}

/// The example that is shown with a question.
async fn shown(house: &House, key: &str, question: &str) -> String {
    let said = render(house, key, json!({"q": question})).await.expect(200);
    said["messages"][1]["content"].as_str().unwrap().to_owned()
}

/// The inputs of the calls for embeddings, since this was asked last.
fn embedded(house: &House) -> Vec<Vec<String>> {
    let all = std::mem::take(&mut *house.stub.shared.all.lock().unwrap());
    let texts = |input: &Value| serde_json::from_value(input.clone()).ok();
    all.iter().filter_map(|(_, body)| texts(&body["input"])).collect()
}

async fn answered_by(house: &House, model: &str) {
    let route = json!({"targets": [{"provider": "stub", "model": model}]});
    house.put(OPERATOR, "/api/v1/routes/embedder", route).await.expect(200);
}

async fn open(content: Value) -> (House, String) {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer, Scope::Write]).await;
    put(&house, &key, "likest", content).await;
    (house, key)
}

/// A name of a model whose route is changed: the vectors of one model are never held against those of the other, and none is
/// made twice.
#[tokio::test]
async fn vectors_are_kept_by_who_made_them() {
    let (house, key) = open(likest("embedder")).await;
    let pool = ["aaa", "bbb", "ab"];
    answered_by(&house, "vectors-2").await;
    assert_eq!(shown(&house, &key, "aa").await, "<aaa>");
    assert_eq!(embedded(&house), [["aa", "aaa", "bbb", "ab"]], "the question and the pool in one call");
    assert_eq!(shown(&house, &key, "b").await, "<bbb>");
    assert_eq!(embedded(&house), [["b"]]);

    answered_by(&house, "vectors-3").await;
    assert_eq!(shown(&house, &key, "abc").await, "<ab>");
    assert_eq!(embedded(&house), [vec!["abc"], pool.into()], "the question tells that another answers now");
    answered_by(&house, "vectors-2").await;
    assert_eq!(shown(&house, &key, "bb").await, "<bbb>");
    assert_eq!(embedded(&house), [["bb"]], "what the first has made is there");
}

#[tokio::test]
async fn vectors_of_unequal_lengths_are_refused() {
    let (house, key) = open(likest("stub/vectors-mixed")).await;
    let refused = render(&house, &key, json!({"q": "a"})).await.refused(409, "conflict");
    let message = refused["message"].as_str().unwrap();
    assert!(message.ends_with("it has a vector of 2 numbers and one of 3, which do not compare"), "{message}");
}

/// 300 texts take two calls, and every other call has another answerer: there is never a whole set of one.
#[tokio::test]
async fn a_name_with_two_answerers_in_turn_is_refused() {
    let items = (0..300).map(|n| json!({"variables": {"q": format!("a{n}")}, "output": "x"})).collect();
    let (house, key) = open(likest_of("stub/vectors-alternating", items)).await;
    let refused = render(&house, &key, json!({"q": "a"})).await.refused(409, "conflict");
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("'stub/vectors-alternating' is answered by one model and then by another"), "{message}");
    assert!(message.contains("with 2 numbers") && message.contains("with 3 numbers"), "{message}");
}

/// Twenty callers at once: one makes the vectors of the examples, and each asks for that of its own question.
#[tokio::test]
async fn twenty_callers_embed_the_examples_once() {
    const CALLERS: usize = 20;
    let (house, key) = open(likest("stub/held-vectors-2")).await;
    let house = Arc::new(house);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (house, key) = (house.clone(), key.clone());
            tokio::spawn(async move { shown(&house, &key, &format!("aa{caller}")).await })
        })
        .collect();
    // All have come, and the first has asked.
    while house.get(OPERATOR, "/api/v1/status").await.expect(200)["in_flight"].as_u64().unwrap() < CALLERS as u64 {
        tokio::task::yield_now().await;
    }
    house.stub.one_waits().await;
    house.stub.shared.held.add_permits(1000);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "<aaa>");
    }
    let calls = embedded(&house);
    assert_eq!(calls.len(), CALLERS, "{calls:?}");
    let of_pool = calls.iter().filter(|texts| texts.iter().any(|text| text == "bbb")).count();
    assert_eq!(of_pool, 1, "{calls:?}");
}

/// The spans of a call's trace: of the call itself and of the embeddings made for it.
async fn spans(house: &House, key: &str, answer: &Answer) -> (Value, Value) {
    house.settle().await;
    let path = format!("/api/v1/traces/{}", answer.header("x-quarterdeck-trace-id"));
    let trace = house.get(key, &path).await.expect(200);
    let of = |kind: &str| {
        let mut found = trace["spans"].as_array().unwrap().iter().filter(|span| span["kind"] == kind);
        let one = found.next().unwrap_or_else(|| panic!("no {kind} in {trace}")).clone();
        assert!(found.next().is_none(), "{trace}");
        one
    };
    (of("llm"), of("embedding"))
}

#[tokio::test]
async fn embeddings_are_children_of_the_call_that_they_are_made_for() {
    let (house, key) = open(likest("stub/vectors-2")).await;
    let body = json!({"prompt_variables": {"q": "aa"}});
    let alone = call(&house, &key, CHAT, "likest", body.clone()).await;
    alone.expect(200);
    let (made, embedding) = spans(&house, &key, &alone).await;
    assert_eq!((&made["parent_id"], &embedding["parent_id"]), (&Value::Null, &made["span_id"]));
    assert_eq!((&made["prompt_name"], &embedding["prompt_name"]), (&json!("likest"), &Value::Null));
    let start = |span: &Value| span["start_time"].as_str().unwrap().to_owned();
    assert!(start(&made) <= start(&embedding), "choosing examples is part of the call");

    let mut traced = request(Method::POST, CHAT, Some(&key), Some(body.to_string()));
    traced.headers_mut().insert("x-quarterdeck-prompt", "likest".parse().unwrap());
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    traced.headers_mut().insert("traceparent", parent.parse().unwrap());
    let traced = house.call(traced).await;
    assert_eq!(traced.header("x-quarterdeck-trace-id"), "4bf92f3577b34da6a3ce929d0e0e4736");
    let (made, embedding) = spans(&house, &key, &traced).await;
    assert_eq!((&made["parent_id"], &embedding["parent_id"]), (&json!("00f067aa0ba902b7"), &made["span_id"]));
}

#[tokio::test]
async fn values_that_are_refused_cost_no_embeddings() {
    let (house, key) = open(likest("stub/vectors-2")).await;
    render(&house, &key, json!({})).await.refused(400, "missing_variable");
    render(&house, &key, json!({"q": 7})).await.refused(400, "invalid_type");
    call(&house, &key, CHAT, "likest", json!({"prompt_variables": {"p": "a"}})).await.refused(400, "unknown_variable");
    assert!(embedded(&house).is_empty());
}

#[tokio::test]
async fn comparing_needs_leave_to_call_models() {
    let (house, _) = open(likest("stub/vectors-2")).await;
    let reader = house.key(&[Scope::Write]).await;
    render(&house, &reader, json!({"q": "a"})).await.refused(403, "missing_scope");
    assert!(embedded(&house).is_empty());
}

/// Examples have neither conversations nor values that are none, so that these would only make the question unlike all.
#[tokio::test]
async fn a_question_is_compared_by_what_examples_have_too() {
    let mut content = likest("stub/vectors-2");
    content["examples"].as_object_mut().unwrap().remove("by");
    content["messages"] = json!([{"placeholder": "examples"}, {"placeholder": "history"}, {"role": "user", "content": "{{ q }}{{ hint }}"}]);
    content["variables"] = json!([
        {"name": "q"}, {"name": "hint", "required": false}, {"name": "history", "type": "messages", "required": false},
    ]);
    let (house, key) = open(content).await;
    let history = json!([{"role": "user", "content": "Hello."}]);
    render(&house, &key, json!({"q": "aa", "hint": null, "history": history})).await.expect(200);
    assert_eq!(embedded(&house), [["q: aa", "q: aaa", "q: bbb", "q: ab"]]);
}
