//! `DELETE /api/v1/users/{id}`: afterwards nobody sees the user, and then no byte of theirs is left in the data folder.

use std::path::Path;

use qd_catalog::{JobState, Runner, Scope};
use qd_trace::EraseHandler;
use serde_json::{Value, json};

use crate::house::{House, OPERATOR, Parts};

/// A text that stands in whatever is the user's, and in nothing else.
const MARKER: &str = "the-marker-of-ada-lovelace-4711";

/// Longer than a row holds, and not compressible, so that its bytes would be found.
fn large(marker: &str) -> String {
    let mut state = 7_u64;
    let mut noise = String::new();
    while noise.len() < 100_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        noise.push(char::from(b'a' + (state >> 33) as u8 % 26));
    }
    format!("{marker} {noise}")
}

fn span(trace: u32, number: u32, user: Option<&str>, input: &str) -> Value {
    json!({
        "trace_id": format!("{trace:032x}"), "span_id": format!("{number:016x}"), "kind": "llm", "name": "chat",
        "start_time": "2026-01-31T00:00:00Z", "end_time": "2026-01-31T00:00:01Z", "user_id": user, "input": input,
        "attributes": {"note": input},
    })
}

/// The files below a folder that hold a text, as they are or, of Parquet files, in their rows.
fn files_with(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if path.extension().is_some_and(|name| name == "parquet") && rows_with(&path, text)
            || std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

fn rows_with(path: &Path, text: &str) -> bool {
    let Ok(mut batches) = qd_lake::read_parquet(path) else { return false };
    batches
        .any(|batch| String::from_utf8(qd_lake::portable::json_lines(&batch.unwrap()).unwrap()).unwrap().contains(text))
}

async fn finished(house: &House, id: &str) -> Value {
    let id: qd_base::JobId = id.parse().unwrap();
    let watched = futures::StreamExt::collect::<Vec<_>>(house.catalog.watch(id, 0));
    tokio::time::timeout(std::time::Duration::from_secs(60), watched).await.expect("the job ends");
    let job = house.catalog.job(id).await.unwrap();
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.error);
    job.result.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_user_is_hidden_at_once_and_then_off_the_disk() {
    let parts = Parts::open().await;
    let (lake, eraser) = (parts.lake.clone(), parts.eraser.clone());
    let house = House::of(parts).await;
    let folder = house.data().to_owned();
    let shop = house.key_of("shop", &[Scope::Admin]).await;
    let theirs =
        [span(1, 11, Some("ada"), MARKER), span(1, 12, None, &large(MARKER)), span(2, 21, Some("ada"), &large(MARKER))];
    let others =
        [span(1, 13, Some("bob"), "bob's"), span(3, 31, None, "nobody's"), span(4, 41, Some("bob"), &large("bob"))];
    for (key, spans) in [
        (OPERATOR, &theirs),
        (OPERATOR, &others),
        (&shop, &[span(1, 11, Some("ada"), "in a shop"), span(5, 51, None, ""), span(6, 61, None, "")]),
    ] {
        house.post(key, "/api/v1/traces", json!({"spans": spans})).await.expect(200);
        lake.seal().await.unwrap();
    }
    // Staged, not sealed; a score of a trace of theirs by somebody else, and one of another trace.
    house.post(OPERATOR, "/api/v1/traces", json!({"spans": [span(7, 71, Some("ada"), MARKER)]})).await.expect(200);
    let scores = json!([
        {"trace_id": format!("{:032x}", 2), "name": "tone", "value": "kind", "comment": MARKER},
        {"trace_id": format!("{:032x}", 4), "name": "tone", "value": "kind", "user_id": "bob"},
    ]);
    house.post(OPERATOR, "/api/v1/scores", json!({"scores": scores})).await.expect(200);
    let lies = files_with(&folder.join("payloads"), MARKER).len();
    assert_eq!(lies, 2, "the same payload lies there once, and so do the same attributes");
    assert!(!files_with(&folder.join("lake"), MARKER).is_empty(), "the search finds what is there");

    let erased = house.delete(OPERATOR, "/api/v1/users/ada").await.expect(202);
    // Three named spans, one without a name in trace 1, and the score of trace 2.
    assert_eq!((&erased["traces"], &erased["rows"]), (&json!(3), &json!(5)));
    let seen = async |key: &str| -> Vec<String> {
        let all = house.get(key, "/api/v1/traces?limit=100").await.expect(200)["data"].as_array().unwrap().clone();
        let mut seen: Vec<_> = all.iter().map(|trace| trace["trace_id"].as_str().unwrap()[30..].to_owned()).collect();
        seen.sort();
        seen
    };
    assert_eq!(seen(OPERATOR).await, ["01", "03", "04"], "trace 1 still has a span of bob's");
    assert_eq!(seen(&shop).await, ["01", "05", "06"], "another project is as it was");
    assert_eq!(house.get(OPERATOR, "/api/v1/scores").await.expect(200)["data"].as_array().unwrap().len(), 1);

    let jobs = Runner::new(house.catalog.clone(), [std::sync::Arc::new(EraseHandler::new(eraser)) as _]).start();
    let result = finished(&house, erased["job"]["id"].as_str().unwrap()).await;
    jobs.shutdown().await;
    assert_eq!(result["payloads_removed"], 2);
    assert_eq!(files_with(&folder, MARKER), Vec::<String>::new());
    let sql = json!({"sql": format!("SELECT count(*) AS n FROM spans WHERE input LIKE '{MARKER}%'")});
    assert_eq!(house.post(OPERATOR, "/api/v1/sql", sql).await.expect(200)["rows"], json!([{"n": 0}]));
    let rows = lake.stats().tables.iter().map(|table| table.segment_rows).sum::<u64>();
    assert_eq!(rows, 7, "three of others, three of the shop, one score");
    let whole = house.get(OPERATOR, &format!("/api/v1/traces/{:032x}?payloads=whole", 4)).await.expect(200);
    assert_eq!(whole["spans"][0]["input"], large("bob"), "payloads of others are still there");

    // Neither the log nor the job knows the name; who knows it finds the entry by its digest.
    let audit = house.get(OPERATOR, "/api/v1/audit").await.expect(200);
    let entry = audit["data"].as_array().unwrap().iter().find(|entry| entry["action"] == "erase").unwrap().clone();
    // printf ada | sha256sum
    assert_eq!(entry["subject"], "fdee430d40bd57deeac186cd9790033d0f06f909a8806e7ce6e717ab7c7d5029");
    assert!(
        !audit.to_string().contains("\"ada\"") && !house.get(OPERATOR, "/api/v1/jobs").await.text().contains("\"ada\"")
    );

    house.delete(OPERATOR, "/api/v1/users/ada").await.refused(404, "not_found");
    house.post(OPERATOR, "/api/v1/traces", json!({"spans": [span(8, 81, Some("ada"), "new")]})).await.expect(200);
    assert_eq!(seen(OPERATOR).await, ["01", "03", "04", "08"], "what arrives later is new");
}

#[tokio::test]
async fn erasing_needs_an_administrator_and_a_user_of_the_project() {
    let house = House::open().await;
    let shop = house.key_of("shop", &[Scope::Admin]).await;
    house.post(OPERATOR, "/api/v1/traces", json!({"spans": [span(1, 11, Some("a/b c"), "x")]})).await.expect(200);
    house.delete(&shop, "/api/v1/users/a%2Fb%20c").await.refused(404, "not_found");
    let writer = house.key(&[Scope::Write]).await;
    house.delete(&writer, "/api/v1/users/a%2Fb%20c").await.refused(403, "missing_scope");
    house.delete(OPERATOR, "/api/v1/users/a%2Fb%20c").await.expect(202);
    assert_eq!(house.get(OPERATOR, "/api/v1/users").await.expect(200)["data"], json!([]));
}
