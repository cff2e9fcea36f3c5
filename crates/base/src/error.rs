//! Why a text is not the value it should be.

/// A text that could not be read as one of this crate's types.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An identifier in a wrong form.
    #[error("{text:?} is not a {what}: {expected}")]
    Id { what: &'static str, text: String, expected: &'static str },
    /// A name that breaks its rule.
    #[error("{text:?} is not a {what}: {rule}")]
    Name { what: &'static str, text: String, rule: &'static str },
    /// A time that is not RFC 3339, or lies outside the years 1678 to 2262 that 64-bit nanoseconds hold.
    #[error("{text:?} is not a time: write RFC 3339, as in 2026-01-31T12:00:00Z, between 1678 and 2262")]
    Time { text: String },
    /// A stretch of the calendar that is none.
    #[error("{text:?} is not a period: use day, week or month")]
    Period { text: String },
    /// A word that is none of a closed set.
    #[error("{text:?} is not a {what}: use one of {words}")]
    Word { what: &'static str, text: String, words: String },
    /// A time range that ends before it starts.
    #[error("a time range ends before it starts: from {from} to {to}")]
    Range { from: crate::Timestamp, to: crate::Timestamp },
}

impl Error {
    /// At most this many characters of a refused text are repeated in the error.
    const QUOTED_CHARS: usize = 80;

    pub(crate) fn id(what: &'static str, text: &str, expected: &'static str) -> Self {
        Self::Id { what, text: Self::shorten(text), expected }
    }

    pub(crate) fn name(what: &'static str, text: &str, rule: &'static str) -> Self {
        Self::Name { what, text: Self::shorten(text), rule }
    }

    pub(crate) fn time(text: &str) -> Self {
        Self::Time { text: Self::shorten(text) }
    }

    pub(crate) fn period(text: &str) -> Self {
        Self::Period { text: Self::shorten(text) }
    }

    /// For [`crate::words!`], which stands in other crates.
    #[doc(hidden)]
    pub fn word(what: &'static str, text: &str, words: &[&str]) -> Self {
        Self::Word { what, text: Self::shorten(text), words: words.join(", ") }
    }

    fn shorten(text: &str) -> String {
        text.chars().take(Self::QUOTED_CHARS).collect()
    }
}
