//! What is opaque: files named by their SHA-256.
//!
//! A blob is written once and never changed, so that whoever knows its name can check it. Files lie in
//! folders by the first two digits of their name: `ab/abcdef…`.
//!
//! Blobs that nobody refers to any more are swept. Whoever puts a blob and then records that it did, holds a [`Writing`]
//! meanwhile: what was put under it stays, whether its file was new or lay there already.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use qd_base::{RequestId, Sha256Hex};

use crate::Error;
use crate::file::{Disk, LocalDisk, NewFile, Written, digest};

/// A folder of blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BlobStore {
    dir: Arc<Path>,
    disk: Arc<dyn Disk>,
    kept: Arc<Mutex<Kept>>,
    /// Held by the one sweep at a time.
    sweeping: Arc<tokio::sync::Mutex<()>>,
}

/// A blob that was put without a [`Writing`] is not swept for so long: time enough to record it.
const GRACE: Duration = Duration::from_secs(15 * 60);

/// When so many blobs were put without a [`Writing`], those of long ago are forgotten.
const MOST_RECENT: usize = 10_000;

/// What must not be swept, although nobody refers to it yet. Looked at and changed under one lock with the removal of a
/// file, so that whoever puts a blob either keeps its file from being removed or finds it gone and writes it again.
#[derive(Debug, Default)]
struct Kept {
    /// How many [`Writing`]s each is held by.
    pins: HashMap<Sha256Hex, usize>,
    /// When each was last put without one.
    recent: HashMap<Sha256Hex, Instant>,
    /// Those that were put or held at any time since the sweep under way began; none while there is no sweep.
    touched: Option<HashSet<Sha256Hex>>,
}

/// Keeps what is put under it from being swept, until it is dropped.
#[derive(Debug)]
pub struct Writing {
    store: BlobStore,
    put: Mutex<Vec<Sha256Hex>>,
}

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Swept {
    /// Files.
    pub blobs: u64,
    /// Their sizes together.
    pub bytes: u64,
}

impl Writing {
    /// As [`BlobStore::put`].
    ///
    /// # Errors
    /// As there.
    pub async fn put(&self, bytes: Bytes) -> Result<Sha256Hex, Error> {
        let sha256 = Sha256Hex::of(&bytes);
        self.hold(sha256);
        let store = self.store.clone();
        blocking("writing a blob", move || store.write(sha256, &bytes)).await
    }

    fn hold(&self, sha256: Sha256Hex) {
        self.put.lock().push(sha256);
        self.store.kept.lock().pin(sha256);
    }
}

/// A blob that comes in pieces, larger than memory perhaps; dropped before it is finished, nothing of it remains.
pub(crate) struct NewBlob<'a> {
    store: &'a BlobStore,
    file: NewFile<'a>,
}

impl NewBlob<'_> {
    /// Keeps what was written, under `writing`. When this returns it is on disk.
    pub fn finish(self, writing: &Writing) -> Result<Written, Error> {
        let Self { store, file } = self;
        let named = file.finish_as(|written| {
            // Before the file has its name, so that no sweep finds it without anybody who holds it.
            writing.hold(written.sha256);
            let path = store.path(written.sha256);
            store.make_folder_of(&path).map_err(io::Error::other)?;
            Ok(path)
        });
        named.map_err(Error::disk("writing a blob in", &*store.dir))
    }
}

impl Write for NewBlob<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut kept = self.store.kept.lock();
        self.put.get_mut().iter().for_each(|sha256| kept.unpin(*sha256));
    }
}

impl Kept {
    fn pin(&mut self, sha256: Sha256Hex) {
        *self.pins.entry(sha256).or_default() += 1;
        self.touch(sha256);
    }

