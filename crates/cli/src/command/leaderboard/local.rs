//! Documents and task files on this machine: read here, so that a server never reads a path that a request names.

use std::path::{Path, PathBuf};

use qd_task::documents::{Document, Format, read};
use qd_task::truthfulqa;
use serde_json::{Map, Value};

use crate::Error;
use crate::args::DatasetImport;
use crate::command::dataset::import;
use crate::context::Context;
use crate::door::Door;

/// Stands for the hub where a folder would be named.
const HUB: &str = "hub";
/// Folders within folders that are looked into, and files that are taken.
const MAX_DEPTH: usize = 8;
const MAX_FILES: usize = 200;
/// The largest file of documents.
const MAX_BYTES: u64 = 512 << 20;
/// Endings of files of documents, in the order in which they are looked for.
const ENDINGS: [&str; 4] = ["jsonl", "ndjson", "json", "csv"];

/// The task files of a folder, by their paths within it. Files to include have no ending, or another than `.yaml`.
///
/// # Errors
/// [`Error::Usage`] when there are too many, [`Error::Operation`] when one cannot be read.
pub fn task_files(folder: &Path) -> Result<Map<String, Value>, Error> {
    let mut found = Map::new();
    walk(folder, "", 0, &mut found)?;
    Ok(found)
}

fn walk(folder: &Path, within: &str, depth: usize, found: &mut Map<String, Value>) -> Result<(), Error> {
    let failed = |path: &Path, cause: std::io::Error| Error::doing(format!("reading {}", path.display()), cause);
    for entry in std::fs::read_dir(folder).map_err(|cause| failed(folder, cause))? {
        let entry = entry.map_err(|cause| failed(folder, cause))?;
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let place = if within.is_empty() { name.clone() } else { format!("{within}/{name}") };
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            if depth < MAX_DEPTH {
                walk(&path, &place, depth + 1, found)?;
            }
            continue;
        }
        // What is included needs no ending; harness's folders have programs beside the tasks.
        let is_task = matches!(path.extension().and_then(|ending| ending.to_str()), Some("yaml" | "yml") | None);
        if !is_task {
            continue;
        }
        if found.len() == MAX_FILES {
            return Err(Error::Usage {
                problem: format!("there are more than {MAX_FILES} task files in it"),
                help: "name the folder of the tasks that are asked".to_owned(),
            });
        }
        let text = std::fs::read_to_string(&path).map_err(|cause| failed(&path, cause))?;
        found.insert(place, Value::String(text));
    }
    Ok(())
}

/// Makes a dataset of documents in a folder, and gives its version.
///
/// # Errors
/// [`Error::Usage`] when the folder has none of that name, [`Error::Operation`] when they cannot be read. `all` are the needs of the
/// leaderboard, among which another split of the same documents may be.
pub async fn bring(
    context: &Context,
    door: &Door,
    folder: &Path,
    (need, all): (&Value, &[Value]),
) -> Result<String, Error> {
    let text = |field: &str| need[field].as_str();
    let (split, dataset) = (text("split").unwrap_or_default(), text("dataset").unwrap_or_default());
    if folder.as_os_str() == HUB {
        return of_hub(context, door, need).await;
    }
    let own = text("key").unwrap_or_default().rsplit_once('#').map_or("", |(own, _)| own);
    let of = |need: &Value| need["key"].as_str().and_then(|key| key.rsplit_once('#')).map(|(own, _)| own.to_owned());
    let is_only_split = all.iter().filter(|other| of(other) == of(need)).count() < 2;
    let named = Named { source: text("path").unwrap_or(own), part: text("name"), split, is_only_split };
    let (file, documents) = find(folder, &named)?;
    eprintln!("{}: {} documents of {}", dataset, documents.len(), file.display());
    let rows: Vec<Value> = documents.into_iter().map(Value::Object).collect();
    let version = import::rows(context, door, dataset, &rows).await?;
    Ok(format!("{dataset}@{version}"))
}

