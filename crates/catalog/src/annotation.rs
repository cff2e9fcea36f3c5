//! Annotations: what people say of the items of a version, which item each has in hand, and what was decided. What is asked of them is
//! the content of the version.
//!
//! An item is known by its number. Which item an annotator gets and how many labels it needs is for who asks to say; here it is seen to
//! that two who ask at once are answered one after the other.

use std::collections::{BTreeSet, HashMap, HashSet};

use qd_base::{ArtifactName, ProjectId, Timestamp, VersionId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::SqliteConnection;

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::{ArtifactKind, Catalog, Error, Result, VersionInfo, limit};

/// Annotators of one version at most.
pub const MAX_ANNOTATORS: usize = 100;
/// People of one role at most.
pub const MAX_PEOPLE: usize = 100;
/// The longest name of an annotator.
pub const MAX_ANNOTATOR_BYTES: usize = 128;
/// How often an item is chosen anew when others were quicker, before they have to wait.
const TRIES: usize = 3;
/// The largest value of a label, as JSON.
pub const MAX_VALUE_BYTES: usize = 1 << 10;
/// The longest comment or reason.
pub const MAX_REMARK_BYTES: usize = 4 << 10;

const ANNOTATOR: &str = "annotator";
const ADJUDICATOR: &str = "adjudicator";

/// Who may do what; of an empty list, whoever may write.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnnotationPeople {
    /// Who may label.
    pub annotators: BTreeSet<String>,
    /// Who may decide.
    pub adjudicators: BTreeSet<String>,
}

/// An item that an annotator has in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnotationLease {
    /// Its number.
    pub item: u32,
    /// Since when.
    pub begun: Timestamp,
    /// Until when nobody else is given it in the annotator's place.
    pub until: Timestamp,
}

/// What is known of all items when somebody asks for one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnnotationStand {
    /// Items that the annotator has labelled or skipped.
    pub own: HashSet<u32>,
    /// How many labels each item has; skipped ones are none.
    pub labels: HashMap<u32, u32>,
    /// How many others have each item in hand.
    pub in_hand: HashMap<u32, u32>,
    /// What the annotator had in hand last.
    pub lease: Option<AnnotationLease>,
}

/// What is known of one item when somebody labels it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnnotationItem {
    /// How many labels it has.
    pub labels: u32,
    /// How many others have it in hand.
    pub in_hand: u32,
    /// Whether the annotator has said something of it.
    pub is_known: bool,
    /// Whether it is what the annotator was given last, however long ago.
    pub is_given: bool,
}

/// What an annotator says of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnotationLabel {
    /// The item's number.
    pub item: u32,
    /// Who says it.
    pub annotator: String,
    /// What; none when it was skipped.
    pub value: Option<Value>,
    /// Why it was skipped.
    pub skipped: Option<String>,
    /// What else there is to say.
    pub comment: Option<String>,
    /// How long it took. The time since the item was given when nothing else is said.
    pub took_ms: Option<u64>,
    /// How often the annotator said something else before.
    pub changes: u32,
    /// Who sent it.
    pub sender: String,
    /// When.
    pub labelled: Timestamp,
}

/// What was decided of an item.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnotationDecision {
    /// The item's number.
    pub item: u32,
    /// What.
    pub value: Value,
    /// Why.
    pub reason: String,
    /// By whom.
    pub decider: String,
    /// When.
    pub decided: Timestamp,
}

impl Catalog {
    /// Who may label and decide.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when that cannot be read.
    pub async fn annotation_people(&self, version: VersionId) -> Result<AnnotationPeople> {
        let rows = sqlx::query("SELECT role, name FROM annotation_person WHERE version_id = $1")
            .bind(version.to_string())
            .fetch_all(self.db().readers())
            .await
            .map_err(Error::database("reading who annotates"))?;
        let mut people = AnnotationPeople::default();
        for row in &rows {
            let row = Columns(row);
            let role = row.text("role")?;
            let of_role = if role == ANNOTATOR { &mut people.annotators } else { &mut people.adjudicators };
            of_role.insert(row.text("name")?);
        }
        Ok(people)
    }

