//! `quarterdeck dataset import`: files sent piece by piece, then read by the server as a job.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use http::Method;
use qd_data::layout::{MAX_FILES, MAX_README_BYTES, Wanted, choose};
use serde_json::{Value, json};

use super::hub;
use crate::Error;
use crate::args::{DatasetFormat, DatasetImport};
use crate::command::job;
use crate::context::Context;
use crate::door::{Door, segment};
use crate::progress::{Shown, Unit};

/// Bytes of one request: few enough that one which is lost is soon sent again, and that servers in between let it through.
const PIECE_BYTES: u64 = 8 << 20;
/// Folders within folders that are looked into.
const MAX_DEPTH: usize = 8;
/// How often a piece is sent before its upload is given up.
const TRIES: u32 = 3;

/// A file to be sent, and what it is called there.
pub struct Local {
    pub path: PathBuf,
    pub name: String,
}

/// Sends the files, fetched before where they are the hub's, and follows their import.
pub async fn run(context: &Context, door: &Door, wanted: DatasetImport) -> Result<(), Error> {
    let result = made(context, door, &wanted).await?;
    match (wanted.detach, wanted.check) {
        (true, _) => context.printer.object(&result),
        (false, true) => report_check(context, &result),
        (false, false) => report(context, &result),
    }
}

/// Sends the files and gives what came of their import: the job where that is not waited for.
///
/// # Errors
/// [`Error::Usage`] for files that there are not, [`Error::Operation`] and [`Error::Failed`] when they cannot be had or taken.
pub async fn made(context: &Context, door: &Door, wanted: &DatasetImport) -> Result<Value, Error> {
    let parts = (wanted.subset.as_deref(), wanted.split.as_deref());
    let Some(named) = hub::named(&wanted.files)? else {
        let (files, readme) = collect(wanted)?;
        return bring(context, door, wanted, (&files, readme, None), parts).await;
    };
    let fetched = hub::fetch(context, &named, parts).await?;
    let said = (&fetched.files[..], fetched.readme.clone(), Some(fetched.source.as_str()));
    let parts = if fetched.are_chosen { (None, None) } else { parts };
    let result = bring(context, door, wanted, said, parts).await?;
    if !wanted.check {
        fetched.clear();
    }
    Ok(result)
}

/// Sends files and follows their import, and gives its job's result.
async fn bring(
    context: &Context,
    door: &Door,
    wanted: &DatasetImport,
    (files, readme, source): (&[Local], Option<String>, Option<&str>),
    (subset, split): (Option<&str>, Option<&str>),
) -> Result<Value, Error> {
    let mut total = 0;
    for file in files {
        total += std::fs::metadata(&file.path).map_err(|cause| reading(&file.path, cause))?.len();
    }
    let mut shown = context.progress.start(format!("uploading {} files", files.len()), Unit::Bytes);
    let (mut sent, mut uploads) = (0, Vec::new());
    for file in files {
        uploads.push(send(door, file, &mut shown, &mut sent, total).await?);
    }
    shown.finish("done");
    let format = wanted.format.map(|format| match format {
        DatasetFormat::Jsonl => "jsonl",
        DatasetFormat::Json => "json",
        DatasetFormat::Csv => "csv",
        DatasetFormat::Parquet => "parquet",
    });
    let pairs = |pairs: &[(String, String)]| pairs.iter().cloned().collect::<BTreeMap<_, _>>();
    let body = json!({
        "files": uploads, "format": format, "field": wanted.field, "readme": readme, "config": subset,
        "split": split, "roles": pairs(&wanted.roles), "types": pairs(&wanted.types), "skip_bad": wanted.skip_bad,
        "source": source, "check": wanted.check,
    });
    let begun = door.post(&format!("/api/v1/datasets/{}/import", segment(&wanted.name)), &body).await?;
    if wanted.detach {
        return Ok(begun);
    }
    let id = begun["id"].as_str().unwrap_or_default();
    let doing = if wanted.check { "checking" } else { "importing" };
    let job = job::follow(door, id, &format!("{doing} {}", wanted.name), context.progress).await;
    // Nothing reads them again. After an import they go by themselves, unless this process ends before.
    let ended = wanted.check || job.is_ok();
    for upload in uploads.iter().filter_map(|upload| upload["upload"].as_str()).filter(|_| ended) {
        let gone = door.delete(&format!("/api/v1/uploads/{upload}")).await;
        if wanted.check {
            gone?;
        }
    }
    Ok(job?["result"].take())
}

