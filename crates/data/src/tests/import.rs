//! Files in, rows out.

use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn each_format_gives_the_same_rows() {
    let rows = [
        json!({"question": "1+1?", "answer": 2, "score": 0.5, "easy": true}),
        json!({"question": "ä, \"ö\"\nü", "answer": -3, "score": 1.5, "easy": false}),
        json!({"question": "x", "answer": null, "score": null, "easy": null}),
    ];
    let lines: Vec<_> = rows.iter().map(Value::to_string).collect();
    let csv = "question,answer,score,easy\r\n1+1?,2,0.5,true\r\n\"ä, \"\"ö\"\"\nü\",-3,1.5,false\r\nx,,,\r\n";
    let scene = Scene::new().await;
    let mut of_parquet = Vec::new();
    for (name, content) in [
        ("rows.jsonl", lines.join("\n").into_bytes()),
        ("rows.json", json!(rows).to_string().into_bytes()),
        ("rows.csv", csv.as_bytes().to_vec()),
        ("rows.jsonl.zst", zstd::encode_all(lines.join("\n").as_bytes(), 1).unwrap()),
    ] {
        let imported = scene.import(&[(name, &content)]).await;
        assert_eq!((imported.rows, imported.version), (3, 1), "{name} gives the very same version");
        let dataset = scene.open("latest").await;
        assert_eq!(values(&dataset).await, rows, "{name}");
        assert_eq!(
            kinds(dataset.columns()),
            [
                ("question", "text", "input"),
                ("answer", "integer", "reference"),
                ("score", "number", "variables"),
                ("easy", "boolean", "variables"),
            ]
        );
        of_parquet = export(&dataset, Form::Parquet).await;
    }
    assert_eq!(scene.import(&[("rows.parquet", &of_parquet)]).await.version, 1);
    assert_eq!(values(&scene.open("1").await).await, rows);
}

async fn export(dataset: &Dataset, form: Form) -> Vec<u8> {
    let (mut export, mut bytes) = (Export::new(dataset, form).unwrap(), Vec::new());
    while let Some(piece) = export.next().await.unwrap() {
        bytes.extend(piece);
    }
    bytes
}

#[tokio::test]
async fn exports_are_files_that_others_read() {
    let scene = Scene::new().await;
    let rows = [json!({"a": "x,\"y\"", "m": [{"role": "user", "content": "hi"}]}), json!({"a": null, "m": null})];
    let dataset = scene.of(&rows).await;
    let lines = String::from_utf8(export(&dataset, Form::Jsonl).await).unwrap();
    assert_eq!(lines, format!("{}\n{}\n", rows[0], rows[1]));
    let csv = String::from_utf8(export(&dataset, Form::Csv).await).unwrap();
    let expected = "a,m\n\"x,\"\"y\"\"\",\"[{\"\"role\"\":\"\"user\"\",\"\"content\"\":\"\"hi\"\"}]\"\n,\n";
    assert_eq!(csv, expected);
    assert!(export(&dataset, Form::Parquet).await.starts_with(b"PAR1"));
}

#[tokio::test]
async fn bad_rows_are_named_and_nothing_is_imported() {
    let scene = Scene::new().await;
    let mut lines: Vec<_> = (1..=3000).map(|n| json!({"id": n, "question": format!("q{n}")}).to_string()).collect();
    lines[16] = "{\"id\": 17, \"question\": ".to_owned();
    lines[1499] = "[1500]".to_owned();
    lines[2998] = json!({"id": 5, "question": "again"}).to_string();
    let content = lines.join("\n");
    let mut request = scene.request(&[("big.jsonl", content.as_bytes())]).await;
    request.roles = BTreeMap::from([("id".to_owned(), Role::Id)]);
    let error = scene.run(request.clone()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "3 of 3000 rows cannot be imported, so nothing was; leave bad rows out, or mend them:\n  \
         line 17: it is not JSON: EOF while parsing a value at character 22\n  \
         line 1500: it is no object: [1500]\n  \
         line 2999: its id \"5\" is that of line 5 too"
    );
    assert!(scene.datasets.list(scene.project).await.unwrap().is_empty());
    assert_eq!(scene.files(), 0, "no half-written file is left");
    request.skip_bad = true;
    let imported = scene.run(request).await.unwrap();
    assert_eq!((imported.rows, imported.skipped, imported.bad.len()), (2997, 3, 3));
    assert_eq!(scene.open("1").await.rows_of(&["3000".to_owned()]).await.unwrap()[0].index, 2996);
}