    /// Says who may label and decide from now on.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more than [`MAX_PEOPLE`], [`Error::Invalid`] for a name that is none, [`Error::NotFound`] for a version
    /// that is removed.
    pub async fn set_annotation_people(&self, version: &VersionInfo, people: &AnnotationPeople) -> Result<()> {
        const OPERATION: &str = "saying who annotates";
        for of_role in [&people.annotators, &people.adjudicators] {
            limit::count("number of people", of_role.len(), MAX_PEOPLE)?;
            of_role.iter().try_for_each(|name| limit::text("name", name, MAX_ANNOTATOR_BYTES))?;
        }
        let mut tx = self.db().begin(OPERATION).await?;
        require(&mut tx, version.id).await?;
        sqlx::query("DELETE FROM annotation_person WHERE version_id = $1")
            .bind(version.id.to_string())
            .execute(&mut *tx)
            .await
            .map_err(Error::database(OPERATION))?;
        let annotators = people.annotators.iter().map(|name| (ANNOTATOR, name));
        for (role, name) in annotators.chain(people.adjudicators.iter().map(|name| (ADJUDICATOR, name))) {
            sqlx::query("INSERT INTO annotation_person (version_id, role, name) VALUES ($1, $2, $3)")
                .bind(version.id.to_string())
                .bind(role)
                .bind(name)
                .execute(&mut *tx)
                .await
                .map_err(Error::database(OPERATION))?;
        }
        self.note_artifact(&mut tx, "people", version, json!({ "number": version.number, "people": people })).await?;
        commit(tx, OPERATION).await
    }

    /// Gives an annotator the item that `choose` says, in hand from `now` until `until`. The item that was in hand stays since when it was.
    ///
    /// What is known of all items is read before others have to wait; within the transaction the chosen one is looked at again. If
    /// something has come to it meanwhile, `choose` is asked anew.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more than [`MAX_ANNOTATORS`], [`Error::NotFound`] for a version that is removed.
    pub async fn lease_annotation_item(
        &self,
        version: VersionId,
        annotator: &str,
        (now, until): (Timestamp, Timestamp),
        mut choose: impl FnMut(&AnnotationStand) -> Option<u32>,
    ) -> Result<Option<AnnotationLease>> {
        const OPERATION: &str = "giving an item to an annotator";
        for _ in 0..TRIES {
            let mut reader = self.db().readers().acquire().await.map_err(Error::database(OPERATION))?;
            require(&mut reader, version).await?;
            let found = stand(&mut reader, version, annotator, now).await?;
            drop(reader);
            let Some(item) = choose(&found) else { return Ok(None) };
            let mut tx = self.db().begin(OPERATION).await?;
            require(&mut tx, version).await?;
            if is_as_it_was(&mut tx, version, annotator, now, (&found, item)).await? {
                return give(tx, version, annotator, (now, until), (&found, item)).await.map(Some);
            }
        }
        let mut tx = self.db().begin(OPERATION).await?;
        require(&mut tx, version).await?;
        let found = stand(&mut tx, version, annotator, now).await?;
        let Some(item) = choose(&found) else { return Ok(None) };
        give(tx, version, annotator, (now, until), (&found, item)).await.map(Some)
    }

