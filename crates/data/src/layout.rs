//! Which files of a folder hold which split of a dataset, in the layout of the Hugging Face hub.
//!
//! What the front matter of its README says (`configs` with `data_files`) comes first; where it says nothing, the names of
//! files and folders do: `data/train-00000-of-00001.parquet`, `test.csv`, `validation/part.jsonl`.
//!
//! <https://huggingface.co/docs/hub/datasets-data-files-configuration>

use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Result};

/// Files of one import at most.
pub const MAX_FILES: usize = 2000;
/// The longest README whose front matter is read.
pub const MAX_README_BYTES: usize = 256 << 10;

/// Endings of files that hold rows, before `.gz` or `.zst`.
const ENDINGS: &[&str] = &[".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet"];

/// Files that lie beside the data and describe it.
const DESCRIPTIONS: &[&str] =
    &["dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json"];

/// Words for splits in names of files, and what each means.
const SPLITS: &[(&str, &str)] = &[
    ("train", "train"),
    ("training", "train"),
    ("validation", "validation"),
    ("valid", "validation"),
    ("val", "validation"),
    ("dev", "validation"),
    ("test", "test"),
    ("testing", "test"),
    ("eval", "test"),
    ("evaluation", "test"),
];

/// A file that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Its place among the paths.
    pub file: usize,
    /// The split that it belongs to, when it says so.
    pub split: Option<String>,
}

/// What of a folder is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// The text of its README, when there is one.
    pub readme: Option<&'a str>,
    /// The configuration; the one that is called `default` or is first when absent.
    pub config: Option<&'a str>,
    /// The split; all of them when absent.
    pub split: Option<&'a str>,
}

/// Whether a file may hold rows, by its name.
pub fn may_hold_rows(path: &str) -> bool {
    let path = path.to_lowercase();
    let name = path.rsplit('/').next().unwrap_or(&path);
    let plain = name.trim_end_matches(".gz").trim_end_matches(".zst");
    ENDINGS.iter().any(|ending| plain.ends_with(ending)) && !DESCRIPTIONS.contains(&name) && !name.starts_with('.')
}

/// The files that hold what is wanted, by their splits and then their paths. A single file is taken whatever it is called.
///
/// # Errors
/// [`Error::Invalid`] when the README cannot be read, or there is no such configuration or split.
pub fn choose(paths: &[&str], wanted: &Wanted<'_>) -> Result<Vec<Chosen>> {
    if let ([_], None) = (paths, wanted.split) {
        return Ok(vec![Chosen { file: 0, split: None }]);
    }
    let data: Vec<_> = (0..paths.len()).filter(|at| may_hold_rows(paths[*at])).collect();
    if data.is_empty() {
        let why = format!("none of the {} files holds rows; those that do end in {}", paths.len(), ENDINGS.join(" "));
        return Err(Error::invalid("files", why));
    }
    let configs = wanted.readme.map(front_matter).transpose()?.unwrap_or_default();
    let mut chosen = match config(configs, wanted.config)? {
        Some(config) => by_config(paths, &data, &config)?,
        None => by_names(paths, &data, wanted.config),
    };
    if let Some(split) = wanted.split {
        let mut there: Vec<_> = chosen.iter().filter_map(|file| file.split.clone()).collect();
        (there.sort(), there.dedup()).1;
        chosen.retain(|file| file.split.as_deref() == Some(split));
        if chosen.is_empty() {
            return Err(Error::invalid("split", format!("there is no {split:?}; there are: {}", there.join(" "))));
        }
    }
    let rank = |split: &Option<String>| SPLITS.iter().position(|(_, known)| split.as_deref() == Some(*known));
    chosen.sort_by(|a, b| (rank(&a.split), &a.split, paths[a.file]).cmp(&(rank(&b.split), &b.split, paths[b.file])));
    Ok(chosen)
}

