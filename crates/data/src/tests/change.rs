//! What becomes of rows: edits, splits, differences, removal.

use super::*;
use crate::split::Part as SplitPart;

async fn numbered(scene: &Scene, count: u64) -> Dataset {
    let rows: Vec<_> = (0..count).map(|n| json!({"id": format!("r{n}"), "input": format!("q{n}"), "n": n})).collect();
    scene.of(&rows).await
}

#[tokio::test]
async fn rows_that_only_come_to_others_are_another_file() {
    let scene = Scene::new().await;
    let before = numbered(&scene, 3).await;
    let add = vec![object(json!({"id": "x", "input": "new", "n": 7, "tag": "t"}))];
    let edited = scene.edit(Edit { base: Some(1), add, ..Edit::default() }).await.unwrap();
    assert_eq!((edited.version.number, edited.rows, edited.added), (2, 4, 1));
    let after = scene.open("2").await;
    assert_eq!(after.content().files[0], before.content().files[0], "the rows that were there are not written again");
    assert_eq!(ids(&after).await, ["r0", "r1", "r2", "x"]);
    assert_eq!(values(&after).await[0]["tag"], Value::Null);
    assert_eq!(values(&after).await[3], json!({"id": "x", "input": "new", "n": 7, "tag": "t"}));
    let lineage = scene.datasets.catalog.lineage(after.info().id).await.unwrap();
    assert_eq!(lineage.up[0].version.id, before.info().id);
    // Read across both files, and by a column that the first one lacks.
    assert_eq!(after.rows(2..4).await.unwrap().len(), 2);
    let equal = Search { text: None, equal: Some(("tag".to_owned(), "t".to_owned())) };
    assert_eq!(after.search(equal, 0, 10).await.unwrap().rows[0].id, "x");
}

#[tokio::test]
async fn edits_that_cannot_be_change_nothing() {
    let scene = Scene::new().await;
    numbered(&scene, 3).await;
    let row = |id: &str| object(json!({"id": id, "input": "q", "n": 1}));
    let stale = scene.edit(Edit { base: Some(7), add: vec![row("x")], ..Edit::default() }).await;
    assert!(matches!(stale, Err(Error::Conflict { .. })));
    let known = scene.edit(Edit { add: vec![row("x"), row("r1")], ..Edit::default() }).await.unwrap_err().to_string();
    assert!(known.contains("row 2: its id \"r1\" is that of a row that is there"), "{known}");
    let without = scene.edit(Edit { add: vec![object(json!({"input": "q"}))], ..Edit::default() }).await.unwrap_err();
    assert!(without.to_string().contains("row 1: it has no id"), "{without}");
    let gone = scene.edit(Edit { remove: BTreeSet::from(["nobody".to_owned()]), ..Edit::default() }).await;
    assert!(matches!(gone, Err(Error::Missing { what: "row", .. })));
    assert!(scene.edit(Edit::default()).await.is_err());
    assert_eq!(scene.datasets.list(scene.project).await.unwrap()[0].latest, 1);
}

/// Rows that replace others have no number: they are told by the identifiers that they are to have.
#[tokio::test]
async fn rows_that_cannot_replace_or_go_are_named() {
    let scene = Scene::new().await;
    numbered(&scene, 30).await;
    let replace = |rows: &[(&str, Value)]| {
        let rows = rows.iter().map(|(id, row)| ((*id).to_owned(), object(row.clone())));
        Edit { add: vec![object(json!({"id": "new"}))], replace: rows.collect(), ..Edit::default() }
    };
    let error = scene.edit(replace(&[("r2", json!({})), ("r1", json!({"id": "r1"}))])).await.unwrap_err().to_string();
    assert!(error.starts_with("1 of 3 rows cannot be imported"), "{error}");
    assert!(error.ends_with("mend them:\n  what replaces the row \"r2\": it is an object without fields"), "{error}");
    let error = scene.edit(replace(&[("r2", json!({"id": "r7"})), ("r1", json!({"n": 1}))])).await.unwrap_err();
    let expected = ["\"r1\": it has no id", "\"r2\": it has another id, \"r7\""];
    let expected = expected.map(|told| format!("\n  what replaces the row {told}")).concat();
    assert!(error.to_string().ends_with(&expected), "{error}");
    let mut gone = Edit { remove: (0..60).map(|n| format!("r{n:02}")).collect(), ..Edit::default() };
    let error = scene.edit(gone.clone()).await.unwrap_err().to_string();
    // r10 to r29 are there; of the 40 others the first 20 are named.
    assert!(error.starts_with("there is no row r00, r01,"), "{error}");
    assert!(error.ends_with("r39 and 20 more"), "{error}");
    gone.remove = BTreeSet::from(["r3".to_owned(), "nobody".to_owned()]);
    assert_eq!(scene.edit(gone).await.unwrap_err().to_string(), "there is no row nobody");
    assert_eq!(scene.datasets.list(scene.project).await.unwrap()[0].latest, 1);
}

