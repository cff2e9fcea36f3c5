//! `quarterdeck alert`: rules that tell when something is wrong, and whom they tell.

mod receiver;
mod rule;

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::args::{Alert, NewSilence, Silence};
use crate::command::{pages, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, segment};
use crate::output::Column;

const RULE: &[Column<'_>] = &[
    ("name", "name"),
    ("state", "state"),
    ("since", "since"),
    ("reading", "message"),
    ("severity", "severity"),
    ("looks for", "summary"),
    ("enabled", "enabled"),
    ("silenced", "silenced"),
];
const EVENT: &[Column<'_>] = &[
    ("at", "at"),
    ("alert", "alert"),
    ("change", "change"),
    ("severity", "severity"),
    ("reading", "message"),
    ("silenced", "silenced"),
    ("read", "read"),
    ("id", "id"),
];
const SILENCE: &[Column<'_>] = &[
    ("id", "id"),
    ("pattern", "pattern"),
    ("severity", "severity"),
    ("from", "from"),
    ("until", "until"),
    ("reason", "reason"),
    ("author", "author"),
];
const POINT: &[Column<'_>] = &[("at", "at"), ("reading", "message"), ("state", "state"), ("value", "value")];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Alert) -> Result<(), Error> {
    match verb {
        Alert::List => {
            with_door(context, async |door| {
                context.printer.rows(&rows_of(door.get("/api/v1/alerts/rules").await?), RULE)
            })
            .await
        }
        Alert::Show { name } => {
            with_door(context, async |door| context.printer.object(&door.get(&path(&name)).await?)).await
        }
        Alert::Create { name, rule } => {
            let mut new = rule::read(&rule, json!({}))?;
            new["name"] = name.into();
            with_door(context, async |door| context.printer.object(&door.post("/api/v1/alerts/rules", &new).await?))
                .await
        }
        Alert::Update { name, rule } => {
            with_door(context, async |door| {
                let changed = rule::read(&rule, rule::spec_of(door.get(&path(&name)).await?))?;
                context.printer.object(&door.json(Method::PUT, &path(&name), Some(&changed)).await?)
            })
            .await
        }
        Alert::Delete { name } => with_door(context, async |door| door.delete(&path(&name)).await.map(drop)).await,
        Alert::Preview { name, rule, points, step } => {
            with_door(context, async |door| preview(context, door, name, &rule, (points, step)).await).await
        }
        Alert::History { name, limit } => {
            let path = format!("{}/history", path(&name));
            with_door(context, async |door| events(context, door, &path, &[], limit).await).await
        }
        Alert::Inbox { unread, mark_read, limit } => {
            with_door(context, async |door| inbox(context, door, unread, mark_read, limit).await).await
        }
        Alert::Silence(verb) => with_door(context, async |door| silence(context, door, verb).await).await,
        Alert::Receiver(verb) => receiver::run(context, verb).await,
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/alerts/rules/{}", segment(name))
}

async fn preview(
    context: &Context,
    door: &Door,
    name: Option<String>,
    rule: &crate::args::Rule,
    (points, step): (Option<u32>, Option<u64>),
) -> Result<(), Error> {
    let begin = match name {
        Some(name) => rule::spec_of(door.get(&path(&name)).await?),
        None => json!({}),
    };
    let request = json!({"alert": rule::read(rule, begin)?, "points": points, "step_s": step});
    let found = door.post("/api/v1/alerts/preview", &request).await?;
    if !context.printer.is_for_people() {
        return context.printer.object(&found);
    }
    context.printer.rows(found["points"].as_array().map_or(&[], Vec::as_slice), POINT)?;
    let summary = found["summary"].as_str().unwrap_or_default();
    eprintln!("It would have fired {} times: {summary}.", found["fired"]);
    Ok(())
}

async fn events(
    context: &Context,
    door: &Door,
    path: &str,
    parameters: &[(&str, Option<&str>)],
    limit: usize,
) -> Result<(), Error> {
    let (events, more) = pages(door, path, parameters, limit).await?;
    context.printer.rows(&events, EVENT)?;
    if more {
        eprintln!("There is more; --limit asks for it.");
    }
    Ok(())
}

async fn inbox(context: &Context, door: &Door, unread: bool, mark_read: bool, limit: usize) -> Result<(), Error> {
    let only = unread.then_some("true");
    let (events, more) = pages(door, "/api/v1/alerts/inbox", &[("unread", only)], limit).await?;
    context.printer.rows(&events, EVENT)?;
    if more {
        eprintln!("There is more; --limit asks for it.");
    }
    if mark_read {
        // What was printed is read, not what came meanwhile.
        let ids: Vec<&Value> = events.iter().map(|event| &event["id"]).collect();
        for ids in ids.chunks(1000) {
            door.post("/api/v1/alerts/inbox/read", &json!({"ids": ids})).await?;
        }
    }
    Ok(())
}

async fn silence(context: &Context, door: &Door, verb: Silence) -> Result<(), Error> {
    const PATH: &str = "/api/v1/alerts/silences";
    match verb {
        Silence::Add(NewSilence { pattern, length, severity, reason }) => {
            let new = json!({"pattern": pattern, "for_s": length, "severity": severity, "reason": reason});
            context.printer.object(&door.post(PATH, &new).await?)
        }
        Silence::List => context.printer.rows(&rows_of(door.get(PATH).await?), SILENCE),
        Silence::End { id } => door.delete(&format!("{PATH}/{}", segment(&id))).await.map(drop),
    }
}
