//! `/api/v1/prompts`, and calls that name a prompt.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use http::header::IF_NONE_MATCH;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{Answer, House, OPERATOR, request};

const PATH: &str = "/api/v1/prompts";
const CHAT: &str = "/v1/chat/completions";

/// A prompt that says `words` and a value.
pub fn says(words: &str) -> Value {
    json!({
        "messages": [{"role": "system", "content": words}, {"role": "user", "content": "Greet {{ name }}."}],
        "variables": [{"name": "name"}],
        "model": "stub/echo-1",
        "parameters": {"temperature": 0.25, "max_tokens": 9},
    })
}

pub async fn put(house: &House, key: &str, name: &str, content: Value) -> Value {
    house.post(key, PATH, json!({"name": name, "content": content})).await.expect(201)
}

pub async fn label(house: &House, key: &str, name: &str, body: Value) -> Answer {
    house.put(key, &format!("{PATH}/{name}/labels/production"), body).await
}

/// A call of `prompt` with `body`.
pub async fn call(house: &House, key: &str, path: &str, prompt: &str, body: Value) -> Answer {
    let mut call = request(Method::POST, path, Some(key), Some(body.to_string()));
    call.headers_mut().insert("x-quarterdeck-prompt", prompt.parse().unwrap());
    house.call(call).await
}

fn sent(house: &House) -> Value {
    serde_json::from_str(&house.stub.shared.last.body()).unwrap()
}

#[tokio::test]
async fn versions_are_made_listed_fetched_and_removed() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let theirs = house.key_of("other", &[Scope::Write]).await;
    let first = put(&house, &key, "support/greeting", says("one")).await;
    assert_eq!((&first["version"], &first["content"]["messages"]), (&json!(1), &says("one")["messages"]));
    assert_eq!(
        first["content"]["variables"],
        json!([{"name": "name", "type": "string"}]),
        "what is usual is written out"
    );
    assert_eq!(put(&house, &key, "support/greeting", says("one")).await["version"], 1, "the same is no new version");
    let new = json!({"name": "support/greeting", "content": says("two"), "message": "shorter"});
    assert_eq!(house.post(&key, PATH, new).await.expect(201)["version"], 2);

    let listed = house.get(&key, PATH).await.expect(200);
    assert_eq!((&listed["data"][0]["name"], &listed["data"][0]["latest"]), (&json!("support/greeting"), &json!(2)));
    assert_eq!(house.get(&theirs, PATH).await.expect(200)["data"], json!([]), "a prompt belongs to its project");
    let path = format!("{PATH}/support%2Fgreeting");
    house.get(&theirs, &path).await.refused(404, "not_found");
    let versions = house.get(&key, &format!("{path}/versions?limit=1")).await.expect(200);
    assert_eq!((&versions["data"][0]["message"], &versions["next_cursor"]), (&json!("shorter"), &json!("2")));
    let rest = house.get(&key, &format!("{path}/versions?cursor=2")).await.expect(200);
    assert_eq!((&rest["data"][0]["version"], &rest["next_cursor"]), (&json!(1), &Value::Null));

    assert_eq!(house.get(&key, &path).await.expect(200)["version"], 2, "without a label it is the latest");
    assert_eq!(house.get(&key, &format!("{path}?version=1")).await.expect(200)["version"], 1);
    house.get(&key, &format!("{path}?version=3")).await.refused(404, "not_found");
    house.get(&key, &format!("{path}?label=production")).await.refused(404, "not_found");
    house.get(&key, &format!("{path}?label=production&version=1")).await.refused(400, "invalid_value");
    assert_eq!(house.delete(&key, &path).await.status, 204);
    house.get(&key, &path).await.refused(404, "not_found");
    house.get(&key, &format!("{path}/versions")).await.refused(404, "not_found");
}

