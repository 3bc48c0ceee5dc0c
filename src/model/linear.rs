//! A matrix product without a bias, with or without an adapter.

use super::lora::{Adapter, LoraOptions};
use super::{Pass, Products};
use crate::torch::ops;
use tch::{Kind, Tensor, nn};

/// `y = x Wᵀ`, and what an adapter adds; weights are cast to the kind of the activations at each use.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    adapter: Option<Adapter>,
    products: Products,
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
            products: Products::Plain,
        }
    }

    /// The product with what [`Self::side_by_side`] gave for gates and values, gated: `[.., 2·in]` to `[.., out]`.
    pub(super) fn forward_gated(&self, gates_and_values: &Tensor, pass: Pass) -> Tensor {
        match (&self.adapter, self.products(pass)) {
            (Some(_), _) | (_, Products::Fp8) => self.forward(&ops::swiglu(gates_and_values), pass),
            (None, Products::Plain) => {
                let weight = self.weight.to_kind(gates_and_values.kind());
                ops::gated_linear(gates_and_values, &weight)
            }
        }
    }

    /// Another handle on the same weights.
    pub(super) fn share(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            adapter: self.adapter.as_ref().map(Adapter::share),
            products: self.products,
        }
    }

    /// Takes up another way to multiply, where there is no adapter.
    pub(super) fn set_products(&mut self, products: Products) {
        self.products = products;
    }

    /// What is validated is the model as it will be used.
    fn products(&self, pass: Pass) -> Products {
        match pass {
            Pass::Train => self.products,
            Pass::Base | Pass::Eval => Products::Plain,
        }
    }

    /// What may be trained.
    pub(super) fn weights(&self) -> impl Iterator<Item = &Tensor> {
        let adapter = self.adapter.iter().flat_map(Adapter::weights);
        std::iter::once(&self.weight).chain(adapter)
    }

    /// Whether an adapter leaves out a random part of what it reads in training.
    pub(super) fn drops(&self) -> bool {
        let adaption = |adapter: &Adapter| adapter.adaption(Pass::Train);
        self.adapter
            .as_ref()
            .map(adaption)
            .is_some_and(|adaption| adaption.dropout > 0.0)
    }

    /// `[.., in]` to `[.., out]`, in the kind of `x`.
    pub(super) fn forward(&self, x: &Tensor, pass: Pass) -> Tensor {
        Self::side_by_side(&[self], x, pass)
    }

    /// Several matrices over one input, as one product: `[.., in]` to `[.., Σ out]`.
    pub(super) fn side_by_side(linears: &[&Self], x: &Tensor, pass: Pass) -> Tensor {
        let weights: Vec<_> = linears
            .iter()
            .map(|linear| linear.weight.to_kind(x.kind()))
            .collect();
        let adapters = || linears.iter().map(|linear| linear.adapter.as_ref());
        match adapters().flatten().next() {
            Some(adapter) if pass != Pass::Base => {
                let low_rank = |adapter: &Adapter| adapter.low_rank(x.kind());
                let low_rank: Vec<_> = adapters().map(|adapter| adapter.map(low_rank)).collect();
                ops::adapted_linear(x, &weights, &low_rank, adapter.adaption(pass))
            }
            _ => match linears[0].products(pass) {
                Products::Plain => ops::linear(x, &weights),
                Products::Fp8 => ops::linear_fp8(x, &weights),
            },
        }
    }

    /// Puts the weights of matrices that are read together one after another in memory, which spares
    /// [`Self::side_by_side`] a copy.
    pub(super) fn place_side_by_side(linears: &[&Self]) {
        let weights: Vec<_> = linears.iter().map(|linear| &linear.weight).collect();
        ops::make_adjacent(&weights);
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
