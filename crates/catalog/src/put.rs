//! Whether a write may find something of its name: decided within its transaction, so that of several who make the
//! same thing at once one succeeds.

use crate::{Error, Result};

/// What a write does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// Makes it, or changes what is there.
    Any,
    /// Makes it, and refuses when it is there.
    New,
}

impl Put {
    /// Refuses to make what `exists`.
    pub fn check(self, noun: &'static str, name: &impl ToString, exists: bool) -> Result<()> {
        match self {
            Self::New if exists => Err(Error::Exists { noun, name: name.to_string() }),
            Self::New | Self::Any => Ok(()),
        }
    }
}
