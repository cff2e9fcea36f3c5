//! What is to be sent to whom: an outbox that is written with the change itself, and emptied by whoever sends.
//!
//! A message may be sent twice, when a crash comes between its being taken and our knowing of it; its identifier is then
//! the same, so that a receiver can tell.

use qd_base::{AlertEventId, AlertName, ProjectId, Timestamp};
use serde_json::json;
use tokio::sync::watch;

use crate::alert::AlertChange;
use crate::alert::event::{self, AlertEvent};
use crate::alert::receiver::HookUrl;
use crate::alert::rule::Alert;
use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Result, limit};

/// At most this many messages wait for one receiver; further ones are not sent to it.
pub const MAX_WAITING: u32 = 1000;
/// Messages that are handed out at once, at most.
pub const MOST_DUE: u32 = 256;
/// A longer error is cut.
const MAX_ERROR_BYTES: usize = 1024;

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// What it tells.
    pub event: AlertEvent,
    /// Whom.
    pub receiver: AlertName,
    /// Where.
    pub url: HookUrl,
    /// How often that was attempted.
    pub attempts: u32,
    /// When it was due.
    pub due: Timestamp,
}

/// What an attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The receiver took it.
    Delivered,
    /// It did not, and may later.
    Retry {
        /// When to try again.
        at: Timestamp,
        /// Why.
        error: String,
    },
    /// It did not, and will not.
    Failed {
        /// Why.
        error: String,
        /// Whether the receiver wants nothing more: it is switched off.
        gone: bool,
    },
}

impl Catalog {
    /// Messages that are to be sent by `now`, those that waited longest first. Those for one receiver come in the order
    /// in which they happened, and only the first `each` of them; one that is to be tried again later holds up no other.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn due_deliveries(&self, now: Timestamp, each: u32) -> Result<Vec<Delivery>> {
        let rows = sqlx::query(
            "SELECT alert_event.id AS id, alert_event.project_id AS project_id, alert_id, alert, severity, facts, at_ns, \
             change, value, message, told, silenced, 0 AS read, receiver, url, attempts, due_ns FROM \
             (SELECT *, row_number() OVER (PARTITION BY project_id, receiver ORDER BY event_id) AS nth \
             FROM alert_delivery WHERE state = 'waiting' AND due_ns <= $1) AS waiting \
             JOIN alert_event ON alert_event.id = event_id \
             JOIN alert_receiver ON alert_receiver.project_id = waiting.project_id AND name = receiver \
             WHERE nth <= $2 AND disabled = 0 ORDER BY due_ns, event_id LIMIT $3",
        )
        .bind(now.as_nanos())
        .bind(each)
        .bind(MOST_DUE)
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing what is to be sent"))?;
        column::all(&rows, read)
    }

    /// When the next message after `now` is to be sent; none when none is.
    ///
    /// # Errors
    /// [`Error::Database`] when that cannot be read.
    pub async fn next_delivery_due(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let row = sqlx::query(
            "SELECT MIN(due_ns) AS due_ns FROM alert_delivery JOIN alert_receiver \
             ON alert_receiver.project_id = alert_delivery.project_id AND name = receiver \
             WHERE state = 'waiting' AND disabled = 0 AND due_ns > $1",
        )
        .bind(now.as_nanos())
        .fetch_one(self.db().readers())
        .await
        .map_err(Error::database("looking for the next message"))?;
        Columns(&row).time_opt("due_ns")
    }

    /// A counter that grows when there may be more to send, for who sends.
    pub fn watch_outbox(&self) -> watch::Receiver<u64> {
        self.inner().outbox_changed.subscribe()
    }

    pub(crate) fn outbox_changed(&self) {
        self.inner().outbox_changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    /// Records what an attempt to send came to.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails: then it is sent again.
    pub async fn record_delivery(&self, delivery: &Delivery, at: Timestamp, ending: &Ending) -> Result<()> {
        const OPERATION: &str = "recording what became of a message";
        let mut tx = self.db().begin(OPERATION).await?;
        let (project, event) = (delivery.event.project, delivery.event.id);
        let (state, due, error) = match ending {
            Ending::Delivered => ("delivered", delivery.due, None),
            Ending::Retry { at, error } => ("waiting", *at, Some(error)),
            Ending::Failed { error, .. } => ("failed", delivery.due, Some(error)),
        };
        sqlx::query(
            "UPDATE alert_delivery SET state = $4, due_ns = $5, error = $6, attempts = attempts + 1 \
             WHERE event_id = $1 AND project_id = $2 AND receiver = $3 AND state = 'waiting'",
        )
        .bind(event.to_string())
        .bind(project.to_string())
        .bind(delivery.receiver.as_str())
        .bind(state)
        .bind(due.as_nanos())
        .bind(error.map(|error| limit::shorten(error, MAX_ERROR_BYTES)))
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        note_attempt(&mut tx, project, &delivery.receiver, at, error.map(String::as_str)).await?;
        if matches!(ending, Ending::Failed { gone: true, .. }) {
            switch_off(&mut tx, project, &delivery.receiver).await?;
        }
        commit(tx, OPERATION).await
    }

    /// Records how it went when a receiver was sent a message that is no event: a test.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails.
    pub async fn record_test(
        &self,
        project: ProjectId,
        receiver: &AlertName,
        at: Timestamp,
        error: Option<&str>,
    ) -> Result<()> {
        const OPERATION: &str = "recording what became of a test";
        let mut tx = self.db().begin(OPERATION).await?;
        note_attempt(&mut tx, project, receiver, at, error).await?;
        commit(tx, OPERATION).await
    }
}

