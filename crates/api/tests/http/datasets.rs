//! `/api/v1/datasets` and `/api/v1/uploads`.

use std::sync::Arc;

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use qd_catalog::{Runner, Running, Scope};
use qd_data::{EditHandler, ImportHandler, SplitHandler};
use serde_json::{Value, json};

use crate::house::{Answer, Events, House, OPERATOR, request};

const PATH: &str = "/api/v1/datasets";

/// What does the jobs that the house queues.
pub fn runner(house: &House) -> Running {
    let imports: Arc<dyn qd_catalog::Handler> = Arc::new(ImportHandler::new(house.datasets.clone()));
    let splits = Arc::new(SplitHandler::new(house.datasets.clone()));
    let edits = Arc::new(EditHandler::new(house.datasets.clone()));
    Runner::new(house.catalog.clone(), [imports, splits, edits]).start()
}

async fn bytes(house: &House, key: &str, method: Method, path: &str, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(AUTHORIZATION, format!("Bearer {key}"));
    let request = request.header(CONTENT_TYPE, "application/octet-stream").body(Body::from(body.to_owned()));
    house.call(request.unwrap()).await
}

/// Uploads a file and begins to import it.
async fn begin(house: &House, key: &str, name: &str, text: &str, more: Value) -> Answer {
    let upload = bytes(house, key, Method::POST, "/api/v1/uploads", text).await.expect(201);
    assert_eq!(upload["bytes"], text.len());
    let mut body = json!({"files": [{"upload": upload["id"], "path": "rows.jsonl", "bytes": text.len()}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.post(key, &format!("{PATH}/{name}/import"), body).await
}

/// The job when it has ended.
async fn ended(house: &House, key: &str, job: &Value) -> Value {
    let path = format!("/api/v1/jobs/{}", job["id"].as_str().unwrap());
    let mut events = Events::of(house.send(request(Method::GET, &format!("{path}/events"), Some(key), None)).await);
    while events.data().await.is_some() {}
    house.get(key, &path).await.expect(200)
}

pub async fn import(house: &House, key: &str, name: &str, text: &str) -> Value {
    let job = begin(house, key, name, text, json!({})).await.expect(202);
    let job = ended(house, key, &job).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    job["result"].clone()
}

pub const ROWS: &str = "{\"id\": \"a\", \"question\": \"1+1?\", \"answer\": \"2\"}\n{\"id\": \"b\", \"question\": \"2+2?\", \"answer\": \"4\"}\n";

#[tokio::test]
async fn an_upload_becomes_a_version() {
    let house = House::open().await;
    let _runner = runner(&house);
    let result = import(&house, OPERATOR, "math", ROWS).await;
    assert_eq!((&result["version"], &result["rows"]), (&json!(1), &json!(2)));
    let columns = json!([
        {"name": "id", "type": "text", "role": "id"},
        {"name": "question", "type": "text", "role": "input"},
        {"name": "answer", "type": "text", "role": "reference"},
    ]);
    assert_eq!(result["columns"], columns);
    let list = house.get(OPERATOR, PATH).await.expect(200);
    assert_eq!((&list["data"][0]["name"], &list["data"][0]["rows"]), (&json!("math"), &json!(2)));
    let rows = house.get(OPERATOR, &format!("{PATH}/math/versions/latest/rows?offset=1")).await.expect(200);
    let row = json!({"index": 1, "id": "b", "values": {"id": "b", "question": "2+2?", "answer": "4"}});
    assert_eq!(rows, json!({"version": 1, "total": 2, "next": null, "data": [row]}));
    let found = house.get(OPERATOR, &format!("{PATH}/math/versions/1/rows?search=1%2B1")).await.expect(200);
    assert_eq!(found["data"][0]["id"], "a");
    let named = house.get(OPERATOR, &format!("{PATH}/math/versions/1/rows?ids=b,nobody")).await.expect(200);
    assert_eq!(named["data"], json!([row]));
    // The file is gone when the job is.
    assert_eq!(std::fs::read_dir(house.data().join("uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn bad_rows_end_the_job_with_their_reasons() {
    let house = House::open().await;
    let _runner = runner(&house);
    let text = format!("{ROWS}no\n[1]\n");
    let job = begin(&house, OPERATOR, "math", &text, json!({})).await.expect(202);
    let job = ended(&house, OPERATOR, &job).await;
    assert_eq!(job["state"], "failed");
    let error = job["error"].as_str().unwrap();
    assert!(
        error.contains("2 of 4 rows")
            && error.contains("line 3: it is not JSON")
            && error.contains("line 4: it is no object"),
        "{error}"
    );
    house.get(OPERATOR, &format!("{PATH}/math")).await.refused(404, "not_found");
    let job = begin(&house, OPERATOR, "math", &text, json!({"skip_bad": true})).await.expect(202);
    assert_eq!(ended(&house, OPERATOR, &job).await["result"]["skipped"], 2);
}

#[tokio::test]
async fn uploads_go_on_where_they_ended_and_are_their_project_s() {
    let house = House::open().await;
    let upload = bytes(&house, OPERATOR, Method::POST, "/api/v1/uploads", "abc").await.expect(201);
    let path = format!("/api/v1/uploads/{}", upload["id"].as_str().unwrap());
    let more = bytes(&house, OPERATOR, Method::PUT, &format!("{path}?offset=3"), "de").await.expect(200);
    assert_eq!(more["bytes"], 5);
    let twice = bytes(&house, OPERATOR, Method::PUT, &format!("{path}?offset=3"), "de").await.refused(409, "conflict");
    assert!(twice["message"].as_str().unwrap().contains("has 5 bytes"), "{twice}");
    let shop = house.key_of("shop", &[Scope::Read, Scope::Write]).await;
    house.get(&shop, &path).await.refused(404, "not_found");
    bytes(&house, &shop, Method::PUT, &format!("{path}?offset=5"), "f").await.refused(404, "not_found");
    let body = json!({"files": [{"upload": upload["id"], "path": "x.jsonl"}]});
    house.post(&shop, &format!("{PATH}/x/import"), body.clone()).await.refused(404, "not_found");
    let body = json!({"files": [{"upload": upload["id"], "path": "x.jsonl", "bytes": 9}]});
    house.post(OPERATOR, &format!("{PATH}/x/import"), body).await.refused(409, "conflict");
    house.post(OPERATOR, "/api/v1/uploads", json!({})).await.refused(415, "unsupported_content_type");
    house.delete(OPERATOR, &path).await.expect(204);
    house.get(OPERATOR, &path).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_upload_that_a_job_reads_stays_as_it_is() {
    let house = House::open().await;
    let job = begin(&house, OPERATOR, "math", ROWS, json!({})).await.expect(202);
    let upload = job["payload"]["files"][0]["upload"].as_str().unwrap();
    let path = format!("/api/v1/uploads/{upload}");
    let more = bytes(&house, OPERATOR, Method::PUT, &format!("{path}?offset={}", ROWS.len()), "x").await;
    let told = more.refused(409, "conflict");
    assert!(told["message"].as_str().unwrap().contains("a job reads the upload"), "{told}");
    house.delete(OPERATOR, &path).await.refused(409, "conflict");
    let id = job["id"].as_str().unwrap();
    house.post(OPERATOR, &format!("/api/v1/jobs/{id}/cancel"), json!({})).await.expect(200);
    house.delete(OPERATOR, &path).await.expect(204);
}

#[tokio::test]
async fn files_are_looked_at_without_an_import() {
    let house = House::open().await;
    let _runner = runner(&house);
    let text = format!("{ROWS}no\n");
    let job = begin(&house, OPERATOR, "math", &text, json!({"check": true})).await.expect(202);
    let job = ended(&house, OPERATOR, &job).await;
    let result = &job["result"];
    let bad = json!([{"file": "rows.jsonl", "unit": "line", "number": 3, "why": "it is not JSON: expected ident at character 2"}]);
    assert_eq!((&result["rows"], &result["bad_count"], &result["bad"]), (&json!(2), &json!(1), &bad), "{job}");
    assert_eq!(result["columns"][1], json!({"name": "question", "type": "text", "role": "input"}));
    house.get(OPERATOR, &format!("{PATH}/math")).await.refused(404, "not_found");
    // The file is still there, and is imported with other roles.
    let files = &job["payload"]["files"];
    let body = json!({"files": files, "skip_bad": true, "roles": {"answer": "label"}});
    let job = house.post(OPERATOR, &format!("{PATH}/math/import"), body).await.expect(202);
    assert_eq!(ended(&house, OPERATOR, &job).await["result"]["columns"][2]["role"], "label");
}

#[tokio::test]
async fn many_rows_are_written_anew_by_a_job() {
    let house = House::open().await;
    let _runner = runner(&house);
    let lines: Vec<_> = (0..20_001).map(|n| json!({"id": format!("r{n}"), "n": n}).to_string()).collect();
    import(&house, OPERATOR, "many", &lines.join("\n")).await;
    let rows = format!("{PATH}/many/rows");
    house.post(OPERATOR, &rows, json!({"base": 7, "remove": ["r1"]})).await.refused(409, "conflict");
    let job = house.post(OPERATOR, &rows, json!({"base": 1, "remove": ["r1"]})).await.expect(202);
    assert_eq!(job["kind"], "dataset.edit");
    let job = ended(&house, OPERATOR, &job).await;
    let expected =
        json!({"dataset": "many", "version": 2, "rows": 20_000, "added": 0, "known": 0, "replaced": 0, "removed": 1});
    assert_eq!((&job["state"], &job["result"]), (&json!("succeeded"), &expected), "{job}");
    let version = house.get(OPERATOR, &format!("{PATH}/many/versions/2")).await.expect(200);
    assert_eq!((&version["origin"]["job"], &version["origin"]["removed"]), (&job["id"], &json!(1)));
    // What only comes to others is written at once.
    let added = house.post(OPERATOR, &rows, json!({"add": [{"id": "x", "n": 1}]})).await.expect(200);
    assert_eq!(added["version"], 3);
}

#[tokio::test]
async fn numbers_that_would_become_others_are_refused() {
    let house = House::open().await;
    let body = "{\"add\": [{\"a\": 18446744073709551616}]}";
    let request = Request::builder().method(Method::POST).uri(format!("{PATH}/math/rows"));
    let request = request.header(AUTHORIZATION, format!("Bearer {OPERATOR}")).header(CONTENT_TYPE, "application/json");
    let answer = house.call(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status.as_u16(), 400);
    let said = String::from_utf8_lossy(&answer.bytes).into_owned();
    assert!(said.contains("the whole number 18446744073709551616 has more than 64 bits"), "{said}");
}

#[tokio::test]
async fn a_statement_sees_the_rows_of_one_version() {
    let house = House::open().await;
    let rows = format!("{PATH}/math/rows");
    house.post(OPERATOR, &rows, json!({"add": [{"q": "x", "n": 1}, {"q": "y", "n": 2}]})).await.expect(200);
    house.post(OPERATOR, &rows, json!({"add": [{"q": "z", "n": 40}]})).await.expect(200);
    let path = |version: &str| format!("{PATH}/math/versions/{version}/sql");
    // A key that may read is enough, and reaches its own project only.
    let reader = house.key(&[Scope::Read]).await;
    let ask = json!({"sql": "SELECT sum(n) AS sum FROM rows WHERE q <> $1", "params": ["x"]});
    let of_one = house.post(&reader, &path("1"), ask.clone()).await.expect(200);
    let of_latest = house.post(&reader, &path("latest"), ask.clone()).await.expect(200);
    assert_eq!((&of_one["rows"], &of_latest["rows"]), (&json!([{"sum": 2}]), &json!([{"sum": 42}])));
    let shop = house.key_of("shop", &[Scope::Read, Scope::Write]).await;
    house.post(&shop, &path("1"), ask.clone()).await.refused(404, "not_found");
    house.post(&reader, "/api/v1/sql", ask).await.refused(403, "missing_scope");
    for (sql, status, code) in [
        ("SELECT * FROM spans", 400, "invalid_sql"),
        ("DELETE FROM rows", 403, "statement_not_allowed"),
        ("SELECT nothing FROM rows", 400, "invalid_sql"),
    ] {
        house.post(&reader, &path("1"), json!({"sql": sql})).await.refused(status, code);
    }
    let few = house.post(&reader, &path("latest"), json!({"sql": "SELECT * FROM rows", "max_rows": 2})).await;
    assert_eq!(few.header("x-quarterdeck-truncated"), "true");
    house.post(&reader, &path("1"), json!({"sql": "SELECT 1", "max_rows": 0})).await.refused(400, "invalid_value");
}

#[tokio::test]
async fn rows_are_changed_by_hand_and_compared() {
    let house = House::open().await;
    let rows = format!("{PATH}/math/rows");
    let add = json!({"add": [{"id": "a", "q": "x"}, {"id": "b", "q": "y"}], "roles": {"id": "id", "q": "input"}});
    let made = house.post(OPERATOR, &rows, add).await.expect(200);
    assert_eq!(
        made,
        json!({"dataset": "math", "version": 1, "rows": 2, "added": 2, "known": 0, "replaced": 0, "removed": 0})
    );
    let change =
        json!({"base": 1, "add": [{"id": "c", "q": "z"}], "replace": {"a": {"id": "a", "q": "X"}}, "remove": ["b"]});
    assert_eq!(house.post(OPERATOR, &rows, change.clone()).await.expect(200)["version"], 2);
    house.post(OPERATOR, &rows, change).await.refused(409, "conflict");
    house.post(OPERATOR, &rows, json!({"remove": ["b"]})).await.refused(404, "not_found");
    house.post(OPERATOR, &rows, json!({})).await.refused(400, "invalid_value");
    house.post(OPERATOR, &rows, json!({"add": [{"id": "a"}]})).await.refused(400, "invalid_rows");
    let diff = house.get(OPERATOR, &format!("{PATH}/math/diff?from=1&to=2")).await.expect(200);
    let counts = ["added", "removed", "changed", "same"].map(|name| diff[name].as_u64().unwrap());
    assert_eq!((counts, &diff["by"]), ([1, 1, 1, 0], &json!("id")));
    let kinds: Vec<_> = diff["data"].as_array().unwrap().iter().map(|row| row["change"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["added", "removed", "changed"]);
    assert_eq!(diff["data"][2]["columns"], json!(["q"]));
    assert_eq!(diff["data"][2]["before"]["values"]["q"], "x");
    let one = house.get(OPERATOR, &format!("{PATH}/math/diff?change=changed&limit=1")).await.expect(200);
    assert_eq!(one["data"].as_array().unwrap().len(), 1, "the latest with the one before");
    let version = house.get(OPERATOR, &format!("{PATH}/math/versions/2")).await.expect(200);
    assert_eq!(version["origin"], json!({"from": "edit", "added": 1, "replaced": 1, "removed": 1}));
    assert_eq!(version["made_from"][0]["version"], 1);
    let versions = house.get(OPERATOR, &format!("{PATH}/math/versions?limit=1")).await.expect(200);
    assert_eq!((&versions["data"][0]["version"], &versions["next_cursor"]), (&json!(2), &json!(2)));
}

#[tokio::test]
async fn a_version_is_split_labelled_and_exported() {
    let house = House::open().await;
    let _runner = runner(&house);
    import(&house, OPERATOR, "math", ROWS).await;
    let body = json!({"parts": [{"name": "train", "fraction": 0.5}, {"name": "test", "fraction": 0.5}], "seed": 1});
    let job = house.post(OPERATOR, &format!("{PATH}/math/split"), body).await.expect(202);
    let made = ended(&house, OPERATOR, &job).await["result"].clone();
    let rows = |at: usize| made[at]["rows"].as_u64().unwrap();
    assert_eq!(rows(0) + rows(1), 2);
    let part = house.get(OPERATOR, &format!("{PATH}/math-train/versions/1")).await.expect(200);
    assert_eq!((&part["origin"]["from"], &part["made_from"][0]["name"]), (&json!("split"), &json!("math")));
    let body = json!({"parts": [{"name": "a", "fraction": 2}]});
    house.post(OPERATOR, &format!("{PATH}/math/split"), body).await.refused(400, "invalid_value");
    let shared = json!({"parts": [{"name": "half", "fraction": 0.5}], "stratify": "answer"});
    let job = house.post(OPERATOR, &format!("{PATH}/math/split"), shared).await.expect(202);
    let made = ended(&house, OPERATOR, &job).await["result"].clone();
    assert_eq!(made[0]["rows"], 1, "of two values with a row each the half");
    assert!(made[0]["notes"][0].as_str().unwrap().starts_with("1 of 2 values of answer have too few rows"), "{made}");
    let label = format!("{PATH}/math/labels/gold");
    let point = json!({"version": 1, "expected": null});
    let labelled = house.put(OPERATOR, &label, point.clone()).await.expect(200);
    assert_eq!(labelled["labels"], json!([{"label": "gold", "version": 1}]));
    house.put(OPERATOR, &label, point).await.refused(409, "conflict");
    for (format, media, beginning) in [
        ("jsonl", "application/x-ndjson", "{\"id\":\"a\",\"question\":\"1+1?\",\"answer\":\"2\"}\n"),
        ("csv", "text/csv; charset=utf-8", "id,question,answer\na,1+1?,2\n"),
        ("parquet", "application/vnd.apache.parquet", "PAR1"),
    ] {
        let answer = house.get(OPERATOR, &format!("{PATH}/math/versions/gold/export?format={format}")).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, media));
        assert!(answer.bytes.starts_with(beginning.as_bytes()), "{format}");
    }
    assert_eq!(house.delete(OPERATOR, &label).await.expect(200)["labels"], json!([]));
    house.get(OPERATOR, &format!("{PATH}/math/versions/gold")).await.refused(404, "not_found");
    house.delete(OPERATOR, &format!("{PATH}/math")).await.expect(204);
    house.get(OPERATOR, &format!("{PATH}/math")).await.refused(404, "not_found");
    house.get(OPERATOR, &format!("{PATH}/math/diff")).await.refused(404, "not_found");
}

#[tokio::test]
async fn calls_become_rows() {
    let house = House::open().await;
    let span = |number: u32, status: &str| {
        json!({
            "trace_id": format!("{number:032x}"), "span_id": format!("{number:016x}"), "kind": "llm", "name": "chat",
            "start_time": "2026-01-31T00:00:00Z", "end_time": "2026-01-31T00:00:01Z", "status": status,
            "input": [{"role": "user", "content": format!("q{number}")}],
            "output": [{"role": "assistant", "content": format!("a{number}")}],
        })
    };
    let spans = json!({"spans": [span(1, "ok"), span(2, "error"), span(3, "ok")]});
    house.post(OPERATOR, "/api/v1/traces", spans).await.expect(200);
    let path = format!("{PATH}/failures/traces");
    let made = house.post(OPERATOR, &path, json!({"filter": {"status": "error"}})).await.expect(200);
    assert_eq!((&made["rows"], &made["added"]), (&json!(1), &json!(1)));
    let span = json!({"trace_id": format!("{:032x}", 3), "span_id": format!("{:016x}", 3)});
    let more = house.post(OPERATOR, &path, json!({"spans": [span]})).await.expect(200);
    assert_eq!((&more["version"], &more["rows"]), (&json!(2), &json!(2)));
    let again = house.post(OPERATOR, &path, json!({"spans": [span]})).await.expect(200);
    assert_eq!((&again["known"], &again["rows"]), (&json!(1), &json!(2)));
    let rows = house.get(OPERATOR, &format!("{PATH}/failures/versions/latest/rows")).await.expect(200);
    let values = &rows["data"][1]["values"];
    assert_eq!((&values["input"], &values["output"]), (&json!("q3"), &json!("a3")));
    assert_eq!(values["metadata"]["trace_id"], span["trace_id"]);
    house.post(OPERATOR, &path, json!({"filter": {"limit": 3}})).await.refused(400, "invalid_value");
    house.post(OPERATOR, &path, json!({"filter": {"colour": "red"}})).await.refused(400, "invalid_value");
    house.post(OPERATOR, &path, json!({"filter": {"model": "none"}})).await.refused(404, "not_found");
    // Another project has neither the calls nor the dataset.
    let shop = house.key_of("shop", &[Scope::Read, Scope::Write]).await;
    house.get(&shop, &format!("{PATH}/failures")).await.refused(404, "not_found");
    house.post(&shop, &path, json!({"spans": [span]})).await.refused(404, "not_found");
    assert_eq!(house.get(&shop, PATH).await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_its_place() {
    let house = House::open().await;
    house.post(OPERATOR, &format!("{PATH}/math/rows"), json!({"add": [{"a": 1}]})).await.expect(200);
    let rows = format!("{PATH}/math/versions/1/rows");
    for (query, param) in
        [("?limit=0", "limit"), ("?limit=1001", "limit"), ("?column=a", "column"), ("?value=a", "value")]
    {
        assert_eq!(house.get(OPERATOR, &format!("{rows}{query}")).await.refused(400, "invalid_value")["param"], param);
    }
    let absent = house.get(OPERATOR, &format!("{rows}?column=b&value=1")).await.refused(400, "invalid_value");
    assert!(absent["message"].as_str().unwrap().contains("there are: a"), "{absent}");
    house.get(OPERATOR, &format!("{PATH}/math/versions/0")).await.refused(404, "not_found");
    house.get(OPERATOR, &format!("{PATH}/math/versions/Gold")).await.refused(400, "invalid_value");
    house.get(OPERATOR, &format!("{PATH}/math/diff")).await.refused(404, "not_found");
    house.post(OPERATOR, &format!("{PATH}/math/import"), json!({"files": []})).await.refused(400, "invalid_value");
    house.post(OPERATOR, &format!("{PATH}/math/rows"), json!({"add": [{}]})).await.refused(400, "invalid_rows");
    house.get(OPERATOR, &format!("{PATH}/no%2Fsuch")).await.refused(404, "not_found");
    // A name with a slash is one segment.
    house.post(OPERATOR, &format!("{PATH}/team%2Fmath/rows"), json!({"add": [{"a": 1}]})).await.expect(200);
    assert_eq!(house.get(OPERATOR, &format!("{PATH}/team%2Fmath")).await.expect(200)["name"], "team/math");
}
