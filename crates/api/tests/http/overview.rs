//! `/api/v1/overview`, `/api/v1/sessions` and `/api/v1/users`, over spans whose sums are worked out by hand.

use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::House;

/// Noon of a day, as the spans below count minutes from it.
const NOON: &str = "2026-01-05T12";

struct Made<'a> {
    minute: u32,
    took_ms: u32,
    model: &'a str,
    user: &'a str,
    session: &'a str,
    failed: bool,
}

/// A call of 10 tokens in, 20 out, a hundred picodollars and, where it worked, a first token after a tenth of its time.
fn span(number: usize, made: &Made<'_>) -> Value {
    let time = |ms: u32| format!("{NOON}:{:02}:{:02}.{:03}Z", made.minute, ms / 1000, ms % 1000);
    json!({
        "trace_id": format!("{:032x}", number + 1), "span_id": format!("{:016x}", number + 1), "kind": "llm", "name": "chat",
        "start_time": time(0), "end_time": time(made.took_ms), "model": made.model, "provider": "p", "user_id": made.user,
        "session_id": made.session, "status": if made.failed { "error" } else { "ok" },
        "ttft_ms": (!made.failed).then(|| f64::from(made.took_ms) / 10.0),
        "input": [{"role": "user", "content": format!("question {number}")}],
        "input_tokens": 10, "output_tokens": if made.failed { 0 } else { 20 }, "cost_picodollars": 100,
    })
}

/// Three calls of `a` in minute 0, one of `b` in minute 2, which fails; and work that is no call.
async fn house() -> (House, String) {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let made = [
        Made { minute: 0, took_ms: 1000, model: "a", user: "ada", session: "s1", failed: false },
        Made { minute: 0, took_ms: 2000, model: "a", user: "ada", session: "s1", failed: false },
        Made { minute: 0, took_ms: 4000, model: "a", user: "bob", session: "s2", failed: false },
        Made { minute: 2, took_ms: 500, model: "b", user: "ada", session: "s3", failed: true },
    ];
    let mut spans: Vec<Value> = made.iter().enumerate().map(|(number, made)| span(number, made)).collect();
    let mut work = span(9, &made[0]);
    work["kind"] = json!("tool");
    work["session_id"] = json!(null);
    work["user_id"] = json!(null);
    spans.push(work);
    house.post(&key, "/api/v1/traces", json!({"spans": spans})).await.expect(200);
    (house, key)
}

fn near(found: &Value, exact: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found} is a number"));
    assert!((found / exact - 1.0).abs() < 0.011, "{found} is within a hundredth of {exact}");
}

#[tokio::test]
async fn totals_and_points_are_what_the_spans_add_up_to() {
    let (house, key) = house().await;
    let path = format!("/api/v1/overview?from={NOON}:00:00Z&to={NOON}:03:00Z&step_s=60");
    let found = house.get(&key, &path).await.expect(200);
    // 2026-01-05T12:00:00Z is 1,767,614,400 seconds after 1970.
    assert_eq!(found["times"], json!([1_767_614_400, 1_767_614_460, 1_767_614_520]));
    let total = &found["total"];
    assert_eq!((&total["requests"], &total["errors"]), (&json!(4), &json!(1)));
    assert_eq!((&total["input_tokens"], &total["output_tokens"]), (&json!(40), &json!(60)));
    assert_eq!(total["cost_picodollars"], 400);
    // Sorted: 500, 1000, 2000, 4000 ms; of rank floor(0.5 · 3) and floor(0.99 · 3).
    near(&total["latency_p50_ms"], 1000.0);
    near(&total["latency_p99_ms"], 2000.0);
    near(&total["ttft_p50_ms"], 200.0);
    // 60 tokens over nine tenths of 7 s.
    near(&total["output_tokens_per_s"], 60.0 / 6.3);
    let series = &found["series"][0];
    assert_eq!((&series["group"], &series["requests"]), (&json!(null), &json!([3, 0, 1])));
    assert_eq!(series["errors"], json!([0, 0, 1]));
    assert_eq!(series["latency_p50_ms"][1], json!(null));
    near(&series["latency_p50_ms"][0], 2000.0);
}

#[tokio::test]
async fn series_by_group_are_told_apart_and_the_small_ones_put_together() {
    let (house, key) = house().await;
    let range = format!("from={NOON}:00:00Z&to={NOON}:59:00Z");
    let by_model = house.get(&key, &format!("/api/v1/overview?{range}&group_by=model")).await.expect(200);
    let groups: Vec<_> = by_model["series"].as_array().unwrap().iter().map(|one| one["group"].clone()).collect();
    assert_eq!(groups, [json!("a"), json!("b")]);
    assert_eq!(by_model["series"][0]["total"]["requests"], 3);
    assert_eq!(by_model["other_groups"], 0);
    let many: Vec<Value> = (0..14)
        .map(|number| {
            let model = format!("m{number:02}");
            span(
                100 + number,
                &Made { minute: 30, took_ms: 100, model: &model, user: "u", session: "s", failed: false },
            )
        })
        .collect();
    house.post(&key, "/api/v1/traces", json!({"spans": many})).await.expect(200);
    let found = house.get(&key, &format!("/api/v1/overview?{range}&group_by=model")).await.expect(200);
    let series = found["series"].as_array().unwrap();
    // 16 models: ten have a series, the six others are one.
    assert_eq!((series.len(), &found["other_groups"]), (11, &json!(6)));
    assert_eq!((&series[10]["group"], &series[10]["total"]["requests"]), (&json!(null), &json!(6)));
    assert_eq!(found["total"]["requests"], 18);
}

