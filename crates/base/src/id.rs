//! Identifiers: UUIDv7 for what we create (RFC 9562, so that they sort by time), W3C ids for traces and spans.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::Error;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new identifier, later in order than those made before it.
            #[expect(clippy::new_without_default, reason = "a default that differs each time would surprise")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The identifier as a UUID.
            pub fn as_uuid(&self) -> &Uuid {
                &self.0
            }

            /// Takes a UUID that was made elsewhere.
            pub fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                Uuid::parse_str(text).map(Self).map_err(|_| Error::id($what, text, "a UUID is 32 hexadecimal digits in five groups"))
            }
        }
    };
}

uuid_id!(
    /// One project: the unit that keys, artifacts and traces belong to.
    ProjectId,
    "project id"
);
uuid_id!(
    /// One API key; never the secret itself.
    KeyId,
    "key id"
);
uuid_id!(
    /// One durable job.
    JobId,
    "job id"
);
uuid_id!(
    /// One immutable version of an artifact.
    VersionId,
    "version id"
);
uuid_id!(
    /// One comment on a version of an artifact.
    CommentId,
    "comment id"
);
uuid_id!(
    /// One sealed Parquet file of the lake.
    SegmentId,
    "segment id"
);
uuid_id!(
    /// One score of a trace or a span.
    ScoreId,
    "score id"
);
uuid_id!(
    /// One rule that alerts.
    AlertId,
    "alert id"
);
uuid_id!(
    /// One change of how an alert stands; on the way to receivers it is the message's id.
    AlertEventId,
    "alert event id"
);
uuid_id!(
    /// One silence.
    SilenceId,
    "silence id"
);
uuid_id!(
    /// One request to the API, as told in `x-request-id`.
    RequestId,
    "request id"
);

macro_rules! w3c_id {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $what:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; $bytes]);

        impl $name {
            /// A random, non-zero identifier.
            pub fn random() -> Self {
                loop {
                    let bytes: [u8; $bytes] = rand::random();
                    if let Some(id) = Self::from_bytes(bytes) {
                        return id;
                    }
                }
            }

            /// The identifier in these bytes; `None` when all are zero, which W3C Trace Context calls invalid.
            pub fn from_bytes(bytes: [u8; $bytes]) -> Option<Self> {
                (bytes != [0; $bytes]).then_some(Self(bytes))
            }

            /// The bytes, in the order of the hexadecimal text.
            pub fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(f, &self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let mut bytes = [0; $bytes];
                read_hex(text, &mut bytes)
                    .and_then(|()| Self::from_bytes(bytes))
                    .ok_or_else(|| Error::id($what, text, $expected))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

w3c_id!(
    /// One trace: what happened for one request, wherever it went (W3C Trace Context, `trace-id`).
    TraceId,
    16,
    "trace id",
    "32 lower-case hexadecimal digits, not all zero"
);
w3c_id!(
    /// One span of a trace (W3C Trace Context, `parent-id`).
    SpanId,
    8,
    "span id",
    "16 lower-case hexadecimal digits, not all zero"
);

/// Writes `bytes` as lower-case hexadecimal digits.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0_u8; 64];
    for chunk in bytes.chunks(32) {
        for (i, byte) in chunk.iter().enumerate() {
            text[2 * i] = DIGITS[usize::from(byte >> 4)];
            text[2 * i + 1] = DIGITS[usize::from(byte & 15)];
        }
        // The digits are ASCII, so this cannot fail.
        f.write_str(std::str::from_utf8(&text[..2 * chunk.len()]).map_err(|_| fmt::Error)?)?;
    }
    Ok(())
}

/// Reads exactly `2 * bytes.len()` lower-case hexadecimal digits; `None` for anything else.
pub(crate) fn read_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_the_w3c_specification_is_read() {
        let id: TraceId = "4bf92f3577b34da6a3ce929d0e0e4736".parse().unwrap();
        assert_eq!(id.as_bytes()[..3], [0x4b, 0xf9, 0x2f]);
        assert_eq!(id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[test]
    fn wrong_forms_are_refused() {
        for text in [
            "",
            "0",
            "00000000000000000000000000000000",
            "4BF92F3577B34DA6A3CE929D0E0E4736",
            "4bf92f3577b34da6a3ce929d0e0e473",
            "zzf92f3577b34da6a3ce929d0e0e4736",
        ] {
            assert!(text.parse::<TraceId>().is_err(), "{text}");
        }
        assert!("not a uuid".parse::<JobId>().is_err());
    }

    #[test]
    fn identifiers_made_later_sort_later() {
        let ids: Vec<_> = (0..1000).map(|_| JobId::new()).collect();
        assert!(ids.is_sorted());
    }

    proptest! {
        #[test]
        fn a_span_id_survives_its_text(bytes: [u8; 8]) {
            if let Some(id) = SpanId::from_bytes(bytes) {
                prop_assert_eq!(id.to_string().parse::<SpanId>().unwrap(), id);
            }
        }
    }
}
