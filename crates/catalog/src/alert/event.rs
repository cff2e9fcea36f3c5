//! What changed about how rules stand: the history of each, and the inbox of a project.

use qd_base::{AlertEventId, AlertId, AlertName, ProjectId, Timestamp};
use serde_json::Value;

use crate::alert::rule::{Alert, MAX_MESSAGE_BYTES};
use crate::alert::{AlertChange, Severity, delivery};
use crate::column::{self, Columns, stored};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Listed, Page, Result, limit};

/// An inbox says at most that so many are unread.
pub const MOST_UNREAD: u32 = 100;
/// The longest name of a reader.
pub const MAX_READER_BYTES: usize = 256;
/// Events that are marked as read at once, at most.
pub const MOST_MARKED: usize = 1000;

/// A change to be told of.
#[derive(Debug, Clone, PartialEq)]
pub struct NewAlertEvent {
    /// What changed.
    pub change: AlertChange,
    /// What was read.
    pub value: Option<f64>,
    /// The same in words.
    pub message: String,
    /// Whether it stands in the inbox and is sent; else it is history only.
    pub told: bool,
    /// Whether a silence keeps it from the receivers.
    pub silenced: bool,
}

/// A change that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertEvent {
    /// Its identifier; later ones are larger.
    pub id: AlertEventId,
    /// The project of the rule.
    pub project: ProjectId,
    /// The rule, which may be gone.
    pub alert: AlertId,
    /// What it was called.
    pub name: AlertName,
    /// How much it mattered.
    pub severity: Severity,
    /// What there was to say of it.
    pub facts: Value,
    /// When it happened.
    pub at: Timestamp,
    /// What changed.
    pub change: AlertChange,
    /// What was read.
    pub value: Option<f64>,
    /// The same in words.
    pub message: String,
    /// Whether it stands in the inbox.
    pub told: bool,
    /// Whether a silence kept it from the receivers.
    pub silenced: bool,
    /// Whether who asks has read it.
    pub read: bool,
}

/// Which events are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertEventFilter {
    /// Of this project.
    pub project: ProjectId,
    /// Of this rule.
    pub alert: Option<AlertId>,
    /// Only those of the inbox.
    pub told: bool,
    /// Only those that who asks has not read.
    pub unread: bool,
}

impl AlertEventFilter {
    /// All events of a project.
    pub fn of(project: ProjectId) -> Self {
        Self { project, alert: None, told: false, unread: false }
    }

    /// The inbox of a project.
    pub fn inbox(project: ProjectId) -> Self {
        Self { told: true, ..Self::of(project) }
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, alert_id, alert, severity, facts, at_ns, change, value, message, told, silenced, \
             EXISTS (SELECT 1 FROM alert_read WHERE event_id = id AND reader = $1) AS read FROM alert_event ",
            $rest
        )
    };
}

