//! Queries: right answers, within their limits, and to the tables only.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use qd_base::Timestamp;

use super::*;
use crate::Error;

async fn fails(scene: &Scene, sql: &str, limits: QueryLimits) -> Error {
    match scene.lake.query(sql, vec![], limits).await {
        Err(error) => error,
        Ok(output) => panic!("{sql} gave {} rows", output.rows()),
    }
}

/// 0 to 999 in one segment, 1000 to 1999 in another, 2000 to 2099 staged.
async fn scene() -> Scene {
    let scene = Scene::new().await;
    for start in [0, 1000] {
        scene.append(start..start + 1000).await;
        scene.lake.seal().await.unwrap();
    }
    scene.append(2000..2100).await;
    scene
}

#[tokio::test]
async fn an_identifier_is_found_wherever_its_row_is() {
    let scene = scene().await;
    for n in [0, 999, 1000, 2050] {
        let found = scene.query("SELECT n FROM events WHERE id = $1", vec![id(n).into()]).await;
        assert_eq!(numbers_of(&found), [n]);
    }
    assert_eq!(scene.query("SELECT n FROM events WHERE id = $1", vec![id(9999).into()]).await.rows(), 0);
}

#[tokio::test]
async fn values_of_parameters_are_values_and_not_sql() {
    let scene = scene().await;
    let sql = "SELECT n FROM events WHERE project = $1 AND time >= $2 AND time < $3 AND latency_ms > $4 AND n <> $5 ORDER BY n";
    let params = vec![
        "project-1".into(),
        Timestamp::from_secs(10).into(),
        Timestamp::from_secs(20).into(),
        5.0.into(),
        13.into(),
    ];
    // Of 10 to 19, those with n % 3 = 1 are 10, 13, 16 and 19; half of 10 is not above 5.
    assert_eq!(numbers_of(&scene.query(sql, params).await), [16, 19]);
    let quoted = scene.query("SELECT n FROM events WHERE id = $1", vec!["' OR 1 = 1 --".into()]).await;
    assert_eq!(quoted.rows(), 0);
    assert!(matches!(
        scene.lake.query("SELECT n FROM events WHERE id = $1", vec![], QueryLimits::default()).await,
        Err(Error::Sql { .. })
    ));
}

#[tokio::test]
async fn aggregates_are_those_of_all_rows() {
    let scene = scene().await;
    let output =
        scene.query("SELECT count(*), sum(n), min(n), max(n) FROM events GROUP BY model ORDER BY model", vec![]).await;
    let column = |at: usize| output.batches[0].column(at).as_primitive::<Int64Type>().values().to_vec();
    // The even numbers below 2100 are alpha, the odd ones beta: 1050 each, with sums 1050 · 1049 and 1050².
    assert_eq!((column(0), column(1)), (vec![1050, 1050], vec![1050 * 1049, 1050 * 1050]));
    assert_eq!((column(2), column(3)), (vec![0, 1], vec![2098, 2099]));
    let median =
        scene.query("SELECT CAST(round(approx_percentile_cont(latency_ms, 0.5)) AS BIGINT) FROM events", vec![]).await;
    assert!((numbers_of(&median)[0] - 525).abs() <= 5, "the median of n / 2 below 2100 is about 525");
}

#[tokio::test]
async fn segments_that_cannot_hold_what_is_asked_are_not_read() {
    let scene = scene().await;
    let plan =
        scene.query("EXPLAIN SELECT n FROM events WHERE time >= $1", vec![Timestamp::from_secs(1500).into()]).await;
    let text = plan.batches[0].column(1).as_string::<i32>().iter().flatten().collect::<Vec<_>>().join("\n");
    assert_eq!(text.matches(".parquet").count(), 1, "{text}");
}

#[tokio::test]
async fn text_in_an_answer_is_plain() {
    let scene = scene().await;
    let output = scene
        .query("SELECT id, upper(model), array_agg(project) AS projects FROM events WHERE n < 2 GROUP BY 1, 2", vec![])
        .await;
    let types: Vec<_> = output.schema.fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(types[..2], [DataType::Utf8, DataType::Utf8]);
    assert!(matches!(&types[2], DataType::List(item) if item.data_type() == &DataType::Utf8));
}

