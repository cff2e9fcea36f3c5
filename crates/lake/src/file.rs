//! Files that are whole or absent: temporary file, fsync, rename, fsync of the folder.
//!
//! All that the lake writes beside the catalog goes through [`Disk`], so that tests can make the disk fail.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use qd_base::Sha256Hex;
use qd_base::hash::Hasher;

#[cfg(test)]
pub(crate) mod failing;

/// The operations on a disk that durability hangs on.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Creates an empty file, or empties the one that is there.
    ///
    /// # Errors
    /// As the disk says.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, replacing what had it.
    ///
    /// # Errors
    /// As the disk says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes the names in a folder survive a crash.
    ///
    /// # Errors
    /// As the disk says.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the disk says.
    fn remove(&self, path: &Path) -> io::Result<()>;
}

/// A file that is being written.
pub trait DiskFile: Write + Send {
    /// Makes what was written survive a crash.
    ///
    /// # Errors
    /// As the disk says.
    fn sync(&mut self) -> io::Result<()>;
}

/// The disk of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalDisk;

impl Disk for LocalDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(File::create(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }
}

impl DiskFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// A file that gets its name only when all of it is on disk; dropped before, it is removed.
pub(crate) struct NewFile<'a> {
    disk: &'a dyn Disk,
    temporary: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    hasher: Hasher,
    bytes: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub bytes: u64,
    pub sha256: Sha256Hex,
}

impl<'a> NewFile<'a> {
    pub fn create(disk: &'a dyn Disk, temporary: PathBuf) -> io::Result<Self> {
        let file = Some(disk.create(&temporary)?);
        Ok(Self { disk, temporary, file, hasher: Hasher::new(), bytes: 0 })
    }

    /// Makes the file durable under its own name. After a failure the file may have its name or not, and is to be
    /// taken as not written.
    pub fn finish(self, path: &Path) -> io::Result<Written> {
        self.finish_as(|_| Ok(path.to_owned()))
    }

    /// The same for a file whose name follows from what was written.
    pub fn finish_as(mut self, name: impl FnOnce(Written) -> io::Result<PathBuf>) -> io::Result<Written> {
        let mut file = self.file.take().ok_or_else(|| io::Error::other("the file is finished already"))?;
        let written = Written { bytes: self.bytes, sha256: std::mem::take(&mut self.hasher).finish() };
        let named = file.sync().and_then(|()| name(written)).and_then(|path| {
            self.disk.rename(&self.temporary, &path)?;
            self.sync_folder_of(&path)
        });
        if named.is_err() {
            let _ = self.disk.remove(&self.temporary);
        }
        named.map(|()| written)
    }

    fn sync_folder_of(&self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |folder| self.disk.sync_folder(folder))
    }
}

impl Write for NewFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = self.file.as_mut().ok_or_else(|| io::Error::other("the file is finished already"))?;
        let written = file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.flush())
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            let _ = self.disk.remove(&self.temporary);
        }
    }
}

/// Digest and size of a file, read in pieces.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of(path: &Path) -> io::Result<(Sha256Hex, u64)> {
    digest(path).map(|found| (found.sha256, found.bytes))
}

/// Size and digest of a file, read in pieces.
pub(crate) fn digest(path: &Path) -> io::Result<Written> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut piece = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = io::Read::read(&mut file, &mut piece)?;
        if read == 0 {
            return Ok(Written { bytes, sha256: hasher.finish() });
        }
        hasher.update(&piece[..read]);
        bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::failing::{FailingDisk, Fault, Operation};
    use super::*;

    fn write(disk: &dyn Disk, folder: &Path) -> io::Result<Written> {
        let mut file = NewFile::create(disk, folder.join("new.tmp"))?;
        file.write_all(b"ab")?;
        file.write_all(b"c")?;
        file.finish(&folder.join("new"))
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_finished_file_is_whole_and_its_digest_known() {
        let folder = tempfile::tempdir().unwrap();
        let written = write(&LocalDisk, folder.path()).unwrap();
        assert_eq!(names(folder.path()), ["new"]);
        // FIPS 180-4, the one-block example.
        assert_eq!(written.sha256.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest(&folder.path().join("new")).unwrap(), written);
    }

    #[test]
    fn whatever_fails_nothing_half_written_remains() {
        for operation in [Operation::Create, Operation::Write, Operation::Sync, Operation::Rename] {
            let folder = tempfile::tempdir().unwrap();
            let disk = FailingDisk::new();
            disk.fail(operation, 1, Fault::NoSpace);
            assert_eq!(write(&disk, folder.path()).unwrap_err().kind(), io::ErrorKind::StorageFull, "{operation:?}");
            assert_eq!(names(folder.path()), Vec::<String>::new(), "{operation:?}");
            assert!(write(&disk, folder.path()).is_ok(), "{operation:?} works again");
        }
    }

    #[test]
    fn a_short_write_is_carried_on() {
        let folder = tempfile::tempdir().unwrap();
        let disk = FailingDisk::new();
        disk.fail(Operation::Write, 1, Fault::Short);
        write(&disk, folder.path()).unwrap();
        assert_eq!(std::fs::read(folder.path().join("new")).unwrap(), b"abc");
    }
}
