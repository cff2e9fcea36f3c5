//! Data sets of the Hugging Face hub, or of a mirror of it: which files a revision has, and how they get here.
//!
//! A name and a revision are looked up once, and become a commit: files are fetched from that, so that a branch which moves in
//! between changes nothing, and the same data can be had again. Which of the files hold what is wanted is not decided here.
//!
//! <https://huggingface.co/docs/hub/api>

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use qd_base::Sha256Hex;
use qd_net::{Client, Error as NetError, Request, Url, header};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::progress::Watch;
use crate::pull::{Download, Hub, Lock, create_folder, digest};
use crate::{Error, Progress};

/// The branch on which the hub keeps a data set's rows as Parquet, whatever its own files are.
pub const CONVERTED: &str = "refs/convert/parquet";
/// The largest list of files, and how many it may name.
const MOST_LIST_BYTES: u64 = 32 << 20;
const MOST_FILES: usize = 50_000;
/// The largest file, as for every upload.
const MOST_FILE_BYTES: u64 = 64 << 30;
const LONGEST_NAME_BYTES: usize = 200;

/// The name of a data set there: `openai/gsm8k`, of old ones without an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubDatasetId(String);

/// One revision of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubDataset {
    /// Which one.
    pub id: HubDatasetId,
    /// The commit that the revision was.
    pub commit: String,
    /// Its files.
    pub files: Vec<HubFile>,
}

/// One of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// Its path in the repository.
    pub path: String,
    /// How large it is, where the hub tells.
    pub size_bytes: Option<u64>,
    /// Its digest, which the hub tells of large files.
    pub sha256: Option<Sha256Hex>,
}

impl FromStr for HubDatasetId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts: Vec<&str> = text.split('/').collect();
        match text.len() <= LONGEST_NAME_BYTES && parts.len() <= 2 && parts.into_iter().all(is_word) {
            true => Ok(Self(text.to_owned())),
            false => Err(wrong(text, "it is no name of a data set; one is written as in openai/gsm8k")),
        }
    }
}

impl fmt::Display for HubDatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What may stand in a name without changing where a URL leads.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && !matches!(text, "." | "..") && text.chars().all(plain)
}

/// What the hub says of a revision, as far as it is read.
#[derive(Deserialize)]
struct Told {
    sha: String,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    lfs: Option<Large>,
}

#[derive(Deserialize)]
struct Large {
    sha256: Sha256Hex,
    size: u64,
}

impl Hub {
    /// Looks up a revision of a data set: a branch, a tag or a commit.
    ///
    /// # Errors
    /// [`Error::Hub`] when there is none, or it is not for everybody; [`Error::Fetch`] when the hub cannot be asked.
    pub async fn dataset(&self, client: &Client, id: &HubDatasetId, revision: &str) -> Result<HubDataset, Error> {
        if revision.len() > LONGEST_NAME_BYTES || !revision.split('/').all(is_word) {
            return Err(wrong(id, format!("{revision:?} is no revision: a branch, a tag or a commit")));
        }
        let path = format!("api/datasets/{id}/revision/{}?blobs=true", revision.replace('/', "%2F"));
        let body = self.get(client, id, revision, &path, MOST_LIST_BYTES).await?;
        let told: Told = serde_json::from_slice(&body)
            .map_err(|cause| wrong(id, format!("what the hub says of it cannot be read: {cause}")))?;
        let is_commit = (7..=64).contains(&told.sha.len()) && told.sha.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_commit || told.siblings.len() > MOST_FILES {
            let why =
                format!("what the hub says of it cannot be used: commit {:?}, {} files", told.sha, told.siblings.len());
            return Err(wrong(id, why));
        }
        let file = |told: Sibling| HubFile {
            path: told.rfilename,
            size_bytes: told.lfs.as_ref().map(|large| large.size).or(told.size),
            sha256: told.lfs.map(|large| large.sha256),
        };
        let files = told.siblings.into_iter().map(file).filter(|file| is_path(&file.path)).collect();
        Ok(HubDataset { id: id.clone(), commit: told.sha, files })
    }

