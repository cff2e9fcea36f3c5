//! Rules, and how each stands: a step is taken once, whatever crashes.

use qd_base::{AlertId, AlertName, ProjectId, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::alert::event::{self, NewAlertEvent};
use crate::alert::{AlertChange, AlertState, Severity, silence};
use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::put::Put;
use crate::{Catalog, Error, Result, limit, project};

/// One project has at most this many rules.
pub const MAX_ALERTS: usize = 500;
/// The largest definition, and the most that messages say of a rule.
pub const MAX_DEFINITION_BYTES: usize = 32 << 10;
/// A rule names at most this many receivers.
pub const MAX_NAMED_RECEIVERS: usize = 50;
/// A longer message is cut.
pub const MAX_MESSAGE_BYTES: usize = 2048;
/// Rules that are handed out to be evaluated at once, at most.
pub const MOST_DUE: u32 = 1000;

/// What a rule is to be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NewAlert {
    /// Its name.
    pub name: AlertName,
    /// How much it matters.
    pub severity: Severity,
    /// Which receivers are told; all of the project when absent.
    pub receivers: Option<Vec<AlertName>>,
    /// Whether it is not evaluated.
    pub disabled: bool,
    /// What the alert room makes of it: a query, a window, a condition.
    pub definition: Value,
    /// What messages say of it.
    pub facts: Value,
}

/// A rule and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// Its identifier.
    pub id: AlertId,
    /// The project that it belongs to.
    pub project: ProjectId,
    /// What it is.
    pub spec: NewAlert,
    /// Counts its changes.
    pub revision: u32,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// How it stands.
    pub standing: Standing,
}

/// How a rule stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// In which state.
    pub state: AlertState,
    /// Since when.
    pub since: Timestamp,
    /// Whether it fired and has not been resolved.
    pub raised: bool,
    /// What the state function remembers; none before the first step.
    pub memory: Option<Value>,
    /// What was read last.
    pub value: Option<f64>,
    /// The same in words, or what went wrong.
    pub message: String,
    /// When it was last evaluated.
    pub evaluated: Option<Timestamp>,
    /// When it is to be evaluated next.
    pub due: Timestamp,
}

/// A step of a rule: what evaluating it once came to.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertStep {
    /// Which rule.
    pub alert: AlertId,
    /// Its revision as it was evaluated.
    pub revision: u32,
    /// When it was due, by which a step is taken once.
    pub due: Timestamp,
    /// How it stands now.
    pub next: Standing,
    /// What changed, in this order.
    pub events: Vec<NewAlertEvent>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, project_id, name, severity, receivers, disabled, definition, facts, revision, created_ns, updated_ns, \
             state, since_ns, raised, memory, value, message, evaluated_ns, due_ns FROM alert ",
            $rest
        )
    };
}

impl Catalog {
    /// Makes a rule, or changes the one of this name. A rule whose definition changed, or that was switched on or off,
    /// begins anew; if it fired, it is resolved.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond the limits of this module, [`Error::NotFound`] without the project.
    pub async fn put_alert(&self, project: ProjectId, spec: NewAlert) -> Result<Alert> {
        self.store_alert(project, spec, Put::Any).await
    }

    /// Makes a rule. Of several who make one of the same name at once, one succeeds.
    ///
    /// # Errors
    /// As [`Catalog::put_alert`], and [`Error::Exists`] when there is one of this name.
    pub async fn create_alert(&self, project: ProjectId, spec: NewAlert) -> Result<Alert> {
        self.store_alert(project, spec, Put::New).await
    }

    async fn store_alert(&self, project: ProjectId, spec: NewAlert, put: Put) -> Result<Alert> {
        const OPERATION: &str = "changing an alert";
        check(&spec)?;
        let mut tx = self.db().begin(OPERATION).await?;
        project::require(&mut tx, project).await?;
        let before = find(&mut tx, project, &spec.name).await?;
        put.check("alert", &spec.name, before.is_some())?;
        if before.is_none() {
            project::room_for_one(
                &mut tx,
                project,
                "number of alerts",
                "SELECT COUNT(*) AS n FROM alert WHERE project_id = $1",
                MAX_ALERTS,
            )
            .await?;
        }
        let now = Timestamp::now();
        let (action, alert) = match before {
            None => ("create", fresh(project, spec, now)),
            Some(before) => ("update", changed(&mut tx, before, spec, now).await?),
        };
        write(&mut tx, &alert).await?;
        self.note(&mut tx, action, "alert", alert.spec.name.as_str(), json!(alert.spec)).await?;
        commit(tx, OPERATION).await?;
        self.outbox_changed();
        Ok(alert)
    }

