//! Whether a run can go as it is asked to: what would make it pointless is refused or told before it begins.

use super::plan;
use super::training::TrainingRequest;
use crate::bad_request;
use crate::dist::LaunchEnv;
use crate::metrics::machine_memory_bytes;
use crate::train::{Parts, RunPlan};
use anyhow::Result;
use indicatif::HumanBytes;

/// Passes over the text that are told about, as most of them teach nothing new.
const MANY_EPOCHS: f64 = 20.0;

/// Holds the steps, the data and the memory that are named against the run.
///
/// # Errors
/// A bad request when nothing is left to train.
pub(super) fn check<D>(request: &TrainingRequest, parts: &Parts<D>) -> Result<()> {
    let (config, last) = (&parts.config, parts.plan.max_steps);
    if last > 0 {
        check_steps(request, last)?; // else the data is still to be prepared
    }
    if request.reset_optimizer && request.resume.is_none() && request.start_step.is_none() {
        log::warn!("--reset-optimizer: without --resume there is nothing to reset");
    }
    if config.generate.every > 0 && config.generate.prompts.is_empty() {
        log::warn!("generate.every: there are no generate.prompts, so no samples");
    }
    if request.verb == plan::Verb::Pretrain {
        tell_epochs(&parts.plan);
    }
    let launch = LaunchEnv::read()?;
    let device = launch.select_device(config.run.device);
    if launch.rank == 0 && device.is_ok_and(|device| !device.is_cuda()) {
        tell_memory(plan::bytes_of_a_rank(request.verb, parts) * launch.local_world_size as u64);
    }
    Ok(())
}

fn check_steps(request: &TrainingRequest, last: u64) -> Result<()> {
    if let Some(step) = request.start_step.filter(|step| *step >= last) {
        return Err(bad_request!(
            "the run would begin at step {step} (--start-step, or the checkpoint's own) and ends at step {last}: nothing \
             is left to train; raise train.max_steps, or give another --start-step"
        ));
    }
    let warmup = request.config.optim.warmup_steps;
    if warmup >= last {
        log::warn!(
            "optim.warmup_steps: the run's {last} steps end before {warmup} of warm-up; optim.max_lr is not reached"
        );
    }
    Ok(())
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
