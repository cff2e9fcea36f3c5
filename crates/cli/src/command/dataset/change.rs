//! `quarterdeck dataset add`, `replace` and `remove-rows`: a new version out of the latest.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{PAGE, page, path, version};
use crate::Error;
use crate::args::{DatasetAdd, DatasetRemoveRows, DatasetReplace};
use crate::command::{job, rows_of};
use crate::context::Context;
use crate::door::Door;

/// Rows that one request adds or replaces, and bytes after which no more are.
const MOST_ROWS: usize = 10_000;
const MOST_BYTES: u64 = 24 << 20;
/// Rows that one request removes.
const MOST_REMOVED: usize = 100_000;
/// What identifiers a file names twice, and lines that name none, are told at most.
const MOST_TOLD: usize = 20;

/// Adds rows of a file, or recorded calls.
pub async fn add(context: &Context, door: &Door, wanted: DatasetAdd) -> Result<(), Error> {
    if let Some(file) = &wanted.file {
        let rows: Vec<Value> = read_lines(file, MOST_ROWS)?.into_iter().map(|(_, row)| row).collect();
        return change(context, door, &wanted.name, "rows", &json!({"add": rows})).await;
    }
    let told = [
        ("model", &wanted.model),
        ("status", &wanted.status),
        ("kind", &wanted.kind),
        ("session", &wanted.session),
        ("user", &wanted.user),
        ("tag", &wanted.tag),
        ("prompt", &wanted.prompt),
        ("text", &wanted.text),
        ("from", &wanted.since),
        ("to", &wanted.until),
    ];
    let filter: Map<String, Value> =
        told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into()))).collect();
    let body = json!({"filter": filter, "limit": wanted.limit});
    change(context, door, &wanted.name, "traces", &body).await
}

/// Puts rows of a file in the place of those with the same identifiers.
pub async fn replace(context: &Context, door: &Door, wanted: DatasetReplace) -> Result<(), Error> {
    let lines = read_lines(&wanted.file, MOST_ROWS)?;
    let shape = Shape::of(&door.get(&version(&wanted.name)).await?);
    let replace: BTreeMap<String, Value> = named(lines, &wanted.file, |line| shape.row(line))?;
    let body = json!({"base": wanted.base, "replace": replace});
    change(context, door, &wanted.name, "rows", &body).await
}

/// Takes rows out: those that are named, or those that are looked for.
pub async fn remove(context: &Context, door: &Door, wanted: DatasetRemoveRows) -> Result<(), Error> {
    let looked_for = wanted.search.is_some() || wanted.equal.is_some();
    let (base, ids) = if looked_for { look(door, &wanted).await? } else { (wanted.base, listed(door, &wanted).await?) };
    if wanted.check {
        let ids: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
        return context.printer.rows(&ids, &[("id", "id")]);
    }
    change(context, door, &wanted.name, "rows", &json!({"base": base, "remove": ids})).await
}

/// The identifiers that are typed, or stand in a file.
async fn listed(door: &Door, wanted: &DatasetRemoveRows) -> Result<BTreeSet<String>, Error> {
    let Some(file) = &wanted.file else { return Ok(wanted.ids.iter().cloned().collect()) };
    let lines = read_lines(file, MOST_REMOVED)?;
    let shape = Shape::of(&door.get(&version(&wanted.name)).await?);
    let id = |line: Value| match line {
        Value::String(id) => Ok((id, ())),
        line => shape.row(line).map(|(id, _)| (id, ())),
    };
    Ok(named(lines, file, id)?.into_keys().collect())
}

