//! Secrets at rest: sealed under a key derived from the master key, each bound to what it is the secret of.
//!
//! The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03).

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use qd_base::Secret;

use crate::master;

const NONCE_LEN: usize = 24;

/// The nonce and then the ciphertext. A random nonce of 24 bytes does not come twice.
pub(crate) fn seal(key: &[u8; 32], bound_to: &str, secret: &Secret) -> Vec<u8> {
    let nonce: [u8; NONCE_LEN] = master::random();
    let payload = Payload { msg: secret.expose().as_bytes(), aad: bound_to.as_bytes() };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt((&nonce).into(), payload);
    [nonce.as_slice(), &sealed.expect("a secret is far shorter than the cipher's limit")].concat()
}

/// The secret; none when it was altered or belongs to something else.
pub(crate) fn open(key: &[u8; 32], bound_to: &str, sealed: &[u8]) -> Option<Secret> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let payload = Payload { msg: sealed, aad: bound_to.as_bytes() };
    let opened = XChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), payload).ok()?;
    String::from_utf8(opened).ok().map(Secret::new)
}
