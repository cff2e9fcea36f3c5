//! Retention: rows beyond a horizon are not seen, and leave the disk when that is worth the work.

use qd_base::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::Retained;

/// Event `n` happened `n` seconds after 1970.
fn at(n: i64) -> Option<Timestamp> {
    Some(Timestamp::from_secs(n))
}

#[tokio::test]
async fn retention_drops_whole_segments_and_their_files() {
    let scene = Scene::new().await;
    for start in [0, 100, 200] {
        scene.append(start..start + 100).await;
        scene.lake.seal().await.unwrap();
    }
    // Event 199 is the last of the second segment, and 199 s is not before itself: one row of its hundred is left, and
    // that is worth writing it anew.
    let retained = scene.lake.retain(EVENTS, Horizons::of_all(at(199))).await.unwrap();
    assert_eq!(retained, Retained { dropped: 1, rewritten: 1, rows: 199 });
    scene.check(199..300).await;
    assert_eq!(scene.files("segments").len(), 2);
    let again = scene.lake.retain(EVENTS, Horizons::of_all(at(199))).await.unwrap();
    assert_eq!(again, Retained::default());
    scene.reopen().await.check(199..300).await;
}

#[tokio::test]
async fn rows_beyond_the_horizon_are_hidden_before_they_are_removed() {
    let scene = Scene::new().await;
    scene.append(0..100).await;
    scene.lake.seal().await.unwrap();
    scene.append(2..4).await;
    // Five of a hundred are not worth writing a segment anew; staged rows are hidden too.
    let retained = scene.lake.retain(EVENTS, Horizons::of_all(at(5))).await.unwrap();
    assert_eq!(retained, Retained::default());
    scene.check(5..100).await;
    assert_eq!(numbers_of(&scene.query("SELECT count(*) FROM events", vec![]).await), [95]);
    let found = scene.query("SELECT count(*) FROM events WHERE id = $1", vec![id(3).into()]).await;
    assert_eq!(numbers_of(&found), [0]);
    // What is kept for longer again is seen again.
    scene.lake.hide(EVENTS, Horizons::default()).unwrap();
    assert_eq!(scene.numbers().await.len(), 102);
    let gone = scene.lake.retain(EVENTS, Horizons::of_all(at(50))).await.unwrap();
    assert_eq!(gone, Retained { dropped: 0, rewritten: 1, rows: 50 });
    scene.lake.hide(EVENTS, Horizons::default()).unwrap();
    assert_eq!(scene.numbers().await[..3], [2, 3, 50], "what was removed is gone");
}

/// Projects are 0, 1 and 2 by `n % 3`; one keeps all, one keeps less than the others.
#[tokio::test]
async fn each_project_has_its_own_horizon() {
    let scene = Scene::new().await;
    for start in [0, 100, 200] {
        scene.append(start..start + 100).await;
        scene.lake.seal().await.unwrap();
    }
    let horizons = Horizons::of_all(at(100)).with("project-0", None).with("project-1", at(250));
    let seen = |n: i64| match n % 3 {
        0 => true,
        1 => n >= 250,
        _ => n >= 100,
    };
    scene.lake.hide(EVENTS, horizons.clone()).unwrap();
    let expected: Vec<i64> = (0..300).filter(|&n| seen(n)).collect();
    assert_eq!(scene.numbers().await, expected);
    let retained = scene.lake.retain(EVENTS, horizons).await.unwrap();
    assert_eq!((retained.dropped, retained.rewritten), (0, 3), "project 0 keeps a third of each");
    assert_eq!(retained.rows, 300 - expected.len() as u64);
    scene.lake.compact().await.unwrap();
    assert_eq!(scene.reopen().await.numbers().await, expected);
}

#[tokio::test]
async fn random_horizons_over_random_layouts() {
    for seed in 0..6 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut scene = Scene::with(|config| config.compact_fan_in = 2).await;
        let (mut next, mut horizons) = (0, Horizons::default());
        for _ in 0..30 {
            match random.random_range(0..10) {
                0..4 => {
                    let more = next..next + random.random_range(1..100);
                    scene.append(more.clone()).await;
                    next = more.end;
                }
                4..6 => scene.lake.seal().await.unwrap(),
                6 => scene.lake.compact().await.unwrap(),
                7 => {
                    scene = scene.reopen().await;
                    scene.lake.hide(EVENTS, horizons.clone()).unwrap();
                }
                // Horizons move on only, so that what was removed stays hidden.
                _ => {
                    let mut later = |project: &str| {
                        let by = random.random_range(0..60);
                        at(horizons.of(project).map_or(0, Timestamp::as_secs) + by)
                    };
                    horizons = Horizons::of_all(later("")).with("project-2", later("project-2"));
                    scene.lake.retain(EVENTS, horizons.clone()).await.unwrap();
                }
            }
            let seen = |n: &i64| horizons.of(&format!("project-{}", n % 3)).is_none_or(|before| Some(before) <= at(*n));
            assert_eq!(scene.numbers().await, (0..next).filter(seen).collect::<Vec<_>>(), "seed {seed}");
        }
    }
}
