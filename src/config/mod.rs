//! The configuration: read once, checked whole, then handed out in sections.

mod batch;
mod cadence;
mod choices;
mod device_choice;
mod env_file;
mod environment;
mod error;
mod hub_keys;
mod hub_path;
mod load;
mod lora;
mod method_sections;
mod methods;
mod model;
mod origin;
mod original_env;
mod original_names;
mod presets;
mod reference;
mod resolve;
mod section;
mod sections;
mod suggestion;
mod validate;
mod variable;
mod words;

pub use cadence::Cadence;
pub use choices::{
    Auto, Dedup, DistillKind, DistillOn, DpoLoss, Kernels, OnGpu, OnTooLong, Precision, Recompute,
    ScheduleKind, TokenizerBackend, TrainOn, WandbMode, Weights,
};
pub use device_choice::DeviceChoice;
pub use environment::machine_variable;
pub use error::BadRequest;
pub use hub_path::{HubKind, HubPart, HubPath};
pub use load::{Assignment, Sources};
pub use method_sections::{
    DistillConfig, DpoConfig, EvalConfig, LoraConfig, SftConfig, WandbConfig,
};
pub use model::{ModelConfig, RopeScaling};
pub use original_env::Purpose;
pub use presets::{PRESETS, preset};
pub use reference::reference;
pub use section::{Key, Section};
pub use sections::{
    CheckpointConfig, DataConfig, DistConfig, GenerateConfig, ModelSection, OptimConfig,
    PrepareConfig, RunConfig, TokenizerConfig, TrainConfig, ValidateConfig,
};
pub use suggestion::did_you_mean;

/// A key and what is wrong with its value.
pub type Problem = (&'static str, String);

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
    /// `[dist]`
    pub dist: DistConfig,
    /// `[checkpoint]`
    pub checkpoint: CheckpointConfig,
    /// `[sft]`
    pub sft: SftConfig,
    /// `[lora]`
    pub lora: LoraConfig,
    /// `[dpo]`
    pub dpo: DpoConfig,
    /// `[distill]`
    pub distill: DistillConfig,
    /// `[eval]`
    pub eval: EvalConfig,
    /// `[generate]`
    pub generate: GenerateConfig,
    /// `[wandb]`
    pub wandb: WandbConfig,
}

impl Config {
    /// The sections, each by its table's name.
    pub(crate) fn sections_mut(&mut self) -> [&mut dyn Section; 17] {
        [
            &mut self.prepare,
            &mut self.run,
            &mut self.model,
            &mut self.tokenizer,
            &mut self.data,
            &mut self.train,
            &mut self.optim,
            &mut self.validate,
            &mut self.dist,
            &mut self.checkpoint,
            &mut self.sft,
            &mut self.lora,
            &mut self.dpo,
            &mut self.distill,
            &mut self.eval,
            &mut self.generate,
            &mut self.wandb,
        ]
    }

    /// Whether a step is counted in examples where conversations are trained on: a row is one, and their number is given.
    /// `train.total_batch_tokens` is passed over then.
    #[must_use]
    pub fn counts_examples(&self) -> bool {
        !self.sft.packing && self.train.total_batch_examples.is_some()
    }

    /// The resolved configuration as TOML, ready to be read again. It holds no secret: those are not configuration.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_else(|error| format!("# {error}"))
    }
}
