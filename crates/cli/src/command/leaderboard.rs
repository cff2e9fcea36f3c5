//! `quarterdeck leaderboard`: models compared on benchmark tasks.

mod gate;
mod local;
mod ratings;
mod table;

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _};

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::args::{Leaderboard, LeaderboardDocuments, LeaderboardResume, LeaderboardRun, LeaderboardShow};
use crate::command::gate::{junit, read};
use crate::command::{job, pages, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;

const LEADERBOARD: &[Column<'_>] = &[
    ("name", "name"),
    ("version", "version"),
    ("state", "state"),
    ("done", "done"),
    ("of", "total"),
    ("documents", "documents"),
    ("created", "created"),
    ("why", "why"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Leaderboard) -> Result<(), Error> {
    if let Leaderboard::Remove { name, yes: false } = &verb {
        confirm(name)?;
    }
    with_door(context, async |door| answer(context, door, verb).await).await
}

async fn answer(context: &Context, door: &Door, verb: Leaderboard) -> Result<(), Error> {
    let printer = context.printer;
    match verb {
        Leaderboard::Run(wanted) => begin(context, door, wanted).await,
        Leaderboard::List => printer.rows(&rows_of(door.get("/api/v1/leaderboards").await?), LEADERBOARD),
        Leaderboard::Show(wanted) => table::show(context, &filtered(door, &wanted).await?),
        Leaderboard::Documents(wanted) => documents(context, door, wanted).await,
        Leaderboard::Rate(wanted) => ratings::rate(context, door, &wanted).await,
        Leaderboard::Resume(wanted) => resume(context, door, wanted).await,
        Leaderboard::Remove { name, .. } => door.delete(&path(&name)).await.map(drop),
        Leaderboard::Cancel { leaderboard } => {
            let found = fetch(door, &leaderboard).await?;
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
        return Err(unconfirmed(format!("deleting the leaderboard {name} was not confirmed")));
    }
    eprintln!(
        "This deletes all versions of the leaderboard {name} and their answers, for good. Type its name to go on:"
    );
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    read.map_err(|cause| Error::doing("reading the answer", cause))?;
    if typed.trim() == name { Ok(()) } else { Err(unconfirmed("that is another name; nothing was deleted".to_owned())) }
}

fn path(name: &str) -> String {
    format!("/api/v1/leaderboards/{}", segment(name))
}

/// The name and the version of `name@version`.
fn split(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once('@').map_or((text, None), |(name, version)| (name, Some(version)))
}

async fn fetch(door: &Door, leaderboard: &str) -> Result<Value, Error> {
    let (name, version) = split(leaderboard);
    door.get(&format!("{}{}", path(name), query(&[("version", version)]))).await
}

async fn filtered(door: &Door, wanted: &LeaderboardShow) -> Result<Value, Error> {
    let (name, version) = split(&wanted.leaderboard);
    let text = |number: Option<String>| number;
    let (size, speed) = (text(wanted.max_size.map(|n| n.to_string())), text(wanted.min_speed.map(|n| n.to_string())));
    let (least, price) =
        (text(wanted.min_context.map(|n| n.to_string())), text(wanted.max_price.map(|n| n.to_string())));
    let parameters = [
        ("version", version),
        ("max_size_bytes", size.as_deref()),
        ("min_tokens_per_second", speed.as_deref()),
        ("min_context", least.as_deref()),
        ("max_output_usd_per_million", price.as_deref()),
        ("licence", wanted.licence.as_deref()),
    ];
    door.get(&format!("{}{}", path(name), query(&parameters))).await
}

async fn begin(context: &Context, door: &Door, wanted: LeaderboardRun) -> Result<(), Error> {
    let gates = wanted.gate.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
    let body = asked(context, door, &wanted).await?;
    if !gates.is_empty() {
        gate::foresee(&body["models"], wanted.model.as_deref())?;
    }
    let made = door.post("/api/v1/leaderboards", &body["new"]).await?;
    if wanted.detach {
        return context.printer.object(&made);
    }
    let found = followed(context, door, &made).await?;
    table::show(context, &found)?;
    let verdict = gate::judge(&gates, &found, wanted.model.as_deref())?;
    if let Some(file) = &wanted.junit {
        junit::write(file, &found, found["report"]["sentence"].as_str().unwrap_or_default(), &verdict)?;
    }
    if gates.is_empty() { finished(&found) } else { verdict.told() }
}

/// The request that makes the leaderboard, with its documents here, and the models that it will ask.
async fn asked(context: &Context, door: &Door, wanted: &LeaderboardRun) -> Result<Value, Error> {
    let mut definition = wanted.file.as_deref().map(crate::command::file::read).transpose()?;
    if let Some(folder) = &wanted.tasks {
        let definition = definition.as_mut().ok_or_else(|| Error::Usage {
            problem: "task files of your own need a definition that names their tasks".to_owned(),
            help: "give it with --file".to_owned(),
        })?;
        let own = definition["files"].as_object().cloned().unwrap_or_default();
        let mut files = local::task_files(folder)?;
        files.extend(own);
        definition["files"] = Value::Object(files);
    }
    let mut body = json!({"definition": definition, "models": wanted.models, "limit": wanted.limit});
    let preview = door.post(&format!("{}/preview", path(&wanted.name)), &body).await?;
    if let Some(folder) = &wanted.from {
        let mut named = BTreeMap::new();
        let all = preview["data"].as_array().map_or(&[][..], Vec::as_slice);
        for need in all.iter().filter(|need| need["found"].is_null()) {
            let dataset = local::bring(context, door, folder, (need, all)).await?;
            named.insert(need["key"].as_str().unwrap_or_default().to_owned(), dataset);
        }
        body["documents"] = json!(named);
    }
    body["name"] = json!(wanted.name);
    Ok(json!({"new": body, "models": preview["definition"]["models"]}))
}

/// Waits until a leaderboard's job has ended, however it ends, and gives the leaderboard as it is then.
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

/// A leaderboard that did not finish is an error, also where nothing was asked of it.
fn finished(found: &Value) -> Result<(), Error> {
    match found["state"].as_str() {
        Some("finished") => Ok(()),
        state => Err(Error::Failed { message: ending(state.unwrap_or("unknown"), found) }),
    }
}

fn ending(state: &str, found: &Value) -> String {
    let why = found["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("the leaderboard is {state}{why}; `quarterdeck leaderboard resume` goes on with it")
}

async fn documents(context: &Context, door: &Door, wanted: LeaderboardDocuments) -> Result<(), Error> {
    let (name, version) = split(&wanted.leaderboard);
    let parameters =
        [("task", Some(wanted.task.as_str())), ("model", Some(wanted.model.as_str())), ("version", version)];
    let (mut rows, _) = pages(door, &format!("{}/documents", path(name)), &parameters, wanted.limit).await?;
    if context.printer.is_for_people() {
        for row in &mut rows {
            let filters = row["filters"].as_array().into_iter().flatten();
            let told = filters.map(|filter| match filter["answer"].is_null() {
                true => filter["measures"].to_string(),
                false => format!(
                    "{}: {} {}",
                    filter["filter"].as_str().unwrap_or_default(),
                    filter["answer"],
                    filter["measures"]
                ),
            });
            row["told"] = told.collect::<Vec<_>>().join("; ").into();
        }
    }
    let columns = &[("document", "document"), ("right", "target"), ("measured", "told"), ("error", "error")];
    context.printer.rows(&rows, columns)
}

async fn resume(context: &Context, door: &Door, wanted: LeaderboardResume) -> Result<(), Error> {
    let (name, version) = split(&wanted.leaderboard);
    let version = version.map(|version| version.parse::<u32>()).transpose().map_err(|_| Error::Usage {
        problem: format!("{} names no version of a leaderboard", wanted.leaderboard),
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
    table::show(context, &found)?;
    finished(&found)
}
