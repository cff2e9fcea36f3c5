//! Files on their way in: kept on disk until an import has read them.
//!
//! A file comes in as many pieces as its sender likes, each appended where the one before ended, so that a connection that breaks costs
//! one piece. What no import names is removed after a day, and what one has read at once. Changes of rows that wait for their job lie
//! here too.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use qd_base::{JobId, ProjectId};
use qd_catalog::{Catalog, JobFilter, JobKind, JobState, Page};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use uuid::Uuid;

use crate::edit::EditRequest;
use crate::import::ImportRequest;
use crate::{Datasets, Error, Result};

/// The largest file.
pub const MAX_BYTES: u64 = 64 << 30;
/// Files that wait at one time, and those of one project: twice what one import takes.
pub const MAX_FILES: usize = 10_000;
const PROJECT_FILES: usize = 4000;
/// What the files of one project are together.
const PROJECT_BYTES: u64 = 256 << 30;
/// A file that nobody imports is removed after so long without another piece.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// Whoever sends nothing for so long is gone.
const STALL: Duration = Duration::from_secs(60);

/// A folder of such files. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Uploads {
    dir: Arc<Path>,
}

/// The name of a file on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UploadId(Uuid);

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UploadId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let read = Uuid::try_parse(text).ok().filter(|id| id.to_string() == text);
        read.map(Self).ok_or_else(|| Error::Missing { what: "upload", name: text.chars().take(80).collect() })
    }
}

