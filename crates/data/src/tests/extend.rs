//! Columns that come to rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

fn origin(id: qd_base::VersionId) -> Origin {
    let annotation = "better".parse().unwrap();
    Origin::Annotation { annotation, version: 1, id, columns: vec!["label".to_owned()], labelled: 2 }
}

fn labels(of: &[(&str, Value)]) -> Extension {
    Extension {
        columns: vec![Column { name: "label".to_owned(), kind: ColumnType::Integer, role: Role::Label }],
        values: of.iter().map(|(id, value)| ((*id).to_owned(), vec![value.clone()])).collect(),
        ..Extension::default()
    }
}

/// An artifact that a version is made of, beside the dataset.
async fn made_of(scene: &Scene) -> qd_base::VersionId {
    let kind = qd_catalog::ArtifactKind::Annotation;
    let name = "better".parse().unwrap();
    let put = scene.datasets.catalog.put_version(scene.project, kind, &name, b"{}", json!({}), &[]).await;
    put.unwrap().info.id
}

async fn extend(scene: &Scene, source: &Dataset, target: &str, extension: Extension) -> Result<Edited> {
    let of = made_of(scene).await;
    let (target, origin) = (target.parse().unwrap(), origin(of));
    scene.datasets.extend(source, &target, extension, (&origin, of), |_, _| {}, CancellationToken::new()).await
}

#[tokio::test]
async fn rows_keep_their_identifiers() {
    let scene = Scene::new().await;
    let before = scene.of(&[json!({"q": "a"}), json!({"q": "b"}), json!({"q": "a"})]).await;
    let known = ids(&before).await;
    assert_eq!(known[2], format!("{}.2", known[0]), "without an id column the values make the identifier");
    let made = extend(&scene, &before, "test", labels(&[(&known[0], json!(1)), (&known[2], json!(3))])).await.unwrap();
    assert_eq!((made.version.number, made.rows), (2, 3));
    let after = scene.open("2").await;
    assert_eq!(ids(&after).await, known);
    assert_eq!(
        values(&after).await,
        [json!({"q": "a", "label": 1}), json!({"q": "b", "label": null}), json!({"q": "a", "label": 3})]
    );
    assert_eq!(kinds(after.columns())[1], ("label", "integer", "label"));
    let Some(Origin::Annotation { labelled: 2, .. }) = after.origin() else { panic!("{:?}", after.origin()) };
    let parents: Vec<_> = scene.datasets.catalog.lineage(after.info().id).await.unwrap().up;
    assert_eq!(parents.len(), 2, "the dataset and what was asked");
    // The same again is the same version, with other values it is another.
    let again = extend(&scene, &after, "test", labels(&[(&known[0], json!(1)), (&known[2], json!(3))])).await.unwrap();
    assert_eq!(again.version.id, after.info().id);
    let other = extend(&scene, &after, "test", labels(&[(&known[1], json!(2))])).await.unwrap();
    assert_eq!(other.version.number, 3);
    assert_eq!(values(&scene.open("3").await).await[0], json!({"q": "a", "label": null}));
    // A row like one that is there, added later, is another row.
    scene.edit(Edit { add: vec![object(json!({"q": "b"}))], ..Edit::default() }).await.unwrap();
    assert_eq!(ids(&scene.open("4").await).await[3], format!("{}.2", known[1]));
}

#[tokio::test]
async fn a_version_of_some_rows_goes_elsewhere() {
    let scene = Scene::new().await;
    let rows: Vec<Value> = (0..3_000).map(|n| json!({"id": format!("r{n}"), "n": n})).collect();
    let before = scene.of(&rows).await;
    let only = Some(HashSet::from(["r7".to_owned(), "r2999".to_owned()]));
    let extension = Extension { only, ..labels(&[("r7", json!(1)), ("r8", json!(2))]) };
    let made = extend(&scene, &before, "gold", extension).await.unwrap();
    assert_eq!((made.version.name.as_str(), made.version.number, made.rows), ("gold", 1, 2));
    let gold = scene.open_other("gold", "1").await;
    assert_eq!(
        values(&gold).await,
        [json!({"id": "r7", "n": 7, "label": 1}), json!({"id": "r2999", "n": 2999, "label": null})]
    );
    assert_eq!(scene.datasets.list(scene.project).await.unwrap().len(), 2);
    assert_eq!(scene.open("latest").await.info().number, 1);
}

#[tokio::test]
async fn what_other_rows_have_is_not_lost() {
    let scene = Scene::new().await;
    let rows = [json!({"id": "a"}), json!({"id": "b", "label": 7}), json!({"id": "c", "label": 1})];
    let before = scene.of(&rows).await;
    let about = |ids: &[&str]| Some(ids.iter().map(|&id| id.to_owned()).collect());
    let wanted = |ids: &[&str]| Extension { about: about(ids), ..labels(&[("a", json!(1))]) };
    let refused = extend(&scene, &before, "test", wanted(&["a", "c"])).await.unwrap_err();
    assert!(refused.to_string().contains("row b has something in label"), "{refused}");
    assert_eq!(scene.open("latest").await.info().number, 1);
    assert_eq!(extend(&scene, &before, "test", wanted(&["a", "b", "c"])).await.unwrap().version.number, 2);
}

#[tokio::test]
async fn what_cannot_be_leaves_nothing() {
    let scene = Scene::new().await;
    let first = scene.of(&[json!({"label": "x", "topic": "t"})]).await;
    let clash = Extension {
        columns: vec![Column { name: "other".to_owned(), kind: ColumnType::Text, role: Role::Label }],
        ..Extension::default()
    };
    let refused = extend(&scene, &first, "test", clash).await.unwrap_err();
    assert!(refused.to_string().contains("cannot both be the label"), "{refused}");
    let own = Extension {
        columns: vec![Column { name: "__row_id".to_owned(), kind: ColumnType::Text, role: Role::Metadata }],
        ..Extension::default()
    };
    assert!(extend(&scene, &first, "test", own).await.is_err());
    scene.edit(Edit { add: vec![object(json!({"label": "y"}))], ..Edit::default() }).await.unwrap();
    let stale = extend(&scene, &first, "test", labels(&[])).await.unwrap_err();
    assert!(
        matches!(stale, Error::Catalog { cause: qd_catalog::Error::Moved { found: Some(2), .. }, .. }),
        "{stale:?}"
    );
    let (stop, seen) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
    stop.cancel();
    let (of, told) = (made_of(&scene).await, Arc::clone(&seen));
    let report = move |done, _| told.store(done, Ordering::Relaxed);
    let latest = scene.open("latest").await;
    let ended = scene.datasets.extend(&latest, &name(), labels(&[]), (&origin(of), of), report, stop).await;
    assert!(matches!(ended, Err(Error::Cancelled)));
    assert_eq!((seen.load(Ordering::Relaxed), scene.open("latest").await.info().number), (0, 2));
}
