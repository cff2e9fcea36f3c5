//! Who owns the data folder: one process at a time, and where others find it.
//!
//! `<data>/lock` is held for as long as a process has the folder open; the kernel lets go of it when the
//! process ends, however it ends. `<data>/server.json` says where a server listens, and counts only while
//! the process that it names holds the lock. `<data>/local.token` lets the same user's commands act as
//! the administrator; it is made anew by every server.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use qd_base::Secret;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The data folder, ours alone until this is dropped.
pub struct Lock {
    file: File,
    dir: PathBuf,
}

/// A server that runs on the folder.
#[derive(Debug, Serialize, Deserialize)]
pub struct Running {
    pub address: SocketAddr,
    /// Where OpenTelemetry is taken over gRPC, if anywhere.
    #[serde(default)]
    pub otlp: Option<SocketAddr>,
    pub pid: u32,
    pub version: String,
}

impl Lock {
    /// Takes the folder, creating it when it is missing; `None` when another process has it.
    ///
    /// # Errors
    /// When the folder cannot be created or written.
    pub fn take(dir: &Path) -> Result<Option<Self>, Error> {
        let open = || {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
            private(OpenOptions::new().create(true).truncate(false)).read(true).open(dir.join("lock"))
        };
        let failed = |cause| Error::doing(format!("taking the data folder {}", dir.display()), cause);
        let mut file = open().map_err(failed)?;
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(cause)) => return Err(failed(cause)),
            Ok(()) => {}
        }
        let sign = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())
        };
        sign(&mut file).map_err(failed)?;
        Ok(Some(Self { file, dir: dir.to_owned() }))
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Tells others where this process listens, and gives the same user's commands its token.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn announce(&self, address: SocketAddr, otlp: Option<SocketAddr>, token: &Secret) -> Result<(), Error> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let running = Running { address, otlp, pid: std::process::id(), version };
        let text = serde_json::to_string(&running).map_err(|cause| Error::doing("describing this server", cause))?;
        // The announcement comes last: who reads it finds the token that belongs to it.
        write_private(&self.dir.join("local.token"), token.expose())?;
        write_private(&self.dir.join("server.json"), &text)
    }
}

/// A new token, 256 bits from the system.
///
/// # Errors
/// When the system has no randomness.
pub fn token() -> Result<Secret, Error> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .map_err(|cause| Error::doing("reading randomness for the local token", cause))?;
    Ok(Secret::new(bytes.iter().fold("local-".to_owned(), |text, byte| format!("{text}{byte:02x}"))))
}

impl Drop for Lock {
    /// Withdraws the announcement, so that it never names a process that has ended in order.
    fn drop(&mut self) {
        let _ = fs::remove_file(self.dir.join("server.json"));
        let _ = self.file.set_len(0);
    }
}

/// The server that holds `dir`, with the token for it; `None` when the holder is no server (yet).
pub fn running(dir: &Path) -> Option<(Running, Secret)> {
    let running: Running = serde_json::from_str(&fs::read_to_string(dir.join("server.json")).ok()?).ok()?;
    let token = fs::read_to_string(dir.join("local.token")).ok()?;
    (Some(running.pid) == holder(dir)).then(|| (running, Secret::new(token.trim())))
}

/// The process that holds `dir`, as far as it has signed yet.
pub fn holder(dir: &Path) -> Option<u32> {
    fs::read_to_string(dir.join("lock")).ok()?.trim().parse().ok()
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.write(true).mode(0o600)
}

/// Replaces a file in one step, readable by this user only.
fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let part = path.with_extension("part");
    let write = || {
        private(OpenOptions::new().create(true).truncate(true)).open(&part)?.write_all(text.as_bytes())?;
        fs::rename(&part, path)
    };
    write().map_err(|cause| Error::doing(format!("writing {}", path.display()), cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_at_a_time() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let first = Lock::take(dir.path()).expect("writable").expect("free");
        assert!(Lock::take(dir.path()).expect("writable").is_none());
        assert_eq!(holder(dir.path()), Some(std::process::id()));
        drop(first);
        assert!(Lock::take(dir.path()).expect("writable").is_some());
    }

    #[test]
    fn an_announcement_ends_with_its_owner() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let lock = Lock::take(dir.path()).expect("writable").expect("free");
        let token = token().expect("randomness");
        assert!(running(dir.path()).is_none(), "nothing listens yet");
        lock.announce(([127, 0, 0, 1], 4100).into(), None, &token).expect("writable");
        let (found, secret) = running(dir.path()).expect("announced");
        assert_eq!((found.address.port(), secret.expose()), (4100, token.expose()));
        drop(lock);
        assert!(running(dir.path()).is_none());
    }

    #[test]
    fn what_a_killed_server_left_behind_counts_for_nothing() {
        let dir = tempfile::tempdir().expect("temporary folder");
        fs::write(dir.path().join("server.json"), r#"{"address":"127.0.0.1:1","pid":1,"version":"0"}"#)
            .expect("writable");
        fs::write(dir.path().join("local.token"), "local-old").expect("writable");
        let _ours = Lock::take(dir.path()).expect("writable").expect("free");
        assert!(running(dir.path()).is_none());
    }
}
