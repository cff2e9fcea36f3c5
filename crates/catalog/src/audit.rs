//! The audit log: who did what to which thing, in a chain that shows when it was altered.
//!
//! Each entry's hash is SHA-256 over the hash before it and the entry itself, so that changing, removing or
//! reordering entries breaks the chain from there on. The end of the chain is kept under a keyed hash, so that
//! cutting the log short, or writing a new one, needs the master key.

use hmac::Mac;
use qd_base::hash::Hasher;
use qd_base::{Sha256Hex, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{Sqlite, SqliteConnection, Transaction};
use subtle::ConstantTimeEq;

use crate::column::{self, Columns};
use crate::database::{Tx, commit};
use crate::{Catalog, Error, Listed, Page, Result, limit, master};

/// The longest actor, action and noun.
pub const MAX_WORD_BYTES: usize = 256;
/// The longest subject.
pub const MAX_SUBJECT_BYTES: usize = 1024;
/// The largest detail.
pub const MAX_DETAIL_BYTES: usize = 128 << 10;

/// Entries that verification reads at once.
const VERIFY_BATCH: i64 = 1000;
/// What the first entry's hash goes on from.
const BEGINNING: [u8; 32] = [0; 32];

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it: a key, a person, a part of the system.
    pub actor: String,
    /// What was done: `create`, `revoke`, `label`, …
    pub action: String,
    /// To what kind of thing: `key`, `provider`, `prompt`, …
    pub noun: String,
    /// To which one.
    pub subject: String,
    /// What else there is to say. Never a secret.
    pub detail: Value,
    /// The hash of the chain up to here.
    pub hash: Sha256Hex,
}

/// Which entries to list; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// What this actor did.
    pub actor: Option<String>,
    /// What was done to this kind of thing.
    pub noun: Option<String>,
    /// What was done to this thing.
    pub subject: Option<String>,
}

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// How many entries are in order.
    pub entries: u64,
    /// The hash of the last of them: note it elsewhere, and a later report can be held against it.
    pub head: Sha256Hex,
    /// What is wrong, when something is.
    pub broken: Option<AuditBreak>,
}

/// Where the chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditBreak {
    /// The first entry that does not fit.
    pub seq: u64,
    /// What does not fit.
    pub reason: String,
}

/// What is to be written to the log.
pub(crate) struct Event<'a> {
    pub(crate) actor: &'a str,
    pub(crate) action: &'a str,
    pub(crate) noun: &'a str,
    pub(crate) subject: &'a str,
    pub(crate) detail: &'a Value,
}

impl Catalog {
    /// Writes an entry. Changes made through [`Catalog::acting`] write theirs by themselves.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::TooLarge`] beyond the limits of this module.
    pub async fn audit(
        &self,
        actor: &str,
        action: &str,
        noun: &str,
        subject: &str,
        detail: Value,
    ) -> Result<AuditEntry> {
        const OPERATION: &str = "writing to the audit log";
        let mut tx = self.db().begin(OPERATION).await?;
        let event = Event { actor, action, noun, subject, detail: &detail };
        let entry = append(&mut tx, &self.inner().audit_key, &event).await?;
        commit(tx, OPERATION).await?;
        Ok(entry)
    }

    /// Entries, the latest first; the key of a page is an entry's number.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::Corrupt`] when they cannot be listed.
    pub async fn audit_log(&self, filter: &AuditFilter, page: Page<u64>) -> Result<Listed<AuditEntry, u64>> {
        let rows = sqlx::query(
            "SELECT seq, at_ns, actor, action, noun, subject, detail, hash FROM audit \
             WHERE seq < $1 AND ($2 IS NULL OR actor = $2) AND ($3 IS NULL OR noun = $3) \
             AND ($4 IS NULL OR subject = $4) ORDER BY seq DESC LIMIT $5",
        )
        .bind(page.key().map_or(i64::MAX, |seq| column::stored(*seq)))
        .bind(filter.actor.as_deref())
        .bind(filter.noun.as_deref())
        .bind(filter.subject.as_deref())
        .bind(page.probe())
        .fetch_all(self.db().readers())
        .await
        .map_err(Error::database("listing the audit log"))?;
        Ok(Listed::of(column::all(&rows, read)?, &page, |entry| entry.seq))
    }

