//! The configuration: read once, checked whole, then handed out in sections.

mod choices;
mod error;
mod model;
mod section;
mod sections;

pub use choices::{Auto, DeviceChoice, Precision, Recompute, ScheduleKind, WandbMode};
pub use error::BadRequest;
pub use model::{ModelConfig, RopeScaling};
pub use section::{Key, Section};
pub use sections::{
    CheckpointConfig, DataConfig, GenerateConfig, ModelSection, OptimConfig, PrepareConfig,
    RunConfig, TokenizerConfig, TrainConfig, ValidateConfig, WandbConfig,
};

/// The whole configuration. Only `commands/` and `train/parts.rs` see it; every part receives its own section.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
pub struct Config {
    /// `[prepare]`
    pub prepare: PrepareConfig,
    /// `[run]`
    pub run: RunConfig,
    /// `[model]`
    pub model: ModelSection,
    /// `[tokenizer]`
    pub tokenizer: TokenizerConfig,
    /// `[data]`
    pub data: DataConfig,
    /// `[train]`
    pub train: TrainConfig,
    /// `[optim]`
    pub optim: OptimConfig,
    /// `[validate]`
    pub validate: ValidateConfig,
    /// `[checkpoint]`
    pub checkpoint: CheckpointConfig,
    /// `[generate]`
    pub generate: GenerateConfig,
    /// `[wandb]`
    pub wandb: WandbConfig,
}
