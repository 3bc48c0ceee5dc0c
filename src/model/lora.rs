//! Low-rank adapters (Hu et al. 2021).

use super::Pass;
use crate::config::LoraConfig;
use crate::torch::ops::{Adaption, LowRank};
use tch::{Device, Kind, Tensor, nn};

/// Which matrices have an adapter, the same in every block, and of what kind.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraOptions {
    /// Rows of A and columns of B.
    pub rank: i64,
    /// The adapter's output is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Dropout of what the adapter reads, during training; what the matrix itself reads is left alone.
    pub dropout: f64,
    /// Some of the blocks' matrices, in Meta's names.
    pub targets: Vec<String>,
}

impl LoraOptions {
    /// Of a run; none where it trains whole weights.
    #[must_use]
    pub fn of(config: &LoraConfig) -> Option<Self> {
        config.enabled.then(|| Self {
            rank: config.rank,
            alpha: config.alpha,
            dropout: config.dropout,
            targets: config.targets(),
        })
    }

    /// Factor on B·A.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }
}

/// `scale · B A dropout(x)`, added to what a frozen matrix gives.
#[derive(Debug)]
pub(super) struct Adapter {
    a: Tensor,
    b: Tensor,
    scale: f64,
    dropout: f64,
}

impl Adapter {
    /// Declares `lora_a` [rank, in] and `lora_b` [out, rank] beside a matrix, in fp32; none where it is no target.
    pub(super) fn new(
        path: &nn::Path,
        target: &str,
        [out_features, in_features]: [i64; 2],
        lora: Option<&LoraOptions>,
    ) -> Option<Self> {
        let lora = lora.filter(|lora| lora.targets.iter().any(|name| name == target))?;
        let zeros = |name, shape: [i64; 2]| {
            let mut matrix = path.var(name, &shape, nn::Init::Const(0.0));
            matrix.set_data(&matrix.to_kind(Kind::Float));
            matrix
        };
        Some(Self {
            a: zeros("lora_a", [lora.rank, in_features]),
            b: zeros("lora_b", [out_features, lora.rank]),
            scale: lora.scale(),
            dropout: lora.dropout,
        })
    }

    /// Another handle on the same weights.
    pub(super) fn share(&self) -> Self {
        Self {
            a: self.a.shallow_clone(),
            b: self.b.shallow_clone(),
            ..*self
        }
    }

    pub(super) fn weights(&self) -> [&Tensor; 2] {
        [&self.a, &self.b]
    }

    /// A uniform within 1/√in of 0 (Kaiming's bound with √5, as in PEFT), drawn on the CPU; B is 0, so that nothing is
    /// added at first.
    pub(super) fn initialize(&self) {
        let bound = 1.0 / (self.a.size()[1] as f64).sqrt();
        let drawn = Tensor::rand(self.a.size(), (Kind::Float, Device::Cpu)) * (2.0 * bound) - bound;
        tch::no_grad(|| {
            self.a.shallow_clone().copy_(&drawn);
            let _ = self.b.shallow_clone().zero_();
        });
    }

    /// Its matrices in the kind of the activations.
    pub(super) fn low_rank(&self, kind: Kind) -> LowRank {
        LowRank {
            a: self.a.to_kind(kind),
            b: self.b.to_kind(kind),
        }
    }

    /// The same for all adapters of a model.
    pub(super) fn adaption(&self, pass: Pass) -> Adaption {
        Adaption {
            scale: self.scale,
            dropout: if pass == Pass::Train {
                self.dropout
            } else {
                0.0
            },
        }
    }
}
