//! One verb, one file.

mod adapters;
pub mod bench;
pub mod benchmarks;
mod converse;
mod course;
pub mod distill;
pub mod doctor;
pub mod dpo;
pub mod eval;
pub mod export;
pub mod fit;
mod found_model;
pub mod generate;
mod history;
pub mod kernel_checks;
pub mod original_checkpoint;
pub mod plan;
pub mod prep_data;
pub mod prep_eval;
pub mod pretrain;
mod reference;
mod reference_scores;
pub mod report;
mod second_model;
pub mod sft;
mod shape;
mod sinks;
mod summary;
mod teacher;
pub mod training;
mod training_verb;
mod wandb;

pub use training_verb::TrainingVerb;

/// What a verb has to say, on stdout.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// With `--json`.
    pub json: serde_json::Value,
    /// Without.
    pub text: String,
    /// How the process exits.
    pub exit_code: u8,
}
