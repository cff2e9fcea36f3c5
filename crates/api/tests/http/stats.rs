//! `/api/v1/stats`, over spans whose numbers are worked out by hand.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR};

const NOON: &str = "2026-01-05T12";

/// The calls' range, in a query.
fn range() -> String {
    format!("from={NOON}:00:00Z&to={NOON}:59:00Z")
}

/// A call of a model that takes `took_ms` for `tokens` tokens, the first of them after 100 ms.
fn call(number: u64, model: &str, tokens: u64, took_ms: u64) -> Value {
    let time = |ms: u64| format!("{NOON}:{:02}:{:02}.{:03}Z", number % 50, ms / 1000, ms % 1000);
    json!({
        "trace_id": format!("{:032x}", number + 1), "span_id": format!("{:016x}", number + 1), "kind": "llm", "name": "chat",
        "start_time": time(0), "end_time": time(took_ms), "model": model, "provider": "p", "session_id": format!("s{}", number % 3),
        "release": "1.2", "ttft_ms": 100.0, "input_tokens": 40, "cached_tokens": 10, "output_tokens": tokens,
        "cost_picodollars": tokens,
    })
}

fn failed(number: u64, message: &str) -> Value {
    let mut call = call(number, "b", 1, 50);
    call["status"] = json!("error");
    call["status_message"] = json!(message);
    call
}

/// Ten calls of `a` on the line 200 + 10·n, and three of `b` that failed.
async fn house() -> (House, String) {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let mut spans: Vec<Value> = (1..=10).map(|n| call(n, "a", n * 10, 200 + n * 100)).collect();
    spans.push(failed(20, "provider p answered with status 429"));
    spans.push(failed(21, "provider p answered with status 429"));
    spans.push(failed(22, "provider p did not answer within 50 ms"));
    house.post(&key, "/api/v1/traces", json!({"spans": spans})).await.expect(200);
    (house, key)
}

fn near(found: &Value, exact: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is a number"));
    assert!((found / exact - 1.0).abs() < 0.011, "{found} is within a hundredth of {exact}");
}

