//! The metrics of the field, as functions of texts and numbers: what others call BLEU, ROUGE or perplexity, to the digit.
//!
//! Each has its reference implementation, named where it stands and compared in `parity/metrics.py`; `docs/evaluation-metrics.md`
//! has the list. Those with statistics over many texts have a type for them that can be added up, so that a corpus is scored in
//! parts, on threads, and again after a crash.
//!
//! Reading order: [`limit`] → overlap with references: [`tokeniser`] → [`bleu`], [`chrf`], [`ter`] → [`porter`] → [`rouge`],
//! [`wordnet`] → [`meteor`], [`edit`], [`bert_score`] → without references: [`readability`], [`pattern`] → of numbers:
//! [`pass_at_k`], [`perplexity`], [`classification`].
//!
//! Deliberately absent: models. Log-probabilities and embeddings of tokens are given by whoever has them.

pub mod limit;

pub mod tokeniser;

pub mod bleu;
pub mod chrf;
pub mod ter;

pub mod porter;
pub mod rouge;

pub mod meteor;
pub mod wordnet;

pub mod bert_score;
pub mod edit;

pub mod pattern;
pub mod readability;

pub mod classification;
pub mod pass_at_k;
pub mod perplexity;

mod category;
mod lcs;
mod ngram;
#[cfg(test)]
pub(crate) mod reference;
mod vocabulary;

pub use bert_score::BertScore;
pub use bleu::Bleu;
pub use chrf::Chrf;
pub use meteor::Meteor;
pub use rouge::Rouge;
pub use ter::Ter;
pub use tokeniser::Tokeniser;
pub use wordnet::WordNet;
