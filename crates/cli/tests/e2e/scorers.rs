//! Rules that score live calls, from the command line and through SIGKILL: each call is scored once by each scorer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::binary::{Place, Server, alone};
use crate::upstream::{self, Holding};

/// Longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);
const KILLS: usize = 6;
/// Calls before each kill.
const CALLS: usize = 8;
/// A call is scored some two seconds after its end: a server is killed before, while and after that.
const LIFE_MS: std::ops::Range<u64> = 1_500..4_000;

fn configuration(upstream: &str) -> String {
    format!(
        "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n[trace]\nmode = \"sync\"\n\
         [net]\nallow = [\"127.0.0.1\"]\n[[providers]]\nname = \"stub\"\nbase_url = \"{upstream}\"\n"
    )
}

fn rule(place: &Place) {
    let rule = json!({"scorers": [{"kind": "regex", "name": "echoes", "pattern": "^echo"}, {"kind": "latency"}]});
    std::fs::write(place.path().join("rule.json"), rule.to_string()).expect("the folder is writable");
}

async fn call(server: &Server, number: usize) {
    let body = json!({"model": "stub/m", "messages": [{"role": "user", "content": format!("number {number}")}]});
    let (status, answer) =
        server.client.send(server.client.post("/v1/chat/completions", &body)).await.expect("it answers");
    assert_eq!(status, 200, "{answer}");
}