/// The identifiers of the rows that are looked for, and the version in which they were found: only that is changed.
async fn look(door: &Door, wanted: &DatasetRemoveRows) -> Result<(Option<u32>, BTreeSet<String>), Error> {
    let base = wanted.base.map_or_else(|| "latest".to_owned(), |base| base.to_string());
    let (mut path, mut found) = (format!("{}/versions/{base}/rows", path(&wanted.name)), BTreeSet::new());
    let (mut next, mut base) = (Some(0), None);
    while let Some(offset) = next {
        let found_now = page(door, &path, offset, PAGE, wanted.search.as_deref(), wanted.equal.as_ref()).await?;
        next = found_now["next"].as_u64();
        base = found_now["version"].as_u64().and_then(|number| u32::try_from(number).ok());
        if let Some(number) = base {
            path = format!("{}/versions/{number}/rows", super::path(&wanted.name));
        }
        found.extend(rows_of(found_now).iter().filter_map(|row| row["id"].as_str().map(str::to_owned)));
        if found.len() > MOST_REMOVED {
            let problem = format!("more than {MOST_REMOVED} rows are such, and one change removes no more");
            let help = "look for fewer, or export the rows that stay and import them".to_owned();
            return Err(Error::Usage { problem, help });
        }
    }
    match found.is_empty() {
        true => Err(Error::Failed { message: format!("no row of {} is such, so nothing was removed", wanted.name) }),
        false => Ok((base, found)),
    }
}

/// How the rows of a dataset are told apart.
struct Shape {
    /// The column whose values identify them.
    id: Option<String>,
    /// Whether a row may have these two fields itself, as it is printed.
    has_printed_fields: bool,
}

impl Shape {
    fn of(version: &Value) -> Self {
        let columns = || version["columns"].as_array().into_iter().flatten();
        let id = columns().find(|column| column["role"] == "id").and_then(|column| column["name"].as_str());
        let has = |name: &str| columns().any(|column| column["name"] == name);
        Self { id: id.map(str::to_owned), has_printed_fields: has("id") && has("values") }
    }

    /// A line's identifier and row: a row as it is imported, or `{"id": …, "values": {…}}` as `dataset rows` prints it.
    fn row(&self, line: Value) -> Result<(String, Value), String> {
        let Value::Object(mut row) = line else { return Err("it is no object".to_owned()) };
        let is_printed = ["id", "values"].iter().all(|name| row.contains_key(*name))
            && row.keys().all(|name| ["index", "id", "values"].contains(&name.as_str()));
        if is_printed && !self.has_printed_fields {
            let (id, values) = (row.remove("id").unwrap_or_default(), row.remove("values").unwrap_or_default());
            return match (id, values.is_object()) {
                (Value::String(id), true) => Ok((id, values)),
                _ => Err("its id is no text, or its values are no object".to_owned()),
            };
        }
        let Some(column) = &self.id else {
            return Err(
                "the dataset has no column of identifiers, so a row is told by {\"id\": …, \"values\": {…}}, as \
                        `quarterdeck dataset rows --output jsonl` prints it"
                    .to_owned(),
            );
        };
        match row.get(column).filter(|id| !id.is_null()) {
            Some(id) => Ok((qd_data::key_of(id), Value::Object(row))),
            None => Err(format!("it has no {column}")),
        }
    }
}

/// What the lines of a file are by their identifiers.
fn named<T>(
    lines: Vec<(u64, Value)>,
    file: &Path,
    read: impl Fn(Value) -> Result<(String, T), String>,
) -> Result<BTreeMap<String, T>, Error> {
    let (mut found, mut places, mut bad) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for (number, line) in lines {
        match read(line) {
            Err(why) => bad.push(format!("line {number}: {why}")),
            Ok((id, _)) if places.contains_key(&id) => {
                bad.push(format!("line {number}: it has the id {id:?} of line {}", places[&id]));
            }
            Ok((id, what)) => {
                places.insert(id.clone(), number);
                found.insert(id, what);
            }
        }
    }
    if bad.is_empty() {
        return Ok(found);
    }
    let more = match bad.len().saturating_sub(MOST_TOLD) {
        0 => String::new(),
        more => format!("\nand {more} more"),
    };
    bad.truncate(MOST_TOLD);
    Err(Error::doing(format!("reading {}", file.display()), bad.join("\n") + &more))
}

