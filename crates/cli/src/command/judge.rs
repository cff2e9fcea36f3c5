//! `quarterdeck judge`: models that say how good something is, and how far they agree with people.

mod card;

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};

use qd_base::Picodollars;
use serde_json::{Map, Value, json};

use crate::args::{Judge, JudgeCalibrate, JudgeCreate, JudgeRun};
use crate::command::{input, job, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;
use crate::{Error, output};

const JUDGE: &[Column<'_>] = &[
    ("name", "name"),
    ("version", "version"),
    ("method", "method"),
    ("models", "shown"),
    ("calibrated", "calibrated"),
    ("created", "created"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Judge) -> Result<(), Error> {
    if let Judge::Remove { name, yes: false } = &verb {
        confirm(name)?;
    }
    with_door(context, async |door| answer(context, door, verb).await).await
}

async fn answer(context: &Context, door: &Door, verb: Judge) -> Result<(), Error> {
    let printer = context.printer;
    match verb {
        Judge::Create(wanted) => {
            let made = door.post("/api/v1/judges", &json!({"name": wanted.name, "from": recipe(&wanted)?})).await?;
            printer.rows(&[shown(made)], JUDGE)
        }
        Judge::List => {
            let rows: Vec<Value> = rows_of(door.get("/api/v1/judges").await?).into_iter().map(shown).collect();
            printer.rows(&rows, JUDGE)
        }
        Judge::Show { judge } => {
            let (name, version) = split(&judge);
            printer.object(&door.get(&format!("{}{}", path(name), query(&[("version", version)]))).await?)
        }
        Judge::Versions { name } => {
            let found = rows_of(door.get(&format!("{}/versions", path(&name))).await?);
            printer.rows(&found, &[("version", "version"), ("created", "created"), ("id", "id")])
        }
        Judge::Ready => {
            let mut rows = rows_of(door.get("/api/v1/judges/ready").await?);
            for row in &mut rows {
                row["needs"] = words(&row["inputs"]).into();
            }
            let columns = &[("name", "name"), ("method", "method"), ("needs", "needs"), ("looks at", "description")];
            printer.rows(&rows, columns)
        }
        Judge::Run(wanted) => judge(context, door, wanted).await,
        Judge::Calibrate(wanted) => calibrate(context, door, wanted).await,
        Judge::Card { judge, dataset } => card::show(context, &fetch_card(door, &judge, dataset.as_deref()).await?),
        Judge::Remove { name, .. } => door.delete(&path(&name)).await.map(drop),
    }
}

/// Asks whoever sits at the terminal; a script has to say `--yes`.
fn confirm(name: &str) -> Result<(), Error> {
    let unconfirmed = |problem: String| Error::Usage {
        problem,
        help: "--yes deletes without asking; nothing brings the judgements back".to_owned(),
    };
    if !std::io::stdin().is_terminal() {
        return Err(unconfirmed(format!("deleting the judge {name} was not confirmed")));
    }
    eprintln!("This deletes all versions of the judge {name} and its judgements, for good. Type its name to go on:");
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    read.map_err(|cause| Error::doing("reading the answer", cause))?;
    if typed.trim() == name { Ok(()) } else { Err(unconfirmed("that is another name; nothing was deleted".to_owned())) }
}

fn path(name: &str) -> String {
    format!("/api/v1/judges/{}", segment(name))
}

/// The name and the version of `name@version`.
fn split(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once('@').map_or((text, None), |(name, version)| (name, Some(version)))
}

fn words(list: &Value) -> String {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// A judge with its models in one text.
fn shown(mut judge: Value) -> Value {
    let models = judge["models"].as_object().into_iter().flatten();
    judge["shown"] = models.filter_map(|(_, target)| target.as_str()).collect::<Vec<_>>().join(", ").into();
    judge
}

/// From what a judge is made.
fn recipe(wanted: &JudgeCreate) -> Result<Value, Error> {
    let text = |file: &str| match file {
        "-" => input(),
        file => std::fs::read_to_string(file).map_err(|cause| Error::doing(format!("reading {file}"), cause)),
    };
    let mut recipe = json!({
        "models": wanted.model,
        "settings": wanted.settings.iter().cloned().collect::<Map<_, _>>(),
        "combine": wanted.combine,
        "form": wanted.form,
    });
    match (&wanted.file, &wanted.from, &wanted.evals) {
        (Some(file), _, _) => recipe["file"] = text(file)?.into(),
        (_, Some(ready), _) => recipe["ready"] = ready.as_str().into(),
        (_, _, Some(file)) => {
            recipe["evals"] = json!({
                "file": text(file)?, "name": wanted.spec, "completions": wanted.completions, "eval_type": wanted.eval_type,
            });
        }
        (None, None, None) => {}
    }
    Ok(recipe)
}

/// `name`, `name@3`, or a ready judge with a model, as the body of a request says it.
fn meant(judge: &str, model: Option<&str>) -> Result<(String, Value), Error> {
    let (name, version) = split(judge);
    let version = version.map(str::parse::<u32>).transpose().map_err(|_| Error::Usage {
        problem: format!("{judge} names no version of a judge"),
        help: "write NAME or NAME@3, and of a ready judge ready/NAME with --model".to_owned(),
    })?;
    Ok((name.to_owned(), json!({"version": version, "model": model})))
}

async fn judge(context: &Context, door: &Door, wanted: JudgeRun) -> Result<(), Error> {
    let (name, mut body) = meant(&wanted.judge, wanted.model.as_deref())?;
    body["values"] = wanted.values.into_iter().collect::<Map<_, _>>().into();
    let found = door.post(&format!("{}/judgements", path(&name)), &body).await?;
    if !context.printer.is_for_people() {
        return context.printer.object(&found);
    }
    let judgement = &found["judgement"];
    output::line(&said(judgement))?;
    if let Some(reasons) = judgement["reasons"].as_str() {
        output::line(&format!("  {}", reasons.replace('\n', "\n  ")))?;
    }
    for part in judgement["parts"].as_array().into_iter().flatten() {
        let reasons = part["reasons"].as_str().map(|reasons| format!(": {reasons}")).unwrap_or_default();
        output::line(&format!("  [{}] {}{reasons}", part["name"].as_str().unwrap_or_default(), said(part)))?;
    }
    let cost = found["cost_picodollars"]
        .as_i64()
        .map_or("price not known".to_owned(), |cost| Picodollars::new(cost).to_string());
    let worth = if found["calibrated"] == true { "" } else { "; uncalibrated: nobody knows what its word is worth" };
    output::line(&format!(
        "{}: {} calls, {} tokens in, {} out, {cost}, {:.0} ms{worth}",
        found["judge"].as_str().unwrap_or_default(),
        found["calls"],
        found["input_tokens"],
        found["output_tokens"],
        found["latency_ms"].as_f64().unwrap_or_default(),
    ))
}

/// An outcome in words.
fn said(outcome: &Value) -> String {
    let text = |name: &str| outcome[name].as_str().unwrap_or_default();
    match text("outcome") {
        "score" => match (outcome["label"].as_str(), outcome["value"].as_f64()) {
            (Some(label), Some(value)) if label.parse() != Ok(value) => format!("{label} ({value})"),
            (Some(label), _) => label.to_owned(),
            (None, value) => value.map_or("a score".to_owned(), |value| value.to_string()),
        },
        "cannot_tell" => format!("cannot tell: {}", text("reason")),
        "invalid" => format!("no verdict: {}; it said {:?}", text("why"), text("said")),
        _ => format!("failed: {}", text("why")),
    }
}

async fn calibrate(context: &Context, door: &Door, wanted: JudgeCalibrate) -> Result<(), Error> {
    let (name, mut body) = meant(&wanted.judge, wanted.model.as_deref())?;
    body["retry_failed"] = wanted.retry_failed.into();
    body["calibration"] = json!({
        "dataset": wanted.dataset,
        "labels": wanted.labels,
        "values": wanted.values.into_iter().collect::<BTreeMap<_, _>>(),
        "means": wanted.means.into_iter().collect::<BTreeMap<_, _>>(),
        "authors": wanted.authors,
        "own": wanted.own,
        "limit": wanted.limit,
        "seed": wanted.seed,
        "concurrency": wanted.concurrency,
        "budget": {"usd": wanted.usd, "tokens": wanted.tokens, "seconds": wanted.seconds},
    });
    let begun = door.post(&format!("{}/calibrations", path(&name)), &body).await?;
    if wanted.detach {
        return context.printer.object(&begun);
    }
    let (judge, dataset) = (begun["judge"].as_str().unwrap_or_default(), begun["dataset"].as_str());
    let ended = job::follow(door, begun["job"].as_str().unwrap_or_default(), judge, context.progress).await;
    let found = fetch_card(door, judge, dataset).await?;
    let state = found["card"]["state"].as_str().unwrap_or_default().to_owned();
    if found["calibrated"] == true {
        card::show(context, &found)?;
    }
    ended?;
    match state.as_str() {
        "finished" => Ok(()),
        state => {
            let why = found["card"]["why"].as_str().unwrap_or_default();
            let message = format!("the calibration is {state}: {why}; the same command goes on with it");
            Err(Error::Failed { message })
        }
    }
}

async fn fetch_card(door: &Door, judge: &str, dataset: Option<&str>) -> Result<Value, Error> {
    let (name, version) = split(judge);
    door.get(&format!("{}/card{}", path(name), query(&[("version", version), ("dataset", dataset)]))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_in_words() {
        assert_eq!(said(&json!({"outcome": "score", "value": 1.0, "label": "yes"})), "yes (1)");
        assert_eq!(said(&json!({"outcome": "score", "value": 4.0, "label": "4"})), "4");
        assert_eq!(said(&json!({"outcome": "score", "value": 0.25})), "0.25");
        assert_eq!(said(&json!({"outcome": "cannot_tell", "reason": "no context"})), "cannot tell: no context");
        assert!(said(&json!({"outcome": "invalid", "why": "odd", "said": "hm"})).contains("no verdict: odd"));
    }

    #[test]
    fn judges_are_named_with_a_version_or_a_model() {
        assert_eq!(meant("polite@3", None).unwrap(), ("polite".to_owned(), json!({"version": 3, "model": null})));
        let ready = meant("ready/bias", Some("m")).unwrap();
        assert_eq!(ready, ("ready/bias".to_owned(), json!({"version": null, "model": "m"})));
        assert!(meant("polite@best", None).is_err());
    }
}
