//! `llama-train plan`: what a configuration means, without a device.

mod estimate;
mod workload;

use self::estimate::Estimate;
use self::workload::Models;
use super::{Output, dpo, fit, sft, shape};
use crate::config::{Config, DeviceChoice, DistillOn, ModelConfig};
use crate::data::{Manifest, manifest::Kind};
use crate::dist::LaunchEnv;
use crate::metrics::Card;
use crate::train::{BatchPlan, MemoryTable, RunPlan};
use crate::weights::Pretrained;
use anyhow::Result;
use serde_json::Value;
use std::path::Path;

/// What to plan.
#[derive(Debug, Clone)]
pub struct Request {
    /// The configuration.
    pub config: Config,
    /// The verb that it is for, where it is said.
    pub verb: Option<Verb>,
    /// What each rank runs on, where it is said.
    pub device: Option<Device>,
    /// Its memory, where another than the card's is meant.
    pub memory_bytes: Option<u64>,
    /// Ranks, in place of the environment's.
    pub world_size: Option<u64>,
    /// Model FLOPs utilisation.
    pub mfu: f64,
}

/// A way to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// On text.
    Pretrain,
    /// On conversations.
    Sft,
    /// On preferences.
    Dpo,
    /// On what a teacher says.
    Distill,
}

impl Verb {
    /// As the command line has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "pretrain" => Some(Self::Pretrain),
            "sft" => Some(Self::Sft),
            "dpo" => Some(Self::Dpo),
            "distill" => Some(Self::Distill),
            _ => None,
        }
    }

    /// By the data, if it is there; else by what only one verb reads.
    fn guess(config: &Config, data: Option<&Manifest>) -> Self {
        match (data.map(|manifest| manifest.kind), config) {
            (Some(Kind::Preference), _) => Self::Dpo,
            (_, config) if config.distill.teacher.is_some() => Self::Distill,
            (Some(Kind::Instruct), _) => Self::Sft,
            (None, config) if config.train.total_batch_examples.is_some() && config.sft.packing => {
                Self::Dpo
            }
            (None, config) if config.train.total_batch_examples.is_some() => Self::Sft,
            _ => Self::Pretrain,
        }
    }
}

/// What a rank runs on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Device {
    /// Processors.
    Cpu,
    /// A GPU of which nothing is known.
    Gpu,
    /// A card whose data sheet is.
    Card(&'static Card),
}

impl Device {
    /// As the command line has it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Gpu),
            name => Card::named(name).map(Self::Card),
        }
    }

    /// No device is looked for: `auto` is planned as the CPU that is everywhere.
    fn of(choice: DeviceChoice) -> Self {
        match choice {
            DeviceChoice::Cuda(_) => Self::Gpu,
            DeviceChoice::Auto | DeviceChoice::Cpu => Self::Cpu,
        }
    }

    fn card(self) -> Option<&'static Card> {
        match self {
            Self::Card(card) => Some(card),
            Self::Cpu | Self::Gpu => None,
        }
    }
}

/// Works out sizes, lengths, memory and time.
///
/// # Errors
/// A bad request when the shape is not given in full.
pub fn run(request: &Request) -> Result<Output> {
    let config = &request.config;
    let data = config.data.path.as_deref().map(Manifest::read);
    let data = data.transpose()?.flatten();
    let verb = request
        .verb
        .unwrap_or_else(|| Verb::guess(config, data.as_ref()));
    let teacher = teacher(config, verb)?;
    let model = shape::before_training(config, teacher.as_ref())?;
    for model in [Some(&model), teacher.as_ref()].into_iter().flatten() {
        fit::check_seq_len(config.train.seq_len, model)?;
    }
    let second = match verb {
        Verb::Distill => teacher.filter(|_| !config.distill.cache_teacher),
        Verb::Dpo => reference(config, &model)?,
        Verb::Pretrain | Verb::Sft => None,
    };
    let world_size = match request.world_size {
        Some(given) => given,
        None => LaunchEnv::read()?.world_size,
    };
    let batch = batch(config, verb, world_size)?;
    let device = request
        .device
        .unwrap_or_else(|| Device::of(config.run.device));
    let plan = RunPlan::new(&model, &batch, 0, config.train.max_steps).beside(second.as_ref());
    let models = Models {
        trained: model,
        second,
    };
    let workload = workload::of(config, verb, device, models, &batch);
    let memory_bytes = request
        .memory_bytes
        .or(device.card().map(Card::memory_bytes));
    let rows = batch.micro_batch_size;
    let most = rows * batch.grad_accum_steps;
    let memory = MemoryTable::new(&workload, rows, most, memory_bytes);
    let time = Estimate::new(&plan, config.train.precision, device, request.mfu);
    output(&plan, &memory, &time)
}

fn output(plan: &RunPlan, memory: &MemoryTable, time: &Estimate) -> Result<Output> {
    let mut json = serde_json::to_value(plan)?;
    if let Value::Object(fields) = &mut json {
        fields.insert("memory".to_owned(), serde_json::to_value(memory)?);
        fields.insert("time".to_owned(), serde_json::to_value(time)?);
    }
    Ok(Output {
        json,
        text: format!("{plan}\n{memory}{time}"),
        exit_code: 0,
    })
}

fn described(path: &str) -> Result<ModelConfig> {
    Ok(Pretrained::describe(Path::new(path))?.config().clone())
}

fn teacher(config: &Config, verb: Verb) -> Result<Option<ModelConfig>> {
    let named = config.distill.teacher.as_deref();
    let named = named.filter(|_| verb == Verb::Distill);
    named.map(described).transpose()
}

/// The reference that is held beside the policy: none where it is the model below adapters, or was asked before.
fn reference(config: &Config, policy: &ModelConfig) -> Result<Option<ModelConfig>> {
    let dpo = &config.dpo;
    if !dpo.has_reference() || dpo.cache_reference {
        return Ok(None);
    }
    match dpo.named_reference() {
        Some(named) => described(named).map(Some),
        None if config.lora.enabled => Ok(None),
        None => Ok(Some(policy.clone())),
    }
}

/// As the verb itself cuts a step.
fn batch(config: &Config, verb: Verb, world_size: u64) -> Result<BatchPlan> {
    match (verb, config.distill.on) {
        (Verb::Pretrain, _) | (Verb::Distill, DistillOn::Pretrain) => {
            BatchPlan::new(&config.train, world_size)
        }
        (Verb::Sft, _) | (Verb::Distill, DistillOn::Instruct) => {
            sft::batch_plan(config, world_size)
        }
        (Verb::Dpo, _) => dpo::batch_plan(config, world_size),
    }
}
