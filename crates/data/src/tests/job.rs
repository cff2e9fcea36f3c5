//! Changes that take long, and whether all files are still there.

use std::sync::Arc;

use futures::StreamExt;
use qd_base::JobId;
use qd_catalog::{Job, JobState, Runner};

use super::*;
use crate::edit::{EditRequest, Pace, ROWS_AT_ONCE};

/// So many that to write them anew is a job.
const MANY: u64 = ROWS_AT_ONCE + 1;

async fn many(scene: &Scene) -> Dataset {
    scene.of(&(0..MANY).map(|n| json!({"id": format!("r{n}"), "n": n})).collect::<Vec<_>>()).await
}

fn without(id: &str) -> Edit {
    Edit { remove: BTreeSet::from([id.to_owned()]), ..Edit::default() }
}

impl Scene {
    async fn queued(&self, edit: Edit) -> JobId {
        match self.datasets.edit(self.project, &name(), edit).await.unwrap() {
            Outcome::Queued(job) => job,
            Outcome::Edited(edited) => panic!("at once: {edited:?}"),
        }
    }

    async fn ended(&self, job: JobId) -> Job {
        self.datasets.catalog.watch(job, 0).for_each(|event| async { drop(event.unwrap()) }).await;
        self.datasets.catalog.job(job).await.unwrap()
    }

    fn uploads(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("uploads")).unwrap().count()
    }

    /// As the handler does it, without a runner.
    async fn as_job(&self, job: JobId, pace: &Pace) -> Result<Edited> {
        let payload = self.datasets.catalog.job(job).await.unwrap().payload;
        let request: EditRequest = serde_json::from_value(payload).unwrap();
        self.datasets.edit_as_job(self.project, job, &request, pace).await
    }
}

fn pace(job: JobId, stop: &CancellationToken) -> Pace {
    Pace { job: Some(job), report: Arc::new(|_, _| {}), stop: stop.clone() }
}

#[tokio::test]
async fn many_rows_are_written_anew_by_a_job() {
    let scene = Scene::new().await;
    many(&scene).await;
    let added = scene.edit(Edit { add: vec![object(json!({"id": "x", "n": 1}))], ..Edit::default() }).await.unwrap();
    assert_eq!((added.version.number, added.rows), (2, MANY + 1), "what only comes to others is written at once");
    let job = scene.queued(without("r7")).await;
    assert_eq!(
        (scene.open("latest").await.info().number, scene.uploads()),
        (2, 2),
        "the file that was imported, and the change"
    );
    scene.datasets.sweep().await.unwrap();
    let request: EditRequest = serde_json::from_value(scene.datasets.catalog.job(job).await.unwrap().payload).unwrap();
    assert!(scene.datasets.check_unused(request.upload).await.is_err(), "the job still reads it");
    let running =
        Runner::new(scene.datasets.catalog.clone(), [Arc::new(EditHandler::new(scene.datasets.clone())) as _]);
    let running = running.start();
    let job = scene.ended(job).await;
    let expected =
        json!({"dataset": "test", "version": 3, "rows": MANY, "added": 0, "known": 0, "replaced": 0, "removed": 1});
    assert_eq!((job.state, job.result), (JobState::Succeeded, Some(expected)), "{:?}", job.error);
    let latest = scene.open("latest").await;
    assert!(latest.rows_of(&["r7".to_owned()]).await.unwrap().is_empty());
    assert_eq!((latest.len(), scene.open("3").await.info().number), (MANY, 3));
    // What is wrong is told by the job, and no version comes of it.
    let job = scene.queued(without("nobody")).await;
    let job = scene.ended(job).await;
    assert_eq!((job.state, job.error.unwrap().as_str()), (JobState::Failed, "there is no row nobody"));
    assert_eq!(scene.open("latest").await.info().number, 3);
    running.shutdown().await;
}

