//! Datasets through their own door: what is imported is read back, whatever is done to it in between.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use bytes::Bytes;
use futures::stream;
use qd_base::{ArtifactName, ProjectId};
use qd_catalog::{Catalog, MasterKey, VersionRef};
use qd_lake::blob::BlobStore;
use qd_lake::{Lake, LakeConfig};
use qd_trace::Traces;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::*;

mod calls;
mod change;
mod extend;
mod import;
mod job;
mod kept;
mod query;

/// Datasets in a folder of their own.
struct Scene {
    datasets: Datasets,
    project: ProjectId,
    lake: Lake,
    dir: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(dir.path(), MasterKey::generate()).await.unwrap();
        let lake = Lake::open(LakeConfig::new(dir.path().join("lake")), catalog.clone(), qd_trace::tables());
        let lake = lake.await.unwrap();
        let blobs = BlobStore::open(&dir.path().join("payloads")).unwrap();
        let traces = Traces::new(lake.clone(), blobs);
        let project = catalog.default_project().id;
        let datasets = Datasets::new(dir.path(), catalog, lake.clone(), traces).unwrap();
        Self { datasets, project, lake, dir }
    }

    /// An import of files with these names and contents, to be told more.
    async fn request(&self, files: &[(&str, &[u8])]) -> ImportRequest {
        let mut uploaded = Vec::new();
        for (path, content) in files {
            let upload = self.datasets.uploads.begin(self.project).await.unwrap();
            let piece = stream::iter([Ok::<_, String>(Bytes::copy_from_slice(content))]);
            self.datasets.uploads.append(self.project, upload, 0, piece).await.unwrap();
            uploaded.push(ImportFile { upload, path: (*path).to_owned(), bytes: Some(content.len() as u64) });
        }
        let request = json!({ "dataset": "test", "files": uploaded });
        serde_json::from_value(request).unwrap()
    }

    async fn run(&self, request: ImportRequest) -> Result<Imported> {
        self.datasets.import(self.project, request, |_, _, _| {}, CancellationToken::new()).await
    }

    async fn import(&self, files: &[(&str, &[u8])]) -> Imported {
        self.run(self.request(files).await).await.unwrap()
    }

    /// The dataset with these rows.
    async fn of(&self, rows: &[Value]) -> Dataset {
        let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
        self.import(&[("rows.jsonl", lines.join("\n").as_bytes())]).await;
        self.open("latest").await
    }

    async fn open(&self, version: &str) -> Dataset {
        self.open_other("test", version).await
    }

    async fn open_other(&self, name: &str, version: &str) -> Dataset {
        let which: VersionRef = version.parse().unwrap();
        self.datasets.open(self.project, &name.parse().unwrap(), &which).await.unwrap()
    }

    /// An edit that is made at once.
    async fn edit(&self, edit: Edit) -> Result<Edited> {
        self.datasets.edit(self.project, &name(), edit).await.map(at_once)
    }

    /// The files of rows, half-written ones included.
    fn files(&self) -> usize {
        let list = |folder: std::path::PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        list(self.dir.path().join("datasets")).flat_map(list).count()
    }
}

fn at_once(outcome: Outcome) -> Edited {
    match outcome {
        Outcome::Edited(edited) => edited,
        Outcome::Queued(job) => panic!("job {job} does what is done at once"),
    }
}

fn name() -> ArtifactName {
    "test".parse().unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// The values of all rows.
async fn values(dataset: &Dataset) -> Vec<Value> {
    let rows = dataset.rows(0..u64::MAX).await.unwrap();
    assert!(rows.iter().enumerate().all(|(at, row)| row.index == at as u64));
    rows.into_iter().map(|row| Value::Object(row.values)).collect()
}

async fn ids(dataset: &Dataset) -> Vec<String> {
    dataset.rows(0..u64::MAX).await.unwrap().into_iter().map(|row| row.id).collect()
}

fn kinds(columns: &[Column]) -> Vec<(&str, &str, &str)> {
    columns.iter().map(|column| (column.name.as_str(), column.kind.as_str(), column.role.as_str())).collect()
}
