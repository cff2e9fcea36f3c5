//! JSON text on its way into a row: shared, not copied, until the row is built.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

/// JSON text, kept as the bytes it came in. Cloning shares them, so a request's body is copied once: into the row.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Payload(Bytes);

impl Payload {
    /// Above this many bytes a payload goes to a blob and the row keeps a preview.
    pub const INLINE_BYTES: usize = 64 * 1024;
    /// At most this many bytes of a payload that went to a blob stay in the row.
    pub const PREVIEW_BYTES: usize = 4 * 1024;

    /// The JSON form of `value`; `null` for what JSON cannot tell, such as a map with keys that are no strings.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        serde_json::to_vec(value).map_or_else(|_| Self(Bytes::from_static(b"null")), |json| Self(json.into()))
    }

    /// Takes bytes that are UTF-8 text; `None` when they are not.
    pub fn from_utf8(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        // Every constructor has seen text, so the fallback is never taken; the check costs less than a copy would.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The bytes of the text, shared.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is too large for a row.
    pub fn needs_blob(&self) -> bool {
        self.len() > Self::INLINE_BYTES
    }

    /// What the row keeps: all of it, or its beginning up to a character boundary when it needs a blob.
    pub fn in_row(&self) -> &str {
        let text = self.as_str();
        if self.needs_blob() { &text[..text.floor_char_boundary(Self::PREVIEW_BYTES)] } else { text }
    }
}

impl From<String> for Payload {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_ends_between_characters() {
        let text = "é".repeat(Payload::INLINE_BYTES / 2);
        assert_eq!(Payload::from(text.as_str()).in_row(), text);
        let longer = format!("x{text}");
        let preview = Payload::from(longer.as_str());
        assert!(preview.needs_blob());
        assert_eq!(preview.in_row().len(), Payload::PREVIEW_BYTES - 1);
        assert!(longer.starts_with(preview.in_row()));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(Payload::from_utf8(Bytes::from_static(b"\xff")), None);
        assert_eq!(Payload::of(&serde_json::json!({"a": [1, null]})).as_str(), r#"{"a":[1,null]}"#);
    }
}