/// Makes a version of a dataset of rows, and gives its number.
///
/// # Errors
/// [`Error::Failed`] when the server does not take them.
pub async fn rows(context: &Context, door: &Door, dataset: &str, rows: &[Value]) -> Result<u64, Error> {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    let (mut id, mut sent): (Option<String>, u64) = (None, 0);
    for piece in text.as_bytes().chunks(usize::try_from(PIECE_BYTES).unwrap_or(usize::MAX)) {
        let upload = match &id {
            None => door.send_file(Method::POST, "/api/v1/uploads", piece.to_vec()).await?,
            Some(id) => proceed(door, id, sent, piece.to_vec()).await?,
        };
        sent += piece.len() as u64;
        id = upload["id"].as_str().map(str::to_owned);
    }
    let file = json!({"upload": id, "path": format!("{dataset}.jsonl"), "bytes": sent});
    let body = json!({"files": [file], "format": "jsonl"});
    let begun = door.post(&format!("/api/v1/datasets/{}/import", segment(dataset)), &body).await?;
    let (id, what) = (begun["id"].as_str().unwrap_or_default(), format!("importing {dataset}"));
    let made = job::follow(door, id, &what, context.progress).await?;
    made["result"]["version"].as_u64().ok_or_else(|| Error::doing("importing", "the server did not name the version"))
}

/// What an import would come to: bad rows and notes beside the columns.
fn report_check(context: &Context, result: &Value) -> Result<(), Error> {
    if !context.printer.is_for_people() {
        return context.printer.object(result);
    }
    for note in result["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("{note}");
    }
    told(result, "bad");
    eprintln!("{} rows can be imported, {} cannot", result["rows"], result["bad_count"]);
    let columns = result["columns"].as_array().map_or(&[][..], Vec::as_slice);
    context.printer.rows(columns, &[("column", "name"), ("type", "type"), ("role", "role")])
}

/// Tells the bad rows that a result names.
fn told(result: &Value, word: &str) {
    for bad in result["bad"].as_array().into_iter().flatten() {
        let text = |field: &str| bad[field].as_str().unwrap_or("?");
        eprintln!("{word}: {}, {} {}: {}", text("file"), text("unit"), bad["number"], text("why"));
    }
}

fn report(context: &Context, result: &Value) -> Result<(), Error> {
    if !context.printer.is_for_people() {
        return context.printer.object(result);
    }
    for note in result["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        eprintln!("{note}");
    }
    told(result, "left out");
    let columns = result["columns"].as_array().into_iter().flatten();
    let columns = columns.map(|column| {
        let text = |field: &str| column[field].as_str().unwrap_or("?");
        format!("{} ({}, {})", text("name"), text("type"), text("role"))
    });
    context.printer.object(&json!({
        "dataset": result["dataset"], "version": result["version"], "rows": result["rows"],
        "skipped": result["skipped"], "columns": columns.collect::<Vec<_>>().join(", "),
    }))
}

/// Which files are wanted: those that were named, or those of a folder that hold the split and configuration.
fn collect(wanted: &DatasetImport) -> Result<(Vec<Local>, Option<String>), Error> {
    let [folder] = wanted.files.as_slice() else { return named(&wanted.files) };
    if !folder.is_dir() {
        return named(&wanted.files);
    }
    let mut found = Vec::new();
    walk(folder, "", 0, &mut found)?;
    found.sort_by(|one, other| one.name.cmp(&other.name));
    let readme = readme(folder)?;
    let names: Vec<_> = found.iter().map(|file| file.name.as_str()).collect();
    let asked = Wanted { readme: readme.as_deref(), config: wanted.subset.as_deref(), split: wanted.split.as_deref() };
    let chosen =
        choose(&names, &asked).map_err(|cause| Error::doing(format!("looking into {}", folder.display()), cause))?;
    let places: Vec<_> = chosen.into_iter().map(|file| file.file).collect();
    let kept = found.into_iter().enumerate().filter(|(at, _)| places.contains(at)).map(|(_, file)| file);
    Ok((kept.collect(), readme))
}