#[tokio::test]
async fn tables_can_be_listed_and_described() {
    let scene = scene().await;
    assert_eq!(
        scene
            .query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'", vec![])
            .await
            .rows(),
        1
    );
    let columns = scene.query("DESCRIBE events", vec![]).await;
    assert_eq!(
        texts_of(&columns),
        ["project", "time", "id", "user_id", "model", "latency_ms", "n", "trace", "input_blob"]
    );
    assert!(scene.query("SHOW TABLES", vec![]).await.rows() > 0);
}

#[tokio::test]
async fn rows_beyond_the_limit_are_cut_off_and_the_answer_says_so() {
    let scene = scene().await;
    for (max_rows, rows, truncated) in [(10, 10, true), (2099, 2099, true), (2100, 2100, false), (0, 0, true)] {
        let output = scene
            .lake
            .query("SELECT n FROM events", vec![], QueryLimits { max_rows, ..QueryLimits::default() })
            .await
            .unwrap();
        assert_eq!((output.rows(), output.truncated), (rows, truncated), "at most {max_rows}");
    }
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_stopped_and_its_work_too() {
    let scene = scene().await;
    let limits = QueryLimits { timeout: Duration::from_millis(200), ..QueryLimits::default() };
    for sql in [
        "SELECT count(*) FROM generate_series(1, 1000000000000) a",
        "SELECT count(*) FROM events a, events b, events c WHERE a.n + b.n + c.n = 7",
        "SELECT sum(a.n) FROM events a CROSS JOIN events b CROSS JOIN events c",
        "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r) SELECT count(*) FROM r",
    ] {
        let start = Instant::now();
        assert!(matches!(fails(&scene, sql, limits).await, Error::Timeout { limit_ms: 200 }), "{sql}");
        assert!(start.elapsed() < Duration::from_secs(5), "{sql}");
        until("the work is stopped", async || scene.lake.stats().queries_running == 0).await;
    }
    scene.check(0..2100).await;
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_is_stopped() {
    let scene = scene().await;
    let lake = scene.lake.clone();
    let asking = tokio::spawn(async move {
        lake.query("SELECT count(*) FROM generate_series(1, 1000000000000)", vec![], QueryLimits::default()).await
    });
    until("the query runs", async || scene.lake.stats().queries_running == 1).await;
    asking.abort();
    until("the work is stopped", async || scene.lake.stats().queries_running == 0).await;
}

#[tokio::test]
async fn a_query_that_needs_too_much_memory_is_refused_it() {
    let scene = Scene::with(|config| config.spill_limit_bytes = 1 << 20).await;
    scene.append(0..10).await;
    let limits = QueryLimits { memory_bytes: 4 << 20, max_rows: usize::MAX, ..QueryLimits::default() };
    for sql in [
        "SELECT value, count(*) FROM generate_series(1, 5000000) GROUP BY value",
        "SELECT array_agg(value) FROM generate_series(1, 5000000)",
        "SELECT a.value FROM generate_series(1, 5000000) a JOIN generate_series(1, 5000000) b ON a.value = b.value",
        "SELECT value, concat('a rather long text so that it takes much memory ', value) AS t FROM generate_series(1, 5000000) ORDER BY t DESC",
        "SELECT value FROM generate_series(1, 5000000)",
    ] {
        assert!(matches!(fails(&scene, sql, limits).await, Error::Memory { .. }), "{sql}");
    }
    until("the work is stopped", async || scene.lake.stats().queries_running == 0).await;
    assert_eq!(
        std::fs::read_dir(scene.config.dir.join("spill"))
            .unwrap()
            .flatten()
            .flat_map(|dir| std::fs::read_dir(dir.path()).unwrap())
            .count(),
        0,
        "spilled files are gone"
    );
    scene.check(0..10).await;
}

/// A text of 32 bytes, made larger by `step` over `levels` subqueries; the answer is its length.
/// `step` done so many times over, `$` being what the time before gave. Each has a name of its own: of several levels that
/// read alike, name included, DataFusion 55 does only two (`SELECT n + 1 AS n` three times over adds 2).
fn grown(step: &str, levels: usize) -> String {
    let inner = (0..levels).fold("SELECT id AS a0 FROM events".to_owned(), |sql, level| {
        format!("SELECT {} AS a{} FROM ({sql})", step.replace('$', &format!("a{level}")), level + 1)
    });
    format!("SELECT sum(length(a{levels})) FROM ({inner})")
}

#[tokio::test]
async fn functions_that_grow_have_a_limit_within_one_call() {
    let scene = Scene::new().await;
    scene.append(0..1).await;
    for (step, levels) in [
        ("concat($, $)", 24),
        ("$ || $", 24),
        ("concat_ws($, $, $)", 15),
        ("replace($, left($, 1), $)", 12),
        ("regexp_replace($, '^', $)", 24),
        ("regexp_replace($, '.', 'xxxxxxxxxxxxxxxx', 'g')", 6),
        ("overlay($ placing $ from 1 for 0)", 24),
        ("array_to_string([$, $], '')", 24),
        ("array_to_string(regexp_match($, '((((((((((((((((.*))))))))))))))))'), '')", 6),
        ("concat(to_char(to_timestamp(0), $), to_char(to_timestamp(0), concat($, '%c')))", 24),
    ] {
        let error = fails(&scene, &grown(step, levels), QueryLimits::default()).await;
        assert!(matches!(error, Error::Memory { .. }), "{step}: {error:?}");
        scene.query(&grown(step, 1), vec![]).await;
    }
}

#[tokio::test]
async fn bounded_functions_say_what_they_always_said() {
    let scene = Scene::new().await;
    scene.append(0..3).await;
    for (expression, expected) in [
        ("concat(user_id, '-', model)", vec!["-alpha", "user-1-beta", "user-2-alpha"]),
        // Event 0 is nobody's.
        ("user_id || '-' || model", vec!["null", "user-1-beta", "user-2-alpha"]),
        ("n || '/' || n", vec!["0/0", "1/1", "2/2"]),
        ("'a' || 'b'", vec!["ab", "ab", "ab"]),
        ("concat_ws('/', user_id, model)", vec!["alpha", "user-1/beta", "user-2/alpha"]),
        ("replace(model, 'a', 'oo')", vec!["oolphoo", "betoo", "oolphoo"]),
        ("regexp_replace(model, '(l|t)', '<$1>')", vec!["a<l>pha", "be<t>a", "a<l>pha"]),
        ("array_to_string([model] || [project], ' ')", vec!["alpha project-0", "beta project-1", "alpha project-2"]),
        ("array_to_string(regexp_match(model, '^(..)(.)'), '+')", vec!["al+p", "be+t", "al+p"]),
        ("overlay(model placing 'XX' from 2 for 2)", vec!["aXXha", "bXXa", "aXXha"]),
        ("to_char(time, '%Y')", vec!["1970", "1970", "1970"]),
    ] {
        let answer = scene.query(&format!("SELECT {expression} FROM events ORDER BY n"), vec![]).await;
        assert_eq!(texts_of(&answer), expected, "{expression}");
    }
    let named = scene.query("SELECT project || model FROM events", vec![]).await;
    assert_eq!(named.schema.field(0).name(), "events.project || events.model");
    let grouped = "SELECT model || '!' AS m FROM events WHERE project || model <> 'x' GROUP BY model || '!' ORDER BY m";
    assert_eq!(texts_of(&scene.query(grouped, vec![]).await), ["alpha!", "beta!"]);
}

#[tokio::test]
async fn nothing_but_the_tables_can_be_reached() {
    let scene = scene().await;
    let secret = scene.dir.path().join("secret.csv");
    std::fs::write(&secret, "a\n1\n").unwrap();
    let secret = secret.display();
    for sql in [
        format!("SELECT * FROM '{secret}'"),
        format!("SELECT * FROM \"{secret}\""),
        format!("SELECT * FROM read_csv('{secret}')"),
        format!("SELECT * FROM read_parquet('{secret}')"),
        format!("SELECT * FROM csv('{secret}')"),
        format!("SELECT pg_read_file('{secret}')"),
        format!("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '{secret}'"),
        format!("COPY (SELECT 1) TO '{secret}'"),
        "SELECT * INTO t FROM events".to_owned(),
        "SELECT repeat('x', 1000000000)".to_owned(),
        "SELECT lpad('x', 1000000000)".to_owned(),
        "SELECT array_repeat(1, 1000000000)".to_owned(),
        "SELECT list_repeat(1, 1000000000)".to_owned(),
        "SELECT range(0, 1000000000)".to_owned(),
        "SELECT array_resize([1], 1000000000)".to_owned(),
        "SELECT nothing FROM events".to_owned(),
        "SELECT 1 / 0".to_owned(),
        "SELECT CAST('a' AS INT)".to_owned(),
    ] {
        let error = fails(&scene, &sql, QueryLimits::default()).await;
        assert!(matches!(error, Error::Refused { .. } | Error::Sql { .. }), "{sql}: {error:?}");
    }
    assert_eq!(std::fs::read_to_string(scene.dir.path().join("secret.csv")).unwrap(), "a\n1\n");
}

#[tokio::test]
async fn statements_made_to_exhaust_the_stack_do_no_harm() {
    let scene = scene().await;
    let chain = |first: &str, link: &str| {
        format!("SELECT {first}{} FROM events", link.repeat((60_000 - first.len()) / link.len()))
    };
    let limits = QueryLimits { timeout: Duration::from_secs(20), ..QueryLimits::default() };
    for sql in [
        chain("1", "+1"),
        chain("n=1", " OR n=1"),
        chain("n=1", " AND n=1"),
        chain("id", "||id"),
        chain("n", "::INT"),
        format!("SELECT {} n FROM events", "- ".repeat(30_000)),
        format!("SELECT {} true", "NOT ".repeat(15_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(3_000)),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(3_000)),
        format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("SELECT {}1{}", "[".repeat(30_000), "]".repeat(30_000)),
        format!("SELECT * FROM events{}", " , events".repeat(6_000)),
        format!("SELECT CASE{} END", " WHEN true THEN 1".repeat(3_500)),
        format!("SELECT * FROM events WHERE n IN ({}1)", "1,".repeat(30_000)),
    ] {
        // Whether it is refused or answered does not matter; that the process lives does.
        let _ = scene.lake.query(&sql, vec![], limits).await;
    }
    scene.check(0..2100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_query_misses_a_row_or_sees_it_twice_while_segments_change() {
    let scene = Scene::with(|config| {
        config.seal_rows = 150;
        config.compact_fan_in = 3;
    })
    .await;
    let (acknowledged, done) = (AtomicI64::new(0), AtomicBool::new(false));
    let write = async {
        for n in 0..120 {
            scene.append(n * 20..(n + 1) * 20).await;
            acknowledged.store((n + 1) * 20, Ordering::SeqCst);
        }
        until("segments were merged", async || scene.lake.stats().compactions > 2).await;
        done.store(true, Ordering::SeqCst);
    };
    let read = async {
        let mut queries = 0;
        while !done.load(Ordering::SeqCst) || queries < 20 {
            let least = acknowledged.load(Ordering::SeqCst);
            let numbers = scene.numbers().await;
            let expected: Vec<i64> = (0..numbers.len() as i64).collect();
            assert_eq!(numbers, expected, "each row once, in query {queries}");
            assert!(numbers.len() as i64 >= least, "{} of {least}", numbers.len());
            queries += 1;
        }
    };
    tokio::join!(write, read);
    scene.check(0..2400).await;
    scene.reopen().await.check(0..2400).await;
}

/// A hand-counted answer for rows that are staged, and the same from the segment that they become.
#[tokio::test]
async fn staged_rows_answer_as_their_segment_does() {
    let scene = Scene::new().await;
    for start in [0, 40, 41, 100] {
        scene.append(start..start + if start == 40 { 1 } else { 30 }).await;
    }
    // 0 to 29, 40, 41 to 70 and 100 to 129: 91 rows, of which the multiples of 5 have no user.
    let asked = [
        ("SELECT count(*) FROM events WHERE model = 'alpha'", 46),
        ("SELECT count(*) FROM events WHERE user_id IS NULL", 19),
        ("SELECT count(*) FROM events WHERE NOT (user_id = 'user-1')", 54),
        ("SELECT count(*) FROM events WHERE id = 'nobody' OR n = 40", 1),
        ("SELECT sum(n) FROM events WHERE latency_ms < 2 AND project LIKE '%-1'", 1),
        ("SELECT count(*) FROM events WHERE latency_ms < 0", 0),
        ("SELECT count(DISTINCT trace) FROM events WHERE n BETWEEN 40 AND 42", 2),
        ("SELECT count(*) FROM events", 91),
    ];
    for sealed in [false, true] {
        if sealed {
            scene.lake.seal().await.unwrap();
        }
        for (sql, expected) in asked {
            assert_eq!(numbers_of(&scene.query(sql, vec![]).await), [expected], "sealed: {sealed}, {sql}");
        }
        let first = scene.query("SELECT user_id, model FROM events WHERE n = 41", vec![]).await;
        let text = |at: usize| first.batches[0].column(at).as_string::<i32>().value(0).to_owned();
        assert_eq!((text(0), text(1)), ("user-1".to_owned(), "beta".to_owned()));
    }
}