async fn note_attempt(
    tx: &mut Tx,
    project: ProjectId,
    receiver: &AlertName,
    at: Timestamp,
    error: Option<&str>,
) -> Result<()> {
    const OPERATION: &str = "recording how a receiver fares";
    sqlx::query(
        "UPDATE alert_receiver SET \
         delivered = CASE WHEN $4 IS NULL THEN delivered + 1 ELSE delivered END, \
         failures = CASE WHEN $4 IS NULL THEN 0 ELSE failures + 1 END, \
         last_success_ns = CASE WHEN $4 IS NULL THEN $3 ELSE last_success_ns END, \
         last_failure_ns = CASE WHEN $4 IS NULL THEN last_failure_ns ELSE $3 END, \
         last_error = CASE WHEN $4 IS NULL THEN last_error ELSE $4 END WHERE project_id = $1 AND name = $2",
    )
    .bind(project.to_string())
    .bind(receiver.as_str())
    .bind(at.as_nanos())
    .bind(error.map(|error| limit::shorten(error, MAX_ERROR_BYTES)))
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database(OPERATION))
}

async fn switch_off(tx: &mut Tx, project: ProjectId, receiver: &AlertName) -> Result<()> {
    sqlx::query("UPDATE alert_receiver SET disabled = 1 WHERE project_id = $1 AND name = $2")
        .bind(project.to_string())
        .bind(receiver.as_str())
        .execute(&mut **tx)
        .await
        .map(drop)
        .map_err(Error::database("switching off a receiver"))
}

/// Puts an event into the outbox: for each receiver of the rule that wants to know of such a change.
pub(crate) async fn add(
    tx: &mut Tx,
    alert: &Alert,
    event: AlertEventId,
    change: AlertChange,
    at: Timestamp,
) -> Result<()> {
    let named = alert.spec.receivers.as_ref().map(|names| json!(names).to_string());
    // SQLite's json_each; elsewhere the lists are arrays.
    sqlx::query(
        "INSERT INTO alert_delivery (event_id, project_id, receiver, state, due_ns) \
         SELECT $1, project_id, name, 'waiting', $4 FROM alert_receiver WHERE project_id = $2 AND disabled = 0 \
         AND ($3 IS NULL OR name IN (SELECT value FROM json_each($3))) \
         AND $5 IN (SELECT value FROM json_each(changes)) \
         AND (SELECT COUNT(*) FROM alert_delivery AS other WHERE other.project_id = alert_receiver.project_id \
         AND other.receiver = name AND other.state = 'waiting') < $6",
    )
    .bind(event.to_string())
    .bind(alert.project.to_string())
    .bind(named)
    .bind(at.as_nanos())
    .bind(change.as_str())
    .bind(MAX_WAITING)
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("writing down what is to be sent"))
}

