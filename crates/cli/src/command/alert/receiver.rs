//! `quarterdeck alert receiver`: webhooks that are told.

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::args::{NewReceiver, Receiver};
use crate::command::{rows_of, with_door};
use crate::context::Context;
use crate::door::segment;
use crate::output::Column;

const PATH: &str = "/api/v1/alerts/receivers";
const RECEIVER: &[Column<'_>] = &[
    ("name", "name"),
    ("url", "url"),
    ("enabled", "enabled"),
    ("delivered", "delivered"),
    ("waiting", "waiting"),
    ("failures", "failures"),
    ("last error", "last_error"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Receiver) -> Result<(), Error> {
    with_door(context, async |door| match verb {
        Receiver::Add(NewReceiver { name, hook, changes }) => {
            let mut new = json!({"name": name, "url": hook});
            if !changes.is_empty() {
                new["changes"] = json!(changes);
            }
            let made = door.post(PATH, &new).await?;
            shown_once(context, &made)
        }
        Receiver::List => context.printer.rows(&rows_of(door.get(PATH).await?), RECEIVER),
        Receiver::Show { name } => context.printer.object(&door.get(&path(&name)).await?),
        Receiver::Enable { name } => switch(context, door, &name, true).await,
        Receiver::Disable { name } => switch(context, door, &name, false).await,
        Receiver::Remove { name } => door.delete(&path(&name)).await.map(drop),
        Receiver::RenewSecret { name } => {
            let made = door.json(Method::POST, &format!("{}/secret", path(&name)), None).await?;
            shown_once(context, &made)
        }
        Receiver::Test { name } => {
            let went = door.json(Method::POST, &format!("{}/test", path(&name)), None).await?;
            context.printer.object(&went)?;
            match went["delivered"] == true {
                true => Ok(()),
                false => Err(Error::Failed {
                    message: went["error"].as_str().unwrap_or("the test was not taken").to_owned(),
                }),
            }
        }
    })
    .await
}

fn path(name: &str) -> String {
    format!("{PATH}/{}", segment(name))
}

async fn switch(context: &Context, door: &crate::door::Door, name: &str, enabled: bool) -> Result<(), Error> {
    let change = json!({"enabled": enabled});
    context.printer.object(&door.json(Method::PUT, &path(name), Some(&change)).await?)
}

fn shown_once(context: &Context, made: &Value) -> Result<(), Error> {
    context.printer.object(made)?;
    if context.printer.is_for_people() {
        eprintln!("The secret verifies signatures. It cannot be shown again.");
    }
    Ok(())
}
