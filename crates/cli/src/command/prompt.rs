//! `quarterdeck prompt`: what models are asked, in versions.

mod evidence;

use http::Method;
use qd_prompt::Reference;
use serde_json::{Map, Value, json};

use crate::args::{Prompt, Values};
use crate::command::file::read;
use crate::command::{chat, pages, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;
use crate::{Error, output};

const PROMPT: &[Column<'_>] = &[
    ("name", "name"),
    ("latest", "latest"),
    ("versions", "versions"),
    ("labels", "labels_text"),
    ("updated", "updated"),
];
const VERSION: &[Column<'_>] = &[
    ("version", "version"),
    ("labels", "labels"),
    ("message", "message"),
    ("author", "author"),
    ("created", "created"),
];
const LABEL: &[Column<'_>] = &[("label", "label"), ("version", "version"), ("moved", "moved")];
const COMMENT: &[Column<'_>] =
    &[("version", "version"), ("author", "author"), ("created", "created"), ("text", "text"), ("id", "id")];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Prompt) -> Result<(), Error> {
    match verb {
        Prompt::Run { prompt, values, model } => call(context, &prompt, &values, model).await,
        other => with_door(context, async |door| ask(context, door, other).await).await,
    }
}

async fn ask(context: &Context, door: &Door, verb: Prompt) -> Result<(), Error> {
    let printer = context.printer;
    match verb {
        Prompt::List => printer.rows(&list(door).await?, PROMPT),
        Prompt::Create { name, file, message, label } => {
            let new = json!({"name": name, "content": content(&file)?, "message": message});
            let made = door.post("/api/v1/prompts", &new).await?;
            if let Some(label) = label {
                let path = format!("{}/labels/{}", path(&name), segment(&label));
                door.json(Method::PUT, &path, Some(&json!({"version": made["version"]}))).await?;
            }
            printer.object(&made)
        }
        Prompt::Show { prompt } => show(context, door, &prompt).await,
        Prompt::Versions { name, limit } => {
            let (rows, _) = pages(door, &format!("{}/versions", path(&name)), &[], limit).await?;
            printer.rows(&rows, VERSION)
        }
        Prompt::Render { prompt, values } => render(context, door, &prompt, &values).await,
        Prompt::Diff { name, from, to } => diff(context, door, &name, (&from, &to)).await,
        Prompt::Metrics { name, days } => {
            let place = query(&[("days", days.map(|days| days.to_string()).as_deref())]);
            let found = door.get(&format!("{}/metrics{place}", path(&name))).await?;
            evidence::metrics(context, &rows_of(found))
        }
        Prompt::Label { name, label, version, expect } => {
            let mut wanted = json!({"version": version});
            if let Some(expect) = expect {
                wanted["expected"] = Some(expect).filter(|version| *version > 0).into();
            }
            let path = format!("{}/labels/{}", path(&name), segment(&label));
            printer.rows(&rows_of(door.json(Method::PUT, &path, Some(&wanted)).await?), LABEL)
        }
        Prompt::Unlabel { name, label, expect } => {
            let expected = query(&[("expected", expect.map(|version| version.to_string()).as_deref())]);
            let path = format!("{}/labels/{}{expected}", path(&name), segment(&label));
            printer.rows(&rows_of(door.delete(&path).await?), LABEL)
        }
        Prompt::Comment { name, version, text } => comment(context, door, &name, version.zip(text)).await,
        Prompt::Remove { name } => door.delete(&path(&name)).await.map(drop),
        // It needs a door that names the prompt.
        Prompt::Run { .. } => Ok(()),
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/prompts/{}", segment(name))
}

/// The name that was typed, and the version as a request names it.
fn reference(prompt: &str) -> Result<(String, Option<String>), Error> {
    let reference: Reference = prompt.parse().map_err(|cause: qd_prompt::Error| Error::Usage {
        problem: cause.to_string(),
        help: "`quarterdeck prompt list` shows the names".to_owned(),
    })?;
    let which = prompt.split_once('@').map(|(_, which)| which.trim().to_owned());
    Ok((reference.name.to_string(), which))
}

async fn list(door: &Door) -> Result<Vec<Value>, Error> {
    let mut rows = rows_of(door.get("/api/v1/prompts").await?);
    for row in &mut rows {
        let labels = row["labels"].as_array().map(Vec::as_slice).unwrap_or_default();
        let told = labels.iter().map(|at| format!("{}@{}", at["label"].as_str().unwrap_or_default(), at["version"]));
        row["labels_text"] = told.collect::<Vec<_>>().join(", ").into();
    }
    Ok(rows)
}

async fn fetch(door: &Door, prompt: &str) -> Result<Value, Error> {
    let (name, which) = reference(prompt)?;
    let is_number = which.as_ref().is_some_and(|which| which.parse::<u32>().is_ok());
    let place = match which.as_deref() {
        // The newest is the first of the list.
        Some("latest") => {
            let (versions, _) = pages(door, &format!("{}/versions", path(&name)), &[], 1).await?;
            let newest = versions.first().map(|version| version["version"].to_string());
            query(&[("version", newest.as_deref())])
        }
        which if is_number => query(&[("version", which)]),
        which => query(&[("label", which)]),
    };
    door.get(&format!("{}{place}", path(&name))).await
}

async fn show(context: &Context, door: &Door, prompt: &str) -> Result<(), Error> {
    let found = fetch(door, prompt).await?;
    if !context.printer.is_for_people() {
        return context.printer.object(&found);
    }
    let content: qd_prompt::Prompt = serde_json::from_value(found["content"].clone())
        .map_err(|cause| Error::Answer { request: format!("GET {}", path(prompt)), cause: cause.into() })?;
    let title = |name: &str| found[name].as_str().unwrap_or_default();
    eprintln!("{}@{} of {} {}", title("name"), found["version"], title("created"), title("message"));
    output::piece(&content.to_text())
}

async fn render(context: &Context, door: &Door, prompt: &str, values: &Values) -> Result<(), Error> {
    let (name, which) = reference(prompt)?;
    let wanted = json!({"version": which, "variables": read_values(values)?});
    let said = door.post(&format!("{}/render", path(&name)), &wanted).await?;
    if !context.printer.is_for_people() {
        return context.printer.object(&said);
    }
    if let Some(text) = said["text"].as_str() {
        return output::line(text);
    }
    for message in said["messages"].as_array().into_iter().flatten() {
        let content = message["content"].as_str().map_or_else(|| message["content"].to_string(), str::to_owned);
        output::line(&format!("[{}]\n{content}\n", message["role"].as_str().unwrap_or_default()))?;
    }
    let estimated = if said["tokens_estimated"] == true { " (estimated)" } else { "" };
    eprintln!("{} tokens{estimated}", said["tokens"]);
    Ok(())
}

/// How two versions differ: in words, and in what they are worth as far as that is known.
async fn diff(context: &Context, door: &Door, name: &str, (from, to): (&str, &str)) -> Result<(), Error> {
    let place = query(&[("from", Some(from)), ("to", Some(to))]);
    let mut diff = door.get(&format!("{}/diff{place}", path(name))).await?;
    let evidence = door.get(&format!("{}/evidence{place}", path(name))).await?;
    if !context.printer.is_for_people() {
        diff["evidence"] = evidence;
        return context.printer.object(&diff);
    }
    output::piece(diff["unified"].as_str().unwrap_or_default())?;
    evidence::show(context, &evidence)
}

async fn call(context: &Context, prompt: &str, values: &Values, model: Option<String>) -> Result<(), Error> {
    reference(prompt)?;
    let mut request = json!({"prompt_variables": read_values(values)?});
    if let Some(model) = model {
        request["model"] = model.into();
    }
    let mut door = Door::open(context).await?;
    let answered = answer(context, &mut door, prompt, request).await;
    door.close().await;
    answered
}

/// Prints the answer: as it comes for people, as one object for programs.
async fn answer(context: &Context, door: &mut Door, prompt: &str, request: Value) -> Result<(), Error> {
    let kind = fetch(door, prompt).await?["content"]["kind"].clone();
    door.say(prompt);
    let path = if kind == "text" { "/v1/completions" } else { "/v1/chat/completions" };
    match context.printer.is_for_people() {
        true => chat::stream(door, path, request).await,
        false => context.printer.object(&door.post(path, &request).await?),
    }
}

async fn comment(context: &Context, door: &Door, name: &str, said: Option<(u32, String)>) -> Result<(), Error> {
    let path = format!("{}/comments", path(name));
    match said {
        Some((version, text)) => {
            context.printer.object(&door.post(&path, &json!({"version": version, "text": text})).await?)
        }
        None => context.printer.rows(&rows_of(door.get(&path).await?), COMMENT),
    }
}

/// The values of a file, and over them those that were typed.
fn read_values(values: &Values) -> Result<Map<String, Value>, Error> {
    let mut all = match &values.file {
        None => Map::new(),
        Some(file) => match read(file)? {
            Value::Object(values) => values,
            _ => return Err(no_object(file)),
        },
    };
    all.extend(values.values.iter().cloned());
    Ok(all)
}

fn content(file: &str) -> Result<Value, Error> {
    match read(file)? {
        content if content.is_object() => Ok(content),
        _ => Err(no_object(file)),
    }
}

fn no_object(file: &str) -> Error {
    Error::Usage {
        problem: format!("{file} is no object"),
        help: "`quarterdeck prompt create --help` shows what a prompt looks like".to_owned(),
    }
}
