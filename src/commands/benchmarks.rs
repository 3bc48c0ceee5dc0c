//! The benchmarks that a configuration asks for: found, and loaded for a model.

use crate::bad_request;
use crate::config::{Cadence, EvalConfig, ModelConfig};
use crate::dist::Rendezvous;
use crate::eval::{LOSS, Periodic, Scoring, Task, TaskSource};
use crate::tokenizer::Tokenizer;
use crate::train::Parts;
use anyhow::Result;
use std::path::Path;
use tch::Device;

/// Those among `eval.tasks`, in order, each once.
///
/// # Errors
/// A bad request when one's items are not where `eval.task_data` says.
pub fn find(config: &EvalConfig) -> Result<Vec<TaskSource>> {
    let mut sources: Vec<TaskSource> = Vec::new();
    for name in &config.tasks {
        let given = config.task_data.get(name).map(AsRef::as_ref);
        let known = sources.iter().any(|source| source.name() == name);
        if name != LOSS && !known {
            sources.extend(TaskSource::find(name, given)?);
        }
    }
    Ok(sources)
}

/// Their items, as token ids of the model in `home`; what is on the Hub is fetched by rank 0, and found by the others.
///
/// # Errors
/// A bad request when an item does not fit the model; an error when a row is malformed, or cannot be fetched.
pub fn load(
    sources: &[TaskSource],
    (tokenizer, home): (&Tokenizer, &Path),
    model: &ModelConfig,
    (config, rendezvous): (&EvalConfig, &Rendezvous),
) -> Result<Vec<Task>> {
    let load = |source: &TaskSource| source.load(tokenizer, model, config.limit);
    let load = || sources.iter().map(load).collect();
    match sources.iter().any(TaskSource::is_on_hub) {
        true => rendezvous.rank_zero_first(&format!("benchmarks of {}", home.display()), load),
        false => load(),
    }
}

/// Those to score while a model learns.
///
/// # Errors
/// As [`find`].
pub fn find_due(config: &EvalConfig) -> Result<Vec<TaskSource>> {
    if config.every == 0 {
        return Ok(Vec::new());
    }
    if config.tasks.is_empty() {
        log::warn!(
            "eval.every: eval.tasks is empty, so nothing will be scored; name what is to be, as in \
             eval.tasks=[\"hellaswag\"]"
        );
    }
    find(config)
}

/// [`load`] for the model of a training run.
///
/// # Errors
/// As [`load`]; a bad request when there is no tokenizer.
pub fn load_for<D>(
    parts: &Parts<D>,
    sources: &[TaskSource],
    rendezvous: &Rendezvous,
) -> Result<Vec<Task>> {
    let Some(first) = sources.first() else {
        return Ok(Vec::new());
    };
    let tokenizer = parts.tokenizer.as_deref().ok_or_else(|| {
        bad_request!(
            "eval.tasks: {} is text, and there is no tokenizer beside the data or the weights; name one with \
             tokenizer.path",
            first.name()
        )
    })?;
    load(
        sources,
        (tokenizer, parts.folder.path()),
        &parts.model,
        (&parts.config.eval, rendezvous),
    )
}

/// What scores them during training.
#[must_use]
pub fn periodic(config: &EvalConfig, tasks: Vec<Task>, device: Device) -> Periodic {
    let scoring = Scoring {
        device,
        batch_tokens: config.batch_tokens,
    };
    Periodic::new(tasks, Cadence::new(config.every), scoring)
}
