//! Traces out of one installation and into another, and in from other tools.

use serde_json::{Value, json};

use crate::binary::Place;

const CONFIG: &str = "[server]\naddress = \"127.0.0.1:0\"\n[models]\ndefaults = []\npreload = []\n";

fn span(number: u32, user: u32) -> Value {
    json!({
        "trace_id": format!("{:032x}", number + 1), "span_id": format!("{:016x}", number + 1), "kind": "tool", "name": "t",
        "start_time": "2026-01-31T00:00:00Z", "end_time": "2026-01-31T00:00:01Z", "user_id": format!("user-{user}"),
        "input": "x".repeat(200), "ttft_ms": 0.1, "attributes": {"n": number},
    })
}

/// Out of one installation and into another: as it was, whatever is imported twice or broken in between.
#[test]
fn an_export_is_imported_as_it_was() {
    let (one, other) = (Place::new(CONFIG), Place::new(CONFIG));
    let large = "y".repeat(100_000);
    let lines: Vec<_> = (0..700)
        .map(|number| {
            let mut span = span(number, number % 3);
            if number == 5 {
                span["input"] = json!({"large": large, "n": 0.30000000000000004});
            }
            span.to_string()
        })
        .collect();
    let file = one.path().join("lines.jsonl");
    std::fs::write(&file, lines.join("\n")).expect("writable");
    let name = |path: &std::path::Path| path.to_str().expect("text").to_owned();
    let sum = one.json(&["trace", "import", &name(&file)]);
    assert_eq!((&sum["spans"], &sum["refused"]), (&json!(700), &json!(0)));
    let exported = one.path().join("out.jsonl");
    let said = one.json(&["trace", "export", "--to", &name(&exported)]);
    assert_eq!(said["bytes"], std::fs::metadata(&exported).expect("it is there").len());
    assert_eq!(
        std::fs::read_dir(one.path())
            .expect("a folder")
            .filter(|entry| { entry.as_ref().expect("an entry").file_name().to_string_lossy().contains("partial") })
            .count(),
        0
    );
    let sorted = |path: &std::path::Path| {
        let mut lines: Vec<_> = std::fs::read_to_string(path).expect("text").lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    // A bad line in the middle is told by its number, and costs no other.
    let mut broken = sorted(&exported);
    broken.insert(2, "{\"kind\": \"tool\", ".to_owned());
    let again = other.path().join("broken.jsonl");
    std::fs::write(&again, broken.join("\n")).expect("writable");
    let output = other.run(&["trace", "import", &name(&again), "--from", "jsonl"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 3"), "{}", String::from_utf8_lossy(&output.stderr));
    let back = other.path().join("back.jsonl");
    other.print(&["trace", "export", "--to", &name(&back)]);
    assert_eq!(sorted(&back), sorted(&exported), "every line is the same, byte for byte");
    let parquet = other.path().join("out.parquet");
    other.print(&["trace", "export", "--format", "parquet", "--user", "user-1", "--to", &name(&parquet)]);
    assert!(std::fs::read(&parquet).expect("it is there").starts_with(b"PAR1"));
    assert_eq!(
        other.run(&["trace", "export", "--to", &name(&other.path().join("no/such/folder/x"))]).status.code(),
        Some(1)
    );
    assert_eq!(other.run(&["trace", "import", "no-such-file"]).status.code(), Some(1));
}

/// CSV and Parquet of other tools, through the same door.
#[test]
fn files_of_other_tools_are_known_by_what_is_in_them() {
    let place = Place::new(CONFIG);
    let csv = place.path().join("observations.csv");
    let text = "id,traceId,type,name,startTime,endTime,model,input,usageDetails\r\n\
                00f067aa0ba902b7,4bf92f3577b34da6a3ce929d0e0e4736,GENERATION,chat,2026-01-31T10:00:00Z,2026-01-31T10:00:01Z,gpt-4o,\
                \"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"a, b\nc\"\"}]\",\"{\"\"input\"\":7,\"\"output\"\":3}\"\r\n";
    std::fs::write(&csv, text).expect("writable");
    let sum = place.json(&["trace", "import", csv.to_str().expect("text")]);
    assert_eq!((&sum["records"], &sum["spans"]), (&json!(1), &json!(1)), "{sum}");
    let rows = place.json(&["sql", "SELECT model, input_tokens, output_tokens, cost_picodollars FROM spans"]);
    assert_eq!(
        rows,
        json!([{"model": "gpt-4o", "input_tokens": 7, "output_tokens": 3, "cost_picodollars": 47_500_000}])
    );
}
