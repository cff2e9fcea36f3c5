//! Reading `quarterdeck.toml`: found where, saying what on which line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::{NamedSource, SourceSpan};
use toml::Value;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::layer::{Origin, leaves};
use crate::Error;

/// Largest configuration file that is read; a larger one is some other file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file's settings: decided, and one by one with their lines.
pub(super) struct File {
    pub config: Config,
    pub settings: BTreeMap<String, (Value, Origin)>,
}

/// Reads and checks `path`.
pub(super) fn read(path: &Path) -> Result<File, Error> {
    let text = text_of(path)?;
    let refuse = |cause: toml::de::Error| Error::ConfigFile {
        path: path.to_owned(),
        why: cause.message().to_owned(),
        span: SourceSpan::from(cause.span().unwrap_or(0..0)),
        text: Arc::new(NamedSource::new(path.display().to_string(), text.clone()).with_language("TOML")),
    };
    let config: Config = toml::from_str(&text).map_err(refuse)?;
    let lines = lines(&text, DeTable::parse(&text).map_err(refuse)?.get_ref());
    let settings = leaves(&toml::from_str(&text).map_err(refuse)?)
        .into_iter()
        .map(|(key, value)| {
            let line = lines.get(&key).copied().unwrap_or(1);
            let path = path.to_owned();
            (key, (value, Origin::File { path, line }))
        })
        .collect();
    Ok(File { config, settings })
}

fn text_of(path: &Path) -> Result<String, Error> {
    let read = || {
        if std::fs::metadata(path)?.len() > FILE_BYTES_MAX {
            return Err(std::io::Error::other("larger than 1 MiB"));
        }
        std::fs::read_to_string(path)
    };
    read().map_err(|cause| Error::ConfigRead { path: path.to_owned(), cause })
}

/// The line on which each leaf's key stands, counted from 1.
fn lines(text: &str, table: &DeTable<'_>) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for (name, value) in table {
        match value.get_ref() {
            DeValue::Table(inner) => found
                .extend(lines(text, inner).into_iter().map(|(key, line)| (format!("{}.{key}", name.get_ref()), line))),
            _ => {
                let line = 1 + text[..name.span().start].matches('\n').count();
                found.insert(name.get_ref().to_string(), line);
            }
        }
    }
    found
}

/// The user's home, or the current folder for a user who has none.
pub(super) fn home() -> PathBuf {
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from)
}

/// The file to read when none is named: `./quarterdeck.toml`, else the user's own.
pub fn default_file() -> Option<PathBuf> {
    let user = std::env::var_os("XDG_CONFIG_HOME")
        .map_or_else(|| home().join(".config"), PathBuf::from)
        .join("quarterdeck/quarterdeck.toml");
    [PathBuf::from("quarterdeck.toml"), user].into_iter().find(|path| path.is_file())
}