fn read(row: Columns<'_>) -> Result<Delivery> {
    Ok(Delivery {
        event: event::read(row)?,
        receiver: row.parsed("receiver")?,
        url: row.parsed("url")?,
        attempts: row.number("attempts")?,
        due: row.time("due_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::receiver::tests::spec as receiver;
    use crate::alert::receiver::{NewReceiver, new_secret};
    use crate::alert::rule::NewAlert;
    use crate::alert::rule::tests::{spec, step};
    use crate::testing::{catalog, reopen};
    use std::time::Duration;

    async fn add_receiver(catalog: &Catalog, spec: NewReceiver) {
        catalog.create_receiver(catalog.default_project().id, spec, &new_secret()).await.unwrap();
    }

    /// Makes a rule fire, which is sent to its receivers; says when.
    async fn fire(catalog: &Catalog, spec: NewAlert, silenced: bool) -> Timestamp {
        let alert = catalog.create_alert(catalog.default_project().id, spec).await.unwrap();
        let mut fired = step(&alert, AlertChange::Firing);
        fired.events[0].silenced = silenced;
        assert!(catalog.record_alert_step(&fired).await.unwrap());
        fired.due
    }

    async fn due(catalog: &Catalog, now: Timestamp) -> Vec<(String, String)> {
        let due = catalog.due_deliveries(now, 10).await.unwrap();
        due.iter().map(|one| (one.event.name.to_string(), one.receiver.to_string())).collect()
    }

    fn pair(alert: &str, receiver: &str) -> (String, String) {
        (alert.to_owned(), receiver.to_owned())
    }

    #[tokio::test]
    async fn a_change_is_sent_to_those_who_want_it() {
        let (catalog, dir) = catalog().await;
        add_receiver(&catalog, receiver("all")).await;
        add_receiver(&catalog, receiver("other")).await;
        add_receiver(&catalog, NewReceiver { changes: vec![AlertChange::Resolved], ..receiver("ends") }).await;
        add_receiver(&catalog, NewReceiver { disabled: true, ..receiver("off") }).await;
        let at = fire(&catalog, spec("one"), false).await;
        let named = NewAlert { receivers: Some(vec!["other".parse().unwrap()]), ..spec("two") };
        let at = at.max(fire(&catalog, named, false).await);
        fire(&catalog, spec("quiet"), true).await;
        catalog.close().await;
        let catalog = reopen(dir.path()).await;
        let expected = [pair("one", "all"), pair("one", "other"), pair("two", "other")];
        assert_eq!(due(&catalog, at).await, expected);
        assert_eq!(due(&catalog, at.saturating_sub(Duration::from_secs(3600))).await, []);
    }

    #[tokio::test]
    async fn what_became_of_a_message_is_kept() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        add_receiver(&catalog, receiver("ops")).await;
        let at = fire(&catalog, spec("one"), false).await;
        let later = at.saturating_add(Duration::from_secs(5));
        let [first] = &catalog.due_deliveries(at, 1).await.unwrap()[..] else { panic!("one message waits") };
        let error = "it answered 500".to_owned();
        catalog.record_delivery(first, at, &Ending::Retry { at: later, error }).await.unwrap();
        assert_eq!((due(&catalog, at).await, catalog.next_delivery_due(at).await.unwrap()), (vec![], Some(later)));
        let fared = catalog.receivers(project).await.unwrap().remove(0);
        assert_eq!((fared.failures, fared.waiting, fared.last_failure), (1, 1, Some(at)));
        assert_eq!(fared.last_error.as_deref(), Some("it answered 500"));

        let [again] = &catalog.due_deliveries(later, 1).await.unwrap()[..] else { panic!("it still waits") };
        assert_eq!((again.attempts, again.event.id), (1, first.event.id));
        catalog.record_delivery(again, later, &Ending::Delivered).await.unwrap();
        assert_eq!(catalog.next_delivery_due(Timestamp::MIN).await.unwrap(), None);
        let fared = catalog.receivers(project).await.unwrap().remove(0);
        assert_eq!((fared.delivered, fared.failures, fared.waiting, fared.last_success), (1, 0, 0, Some(later)));
    }

    #[tokio::test]
    async fn what_is_to_be_tried_again_holds_up_nothing_that_is_due() {
        let (catalog, _dir) = catalog().await;
        add_receiver(&catalog, receiver("ops")).await;
        fire(&catalog, spec("one"), false).await;
        let at = fire(&catalog, spec("two"), false).await;
        let refused = catalog.due_deliveries(at, 2).await.unwrap();
        assert_eq!(refused.len(), 2);
        let later = at.saturating_add(Duration::from_secs(5 * 3600));
        for delivery in &refused {
            let ending = Ending::Retry { at: later, error: "it answered 400".to_owned() };
            catalog.record_delivery(delivery, at, &ending).await.unwrap();
        }
        let third = fire(&catalog, spec("three"), false).await;
        let due = catalog.due_deliveries(third, 2).await.unwrap();
        assert_eq!(due.iter().map(|delivery| delivery.event.name.as_str()).collect::<Vec<_>>(), ["three"]);
        assert_eq!(
            catalog.next_delivery_due(third).await.unwrap(),
            Some(later),
            "what is due is no reason to look again"
        );
    }

    #[tokio::test]
    async fn a_receiver_that_is_gone_is_switched_off() {
        let (catalog, _dir) = catalog().await;
        add_receiver(&catalog, receiver("ops")).await;
        let at = fire(&catalog, spec("one"), false).await;
        let [message] = &catalog.due_deliveries(at, 1).await.unwrap()[..] else { panic!("one message waits") };
        let gone = Ending::Failed { error: "it answered 410".into(), gone: true };
        catalog.record_delivery(message, at, &gone).await.unwrap();
        assert!(catalog.receivers(catalog.default_project().id).await.unwrap()[0].spec.disabled);
        fire(&catalog, spec("two"), false).await;
        assert_eq!(catalog.next_delivery_due(Timestamp::MIN).await.unwrap(), None);
    }

    /// A receiver that takes nothing has a full queue at some time, and others have their messages all the same.
    #[tokio::test]
    async fn a_full_queue_takes_no_more_and_holds_nobody_else_up() {
        let (catalog, _dir) = catalog().await;
        add_receiver(&catalog, receiver("stuck")).await;
        fire(&catalog, spec("one"), false).await;
        let mut tx = catalog.db().begin("test").await.unwrap();
        sqlx::query(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < $1) \
             INSERT INTO alert_event SELECT 'e' || n, project_id, alert_id, alert, severity, facts, at_ns, change, value, \
             message, told, silenced FROM alert_event, n",
        )
        .bind(MAX_WAITING - 1)
        .execute(&mut *tx)
        .await
        .unwrap();
        sqlx::query(
            "INSERT INTO alert_delivery (event_id, project_id, receiver, state, due_ns) \
             SELECT id, project_id, 'stuck', 'waiting', at_ns FROM alert_event WHERE id LIKE 'e%'",
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        commit(tx, "test").await.unwrap();
        add_receiver(&catalog, receiver("well")).await;
        fire(&catalog, spec("two"), false).await;
        let project = catalog.default_project().id;
        let waiting: Vec<_> = catalog.receivers(project).await.unwrap().iter().map(|one| one.waiting).collect();
        assert_eq!(waiting, [u64::from(MAX_WAITING), 1]);
    }
}