/// A configuration of the front matter.
#[derive(Debug, Clone, Deserialize)]
struct Config {
    config_name: String,
    #[serde(default)]
    data_files: Value,
    #[serde(default)]
    default: bool,
    #[serde(default)]
    data_dir: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct FrontMatter {
    #[serde(default)]
    configs: Vec<Config>,
}

fn front_matter(readme: &str) -> Result<Vec<Config>> {
    if readme.len() > MAX_README_BYTES {
        return Err(Error::TooLarge { what: "readme", limit: format!("{MAX_README_BYTES} bytes") });
    }
    let text = readme.strip_prefix('\u{feff}').unwrap_or(readme).trim_start();
    let Some(yaml) = text.strip_prefix("---").and_then(|rest| rest.split("\n---").next()) else {
        return Ok(Vec::new());
    };
    let read: Result<FrontMatter, _> = serde_yaml_ng::from_str(yaml);
    Ok(read.map_err(|cause| Error::invalid("readme", format!("its front matter cannot be read: {cause}")))?.configs)
}

fn config(configs: Vec<Config>, wanted: Option<&str>) -> Result<Option<Config>> {
    let names: Vec<_> = configs.iter().map(|config| config.config_name.clone()).collect();
    let found = match wanted {
        Some(wanted) if names.is_empty() => return Ok(Some(wanted).and(None)),
        Some(wanted) => configs.into_iter().find(|config| config.config_name == wanted),
        None => {
            let usual = configs.iter().position(|config| config.default || config.config_name == "default");
            configs.into_iter().nth(usual.unwrap_or(0))
        }
    };
    match (found, wanted) {
        (None, Some(wanted)) => {
            Err(Error::invalid("config", format!("there is no {wanted:?}; there are: {}", names.join(" "))))
        }
        (found, _) => Ok(found.filter(|config| !config.data_files.is_null() || config.data_dir.is_some())),
    }
}

fn by_config(paths: &[&str], data: &[usize], config: &Config) -> Result<Vec<Chosen>> {
    let folder = config.data_dir.as_deref().map(|dir| format!("{}/", dir.trim_matches('/'))).unwrap_or_default();
    let within: Vec<_> = data.iter().copied().filter(|at| paths[*at].starts_with(&folder)).collect();
    let mut chosen = Vec::new();
    for (split, patterns) in patterns(&config.data_files) {
        for pattern in patterns {
            let pattern = format!("{folder}{}", pattern.trim_start_matches("./"));
            let matching = within.iter().filter(|at| matches(pattern.as_bytes(), paths[**at].as_bytes()));
            for &file in matching {
                let known = chosen.iter().any(|other: &Chosen| other.file == file && other.split == split);
                if !known {
                    chosen.push(Chosen { file, split: split.clone().or_else(|| split_of(paths[file])) });
                }
            }
        }
    }
    if config.data_files.is_null() {
        chosen = by_names(paths, &within, None);
    }
    match chosen.is_empty() {
        true => Err(Error::invalid("config", format!("no file is what {:?} names", config.config_name))),
        false => Ok(chosen),
    }
}

/// What `data_files` says: one pattern, several, a list of splits with theirs, or an object of them.
fn patterns(data_files: &Value) -> Vec<(Option<String>, Vec<String>)> {
    let texts = |value: &Value| -> Vec<String> {
        let one = value.as_str().map(str::to_owned);
        let many = value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        one.into_iter().chain(many).collect()
    };
    match data_files {
        Value::Object(splits) => splits.iter().map(|(split, paths)| (Some(split.clone()), texts(paths))).collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(entry) => (
                    entry.get("split").and_then(Value::as_str).map(str::to_owned),
                    texts(entry.get("path").unwrap_or(&Value::Null)),
                ),
                other => (None, texts(other)),
            })
            .collect(),
        other => vec![(None, texts(other))],
    }
}

/// By names; of several configurations, each in a folder of its own, only the one that is wanted.
fn by_names(paths: &[&str], data: &[usize], config: Option<&str>) -> Vec<Chosen> {
    let in_folder = |path: &str| config.is_none_or(|config| path.split('/').rev().skip(1).any(|part| part == config));
    let any = data.iter().any(|at| in_folder(paths[*at]));
    let wanted = data.iter().copied().filter(|at| !any || in_folder(paths[*at]));
    let mut chosen: Vec<_> = wanted.map(|file| Chosen { file, split: split_of(paths[file]) }).collect();
    // Beside files that say what they are, those that do not are the ones to learn from.
    if chosen.iter().any(|file| file.split.is_some()) {
        chosen.iter_mut().for_each(|file| file.split = file.split.take().or_else(|| Some("train".to_owned())));
    }
    chosen
}

/// The split that a path names: a word of its own in the file's name, or else in that of a folder.
fn split_of(path: &str) -> Option<String> {
    let lower = path.to_lowercase();
    let of_part = |part: &str| {
        let words = part.split(|letter: char| !letter.is_ascii_alphabetic());
        let known = |word: &str| SPLITS.iter().find(|(known, _)| *known == word).map(|(_, split)| (*split).to_owned());
        words.filter_map(known).next()
    };
    lower.rsplit('/').find_map(of_part)
}