fn named(files: &[PathBuf]) -> Result<(Vec<Local>, Option<String>), Error> {
    let local = |path: &PathBuf| match path.file_name() {
        Some(name) if path.is_file() => Ok(Local { path: path.clone(), name: name.to_string_lossy().into_owned() }),
        _ => Err(Error::Usage {
            problem: format!("{} is no file", path.display()),
            help: "name files, or one folder".to_owned(),
        }),
    };
    Ok((files.iter().map(local).collect::<Result<_, _>>()?, None))
}

fn walk(folder: &Path, within: &str, depth: usize, found: &mut Vec<Local>) -> Result<(), Error> {
    for entry in std::fs::read_dir(folder).map_err(|cause| reading(folder, cause))? {
        let entry = entry.map_err(|cause| reading(folder, cause))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{within}{name}");
        if path.is_dir() && depth < MAX_DEPTH {
            walk(&path, &format!("{name}/"), depth + 1, found)?;
        } else if path.is_file() {
            found.push(Local { path, name });
        }
        if found.len() > MAX_FILES {
            return Err(Error::doing(
                format!("looking into {}", folder.display()),
                format!("it has more than {MAX_FILES} files"),
            ));
        }
    }
    Ok(())
}

/// The front matter of a folder's README; what comes after it tells nothing about files.
fn readme(folder: &Path) -> Result<Option<String>, Error> {
    let path = folder.join("README.md");
    let Ok(file) = File::open(&path) else { return Ok(None) };
    let mut text = Vec::new();
    file.take(MAX_README_BYTES as u64).read_to_end(&mut text).map_err(|cause| reading(&path, cause))?;
    Ok(front_matter(&String::from_utf8_lossy(&text)))
}

/// The front matter of a README.
pub fn front_matter(text: &str) -> Option<String> {
    let end = text.trim_start().strip_prefix("---").and_then(|rest| rest.find("\n---"));
    end.map(|end| format!("---{}\n---\n", &text.trim_start()[3..end + 3]))
}

fn reading(path: &Path, cause: std::io::Error) -> Error {
    Error::doing(format!("reading {}", path.display()), cause)
}

/// Sends a file piece by piece, and gives how the import names it.
async fn send(door: &Door, local: &Local, shown: &mut Shown, sent: &mut u64, total: u64) -> Result<Value, Error> {
    let mut file = File::open(&local.path).map_err(|cause| reading(&local.path, cause))?;
    let (mut id, mut bytes): (Option<String>, u64) = (None, 0);
    loop {
        let mut piece = Vec::new();
        let read = file.by_ref().take(PIECE_BYTES).read_to_end(&mut piece);
        if read.map_err(|cause| reading(&local.path, cause))? == 0 && id.is_some() {
            break;
        }
        let length = piece.len() as u64;
        let upload = match &id {
            None => door.send_file(Method::POST, "/api/v1/uploads", piece).await?,
            Some(id) => proceed(door, id, bytes, piece).await?,
        };
        bytes += length;
        *sent += length;
        shown.update(*sent, total, &local.name);
        id = upload["id"].as_str().map(str::to_owned);
        if id.is_none() {
            return Err(Error::doing("uploading", "the server did not name the upload"));
        }
    }
    Ok(json!({"upload": id, "path": local.name, "bytes": bytes}))
}

/// Sends the next piece. When a connection breaks, some of it may have come: the server says how much.
async fn proceed(door: &Door, id: &str, offset: u64, piece: Vec<u8>) -> Result<Value, Error> {
    let path = format!("/api/v1/uploads/{id}");
    let end = offset + piece.len() as u64;
    let mut from = offset;
    for attempt in 1.. {
        let rest = piece[usize::try_from(from - offset).unwrap_or(piece.len())..].to_vec();
        match door.send_file(Method::PUT, &format!("{path}?offset={from}"), rest).await {
            Err(Error::Unreachable { .. } | Error::Answer { .. }) if attempt < TRIES => {
                let there = door.get(&path).await?;
                from = there["bytes"].as_u64().unwrap_or(offset).clamp(offset, end);
                if from == end {
                    return Ok(there);
                }
            }
            answer => return answer,
        }
    }
    Ok(Value::Null)
}
