//! The device, and what on it is the same for every verb.

use crate::bad_request;
use crate::config::{Kernels, OnGpu, Precision, RunConfig, TrainConfig};
use crate::dist::LaunchEnv;
use crate::torch::{self, Feature, Transfers, kernels::Choice};
use anyhow::{Context, Result};
use std::collections::HashMap;
use tch::{Device, Kind, Tensor, nn};

/// Chooses the device and sets threads, memory, generators and kernels for the process.
///
/// # Errors
/// When the device is not there, or the kernels asked for cannot be made.
pub fn prepare_device(
    config: &RunConfig,
    train: &TrainConfig,
    launch: &LaunchEnv,
) -> Result<Device> {
    let device = launch.select_device(config.device)?;
    if train.precision == Precision::Fp8 && !device.is_cuda() {
        return Err(bad_request!(
            "train.precision = \"fp8\": a CPU has no such products; it takes an NVIDIA GPU of Ada's, Hopper's or a later \
             generation (run.device); \"bf16\" and \"fp32\" train anywhere"
        ));
    }
    for (feature, choice) in [
        (Feature::CudaGraphs, train.cuda_graphs),
        (Feature::AsyncTransfers, train.async_transfers),
    ] {
        if choice == OnGpu::On && !device.is_cuda() {
            let key = feature.key();
            return Err(bad_request!(
                "{key} = \"on\": that is a GPU's, and the run is on a CPU (run.device); \"auto\" does without there"
            ));
        }
    }
    choose_kernels(train.kernels, device)?;
    torch::set_threads(config.threads, launch.local_world_size);
    torch::keep_freed_memory();
    if config.deterministic {
        torch::require_determinism()?;
    }
    seed_generators(config.seed, launch.rank);
    Ok(device)
}

/// Takes up kernels as `train.kernels` says.
///
/// # Errors
/// When those asked for cannot be compiled or loaded.
pub fn choose_kernels(kernels: Kernels, device: Device) -> Result<()> {
    let choice = match kernels {
        Kernels::Auto => Choice::Proven,
        Kernels::Fused => Choice::All,
        Kernels::Composed => Choice::None,
    };
    torch::kernels::choose(choice, device).context("train.kernels: \"composed\" does without")
}

/// Whether a run does it.
pub(super) fn is_taken(feature: Feature, choice: OnGpu) -> bool {
    match choice {
        OnGpu::On => true,
        OnGpu::Off => false,
        OnGpu::Auto => feature.proven_on().is_some(),
    }
}

/// How a run's numbers get to the device and back.
pub(super) fn transfers(choice: OnGpu, device: Device) -> Result<Transfers> {
    match device.is_cuda() && is_taken(Feature::AsyncTransfers, choice) {
        true => Transfers::beside(device).context("train.async_transfers: \"off\" does without"),
        false => Ok(Transfers::in_turn(device)),
    }
}

/// The trainable weights as the backward pass gives their gradients, so that the reducer's buckets are the same from
/// the first step on (which a resume repeats): the model declares its weights in the order of their use.
pub(super) fn last_used_first(store: &nn::VarStore) -> (Vec<String>, Vec<Tensor>) {
    let variables = store.variables();
    let by_address = |(name, tensor): (String, Tensor)| (tensor.data_ptr() as usize, name);
    let names: HashMap<usize, String> = variables.into_iter().map(by_address).collect();
    let used = store.trainable_variables().into_iter().rev();
    let trainable = used.filter(Tensor::requires_grad);
    let named = |tensor: Tensor| Some((names.get(&(tensor.data_ptr() as usize))?.clone(), tensor));
    trainable.filter_map(named).unzip()
}

/// Each rank draws its own random numbers.
pub(super) fn seed_generators(seed: u64, rank: u64) {
    tch::manual_seed(i64::from_ne_bytes(seed.wrapping_add(rank).to_ne_bytes()));
}

/// The kind that weights are cast to for the forward pass: `auto` is fp32 on CPU and bf16 on CUDA; around fp8 products it
/// is bf16.
#[must_use]
pub fn compute_kind(precision: Precision, device: Device) -> Kind {
    match precision {
        Precision::Bf16 | Precision::Fp8 => Kind::BFloat16,
        Precision::Auto if device.is_cuda() => Kind::BFloat16,
        Precision::Fp32 | Precision::Auto => Kind::Float,
    }
}
