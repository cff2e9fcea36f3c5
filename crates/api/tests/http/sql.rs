//! `/api/v1/sql`.

use http::Method;
use http::header::ACCEPT;
use serde_json::json;

use crate::house::{Answer, House, OPERATOR, request};

const PATH: &str = "/api/v1/sql";

async fn query(house: &House, accept: &str, body: serde_json::Value) -> Answer {
    let mut call = request(Method::POST, PATH, Some(OPERATOR), Some(body.to_string()));
    call.headers_mut().insert(ACCEPT, accept.parse().unwrap());
    house.call(call).await
}

async fn with_spans(house: &House) {
    let span = |number: u32, latency_ms: u32| json!({"kind": "llm", "name": "chat", "model": format!("m{number}"), "start_time": "2026-01-31T00:00:00Z", "end_time": format!("2026-01-31T00:00:00.{latency_ms:03}Z")});
    house
        .post(OPERATOR, "/api/v1/traces", json!({"spans": [span(1, 100), span(1, 300), span(2, 5)]}))
        .await
        .expect(200);
}

#[tokio::test]
async fn the_issue_s_own_statement() {
    let house = House::open().await;
    with_spans(&house).await;
    let sql = "SELECT model, count(*) AS calls, approx_percentile_cont(latency_ms, 0.99) AS p99 FROM spans GROUP BY 1 ORDER BY 1";
    let answer = query(&house, "application/json", json!({"sql": sql})).await.expect(200);
    assert_eq!(answer["columns"][0], json!({"name": "model", "type": "Utf8"}));
    assert_eq!((&answer["rows"][0]["calls"], &answer["rows"][1]["model"]), (&json!(2), &json!("m2")));
    assert_eq!(answer["rows"][1]["p99"], 5.0);
    assert_eq!((&answer["row_count"], &answer["truncated"]), (&json!(2), &json!(false)));
}

#[tokio::test]
async fn now_is_the_time_of_the_question() {
    let house = House::open().await;
    with_spans(&house).await;
    let sql = "SELECT count(*) AS n FROM spans WHERE start_time < now() - INTERVAL '1 day'";
    let answer = query(&house, "application/json", json!({"sql": sql})).await.expect(200);
    assert_eq!(answer["rows"][0]["n"], 3);
}

#[tokio::test]
async fn every_form() {
    let house = House::open().await;
    let body = json!({"sql": "SELECT 1 AS n, 'a,b' AS t UNION ALL SELECT 2, $1 ORDER BY n", "params": ["x"]});
    let csv = query(&house, "text/csv", body.clone()).await;
    assert_eq!((csv.text(), csv.header("content-type")), ("n,t\n1,\"a,b\"\n2,x\n", "text/csv"));
    let lines = query(&house, "application/x-ndjson", body.clone()).await;
    assert_eq!(lines.text(), "{\"n\":1,\"t\":\"a,b\"}\n{\"n\":2,\"t\":\"x\"}\n");
    let stream = query(&house, "application/vnd.apache.arrow.stream", body.clone()).await;
    let reader = arrow::ipc::reader::StreamReader::try_new(&stream.bytes[..], None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2);
    query(&house, "image/png", body).await.refused(406, "not_acceptable");
}

#[tokio::test]
async fn more_rows_than_allowed_are_cut_and_it_is_said() {
    let house = House::open().await;
    let body = json!({"sql": "SELECT * FROM (VALUES (1), (2), (3)) AS t(n)", "max_rows": 2});
    let answer = query(&house, "*/*", body).await;
    assert_eq!(answer.header("x-quarterdeck-truncated"), "true");
    assert_eq!((&answer.json()["row_count"], &answer.json()["truncated"]), (&json!(2), &json!(true)));
}

#[tokio::test]
async fn only_reading() {
    let house = House::open().await;
    for sql in [
        "DROP TABLE spans",
        "INSERT INTO spans SELECT * FROM spans",
        "COPY spans TO '/tmp/x.csv'",
        "SELECT 1; SELECT 2",
    ] {
        let error = query(&house, "*/*", json!({"sql": sql})).await.refused(403, "statement_not_allowed");
        assert_eq!(error["param"], "sql");
    }
    for body in [json!({"sql": "SELECT nothing FROM spans"}), json!({"sql": "SELEC 1"})] {
        query(&house, "*/*", body).await.refused(400, "invalid_sql");
    }
    query(&house, "*/*", json!({"sql": "SELECT 1", "max_rows": 0})).await.refused(400, "invalid_value");
    query(&house, "*/*", json!({"sql": "SELECT $1", "params": [[1]]})).await.refused(400, "invalid_type");
}
