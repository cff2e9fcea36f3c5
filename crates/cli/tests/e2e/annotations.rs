//! An annotation through the binary: two people at a terminal, a decision, a report, and a column of the dataset.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::binary::{Place, alone};

const BARE: &str = "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n[otlp]\ngrpc = false\n";

fn place() -> Place {
    let place = Place::new(BARE);
    let write = |name: &str, text: &str| std::fs::write(place.path().join(name), text).expect("it is written");
    let rows: Vec<String> = (0..6)
        .map(|n| json!({"id": n, "question": format!("{n} + {n} = ?"), "answer": (2 * n + n % 2).to_string(), "model": "secret"}).to_string())
        .collect();
    write("sums.jsonl", &rows.join("\n"));
    let definition = json!({
        "dataset": "sums", "sample": {"seed": 1}, "question": "Is the answer right?", "show": ["question", "answer"],
        "scale": {"kind": "boolean"}, "overlap": {"labels": 2},
    });
    write("right.json", &definition.to_string());
    place.print(&["dataset", "import", "sums", "sums.jsonl"]);
    place
}

/// What a person sees who types these lines.
fn works(place: &Place, who: &str, lines: &str) -> String {
    let mut command = place.command(&["annotation", "work", "right", "--as", who]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_label_and_one_decides() {
    let _alone = alone().await;
    let place = place();
    let made = place.json(&[
        "annotation",
        "create",
        "right",
        "--file",
        "right.json",
        "--annotator",
        "ada",
        "--annotator",
        "bob",
    ]);
    assert_eq!((&made["items"], &made["people"]["annotators"]), (&json!(6), &json!(["ada", "bob"])));
    let server = place.serve().await;

    // Ada says yes to all, once by a word that is none first, and stops; then she goes on.
    let seen = works(&place, "ada", "perhaps\nyes\n2\nq\n");
    assert!(seen.contains("question: ") && seen.contains("1) false  2) true") && !seen.contains("secret"), "{seen}");
    assert!(seen.contains("Write one of the choices"), "{seen}");
    let seen = works(&place, "ada", "yes\nyes\nyes\nyes\n");
    assert!(seen.contains("There is nothing to label now; you have labelled 6."), "{seen}");
    let given = place.json(&["annotation", "next", "right", "--as", "bob"]);
    let skipped = given["item"]["item"].to_string();
    place.print(&["annotation", "label", "right", &skipped, "--as", "bob", "--skip", "I cannot add"]);
    works(&place, "bob", "no\nyes\nyes\nyes\nyes\n");
    assert_eq!(
        place.run(&["annotation", "next", "right", "--as", "eve"]).status.code(),
        Some(1),
        "a name that is not listed"
    );

    // What was said before a kill is there after it.
    server.kill();
    let server = place.serve().await;
    let differ = place.json(&["annotation", "disagreements", "right"]);
    assert_eq!(differ.as_array().map(Vec::len), Some(1), "{differ}");
    let item = differ[0]["item"].to_string();
    place.print(&["annotation", "adjudicate", "right", &item, "no", "--as", "eve", "--reason", "it is one too many"]);
    assert_eq!(place.json(&["annotation", "disagreements", "right"]), json!([]));
    let decided = place.print(&["annotation", "disagreements", "right", "--decided"]);
    assert!(decided.contains("→ false (adjudicated: it is one too many)"), "{decided}");

    let report = place.json(&["annotation", "report", "right"]);
    assert_eq!((&report["labels"], &report["skipped"], &report["adjudicated"]), (&json!(11), &json!(1), &json!(1)));
    // Of five items of both four are the same.
    assert_eq!(report["agreement"]["same"]["value"], 0.8);
    let shown = place.print(&["annotation", "report", "right"]);
    assert!(shown.contains("11 of 12 labels, 1 skipped") && shown.contains("1 adjudicated"), "{shown}");

    let made = place.json(&["annotation", "export", "right", "--value", "true=1", "--value", "false=0"]);
    assert_eq!((&made["dataset"], &made["version"], &made["labelled"]), (&json!("sums"), &json!(2), &json!(6)));
    let rows = place.json(&["dataset", "rows", "sums@2"]);
    let labels: Vec<i64> =
        rows.as_array().expect("rows").iter().map(|row| row["values"]["label"].as_i64().expect("a label")).collect();
    assert_eq!(labels.iter().sum::<i64>(), 5, "all but the one that was decided");
    assert_eq!(place.run(&["annotation", "remove", "right"]).status.code(), Some(2), "nobody confirmed");
    place.print(&["annotation", "remove", "right", "--yes"]);
    assert_eq!(place.json(&["annotation", "list"]), Value::Array(Vec::new()));
    server.kill();
}
