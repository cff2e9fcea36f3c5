//! Opening the catalog: two files, one master key, one default project.

use std::path::Path;
use std::sync::Arc;

use qd_base::Timestamp;
use sqlx::migrate::Migrator;
use subtle::ConstantTimeEq;
use tokio::sync::{broadcast, watch};

use crate::column::Columns;
use crate::database::{Database, Tuning, Tx, commit};
use crate::job::Signal;
use crate::key::KeyRing;
use crate::password::Passwords;
use crate::sign_in::SignInRing;
use crate::{Error, MasterKey, Project, Result, limit};

static CATALOG_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/catalog");
static LAKE_MIGRATIONS: Migrator = sqlx::migrate!("./migrations/lake");

const CATALOG_TUNING: Tuning = Tuning { page_size_bytes: 4096, checkpoint_pages: 1000, readers: 4 };
/// Blobs of about a megabyte: pages of 16 KiB, and a log of 32 MiB before it is folded into the file.
const LAKE_TUNING: Tuning = Tuning { page_size_bytes: 16_384, checkpoint_pages: 2048, readers: 2 };

/// Signals that a slow listener may be behind before it is told that it missed some.
const SIGNALS: usize = 1024;
const MAX_ACTOR_BYTES: usize = 256;

/// Everything that is small and changes. Cheap to clone; all clones are one catalog.
///
/// One process at a time may hold a catalog open for writing: API keys are answered from memory. The `cli` room
/// sees to that with a lock file.
#[derive(Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
    actor: Option<Arc<str>>,
}

pub(crate) struct Inner {
    pub(crate) db: Database,
    pub(crate) lake: Database,
    pub(crate) keys: KeyRing,
    pub(crate) passwords: Passwords,
    pub(crate) sign_ins: SignInRing,
    /// Encrypts the secrets of providers.
    pub(crate) sealing_key: [u8; 32],
    /// Encrypts the secrets of who is told of alerts.
    pub(crate) receivers_key: [u8; 32],
    /// Signs the end of the audit log.
    pub(crate) audit_key: [u8; 32],
    pub(crate) signals: broadcast::Sender<Signal>,
    pub(crate) routing_changed: watch::Sender<u64>,
    pub(crate) outbox_changed: watch::Sender<u64>,
    pub(crate) artifacts_changed: watch::Sender<u64>,
    default_project: Project,
}

impl Catalog {
    /// Opens the catalog in `dir`, making it when it is not there.
    ///
    /// # Errors
    /// [`Error::WrongMasterKey`] when it was made with another key, [`Error::Newer`] when a later Quarterdeck wrote
    /// it, [`Error::Open`], [`Error::File`] and [`Error::Migrate`] when its files cannot be used.
    pub async fn open(dir: &Path, master: MasterKey) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(Error::file("creating", dir))?;
        let db = Database::open(dir.join("catalog.db"), &CATALOG_MIGRATIONS, &CATALOG_TUNING).await?;
        check_master_key(&db, &master).await?;
        let default_project = ensure_default_project(&db).await?;
        let keys = KeyRing::load(&db, master.derive("api-keys")).await?;
        let sign_ins = SignInRing::load(&db, master.derive("sign-ins")).await?;
        let lake = Database::open(dir.join("lake.db"), &LAKE_MIGRATIONS, &LAKE_TUNING).await?;
        let inner = Inner {
            db,
            lake,
            keys,
            passwords: Passwords::new(),
            sign_ins,
            sealing_key: master.derive("provider-secrets"),
            receivers_key: master.derive("alert-receivers"),
            audit_key: master.derive("audit-head"),
            signals: broadcast::Sender::new(SIGNALS),
            routing_changed: watch::Sender::new(0),
            outbox_changed: watch::Sender::new(0),
            artifacts_changed: watch::Sender::new(0),
            default_project,
        };
        Ok(Self { inner: Arc::new(inner), actor: None })
    }

    /// The same catalog in the hands of `actor`: what is then changed about keys, accounts, providers, labels, artifacts,
    /// projects, prices and settings is written to the audit log in the same transaction.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::TooLarge`] when `actor` is not 1 to 256 bytes of printable text.
    pub fn acting(&self, actor: &str) -> Result<Self> {
        limit::text("actor", actor, MAX_ACTOR_BYTES)?;
        Ok(Self { inner: Arc::clone(&self.inner), actor: Some(actor.into()) })
    }

    /// The project "default", which is always there.
    pub fn default_project(&self) -> &Project {
        &self.inner.default_project
    }

    /// Finishes what is being written and closes the files. Calls after this fail.
    pub async fn close(&self) {
        self.inner.db.close().await;
        self.inner.lake.close().await;
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn db(&self) -> &Database {
        &self.inner.db
    }

    pub(crate) fn lake(&self) -> &Database {
        &self.inner.lake
    }

    /// Writes to the audit log, within the transaction of the change itself, when somebody is known to act.
    pub(crate) async fn note(
        &self,
        tx: &mut Tx,
        action: &str,
        noun: &str,
        subject: &str,
        detail: serde_json::Value,
    ) -> Result<()> {
        let Some(actor) = &self.actor else { return Ok(()) };
        let event = crate::audit::Event { actor, action, noun, subject, detail: &detail };
        crate::audit::append(tx, &self.inner.audit_key, &event).await.map(drop)
    }
}

