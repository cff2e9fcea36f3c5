//! A leaderboard as a table, for people.

use serde_json::Value;

use crate::context::Context;
use crate::output::Column;
use crate::{Error, output};

/// Models as a table with the sentence below, or everything for programs.
pub fn show(context: &Context, found: &Value) -> Result<(), Error> {
    if !context.printer.is_for_people() {
        return context.printer.object(found);
    }
    let report = &found["report"];
    let mut rows: Vec<Value> = report["models"].as_array().cloned().unwrap_or_default();
    let (ranked, left_out): (Vec<Value>, Vec<Value>) = rows.drain(..).partition(|row| row["left_out"].is_null());
    let rows: Vec<Value> = ranked.into_iter().map(|row| shown(row, report["style"] == "win_rate")).collect();
    let columns: &[Column<'_>] = &[
        ("rank", "rank"),
        ("model", "model"),
        ("score", "shown"),
        ("tasks", "told"),
        ("tok/s", "speed"),
        ("size", "size"),
        ("context", "facts.context"),
        ("$", "usd"),
        ("licence", "facts.licence"),
        ("front", "front"),
        ("failed", "failed"),
    ];
    context.printer.rows(&rows, columns)?;
    for row in &left_out {
        let text = |field: &str| row[field].as_str().unwrap_or_default().to_owned();
        output::line(&format!("left out: {}, {}", text("model"), text("left_out")))?;
    }
    let sentence = report["sentence"].as_str().unwrap_or_default();
    output::line(&format!("\n{}: {sentence}.", found["state"].as_str().unwrap_or_default()))
}

fn shown(mut row: Value, is_rate: bool) -> Value {
    let scale = if is_rate { 100.0 } else { 1.0 };
    let number = |value: &Value| value.as_f64().map_or("?".to_owned(), |value| format!("{:.1}", value * scale));
    let ends = format!("[{}, {}]", number(&row["low"]), number(&row["high"]));
    row["shown"] = match row["score"].is_null() {
        true => "–".into(),
        false => format!("{} {ends}", number(&row["score"])).into(),
    };
    row["rank"] = places(&row);
    let tasks = row["tasks"].as_array().into_iter().flatten().map(task).collect::<Vec<_>>().join("\n");
    row["told"] = tasks.into();
    row["speed"] = row["tokens_per_second"].as_f64().map_or("?".to_owned(), |speed| format!("{speed:.1}")).into();
    row["size"] = row["facts"]["size_bytes"].as_f64().map_or("?".to_owned(), size).into();
    row["usd"] = row["cost_usd"].as_f64().map_or("?".to_owned(), |usd| format!("{usd:.4}")).into();
    row["front"] = if row["on_front"] == true { "yes" } else { "" }.into();
    row
}

/// The places that a model may take: `1–3`.
pub fn places(row: &Value) -> Value {
    match (row["rank_best"].as_u64(), row["rank_worst"].as_u64()) {
        (Some(best), Some(worst)) if best == worst => best.to_string().into(),
        (Some(best), Some(worst)) => format!("{best}–{worst}").into(),
        _ => "–".into(),
    }
}

/// `truthfulqa_mc1 acc 0.245 ± 0.015 (817)`.
fn task(task: &Value) -> String {
    let text = |field: &str| task[field].as_str().unwrap_or_default();
    let number = |field: &str| task[field].as_f64().map_or("?".to_owned(), |value| format!("{value:.3}"));
    let error = task["stderr"].as_f64().map(|error| format!(" ± {error:.3}")).unwrap_or_default();
    let metric = text("metric").strip_suffix(",none").unwrap_or(text("metric"));
    format!("{} {metric} {}{error} ({})", text("task"), number("value"), task["documents"])
}

fn size(bytes: f64) -> String {
    if bytes >= 1e9 { format!("{:.1} GB", bytes / 1e9) } else { format!("{:.0} MB", bytes / 1e6) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scores_have_their_interval_and_ranks_their_range() {
        let row = json!({
            "score": 12.345, "low": 10.0, "high": 14.0, "rank_best": 1, "rank_worst": 2, "cost_usd": 0.0, "on_front": true,
            "tokens_per_second": 61.25, "facts": {"size_bytes": 98_362_432},
            "tasks": [{"task": "t", "metric": "acc,none", "value": 0.2456, "stderr": 0.01, "documents": 20}],
        });
        let found = shown(row.clone(), false);
        assert_eq!((&found["shown"], &found["rank"]), (&json!("12.3 [10.0, 14.0]"), &json!("1–2")));
        assert_eq!((&found["told"], &found["size"]), (&json!("t acc 0.246 ± 0.010 (20)"), &json!("98 MB")));
        let none = shown(json!({"score": null}), false);
        assert_eq!((&none["shown"], &none["rank"], &none["speed"]), (&json!("–"), &json!("–"), &json!("?")));
    }
}