/// Makes a dataset of documents of the hub, and gives its version.
async fn of_hub(context: &Context, door: &Door, need: &Value) -> Result<String, Error> {
    let text = |field: &str| need[field].as_str().map(str::to_owned);
    let dataset = text("dataset").unwrap_or_default();
    let path = text("path").ok_or_else(|| Error::Usage {
        problem: format!("the task's file says no data set of the hub for {dataset}"),
        help: "name the folder with its documents with --from".to_owned(),
    })?;
    let wanted = DatasetImport::of_hub(dataset.clone(), &path, text("name"), text("split"));
    let made = import::made(context, door, &wanted).await?;
    eprintln!("{dataset}: {} documents of {path} of the hub", made["rows"]);
    let version = made["version"].as_u64();
    version
        .map(|version| format!("{dataset}@{version}"))
        .ok_or_else(|| Error::doing("importing", "the server did not name the version"))
}

/// What is looked for.
struct Named<'n> {
    /// The data set: `openai/gsm8k`.
    source: &'n str,
    /// The part of it.
    part: Option<&'n str>,
    split: &'n str,
    /// Whether no other split of it is needed: a file that names no split may then be this one.
    is_only_split: bool,
}

fn find(folder: &Path, named: &Named<'_>) -> Result<(PathBuf, Vec<Document>), Error> {
    let last = named.source.rsplit('/').next().unwrap_or(named.source);
    for base in bases(folder, named.source, last) {
        if plain(last) == "truthfulqa" && named.is_only_split {
            let csv = base.join("TruthfulQA.csv");
            if csv.is_file() {
                let documents = truthfulqa::multiple_choice(&bytes(&csv)?).map_err(|cause| unread(&csv, cause))?;
                return Ok((csv, documents));
            }
        }
        if let Some(found) = documents(&base, named)? {
            return Ok(found);
        }
    }
    let part = named.part.map(|part| format!("{part}/")).unwrap_or_default();
    let told =
        |why: &str| format!("{} has no documents of {} (split {}){why}", folder.display(), named.source, named.split);
    let whole = Named { is_only_split: true, ..*named };
    if !named.is_only_split && find(folder, &whole).is_ok() {
        return Err(Error::Usage {
            problem: told(
                ": there is a file that names no split, and several are needed, so it is not known whose documents it has",
            ),
            help: format!(
                "examples would be shown with the questions that are asked: name its file {part}{}.jsonl",
                named.split
            ),
        });
    }
    Err(Error::Usage {
        problem: told(""),
        help: format!(
            "they are looked for in files such as {last}/{part}{0}.jsonl, {last}/{0}.json or {last}-{0}.csv; Parquet files and whole \
             folders of the hub are imported with `quarterdeck dataset import`",
            named.split
        ),
    })
}

/// Where a data set may lie in a folder: under its whole name, under the last part of it however that is written, or in the folder itself.
fn bases(folder: &Path, source: &str, last: &str) -> Vec<PathBuf> {
    let mut bases = vec![folder.join(source), folder.join(last)];
    if let Ok(entries) = std::fs::read_dir(folder) {
        let mut alike: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| plain(&entry.file_name().to_string_lossy()) == plain(last))
            .map(|entry| entry.path())
            .collect();
        alike.sort();
        bases.extend(alike);
    }
    bases.push(folder.to_owned());
    bases.retain(|base| base.is_dir());
    bases
}

/// Letters and digits, so that `truthful_qa` is `TruthfulQA`.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

fn documents(base: &Path, named: &Named<'_>) -> Result<Option<(PathBuf, Vec<Document>)>, Error> {
    let last = named.source.rsplit('/').next().unwrap_or(named.source);
    let mut stems = Vec::new();
    let whole = |stem: &str| Some(stem.to_owned()).filter(|_| named.is_only_split);
    if let Some(part) = named.part {
        stems.extend([format!("{part}/{}", named.split), format!("{part}-{}", named.split)]);
        stems.extend(whole(part));
    }
    stems.extend([named.split.to_owned(), format!("{last}-{}", named.split)]);
    stems.extend(whole(last));
    for stem in stems {
        for ending in ENDINGS {
            let file = base.join(format!("{stem}.{ending}"));
            let Some(format) = Format::of_name(&file.to_string_lossy()).filter(|_| file.is_file()) else { continue };
            let bytes = bytes(&file)?;
            let field = (format == Format::Json).then(|| list_field(&bytes)).flatten();
            let found = read(format, &bytes, field.as_deref()).map_err(|cause| unread(&file, cause))?;
            return Ok(Some((file, found)));
        }
    }
    Ok(None)
}

