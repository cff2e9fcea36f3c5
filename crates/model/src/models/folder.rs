//! Models of several files as a folder, which is what their loaders expect.
//!
//! Blobs are named by their digest; the folder has the files' own names as hard links to them, so it takes no
//! space and is complete or absent.

use std::path::{Path, PathBuf};

use qd_base::{RequestId, VersionId};
use qd_catalog::Version;
use qd_lake::blob::BlobStore;

use crate::Error;
use crate::record::Manifest;

/// The folder of a version, made when it is not there yet.
pub(super) fn of(dir: &Path, version: &Version, manifest: &Manifest, blobs: &BlobStore) -> Result<PathBuf, Error> {
    let folder = path(dir, version.info.id);
    if folder.is_dir() {
        return Ok(folder);
    }
    let making = dir.join("folders").join(format!("making-{}", RequestId::new()));
    std::fs::create_dir_all(&making).map_err(Error::file("creating folder", &making))?;
    for file in &manifest.files {
        let link = making.join(&file.name);
        std::fs::hard_link(blobs.path(file.sha256), &link).map_err(Error::file("linking", &link))?;
    }
    match std::fs::rename(&making, &folder) {
        Err(cause) if !folder.is_dir() => Err(Error::file("moving a folder to", &folder)(cause)),
        // Somebody else was quicker, and theirs is the same.
        Err(_) => std::fs::remove_dir_all(&making).map_err(Error::file("removing", &making)).map(|()| folder),
        Ok(()) => Ok(folder),
    }
}

/// Removes the folders of versions that are gone.
pub(super) fn remove(dir: &Path, versions: &[VersionId]) -> Result<(), Error> {
    for folder in versions.iter().map(|id| path(dir, *id)).filter(|folder| folder.is_dir()) {
        std::fs::remove_dir_all(&folder).map_err(Error::file("removing", &folder))?;
    }
    Ok(())
}

fn path(dir: &Path, version: VersionId) -> PathBuf {
    dir.join("folders").join(version.to_string())
}
