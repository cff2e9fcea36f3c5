//! What is known of the difference between two versions of a prompt, and how versions fare, as text.

use serde_json::{Value, json};

use crate::context::Context;
use crate::{Error, output};

/// What experiments and production say of two versions.
pub(super) fn show(context: &Context, evidence: &Value) -> Result<(), Error> {
    let sentence = |name: &str| evidence[name].as_str().unwrap_or_default();
    output::line(&format!("\nIn experiments: {}", sentence("experiment_sentence")))?;
    let pairs = evidence["experiment"]["pairs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Value> = pairs.iter().flat_map(scores).collect();
    if rows.len() > 1 {
        let columns = [("setting", "setting"), ("score", "scorer"), ("items", "items"), ("in words", "sentence")];
        output::line("")?;
        context.printer.rows(&rows, &columns)?;
    }
    if let Some(more) = evidence["experiment"]["other_pairs"].as_u64().filter(|more| *more > 0) {
        output::line(&format!("and {more} more settings"))?;
    }
    output::line(&format!("\nIn production: {}\n", sentence("production_sentence")))?;
    let versions = evidence["production"]["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    metrics(context, versions)
}

/// The comparisons of a pair of cells, each with the pair's setting.
fn scores(pair: &Value) -> Vec<Value> {
    let mut scores = pair["scores"].as_array().cloned().unwrap_or_default();
    scores.iter_mut().for_each(|score| score["setting"] = pair["setting"].clone());
    scores
}

/// How versions fare, one a row.
pub(super) fn metrics(context: &Context, versions: &[Value]) -> Result<(), Error> {
    if !context.printer.is_for_people() {
        return context.printer.rows(versions, &[("version", "version"), ("calls", "calls"), ("errors", "errors")]);
    }
    let rows: Vec<Value> = versions.iter().map(row).collect();
    let columns = [
        ("version", "version"),
        ("calls", "calls"),
        ("errors %", "errors"),
        ("p50 ms", "p50"),
        ("p95 ms", "p95"),
        ("$ a call", "cost"),
        ("scores", "scores"),
    ];
    context.printer.rows(&rows, &columns)
}

fn row(version: &Value) -> Value {
    let of = |score: &Value| format!("{} {}", score["name"].as_str().unwrap_or_default(), mean(score, shown));
    let scores: Vec<String> = version["scores"].as_array().into_iter().flatten().map(of).collect();
    let whole = |name: &str| version[name].as_f64().map_or("–".to_owned(), |value| format!("{value:.0}"));
    json!({
        "version": version["version"],
        "calls": version["calls"],
        "errors": mean(&version["error_rate"], |share| format!("{:.1}", share * 100.0)),
        "p50": whole("latency_p50_ms"),
        "p95": whole("latency_p95_ms"),
        "cost": mean(&version["cost_per_call_usd"], shown),
        "scores": scores.join("; "),
    })
}

/// A mean with the ends of its interval.
fn mean(value: &Value, shown: fn(f64) -> String) -> String {
    let part = |name: &str| value[name].as_f64().map(shown);
    match (part("mean"), part("low").zip(part("high"))) {
        (None, _) => "–".to_owned(),
        (Some(mean), None) => mean,
        (Some(mean), Some((low, high))) => format!("{mean} [{low}, {high}]"),
    }
}

fn shown(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.01 { format!("{value:.2e}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_reads_as_a_row() {
        let version = json!({
            "version": 2, "calls": 4, "errors": 1, "error_rate": {"mean": 0.25, "low": 0.0456, "high": 0.6994, "n": 4},
            "latency_p50_ms": 12.4, "latency_p95_ms": null,
            "cost_per_call_usd": {"mean": 0.000_25, "low": null, "high": null, "n": 1},
            "scores": [{"name": "helpful", "mean": 0.5, "low": 0.1, "high": 0.9, "n": 4}],
        });
        let expected = json!({
            "version": 2, "calls": 4, "errors": "25.0 [4.6, 69.9]", "p50": "12", "p95": "–", "cost": "2.50e-4",
            "scores": "helpful 0.500 [0.100, 0.900]",
        });
        assert_eq!(row(&version), expected);
        assert_eq!(row(&json!({"version": 3, "calls": 0, "error_rate": null}))["errors"], "–");
    }
}
