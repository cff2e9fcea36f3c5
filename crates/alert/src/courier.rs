//! Sends what waits in the outbox, beside evaluation: who hangs or fails holds nobody else up.

use std::collections::HashSet;
use std::time::Duration;

use qd_base::{AlertEventId, AlertName, ProjectId, Timestamp};
use qd_catalog::Delivery;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{Alerts, Result};

/// Messages on their way at once.
const AT_ONCE: usize = 64;
/// Of them for one receiver.
const EACH: u32 = 2;
/// The outbox is looked into at least and at most so often.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
const REST: Duration = Duration::from_millis(250);
/// How long to wait when the catalog fails.
const TROUBLE: Duration = Duration::from_secs(5);

/// A courier at work. Dropped, it ends; what it had on its way is sent again by the next.
pub struct Courier {
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Courier {
    /// Starts to send, within the present Tokio runtime.
    pub fn start(alerts: Alerts) -> Self {
        let stop = CancellationToken::new();
        let round =
            Round { changed: alerts.catalog.watch_outbox(), alerts, going: JoinSet::new(), on_way: HashSet::new() };
        Self { task: tokio::spawn(round.run(stop.clone())), stop }
    }

    /// Stops sending and waits for that. What is on its way is given up, and sent again by the next courier.
    pub async fn shutdown(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the courier of alerts broke down");
        }
    }
}

/// A message on its way: which, and to whom.
type Way = (AlertEventId, ProjectId, AlertName);

struct Round {
    alerts: Alerts,
    changed: watch::Receiver<u64>,
    going: JoinSet<Way>,
    on_way: HashSet<Way>,
}

impl Round {
    async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let wait = self.set_out().await.unwrap_or_else(|error| {
                tracing::error!(error = error.chain(), "cannot look for messages of alerts; trying again later");
                TROUBLE
            });
            tokio::select! {
                () = stop.cancelled() => {}
                Some(back) = self.going.join_next() => self.back(back.ok()),
                // The sender lives as long as the catalog, which we hold.
                _ = self.changed.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn back(&mut self, way: Option<Way>) {
        match way {
            Some(way) => drop(self.on_way.remove(&way)),
            // Which one broke down is not known: all that is not going any more is sent again.
            None if self.going.is_empty() => self.on_way.clear(),
            None => {}
        }
    }

    /// Sends what is due, and says when to look again.
    async fn set_out(&mut self) -> Result<Duration> {
        self.changed.borrow_and_update();
        let now = Timestamp::now();
        for delivery in self.alerts.catalog.due_deliveries(now, EACH).await? {
            let way = (delivery.event.id, delivery.event.project, delivery.receiver.clone());
            if self.going.len() < AT_ONCE && self.on_way.insert(way.clone()) {
                self.going.spawn(carry(self.alerts.clone(), delivery, way));
            }
        }
        // What was due and found no place goes when another is back.
        let next = self.alerts.catalog.next_delivery_due(now).await?;
        Ok(next.map_or(LOOK_AGAIN, |next| next.since(Timestamp::now())).clamp(REST, LOOK_AGAIN))
    }
}

async fn carry(alerts: Alerts, delivery: Delivery, way: Way) -> Way {
    if let Err(error) = alerts.deliver(&delivery, Timestamp::now()).await {
        tracing::error!(receiver = %delivery.receiver, error = error.chain(), "what became of a message is not known");
        // It is sent again, but not in a rush.
        tokio::time::sleep(TROUBLE).await;
    }
    way
}