async fn rows(server: &Server) -> u64 {
    let query = json!({"sql": "SELECT count(*) AS n, count(DISTINCT score_id) AS ids FROM scores"});
    let (_, found) = server.client.send(server.client.post("/api/v1/sql", &query)).await.expect("it answers");
    let [rows, ids] = ["n", "ids"].map(|column| found["rows"][0][column].as_u64());
    let (rows, ids) = rows.zip(ids).unwrap_or_else(|| panic!("{found}"));
    assert_eq!(rows, ids, "no score is there twice");
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_neither_loses_nor_doubles_a_score() {
    let _alone = alone().await;
    let given = std::env::var("QUARTERDECK_CRASH_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("seed {seed} (QUARTERDECK_CRASH_SEED repeats it)");
    let mut random = StdRng::seed_from_u64(seed);
    let place = Place::new(&configuration(&upstream::start().await));
    rule(&place);
    assert_eq!(place.json(&["scorer", "create", "echo", "--file", "rule.json"])["active"], true);
    for round in 0..KILLS {
        let server = place.serve().await;
        for number in 0..CALLS {
            call(&server, round * CALLS + number).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(LIFE_MS))).await;
        server.kill();
    }
    let server = place.serve().await;
    let (wanted, begun) = ((KILLS * CALLS * 2) as u64, Instant::now());
    while rows(&server).await < wanted {
        assert!(begun.elapsed() < PATIENCE, "seed {seed}: {} of {wanted} scores\n{}", rows(&server).await, place.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(rows(&server).await, wanted, "seed {seed}");
    let report = place.json(&["scorer", "report", "echo"]);
    let (echoes, all) = (&report["scores"][0], KILLS * CALLS);
    assert_eq!(
        (&echoes["name"], &echoes["count"], &echoes["mean"]),
        (&json!("echoes"), &json!(all), &json!(1.0)),
        "seed {seed}"
    );
    assert_eq!(server.terminate(), 0, "{}", place.log());
}

/// Calls that wait for a judge, those that it answers before it holds all others, and those that a rule has under way.
const JUDGED: usize = 12;
const ANSWERED: usize = 5;
const UNDER_WAY: usize = 2;

/// An upstream that counts, and answers as many calls as it has permits.
async fn holding() -> (Arc<Holding>, String) {
    let shared = Holding::new(ANSWERED);
    let router = axum::Router::new().route("/v1/chat/completions", post(answer)).with_state(shared.clone());
    (shared, format!("{}/v1", upstream::serve(router).await))
}

async fn answer(State(shared): State<Arc<Holding>>, Json(request): Json<Value>) -> Json<Value> {
    let messages = request["messages"].as_array().expect("there are some");
    let shown = messages.last().expect("there is one")["content"].as_str().expect("a text").to_owned();
    let text = if request["model"] == "judge" {
        shared.hold(&shown).await;
        json!({"reasoning": "So it says.", "verdict": "yes"}).to_string()
    } else {
        format!("echo {shown}")
    };
    upstream::said(&request, &text)
}

async fn judging(server: &Server) -> Value {
    let (_, found) = server.client.send(server.client.get("/api/v1/scorers/echo")).await.expect("it answers");
    found["judging"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_pays_no_judgement_twice_and_forgets_none_that_was_paid() {
    let _alone = alone().await;
    let (shared, url) = holding().await;
    let place = Place::new(&configuration(&url));
    place.json(&["judge", "create", "rude", "--from", "ready/toxicity", "--model", "stub/judge"]);
    let rule = json!({
        "scorers": [{"kind": "regex", "name": "echoes", "pattern": "^echo"}],
        "judge": {"judge": "rude", "name": "rude", "when": {"scorer": "echoes", "above": 0}, "budget": {"calls_per_day": JUDGED}},
    });
    std::fs::write(place.path().join("rule.json"), rule.to_string()).expect("the folder is writable");
    let made = place.json(&["scorer", "create", "echo", "--file", "rule.json"]);
    assert_eq!(made["definition"]["judge"]["judge"], "rude@1");
    let server = place.serve().await;
    for number in 0..JUDGED {
        call(&server, number).await;
    }
    // As many are judged as the upstream answers, and two are under way.
    let begun = Instant::now();
    while judging(&server).await["judged"] != ANSWERED {
        assert!(begun.elapsed() < PATIENCE, "{}\n{}", judging(&server).await, place.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    shared.held.subscribe().wait_for(|held| *held == UNDER_WAY).await.expect("it lives");
    server.kill();

    shared.permits.add_permits(1_000);
    let server = place.serve().await;
    let begun = Instant::now();
    while judging(&server).await["judged"] != JUDGED - UNDER_WAY {
        assert!(begun.elapsed() < PATIENCE, "{}\n{}", judging(&server).await, place.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = judging(&server).await;
    assert_eq!(found["not_judged"], json!({"interrupted": UNDER_WAY}), "what was asked is not asked again");
    assert_eq!(found["ever"]["calls"], JUDGED, "and counts as paid: {found}");
    let counts = shared.counts();
    assert!(counts.len() == JUDGED && counts.values().all(|(asked, _)| *asked == 1), "{counts:?}");
    let query = json!({"sql": "SELECT count(*) AS n FROM scores WHERE name = 'rude'"});
    let (_, scores) = server.client.send(server.client.post("/api/v1/sql", &query)).await.expect("it answers");
    assert_eq!(scores["rows"][0]["n"], JUDGED - UNDER_WAY);
    assert_eq!(place.json(&["scorer", "report", "echo"])["scores"][1]["mean"], 1.0);
    assert_eq!(server.terminate(), 0, "{}", place.log());
}

#[test]
fn rules_are_made_shown_paused_and_removed() {
    let place = Place::new(&configuration("http://127.0.0.1:1/v1"));
    rule(&place);
    assert_eq!(place.json(&["scorer", "create", "echo", "--file", "rule.json"])["version"], 1);
    assert_eq!(place.json(&["scorer", "list"])[0]["name"], "echo");
    assert!(place.print(&["scorer", "list"]).contains("echo"));
    assert_eq!(place.json(&["scorer", "show", "echo@1"])["definition"]["scorers"][1]["kind"], "latency");
    assert!(place.print(&["scorer", "report", "echo"]).contains("echoes"));
    assert_eq!(place.json(&["scorer", "pause", "echo"])["active"], false);
    assert_eq!(place.json(&["scorer", "resume", "echo"])["active"], true);
    assert_eq!(place.run(&["scorer", "compare", "echo", "arm", "a", "b"]).status.code(), Some(1));
    place.print(&["scorer", "remove", "echo"]);
    assert_eq!(place.json(&["scorer", "list"]), json!([]));
    assert_eq!(place.run(&["scorer", "show", "echo"]).status.code(), Some(1));
    std::fs::write(place.path().join("wrong.json"), "{").expect("the folder is writable");
    assert_eq!(place.run(&["scorer", "create", "echo", "--file", "wrong.json"]).status.code(), Some(2));
}
