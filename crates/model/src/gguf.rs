//! What a GGUF file says of itself: a small reader of its head that trusts nothing in it.
//!
//! Layout and names follow the GGUF specification of the ggml project (versions 2 and 3, little-endian). Only
//! the head is read: key-value pairs and tensor descriptions, never weights. Every length in the file is
//! checked against a limit before anything is allocated or skipped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

mod quantisation;
mod reader;

use quantisation::{file_type_name, tensor_type_name};
use reader::{Reader, Scalar};

/// What the head of a GGUF file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GgufHead {
    /// `llama`, `gemma3`, `qwen2`, …
    pub architecture: String,
    /// The publisher's name of the model.
    pub name: Option<String>,
    /// The publisher's licence, as an SPDX id or a word.
    pub licence: Option<String>,
    /// Tokens of context that the model was trained on.
    pub context_length: Option<u64>,
    /// The width of its hidden state.
    pub embedding_length: Option<u64>,
    /// Layers.
    pub block_count: Option<u64>,
    /// Numbers in all its tensors.
    pub parameter_count: u64,
    /// How most of its weights are stored: `Q4_1`, `Q4_K_M`, `F16`, …
    pub quantisation: String,
    /// Its Jinja chat template; a base model has none.
    pub chat_template: Option<String>,
    /// The text of the token that begins a text.
    pub bos_token: Option<String>,
    /// The text of the token that ends one.
    pub eos_token: Option<String>,
}

