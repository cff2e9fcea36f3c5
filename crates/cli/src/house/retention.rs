//! Dropping spans and scores that are older than the operator wants to keep.

use std::time::Duration;

use qd_base::Timestamp;
use qd_lake::Lake;
use qd_trace::{SCORES, SPANS};
use tokio::task::JoinHandle;

/// Segments are dropped whole, so looking more often would find nothing more.
const EVERY: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A task that applies the retention until this is dropped.
pub struct Retention(JoinHandle<()>);

impl Retention {
    /// Begins; `days` of 0 keep everything.
    pub fn start(lake: Lake, days: u32) -> Option<Self> {
        (days > 0).then(|| Self(tokio::spawn(apply(lake, days))))
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn apply(lake: Lake, days: u32) {
    let mut timer = tokio::time::interval(EVERY);
    loop {
        timer.tick().await;
        let before = Timestamp::now().saturating_sub(DAY * days);
        for table in [SPANS, SCORES] {
            if let Err(error) = lake.retain(table, before).await {
                tracing::error!(%error, table, "old rows could not be dropped");
            }
        }
    }
}