#[tokio::test]
async fn rows_are_replaced_and_removed_in_their_places() {
    let scene = Scene::new().await;
    numbered(&scene, 4).await;
    let replace = BTreeMap::from([("r1".to_owned(), object(json!({"id": "r1", "input": "other", "n": 0.5})))]);
    let remove = BTreeSet::from(["r2".to_owned()]);
    scene.edit(Edit { replace, remove, ..Edit::default() }).await.unwrap();
    let after = scene.open("2").await;
    assert_eq!(kinds(after.columns())[2], ("n", "number", "variables"), "a fraction makes the column wider");
    let expected = [
        json!({"id": "r0", "input": "q0", "n": 0.0}),
        json!({"id": "r1", "input": "other", "n": 0.5}),
        json!({"id": "r3", "input": "q3", "n": 3.0}),
    ];
    assert_eq!(values(&after).await, expected);
    let before = scene.open("1").await;
    let diff = scene.datasets.diff(&before, &after).await.unwrap();
    assert_eq!((diff.added.len(), &diff.removed, &diff.changed, diff.same), (0, &vec![2], &vec![(1, 1)], 2));
    let found = scene.datasets.differences((&before, &after), &diff, None, 0, 10).await.unwrap();
    assert_eq!(found.iter().map(|found| found.change).collect::<Vec<_>>(), [Change::Removed, Change::Changed]);
    assert_eq!(found[1].columns, ["input", "n"]);
    assert_eq!(found[1].before.as_ref().unwrap().values["input"], "q1");
    assert_eq!(diff.columns[0].name, "n");
    let second = scene.datasets.differences((&before, &after), &diff, Some(Change::Changed), 0, 10).await.unwrap();
    assert_eq!(second.len(), 1);
}

#[tokio::test]
async fn without_identifiers_rows_differ_as_a_multiset() {
    let scene = Scene::new().await;
    let before = scene.of(&[json!({"a": "x"}), json!({"a": "x"}), json!({"a": "y"}), json!({"a": "z"})]).await;
    let after = scene
        .of(&[json!({"a": "z"}), json!({"a": "x"}), json!({"a": "w"}), json!({"a": "y"}), json!({"a": "y"})])
        .await;
    let diff = scene.datasets.diff(&before, &after).await.unwrap();
    // One x less, one y and a w more; what moved is the same.
    assert_eq!((&diff.added, &diff.removed, diff.changed.len(), diff.same), (&vec![2, 4], &vec![1], 0, 3));
}

#[tokio::test]
async fn a_column_becomes_the_identifier_when_its_values_can() {
    let scene = Scene::new().await;
    scene.of(&[json!({"a": "x", "n": 1}), json!({"a": "y", "n": 1})]).await;
    let roles = |column: &str| Edit { roles: BTreeMap::from([(column.to_owned(), Role::Id)]), ..Edit::default() };
    let error = scene.edit(roles("n")).await.unwrap_err().to_string();
    assert!(error.contains("row 2: its id \"1\" is that of row 1 too"), "{error}");
    scene.edit(roles("a")).await.unwrap();
    assert_eq!(ids(&scene.open("latest").await).await, ["x", "y"]);
}

fn split(parts: &[(&str, f64)], seed: u64, group: Option<&str>) -> SplitRequest {
    let part =
        |(name, fraction): &(&str, f64)| SplitPart { name: (*name).to_owned(), fraction: *fraction, dataset: None };
    SplitRequest {
        dataset: name(),
        version: "latest".to_owned(),
        parts: parts.iter().map(part).collect(),
        seed,
        group: group.map(str::to_owned),
        stratify: None,
    }
}