    /// Keeps what an annotator says of an item in the place of what they said before, if `admit` lets it; says what was kept.
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::Invalid`] beyond the limits of this module, [`Error::NotFound`] for a version that is removed.
    pub async fn put_annotation_label(
        &self,
        version: VersionId,
        mut label: AnnotationLabel,
        admit: impl FnOnce(&AnnotationItem) -> bool,
    ) -> Result<Option<AnnotationLabel>> {
        const OPERATION: &str = "keeping a label";
        check(&label)?;
        let mut tx = self.db().begin(OPERATION).await?;
        require(&mut tx, version).await?;
        let lease = lease_of(&mut tx, version, &label.annotator).await?;
        let before = label_of(&mut tx, version, label.item, &label.annotator).await?;
        let item =
            item_of(&mut tx, version, (label.item, &label.annotator, label.labelled), lease, before.is_some()).await?;
        if !admit(&item) {
            return Ok(None);
        }
        if lease.is_none() {
            // Whoever labels is one of the annotators, also when no item was asked for.
            let lease = AnnotationLease { item: label.item, begun: label.labelled, until: label.labelled };
            put_lease(&mut tx, version, &label.annotator, &lease).await?;
        }
        let since = lease.filter(|lease| lease.item == label.item && before.is_none());
        label.took_ms = label.took_ms.or_else(|| {
            since.map(|lease| u64::try_from(label.labelled.since(lease.begun).as_millis()).unwrap_or(u64::MAX))
        });
        if let Some(before) = before {
            let is_same = before.value == label.value && before.skipped.is_some() == label.skipped.is_some();
            label.changes = before.changes + u32::from(!is_same);
            label.took_ms = label.took_ms.or(before.took_ms);
        }
        put_label(&mut tx, version, &label).await?;
        commit(tx, OPERATION).await?;
        Ok(Some(label))
    }

    /// Everything that annotators say of a version's items, by item and annotator.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when it cannot be read.
    pub async fn annotation_labels(&self, version: VersionId) -> Result<Vec<AnnotationLabel>> {
        let rows = sqlx::query(concat!(
            "SELECT item, annotator, value, skipped, comment, took_ms, changes, sender, labelled_ns ",
            "FROM annotation_label WHERE version_id = $1 ORDER BY item, annotator"
        ))
        .bind(version.to_string())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("reading labels"))?;
        column::all(&rows, read_label)
    }

    /// Decides an item, whatever was decided before.
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::Invalid`] beyond the limits of this module, [`Error::NotFound`] for a version that is removed.
    pub async fn decide_annotation(&self, version: &VersionInfo, decision: &AnnotationDecision) -> Result<()> {
        const OPERATION: &str = "deciding an item";
        check_name(&decision.decider)?;
        limit::bytes("value", decision.value.to_string().len(), MAX_VALUE_BYTES)?;
        remark("reason", Some(&decision.reason))?;
        let mut tx = self.db().begin(OPERATION).await?;
        require(&mut tx, version.id).await?;
        sqlx::query(
            "INSERT INTO annotation_decision (version_id, item, value, reason, decider, decided_ns) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (version_id, item) DO UPDATE SET value = excluded.value, \
             reason = excluded.reason, decider = excluded.decider, decided_ns = excluded.decided_ns",
        )
        .bind(version.id.to_string())
        .bind(decision.item)
        .bind(decision.value.to_string())
        .bind(&decision.reason)
        .bind(&decision.decider)
        .bind(decision.decided.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
        let AnnotationDecision { item, value, reason, decider, .. } = decision;
        let detail =
            json!({ "number": version.number, "item": item, "value": value, "reason": reason, "decider": decider });
        self.note_artifact(&mut tx, "adjudicate", version, detail).await?;
        commit(tx, OPERATION).await
    }

    /// What was decided of a version's items, by item.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when it cannot be read.
    pub async fn annotation_decisions(&self, version: VersionId) -> Result<Vec<AnnotationDecision>> {
        let rows = sqlx::query(
            "SELECT item, value, reason, decider, decided_ns FROM annotation_decision WHERE version_id = $1 ORDER BY item",
        )
        .bind(version.to_string())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("reading decisions"))?;
        column::all(&rows, |row| {
            Ok(AnnotationDecision {
                item: row.number("item")?,
                value: row.json("value")?,
                reason: row.text("reason")?,
                decider: row.text("decider")?,
                decided: row.time("decided_ns")?,
            })
        })
    }
}

/// Who took part in the version before takes part in the new one, so that nothing is open to everybody by being asked anew.
pub(crate) async fn keep_people(tx: &mut Tx, before: Option<&VersionInfo>, new: &VersionInfo) -> Result<()> {
    let Some(before) = before.filter(|before| new.kind == ArtifactKind::Annotation && before.removed.is_none()) else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO annotation_person (version_id, role, name) \
         SELECT $2, role, name FROM annotation_person WHERE version_id = $1",
    )
    .bind(before.id.to_string())
    .bind(new.id.to_string())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("keeping who annotates"))
}

