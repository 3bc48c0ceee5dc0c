//! What a training pass holds of a model, byte by byte as the operations in `torch/ops` and `torch/native` keep it: the
//! tensors that they save for backward, each counted once where two save the same.
//!
//! Shapes as in [`super`], N tokens of all rows together; widths `q = H·P`, `k = K·P`, F `ffn_hidden_dim`.

mod held;
mod kept;
mod passing;

pub use held::Held;

use super::{LoraOptions, flops};
use crate::config::{ModelConfig, Recompute};
use tch::Kind;

/// Bytes of an fp32 number.
const FP32: u64 = 4;

/// Which form of the operations runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operations {
    /// One kernel each, on the CPU.
    Fused,
    /// Torch's own one after another, on a GPU: they save what is between them, too.
    Composed,
}

/// How tokens lie in rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A row is one text.
    Whole,
    /// A row holds several, each attended to by itself, and their results put together.
    Packed,
}

/// A model in training.
#[derive(Debug, Clone, PartialEq)]
pub struct Footprint {
    /// Its shape.
    pub config: ModelConfig,
    /// Adapters; the weights below them are frozen.
    pub lora: Option<LoraOptions>,
    /// Kind of the activations.
    pub compute: Kind,
    /// Kind of the weights that are trained and of their gradients; adapters are fp32.
    pub trained: Kind,
    /// The form of its operations.
    pub operations: Operations,
    /// Its rows.
    pub rows: RowKind,
    /// What backward computes again.
    pub recompute: Recompute,
}

/// Widths of a block's tensors.
struct Widths {
    dim: u64,
    q: u64,
    k: u64,
    hidden: u64,
    heads: u64,
}

impl Footprint {
    fn widths(&self) -> Widths {
        let config = &self.config;
        let [dim, hidden, heads] =
            [config.dim, config.ffn_hidden_dim, config.n_heads].map(i64::unsigned_abs);
        let [q, k] = [config.n_heads, config.n_kv_heads].map(|n| (n * config.head_dim) as u64);
        Widths {
            dim,
            q,
            k,
            hidden,
            heads,
        }
    }

    /// Blocks.
    #[must_use]
    pub fn layers(&self) -> u64 {
        self.config.n_layers.unsigned_abs()
    }

    /// Weights that are trained, adapters or all.
    #[must_use]
    pub fn trained_parameters(&self) -> u64 {
        match &self.lora {
            Some(lora) => {
                self.layers() * self.adapters(|[out, width]| lora.rank as u64 * (out + width))
            }
            None => flops::parameters(&self.config),
        }
    }

    /// The weights, those below adapters of the activations' kind.
    #[must_use]
    pub fn weights(&self) -> u64 {
        let frozen = match self.lora {
            Some(_) => self.held(),
            None => 0,
        };
        frozen + self.trained_bytes() * self.trained_parameters()
    }

    /// Bytes of a trained weight, and of its gradient.
    #[must_use]
    pub fn trained_bytes(&self) -> u64 {
        match self.lora {
            Some(_) => FP32,
            None => kind_bytes(self.trained),
        }
    }

    /// All weights as a model that is only asked has them: in the activations' kind.
    #[must_use]
    pub fn held(&self) -> u64 {
        flops::parameters(&self.config) * kind_bytes(self.compute)
    }

    /// Numbers of a matrix of the vocabulary: the embedding, the head, or the gradient of one.
    #[must_use]
    pub fn vocabulary_numbers(&self) -> u64 {
        (self.config.vocab_size * self.config.dim).unsigned_abs()
    }

    /// Whether products read a copy of the trained weights, in the activations' kind.
    #[must_use]
    pub fn is_cast(&self) -> bool {
        self.lora.is_none() && self.compute != self.trained
    }

    fn is_target(&self, name: &str) -> bool {
        let targets = self.lora.iter().flat_map(|lora| &lora.targets);
        targets.into_iter().any(|target| target == name)
    }

    fn adapters(&self, size: impl Fn([u64; 2]) -> u64) -> u64 {
        let targets = self.lora.iter().flat_map(|lora| &lora.targets);
        targets.map(|name| size(self.matrix(name))).sum()
    }

    /// Width of a matrix's output and input.
    fn matrix(&self, name: &str) -> [u64; 2] {
        let Widths {
            dim, q, k, hidden, ..
        } = self.widths();
        match name {
            "wq" => [q, dim],
            "wk" | "wv" => [k, dim],
            "wo" => [dim, q],
            "w2" => [dim, hidden],
            _ => [hidden, dim],
        }
    }
}

/// Bytes of a number.
#[must_use]
pub fn kind_bytes(kind: Kind) -> u64 {
    match kind {
        Kind::BFloat16 | Kind::Half => 2,
        _ => FP32,
    }
}
