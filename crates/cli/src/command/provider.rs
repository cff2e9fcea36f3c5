//! `quarterdeck provider`: upstreams that calls may be routed to.

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::args::Provider;
use crate::command::{input, rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, segment};
use crate::output::Column;

const PROVIDER: &[Column<'_>] = &[
    ("name", "name"),
    ("kind", "kind"),
    ("base url", "base_url"),
    ("timeout ms", "timeout_ms"),
    ("secret", "has_secret"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Provider) -> Result<(), Error> {
    match verb {
        Provider::Add { name, base_url, timeout_ms, secret_env } => {
            let secret = secret_env.map(|variable| from_environment(&variable)).transpose()?;
            let mut provider = json!({"name": name, "base_url": base_url, "secret": secret});
            if let Some(timeout_ms) = timeout_ms {
                provider["timeout_ms"] = timeout_ms.into();
            }
            with_door(context, async |door| add(context, door, provider).await).await
        }
        Provider::List => {
            with_door(context, async |door| {
                context.printer.rows(&rows_of(door.get("/api/v1/providers").await?), PROVIDER)
            })
            .await
        }
        Provider::Show { name } => {
            with_door(context, async |door| context.printer.object(&door.get(&path(&name)).await?)).await
        }
        Provider::Remove { name } => with_door(context, async |door| door.delete(&path(&name)).await.map(drop)).await,
        Provider::SetSecret { name, env } => {
            let secret = match env {
                Some(variable) => from_environment(&variable)?,
                None => from_input()?,
            };
            with_door(context, async |door| set_secret(context, door, name, secret).await).await
        }
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/providers/{}", segment(name))
}

fn from_environment(variable: &str) -> Result<String, Error> {
    std::env::var(variable).ok().filter(|secret| !secret.trim().is_empty()).ok_or_else(|| Error::Usage {
        problem: format!("the environment variable {variable} holds no secret"),
        help: format!("set it for this command, as in `{variable}=… quarterdeck provider …`"),
    })
}

fn from_input() -> Result<String, Error> {
    let text = input()?;
    match text.trim() {
        "" => Err(Error::Usage {
            problem: "standard input held no secret".to_owned(),
            help: "pipe it in, as in `quarterdeck provider set-secret NAME < key.txt`".to_owned(),
        }),
        secret => Ok(secret.to_owned()),
    }
}

async fn add(context: &Context, door: &Door, provider: Value) -> Result<(), Error> {
    context.printer.object(&door.post("/api/v1/providers", &provider).await?)
}

/// Puts the provider as it is, with another secret.
async fn set_secret(context: &Context, door: &Door, name: String, secret: String) -> Result<(), Error> {
    let path = path(&name);
    let now = door.get(&path).await?;
    let spec = json!({
        "base_url": now["base_url"],
        "timeout_ms": now["timeout_ms"],
        "settings": now["settings"],
        "secret": secret,
    });
    context.printer.object(&door.json(Method::PUT, &path, Some(&spec)).await?)
}
