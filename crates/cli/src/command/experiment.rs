//! `quarterdeck experiment`: prompts, models, parameters and examples compared on a dataset.

mod gate;

use std::io::{BufRead as _, IsTerminal as _};

use http::Method;
use qd_base::Picodollars;
use serde_json::{Value, json};

use crate::args::{Experiment, ExperimentItems, ExperimentResume, ExperimentRun};
use crate::command::gate::{junit, read};
use crate::command::{job, pages, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;
use crate::{Error, output};

const EXPERIMENT: &[Column<'_>] = &[
    ("name", "name"),
    ("version", "version"),
    ("state", "state"),
    ("done", "done"),
    ("of", "total"),
    ("cells", "cells"),
    ("items", "items"),
    ("dataset", "definition.dataset"),
    ("created", "created"),
    ("why", "why"),
];

const COMPARISON: &[Column<'_>] =
    &[("scorer", "scorer"), ("p", "p"), ("adjusted", "adjusted_p"), ("for pairs", "family"), ("in words", "sentence")];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Experiment) -> Result<(), Error> {
    if let Experiment::Remove { name, yes: false } = &verb {
        confirm(name)?;
    }
    with_door(context, async |door| answer(context, door, verb).await).await
}

async fn answer(context: &Context, door: &Door, verb: Experiment) -> Result<(), Error> {
    let printer = context.printer;
    match verb {
        Experiment::Run(wanted) => begin(context, door, wanted).await,
        Experiment::List { limit } => {
            printer.rows(&pages(door, "/api/v1/experiments", &[], limit).await?.0, EXPERIMENT)
        }
        Experiment::Show { experiment } => show(context, &fetch(door, &experiment).await?),
        Experiment::Compare { experiment, a, b, planned } => {
            let (name, version) = split(&experiment);
            let planned = planned.then_some("true");
            let parameters =
                [("a", Some(a.as_str())), ("b", Some(b.as_str())), ("planned", planned), ("version", version)];
            let found = door.get(&format!("{}/comparison{}", path(name), query(&parameters))).await?;
            comparison(context, rows_of(found))
        }
        Experiment::Items(wanted) => items(context, door, wanted).await,
        Experiment::Optimise { name, file } => optimise(context, door, &name, &file).await,
        Experiment::Preview { name, file } => preview(context, door, &name, &file).await,
        Experiment::Resume(wanted) => resume(context, door, wanted).await,
        Experiment::Remove { name, .. } => door.delete(&path(&name)).await.map(drop),
        Experiment::Cancel { experiment } => {
            let found = fetch(door, &experiment).await?;
            let job = found["job"].as_str().unwrap_or_default();
            printer.object(&door.json(Method::POST, &format!("/api/v1/jobs/{}/cancel", segment(job)), None).await?)
        }
    }
}

/// Asks whoever sits at the terminal; a script has to say `--yes`.
fn confirm(name: &str) -> Result<(), Error> {
    let unconfirmed = |problem: String| Error::Usage {
        problem,
        help: "--yes deletes without asking; nothing brings the answers back".to_owned(),
    };
    if !std::io::stdin().is_terminal() {
        return Err(unconfirmed(format!("deleting the experiment {name} was not confirmed")));
    }
    eprintln!(
        "This deletes all versions of the experiment {name} and their answers, for good. Type its name to go on:"
    );
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    read.map_err(|cause| Error::doing("reading the answer", cause))?;
    if typed.trim() == name { Ok(()) } else { Err(unconfirmed("that is another name; nothing was deleted".to_owned())) }
}

/// What an experiment would take.
async fn preview(context: &Context, door: &Door, name: &str, file: &str) -> Result<(), Error> {
    let definition = crate::command::file::read(file)?;
    let found = door.post(&format!("{}/preview", path(name)), &definition).await?;
    if !context.printer.is_for_people() {
        return context.printer.object(&found);
    }
    let cells = found["cells"].as_array().map_or(&[][..], Vec::as_slice);
    context.printer.rows(cells, &[("cell", "id"), ("what", "label")])?;
    let money = |field: &str| found[field].as_i64().map(|cost| Picodollars::new(cost).to_string());
    let output = found["output_tokens"]
        .as_u64()
        .map_or("no limit for tokens".to_owned(), |most| format!("at most {most} tokens"));
    let cost = match (money("most_cost_picodollars"), money("input_cost_picodollars")) {
        (Some(most), _) => format!("{most} at most"),
        (None, Some(input)) => format!("{input} for what is sent, and what the answers cost"),
        (None, None) => "a price that is not known".to_owned(),
    };
    output::line(&format!(
        "\n{} cells × {} items: {} calls, about {} tokens in and {output} out; {cost}.",
        cells.len(),
        found["items"],
        found["calls"],
        found["input_tokens"]
    ))?;
    for (field, words) in [("unpriced", "The price is not known of"), ("unknown", "There is no model called")] {
        let names: Vec<&str> = found[field].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !names.is_empty() {
            output::line(&format!("{words} {}.", names.join(", ")))?;
        }
    }
    Ok(())
}

fn path(name: &str) -> String {
    format!("/api/v1/experiments/{}", segment(name))
}

/// The name and the version of `name@version`.
fn split(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once('@').map_or((text, None), |(name, version)| (name, Some(version)))
}

async fn fetch(door: &Door, experiment: &str) -> Result<Value, Error> {
    let (name, version) = split(experiment);
    door.get(&format!("{}{}", path(name), query(&[("version", version)]))).await
}

async fn begin(context: &Context, door: &Door, wanted: ExperimentRun) -> Result<(), Error> {
    let gates = wanted.gate.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    let definition = crate::command::file::read(&wanted.file)?;
    if !gates.is_empty() {
        gate::foresee(&gates, &definition, wanted.cell.as_deref())?;
    }
    let made = door.post("/api/v1/experiments", &json!({"name": wanted.name, "definition": definition})).await?;
    if wanted.detach {
        return context.printer.object(&made);
    }
    let found = followed(context, door, &made).await?;
    show(context, &found)?;
    if gates.is_empty() {
        return finished(&found);
    }
    let judged = gate::judge(&gates, &found, wanted.cell.as_deref())?;
    if let Some(file) = &wanted.junit {
        junit::write(file, &found, found["report"]["sentence"].as_str().unwrap_or_default(), &judged)?;
    }
    judged.told()
}

/// Waits until an experiment's job has ended, however it ends, and gives the experiment as it is then.
async fn followed(context: &Context, door: &Door, made: &Value) -> Result<Value, Error> {
    let reference = format!("{}@{}", made["name"].as_str().unwrap_or_default(), made["version"]);
    if let Some(job) = made["job"].as_str().filter(|_| matches!(made["state"].as_str(), Some("queued" | "running"))) {
        let ended = job::follow(door, job, &reference, context.progress).await;
        let found = fetch(door, &reference).await?;
        // What was answered before a failure is shown; a job that only lost its server has not ended.
        return match (ended, found["state"].as_str()) {
            (Err(error), Some("queued" | "running")) => Err(error),
            _ => Ok(found),
        };
    }
    fetch(door, &reference).await
}

/// An experiment that did not finish is an error, also where nothing was asked of it.
fn finished(found: &Value) -> Result<(), Error> {
    match found["state"].as_str() {
        Some("finished") => Ok(()),
        state => Err(Error::Failed { message: ending(state.unwrap_or("unknown"), found) }),
    }
}

fn ending(state: &str, found: &Value) -> String {
    let why = found["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("the experiment is {state}{why}; `quarterdeck experiment resume` goes on with it")
}

/// Cells as a table with the sentence below, or everything for programs.
fn show(context: &Context, found: &Value) -> Result<(), Error> {
    if !context.printer.is_for_people() {
        return context.printer.object(found);
    }
    let report = &found["report"];
    let metric = report["metric"].as_str().unwrap_or_default();
    let mut rows: Vec<Value> = report["cells"].as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        row["shown"] = score(&row["scores"][metric]).into();
        row["rest"] = others(&row["scores"], metric).into();
        row["p50"] = rounded(&row["latency_p50_ms"], 0).into();
        row["usd"] = row["cost_per_call_usd"].as_f64().map_or("?".to_owned(), |usd| format!("{usd:.2e}")).into();
        row["p"] = rounded(&row["adjusted_p"], 3).into();
        row["front"] = if row["on_front"] == true { "yes" } else { "" }.into();
    }
    let columns: &[Column<'_>] = &[
        ("cell", "id"),
        ("what", "label"),
        (metric, "shown"),
        ("answers", "answers"),
        ("failed", "failed"),
        ("p50 ms", "p50"),
        ("$ a call", "usd"),
        ("p against best", "p"),
        ("front", "front"),
        ("other scores", "rest"),
    ];
    context.printer.rows(&rows, columns)?;
    if let Some(items) = report["chosen_on"].as_u64() {
        output::line(&format!(
            "\nCells were chosen on {items} items; the scores of those that are left are of the others."
        ))?;
    }
    let sentence = report["sentence"].as_str().unwrap_or_default();
    output::line(&format!("\n{}: {sentence}.", found["state"].as_str().unwrap_or_default()))
}

/// A score with its interval, in its unit.
fn score(score: &Value) -> String {
    let shown = |value: f64| if score["unit"] == "share" { format!("{:.1}", value * 100.0) } else { digits(value) };
    let part = |name: &str| score[name].as_f64().map_or("?".to_owned(), shown);
    match score["mean"].is_null() {
        true => "–".to_owned(),
        false => format!("{} [{}, {}]", part("mean"), part("low"), part("high")),
    }
}

fn digits(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.05 { format!("{value:.2e}") } else { format!("{value:.1}") }
}

fn others(scores: &Value, metric: &str) -> String {
    let rest = scores.as_object().into_iter().flatten().filter(|(name, _)| *name != metric);
    rest.map(|(name, value)| format!("{name} {}", score(value))).collect::<Vec<_>>().join("; ")
}

fn rounded(value: &Value, digits: usize) -> String {
    value.as_f64().map_or(String::new(), |value| format!("{value:.digits$}"))
}

async fn items(context: &Context, door: &Door, wanted: ExperimentItems) -> Result<(), Error> {
    let (name, version) = split(&wanted.experiment);
    let parameters =
        [("cells", wanted.cells.as_deref()), ("disagree", wanted.disagree.as_deref()), ("version", version)];
    let (rows, _) = pages(door, &format!("{}/items", path(name)), &parameters, wanted.limit).await?;
    if !context.printer.is_for_people() {
        return context.printer.rows(&rows, &[("item", "item"), ("references", "references"), ("answers", "answers")]);
    }
    for row in &rows {
        let references: Vec<&str> =
            row["references"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        output::line(&format!(
            "── item {} ({}), wanted: {}",
            row["item"],
            row["row_id"].as_str().unwrap_or_default(),
            references.join(" | ")
        ))?;
        for answer in row["answers"].as_array().into_iter().flatten() {
            let said = answer["output"].as_str().or(answer["error"].as_str()).unwrap_or_default();
            let scores: Vec<String> = answer["scores"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            output::line(&format!(
                "[{}] {}\n    {}",
                answer["cell"].as_str().unwrap_or_default(),
                scores.join(", "),
                said.replace('\n', "\n    ")
            ))?;
        }
    }
    Ok(())
}

/// Comparisons, with p values as people read them.
fn comparison(context: &Context, mut rows: Vec<Value>) -> Result<(), Error> {
    if context.printer.is_for_people() {
        for row in &mut rows {
            for name in ["p", "adjusted_p"] {
                row[name] = p_value(&row[name]).into();
            }
        }
    }
    context.printer.rows(&rows, COMPARISON)
}

fn p_value(value: &Value) -> String {
    if value.as_f64().is_some_and(|p| p < 0.001) { "<0.001".to_owned() } else { rounded(value, 3) }
}

/// What a proposer said that could not be used.
fn refused(proposed: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let lines = proposed["refused"].as_array().map_or(&[][..], Vec::as_slice);
    if lines.is_empty() && proposed["answer"].as_str().is_some_and(|answer| answer.trim().is_empty()) {
        return vec!["the proposer answered nothing".to_owned()];
    }
    lines.iter().map(|line| format!("left out, since {}: {}", text(&line["why"]), text(&line["line"]))).collect()
}

/// The search, and the experiment that judges what it found.
async fn optimise(context: &Context, door: &Door, name: &str, file: &str) -> Result<(), Error> {
    let wanted = crate::command::file::read(file)?;
    let begun = door.post(&format!("{}/optimisation", path(name)), &wanted).await?;
    let id = begun["job"].as_str().unwrap_or_default();
    let search = job::follow(door, id, &format!("optimising for {name}"), context.progress).await?;
    let result = &search["result"];
    if context.printer.is_for_people() {
        let columns =
            &[("trial", "trial"), ("score", "score"), ("examples", "demonstrations"), ("instruction", "instruction")];
        let mut trials = result["search"]["trials"].as_array().cloned().unwrap_or_default();
        trials.iter_mut().for_each(|trial| trial["score"] = rounded(&trial["score"], 3).into());
        context.printer.rows(&trials, columns)?;
        for told in refused(&result["search"]["proposed"]) {
            eprintln!("{told}");
        }
        output::line(&format!("\n{}.", result["words"].as_str().unwrap_or_default()))?;
    }
    if result["experiment"].is_null() {
        return if context.printer.is_for_people() { Ok(()) } else { context.printer.object(result) };
    }
    let version = result["experiment"]["version"].to_string();
    let made = door.get(&format!("{}{}", path(name), query(&[("version", Some(&version))]))).await?;
    let found = followed(context, door, &made).await?;
    let planned =
        [("a", Some("c1")), ("b", Some("c2")), ("planned", Some("true")), ("version", Some(version.as_str()))];
    let compared = rows_of(door.get(&format!("{}/comparison{}", path(name), query(&planned))).await?);
    if !context.printer.is_for_people() {
        return context.printer.object(&json!({"search": result, "experiment": found, "comparison": compared}));
    }
    output::line(&format!(
        "found: {}@{}",
        result["found"]["prompt"].as_str().unwrap_or_default(),
        result["found"]["version"]
    ))?;
    comparison(context, compared)?;
    finished(&found)
}

async fn resume(context: &Context, door: &Door, wanted: ExperimentResume) -> Result<(), Error> {
    let (name, version) = split(&wanted.experiment);
    let version = version.map(|version| version.parse::<u32>()).transpose().map_err(|_| Error::Usage {
        problem: format!("{} names no version of an experiment", wanted.experiment),
        help: "write NAME or NAME@3".to_owned(),
    })?;
    let mut body = json!({"version": version, "retry_failed": wanted.retry_failed});
    if wanted.usd.is_some() || wanted.tokens.is_some() || wanted.seconds.is_some() {
        body["budget"] = json!({"usd": wanted.usd, "tokens": wanted.tokens, "seconds": wanted.seconds});
    }
    let going = door.post(&format!("{}/resume", path(name)), &body).await?;
    if wanted.detach {
        return context.printer.object(&going);
    }
    let found = followed(context, door, &going).await?;
    show(context, &found)?;
    finished(&found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_are_told_as_people_read_them() {
        assert_eq!([0.25, 0.018_28, 1e-9].map(|p| p_value(&json!(p))), ["0.250", "0.018", "<0.001"]);
    }

    #[test]
    fn what_a_proposer_said_in_vain_is_told() {
        assert_eq!(refused(&json!({"answer": null, "refused": []})), Vec::<String>::new());
        assert_eq!(refused(&json!({"answer": " \n", "refused": []})), ["the proposer answered nothing"]);
        let line = json!({"answer": "no", "refused": [{"line": "no", "why": "it is short"}]});
        assert_eq!(refused(&line), ["left out, since it is short: no"]);
    }

    /// Shares are told in points, small ones too; other numbers with as many digits as they need.
    #[test]
    fn scores_are_told_in_their_unit() {
        let told = |unit: &str, mean: f64, low: f64, high: f64| {
            score(&json!({"unit": unit, "mean": mean, "low": low, "high": high}))
        };
        assert_eq!(told("share", 0.0003, 0.0, 0.5), "0.0 [0.0, 50.0]");
        assert_eq!(told("share", 1.0, 0.886_6, 1.0), "100.0 [88.7, 100.0]");
        assert_eq!(told("dollars", 0.000_31, 0.0, 12.34), "3.10e-4 [0.0, 12.3]");
        assert_eq!(score(&json!({"unit": "share", "mean": null})), "–");
    }
}