/// The only field of a JSON object that is a list of objects, as BIG-Bench Hard's `examples`.
fn list_field(bytes: &[u8]) -> Option<String> {
    let Ok(Value::Object(object)) = serde_json::from_slice(bytes) else { return None };
    let is_list = |value: &Value| value.as_array().is_some_and(|list| list.first().is_some_and(Value::is_object));
    let mut lists = object.into_iter().filter(|(_, value)| is_list(value)).map(|(name, _)| name);
    lists.next().filter(|_| lists.next().is_none())
}

fn bytes(file: &Path) -> Result<Vec<u8>, Error> {
    let failed = |cause| Error::doing(format!("reading {}", file.display()), cause);
    let size = std::fs::metadata(file).map_err(failed)?.len();
    if size > MAX_BYTES {
        return Err(Error::Usage {
            problem: format!("{} has {size} bytes, {MAX_BYTES} are allowed", file.display()),
            help: "import it with `quarterdeck dataset import`".to_owned(),
        });
    }
    std::fs::read(file).map_err(failed)
}

fn unread(file: &Path, cause: qd_task::Error) -> Error {
    Error::doing(format!("reading {}", file.display()), cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_found_as_their_authors_publish_them() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("gsm8k/test.jsonl", "{\"question\": \"1+1?\", \"answer\": \"#### 2\"}\n");
        write("bbh/navigate.json", "{\"canary\": \"x\", \"examples\": [{\"input\": \"a\", \"target\": \"Yes\"}]}");
        write(
            "truthfulqa/TruthfulQA.csv",
            "Question,Best Answer,Correct Answers,Incorrect Answers\nWhy?,So,So; Yes,No\n",
        );
        let found = |source: &str, part: Option<&str>, split: &str| {
            let named = Named { source, part, split, is_only_split: true };
            find(folder.path(), &named).map(|(_, documents)| documents)
        };
        let of_several =
            |source: &str, part, split| find(folder.path(), &Named { source, part, split, is_only_split: false });
        assert_eq!(found("openai/gsm8k", Some("main"), "test").unwrap()[0]["answer"], "#### 2");
        assert_eq!(found("SaylorTwift/bbh", Some("navigate"), "test").unwrap()[0]["target"], "Yes");
        let truthful = found("truthfulqa/truthful_qa", Some("multiple_choice"), "validation").unwrap();
        assert_eq!(truthful[0]["mc2_targets"]["labels"], serde_json::json!([1, 1, 0]));
        // Of a task with examples from another split neither is in a file that names none.
        let unclear = of_several("SaylorTwift/bbh", Some("navigate"), "train").unwrap_err().to_string();
        assert!(unclear.contains("names no split"), "{unclear}");
        assert!(of_several("openai/gsm8k", Some("main"), "test").is_ok());
        let missing = found("openai/gsm8k", Some("main"), "train").unwrap_err().to_string();
        assert!(missing.contains("openai/gsm8k (split train)"), "{missing}");
    }

    #[test]
    fn task_files_keep_their_paths_and_programs_stay_away() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("own")).unwrap();
        for (path, text) in [("own/a.yaml", "task: a"), ("own/_base", "x: 1"), ("own/utils.py", "def f(): pass")] {
            std::fs::write(folder.path().join(path), text).unwrap();
        }
        let mut found: Vec<String> = task_files(folder.path()).unwrap().keys().cloned().collect();
        found.sort();
        assert_eq!(found, ["own/_base", "own/a.yaml"]);
    }
}
