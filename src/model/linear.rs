//! A matrix product without a bias, with or without an adapter.

use super::Pass;
use super::lora::{Adapter, LoraOptions};
use tch::{Kind, Tensor, nn};

/// `y = x Wᵀ`, and what an adapter adds; weights are cast to the kind of the activations at each use.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    adapter: Option<Adapter>,
}

impl Linear {
    /// The matrix `name` [out, in] below `path`.
    pub(super) fn new(
        path: &nn::Path,
        name: &str,
        shape: [i64; 2],
        lora: Option<&LoraOptions>,
    ) -> Self {
        let path = path / name;
        Self {
            weight: path.var("weight", &shape, nn::Init::Const(0.0)),
            adapter: Adapter::new(&path, name, shape, lora),
        }
    }

    /// `[.., in]` to `[.., out]`, in the kind of `x`.
    pub(super) fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        let y = x.linear::<Tensor>(&self.weight.to_kind(x.kind()), None);
        match &self.adapter {
            Some(adapter) if pass != Pass::Base => y + adapter.forward(x, pass),
            _ => y,
        }
    }

    pub(super) fn initialize_adapter(&self) {
        if let Some(adapter) = &self.adapter {
            adapter.initialize();
        }
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
