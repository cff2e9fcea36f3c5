//! Statements over the rows of a version.

use qd_lake::{Param, QueryLimits, QueryOutput};

use super::*;

impl Scene {
    async fn ask(&self, version: &str, sql: &str, params: Vec<Param>) -> Result<QueryOutput> {
        let dataset = self.open(version).await;
        self.datasets.query(&dataset, sql, params, QueryLimits::default()).await
    }

    /// The answer as a table of texts.
    async fn answer(&self, version: &str, sql: &str) -> String {
        let output = self.ask(version, sql, Vec::new()).await.unwrap();
        arrow::util::pretty::pretty_format_batches(&output.batches).unwrap().to_string()
    }
}

#[tokio::test]
async fn the_rows_of_a_version_are_a_table() {
    let scene = Scene::new().await;
    let row = |n: u64| json!({"id": format!("r{n}"), "Best Answer": format!("a{n}"), "n": n, "tags": [n % 2]});
    scene.of(&(0..3000).map(row).collect::<Vec<_>>()).await;
    let more = object(json!({"id": "x", "Best Answer": null, "n": 5000, "level": 0.5}));
    scene.edit(Edit { add: vec![more], ..Edit::default() }).await.unwrap();
    // 0 + … + 2999 = 2999 · 3000 / 2 = 4498500, of which 2000 end in [0] or [1] alike; one row more in the second version.
    let sums = "SELECT count(*) AS rows, sum(n) AS sum, count(level) AS levels FROM rows";
    let table = scene.answer("2", sums).await;
    assert!(table.contains("| 3001 | 4503500 | 1      |"), "{table}");
    let by_tag = "SELECT tags, count(*) AS rows FROM rows GROUP BY tags ORDER BY tags";
    let table = scene.answer("1", by_tag).await;
    assert!(table.contains("| [0]  | 1500 |") && table.contains("| [1]  | 1500 |"), "{table}");
    let named = r#"SELECT "Best Answer", __row_id, level FROM rows WHERE n IN (2999, 5000) ORDER BY n"#;
    let table = scene.answer("2", named).await;
    assert!(
        table.contains("| a2999       | r2999    |       |") && table.contains("|             | x        | 0.5   |"),
        "{table}"
    );
    let params = vec![Param::from("a17")];
    let output = scene.ask("1", r#"SELECT n FROM rows WHERE "Best Answer" = $1"#, params).await.unwrap();
    assert_eq!(output.rows(), 1);
    assert!(scene.answer("1", "SELECT * FROM rows LIMIT 1").await.contains("__row_id"));
    assert!(scene.ask("1", "SELECT __row_hash FROM rows", Vec::new()).await.is_err());
}

#[tokio::test]
async fn a_statement_sees_one_version_and_nothing_else() {
    let scene = Scene::new().await;
    scene.of(&[json!({"secret": "other"})]).await;
    let other = scene.open("latest").await.content().files[0].sha256;
    scene.of(&[json!({"a": 1}), json!({"a": 2})]).await;
    let path = scene.datasets.files.path(other);
    for sql in [
        "SELECT * FROM spans".to_owned(),
        "SELECT * FROM scores".to_owned(),
        format!("SELECT * FROM '{}'", path.display()),
        format!("SELECT * FROM read_parquet('{}')", path.display()),
        "INSERT INTO rows SELECT * FROM rows".to_owned(),
        "CREATE TABLE t AS SELECT * FROM rows".to_owned(),
        "COPY rows TO '/tmp/rows.csv'".to_owned(),
        "SELECT 1; SELECT 2".to_owned(),
    ] {
        let refused = scene.ask("latest", &sql, Vec::new()).await;
        let is_told = matches!(
            refused,
            Err(Error::Lake { cause: qd_lake::Error::Sql { .. } | qd_lake::Error::Refused { .. }, .. })
        );
        assert!(is_told, "{sql}: {refused:?}");
    }
    let tables =
        scene.answer("latest", "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'").await;
    assert!(tables.contains("rows") && !tables.contains("spans"), "{tables}");
}

#[tokio::test]
async fn a_statement_has_limits() {
    let scene = Scene::new().await;
    scene.of(&(0..2000).map(|n| json!({"n": n, "t": "x".repeat(1000)})).collect::<Vec<_>>()).await;
    let dataset = scene.open("1").await;
    let ask = async |sql: &str, limits| scene.datasets.query(&dataset, sql, Vec::new(), limits).await;
    let few = QueryLimits { max_rows: 5, ..QueryLimits::default() };
    let output = ask("SELECT n FROM rows ORDER BY n", few).await.unwrap();
    assert_eq!((output.rows(), output.truncated), (5, true));
    let soon = QueryLimits { timeout: std::time::Duration::from_millis(200), ..QueryLimits::default() };
    let long = ask("SELECT count(*) FROM rows a, rows b, rows c WHERE a.n + b.n + c.n < 0", soon).await;
    assert!(matches!(long, Err(Error::Lake { cause: qd_lake::Error::Timeout { limit_ms: 200 }, .. })), "{long:?}");
    let small = QueryLimits { memory_bytes: 1 << 20, ..QueryLimits::default() };
    let large = ask("SELECT t FROM rows", small).await;
    assert!(matches!(large, Err(Error::Lake { cause: qd_lake::Error::Memory { .. }, .. })), "{large:?}");
    // A join that cannot be spilled is one that needs too much, and no failure of ours.
    let join = ask("SELECT count(*) FROM rows a, rows b, rows c WHERE a.t || b.t < c.t", small).await;
    assert!(matches!(join, Err(Error::Lake { cause: qd_lake::Error::Memory { .. }, .. })), "{join:?}");
}
