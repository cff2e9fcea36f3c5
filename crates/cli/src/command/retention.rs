//! `quarterdeck retention`: how long traces are kept.

use http::Method;
use serde_json::{Value, json};

use crate::Error;
use crate::args::Retention;
use crate::command::{rows_of, with_door};
use crate::context::Context;
use crate::door::segment;
use crate::output::Column;

const RETENTION: &[Column<'_>] = &[("table", "table"), ("days", "days"), ("said by", "origin"), ("updated", "updated")];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Retention) -> Result<(), Error> {
    match verb {
        Retention::List => {
            with_door(context, async |door| {
                let mut rows = rows_of(door.get("/api/v1/retention").await?);
                if context.printer.is_for_people() {
                    rows.iter_mut().for_each(in_words);
                }
                context.printer.rows(&rows, RETENTION)
            })
            .await
        }
        Retention::Set { table, days } => {
            with_door(context, async |door| {
                let days = json!({"days": days});
                context.printer.object(&door.json(Method::PUT, &path(&table), Some(&days)).await?)
            })
            .await
        }
        Retention::Clear { table } => with_door(context, async |door| door.delete(&path(&table)).await.map(drop)).await,
    }
}

fn path(table: &str) -> String {
    format!("/api/v1/retention/{}", segment(table))
}

/// No number of days is for ever.
fn in_words(row: &mut Value) {
    if row["days"] == 0 {
        row["days"] = "for ever".into();
    }
}