impl Serialize for UploadId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UploadId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Uploads {
    /// The folder `dir`, which is made when it is missing.
    ///
    /// # Errors
    /// [`Error::Disk`] when it cannot be made.
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(Error::disk("creating folder", dir))?;
        Ok(Self { dir: dir.into() })
    }

    /// Begins a file of a project; another project cannot reach it.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when too many wait, [`Error::Disk`].
    pub async fn begin(&self, project: ProjectId) -> Result<UploadId> {
        let waiting = self.list()?;
        let of_project = waiting.iter().filter(|(other, _)| *other == project).count();
        if waiting.len() >= MAX_FILES || of_project >= PROJECT_FILES {
            let limit = format!("{PROJECT_FILES} of a project and {MAX_FILES} of all");
            return Err(Error::TooLarge { what: "uploads that wait for an import", limit });
        }
        let id = UploadId(Uuid::now_v7());
        let path = self.path(project, id);
        tokio::fs::File::create_new(&path).await.map_err(Error::disk("creating", &path))?;
        Ok(id)
    }

    /// Appends a piece to a file whose length is `offset`, and gives the length that it then has. What of a piece comes before
    /// its connection breaks is kept.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Conflict`] when the file has another length, [`Error::TooLarge`] beyond
    /// [`MAX_BYTES`], [`Error::Disk`], or when the piece cannot be read.
    pub async fn append<E: fmt::Display>(
        &self,
        project: ProjectId,
        id: UploadId,
        offset: u64,
        mut piece: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<u64> {
        let path = self.path(project, id);
        let mut file =
            tokio::fs::OpenOptions::new().write(true).open(&path).await.map_err(|cause| missing(id, &path, cause))?;
        let mut length = file.seek(std::io::SeekFrom::End(0)).await.map_err(Error::disk("reading", &path))?;
        if length != offset {
            return Err(Error::Conflict {
                message: format!("the upload has {length} bytes, not {offset}; go on from there"),
            });
        }
        let others = self.project_bytes(project)?.saturating_sub(length);
        let broken = |why: String| Error::invalid("upload", why);
        while let Some(bytes) = tokio::time::timeout(STALL, piece.next())
            .await
            .map_err(|_| broken(format!("nothing came for {} s", STALL.as_secs())))?
        {
            let bytes = bytes.map_err(|cause| broken(format!("it broke off: {cause}")))?;
            length += bytes.len() as u64;
            if length > MAX_BYTES {
                return Err(Error::TooLarge { what: "upload", limit: format!("{MAX_BYTES} bytes") });
            }
            if others + length > PROJECT_BYTES {
                let limit = format!("{} GiB", PROJECT_BYTES >> 30);
                return Err(Error::TooLarge { what: "uploads of a project that wait for an import", limit });
            }
            file.write_all(&bytes).await.map_err(Error::disk("writing", &path))?;
        }
        // Synced when an import names it.
        file.flush().await.map_err(Error::disk("writing", &path))?;
        Ok(length)
    }

    /// Sees to it that a file is on disk as it is.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Disk`].
    pub(crate) fn sync(&self, project: ProjectId, id: UploadId) -> Result<()> {
        let path = self.path(project, id);
        let file = std::fs::File::open(&path).map_err(|cause| missing(id, &path, cause))?;
        file.sync_all().map_err(Error::disk("writing", &path))
    }

    /// Keeps bytes of our own as a file that is whole and on disk: what a job is to read.
    ///
    /// # Errors
    /// As [`Uploads::begin`].
    pub(crate) async fn keep(&self, project: ProjectId, bytes: Vec<u8>) -> Result<UploadId> {
        let id = self.begin(project).await?;
        let path = self.path(project, id);
        let write = async || {
            let mut file = tokio::fs::OpenOptions::new().write(true).open(&path).await?;
            file.write_all(&bytes).await?;
            file.sync_all().await
        };
        let written = write().await.map_err(Error::disk("writing", &path));
        if written.is_err() {
            self.remove(project, id)?;
        }
        written.map(|()| id)
    }

    /// What the files of a project are together.
    fn project_bytes(&self, project: ProjectId) -> Result<u64> {
        let mine = self.list()?.into_iter().filter(|(other, _)| *other == project);
        Ok(mine.filter_map(|(_, id)| self.bytes(project, id).ok()).sum())
    }

    /// How large a file is.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Disk`].
    pub fn bytes(&self, project: ProjectId, id: UploadId) -> Result<u64> {
        let path = self.path(project, id);
        std::fs::metadata(&path).map(|found| found.len()).map_err(|cause| missing(id, &path, cause))
    }

    /// Where a file lies.
    pub fn path(&self, project: ProjectId, id: UploadId) -> PathBuf {
        self.dir.join(format!("{project}.{id}"))
    }

    /// Removes a file; it is no error when there is none.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn remove(&self, project: ProjectId, id: UploadId) -> Result<()> {
        let path = self.path(project, id);
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::disk("removing", path)(cause)),
            _ => Ok(()),
        }
    }

    /// Removes what nobody wants any more: files that are not in `needed` and have waited too long.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn sweep(&self, needed: &HashSet<UploadId>) -> Result<u64> {
        let mut removed = 0;
        for (project, id) in self.list()?.into_iter().filter(|(_, id)| !needed.contains(id)) {
            let age = std::fs::metadata(self.path(project, id)).and_then(|found| found.modified()).ok();
            if age.and_then(|age| age.elapsed().ok()).is_some_and(|age| age >= KEPT) {
                self.remove(project, id)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn list(&self) -> Result<Vec<(ProjectId, UploadId)>> {
        let entries = std::fs::read_dir(&self.dir).map_err(Error::disk("reading folder", &*self.dir))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let read = |name: String| {
            name.split_once('.').and_then(|(project, id)| Some((project.parse().ok()?, id.parse().ok()?)))
        };
        Ok(names.filter_map(read).collect())
    }
}

/// The uploads that some job still wants.
pub(crate) async fn in_use(catalog: &Catalog) -> Result<HashSet<UploadId>> {
    let mut needed = HashSet::new();
    for kind in [crate::import::KIND, crate::edit::KIND] {
        let kind: JobKind = kind.parse().map_err(Error::catalog("naming the job"))?;
        for state in [JobState::Queued, JobState::Running] {
            let filter = JobFilter { state: Some(state), kind: Some(kind.clone()), ..JobFilter::default() };
            let mut page = Page::first(1000);
            loop {
                let jobs = catalog.jobs(&filter, page).await.map_err(Error::catalog("looking for jobs"))?;
                needed.extend(jobs.items.iter().flat_map(|job| named_by(&job.payload)));
                let Some(next) = jobs.next else { break };
                page = Page::after(1000, next);
            }
        }
    }
    Ok(needed)
}

/// The uploads that a job names.
fn named_by(payload: &Value) -> Vec<UploadId> {
    match ImportRequest::deserialize(payload) {
        Ok(import) => import.files.iter().map(|file| file.upload).collect(),
        Err(_) => EditRequest::deserialize(payload).map(|edit| edit.upload).into_iter().collect(),
    }
}

/// Removes uploads when it is recorded that their job has ended: as long as it is not, it may begin again.
pub(crate) async fn forget(datasets: Datasets, job: JobId, project: ProjectId, files: Vec<UploadId>) {
    let mut events = datasets.catalog.watch(job, 0);
    while let Some(Ok(_)) = events.next().await {}
    let found = datasets.catalog.job(job).await;
    if !found.is_ok_and(|job| !matches!(job.state, JobState::Queued | JobState::Running)) {
        return;
    }
    for file in files {
        if let Err(error) = datasets.uploads.remove(project, file) {
            tracing::warn!(%error, "an uploaded file could not be removed");
        }
    }
}

fn missing(id: UploadId, path: &Path, cause: std::io::Error) -> Error {
    match cause.kind() {
        std::io::ErrorKind::NotFound => Error::Missing { what: "upload", name: id.to_string() },
        _ => Error::disk("opening", path)(cause),
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn piece(text: &'static str) -> impl Stream<Item = Result<Bytes, String>> + Unpin {
        stream::iter([Ok(Bytes::from_static(text.as_bytes()))])
    }

    #[tokio::test]
    async fn pieces_go_on_where_the_last_ended() {
        let folder = tempfile::tempdir().unwrap();
        let uploads = Uploads::open(folder.path()).unwrap();
        let project = ProjectId::new();
        let id = uploads.begin(project).await.unwrap();
        assert_eq!(uploads.append(project, id, 0, piece("abc")).await.unwrap(), 3);
        assert!(matches!(uploads.append(project, id, 0, piece("abc")).await, Err(Error::Conflict { .. })));
        let broken = stream::iter([Ok(Bytes::from_static(b"de")), Err("gone")]);
        assert!(uploads.append(project, id, 3, broken).await.is_err());
        assert_eq!(uploads.append(project, id, 5, piece("f")).await.unwrap(), 6);
        assert_eq!(std::fs::read(uploads.path(project, id)).unwrap(), b"abcdef");
        assert!(matches!(uploads.bytes(ProjectId::new(), id), Err(Error::Missing { .. })), "another project's");
        assert_eq!(uploads.sweep(&HashSet::new()).unwrap(), 0, "it is young");
        uploads.remove(project, id).unwrap();
        assert!(matches!(uploads.bytes(project, id), Err(Error::Missing { .. })));
        assert!("../../etc/passwd".parse::<UploadId>().is_err());
    }
}
