//! Embeddings of sentences and of their tokens with a BERT encoder.
//!
//! The architecture is that of Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language
//! Understanding" (2019); the mean over all tokens, normalised to unit length, is that of Reimers and Gurevych,
//! "Sentence-BERT" (2019). `all-MiniLM-L6-v2` is such a model.
//!
//! Measured on one core (AVX2, no AVX-512) with questions of 58 tokens: 57 to 61 texts a second, which is 70 GFLOP/s;
//! PyTorch 2.15 with the same weights and batches sorted by length made 44. Nine tenths of the time go into matrix
//! products near the processor's peak, so what is left to win is fewer bits or a wider processor.
//!
//! Reading order: [`Embedder`], then `config` → `pack` → `encoder` → `fused`.

mod config;
mod encoder;
mod fused;
mod pack;

use std::path::Path;

use rayon::prelude::*;
use tokenizers::Tokenizer;

use crate::Error;
use config::Config;
use encoder::Encoder;
use pack::{Pack, packs};

/// Tokens that are computed together at most: enough for matrix products at full speed, and few enough that their
/// activations stay in the cache.
const PACK_TOKENS: usize = 1_024;
/// Fewer tokens than this are not worth a second thread.
const LEAST_PACK_TOKENS: usize = 64;

/// Turns texts into vectors. It has no mutable state, so one serves all threads.
pub struct Embedder {
    tokenizer: Tokenizer,
    encoder: Encoder,
    limit: usize,
}

/// The embeddings of some texts, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedded {
    /// One vector of unit length for each text.
    pub vectors: Vec<Vec<f32>>,
    /// The tokens that each text was read as, the two that frame it included.
    pub tokens: Vec<usize>,
}

/// One text, token by token, those that mark its beginning and end among them.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// Which tokens.
    pub ids: Vec<u32>,
    /// `[tokens, width]`: the vector of each, as it comes out of a layer.
    pub vectors: Vec<f32>,
}