#[tokio::test]
async fn an_overview_keeps_to_its_filters_its_project_and_its_limits() {
    let (house, key) = house().await;
    let range = format!("from={NOON}:00:00Z&to={NOON}:59:00Z");
    let ask = async |more: &str| house.get(&key, &format!("/api/v1/overview?{range}{more}")).await;
    assert_eq!(ask("&model=a").await.expect(200)["total"]["requests"], 3);
    assert_eq!(ask("&status=error&group_by=user").await.expect(200)["series"][0]["group"], "ada");
    assert_eq!(ask("&kind=tool").await.expect(200)["total"]["requests"], 1);
    let theirs = house.key_of("other", &[Scope::Read]).await;
    let empty = house.get(&theirs, &format!("/api/v1/overview?{range}")).await.expect(200);
    assert_eq!((&empty["total"]["requests"], &empty["total"]["latency_p50_ms"]), (&json!(0), &json!(null)));
    assert_eq!(empty["series"], json!([]));
    for (more, param) in [("&step_s=0", "step_s"), ("&step_s=1", "step_s"), ("&group_by=moon", "group_by")] {
        assert_eq!(ask(more).await.refused(400, "invalid_value")["param"], param, "{more}");
    }
    let backwards = format!("/api/v1/overview?from={NOON}:10:00Z&to={NOON}:00:00Z");
    house.get(&key, &backwards).await.refused(400, "invalid_value");
}

#[tokio::test]
async fn sessions_and_users_are_listed_by_page_and_a_session_is_replayed() {
    let (house, key) = house().await;
    let ids = |found: &Value, id: &str| -> Vec<String> {
        found["data"].as_array().unwrap().iter().map(|one| one[id].as_str().unwrap().to_owned()).collect()
    };
    let first = house.get(&key, "/api/v1/sessions?limit=2").await.expect(200);
    // s3 began last; s1 and s2 began together, so the greater name stands first.
    assert_eq!(ids(&first, "session_id"), ["s3", "s2"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = house.get(&key, &format!("/api/v1/sessions?limit=2&cursor={cursor}")).await.expect(200);
    assert_eq!((ids(&rest, "session_id"), &rest["next_cursor"]), (vec!["s1".to_owned()], &json!(null)));
    let s1 = &rest["data"][0];
    assert_eq!((&s1["calls"], &s1["traces"], &s1["cost_picodollars"]), (&json!(2), &json!(2), &json!(200)));
    let users = house.get(&key, "/api/v1/users").await.expect(200);
    assert_eq!(ids(&users, "user_id"), ["ada", "bob"]);
    assert_eq!((&users["data"][0]["sessions"], &users["data"][0]["errors"]), (&json!(2), &json!(1)));
    assert_eq!(ids(&house.get(&key, "/api/v1/sessions?user=bob").await.expect(200), "session_id"), ["s2"]);

    let turns = house.get(&key, "/api/v1/sessions/s1?limit=1").await.expect(200);
    assert_eq!(turns["data"][0]["input"][0]["content"], "question 0");
    let next = turns["next_cursor"].as_str().unwrap();
    let turns = house.get(&key, &format!("/api/v1/sessions/s1?limit=1&cursor={next}")).await.expect(200);
    assert_eq!((&turns["data"][0]["input"][0]["content"], &turns["next_cursor"]), (&json!("question 1"), &json!(null)));
    house.get(&key, "/api/v1/sessions/none").await.refused(404, "not_found");
    house.get(&key, "/api/v1/sessions?limit=0").await.refused(400, "invalid_value");
    let theirs = house.key_of("other", &[Scope::Read]).await;
    house.get(&theirs, "/api/v1/sessions/s1").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_trace_is_read_in_outline_and_span_by_span() {
    let (house, key) = house().await;
    let trace = format!("/api/v1/traces/{:032x}", 1);
    let outline = house.get(&key, &format!("{trace}/outline")).await.expect(200);
    assert_eq!((&outline["spans"][0]["model"], &outline["spans"][0]["latency_ms"]), (&json!("a"), &json!(1000.0)));
    assert!(outline["spans"][0].get("parent_id").is_none(), "what a span has none of is absent");
    let span = house.get(&key, &format!("{trace}/spans/{:016x}", 1)).await.expect(200);
    assert_eq!(span["input"][0]["content"], "question 0");
    for path in [format!("{trace}/spans/{:016x}", 2), format!("{trace}/spans/none")] {
        house.get(&key, &path).await.refused(404, "not_found");
    }
    let theirs = house.key_of("other", &[Scope::Read]).await;
    for path in [format!("{trace}/spans/{:016x}", 1), format!("{trace}/outline")] {
        house.get(&theirs, &path).await.refused(404, "not_found");
    }
}
