//! From a configuration to what a rank does in a step.

use super::Device;
use super::models::Models;
use crate::commands::TrainingVerb;
use crate::config::{Config, DistillOn, ModelConfig, Recompute, Weights};
use crate::loss::memory::Scoring;
use crate::model::LoraOptions;
use crate::model::memory::{Footprint, Operations, RowKind};
use crate::train::{Accumulation, BatchPlan, Workload, compute_kind};
use tch::Kind;

/// A rank's step of `config`, trained by `verb` on `device`.
pub(super) fn of(
    config: &Config,
    verb: TrainingVerb,
    device: Device,
    models: &Models,
    batch: &BatchPlan,
) -> Workload {
    let second = models.second.clone().map(|second| Footprint {
        lora: None,
        recompute: Recompute::None,
        ..footprint(config, verb, device, second)
    });
    let shards = if config.train.shard_optimizer {
        batch.world_size
    } else {
        1
    };
    Workload {
        model: footprint(config, verb, device, models.trained.clone()),
        second,
        scoring: scoring(verb, device),
        tokens: batch.micro_batch_size * batch.tokens_per_row(),
        accumulation: match batch.grad_accum_steps {
            0..=1 => Accumulation::None,
            _ => Accumulation::Several,
        },
        world_size: batch.world_size,
        moment_shards: shards,
    }
}

fn footprint(config: &Config, verb: TrainingVerb, device: Device, shape: ModelConfig) -> Footprint {
    Footprint {
        config: shape,
        lora: LoraOptions::of(&config.lora),
        compute: compute_kind(config.train.precision, device.of_torch()),
        trained: match config.train.weights {
            Weights::Fp32 => Kind::Float,
            Weights::Bf16 => Kind::BFloat16,
        },
        operations: match device {
            Device::Cpu => Operations::Fused,
            Device::Gpu | Device::Card(_) => Operations::Composed,
        },
        rows: rows(config, verb),
        recompute: config.train.activation_checkpointing,
    }
}

fn rows(config: &Config, verb: TrainingVerb) -> RowKind {
    let conversations = match verb {
        TrainingVerb::Sft => true,
        TrainingVerb::Distill => config.distill.on == DistillOn::Instruct,
        TrainingVerb::Pretrain | TrainingVerb::Dpo => false,
    };
    match conversations && config.sft.packing {
        true => RowKind::Packed,
        false => RowKind::Whole,
    }
}

fn scoring(verb: TrainingVerb, device: Device) -> Scoring {
    match (verb, device) {
        (TrainingVerb::Distill, _) => Scoring::AgainstTeacher,
        (TrainingVerb::Pretrain | TrainingVerb::Sft, Device::Cpu) => Scoring::Sum,
        _ => Scoring::Each,
    }
}