#[tokio::test]
async fn a_job_that_made_its_version_before_it_died_makes_no_other() {
    let scene = Scene::new().await;
    many(&scene).await;
    // Without an identifier the same rows could be added twice.
    let edit =
        Edit { replace: BTreeMap::from([("r1".to_owned(), object(json!({"id": "r1", "n": 0.5})))]), ..Edit::default() };
    let job = scene.queued(edit).await;
    let stop = CancellationToken::new();
    let first = scene.as_job(job, &pace(job, &stop)).await.unwrap();
    scene.edit(Edit { add: vec![object(json!({"id": "x", "n": 1}))], ..Edit::default() }).await.unwrap();
    let again = scene.as_job(job, &pace(job, &stop)).await.unwrap();
    assert_eq!((first.version.id, first.rows), (again.version.id, again.rows));
    assert_eq!(scene.datasets.list(scene.project).await.unwrap()[0].versions, 3);
}

#[tokio::test]
async fn a_cancelled_change_leaves_nothing() {
    let scene = Scene::new().await;
    many(&scene).await;
    let job = scene.queued(without("r7")).await;
    let stop = CancellationToken::new();
    let (token, its) = (stop.clone(), pace(job, &stop));
    // While the rows are being written.
    let report = Arc::new(move |done, _| {
        if done > 0 {
            token.cancel();
        }
    });
    let cancelled = scene.as_job(job, &Pace { report, ..its }).await;
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    assert_eq!((scene.files(), scene.open("latest").await.info().number), (1, 1));
}

#[tokio::test]
async fn a_version_follows_the_one_that_it_was_made_of() {
    let scene = Scene::new().await;
    let first = scene.of(&[json!({"a": 1})]).await;
    let second = scene.of(&[json!({"a": 2})]).await;
    let origin = Origin::Edit { added: 1, replaced: 0, removed: 0, job: None };
    let third = Content { rows: 7, ..first.content().clone() };
    let put = async |base: Option<&Dataset>| {
        scene.datasets.put_after(scene.project, &name(), base, &third, &origin, scene.datasets.files.writing()).await
    };
    for stale in [Some(&first), None] {
        let error = put(stale).await.unwrap_err();
        assert!(
            matches!(error, Error::Catalog { cause: qd_catalog::Error::Moved { found: Some(2), .. }, .. }),
            "{error:?}"
        );
    }
    assert_eq!(put(Some(&second)).await.unwrap().number, 3);
}

#[tokio::test]
async fn a_busy_dataset_is_changed_by_a_job_and_removed_at_once() {
    let scene = Scene::new().await;
    many(&scene).await;
    let busy = scene.datasets.alone(scene.project, &name()).await;
    let job = scene.queued(Edit { add: vec![object(json!({"id": "x", "n": 1}))], ..Edit::default() }).await;
    drop(busy);
    scene.datasets.remove(scene.project, &name()).await.unwrap();
    let gone = scene.as_job(job, &pace(job, &CancellationToken::new())).await;
    assert!(matches!(gone, Err(Error::Missing { what: "dataset", .. })), "{gone:?}");
}

#[tokio::test]
async fn damaged_files_are_told_with_what_names_them() {
    let scene = Scene::new().await;
    let dataset = scene.of(&[json!({"a": 1})]).await;
    scene.edit(Edit { add: vec![object(json!({"a": 2}))], ..Edit::default() }).await.unwrap();
    let verify = async || scene.datasets.verify(&CancellationToken::new(), |_, _| {}).await.unwrap();
    let sound = verify().await;
    assert_eq!((sound.row_files, sound.damaged_row_files.len()), (2, 0));
    let path = scene.datasets.files.path(dataset.content().files[0].sha256);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[10] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = verify().await;
    assert_eq!((damaged.row_files, damaged.damaged_row_files.len()), (2, 1));
    let told = &damaged.damaged_row_files[0];
    assert!(told.contains("of project default: ") && told.starts_with("test@") && told.contains("SHA-256"), "{told}");
    std::fs::remove_file(&path).unwrap();
    assert!(verify().await.damaged_row_files[0].contains("there is no blob"));
    scene.datasets.remove(scene.project, &name()).await.unwrap();
    assert_eq!(verify().await, qd_lake::VerifiedRows::default());
}
