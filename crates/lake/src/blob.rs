//! What is opaque: files named by their SHA-256.
//!
//! A blob is written once and never changed, so that whoever knows its name can check it. Files lie in
//! folders by the first two digits of their name: `ab/abcdef…`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use qd_base::{RequestId, Sha256Hex};

use crate::Error;
use crate::file::{Disk, LocalDisk, NewFile, digest};

/// A folder of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BlobStore {
    dir: Arc<Path>,
    disk: Arc<dyn Disk>,
}

impl BlobStore {
    /// Opens the store in `dir`, making the folder when it is missing and sweeping what a crash left half-written.
    ///
    /// # Errors
    /// [`Error::Disk`] when the folder cannot be made or read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_on(Arc::new(LocalDisk), dir)
    }

    /// [`BlobStore::open`] on a disk of one's own.
    ///
    /// # Errors
    /// As there.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let temporary = dir.join("tmp");
        std::fs::create_dir_all(&temporary).map_err(Error::disk("creating folder", &temporary))?;
        sweep(&temporary).map_err(Error::disk("sweeping folder", &temporary))?;
        Ok(Self { dir: dir.into(), disk })
    }

    /// Keeps `bytes` and returns their name. When this returns they are on disk.
    ///
    /// # Errors
    /// [`Error::Disk`] when they could not be written; nothing is kept then.
    pub async fn put(&self, bytes: Bytes) -> Result<Sha256Hex, Error> {
        let store = self.clone();
        blocking("writing a blob", move || store.put_now(&bytes)).await
    }

    fn put_now(&self, bytes: &[u8]) -> Result<Sha256Hex, Error> {
        let sha256 = Sha256Hex::of(bytes);
        let path = self.path(sha256);
        if !path.exists() {
            self.make_folder_of(&path)?;
            let write = || {
                let mut file = NewFile::create(&*self.disk, self.temporary())?;
                file.write_all(bytes)?;
                file.finish(&path)
            };
            write().map_err(Error::disk("writing blob", &path))?;
        }
        Ok(sha256)
    }

    /// Takes a complete file, which must lie on the same file system, checks that it is what its name says, and
    /// moves it into the store. A file with another digest is left where it is.
    ///
    /// # Errors
    /// [`Error::Checksum`] when it is not, [`Error::Disk`] when it cannot be read, synced or moved.
    pub async fn put_file(&self, file: &Path, sha256: Sha256Hex) -> Result<PathBuf, Error> {
        let (store, file) = (self.clone(), file.to_owned());
        blocking("taking a file", move || store.put_file_now(&file, sha256)).await
    }

    fn put_file_now(&self, file: &Path, expected: Sha256Hex) -> Result<PathBuf, Error> {
        let found = digest(file).map_err(Error::disk("reading", file))?.sha256;
        if found != expected {
            return Err(Error::Checksum { path: file.to_owned(), expected, found });
        }
        let path = self.path(expected);
        self.make_folder_of(&path)?;
        let sync = || std::fs::File::open(file)?.sync_all();
        sync().map_err(Error::disk("syncing", file))?;
        self.disk.rename(file, &path).map_err(Error::disk("moving a file to", &path))?;
        self.sync_folder_of(&path)?;
        Ok(path)
    }

    /// The bytes of a blob, checked against its name.
    ///
    /// # Errors
    /// [`Error::NoBlob`] when it is not kept here, [`Error::Checksum`] when its file was damaged.
    pub async fn get(&self, sha256: Sha256Hex) -> Result<Bytes, Error> {
        let path = self.path(sha256);
        blocking("reading a blob", move || {
            let bytes = std::fs::read(&path).map_err(|cause| match cause.kind() {
                io::ErrorKind::NotFound => Error::NoBlob { sha256 },
                _ => Error::disk("reading blob", &path)(cause),
            })?;
            let found = Sha256Hex::of(&bytes);
            if found == sha256 {
                Ok(Bytes::from(bytes))
            } else {
                Err(Error::Checksum { path, expected: sha256, found })
            }
        })
        .await
    }

    /// Where the blob lies, or would lie.
    pub fn path(&self, sha256: Sha256Hex) -> PathBuf {
        let name = sha256.to_string();
        self.dir.join(&name[..2]).join(name)
    }

    /// Whether the blob is kept here.
    pub fn contains(&self, sha256: Sha256Hex) -> bool {
        self.path(sha256).is_file()
    }

    /// Removes a blob; it is no error when there is none.
    ///
    /// # Errors
    /// [`Error::Disk`] when its file cannot be removed.
    pub async fn remove(&self, sha256: Sha256Hex) -> Result<(), Error> {
        let (disk, path) = (Arc::clone(&self.disk), self.path(sha256));
        blocking("removing a blob", move || match disk.remove(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::disk("removing blob", &path)(cause)),
            _ => Ok(()),
        })
        .await
    }

    fn temporary(&self) -> PathBuf {
        self.dir.join("tmp").join(RequestId::new().to_string())
    }

    fn make_folder_of(&self, path: &Path) -> Result<(), Error> {
        let Some(folder) = path.parent() else { return Ok(()) };
        if !folder.is_dir() {
            std::fs::create_dir_all(folder).map_err(Error::disk("creating folder", folder))?;
            self.disk.sync_folder(&self.dir).map_err(Error::disk("syncing folder", &*self.dir))?;
        }
        Ok(())
    }

    fn sync_folder_of(&self, path: &Path) -> Result<(), Error> {
        path.parent()
            .map_or(Ok(()), |folder| self.disk.sync_folder(folder).map_err(Error::disk("syncing folder", folder)))
    }
}

