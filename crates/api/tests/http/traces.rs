//! `/api/v1/traces`.

use http::Method;
use qd_catalog::Scope;
use serde_json::{Value, json};

use crate::house::{Events, House, OPERATOR, request};

const PATH: &str = "/api/v1/traces";

/// A span of the trace whose identifier is `number`, begun `number` seconds after midnight.
fn span(number: u32) -> Value {
    json!({
        "trace_id": format!("{number:032x}"), "span_id": format!("{number:016x}"), "kind": "llm", "name": "chat",
        "start_time": format!("2026-01-31T00:00:{number:02}Z"), "end_time": format!("2026-01-31T00:00:{number:02}.25Z"),
        "model": "m", "session_id": format!("s{}", number % 2), "tags": ["t"], "input": {"messages": ["hi"]},
        "output": "there", "input_tokens": 3, "output_tokens": 5, "cost_picodollars": 7, "attributes": {"x": [1]}
    })
}

async fn append(house: &House, key: &str, spans: &[Value]) {
    let answer = house.post(key, PATH, json!({"spans": spans})).await.expect(200);
    assert_eq!(answer["appended"], spans.len());
}

#[tokio::test]
async fn what_was_appended_is_found_as_it_was() {
    let house = House::open().await;
    append(&house, OPERATOR, &[span(1)]).await;
    let trace = house.get(OPERATOR, &format!("{PATH}/{:032x}", 1)).await.expect(200);
    let mut sent = span(1);
    for (name, value) in sent.as_object_mut().unwrap() {
        let found = &trace["spans"][0][name];
        if name.ends_with("_time") {
            continue;
        }
        assert_eq!(found, value, "{name}");
    }
    assert_eq!(trace["spans"][0]["latency_ms"], 250.0);
    house.get(OPERATOR, &format!("{PATH}/{:032x}", 2)).await.refused(404, "not_found");
    house.get(OPERATOR, &format!("{PATH}/nonsense")).await.refused(404, "not_found");
}

#[tokio::test]
async fn pages_are_newest_first_and_keep_their_place() {
    let house = House::open().await;
    append(&house, OPERATOR, &(1..=5).map(span).collect::<Vec<_>>()).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = house.get(OPERATOR, &format!("{PATH}?limit=2{cursor}")).await.expect(200);
        seen.extend(page["data"].as_array().unwrap().iter().map(|trace| trace["span_id"].as_str().unwrap().to_owned()));
        // What is added meanwhile shifts nothing.
        append(&house, OPERATOR, &[span(30 + u32::try_from(seen.len()).unwrap())]).await;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(|number| format!("{number:016x}")));
}

#[tokio::test]
async fn filters() {
    let house = House::open().await;
    append(&house, OPERATOR, &(1..=4).map(span).collect::<Vec<_>>()).await;
    for (query, count) in [
        ("session=s1", 2),
        ("session=s9", 0),
        ("model=m&tag=t", 4),
        ("from=2026-01-31T00:00:02Z&to=2026-01-31T00:00:04Z", 2),
        ("status=error", 0),
        ("min_latency_ms=251", 0),
        ("text=there", 4),
    ] {
        let page = house.get(OPERATOR, &format!("{PATH}?{query}")).await.expect(200);
        assert_eq!(page["data"].as_array().unwrap().len(), count, "{query}");
    }
    for query in [
        "limit=0",
        "limit=501",
        "cursor=x",
        "kind=soup",
        "colour=red",
        "from=yesterday",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
    ] {
        assert_eq!(house.get(OPERATOR, &format!("{PATH}?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn a_project_never_sees_another_s_traces() {
    let house = House::open().await;
    let (mine, theirs) = (house.key_of("mine", &[Scope::Write]).await, house.key_of("theirs", &[Scope::Admin]).await);
    append(&house, &mine, &[span(1)]).await;
    assert_eq!(house.get(&mine, PATH).await.expect(200)["data"].as_array().unwrap().len(), 1);
    assert_eq!(house.get(&theirs, PATH).await.expect(200)["data"], json!([]));
    house.get(&theirs, &format!("{PATH}/{:032x}", 1)).await.refused(404, "not_found");
    // The operator says which project it acts in.
    let mut call = request(Method::GET, PATH, Some(OPERATOR), None);
    call.headers_mut().insert("x-quarterdeck-project", "mine".parse().unwrap());
    assert_eq!(house.call(call).await.expect(200)["data"].as_array().unwrap().len(), 1);
    let mut call = request(Method::GET, PATH, Some(&theirs), None);
    call.headers_mut().insert("x-quarterdeck-project", "mine".parse().unwrap());
    assert_eq!(house.call(call).await.expect(200)["data"], json!([]), "a key does not");
}

#[tokio::test]
async fn wrong_spans_are_refused_and_none_is_kept() {
    let house = House::with(|config| config.limits.append_spans = 2).await;
    let mut wrong = span(2);
    wrong["kind"] = "soup".into();
    let error = house.post(OPERATOR, PATH, json!({"spans": [span(1), wrong]})).await.refused(400, "invalid_value");
    assert_eq!(error["param"], "spans[1].kind");
    let many: Vec<Value> = (1..=3).map(span).collect();
    house.post(OPERATOR, PATH, json!({"spans": many})).await.refused(400, "array_above_max_length");
    assert_eq!(house.get(OPERATOR, PATH).await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn a_tail_shows_spans_as_they_finish() {
    let house = House::open().await;
    let (mine, theirs) = (house.key_of("mine", &[Scope::Write]).await, house.key_of("theirs", &[Scope::Write]).await);
    let mut tail =
        Events::of(house.send(request(Method::GET, "/api/v1/traces/tail?session=s1", Some(&mine), None)).await);
    assert_eq!(tail.next().await.unwrap(), ": following");
    append(&house, &theirs, &[span(1)]).await;
    append(&house, &mine, &[span(2), span(3)]).await;
    let event = tail.data().await.unwrap();
    let (name, data) = event.split_once('\n').unwrap();
    let told: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((name, &told["span_id"]), ("event: span", &json!(format!("{:016x}", 3))));
    house.get(&mine, "/api/v1/traces/tail?limit=3").await.refused(400, "invalid_value");
}

#[tokio::test]
async fn large_payloads_are_kept_whole() {
    let house = House::open().await;
    let mut large = span(1);
    large["input"] = "x".repeat(200_000).into();
    append(&house, OPERATOR, &[large]).await;
    let path = format!("{PATH}/{:032x}?payloads=whole", 1);
    let trace = house.get(OPERATOR, &path).await.expect(200);
    assert_eq!(trace["spans"][0]["input"].as_str().unwrap().len(), 200_000);
    let cut = house.get(OPERATOR, &format!("{PATH}/{:032x}", 1)).await.expect(200);
    assert_eq!(cut["spans"][0]["input_cut"], true);
}
