//! `quarterdeck evaluation`: answers on a dataset, with everything that metrics and judges say of them.

mod gates;
mod markdown;
mod told;

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::args::{Evaluation, EvaluationItems, EvaluationResume, EvaluationRun};
use crate::command::gate::{Verdict, junit, read};
use crate::command::{job, pages, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;
use crate::{Error, output};

const EVALUATION: &[Column<'_>] = &[
    ("name", "name"),
    ("version", "version"),
    ("state", "state"),
    ("done", "done"),
    ("of", "total"),
    ("items", "items"),
    ("dataset", "definition.dataset"),
    ("created", "created"),
    ("why", "why"),
];

const COMPARISON: &[Column<'_>] = &[
    ("scorer", "scorer"),
    ("a", "a"),
    ("b", "b"),
    ("p", "p"),
    ("adjusted", "adjusted_p"),
    ("for pairs", "family"),
    ("in words", "sentence"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Evaluation) -> Result<(), Error> {
    if let Evaluation::Remove { name, yes: false } = &verb {
        confirm(name)?;
    }
    with_door(context, async |door| answer(context, door, verb).await).await
}

async fn answer(context: &Context, door: &Door, verb: Evaluation) -> Result<(), Error> {
    let printer = context.printer;
    match verb {
        Evaluation::Run(wanted) => begin(context, door, wanted).await,
        Evaluation::List => printer.rows(&rows_of(door.get("/api/v1/evaluations").await?), EVALUATION),
        Evaluation::Show { evaluation } => show(context, &fetch(door, &evaluation).await?),
        Evaluation::Items(wanted) => items(context, door, wanted).await,
        Evaluation::Compare { evaluation, a, b, with: Some(with) } => {
            compare_runs(context, door, (&evaluation, a.as_deref()), (&with, b.as_deref())).await
        }
        Evaluation::Compare { evaluation, a, b, with: None } => {
            let found = fetch(door, &evaluation).await?;
            compare(context, &found, a.as_deref(), b.as_deref())
        }
        Evaluation::Resume(wanted) => resume(context, door, wanted).await,
        Evaluation::Remove { name, .. } => door.delete(&path(&name)).await.map(drop),
    }
}

/// Asks whoever sits at the terminal; a script has to say `--yes`.
fn confirm(name: &str) -> Result<(), Error> {
    let unconfirmed = |problem: String| Error::Usage {
        problem,
        help: "--yes deletes without asking; nothing brings the answers back".to_owned(),
    };
    if !std::io::stdin().is_terminal() {
        return Err(unconfirmed(format!("deleting the evaluation {name} was not confirmed")));
    }
    eprintln!("This deletes all versions of the evaluation {name} and their rows, for good. Type its name to go on:");
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    read.map_err(|cause| Error::doing("reading the answer", cause))?;
    if typed.trim() == name { Ok(()) } else { Err(unconfirmed("that is another name; nothing was deleted".to_owned())) }
}

fn path(name: &str) -> String {
    format!("/api/v1/evaluations/{}", segment(name))
}

/// The name and the version of `name@version`.
fn split(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once('@').map_or((text, None), |(name, version)| (name, Some(version)))
}

async fn fetch(door: &Door, evaluation: &str) -> Result<Value, Error> {
    let (name, version) = split(evaluation);
    door.get(&format!("{}{}", path(name), query(&[("version", version)]))).await
}

/// What an evaluation is called that nobody named: as its file, in the letters that a name may have.
fn name_of(file: &str) -> Result<String, Error> {
    let stem = Path::new(file).file_stem().and_then(|stem| stem.to_str()).filter(|_| file != "-");
    let fits = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = stem.unwrap_or_default().to_lowercase().chars().map(fits).collect();
    let name = name.trim_matches(['-', '.', '_']).to_owned();
    match name.is_empty() {
        false => Ok(name),
        true => Err(Error::Usage {
            problem: format!("{file:?} gives the evaluation no name"),
            help: "write one after the file: quarterdeck eval run FILE NAME".to_owned(),
        }),
    }
}

async fn begin(context: &Context, door: &Door, wanted: EvaluationRun) -> Result<(), Error> {
    let mut definition = crate::command::file::read(&wanted.file)?;
    let name = wanted.name.clone().map_or_else(|| name_of(&wanted.file), Ok)?;
    if let Some(usd) = wanted.usd {
        definition["budget"]["usd"] = json!(usd);
    }
    let of_file = definition["gate"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let texts: Vec<&str> = of_file.chain(wanted.gate.iter().map(String::as_str)).collect();
    let gates = texts.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    gates::foresee(&gates, &definition, wanted.target.as_deref())?;
    let made = door.post("/api/v1/evaluations", &json!({"name": name, "definition": definition})).await?;
    if wanted.detach {
        return context.printer.object(&made);
    }
    let found = followed(context, door, &made).await?;
    show(context, &found)?;
    let state = found["state"].as_str().unwrap_or("unknown");
    let verdict = Verdict {
        noun: "evaluation",
        subject: wanted.target.clone().unwrap_or_else(|| name.clone()),
        unfinished: (state != "finished").then(|| ending(state, &found)),
        conditions: gates::judge(&gates, &found, wanted.target.as_deref())?,
    };
    if let Some(file) = &wanted.junit {
        junit::write(file, &found, &told::sentences(&found).join("\n"), &verdict)?;
    }
    if let Some(file) = &wanted.markdown {
        let written = std::fs::write(file, markdown::document(&found, &verdict));
        written.map_err(|cause| Error::doing(format!("writing {}", file.display()), cause))?;
    }
    if gates.is_empty() { finished(&found) } else { verdict.told() }
}

/// Waits until an evaluation's job has ended, however it ends, and gives the evaluation as it is then.
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

/// An evaluation that did not finish is an error, also where nothing was asked of it.
fn finished(found: &Value) -> Result<(), Error> {
    match found["state"].as_str() {
        Some("finished") => Ok(()),
        state => Err(Error::Failed { message: ending(state.unwrap_or("unknown"), found) }),
    }
}

fn ending(state: &str, found: &Value) -> String {
    let why = found["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("the evaluation is {state}{why}; `quarterdeck eval resume` goes on with it")
}

/// Targets as a table with what is to be said below, or everything for programs.
fn show(context: &Context, found: &Value) -> Result<(), Error> {
    if !context.printer.is_for_people() {
        return context.printer.object(found);
    }
    let rows: Vec<Value> = told::targets(found)
        .flat_map(|target| told::scores(target).map(|score| told::row(target, score)).collect::<Vec<_>>())
        .collect();
    let columns: &[Column<'_>] = &[
        ("target", "target"),
        ("score", "score"),
        ("value", "value"),
        ("items", "items"),
        ("missing", "missing"),
        ("why", "why"),
    ];
    context.printer.rows(&rows, columns)?;
    let lines = told::sentences(found);
    output::line("")?;
    lines.iter().try_for_each(|line| output::line(line))
}

fn compare(context: &Context, found: &Value, a: Option<&str>, b: Option<&str>) -> Result<(), Error> {
    let names: Vec<&str> = told::targets(found).filter_map(|target| target["name"].as_str()).collect();
    if let Some(unknown) = [a, b].into_iter().flatten().find(|name| !names.contains(name)) {
        return Err(Error::Usage {
            problem: format!("the evaluation has no target {unknown:?}"),
            help: format!("its targets are {}", names.join(", ")),
        });
    }
    let is_meant = |one: &Value, name: Option<&str>| name.is_none_or(|name| one["a"] == name || one["b"] == name);
    let rows = found["report"]["comparisons"].as_array().into_iter().flatten();
    let rows: Vec<Value> = rows.filter(|one| is_meant(one, a) && is_meant(one, b)).cloned().collect();
    context.printer.rows(&rows, COMPARISON)
}

async fn compare_runs(
    context: &Context,
    door: &Door,
    (one, target): (&str, Option<&str>),
    (other, with_target): (&str, Option<&str>),
) -> Result<(), Error> {
    let ((name, version), (with, with_version)) = (split(one), split(other));
    let asked = query(&[
        ("version", version),
        ("target", target),
        ("with", Some(with)),
        ("with_version", with_version),
        ("with_target", with_target),
    ]);
    let rows = rows_of(door.get(&format!("{}/comparison{asked}", path(name))).await?);
    context.printer.rows(&rows, COMPARISON)
}

async fn items(context: &Context, door: &Door, wanted: EvaluationItems) -> Result<(), Error> {
    let (name, version) = split(&wanted.evaluation);
    let number = |number: Option<f64>| number.map(|number| number.to_string());
    let (lowest, highest) = (number(wanted.lowest), number(wanted.highest));
    let parameters = [
        ("target", wanted.target.as_deref()),
        ("scorer", wanted.scorer.as_deref()),
        ("lowest", lowest.as_deref()),
        ("highest", highest.as_deref()),
        ("missing", wanted.missing.then_some("true")),
        ("disagree", wanted.disagree.as_deref()),
        ("version", version),
    ];
    let (rows, _) = pages(door, &format!("{}/items", path(name)), &parameters, wanted.limit).await?;
    if !context.printer.is_for_people() {
        return context.printer.rows(&rows, &[("item", "item"), ("references", "references"), ("answers", "answers")]);
    }
    rows.iter().flat_map(told::item).try_for_each(|line| output::line(&line))
}

async fn resume(context: &Context, door: &Door, wanted: EvaluationResume) -> Result<(), Error> {
    let (name, version) = split(&wanted.evaluation);
    let version = version.map(str::parse::<u32>).transpose().map_err(|_| Error::Usage {
        problem: format!("{} names no version of an evaluation", wanted.evaluation),
        help: "write NAME or NAME@3".to_owned(),
    })?;
    let mut body = json!({"version": version, "retry_failed": wanted.retry_failed});
    if let Some(usd) = wanted.usd {
        body["budget"] = json!({"usd": usd});
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
    fn an_evaluation_is_called_as_its_file() {
        assert_eq!(name_of("ci/My Nightly.json").unwrap(), "my-nightly");
        assert!(name_of("-").is_err());
        assert!(name_of("ci/….json").is_err());
    }
}
