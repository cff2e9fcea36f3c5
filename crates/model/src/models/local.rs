//! Files that the user has already.

use std::path::Path;

use qd_base::ModelName;
use serde_json::json;

use crate::Error;
use crate::catalogue::Format;
use crate::pull;
use crate::record::{Manifest, ModelRecord};

use super::{Models, artifact_name, kind_of, read_head, single_file};

impl Models {
    /// Installs a GGUF file of the user under a name of their choice; the file itself is copied and left alone.
    /// Another file under the same name becomes its next version.
    ///
    /// # Errors
    /// [`Error::Reserved`] for names of the catalogue, [`Error::Gguf`] when the file is no model.
    pub async fn add(&self, name: &ModelName, path: &Path) -> Result<ModelRecord, Error> {
        if self.config.catalogue.find(name.as_str()).is_some() {
            return Err(Error::Reserved { name: name.to_string() });
        }
        let artifact = artifact_name(name)?;
        let head = read_head(path.to_owned()).await?;
        let folder = self.downloads();
        pull::create_folder(&folder)?;
        let (sha256, size_bytes) = pull::take_copy(path, &folder, &self.blobs).await?;
        let bare = Manifest::bare(kind_of(&head), Format::Gguf, single_file(path, size_bytes, sha256));
        self.put(&artifact, &bare.with_head(head), json!({ "source": format!("file:{}", path.display()) })).await?;
        self.record(name).await
    }
}
