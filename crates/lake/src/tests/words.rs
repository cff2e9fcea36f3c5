//! Searches find the same rows with a list of words and without, and read fewer.

use super::*;
use crate::scan::{chosen_rows, demands};
use crate::words;

const WORDS: &str = "event_words";

fn searched_table() -> TableSpec {
    let words = words::summary(WORDS.parse().unwrap(), "time", &["id", "user_id"]);
    TableSpec { summaries: vec![words], ..events_table() }
}

/// 0 to 5999 in one merged segment with its words, 6000 to 6099 sealed, 6100 to 6199 staged.
async fn scene() -> Scene {
    let scene = Scene::new().await;
    for first in [0, 3000] {
        scene.append(first..first + 3000).await;
        scene.lake.seal().await.unwrap();
    }
    let config = LakeConfig { compact_fan_in: 2, ..scene.config.clone() };
    let scene = Scene { table: searched_table(), config, ..scene }.reopen().await;
    scene.lake.compact().await.unwrap();
    for first in [6000, 6100] {
        scene.append(first..first + 100).await;
        if first == 6000 {
            scene.lake.seal().await.unwrap();
        }
    }
    scene
}

impl Scene {
    async fn found(&self, text: &str) -> Vec<i64> {
        let sql = "SELECT n FROM events WHERE contains(lower(id), $1) OR contains(lower(user_id), $1) ORDER BY n";
        numbers_of(&self.query(sql, vec![text.into()]).await)
    }
}

#[tokio::test]
async fn a_search_finds_what_contains_the_text_wherever_it_is() {
    let scene = scene().await;
    for n in [0, 2999, 3000, 5999, 6050, 6150] {
        assert_eq!(scene.found(&id(n)).await, [n]);
        let middle = &id(n)[4..24];
        assert_eq!(
            scene.found(middle).await,
            (0..6200).filter(|&other| id(other).contains(middle)).collect::<Vec<_>>()
        );
    }
    // By the definition of events: one of five is nobody's, and one of four of the others is user 3's.
    let of_user_3: Vec<i64> = (0..6200).filter(|n| n % 5 != 0 && n % 4 == 3).collect();
    assert_eq!(scene.found("ser-3").await, of_user_3);
    assert!(scene.found("user-4").await.is_empty());
    assert!(scene.found("--").await.is_empty());
}

#[tokio::test]
async fn a_search_reads_only_blocks_with_the_words() {
    use datafusion::prelude::{col, lit};
    let scene = scene().await;
    let snapshot = scene.lake.core().tables.table(EVENTS).unwrap();
    let merged = snapshot.segments.iter().find(|segment| !segment.summaries.is_empty()).unwrap();
    let lower = |column| datafusion::functions::string::expr_fn::lower(col(column));
    let contains = |column, text: String| datafusion::functions::string::expr_fn::contains(lower(column), lit(text));
    let either = contains("id", id(4711)).or(contains("user_id", id(4711)));
    let rows = |filter| {
        let demands = demands(&[filter], &["id", "user_id"]);
        chosen_rows(merged, 0, &demands).map(|rows| rows.row_count())
    };
    assert_eq!(rows(either.clone()), Some(1024));
    assert_eq!(rows(either.clone().and(contains("id", id(1)))), Some(0));
    // Of a column whose words are not listed nothing is known, nor of what is not a search.
    assert_eq!(rows(either.clone().or(contains("model", id(4711)))), None);
    assert_eq!(rows(either.or(col("n").eq(lit(3)))), None);
}

#[tokio::test]
async fn a_damaged_list_of_words_costs_time_and_no_rows() {
    let scene = scene().await;
    let folder = scene.config.dir.join("segments").join(WORDS);
    for entry in std::fs::read_dir(folder).unwrap() {
        std::fs::write(entry.unwrap().path(), "no Parquet").unwrap();
    }
    assert_eq!(scene.found(&id(17)).await, [17]);
}
