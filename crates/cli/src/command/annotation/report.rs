//! How far people are and how far they agree, for people.

use serde_json::{Value, json};

use super::shown;
use crate::context::Context;
use crate::{Error, output};

/// Shows a report.
pub fn show(context: &Context, report: &Value) -> Result<(), Error> {
    let number = |field: &str| report[field].to_string();
    output::line(&format!(
        "{} items, {} of them with all their labels; {} of {} labels, {} skipped.",
        number("items"),
        number("complete"),
        number("labels"),
        number("wanted"),
        number("skipped")
    ))?;
    let how = report["verdicts"].as_object().into_iter().flatten();
    let how: Vec<String> = how.map(|(by, items)| format!("{items} {by}")).collect();
    let values = report["values"].as_array().into_iter().flatten();
    let values: Vec<String> = values.map(|of| format!("{} {}", of["items"], shown(&of["value"]))).collect();
    output::line(&format!("Verdicts: {}; by value: {}.", listed(&how), listed(&values)))?;
    output::line(&format!(
        "Labels differ on {} items; {} of these are undecided, {} items are adjudicated.",
        number("disagreements"),
        number("undecided"),
        number("adjudicated")
    ))?;
    let agreement = &report["agreement"];
    output::line(&format!(
        "On the {} items of several people {} of pairs are the same; Krippendorff's alpha ({}) {}.",
        agreement["items"],
        estimate(&agreement["same"]),
        shown(&agreement["measure"]),
        estimate(&agreement["alpha"])
    ))?;
    annotators(context, report)?;
    pairs(context, agreement)
}

fn listed(parts: &[String]) -> String {
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn annotators(context: &Context, report: &Value) -> Result<(), Error> {
    let classes: Vec<Value> = report["model"]["classes"].as_array().cloned().unwrap_or_default();
    let mut rows = report["annotators"].as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        row["same"] = estimate(&row["same_as_others"]).into();
        row["first"] = estimate(&row["first_place"]).into();
        row["right"] = row["model"]["accuracy"].as_f64().map_or("–".to_owned(), |share| format!("{share:.3}")).into();
        let leanings = row["model"]["leaning"].as_array().into_iter().flatten().zip(&classes);
        let leanings =
            leanings.map(|(leaning, class)| format!("{} {:+.3}", shown(class), leaning.as_f64().unwrap_or_default()));
        row["leans"] = json!(leanings.collect::<Vec<_>>().join(", "));
        row["time"] = row["median_seconds"].as_f64().map_or("–".to_owned(), |seconds| format!("{seconds:.1}")).into();
    }
    let columns = [
        ("annotator", "name"),
        ("labels", "labels"),
        ("skipped", "skipped"),
        ("changed", "changes"),
        ("seconds", "time"),
        ("same as others", "same"),
        ("right (model)", "right"),
        ("leaning (model)", "leans"),
        ("first place", "first"),
    ];
    output::line("")?;
    context.printer.rows(&rows, &columns)
}

fn pairs(context: &Context, agreement: &Value) -> Result<(), Error> {
    let mut rows = agreement["pairs"].as_array().cloned().unwrap_or_default();
    if rows.is_empty() {
        return Ok(());
    }
    for row in &mut rows {
        row["items"] = row["same"]["items"].clone();
        row["shown"] = estimate(&row["same"]).into();
        row["k"] = estimate(&row["kappa"]).into();
    }
    output::line("")?;
    context.printer.rows(&rows, &[("one", "a"), ("other", "b"), ("items", "items"), ("same", "shown"), ("kappa", "k")])
}

/// A statistic with its interval, or why there is none.
fn estimate(of: &Value) -> String {
    let digits = |field: &str| of[field].as_f64().map(|value| format!("{value:.3}"));
    match (digits("value"), digits("low"), digits("high")) {
        (Some(value), Some(low), Some(high)) => format!("{value} [{low}, {high}]"),
        (Some(value), ..) => value,
        _ => of["undefined"].as_str().unwrap_or("–").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statistic_is_told_with_its_interval_or_why_not() {
        assert_eq!(estimate(&json!({"value": 0.5, "low": 0.25, "high": 0.75})), "0.500 [0.250, 0.750]");
        assert_eq!(estimate(&json!({"value": null, "undefined": "too_few"})), "too_few");
        assert_eq!(estimate(&Value::Null), "–");
    }
}
