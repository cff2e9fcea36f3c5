//! One file for each noun of the command line.
//!
//! A command asks the [`Door`](crate::door::Door), and prints what comes back; it decides nothing else.

pub mod account;
pub mod alert;
pub mod annotation;
pub mod budget;
pub mod chat;
pub mod completions;
pub mod config;
pub mod dataset;
pub mod doctor;
pub mod evaluation;
pub mod experiment;
mod file;
mod gate;
pub mod job;
pub mod judge;
pub mod key;
pub mod leaderboard;
pub mod model;
pub mod openapi;
pub mod prompt;
pub mod provider;
pub mod retention;
pub mod route;
mod save;
pub mod score;
pub mod scorer;
pub mod serve;
pub mod sql;
pub mod stats;
pub mod task;
pub mod top;
pub mod trace;
pub mod user;

use std::io::Read as _;

use serde_json::Value;

use crate::Error;
use crate::context::Context;
use crate::door::{Door, query};

/// Largest text that is read from standard input.
const INPUT_BYTES_MAX: u64 = 4 << 20;

/// Opens the door, does `work`, and closes the door in order, whatever came of the work.
async fn with_door(context: &Context, work: impl AsyncFnOnce(&Door) -> Result<(), Error>) -> Result<(), Error> {
    let door = Door::open(context).await?;
    let done = work(&door).await;
    door.close().await;
    done
}

/// The rows of a list.
fn rows_of(mut list: Value) -> Vec<Value> {
    match list["data"].take() {
        Value::Array(rows) => rows,
        _ => Vec::new(),
    }
}

/// Most entries that the server gives at once.
const PAGE: usize = 500;

/// The first `limit` entries of a list that comes in pages, and whether there are more.
async fn pages(
    door: &Door,
    path: &str,
    parameters: &[(&str, Option<&str>)],
    limit: usize,
) -> Result<(Vec<Value>, bool), Error> {
    let mut rows: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    while rows.len() < limit {
        let wanted = (limit - rows.len()).min(PAGE).to_string();
        let place = [("limit", Some(wanted.as_str())), ("cursor", cursor.as_deref())];
        let mut page = door.get(&format!("{path}{}", query(&[&place, parameters].concat()))).await?;
        cursor = cursor_of(&page);
        if let Value::Array(data) = page["data"].take() {
            rows.extend(data);
        }
        if cursor.is_none() {
            break;
        }
    }
    Ok((rows, cursor.is_some()))
}

/// Where the next page begins: a text, or the number of a version.
fn cursor_of(page: &Value) -> Option<String> {
    match &page["next_cursor"] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// All of standard input, as text.
fn input() -> Result<String, Error> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(INPUT_BYTES_MAX + 1).read_to_string(&mut text);
    match read {
        Ok(bytes) if bytes as u64 > INPUT_BYTES_MAX => {
            Err(Error::doing("reading standard input", format!("it is larger than {INPUT_BYTES_MAX} bytes")))
        }
        Ok(_) => Ok(text),
        Err(cause) => Err(Error::doing("reading standard input", cause)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_page_begins_at_a_text_or_a_number() {
        assert_eq!(cursor_of(&json!({"next_cursor": "c3"})).as_deref(), Some("c3"));
        assert_eq!(cursor_of(&json!({"next_cursor": 501})).as_deref(), Some("501"));
        assert_eq!(cursor_of(&json!({"next_cursor": null})), None);
    }
}