#[tokio::test]
async fn what_cannot_be_a_version_is_told_by_its_part() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let refused = |content: Value, code: &'static str| {
        let (house, key) = (&house, &key);
        async move {
            let answer = house.post(key, PATH, json!({"name": "x", "content": content})).await;
            answer.refused(400, code)["param"].as_str().unwrap_or_default().to_owned()
        }
    };
    let user = |content: &str| json!([{"role": "user", "content": content}]);
    assert_eq!(refused(json!({"messages": user("{{ x")}), "invalid_template").await, "content.messages[0].content");
    assert_eq!(refused(json!({"messages": user("{{ x }}")}), "invalid_value").await, "content.messages[0].content");
    assert_eq!(
        refused(json!({"messages": user("{% include 'a' %}")}), "invalid_template").await,
        "content.messages[0].content"
    );
    let warm = json!({"messages": user("x"), "parameters": {"temperature": 3}});
    assert_eq!(refused(warm, "decimal_above_max_value").await, "content.parameters.temperature");
    let form = json!({"messages": user("x"), "response_format": {"type": "yaml"}});
    assert_eq!(refused(form, "invalid_value").await, "content.response_format.type");
    house.post(&key, PATH, json!({"name": "a b", "content": says("x")})).await.refused(400, "invalid_value");
    let reader = house.key(&[Scope::Read]).await;
    house.post(&reader, PATH, json!({"name": "x", "content": says("x")})).await.refused(403, "missing_scope");
}

#[tokio::test]
async fn a_fetch_is_answered_with_304_until_the_label_moves() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    put(&house, &key, "greeting", says("one")).await;
    put(&house, &key, "greeting", says("two")).await;
    label(&house, &key, "greeting", json!({"version": 1, "expected": null})).await.expect(200);
    let path = format!("{PATH}/greeting?label=production");
    let first = house.get(&key, &path).await;
    assert_eq!(first.expect(200)["version"], 1);
    let tag = first.header("etag").to_owned();
    let again = |tags: String| {
        let mut again = request(Method::GET, &path, Some(&key), None);
        again.headers_mut().insert(IF_NONE_MATCH, tags.parse().unwrap());
        house.call(again)
    };
    for tags in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let unchanged = again(tags).await;
        assert_eq!(
            (unchanged.status.as_u16(), unchanged.bytes.len(), unchanged.header("etag")),
            (304, 0, tag.as_str())
        );
    }
    label(&house, &key, "greeting", json!({"version": 2, "expected": 1})).await.expect(200);
    let moved = again(tag.clone()).await;
    assert_eq!(moved.expect(200)["version"], 2);
    assert_ne!(moved.header("etag"), tag);
}

#[tokio::test]
async fn labels_move_by_compare_and_swap() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    put(&house, &key, "greeting", says("one")).await;
    put(&house, &key, "greeting", says("two")).await;
    label(&house, &key, "greeting", json!({"version": 3})).await.refused(404, "not_found");
    label(&house, &key, "greeting", json!({"version": 1, "expected": 2})).await.refused(409, "conflict");
    let labels = label(&house, &key, "greeting", json!({"version": 1})).await.expect(200);
    assert_eq!((&labels["data"][0]["label"], &labels["data"][0]["version"]), (&json!("production"), &json!(1)));
    label(&house, &key, "greeting", json!({"version": 2, "expected": null})).await.refused(409, "conflict");
    label(&house, &key, "greeting", json!({"version": 2})).await.expect(200);
    let versions = house.get(&key, &format!("{PATH}/greeting/versions")).await.expect(200);
    assert_eq!((&versions["data"][0]["labels"], &versions["data"][1]["labels"]), (&json!(["production"]), &json!([])));
    let path = format!("{PATH}/greeting/labels/production");
    house.delete(&key, &format!("{path}?expected=1")).await.refused(409, "conflict");
    assert_eq!(house.delete(&key, &path).await.expect(200)["data"], json!([]));
    house.delete(&key, &path).await.refused(404, "not_found");
}

