//! Datasets through the binary: from files to versions and back, and SIGKILL in the middle of an import.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::binary::{Place, Server, alone};

const BARE: &str = "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n[otlp]\ngrpc = false\n";
/// So many that an import is caught at work.
const ROWS: usize = 60_000;
/// Longer than an import takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

fn file(place: &Place, name: &str, content: &str) -> String {
    let path = place.path().join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
    std::fs::write(&path, content).expect("writable");
    text(&path).to_owned()
}

/// The names of files in a folder of the data.
fn names(place: &Place, folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(place.data().join(folder)).into_iter().flatten();
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect()
}

#[test]
fn files_become_versions_and_files_again() {
    let place = Place::new(BARE);
    file(
        &place,
        "hub/README.md",
        "---\nconfigs:\n- config_name: main\n  data_files:\n  - split: test\n    path: main/t*\n---\n# Math\n",
    );
    file(
        &place,
        "hub/main/t.jsonl",
        "{\"question\": \"1+1?\", \"answer\": \"2\"}\n{\"question\": \"2+2?\", \"answer\": \"4\"}\n",
    );
    file(&place, "hub/other.csv", "a\n1\n");
    let made = place.json(&["dataset", "import", "math", text(&place.path().join("hub"))]);
    assert_eq!((&made["version"], &made["rows"]), (&json!(1), &json!(2)), "{made}");
    let more = file(&place, "more.jsonl", "{\"question\": \"3+3?\", \"answer\": \"6\"}\n");
    let added = place.json(&["dataset", "add", "math", "--file", &more]);
    assert_eq!((&added["version"], &added["rows"]), (&json!(2), &json!(3)));
    let rows = place.json(&["dataset", "rows", "math", "--where", "answer=6"]);
    assert_eq!(rows[0]["values"]["question"], "3+3?");
    assert_eq!(place.json(&["dataset", "head", "math@1", "-n", "1"])[0]["values"]["question"], "1+1?");
    assert_eq!(place.json(&["dataset", "diff", "math"])["added"], 1);
    let shown = place.print(&["dataset", "diff", "math", "1", "2"]);
    assert!(shown.contains('+') && shown.contains("3+3?"), "{shown}");
    let parts = place.json(&["dataset", "split", "math", "--part", "train=0.5", "--part", "test=0.5", "--seed", "1"]);
    assert_eq!(parts[0]["rows"].as_u64().unwrap_or(9) + parts[1]["rows"].as_u64().unwrap_or(9), 3, "{parts}");
    let shared = place.json(&["dataset", "split", "math", "--part", "one=0.34", "--stratify", "answer"]);
    assert_eq!((&shared[0]["rows"], shared[0]["notes"].is_array()), (&json!(1), true), "{shared}");
    place.print(&["dataset", "remove", "math-one"]);
    let sums = place.json(&["dataset", "sql", "math@2", "SELECT count(*) AS n, max(answer) AS most FROM rows"]);
    assert_eq!(sums, json!([{"n": 3, "most": "6"}]));
    assert_eq!(place.run(&["dataset", "sql", "math", "SELECT * FROM spans"]).status.code(), Some(1));
    assert_eq!(place.json(&["dataset", "label", "math", "gold", "2"]), json!([{"label": "gold", "version": 2}]));
    let out = place.path().join("out.jsonl");
    place.print(&["dataset", "export", "math@gold", "--to", text(&out)]);
    let again = place.json(&["dataset", "import", "copy", text(&out)]);
    assert_eq!(again["rows"], 3);
    assert_eq!(
        place.print(&["dataset", "export", "copy", "--format", "csv", "--to", "-"]).lines().next(),
        Some("question,answer")
    );
    let listed = place.json(&["dataset", "list"]);
    let found: Vec<_> = listed.as_array().expect("a list").iter().map(|dataset| dataset["name"].as_str()).collect();
    assert_eq!(found, ["copy", "math", "math-test", "math-train"].map(Some));
    place.print(&["dataset", "remove", "copy"]);
    assert_eq!(place.run(&["dataset", "show", "copy"]).status.code(), Some(1));
    assert!(names(&place, "uploads").is_empty());
}