    /// One rule of a project.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn alert(&self, project: ProjectId, name: &AlertName) -> Result<Alert> {
        let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
            .bind(project.to_string())
            .bind(name.as_str())
            .fetch_optional(self.db().readers())
            .await
            .map_err(Error::database("reading an alert"))?
            .ok_or_else(|| Error::not_found("alert", name))?;
        read(Columns(&row))
    }

    /// The rules of a project, by name.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn alerts(&self, project: ProjectId) -> Result<Vec<Alert>> {
        let rows = sqlx::query(select!("WHERE project_id = $1 ORDER BY name"))
            .bind(project.to_string())
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("listing alerts"))?;
        column::all(&rows, read)
    }

    /// Removes a rule; if it fired, it is resolved. What it told stays in the inbox.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn remove_alert(&self, project: ProjectId, name: &AlertName) -> Result<()> {
        const OPERATION: &str = "removing an alert";
        let mut tx = self.db().begin(OPERATION).await?;
        let gone = find(&mut tx, project, name).await?.ok_or_else(|| Error::not_found("alert", name))?;
        withdraw(&mut tx, &gone, Timestamp::now(), "the rule was removed").await?;
        sqlx::query("DELETE FROM alert WHERE id = $1")
            .bind(gone.id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?;
        self.note(&mut tx, "remove", "alert", name.as_str(), json!({ "project": project })).await?;
        commit(tx, OPERATION).await?;
        self.outbox_changed();
        Ok(())
    }

    /// Rules of all projects that are to be evaluated by `now`, those that waited longest first.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn due_alerts(&self, now: Timestamp) -> Result<Vec<Alert>> {
        let rows = sqlx::query(select!("WHERE disabled = 0 AND due_ns <= $1 ORDER BY due_ns, id LIMIT $2"))
            .bind(now.as_nanos())
            .bind(MOST_DUE)
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("listing alerts that are due"))?;
        column::all(&rows, read)
    }

    /// When the next rule is to be evaluated; none when there is none.
    ///
    /// # Errors
    /// [`Error::Database`] when that cannot be read.
    pub async fn next_alert_due(&self) -> Result<Option<Timestamp>> {
        let row = sqlx::query("SELECT MIN(due_ns) AS due_ns FROM alert WHERE disabled = 0")
            .fetch_one(self.db().readers())
            .await
            .map_err(Error::database("looking for the next alert"))?;
        Columns(&row).time_opt("due_ns")
    }

    /// Takes a step of a rule: how it stands, what changed, and what is to be sent for that, in one transaction. Says
    /// whether it was taken: it is not when the rule was changed since, or the step was taken already.
    ///
    /// # Errors
    /// [`Error::Database`] when that fails; then nothing of it was kept.
    pub async fn record_alert_step(&self, step: &AlertStep) -> Result<bool> {
        const OPERATION: &str = "recording how an alert stands";
        let mut tx = self.db().begin(OPERATION).await?;
        let row = sqlx::query(select!("WHERE id = $1 AND revision = $2 AND due_ns = $3 AND disabled = 0"))
            .bind(step.alert.to_string())
            .bind(step.revision)
            .bind(step.due.as_nanos())
            .fetch_optional(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?;
        let Some(alert) = row.map(|row| read(Columns(&row))).transpose()? else { return Ok(false) };
        let at = step.next.evaluated.unwrap_or(step.due);
        for event in &step.events {
            event::add(&mut tx, &alert, event, at).await?;
        }
        write(&mut tx, &Alert { standing: step.next.clone(), ..alert }).await?;
        commit(tx, OPERATION).await?;
        if !step.events.is_empty() {
            self.outbox_changed();
        }
        Ok(true)
    }
}