/// Who does not say from where a label moves does not mind that others move it too.
#[tokio::test]
async fn twenty_move_a_label_at_once() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    put(&house, &key, "greeting", says("one")).await;
    put(&house, &key, "greeting", says("two")).await;
    let moves = (0..20).map(|n| label(&house, &key, "greeting", json!({"version": 1 + n % 2})));
    for moved in futures::future::join_all(moves).await {
        moved.expect(200);
    }
}

#[tokio::test]
async fn values_without_a_prompt_are_refused() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer]).await;
    let chat = json!({"model": "stub/echo-1", "messages": [{"role": "user", "content": "Hi"}], "prompt_variables": {}});
    let text = json!({"model": "stub/echo-1", "prompt": "Hi", "prompt_variables": {"name": "Ada"}});
    for (path, body) in [(CHAT, chat), ("/v1/completions", text)] {
        let refused = house.post(&key, path, body).await.refused(400, "invalid_value");
        assert_eq!(refused["param"], "prompt_variables", "{path}");
        assert!(refused["message"].as_str().unwrap().contains("x-quarterdeck-prompt"), "{path}");
    }
    assert_eq!(house.stub.shared.last.body(), "");
}

#[tokio::test]
async fn versions_are_compared_and_commented() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    put(&house, &key, "greeting", says("Be kind.")).await;
    put(&house, &key, "greeting", says("Be brief.")).await;
    let diff = house.get(&key, &format!("{PATH}/greeting/diff?from=1&to=latest")).await.expect(200);
    let unified = diff["unified"].as_str().unwrap();
    assert!(unified.starts_with("--- greeting@1\n+++ greeting@2\n@@ "), "{unified}");
    assert!(unified.contains("\n-Be kind.\n+Be brief.\n"), "{unified}");
    house.get(&key, &format!("{PATH}/greeting/diff?from=1&to=9")).await.refused(404, "not_found");

    let path = format!("{PATH}/greeting/comments");
    let made = house.post(&key, &path, json!({"version": 1, "text": "too warm"})).await.expect(201);
    house.post(&key, &path, json!({"version": 7, "text": "?"})).await.refused(404, "not_found");
    let listed = house.get(&key, &path).await.expect(200);
    assert_eq!(listed["data"], json!([made]));
    let gone = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(house.delete(&key, &gone).await.status, 204);
    house.delete(&key, &gone).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_prompt_is_rendered_kept_or_not() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    put(&house, &key, "greeting", says("Be kind.")).await;
    let path = format!("{PATH}/greeting/render");
    let said = house.post(&key, &path, json!({"variables": {"name": "Ada"}})).await.expect(200);
    assert_eq!(said["messages"][1], json!({"role": "user", "content": "Greet Ada."}));
    // "Be kind." has 8 characters, "Greet Ada." has 10.
    assert_eq!(
        json!([said["version"], said["characters"], said["tokens"], said["tokens_estimated"]]),
        json!([1, 18, 5, true])
    );
    assert_eq!((&said["model"], &said["parameters"]["temperature"]), (&json!("stub/echo-1"), &json!(0.25)));

    let missing = house.post(&key, &path, json!({})).await.refused(400, "missing_variable");
    assert_eq!(
        (&missing["param"], &missing["message"]),
        (&json!("variables.name"), &json!("the variable 'name' is missing; it is a string and has no default"))
    );
    let wrong = house.post(&key, &path, json!({"variables": {"name": 7}})).await.refused(400, "invalid_type");
    assert_eq!(wrong["param"], "variables.name");
    let unknown =
        house.post(&key, &path, json!({"variables": {"name": "a", "nme": "b"}})).await.refused(400, "unknown_variable");
    assert_eq!(unknown["message"], "there is no variable 'nme'; there are name");

    let draft = json!({"kind": "text", "text": "{% for i in range(9999) %}{% for j in range(9999) %}{{ i }}{% endfor %}{% endfor %}"});
    let path = format!("{PATH}/not-kept/render");
    let stopped = house.post(&key, &path, json!({"content": draft})).await.refused(400, "template_limit");
    assert_eq!(stopped["param"], "content.text");
    let draft = json!({"kind": "text", "text": "Hello {{ x }}", "variables": [{"name": "x", "default": "you"}]});
    assert_eq!(house.post(&key, &path, json!({"content": draft})).await.expect(200)["text"], "Hello you");
}