impl Embedder {
    /// Loads a model from a folder with `config.json`, `tokenizer.json` and `model.safetensors`.
    ///
    /// Its texts may have as many tokens as `max_seq_length` in `sentence_bert_config.json` says; without that file, as
    /// many as there are positions.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Config`], [`Error::Unsupported`], [`Error::Tokenizer`] or [`Error::Weights`], naming
    /// the file.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let config = Config::load(dir)?;
        let tokenizer = load_tokenizer(&dir.join("tokenizer.json"))?;
        let encoder = Encoder::load(&dir.join("model.safetensors"), &config)?;
        Ok(Self { tokenizer, encoder, limit: config.max_tokens })
    }

    /// Numbers in each vector.
    pub fn dimensions(&self) -> usize {
        self.encoder.width()
    }

    /// Layers, which [`Embedder::encode`] counts from 1.
    pub fn layers(&self) -> usize {
        self.encoder.layers()
    }

    /// Tokens that a text may have, the two that frame it included.
    pub fn max_tokens(&self) -> usize {
        self.limit
    }

    /// Embeds texts. A text that is too long is cut at the end when `truncate` says so.
    ///
    /// The work is spread over the threads of the current rayon pool; call it where blocking is allowed.
    ///
    /// # Errors
    /// [`Error::TooLong`] for the first text that is too long and may not be cut; [`Error::Tokenize`] or
    /// [`Error::Compute`] when the computation fails.
    pub fn embed(&self, texts: &[String], truncate: bool) -> Result<Embedded, Error> {
        let ids = self.tokenize(texts, truncate)?;
        let vectors = compute(&ids, |pack| self.encoder.embed(pack))?;
        Ok(Embedded { vectors, tokens: ids.iter().map(Vec::len).collect() })
    }

    /// The vectors of all tokens of each text, as they come out of a layer; of the last one when none is said. A text that is too long is
    /// cut at the end.
    ///
    /// It holds a vector for each token at once: whoever has many texts asks with a few at a time.
    ///
    /// # Errors
    /// [`Error::Layer`] for a layer that there is not, [`Error::Tokenize`] or [`Error::Compute`] when the computation fails.
    pub fn encode(&self, texts: &[String], layer: Option<usize>) -> Result<Vec<Encoded>, Error> {
        let (layers, layer) = (self.layers(), layer.unwrap_or(self.layers()));
        if !(1..=layers).contains(&layer) {
            return Err(Error::Layer { layer, layers });
        }
        let ids = self.tokenize(texts, true)?;
        let vectors = compute(&ids, |pack| self.encoder.tokens(pack, layer))?;
        Ok(ids.into_iter().zip(vectors).map(|(ids, vectors)| Encoded { ids, vectors }).collect())
    }

    /// The tokens of each text, as [`Embedder::encode`] reads it.
    ///
    /// # Errors
    /// [`Error::Tokenize`].
    pub fn tokens(&self, texts: &[String]) -> Result<Vec<Vec<u32>>, Error> {
        self.tokenize(texts, true)
    }

    /// Counts the tokens of a text, the two that frame it included, however long it is.
    ///
    /// # Errors
    /// [`Error::Tokenize`].
    pub fn count(&self, text: &str) -> Result<usize, Error> {
        Ok(self.tokenizer.encode_fast(text, true).map_err(Error::Tokenize)?.len())
    }

    fn tokenize(&self, texts: &[String], truncate: bool) -> Result<Vec<Vec<u32>>, Error> {
        let one = |(index, text): (usize, &String)| {
            let encoding = self.tokenizer.encode_fast(text.as_str(), true).map_err(Error::Tokenize)?;
            self.fit(index, encoding.get_ids(), truncate)
        };
        texts.par_iter().enumerate().map(one).collect()
    }

    /// The tokens of one text, cut so that the last is still the one that ends a text.
    fn fit(&self, index: usize, ids: &[u32], truncate: bool) -> Result<Vec<u32>, Error> {
        if ids.len() <= self.limit {
            return Ok(ids.to_vec());
        }
        if !truncate {
            return Err(Error::TooLong { index, tokens: ids.len(), limit: self.limit });
        }
        Ok(ids[..self.limit - 1].iter().chain(ids.last()).copied().collect())
    }
}

fn load_tokenizer(path: &Path) -> Result<Tokenizer, Error> {
    let wrong = |cause| Error::Tokenizer { path: path.to_owned(), cause };
    let mut tokenizer = Tokenizer::from_file(path).map_err(wrong)?;
    // The file asks for padding and cutting at 128 tokens; texts are packed without padding and cut at the model's limit.
    tokenizer.with_padding(None).with_truncation(None).map_err(wrong)?;
    Ok(tokenizer)
}

/// Computes something of each text, given by its tokens, on all threads.
fn compute(
    ids: &[Vec<u32>],
    of_pack: impl Fn(&Pack) -> candle_core::Result<Vec<Vec<f32>>> + Sync,
) -> Result<Vec<Vec<f32>>, Error> {
    let total: usize = ids.iter().map(Vec::len).sum();
    let budget = total.div_ceil(rayon::current_num_threads()).clamp(LEAST_PACK_TOKENS, PACK_TOKENS);
    let packs = packs(ids, budget);
    let computed: Vec<_> =
        packs.par_iter().map(|pack| of_pack(pack)).collect::<Result<_, _>>().map_err(Error::Compute)?;
    Ok(in_order_of_texts(ids.len(), &packs, computed))
}

fn in_order_of_texts(count: usize, packs: &[Pack], embedded: Vec<Vec<Vec<f32>>>) -> Vec<Vec<f32>> {
    let mut vectors = vec![Vec::new(); count];
    for (pack, of_pack) in packs.iter().zip(embedded) {
        for (&text, vector) in pack.texts.iter().zip(of_pack) {
            vectors[text] = vector;
        }
    }
    vectors
}
