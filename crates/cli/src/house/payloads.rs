//! The folder of payloads, apart from that of model files: what no row refers to is removed from one of them only.

use std::fs;
use std::io;
use std::path::Path;

use qd_lake::blob::BlobStore;
use qd_model::Models;

use crate::Error;
use crate::error::Cause;

/// Opens the payloads. Earlier programs kept them among the model files; from there they are moved, once.
///
/// # Errors
/// When the folder cannot be opened, or what lies elsewhere not be moved.
pub async fn open(dir: &Path, models: &Models) -> Result<BlobStore, Error> {
    let (here, before, moving) = (dir.join("payloads"), dir.join("blobs"), dir.join("payloads.moving"));
    let failed = |cause: Cause| Error::doing("moving payloads out of the folder of blobs", cause);
    if !here.exists() {
        let kept = models.files_in_use().await.map_err(|cause| failed(cause.into()))?;
        let is_kept = |name: &str| name.parse().is_ok_and(|sha256| kept.contains(&sha256));
        move_others(&before, &moving, is_kept).map_err(|cause| failed(cause.into()))?;
        // With this all is moved; a crash before goes on where it was.
        fs::rename(&moving, &here).map_err(|cause| failed(cause.into()))?;
    }
    BlobStore::open(&here).map_err(|cause| Error::doing("opening the payloads", cause))
}

/// Moves the blobs that are not to be kept, each into the folder that it lay in.
fn move_others(from: &Path, to: &Path, is_kept: impl Fn(&str) -> bool) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for folder in fs::read_dir(from)? {
        let folder = folder?.path();
        let Some(name) = folder.file_name().filter(|name| *name != "tmp" && folder.is_dir()) else { continue };
        for file in fs::read_dir(&folder)? {
            let file = file?;
            if file.file_name().to_str().is_some_and(&is_kept) {
                continue;
            }
            fs::create_dir_all(to.join(name))?;
            fs::rename(file.path(), to.join(name).join(file.file_name()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_model_is_moved() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (from, to) = (folder.path().join("blobs"), folder.path().join("moving"));
        for file in ["ab/abc", "ab/abd", "cd/cde", "tmp/half"] {
            let path = from.join(file);
            fs::create_dir_all(path.parent().expect("it has one")).expect("writable");
            fs::write(path, file).expect("writable");
        }
        for _ in 0..2 {
            move_others(&from, &to, |name| name == "abd").expect("it is moved");
        }
        let exists = |folder: &Path, file: &str| folder.join(file).exists();
        assert!(exists(&from, "ab/abd") && exists(&from, "tmp/half") && !exists(&from, "cd/cde"));
        assert!(exists(&to, "ab/abc") && exists(&to, "cd/cde") && !exists(&to, "ab/abd"));
    }
}