#[tokio::test]
async fn a_call_says_what_the_version_says_and_the_span_names_it() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer, Scope::Write]).await;
    put(&house, &key, "greeting", says("Be kind.")).await;
    let answer =
        call(&house, &key, CHAT, "greeting", json!({"prompt_variables": {"name": "Ada"}, "x_own": {"a": 1}})).await;
    answer.expect(200);
    assert_eq!(answer.header("x-quarterdeck-prompt"), "greeting@1");
    assert_eq!(
        sent(&house),
        json!({
            "model": "echo-1",
            "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Greet Ada."}],
            "x_own": {"a": 1},
            "temperature": 0.25,
            "max_tokens": 9,
        })
    );
    let body = json!({
        "model": "stub/other", "temperature": 1, "max_completion_tokens": 3, "stream": true,
        "messages": [{"role": "user", "content": "Again."}], "prompt_variables": {"name": "Ada"},
    });
    let streamed = call(&house, &key, CHAT, "greeting@1", body).await;
    assert!(streamed.text().ends_with("data: [DONE]\n\n"), "{}", streamed.text());
    assert_eq!(streamed.header("x-quarterdeck-prompt"), "greeting@1");
    let said = sent(&house);
    assert_eq!(json!([said["model"], said["temperature"], said["max_completion_tokens"]]), json!(["other", 1, 3]));
    assert_eq!((&said["messages"][2]["content"], said.get("max_tokens")), (&json!("Again."), None));

    house.settle().await;
    for answer in [answer, streamed] {
        let path = format!("/api/v1/traces/{}", answer.header("x-quarterdeck-trace-id"));
        let span = house.get(&key, &path).await.expect(200)["spans"][0].clone();
        assert_eq!((&span["prompt_name"], &span["prompt_version"]), (&json!("greeting"), &json!(1)));
    }
    let fares = house.get(&key, "/api/v1/stats?prompt=greeting&group_by=prompt_version").await.expect(200);
    assert_eq!((&fares["groups"][0]["group"], &fares["groups"][0]["requests"]), (&json!("1"), &json!(2)));
}

#[tokio::test]
async fn a_text_is_continued() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer, Scope::Write]).await;
    let content =
        json!({"kind": "text", "text": "Hello {{ name }},", "variables": [{"name": "name"}], "model": "stub/echo-1"});
    put(&house, &key, "greeting", content).await;
    call(&house, &key, "/v1/completions", "greeting", json!({"prompt_variables": {"name": "Ada"}})).await.expect(200);
    assert_eq!(sent(&house), json!({"model": "echo-1", "prompt": "Hello Ada,"}));
    let other = call(&house, &key, CHAT, "greeting", json!({"prompt_variables": {"name": "Ada"}})).await;
    assert!(other.refused(400, "invalid_value")["message"].as_str().unwrap().contains("/v1/completions"));
}