/// What people said goes with what they were asked.
pub(crate) async fn remove_all(tx: &mut Tx, project: ProjectId, kind: ArtifactKind, name: &ArtifactName) -> Result<()> {
    if kind != ArtifactKind::Annotation {
        return Ok(());
    }
    const OF_ALL: [&str; 4] = [
        "DELETE FROM annotation_person WHERE version_id IN \
         (SELECT id FROM version WHERE project_id = $1 AND kind = $2 AND name = $3)",
        "DELETE FROM annotation_lease WHERE version_id IN \
         (SELECT id FROM version WHERE project_id = $1 AND kind = $2 AND name = $3)",
        "DELETE FROM annotation_label WHERE version_id IN \
         (SELECT id FROM version WHERE project_id = $1 AND kind = $2 AND name = $3)",
        "DELETE FROM annotation_decision WHERE version_id IN \
         (SELECT id FROM version WHERE project_id = $1 AND kind = $2 AND name = $3)",
    ];
    for sql in OF_ALL {
        sqlx::query(sql)
            .bind(project.to_string())
            .bind(kind.as_str())
            .bind(name.as_str())
            .execute(&mut **tx)
            .await
            .map_err(Error::database("removing labels"))?;
    }
    Ok(())
}

fn check(label: &AnnotationLabel) -> Result<()> {
    check_name(&label.annotator)?;
    limit::text("sender", &label.sender, crate::audit::MAX_WORD_BYTES)?;
    if label.value.is_some() == label.skipped.is_some() {
        return Err(Error::invalid("label", "has either a value or a reason to skip the item"));
    }
    if let Some(value) = &label.value {
        limit::bytes("value", value.to_string().len(), MAX_VALUE_BYTES)?;
    }
    remark("reason", label.skipped.as_deref())?;
    remark("comment", label.comment.as_deref())
}

fn check_name(name: &str) -> Result<()> {
    limit::text("name of the annotator", name, MAX_ANNOTATOR_BYTES)
}

fn remark(what: &'static str, text: Option<&str>) -> Result<()> {
    let Some(text) = text else { return Ok(()) };
    if text.trim().is_empty() {
        return Err(Error::invalid(what, "must not be empty"));
    }
    limit::bytes(what, text.len(), MAX_REMARK_BYTES)
}

async fn require(db: &mut SqliteConnection, version: VersionId) -> Result<()> {
    sqlx::query("SELECT id FROM version WHERE id = $1 AND removed_ns IS NULL")
        .bind(version.to_string())
        .fetch_optional(&mut *db)
        .await
        .map_err(Error::database("looking for a version"))?
        .map(drop)
        .ok_or_else(|| Error::not_found("version", version))
}

/// Puts the chosen item into the annotator's hand.
async fn give(
    mut tx: Tx,
    version: VersionId,
    annotator: &str,
    (now, until): (Timestamp, Timestamp),
    (found, item): (&AnnotationStand, u32),
) -> Result<AnnotationLease> {
    let begun = found.lease.filter(|lease| lease.item == item && lease.until > now).map_or(now, |lease| lease.begun);
    let lease = AnnotationLease { item, begun, until };
    put_lease(&mut tx, version, annotator, &lease).await?;
    commit(tx, "giving an item to an annotator").await?;
    Ok(lease)
}

/// Whether nothing has come to a chosen item since the stand was read.
async fn is_as_it_was(
    tx: &mut Tx,
    version: VersionId,
    annotator: &str,
    now: Timestamp,
    (found, item): (&AnnotationStand, u32),
) -> Result<bool> {
    let lease = lease_of(tx, version, annotator).await?;
    let is_known = label_of(tx, version, item, annotator).await?.is_some();
    let seen = item_of(tx, version, (item, annotator, now), lease, is_known).await?;
    let before = |counts: &HashMap<u32, u32>| counts.get(&item).copied().unwrap_or(0);
    Ok(lease == found.lease
        && is_known == found.own.contains(&item)
        && (seen.labels, seen.in_hand) == (before(&found.labels), before(&found.in_hand)))
}