    /// Follows the chain from its beginning to its signed end.
    ///
    /// # Errors
    /// [`Error::Database`] when the log cannot be read. A log that was altered is no error but a report.
    pub async fn verify_audit(&self) -> Result<AuditReport> {
        // One transaction, so that the end that was signed is the end that is read.
        let mut snapshot = self.db().readers().begin().await.map_err(Error::database("verifying the audit log"))?;
        let mut chain = Chain { seq: 0, hash: BEGINNING };
        let broken = match follow(&mut snapshot, &mut chain).await? {
            None => check_head(&mut snapshot, &self.inner().audit_key, &chain).await?,
            broken => broken,
        };
        Ok(AuditReport { entries: chain.seq, head: Sha256Hex::from_bytes(chain.hash), broken })
    }
}

/// How far the chain is.
#[derive(Debug, Clone, Copy)]
struct Chain {
    seq: u64,
    hash: [u8; 32],
}

/// Writes an entry within a transaction that may change more.
pub(crate) async fn append(tx: &mut Tx, key: &[u8; 32], event: &Event<'_>) -> Result<AuditEntry> {
    check(event)?;
    let last = head(tx).await?.map_or(Chain { seq: 0, hash: BEGINNING }, |(chain, _)| chain);
    let mut entry = AuditEntry {
        seq: last.seq + 1,
        at: Timestamp::now(),
        actor: event.actor.to_owned(),
        action: event.action.to_owned(),
        noun: event.noun.to_owned(),
        subject: event.subject.to_owned(),
        detail: event.detail.clone(),
        hash: Sha256Hex::from_bytes(BEGINNING),
    };
    entry.hash = link(&last.hash, &entry, &entry.detail.to_string());
    insert(tx, &entry).await?;
    sign(tx, key, &Chain { seq: entry.seq, hash: *entry.hash.as_bytes() }).await?;
    Ok(entry)
}

fn check(event: &Event<'_>) -> Result<()> {
    limit::text("actor", event.actor, MAX_WORD_BYTES)?;
    limit::text("action", event.action, MAX_WORD_BYTES)?;
    limit::text("noun", event.noun, MAX_WORD_BYTES)?;
    limit::text("subject", event.subject, MAX_SUBJECT_BYTES)?;
    limit::bytes("detail", event.detail.to_string().len(), MAX_DETAIL_BYTES)
}

