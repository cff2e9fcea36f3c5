//! Files that the user has already.

use std::path::Path;

use qd_base::ModelName;
use serde_json::json;

use crate::Error;
use crate::catalogue::{Format, ModelKind};
use crate::gguf::GgufHead;
use crate::hf_config::{self, HfConfig};
use crate::pull;
use crate::record::{Manifest, ManifestFile, ModelRecord};

use super::{Models, artifact_name, read_head};

/// What a folder with an embedding model must have.
const FOLDER_FILES: [&str; 3] = ["model.safetensors", "tokenizer.json", hf_config::FILE];

impl Models {
    /// Installs what the user has under a name of their choice: a GGUF file, or a folder with the safetensors,
    /// tokeniser and configuration of an embedding model. The files are copied and left alone. Other files under
    /// the same name become its next version.
    ///
    /// # Errors
    /// [`Error::Reserved`] for names of the catalogue, [`Error::Gguf`] and [`Error::Folder`] when it is no model.
    pub async fn add(&self, name: &ModelName, path: &Path) -> Result<ModelRecord, Error> {
        if self.config.catalogue.find(name.as_str()).is_some() {
            return Err(Error::Reserved { name: name.to_string() });
        }
        let artifact = artifact_name(name)?;
        let manifest = if path.is_dir() { self.take_folder(path).await? } else { self.take_gguf(path).await? };
        self.put(&artifact, &manifest, json!({ "source": format!("file:{}", path.display()) })).await?;
        self.record(name).await
    }

    async fn take_gguf(&self, path: &Path) -> Result<Manifest, Error> {
        // Read first: what is no model is not copied.
        let head = read_head(path.to_owned()).await?;
        let file = self.take_file(path).await?;
        Ok(Manifest::bare(kind_of(&head), Format::Gguf, vec![file]).with_head(head))
    }

    async fn take_folder(&self, folder: &Path) -> Result<Manifest, Error> {
        let config = check_folder(folder)?;
        let mut files = Vec::new();
        for name in FOLDER_FILES {
            files.push(self.take_file(&folder.join(name)).await?);
        }
        Ok(Manifest::bare(ModelKind::Embedding, Format::Safetensors, files).with_config(config))
    }

    async fn take_file(&self, path: &Path) -> Result<ManifestFile, Error> {
        let folder = self.downloads();
        pull::create_folder(&folder)?;
        let (sha256, size_bytes) = pull::take_copy(path, &folder, &self.blobs).await?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(ManifestFile { name, size_bytes, sha256 })
    }
}

/// With a chat template it converses, without one it continues text.
fn kind_of(head: &GgufHead) -> ModelKind {
    if head.chat_template.is_some() { ModelKind::Chat } else { ModelKind::Completion }
}

fn check_folder(folder: &Path) -> Result<HfConfig, Error> {
    let unusable = |reason: String| Error::Folder { path: folder.to_owned(), reason };
    if let Some(missing) = FOLDER_FILES.iter().find(|name| !folder.join(name).is_file()) {
        return Err(unusable(format!("{missing} is missing")));
    }
    HfConfig::read(&folder.join(hf_config::FILE)).map_err(unusable)
}
