//! A report in words, for people.

use qd_base::Picodollars;
use serde_json::{Value, json};

/// The targets of an evaluation's report.
pub fn targets(found: &Value) -> impl Iterator<Item = &Value> {
    found["report"]["targets"].as_array().into_iter().flatten()
}

/// The scores of a target.
pub fn scores(target: &Value) -> impl Iterator<Item = &Value> {
    target["scores"].as_array().into_iter().flatten()
}

/// One score as a row of a table.
pub fn row(target: &Value, score: &Value) -> Value {
    json!({
        "target": target["name"], "score": score["name"], "value": value(score), "items": score["items"],
        "missing": score["missing"], "why": why(score),
    })
}

/// A value with its interval, in its unit: shares are told in points.
pub fn value(score: &Value) -> String {
    interval(score, ["value", "low", "high"], score)
}

/// Three fields of `from` in the unit of `score`.
pub fn interval(from: &Value, [value, low, high]: [&str; 3], score: &Value) -> String {
    let shown = |value: f64| match score["unit"].as_str() {
        Some("share") => format!("{:.1}", value * 100.0),
        _ if value != 0.0 && value.abs() < 0.05 => format!("{value:.2e}"),
        _ => format!("{value:.1}"),
    };
    let part = |name: &str| from[name].as_f64().map_or("?".to_owned(), shown);
    match from[value].is_null() {
        true => "–".to_owned(),
        false => format!("{} [{}, {}]", part(value), part(low), part(high)),
    }
}

/// Why scores are missing.
pub fn why(score: &Value) -> String {
    let reasons = score["why"].as_object().into_iter().flatten();
    reasons.map(|(reason, count)| format!("{} {count}", reason.replace('_', " "))).collect::<Vec<_>>().join(", ")
}

/// What stands below the table: how it ended, what it took, who beats whom, and what judges are worth.
pub fn sentences(found: &Value) -> Vec<String> {
    let report = &found["report"];
    let spent =
        report["spent_picodollars"].as_i64().map_or_else(String::new, |spent| Picodollars::new(spent).to_string());
    let unpriced = match report["unpriced"].as_u64() {
        None | Some(0) => String::new(),
        Some(calls) => format!(", and {calls} calls whose price is not known"),
    };
    let mut lines = vec![format!(
        "{}: {} items, {spent} spent{unpriced}, {} tokens.",
        found["state"].as_str().unwrap_or_default(),
        report["items"],
        report["tokens"]
    )];
    let compared = report["comparisons"].as_array().into_iter().flatten();
    lines.extend(compared.map(|one| {
        format!("{}: {}.", one["scorer"].as_str().unwrap_or_default(), one["sentence"].as_str().unwrap_or_default())
    }));
    for target in targets(found) {
        lines.extend(scores(target).flat_map(|score| judge(target, score)));
    }
    lines
}

/// What a judge's word is worth, in sentences.
fn judge(target: &Value, score: &Value) -> Vec<String> {
    let judge = &score["judge"];
    if judge.is_null() {
        return Vec::new();
    }
    let head =
        format!("{} of {}", score["name"].as_str().unwrap_or_default(), target["name"].as_str().unwrap_or_default());
    let mut lines = Vec::new();
    if let Some(sentence) = judge["calibration"]["sentence"].as_str() {
        lines.push(format!("{}: {sentence}", judge["judge"].as_str().unwrap_or_default()));
    }
    let corrected = &judge["corrected"];
    if !corrected.is_null() {
        lines.push(format!(
            "{head}: people would have said {}, after {} of their labels.",
            interval(corrected, ["value", "low", "high"], score),
            corrected["labels"]
        ));
    }
    let notes = judge["notes"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.extend(notes.map(|note| format!("{head}: {note}")));
    lines
}

/// An item with its answers.
pub fn item(row: &Value) -> Vec<String> {
    let references: Vec<&str> = row["references"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut lines = vec![format!(
        "── item {} ({}), wanted: {}",
        row["item"],
        row["row_id"].as_str().unwrap_or_default(),
        references.join(" | ")
    )];
    for answer in row["answers"].as_array().into_iter().flatten() {
        let said = answer["output"].as_str().or(answer["error"].as_str()).unwrap_or_default();
        let scores = answer["scores"].as_object().into_iter().flatten();
        let scores: Vec<String> = scores
            .map(|(name, value)| match answer["why"][name].as_str() {
                Some(why) => format!("{name}: {}", why.replace('_', " ")),
                None => format!("{name} {value}"),
            })
            .collect();
        let target = answer["target"].as_str().unwrap_or_default();
        lines.push(format!("[{target}] {}\n    {}", scores.join(", "), said.replace('\n', "\n    ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_told_in_their_unit() {
        let told = |unit: &str, mean: f64| value(&json!({"unit": unit, "value": mean, "low": 0.0, "high": 0.5}));
        assert_eq!(told("share", 0.25), "25.0 [0.0, 50.0]");
        assert_eq!(told("points", 31.26), "31.3 [0.0, 0.5]");
        assert_eq!(value(&json!({"unit": "share", "value": null})), "–");
        let score = json!({"why": {"cannot_tell": 3, "no_answer": 1}});
        assert_eq!(why(&score), "cannot tell 3, no answer 1");
    }

    #[test]
    fn judges_say_what_they_are_worth() {
        let score = json!({"name": "good", "unit": "share", "judge": {
            "judge": "good@1", "calibration": null, "notes": ["good@1 is uncalibrated: nobody has compared its word with people's."],
            "corrected": {"value": 0.5, "low": 0.4, "high": 0.6, "labels": 120},
        }});
        let lines = judge(&json!({"name": "new"}), &score);
        assert_eq!(lines[0], "good of new: people would have said 50.0 [40.0, 60.0], after 120 of their labels.");
        assert!(lines[1].contains("uncalibrated"));
    }
}
