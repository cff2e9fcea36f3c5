//! `quarterdeck model`: the catalogue, what is installed, fetching more.

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::args::Model;
use crate::command::{job, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, segment};
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
        Model::Remove { name } => {
            with_door(context, async |door| context.printer.object(&door.delete(&path(&name)).await?)).await
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/models/{}", segment(name))
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
