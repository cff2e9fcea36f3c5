//! What do judges say of items, and how far do they agree with people?
//!
//! Reading order: [`asking`] → [`judges`].

pub mod asking;
pub mod judges;

mod error;

pub use asking::Judged;
pub use error::Error;
pub use judges::{Judges, Stored};

/// What every call of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;
