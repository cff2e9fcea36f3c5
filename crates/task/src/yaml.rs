//! The text of a task file: YAML with `include` and `!function`.
//!
//! YAML 1.2, where lm-evaluation-harness reads 1.1: a bare `yes` or `off` is a text here. Where a truth value is meant, both are understood.

use std::collections::{BTreeMap, BTreeSet};

use serde_yaml_ng::value::{Tag, TaggedValue};
use serde_yaml_ng::{Mapping, Value};

use crate::{Error, Result};

/// The longest task file.
const MAX_FILE_BYTES: usize = 1 << 20;
/// Files that one file includes, directly and through others.
const MAX_INCLUDES: usize = 50;

pub(crate) const FUNCTION_FILES: &str = "known are those of the shipped tasks";

/// Reads a file and what it includes: what stands in it wins over what is included, a later include over an earlier one.
pub(crate) fn load(files: &BTreeMap<String, String>, path: &str) -> Result<Mapping> {
    load_once(files, path, &mut BTreeSet::new())
}

fn load_once(files: &BTreeMap<String, String>, path: &str, seen: &mut BTreeSet<String>) -> Result<Mapping> {
    if !seen.insert(path.to_owned()) {
        return Err(Error::file(path, "the file is included twice; include it once"));
    }
    if seen.len() > MAX_INCLUDES {
        return Err(Error::file(path, format!("more than {MAX_INCLUDES} files are included")));
    }
    let text = files.get(path).ok_or_else(|| Error::file(path, "there is no such file; add it beside the task"))?;
    let mut own = parse(path, text)?;
    let Some(includes) = own.remove("include") else { return Ok(own) };
    let includes = match includes {
        Value::Sequence(several) => several,
        one => vec![one],
    };
    let mut merged = Mapping::new();
    for include in includes {
        let include = include.as_str().ok_or_else(|| Error::file(path, "include: write the path of a file"))?;
        let included = load_once(files, &beside(path, include)?, seen)?;
        merged.extend(included.into_iter().filter(|(key, _)| key != "task_list"));
    }
    merged.extend(own);
    Ok(merged)
}

/// Reads one file, without what it includes.
pub(crate) fn parse(path: &str, text: &str) -> Result<Mapping> {
    if text.len() > MAX_FILE_BYTES {
        return Err(Error::file(path, format!("the file has {} bytes, {MAX_FILE_BYTES} are allowed", text.len())));
    }
    let mut value: Value = serde_yaml_ng::from_str(text).map_err(|error| Error::file(path, error.to_string()))?;
    value.apply_merge().map_err(|error| Error::file(path, error.to_string()))?;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    match with_functions_of(folder, value).map_err(|why| Error::file(path, why))? {
        Value::Mapping(mapping) => Ok(mapping),
        _ => Err(Error::file(path, "a task file is a mapping of fields to values")),
    }
}

/// The path that `name` has when `from` names it. It stays among the files that were given.
fn beside(from: &str, name: &str) -> Result<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in name.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts
                    .pop()
                    .ok_or_else(|| Error::file(from, format!("include {name:?} leaves the folder of the tasks")))?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// Puts the folder before the name of each function, as `!function bbh/zeroshot/utils.Name`; no other tag is known.
fn with_functions_of(folder: &str, value: Value) -> std::result::Result<Value, String> {
    Ok(match value {
        Value::Tagged(tagged) if tagged.tag == "function" => {
            let name = tagged.value.as_str().ok_or("!function needs the name of a function")?;
            let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            Value::Tagged(Box::new(TaggedValue { tag: Tag::new("function"), value: Value::String(path) }))
        }
        Value::Tagged(tagged) => return Err(format!("the tag {} is not known; only !function is", tagged.tag)),
        Value::Sequence(items) => {
            let items = items.into_iter().map(|item| with_functions_of(folder, item));
            Value::Sequence(items.collect::<std::result::Result<_, _>>()?)
        }
        Value::Mapping(mapping) => {
            let pairs = mapping.into_iter().map(|(key, value)| Ok((key, with_functions_of(folder, value)?)));
            Value::Mapping(pairs.collect::<std::result::Result<_, String>>()?)
        }
        other => other,
    })
}

/// The path of a function, where the value is one.
pub(crate) fn function(value: &Value) -> Option<&str> {
    match value {
        Value::Tagged(tagged) => tagged.value.as_str(),
        _ => None,
    }
}

/// The value as JSON has it; none for functions, for keys that are no texts, and for numbers that JSON has not.
pub(crate) fn to_json(value: &Value) -> Option<serde_json::Value> {
    use serde_json::Value as Json;
    Some(match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => Json::Bool(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(whole), _) => Json::from(whole),
            (None, Some(whole)) => Json::from(whole),
            _ => Json::from(number.as_f64().filter(|number| number.is_finite())?),
        },
        Value::String(text) => Json::String(text.clone()),
        Value::Sequence(items) => Json::Array(items.iter().map(to_json).collect::<Option<_>>()?),
        Value::Mapping(pairs) => {
            let pair = |(key, value): (&Value, &Value)| Some((key.as_str()?.to_owned(), to_json(value)?));
            Json::Object(pairs.iter().map(pair).collect::<Option<_>>()?)
        }
        Value::Tagged(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn what_stands_in_a_file_wins_over_what_it_includes() {
        let files = files(&[
            ("a/task.yaml", "include: [../base_yaml, own_yaml]\ntask: t\nb: 3\nf: !function utils.g"),
            ("base_yaml", "a: 1\nb: 1\nc: 1\ntask_list: []\nf: !function utils.f"),
            ("a/own_yaml", "b: 2\nc: 2"),
        ]);
        let loaded = load(&files, "a/task.yaml").unwrap();
        let number = |key: &str| loaded.get(key).and_then(Value::as_i64);
        assert_eq!([number("a"), number("b"), number("c")], [Some(1), Some(3), Some(2)]);
        assert_eq!(loaded.get("f").and_then(function), Some("a/utils.g"));
        assert!(loaded.get("task_list").is_none() && loaded.get("include").is_none());
    }

    #[test]
    fn what_cannot_be_included_is_named() {
        let fails = |text: &str| load(&files(&[("a.yaml", text)]), "a.yaml").unwrap_err().to_string();
        assert!(fails("include: a.yaml").contains("included twice"));
        assert!(fails("include: b.yaml").starts_with("b.yaml: there is no such file"));
        assert!(fails("include: ../b.yaml").contains("leaves the folder"));
        assert!(fails("a: !python/object x").contains("only !function"));
        assert!(fails("- a").contains("mapping"));
        assert!(fails("a: [").starts_with("a.yaml: "));
    }
}
