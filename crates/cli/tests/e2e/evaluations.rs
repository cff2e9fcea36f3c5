//! An evaluation through the binary: killed half-way and gone on with without paying twice, and gates for CI systems.

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
/// Calls that are answered before the upstream holds all others: of the first eight items all answers and half as many words of the judge.
const ANSWERED: usize = 12;
/// How often the server is asked whether it has come so far.
const LOOK: Duration = Duration::from_millis(20);

/// An upstream that counts, and answers as many calls as it has permits.
async fn holding() -> (Arc<Holding>, String) {
    let shared = Holding::new(ANSWERED);
    let router = axum::Router::new().route("/v1/chat/completions", post(answer)).with_state(shared.clone());
    (shared, format!("{}/v1", upstream::serve(router).await))
}

/// `sums` doubles even numbers and knows nothing of odd ones; `judging` calls numbers correct.
async fn answer(State(shared): State<Arc<Holding>>, Json(request): Json<Value>) -> Json<Value> {
    let question = format!("{} {}", request["model"], request["messages"]);
    shared.hold(&question).await;
    let said = match request["model"].as_str() {
        Some("judging") if request["messages"].to_string().contains("no idea") => {
            r#"{"reasoning": "", "verdict": "wrong"}"#.to_owned()
        }
        Some("judging") => r#"{"reasoning": "", "verdict": "correct"}"#.to_owned(),
        _ => {
            let text = request["messages"][0]["content"].as_str().unwrap_or_default();
            let n: usize = text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number");
            if n % 2 == 1 { "no idea".to_owned() } else { (2 * n).to_string() }
        }
    };
    upstream::said(&request, &said)
}

/// A place with a dataset, a prompt and a definition of a target that is asked, one that is there, and a judge of both.
fn place(upstream: &str) -> Place {
    let place = Place::new(&format!(
        "[server]\naddress = \"127.0.0.1:0\"\n[otlp]\ngrpc = false\n[models]\ndefaults = []\npreload = []\n\
         [net]\nallow = [\"127.0.0.1\"]\n[[providers]]\nname = \"stub\"\nbase_url = \"{upstream}\"\n"
    ));
    let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).expect("it is written");
    let rows: Vec<String> = (0..ITEMS)
        .map(|n| {
            json!({"question": format!("{n} + {n} = ?"), "answer": (2 * n).to_string(), "old": format!("{}", 2 * n)})
                .to_string()
        })
        .collect();
    write("sums.jsonl", &rows.join("\n"));
    let prompt = json!({"messages": [{"role": "user", "content": "{{ question }}"}], "variables": [{"name": "question"}], "model": "stub/sums"});
    write("add.json", &prompt.to_string());
    place.print(&["prompt", "create", "add", "--file", "add.json"]);
    place.print(&["dataset", "import", "sums", "sums.jsonl"]);
    let definition = json!({
        "dataset": "sums", "targets": {"new": {"prompt": "add"}, "old": {"column": "old"}}, "concurrency": CONCURRENCY,
        "scorers": [{"kind": "exact_match"}, {"kind": "judge", "judge": "ready/correctness@stub/judging", "name": "right"}],
        "gate": ["old.exact_match >= 1"],
    });
    write("nightly.json", &definition.to_string());
    place
}