impl Catalog {
    /// Events, the latest first, as `reader` sees them; the key of a page is an event's identifier.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn alert_events(
        &self,
        filter: &AlertEventFilter,
        reader: &str,
        page: Page<AlertEventId>,
    ) -> Result<Listed<AlertEvent, AlertEventId>> {
        let rows = sqlx::query(select!(
            "WHERE project_id = $2 AND ($3 IS NULL OR alert_id = $3) AND (told = 1 OR $4 = 0) \
             AND ($5 = 0 OR NOT EXISTS (SELECT 1 FROM alert_read WHERE event_id = id AND reader = $1)) \
             AND ($6 IS NULL OR id < $6) ORDER BY id DESC LIMIT $7"
        ))
        .bind(reader)
        .bind(filter.project.to_string())
        .bind(filter.alert.map(|id| id.to_string()))
        .bind(i64::from(filter.told))
        .bind(i64::from(filter.unread))
        .bind(page.key().map(AlertEventId::to_string))
        .bind(page.probe())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing what alerts told"))?;
        Ok(Listed::of(column::all(&rows, read)?, &page, |event| event.id))
    }

    /// How many events of the inbox `reader` has not read; at most [`MOST_UNREAD`] are counted.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be counted.
    pub async fn unread_alert_events(&self, project: ProjectId, reader: &str) -> Result<u64> {
        let row = sqlx::query(
            "SELECT COUNT(*) AS unread FROM (SELECT 1 FROM alert_event WHERE project_id = $1 AND told = 1 \
             AND NOT EXISTS (SELECT 1 FROM alert_read WHERE event_id = id AND reader = $2) LIMIT $3)",
        )
        .bind(project.to_string())
        .bind(reader)
        .bind(MOST_UNREAD)
        .fetch_one(self.db().readers())
        .await
        .map_err(Error::database("counting what alerts told"))?;
        Columns(&row).count("unread")
    }

    /// How many rules of a project fire.
    ///
    /// # Errors
    /// [`Error::Database`] when they cannot be counted.
    pub async fn raised_alerts(&self, project: ProjectId) -> Result<u64> {
        let row = sqlx::query("SELECT COUNT(*) AS raised FROM alert WHERE project_id = $1 AND raised = 1")
            .bind(project.to_string())
            .fetch_one(self.db().readers())
            .await
            .map_err(Error::database("counting alerts that fire"))?;
        Columns(&row).count("raised")
    }

    /// Marks these events of a project's inbox as read by `reader`, or all of them.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond [`MOST_MARKED`] events.
    pub async fn mark_alert_events_read(
        &self,
        project: ProjectId,
        reader: &str,
        events: Option<&[AlertEventId]>,
    ) -> Result<()> {
        const OPERATION: &str = "marking what alerts told as read";
        limit::text("reader", reader, MAX_READER_BYTES)?;
        limit::count("events", events.map_or(0, <[_]>::len), MOST_MARKED)?;
        let chosen = events.map(|events| serde_json::json!(events).to_string());
        let mut tx = self.db().begin(OPERATION).await?;
        // SQLite's json_each; elsewhere the list is an array parameter.
        sqlx::query(
            "INSERT INTO alert_read (reader, event_id) SELECT $1, id FROM alert_event WHERE project_id = $2 AND told = 1 \
             AND ($3 IS NULL OR id IN (SELECT value FROM json_each($3))) ON CONFLICT DO NOTHING",
        )
        .bind(reader)
        .bind(project.to_string())
        .bind(chosen)
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        commit(tx, OPERATION).await
    }

    /// Forgets events from before `before`, those of each project beyond its newest `most`, and silences that ended
    /// before then. Says how many events.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails.
    pub async fn prune_alert_events(&self, before: Timestamp, most: u64) -> Result<u64> {
        const OPERATION: &str = "forgetting old events of alerts";
        let mut tx = self.db().begin(OPERATION).await?;
        let old = sqlx::query("DELETE FROM alert_event WHERE at_ns < $1")
            .bind(before.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?
            .rows_affected();
        let beyond = prune_beyond(&mut tx, most).await?;
        sqlx::query("DELETE FROM alert_silence WHERE until_ns < $1")
            .bind(before.as_nanos())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?;
        commit(tx, OPERATION).await?;
        Ok(old + beyond)
    }
}

/// Forgets the oldest events of each project that has more than `most`.
async fn prune_beyond(tx: &mut Tx, most: u64) -> Result<u64> {
    const OPERATION: &str = "forgetting old events of alerts";
    let rows = sqlx::query("SELECT project_id FROM alert_event GROUP BY project_id HAVING COUNT(*) > $1")
        .bind(stored(most))
        .fetch_all(&mut **tx)
        .await
        .map_err(Error::database(OPERATION))?;
    let mut gone = 0;
    for project in column::all(&rows, |row| row.text("project_id"))? {
        let deleted = sqlx::query(
            "DELETE FROM alert_event WHERE project_id = $1 AND id < \
             (SELECT id FROM alert_event WHERE project_id = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
        )
        .bind(project)
        .bind(stored(most.saturating_sub(1)))
        .execute(&mut **tx)
        .await
        .map_err(Error::database(OPERATION))?;
        gone += deleted.rows_affected();
    }
    Ok(gone)
}

