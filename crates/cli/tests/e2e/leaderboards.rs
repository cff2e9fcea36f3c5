//! A leaderboard through the binary: documents and task files of this machine, killed half-way and resumed without paying twice, a gate.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

use crate::binary::{Place, Server, alone};
use crate::upstream::{self, Holding};

const DOCUMENTS: usize = 30;
const CONCURRENCY: usize = 4;
/// Calls that are answered before the upstream holds all others: not a multiple of anything.
const ANSWERED: usize = 23;
/// How often the server is asked whether it has come so far.
const LOOK: Duration = Duration::from_millis(20);

/// An upstream that counts, and answers as many calls as it has permits.
async fn holding() -> (Arc<Holding>, String) {
    let shared = Holding::new(ANSWERED);
    let router = axum::Router::new().route("/v1/completions", post(answer)).with_state(shared.clone());
    (shared, format!("{}/v1", upstream::serve(router).await))
}

/// `Q: n + n\nA:` is answered right by `good`, and by `poor` where n is even.
async fn answer(State(shared): State<Arc<Holding>>, Json(request): Json<Value>) -> Json<Value> {
    let prompt = request["prompt"].as_str().expect("a text").to_owned();
    let question = format!("{} {prompt}", request["model"]);
    shared.hold(&question).await;
    let n: usize = prompt.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a number");
    let said = if request["model"] == "poor" && n % 2 == 1 { "no idea".to_owned() } else { format!(" {}", 2 * n) };
    Json(json!({
        "id": "s", "object": "text_completion", "created": 1, "model": request["model"],
        "choices": [{"index": 0, "text": said, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }))
}

/// A place with documents, a task file that includes another, and a definition of two models.
fn place(upstream: &str) -> Place {
    let place = Place::new(&format!(
        "[server]\naddress = \"127.0.0.1:0\"\n[otlp]\ngrpc = false\n[models]\ndefaults = []\npreload = []\n\
         [net]\nallow = [\"127.0.0.1\"]\n[[providers]]\nname = \"stub\"\nbase_url = \"{upstream}\"\n"
    ));
    let write = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("it is made");
        std::fs::write(path, text).expect("it is written");
    };
    let rows: Vec<String> = (0..DOCUMENTS).map(|n| json!({"n": n, "sum": (2 * n).to_string()}).to_string()).collect();
    write("documents/sums/test.jsonl", &rows.join("\n"));
    write(
        "tasks/sums/_base",
        "output_type: generate_until\ntest_split: test\ndoc_to_text: \"Q: {{n}} + {{n}}\\nA:\"\ngeneration_kwargs: {until: [\"\\n\"], max_gen_toks: 8}\n\
         filter_list: [{name: plain, filter: [{function: remove_whitespace}, {function: take_first}]}]\nmetric_list: [{metric: exact_match}]\n",
    );
    write("tasks/sums/sums.yaml", "include: _base\ntask: sums\ndoc_to_target: \"{{sum}}\"\n");
    let definition = json!({
        "tasks": [{"task": "sums"}], "models": ["stub/good", "stub/poor"], "concurrency": CONCURRENCY, "measure_speed": false,
    });
    write("board.json", &definition.to_string());
    place
}

async fn kept(server: &Server) -> u64 {
    let sql = json!({"sql": "SELECT count(*) AS n FROM leaderboard_answers"});
    let (status, found) = server.client.send(server.client.post("/api/v1/sql", &sql)).await.expect("it answers");
    assert_eq!(status, 200, "{found}");
    found["rows"][0]["n"].as_u64().or(found["rows"][0][0].as_u64()).unwrap_or_else(|| panic!("{found}"))
}

async fn show(server: &Server) -> Value {
    server.client.send(server.client.get("/api/v1/leaderboards/ours")).await.expect("it answers").1
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_before_a_kill_is_not_asked_again() {
    let _alone = alone().await;
    let (shared, url) = holding().await;
    let place = place(&url);
    let server = place.serve().await;
    let missing = place.run(&["leaderboard", "run", "ours", "--file", "board.json", "--tasks", "tasks", "--detach"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("--from DIR"), "{missing:?}");
    let run = ["leaderboard", "run", "ours", "--file", "board.json", "--tasks", "tasks", "--from", "documents"];
    let begun = place.json(&[&run[..], &["--detach"]].concat());
    assert_eq!(begun["documents"], DOCUMENTS);
    // As many as were answered are kept, and as many as may be are under way.
    shared.held.subscribe().wait_for(|held| *held == CONCURRENCY).await.expect("it lives");
    while kept(&server).await < ANSWERED as u64 {
        tokio::time::sleep(LOOK).await;
    }
    let before = shared.counts();
    server.kill();

    shared.permits.add_permits(10_000);
    let server = place.serve().await;
    let found = loop {
        let found = show(&server).await;
        if !matches!(found["state"].as_str(), Some("queued" | "running")) {
            break found;
        }
        tokio::time::sleep(LOOK).await;
    };
    assert_eq!(found["state"], "finished", "{found}");
    let after = shared.counts();
    assert_eq!(after.len(), 2 * DOCUMENTS, "every document was asked about");
    let paid: Vec<&String> =
        before.iter().filter(|(_, (_, answered))| *answered > 0).map(|(question, _)| question).collect();
    assert_eq!(paid.len(), ANSWERED);
    for question in paid {
        assert_eq!(after[question].0, 1, "{question} was answered before the kill and asked again");
    }
    let asked: usize = after.values().map(|(asked, _)| asked).sum();
    assert!(asked <= 2 * DOCUMENTS + CONCURRENCY, "only calls under way at the kill were made again: {asked}");
    let models = &found["report"]["models"];
    assert_eq!(
        (&models[0]["model"], &models[0]["score"], &models[1]["score"]),
        (&json!("stub/good"), &json!(100.0), &json!(50.0))
    );
    assert_eq!((&models[0]["rank_worst"], &models[1]["rank_best"]), (&json!(1), &json!(2)));
    gates(&place, &run);
    told_and_removed(&place);
    assert_eq!(server.terminate(), 0, "{}", place.log());
}

fn gates(place: &Place, run: &[&str]) {
    let judged = |gate: &str, model: &str| {
        let done = place.run(&[run, &["--gate", gate, "--model", model]].concat());
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    assert_eq!(judged("score >= 90 and sums >= 0.9", "stub/good").0, Some(0));
    let (code, told) = judged("score >= 90", "stub/poor");
    assert_eq!(code, Some(100), "{told}");
    assert!(told.contains("FAILED") && told.contains("stub/poor has 50"), "{told}");
    let junit = place.path().join("gate.xml");
    let gate = ["--gate", "score >= 90", "--model", "stub/poor", "--junit", "gate.xml"];
    assert_eq!(place.run(&[run, &gate].concat()).status.code(), Some(100));
    let junit = std::fs::read_to_string(junit).expect("it was written");
    assert!(junit.contains("tests=\"2\" failures=\"1\"") && junit.contains("the leaderboard finishes"), "{junit}");
    assert!(junit.contains("stub/poor has 50"), "{junit}");
    let unnamed = place.run(&[run, &["--gate", "score >= 90"]].concat());
    assert_eq!(unnamed.status.code(), Some(2), "a gate judges one model");
}

fn told_and_removed(place: &Place) {
    let table = place.print(&["leaderboard", "show", "ours"]);
    assert!(table.contains("stub/good is the best") && table.contains("sums exact_match"), "{table}");
    let documents =
        place.json(&["leaderboard", "documents", "ours", "--task", "sums", "--model", "stub/poor", "--limit", "2"]);
    assert_eq!(documents[1]["filters"][0]["measures"]["exact_match"], 0.0, "{documents}");
    let left = place.print(&["leaderboard", "show", "ours", "--max-size", "1GB"]);
    assert!(left.contains("left out: stub/good, its size is not known"), "{left}");
    let refused = place.run(&["leaderboard", "remove", "ours"]);
    assert_eq!(refused.status.code(), Some(2), "a script has to say --yes");
    place.print(&["leaderboard", "remove", "ours", "--yes"]);
    assert_eq!(place.json(&["leaderboard", "list"]), json!([]));
    let row = |n: usize| format!("{}\n", json!({"n": n, "model_a": "good", "model_b": "poor", "winner": "a"}));
    let rows: String = (0..20).map(row).collect();
    std::fs::write(place.path().join("arena.jsonl"), rows).expect("it is written");
    place.print(&["dataset", "import", "arena", "arena.jsonl"]);
    let rated = place.print(&["leaderboard", "rate", "arena"]);
    assert!(rated.contains("20 comparisons") && rated.contains("good is preferred to every other model"), "{rated}");
    let task = place.print(&["task", "show", "gsm8k"]);
    assert!(task.contains("gsm8k-main-test") && task.contains("generate_until"), "{task}");
}
