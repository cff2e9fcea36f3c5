//! Where reports are made: few at once, and the same one only once.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use qd_base::VersionId;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::facts::{Facts, Filter};
use crate::report::Report;

/// Plans and reports that are made at once: each may have a gibibyte of documents in memory.
const PLACES: usize = 2;
/// Reports that are kept.
const MOST_KEPT: usize = 32;
/// While a leaderboard runs its report may be so many times as old as it took to make: a tenth of one core is spent on it.
const TIMES_AS_OLD: u32 = 10;

/// What a report is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The version of the leaderboard.
    pub version: VersionId,
    /// Which rows there are.
    pub stamp: (u64, Option<i64>),
    /// The models with what is known of them.
    pub models: Vec<(String, Facts)>,
    /// Which of them somebody would take.
    pub filter: Filter,
}

/// Places to work at, and what was made there.
#[derive(Debug)]
pub struct Desk {
    places: Semaphore,
    /// The oldest first.
    kept: Mutex<Vec<Kept>>,
}

#[derive(Debug)]
struct Kept {
    asked: Asked,
    report: Report,
    made: Instant,
    took: Duration,
}

impl Default for Desk {
    fn default() -> Self {
        Self { places: Semaphore::new(PLACES), kept: Mutex::default() }
    }
}

impl Desk {
    /// Waits for a place.
    pub async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }

    /// A report that says what one made now would say; while its leaderboard runs, one that is nearly so.
    pub fn known(&self, asked: &Asked, is_going: bool) -> Option<Report> {
        let kept = self.kept.lock();
        let fits = |kept: &&Kept| {
            let is_young = || is_going && kept.made.elapsed() < kept.took * TIMES_AS_OLD;
            let same = Asked { stamp: kept.asked.stamp, ..asked.clone() };
            same == kept.asked && (kept.asked.stamp == asked.stamp || is_young())
        };
        kept.iter().rev().find(fits).map(|kept| kept.report.clone())
    }

    /// Keeps a report that took so long.
    pub fn keep(&self, asked: Asked, report: Report, took: Duration) {
        let mut kept = self.kept.lock();
        kept.retain(|kept| kept.asked.version != asked.version || kept.asked.stamp == asked.stamp);
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        kept.push(Kept { asked, report, made: Instant::now(), took });
    }
}

#[cfg(test)]
mod tests {
    use qd_eval::board::Style;

    use super::*;

    #[test]
    fn a_report_is_made_anew_when_there_are_other_rows_or_wishes() {
        let (desk, version) = (Desk::default(), VersionId::new());
        let asked = |rows, licence: Option<&str>| Asked {
            version,
            stamp: (rows, Some(1)),
            models: vec![("m".to_owned(), Facts::default())],
            filter: Filter { licence: licence.map(str::to_owned), ..Filter::default() },
        };
        let report = Report { style: Style::Normalised, models: Vec::new(), documents: 3, sentence: "s".to_owned() };
        let hour = Duration::from_secs(3600);
        assert!(desk.known(&asked(1, None), true).is_none());
        desk.keep(asked(1, None), report, hour);
        assert!(desk.known(&asked(1, None), false).is_some());
        assert!(desk.known(&asked(1, Some("MIT")), false).is_none());
        assert!(desk.known(&asked(2, None), false).is_none());
        assert!(desk.known(&asked(2, None), true).is_some(), "it runs, and the report took an hour");
    }
}
