//! The graph: embeddings, layers of attention and feed-forward, and the mean of what comes out.

use std::fs;
use std::path::Path;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_nn::ops::softmax_last_dim;

use super::config::Config;
use super::fused::{AddNorm, Bias, BiasGelu};
use super::pack::{Pack, Run};
use crate::Error;

/// A BERT encoder without a pooler.
pub(crate) struct Encoder {
    words: Tensor,
    /// Positions with the embedding of the first segment added: a single text is all first segment.
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
}

impl Encoder {
    pub fn load(path: &Path, config: &Config) -> std::result::Result<Self, Error> {
        let wrong = |cause| Error::Weights { path: path.to_owned(), cause };
        let file = fs::read(path).map_err(|cause| Error::Read { path: path.to_owned(), cause })?;
        let weights = VarBuilder::from_buffered_safetensors(file, DType::F32, &Device::Cpu).map_err(wrong)?;
        // Models saved with a task head have everything below "bert".
        let weights = if weights.contains_tensor("bert.embeddings.word_embeddings.weight") {
            weights.pp("bert")
        } else {
            weights
        };
        Self::of(&weights, config).map_err(wrong)
    }

    fn of(weights: &VarBuilder, config: &Config) -> Result<Self> {
        let embeddings = weights.pp("embeddings");
        let table = |rows, name| embeddings.get((rows, config.width), name);
        let segment = table(config.segments, "token_type_embeddings.weight")?.get(0)?;
        Ok(Self {
            words: table(config.vocabulary, "word_embeddings.weight")?,
            positions: table(config.positions, "position_embeddings.weight")?.broadcast_add(&segment)?,
            norm: Norm::load(&embeddings.pp("LayerNorm"), None, config)?,
            layers: (0..config.layers)
                .map(|i| Layer::load(&weights.pp("encoder.layer").pp(i), config))
                .collect::<Result<_>>()?,
        })
    }

    /// Numbers for each token.
    pub fn width(&self) -> usize {
        self.norm.width
    }

    /// Layers, each of which can be the last that is computed.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// One vector of unit length for each text of a pack.
    pub fn embed(&self, pack: &Pack) -> Result<Vec<Vec<f32>>> {
        let hidden = self.hidden(pack, self.layers.len())?;
        let mut vectors = Vec::with_capacity(pack.texts.len());
        for run in &pack.runs {
            let tokens = hidden.narrow(0, run.start, run.texts * run.tokens)?;
            vectors.extend(tokens.reshape((run.texts, run.tokens, self.width()))?.mean(1)?.to_vec2::<f32>()?);
        }
        vectors.iter_mut().for_each(|vector| normalise(vector));
        Ok(vectors)
    }

    /// The vectors of all tokens of each text of a pack, token by token, after so many layers.
    pub fn tokens(&self, pack: &Pack, layers: usize) -> Result<Vec<Vec<f32>>> {
        let hidden = self.hidden(pack, layers)?;
        let of_text = |run: &Run, text: usize| {
            hidden.narrow(0, run.start + text * run.tokens, run.tokens)?.flatten_all()?.to_vec1::<f32>()
        };
        pack.runs.iter().flat_map(|run| (0..run.texts).map(move |text| of_text(run, text))).collect()
    }

    /// What all tokens of a pack are after so many layers: `[tokens, width]`.
    fn hidden(&self, pack: &Pack, layers: usize) -> Result<Tensor> {
        let count = pack.ids.len();
        let ids = Tensor::from_slice(&pack.ids, count, &Device::Cpu)?;
        let positions = Tensor::from_slice(&pack.positions, count, &Device::Cpu)?;
        let hidden = self.words.index_select(&ids, 0)?;
        self.norm.add_and_norm(&hidden, &self.positions.index_select(&positions, 0)?)?;
        self.layers[..layers].iter().try_fold(hidden, |hidden, layer| layer.forward(&hidden, &pack.runs))
    }
}

/// Scales a vector to unit length.
fn normalise(vector: &mut [f32]) {
    // PyTorch's `normalize` divides by at least this, so that zero stays zero.
    const LEAST: f32 = 1e-12;
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(LEAST);
    vector.iter_mut().for_each(|x| *x /= length);
}

/// One transformer layer, normalised after each half as in the original BERT.
struct Layer {
    heads: usize,
    /// Queries, keys and values of all heads in one product. Queries are already scaled by 1/√d.
    into_heads: Linear,
    out_of_heads: Linear,
    attention_norm: Norm,
    widen: Linear,
    narrow: Linear,
    output_norm: Norm,
}