    /// The text of one of its files that is small, as its README; what is longer is an error.
    ///
    /// # Errors
    /// As [`Hub::dataset`].
    pub async fn text(
        &self,
        client: &Client,
        dataset: &HubDataset,
        file: &HubFile,
        limit: u64,
    ) -> Result<String, Error> {
        let body = self.get(client, &dataset.id, &dataset.commit, &dataset.path_of(file), limit).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Fetches a file into a folder, and gives where it is. What a fetch before has left there is gone on with. A file is
    /// complete when it is as large as the hub says, and has the digest that the hub says, if it says one.
    ///
    /// # Errors
    /// As [`Hub::dataset`]; [`Error::Checksum`], [`Error::Cancelled`], [`Error::File`].
    pub async fn fetch(
        &self,
        client: &Client,
        (dataset, file): (&HubDataset, &HubFile),
        folder: &Path,
        report: &(dyn Fn(Progress) + Send + Sync),
        cancel: &CancellationToken,
    ) -> Result<PathBuf, Error> {
        create_folder(folder)?;
        let name = Sha256Hex::of(format!("{}/{}", dataset.commit, file.path).as_bytes()).to_string();
        let (whole, part) = (folder.join(&name), folder.join(format!("{name}.part")));
        let watch = Watch { report, cancel };
        let _only = Lock::acquire(&folder.join(format!("{name}.lock")), &file.path, &watch).await?;
        if whole.is_file() {
            return Ok(whole);
        }
        if file.size_bytes.is_some_and(|size_bytes| size_bytes > MOST_FILE_BYTES) {
            return Err(wrong(&dataset.id, format!("{} has over {MOST_FILE_BYTES} bytes", file.path)));
        }
        let download = Download {
            item: &file.path,
            url: self.join(&dataset.id, &dataset.path_of(file))?,
            authorization: self.authorization(),
            size_bytes: file.size_bytes,
            limit_bytes: file.size_bytes.unwrap_or(MOST_FILE_BYTES),
            part: &part,
        };
        if file.size_bytes == Some(0) {
            tokio::fs::write(&part, b"").await.map_err(Error::file("writing", &part))?;
        } else {
            download.run(client, &watch).await.map_err(|error| refused(&dataset.id, &dataset.commit, error))?;
        }
        let refuse = |error| std::fs::remove_file(&part).map_err(Error::file("removing", &part)).and(Err(error));
        let length = tokio::fs::metadata(&part).await.map_err(Error::file("reading", &part))?.len();
        if let Some(expected) = file.size_bytes.filter(|expected| *expected != length) {
            let why = format!("{} came with {length} bytes, the hub says {expected}; it was not kept", file.path);
            return refuse(wrong(&dataset.id, why));
        }
        if let Some(expected) = file.sha256 {
            let found = digest(part.clone()).await?;
            if found != expected {
                return refuse(Error::Checksum { what: file.path.clone(), expected, found });
            }
        }
        std::fs::rename(&part, &whole).map_err(Error::file("renaming", &part))?;
        Ok(whole)
    }

    async fn get(
        &self,
        client: &Client,
        id: &HubDatasetId,
        revision: &str,
        path: &str,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut request = Request::get(self.join(id, path)?);
        request.max_response_bytes = limit;
        if let Some(authorization) = self.authorization() {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let fetched = async { client.request(request).await?.success().await?.bytes(limit).await };
        let failed = |cause| refused(id, revision, Error::Fetch { place: format!("data set {id}"), cause });
        Ok(fetched.await.map_err(failed)?.to_vec())
    }

    fn join(&self, id: &HubDatasetId, path: &str) -> Result<Url, Error> {
        self.url.join(path).map_err(|cause| wrong(id, format!("{path}: {cause}")))
    }
}

impl HubDataset {
    /// The data set at its commit, as it is noted with what is made from it: `hub:openai/gsm8k@740312add88f781978c0658806c59bc2815b9866`.
    pub fn reference(&self) -> String {
        format!("hub:{}@{}", self.id, self.commit)
    }

    fn path_of(&self, file: &HubFile) -> String {
        format!("datasets/{}/resolve/{}/{}", self.id, self.commit, encoded(&file.path))
    }
}

/// Whether a path leads to a file of the repository and nowhere else.
fn is_path(path: &str) -> bool {
    let fits = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
    path.split('/').all(fits)
}

/// A path as it stands in a URL: what is not plain is written by its bytes.
fn encoded(path: &str) -> String {
    let one = |byte: u8| match byte {
        b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.bytes().map(one).collect()
}

/// What a refusal of the hub means. Of what is not for everybody it says that it is not there, or asks who one is.
fn refused(id: &HubDatasetId, revision: &str, error: Error) -> Error {
    let Error::Fetch { cause: NetError::Status { status, .. }, .. } = &error else { return error };
    let why = match status.as_u16() {
        401 | 403 => {
            "it is not there, or not for everybody: accept its terms on its page and set HF_TOKEN to a token of yours"
                .to_owned()
        }
        404 => format!("the hub has no such data set with the revision {revision}"),
        _ => return error,
    };
    wrong(id, why)
}

fn wrong(id: impl fmt::Display, why: impl Into<String>) -> Error {
    Error::Hub { id: id.to_string(), why: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_one_place() {
        for name in ["openai/gsm8k", "squad", "a-b_c.d/e.f"] {
            assert_eq!(name.parse::<HubDatasetId>().unwrap().to_string(), name);
        }
        for name in ["", "a/", "/a", "a/b/c", "..", "a/..", "a b", "a?b", "a/b@c", "http://x"] {
            assert!(name.parse::<HubDatasetId>().is_err(), "{name:?} should be refused");
        }
        assert!(
            is_path("data/train 1=a.parquet")
                && !is_path("../x")
                && !is_path("/x")
                && !is_path("a//b")
                && !is_path("a\\b")
        );
        assert_eq!(encoded("data/train 1=é.csv"), "data/train%201%3D%C3%A9.csv");
    }
}
