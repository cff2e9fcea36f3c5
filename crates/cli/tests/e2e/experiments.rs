//! An experiment through the binary: killed half-way and resumed without paying twice, and a gate for CI systems.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

use crate::binary::{Place, Server, alone};
use crate::upstream::{self, Holding};

const ITEMS: usize = 20;
const CONCURRENCY: usize = 4;
/// Calls that are answered before the upstream holds all others: not a multiple of anything.
const ANSWERED: usize = 30;
/// How often the server is asked whether it has come so far.
const LOOK: Duration = Duration::from_millis(20);

/// An upstream that counts, and answers as many calls as it has permits.
async fn holding() -> (Arc<Holding>, String) {
    let shared = Holding::new(ANSWERED);
    let router = axum::Router::new().route("/v1/chat/completions", post(answer)).with_state(shared.clone());
    (shared, format!("{}/v1", upstream::serve(router).await))
}

/// `n + n = ?` is answered right, except by whoever is told to guess and asked about an odd number.
async fn answer(State(shared): State<Arc<Holding>>, Json(request): Json<Value>) -> Json<Value> {
    let question = format!("{} {}", request["messages"], request["temperature"]);
    shared.hold(&question).await;
    let text = |place: usize| request["messages"][place]["content"].as_str().unwrap_or_default().to_owned();
    let n: usize = text(1).split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
    let said = if text(0) == "Guess." && n % 2 == 1 { "no idea".to_owned() } else { (2 * n).to_string() };
    upstream::said(&request, &said)
}

/// A place with a dataset, two prompts and a definition of four cells.
fn place(upstream: &str) -> Place {
    let place = Place::new(&format!(
        "[server]\naddress = \"127.0.0.1:0\"\n[otlp]\ngrpc = false\n[models]\ndefaults = []\npreload = []\n\
         [net]\nallow = [\"127.0.0.1\"]\n[[providers]]\nname = \"stub\"\nbase_url = \"{upstream}\"\n"
    ));
    let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).expect("it is written");
    let rows: Vec<String> = (0..ITEMS)
        .map(|n| json!({"question": format!("{n} + {n} = ?"), "answer": (2 * n).to_string()}).to_string())
        .collect();
    write("sums.jsonl", &rows.join("\n"));
    for (name, words) in [("add", "Add."), ("guess", "Guess.")] {
        let prompt = json!({
            "messages": [{"role": "system", "content": words}, {"role": "user", "content": "{{ question }}"}],
            "variables": [{"name": "question"}], "model": "stub/sums",
        });
        write(&format!("{name}.json"), &prompt.to_string());
        place.print(&["prompt", "create", name, "--file", &format!("{name}.json")]);
    }
    place.print(&["dataset", "import", "sums", "sums.jsonl"]);
    let definition = json!({
        "dataset": "sums", "prompts": ["add", "guess"], "parameters": {"temperature": [0, 0.7]}, "concurrency": CONCURRENCY,
        "scorers": [{"kind": "exact_match"}, {"kind": "latency"}],
    });
    write("sweep.json", &definition.to_string());
    place
}

async fn kept(server: &Server) -> u64 {
    let sql = json!({"sql": "SELECT count(*) AS n FROM experiment_items"});
    let (status, found) = server.client.send(server.client.post("/api/v1/sql", &sql)).await.expect("it answers");
    assert_eq!(status, 200, "{found}");
    found["rows"][0]["n"].as_u64().or(found["rows"][0][0].as_u64()).unwrap_or_else(|| panic!("{found}"))
}

async fn show(server: &Server) -> Value {
    server.client.send(server.client.get("/api/v1/experiments/sweep")).await.expect("it answers").1
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_before_a_kill_is_not_paid_for_again() {
    let _alone = alone().await;
    let (shared, url) = holding().await;
    let place = place(&url);
    let server = place.serve().await;
    let begun = place.json(&["experiment", "run", "sweep", "--file", "sweep.json", "--detach"]);
    assert_eq!((&begun["cells"], &begun["items"]), (&json!(4), &json!(ITEMS)));
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
    assert_eq!((&found["state"], &found["report"]["answers"]), (&json!("finished"), &json!(4 * ITEMS)), "{found}");
    let after = shared.counts();
    assert_eq!(after.len(), 4 * ITEMS, "every question was asked");
    let paid: Vec<&String> =
        before.iter().filter(|(_, (_, answered))| *answered > 0).map(|(question, _)| question).collect();
    assert_eq!(paid.len(), ANSWERED);
    for question in paid {
        assert_eq!(after[question].0, 1, "{question} was answered before the kill and asked again");
    }
    let asked: usize = after.values().map(|(asked, _)| asked).sum();
    assert!(asked <= 4 * ITEMS + CONCURRENCY, "only calls under way at the kill were made again: {asked}");

    // All even numbers are right: 10 of 20. The best cells are told apart from the others, not from each other.
    let report = &found["report"];
    assert_eq!(report["cells"][2]["scores"]["exact_match"]["mean"], 0.5);
    assert_eq!((&report["winner"], &report["not_told_apart"]), (&Value::Null, &json!(["c1", "c2"])));
    gates(&place);
    previewed_and_removed(&place);
    assert_eq!(server.terminate(), 0, "{}", place.log());
}

/// The same definition is the same version, which has finished: gates are judged at once.
fn gates(place: &Place) {
    let gate = |conditions: &str, cell: &str| {
        let run = [
            "experiment",
            "run",
            "sweep",
            "--file",
            "sweep.json",
            "--gate",
            conditions,
            "--cell",
            cell,
            "--junit",
            "gate.xml",
        ];
        let output = place.run(&run);
        let xml = std::fs::read_to_string(place.path().join("gate.xml")).unwrap_or_default();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), xml)
    };
    let (code, _, xml) = gate("exact_match >= 0.8 and failed < 1", "c1");
    assert_eq!(code, Some(0));
    assert!(xml.contains("<testsuites tests=\"3\" failures=\"0\""), "{xml}");
    let (code, said, xml) = gate("exact_match >= 0.8", "c3");
    assert_eq!(code, Some(100), "{said}");
    assert!(said.contains("exact_match >= 0.8 does not hold of c3"), "{said}");
    assert!(xml.contains("<failure message=\"c3 has 0.5\"/>"), "{xml}");
    let (code, said, _) = gate("f1 >= 0.8", "c1");
    assert_eq!(code, Some(2), "{said}");
    let table = place.print(&["experiment", "show", "sweep"]);
    assert!(
        table.contains("there is no winner; these 2 are not told apart: c1 (add@1 · temperature 0), c2"),
        "{table}"
    );
    let items =
        place.print(&["experiment", "items", "sweep", "--cells", "c1,c3", "--disagree", "exact_match", "--limit", "1"]);
    assert!(items.contains("[c3] exact_match 0.0") && items.contains("no idea"), "{items}");
    let compared = place.json(&["experiment", "compare", "sweep", "c3", "c1"]);
    assert_eq!(compared[0]["verdict"], "b_better");
}

/// What it would take is told without taking it; who deletes it says so twice.
fn previewed_and_removed(place: &Place) {
    let table = place.print(&["experiment", "preview", "other", "--file", "sweep.json"]);
    assert!(table.contains("4 cells × 20 items: 80 calls, about "), "{table}");
    assert!(table.contains("The price is not known of stub/sums."), "{table}");
    let refused = place.run(&["experiment", "remove", "sweep"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("--yes deletes without asking"), "{said}");
    place.print(&["experiment", "remove", "sweep", "--yes"]);
    assert_eq!(place.json(&["experiment", "list"]), json!([]));
}
