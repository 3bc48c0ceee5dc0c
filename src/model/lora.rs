//! Low-rank adapters (Hu et al. 2021).

use super::Pass;
use tch::{Tensor, nn};

/// The matrices of a block that can have an adapter, in Meta's names.
pub const LORA_TARGETS: [&str; 7] = ["wq", "wk", "wv", "wo", "w1", "w2", "w3"];

/// Which matrices have an adapter, the same in every block, and of what kind.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraOptions {
    /// Rows of A and columns of B.
    pub rank: i64,
    /// The adapter's output is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// Dropout of what the adapter reads, during training; what the matrix itself reads is left alone.
    pub dropout: f64,
    /// Some of [`LORA_TARGETS`].
    pub targets: Vec<String>,
}

impl LoraOptions {
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
    /// Declares `lora_a` [rank, in] and `lora_b` [out, rank] beside a matrix; none where it is no target.
    pub(super) fn new(
        path: &nn::Path,
        target: &str,
        [out_features, in_features]: [i64; 2],
        lora: Option<&LoraOptions>,
    ) -> Option<Self> {
        let lora = lora.filter(|lora| lora.targets.iter().any(|name| name == target))?;
        let zeros = nn::Init::Const(0.0);
        Some(Self {
            a: path.var("lora_a", &[lora.rank, in_features], zeros),
            b: path.var("lora_b", &[out_features, lora.rank], zeros),
            scale: lora.scale(),
            dropout: lora.dropout,
        })
    }

    /// `[.., in_features]` to `[.., out_features]`, in the kind of `x`.
    pub(super) fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let kind = x.kind();
        let read = x.dropout(self.dropout, pass == Pass::Train);
        let low = read.linear::<Tensor>(&self.a.to_kind(kind), None); // [.., rank]
        low.linear::<Tensor>(&self.b.to_kind(kind), None) * self.scale
    }
}
