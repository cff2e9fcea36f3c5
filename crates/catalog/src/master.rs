//! The master key: everything secret at rest hangs on these 32 bytes.

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use rand::TryRngCore;
use sha2::Sha256;

use crate::{Error, Result};

/// 32 bytes from which every other key is derived. It does not print.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl MasterKey {
    /// The environment variable that may hold the key.
    pub const ENV: &str = "QUARTERDECK_MASTER_KEY";
    /// The file in the data directory that holds the key otherwise.
    pub const FILE: &str = "master.key";

    /// The key from `QUARTERDECK_MASTER_KEY`, or else from `<dir>/master.key`, which is made when it is not there.
    ///
    /// # Errors
    /// [`Error::MasterKeyText`] when the key is not 32 bytes, [`Error::MasterKeyMode`] when others may read the
    /// file, [`Error::File`] when it cannot be read or made.
    pub fn load(dir: &Path) -> Result<Self> {
        match std::env::var(Self::ENV) {
            Ok(text) => text.parse(),
            Err(_) => Self::from_file(&dir.join(Self::FILE)),
        }
    }

    /// The key in this file, which is made with a new key when it is not there.
    ///
    /// # Errors
    /// As [`MasterKey::load`].
    pub fn from_file(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                check_mode(path)?;
                parse(&text).ok_or_else(|| Error::MasterKeyText { origin: path.display().to_string() })
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Self::create(path),
            Err(cause) => Err(Error::file("reading", path)(cause)),
        }
    }

    /// A new key from the system's random source.
    pub fn generate() -> Self {
        Self(random())
    }

    /// Makes the file whole or not at all: it is written aside, synced and linked to its name, which fails when
    /// another process was first; then theirs is the key.
    fn create(path: &Path) -> Result<Self> {
        let key = Self::generate();
        let aside = path.with_extension(format!("{:016x}.part", u64::from_ne_bytes(random())));
        write_private(&aside, &key.to_hex()).map_err(Error::file("writing", &aside))?;
        let linked = std::fs::hard_link(&aside, path);
        std::fs::remove_file(&aside).map_err(Error::file("removing", &aside))?;
        match linked {
            Ok(()) => sync_parent(path).map(|()| key),
            Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => Self::from_file(path),
            Err(cause) => Err(Error::file("creating", path)(cause)),
        }
    }

    fn to_hex(&self) -> String {
        qd_base::Sha256Hex::from_bytes(self.0).to_string()
    }

    /// The key for one purpose: HMAC-SHA256 of the purpose's name, as in HKDF's expand step (RFC 5869) with one block.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut mac = keyed(&self.0);
        mac.update(b"quarterdeck/v1/");
        mac.update(purpose.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl FromStr for MasterKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| Error::MasterKeyText { origin: Self::ENV.to_owned() })
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// HMAC-SHA256 under this key.
pub(crate) fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Bytes from the system's random source.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rngs::OsRng.try_fill_bytes(&mut bytes).expect("the system's random source answers");
    bytes
}

fn parse(text: &str) -> Option<MasterKey> {
    let text = text.trim();
    if text.len() == 64 {
        let hex: qd_base::Sha256Hex = text.to_ascii_lowercase().parse().ok()?;
        return Some(MasterKey(*hex.as_bytes()));
    }
    let text = text.trim_end_matches('=');
    let bytes = STANDARD_NO_PAD.decode(text).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()?;
    bytes.try_into().ok().map(MasterKey)
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut open = std::fs::OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let mut file = open.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn sync_parent(path: &Path) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(parent).and_then(|dir| dir.sync_all()).map_err(Error::file("syncing", parent))
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).map_err(Error::file("reading", path))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(Error::MasterKeyMode { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    /// The same bytes by Python's base64.b64encode.
    const BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    #[test]
    fn hexadecimal_and_base64_are_read() {
        for text in [HEX, &HEX.to_uppercase(), BASE64, BASE64.trim_end_matches('='), &format!(" {HEX}\n")] {
            assert_eq!(text.parse::<MasterKey>().unwrap().to_hex(), HEX, "{text}");
        }
        for text in ["", "00", &HEX[1..], &BASE64[4..], "correct horse battery staple"] {
            assert!(text.parse::<MasterKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_file_is_made_once_for_this_user_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MasterKey::FILE);
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| MasterKey::from_file(&path).unwrap().to_hex())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MasterKey::FILE);
        MasterKey::from_file(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = MasterKey::from_file(&path).unwrap_err().to_string();
        assert!(refused.contains("mode 640") && refused.contains("chmod 600"), "{refused}");
    }

    #[test]
    fn it_does_not_print() {
        assert_eq!(format!("{:?}", HEX.parse::<MasterKey>().unwrap()), "MasterKey(***)");
    }

    #[test]
    fn derived_keys_differ_by_purpose() {
        let key: MasterKey = HEX.parse().unwrap();
        assert_ne!(key.derive("a"), key.derive("b"));
        // Python: hmac.new(bytes(range(32)), b'quarterdeck/v1/a', hashlib.sha256).hexdigest()
        let expected = "b7e5547aadb9c86d8bf30d9cef827ab207e3b89e9659d352ff9b445741a9a664";
        assert_eq!(qd_base::Sha256Hex::from_bytes(key.derive("a")).to_string(), expected);
    }
}