#[tokio::test]
async fn calls_of_prompts_that_fail_are_told_in_openai_s_form() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer, Scope::Write]).await;
    let theirs = house.key_of("other", &[Scope::Infer]).await;
    put(&house, &key, "greeting", says("Be kind.")).await;
    let body = json!({"prompt_variables": {"name": "Ada"}});
    call(&house, &key, CHAT, "nobody", body.clone()).await.refused(404, "not_found");
    call(&house, &key, CHAT, "greeting@staging", body.clone()).await.refused(404, "not_found");
    call(&house, &key, CHAT, "greeting@2", body.clone()).await.refused(404, "not_found");
    call(&house, &theirs, CHAT, "greeting", body).await.refused(404, "not_found");
    call(&house, &key, CHAT, "not a name", json!({})).await.refused(400, "invalid_value");
    let vectors = json!({"model": "stub/echo-1", "input": "a"});
    call(&house, &key, "/v1/embeddings", "greeting", vectors).await.refused(400, "invalid_value");
    let missing = call(&house, &key, CHAT, "greeting", json!({})).await.refused(400, "missing_variable");
    assert_eq!(missing["param"], "prompt_variables.name");
    let wrong =
        call(&house, &key, CHAT, "greeting", json!({"prompt_variables": {"name": "a"}, "temperature": 7})).await;
    assert_eq!(wrong.refused(400, "decimal_above_max_value")["param"], "temperature");
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let mut call =
        request(Method::POST, CHAT, Some(&key), Some(format!("{{\"prompt_variables\":{{\"name\":{deep}}}}}")));
    call.headers_mut().insert("x-quarterdeck-prompt", "greeting".parse().unwrap());
    house.call(call).await.refused(400, "json_too_deep");
    assert_eq!(house.stub.shared.last.body(), "", "none of them reached the upstream");
}

/// Twenty callers while the label moves: each call says the words of one version, the row names that one, and whoever
/// calls after the move was acknowledged gets the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_label_moves_under_twenty_callers() {
    const CALLERS: usize = 20;
    const CALLS: usize = 12;
    let house = Arc::new(House::open().await);
    let key = house.key(&[Scope::Infer, Scope::Write]).await;
    put(&house, &key, "greeting", says("words of version 1")).await;
    put(&house, &key, "greeting", says("words of version 2")).await;
    label(&house, &key, "greeting", json!({"version": 1, "expected": null})).await.expect(200);

    let (done, moved) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let (house, key, done, moved) = (house.clone(), key.clone(), done.clone(), moved.clone());
            tokio::spawn(async move {
                let mut answers = Vec::new();
                for number in 0..CALLS {
                    // However slow the move is, somebody calls after it.
                    while number == CALLS - 1 && !moved.load(Ordering::SeqCst) {
                        tokio::task::yield_now().await;
                    }
                    let after = moved.load(Ordering::SeqCst);
                    let body =
                        json!({"prompt_variables": {"name": format!("{caller}-{number}")}, "stream": number % 2 == 0});
                    let answer = call(&house, &key, CHAT, "greeting@production", body).await;
                    assert_eq!(answer.status, 200, "{}", answer.text());
                    let version = answer.header("x-quarterdeck-prompt").to_owned();
                    assert!(!after || version == "greeting@2", "called after the move, and got {version}");
                    answers.push((answer.header("x-quarterdeck-trace-id").to_owned(), version));
                    done.fetch_add(1, Ordering::SeqCst);
                }
                answers
            })
        })
        .collect();
    while done.load(Ordering::SeqCst) < CALLERS * CALLS / 3 {
        tokio::task::yield_now().await;
    }
    label(&house, &key, "greeting", json!({"version": 2, "expected": 1})).await.expect(200);
    moved.store(true, Ordering::SeqCst);
    let mut told = HashMap::new();
    for caller in callers {
        told.extend(caller.await.unwrap());
    }
    house.settle().await;
    compare_with_upstream_and_rows(&house, &told).await;
}

