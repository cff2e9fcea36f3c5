//! `quarterdeck key`: who may do what.

use std::time::Duration;

use clap::ValueEnum as _;
use qd_base::Timestamp;
use serde_json::{Value, json};

use crate::Error;
use crate::args::{Key, Scope};
use crate::command::{rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, segment};
use crate::output::Column;

const DAY: Duration = Duration::from_secs(24 * 3600);

const KEY: &[Column<'_>] = &[
    ("id", "id"),
    ("name", "name"),
    ("hint", "hint"),
    ("scopes", "scopes"),
    ("created", "created"),
    ("expires", "expires"),
    ("revoked", "revoked"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Key) -> Result<(), Error> {
    match verb {
        Key::Create { name, scopes, expires_in_days } => {
            let new = new(&name, &scopes, expires_in_days);
            with_door(context, async |door| create(context, door, new).await).await
        }
        Key::List => {
            with_door(context, async |door| context.printer.rows(&rows_of(door.get("/api/v1/keys").await?), KEY)).await
        }
        Key::Revoke { id } => {
            let path = format!("/api/v1/keys/{}", segment(&id));
            with_door(context, async |door| door.delete(&path).await.map(drop)).await
        }
    }
}

fn new(name: &str, scopes: &[Scope], expires_in_days: Option<u32>) -> Value {
    let scopes: Vec<_> =
        scopes.iter().filter_map(|scope| Some(scope.to_possible_value()?.get_name().to_owned())).collect();
    let expires = expires_in_days.map(|days| Timestamp::now().saturating_add(DAY * days));
    json!({"name": name, "scopes": scopes, "expires": expires})
}

async fn create(context: &Context, door: &Door, new: Value) -> Result<(), Error> {
    let mut made = door.post("/api/v1/keys", &new).await?;
    let mut shown = json!({"key": made["key"].take()});
    if let (Some(shown), Value::Object(record)) = (shown.as_object_mut(), made["record"].take()) {
        shown.extend(record);
    }
    context.printer.object(&shown)?;
    if context.printer.is_for_people() {
        eprintln!("The key is shown this once; only a keyed hash of it is kept.");
    }
    Ok(())
}
