//! One pull of a model at a time, over all tasks and processes.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::Error;
use crate::progress::{Stage, Watch};

/// Held as long as it lives; the kernel releases it when the process dies, however it dies.
pub(crate) struct Lock {
    _file: File,
}

/// How often a held lock is tried again; a pull takes seconds at least.
const RETRY: Duration = Duration::from_millis(100);

impl Lock {
    /// Waits until nobody else holds the lock at `path`.
    pub(crate) async fn acquire(path: &Path, item: &str, watch: &Watch<'_>) -> Result<Self, Error> {
        let file = File::create(path).map_err(Error::file("opening", path))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) => watch.report(Stage::Waiting, item, 0, 0),
                Err(TryLockError::Error(cause)) => return Err(Error::file("locking", path)(cause)),
            }
            watch.unless_cancelled(tokio::time::sleep(RETRY)).await?;
        }
    }
}
