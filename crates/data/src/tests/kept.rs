//! Rows, numbers and identifiers stay what they were, and files from elsewhere within their limits.

use super::*;

fn add(row: Value) -> Edit {
    Edit { add: vec![object(row)], ..Edit::default() }
}

#[tokio::test]
async fn whole_numbers_stay_beside_fractions() {
    let scene = Scene::new().await;
    // 2^53 + 1 is the first whole number that double precision does not hold.
    const WIDE: i64 = (1 << 53) + 1;
    scene.of(&[json!({"a": WIDE, "b": 1}), json!({"a": 2, "b": 2})]).await;
    scene.edit(add(json!({"a": 0.5, "b": 0.5}))).await.unwrap();
    let dataset = scene.open("latest").await;
    assert_eq!(kinds(dataset.columns()), [("a", "json", "variables"), ("b", "number", "variables")]);
    let column = values(&dataset).await.iter().map(|row| row["a"].clone()).collect::<Vec<_>>();
    assert_eq!(column, [json!(WIDE), json!(2), json!(0.5)]);
    // The other way about: fractions were there, and the wide number comes.
    scene.of(&[json!({"a": 0.5})]).await;
    scene.edit(add(json!({"a": WIDE}))).await.unwrap();
    assert_eq!(values(&scene.open("latest").await).await[1]["a"], WIDE);
}

#[tokio::test]
async fn an_identifier_is_the_same_in_whatever_number_it_is_written() {
    let scene = Scene::new().await;
    scene.of(&[json!({"id": 1, "n": 1}), json!({"id": 2, "n": 2})]).await;
    let again = scene.edit(add(json!({"id": 1.0, "n": 3}))).await.unwrap_err().to_string();
    assert!(again.contains("its id \"1\" is that of a row that is there"), "{again}");
    // Fractions beside them change no identifier of those that are there.
    scene.edit(add(json!({"id": 2.5, "n": 3}))).await.unwrap();
    assert_eq!(ids(&scene.open("latest").await).await, ["1", "2", "2.5"]);
    // Of text that is said to be a number, two may be the same.
    let mut request = scene.request(&[("x.csv", b"id,n\n1,a\n01,b\n2,c\n")]).await;
    request.roles = BTreeMap::from([("id".to_owned(), Role::Id)]);
    request.types = BTreeMap::from([("id".to_owned(), ColumnType::Integer)]);
    let error = scene.run(request).await.unwrap_err().to_string();
    assert!(error.contains("line 3: its id \"1\" is that of line 2 too"), "{error}");
}

#[tokio::test]
async fn another_column_identifies_the_rows_from_now_on() {
    let scene = Scene::new().await;
    scene.of(&[json!({"id": "a", "key": "x"}), json!({"id": "b", "key": "y"})]).await;
    let roles = BTreeMap::from([("id".to_owned(), Role::Variables), ("key".to_owned(), Role::Id)]);
    // What was an identifier may repeat then, and what has become one may not; the new rows are named by their own numbers.
    let row = |id: &str, key: &str| object(json!({"id": id, "key": key}));
    let repeats = Edit { roles: roles.clone(), add: vec![row("c", "x")], ..Edit::default() };
    let error = scene.edit(repeats).await.unwrap_err().to_string();
    assert!(error.contains("its id \"x\" is that of row 1 too"), "{error}");
    let replace = BTreeMap::from([("b".to_owned(), row("b", "z"))]);
    scene.edit(Edit { roles, replace, add: vec![row("a", "y")], ..Edit::default() }).await.unwrap();
    assert_eq!(ids(&scene.open("latest").await).await, ["x", "z", "y"]);
}

#[tokio::test]
async fn what_differs_is_told_by_values_and_not_by_types() {
    let scene = Scene::new().await;
    let before = scene.of(&[json!({"id": "a", "n": 1, "t": "x"}), json!({"id": "b", "n": 2, "t": "y"})]).await;
    let row = object(json!({"id": "b", "n": 2.5, "t": "y"}));
    let other = object(json!({"id": "a", "n": 1, "t": "z"}));
    let replace = BTreeMap::from([("a".to_owned(), other), ("b".to_owned(), row)]);
    scene.edit(Edit { replace, ..Edit::default() }).await.unwrap();
    let after = scene.open("latest").await;
    let diff = scene.datasets.diff(&before, &after).await.unwrap();
    let found = scene.datasets.differences((&before, &after), &diff, None, 0, 10).await.unwrap();
    // 1 has become 1.0, which is the same number in a column of fractions.
    assert_eq!(found.iter().map(|found| found.columns.clone()).collect::<Vec<_>>(), [["t"], ["n"]]);
}