/// Whether a path is what a pattern with `*`, `?` and `**` means. Like the hub's, `*` stays within one folder.
fn matches(pattern: &[u8], path: &[u8]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([b'*', b'*', b'/', rest @ ..], _) => {
            matches(rest, path)
                || path.iter().position(|byte| *byte == b'/').is_some_and(|at| matches(pattern, &path[at + 1..]))
        }
        ([b'*', b'*', rest @ ..], _) => (0..=path.len()).any(|at| matches(rest, &path[at..])),
        ([b'*', rest @ ..], _) => {
            let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
            (0..=end).any(|at| matches(rest, &path[at..]))
        }
        ([b'?', pattern @ ..], [byte, path @ ..]) if *byte != b'/' => matches(pattern, path),
        ([wanted, pattern @ ..], [byte, path @ ..]) if wanted == byte => matches(pattern, path),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(paths: &[&str], wanted: &Wanted<'_>, expected: &[(&str, Option<&str>)]) {
        let chosen = choose(paths, wanted).unwrap();
        let found: Vec<_> = chosen.iter().map(|file| (paths[file.file], file.split.as_deref())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn names_tell_splits() {
        let paths = &[
            "README.md",
            "dataset_infos.json",
            "data/test-00000-of-00001.parquet",
            "data/train-00001-of-00002.parquet",
            "data/train-00000-of-00002.parquet",
        ];
        check(
            paths,
            &Wanted::default(),
            &[
                ("data/train-00000-of-00002.parquet", Some("train")),
                ("data/train-00001-of-00002.parquet", Some("train")),
                ("data/test-00000-of-00001.parquet", Some("test")),
            ],
        );
        let test = Wanted { split: Some("test"), ..Wanted::default() };
        check(paths, &test, &[("data/test-00000-of-00001.parquet", Some("test"))]);
        check(
            &["x.csv", "my_dev.csv"],
            &Wanted::default(),
            &[("x.csv", Some("train")), ("my_dev.csv", Some("validation"))],
        );
        check(&["a.jsonl", "contest.jsonl"], &Wanted::default(), &[("a.jsonl", None), ("contest.jsonl", None)]);
        check(&["anything"], &Wanted::default(), &[("anything", None)]);
        let missing = choose(paths, &Wanted { split: Some("dev"), ..Wanted::default() }).unwrap_err();
        assert_eq!(missing.to_string(), "split: there is no \"dev\"; there are: test train");
    }

    /// As the README of openai/gsm8k has it.
    const README: &str = "---\nlicense: mit\nconfigs:\n- config_name: main\n  data_files:\n  - split: train\n    path: main/train-*\n  - split: test\n    path: main/test-*\n- config_name: socratic\n  data_files:\n  - split: train\n    path: socratic/train-*\n---\n\n# GSM8K\n";

    #[test]
    fn the_front_matter_comes_first() {
        let paths =
            &["main/test-0.parquet", "main/train-0.parquet", "socratic/train-0.parquet", "main/sub/train-1.parquet"];
        let main = Wanted { readme: Some(README), ..Wanted::default() };
        check(paths, &main, &[("main/train-0.parquet", Some("train")), ("main/test-0.parquet", Some("test"))]);
        let socratic = Wanted { config: Some("socratic"), ..main.clone() };
        check(paths, &socratic, &[("socratic/train-0.parquet", Some("train"))]);
        let none = choose(paths, &Wanted { config: Some("x"), ..main }).unwrap_err();
        assert_eq!(none.to_string(), "config: there is no \"x\"; there are: main socratic");
        // Without front matter, folders are configurations.
        let socratic = Wanted { config: Some("socratic"), ..Wanted::default() };
        check(paths, &socratic, &[("socratic/train-0.parquet", Some("train"))]);
        let broken = choose(paths, &Wanted { readme: Some("---\nconfigs: 7\n---"), ..Wanted::default() });
        assert!(matches!(broken, Err(Error::Invalid { what: "readme", .. })));
    }

    #[test]
    fn data_files_have_many_forms() {
        let with =
            |data_files: &str| format!("---\nconfigs:\n- config_name: default\n  data_files: {data_files}\n---\n");
        let paths = &["data/a.csv", "b.csv", "data/deep/c.csv"];
        for (data_files, expected) in [
            ("\"*.csv\"", vec![("b.csv", None)]),
            ("\"**/*.csv\"", vec![("b.csv", None), ("data/a.csv", None), ("data/deep/c.csv", None)]),
            ("[\"data/*.csv\", \"b.csv\"]", vec![("b.csv", None), ("data/a.csv", None)]),
            ("{train: b.csv, test: [\"data/?.csv\"]}", vec![("b.csv", Some("train")), ("data/a.csv", Some("test"))]),
            (
                "[{split: extra, path: \"data/**\"}]",
                vec![("data/a.csv", Some("extra")), ("data/deep/c.csv", Some("extra"))],
            ),
        ] {
            check(paths, &Wanted { readme: Some(&with(data_files)), ..Wanted::default() }, &expected);
        }
    }
}
