//! One way to say that something is too large.

use crate::{Error, Result};

/// Refuses more than `limit` bytes.
pub(crate) fn bytes(what: &'static str, size: usize, limit: usize) -> Result<()> {
    check(what, size, limit, "bytes")
}

/// Refuses more than `limit` of something that is counted.
pub(crate) fn count(what: &'static str, size: usize, limit: usize) -> Result<()> {
    check(what, size, limit, "of them")
}

fn check(what: &'static str, size: usize, limit: usize, unit: &'static str) -> Result<()> {
    if size <= limit { Ok(()) } else { Err(Error::TooLarge { what, size: size as u64, limit: limit as u64, unit }) }
}

/// Refuses a text that is empty, longer than `limit` bytes, or holds control characters.
pub(crate) fn text(what: &'static str, text: &str, limit: usize) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::invalid(what, "must not be empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(what, "must not hold control characters"));
    }
    bytes(what, text.len(), limit)
}

/// The longest beginning of `text` that has at most `limit` bytes and ends between two characters.
pub(crate) fn shorten(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        assert_eq!(shorten("né", 2), "n");
        assert_eq!(shorten("né", 3), "né");
        assert_eq!(shorten("né", 99), "né");
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        assert!(bytes("payload", 8, 8).is_ok());
        let refused = bytes("payload", 9, 8).unwrap_err().to_string();
        assert_eq!(refused, "payload is 9 bytes, at most 8 are kept");
        assert!(text("name", " ", 8).is_err() && text("name", "a\nb", 8).is_err() && text("name", "a b", 8).is_ok());
    }
}