#[tokio::test]
async fn percentiles_shares_and_sums_by_group() {
    let (house, key) = house().await;
    let found = house.get(&key, &format!("/api/v1/stats?{}&group_by=model", range())).await.expect(200);
    let [a, b] = &found["groups"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!(
        (&a["group"], &a["requests"], &a["errors"], &a["error_rate"]),
        (&json!("a"), &json!(10), &json!(0), &json!(0.0))
    );
    // 300, 400, …, 1200 ms; of rank floor(0.5·9), floor(0.9·9) and floor(0.99·9).
    near(&a["latency_ms"]["p50"], 700.0);
    near(&a["latency_ms"]["p90"], 1_100.0);
    near(&a["latency_ms"]["p99"], 1_100.0);
    near(&a["ttft_ms"]["p95"], 100.0);
    // (100 + 100·n)/(10·n − 1) for n = 1 … 10, descending from 200/9 to 1100/99; of rank 4 from below n = 6.
    near(&a["tpot_ms"]["p50"], 700.0 / 59.0);
    assert_eq!(
        (&a["tpot_ms"]["calls"], &a["cached_share"], &a["cost_picodollars"]),
        (&json!(10), &json!(0.25), &json!(550))
    );
    assert_eq!((&b["error_rate"], &b["tpot_ms"]["p50"]), (&json!(1.0), &Value::Null));
    assert_eq!(
        (&found["total"]["requests"], &found["total"]["group"], &found["other_groups"]),
        (&json!(13), &Value::Null, &json!(0))
    );
    let worst = house.get(&key, &format!("/api/v1/stats?{}&group_by=model&order=errors&limit=1", range())).await;
    let worst = worst.expect(200);
    assert_eq!((&worst["groups"][0]["group"], &worst["other_groups"]), (&json!("b"), &json!(1)));
    for (by, groups) in [("session", 3), ("release", 1), ("name", 1), ("provider", 1), ("user", 1)] {
        let found = house.get(&key, &format!("/api/v1/stats?{}&group_by={by}", range())).await.expect(200);
        assert_eq!(found["groups"].as_array().unwrap().len(), groups, "{by}");
    }
}

#[tokio::test]
async fn a_line_for_each_model() {
    let (house, key) = house().await;
    let found = house.get(&key, &format!("/api/v1/stats/length?{}&points=4", range())).await.expect(200);
    let [a] = &found["groups"].as_array().unwrap()[..] else { panic!("b has no answer that ended well: {found}") };
    assert_eq!(
        (&a["group"], &a["n"], &a["tokens_min"], &a["tokens_max"]),
        (&json!("a"), &json!(10), &json!(10), &json!(100))
    );
    near(&a["fit"]["intercept_ms"], 200.0);
    near(&a["fit"]["slope_ms_per_token"], 10.0);
    near(&a["fit"]["r2"], 1.0);
    assert!(a["fit"]["residual_sd_ms"].as_f64().unwrap() < 1e-6, "every call lies on the line");
    assert!(a["no_fit"].is_null() && a["residuals_ms"]["p95"].as_f64().unwrap().abs() < 0.01);
    // These ids are anything but random: all of them lie below the bound of four in ten, and four are given.
    assert_eq!(a["points"].as_array().unwrap().len(), 4);
    assert_eq!(a["points"][0]["trace_id"], format!("{:032x}", 2));
    let few = house.get(&key, &format!("/api/v1/stats/length?{}&session=s1&group_by=session", range())).await;
    assert_eq!(few.expect(200)["groups"][0]["n"], 4);
    let two = format!("/api/v1/stats/length?from={NOON}:01:00Z&to={NOON}:03:00Z");
    let two = house.get(&key, &two).await.expect(200);
    assert_eq!((&two["groups"][0]["fit"], &two["groups"][0]["no_fit"]), (&Value::Null, &json!("too_few")));
}

#[tokio::test]
async fn kinds_of_failure_lead_to_their_calls() {
    let (house, key) = house().await;
    let found = house.get(&key, &format!("/api/v1/stats/errors?{}&group_by=model", range())).await.expect(200);
    assert_eq!((&found["requests"], &found["errors"], &found["cancelled"]), (&json!(13), &json!(3), &json!(0)));
    let kind = &found["kinds"][0];
    assert_eq!(
        (&kind["kind"], &kind["calls"], &kind["share"]),
        (&json!("rate_limited"), &json!(2), &json!(2.0 / 13.0))
    );
    assert_eq!(
        (&kind["example"], &kind["last"]),
        (&json!("provider p answered with status 429"), &json!(format!("{NOON}:21:00Z")))
    );
    let kinds = json!([{"kind": "rate_limited", "calls": 2}, {"kind": "timeout", "calls": 1}]);
    assert_eq!(found["groups"], json!([{"group": "b", "requests": 3, "kinds": kinds}]));
    let listed = house.get(&key, &format!("/api/v1/traces?{}&failure=rate_limited", range())).await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    house.get(&key, "/api/v1/traces?failure=moon").await.refused(400, "invalid_value");
}

#[tokio::test]
async fn a_call_that_fell_back_is_told_with_its_targets() {
    let house = House::open().await;
    let key = house.key(&[Scope::Infer, Scope::Read]).await;
    let targets = json!([{"provider": "gone", "model": "x"}, {"provider": "stub", "model": "echo-1"}]);
    house.put(OPERATOR, "/api/v1/routes/writer", json!({"targets": targets})).await.expect(200);
    // Nobody listens on port 1.
    let gone = json!({"name": "gone", "base_url": "http://127.0.0.1:1/v1"});
    house.post(OPERATOR, "/api/v1/providers", gone).await.expect(201);
    let chat = json!({"model": "writer", "messages": [{"role": "user", "content": "Hi"}]});
    house.post(&key, "/v1/chat/completions", chat).await.expect(200);
    house.settle().await;
    let found = house.get(&key, "/api/v1/stats/retries").await.expect(200);
    assert_eq!((&found["requests"], &found["troubled"], &found["rescued"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!((&found["fallbacks"], &found["retries"]), (&json!(1), &json!(0)));
    assert_eq!(found["paths"], json!([{"from": "gone/x", "to": "stub/echo-1", "calls": 1}]));
    let gone = &found["targets"][0];
    assert_eq!((&gone["provider"], &gone["failed"]), (&json!("gone"), &json!(1)));
    assert_eq!(gone["kinds"], json!([{"kind": "unreachable", "calls": 1}]));
}

#[tokio::test]
async fn statistics_keep_to_their_project_and_refuse_what_makes_no_sense() {
    let (house, key) = house().await;
    let theirs = house.key_of("other", &[Scope::Read]).await;
    for path in ["stats", "stats/length", "stats/errors", "stats/retries"] {
        let found = house.get(&theirs, &format!("/api/v1/{path}?{}", range())).await.expect(200);
        assert!(found["total"]["requests"] == 0 || found["requests"] == 0 || found["groups"] == json!([]), "{found}");
        house.get(&key, &format!("/api/v1/{path}?group_by=moon")).await.refused(400, "invalid_value");
        house
            .get(&key, &format!("/api/v1/{path}?from={NOON}:10:00Z&to={NOON}:00:00Z"))
            .await
            .refused(400, "invalid_value");
        assert_eq!(
            house.get(&key, &format!("/api/v1/{path}?group=x")).await.refused(400, "invalid_value")["param"],
            "group"
        );
    }
    for wrong in [
        "?limit=0",
        "?limit=201",
        "?points=3",
        "?order=moon",
        "/length?points=2001",
        "/errors?limit=5",
        "/retries?group_by=model",
    ] {
        house.get(&key, &format!("/api/v1/stats{wrong}")).await.refused(400, "invalid_value");
    }
}
