//! Whether a run can go as it is asked to: what would make it pointless is refused or told before it begins.

use super::training::TrainingRequest;
use super::{TrainingVerb, plan};
use crate::bad_request;
use crate::dist::LaunchEnv;
use crate::metrics::machine_memory_bytes;
use crate::train::{Parts, RunPlan};
use anyhow::Result;
use indicatif::HumanBytes;

/// Passes over the text that are told about, as most of them teach nothing new.
const MANY_EPOCHS: f64 = 20.0;

/// Holds the steps, the data and the memory that are named against the run. Rank 0 tells what is only unwise.
///
/// # Errors
/// A bad request when nothing is left to train.
pub(super) fn check<D>(request: &TrainingRequest, parts: &Parts<D>) -> Result<()> {
    let plan = &parts.plan;
    let steps_are_known = plan.max_steps > 0; // else the data is still to be prepared
    if steps_are_known {
        check_steps(request, plan.max_steps)?;
    }
    let launch = LaunchEnv::read()?;
    if launch.rank != 0 {
        return Ok(());
    }
    tell_unheeded(request, plan);
    if request.verb == TrainingVerb::Pretrain {
        tell_epochs(plan);
    }
    let device = launch.select_device(parts.config.run.device);
    if device.is_ok_and(|device| !device.is_cuda()) {
        let of_a_rank = plan::bytes_of_a_rank(request.verb, parts);
        tell_memory(of_a_rank * launch.local_world_size as u64);
    }
    Ok(())
}

fn check_steps(request: &TrainingRequest, last: u64) -> Result<()> {
    match request.start_step.filter(|step| *step >= last) {
        Some(step) => Err(bad_request!(
            "the run would begin at step {step} (--start-step, or the checkpoint's own) and ends at step {last}: nothing \
             is left to train; raise train.max_steps, or give another --start-step"
        )),
        None => Ok(()),
    }
}

/// What is asked for and cannot come about.
fn tell_unheeded(request: &TrainingRequest, plan: &RunPlan) {
    let (config, last) = (&request.config, plan.max_steps);
    let warmup = config.optim.warmup_steps;
    if last > 0 && warmup >= last {
        log::warn!(
            "optim.warmup_steps: the run's {last} steps end before {warmup} of warm-up; optim.max_lr is not reached"
        );
    }
    if request.reset_optimizer && request.resume.is_none() && request.start_step.is_none() {
        log::warn!("--reset-optimizer: without --resume there is nothing to reset");
    }
    if config.generate.every > 0 && config.generate.prompts.is_empty() {
        log::warn!("generate.every: there are no generate.prompts, so no samples");
    }
}

fn tell_epochs(plan: &RunPlan) {
    let epochs = plan.total_tokens as f64 / plan.data_tokens.max(1) as f64;
    if plan.data_tokens > 0 && epochs > MANY_EPOCHS {
        log::warn!(
            "train.max_steps: the text is read {epochs:.0} times over; prepare more of it, or take fewer steps"
        );
    }
}

/// A machine that runs out of memory does not say so: it stands still, or ends the process.
fn tell_memory(planned: u64) {
    if let Some(there) = machine_memory_bytes().filter(|there| planned > *there) {
        log::warn!(
            "the run will hold about {} of this machine's {} (`llama-train plan` tells by what); lower \
             train.micro_batch_size or train.seq_len, or set train.activation_checkpointing",
            HumanBytes(planned),
            HumanBytes(there)
        );
    }
}
