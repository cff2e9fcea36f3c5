//! `quarterdeck scorer`: rules that score live calls.

use http::Method;
use serde_json::{Value, json};

use crate::args::Scorer;
use crate::command::{file, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;
use crate::{Error, output};

const PATH: &str = "/api/v1/scorers";

const RULE: &[Column<'_>] = &[
    ("name", "name"),
    ("version", "version"),
    ("active", "active"),
    ("since", "since"),
    ("calls", "calls"),
    ("sampled", "sampled"),
    ("scores", "scores"),
    ("unscored", "unscored"),
    ("looked", "looked"),
    ("error", "error"),
];
const SCORE: &[Column<'_>] = &[
    ("score", "name"),
    ("of", "group"),
    ("count", "count"),
    ("mean", "mean"),
    ("low", "low"),
    ("high", "high"),
    ("unit", "unit"),
    ("better", "better"),
];
const POINT: &[Column<'_>] = &[("from", "from"), ("score", "name"), ("count", "count"), ("mean", "mean")];
const COMPARISON: &[Column<'_>] = &[
    ("score", "name"),
    ("a", "a.mean"),
    ("of", "a.count"),
    ("b", "b.mean"),
    ("of", "b.count"),
    ("b less a from", "low"),
    ("to", "high"),
    ("winner", "winner"),
    ("unit", "unit"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Scorer) -> Result<(), Error> {
    with_door(context, async |door| answer(context, door, verb).await).await
}

async fn answer(context: &Context, door: &Door, verb: Scorer) -> Result<(), Error> {
    let printer = context.printer;
    match verb {
        Scorer::Create { name, file } => {
            let new = json!({"name": name, "definition": file::read(&file)?});
            printer.object(&door.post(PATH, &new).await?)
        }
        Scorer::List => printer.rows(&rows_of(door.get(PATH).await?), RULE),
        Scorer::Show { scorer } => {
            let (name, version) = split(&scorer);
            printer.object(&door.get(&format!("{}{}", path(name), query(&[("version", version)]))).await?)
        }
        Scorer::Report { scorer, back_s, step_s } => {
            let (name, version) = split(&scorer);
            let [back, step] = [back_s, step_s].map(|seconds| seconds.map(|seconds| seconds.to_string()));
            let wanted = [("version", version), ("back_s", back.as_deref()), ("step_s", step.as_deref())];
            report(context, &door.get(&format!("{}/report{}", path(name), query(&wanted))).await?)
        }
        Scorer::Compare { scorer, by, a, b } => {
            let (name, version) = split(&scorer);
            let wanted = [("by", Some(by.as_str())), ("a", Some(&a)), ("b", Some(&b)), ("version", version)];
            let found = door.get(&format!("{}/comparison{}", path(name), query(&wanted))).await?;
            printer.rows(&rows_of(found), COMPARISON)
        }
        Scorer::Pause { name } => {
            printer.object(&door.json(Method::POST, &format!("{}/pause", path(&name)), None).await?)
        }
        Scorer::Resume { name } => {
            printer.object(&door.json(Method::POST, &format!("{}/resume", path(&name)), None).await?)
        }
        Scorer::Remove { name } => door.delete(&path(&name)).await.map(drop),
    }
}

fn path(name: &str) -> String {
    format!("{PATH}/{}", segment(name))
}

/// The name and the version of `name@version`.
fn split(text: &str) -> (&str, Option<&str>) {
    text.rsplit_once('@').map_or((text, None), |(name, version)| (name, Some(version)))
}

/// For people a line for all calls and for each group, and the means over time below.
fn report(context: &Context, found: &Value) -> Result<(), Error> {
    if !context.printer.is_for_people() {
        return context.printer.object(found);
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut rows = Vec::new();
    for score in list(&found["scores"]) {
        let line = |of: &Value, group: String| {
            json!({
                "name": score["name"], "unit": score["unit"], "better": score["better"], "group": group,
                "count": of["count"], "mean": of["mean"], "low": of["low"], "high": of["high"],
            })
        };
        rows.push(line(&score, "all".to_owned()));
        for group in list(&score["groups"]) {
            let text = |field: &str| group[field].as_str().unwrap_or_default().to_owned();
            rows.push(line(&group, format!("{} {}", text("by"), text("group"))));
        }
    }
    context.printer.rows(&rows, SCORE)?;
    let points = list(&found["over_time"]);
    if !points.is_empty() {
        output::line("")?;
        context.printer.rows(&points, POINT)?;
    }
    Ok(())
}
