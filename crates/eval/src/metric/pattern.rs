//! What stands in a text that should not: personal data and keys, and words that hurt.
//!
//! Patterns are quick and say why. They know forms, not meanings: `docs/evaluation-metrics.md` has their precision and recall on
//! labelled texts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::limit;
use crate::Result;

mod leak;
mod toxic;

/// Something that should not be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding<K> {
    /// What it is.
    pub kind: K,
    /// Where it stands, in bytes.
    pub place: Range<usize>,
}

/// Data that a text may leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Leak {
    /// A key, a token or a private key in the form of a known issuer.
    Secret,
    /// An address for e-mail.
    Email,
    /// An account number with a right checksum (ISO 13616) and the length of its country.
    Iban,
    /// A card number of a known issuer with a right check digit (ISO/IEC 7812, Luhn).
    CreditCard,
    /// A number of the United States' social security.
    SocialSecurity,
    /// An IPv4 or IPv6 address.
    IpAddress,
    /// A telephone number.
    Phone,
}

/// How a text may hurt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Toxicity {
    /// Contempt for a group of people, or the wish that they were gone.
    Hate,
    /// The wish to harm somebody.
    Threat,
    /// A word that is there to demean a group of people.
    Slur,
    /// Words that demean the person who is spoken to.
    Insult,
    /// Coarse words.
    Profanity,
}

/// Data that a text leaks, in the order of the text; of findings that overlap the surest.
///
/// # Errors
/// [`crate::Error::Metric`] when the text is past its [`limit`].
pub fn leaks(text: &str) -> Result<Vec<Finding<Leak>>> {
    limit::text("data leakage", text)?;
    Ok(leak::find(text))
}

/// Whether and how a text hurts, in the order of [`Toxicity`].
///
/// Case, accents, digits for letters and letters set apart do not hide a word.
///
/// # Errors
/// [`crate::Error::Metric`] when the text is past its [`limit`].
pub fn toxicity(text: &str) -> Result<Vec<Toxicity>> {
    limit::text("toxicity", text)?;
    Ok(toxic::find(text))
}
