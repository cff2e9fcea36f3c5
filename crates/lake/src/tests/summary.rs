//! Summaries and the rows that are in none stand for each row exactly once, whatever happens to their files.

use super::*;
use crate::file::failing::{Fault, Operation};
use crate::summary::{Batches, Summary};

const MINUTES: &str = "event_minutes";

/// Events with a summary that counts them and adds up their numbers by minute.
fn summarized_table() -> TableSpec {
    let field = |name, data_type| Field::new(name, data_type, false);
    let schema = Arc::new(Schema::new(vec![
        field("time", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))),
        field("events", DataType::Int64),
        field("total", DataType::Int64),
    ]));
    let table = TableSpec {
        name: MINUTES.parse().unwrap(),
        schema,
        sort: vec!["time"],
        bloom: Vec::new(),
        subject_column: None,
        project_column: None,
        group_column: None,
        ..events_table()
    };
    TableSpec {
        summaries: vec![Summary { table, columns: vec!["time", "n"], derive: by_minute, searched: Vec::new() }],
        ..events_table()
    }
}

fn by_minute(rows: Batches) -> Batches {
    Box::new(rows.map(|batch| {
        let numbers = batch?.column_by_name("n").unwrap().as_primitive::<Int64Type>().clone();
        let mut minutes = std::collections::BTreeMap::<i64, (i64, i64)>::new();
        for n in numbers.values() {
            let (events, total) = minutes.entry(n / 60).or_default();
            (*events, *total) = (*events + 1, *total + n);
        }
        let times: TimestampNanosecondArray = minutes.keys().map(|minute| Some(minute * 60_000_000_000)).collect();
        let column = |of: fn(&(i64, i64)) -> i64| Arc::new(minutes.values().map(of).collect::<Int64Array>());
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(times.with_timezone("UTC")), column(|of| of.0), column(|of| of.1)];
        RecordBatch::try_new(summarized_table().summaries[0].table.schema.clone(), columns)
    }))
}

/// A lake that is about to merge two segments into one; every hundred events are sealed, the last are staged.
async fn scene(events: i64) -> Scene {
    let scene = Scene::new().await;
    for first in (0..events).step_by(100) {
        scene.append(first..(first + 100).min(events)).await;
        if first + 100 <= events {
            scene.lake.seal().await.unwrap();
        }
    }
    let config = LakeConfig { compact_fan_in: 2, ..scene.config.clone() };
    Scene { table: summarized_table(), config, ..scene }.reopen().await
}

impl Scene {
    /// Events and their sum: those in summaries, and those in none.
    async fn parts(&self) -> [(i64, i64); 2] {
        let sql = "SELECT events, total FROM (\
                   SELECT 0 AS part, coalesce(sum(events), 0) AS events, coalesce(sum(total), 0) AS total FROM event_minutes \
                   UNION ALL SELECT 1, count(*), coalesce(sum(n), 0) FROM events_unsummarized) ORDER BY part";
        let output = self.query(sql, vec![]).await;
        let batch = arrow::compute::concat_batches(&output.schema, &output.batches).unwrap();
        let number = |column: usize, row| batch.column(column).as_primitive::<Int64Type>().value(row);
        [0, 1].map(|part| (number(0, part), number(1, part)))
    }

    /// Checks that both parts together are these events, and that so many of them are in summaries.
    async fn check_parts(&self, events: &[i64], summarized: i64) {
        let [summary, rest] = self.parts().await;
        let expected = (events.len() as i64, events.iter().sum::<i64>());
        assert_eq!((summary.0 + rest.0, summary.1 + rest.1), expected);
        assert_eq!(summary.0, summarized);
    }

    fn summary_files(&self) -> Vec<PathBuf> {
        let folder = self.config.dir.join("segments").join(MINUTES);
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    }
}

#[tokio::test]
async fn merged_segments_are_summarized_and_all_other_rows_are_read_one_by_one() {
    let scene = scene(350).await;
    let events: Vec<i64> = (0..350).collect();
    scene.check_parts(&events, 0).await;
    scene.lake.compact().await.unwrap();
    scene.check_parts(&events, 200).await;
    let scene = scene.reopen().await;
    scene.check_parts(&events, 200).await;
    scene.check(0..350).await;
    assert_eq!(scene.summary_files().len(), 1);
}