/// Rows are changed by their identifiers: those of a column, and those that are printed where there is no such column.
#[test]
fn rows_are_replaced_and_removed_by_their_identifiers() {
    let place = Place::new(BARE);
    let lines: Vec<_> = (0..6).map(|n| json!({"id": n, "q": format!("q{n}"), "class": n % 2}).to_string()).collect();
    let path = file(&place, "rows.jsonl", &lines.join("\n"));
    place.json(&["dataset", "import", "some", &path]);
    let mended = file(&place, "mended.jsonl", "{\"id\": 1, \"q\": \"other\", \"class\": 1}\n");
    let made = place.json(&["dataset", "replace", "some", "--file", &mended, "--base", "1"]);
    let expected =
        json!({"dataset": "some", "version": 2, "rows": 6, "added": 0, "known": 0, "replaced": 1, "removed": 0});
    assert_eq!(made, expected);
    assert_eq!(place.json(&["dataset", "rows", "some", "--where", "id=1"])[0]["values"]["q"], "other");
    let stale = place.run(&["dataset", "replace", "some", "--file", &mended, "--base", "1"]);
    assert_eq!(
        (stale.status.code(), words(&stale.stderr).contains("the latest version of some is 2")),
        (Some(1), true)
    );

    let gone = place.run(&["dataset", "remove-rows", "some", "4", "seven", "nine"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(words(&gone.stderr).contains("there is no row \"nine, seven\""), "{}", words(&gone.stderr));
    let bad = file(&place, "bad.jsonl", "{\"q\": \"x\"}\n\n{\"id\": 4}\n{\"id\": \"4\"}\n");
    let refused = place.run(&["dataset", "replace", "some", "--file", &bad]);
    let said = words(&refused.stderr);
    for expected in ["line 1: it has no id", "line 4: it has the id \"4\" of line 3"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(place.json(&["dataset", "remove-rows", "some", "0"])["removed"], 1);
    assert_eq!(
        place.json(&["dataset", "remove-rows", "some", "--where", "class=1", "--check"]),
        json!([{"id": "1"}, {"id": "3"}, {"id": "5"}])
    );
    let made = place.json(&["dataset", "remove-rows", "some", "--where", "class=1"]);
    assert_eq!((&made["version"], &made["rows"], &made["removed"]), (&json!(4), &json!(2), &json!(3)));
    let none = place.run(&["dataset", "remove-rows", "some", "--where", "class=1"]);
    assert_eq!((none.status.code(), words(&none.stderr).contains("no row of some is such")), (Some(1), true));
    assert_eq!(place.run(&["dataset", "remove-rows", "some"]).status.code(), Some(2), "nothing says which");
    let ids = file(&place, "ids.jsonl", "\"2\"\n{\"id\": 4}\n");
    assert_eq!(place.json(&["dataset", "remove-rows", "some", "--file", &ids])["rows"], 0);

    let path = file(&place, "plain.jsonl", "{\"q\": \"x\"}\n{\"q\": \"x\"}\n{\"q\": \"y\"}\n");
    place.json(&["dataset", "import", "plain", &path]);
    let printed = place.print(&["dataset", "rows", "plain", "--output", "jsonl"]);
    let second = printed.lines().nth(1).expect("a row").replace("\"x\"", "\"z\"");
    let mended = file(&place, "second.jsonl", &second);
    assert_eq!(place.json(&["dataset", "replace", "plain", "--file", &mended])["replaced"], 1);
    let values = place.json(&["dataset", "head", "plain"]);
    let values: Vec<_> = values.as_array().expect("rows").iter().map(|row| row["values"]["q"].clone()).collect();
    assert_eq!(values, ["x", "z", "y"]);
}

/// What was said, with one space between words wherever the lines were broken.
fn words(said: &[u8]) -> String {
    let words: Vec<_> =
        String::from_utf8_lossy(said).split_whitespace().map(|word| word.trim_matches('│').to_owned()).collect();
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[test]
fn bad_rows_are_named_and_nothing_is_imported() {
    let place = Place::new(BARE);
    let mut lines: Vec<_> = (1..=20_000).map(|n| json!({"id": n, "text": "x"}).to_string()).collect();
    lines[4999] = "{\"id\": 5000, \"text\": x}".to_owned();
    lines[12_344] = "\"just a text\"".to_owned();
    lines[19_999] = json!({"id": 7, "text": "again"}).to_string();
    let path = file(&place, "bad.jsonl", &lines.join("\n"));
    let output = place.run(&["dataset", "import", "bad", &path, "--role", "id=id"]);
    assert_eq!(output.status.code(), Some(1));
    let said: String = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in
        ["3 of 20000 rows", "line 5000: it is not JSON", "line 12345: it is no object", "line 20000: its id \"7\""]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let checked = place.json(&["dataset", "import", "bad", &path, "--role", "id=id", "--check"]);
    assert_eq!((&checked["rows"], &checked["bad_count"]), (&json!(19_997), &json!(3)));
    assert_eq!((&checked["bad"][0]["unit"], &checked["bad"][0]["number"]), (&json!("line"), &json!(5000)));
    assert!(names(&place, "uploads").is_empty(), "nothing reads what was looked at only");
    assert_eq!(place.json(&["dataset", "list"]), json!([]));
    let made = place.json(&["dataset", "import", "bad", &path, "--role", "id=id", "--skip-bad"]);
    assert_eq!((&made["rows"], &made["skipped"]), (&json!(19_997), &json!(3)));
}

/// Killed while it reads the rows for the first time, and again while it writes them: there is no dataset until there is a
/// whole one, and nothing is left beside it.
#[tokio::test(flavor = "multi_thread")]
async fn sigkill_leaves_no_half_dataset() {
    let _alone = alone().await;
    let place = Place::new(BARE);
    let mut lines = String::new();
    for n in 0..ROWS {
        writeln!(lines, "{{\"id\": {n}, \"question\": \"How much is {n} and {n}?\", \"tags\": [\"{}\", null]}}", n % 7)
            .expect("memory");
    }
    let path = file(&place, "big.jsonl", &lines);
    let server = place.serve().await;
    let job = place.json(&["dataset", "import", "big", &path, "--detach"]);
    let id = job["id"].as_str().expect("an id").to_owned();
    until("it reads the rows", async || progress(&server, &id).await.starts_with("checking")).await;
    server.kill();
    let server = place.serve().await;
    assert_eq!(place.json(&["dataset", "list"]), json!([]), "half a dataset");
    until("it writes the rows", async || !names(&place, "datasets/tmp").is_empty()).await;
    server.kill();
    let torn = names(&place, "datasets/tmp");
    assert_eq!(torn.len(), 1, "it was killed while it wrote");
    let server = place.serve().await;
    assert!(names(&place, "datasets/tmp").is_disjoint(&torn), "the next start removes what is half-written");
    let listed = place.json(&["dataset", "list"]);
    assert!(listed == json!([]) || listed[0]["rows"] == ROWS, "{listed}");
    until("it is done", async || state(&server, &id).await == "succeeded").await;
    let dataset = &place.json(&["dataset", "list"])[0];
    assert_eq!((&dataset["rows"], &dataset["latest"]), (&json!(ROWS), &json!(1)));
    let last = place.json(&["dataset", "rows", "big", "--offset", &(ROWS - 1).to_string()]);
    assert_eq!(last[0]["values"]["tags"], json!([((ROWS - 1) % 7).to_string(), null]));
    let folders = names(&place, "datasets").into_iter().filter(|name| name != "tmp").collect::<Vec<_>>();
    assert_eq!(folders.len(), 1, "{folders:?}");
    assert_eq!(names(&place, &format!("datasets/{}", folders[0])).len(), 1, "one file, which the version names");
    assert!(names(&place, "datasets/tmp").is_empty() && names(&place, "uploads").is_empty());
    assert_eq!(server.terminate(), 0);
}

/// Killed while rows are written anew: the change is made once, wholly, and by itself.
#[tokio::test(flavor = "multi_thread")]
async fn sigkill_leaves_no_half_change() {
    let _alone = alone().await;
    let place = Place::new(BARE);
    let lines: Vec<_> =
        (0..ROWS).map(|n| json!({"id": format!("r{n}"), "text": format!("row {n}")}).to_string()).collect();
    let path = file(&place, "big.jsonl", &lines.join("\n"));
    let server = place.serve().await;
    place.json(&["dataset", "import", "big", &path]);
    let change = json!({"base": 1, "remove": ["r7"], "replace": {"r8": {"id": "r8", "text": "another"}}});
    let request = server.client.post("/api/v1/datasets/big/rows", &change);
    let (status, job) = server.client.send(request).await.expect("the server answers");
    assert_eq!(status, 202, "{job}");
    let id = job["id"].as_str().expect("an id").to_owned();
    until("it writes the rows", async || !names(&place, "datasets/tmp").is_empty()).await;
    server.kill();
    let server = place.serve().await;
    until("it is done", async || state(&server, &id).await == "succeeded").await;
    assert_eq!(job_of(&server, &id).await["result"]["rows"], ROWS - 1);
    let dataset = &place.json(&["dataset", "list"])[0];
    assert_eq!((&dataset["rows"], &dataset["versions"]), (&json!(ROWS - 1), &json!(2)));
    assert_eq!(place.json(&["dataset", "rows", "big", "--where", "id=r8"])[0]["values"]["text"], "another");
    until("the change is forgotten", async || names(&place, "uploads").is_empty()).await;
    assert!(names(&place, "datasets/tmp").is_empty());
    let verified = place.json(&["doctor", "--verify-lake"]);
    let checks = verified.as_array().expect("rows");
    let of_datasets = checks.iter().find(|check| check["check"] == "files of datasets").expect("it is checked");
    assert_eq!((&of_datasets["state"], &of_datasets["finding"]), (&json!("ok"), &json!("2 read, 0 damaged")));
    assert_eq!(server.terminate(), 0);
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn job_of(server: &Server, id: &str) -> Value {
    let path = format!("/api/v1/jobs/{id}");
    let (status, job) = server.client.send(server.client.get(&path)).await.expect("the server answers");
    assert_eq!(status, 200, "{job}");
    assert_ne!(job["state"], "failed", "{job}");
    job
}

async fn progress(server: &Server, id: &str) -> String {
    job_of(server, id).await["progress"]["message"].as_str().unwrap_or_default().to_owned()
}

async fn state(server: &Server, id: &str) -> String {
    job_of(server, id).await["state"].as_str().unwrap_or_default().to_owned()
}