/// Asks for a change, and follows the job that makes it when it takes long.
async fn change(context: &Context, door: &Door, name: &str, what: &str, body: &Value) -> Result<(), Error> {
    let mut answer = door.post(&format!("{}/{what}", path(name)), body).await?;
    if let Some(job) = answer["id"].as_str() {
        let mut done = job::follow(door, job, &format!("changing {name}"), context.progress).await?;
        answer = done["result"].take();
    }
    context.printer.object(&answer)
}

/// The lines of a file of JSON lines with their numbers, as many as one request may have.
fn read_lines(file: &Path, most: usize) -> Result<Vec<(u64, Value)>, Error> {
    let reading = || format!("reading {}", file.display());
    let source: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(std::fs::File::open(file).map_err(|cause| Error::doing(reading(), cause))?),
    };
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for (number, line) in (1..).zip(BufReader::new(source.take(MOST_BYTES + 1)).lines()) {
        let line = line.map_err(|cause| Error::doing(reading(), cause))?;
        bytes += line.len() as u64 + 1;
        if bytes > MOST_BYTES {
            let mib = MOST_BYTES >> 20;
            let why = format!("it has more than {mib} MiB; `quarterdeck dataset import` takes files of any size");
            return Err(Error::doing(reading(), why));
        }
        if line.trim().is_empty() {
            continue;
        }
        let at = || format!("reading line {number} of {}", file.display());
        if let Some(wide) = qd_data::wide_number(line.as_bytes()) {
            let why = format!("the whole number {wide} has more than 64 bits; write it as a text");
            return Err(Error::doing(at(), why));
        }
        lines.push((number, serde_json::from_str(&line).map_err(|cause| Error::doing(at(), cause))?));
        if lines.len() > most {
            let why = format!("it has more than {most} rows; `quarterdeck dataset import` takes millions");
            return Err(Error::doing(reading(), why));
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(columns: Value) -> Shape {
        Shape::of(&json!({ "columns": columns }))
    }

    #[test]
    fn a_line_is_a_row_or_what_is_printed_of_one() {
        let by_number = shape(json!([{"name": "n", "role": "id"}, {"name": "q", "role": "input"}]));
        let row = json!({"n": 7, "q": "x"});
        assert_eq!(by_number.row(row.clone()).unwrap(), ("7".to_owned(), row.clone()));
        let printed = json!({"index": 3, "id": "7", "values": row});
        assert_eq!(by_number.row(printed.clone()).unwrap(), ("7".to_owned(), row));
        assert_eq!(by_number.row(json!({"q": "x"})).unwrap_err(), "it has no n");
        assert_eq!(by_number.row(json!([1])).unwrap_err(), "it is no object");
        let without = shape(json!([{"name": "q", "role": "input"}]));
        assert_eq!(without.row(printed).unwrap().0, "7");
        assert!(without.row(json!({"q": "x"})).unwrap_err().contains("no column of identifiers"));
        // Of a dataset with both columns a line is the row itself.
        let both = shape(json!([{"name": "id", "role": "id"}, {"name": "values", "role": "variables"}]));
        let row = json!({"id": "a", "values": {"b": 1}});
        assert_eq!(both.row(row.clone()).unwrap(), ("a".to_owned(), row));
    }

    #[test]
    fn lines_that_name_no_row_are_told_by_their_numbers() {
        let shape = shape(json!([{"name": "n", "role": "id"}]));
        let lines = [json!({"n": 1}), json!({"m": 1}), json!({"n": 1.0})];
        let lines = (1..).zip(lines).collect();
        let error = named(lines, Path::new("f"), |line| shape.row(line)).unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(why, "line 2: it has no n\nline 3: it has the id \"1\" of line 1");
    }
}