impl Layer {
    fn load(weights: &VarBuilder, config: &Config) -> Result<Self> {
        let (width, inner) = (config.width, config.inner);
        let out_of_heads = Linear::load(&weights.pp("attention.output.dense"), width, width)?;
        let narrow = Linear::load(&weights.pp("output.dense"), inner, width)?;
        Ok(Self {
            heads: config.heads,
            into_heads: heads_of(&weights.pp("attention.self"), config)?,
            attention_norm: Norm::load(&weights.pp("attention.output.LayerNorm"), Some(&out_of_heads.bias), config)?,
            out_of_heads,
            widen: Linear::load(&weights.pp("intermediate.dense"), width, inner)?,
            output_norm: Norm::load(&weights.pp("output.LayerNorm"), Some(&narrow.bias), config)?,
            narrow,
        })
    }

    /// `hidden` is `[tokens, width]`, and so is the result.
    fn forward(&self, hidden: &Tensor, runs: &[Run]) -> Result<Tensor> {
        let attended = self.out_of_heads.product(&self.attend(hidden, runs)?)?;
        self.attention_norm.add_and_norm(&attended, hidden)?;
        let wide = self.widen.product(&attended)?;
        wide.inplace_op2(&self.widen.bias, &BiasGelu)?;
        let output = self.narrow.product(&wide)?;
        self.output_norm.add_and_norm(&output, &attended)?;
        Ok(output)
    }

    fn attend(&self, hidden: &Tensor, runs: &[Run]) -> Result<Tensor> {
        let heads = self.into_heads.product(hidden)?;
        heads.inplace_op2(&self.into_heads.bias, &Bias)?;
        let of_runs = runs.iter().map(|run| self.attend_run(&heads, *run)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&of_runs, 0)
    }

    /// Attention within each text of a run: softmax(q kᵀ) v, head by head.
    fn attend_run(&self, heads: &Tensor, run: Run) -> Result<Tensor> {
        let width = heads.dim(D::Minus1)? / 3;
        let shape = (run.texts, run.tokens, 3, self.heads, width / self.heads);
        let heads = heads
            .narrow(0, run.start, run.texts * run.tokens)?
            .reshape(shape)?
            .permute((2, 0, 3, 1, 4))?
            .contiguous()?;
        let (queries, keys, values) = (heads.get(0)?, heads.get(1)?, heads.get(2)?);
        let weights = softmax_last_dim(&queries.matmul(&keys.t()?)?)?;
        weights.matmul(&values)?.transpose(1, 2)?.reshape((run.texts * run.tokens, width))
    }
}

/// The three projections into heads, stacked, with the scale of the dot product folded into the queries.
fn heads_of(weights: &VarBuilder, config: &Config) -> Result<Linear> {
    let [query, key, value] =
        ["query", "key", "value"].map(|name| Linear::load(&weights.pp(name), config.width, config.width));
    let (query, key, value) = (query?, key?, value?);
    let scale = ((config.width / config.heads) as f64).powf(-0.5);
    Ok(Linear {
        weight: Tensor::cat(&[&(query.weight * scale)?, &key.weight, &value.weight], 1)?,
        bias: Tensor::cat(&[&(query.bias * scale)?, &key.bias, &value.bias], 0)?,
    })
}

/// `x W + b`, where the bias is added by whatever comes next.
struct Linear {
    /// `[in, out]`, the transpose of what is stored.
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn load(weights: &VarBuilder, from: usize, to: usize) -> Result<Self> {
        Ok(Self { weight: weights.get((to, from), "weight")?.t()?.contiguous()?, bias: weights.get(to, "bias")? })
    }

    fn product(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight)
    }
}

/// Layer norm after a residual: `norm(x + bias + residual)`, where the bias is that of the projection that made `x`.
struct Norm {
    width: usize,
    /// Three rows: the bias, the scale and the shift.
    rows: Tensor,
    op: AddNorm,
}

impl Norm {
    fn load(weights: &VarBuilder, bias: Option<&Tensor>, config: &Config) -> Result<Self> {
        let (scale, shift) = (weights.get(config.width, "weight")?, weights.get(config.width, "bias")?);
        let bias = bias.map_or_else(|| scale.zeros_like(), |bias| Ok(bias.clone()))?;
        Ok(Self {
            width: config.width,
            rows: Tensor::stack(&[bias, scale, shift], 0)?,
            op: AddNorm { epsilon: config.norm_epsilon as f32 },
        })
    }

    /// Overwrites `x`.
    fn add_and_norm(&self, x: &Tensor, residual: &Tensor) -> Result<()> {
        x.inplace_op3(residual, &self.rows, &self.op)
    }
}