async fn compare_with_upstream_and_rows(house: &House, told: &HashMap<String, String>) {
    let heard: HashMap<String, String> = house
        .stub
        .shared
        .all
        .lock()
        .unwrap()
        .iter()
        .map(|(parent, body)| {
            (parent.split('-').nth(1).unwrap().to_owned(), body["messages"][0]["content"].as_str().unwrap().to_owned())
        })
        .collect();
    let sql = "SELECT trace_id, prompt_name, prompt_version, input FROM spans";
    let rows = house.post(OPERATOR, "/api/v1/sql", json!({"sql": sql})).await.expect(200);
    let rows = rows["rows"].as_array().unwrap();
    assert_eq!((rows.len(), heard.len(), told.len()), (240, 240, 240));
    let mut versions = [0; 2];
    for row in rows {
        let (trace, version) = (row["trace_id"].as_str().unwrap(), row["prompt_version"].as_u64().unwrap());
        let words = format!("words of version {version}");
        assert_eq!(row["prompt_name"], "greeting");
        assert_eq!(told[trace], format!("greeting@{version}"), "what the caller was told");
        assert_eq!(heard[trace], words, "what the upstream got");
        let input: Value = serde_json::from_str(row["input"].as_str().unwrap()).unwrap();
        assert_eq!(input[0]["content"], words, "what the row keeps");
        versions[version as usize - 1] += 1;
    }
    assert!(versions.iter().all(|calls| *calls > 0), "both versions were called: {versions:?}");
}

#[tokio::test]
async fn examples_are_those_most_like_the_question() {
    let house = crate::local::house().await;
    let key = house.key(&[Scope::Infer, Scope::Write]).await;
    let item = |q: &str, a: &str| json!({"variables": {"q": q}, "output": a});
    let content = json!({
        "messages": [{"placeholder": "examples"}, {"role": "user", "content": "{{ q }}"}],
        "variables": [{"name": "q"}],
        "examples": {
            "strategy": "similar", "by": "q", "count": 1, "embedding_model": "embed",
            "template": [{"role": "user", "content": "{{ q }}"}, {"role": "assistant", "content": "{{ output }}"}],
            "items": [
                item("How do I bake bread?", "With flour."),
                item("Which planet is the largest?", "Jupiter."),
                item("Who wrote Hamlet?", "Shakespeare."),
            ],
        },
    });
    put(&house, &key, "shots", content).await;
    let path = format!("{PATH}/shots/render");
    for (question, answer) in [
        ("What is the biggest planet of the solar system?", "Jupiter."),
        ("Who is the author of Macbeth?", "Shakespeare."),
        ("What goes into a cake that I want to bake?", "With flour."),
    ] {
        let said = house.post(&key, &path, json!({"variables": {"q": question}})).await.expect(200);
        assert_eq!(said["messages"][1]["content"], answer, "{question}");
    }
    house.settle().await;
    let sql = "SELECT count(*) AS calls FROM spans WHERE kind = 'embedding'";
    let calls = house.post(OPERATOR, "/api/v1/sql", json!({"sql": sql})).await.expect(200)["rows"][0]["calls"].clone();
    assert_eq!(calls, 3, "one for the pool and the first question, one for each other question");
}

#[tokio::test]
async fn examples_come_from_a_dataset() {
    let house = House::open().await;
    let _runner = crate::datasets::runner(&house);
    let key = house.key(&[Scope::Infer, Scope::Write]).await;
    let theirs = house.key_of("other", &[Scope::Write]).await;
    let content = json!({
        "kind": "text", "text": "{{ examples }}\nQ: {{ question }}", "variables": [{"name": "question"}],
        "examples": {"template": "Q: {{ question }} A: {{ output }}", "separator": "\n", "dataset": "math", "count": 2},
        "model": "stub/echo-1",
    });
    let new = json!({"name": "sums", "content": content});
    house.post(&key, PATH, new.clone()).await.refused(404, "not_found");
    crate::datasets::import(&house, &key, "math", crate::datasets::ROWS).await;
    house.post(&key, PATH, new.clone()).await.expect(201);
    house.post(&theirs, PATH, new).await.refused(404, "not_found");
    let body = json!({"prompt_variables": {"question": "3+3?"}});
    call(&house, &key, "/v1/completions", "sums", body).await.expect(200);
    assert_eq!(sent(&house)["prompt"], "Q: 1+1? A: 2\nQ: 2+2? A: 4\nQ: 3+3?");
}
