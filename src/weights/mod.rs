//! Weights on disk: other people's names and formats.

mod adapter;
mod base_model;
mod fill;
pub mod hf;
mod hf_config;
pub mod meta;
mod names;
pub mod original;
pub mod peft;
mod pickle;
mod pickle_value;
mod pretrained;
mod record;
pub mod safetensors;
pub mod torch_save;

pub use adapter::Adapter;
pub use names::freeze_base;
pub use pretrained::Pretrained;
pub use record::ModelRecord;

use crate::config::ModelConfig;
use crate::model::flops::parameters;
use anyhow::{Result, ensure};
use std::path::Path;
use tch::{Kind, nn};

/// In which form a model is kept.
enum Form {
    /// A folder of the Hub, which every checkpoint is.
    HuggingFace,
    /// A folder of Meta's.
    Meta,
    /// A `.pt` file of the original project.
    Original,
}

impl Form {
    fn of(path: &Path) -> Self {
        match path {
            _ if path.is_file() => Self::Original,
            _ if meta::is_meta(path) => Self::Meta,
            _ => Self::HuggingFace,
        }
    }
}

/// Reads the shape of a model: a Hugging Face folder (which every checkpoint is), one of Meta's, or a `.pt` file of the
/// original project.
///
/// # Errors
/// A bad request when it is none of them; an error when it holds something else than a Llama of this kind.
pub fn read_config(path: &Path) -> Result<ModelConfig> {
    match Form::of(path) {
        Form::HuggingFace => hf::read_config(path),
        Form::Meta => meta::read_config(path),
        Form::Original => original::read_config(path),
    }
}

/// Fills the variables of `store`, but for adapters, from a model.
///
/// # Errors
/// When a tensor is missing, extra or of another shape (all of them are named), or a file is damaged.
pub fn load(path: &Path, store: &nn::VarStore, config: &ModelConfig) -> Result<()> {
    match Form::of(path) {
        Form::HuggingFace => hf::load(path, store, config),
        Form::Meta => meta::load(path, store, config),
        Form::Original => original::load(path, store, config),
    }
}

/// The kind of number that a model's weights are stored in.
///
/// # Errors
/// When there are none, or their file is damaged.
pub fn stored_kind(path: &Path) -> Result<Kind> {
    match Form::of(path) {
        Form::HuggingFace => hf::stored_kind(path),
        Form::Meta => meta::stored_kind(path),
        Form::Original => original::stored_kind(path),
    }
}

/// Holds a shape against the files before memory is taken for it: a damaged one may ask for any amount.
fn check_size(path: &Path, config: &ModelConfig) -> Result<()> {
    let problems = config.problems();
    ensure!(
        problems.is_empty(),
        "{}: the model's shape is impossible: {}",
        path.display(),
        problems.join("; ")
    );
    let stored = match Form::of(path) {
        Form::HuggingFace => hf::count_numbers(path)?,
        Form::Meta => meta::count_numbers(path)?,
        Form::Original => original::count_numbers(path)?,
    };
    let described = parameters(config);
    ensure!(
        described / 2 <= stored,
        "{}: its configuration describes a model of {described} parameters, and its files hold at most {stored} numbers",
        path.display()
    );
    Ok(())
}
