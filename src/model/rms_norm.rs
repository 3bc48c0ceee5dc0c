//! Root mean square normalisation.

use tch::{Tensor, nn};

/// `w · x / √(mean(x²) + ε)` over the last dimension (Zhang & Sennrich 2019). The mean and the division are fp32
/// whatever the kind of `x`; the result is of its kind.
#[derive(Debug)]
pub(super) struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    pub(super) fn new(path: &nn::Path, dim: i64, eps: f64) -> Self {
        Self {
            weight: path.var("weight", &[dim], nn::Init::Const(1.0)),
            eps,
        }
    }

    /// `[.., D]` to `[.., D]`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.rms_norm(
            self.weight.size(),
            Some(self.weight.to_kind(x.kind())),
            self.eps,
        )
    }
}
