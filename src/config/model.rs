//! The resolved shape of a model, in the names of Meta's `params.json`.

use serde::{Deserialize, Serialize};

/// Llama 3.1's scaling of the rotary frequencies (Grattafiori et al. 2024; `rope_type` "llama3" on the Hub).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RopeScaling {
    /// Wavelengths above the low-frequency bound are stretched by this.
    pub factor: f64,
    /// Wavelengths above `original_max_position_embeddings / low_freq_factor` tokens are stretched fully.
    pub low_freq_factor: f64,
    /// Wavelengths below `original_max_position_embeddings / high_freq_factor` tokens are left alone.
    pub high_freq_factor: f64,
    /// Context length the unscaled model was trained for, in tokens.
    pub original_max_position_embeddings: i64,
}

impl RopeScaling {
    /// As Llama 3.1 and 3.2 have it, but for the factor: 8, and 32 in the small models.
    #[must_use]
    pub const fn llama3(factor: f64) -> Self {
        Self {
            factor,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        }
    }
}

/// Shape of a Llama; `head_dim × n_heads` may differ from `dim`, as in the Hub's configurations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// Width of the residual stream.
    pub dim: i64,
    /// Transformer blocks.
    pub n_layers: i64,
    /// Query heads.
    pub n_heads: i64,
    /// Key/value heads; each serves `n_heads / n_kv_heads` consecutive query heads.
    pub n_kv_heads: i64,
    /// Width of a head.
    pub head_dim: i64,
    /// Size of the vocabulary.
    pub vocab_size: i64,
    /// Hidden size of the feed-forward.
    pub ffn_hidden_dim: i64,
    /// Epsilon of RMSNorm.
    pub norm_eps: f64,
    /// Base of the rotary embedding's frequencies.
    pub rope_theta: f64,
    /// Llama 3.1's frequency scaling.
    pub rope_scaling: Option<RopeScaling>,
    /// Longest sequence, in tokens.
    pub max_seq_len: i64,
    /// Whether the output head shares the embedding's weight.
    pub tie_embeddings: bool,
}