async fn stand(
    db: &mut SqliteConnection,
    version: VersionId,
    annotator: &str,
    now: Timestamp,
) -> Result<AnnotationStand> {
    const OPERATION: &str = "looking for an item to label";
    let counts = "SELECT item, COUNT(value) AS labels, MAX(annotator = $2) AS own FROM annotation_label \
                  WHERE version_id = $1 GROUP BY item";
    let rows = sqlx::query(counts).bind(version.to_string()).bind(annotator).fetch_all(&mut *db).await;
    let mut found = AnnotationStand::default();
    for row in &rows.map_err(Error::database(OPERATION))? {
        let row = Columns(row);
        let item = row.number("item")?;
        found.labels.insert(item, row.number("labels")?);
        if row.flag("own")? {
            found.own.insert(item);
        }
    }
    let rows = sqlx::query(
        "SELECT item, COUNT(*) AS others FROM annotation_lease AS lease WHERE version_id = $1 AND annotator <> $2 AND until_ns > $3 \
         AND NOT EXISTS (SELECT 1 FROM annotation_label AS label WHERE label.version_id = lease.version_id \
         AND label.annotator = lease.annotator AND label.item = lease.item) GROUP BY item",
    )
    .bind(version.to_string())
    .bind(annotator)
    .bind(now.as_nanos())
    .fetch_all(&mut *db)
    .await
    .map_err(Error::database(OPERATION))?;
    for row in &rows {
        let row = Columns(row);
        found.in_hand.insert(row.number("item")?, row.number("others")?);
    }
    found.lease = lease_of(db, version, annotator).await?;
    Ok(found)
}

async fn item_of(
    tx: &mut Tx,
    version: VersionId,
    (number, annotator, now): (u32, &str, Timestamp),
    lease: Option<AnnotationLease>,
    is_known: bool,
) -> Result<AnnotationItem> {
    let row = sqlx::query(
        "SELECT (SELECT COUNT(value) FROM annotation_label WHERE version_id = $1 AND item = $2) AS labels, \
         (SELECT COUNT(*) FROM annotation_lease AS lease WHERE version_id = $1 AND item = $2 AND annotator <> $3 AND until_ns > $4 \
         AND NOT EXISTS (SELECT 1 FROM annotation_label AS label WHERE label.version_id = lease.version_id \
         AND label.annotator = lease.annotator AND label.item = lease.item)) AS others",
    )
    .bind(version.to_string())
    .bind(number)
    .bind(annotator)
    .bind(now.as_nanos())
    .fetch_one(&mut **tx)
    .await
    .map_err(Error::database("counting labels"))?;
    let row = Columns(&row);
    let is_given = lease.is_some_and(|lease| lease.item == number);
    Ok(AnnotationItem { labels: row.number("labels")?, in_hand: row.number("others")?, is_known, is_given })
}

async fn lease_of(db: &mut SqliteConnection, version: VersionId, annotator: &str) -> Result<Option<AnnotationLease>> {
    let row =
        sqlx::query("SELECT item, begun_ns, until_ns FROM annotation_lease WHERE version_id = $1 AND annotator = $2")
            .bind(version.to_string())
            .bind(annotator)
            .fetch_optional(&mut *db)
            .await
            .map_err(Error::database("looking for an item in hand"))?;
    let Some(row) = row else { return Ok(None) };
    let row = Columns(&row);
    let (begun, until) = (row.time("begun_ns")?, row.time("until_ns")?);
    Ok(Some(AnnotationLease { item: row.number("item")?, begun, until }))
}

async fn label_of(tx: &mut Tx, version: VersionId, item: u32, annotator: &str) -> Result<Option<AnnotationLabel>> {
    let row = sqlx::query(concat!(
        "SELECT item, annotator, value, skipped, comment, took_ms, changes, sender, labelled_ns ",
        "FROM annotation_label WHERE version_id = $1 AND item = $2 AND annotator = $3"
    ))
    .bind(version.to_string())
    .bind(item)
    .bind(annotator)
    .fetch_optional(&mut **tx)
    .await
    .map_err(Error::database("looking for a label"))?;
    row.map(|row| read_label(Columns(&row))).transpose()
}

