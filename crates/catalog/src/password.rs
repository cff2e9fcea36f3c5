//! Passwords: argon2id, on threads of their own, a few at a time.
//!
//! Hashing is meant to be slow and to need memory. On the threads that answer requests it would hold everybody up, and
//! without a bound a burst of sign-ins would take all memory.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use qd_base::Secret;
use tokio::sync::Semaphore;

use crate::{Error, Result, limit, master};

/// The shortest password. NIST SP 800-63B asks for length instead of kinds of characters.
pub const MIN_PASSWORD_CHARS: usize = 12;
/// The longest password.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// Hashes that are computed at one time: each takes a core for some tens of milliseconds, and its memory.
const HASHES_AT_ONCE: usize = 2;
/// OWASP's Password Storage Cheat Sheet for argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// The salt that the password of nobody is hashed with.
const NOBODYS_SALT: [u8; 16] = [0; 16];

/// Where passwords are hashed.
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(HASHES_AT_ONCE)) }
    }

    /// The hash to keep of a new password.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<String> {
        check(password)?;
        let (password, salt) = (password.clone(), master::random::<16>());
        self.work(move || hash(&password, &salt)).await?
    }

    /// Whether `password` is the one that was hashed. Without a hash nobody's is, and finding that out takes as long.
    pub(crate) async fn verify(&self, password: &Secret, stored: Option<String>) -> Result<bool> {
        if password.expose().len() > MAX_PASSWORD_BYTES {
            return Ok(false);
        }
        let password = password.clone();
        let compare = move || match stored {
            Some(stored) => verify(&password, &stored),
            None => hash(&password, &NOBODYS_SALT).map(|_| false),
        };
        self.work(compare).await?
    }

    /// Does `work` when there is a place; the place is taken until it is done, even if nobody waits for it any more.
    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let place = self.places.clone().acquire_owned().await.map_err(failed)?;
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        working.await.map_err(failed)
    }
}

/// Whether this can be a password.
///
/// # Errors
/// [`Error::Invalid`] for fewer than [`MIN_PASSWORD_CHARS`] characters, [`Error::TooLarge`] beyond [`MAX_PASSWORD_BYTES`].
pub fn check(password: &Secret) -> Result<()> {
    limit::bytes("password", password.expose().len(), MAX_PASSWORD_BYTES)?;
    match password.expose().chars().count() < MIN_PASSWORD_CHARS {
        true => Err(Error::invalid("password", format!("needs at least {MIN_PASSWORD_CHARS} characters"))),
        false => Ok(()),
    }
}

fn hash(password: &Secret, salt: &[u8]) -> Result<String> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(failed)?;
    let salt = SaltString::encode_b64(salt).map_err(failed)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Ok(argon2.hash_password(password.expose().as_bytes(), &salt).map_err(failed)?.to_string())
}

/// The parameters are those of the stored hash, so that ours may change.
fn verify(password: &Secret, stored: &str) -> Result<bool> {
    use argon2::password_hash::Error::Password;
    let stored = PasswordHash::new(stored).map_err(failed)?;
    match Argon2::default().verify_password(password.expose().as_bytes(), &stored) {
        Ok(()) => Ok(true),
        Err(Password) => Ok(false),
        Err(cause) => Err(failed(cause)),
    }
}

fn failed(cause: impl std::fmt::Display) -> Error {
    Error::Hashing { reason: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By argon2-cffi 23.1.0: `PasswordHasher(2, 19456, 1, 32, 16).hash("correct horse", salt=b"somesaltsomesalt")`.
    const STORED: &str =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$k9ohroejZy1PN5E1SbHNPug6vB8eQAahb5SOAp6iGF4";

    #[tokio::test]
    async fn another_implementation_s_hash_is_verified() {
        let passwords = Passwords::new();
        let verify = async |text: &str, stored: Option<&str>| {
            passwords.verify(&Secret::new(text), stored.map(str::to_owned)).await.unwrap()
        };
        assert!(verify("correct horse", Some(STORED)).await);
        assert!(!verify("correct house", Some(STORED)).await);
        assert!(!verify("correct horse", None).await);
        assert!(!verify(&"x".repeat(MAX_PASSWORD_BYTES + 1), Some(STORED)).await);
        assert!(passwords.verify(&Secret::new("x"), Some("plain".to_owned())).await.is_err());
    }

    #[tokio::test]
    async fn a_hash_says_how_it_was_made_and_has_its_own_salt() {
        let passwords = Passwords::new();
        let password = Secret::new("correct horse");
        let (one, other) = (passwords.hash(&password).await.unwrap(), passwords.hash(&password).await.unwrap());
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        assert_ne!(one, other);
        assert!(passwords.verify(&password, Some(one)).await.unwrap());
        for wrong in ["elevenchars", &"x".repeat(MAX_PASSWORD_BYTES + 1)] {
            assert!(passwords.hash(&Secret::new(wrong)).await.is_err());
        }
    }
}
