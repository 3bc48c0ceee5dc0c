//! The feed-forward block.

use super::linear::Linear;
use super::{LoraOptions, Pass, Products};
use crate::config::ModelConfig;
use tch::{Tensor, nn};

/// SwiGLU: `w2(silu(w1 x) ⊙ w3 x)` (Shazeer 2020).
#[derive(Debug)]
pub(super) struct FeedForward {
    w1: Linear,
    w2: Linear,
    w3: Linear,
}

impl FeedForward {
    pub(super) fn new(path: &nn::Path, config: &ModelConfig, lora: Option<&LoraOptions>) -> Self {
        let (dim, hidden) = (config.dim, config.ffn_hidden_dim);
        let w1 = Linear::new(path, "w1", [hidden, dim], lora);
        let w3 = Linear::new(path, "w3", [hidden, dim], lora);
        Linear::place_side_by_side(&[&w1, &w3]);
        Self {
            w1,
            w3,
            w2: Linear::new(path, "w2", [dim, hidden], lora),
        }
    }

    pub(super) fn initialize(&self, std: f64, residual_std: f64) {
        for linear in [&self.w1, &self.w3] {
            linear.initialize(std);
        }
        self.w2.initialize(residual_std);
    }

    pub(super) fn set_products(&mut self, products: Products) {
        for linear in [&mut self.w1, &mut self.w3, &mut self.w2] {
            linear.set_products(products);
        }
    }

    /// In the order of their use.
    pub(super) fn linears(&self) -> [&Linear; 3] {
        [&self.w1, &self.w3, &self.w2]
    }

    /// `[B, S, D]` to `[B, S, D]`.
    pub(super) fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let gates_and_values = Linear::side_by_side(&[&self.w1, &self.w3], x, pass); // [B, S, 2F]
        self.w2.forward_gated(&gates_and_values, pass)
    }

    /// Another handle on the same weights.
    pub(super) fn share(&self) -> Self {
        Self {
            w1: self.w1.share(),
            w2: self.w2.share(),
            w3: self.w3.share(),
        }
    }
}
