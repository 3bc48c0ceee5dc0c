//! Llama 3 (Grattafiori et al. 2024, "The Llama 3 Herd of Models"), in Meta's names.
//!
//! Shapes: B rows, S tokens a row, D `dim`, H `n_heads`, K `n_kv_heads`, P `head_dim`, V `vocab_size`.

mod attention;
mod feed_forward;
pub mod flops;
mod kv_cache;
mod linear;
mod lora;
mod rms_norm;
mod rope;
mod transformer;

pub use kv_cache::KvCache;
pub use lora::{LORA_TARGETS, LoraOptions};
pub use transformer::{Head, Transformer};

use tch::{Kind, Tensor};

/// Which tokens of a row may see which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Each token sees those before it in its row; positions count from the row's beginning.
    Causal,
}

/// What the model reads.
#[derive(Debug)]
pub struct Tokens {
    /// Token ids [B, S], int64, each below the size of the vocabulary.
    pub ids: Tensor,
    /// What they may see.
    pub layout: Layout,
}

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Gradients will be taken.
    Train,
    /// They will not.
    Eval,
}

/// How the model computes, as opposed to what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelOptions {
    /// Kind of the activations; weights are cast to it at each use.
    pub compute: Kind,
    /// Adapters beside the matrices.
    pub lora: Option<LoraOptions>,
}