#[tokio::test]
async fn bad_rows_of_documents_and_tables_are_named_by_their_places() {
    let scene = Scene::new().await;
    let of =
        async |name: &str, text: &[u8]| scene.run(scene.request(&[(name, text)]).await).await.unwrap_err().to_string();
    let said = of("x.json", b"[{\"a\": 1},\n {\"a\": 99999999999999999999}, 7]").await;
    assert!(
        said.contains("\n  element 2: the whole number 99999999999999999999 has more than 64 bits; write it as a text"),
        "{said}"
    );
    assert!(said.contains("\n  element 3: it is no object: 7"), "{said}");
    // The fifth line is the second of a row that begins in the fourth.
    let said = of("x.csv", b"a,b\n1,2\n\n\"3\n4\",5,6\n7\n").await;
    assert!(
        said.contains("\n  line 4: it has 3 fields, the header has 2") && said.contains("\n  line 6: it has 1 fields"),
        "{said}"
    );
}

#[tokio::test]
async fn files_are_looked_at_before_they_are_imported() {
    let scene = Scene::new().await;
    let text = b"{\"question\": \"a\", \"answer\": 1}\nno\n{\"question\": \"b\", \"answer\": 2}\n";
    let request = ImportRequest { check: true, ..scene.request(&[("x.jsonl", text)]).await };
    let check = async |request: &ImportRequest| {
        scene.datasets.check_import(scene.project, request.clone(), |_, _, _| {}, CancellationToken::new()).await
    };
    let checked = check(&request).await.unwrap();
    assert_eq!((checked.rows, checked.bad_count), (2, 1));
    assert_eq!((checked.bad[0].unit, checked.bad[0].number), (Unit::Line, 2));
    assert_eq!(kinds(&checked.columns), [("question", "text", "input"), ("answer", "integer", "reference")]);
    assert_eq!(scene.files(), 0);
    assert!(scene.datasets.list(scene.project).await.unwrap().is_empty());
    // The same files are imported afterwards, with other roles.
    let roles = BTreeMap::from([("answer".to_owned(), Role::Label)]);
    let imported = scene.run(ImportRequest { check: false, skip_bad: true, roles, ..request.clone() }).await.unwrap();
    assert_eq!((imported.rows, imported.columns[1].role), (2, Role::Label));
    let none = ImportRequest { check: true, ..scene.request(&[("x.jsonl", b"")]).await };
    assert_eq!(check(&none).await.unwrap_err().to_string(), "files: they hold no rows");
}

#[tokio::test]
async fn what_was_said_about_columns_must_hold() {
    let scene = Scene::new().await;
    let content = b"{\"q\": \"a\", \"score\": 1}\n{\"q\": null, \"score\": 2}\n{\"q\": \"c\", \"score\": \"high\"}";
    let mut request = scene.request(&[("x.jsonl", content)]).await;
    request.roles = BTreeMap::from([("q".to_owned(), Role::Input)]);
    request.types = BTreeMap::from([("score".to_owned(), ColumnType::Number)]);
    let error = scene.run(request.clone()).await.unwrap_err().to_string();
    assert!(
        error.contains("line 2: it has no q, which is the input")
            && error.contains("line 3: score: \"high\" is no number"),
        "{error}"
    );
    request.types = BTreeMap::from([("points".to_owned(), ColumnType::Number)]);
    request.skip_bad = true;
    let error = scene.run(request).await.unwrap_err().to_string();
    assert_eq!(error, "roles: there is no column \"points\"; there are: q, score");
}

#[tokio::test]
async fn a_folder_of_the_hub_has_its_splits() {
    let scene = Scene::new().await;
    let files: &[(&str, &[u8])] = &[
        ("test.jsonl", b"{\"input\": \"c\"}"),
        ("data/train-00000-of-00002.jsonl", b"{\"input\": \"a\"}"),
        ("data/train-00001-of-00002.jsonl", b"{\"input\": \"b\"}"),
    ];
    let imported = scene.import(files).await;
    assert_eq!(kinds(&imported.columns), [("input", "text", "input"), ("split", "text", "metadata")]);
    let rows =
        [("a", "train"), ("b", "train"), ("c", "test")].map(|(input, split)| json!({"input": input, "split": split}));
    assert_eq!(values(&scene.open("latest").await).await, rows);
    let request = ImportRequest { split: Some("test".to_owned()), ..scene.request(files).await };
    scene.run(request).await.unwrap();
    assert_eq!(values(&scene.open("latest").await).await, [json!({"input": "c"})]);
    let Some(Origin::Import { files, file_count: 1, .. }) = scene.open("latest").await.origin() else { panic!() };
    // sha256sum of the file.
    assert_eq!(files[0].sha256, qd_base::Sha256Hex::of(b"{\"input\": \"c\"}"));
}

