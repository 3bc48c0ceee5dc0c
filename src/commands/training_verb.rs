//! The verbs that train.

use super::{dpo, sft};
use crate::config::{Config, DistillOn, ModelConfig};
use crate::data::manifest::Kind;
use crate::train::{BatchPlan, RunPlan};
use anyhow::Result;

/// A way to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingVerb {
    /// On text.
    Pretrain,
    /// On conversations.
    Sft,
    /// On preferences.
    Dpo,
    /// On what a teacher says.
    Distill,
}

impl TrainingVerb {
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
    pub(super) fn guess(config: &Config, data: Option<Kind>) -> Self {
        match (data, config) {
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

    /// The lengths of a run over `rows`.
    pub(super) fn plan(
        self,
        config: &Config,
        model: &ModelConfig,
        batch: &BatchPlan,
        rows: u64,
    ) -> RunPlan {
        let plan = RunPlan::new(model, batch, rows, config.train.max_steps);
        let is_begun = config.model.init_from.is_some() || config.lora.enabled;
        match self {
            Self::Pretrain if !is_begun => plan.from_nothing(),
            _ => plan,
        }
    }

    /// What it reads.
    pub(super) fn kind(self, config: &Config) -> Kind {
        match (self, config.distill.on) {
            (Self::Pretrain, _) | (Self::Distill, DistillOn::Pretrain) => Kind::Pretrain,
            (Self::Sft, _) | (Self::Distill, DistillOn::Instruct) => Kind::Instruct,
            (Self::Dpo, _) => Kind::Preference,
        }
    }

    /// How it cuts a step, as the verb itself does.
    ///
    /// # Errors
    /// A bad request when a step has a remainder, or counts what the verb does not.
    pub(super) fn batch(self, config: &Config, world_size: u64) -> Result<BatchPlan> {
        match self.kind(config) {
            Kind::Pretrain => BatchPlan::new(&config.train, world_size),
            Kind::Instruct => sft::batch_plan(config, world_size),
            Kind::Preference => dpo::batch_plan(config, world_size),
        }
    }
}
