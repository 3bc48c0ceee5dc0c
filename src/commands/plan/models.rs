//! The models of a plan, by their descriptions; no weights are read.

use crate::commands::TrainingVerb;
use crate::commands::{fit, shape};
use crate::config::{Config, ModelConfig};
use crate::weights::Pretrained;
use anyhow::Result;
use std::path::Path;

/// The model of a run, and the one that is held beside it.
#[derive(Debug, Clone)]
pub(super) struct Models {
    pub(super) trained: ModelConfig,
    pub(super) second: Option<ModelConfig>,
}

impl Models {
    /// Those that `verb` would train and hold.
    ///
    /// # Errors
    /// A bad request when a shape is not told in full, or too short for the rows.
    pub(super) fn find(config: &Config, verb: TrainingVerb) -> Result<Self> {
        let teacher = teacher(config, verb)?;
        let trained = shape::before_training(config, teacher.as_ref())?;
        for model in [Some(&trained), teacher.as_ref()].into_iter().flatten() {
            fit::for_model(config, model)?;
        }
        let second = match verb {
            TrainingVerb::Distill => teacher.filter(|_| !config.distill.cache_teacher),
            TrainingVerb::Dpo => reference(config, &trained)?,
            TrainingVerb::Pretrain | TrainingVerb::Sft => None,
        };
        Ok(Self { trained, second })
    }

    /// The one that each batch goes through forward only: the second, or the policy's own below its adapters.
    pub(super) fn asked(&self, config: &Config, verb: TrainingVerb) -> Option<&ModelConfig> {
        let is_asked_below = verb == TrainingVerb::Dpo && is_asked_each_step(config);
        let below = is_asked_below.then_some(&self.trained);
        self.second.as_ref().or(below)
    }
}

fn described(path: &str) -> Result<ModelConfig> {
    Ok(Pretrained::describe(Path::new(path))?.config().clone())
}

fn teacher(config: &Config, verb: TrainingVerb) -> Result<Option<ModelConfig>> {
    let named = config.distill.teacher.as_deref();
    let named = named.filter(|_| verb == TrainingVerb::Distill);
    named.map(described).transpose()
}

fn is_asked_each_step(config: &Config) -> bool {
    config.dpo.has_reference() && !config.dpo.cache_reference
}

/// The reference that is held beside the policy: none where it is the model below adapters, or was asked before.
fn reference(config: &Config, policy: &ModelConfig) -> Result<Option<ModelConfig>> {
    if !is_asked_each_step(config) {
        return Ok(None);
    }
    match config.dpo.named_reference() {
        Some(named) => described(named).map(Some),
        None if config.lora.enabled => Ok(None),
        None => Ok(Some(policy.clone())),
    }
}