#[tokio::test]
async fn a_bad_row_leaves_no_trace_in_the_columns() {
    let scene = Scene::new().await;
    let many: Map<String, Value> = (0..=crate::column::MAX_COLUMNS).map(|n| (format!("c{n}"), json!(1))).collect();
    let lines = [
        json!({"id": "x", "a": 1}),
        // The same identifier again, and more columns than there may be.
        json!({"id": "x", "a": "text", "b": 1}),
        Value::Object(many),
        json!({"id": "y", "a": 2}),
    ];
    let text = lines.map(|line| line.to_string()).join("\n");
    let mut request = scene.request(&[("x.jsonl", text.as_bytes())]).await;
    request.roles = BTreeMap::from([("id".to_owned(), Role::Id)]);
    request.skip_bad = true;
    let imported = scene.run(request).await.unwrap();
    assert_eq!(kinds(&imported.columns), [("id", "text", "id"), ("a", "integer", "variables")]);
    assert_eq!((imported.rows, imported.skipped), (2, 2));
}

#[tokio::test]
async fn a_split_of_its_own_stays_a_row_s() {
    let scene = Scene::new().await;
    let files: &[(&str, &[u8])] = &[("train.jsonl", b"{\"a\": 1, \"split\": \"mine\"}"), ("test.jsonl", b"{\"a\": 2}")];
    scene.import(files).await;
    let rows = values(&scene.open("latest").await).await;
    assert_eq!(rows.iter().map(|row| row["split"].clone()).collect::<Vec<_>>(), ["mine", "test"]);
}

#[tokio::test]
async fn a_file_that_did_not_come_whole_is_not_imported() {
    let scene = Scene::new().await;
    let request = scene.request(&[("x.jsonl", b"{\"a\": 1}\n{\"a\": 2}\n")]).await;
    let path = scene.datasets.uploads.path(scene.project, request.files[0].upload);
    for text in ["{\"a\": 1}\n", "{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n"] {
        std::fs::write(&path, text).unwrap();
        let error = scene.run(request.clone()).await.unwrap_err().to_string();
        let expected = format!("it has {} bytes, not the 18 that were to be imported; upload it again", text.len());
        assert_eq!(error, format!("x.jsonl cannot be read: {expected}"));
    }
}

#[tokio::test]
async fn rows_of_no_group_are_not_one() {
    let scene = Scene::new().await;
    scene.of(&(0..200).map(|n| json!({"user": null, "n": n})).collect::<Vec<_>>()).await;
    let part = |name: &str| crate::split::Part { name: name.to_owned(), fraction: 0.5, dataset: None };
    let request = SplitRequest {
        dataset: name(),
        version: "latest".to_owned(),
        parts: vec![part("a"), part("b")],
        seed: 1,
        group: Some("user".to_owned()),
        stratify: None,
    };
    let made = scene.datasets.split(scene.project, request, |_, _| {}, CancellationToken::new()).await.unwrap();
    // Six standard deviations of a binomial with n = 200, p = 0.5: 6·√50 = 42.
    assert!(made[0].rows.abs_diff(100) <= 42, "{made:?}");
}

#[tokio::test]
async fn a_page_ends_before_it_is_too_large() {
    let scene = Scene::new().await;
    let text = "x".repeat(9 << 20);
    let dataset = scene.of(&(0..9).map(|n| json!({"n": n, "t": text})).collect::<Vec<_>>()).await;
    // Of 64 MiB, seven of 9 MiB.
    let page = dataset.page(0..9).await.unwrap();
    assert_eq!((page.rows.len(), page.next), (7, Some(7)));
    let rest = dataset.page(7..9).await.unwrap();
    assert_eq!((rest.rows.len(), rest.next), (2, None));
    let search = Search { text: Some("xxx".to_owned()), equal: None };
    let found = dataset.search(search, 0, 9).await.unwrap();
    assert_eq!((found.rows.len(), found.next), (8, Some(8)), "the row that passes the limit is still given");
}

#[tokio::test]
async fn a_project_has_so_many_uploads() {
    let scene = Scene::new().await;
    let other = ProjectId::new();
    for n in 0..4000_u64 {
        let name = format!("{}.{}", scene.project, uuid::Uuid::from_u64_pair(n, n));
        std::fs::File::create(scene.dir.path().join("uploads").join(name)).unwrap();
    }
    let full = scene.datasets.uploads.begin(scene.project).await;
    assert!(matches!(full, Err(Error::TooLarge { what: "uploads that wait for an import", .. })), "{full:?}");
    // Another project has places and room of its own.
    let id = scene.datasets.uploads.begin(other).await.unwrap();
    let large = scene.datasets.uploads.begin(other).await.unwrap();
    let file = std::fs::File::options().write(true).open(scene.datasets.uploads.path(other, large)).unwrap();
    file.set_len(256 << 30).unwrap();
    let piece = stream::iter([Ok::<_, String>(Bytes::from_static(b"x"))]);
    let full = scene.datasets.uploads.append(other, id, 0, piece).await;
    let what = "uploads of a project that wait for an import";
    assert!(matches!(&full, Err(Error::TooLarge { what: told, .. }) if *told == what), "{full:?}");
}

#[tokio::test]
async fn one_dataset_does_not_wait_for_another() {
    let scene = Scene::new().await;
    let _busy = scene.datasets.alone(scene.project, &"other".parse().unwrap()).await;
    scene.edit(add(json!({"a": 1}))).await.unwrap();
}
