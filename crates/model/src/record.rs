//! What is known of a model: its stored description, its place in a list, and where it lies.

use std::path::PathBuf;

use qd_base::{Label, ModelName, Sha256Hex, Timestamp, VersionId};
use serde::{Deserialize, Serialize};

use crate::catalogue::{Entry, Format, ModelKind, SamplingDefaults};
use crate::gguf::GgufHead;
use crate::hf_config::HfConfig;

/// What a version of a model consists of: the content of its artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// What it is for.
    pub kind: ModelKind,
    /// How its weights are stored.
    pub format: Format,
    /// Its files, as blobs.
    pub files: Vec<ManifestFile>,
    /// An SPDX id, or the name of the terms that apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// How it is sampled from where a request does not say.
    #[serde(default, skip_serializing_if = "SamplingDefaults::is_empty")]
    pub sampling: SamplingDefaults,
    /// Tokens of context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<u64>,
    /// `llama`, `gemma3`, `bert`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// Numbers in all its tensors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<u64>,
    /// How most of its weights are stored: `Q4_1`, `F32`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantisation: Option<String>,
    /// Its Jinja chat template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// The text of the token that begins a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos_token: Option<String>,
    /// The text of the token that ends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos_token: Option<String>,
}

/// One file of a model, as a blob.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its plain name: `model.safetensors`.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its digest, which is the blob's name.
    pub sha256: Sha256Hex,
}

impl Manifest {
    /// What a catalogue entry promises; [`Manifest::with_head`] adds what the file itself says.
    pub(crate) fn of_entry(entry: &Entry) -> Self {
        let file = |file: &crate::catalogue::FileEntry| ManifestFile {
            name: file.name.clone(),
            size_bytes: file.size_bytes,
            sha256: file.sha256,
        };
        Self {
            licence: Some(entry.licence.clone()),
            context: Some(entry.context),
            sampling: entry.sampling,
            ..Self::bare(entry.kind, entry.format, entry.files.iter().map(file).collect())
        }
    }

    /// A model of which only its files are known.
    pub(crate) fn bare(kind: ModelKind, format: Format, files: Vec<ManifestFile>) -> Self {
        Self {
            kind,
            format,
            files,
            licence: None,
            sampling: SamplingDefaults::default(),
            context: None,
            architecture: None,
            parameters: None,
            quantisation: None,
            chat_template: None,
            bos_token: None,
            eos_token: None,
        }
    }

    /// The same with what the head of its GGUF file says, where the catalogue has not said it.
    pub(crate) fn with_head(self, head: GgufHead) -> Self {
        Self {
            licence: self.licence.or(head.licence),
            context: self.context.or(head.context_length),
            architecture: Some(head.architecture),
            parameters: Some(head.parameter_count),
            quantisation: Some(head.quantisation),
            chat_template: head.chat_template,
            bos_token: head.bos_token,
            eos_token: head.eos_token,
            ..self
        }
    }

    /// The same with what its `config.json` says, where the catalogue has not said it.
    pub(crate) fn with_config(self, config: HfConfig) -> Self {
        let context = self.context.or(config.max_position_embeddings);
        Self { context, architecture: config.model_type, ..self }
    }

    /// All files together.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// A model in a list: from the catalogue, installed, or both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelRecord {
    /// Its name.
    pub name: ModelName,
    /// Other names for the same.
    pub aliases: Vec<ModelName>,
    /// One sentence, when the catalogue has one.
    pub description: Option<String>,
    /// What it is for.
    pub kind: ModelKind,
    /// How its weights are stored.
    pub format: Format,
    /// All files together.
    pub size_bytes: u64,
    /// An SPDX id, or the name of the terms that apply.
    pub licence: Option<String>,
    /// Tokens of context.
    pub context: Option<u64>,
    /// The latest installed version; none when it still has to be pulled.
    pub installed: Option<InstalledVersion>,
}

/// An installed version, described.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstalledVersion {
    /// Its number.
    pub version: u32,
    /// Its identifier.
    pub id: VersionId,
    /// When it was installed.
    pub created: Timestamp,
    /// The labels of this model and the versions they point at.
    pub labels: Vec<(Label, u32)>,
    /// What it consists of.
    pub manifest: Manifest,
}

/// A model that can be loaded now.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// Its name, whatever alias it was asked for by.
    pub name: ModelName,
    /// The version's number.
    pub version: u32,
    /// The version's identifier.
    pub version_id: VersionId,
    /// The GGUF file, or the folder with the safetensors.
    pub path: PathBuf,
    /// What it consists of, with its kind, format, context and chat template.
    pub manifest: Manifest,
}

/// What a removal gave back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Versions that are gone.
    pub versions: u64,
    /// Disk space that is free again; files that other models share stay.
    pub freed_bytes: u64,
}
