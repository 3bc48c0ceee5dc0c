//! What a model holds and costs.

use crate::config::ModelConfig;

/// Weights of one block's matrices.
fn block_matrices(config: &ModelConfig) -> u64 {
    let heads = 2 * config.n_heads + 2 * config.n_kv_heads; // wq and wo, wk and wv
    let per_block = config.dim * (heads * config.head_dim + 3 * config.ffn_hidden_dim);
    per_block.unsigned_abs()
}

/// All weights, a tied matrix counted once.
#[must_use]
pub fn parameters(config: &ModelConfig) -> u64 {
    let [dim, layers, vocab] =
        [config.dim, config.n_layers, config.vocab_size].map(i64::unsigned_abs);
    let embeddings = vocab * dim * if config.tie_embeddings { 1 } else { 2 };
    embeddings + layers * (block_matrices(config) + 2 * dim) + dim
}

/// Weights that take part in matrix products: the head, but not the look-up of the embedding (a tied matrix is the
/// head); norms are left out.
#[must_use]
pub fn matmul_parameters(config: &ModelConfig) -> u64 {
    let [dim, layers, vocab] =
        [config.dim, config.n_layers, config.vocab_size].map(i64::unsigned_abs);
    layers * block_matrices(config) + vocab * dim
}

/// FLOPs per token of forward and backward: `6·N + 6·L·d·s` with N [`matmul_parameters`], L layers, d the width of
/// all query heads together and s the sequence length; causal attention is counted by its half.
#[must_use]
pub fn flops_per_token(config: &ModelConfig, seq_len: u64) -> f64 {
    6.0 * matmul_parameters(config) as f64 + attention(config, seq_len)
}

/// The same where the matrices are frozen and A numbers in `adapters` beside them are trained: `4·N + 6·A + 6·L·d·s`.
/// Each number of a matrix costs 2 FLOPs forward, 2 for the gradient of what it reads, and 2 for its own gradient, which a
/// frozen one does not have.
#[must_use]
pub fn flops_per_token_adapted(config: &ModelConfig, adapters: u64, seq_len: u64) -> f64 {
    let frozen = 4.0 * matmul_parameters(config) as f64;
    frozen + 6.0 * adapters as f64 + attention(config, seq_len)
}

/// The same of a model that is only asked: forward alone, a third of it.
#[must_use]
pub fn flops_per_token_asked(config: &ModelConfig, seq_len: u64) -> f64 {
    flops_per_token(config, seq_len) / 3.0
}

/// `6·L·d·s`.
fn attention(config: &ModelConfig, seq_len: u64) -> f64 {
    let width = config.n_layers * config.n_heads * config.head_dim;
    6.0 * width as f64 * seq_len as f64
}
