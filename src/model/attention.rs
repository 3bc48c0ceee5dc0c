//! Grouped-query attention (Ainslie et al. 2023).

use super::kv_cache::{LayerCache, Slots};
use super::linear::Linear;
use super::rope::Rotation;
use super::{LoraOptions, Pass, Products};
use crate::config::ModelConfig;
use crate::torch::ops::{HeadCounts, HeadTensors};
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
    /// Those before it in its document; the documents, of these lengths, lie one after another in the only row.
    BeforeInDocument(Rotation, Vec<i64>),
    /// Those that a mask [B, 1, S, S] lets it see.
    Masked(Rotation, Tensor),
}

impl Sight {
    /// Another handle on the same tables.
    pub(super) fn share(&self) -> Self {
        match self {
            Self::Before(rotation) => Self::Before(rotation.share()),
            Self::BeforeInDocument(rotation, lengths) => {
                Self::BeforeInDocument(rotation.share(), lengths.clone())
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

    pub(super) fn initialize_adapters(&self) {
        for linear in [&self.wq, &self.wk, &self.wv, &self.wo] {
            linear.initialize_adapter();
        }
    }

    pub(super) fn weights(&self) -> impl Iterator<Item = &Tensor> {
        let all = [&self.wq, &self.wk, &self.wv, &self.wo];
        all.into_iter().flat_map(Linear::weights)
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
        match sight {
            Sight::Before(rotation) => self.rows(x, rotation, None, pass),
            Sight::Masked(rotation, mask) => self.rows(x, rotation, Some(mask), pass),
            Sight::BeforeInDocument(rotation, lengths) => self.packed(x, rotation, lengths, pass),
        }
    }

    fn rows(&self, x: &Tensor, rotation: &Rotation, mask: Option<&Tensor>, pass: Pass) -> Tensor {
        let [q, k, v] = self.project(x, rotation, pass);
        self.finish(&self.attend(&q, &k, &v, mask), pass)
    }

    fn packed(&self, x: &Tensor, rotation: &Rotation, lengths: &[i64], pass: Pass) -> Tensor {
        let heads = self.project(x, rotation, pass);
        let [q, k, v] = heads.map(|heads| heads.split_with_sizes(lengths, 2));
        let documents = q.iter().zip(&k).zip(&v);
        let attended: Vec<_> = documents
            .map(|((q, k), v)| self.attend(q, k, v, None))
            .collect();
        self.finish(&Tensor::cat(&attended, 2), pass)
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
        self.finish(
            &self.attend(&q, &keys, &values, Some(slots.mask())),
            Pass::Eval,
        )
    }

    /// Queries, keys and values of some tokens: [B, H, S, P], [B, K, S, P] twice.
    fn project(&self, x: &Tensor, rotation: &Rotation, pass: Pass) -> HeadTensors {
        let projected = Linear::side_by_side(&[&self.wq, &self.wk, &self.wv], x, pass);
        rotation.split(projected, self.heads)
    }

    /// Without a mask the rows are causal, which lets torch choose its flash kernels.
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Tensor {
        let grouped = self.heads.queries != self.heads.keys;
        Tensor::scaled_dot_product_attention(q, k, v, mask, 0.0, mask.is_none(), None, grouped)
    }

    fn finish(&self, attended: &Tensor, pass: Pass) -> Tensor {
        let side_by_side = attended.transpose(1, 2).flatten(2, 3); // [B, H, S, P] to [B, S, D]
        self.wo.forward(&side_by_side, pass)
    }
}
