//! Little-endian numbers, texts and arrays, under limits.

use std::io::{self, Read, Seek, SeekFrom};

use super::GgufError;

/// GGUF's type numbers of what is not a plain number.
pub(super) const STRING: u32 = 8;
pub(super) const ARRAY: u32 = 9;

/// The longest chat templates have tens of kilobytes.
const MAX_TEXT_BYTES: u64 = 1 << 20;
const MAX_KEY_BYTES: u64 = 1 << 10;
/// The largest vocabularies have a quarter of a million tokens and half a million merges.
const MAX_ITEMS: u64 = 16 << 20;

/// A value that is not an array.
pub(super) enum Scalar {
    Text(String),
    /// A whole number that is not negative.
    Number(u64),
    Other,
}

pub(super) struct Reader<R> {
    source: R,
}

impl<R: Read + Seek> Reader<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source }
    }

    pub(super) fn position(&mut self) -> Result<u64, GgufError> {
        Ok(self.source.stream_position()?)
    }

    pub(super) fn seek(&mut self, to: SeekFrom) -> Result<(), GgufError> {
        self.source.seek(to)?;
        Ok(())
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        self.source.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.bytes()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.bytes()?))
    }

    pub(super) fn text(&mut self) -> Result<String, GgufError> {
        let length = self.u64()?;
        self.text_of(length, MAX_TEXT_BYTES)
    }

    pub(super) fn key(&mut self) -> Result<String, GgufError> {
        let length = self.u64()?;
        self.text_of(length, MAX_KEY_BYTES)
    }

    fn text_of(&mut self, length: u64, limit: u64) -> Result<String, GgufError> {
        if length > limit {
            return Err(GgufError::TooLarge("length of a text"));
        }
        let mut bytes = Vec::new();
        // `take` grows with what is there, so a cut file cannot make us allocate what it only promises.
        let read = self.source.by_ref().take(length).read_to_end(&mut bytes)?;
        if read as u64 != length {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        // Vocabularies hold pieces of characters; a replacement sign is good enough to show.
        Ok(String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    pub(super) fn scalar(&mut self, kind: u32) -> Result<Scalar, GgufError> {
        let signed = |number: i64| u64::try_from(number).map_or(Scalar::Other, Scalar::Number);
        Ok(match kind {
            STRING => Scalar::Text(self.text()?),
            0 | 7 => Scalar::Number(self.bytes::<1>()?[0].into()),
            1 => signed(i8::from_le_bytes(self.bytes()?).into()),
            2 => Scalar::Number(u16::from_le_bytes(self.bytes()?).into()),
            3 => signed(i16::from_le_bytes(self.bytes()?).into()),
            4 => Scalar::Number(self.u32()?.into()),
            5 => signed(i32::from_le_bytes(self.bytes()?).into()),
            10 => Scalar::Number(self.u64()?),
            11 => signed(i64::from_le_bytes(self.bytes()?)),
            _ => {
                self.skip(width(kind)?)?;
                Scalar::Other
            }
        })
    }

    /// The type and number of the items that follow.
    pub(super) fn array_head(&mut self) -> Result<(u32, u64), GgufError> {
        let (kind, length) = (self.u32()?, self.u64()?);
        if length > MAX_ITEMS {
            return Err(GgufError::TooLarge("length of an array"));
        }
        Ok((kind, length))
    }

    /// Skips items; no real file nests arrays, so those are refused.
    pub(super) fn skip_items(&mut self, kind: u32, items: u64) -> Result<(), GgufError> {
        if kind != STRING {
            return self.skip(width(kind)? * items);
        }
        for _ in 0..items {
            let length = self.u64()?;
            if length > MAX_TEXT_BYTES {
                return Err(GgufError::TooLarge("length of a text"));
            }
            self.skip(length)?;
        }
        Ok(())
    }

    /// Reads on instead of seeking: short skips stay in the buffer, and the end of the file is noticed.
    fn skip(&mut self, length: u64) -> Result<(), GgufError> {
        let skipped = io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
        if skipped == length { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()) }
    }
}

/// The bytes of one plain number of this type.
fn width(kind: u32) -> Result<u64, GgufError> {
    match kind {
        0 | 1 | 7 => Ok(1),
        2 | 3 => Ok(2),
        4..=6 => Ok(4),
        10..=12 => Ok(8),
        ARRAY => Err(GgufError::Damaged("an array within an array")),
        _ => Err(GgufError::Damaged("a value of an unknown type")),
    }
}