async fn kept(server: &Server) -> u64 {
    let sql = json!({"sql": "SELECT count(*) AS n FROM evaluation_items WHERE asked IS NOT NULL"});
    let (status, found) = server.client.send(server.client.post("/api/v1/sql", &sql)).await.expect("it answers");
    assert_eq!(status, 200, "{found}");
    found["rows"][0]["n"].as_u64().or(found["rows"][0][0].as_u64()).unwrap_or_else(|| panic!("{found}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_before_a_kill_is_not_paid_for_again() {
    let _alone = alone().await;
    let (shared, url) = holding().await;
    let place = place(&url);
    let server = place.serve().await;
    let begun = place.json(&["eval", "run", "nightly.json", "--detach"]);
    assert_eq!((&begun["name"], &begun["items"]), (&json!("nightly"), &json!(ITEMS)));
    // As many as were answered are kept, and as many as may be are under way.
    shared.held.subscribe().wait_for(|held| *held == CONCURRENCY).await.expect("it lives");
    while kept(&server).await < ANSWERED as u64 {
        tokio::time::sleep(LOOK).await;
    }
    let before = shared.counts();
    let judged =
        before.iter().filter(|(question, (_, answered))| question.contains("judging") && *answered > 0).count();
    assert!(judged > 0, "some words of the judge are among what was paid");
    server.kill();

    shared.permits.add_permits(10_000);
    let server = place.serve().await;
    let found = loop {
        let found = server.client.send(server.client.get("/api/v1/evaluations/nightly")).await.expect("it answers").1;
        if !matches!(found["state"].as_str(), Some("queued" | "running")) {
            break found;
        }
        tokio::time::sleep(LOOK).await;
    };
    assert_eq!(found["state"], "finished", "{found}");
    let after = shared.counts();
    for (question, (_, answered)) in before {
        if answered > 0 {
            assert_eq!(after[&question].0, 1, "{question} was answered before the kill and asked again");
        }
    }
    // 20 answers; of the judge 20 questions about those that are there and 10 about those of the model that are others: even
    // numbers are answered alike.
    let asked: usize = after.values().map(|(asked, _)| asked).sum();
    assert_eq!(after.len(), ITEMS + ITEMS + ITEMS / 2);
    assert!(asked <= after.len() + CONCURRENCY, "only calls under way at the kill were made again: {asked}");

    gates(&place);
    assert_eq!(server.terminate(), 0, "{}", place.log());
}

/// The same definition is the same version, which has finished: gates are judged at once.
fn gates(place: &Place) {
    let gate = |conditions: &str| {
        let run =
            ["eval", "run", "nightly.json", "--gate", conditions, "--junit", "gate.xml", "--markdown", "summary.md"];
        let output = place.run(&run);
        let read = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap_or_default();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            read("gate.xml"),
            read("summary.md"),
        )
    };
    let (code, said, xml, summary) = gate("new.exact_match >= 0.5 and new.right >= 50% and old.failed < 1");
    assert_eq!(code, Some(0), "{said}");
    assert!(xml.contains("<testsuites tests=\"5\" failures=\"0\""), "{xml}");
    assert!(summary.starts_with("## Evaluation nightly@1 ✅"), "{summary}");
    assert!(summary.contains("| `old.exact_match >= 1` | 1 | passed |"), "{summary}");
    // Wilson's interval of 10 of 20 is [0.299, 0.701].
    assert!(summary.contains("| new | exact\\_match | 50.0 [29.9, 70.1] | 20 |  |"), "{summary}");
    assert!(summary.contains("is uncalibrated"), "{summary}");
    assert!(summary.contains("old beats new by 50.0 points"), "{summary}");
    let (code, said, xml, summary) = gate("new.exact_match >= 0.8");
    assert_eq!(code, Some(100), "{said}");
    assert!(said.contains("new.exact_match >= 0.8 does not hold of nightly"), "{said}");
    assert!(xml.contains("failures=\"1\"") && xml.contains("<failure message=\"nightly has 0.5\"/>"), "{xml}");
    assert!(summary.contains("| `new.exact_match >= 0.8` | 0.5 | **failed** |"), "{summary}");
    let (code, said, ..) = gate("exact_match >= 0.8");
    assert_eq!(code, Some(2), "of which target? {said}");
    let table = place.print(&["eval", "show", "nightly"]);
    assert!(table.contains("50.0 [29.9, 70.1]") && table.contains("finished: 20 items"), "{table}");
    let items = place.print(&["eval", "items", "nightly", "--disagree", "exact_match", "--limit", "1"]);
    assert!(items.contains("[new]") && items.contains("no idea") && items.contains("[old] exact_match 1.0"), "{items}");
    let compared = place.json(&["evaluation", "compare", "nightly", "old", "new"]);
    assert_eq!((&compared[0]["scorer"], &compared[0]["verdict"]), (&json!("exact_match"), &json!("b_better")));
    assert_eq!(place.json(&["eval", "list"])[0]["name"], "nightly");
    let refused = place.run(&["eval", "remove", "nightly"]);
    assert_eq!(refused.status.code(), Some(2));
    place.print(&["eval", "remove", "nightly", "--yes"]);
    assert_eq!(place.json(&["eval", "list"]), json!([]));
}
