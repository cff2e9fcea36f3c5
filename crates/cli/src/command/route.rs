//! `quarterdeck route`: model names of one's own, each with the targets that may answer.

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::args::Route;
use crate::command::{rows_of, with_door};
use crate::context::Context;
use crate::door::segment;
use crate::output::Column;

const ROUTE: &[Column<'_>] = &[
    ("name", "name"),
    ("targets", "targets"),
    ("retries", "retries"),
    ("timeout ms", "timeout_ms"),
    ("origin", "origin"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Route) -> Result<(), Error> {
    match verb {
        Route::Set { name, target, retries, timeout_ms } => {
            let targets = target.iter().map(|target| read_target(target)).collect::<Result<Vec<_>, _>>()?;
            let route = json!({"targets": targets, "retries": retries, "timeout_ms": timeout_ms});
            with_door(context, async |door| {
                context.printer.object(&door.json(Method::PUT, &path(&name), Some(&route)).await?)
            })
            .await
        }
        Route::List => {
            with_door(context, async |door| {
                let mut routes = rows_of(door.get("/api/v1/routes").await?);
                if context.printer.is_for_people() {
                    routes.iter_mut().for_each(|route| route["targets"] = in_words(&route["targets"]));
                }
                context.printer.rows(&routes, ROUTE)
            })
            .await
        }
        Route::Show { name } => {
            with_door(context, async |door| context.printer.object(&door.get(&path(&name)).await?)).await
        }
        Route::Remove { name } => with_door(context, async |door| door.delete(&path(&name)).await.map(drop)).await,
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/routes/{}", segment(name))
}

/// `provider/model`; a model's own name may hold further slashes.
fn read_target(text: &str) -> Result<Value, Error> {
    let (provider, model) = text.split_once('/').ok_or_else(|| Error::Usage {
        problem: format!("the target {text:?} names no provider"),
        help: "write it as provider/model, for instance openai/gpt-4o-mini or local/smollm2-135m-instruct".to_owned(),
    })?;
    Ok(json!({"provider": provider, "model": model}))
}

/// Targets as a person reads them: `openai/gpt-4o-mini, then local/smollm2-135m-instruct`.
fn in_words(targets: &Value) -> Value {
    let one = |target: &Value| {
        format!("{}/{}", target["provider"].as_str().unwrap_or_default(), target["model"].as_str().unwrap_or_default())
    };
    targets.as_array().map_or(Value::Null, |targets| targets.iter().map(one).collect::<Vec<_>>().join(", then ").into())
}
