//! `stats`, `budget` and `top`, through the built binary.

use serde_json::{Value, json};

use crate::binary::{Place, Server, alone};

const BARE: &str = "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n";

/// Ten calls of `a` that take 200 ms and 10 ms a token, a cent each, and one of `b` that timed out. All began just now.
async fn seed(server: &Server) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let time = |ms: u64| {
        let nanos = i64::try_from(now * 1_000 + ms).expect("before 2262") * 1_000_000;
        qd_base::Timestamp::from_nanos(nanos).to_string()
    };
    let call = |number: u64, model: &str, tokens: u64, status: &str| {
        json!({
            "trace_id": format!("{:032x}", number + 1), "span_id": format!("{:016x}", number + 1), "kind": "llm", "name": "chat",
            "start_time": time(0), "end_time": time(200 + 10 * tokens), "model": model, "provider": "p", "status": status,
            "status_message": (status == "error").then_some("provider p did not answer within 50 ms"),
            "ttft_ms": 100.0, "input_tokens": 40, "output_tokens": tokens, "cost_picodollars": 10_000_000_000_u64,
        })
    };
    let mut spans: Vec<Value> = (1..=10).map(|n| call(n, "a", n * 10, "ok")).collect();
    spans.push(call(20, "b", 1, "error"));
    let request = server.client.post("/api/v1/traces", &json!({ "spans": spans }));
    let (status, said) = server.client.send(request).await.expect("it answers");
    assert_eq!(status, 200, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statistics_and_budgets_are_printed_in_every_form() {
    let _alone = alone().await;
    let place = Place::new(BARE);
    let server = place.serve().await;
    seed(&server).await;

    let table = place.print(&["stats", "latency"]);
    let words: Vec<_> = table.lines().nth(1).expect("a row").split_whitespace().collect();
    assert_eq!(words[..2], ["a", "10"], "{table}");
    assert!(table.lines().any(|line| line.trim_start().starts_with("all")), "{table}");
    let rows = place.json(&["stats", "latency", "--last", "1h"]);
    assert_eq!((&rows[0]["group"], &rows[0]["requests"], &rows[1]["errors"]), (&json!("a"), &json!(10), &json!(1)));
    let csv = place.print(&["stats", "cost", "--by", "provider", "--output", "csv"]);
    assert_eq!(csv.lines().nth(1).expect("a row"), "p,$0.11,1.0,11,$0.01,440,551");
    let lines = place.json(&["stats", "length"]);
    assert!((lines[0]["fit"]["slope_ms_per_token"].as_f64().expect("a number") - 10.0).abs() < 1e-6, "{lines}");
    assert!(place.print(&["stats", "length"]).contains("10–100"));
    let errors = place.print(&["stats", "errors", "--by", "model", "--output", "csv"]);
    assert_eq!(errors, "group,kind,calls,of calls,share\r\nb,timeout,1,1,1.0\r\n");
    assert_eq!(place.json(&["stats", "retries"])["troubled"], 0);

    let budget = place.json(&["budget", "set", "team", "--period", "month", "--usd", "0.22"]);
    assert_eq!((&budget[0]["used"], &budget[0]["used_share"]), (&json!(110_000_000_000_u64), &json!(0.5)));
    place.print(&["budget", "set", "tokens", "--period", "day", "--tokens", "500", "--of", "model=b"]);
    assert!(place.print(&["budget", "list"]).contains("model=b"));
    let usage = place.print(&["stats", "usage"]);
    assert!(usage.contains("BUDGET") && usage.contains("$0.22") && usage.contains("50.0 %"), "{usage}");
    place.print(&["budget", "remove", "team"]);
    assert_eq!(place.json(&["budget", "list"]).as_array().map(Vec::len), Some(1));
    assert_eq!(server.terminate(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn top_prints_one_frame_where_nobody_looks() {
    let _alone = alone().await;
    let place = Place::new(BARE);
    let server = place.serve().await;
    seed(&server).await;
    // Its standard output is a pipe here, so that it ends by itself.
    let frame = place.print(&["top", "--window", "5m"]);
    for word in ["last 5 min", "MODEL", "calls/s 0.04", "errors 1 (9.1 %)", "provider p did", "11 spans"] {
        assert!(frame.contains(word), "{word} in {frame}");
    }
    assert!(!frame.contains('\u{1b}'), "no codes of a terminal");
    let told = place.json(&["top", "--once"]);
    assert!(told["status"]["uptime_ms"].is_u64() && told["stats"]["groups"].is_array(), "{told}");
    assert_eq!(server.terminate(), 0);
}

#[test]
fn what_makes_no_sense_is_said() {
    let place = Place::new(BARE);
    let refused = |arguments: &[&str], code: i32, word: &str| {
        let output = place.run(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(word), "{arguments:?} should say {word:?}: {said}");
    };
    refused(&["stats", "latency", "--last", "soon"], 2, "15m");
    refused(&["stats", "latency", "--last", "7d", "--since", "2026-01-01T00:00:00Z"], 2, "--since");
    refused(&["stats", "latency", "--by", "moon"], 1, "group_by");
    refused(&["stats", "retries", "--by", "model"], 2, "--by");
    refused(&["budget", "set", "x", "--period", "day"], 2, "--usd");
    refused(&["budget", "set", "x", "--period", "day", "--usd", "free"], 2, "US dollars");
    refused(&["budget", "set", "x", "--period", "day", "--tokens", "5", "--of", "ada"], 2, "user=ada");
    refused(&["budget", "set", "x", "--period", "year", "--tokens", "5"], 1, "period");
    refused(&["budget", "remove", "x"], 1, "budget");
    refused(&["top"], 4, "serve");
}
