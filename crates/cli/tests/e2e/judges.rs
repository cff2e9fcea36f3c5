//! A judge through the binary: made, asked, compared with people, killed half-way and gone on with without paying twice.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

use crate::binary::{Place, Server, alone};
use crate::upstream::{self, Holding};

const ITEMS: usize = 30;
const CONCURRENCY: usize = 4;
/// Calls that are answered before the upstream holds all others: not a multiple of anything.
const ANSWERED: usize = 13;
/// How often the server is asked whether it has come so far.
const LOOK: Duration = Duration::from_millis(20);

/// An upstream that counts, and answers as many calls as it has permits.
async fn holding() -> (Arc<Holding>, String) {
    let shared = Holding::new(ANSWERED);
    let router = axum::Router::new().route("/v1/chat/completions", post(answer)).with_state(shared.clone());
    (shared, format!("{}/v1", upstream::serve(router).await))
}

/// Says that an answer hallucinates where it reads `wrong`.
async fn answer(State(shared): State<Arc<Holding>>, Json(request): Json<Value>) -> Json<Value> {
    let item = request["messages"][1]["content"].as_str().expect("a text").to_owned();
    shared.hold(&item).await;
    let said = if item.contains("wrong") { "yes" } else { "no" };
    let text = json!({"reasoning": "So it says.", "verdict": said}).to_string();
    upstream::said(&request, &text)
}

/// A place with answers of which every third is wrong, and people who call every fourth wrong one right.
fn place(upstream: &str) -> Place {
    let place = Place::new(&format!(
        "[server]\naddress = \"127.0.0.1:0\"\n[otlp]\ngrpc = false\n[models]\ndefaults = []\npreload = []\n\
         [net]\nallow = [\"127.0.0.1\"]\n[[providers]]\nname = \"stub\"\nbase_url = \"{upstream}\"\n"
    ));
    let row = |n: usize| {
        let wrong = n % 3 == 0;
        let human = if wrong && n % 4 != 0 { "hallucinated" } else { "fine" };
        json!({"source": format!("Fact {n}."), "reply": format!("{n} is {}.", if wrong { "wrong" } else { "right" }), "human": human})
    };
    let rows: Vec<String> = (0..ITEMS).map(|n| row(n).to_string()).collect();
    std::fs::write(place.path().join("answers.jsonl"), rows.join("\n")).expect("it is written");
    place.print(&["dataset", "import", "answers", "answers.jsonl"]);
    place
}

async fn kept(server: &Server) -> u64 {
    let sql = json!({"sql": "SELECT count(*) AS n FROM judgements"});
    let (status, found) = server.client.send(server.client.post("/api/v1/sql", &sql)).await.expect("it answers");
    assert_eq!(status, 200, "{found}");
    found["rows"][0]["n"].as_u64().unwrap_or_else(|| panic!("{found}"))
}

const CALIBRATE: &[&str] = &[
    "judge",
    "calibrate",
    "grounded",
    "--dataset",
    "answers",
    "--label",
    "human",
    "--value",
    "context=source",
    "--value",
    "answer=reply",
    "--means",
    "hallucinated=yes",
    "--means",
    "fine=no",
];

#[tokio::test(flavor = "multi_thread")]
async fn what_was_judged_before_a_kill_is_not_paid_for_again() {
    let _alone = alone().await;
    let (shared, url) = holding().await;
    let place = place(&url);
    let server = place.serve().await;
    let made = place.json(&["judge", "create", "grounded", "--from", "ready/hallucination", "--model", "stub/judge"]);
    assert_eq!((&made[0]["method"], &made[0]["calibrated"]), (&json!("direct"), &json!(false)));
    let card = place.print(&["judge", "card", "grounded"]);
    assert!(card.contains("grounded@1 is uncalibrated"), "{card}");
    let begun = place.json(&[CALIBRATE, &["--detach"]].concat());
    assert_eq!((&begun["judge"], &begun["dataset"]), (&json!("grounded@1"), &json!("answers@1")));
    // As many as were answered are kept, and as many as may be are under way.
    shared.held.subscribe().wait_for(|held| *held == CONCURRENCY).await.expect("it lives");
    while kept(&server).await < ANSWERED as u64 {
        tokio::time::sleep(LOOK).await;
    }
    let before = shared.counts();
    server.kill();

    shared.permits.add_permits(10_000);
    let server = place.serve().await;
    while kept(&server).await < ITEMS as u64 {
        tokio::time::sleep(LOOK).await;
    }
    let after = shared.counts();
    assert_eq!(after.len(), ITEMS, "every item was judged");
    let paid: Vec<&String> = before.iter().filter(|(_, (_, answered))| *answered > 0).map(|(item, _)| item).collect();
    assert_eq!(paid.len(), ANSWERED);
    for item in paid {
        assert_eq!(after[item].0, 1, "{item} was judged before the kill and again after it");
    }
    let asked: usize = after.values().map(|(asked, _)| asked).sum();
    assert!(asked <= ITEMS + CONCURRENCY, "only calls under way at the kill were made again: {asked}");
    cards(&place, asked, &shared).await;
    assert_eq!(server.terminate(), 0, "{}", place.log());
}

/// The calibration goes on by itself; the same command waits for it or finds it finished, and shows the card without asking anybody.
async fn cards(place: &Place, asked: usize, shared: &Holding) {
    let card = loop {
        let found = place.json(&["judge", "card", "grounded"]);
        match found["card"]["state"].as_str() {
            Some("queued" | "running") => tokio::time::sleep(LOOK).await,
            _ => break found,
        }
    };
    // Wrong ones are 0, 3, …, 27, ten; people call 0, 12 and 24 fine: 27 of 30 alike.
    assert_eq!((&card["card"]["state"], &card["card"]["accuracy"]["all"]["value"]), (&json!("finished"), &json!(0.9)));
    let table = place.print(CALIBRATE);
    assert!(table.contains("grounded@1 on answers@1 (human), finished"), "{table}");
    assert!(table.contains("90.0 %") && table.contains("Cohen's kappa"), "{table}");
    assert!(table.contains("who always says \"no\" does on 76.7 % [59.1, 88.2]"), "{table}");
    let again: usize = shared.counts().values().map(|(asked, _)| asked).sum();
    assert_eq!(again, asked, "nothing was asked again");

    let said = place.print(&["judge", "run", "grounded", "--value", "context=One.", "--value", "answer=It is wrong."]);
    assert!(
        said.starts_with("yes (1)\n  So it says.\ngrounded@1: 1 calls, 10 tokens in, 2 out, price not known"),
        "{said}"
    );
    let ready = place.run(&["judge", "run", "ready/hallucination", "--value", "context=x", "--value", "answer=y"]);
    assert_eq!(ready.status.code(), Some(1), "a ready judge needs a model");
    assert!(place.print(&["judge", "ready"]).contains("context, answer"));
    let refused = place.run(&["judge", "calibrate", "grounded", "--dataset", "answers", "--label", "nobody"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && told.contains("no column"), "{told}");
    let refused = place.run(&["judge", "remove", "grounded"]);
    assert_eq!(refused.status.code(), Some(2), "deleting is confirmed");
    place.print(&["judge", "remove", "grounded", "--yes"]);
    assert!(!place.print(&["judge", "list"]).contains("grounded"));
}
