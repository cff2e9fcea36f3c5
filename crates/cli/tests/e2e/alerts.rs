//! Alerts from the command line, and through SIGKILL: each change is kept once and told at least once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::binary::{Place, Server, alone};
use crate::upstream;

const BARE: &str =
    "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n[net]\nallow = [\"127.0.0.1\"]\n";
/// Longer than anything takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);
const KILLS: usize = 15;
/// A server is killed at most this long after a rule was made: before, while and after it is evaluated and told.
const LIFE_MS: u64 = 400;

#[test]
fn rules_are_made_tried_changed_and_removed() {
    let place = Place::new(BARE);
    let made =
        place.json(&["alert", "create", "slow", "--measure", "latency_p95", "--above", "2000", "--clear", "1500"]);
    assert_eq!(
        (&made["summary"], &made["state"]),
        (&json!("95th percentile of latency over 5 min above 2000 ms"), &json!("ok"))
    );
    let again = place.json(&["alert", "update", "slow", "--for", "2m", "--severity", "critical"]);
    assert_eq!(
        (&again["for_s"], &again["severity"], &again["condition"]["clear"]),
        (&json!(120), &json!("critical"), &json!(1500.0))
    );
    let tried =
        place.json(&["alert", "preview", "--measure", "calls", "--below", "1", "--points", "3", "--window", "1h"]);
    let values: Vec<_> = tried["points"].as_array().unwrap().iter().map(|point| point["value"].clone()).collect();
    assert_eq!((values, &tried["fired"], &tried["step_s"]), (vec![json!(0.0); 3], &json!(1), &json!(3600)));
    assert_eq!(place.json(&["alert", "preview", "slow", "--points", "2"])["points"].as_array().unwrap().len(), 2);
    assert_eq!(place.json(&["alert", "history", "slow"]), json!([]));
    assert_eq!(place.json(&["alert", "inbox", "--unread", "--mark-read"]), json!([]));
    let table = place.print(&["alert", "list"]);
    assert!(table.contains("slow") && table.contains("critical"), "{table}");

    let silence = place.json(&["alert", "silence", "add", "slow*", "--for", "2h", "--reason", "a move"]);
    let listed = place.json(&["alert", "silence", "list"]);
    assert_eq!(listed[0]["id"], silence["id"]);
    place.print(&["alert", "silence", "end", silence["id"].as_str().unwrap()]);
    assert_eq!(place.json(&["alert", "silence", "list"]), json!([]));

    let hook = place.json(&["alert", "receiver", "add", "ops", "http://127.0.0.1:1/hook", "--tell", "firing"]);
    assert!(hook["secret"].as_str().unwrap().starts_with("whsec_"));
    let refused = place.run(&["alert", "receiver", "test", "ops"]);
    assert_eq!(refused.status.code(), Some(1));
    let fared = place.json(&["alert", "receiver", "show", "ops"]);
    assert_eq!((&fared["failures"], &fared["last_error"]), (&json!(1), &json!("no connection came about")));
    assert_eq!(place.json(&["alert", "receiver", "disable", "ops"])["enabled"], false);
    assert_ne!(place.json(&["alert", "receiver", "renew-secret", "ops"])["secret"], hook["secret"]);
    place.print(&["alert", "receiver", "remove", "ops"]);
    place.print(&["alert", "delete", "slow"]);
    assert_eq!(place.json(&["alert", "list"]), json!([]));

    for wrong in
        [&["alert", "create", "x", "--above", "1"][..], &["alert", "create", "x", "--measure", "cost", "--budget", "5"]]
    {
        assert_eq!(place.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(place.run(&["alert", "show", "nothing"]).status.code(), Some(1));
}

/// What the hook was sent: of each message its identifier and its body.
type Sent = Arc<Mutex<Vec<(String, Value)>>>;

async fn hook(sent: Sent) -> String {
    let take = async |State(sent): State<Sent>, headers: HeaderMap, body: Bytes| {
        let id = headers["webhook-id"].to_str().expect("text").to_owned();
        sent.lock().expect("it is not poisoned").push((id, serde_json::from_slice(&body).expect("JSON")));
    };
    format!("{}/hook", upstream::serve(Router::new().route("/hook", post(take)).with_state(sent)).await)
}

async fn ask(server: &Server, path: &str) -> Value {
    server.client.send(server.client.get(path)).await.expect("it answers").1
}

/// There are no calls, so a rule that wants some fires as soon as it is evaluated.
fn wanting(name: &str) -> Value {
    let condition = json!({"kind": "threshold", "direction": "below", "value": 1});
    json!({"name": name, "query": {"measure": "calls"}, "window_s": 60, "condition": condition})
}

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_neither_loses_nor_doubles_a_change() {
    let _alone = alone().await;
    let given = std::env::var("QUARTERDECK_CRASH_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("seed {seed} (QUARTERDECK_CRASH_SEED repeats it)");
    let mut random = StdRng::seed_from_u64(seed);
    let (place, sent) = (Place::new(BARE), Sent::default());
    place.print(&["alert", "receiver", "add", "ops", &hook(Arc::clone(&sent)).await, "--tell", "firing"]);
    let mut made = Vec::new();
    for round in 0..KILLS {
        let (server, name) = (place.serve().await, format!("r{round}"));
        let new = server.client.post("/api/v1/alerts/rules", &wanting(&name));
        assert_eq!(server.client.send(new).await.expect("it answers").0, 201);
        made.push(name);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..LIFE_MS))).await;
        server.kill();
    }
    let server = place.serve().await;
    let until = Instant::now() + PATIENCE;
    loop {
        let firing = ask(&server, "/api/v1/alerts/inbox/unread").await["firing"].as_u64();
        let waiting = ask(&server, "/api/v1/alerts/receivers/ops").await["waiting"].as_u64();
        if (firing, waiting) == (Some(KILLS as u64), Some(0)) {
            break;
        }
        assert!(Instant::now() < until, "seed {seed}: {firing:?} fire, {waiting:?} wait\n{}", place.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    check(&ask(&server, "/api/v1/alerts/inbox?limit=1000").await, &made, &sent.lock().expect("sound"), seed);
    assert_eq!(server.terminate(), 0, "{}", place.log());
}

/// Each rule fired once, and that was sent at least once, each time with the same words.
fn check(inbox: &Value, made: &[String], sent: &[(String, Value)], seed: u64) {
    let mut fired: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in inbox["data"].as_array().expect("a list") {
        assert_eq!(event["change"], "firing", "seed {seed}: {event}");
        let name = event["alert"].as_str().expect("a name");
        fired.entry(name).or_default().push(event["id"].as_str().expect("an id"));
    }
    for name in made {
        let ids = fired.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        assert_eq!(ids.len(), 1, "seed {seed}: {name} fired {} times", ids.len());
        let letters: Vec<_> = sent.iter().filter(|(_, body)| body["data"]["alert"] == name.as_str()).collect();
        assert!(!letters.is_empty(), "seed {seed}: that {name} fired was told to nobody");
        assert!(letters.iter().all(|(id, _)| id == ids[0]), "seed {seed}: {name} has other messages than its event");
        assert!(
            letters.iter().all(|(_, body)| *body == letters[0].1),
            "seed {seed}: {name} was told in different words"
        );
    }
}