/// A catalog remembers a digest of its master key, so that a wrong one is told at once and not by garbled secrets.
async fn check_master_key(db: &Database, master: &MasterKey) -> Result<()> {
    const OPERATION: &str = "checking the master key";
    let expected = master.derive("check");
    let mut tx = db.begin(OPERATION).await?;
    sqlx::query("INSERT INTO meta (name, value) VALUES ('master_key_check', $1) ON CONFLICT (name) DO NOTHING")
        .bind(expected.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
    let row = sqlx::query("SELECT value FROM meta WHERE name = 'master_key_check'")
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
    let found = Columns(&row).digest("value")?;
    commit(tx, OPERATION).await?;
    if bool::from(found.ct_eq(&expected)) { Ok(()) } else { Err(Error::WrongMasterKey { path: db.path().to_owned() }) }
}

async fn ensure_default_project(db: &Database) -> Result<Project> {
    const OPERATION: &str = "making the default project";
    let mut tx = db.begin(OPERATION).await?;
    let made = Project::new("default".parse().expect("a valid name"), Timestamp::now());
    sqlx::query("INSERT INTO project (id, name, created_ns) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING")
        .bind(made.id.to_string())
        .bind(made.name.as_str())
        .bind(made.created.as_nanos())
        .execute(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
    let row = sqlx::query("SELECT id, name, created_ns FROM project WHERE name = $1")
        .bind(made.name.as_str())
        .fetch_one(&mut *tx)
        .await
        .map_err(Error::database(OPERATION))?;
    let project = Project::read(Columns(&row))?;
    commit(tx, OPERATION).await?;
    Ok(project)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{catalog, master, reopen};

    #[tokio::test]
    async fn the_default_project_stays_the_same() {
        let (catalog, dir) = catalog().await;
        let project = catalog.default_project().clone();
        catalog.close().await;
        assert_eq!(reopen(dir.path()).await.default_project(), &project);
    }

    #[tokio::test]
    async fn files_are_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let (catalog, dir) = catalog().await;
        catalog.stage(vec![crate::staging::tests::batch("spans", b"a")]).await.unwrap();
        for file in std::fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", file.path().display());
        }
    }

    #[tokio::test]
    async fn what_a_newer_quarterdeck_wrote_is_left_alone() {
        let (catalog, dir) = catalog().await;
        let mut tx = catalog.db().begin("pretending").await.unwrap();
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (9999, 'from the future', 1, X'00', 0)",
        )
        .execute(&mut *tx)
        .await
        .unwrap();
        commit(tx, "pretending").await.unwrap();
        catalog.close().await;
        let opened = Catalog::open(dir.path(), master()).await;
        assert!(matches!(opened.err(), Some(Error::Newer { version: 9999, .. })));
    }

    #[tokio::test]
    async fn an_actor_has_a_name() {
        let (catalog, _dir) = catalog().await;
        assert!(catalog.acting("").is_err() && catalog.acting(&"x".repeat(257)).is_err());
        assert!(catalog.acting("key:0190").is_ok());
    }
}