async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { operation })?
}

/// Removes the files in a folder of temporary files.
pub(crate) fn sweep(folder: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { std::fs::remove_dir_all(path)? } else { std::fs::remove_file(path)? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::failing::{FailingDisk, Fault, Operation};

    // FIPS 180-4, the one-block example: SHA-256 of "abc".
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[tokio::test]
    async fn what_was_put_is_found_under_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::open(folder.path()).unwrap();
        let name = store.put(Bytes::from_static(b"abc")).await.unwrap();
        assert_eq!(name.to_string(), ABC);
        assert!(store.contains(name) && store.path(name).ends_with(format!("ba/{ABC}")));
        assert_eq!(store.put(Bytes::from_static(b"abc")).await.unwrap(), name);
        assert_eq!(store.get(name).await.unwrap(), "abc");
        store.remove(name).await.unwrap();
        store.remove(name).await.unwrap();
        assert!(matches!(store.get(name).await, Err(Error::NoBlob { .. })));
    }

    #[tokio::test]
    async fn a_damaged_blob_is_not_served() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::open(folder.path()).unwrap();
        let name = store.put(Bytes::from_static(b"abc")).await.unwrap();
        std::fs::write(store.path(name), "abd").unwrap();
        assert!(matches!(store.get(name).await, Err(Error::Checksum { .. })));
    }

    #[tokio::test]
    async fn a_file_is_taken_only_when_it_is_the_right_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::open(folder.path()).unwrap();
        let file = folder.path().join("download");
        std::fs::write(&file, "abd").unwrap();
        assert!(matches!(store.put_file(&file, ABC.parse().unwrap()).await, Err(Error::Checksum { .. })));
        assert!(file.exists());
        std::fs::write(&file, "abc").unwrap();
        let path = store.put_file(&file, ABC.parse().unwrap()).await.unwrap();
        assert!(!file.exists() && std::fs::read(path).unwrap() == b"abc");
    }

    #[tokio::test]
    async fn a_full_disk_keeps_nothing_and_space_cures_it() {
        let folder = tempfile::tempdir().unwrap();
        let disk = FailingDisk::new();
        let store = BlobStore::open_on(Arc::new(disk.clone()), folder.path()).unwrap();
        disk.fail(Operation::Write, 1, Fault::NoSpace);
        assert!(matches!(store.put(Bytes::from_static(b"abc")).await, Err(Error::Disk { .. })));
        assert!(!store.contains(ABC.parse().unwrap()));
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
        store.put(Bytes::from_static(b"abc")).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_crash_left_half_written_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        std::fs::write(folder.path().join("tmp/half"), "a").unwrap();
        BlobStore::open(folder.path()).unwrap();
        assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    }
}