fn check(spec: &NewAlert) -> Result<()> {
    limit::bytes("definition of an alert", spec.definition.to_string().len(), MAX_DEFINITION_BYTES)?;
    limit::bytes("facts of an alert", spec.facts.to_string().len(), MAX_DEFINITION_BYTES)?;
    limit::count("receivers", spec.receivers.as_ref().map_or(0, Vec::len), MAX_NAMED_RECEIVERS)
}

/// A rule that has not been evaluated: it is due at once.
fn fresh(project: ProjectId, spec: NewAlert, now: Timestamp) -> Alert {
    let id = AlertId::new();
    Alert { id, project, spec, revision: 1, created: now, updated: now, standing: Standing::new(now) }
}

impl Standing {
    /// That of a rule which has not been evaluated, due at once.
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: AlertState::Ok,
            since: now,
            raised: false,
            memory: None,
            value: None,
            message: String::new(),
            evaluated: None,
            due: now,
        }
    }
}

async fn changed(tx: &mut Tx, before: Alert, spec: NewAlert, now: Timestamp) -> Result<Alert> {
    let anew = spec.definition != before.spec.definition || spec.disabled != before.spec.disabled;
    if anew {
        let why = if spec.disabled { "the rule was switched off" } else { "the rule was changed" };
        withdraw(tx, &before, now, why).await?;
    }
    let standing = if anew { Standing::new(now) } else { before.standing };
    Ok(Alert { spec, revision: before.revision.saturating_add(1), updated: now, standing, ..before })
}

/// Resolves a rule that fires and will not be evaluated any more as it was.
async fn withdraw(tx: &mut Tx, alert: &Alert, now: Timestamp, why: &str) -> Result<()> {
    if !alert.standing.raised {
        return Ok(());
    }
    let silenced = silence::applies(tx, alert.project, &alert.spec.name, alert.spec.severity, now).await?;
    let (change, message) = (AlertChange::Resolved, why.to_owned());
    let resolved = NewAlertEvent { change, value: None, message, told: true, silenced };
    event::add(tx, alert, &resolved, now).await
}

async fn find(tx: &mut Tx, project: ProjectId, name: &AlertName) -> Result<Option<Alert>> {
    let row = sqlx::query(select!("WHERE project_id = $1 AND name = $2"))
        .bind(project.to_string())
        .bind(name.as_str())
        .fetch_optional(&mut **tx)
        .await
        .map_err(Error::database("reading an alert"))?;
    row.map(|row| read(Columns(&row))).transpose()
}

async fn write(tx: &mut Tx, alert: &Alert) -> Result<()> {
    let Alert { id, project, spec, revision, created, updated, standing } = alert;
    sqlx::query(
        "INSERT INTO alert (id, project_id, name, severity, receivers, disabled, definition, facts, revision, created_ns, \
         updated_ns, state, since_ns, raised, memory, value, message, evaluated_ns, due_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) \
         ON CONFLICT (id) DO UPDATE SET severity = excluded.severity, receivers = excluded.receivers, \
         disabled = excluded.disabled, definition = excluded.definition, facts = excluded.facts, \
         revision = excluded.revision, updated_ns = excluded.updated_ns, state = excluded.state, \
         since_ns = excluded.since_ns, raised = excluded.raised, memory = excluded.memory, value = excluded.value, \
         message = excluded.message, evaluated_ns = excluded.evaluated_ns, due_ns = excluded.due_ns",
    )
    .bind(id.to_string())
    .bind(project.to_string())
    .bind(spec.name.as_str())
    .bind(spec.severity.as_str())
    .bind(spec.receivers.as_ref().map(|receivers| json!(receivers).to_string()))
    .bind(i64::from(spec.disabled))
    .bind(spec.definition.to_string())
    .bind(spec.facts.to_string())
    .bind(*revision)
    .bind(created.as_nanos())
    .bind(updated.as_nanos())
    .bind(standing.state.as_str())
    .bind(standing.since.as_nanos())
    .bind(i64::from(standing.raised))
    .bind(standing.memory.as_ref().map(Value::to_string))
    .bind(standing.value)
    .bind(limit::shorten(&standing.message, MAX_MESSAGE_BYTES))
    .bind(standing.evaluated.map(Timestamp::as_nanos))
    .bind(standing.due.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("changing an alert"))
}

