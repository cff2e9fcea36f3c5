//! An answer that must match a grammar: which tokens may come next.

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;

use crate::error::{Error, Result};

/// The state of llama.cpp's grammar matcher after the tokens accepted so far.
pub(crate) struct Constraint {
    matcher: LlamaSampler,
    scratch: LlamaTokenDataArray,
}

impl Constraint {
    /// Starts matching `gbnf` from its rule `root`.
    pub fn new(model: &LlamaModel, gbnf: &str) -> Result<Self> {
        let matcher =
            LlamaSampler::grammar(model, gbnf, "root").map_err(|error| Error::backend("reading a grammar", error))?;
        Ok(Self { matcher, scratch: LlamaTokenDataArray::new(Vec::new(), false) })
    }

    /// Whether the token may come next. An end-of-answer token may when the grammar is complete.
    pub fn allows(&mut self, token: LlamaToken) -> bool {
        let mut allowed = false;
        self.filter(&[(token, 0.0)], |_, _| allowed = true);
        allowed
    }

    /// Calls `keep` for each candidate that may come next, in order. One call for many tokens is far
    /// cheaper than many calls, since the matcher walks the grammar once.
    pub fn filter(&mut self, candidates: &[(LlamaToken, f32)], mut keep: impl FnMut(LlamaToken, f32)) {
        self.scratch.data.clear();
        self.scratch.data.extend(candidates.iter().map(|(token, logit)| LlamaTokenData::new(*token, *logit, 0.0)));
        self.scratch.sorted = false;
        self.scratch.selected = None;
        self.scratch.apply_sampler(&mut self.matcher);
        for data in &self.scratch.data {
            if data.logit() != f32::NEG_INFINITY {
                keep(data.id(), data.logit());
            }
        }
    }

    /// Takes a token that [`Constraint::allows`] and that does not end the answer: llama.cpp throws through
    /// the C interface on any other.
    pub fn accept(&mut self, token: LlamaToken) {
        self.matcher.accept(token);
    }
}
