//! `llama-train plan`: what a configuration means, without a device.

mod data;
mod device;
mod estimate;
mod models;
mod workload;

pub use self::device::Device;

use self::data::PreparedData;
use self::estimate::{Cost, Estimate, Peak};
use self::models::Models;
use super::{Output, TrainingVerb, fit};
use crate::config::Config;
use crate::dist::LaunchEnv;
use crate::metrics::Card;
use crate::train::{BatchPlan, MemoryTable, Parts, RunPlan, Workload};
use anyhow::Result;

/// What to plan.
#[derive(Debug, Clone)]
pub struct Request {
    /// The configuration.
    pub config: Config,
    /// The verb that it is for, where it is said.
    pub verb: Option<TrainingVerb>,
    /// What each rank runs on, where it is said.
    pub device: Option<Device>,
    /// Its memory, where another than the card's is meant.
    pub memory_bytes: Option<u64>,
    /// Ranks, in place of the environment's.
    pub world_size: Option<u64>,
    /// Model FLOPs utilisation.
    pub mfu: f64,
}

/// Works out sizes, lengths, memory and time.
///
/// # Errors
/// A bad request when the shape is not given in full, or when the verb that the plan is for would refuse it.
pub fn run(request: &Request) -> Result<Output> {
    let config = &request.config;
    let data = PreparedData::find(config)?;
    let of_data = data.as_ref().and_then(PreparedData::kind);
    let verb = request
        .verb
        .unwrap_or_else(|| TrainingVerb::guess(config, of_data));
    let models = Models::find(config, verb)?;
    let config = &fit::for_model(config, &models.trained)?;
    let world_size = match request.world_size {
        Some(given) => given,
        None => LaunchEnv::read()?.world_size,
    };
    let batch = verb.batch(config, world_size)?;
    let rows = data.map(|data| data.rows(config, verb, &models.trained));
    let rows = rows.transpose()?.unwrap_or(0);
    let plan = verb.plan(config, &models.trained, &batch, rows);
    let plan = plan.beside(models.second.as_ref());
    let device = request
        .device
        .unwrap_or_else(|| Device::of(config.run.device));
    let workload = workload::of(config, verb, device, &models, &batch);
    let memory_bytes = request
        .memory_bytes
        .or(device.card().map(Card::memory_bytes));
    let memory = table(&workload, &batch, memory_bytes);
    let cost = Cost::of(&workload.model, models.asked(config, verb), batch.seq_len);
    let peak = Peak::new(device, config.train.precision, request.mfu);
    let mut output = described(&plan, &memory)?;
    tell_time(&mut output, &Estimate::new(&plan, cost, peak))?;
    if plan.max_steps == 0 {
        tell_missing(&mut output, &data::missing(config, verb));
    }
    Ok(output)
}

/// The same of a run whose parts are found, as far as that goes without its device.
///
/// # Errors
/// When it cannot be written as JSON.
pub(super) fn of_run<D>(verb: TrainingVerb, parts: &Parts<D>) -> Result<Output> {
    let mut output = described(&parts.plan, &memory_of_run(verb, parts))?;
    if parts.plan.max_steps == 0 {
        tell_missing(&mut output, &data::missing(&parts.config, verb));
    }
    Ok(output)
}

/// What each of the run's ranks will hold on a CPU.
pub(super) fn bytes_of_a_rank<D>(verb: TrainingVerb, parts: &Parts<D>) -> u64 {
    memory_of_run(verb, parts).configured().plan.total_bytes
}

fn memory_of_run<D>(verb: TrainingVerb, parts: &Parts<D>) -> MemoryTable {
    let models = Models {
        trained: parts.model.clone(),
        second: parts.second.clone(),
    };
    let device = Device::of(parts.config.run.device);
    let workload = workload::of(&parts.config, verb, device, &models, &parts.batch);
    table(&workload, &parts.batch, None)
}

fn table(workload: &Workload, batch: &BatchPlan, memory_bytes: Option<u64>) -> MemoryTable {
    let rows = batch.micro_batch_size;
    MemoryTable::new(workload, rows, rows * batch.grad_accum_steps, memory_bytes)
}

/// Lengths and memory.
fn described(plan: &RunPlan, memory: &MemoryTable) -> Result<Output> {
    let mut json = serde_json::to_value(plan)?;
    json["memory"] = serde_json::to_value(memory)?;
    Ok(Output {
        json,
        text: format!("{plan}\n{memory}"),
        exit_code: 0,
    })
}

fn tell_time(output: &mut Output, time: &Estimate) -> Result<()> {
    output.json["time"] = serde_json::to_value(time)?;
    output.text.push_str(&time.to_string());
    Ok(())
}

fn tell_missing(output: &mut Output, missing: &str) {
    output.json["missing"] = missing.into();
    output.text.push_str("\nmissing ");
    output.text.push_str(missing);
}