/// The hash of an entry: every field with its length before it, so that no two entries have one text.
fn link(previous: &[u8; 32], entry: &AuditEntry, detail: &str) -> Sha256Hex {
    let mut hasher = Hasher::new();
    hasher.update(previous);
    hasher.update(&entry.seq.to_be_bytes());
    hasher.update(&entry.at.as_nanos().to_be_bytes());
    for field in [&entry.actor, &entry.action, &entry.noun, &entry.subject, detail] {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.finish()
}

fn signature(key: &[u8; 32], chain: &Chain) -> [u8; 32] {
    let mut mac = master::keyed(key);
    mac.update(&chain.seq.to_be_bytes());
    mac.update(&chain.hash);
    mac.finalize().into_bytes().into()
}

async fn head(connection: &mut SqliteConnection) -> Result<Option<(Chain, [u8; 32])>> {
    let row = sqlx::query("SELECT seq, hash, mac FROM audit_head WHERE id = 1")
        .fetch_optional(connection)
        .await
        .map_err(Error::database("reading the end of the audit log"))?;
    let Some(row) = &row else { return Ok(None) };
    let row = Columns(row);
    Ok(Some((Chain { seq: row.count("seq")?, hash: row.digest("hash")? }, row.digest("mac")?)))
}

async fn insert(tx: &mut Tx, entry: &AuditEntry) -> Result<()> {
    sqlx::query(
        "INSERT INTO audit (seq, at_ns, actor, action, noun, subject, detail, hash) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(column::stored(entry.seq))
    .bind(entry.at.as_nanos())
    .bind(entry.actor.as_str())
    .bind(entry.action.as_str())
    .bind(entry.noun.as_str())
    .bind(entry.subject.as_str())
    .bind(entry.detail.to_string())
    .bind(entry.hash.as_bytes().as_slice())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("writing to the audit log"))
}

async fn sign(tx: &mut Tx, key: &[u8; 32], chain: &Chain) -> Result<()> {
    sqlx::query(
        "INSERT INTO audit_head (id, seq, hash, mac) VALUES (1, $1, $2, $3) \
         ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac",
    )
    .bind(column::stored(chain.seq))
    .bind(chain.hash.as_slice())
    .bind(signature(key, chain).as_slice())
    .execute(&mut **tx)
    .await
    .map(drop)
    .map_err(Error::database("signing the audit log"))
}

/// Follows the chain to its last entry, or to the first that does not fit.
async fn follow(snapshot: &mut Transaction<'_, Sqlite>, chain: &mut Chain) -> Result<Option<AuditBreak>> {
    loop {
        let rows = sqlx::query(
            "SELECT seq, at_ns, actor, action, noun, subject, detail, hash FROM audit \
             WHERE seq > $1 ORDER BY seq LIMIT $2",
        )
        .bind(column::stored(chain.seq))
        .bind(VERIFY_BATCH)
        .fetch_all(&mut **snapshot)
        .await
        .map_err(Error::database("verifying the audit log"))?;
        if rows.is_empty() {
            return Ok(None);
        }
        for row in &rows {
            if let Err(reason) = step(chain, Columns(row)) {
                return Ok(Some(AuditBreak { seq: chain.seq + 1, reason }));
            }
        }
    }
}

fn step(chain: &mut Chain, row: Columns<'_>) -> std::result::Result<(), String> {
    let entry = read(row).map_err(|error| error.to_string())?;
    if entry.seq != chain.seq + 1 {
        return Err("an entry is missing".to_owned());
    }
    // The text as it is stored, so that not a space of it can change.
    let detail = row.text("detail").map_err(|error| error.to_string())?;
    if link(&chain.hash, &entry, &detail) != entry.hash {
        return Err("the entry or its hash was altered".to_owned());
    }
    *chain = Chain { seq: entry.seq, hash: *entry.hash.as_bytes() };
    Ok(())
}

async fn check_head(
    snapshot: &mut Transaction<'_, Sqlite>,
    key: &[u8; 32],
    chain: &Chain,
) -> Result<Option<AuditBreak>> {
    let broken = |seq: u64, reason: &str| Ok(Some(AuditBreak { seq, reason: reason.to_owned() }));
    let Some((signed, mac)) = head(snapshot).await? else {
        return if chain.seq == 0 { Ok(None) } else { broken(chain.seq, "the end of the log is not signed") };
    };
    if !bool::from(signature(key, &signed).ct_eq(&mac)) {
        return broken(signed.seq, "the signature of the end of the log is wrong");
    }
    if signed.seq > chain.seq {
        return broken(chain.seq + 1, "the log was cut short");
    }
    if signed.seq < chain.seq || signed.hash != chain.hash {
        return broken(signed.seq, "the log does not end where it was signed");
    }
    Ok(None)
}

fn read(row: Columns<'_>) -> Result<AuditEntry> {
    Ok(AuditEntry {
        seq: row.count("seq")?,
        at: row.time("at_ns")?,
        actor: row.text("actor")?,
        action: row.text("action")?,
        noun: row.text("noun")?,
        subject: row.text("subject")?,
        detail: row.json("detail")?,
        hash: Sha256Hex::from_bytes(row.digest("hash")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{catalog, reopen};
    use serde_json::json;

    async fn five_entries() -> (Catalog, tempfile::TempDir) {
        let (catalog, dir) = catalog().await;
        for n in 1..=5 {
            let actor = if n % 2 == 0 { "bob" } else { "alice" };
            catalog.audit(actor, "create", "key", &format!("k{n}"), json!({ "n": n })).await.unwrap();
        }
        (catalog, dir)
    }

    /// Alters the log with this SQL and says where verification then stops.
    async fn tampered(sql: &'static str) -> Option<(u64, String)> {
        let (catalog, _dir) = five_entries().await;
        let mut tx = catalog.db().begin("tampering").await.unwrap();
        let changed = sqlx::query(sql).execute(&mut *tx).await.unwrap().rows_affected();
        assert!(changed > 0, "{sql}");
        commit(tx, "tampering").await.unwrap();
        catalog.verify_audit().await.unwrap().broken.map(|broken| (broken.seq, broken.reason))
    }

    #[tokio::test]
    async fn an_untouched_log_verifies_after_opening_again() {
        let (catalog, dir) = five_entries().await;
        let report = catalog.verify_audit().await.unwrap();
        assert_eq!((report.entries, &report.broken), (5, &None));
        drop(catalog);
        let catalog = reopen(dir.path()).await;
        assert_eq!(catalog.verify_audit().await.unwrap(), report);
        let next = catalog.audit("alice", "revoke", "key", "k1", json!({})).await.unwrap();
        assert_eq!(next.seq, 6);
        assert_eq!(catalog.verify_audit().await.unwrap().head, next.hash);
    }

    #[tokio::test]
    async fn an_empty_log_verifies() {
        let (catalog, _dir) = catalog().await;
        let report = catalog.verify_audit().await.unwrap();
        assert_eq!((report.entries, report.broken), (0, None));
    }

    #[tokio::test]
    async fn every_way_to_alter_it_shows() {
        let check = async |sql, seq, reason: &str| {
            let broken = tampered(sql).await;
            assert_eq!(broken, Some((seq, reason.to_owned())), "{sql}");
        };
        let altered = "the entry or its hash was altered";
        check("UPDATE audit SET actor = 'eve' WHERE seq = 3", 3, altered).await;
        check("UPDATE audit SET at_ns = at_ns + 1 WHERE seq = 1", 1, altered).await;
        check("UPDATE audit SET detail = '{\"n\": 2}' WHERE seq = 2", 2, altered).await;
        // Moving text from one field to the next changes the hash too.
        check("UPDATE audit SET noun = 'keyk', subject = '4' WHERE seq = 4", 4, altered).await;
        check("DELETE FROM audit WHERE seq = 2", 2, "an entry is missing").await;
        check("DELETE FROM audit WHERE seq = 5", 5, "the log was cut short").await;
        check("DELETE FROM audit", 1, "the log was cut short").await;
        check("DELETE FROM audit_head", 5, "the end of the log is not signed").await;
        let forged = "UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)";
        check(forged, 4, "the signature of the end of the log is wrong").await;
        let garbled = tampered("UPDATE audit SET detail = 'x' WHERE seq = 2").await.unwrap();
        assert_eq!(garbled.0, 2);
    }

    #[tokio::test]
    async fn a_log_that_was_rewritten_whole_shows() {
        let (catalog, _dir) = five_entries().await;
        let mut tx = catalog.db().begin("tampering").await.unwrap();
        for sql in ["DELETE FROM audit", "DELETE FROM audit_head"] {
            sqlx::query(sql).execute(&mut *tx).await.unwrap();
        }
        let event = Event { actor: "eve", action: "create", noun: "key", subject: "k", detail: &json!({}) };
        append(&mut tx, &[0; 32], &event).await.unwrap();
        commit(tx, "tampering").await.unwrap();
        let broken = catalog.verify_audit().await.unwrap().broken.unwrap();
        assert_eq!(broken.reason, "the signature of the end of the log is wrong");
    }

    #[test]
    fn the_hash_is_the_one_that_others_compute() {
        let entry = AuditEntry {
            seq: 1,
            at: Timestamp::from_nanos(5),
            actor: "a".into(),
            action: "b".into(),
            noun: "c".into(),
            subject: "d".into(),
            detail: json!({}),
            hash: Sha256Hex::from_bytes(BEGINNING),
        };
        // Python: f = lambda s: len(s).to_bytes(8, 'big') + s
        // sha256(bytes(32) + (1).to_bytes(8, 'big') + (5).to_bytes(8, 'big') + f(b'a') + f(b'b') + f(b'c') + f(b'd') + f(b'{}'))
        let expected = "98270a9f91e63bf73a595934279bb1803bae65edd694bf98c4eb247ac70bdb80";
        assert_eq!(link(&BEGINNING, &entry, "{}").to_string(), expected);
    }

    #[tokio::test]
    async fn entries_are_filtered_and_paged() {
        let (catalog, _dir) = five_entries().await;
        let list = async |filter: AuditFilter, page| {
            let listed = catalog.audit_log(&filter, page).await.unwrap();
            (listed.items.iter().map(|entry| entry.seq).collect::<Vec<_>>(), listed.next)
        };
        assert_eq!(list(AuditFilter::default(), Page::first(2)).await, (vec![5, 4], Some(4)));
        assert_eq!(list(AuditFilter::default(), Page::after(9, 4)).await, (vec![3, 2, 1], None));
        let bob = AuditFilter { actor: Some("bob".into()), ..AuditFilter::default() };
        assert_eq!(list(bob, Page::default()).await.0, [4, 2]);
    }

    #[tokio::test]
    async fn a_change_by_somebody_is_in_the_log_with_it() {
        let (catalog, _dir) = catalog().await;
        let alice = catalog.acting("alice").unwrap();
        let name = "team-7".parse().unwrap();
        alice.create_project(&name).await.unwrap();
        alice.create_project(&name).await.unwrap_err();
        let log = catalog.audit_log(&AuditFilter::default(), Page::default()).await.unwrap().items;
        assert_eq!(log.len(), 1, "what did not happen is not in the log");
        let entry = &log[0];
        let words = [&entry.actor, &entry.action, &entry.noun, &entry.subject].map(String::as_str);
        assert_eq!(words, ["alice", "create", "project", "team-7"]);
    }
}