/// Keeps an event, and what is to be sent for it.
pub(crate) async fn add(tx: &mut Tx, alert: &Alert, event: &NewAlertEvent, at: Timestamp) -> Result<()> {
    let id = AlertEventId::new();
    sqlx::query(
        "INSERT INTO alert_event (id, project_id, alert_id, alert, severity, facts, at_ns, change, value, message, told, silenced) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(id.to_string())
    .bind(alert.project.to_string())
    .bind(alert.id.to_string())
    .bind(alert.spec.name.as_str())
    .bind(alert.spec.severity.as_str())
    .bind(alert.spec.facts.to_string())
    .bind(at.as_nanos())
    .bind(event.change.as_str())
    .bind(event.value)
    .bind(limit::shorten(&event.message, MAX_MESSAGE_BYTES))
    .bind(i64::from(event.told))
    .bind(i64::from(event.silenced))
    .execute(&mut **tx)
    .await
    .map_err(Error::database("keeping what an alert tells"))?;
    if event.told && !event.silenced {
        delivery::add(tx, alert, id, event.change, at).await?;
    }
    Ok(())
}

pub(crate) fn read(row: Columns<'_>) -> Result<AlertEvent> {
    Ok(AlertEvent {
        id: row.parsed("id")?,
        project: row.parsed("project_id")?,
        alert: row.parsed("alert_id")?,
        name: row.parsed("alert")?,
        severity: row.parsed("severity")?,
        facts: row.json("facts")?,
        at: row.time("at_ns")?,
        change: row.parsed("change")?,
        value: row.real_opt("value")?,
        message: row.text("message")?,
        told: row.flag("told")?,
        silenced: row.flag("silenced")?,
        read: row.flag("read")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::rule::tests::{event, spec, step};
    use crate::testing::catalog;

    /// A rule that fired, then was resolved, each in a step; between them a change that is history only.
    async fn told(catalog: &Catalog) -> AlertId {
        let project = catalog.default_project().id;
        let alert = catalog.create_alert(project, spec("slow")).await.unwrap();
        catalog.record_alert_step(&step(&alert, AlertChange::Firing)).await.unwrap();
        let alert = catalog.alert(project, &alert.spec.name).await.unwrap();
        let mut ended = step(&alert, AlertChange::Resolved);
        ended.events.insert(0, NewAlertEvent { told: false, ..event(AlertChange::Recovering) });
        catalog.record_alert_step(&ended).await.unwrap();
        alert.id
    }

    async fn unread(catalog: &Catalog, reader: &str) -> u64 {
        catalog.unread_alert_events(catalog.default_project().id, reader).await.unwrap()
    }

    #[tokio::test]
    async fn everyone_reads_for_themselves() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        let alert = told(&catalog).await;
        let inbox = AlertEventFilter::inbox(project);
        let found = catalog.alert_events(&inbox, "ann", Page::first(1)).await.unwrap();
        assert_eq!((found.items[0].change, found.items[0].read), (AlertChange::Resolved, false));
        let rest = catalog.alert_events(&inbox, "ann", Page::after(1, found.next.unwrap())).await.unwrap();
        assert_eq!((rest.items[0].change, rest.next), (AlertChange::Firing, None));
        assert_eq!((unread(&catalog, "ann").await, unread(&catalog, "bob").await), (2, 2));

        let first = [found.items[0].id];
        catalog.mark_alert_events_read(project, "ann", Some(&first)).await.unwrap();
        catalog.mark_alert_events_read(project, "ann", Some(&first)).await.unwrap();
        assert_eq!((unread(&catalog, "ann").await, unread(&catalog, "bob").await), (1, 2));
        let left = AlertEventFilter { unread: true, ..inbox.clone() };
        let left = catalog.alert_events(&left, "ann", Page::default()).await.unwrap().items;
        assert_eq!(left.iter().map(|event| event.change).collect::<Vec<_>>(), [AlertChange::Firing]);
        catalog.mark_alert_events_read(project, "bob", None).await.unwrap();
        assert_eq!((unread(&catalog, "ann").await, unread(&catalog, "bob").await), (1, 0));

        let history = AlertEventFilter { alert: Some(alert), ..AlertEventFilter::of(project) };
        assert_eq!(catalog.alert_events(&history, "ann", Page::default()).await.unwrap().items.len(), 3);
        let other = catalog.create_project(&"other".parse().unwrap()).await.unwrap().id;
        assert!(
            catalog.alert_events(&AlertEventFilter::of(other), "ann", Page::default()).await.unwrap().items.is_empty()
        );
        catalog.mark_alert_events_read(other, "ann", None).await.unwrap();
        assert_eq!(unread(&catalog, "ann").await, 1, "another project's inbox is another");
    }

    #[tokio::test]
    async fn old_events_are_forgotten() {
        let (catalog, _dir) = catalog().await;
        told(&catalog).await;
        catalog.mark_alert_events_read(catalog.default_project().id, "ann", None).await.unwrap();
        assert_eq!(catalog.prune_alert_events(Timestamp::MIN, 3).await.unwrap(), 0);
        assert_eq!(catalog.prune_alert_events(Timestamp::MIN, 2).await.unwrap(), 1);
        assert_eq!(catalog.prune_alert_events(Timestamp::MAX, 2).await.unwrap(), 2);
        assert_eq!(unread(&catalog, "bob").await, 0);
    }
}
