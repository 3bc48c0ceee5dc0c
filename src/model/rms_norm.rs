//! Root mean square normalisation.

use super::Stream;
use crate::torch::ops::{self, Normed};
use tch::{Tensor, nn};

/// `w · x / √(mean(x²) + ε)` over the last dimension (Zhang & Sennrich 2019). Sums are fp32 whatever the kind
/// of `x`; the result is of its kind.
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

    /// Another handle on the same weight.
    pub(super) fn share(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            eps: self.eps,
        }
    }

    pub(super) fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Of the stream `[.., D]`; and the stream itself, summed up.
    pub(super) fn forward(&self, stream: &Stream) -> Normed {
        ops::add_rms_norm(&stream.sum, stream.branch.as_ref(), &self.weight, self.eps)
    }
}
