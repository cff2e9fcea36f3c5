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
        ("min_ttft_ms=0", 0),
        ("min_input_tokens=3&min_output_tokens=5&min_cost_picodollars=7", 4),
        ("min_input_tokens=4", 0),
        ("min_output_tokens=6", 0),
        ("min_cost_picodollars=8", 0),
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
        "min_input_tokens=-1",
        "from=yesterday",
        "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
    ] {
        assert_eq!(house.get(OPERATOR, &format!("{PATH}?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn calls_and_prompts_are_filters_of_traces_tail_and_overview() {
    let house = House::open().await;
    let with = |number, changes: Value| {
        let mut span = span(number);
        span.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        span
    };
    let spans = [
        with(1, json!({"kind": "llm", "prompt_name": "greeting"})),
        with(2, json!({"kind": "embedding"})),
        with(3, json!({"kind": "tool", "prompt_name": "greeting"})),
        with(4, json!({"kind": "chain"})),
    ];
    let mut tail =
        Events::of(house.send(request(Method::GET, "/api/v1/traces/tail?calls=true", Some(OPERATOR), None)).await);
    tail.next().await.unwrap();
    append(&house, OPERATOR, &spans).await;
    for number in [1, 2] {
        assert!(tail.data().await.unwrap().contains(&format!("{number:016x}")));
    }
    for (query, found) in [
        ("calls=true", vec![2, 1]),
        ("calls=false", vec![4, 3, 2, 1]),
        ("prompt=greeting", vec![3, 1]),
        ("prompt=greeting&calls=true", vec![1]),
        ("prompt=other", vec![]),
        ("kind=tool&calls=true", vec![]),
    ] {
        let page = house.get(OPERATOR, &format!("{PATH}?{query}")).await.expect(200);
        let listed: Vec<_> = page["data"].as_array().unwrap().iter().map(|trace| trace["span_id"].clone()).collect();
        assert_eq!(listed, found.iter().map(|number| json!(format!("{number:016x}"))).collect::<Vec<_>>(), "{query}");
    }
    let range = "from=2026-01-31T00:00:00Z&to=2026-01-31T01:00:00Z";
    for (query, requests) in [("calls=true", 2), ("prompt=greeting", 1), ("kind=tool&prompt=greeting", 1)] {
        let found = house.get(OPERATOR, &format!("/api/v1/overview?{range}&{query}")).await.expect(200);
        assert_eq!(found["total"]["requests"], requests, "{query}");
    }
    house.get(OPERATOR, &format!("{PATH}?calls=perhaps")).await.refused(400, "invalid_value");
}

/// Three models answer, one of them under a name that was asked for and is another's own; one call says nothing.
async fn house_of_groups() -> House {
    let house = House::open().await;
    let of = |number, model: Value, requested: Value| {
        let mut span = span(number);
        span["model"] = model;
        span["model_requested"] = requested;
        span
    };
    let spans = [
        of(1, json!("a"), json!("a")),
        of(2, json!("b"), json!("a")),
        of(3, json!(null), json!("a")),
        of(4, json!(null), json!(null)),
    ];
    append(&house, OPERATOR, &spans).await;
    house
}

#[tokio::test]
async fn groups_of_the_overview_are_filters() {
    let house = house_of_groups().await;
    for (query, found) in [
        ("group_by=model&group=a", vec![3, 1]),
        ("group_by=model&group=", vec![4]),
        ("group_by=user&group=", vec![4, 3, 2, 1]),
        ("group_by=model&except_groups=%5B%22a%22%5D", vec![4, 2]),
        ("group_by=model&except_groups=%5B%22a%22,%22%22%5D&model=a", vec![2]),
        ("group_by=model&except_groups=%5B%5D", vec![4, 3, 2, 1]),
        ("group_by=status&group=ok&session=s1", vec![3, 1]),
    ] {
        let page = house.get(OPERATOR, &format!("{PATH}?{query}")).await.expect(200);
        let listed: Vec<_> = page["data"].as_array().unwrap().iter().map(|trace| trace["span_id"].clone()).collect();
        assert_eq!(listed, found.iter().map(|number| json!(format!("{number:016x}"))).collect::<Vec<_>>(), "{query}");
    }
    let range = "from=2026-01-31T00:00:00Z&to=2026-01-31T01:00:00Z";
    let overview = house.get(OPERATOR, &format!("/api/v1/overview?{range}&group_by=model")).await.expect(200);
    let groups: Vec<_> = overview["series"].as_array().unwrap().iter().map(|series| &series["group"]).collect();
    assert_eq!(groups, [&json!("a"), &json!(""), &json!("b")]);
    let requests: Vec<_> =
        overview["series"].as_array().unwrap().iter().map(|series| &series["total"]["requests"]).collect();
    assert_eq!(requests, [2, 1, 1], "as many as each filter lists");
}

#[tokio::test]
async fn a_tail_takes_groups_too() {
    let house = House::open().await;
    let path = format!("{PATH}/tail?group_by=model&group=");
    let mut tail = Events::of(house.send(request(Method::GET, &path, Some(OPERATOR), None)).await);
    tail.next().await.unwrap();
    let mut untold = span(2);
    untold["model"] = json!(null);
    append(&house, OPERATOR, &[span(1), untold]).await;
    assert!(tail.data().await.unwrap().contains(&format!("{:016x}", 2)));
}

#[tokio::test]
async fn groups_that_make_no_sense_are_refused_in_words() {
    let house = House::open().await;
    let many = format!("%5B{}%5D", vec!["%22g%22"; 11].join(","));
    let long = format!("%5B%22{}%22%5D", "g".repeat(16 << 10));
    for (query, param) in [
        ("group_by=model", "group_by"),
        ("group_by=colour&group=red", "group_by"),
        ("group=a", "group"),
        ("except_groups=%5B%22a%22%5D", "except_groups"),
        ("group_by=model&group=a&except_groups=%5B%22b%22%5D", "except_groups"),
        ("group_by=model&except_groups=a", "except_groups"),
        ("group_by=model&except_groups=%5B1%5D", "except_groups"),
        (&format!("group_by=model&except_groups={many}"), "except_groups"),
        (&format!("group_by=model&except_groups={long}"), "except_groups"),
    ] {
        let error = house.get(OPERATOR, &format!("{PATH}?{query}")).await.refused(400, "invalid_value");
        assert_eq!(error["param"], param, "{query}");
    }
}

#[tokio::test]
async fn a_trace_is_told_by_its_first_call_of_a_language_model() {
    let house = House::open().await;
    let part = |number: u32, kind: &str, more: Value| {
        let mut span = span(number);
        span["trace_id"] = json!(format!("{:032x}", 1));
        span["kind"] = json!(kind);
        let fields = span.as_object_mut().unwrap();
        fields.remove("model");
        fields.extend(more.as_object().unwrap().clone());
        span
    };
    let spans = [
        part(1, "chain", json!({})),
        part(2, "embedding", json!({"model": "e", "provider": "p0"})),
        part(3, "llm", json!({"model": "m1", "model_requested": "m", "provider": "p1", "ttft_ms": 12.5})),
        part(4, "llm", json!({"model": "m2", "provider": "p2", "ttft_ms": 1.0})),
    ];
    append(&house, OPERATOR, &spans).await;
    let told = async |query: &str| {
        let page = house.get(OPERATOR, &format!("{PATH}?{query}")).await.expect(200);
        let row = &page["data"][0];
        json!([row["kind"], row["model"], row["model_requested"], row["provider"], row["ttft_ms"]])
    };
    assert_eq!(told("").await, json!(["chain", "m1", "m", "p1", 12.5]));
    // A span that names a model of its own is told by that.
    assert_eq!(told("kind=embedding").await, json!(["embedding", "e", null, "p0", null]));
    assert_eq!(told("model=m2").await, json!(["llm", "m2", null, "p2", 1.0]));
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
    let span = house.get(OPERATOR, &format!("{PATH}/{:032x}/spans/{:016x}", 1, 1)).await.expect(200);
    assert_eq!((span["input"].as_str().unwrap().len(), &span["input_cut"]), (200_000, &json!(false)));
}

#[tokio::test]
async fn whole_payloads_have_a_limit_and_the_answer_says_so() {
    let house = House::with(|config| config.limits.payload_bytes = 450_000).await;
    let spans = (1..=3).map(|number| {
        let mut large = span(number);
        large["trace_id"] = json!(format!("{:032x}", 1));
        // Of different length, so that they are different blobs.
        large["input"] = "x".repeat(200_000 + number as usize).into();
        large
    });
    append(&house, OPERATOR, &spans.collect::<Vec<_>>()).await;
    let told = async |query: &str| {
        let trace = house.get(OPERATOR, &format!("{PATH}/{:032x}{query}", 1)).await.expect(200);
        let cut = trace["spans"].as_array().unwrap().iter().map(|span| span["input_cut"].clone());
        (cut.collect::<Vec<_>>(), trace["payloads_cut"].clone(), trace["truncated"].clone())
    };
    // Two of 200 kB fit into the limit, the third does not.
    assert_eq!(
        told("?payloads=whole").await,
        (vec![json!(false), json!(false), json!(true)], json!(true), json!(false))
    );
    assert_eq!(told("").await, (vec![json!(true); 3], json!(false), json!(false)));
    let one = house.get(OPERATOR, &format!("{PATH}/{:032x}/spans/{:016x}", 1, 3)).await.expect(200);
    assert_eq!(one["input"].as_str().unwrap().len(), 200_003);
}

#[tokio::test]
async fn a_trace_of_very_many_spans_says_that_it_is_cut() {
    let house = House::open().await;
    let part = |number: u32| {
        json!({"trace_id": format!("{:032x}", 1), "span_id": format!("{number:016x}"), "kind": "chain", "name": "loop",
            "start_time": "2026-01-31T00:00:00Z", "end_time": "2026-01-31T00:00:01Z"})
    };
    append(&house, OPERATOR, &(1..=10_000).map(part).collect::<Vec<_>>()).await;
    let trace = async || house.get(OPERATOR, &format!("{PATH}/{:032x}", 1)).await.expect(200);
    assert_eq!(trace().await["truncated"], false);
    append(&house, OPERATOR, &[part(10_001)]).await;
    let cut = trace().await;
    assert_eq!((cut["truncated"].clone(), cut["spans"].as_array().unwrap().len()), (json!(true), 10_000));
}
