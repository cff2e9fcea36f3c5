//! Watching a job: its events as they happen, from the catalog, so that none is missed and none told twice.

use std::collections::VecDeque;
use std::time::Duration;

use futures::Stream;
use futures::stream::{BoxStream, StreamExt, unfold};
use qd_base::JobId;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::job::Signal;
use crate::{Catalog, JobEvent, Result};

/// Signals reach listeners in this process; a change from elsewhere is seen this much later.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl Catalog {
    /// The events of a job with larger numbers than `after`, first those that there are, then each as it happens.
    /// The stream ends when the job is finished; it starts with [`crate::Error::NotFound`] when there is none.
    pub fn watch(&self, job: JobId, after: u64) -> BoxStream<'static, Result<JobEvent>> {
        watch(Watcher {
            // Listening begins before the first look, so that nothing falls between.
            signals: self.inner().signals.subscribe(),
            catalog: self.clone(),
            job,
            seen: after,
            ready: VecDeque::new(),
            finished: false,
        })
        .boxed()
    }
}

struct Watcher {
    catalog: Catalog,
    signals: Receiver<Signal>,
    job: JobId,
    seen: u64,
    ready: VecDeque<JobEvent>,
    finished: bool,
}

fn watch(watcher: Watcher) -> impl Stream<Item = Result<JobEvent>> + Send {
    unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await.transpose()?;
        watcher.finished |= event.is_err();
        Some((event, watcher))
    })
}

impl Watcher {
    async fn next(&mut self) -> Result<Option<JobEvent>> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.seen = event.seq;
                return Ok(Some(event));
            }
            if self.finished {
                return Ok(None);
            }
            self.look().await?;
            if self.ready.is_empty() && !self.finished {
                self.wait().await;
            }
        }
    }

    /// The state is read before the events: a job that was finished then has all its events now.
    async fn look(&mut self) -> Result<()> {
        let state = self.catalog.job(self.job).await?.state;
        self.ready = self.catalog.job_events(self.job, self.seen).await?.into();
        self.finished = state.is_finished();
        Ok(())
    }

    async fn wait(&mut self) {
        let heard = async {
            loop {
                match self.signals.recv().await {
                    Ok(Signal::Happened(job)) if job == self.job => return,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return,
                    // The sender lives as long as the catalog, which we hold.
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        // Having waited long enough is a reason to look as good as a signal.
        let _ = tokio::time::timeout(LOOK_AGAIN, heard).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use crate::job::{Happening, JobState};
    use crate::queue::tests::enqueue;
    use crate::testing::catalog;

    #[tokio::test]
    async fn events_come_as_they_happen_until_the_end() {
        let (catalog, _dir) = catalog().await;
        let id = enqueue(&catalog).await;
        let mut events = catalog.watch(id, 0);
        assert_eq!(events.next().await.unwrap().unwrap().seq, 1);
        let cancel = tokio::spawn({
            let catalog = catalog.clone();
            async move { catalog.cancel(id).await }
        });
        let last = events.next().await.unwrap().unwrap();
        assert_eq!(last.what, Happening::State { state: JobState::Cancelled, message: String::new() });
        assert!(events.next().await.is_none());
        cancel.await.unwrap().unwrap();
        assert_eq!(catalog.watch(id, 1).count().await, 1, "watching can go on after a number");
    }

    #[tokio::test]
    async fn an_unknown_job_is_told_once() {
        let (catalog, _dir) = catalog().await;
        let told: Vec<_> = catalog.watch(JobId::new(), 0).collect().await;
        assert!(matches!(told[..], [Err(Error::NotFound { .. })]));
    }
}
