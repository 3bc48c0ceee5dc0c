//! Grouped-query attention (Ainslie et al. 2023).

use super::kv_cache::{LayerCache, Slots};
use super::linear::Linear;
use super::rope::Rotation;
use super::{LoraOptions, Pass};
use crate::config::ModelConfig;
use tch::{Tensor, nn};

/// Key/value head `k` serves the query heads `k·H/K .. (k+1)·H/K`.
#[derive(Debug)]
pub(super) struct Attention {
    wq: Linear,
    wk: Linear,
    wv: Linear,
    wo: Linear,
    head_dim: i64,
    grouped: bool,
}

/// Queries, keys and values of some tokens: [B, H, S, P], [B, K, S, P] twice.
struct Projected {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

impl Attention {
    pub(super) fn new(path: &nn::Path, config: &ModelConfig, lora: Option<&LoraOptions>) -> Self {
        let (q_dim, kv_dim) = (
            config.n_heads * config.head_dim,
            config.n_kv_heads * config.head_dim,
        );
        Self {
            wq: Linear::new(path, "wq", [q_dim, config.dim], lora),
            wk: Linear::new(path, "wk", [kv_dim, config.dim], lora),
            wv: Linear::new(path, "wv", [kv_dim, config.dim], lora),
            wo: Linear::new(path, "wo", [config.dim, q_dim], lora),
            head_dim: config.head_dim,
            grouped: config.n_heads != config.n_kv_heads,
        }
    }

    pub(super) fn initialize(&self, std: f64, residual_std: f64) {
        for linear in [&self.wq, &self.wk, &self.wv] {
            linear.initialize(std);
        }
        self.wo.initialize(residual_std);
    }

    pub(super) fn initialize_adapters(&self) {
        for linear in [&self.wq, &self.wk, &self.wv, &self.wo] {
            linear.initialize_adapter();
        }
    }

    /// Whole rows, each token seeing those before it: [B, S, D] to [B, S, D].
    pub(super) fn causal(&self, x: &Tensor, rotation: &Rotation, pass: Pass) -> Tensor {
        let Projected { q, k, v } = self.project(x, rotation, pass);
        self.finish(&self.attend(&q, &k, &v, None), pass)
    }

    /// Documents one after another, each token seeing those before it in its own: [1, N, D] to [1, N, D].
    pub(super) fn packed(
        &self,
        x: &Tensor,
        rotation: &Rotation,
        lengths: &[i64],
        pass: Pass,
    ) -> Tensor {
        let Projected { q, k, v } = self.project(x, rotation, pass);
        let [q, k, v] = [q, k, v].map(|heads| heads.split_with_sizes(lengths, 2));
        let documents = q.iter().zip(&k).zip(&v);
        let attended: Vec<_> = documents
            .map(|((q, k), v)| self.attend(q, k, v, None))
            .collect();
        self.finish(&Tensor::cat(&attended, 2), pass)
    }

    /// Whole rows, each token seeing what the mask [B, 1, S, S] lets it: [B, S, D] to [B, S, D].
    pub(super) fn masked(
        &self,
        x: &Tensor,
        rotation: &Rotation,
        mask: &Tensor,
        pass: Pass,
    ) -> Tensor {
        let Projected { q, k, v } = self.project(x, rotation, pass);
        self.finish(&self.attend(&q, &k, &v, Some(mask)), pass)
    }

    /// Tokens that follow those in the cache, which takes them in: [B, T, D] to [B, T, D].
    pub(super) fn cached(
        &self,
        x: &Tensor,
        rotation: &Rotation,
        slots: &Slots,
        cache: &mut LayerCache,
    ) -> Tensor {
        let Projected { q, k, v } = self.project(x, rotation, Pass::Eval);
        let (keys, values) = cache.write(slots, &k, &v); // [B, K, L, P]
        self.finish(
            &self.attend(&q, &keys, &values, Some(slots.mask())),
            Pass::Eval,
        )
    }

    fn project(&self, x: &Tensor, rotation: &Rotation, pass: Pass) -> Projected {
        let heads = |projected: Tensor| {
            let (rows, seq_len, _) = size3(&projected);
            projected
                .view([rows, seq_len, -1, self.head_dim])
                .transpose(1, 2)
        };
        Projected {
            q: rotation.apply(&heads(self.wq.forward(x, pass))),
            k: rotation.apply(&heads(self.wk.forward(x, pass))),
            v: heads(self.wv.forward(x, pass)),
        }
    }

    /// Without a mask the rows are causal, which lets torch choose its flash kernels.
    fn attend(&self, q: &Tensor, k: &Tensor, v: &Tensor, mask: Option<&Tensor>) -> Tensor {
        Tensor::scaled_dot_product_attention(q, k, v, mask, 0.0, mask.is_none(), None, self.grouped)
    }

    fn finish(&self, attended: &Tensor, pass: Pass) -> Tensor {
        let side_by_side = attended.transpose(1, 2).flatten(2, 3); // [B, H, S, P] to [B, S, D]
        self.wo.forward(&side_by_side, pass)
    }
}

fn size3(tensor: &Tensor) -> (i64, i64, i64) {
    let size = tensor.size();
    (size[0], size[1], size[2])
}