impl Scene {
    async fn split(&self, request: SplitRequest) -> Result<Vec<Made>> {
        self.datasets.split(self.project, request, |_, _| {}, CancellationToken::new()).await
    }
}

#[tokio::test]
async fn a_row_falls_into_the_same_part_whatever_comes_to_it() {
    let scene = Scene::new().await;
    let before = numbered(&scene, 2000).await;
    let halves = [("train", 0.7), ("test", 0.3)];
    let made = scene.split(split(&halves, 7, None)).await.unwrap();
    assert_eq!(made.iter().map(|made| made.rows).sum::<u64>(), 2000);
    // Six standard deviations of a binomial with n = 2000, p = 0.3: 6·√(2000·0.3·0.7) = 123.
    assert!(made[1].rows.abs_diff(600) < 123, "{made:?}");
    let test = scene.open_other("test-test", "1").await;
    let lineage = scene.datasets.catalog.lineage(test.info().id).await.unwrap();
    assert_eq!(lineage.up[0].version.id, before.info().id);
    let first: HashSet<_> = ids(&test).await.into_iter().collect();
    let again = scene.split(split(&halves, 7, None)).await.unwrap();
    assert_eq!(again[1].version, 1, "the same rows are the same version");
    numbered(&scene, 3000).await;
    scene.split(split(&halves, 7, None)).await.unwrap();
    let second: HashSet<_> = ids(&scene.open_other("test-test", "2").await).await.into_iter().collect();
    assert!(first.is_subset(&second), "rows that were added moved no other");
    scene.split(split(&halves, 8, None)).await.unwrap();
    let third: HashSet<_> = ids(&scene.open_other("test-test", "3").await).await.into_iter().collect();
    assert!(!first.is_subset(&third), "another seed gives other parts");
}

#[tokio::test]
async fn what_belongs_together_stays_together() {
    let scene = Scene::new().await;
    let rows: Vec<_> = (0..600).map(|n| json!({"user": n % 50, "text": format!("t{n}")})).collect();
    scene.of(&rows).await;
    scene.split(split(&[("a", 0.5), ("b", 0.5)], 1, Some("user"))).await.unwrap();
    let users = async |part: &str| -> HashSet<i64> {
        let rows = values(&scene.open_other(&format!("test-{part}"), "1").await).await;
        rows.iter().map(|row| row["user"].as_i64().unwrap()).collect()
    };
    let (one, other) = (users("a").await, users("b").await);
    assert!(one.is_disjoint(&other) && one.len() + other.len() == 50 && !one.is_empty() && !other.is_empty());
    // Rows with the same values are never on both sides.
    scene.of(&(0..600).map(|n| json!({"text": format!("t{}", n % 20)})).collect::<Vec<_>>()).await;
    scene.split(split(&[("a", 0.5), ("b", 0.5)], 1, None)).await.unwrap();
    let texts = async |part: &str| -> HashSet<String> {
        let rows = values(&scene.open_other(&format!("test-{part}"), "2").await).await;
        rows.iter().map(|row| row["text"].as_str().unwrap().to_owned()).collect()
    };
    assert!(texts("a").await.is_disjoint(&texts("b").await));
}