/// Why a file is not taken for a GGUF model.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// It could not be read.
    #[error("reading it")]
    Io(#[from] std::io::Error),
    /// It begins with something else.
    #[error("it is no GGUF file")]
    Magic,
    /// A version that we do not know, or a big-endian file.
    #[error("it is GGUF version {0}; versions 2 and 3, little-endian, are read")]
    Version(u32),
    /// A field that cannot be.
    #[error("its head is damaged: {0}")]
    Damaged(&'static str),
    /// A field beyond every real file.
    #[error("its head exceeds a limit: {0}")]
    TooLarge(&'static str),
}

/// Real files have some dozens of keys and up to some thousands of tensors.
const MAX_KEYS: u64 = 4_096;
const MAX_TENSORS: u64 = 65_536;
/// ggml allows four.
const MAX_DIMENSIONS: u32 = 8;

/// Reads the head of the file at `path`.
///
/// # Errors
/// Every [`GgufError`].
pub fn read_file(path: &Path) -> Result<GgufHead, GgufError> {
    read(BufReader::with_capacity(1 << 16, File::open(path)?))
}

/// Reads the head of a GGUF file from its beginning.
///
/// # Errors
/// Every [`GgufError`].
pub fn read(source: impl Read + Seek) -> Result<GgufHead, GgufError> {
    let mut reader = Reader::new(source);
    let (tensors, keys) = read_counts(&mut reader)?;
    let mut fields = Fields::default();
    for _ in 0..keys {
        fields.read_one(&mut reader)?;
    }
    let weights = read_tensors(&mut reader, tensors)?;
    let bos_token = fields.token(&mut reader, "tokenizer.ggml.bos_token_id")?;
    let eos_token = fields.token(&mut reader, "tokenizer.ggml.eos_token_id")?;
    let head = fields.into_head(weights)?;
    Ok(GgufHead { bos_token, eos_token, ..head })
}

fn read_counts<R: Read + Seek>(reader: &mut Reader<R>) -> Result<(u64, u64), GgufError> {
    if reader.bytes::<4>()? != *b"GGUF" {
        return Err(GgufError::Magic);
    }
    let version = reader.u32()?;
    if !matches!(version, 2 | 3) {
        return Err(GgufError::Version(version));
    }
    let (tensors, keys) = (reader.u64()?, reader.u64()?);
    if tensors > MAX_TENSORS {
        return Err(GgufError::TooLarge("number of tensors"));
    }
    if keys > MAX_KEYS {
        return Err(GgufError::TooLarge("number of keys"));
    }
    Ok((tensors, keys))
}

/// The key-value pairs that are kept: single values, and where the vocabulary lies.
#[derive(Default)]
struct Fields {
    scalars: BTreeMap<String, Scalar>,
    vocabulary: Option<Vocabulary>,
}

/// Where the texts of the tokens are, to read two of them later instead of keeping a hundred thousand.
#[derive(Clone, Copy)]
struct Vocabulary {
    offset: u64,
    tokens: u64,
}

impl Fields {
    fn read_one<R: Read + Seek>(&mut self, reader: &mut Reader<R>) -> Result<(), GgufError> {
        let key = reader.key()?;
        let kind = reader.u32()?;
        if kind != reader::ARRAY {
            self.scalars.insert(key, reader.scalar(kind)?);
            return Ok(());
        }
        let (kind, length) = reader.array_head()?;
        if key == "tokenizer.ggml.tokens" && kind == reader::STRING {
            self.vocabulary = Some(Vocabulary { offset: reader.position()?, tokens: length });
        }
        reader.skip_items(kind, length)
    }

    fn text(&self, key: &str) -> Option<String> {
        match self.scalars.get(key)? {
            Scalar::Text(text) => Some(text.clone()),
            Scalar::Number(_) | Scalar::Other => None,
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        match self.scalars.get(key)? {
            Scalar::Number(number) => Some(*number),
            Scalar::Text(_) | Scalar::Other => None,
        }
    }

    /// The text of the token whose id is at `key`.
    fn token<R: Read + Seek>(&self, reader: &mut Reader<R>, key: &str) -> Result<Option<String>, GgufError> {
        let (Some(id), Some(vocabulary)) = (self.number(key), self.vocabulary) else { return Ok(None) };
        if id >= vocabulary.tokens {
            return Ok(None);
        }
        reader.seek(SeekFrom::Start(vocabulary.offset))?;
        reader.skip_items(reader::STRING, id)?;
        reader.text().map(Some)
    }

    fn into_head(self, weights: Weights) -> Result<GgufHead, GgufError> {
        let architecture = self.text("general.architecture").ok_or(GgufError::Damaged("no general.architecture"))?;
        let of = |field: &str| self.number(&format!("{architecture}.{field}"));
        Ok(GgufHead {
            name: self.text("general.name"),
            licence: self.text("general.license"),
            context_length: of("context_length"),
            embedding_length: of("embedding_length"),
            block_count: of("block_count"),
            parameter_count: weights.parameters,
            quantisation: self.quantisation(&weights),
            chat_template: self.text("tokenizer.chat_template"),
            bos_token: None,
            eos_token: None,
            architecture,
        })
    }

    fn quantisation(&self, weights: &Weights) -> String {
        let named = self.number("general.file_type").and_then(file_type_name);
        named.map_or_else(|| weights.most_common_type(), str::to_owned)
    }
}

/// How many numbers there are, and how many of each type.
#[derive(Default)]
struct Weights {
    parameters: u64,
    by_type: BTreeMap<u32, u64>,
}

impl Weights {
    fn most_common_type(&self) -> String {
        let most = self.by_type.iter().max_by_key(|(_, parameters)| **parameters);
        most.map_or_else(|| "none".into(), |(kind, _)| tensor_type_name(*kind))
    }
}

fn read_tensors<R: Read + Seek>(reader: &mut Reader<R>, tensors: u64) -> Result<Weights, GgufError> {
    let mut weights = Weights::default();
    for _ in 0..tensors {
        reader.key()?;
        let parameters = read_shape(reader)?;
        let kind = reader.u32()?;
        let _offset = reader.u64()?;
        weights.parameters =
            weights.parameters.checked_add(parameters).ok_or(GgufError::TooLarge("number of parameters"))?;
        *weights.by_type.entry(kind).or_default() += parameters;
    }
    Ok(weights)
}

fn read_shape<R: Read + Seek>(reader: &mut Reader<R>) -> Result<u64, GgufError> {
    let dimensions = reader.u32()?;
    if dimensions > MAX_DIMENSIONS {
        return Err(GgufError::TooLarge("dimensions of a tensor"));
    }
    let mut parameters = 1_u64;
    for _ in 0..dimensions {
        parameters = parameters.checked_mul(reader.u64()?).ok_or(GgufError::TooLarge("size of a tensor"))?;
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend((text.len() as u64).to_le_bytes());
        out.extend(text.as_bytes());
    }

    fn pair(out: &mut Vec<u8>, key: &str, kind: u32, value: &[u8]) {
        text(out, key);
        out.extend(kind.to_le_bytes());
        out.extend(value);
    }

    /// A file made by hand from the specification's layout: two tensors, four keys.
    fn sample() -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend(2_u64.to_le_bytes());
        file.extend(4_u64.to_le_bytes());
        let mut llama = Vec::new();
        text(&mut llama, "llama");
        pair(&mut file, "general.architecture", 8, &llama);
        pair(&mut file, "llama.context_length", 4, &2048_u32.to_le_bytes());
        pair(&mut file, "tokenizer.ggml.eos_token_id", 4, &1_u32.to_le_bytes());
        let mut tokens = 8_u32.to_le_bytes().to_vec();
        tokens.extend(2_u64.to_le_bytes());
        text(&mut tokens, "<s>");
        text(&mut tokens, "</s>");
        pair(&mut file, "tokenizer.ggml.tokens", 9, &tokens);
        for (name, shape, kind) in [("a", vec![32_u64, 3], 2_u32), ("b", vec![5], 0)] {
            text(&mut file, name);
            file.extend((shape.len() as u32).to_le_bytes());
            shape.iter().for_each(|side| file.extend(side.to_le_bytes()));
            file.extend(kind.to_le_bytes());
            file.extend(0_u64.to_le_bytes());
        }
        file
    }

    #[test]
    fn a_file_made_by_hand() {
        let head = read(Cursor::new(sample())).unwrap();
        let expected = GgufHead {
            architecture: "llama".into(),
            context_length: Some(2048),
            parameter_count: 32 * 3 + 5,
            quantisation: "Q4_0".into(),
            eos_token: Some("</s>".into()),
            ..GgufHead::default()
        };
        assert_eq!(head, expected);
    }

    #[test]
    fn what_is_no_gguf_is_told_apart() {
        assert!(matches!(read(Cursor::new(b"PK\x03\x04 and so on")), Err(GgufError::Magic)));
        let mut old = sample();
        old[4] = 1;
        assert!(matches!(read(Cursor::new(old)), Err(GgufError::Version(1))));
        let mut many = sample();
        many[8..16].fill(0xff);
        assert!(matches!(read(Cursor::new(many)), Err(GgufError::TooLarge(_))));
    }

    proptest::proptest! {
        /// Bytes after a valid beginning, and damage anywhere in a valid file, end in an answer, not a panic,
        /// and never in an allocation that the file's own size does not justify.
        #[test]
        fn garbage_is_survived(tail: Vec<u8>) {
            let mut file = sample();
            file.truncate(8);
            file.extend(tail);
            let _ = read(Cursor::new(file));
        }

        #[test]
        fn damage_is_survived(at in 0_usize..300, byte: u8) {
            let mut file = sample();
            let at = at % file.len();
            file[at] = byte;
            let _ = read(Cursor::new(file));
        }

        #[test]
        fn a_cut_file_is_an_error(keep in 0_usize..300) {
            let mut file = sample();
            let keep = keep % file.len();
            file.truncate(keep);
            proptest::prop_assert!(read(Cursor::new(file)).is_err());
        }
    }
}