async fn put_lease(tx: &mut Tx, version: VersionId, annotator: &str, lease: &AnnotationLease) -> Result<()> {
    const OPERATION: &str = "noting an item in hand";
    check_name(annotator)?;
    sqlx::query(
        "INSERT INTO annotation_lease (version_id, annotator, item, begun_ns, until_ns) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (version_id, annotator) DO UPDATE SET item = excluded.item, begun_ns = excluded.begun_ns, \
         until_ns = excluded.until_ns",
    )
    .bind(version.to_string())
    .bind(annotator)
    .bind(lease.item)
    .bind(lease.begun.as_nanos())
    .bind(lease.until.as_nanos())
    .execute(&mut **tx)
    .await
    .map_err(Error::database(OPERATION))?;
    let row = sqlx::query("SELECT COUNT(*) AS n FROM annotation_lease WHERE version_id = $1")
        .bind(version.to_string())
        .fetch_one(&mut **tx)
        .await
        .map_err(Error::database(OPERATION))?;
    let annotators = usize::try_from(Columns(&row).count("n")?).unwrap_or(usize::MAX);
    limit::count("number of annotators", annotators, MAX_ANNOTATORS)
}

async fn put_label(tx: &mut Tx, version: VersionId, label: &AnnotationLabel) -> Result<()> {
    sqlx::query(
        "INSERT INTO annotation_label \
         (version_id, item, annotator, value, skipped, comment, took_ms, changes, sender, labelled_ns) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (version_id, item, annotator) DO UPDATE SET \
         value = excluded.value, skipped = excluded.skipped, comment = excluded.comment, took_ms = excluded.took_ms, \
         changes = excluded.changes, sender = excluded.sender, labelled_ns = excluded.labelled_ns",
    )
    .bind(version.to_string())
    .bind(label.item)
    .bind(&label.annotator)
    .bind(label.value.as_ref().map(Value::to_string))
    .bind(&label.skipped)
    .bind(&label.comment)
    .bind(label.took_ms.map(column::stored))
    .bind(label.changes)
    .bind(&label.sender)
    .bind(label.labelled.as_nanos())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("keeping a label"))
}