#[tokio::test]
async fn parts_have_their_shares_of_each_value() {
    let scene = Scene::new().await;
    // 70 of a, 20 of b, and one of neither.
    let label = |n: u64| {
        if n < 70 {
            json!("a")
        } else if n < 90 {
            json!("b")
        } else {
            Value::Null
        }
    };
    let rows: Vec<_> = (0..91).map(|n| json!({"text": format!("t{n}"), "label": label(n)})).collect();
    scene.of(&rows).await;
    let wanted = |seed| SplitRequest {
        stratify: Some("label".to_owned()),
        ..split(&[("train", 0.8), ("test", 0.1)], seed, None)
    };
    let made = scene.split(wanted(7)).await.unwrap();
    let labels = async |part: &str, version: &str| {
        let rows = values(&scene.open_other(&format!("test-{part}"), version).await).await;
        ["a", "b"].map(|label| rows.iter().filter(|row| row["label"] == label).count())
    };
    // 70 and 20 times 0.8 and 0.1.
    assert_eq!((labels("train", "1").await, labels("test", "1").await), ([56, 16], [7, 2]));
    let said = "1 of 3 values of label have too few rows to be in it: no value (1 rows)";
    assert_eq!((made[0].rows, made[0].notes.len(), made[1].rows), (73, 0, 9), "{made:?}");
    assert_eq!(made[1].notes, [said]);
    let Some(Origin::Split { stratify, notes, .. }) = scene.open_other("test-test", "1").await.origin() else {
        panic!()
    };
    assert_eq!((stratify.as_deref(), notes.as_slice()), (Some("label"), &[said.to_owned()][..]));
    let texts = async |version: &str| values(&scene.open_other("test-test", version).await).await;
    let again = scene.split(wanted(7)).await.unwrap();
    assert_eq!(again[1].version, 1, "the same seed gives the very same version");
    scene.split(wanted(8)).await.unwrap();
    assert_ne!(texts("1").await, texts("2").await, "another seed gives others");
    let both = SplitRequest { group: Some("text".to_owned()), ..wanted(7) };
    assert!(matches!(scene.split(both).await, Err(Error::Invalid { what: "stratify", .. })));
    let none = SplitRequest { stratify: Some("class".to_owned()), ..wanted(7) };
    assert!(matches!(scene.split(none).await, Err(Error::Invalid { .. })));
}

#[tokio::test]
async fn parts_that_cannot_be_are_refused() {
    let scene = Scene::new().await;
    numbered(&scene, 10).await;
    for parts in [&[][..], &[("a", 0.0)], &[("a", 0.6), ("b", 0.6)], &[("a", 0.5), ("a", 0.5)], &[("a b", 0.5)]] {
        assert!(matches!(scene.split(split(parts, 0, None)).await, Err(Error::Invalid { .. })), "{parts:?}");
    }
    assert!(scene.split(split(&[("a", 0.5)], 0, Some("nothing"))).await.is_err());
    // Tenths do not add up to one in binary, and still no row is lost.
    let tenths: Vec<_> = (0..10).map(|n| (["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"][n], 0.1)).collect();
    let made = scene.split(split(&tenths, 0, None)).await.unwrap();
    assert_eq!(made.iter().map(|made| made.rows).sum::<u64>(), 10);
}

#[tokio::test]
async fn files_that_no_version_names_are_swept() {
    let scene = Scene::new().await;
    numbered(&scene, 10).await;
    scene.split(split(&[("a", 0.5), ("b", 0.5)], 0, None)).await.unwrap();
    assert_eq!(scene.files(), 3);
    assert_eq!(scene.datasets.sweep().await.unwrap().blobs, 0);
    scene.datasets.remove(scene.project, &name()).await.unwrap();
    assert_eq!(scene.datasets.sweep().await.unwrap().blobs, 1);
    assert_eq!(scene.files(), 2);
    let missing = scene.datasets.open(scene.project, &name(), &VersionRef::Latest).await;
    assert!(matches!(missing, Err(Error::Catalog { cause: qd_catalog::Error::NotFound { .. }, .. })));
}

#[tokio::test]
async fn two_who_add_at_once_lose_nothing() {
    let scene = Scene::new().await;
    numbered(&scene, 1).await;
    let add = |n: u32| {
        let row = object(json!({"id": format!("x{n}"), "input": "q", "n": n}));
        scene.edit(Edit { add: vec![row], ..Edit::default() })
    };
    let all = futures::future::join_all((0..20).map(add)).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(scene.open("latest").await.len(), 21);
}

#[tokio::test]
async fn many_small_files_become_one() {
    let scene = Scene::new().await;
    numbered(&scene, 1).await;
    for n in 0..crate::version::MAX_FILES as u64 + 1 {
        let row = object(json!({"id": format!("x{n}"), "input": "q", "n": n}));
        scene.edit(Edit { add: vec![row], ..Edit::default() }).await.unwrap();
    }
    let dataset = scene.open("latest").await;
    assert_eq!((dataset.len(), dataset.content().files.len()), (66, 2));
    assert_eq!(values(&dataset).await[65]["n"], 64);
}
