//! Keeping and letting go: erasing through kills, and retention.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::binary::{Asker, Place, Server, alone};

/// Small segments, so that an erasure has many of them to write anew.
const CONFIG: &str = "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n\
                      [lake]\nseal_rows = 50\nseal_age_ms = 50\n";
const USERS: u32 = 8;
const SPANS: u32 = 4_000;

fn span(number: u32, user: u32) -> Value {
    json!({
        "trace_id": format!("{:032x}", number + 1), "span_id": format!("{:016x}", number + 1), "kind": "tool", "name": "t",
        "start_time": "2026-01-31T00:00:00Z", "end_time": "2026-01-31T00:00:01Z", "user_id": format!("user-{user}"),
        "input": format!("marker-of-user-{user} {}", "x".repeat(200)),
    })
}

async fn append(asker: &Asker, spans: Vec<Value>) {
    let sent = asker.send(asker.post("/api/v1/traces", &json!({"spans": spans}))).await.expect("an answer");
    assert_eq!(sent.0, 200, "{}", sent.1);
}

/// How many spans each user has.
async fn counts(asker: &Asker) -> Vec<(String, u64)> {
    let sql = json!({"sql": "SELECT user_id, count(*) AS n FROM spans GROUP BY 1 ORDER BY 1"});
    let (status, answer) = asker.send(asker.post("/api/v1/sql", &sql)).await.expect("an answer");
    assert_eq!(status, 200, "{answer}");
    let rows = answer["rows"].as_array().expect("rows").iter();
    rows.map(|row| (row["user_id"].as_str().expect("text").to_owned(), row["n"].as_u64().expect("a count"))).collect()
}

/// What the lake says of the table of spans.
async fn spans_of(asker: &Asker) -> Value {
    let (_, status) = asker.send(asker.get("/api/v1/status")).await.expect("an answer");
    let tables = status["lake"]["tables"].as_array().expect("tables").clone();
    tables.into_iter().find(|table| table["table"] == "spans").expect("the table of spans")
}

async fn wait_for_erasures(asker: &Asker) {
    let until = Instant::now() + Duration::from_secs(120);
    while Instant::now() < until {
        let (_, jobs) = asker.send(asker.get("/api/v1/jobs?kind=user.erase")).await.expect("an answer");
        let ended = |job: &Value| ["succeeded", "failed", "cancelled"].contains(&job["state"].as_str().unwrap_or(""));
        if jobs["data"].as_array().is_some_and(|jobs| !jobs.is_empty() && jobs.iter().all(ended)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the erasures did not end");
}

/// Each round erases a user and is killed, most often in the middle of it; afterwards the user is hidden, and once nobody
/// is killed any more, gone.
#[tokio::test(flavor = "multi_thread")]
async fn sigkill_does_not_bring_an_erased_user_back() {
    let _alone = alone().await;
    let seed = std::env::var("QUARTERDECK_CRASH_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = seed.unwrap_or_else(rand::random);
    println!("seed {seed} (QUARTERDECK_CRASH_SEED repeats it)");
    let mut random = StdRng::seed_from_u64(seed);
    let place = Place::new(CONFIG);
    let mut server = place.serve().await;
    for first in (0..SPANS).step_by(100) {
        append(&server.client, (first..first + 100).map(|number| span(number, number % USERS)).collect()).await;
    }
    for user in 0..USERS / 2 {
        let erase = server.client.base.join(&format!("/api/v1/users/user-{user}")).expect("a path");
        let request = qd_net::Request { method: http::Method::DELETE, ..qd_net::Request::get(erase) };
        let (status, answer) = server.client.send(request).await.expect("an answer");
        assert_eq!((status, &answer["rows"]), (202, &json!(SPANS / USERS)), "seed {seed}: {answer}");
        tokio::time::sleep(Duration::from_millis(random.random_range(0..120))).await;
        server = restart(&place, server).await;
        let left = counts(&server.client).await;
        let expected: Vec<_> =
            (user + 1..USERS).map(|user| (format!("user-{user}"), u64::from(SPANS / USERS))).collect();
        assert_eq!(left, expected, "seed {seed}: after the erasure of user-{user}");
    }
    wait_for_erasures(&server.client).await;
    let table = spans_of(&server.client).await;
    let rows = table["segment_rows"].as_u64().expect("a count") + table["staged_rows"].as_u64().expect("a count");
    assert_eq!((rows, &table["tombstones"]), (u64::from(SPANS / 2), &json!(0)), "seed {seed}: {table}");
    assert_eq!(server.terminate(), 0, "{}", place.log());
}

async fn restart(place: &Place, server: Server) -> Server {
    server.kill();
    place.serve().await
}

#[test]
fn retention_is_said_shown_and_cleared() {
    let place = Place::new(CONFIG);
    place.print(&["retention", "set", "spans", "30"]);
    let rows = place.json(&["retention", "list"]);
    let of =
        |table: &str| rows.as_array().expect("rows").iter().find(|row| row["table"] == table).expect(table).clone();
    assert_eq!((&of("spans")["days"], &of("spans")["origin"]), (&json!(30), &json!("project")));
    assert_eq!((&of("scores")["days"], &of("scores")["origin"]), (&json!(0), &json!("operator")));
    assert!(place.print(&["retention", "list"]).contains("for ever"));
    place.print(&["retention", "clear", "spans"]);
    let again = place.run(&["retention", "clear", "spans"]);
    assert_eq!(again.status.code(), Some(1));
    let unknown = place.run(&["retention", "set", "moons", "1"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("moons"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_erased_only_when_that_was_meant() {
    let _alone = alone().await;
    let place = Place::new(CONFIG);
    let server = place.serve().await;
    append(&server.client, (0..20).map(|number| span(number, number % 2)).collect()).await;
    let refused = place.run(&["user", "erase", "user-0"]);
    assert_eq!(refused.status.code(), Some(2), "nobody can be asked");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--yes"));
    let erased = place.json(&["user", "erase", "user-0", "--yes"]);
    assert_eq!((&erased["rows"], &erased["job"]["state"]), (&json!(10), &json!("succeeded")));
    assert_eq!(counts(&server.client).await, [("user-1".to_owned(), 10)]);
    let users = place.json(&["user", "list"]);
    assert_eq!((users.as_array().map(Vec::len), &users[0]["user_id"]), (Some(1), &json!("user-1")));
    assert_eq!(place.run(&["user", "erase", "user-0", "--yes"]).status.code(), Some(1), "there is no such user");
}
