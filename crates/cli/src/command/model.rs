//! `quarterdeck model`: the catalogue, what is installed, fetching more.

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::args::Model;
use crate::command::{job, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;
use crate::progress::Progress;

const MODEL: &[Column<'_>] = &[
    ("name", "name"),
    ("kind", "kind"),
    ("format", "format"),
    ("mb", "size_mb"),
    ("licence", "licence"),
    ("installed", "installed.version"),
    ("description", "description"),
];

const LABEL: &[Column<'_>] = &[("label", "label"), ("version", "version")];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Model) -> Result<(), Error> {
    match verb {
        Model::List => with_door(context, async |door| context.printer.rows(&all(door).await?, MODEL)).await,
        Model::Show { name } => {
            with_door(context, async |door| context.printer.object(&door.get(&path(&name)).await?)).await
        }
        Model::Pull { name, detach: true } => {
            with_door(context, async |door| context.printer.object(&begin(door, &name).await?)).await
        }
        Model::Pull { name, detach: false } => {
            with_door(context, async |door| context.printer.object(&pull(door, &name, context.progress).await?)).await
        }
        Model::Load { name } => {
            with_door(context, async |door| context.printer.object(&change(door, &name, "load").await?)).await
        }
        Model::Unload { name } => with_door(context, async |door| change(door, &name, "unload").await.map(drop)).await,
        Model::Label { name, label, version, expect } => {
            let labelled = async |door: &Door| set_label(door, &labels(&name, &label), version, expect).await;
            with_door(context, async |door| context.printer.rows(&labelled(door).await?, LABEL)).await
        }
        Model::Unlabel { name, label, expect } => {
            let path = format!(
                "{}{}",
                labels(&name, &label),
                query(&[("expected", expect.map(|n| n.to_string()).as_deref())])
            );
            with_door(context, async |door| context.printer.rows(&labels_of(&door.delete(&path).await?), LABEL)).await
        }
        Model::Remove { name } => {
            with_door(context, async |door| context.printer.object(&door.delete(&path(&name)).await?)).await
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/models/{}", segment(name))
}

fn labels(name: &str, label: &str) -> String {
    format!("{}/labels/{}", path(name), segment(label))
}

/// Moves a label; `expect` of 0 says that it must be nowhere. Gives the labels that the model then has.
async fn set_label(door: &Door, path: &str, version: u32, expect: Option<u32>) -> Result<Vec<Value>, Error> {
    let mut body = json!({"version": version});
    if let Some(expect) = expect {
        body["expected"] = Some(expect).filter(|version| *version > 0).into();
    }
    Ok(labels_of(&door.json(Method::PUT, path, Some(&body)).await?))
}

fn labels_of(model: &Value) -> Vec<Value> {
    model["installed"]["labels"].as_array().cloned().unwrap_or_default()
}

async fn all(door: &Door) -> Result<Vec<Value>, Error> {
    let mut models = rows_of(door.get("/api/v1/models").await?);
    for model in &mut models {
        model["size_mb"] = model["size_bytes"].as_u64().map(|bytes| bytes.div_ceil(1_000_000)).into();
    }
    Ok(models)
}

/// The names of the models that are installed.
///
/// # Errors
/// As [`Door::json`].
pub async fn installed(door: &Door) -> Result<Vec<String>, Error> {
    let models = all(door).await?;
    let installed = models.iter().filter(|model| !model["installed"].is_null());
    Ok(installed.filter_map(|model| model["name"].as_str().map(str::to_owned)).collect())
}

async fn change(door: &Door, name: &str, verb: &str) -> Result<Value, Error> {
    door.json(Method::POST, &format!("{}/{verb}", path(name)), None).await
}

async fn begin(door: &Door, name: &str) -> Result<Value, Error> {
    door.post("/api/v1/models/pull", &json!({"name": name})).await
}

/// Fetches a model and shows how far it is; the result is the model's record.
///
/// # Errors
/// As [`job::follow`].
pub async fn pull(door: &Door, name: &str, progress: Progress) -> Result<Value, Error> {
    let begun = begin(door, name).await?;
    let id = begun["id"].as_str().unwrap_or_default();
    let mut job = job::follow(door, id, &format!("pulling {name}"), progress).await?;
    Ok(job["result"].take())
}
