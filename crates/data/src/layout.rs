//! Which files of a folder hold which split of a dataset, in the layout of the Hugging Face hub.
//!
//! What the front matter of its README says (`configs` with `data_files`) comes first; where it says nothing, the names of
//! files and folders do: `data/train-00000-of-00001.parquet`, `test.csv`, `validation/part.jsonl`.
//!
//! <https://huggingface.co/docs/hub/datasets-data-files-configuration>

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use crate::{Error, Result};

/// Files of one import at most.
pub const MAX_FILES: usize = 2000;
/// The longest README whose front matter is read.
pub const MAX_README_BYTES: usize = 256 << 10;

/// The longest path of a file, and the longest pattern for some.
pub const MAX_PATH_BYTES: usize = 1 << 10;
/// Steps of comparing paths with patterns: bytes of all paths times bytes of all patterns.
const MAX_STEPS: usize = 1 << 31;

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

/// The split of files that say nothing of one.
const USUAL_SPLIT: &str = "train";

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
    check_lengths(paths.iter().copied())?;
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
    if wanted.split == Some(USUAL_SPLIT) && chosen.iter().all(|file| file.split.is_none()) {
        // As on the hub: where nothing says what it is, all of it is to learn from.
        chosen.iter_mut().for_each(|file| file.split = Some(USUAL_SPLIT.to_owned()));
    }
    if let Some(split) = wanted.split {
        let mut there: Vec<_> = chosen.iter().filter_map(|file| file.split.clone()).collect();
        there.sort();
        there.dedup();
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
    let patterns = patterns(&config.data_files);
    check_lengths(patterns.iter().flat_map(|(_, patterns)| patterns).map(String::as_str).chain([folder.as_str()]))?;
    check_steps(paths, &folder, &patterns)?;
    let (mut chosen, mut known) = (Vec::new(), HashSet::new());
    for (split, patterns) in patterns {
        for pattern in patterns {
            let pattern = format!("{folder}{}", pattern.trim_start_matches("./"));
            for &file in within.iter().filter(|at| matches(pattern.as_bytes(), paths[**at].as_bytes())) {
                let split = split.clone().or_else(|| split_of(paths[file]));
                if known.insert((file, split.clone())) {
                    chosen.push(Chosen { file, split });
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

fn check_lengths<'a>(mut texts: impl Iterator<Item = &'a str>) -> Result<()> {
    match texts.find(|text| text.len() > MAX_PATH_BYTES) {
        Some(_) => Err(Error::TooLarge { what: "path of a file", limit: format!("{MAX_PATH_BYTES} bytes") }),
        None => Ok(()),
    }
}

fn check_steps(paths: &[&str], folder: &str, patterns: &[Patterns]) -> Result<()> {
    let of_paths: usize = paths.iter().map(|path| path.len() + 1).sum();
    let all = patterns.iter().flat_map(|(_, patterns)| patterns);
    let of_patterns: usize = all.map(|pattern| folder.len() + pattern.len() + 1).sum();
    match of_paths.saturating_mul(of_patterns) > MAX_STEPS {
        true => {
            Err(Error::invalid("config", "it has too many patterns for so many files; name the files of one split"))
        }
        false => Ok(()),
    }
}

/// Patterns, and the split that they are for.
type Patterns = (Option<String>, Vec<String>);

/// What `data_files` says: one pattern, several, a list of splits with theirs, or an object of them.
fn patterns(data_files: &Value) -> Vec<Patterns> {
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
        chosen.iter_mut().for_each(|file| file.split = file.split.take().or_else(|| Some(USUAL_SPLIT.to_owned())));
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
///
/// `ends[n]` says whether what of the pattern was looked at means the first `n` bytes of the path: each piece of the pattern
/// costs one look at the path, however many stars there are.
fn matches(mut pattern: &[u8], path: &[u8]) -> bool {
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    while !pattern.is_empty() {
        let rest = match pattern {
            [b'*', b'*', b'/', rest @ ..] => {
                let mut any = false;
                for at in 0..=path.len() {
                    let after_folder = any && path[at - 1] == b'/';
                    any |= ends[at];
                    ends[at] |= after_folder;
                }
                rest
            }
            [b'*', b'*', rest @ ..] => {
                (1..=path.len()).for_each(|at| ends[at] |= ends[at - 1]);
                rest
            }
            [b'*', rest @ ..] => {
                (1..=path.len()).for_each(|at| ends[at] |= ends[at - 1] && path[at - 1] != b'/');
                rest
            }
            [wanted, rest @ ..] => {
                let is = |byte: u8| if *wanted == b'?' { byte != b'/' } else { byte == *wanted };
                (1..=path.len()).rev().for_each(|at| ends[at] = ends[at - 1] && is(path[at - 1]));
                ends[0] = false;
                rest
            }
            [] => break,
        };
        pattern = rest;
    }
    ends[path.len()]
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
        let train = Wanted { split: Some("train"), ..Wanted::default() };
        check(&["a.csv"], &train, &[("a.csv", Some("train"))]);
        assert!(choose(&["a.csv"], &test).is_err(), "nothing says that it is to test with");
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

    #[test]
    fn patterns_cost_what_they_are_long() {
        for (pattern, path, expected) in [
            ("data/*.csv", "data/a.csv", true),
            ("data/*.csv", "data/b/a.csv", false),
            ("**/a.csv", "a.csv", true),
            ("**/a.csv", "x/y/a.csv", true),
            ("**/a.csv", "x/ya.csv", false),
            ("x/**", "x/y/a.csv", true),
            ("?.csv", "a.csv", true),
            ("?.csv", "/.csv", false),
            ("a*", "b", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), path.as_bytes()), expected, "{pattern} {path}");
        }
        // Trying each star's length by itself would take longer than the world is old.
        assert!(!matches(format!("{}b", "a*".repeat(400)).as_bytes(), "a".repeat(1000).as_bytes()));
        let long = "a".repeat(MAX_PATH_BYTES + 1);
        assert!(matches!(choose(&[&long], &Wanted::default()), Err(Error::TooLarge { .. })));
        // 2,000 paths of 1,000 bytes and 100 patterns of as many are 2 · 10^11 steps.
        let paths: Vec<String> = (0..MAX_FILES).map(|n| format!("{}{n:04}.csv", "a".repeat(1000))).collect();
        let patterns: Vec<String> = paths.iter().map(|path| format!("  - split: train\n    path: {path}\n")).collect();
        let readme = format!("---\nconfigs:\n- config_name: main\n  data_files:\n{}---\n", patterns[..100].concat());
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let chosen = choose(&paths, &Wanted { readme: Some(&readme), ..Wanted::default() });
        let said = chosen.unwrap_err().to_string();
        assert!(said.contains("it has too many patterns for so many files"), "{said}");
    }
}
