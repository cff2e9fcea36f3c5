//! A judge's card, as a person reads it.

use serde_json::{Value, json};

use crate::context::Context;
use crate::{Error, output};

/// A card as a table with its confusion and its sentence, or everything for programs.
pub(super) fn show(context: &Context, found: &Value) -> Result<(), Error> {
    if !context.printer.is_for_people() {
        return context.printer.object(found);
    }
    let judge = found["judge"].as_str().unwrap_or_default();
    let card = &found["card"];
    if card.is_null() {
        return output::line(&format!(
            "{judge} is uncalibrated: it was compared with nobody, so take no word of it for a fact. \
             `quarterdeck judge calibrate` compares it with what people said."
        ));
    }
    let labels = list(&card["labels"]);
    let text = |name: &str| card[name].as_str().unwrap_or_default().to_owned();
    output::line(&format!("{judge} on {} ({labels}), {}\n", text("dataset"), text("state")))?;
    let rows = rows(card);
    context
        .printer
        .rows(&rows, &[("what", "what"), ("value", "value"), ("95 % interval", "interval"), ("items", "items")])?;
    confusion(context, &card["confusion"])?;
    output::line(&format!("\n{}.", text("sentence")))
}

fn list(values: &Value) -> String {
    values.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// How a number is written.
#[derive(Clone, Copy)]
enum Unit {
    Share,
    Plain,
    Whole,
}

fn rows(card: &Value) -> Vec<Value> {
    let accuracy = &card["accuracy"];
    let most = accuracy["most_common"].as_str().unwrap_or("nothing");
    let (effort, biases) = (&card["effort"], &card["biases"]);
    let of_pairs = !biases["order_flips"].is_null();
    let (length, own) = match of_pairs {
        true => ("log-odds for twice the length", "preference for its own answers"),
        false => ("given for twice the length", "given to its own answers"),
    };
    let mut rows = vec![
        row("right, of all items", &accuracy["all"], Unit::Share),
        row("right, of those told", &accuracy["told"], Unit::Share),
        row(&format!("always saying {most:?}"), &accuracy["base_rate"], Unit::Share),
        row("right more often than that by", &accuracy["gain"], Unit::Share),
        row("told", &card["outcomes"]["told"], Unit::Share),
        row("cannot tell", &card["outcomes"]["cannot_tell"], Unit::Share),
        row("no verdict", &card["outcomes"]["invalid"], Unit::Share),
        row("failed", &card["outcomes"]["failed"], Unit::Share),
        row("Cohen's kappa", &card["kappa"], Unit::Plain),
        row("weighted kappa", &card["weighted_kappa"], Unit::Plain),
        row("Krippendorff's alpha", &card["alpha"], Unit::Plain),
        row("Spearman's rho", &card["spearman"], Unit::Plain),
        row("Kendall's tau", &card["kendall"], Unit::Plain),
        row("above people's mean by", &card["offset"], Unit::Plain),
        row("order flips", &biases["order_flips"], Unit::Share),
        row("preference for the first place", &biases["first_place"], Unit::Plain),
        row(length, &biases["length"], Unit::Plain),
        row(own, &biases["own"], Unit::Plain),
        row("people among themselves, alpha", &card["people"]["alpha"], Unit::Plain),
    ];
    for (of, two) in ["pairs", "judge"]
        .iter()
        .flat_map(|of| card["people"][of].as_array().into_iter().flatten().map(move |two| (of, two)))
    {
        let name = |side: &str| two[side].as_str().unwrap_or_default();
        let other = if *of == "judge" { "the judge" } else { name("other") };
        rows.push(row(&format!("{} and {other}, kappa", name("one")), &two["kappa"], Unit::Plain));
    }
    for worth in card["worth"].as_array().into_iter().flatten() {
        let what = format!("{} labels with {} judged items are worth", worth["labels"], worth["further"]);
        rows.push(row(&what, &worth["effective_labels"], Unit::Whole));
    }
    rows.extend([
        row("$ for 1,000 items", &effort["usd_per_1000"], Unit::Plain),
        row("p50 ms", &effort["latency_p50_ms"], Unit::Whole),
        row("p95 ms", &effort["latency_p95_ms"], Unit::Whole),
        row("calls of an item", &effort["calls"], Unit::Plain),
        row("tokens in", &effort["input_tokens"], Unit::Whole),
        row("tokens out", &effort["output_tokens"], Unit::Whole),
    ]);
    rows.into_iter().filter(|row| !row["value"].is_null()).collect()
}

/// One line; without a value where the card has no such number.
fn row(what: &str, stat: &Value, unit: Unit) -> Value {
    let number = |name: &str| stat[name].as_f64().map(|value| written(value, unit));
    let value = match (number("value"), stat["undefined"].as_str()) {
        (Some(value), _) => Value::from(value),
        (None, Some(why)) => format!("– ({why})").into(),
        (None, None) => Value::Null,
    };
    let interval = number("low").zip(number("high")).map(|(low, high)| format!("{low} to {high}"));
    json!({"what": what, "value": value, "interval": interval.unwrap_or_default(), "items": stat["items"]})
}

fn written(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Share => format!("{:.1} %", value * 100.0),
        Unit::Whole => format!("{value:.0}"),
        Unit::Plain if value != 0.0 && value.abs() < 0.01 => format!("{value:.1e}"),
        Unit::Plain => format!("{value:.2}"),
    }
}

/// What people said in rows, and what the judge said in columns.
fn confusion(context: &Context, confusion: &Value) -> Result<(), Error> {
    let Some(classes) = confusion["classes"].as_array() else { return Ok(()) };
    let names: Vec<&str> = classes.iter().filter_map(Value::as_str).collect();
    let counts = |row: usize, column: usize| confusion["counts"][row][column].clone();
    let seen = |class: &usize| {
        (0..names.len()).any(|other| counts(*class, other) != 0 || counts(other, *class) != 0)
            || confusion["untold"][*class] != 0
    };
    let shown: Vec<usize> = (0..names.len()).filter(seen).collect();
    let rows: Vec<Value> = shown
        .iter()
        .map(|&row| {
            let mut cells = json!({"people": names[row], "untold": confusion["untold"][row]});
            shown.iter().for_each(|&column| cells[format!("judge {}", names[column])] = counts(row, column));
            cells
        })
        .collect();
    let headings: Vec<String> = shown.iter().map(|&column| format!("judge {}", names[column])).collect();
    let mut columns = vec![("people say", "people")];
    columns.extend(headings.iter().map(|heading| (heading.as_str(), heading.as_str())));
    columns.push(("nothing told", "untold"));
    output::line("")?;
    context.printer.rows(&rows, &columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_and_without_a_value() {
        let stat = json!({"value": 0.481, "low": 0.4, "high": 0.551, "items": 200, "undefined": null});
        let found = row("right", &stat, Unit::Share);
        assert_eq!((&found["value"], &found["interval"]), (&json!("48.1 %"), &json!("40.0 % to 55.1 %")));
        let none =
            json!({"value": null, "low": null, "high": null, "items": 0, "undefined": "there are too few items"});
        assert_eq!(row("kappa", &none, Unit::Plain)["value"], "– (there are too few items)");
        assert!(row("weighted kappa", &Value::Null, Unit::Plain)["value"].is_null());
        assert_eq!(written(0.000_31, Unit::Plain), "3.1e-4");
    }
}