    fn unpin(&mut self, sha256: Sha256Hex) {
        if let Some(count) = self.pins.get_mut(&sha256) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&sha256);
            }
        }
    }

    fn note(&mut self, sha256: Sha256Hex) {
        if self.recent.len() >= MOST_RECENT {
            self.recent.retain(|_, put| put.elapsed() < GRACE);
        }
        self.recent.insert(sha256, Instant::now());
        self.touch(sha256);
    }

    fn touch(&mut self, sha256: Sha256Hex) {
        self.touched.iter_mut().for_each(|touched| touched.extend([sha256]));
    }

    fn is_free(&self, sha256: Sha256Hex) -> bool {
        !self.pins.contains_key(&sha256)
            && self.recent.get(&sha256).is_none_or(|put| put.elapsed() >= GRACE)
            && self.touched.as_ref().is_some_and(|touched| !touched.contains(&sha256))
    }
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
        Ok(Self { dir: dir.into(), disk, kept: Arc::default(), sweeping: Arc::default() })
    }

    /// Keeps `bytes` and returns their name. When this returns they are on disk.
    ///
    /// # Errors
    /// [`Error::Disk`] when they could not be written; nothing is kept then.
    pub async fn put(&self, bytes: Bytes) -> Result<Sha256Hex, Error> {
        let sha256 = Sha256Hex::of(&bytes);
        self.kept.lock().note(sha256);
        let store = self.clone();
        blocking("writing a blob", move || store.write(sha256, &bytes)).await
    }

    /// Begins to put blobs that are recorded afterwards: none is swept before this is dropped.
    pub fn writing(&self) -> Writing {
        Writing { store: self.clone(), put: Mutex::default() }
    }

    /// Begins a blob that comes in pieces.
    pub(crate) fn create(&self) -> Result<NewBlob<'_>, Error> {
        let temporary = self.temporary();
        let file = NewFile::create(&*self.disk, temporary.clone()).map_err(Error::disk("creating", temporary))?;
        Ok(NewBlob { store: self, file })
    }

    fn write(&self, sha256: Sha256Hex, bytes: &[u8]) -> Result<Sha256Hex, Error> {
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

    /// Removes every blob that is not in use. `used` is asked after the sweep has begun to watch, so that a blob which is
    /// put meanwhile stays whatever it answers.
    ///
    /// # Errors
    /// That of `used`, and then nothing was removed; [`Error::Disk`] when a folder cannot be read or a file not removed.
    pub async fn sweep<F>(&self, used: impl FnOnce() -> F) -> Result<Swept, Error>
    where
        F: Future<Output = Result<HashSet<Sha256Hex>, Error>>,
    {
        let _only = self.sweeping.lock().await;
        {
            let mut kept = self.kept.lock();
            kept.touched = Some(kept.pins.keys().copied().collect());
        }
        let used = used().await?;
        let store = self.clone();
        let swept = blocking("sweeping blobs", move || store.remove_but(&used)).await;
        self.kept.lock().touched = None;
        swept
    }

    fn remove_but(&self, used: &HashSet<Sha256Hex>) -> Result<Swept, Error> {
        let mut swept = Swept::default();
        let list = |folder: &Path| -> io::Result<Vec<PathBuf>> {
            std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
        };
        let folders = list(&self.dir).map_err(Error::disk("reading folder", &*self.dir))?;
        // Temporary files lie in a folder of their own, whose names are no digests.
        for folder in folders.into_iter().filter(|folder| folder.is_dir()) {
            for path in list(&folder).map_err(Error::disk("reading folder", &folder))? {
                let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
                if let Some(sha256) = name.filter(|sha256| !used.contains(sha256)) {
                    let bytes = path.metadata().map_or(0, |metadata| metadata.len());
                    if self.remove_free(sha256, &path)? {
                        swept = Swept { blobs: swept.blobs + 1, bytes: swept.bytes + bytes };
                    }
                }
            }
        }
        Ok(swept)
    }

    /// Removes a blob that nobody holds, and tells whether it was so.
    fn remove_free(&self, sha256: Sha256Hex, path: &Path) -> Result<bool, Error> {
        let kept = self.kept.lock();
        if !kept.is_free(sha256) {
            return Ok(false);
        }
        match self.disk.remove(path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(Error::disk("removing blob", path)(cause)),
            _ => Ok(true),
        }
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
        self.kept.lock().note(expected);
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

    /// The folder of the store.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
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

    /// The files of a store, without the folder of temporary ones.
    fn names(folder: &Path) -> Vec<String> {
        let list = |folder: &Path| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let files = list(folder).filter(|path| !path.ends_with("tmp")).flat_map(|path| list(&path).collect::<Vec<_>>());
        files.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn a_sweep_removes_what_nobody_uses_and_nobody_holds() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::open(folder.path()).unwrap();
        let writing = store.writing();
        let used = writing.put(Bytes::from_static(b"used")).await.unwrap();
        writing.put(Bytes::from_static(b"gone")).await.unwrap();
        drop(writing);
        let held = store.writing();
        let held_name = held.put(Bytes::from_static(b"held")).await.unwrap();
        let recent = store.put(Bytes::from_static(b"put without being held")).await.unwrap();
        let swept = store.sweep(|| async { Ok(HashSet::from([used])) }).await.unwrap();
        assert_eq!(swept, Swept { blobs: 1, bytes: 4 });
        for name in [used, held_name, recent] {
            assert!(store.contains(name));
        }
        drop(held);
        assert_eq!(store.sweep(|| async { Ok(HashSet::from([used])) }).await.unwrap().blobs, 1);
        // After a restart nobody holds anything any more.
        let store = BlobStore::open(folder.path()).unwrap();
        store.sweep(|| async { Ok(HashSet::new()) }).await.unwrap();
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_sweep_that_does_not_know_what_is_used_removes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::open(folder.path()).unwrap();
        store.writing().put(Bytes::from_static(b"a")).await.unwrap();
        assert!(store.sweep(|| async { Err(Error::Closed) }).await.is_err());
        assert_eq!(names(folder.path()).len(), 1);
    }

    /// The same content is put while a sweep has found that nobody uses it: before, while and after its file goes.
    #[tokio::test]
    async fn what_is_put_during_a_sweep_stays() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::open(folder.path()).unwrap();
        let content = Bytes::from_static(b"the same");
        let name = store.writing().put(content.clone()).await.unwrap();
        // Held when the sweep begins and let go before it looks.
        let held = store.writing();
        held.put(content.clone()).await.unwrap();
        let sweep = store.sweep(|| async {
            drop(held);
            Ok(HashSet::new())
        });
        assert_eq!(sweep.await.unwrap().blobs, 0);
        // Put and let go after it has begun.
        let sweep = store.sweep(|| async {
            store.writing().put(content.clone()).await.unwrap();
            Ok(HashSet::new())
        });
        assert_eq!(sweep.await.unwrap().blobs, 0);
        assert!(store.contains(name));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn puts_and_sweeps_at_once_lose_nothing_that_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let store = BlobStore::open(folder.path()).unwrap();
        let sweeper = store.clone();
        let sweeping = tokio::spawn(async move {
            for _ in 0..300 {
                sweeper.sweep(|| async { Ok(HashSet::new()) }).await.unwrap();
            }
        });
        let mut round = 0_u32;
        while !sweeping.is_finished() {
            round += 1;
            let writing = store.writing();
            let content = Bytes::from(format!("content {}", round % 3));
            let name = writing.put(content.clone()).await.unwrap();
            assert_eq!(store.get(name).await.unwrap(), content, "round {round}");
        }
        sweeping.await.unwrap();
    }
}
