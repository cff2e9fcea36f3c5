//! One item after the other at a terminal.

use std::io::BufRead as _;

use serde_json::{Value, json};

use super::{path, shown, typed};
use crate::door::Door;
use crate::{Error, output};

/// Asks until there is nothing left, or whoever is asked has enough.
pub async fn run(door: &Door, annotation: &str, who: &str) -> Result<(), Error> {
    loop {
        let given = door.post(&path(annotation, "/next"), &json!({"annotator": who})).await?;
        let item = &given["item"];
        if item.is_null() {
            let left = given["left"].as_u64().unwrap_or(0);
            let others = if left > 0 { format!("; others have {left} in hand") } else { String::new() };
            return output::line(&format!(
                "There is nothing to label now; you have labelled {}{others}.",
                given["done"]
            ));
        }
        show(&given)?;
        let Some(answer) = ask(item)? else { return Ok(()) };
        let mut body = json!({"annotator": who, "item": item["item"]});
        match answer {
            Answer::Value(value) => body["value"] = value,
            Answer::Skip(why) => body["skipped"] = json!(why),
        }
        door.post(&path(annotation, "/labels"), &body).await?;
    }
}

enum Answer {
    Value(Value),
    Skip(String),
}

fn show(given: &Value) -> Result<(), Error> {
    let item = &given["item"];
    output::line(&format!("── {} labelled, {} left", given["done"], given["left"]))?;
    for (column, value) in item["columns"].as_object().into_iter().flatten() {
        output::line(&format!("{column}: {}", shown(value)))?;
    }
    for place in ["first", "second"] {
        if !item[place].is_null() {
            output::line(&format!("[{place}] {}", shown(&item[place])))?;
        }
    }
    output::line(&shown(&item["question"]))?;
    let choices = item["choices"].as_array().into_iter().flatten().enumerate();
    let choices: Vec<String> = choices.map(|(at, choice)| format!("{}) {}", at + 1, shown(choice))).collect();
    match choices.is_empty() {
        true => output::line(&format!("a number from {} to {}", item["scale"]["lowest"], item["scale"]["highest"])),
        false => output::line(&choices.join("  ")),
    }
}

/// The answer to an item; none at the end of the input, or when somebody has enough.
fn ask(item: &Value) -> Result<Option<Answer>, Error> {
    loop {
        let mut line = String::new();
        let read = std::io::stdin().lock().read_line(&mut line);
        if read.map_err(|cause| Error::doing("reading the answer", cause))? == 0 {
            return Ok(None);
        }
        match understood(item, line.trim()) {
            Ok(answer) => return Ok(answer),
            Err(help) => output::line(&help)?,
        }
    }
}

/// What a line means, or what to write instead.
fn understood(item: &Value, line: &str) -> Result<Option<Answer>, String> {
    if line == "q" {
        return Ok(None);
    }
    if let Some(why) = line.strip_prefix("s ").map(str::trim).filter(|why| !why.is_empty()) {
        return Ok(Some(Answer::Skip(why.to_owned())));
    }
    let value = typed(&item["scale"], line);
    let Some(choices) = item["choices"].as_array() else {
        let number = value.as_f64().map(|number| Some(Answer::Value(json!(number))));
        return number.ok_or_else(|| "Write a number, `s WHY` to skip the item, or `q` to end.".to_owned());
    };
    // A number of the scale is itself; otherwise it is a choice's place.
    let named = choices.iter().find(|choice| **choice == value);
    let placed = || line.parse::<usize>().ok().and_then(|place| choices.get(place.checked_sub(1)?));
    let found = named.or_else(|| if item["scale"]["kind"] == "numeric" { None } else { placed() });
    match found {
        Some(choice) => Ok(Some(Answer::Value(choice.clone()))),
        None => Err("Write one of the choices, `s WHY` to skip the item, or `q` to end.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(scale: Value, choices: Value, line: &str) -> Option<Value> {
        match understood(&json!({"scale": scale, "choices": choices}), line) {
            Ok(Some(Answer::Value(value))) => Some(value),
            _ => None,
        }
    }

    #[test]
    fn a_choice_is_named_or_counted() {
        let pair = |line| value(json!({"kind": "pairwise"}), json!(["first", "second", "tie"]), line);
        assert_eq!(
            (pair("second"), pair("3"), pair("4"), pair("0")),
            (Some(json!("second")), Some(json!("tie")), None, None)
        );
        let stars = |line| value(json!({"kind": "numeric"}), json!([0, 1, 2]), line);
        assert_eq!((stars("2"), stars("3")), (Some(json!(2)), None), "a number is itself, not a place");
        let range = |line| value(json!({"kind": "range"}), Value::Null, line);
        assert_eq!((range("0.5"), range("half")), (Some(json!(0.5)), None));
        assert!(
            matches!(understood(&json!({"scale": {}}), "s too long"), Ok(Some(Answer::Skip(why))) if why == "too long")
        );
        assert!(matches!(understood(&json!({"scale": {}}), "q"), Ok(None)));
        assert!(understood(&json!({"scale": {}, "choices": ["x"]}), "s").is_err());
    }
}