#[tokio::test]
async fn a_file_that_ends_early_or_is_none_is_told() {
    let scene = Scene::new().await;
    for (file, content, expected) in [
        ("x.json", &b"[{\"a\": 1}, {\"a\""[..], "x.json cannot be read: it is not JSON: EOF while parsing"),
        ("x.parquet", b"PAR1 and then nothing", "x.parquet cannot be read: "),
        ("x.csv", b"a,a\n1,2\n", "x.csv cannot be read: its header has the column \"a\" twice"),
        ("x.jsonl", b"", "files: they hold no rows"),
        ("x.jsonl.gz", b"no gzip", "x.jsonl.gz cannot be read: "),
    ] {
        let error = scene.run(scene.request(&[(file, content)]).await).await.unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(scene.files(), 0);
}

#[tokio::test]
async fn rows_without_identifiers_are_known_by_their_values() {
    let scene = Scene::new().await;
    let dataset = scene.of(&[json!({"a": 1}), json!({"a": 2}), json!({"a": 1})]).await;
    let ids = ids(&dataset).await;
    assert_eq!(ids[2], format!("{}.2", ids[0]));
    assert_ne!(ids[0], ids[1]);
    let found = dataset.rows_of(&[ids[2].clone(), "nobody".to_owned()]).await.unwrap();
    assert_eq!(found.iter().map(|row| row.index).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn rows_are_looked_for() {
    let scene = Scene::new().await;
    let rows: Vec<_> = (0..5000).map(|n| json!({"n": n, "t": format!("Row {n}"), "j": [{"k": n % 10}]})).collect();
    let dataset = scene.of(&rows).await;
    let search = |text: &str| Search { text: Some(text.to_owned()), equal: None };
    let found = dataset.search(search("ROW 499"), 0, 5).await.unwrap();
    assert_eq!(found.rows.iter().map(|row| row.index).collect::<Vec<_>>(), [499, 4990, 4991, 4992, 4993]);
    assert_eq!(found.next, Some(4994));
    let rest = dataset.search(search("row 499"), 4994, 100).await.unwrap();
    assert_eq!((rest.rows.len(), rest.next), (6, None));
    let equal = Search { text: None, equal: Some(("n".to_owned(), "77".to_owned())) };
    assert_eq!(dataset.search(equal, 0, 100).await.unwrap().rows[0].index, 77);
    let none = Search { text: None, equal: Some(("x".to_owned(), "1".to_owned())) };
    assert!(matches!(dataset.search(none, 0, 1).await, Err(Error::Invalid { .. })));
    // A page in the middle, across two row groups of the file.
    assert_eq!(dataset.rows(4000..4003).await.unwrap()[2].values["n"], 4002);
    assert!(dataset.rows(6000..7000).await.unwrap().is_empty());
}

#[tokio::test]
async fn cancelled_it_leaves_nothing() {
    let scene = Scene::new().await;
    let lines: Vec<_> = (0..5000).map(|n| json!({"n": n}).to_string()).collect();
    let request = scene.request(&[("x.jsonl", lines.join("\n").as_bytes())]).await;
    let stop = CancellationToken::new();
    let token = stop.clone();
    // While the rows are being written.
    let report = move |done: u64, total: u64, _: String| {
        if done > total / 2 {
            token.cancel();
        }
    };
    let done = scene.datasets.import(scene.project, request, report, stop).await;
    assert!(matches!(done, Err(Error::Cancelled)), "{done:?}");
    assert_eq!(scene.files(), 0);
    assert!(scene.datasets.list(scene.project).await.unwrap().is_empty());
}

/// Any JSON, some levels deep. Numbers as JSON's readers give them: whole ones of 64 bits, or finite doubles.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no others", |n| n.is_finite()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

/// Rows of a few columns: some of one type throughout, some of any.
fn any_rows() -> impl Strategy<Value = Vec<Value>> {
    let row = (any::<i64>(), ".{0,8}", any::<bool>(), prop::num::f64::NORMAL, any_json(), any_json());
    let row =
        row.prop_map(|(i, t, b, f, one, other)| json!({"i": i, "t": t, "b": b, "f": f, "one": one, "other": other}));
    prop::collection::vec(row, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever JSON rows hold, they come back as they were: from lines to Parquet, to rows, and through an export again.
    #[test]
    fn rows_survive(rows in any_rows()) {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let scene = Scene::new().await;
            let dataset = scene.of(&rows).await;
            prop_assert_eq!(&values(&dataset).await, &rows);
            let lines = export(&dataset, Form::Jsonl).await;
            let again = scene.import(&[("again.jsonl", &lines)]).await;
            prop_assert_eq!(again.version, 1, "the export is the same version");
            Ok(())
        })?;
    }
}
