//! A matrix product without a bias.

use tch::{Kind, Tensor, nn};

/// `y = x Wᵀ`; the fp32 weight is cast to the kind of the activations at each use.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
}

impl Linear {
    pub(super) fn new(path: &nn::Path, in_features: i64, out_features: i64) -> Self {
        Self {
            weight: path.var("weight", &[out_features, in_features], nn::Init::Const(0.0)),
        }
    }

    /// `[.., in_features]` to `[.., out_features]`, in the kind of `x`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.linear::<Tensor>(&self.weight.to_kind(x.kind()), None)
    }

    pub(super) fn initialize(&self, std: f64) {
        initialize_normal(&self.weight, std);
    }
}

/// Fills a weight with normal numbers drawn on the CPU, so that a run begins the same on every device.
pub(super) fn initialize_normal(weight: &Tensor, std: f64) {
    let drawn = Tensor::randn(weight.size(), (Kind::Float, tch::Device::Cpu)) * std;
    tch::no_grad(|| weight.shallow_clone().copy_(&drawn));
}
