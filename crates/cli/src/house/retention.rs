//! Keeping to what was said about how long traces are kept.

use std::time::Duration;

use futures::FutureExt as _;
use qd_data::Datasets;
use qd_trace::Retention;
use tokio::task::JoinHandle;

/// Days end at a whole hour, so looking more often would find nothing more.
const EVERY: Duration = Duration::from_secs(3600);

/// A task that applies the retention until this is dropped.
pub struct Keeping(JoinHandle<()>);

impl Keeping {
    /// Begins.
    pub fn start(retention: Retention, datasets: Datasets) -> Self {
        Self(tokio::spawn(async move { tokio::join!(keep(retention), sweep_datasets(datasets)) }.map(drop)))
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Applies the retention every hour and when it was changed. Payloads are swept when rows went, and once after a start:
/// what a crash left behind, or what an earlier program did not remove.
async fn keep(retention: Retention) {
    let mut timer = tokio::time::interval(EVERY);
    let mut sweep = true;
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            () = retention.changed() => {}
        }
        match retention.apply().await {
            Ok(retained) if retained.rows > 0 => {
                sweep = true;
                let (rows, dropped, rewritten) = (retained.rows, retained.dropped, retained.rewritten);
                tracing::info!(rows, dropped, rewritten, "dropped rows that are not kept any more");
            }
            Ok(_) => {}
            Err(error) => tracing::error!(error = error.chain(), "old rows could not be dropped"),
        }
        if sweep {
            match retention.sweep().await {
                Ok(swept) if swept.blobs > 0 => {
                    tracing::info!(swept.blobs, swept.bytes, "removed payloads of rows that are gone")
                }
                Ok(_) => {}
                Err(error) => tracing::error!(error = error.chain(), "payloads could not be swept"),
            }
            sweep = false;
        }
    }
}

/// Removes files of datasets that no version names, and uploads that nobody imported: what a crash left behind, once after a
/// start and then every day.
async fn sweep_datasets(datasets: Datasets) {
    let mut timer = tokio::time::interval(24 * EVERY);
    loop {
        timer.tick().await;
        match datasets.sweep().await {
            Ok(swept) if swept.blobs > 0 => {
                tracing::info!(files = swept.blobs, swept.bytes, "removed files that no dataset names")
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "files of datasets could not be swept"),
        }
    }
}
