//! The source tree as the rules see it: crates in their order, their manifests, their files.

use std::fs;
use std::path::{Path, PathBuf};

/// One crate under `crates/`.
pub struct Room {
    pub name: String,
    pub manifest: toml::Table,
    pub files: Vec<SourceFile>,
}

/// One Rust file with its text.
pub struct SourceFile {
    pub path: PathBuf,
    pub text: String,
}

/// The folder that holds the workspace.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

/// Reads a file of the workspace, or fails the test with its name.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("reading {}: {error}", path.display()))
}

fn table(path: &Path) -> toml::Table {
    read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rooms in the order of `members`.
pub fn rooms() -> Vec<Room> {
    let workspace = table(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"].as_array().expect("members is a list");
    members
        .iter()
        .filter_map(|member| member.as_str()?.strip_prefix("crates/"))
        .map(|name| Room {
            name: name.to_owned(),
            manifest: table(&root().join("crates").join(name).join("Cargo.toml")),
            files: source_files(&root().join("crates").join(name).join("src")),
        })
        .collect()
}

fn source_files(folder: &Path) -> Vec<SourceFile> {
    let mut files = Vec::new();
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("listing {}: {error}", folder.display()));
    for path in entries.map(|entry| entry.expect("a folder's entry can be read").path()) {
        if path.is_dir() {
            files.extend(source_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(SourceFile { text: read(&path), path });
        }
    }
    files
}

impl Room {
    /// The crates that the product itself needs; those of tests alone are not among them.
    pub fn dependencies(&self) -> impl Iterator<Item = &str> {
        self.manifest
            .get("dependencies")
            .and_then(toml::Value::as_table)
            .into_iter()
            .flat_map(|table| table.keys().map(String::as_str))
    }
}

impl SourceFile {
    /// The part before the first test module.
    pub fn product_text(&self) -> &str {
        self.text.split("#[cfg(test)]").next().unwrap_or_default()
    }

    /// First line and number of lines of each function of the product, by indentation: rustfmt guarantees it.
    pub fn functions(&self) -> Vec<(usize, usize)> {
        let lines: Vec<&str> = self.product_text().lines().collect();
        let mut found = Vec::new();
        for (start, line) in lines.iter().enumerate() {
            let code = line.trim_start();
            let indent = &line[..line.len() - code.len()];
            if !is_function(code) {
                continue;
            }
            let end = lines[start..]
                .iter()
                .position(|l| l.strip_prefix(indent).is_some_and(|rest| rest == "}" || rest == ";"));
            if let Some(length) = end {
                found.push((start + 1, length + 1));
            }
        }
        found
    }
}

fn is_function(code: &str) -> bool {
    let head = code.split('(').next().unwrap_or_default();
    let mut words = head.split_whitespace().skip_while(|word| {
        matches!(*word, "pub" | "async" | "const" | "unsafe" | "extern" | "\"C\"") || word.starts_with("pub(")
    });
    // A body on the same line ends there and is short.
    (head.starts_with("pub(") && code.contains(" fn ") || words.next() == Some("fn"))
        && !code.ends_with('}')
        && !code.ends_with(';')
}