#[tokio::test]
async fn a_summary_goes_with_its_segment() {
    let scene = scene(400).await;
    scene.lake.compact().await.unwrap();
    // Four segments become two, these become one, and so do their summaries.
    assert_eq!((scene.files("segments").len(), scene.summary_files().len()), (1, 1));
    scene.check_parts(&(0..400).collect::<Vec<_>>(), 400).await;
    let later = Horizons::of_all(Some(qd_base::Timestamp::from_nanos(i64::MAX)));
    assert_eq!(scene.lake.retain(EVENTS, later).await.unwrap().dropped, 1);
    assert_eq!(scene.summary_files().len(), 0);
    scene.check_parts(&[], 0).await;
}

#[tokio::test]
async fn what_a_deleted_subject_did_is_in_no_summary() {
    let scene = scene(200).await;
    scene.lake.compact().await.unwrap();
    scene.bury("user-1").await;
    let left: Vec<i64> = (0..200).filter(|n| n % 4 != 1 || n % 5 == 0).collect();
    // Compaction begins at once, so nobody knows how many of them are in a summary now.
    let [summary, rest] = scene.parts().await;
    assert_eq!(summary.0 + rest.0, left.len() as i64);
    scene.lake.compact().await.unwrap();
    scene.check_parts(&left, left.len() as i64).await;
    assert_eq!(scene.summary_files().len(), 1);
}

#[tokio::test]
async fn a_missing_or_damaged_summary_costs_no_row_and_is_made_again() {
    let damages: [fn(&PathBuf); 3] = [
        |path| std::fs::remove_file(path).unwrap(),
        |path| std::fs::write(path, "").unwrap(),
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            // The first half of what comes before the footer, whose length is told before the last four bytes.
            let end = bytes.len() - 8 - u32::from_le_bytes(*bytes[..bytes.len() - 4].last_chunk().unwrap()) as usize;
            bytes[4..end / 2].fill(0x5a);
            std::fs::write(path, bytes).unwrap();
        },
    ];
    let events: Vec<i64> = (0..200).collect();
    for (number, damage) in damages.into_iter().enumerate() {
        for reopened in [false, true] {
            let scene = scene(200).await;
            scene.lake.compact().await.unwrap();
            damage(&scene.summary_files()[0]);
            let scene = if reopened { scene.reopen().await } else { scene };
            let parts = scene.parts().await;
            assert_eq!((parts, scene.lake.stats().quarantined), ([(0, 0), (200, 19_900)], 0), "{number}, {reopened}");
            scene.lake.compact().await.unwrap();
            scene.check_parts(&events, 200).await;
        }
    }
}

#[tokio::test]
async fn a_summary_that_cannot_be_written_is_none() {
    let scene = scene(200).await;
    // The merged segment is created first, then its summary.
    scene.disk.fail(Operation::Create, 2, Fault::NoSpace);
    assert!(scene.lake.compact().await.is_err());
    let events: Vec<i64> = (0..200).collect();
    scene.check_parts(&events, 0).await;
    scene.lake.compact().await.unwrap();
    scene.check_parts(&events, 200).await;
}

#[tokio::test]
async fn a_damaged_segment_is_set_aside_when_it_is_to_be_summarized() {
    let scene = scene(250).await;
    scene.disk.fail(Operation::Create, 2, Fault::NoSpace);
    assert!(scene.lake.compact().await.is_err());
    let segment = scene.files("segments").remove(0);
    let mut bytes = std::fs::read(&segment).unwrap();
    let half = bytes.len() / 2;
    bytes[4..half].fill(0x5a);
    std::fs::write(&segment, bytes).unwrap();
    scene.lake.compact().await.unwrap();
    assert_eq!(scene.lake.stats().quarantined, 1);
    scene.check_parts(&(200..250).collect::<Vec<_>>(), 0).await;
}

#[tokio::test]
async fn an_orphan_among_the_summaries_is_swept() {
    let scene = scene(200).await;
    scene.lake.compact().await.unwrap();
    let orphan = scene.config.dir.join("segments").join(MINUTES).join("01890000000000000000000000.parquet");
    std::fs::copy(&scene.summary_files()[0], &orphan).unwrap();
    let scene = scene.reopen().await;
    assert!(!orphan.exists());
    scene.check_parts(&(0..200).collect::<Vec<_>>(), 200).await;
}
