//! `quarterdeck dataset`: rows in versions, imported, looked at, changed, compared and split.

mod change;
mod hub;
pub mod import;

use http::Method;
use serde_json::{Map, Value, json};

use crate::Error;
use crate::args::{Dataset, DatasetDiff, DatasetExport, DatasetExportFormat, DatasetRows, DatasetSplit};
use crate::command::save::save;
use crate::command::{job, pages, rows_of, sql, with_door};
use crate::context::Context;
use crate::door::{Door, query, segment};
use crate::output::Column;

const DATASET: &[Column<'_>] = &[
    ("name", "name"),
    ("version", "latest"),
    ("rows", "rows"),
    ("mb", "mb"),
    ("columns", "column_names"),
    ("updated", "updated"),
];

const VERSION: &[Column<'_>] =
    &[("version", "version"), ("from", "origin.from"), ("created", "created"), ("origin", "origin")];

const PART: &[Column<'_>] = &[("part", "part"), ("dataset", "dataset"), ("version", "version"), ("rows", "rows")];

/// Rows of one request.
const PAGE: usize = 500;

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Dataset) -> Result<(), Error> {
    with_door(context, async |door| answer(context, door, verb).await).await
}

async fn answer(context: &Context, door: &Door, verb: Dataset) -> Result<(), Error> {
    let printer = context.printer;
    match verb {
        Dataset::List => printer.rows(&all(door).await?, DATASET),
        Dataset::Import(wanted) => import::run(context, door, wanted).await,
        Dataset::Show { name } => printer.object(&door.get(&version(&name)).await?),
        Dataset::Versions { name, limit } => {
            let (versions, _) = pages(door, &format!("{}/versions", path(&name)), &[], limit).await?;
            printer.rows(&versions, VERSION)
        }
        Dataset::Rows(wanted) => rows(context, door, wanted).await,
        Dataset::Head { name, count } => {
            let limit = usize::try_from(count).unwrap_or(usize::MAX);
            rows(context, door, DatasetRows { name, offset: 0, limit, search: None, equal: None }).await
        }
        Dataset::Sql { name, sql } => sql::ask(context, door, &format!("{}/sql", version(&name)), sql).await,
        Dataset::Diff(wanted) => diff(context, door, wanted).await,
        Dataset::Split(wanted) => split(context, door, wanted).await,
        Dataset::Add(wanted) => change::add(context, door, wanted).await,
        Dataset::Replace(wanted) => change::replace(context, door, wanted).await,
        Dataset::RemoveRows(wanted) => change::remove(context, door, wanted).await,
        Dataset::Export(wanted) => export(context, door, wanted).await,
        Dataset::Label { name, label, version, expect } => {
            let mut body = json!({"version": version});
            if let Some(expect) = expect {
                body["expected"] = Some(expect).filter(|version| *version > 0).into();
            }
            printer.object(&door.json(Method::PUT, &labels(&name, &label), Some(&body)).await?["labels"])
        }
        Dataset::Unlabel { name, label } => printer.object(&door.delete(&labels(&name, &label)).await?["labels"]),
        Dataset::Remove { name } => door.delete(&path(&name)).await.map(drop),
    }
}

fn path(name: &str) -> String {
    format!("/api/v1/datasets/{}", segment(name))
}

fn labels(name: &str, label: &str) -> String {
    format!("{}/labels/{}", path(name), segment(label))
}

/// The path of `name@version`; without a version that of the latest.
fn version(text: &str) -> String {
    let (name, version) = text.rsplit_once('@').unwrap_or((text, "latest"));
    format!("{}/versions/{}", path(name), segment(version))
}

async fn all(door: &Door) -> Result<Vec<Value>, Error> {
    let mut datasets = rows_of(door.get("/api/v1/datasets").await?);
    for dataset in &mut datasets {
        let columns = dataset["columns"].as_array().into_iter().flatten();
        let names: Vec<_> = columns.filter_map(|column| column["name"].as_str()).collect();
        let names = names.join(", ");
        dataset["column_names"] = names.into();
        dataset["mb"] = dataset["bytes"].as_u64().map(|bytes| bytes.div_ceil(1_000_000)).into();
    }
    Ok(datasets)
}

async fn rows(context: &Context, door: &Door, wanted: DatasetRows) -> Result<(), Error> {
    let path = format!("{}/rows", version(&wanted.name));
    let (mut rows, mut next) = (Vec::new(), Some(wanted.offset));
    while let Some(offset) = next.filter(|_| rows.len() < wanted.limit) {
        let limit = (wanted.limit - rows.len()).min(PAGE);
        let page = page(door, &path, offset, limit, wanted.search.as_deref(), wanted.equal.as_ref()).await?;
        next = page["next"].as_u64();
        rows.extend(rows_of(page));
    }
    if context.printer.is_for_people() {
        table(context, &rows)
    } else {
        context.printer.rows(&rows, &[("index", "index"), ("id", "id"), ("values", "values")])
    }
}

/// Rows of a version from a place on, all or those that are looked for.
async fn page(
    door: &Door,
    path: &str,
    offset: u64,
    limit: usize,
    search: Option<&str>,
    equal: Option<&(String, String)>,
) -> Result<Value, Error> {
    let (offset, limit) = (offset.to_string(), limit.to_string());
    let parameters = [
        ("offset", Some(offset.as_str())),
        ("limit", Some(limit.as_str())),
        ("search", search),
        ("column", equal.map(|(column, _)| column.as_str())),
        ("value", equal.map(|(_, value)| value.as_str())),
    ];
    door.get(&format!("{path}{}", query(&parameters))).await
}

/// Rows with their values side by side.
fn table(context: &Context, rows: &[Value]) -> Result<(), Error> {
    let flat: Vec<Value> = rows.iter().map(|row| flat(&row["index"], &row["values"])).collect();
    let names = names(&flat);
    context.printer.rows(&flat, &columns(&names))
}

fn flat(first: &Value, values: &Value) -> Value {
    let mut flat = Map::from_iter([("#".to_owned(), first.clone())]);
    flat.extend(values.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    Value::Object(flat)
}

/// The names of the fields of all rows, each once.
fn names(rows: &[Value]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(Map::keys) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

fn columns(names: &[String]) -> Vec<Column<'_>> {
    names.iter().map(|name| (name.as_str(), name.as_str())).collect()
}

async fn diff(context: &Context, door: &Door, wanted: DatasetDiff) -> Result<(), Error> {
    let limit = wanted.limit.to_string();
    let parameters = [
        ("from", wanted.from.as_deref()),
        ("to", wanted.to.as_deref()),
        ("change", wanted.change.as_deref()),
        ("limit", Some(limit.as_str())),
    ];
    let found = door.get(&format!("{}/diff{}", path(&wanted.name), query(&parameters))).await?;
    if !context.printer.is_for_people() {
        return context.printer.object(&found);
    }
    let by =
        found["by"].as_str().map_or_else(|| "all their values".to_owned(), |column| format!("the column {column}"));
    eprintln!(
        "{}@{} → @{}, rows told apart by {by}: {} added, {} removed, {} changed, {} the same",
        wanted.name, found["from"], found["to"], found["added"], found["removed"], found["changed"], found["same"]
    );
    for change in found["columns"].as_array().into_iter().flatten() {
        eprintln!(
            "column {}: {} → {}",
            change["name"].as_str().unwrap_or("?"),
            column(&change["before"]),
            column(&change["after"])
        );
    }
    let rows: Vec<Value> = found["data"].as_array().into_iter().flatten().flat_map(sides).collect();
    let names = names(&rows);
    context.printer.rows(&rows, &columns(&names))
}

fn column(column: &Value) -> String {
    match (column["type"].as_str(), column["role"].as_str()) {
        (Some(kind), Some(role)) => format!("{kind}, {role}"),
        _ => "none".to_owned(),
    }
}

/// A difference as it is written in text: `-` before what was, `+` before what is.
fn sides(found: &Value) -> Vec<Value> {
    let side = |mark: &str, row: &Value| (!row.is_null()).then(|| flat(&json!(mark), &row["values"]));
    [side("-", &found["before"]), side("+", &found["after"])].into_iter().flatten().collect()
}

async fn split(context: &Context, door: &Door, wanted: DatasetSplit) -> Result<(), Error> {
    let (name, version) = wanted.name.rsplit_once('@').unwrap_or((&wanted.name, "latest"));
    let part = |(name, fraction): &(String, String)| match fraction.parse::<f64>() {
        Ok(fraction) => Ok(json!({"name": name, "fraction": fraction})),
        Err(_) => Err(Error::Usage {
            problem: format!("{fraction} is no fraction"),
            help: "write it like --part train=0.8".to_owned(),
        }),
    };
    let parts = wanted.parts.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    let body = json!({"version": version, "parts": parts, "seed": wanted.seed, "group": wanted.group, "stratify": wanted.stratify});
    let begun = door.post(&format!("{}/split", path(name)), &body).await?;
    let id = begun["id"].as_str().unwrap_or_default();
    let mut job = job::follow(door, id, &format!("splitting {}", wanted.name), context.progress).await?;
    let made = job["result"].take();
    let made = made.as_array().map_or(&[][..], Vec::as_slice);
    context.printer.rows(made, PART)?;
    for part in made {
        for note in part["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            eprintln!("{}: {note}", part["part"].as_str().unwrap_or("?"));
        }
    }
    Ok(())
}

async fn export(context: &Context, door: &Door, wanted: DatasetExport) -> Result<(), Error> {
    let format = match wanted.format {
        DatasetExportFormat::Jsonl => "jsonl",
        DatasetExportFormat::Csv => "csv",
        DatasetExportFormat::Parquet => "parquet",
    };
    let path = format!("{}/export{}", version(&wanted.name), query(&[("format", Some(format))]));
    save(context, door, &path, &wanted.to, "the rows").await
}
