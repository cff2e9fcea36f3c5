//! One SQLite file: one connection that writes, a few that read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Sqlite, Transaction};

use crate::column::Columns;
use crate::{Error, Result};

/// A transaction on the writer. Dropped without a commit, it is rolled back.
pub(crate) type Tx = Transaction<'static, Sqlite>;

/// What differs between the two files.
pub(crate) struct Tuning {
    /// Large pages suit large blobs.
    pub(crate) page_size_bytes: u32,
    /// The log is copied into the file when it is this long.
    pub(crate) checkpoint_pages: u32,
    /// Connections that read.
    pub(crate) readers: u32,
}

/// How long a connection waits for another process's lock, and a task for a connection.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(60);
/// Readers hold the log for as long as one answer takes.
const SCRUB_TRIES: u32 = 100;
const SCRUB_PAUSE: Duration = Duration::from_millis(100);
/// More statements than this crate has: each is prepared once a connection.
const STATEMENT_CACHE: usize = 256;

/// One SQLite file in WAL mode with `synchronous=FULL`: what was committed survives a crash and a power cut.
pub(crate) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    path: PathBuf,
}

impl Database {
    /// Opens or creates the file and brings its schema up to date.
    pub(crate) async fn open(path: PathBuf, migrations: &Migrator, tuning: &Tuning) -> Result<Self> {
        create_private(&path)?;
        let options = options(&path, tuning);
        let writer = pool(1, options.clone()).await.map_err(|source| Error::Open { path: path.clone(), source })?;
        migrations.run(&writer).await.map_err(|cause| migrate_error(&path, cause))?;
        let readers = pool(tuning.readers, options.read_only(true))
            .await
            .map_err(|source| Error::Open { path: path.clone(), source })?;
        Ok(Self { writer, readers, path })
    }

    /// The connections that read.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Begins a transaction that holds the write lock from its start, so that what it reads stays true until its end.
    pub(crate) async fn begin(&self, operation: &'static str) -> Result<Tx> {
        const BEGIN: &str = "BEGIN IMMEDIATE";
        match self.writer.begin_with(BEGIN).await {
            Err(sqlx::Error::InvalidSavePointStatement) => {
                self.replace_writer().await.map_err(Error::database(operation))?;
                self.writer.begin_with(BEGIN).await
            }
            begun => begun,
        }
        .map_err(Error::database(operation))
    }

    /// SQLite ends a transaction by itself when the disk is full or fails; sqlx goes on counting it as open and
    /// refuses the next. Such a connection is closed, and the pool opens another.
    async fn replace_writer(&self) -> sqlx::Result<()> {
        self.writer.acquire().await?.close().await
    }

    /// Writes the file anew without the pages that nothing uses, and then empties the log. Readers that are still in an
    /// older state of the file keep the log from being emptied; they are waited for a while.
    pub(crate) async fn scrub(&self, operation: &'static str) -> Result<()> {
        let mut writer = self.writer.acquire().await.map_err(Error::database(operation))?;
        sqlx::query("VACUUM").execute(&mut *writer).await.map_err(Error::database(operation))?;
        for _ in 0..SCRUB_TRIES {
            let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *writer).await;
            let row = row.map_err(Error::database(operation))?;
            if Columns(&row).signed("busy")? == 0 {
                return Ok(());
            }
            tokio::time::sleep(SCRUB_PAUSE).await;
        }
        Err(Error::database(operation)(sqlx::Error::Protocol("readers kept the log from being emptied".to_owned())))
    }

    /// Waits for what is being written and closes every connection; SQLite then folds the log into the file.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Commits, naming the operation when that fails.
pub(crate) async fn commit(tx: Tx, operation: &'static str) -> Result<()> {
    tx.commit().await.map_err(Error::database(operation))
}

/// Creates the file for this user only; SQLite gives its log the same mode.
fn create_private(path: &Path) -> Result<()> {
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(path).map(drop).map_err(Error::file("creating", path))
}

fn options(path: &Path, tuning: &Tuning) -> SqliteConnectOptions {
    let log_limit_bytes = u64::from(tuning.page_size_bytes) * u64::from(tuning.checkpoint_pages) * 2;
    SqliteConnectOptions::new()
        .filename(path)
        .page_size(tuning.page_size_bytes)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENT_CACHE)
        .pragma("wal_autocheckpoint", tuning.checkpoint_pages.to_string())
        .pragma("journal_size_limit", log_limit_bytes.to_string())
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

async fn pool(connections: u32, options: SqliteConnectOptions) -> sqlx::Result<SqlitePool> {
    SqlitePoolOptions::new()
        .min_connections(1)
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await
}

fn migrate_error(path: &Path, cause: MigrateError) -> Error {
    let path = path.to_owned();
    match cause {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            Error::Newer { path, version }
        }
        source => Error::Migrate { path, source },
    }
}
