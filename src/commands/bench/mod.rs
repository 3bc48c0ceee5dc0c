//! `llama-train bench`: steady-state training speed of a configuration on random tokens, through the same loop.

mod profile;

use super::{Output, fit, shape};
use crate::checkpoint::Moments;
use crate::config::{CheckpointConfig, Config, DeviceChoice, GenerateConfig, ModelConfig};
use crate::data::RandomTokens;
use crate::dist::{LaunchEnv, Rendezvous};
use crate::metrics::{MetricSink, Record, peak_memory_bytes};
use crate::objective::CausalLm;
use crate::tokenizer::PromptStyle;
use crate::torch;
use crate::train::{BatchPlan, Parts, RunFolder, RunPlan, Speed, Start, Stopped, prepare_device};
use crate::weights::hf::SpecialTokens;
use anyhow::Result;
use serde_json::json;
use std::{cell::RefCell, path::Path, rc::Rc, sync::Arc, time::Duration};
use tch::Device;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Request {
    /// The configuration; of its data and weights no more than the model's shape is taken.
    pub config: Config,
    /// Steps that are timed: at least one.
    pub steps: u64,
    /// Steps before them that are not.
    pub warmup: u64,
    /// Steps after them in which it is measured what takes the time.
    pub profiled: u64,
}

/// As many steps as `--profile` looks at.
pub const PROFILED: u64 = 3;

/// Trains on random tokens and reports the timed steps.
///
/// # Errors
/// A bad request when the shape is not given in full or too short for the rows; later what the device does.
pub fn run(request: &Request) -> Result<Output> {
    let config = without_side_effects(&request.config);
    let launch = LaunchEnv::read()?;
    let model = shape::before_training(&config, None)?;
    let config = fit::for_model(&config, &model)?;
    let batch = BatchPlan::new(&config.train, launch.world_size)?;
    let steps = request.warmup + request.steps;
    let tokens_per_step = batch.tokens_per_step();
    let plan = RunPlan::new(&model, &batch, u64::from(u32::MAX), steps as i64);
    let rendezvous = Rendezvous::meet(launch, config.dist.clone())?;
    let device = prepare_device(&config.run, &config.train, rendezvous.launch())?;
    let group = rendezvous.group(device)?;
    let baseline = peak_memory_bytes(device); // of the program, before there is a model
    let mut trainer = parts(config, model, batch, plan).assemble(CausalLm, device, group)?;
    let timings = Timings::default();
    trainer.sinks.push(Box::new(timings.clone()));
    let stopped = trainer.run()?.stopped;
    let mut output = report(&timings, request, &trainer.speed, tokens_per_step);
    output.json["baseline_memory_bytes"] = json!(baseline);
    match stopped {
        Stopped::Signal(signal) => output.exit_code = signal.exit_code(),
        _ if request.profiled > 0 => profile::add(&mut output, &mut trainer, request.profiled)?,
        _ => {}
    }
    Ok(output)
}

/// Nothing is validated, sampled or saved.
fn without_side_effects(config: &Config) -> Config {
    Config {
        checkpoint: CheckpointConfig {
            save: false,
            ..config.checkpoint.clone()
        },
        generate: GenerateConfig {
            every: 0,
            ..config.generate.clone()
        },
        ..config.clone()
    }
}

fn parts(
    config: Config,
    model: ModelConfig,
    batch: BatchPlan,
    plan: RunPlan,
) -> Parts<RandomTokens> {
    let (vocab_size, seq_len) = (model.vocab_size.unsigned_abs(), batch.seq_len);
    let random = |rows: u64| {
        Arc::new(RandomTokens {
            rows,
            seq_len,
            vocab_size,
        })
    };
    Parts {
        config,
        init_from: None,
        base: None,
        reference: None,
        special: SpecialTokens::default(),
        second: None,
        tokenizer: None,
        prompts: PromptStyle::Text,
        train: random(u64::from(u32::MAX)),
        val: random(0),
        batch,
        plan,
        folder: RunFolder::new(Path::new("."), ""),
        start: Start::Fresh,
        start_step: None,
        moments: Moments::Restore,
        model,
    }
}

/// A sink that keeps step times, shared with the caller.
#[derive(Debug, Clone, Default)]
struct Timings(Rc<RefCell<Vec<Timing>>>);

#[derive(Debug, Clone, Copy)]
struct Timing {
    seconds: f64,
    cpu: Option<Duration>,
}

impl MetricSink for Timings {
    fn log(&mut self, record: &Record) -> Result<()> {
        if let Some(seconds) = record.get("step_seconds") {
            self.0.borrow_mut().push(Timing {
                seconds,
                cpu: torch::process_cpu_time(),
            });
        }
        Ok(())
    }
}

fn report(timings: &Timings, request: &Request, speed: &Speed, tokens_per_step: u64) -> Output {
    let timings = timings.0.borrow();
    let timed = timings.get(request.warmup as usize..).unwrap_or(&[]); // none after a signal, maybe
    let step_seconds: Vec<f64> = timed.iter().map(|timing| timing.seconds).collect();
    let total: f64 = step_seconds.iter().sum();
    let tokens_per_second =
        tokens_per_step as f64 * timed.len() as f64 / total.max(f64::MIN_POSITIVE);
    let peak_memory_bytes = peak_memory_bytes(speed.device);
    let json = json!({
        "step_seconds": step_seconds,
        "tokens_per_second": tokens_per_second,
        "peak_memory_bytes": peak_memory_bytes,
        "cpu_seconds_per_step": cpu_seconds_per_step(&timings, timed.len()),
        "flops_per_token": speed.flops_per_token,
        "mfu": speed.mfu(tokens_per_second),
        "device": device_name(speed.device),
        "precision": speed.precision,
    });
    let mfu = speed
        .mfu(tokens_per_second)
        .map_or_else(String::new, |mfu| {
            format!(", MFU {:.1} % ((6N + 6Lds) x tokens/s / peak)", 100.0 * mfu)
        });
    let text = format!(
        "{tokens_per_second:.0} tokens/s, {:.4} s a step, peak memory {:.0} MB{mfu}",
        total / timed.len().max(1) as f64,
        peak_memory_bytes.unwrap_or(0) as f64 / 1e6,
    );
    Output {
        json,
        text,
        exit_code: 0,
    }
}

/// As `run.device` takes it.
fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => DeviceChoice::Cuda(Some(index)),
        _ => DeviceChoice::Cpu,
    }
    .to_string()
}

/// Between the first and the last of the steps where the process's clock was read.
fn cpu_seconds_per_step(timings: &[Timing], timed: usize) -> Option<f64> {
    let last = timings.last()?.cpu?;
    let before = timings
        .len()
        .checked_sub(timed + 1)
        .map(|index| timings[index].cpu);
    let (first, steps) = match before {
        Some(first) => (first?, timed),
        None => (timings.first()?.cpu?, timed - 1),
    };
    (steps > 0).then(|| (last - first).as_secs_f64() / steps as f64)
}
