//! SIGKILL at random moments: every acknowledged row is there exactly once, no row is torn, nothing needs a hand.
//!
//! A round starts the server, loads it with calls (in `sync` mode, answered by a stub upstream) and appends,
//! and kills it; the next round first looks at the rows of the one before. Some rounds kill it while it is
//! still starting. A row's trace id says who wrote it in which round, and its
//! texts follow from the id, so that a row can be checked by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

use crate::binary::{Asker, Place, Server, alone};
use crate::upstream;

/// As the issue of this test demands.
const KILLS: u32 = 100;
/// Writers at one time: enough that commits, seals and compactions are always under way.
const CALLERS: u32 = 4;
const APPENDERS: u32 = 2;
/// Senders of OpenTelemetry's protocol, who send as many spans at once.
const EXPORTERS: u32 = 2;
/// Spans in one append; all of them or none.
const APPEND_SPANS: u32 = 8;
/// A server is killed at most this long after its load began.
const LOAD_MS: u64 = 250;
/// Of so many rounds, one kills a server while it starts, within this time.
const EARLY_IN: u32 = 5;
const EARLY_MS: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn sigkill_loses_nothing_that_was_acknowledged() {
    let _alone = alone().await;
    let given = std::env::var("QUARTERDECK_CRASH_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    println!("seed {seed} (QUARTERDECK_CRASH_SEED repeats it)");
    let mut random = StdRng::seed_from_u64(seed);
    let place = Place::new(&configuration(&upstream::start().await));
    let (mut all, mut last) = (Acknowledged::default(), Acknowledged::default());
    let mut early = 0;
    for round in 0..KILLS {
        if random.random_ratio(1, EARLY_IN) {
            kill_early(&place, Duration::from_millis(random.random_range(0..EARLY_MS)));
            early += 1;
        }
        let server = place.serve().await;
        if let Some(before) = round.checked_sub(1) {
            check(&rows(&server.client, Some(before)).await, &last, seed);
        }
        last = load_and_kill(server, round, Duration::from_millis(random.random_range(5..LOAD_MS))).await;
        all.extend(&last);
    }
    let server = place.serve().await;
    let found = rows(&server.client, None).await;
    check(&found, &all, seed);
    assert_eq!(server.terminate(), 0, "the last server ends in order:\n{}", place.log());
    let (calls, appends) = (all.calls.len(), all.appends.len());
    println!(
        "{KILLS} kills under load, {early} while starting; {calls} calls and {appends} appends acknowledged, {} rows found",
        found.len()
    );
    assert!(calls > 100 && appends > 100, "the load was too light to tell anything");
}

/// Small segments and short ages, so that sealing and compaction are under way at every moment.
fn configuration(upstream: &str) -> String {
    format!(
        r#"
        [server]
        address = "127.0.0.1:0"
        [otlp]
        grpc = false
        [models]
        defaults = []
        preload = []
        [trace]
        mode = "sync"
        [lake]
        seal_rows = 200
        seal_age_ms = 50
        [net]
        allow = ["127.0.0.1"]
        [[providers]]
        name = "stub"
        base_url = "{upstream}"
        "#
    )
}

/// What was acknowledged: the ids of calls, and the first ids of appends.
#[derive(Default)]
struct Acknowledged {
    calls: BTreeSet<String>,
    appends: BTreeSet<String>,
}

impl Acknowledged {
    fn extend(&mut self, other: &Self) {
        self.calls.extend(other.calls.iter().cloned());
        self.appends.extend(other.appends.iter().cloned());
    }
}

/// Kills a server that may not even answer yet.
fn kill_early(place: &Place, after: Duration) {
    let spawned = place.spawn();
    std::thread::sleep(after);
    spawned.child.kill();
}

/// One round: load, then SIGKILL. Returns what had been acknowledged by then.
async fn load_and_kill(server: Server, round: u32, moment: Duration) -> Acknowledged {
    let stop = Arc::new(AtomicBool::new(false));
    let calls: Vec<_> =
        (0..CALLERS).map(|at| tokio::spawn(call(server.client.clone(), round, at, stop.clone()))).collect();
    let writer = |at: u32| tokio::spawn(append(server.client.clone(), round, at, stop.clone()));
    let appends: Vec<_> = (CALLERS..CALLERS + APPENDERS + EXPORTERS).map(writer).collect();
    tokio::time::sleep(moment).await;
    server.kill();
    stop.store(true, Ordering::Relaxed);
    let mut written = Acknowledged::default();
    for writer in calls {
        written.calls.extend(writer.await.expect("the writer ends"));
    }
    for writer in appends {
        written.appends.extend(writer.await.expect("the writer ends"));
    }
    written
}

/// A trace id that says who wrote it: round, writer, count.
fn id(round: u32, writer: u32, count: u32) -> String {
    // Never all zero, which trace contexts forbid.
    format!("{:08x}{writer:08x}{count:08x}ffffffff", round + 1)
}

/// Text of a length and content that follow from the id: up to some kilobytes, so that rows differ in size.
fn text_of(id: &str) -> String {
    let length = id.bytes().fold(7_usize, |sum, byte| (sum * 31 + usize::from(byte)) % 3001);
    format!("{id} {}", id.repeat(length / id.len() + 1).split_at(length).0)
}

async fn call(client: Asker, round: u32, writer: u32, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for count in 0.. {
        let id = id(round, writer, count);
        let body = json!({"model": "stub/m", "messages": [{"role": "user", "content": text_of(&id)}]});
        let request = client.post("/v1/chat/completions", &body).header(
            qd_net::HeaderName::from_static("traceparent"),
            format!("00-{id}-00000000000000ff-01").parse().expect("a header"),
        );
        match client.send(request).await {
            Ok((200, _)) => acknowledged.push(id),
            Ok((status, body)) => panic!("a call was answered with {status}: {body}"),
            Err(_) => break,
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

async fn append(client: Asker, round: u32, writer: u32, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for count in (0..).step_by(APPEND_SPANS as usize) {
        let ids: Vec<_> = (count..count + APPEND_SPANS).map(|count| id(round, writer, count)).collect();
        let request = match writer < CALLERS + APPENDERS {
            true => client.post("/api/v1/traces", &json!({"spans": ids.iter().map(|id| span(id)).collect::<Vec<_>>()})),
            false => client.post("/v1/traces", &export(&ids)),
        };
        match client.send(request).await {
            Ok((200..=299, _)) => acknowledged.push(id(round, writer, count)),
            // A full queue says so and has taken nothing.
            Ok((429 | 503, _)) => {}
            Ok((status, body)) => panic!("an append was answered with {status}: {body}"),
            Err(_) => break,
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

fn span(id: &str) -> Value {
    json!({
        "trace_id": id, "span_id": &id[8..24], "kind": "tool", "name": "crash",
        "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T00:00:01Z", "status": "ok",
        "input": text_of(id), "output": format!("echo {}", text_of(id)),
    })
}

/// The same spans in OpenTelemetry's protocol.
fn export(ids: &[String]) -> Value {
    let text = |key: &str, text: String| json!({"key": key, "value": {"stringValue": text}});
    let span = |id: &String| {
        json!({
            "traceId": id, "spanId": &id[8..24], "name": "crash",
            "startTimeUnixNano": "1767225600000000000", "endTimeUnixNano": "1767225601000000000",
            "attributes": [
                text("openinference.span.kind", "TOOL".to_owned()),
                text("input.value", text_of(id)),
                text("output.value", format!("echo {}", text_of(id))),
            ],
        })
    };
    json!({"resourceSpans": [{"scopeSpans": [{"spans": ids.iter().map(span).collect::<Vec<_>>()}]}]})
}

/// Every row of a round, or of all rounds, by its trace id; a row that appears twice is there twice.
async fn rows(client: &Asker, round: Option<u32>) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut after = round.map_or_else(String::new, |round| format!("{:08x}", round + 1));
    let end = round.map_or_else(|| "g".to_owned(), |round| format!("{:08x}", round + 2));
    loop {
        // Pages overlap in nothing: rows of one trace id are never split, since a page ends between two ids.
        let sql = format!(
            "SELECT trace_id, kind, input, output, input_tokens, output_tokens FROM spans \
             WHERE trace_id > '{after}' AND trace_id < '{end}' AND trace_id <= (SELECT coalesce(max(trace_id), '') FROM \
             (SELECT trace_id FROM spans WHERE trace_id > '{after}' AND trace_id < '{end}' ORDER BY trace_id LIMIT 2000)) \
             ORDER BY trace_id"
        );
        let (status, answer) =
            client.send(client.post("/api/v1/sql", &json!({"sql": sql}))).await.expect("the server answers");
        assert_eq!(status, 200, "{answer}");
        let page = answer["rows"].as_array().expect("rows").clone();
        let Some(last) = page.last() else { return found };
        after = last["trace_id"].as_str().expect("an id").to_owned();
        for row in page {
            found.entry(row["trace_id"].as_str().expect("an id").to_owned()).or_default().push(row);
        }
    }
}

fn check(found: &BTreeMap<String, Vec<Value>>, acknowledged: &Acknowledged, seed: u64) {
    for (id, rows) in found {
        assert_eq!(rows.len(), 1, "seed {seed}: {id} is there {} times", rows.len());
        check_whole(id, &rows[0], seed);
    }
    for id in &acknowledged.calls {
        assert!(found.contains_key(id), "seed {seed}: the call {id} was acknowledged and is lost");
    }
    for first in &acknowledged.appends {
        let missing = siblings(first).filter(|id| !found.contains_key(id)).count();
        assert_eq!(missing, 0, "seed {seed}: of the append {first}, {missing} rows are lost");
    }
    check_all_or_none(found, seed);
}

/// The ids of the append that begins with `first`.
fn siblings(first: &str) -> impl Iterator<Item = String> + use<> {
    let number = |range: std::ops::Range<usize>| u32::from_str_radix(&first[range], 16).expect("hexadecimal");
    let (round, writer, count) = (number(0..8) - 1, number(8..16), number(16..24));
    (count..count + APPEND_SPANS).map(move |count| id(round, writer, count))
}

/// An append that was not acknowledged may be there, but then as a whole.
fn check_all_or_none(found: &BTreeMap<String, Vec<Value>>, seed: u64) {
    let appended = found.iter().filter(|(_, rows)| rows[0]["kind"] == "tool").map(|(id, _)| id);
    let mut groups: BTreeMap<String, u32> = BTreeMap::new();
    for id in appended {
        let count = u32::from_str_radix(&id[16..24], 16).expect("hexadecimal");
        let first = count - count % APPEND_SPANS;
        *groups.entry(format!("{}{first:08x}", &id[..16])).or_default() += 1;
    }
    for (group, rows) in groups {
        assert_eq!(rows, APPEND_SPANS, "seed {seed}: the append {group} is torn");
    }
}

/// A row says what its id says.
fn check_whole(id: &str, row: &Value, seed: u64) {
    let (input, output) = (row["input"].as_str().unwrap_or_default(), row["output"].as_str().unwrap_or_default());
    let text = text_of(id);
    let whole = input.contains(&text) && output.contains(&format!("echo {text}"));
    assert!(whole, "seed {seed}: the row {id} is torn: {row}");
    if row["kind"] == "llm" {
        let tokens = (row["input_tokens"].as_u64(), row["output_tokens"].as_u64());
        assert_eq!(tokens, (Some(upstream::PROMPT_TOKENS), Some(upstream::COMPLETION_TOKENS)), "seed {seed}: {row}");
    }
}
