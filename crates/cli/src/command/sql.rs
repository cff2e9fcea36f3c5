//! `quarterdeck sql`: one read-only statement over the lake.

use serde_json::{Value, json};

use crate::Error;
use crate::args::Sql;
use crate::command::{input, with_door};
use crate::context::Context;
use crate::door::Door;
use crate::output::Column;

/// Runs the statement and prints its rows.
pub async fn run(context: &Context, sql: Sql) -> Result<(), Error> {
    with_door(context, async |door| ask(context, door, "/api/v1/sql", sql).await).await
}

/// Asks what is behind a path, and prints the rows of the answer.
pub async fn ask(context: &Context, door: &Door, path: &str, sql: Sql) -> Result<(), Error> {
    let statement = if sql.statement == "-" { input()? } else { sql.statement };
    let mut query = json!({"sql": statement});
    if let Some(rows) = sql.max_rows {
        query["max_rows"] = rows.into();
    }
    let answer = door.post(path, &query).await?;
    let names: Vec<&str> = list(&answer["columns"]).iter().filter_map(|column| column["name"].as_str()).collect();
    let columns: Vec<Column<'_>> = names.iter().map(|name| (*name, *name)).collect();
    context.printer.rows(list(&answer["rows"]), &columns)?;
    if answer["truncated"] == true {
        eprintln!("There are more rows; --max-rows asks for them.");
    }
    Ok(())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