fn read_label(row: Columns<'_>) -> Result<AnnotationLabel> {
    Ok(AnnotationLabel {
        item: row.number("item")?,
        annotator: row.text("annotator")?,
        value: row.json_opt("value")?,
        skipped: row.text_opt("skipped")?,
        comment: row.text_opt("comment")?,
        took_ms: row.count_opt("took_ms")?,
        changes: row.number("changes")?,
        sender: row.text("sender")?,
        labelled: row.time("labelled_ns")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{catalog, reopen};

    const MINUTE: i64 = 60;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_secs(minute * MINUTE)
    }

    async fn version(catalog: &Catalog) -> VersionInfo {
        let (project, name) = (catalog.default_project().id, "which-is-better".parse().unwrap());
        let put = catalog.put_version(project, ArtifactKind::Annotation, &name, b"{}", json!({}), &[]);
        put.await.unwrap().info
    }

    fn label(item: u32, annotator: &str, value: Option<Value>, minute: i64) -> AnnotationLabel {
        AnnotationLabel {
            item,
            annotator: annotator.to_owned(),
            skipped: value.is_none().then(|| "not my language".to_owned()),
            value,
            comment: None,
            took_ms: None,
            changes: 0,
            sender: "operator".to_owned(),
            labelled: at(minute),
        }
    }

    #[tokio::test]
    async fn what_somebody_has_in_hand_ends_by_itself() {
        let (catalog, _dir) = catalog().await;
        let id = version(&catalog).await.id;
        let seen = async |annotator: &str, minute: i64, choice: Option<u32>| {
            let mut stand = None;
            let times = (at(minute), at(minute + 30));
            let choose = |found: &AnnotationStand| {
                stand = Some(found.clone());
                choice
            };
            let lease = catalog.lease_annotation_item(id, annotator, times, choose).await.unwrap();
            (stand.unwrap(), lease)
        };
        let (stand, lease) = seen("ada", 0, Some(4)).await;
        assert_eq!(stand, AnnotationStand::default());
        assert_eq!(lease.unwrap(), AnnotationLease { item: 4, begun: at(0), until: at(30) });
        let (stand, lease) = seen("bob", 29, None).await;
        assert_eq!((stand.in_hand, lease), (HashMap::from([(4, 1)]), None));
        assert!(seen("bob", 30, None).await.0.in_hand.is_empty(), "half an hour is over");
        // The same item once more goes on from when it was given, until it has ended.
        assert_eq!(seen("ada", 10, Some(4)).await.1.unwrap().begun, at(0));
        assert_eq!(seen("ada", 41, Some(4)).await.1.unwrap().begun, at(41));
        catalog.put_annotation_label(id, label(4, "ada", Some(json!(true)), 42), |_| true).await.unwrap();
        let (stand, _) = seen("bob", 43, None).await;
        assert_eq!((stand.labels, stand.in_hand.len()), (HashMap::from([(4, 1)]), 0), "it is labelled and in no hand");
        assert_eq!(seen("ada", 43, None).await.0.own, HashSet::from([4]));
    }

    #[tokio::test]
    async fn what_is_known_of_all_items_is_read_while_others_write() {
        let (catalog, _dir) = catalog().await;
        let id = version(&catalog).await.id;
        let mut other = catalog.db().begin("labelling").await.unwrap();
        let (asked, mut was_asked) = tokio::sync::mpsc::unbounded_channel();
        let choose = move |found: &AnnotationStand| {
            asked.send(found.labels.clone()).unwrap();
            (0..9).find(|item| !found.labels.contains_key(item))
        };
        let giving = catalog.clone();
        let given =
            tokio::spawn(
                async move { giving.lease_annotation_item(id, "ada", (at(0), at(30)), choose).await.unwrap() },
            );
        let patience = std::time::Duration::from_secs(20);
        let first = tokio::time::timeout(patience, was_asked.recv()).await.expect("nobody waits for who writes");
        assert_eq!(first, Some(HashMap::new()));
        put_label(&mut other, id, &label(0, "bob", Some(json!("a")), 1)).await.unwrap();
        commit(other, "labelling").await.unwrap();
        assert_eq!(given.await.unwrap().map(|lease| lease.item), Some(1), "the first has its label by now");
        assert_eq!(was_asked.recv().await, Some(HashMap::from([(0, 1)])));
    }

    #[tokio::test]
    async fn who_takes_part_does_so_in_the_next_version() {
        let (catalog, _dir) = catalog().await;
        let first = version(&catalog).await;
        let people = AnnotationPeople {
            annotators: ["ada", "bob"].map(str::to_owned).into(),
            adjudicators: ["eve"].map(str::to_owned).into(),
        };
        catalog.set_annotation_people(&first, &people).await.unwrap();
        let next = async |content: &[u8]| {
            let put =
                catalog.put_version(first.project, ArtifactKind::Annotation, &first.name, content, json!({}), &[]);
            put.await.unwrap().info
        };
        let second = next(br#"{"n": 2}"#).await;
        assert_eq!((second.number, catalog.annotation_people(second.id).await.unwrap()), (2, people.clone()));
        catalog.set_annotation_people(&second, &AnnotationPeople::default()).await.unwrap();
        let third = next(br#"{"n": 3}"#).await;
        assert_eq!(catalog.annotation_people(third.id).await.unwrap(), AnnotationPeople::default());
        assert_eq!(catalog.annotation_people(first.id).await.unwrap(), people);
        catalog.remove_artifact(first.project, ArtifactKind::Annotation, &first.name).await.unwrap();
        let anew = next(br#"{"n": 3}"#).await;
        assert_eq!(catalog.annotation_people(anew.id).await.unwrap(), AnnotationPeople::default());
    }

    #[tokio::test]
    async fn the_last_label_of_an_annotator_counts() {
        let (catalog, dir) = catalog().await;
        let id = version(&catalog).await.id;
        let choose = |_: &AnnotationStand| Some(0);
        catalog.lease_annotation_item(id, "ada", (at(0), at(30)), choose).await.unwrap();
        let first = catalog.put_annotation_label(id, label(0, "ada", Some(json!("a")), 2), |item| {
            *item == AnnotationItem { labels: 0, in_hand: 0, is_known: false, is_given: true }
        });
        let first = first.await.unwrap().unwrap();
        assert_eq!((first.took_ms, first.changes), (Some(120_000), 0), "since it was given");
        let admit =
            |item: &AnnotationItem| *item == AnnotationItem { labels: 1, in_hand: 0, is_known: true, is_given: true };
        let again =
            catalog.put_annotation_label(id, label(0, "ada", Some(json!("b")), 9), admit).await.unwrap().unwrap();
        assert_eq!((again.took_ms, again.changes), (Some(120_000), 1), "looking again is not labelling");
        catalog.put_annotation_label(id, label(0, "bob", None, 9), |_| true).await.unwrap();
        assert_eq!(catalog.put_annotation_label(id, label(0, "eve", None, 9), |_| false).await.unwrap(), None);
        catalog.close().await;
        let catalog = reopen(dir.path()).await;
        let kept = catalog.annotation_labels(id).await.unwrap();
        let told: Vec<_> = kept.iter().map(|label| (label.annotator.as_str(), label.value.clone())).collect();
        assert_eq!(told, [("ada", Some(json!("b"))), ("bob", None)]);
    }

    #[tokio::test]
    async fn decisions_are_noted_and_everything_goes_with_the_artifact() {
        let (catalog, _dir) = catalog().await;
        let catalog = catalog.acting("account:eve").unwrap();
        let info = version(&catalog).await;
        let people = AnnotationPeople {
            annotators: ["ada", "bob"].map(str::to_owned).into(),
            adjudicators: ["eve"].map(str::to_owned).into(),
        };
        catalog.set_annotation_people(&info, &people).await.unwrap();
        assert_eq!(catalog.annotation_people(info.id).await.unwrap(), people);
        catalog.put_annotation_label(info.id, label(3, "ada", Some(json!("a")), 1), |_| true).await.unwrap();
        let decide = |value: Value| AnnotationDecision {
            item: 3,
            value,
            reason: "the guidelines say so".to_owned(),
            decider: "eve".to_owned(),
            decided: at(5),
        };
        catalog.decide_annotation(&info, &decide(json!("a"))).await.unwrap();
        catalog.decide_annotation(&info, &decide(json!("b"))).await.unwrap();
        assert_eq!(catalog.annotation_decisions(info.id).await.unwrap(), [decide(json!("b"))]);
        let log = catalog.audit_log(&Default::default(), crate::Page::first(2)).await.unwrap().items;
        assert!(log.iter().all(|entry| (entry.action.as_str(), entry.noun.as_str()) == ("adjudicate", "annotation")));
        assert_eq!((&log[0].detail["item"], &log[0].detail["value"]), (&json!(3), &json!("b")));
        catalog.remove_artifact(info.project, ArtifactKind::Annotation, &info.name).await.unwrap();
        assert!(catalog.annotation_labels(info.id).await.unwrap().is_empty());
        assert!(catalog.annotation_decisions(info.id).await.unwrap().is_empty());
        assert_eq!(catalog.annotation_people(info.id).await.unwrap(), AnnotationPeople::default());
        let late = catalog.put_annotation_label(info.id, label(3, "ada", Some(json!("a")), 6), |_| true).await;
        assert!(matches!(late, Err(Error::NotFound { .. })));
    }

    #[tokio::test]
    async fn limits_hold() {
        let (catalog, _dir) = catalog().await;
        let id = version(&catalog).await.id;
        let put = async |label: AnnotationLabel| catalog.put_annotation_label(id, label, |_| true).await;
        for number in 0..MAX_ANNOTATORS {
            put(label(0, &format!("a{number}"), Some(json!(1)), 1)).await.unwrap();
        }
        assert!(matches!(put(label(0, "one too many", Some(json!(1)), 1)).await, Err(Error::TooLarge { .. })));
        let long = json!("x".repeat(MAX_VALUE_BYTES));
        assert!(matches!(put(label(1, "a1", Some(long), 1)).await, Err(Error::TooLarge { .. })));
        assert!(put(AnnotationLabel { comment: Some(" ".into()), ..label(1, "a1", None, 1) }).await.is_err());
        assert!(
            put(AnnotationLabel { skipped: Some("why".into()), ..label(1, "a1", Some(json!(1)), 1) }).await.is_err()
        );
        assert!(put(label(1, "a\n1", None, 1)).await.is_err());
        assert_eq!(catalog.annotation_labels(id).await.unwrap().len(), MAX_ANNOTATORS);
    }
}
