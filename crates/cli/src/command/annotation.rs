//! `quarterdeck annotation`: questions that people answer about rows of a dataset.

mod report;
mod work;

use std::io::{BufRead as _, IsTerminal as _};

use http::Method;
use serde_json::{Map, Value, json};

use crate::args::{Annotation, AnnotationCreate, AnnotationExport, AnnotationLabel};
use crate::command::{job, pages, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;
use crate::{Error, output};

const ANNOTATION: &[Column<'_>] = &[
    ("name", "name"),
    ("version", "version"),
    ("items", "items"),
    ("dataset", "definition.dataset"),
    ("question", "definition.question"),
    ("created", "created"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Annotation) -> Result<(), Error> {
    if let Annotation::Remove { name, yes: false } = &verb {
        confirm(name)?;
    }
    with_door(context, async |door| answer(context, door, verb).await).await
}

async fn answer(context: &Context, door: &Door, verb: Annotation) -> Result<(), Error> {
    let printer = context.printer;
    match verb {
        Annotation::Create(wanted) => create(context, door, wanted).await,
        Annotation::List => printer.rows(&rows_of(door.get("/api/v1/annotations").await?), ANNOTATION),
        Annotation::Show { annotation } => printer.object(&door.get(&path(&annotation, "")).await?),
        Annotation::People { annotation, annotators, adjudicators } => {
            let people = json!({"annotators": annotators, "adjudicators": adjudicators});
            printer.object(&door.json(Method::PUT, &path(&annotation, "/people"), Some(&people)).await?)
        }
        Annotation::Next { annotation, who } => {
            let given = door.post(&path(&annotation, "/next"), &json!({"annotator": who})).await?;
            printer.object(&given)
        }
        Annotation::Label(wanted) => label(context, door, wanted).await,
        Annotation::Work { annotation, who } => work::run(door, &annotation, &who).await,
        Annotation::Disagreements { annotation, decided, limit } => {
            let kind = if decided { "disagreements" } else { "undecided" };
            items(context, door, &annotation, &[(kind, Some("true"))], limit).await
        }
        Annotation::Items { annotation, limit } => items(context, door, &annotation, &[], limit).await,
        Annotation::Adjudicate { annotation, item, value, who, reason } => {
            let scale = scale_of(door, &annotation).await?;
            let decision = json!({"adjudicator": who, "value": typed(&scale, &value), "reason": reason});
            let place = path(&annotation, &format!("/items/{item}/decision"));
            printer.object(&door.json(Method::PUT, &place, Some(&decision)).await?)
        }
        Annotation::Report { annotation } => {
            let found = door.get(&path(&annotation, "/report")).await?;
            if printer.is_for_people() { report::show(context, &found) } else { printer.object(&found) }
        }
        Annotation::Export(wanted) => export(context, door, wanted).await,
        Annotation::Remove { name, .. } => door.delete(&path(&name, "")).await.map(drop),
    }
}

/// Asks whoever sits at the terminal; a script has to say `--yes`.
fn confirm(name: &str) -> Result<(), Error> {
    let unconfirmed = |problem: String| Error::Usage {
        problem,
        help: "--yes deletes without asking; nothing brings the labels back".to_owned(),
    };
    if !std::io::stdin().is_terminal() {
        return Err(unconfirmed(format!("deleting the annotation {name} was not confirmed")));
    }
    eprintln!(
        "This deletes all versions of the annotation {name} and what people said, for good. Type its name to go on:"
    );
    let mut typed = String::new();
    let read = std::io::stdin().lock().read_line(&mut typed);
    read.map_err(|cause| Error::doing("reading the answer", cause))?;
    if typed.trim() == name { Ok(()) } else { Err(unconfirmed("that is another name; nothing was deleted".to_owned())) }
}

/// The path of an annotation's part, for `name@version`.
fn path(annotation: &str, part: &str) -> String {
    let (name, version) = split(annotation);
    format!("/api/v1/annotations/{}{part}{}", segment(name), query(&[("version", version)]))
}

fn split(annotation: &str) -> (&str, Option<&str>) {
    annotation.rsplit_once('@').map_or((annotation, None), |(name, version)| (name, Some(version)))
}

async fn create(context: &Context, door: &Door, wanted: AnnotationCreate) -> Result<(), Error> {
    let definition = crate::command::file::read(&wanted.file)?;
    let mut body = json!({"name": wanted.name, "definition": definition});
    if !wanted.annotators.is_empty() || !wanted.adjudicators.is_empty() {
        body["people"] = json!({"annotators": wanted.annotators, "adjudicators": wanted.adjudicators});
    }
    context.printer.object(&door.post("/api/v1/annotations", &body).await?)
}

async fn label(context: &Context, door: &Door, wanted: AnnotationLabel) -> Result<(), Error> {
    let mut body = json!({"annotator": wanted.who, "item": wanted.item});
    if let Some(value) = &wanted.value {
        body["value"] = typed(&scale_of(door, &wanted.annotation).await?, value);
    }
    let rest = [
        ("skipped", wanted.skip.map(Value::from)),
        ("comment", wanted.comment.map(Value::from)),
        ("seconds", wanted.seconds.map(Value::from)),
    ];
    for (field, value) in rest {
        if let Some(value) = value {
            body[field] = value;
        }
    }
    context.printer.object(&door.post(&path(&wanted.annotation, "/labels"), &body).await?)
}

async fn scale_of(door: &Door, annotation: &str) -> Result<Value, Error> {
    Ok(door.get(&path(annotation, "")).await?["definition"]["scale"].take())
}

/// What was typed as a value of the scale: words stay words, also where they are numbers.
fn typed(scale: &Value, text: &str) -> Value {
    match scale["kind"].as_str() {
        Some("boolean") if matches!(text, "yes" | "y" | "true") => json!(true),
        Some("boolean") if matches!(text, "no" | "n" | "false") => json!(false),
        Some("numeric" | "range") => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    }
}

async fn items(
    context: &Context,
    door: &Door,
    annotation: &str,
    which: &[(&str, Option<&str>)],
    limit: usize,
) -> Result<(), Error> {
    let (name, version) = split(annotation);
    let parameters = [which, &[("version", version)]].concat();
    let place = format!("/api/v1/annotations/{}/items", segment(name));
    let (rows, more) = pages(door, &place, &parameters, limit).await?;
    if !context.printer.is_for_people() {
        return context.printer.rows(&rows, &[("item", "item"), ("labels", "labels"), ("verdict", "verdict")]);
    }
    for row in &rows {
        output::line(&format!("── item {} ({})", row["item"], row["row_id"].as_str().unwrap_or_default()))?;
        for (column, value) in row["values"].as_object().into_iter().flatten() {
            output::line(&format!("{column}: {}", shown(value)))?;
        }
        for label in row["labels"].as_array().into_iter().flatten() {
            let remark = label["comment"].as_str().map(|comment| format!("  ({comment})")).unwrap_or_default();
            let skipped = || format!("skipped: {}", label["skipped"].as_str().unwrap_or_default());
            let said = if label["value"].is_null() { skipped() } else { shown(&label["value"]) };
            output::line(&format!("  {}: {said}{remark}", label["annotator"].as_str().unwrap_or_default()))?;
        }
        output::line(&format!("  → {}", verdict(row)))?;
    }
    if more {
        eprintln!("There are more items; --limit asks for them.");
    }
    Ok(())
}

fn verdict(row: &Value) -> String {
    let verdict = &row["verdict"];
    if verdict.is_null() {
        return "open".to_owned();
    }
    let reason = row["decision"]["reason"].as_str().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{} ({}{reason})", shown(&verdict["value"]), verdict["by"].as_str().unwrap_or_default())
}

/// A text as it is, anything else as JSON.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

async fn export(context: &Context, door: &Door, wanted: AnnotationExport) -> Result<(), Error> {
    let mut values = Map::new();
    for pair in &wanted.values {
        let Some((value, stands)) = pair.rsplit_once('=') else {
            let (problem, help) = (format!("{pair} names no value"), "write VALUE=JSON, as in tie=0".to_owned());
            return Err(Error::Usage { problem, help });
        };
        values.insert(value.to_owned(), serde_json::from_str(stands).unwrap_or_else(|_| json!(stands)));
    }
    let mut body = json!({"column": wanted.column, "values": values, "details": wanted.details});
    if let Some(to) = &wanted.to {
        body["to"] = json!(to);
    }
    let begun = door.post(&path(&wanted.annotation, "/export"), &body).await?;
    let what = format!("exporting {}", wanted.annotation);
    let done = job::follow(door, begun["job"].as_str().unwrap_or_default(), &what, context.progress).await?;
    context.printer.object(&done["result"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_of_the_scale() {
        let of = |kind: &str, text: &str| typed(&json!({"kind": kind}), text);
        assert_eq!((of("boolean", "yes"), of("boolean", "false")), (json!(true), json!(false)));
        assert_eq!((of("numeric", "4"), of("range", "0.5")), (json!(4), json!(0.5)));
        assert_eq!((of("categorical", "4"), of("pairwise", "first")), (json!("4"), json!("first")));
        assert_eq!(of("numeric", "four"), json!("four"), "the server says what can be said");
    }
}
