//! Which models are known by name, and where their files can be had.

use std::collections::HashSet;

use qd_base::{ModelName, Sha256Hex};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::source::Source;

/// The catalogue that is built in.
const BUILT_IN: &str = include_str!("../data/catalogue.toml");

/// Models that can be pulled by name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// In the order in which they are shown.
    #[serde(rename = "model", default)]
    pub entries: Vec<Entry>,
}

/// One model of the catalogue.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name it is pulled by.
    pub name: ModelName,
    /// Other names for the same.
    #[serde(default)]
    pub aliases: Vec<ModelName>,
    /// One sentence for a person who chooses.
    pub description: String,
    /// What it is for.
    pub kind: ModelKind,
    /// How its weights are stored.
    pub format: Format,
    /// An SPDX id, or the name of the terms that apply.
    pub licence: String,
    /// Tokens of context.
    pub context: u64,
    /// Whether the first start fetches it.
    #[serde(default)]
    pub default: bool,
    /// How its makers sample from it.
    #[serde(default)]
    pub sampling: SamplingDefaults,
    /// What it consists of.
    #[serde(rename = "file")]
    pub files: Vec<FileEntry>,
}

/// How a model is sampled from where a request does not say; OpenAI's own defaults where this does not either.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplingDefaults {
    /// From 0, always the likeliest token, to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// The share of the probability that is drawn from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
}

impl SamplingDefaults {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its plain name: `model.safetensors`.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest: what makes all sources equally good.
    pub sha256: Sha256Hex,
    /// Where it can be had, in the order in which to try.
    pub sources: Vec<Alternative>,
}

/// A place for the whole file, or one for each of its parts, which are joined in this order.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Alternative {
    /// The file itself.
    Whole(Source),
    /// Its parts.
    Parts(Vec<Source>),
}

impl Alternative {
    /// The parts; a whole file is its only part.
    pub fn parts(&self) -> &[Source] {
        match self {
            Self::Whole(source) => std::slice::from_ref(source),
            Self::Parts(sources) => sources,
        }
    }
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// It has been taught to converse, and has a chat template.
    Chat,
    /// It continues text: a base model.
    Completion,
    /// It turns text into vectors.
    Embedding,
}

/// How a model's weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One file for llama.cpp.
    Gguf,
    /// `model.safetensors` with `tokenizer.json` and `config.json`.
    Safetensors,
}

impl Catalogue {
    /// The catalogue that is built in.
    ///
    /// # Errors
    /// None that the tests of this crate would let pass.
    pub fn built_in() -> Result<Self, Error> {
        Self::parse(BUILT_IN)
    }

    /// Reads a catalogue from TOML and checks that no name is given twice and no file name leads elsewhere.
    ///
    /// # Errors
    /// [`Error::Catalogue`] with the place in the text.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let catalogue: Self = toml::from_str(text).map_err(|cause| Error::Catalogue { message: cause.to_string() })?;
        catalogue.check()?;
        Ok(catalogue)
    }

    /// The entry with this name or alias.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.names().any(|known| known == name))
    }

    /// The entries that the first start fetches.
    pub fn defaults(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.default)
    }

    fn check(&self) -> Result<(), Error> {
        let mut seen = HashSet::new();
        for entry in &self.entries {
            if let Some(twice) = entry.names().find(|name| !seen.insert(name.as_str())) {
                return Err(Error::Catalogue { message: format!("{twice} is named twice") });
            }
            if let Some(file) = entry.files.iter().find(|file| !is_plain_file_name(&file.name)) {
                return Err(Error::Catalogue {
                    message: format!("{:?} of {} is no plain file name", file.name, entry.name),
                });
            }
            if entry.files.is_empty() || entry.files.iter().any(|file| file.sources.is_empty()) {
                return Err(Error::Catalogue {
                    message: format!("{} has no file, or a file without a source", entry.name),
                });
            }
        }
        Ok(())
    }
}

impl Entry {
    /// All files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    fn names(&self) -> impl Iterator<Item = &ModelName> {
        std::iter::once(&self.name).chain(&self.aliases)
    }
}

fn is_plain_file_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogue_is_sound_and_names_the_two_defaults() {
        let catalogue = Catalogue::built_in().unwrap();
        let defaults: Vec<_> = catalogue.defaults().map(|entry| (entry.name.as_str(), entry.kind)).collect();
        assert_eq!(defaults, [("smollm2-135m-instruct", ModelKind::Chat), ("all-minilm-l6-v2", ModelKind::Embedding)]);
        // The wheels hold the files deflated, but what is promised to a newcomer is about 190 MB.
        let total: u64 = catalogue.defaults().map(Entry::size_bytes).sum();
        assert!((185_000_000..195_000_000).contains(&total), "{total}");
        assert_eq!(catalogue.find("smollm2").unwrap().name, "smollm2-135m-instruct");
    }

    #[test]
    fn a_catalogue_that_contradicts_itself_is_refused() {
        let entry = |name: &str, file: &str| {
            format!(
                "[[model]]\nname = '{name}'\ndescription = ''\nkind = 'chat'\nformat = 'gguf'\nlicence = ''\ncontext = 1\n\
                 [[model.file]]\nname = '{file}'\nsize_bytes = 1\nsha256 = '{}'\nsources = ['file:/x']\n",
                "0".repeat(64)
            )
        };
        assert!(Catalogue::parse(&entry("a", "b.gguf")).is_ok());
        for wrong in
            [entry("a", "b") + &entry("a", "b"), entry("a", "../b"), entry("a", ".b"), entry("a", "b") + "typo = 1\n"]
        {
            assert!(matches!(Catalogue::parse(&wrong), Err(Error::Catalogue { .. })), "{wrong}");
        }
    }
}
