//! Data sets of the hub through the binary, over a stub of the hub on loopback.

use std::process::Output;

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::binary::{Place, alone};
use crate::upstream;

const BARE: &str = "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n[otlp]\ngrpc = false\n[net]\nallow = [\"127.0.0.1\"]\n";
const COMMIT: &str = "740312add88f781978c0658806c59bc2815b9866";
const README: &str = "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train.jsonl\n  - split: test\n    path: main/test.jsonl\n- config_name: socratic\n  data_files: socratic/*\n---\n# Math\n";
const ROWS: &str =
    "{\"question\": \"1+1?\", \"answer\": \"#### 2\"}\n{\"question\": \"2+2?\", \"answer\": \"#### 4\"}\n";

/// The text of each file of the only data set.
fn text(path: &str) -> Option<&'static str> {
    match path {
        "README.md" => Some(README),
        "main/train.jsonl" | "main/test.jsonl" | "socratic/test.jsonl" | "socratic/test/0000.jsonl" => Some(ROWS),
        _ => None,
    }
}

async fn look(Path((owner, name, revision)): Path<(String, String, String)>) -> Response {
    let files = |paths: &[&str]| {
        let siblings = paths.iter().map(|path| json!({"rfilename": path, "size": text(path).map_or(9, str::len)}));
        Json(json!({"sha": COMMIT, "siblings": siblings.collect::<Vec<Value>>()})).into_response()
    };
    match (format!("{owner}/{name}").as_str(), revision.as_str()) {
        ("openai/gsm8k", "main" | COMMIT) => {
            files(&["README.md", "main/train.jsonl", "main/test.jsonl", "socratic/test.jsonl", "gsm8k.py"])
        }
        // Its own files are a program; the hub has made tables of them.
        ("old/script", "main") => files(&["script.py"]),
        ("old/script", "refs/convert/parquet") => files(&["main/test/0000.jsonl", "socratic/test/0000.jsonl"]),
        ("closed/math", _) => StatusCode::UNAUTHORIZED.into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn file(Path((_, _, commit, path)): Path<(String, String, String, String)>) -> Response {
    assert_eq!(commit, COMMIT);
    text(&path).map_or_else(|| StatusCode::NOT_FOUND.into_response(), |text| text.into_response())
}

/// A model that knows one answer.
async fn say(Json(request): Json<Value>) -> Json<Value> {
    Json(json!({
        "id": "s", "object": "text_completion", "created": 1, "model": request["model"],
        "choices": [{"index": 0, "text": "#### 4", "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12},
    }))
}

async fn start() -> String {
    let router = Router::new()
        .route("/api/datasets/{owner}/{name}/revision/{revision}", get(look))
        .route("/datasets/{owner}/{name}/resolve/{commit}/{*path}", get(file))
        .route("/v1/completions", post(say));
    upstream::serve(router).await
}

/// Runs a command that knows the stub, beside the thread that answers for it.
async fn run(place: &Place, hub: &str, arguments: &[&str]) -> Output {
    let mut command = place.command(arguments);
    command.env("HF_ENDPOINT", hub).env_remove("HF_TOKEN");
    tokio::task::spawn_blocking(move || command.output().expect("the binary runs")).await.expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_of_the_hub_becomes_a_dataset_that_knows_its_commit() {
    let _alone = alone().await;
    let (place, hub) = (Place::new(BARE), start().await);
    let import = async |arguments: &[&str]| {
        let all: Vec<&str> = ["dataset", "import"].iter().chain(arguments).copied().collect();
        run(&place, &hub, &all).await
    };
    let done = import(&["math", "hub:openai/gsm8k", "--subset", "main", "--split", "test", "--output", "json"]).await;
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let made: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&made["version"], &made["rows"]), (&json!(1), &json!(2)), "{made}");
    let shown = place.json(&["dataset", "show", "math"]);
    assert_eq!(shown["origin"]["source"], format!("hub:openai/gsm8k@{COMMIT}"), "{shown}");
    assert_eq!(shown["origin"]["files"][0]["path"], "main/test.jsonl");
    assert_eq!(std::fs::read_dir(place.data().join("hub")).expect("a folder").count(), 0, "nothing is left behind");

    let pinned = import(&["math", &format!("hub:openai/gsm8k@{COMMIT}"), "--subset", "main", "--split", "test"]).await;
    assert!(pinned.status.success());
    assert_eq!(place.json(&["dataset", "show", "math"])["version"], 1, "the same rows are the same version");

    let script = import(&["old", "hub:old/script", "--subset", "socratic", "--split", "test"]).await;
    assert!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    let shown = place.json(&["dataset", "show", "old"]);
    assert_eq!(shown["origin"]["files"][0]["path"], "socratic/test/0000.jsonl");

    let refused = async |arguments: &[&str], why: &str, code: i32| {
        let done = import(arguments).await;
        let said = String::from_utf8_lossy(&done.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(why) && done.status.code() == Some(code), "{said}");
    };
    refused(&["x", "hub:openai/gsm8k", "--subset", "none"], "main socratic", 1).await;
    refused(&["x", "hub:old/script", "--split", "test"], "which subset is wanted", 1).await;
    refused(&["x", "hub:closed/math"], "HF_TOKEN", 1).await;
    refused(&["x", "hub:nobody/nothing"], "no such data set", 1).await;
    refused(&["x", "hub:../../etc"], "no name of a data set", 2).await;
    assert_eq!(place.run(&["dataset", "show", "x"]).status.code(), Some(1), "nothing was made");
}

const TASK: &str = "task: ours\ndataset_path: openai/gsm8k\ndataset_name: main\noutput_type: generate_until\ntest_split: test\ndoc_to_text: \"{{question}}\"\ndoc_to_target: \"{{answer}}\"\ngeneration_kwargs: {until: [\"\\n\"], max_gen_toks: 8}\nfilter_list: [{name: plain, filter: [{function: remove_whitespace}, {function: take_first}]}]\nmetric_list: [{metric: exact_match}]\n";

/// A task's file names its data set as lm-evaluation-harness's do, and the documents come from there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_gets_its_documents_from_the_hub() {
    let _alone = alone().await;
    let hub = start().await;
    let place = Place::new(&format!("{BARE}[[providers]]\nname = \"stub\"\nbase_url = \"{hub}/v1\"\n"));
    std::fs::create_dir(place.path().join("tasks")).expect("it is made");
    std::fs::write(place.path().join("tasks/ours.yaml"), TASK).expect("it is written");
    let definition = json!({"tasks": [{"task": "ours"}], "models": ["stub/good"], "measure_speed": false});
    std::fs::write(place.path().join("board.json"), definition.to_string()).expect("it is written");
    let board = ["leaderboard", "run", "board", "--file", "board.json", "--tasks", "tasks", "--output", "json"];
    let missing = run(&place, &hub, &board).await;
    assert!(String::from_utf8_lossy(&missing.stderr).contains("--from DIR"), "{missing:?}");
    let done = run(&place, &hub, &[&board[..], &["--from", "hub"]].concat()).await;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let found: Value = serde_json::from_slice(&done.stdout).expect("JSON");
    assert_eq!((&found["state"], &found["documents"]), (&json!("finished"), &json!(2)), "{found}");
    let shown = place.json(&["dataset", "show", "gsm8k-main-test"]);
    assert_eq!(shown["origin"]["source"], format!("hub:openai/gsm8k@{COMMIT}"), "{shown}");
}