fn read(row: Columns<'_>) -> Result<Alert> {
    let spec = NewAlert {
        name: row.parsed("name")?,
        severity: row.parsed("severity")?,
        receivers: row.json_opt("receivers")?,
        disabled: row.flag("disabled")?,
        definition: row.json("definition")?,
        facts: row.json("facts")?,
    };
    let standing = Standing {
        state: row.parsed("state")?,
        since: row.time("since_ns")?,
        raised: row.flag("raised")?,
        memory: row.json_opt("memory")?,
        value: row.real_opt("value")?,
        message: row.text("message")?,
        evaluated: row.time_opt("evaluated_ns")?,
        due: row.time("due_ns")?,
    };
    Ok(Alert {
        id: row.parsed("id")?,
        project: row.parsed("project_id")?,
        spec,
        revision: row.number("revision")?,
        created: row.time("created_ns")?,
        updated: row.time("updated_ns")?,
        standing,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::AlertEventFilter;
    use crate::page::Page;
    use crate::testing::{catalog, reopen};
    use std::time::Duration;

    pub(crate) fn spec(name: &str) -> NewAlert {
        NewAlert {
            name: name.parse().unwrap(),
            severity: Severity::Warning,
            receivers: None,
            disabled: false,
            definition: json!({"query": name}),
            facts: json!({"condition": "calls above 1"}),
        }
    }

    pub(crate) fn event(change: AlertChange) -> NewAlertEvent {
        NewAlertEvent { change, value: Some(1.5), message: change.to_string(), told: true, silenced: false }
    }

    /// A step from how `alert` stands to firing or not, a minute on.
    pub(crate) fn step(alert: &Alert, change: AlertChange) -> AlertStep {
        let at = alert.standing.due;
        let raised = change == AlertChange::Firing;
        let next = Standing {
            state: if raised { AlertState::Firing } else { AlertState::Ok },
            since: at,
            raised,
            memory: Some(json!({"n": 1})),
            value: Some(1.5),
            message: "1.5".into(),
            evaluated: Some(at),
            due: at.saturating_add(Duration::from_secs(60)),
        };
        AlertStep { alert: alert.id, revision: alert.revision, due: at, next, events: vec![event(change)] }
    }

    async fn changes(catalog: &Catalog) -> Vec<(AlertChange, String)> {
        let filter = AlertEventFilter::of(catalog.default_project().id);
        let found = catalog.alert_events(&filter, "ann", Page::first(100)).await.unwrap();
        found.items.into_iter().rev().map(|event| (event.change, event.message)).collect()
    }

    #[tokio::test]
    async fn a_rule_is_kept_changed_and_removed() {
        let (catalog, dir) = catalog().await;
        let project = catalog.default_project().id;
        let made = catalog.create_alert(project, spec("slow")).await.unwrap();
        assert_eq!((made.revision, made.standing.state), (1, AlertState::Ok));
        assert!(matches!(catalog.create_alert(project, spec("slow")).await, Err(Error::Exists { .. })));
        let louder = NewAlert { severity: Severity::Critical, ..spec("slow") };
        let changed = catalog.put_alert(project, louder.clone()).await.unwrap();
        assert_eq!((changed.id, changed.revision, changed.created), (made.id, 2, made.created));
        catalog.close().await;

        let catalog = reopen(dir.path()).await;
        assert_eq!(catalog.alerts(project).await.unwrap(), std::slice::from_ref(&changed));
        assert_eq!(catalog.alert(project, &louder.name).await.unwrap(), changed);
        catalog.remove_alert(project, &louder.name).await.unwrap();
        assert!(matches!(catalog.remove_alert(project, &louder.name).await, Err(Error::NotFound { .. })));
        assert!(matches!(catalog.alert(project, &louder.name).await, Err(Error::NotFound { .. })));
    }

    /// The same step twice, as after a crash between the commit and the next look; and one of a rule that was changed.
    #[tokio::test]
    async fn a_step_is_taken_once() {
        let (catalog, dir) = catalog().await;
        let project = catalog.default_project().id;
        let alert = catalog.create_alert(project, spec("slow")).await.unwrap();
        let first = step(&alert, AlertChange::Firing);
        assert!(catalog.record_alert_step(&first).await.unwrap());
        assert!(!catalog.record_alert_step(&first).await.unwrap());
        catalog.close().await;
        let catalog = reopen(dir.path()).await;
        assert!(!catalog.record_alert_step(&first).await.unwrap());
        let alert = catalog.alert(project, &alert.spec.name).await.unwrap();
        assert_eq!(alert.standing, first.next);
        assert_eq!(changes(&catalog).await, [(AlertChange::Firing, "firing".into())]);

        let stale = step(&alert, AlertChange::Resolved);
        catalog.put_alert(project, NewAlert { severity: Severity::Info, ..spec("slow") }).await.unwrap();
        assert!(!catalog.record_alert_step(&stale).await.unwrap(), "the rule was changed meanwhile");
        let kept = catalog.alert(project, &alert.spec.name).await.unwrap();
        assert_eq!(kept.standing, first.next, "another severity is no reason to begin anew");
    }

    #[tokio::test]
    async fn rules_fall_due_in_order() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        assert_eq!(catalog.next_alert_due().await.unwrap(), None);
        let one = catalog.create_alert(project, spec("one")).await.unwrap();
        let two = catalog.create_alert(project, spec("two")).await.unwrap();
        catalog.create_alert(project, NewAlert { disabled: true, ..spec("off") }).await.unwrap();
        let due = |alerts: Vec<Alert>| alerts.into_iter().map(|alert| alert.id).collect::<Vec<_>>();
        let now = two.standing.due;
        assert_eq!(due(catalog.due_alerts(now).await.unwrap()), [one.id, two.id]);
        catalog.record_alert_step(&step(&one, AlertChange::Ok)).await.unwrap();
        assert_eq!(due(catalog.due_alerts(now).await.unwrap()), [two.id]);
        assert_eq!(catalog.next_alert_due().await.unwrap(), Some(two.standing.due));
        let later = now.saturating_add(Duration::from_secs(60));
        assert_eq!(due(catalog.due_alerts(later).await.unwrap()), [two.id, one.id]);
    }

    #[tokio::test]
    async fn a_rule_that_fires_is_resolved_when_it_is_changed_or_removed() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        for (name, why) in
            [("a", "the rule was changed"), ("b", "the rule was switched off"), ("c", "the rule was removed")]
        {
            let alert = catalog.create_alert(project, spec(name)).await.unwrap();
            catalog.record_alert_step(&step(&alert, AlertChange::Firing)).await.unwrap();
            match name {
                "a" => {
                    let other = NewAlert { definition: json!({"query": "other"}), ..spec(name) };
                    let anew = catalog.put_alert(project, other).await.unwrap().standing;
                    assert_eq!((anew.state, anew.raised, anew.memory), (AlertState::Ok, false, None));
                }
                "b" => {
                    catalog.put_alert(project, NewAlert { disabled: true, ..spec(name) }).await.unwrap();
                }
                _ => catalog.remove_alert(project, &alert.spec.name).await.unwrap(),
            }
            assert_eq!(changes(&catalog).await.last().unwrap(), &(AlertChange::Resolved, why.to_owned()));
        }
    }

    #[tokio::test]
    async fn there_are_limits() {
        let (catalog, _dir) = catalog().await;
        let project = catalog.default_project().id;
        let large = NewAlert { definition: json!("x".repeat(MAX_DEFINITION_BYTES)), ..spec("large") };
        assert!(matches!(catalog.create_alert(project, large).await, Err(Error::TooLarge { .. })));
        let many = (0..=MAX_NAMED_RECEIVERS).map(|n| format!("r{n}").parse().unwrap()).collect();
        let many = NewAlert { receivers: Some(many), ..spec("many") };
        assert!(matches!(catalog.create_alert(project, many).await, Err(Error::TooLarge { .. })));
        for n in 0..MAX_ALERTS {
            catalog.create_alert(project, spec(&format!("a{n}"))).await.unwrap();
        }
        assert!(matches!(catalog.create_alert(project, spec("more")).await, Err(Error::TooLarge { .. })));
        assert!(catalog.put_alert(project, spec("a0")).await.is_ok());
    }
}
