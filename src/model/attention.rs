//! Grouped-query attention (Ainslie et al. 2023).

use super::kv_cache::{LayerCache, Slots};
use super::linear::Linear;
use super::rope::Rotation;
use super::{LoraOptions, Pass, Products};
use crate::config::ModelConfig;
use crate::torch::ops::{self, HeadCounts, HeadTensors, Spans};
use tch::{Tensor, nn};

/// Key/value head `k` serves the query heads `k·H/K .. (k+1)·H/K`.
#[derive(Debug)]
pub(super) struct Attention {
    wq: Linear,
    wk: Linear,
    wv: Linear,
    wo: Linear,
    heads: HeadCounts,
}

/// What each token sees, and how tokens are rotated.
#[derive(Debug)]
pub(super) enum Sight {
    /// Those before it in its row.
    Before(Rotation),
    /// Those before it in its document; the documents lie one after another in the only row.
    BeforeInDocument(Rotation, Spans),
    /// Those that a mask [B, 1, S, S] lets it see.
    Masked(Rotation, Tensor),
}

impl Sight {
    /// Another handle on the same tables.
    pub(super) fn share(&self) -> Self {
        match self {
            Self::Before(rotation) => Self::Before(rotation.share()),
            Self::BeforeInDocument(rotation, spans) => {
                Self::BeforeInDocument(rotation.share(), spans.share())
            }
            Self::Masked(rotation, mask) => Self::Masked(rotation.share(), mask.shallow_clone()),
        }
    }
}

impl Attention {
    pub(super) fn new(path: &nn::Path, config: &ModelConfig, lora: Option<&LoraOptions>) -> Self {
        let (q_dim, kv_dim) = (
            config.n_heads * config.head_dim,
            config.n_kv_heads * config.head_dim,
        );
        let wq = Linear::new(path, "wq", [q_dim, config.dim], lora);
        let wk = Linear::new(path, "wk", [kv_dim, config.dim], lora);
        let wv = Linear::new(path, "wv", [kv_dim, config.dim], lora);
        Linear::place_side_by_side(&[&wq, &wk, &wv]);
        Self {
            wq,
            wk,
            wv,
            wo: Linear::new(path, "wo", [config.dim, q_dim], lora),
            heads: HeadCounts {
                queries: config.n_heads,
                keys: config.n_kv_heads,
            },
        }
    }

    pub(super) fn initialize(&self, std: f64, residual_std: f64) {
        for linear in [&self.wq, &self.wk, &self.wv] {
            linear.initialize(std);
        }
        self.wo.initialize(residual_std);
    }

    pub(super) fn set_products(&mut self, products: Products) {
        for linear in [&mut self.wq, &mut self.wk, &mut self.wv, &mut self.wo] {
            linear.set_products(products);
        }
    }

    /// In the order of their use.
    pub(super) fn linears(&self) -> [&Linear; 4] {
        [&self.wq, &self.wk, &self.wv, &self.wo]
    }

    /// Another handle on the same weights.
    pub(super) fn share(&self) -> Self {
        Self {
            wq: self.wq.share(),
            wk: self.wk.share(),
            wv: self.wv.share(),
            wo: self.wo.share(),
            heads: self.heads,
        }
    }

    /// [B, S, D] to [B, S, D].
    pub(super) fn forward(&self, x: &Tensor, sight: &Sight, pass: Pass) -> Tensor {
        let (Sight::Before(rotation)
        | Sight::BeforeInDocument(rotation, _)
        | Sight::Masked(rotation, _)) = sight;
        let [q, k, v] = self.project(x, rotation, pass);
        let attended = match sight {
            Sight::Before(_) => ops::causal_attention(&q, &k, &v),
            Sight::BeforeInDocument(_, spans) => ops::packed_attention(&q, &k, &v, spans),
            Sight::Masked(_, mask) => self.masked(&q, &k, &v, mask),
        };
        self.finish(&attended, pass)
    }

    /// Tokens that follow those in the cache, which takes them in: [B, T, D] to [B, T, D].
    pub(super) fn cached(
        &self,
        x: &Tensor,
        rotation: &Rotation,
        slots: &Slots,
        cache: &mut LayerCache,
    ) -> Tensor {
        let [q, k, v] = self.project(x, rotation, Pass::Eval);
        let (keys, values) = cache.write(slots, &k, &v); // [B, K, L, P]
        let attended = self.masked(&q, &keys, &values, slots.mask());
        self.finish(&attended, Pass::Eval)
    }

    /// Queries, keys and values of some tokens: [B, H, S, P], [B, K, S, P] twice.
    fn project(&self, x: &Tensor, rotation: &Rotation, pass: Pass) -> HeadTensors {
        let projected = Linear::side_by_side(&[&self.wq, &self.wk, &self.wv], x, pass);
        rotation.split(projected, self.heads)
    }

    fn masked(&self, q: &Tensor, k: &Tensor, v: &Tensor, mask: &Tensor) -> Tensor {
        let grouped = self.heads.queries != self.heads.keys;
        Tensor::scaled_dot_product_attention(q, k, v, Some(mask), 0.0, false, None, grouped)
    }

    fn finish(&self, attended: &Tensor, pass: Pass) -> Tensor {
        let side_by_side = attended.transpose(1, 2).flatten(2, 3); // [B, H, S, P] to [B, S, D]
        self.wo.forward(&side_by_side, pass)
    }
}
