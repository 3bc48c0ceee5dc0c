//! Whether a run trains the adapters that it goes on from.

use crate::bad_request;
use crate::config::Config;
use crate::model::LoraOptions;
use crate::weights::Pretrained;
use anyhow::Result;

/// Of a checkpoint that is resumed: what it holds is what is trained.
///
/// # Errors
/// A bad request when one has adapters and the other whole weights, or other adapters.
pub(super) fn check_resumed(config: &Config, checkpoint: &Pretrained) -> Result<()> {
    let (held, asked, remedy) = match (checkpoint.adapter(), config.lora.enabled) {
        (Some(_), false) => ("adapters", "lora.enabled is false", "true"),
        (None, true) => ("whole weights", "lora.enabled is true", "false"),
        _ => return check_trained(config, checkpoint),
    };
    Err(bad_request!(
        "--resume: {} holds {held}, and {asked}: set lora.enabled={remedy} to go on with it, or begin another run from it \
         with --init-from",
        checkpoint.name()
    ))
}

/// Of weights to start from: adapters above them are trained on as they are, by a run that trains some. Another scale would
/// change what they add to the model.
///
/// # Errors
/// A bad request when the run's are of another kind.
pub(super) fn check_trained(config: &Config, weights: &Pretrained) -> Result<()> {
    let (Some(adapter), Some(ours)) = (weights.adapter(), LoraOptions::of(&config.lora)) else {
        return Ok(());
    };
    match assignments(adapter.options(), &ours).as_slice() {
        [] => Ok(()),
        differing => Err(bad_request!(
            "{}: its adapters are not what [lora] asks for: train them on with {}, or add them into the weights first \
             (llama-train export --merge-lora)",
            weights.name(),
            differing.join(" ")
        )),
    }
}

/// What makes ours the same as theirs.
fn assignments(theirs: &LoraOptions, ours: &LoraOptions) -> Vec<String> {
    let sorted = |options: &LoraOptions| {
        let mut targets = options.targets.clone();
        targets.sort_unstable();
        targets
    };
    let mut found = Vec::new();
    if theirs.rank != ours.rank {
        found.push(format!("--set lora.rank={}", theirs.rank));
    }
    if (theirs.alpha - ours.alpha).abs() > 1e-6 * theirs.alpha.abs() {
        found.push(format!("--set lora.alpha={}", theirs.alpha));
    }
    if sorted(theirs) != sorted(ours) {
        let targets = sorted(theirs).join("\",\"");
        found.push(format!("--set 'lora.target_modules=[\"{targets}\"]'"));
    }
    found
}
