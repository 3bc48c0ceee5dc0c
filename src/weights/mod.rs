//! Weights on disk: other people's names and formats.

mod fill;
pub mod hf;
mod hf_config;
pub mod meta;
mod names;
mod pickle;
mod pickle_value;
pub mod safetensors;
pub mod torch_save;

use crate::config::ModelConfig;
use anyhow::Result;
use std::path::Path;
use tch::{Kind, nn};

/// Reads the shape of a model folder: Hugging Face's, which every checkpoint is, or Meta's.
///
/// # Errors
/// A bad request when it is neither; an error when it holds something else than a Llama of this kind.
pub fn read_config(dir: &Path) -> Result<ModelConfig> {
    match meta::is_meta(dir) {
        true => meta::read_config(dir),
        false => hf::read_config(dir),
    }
}

/// Fills the variables of `store` from a model folder.
///
/// # Errors
/// When a tensor is missing, extra or of another shape (all of them are named), or a file is damaged.
pub fn load(dir: &Path, store: &nn::VarStore, config: &ModelConfig) -> Result<()> {
    match meta::is_meta(dir) {
        true => meta::load(dir, store, config),
        false => hf::load(dir, store, config),
    }
}

/// The kind of number that a model folder's weights are stored in.
///
/// # Errors
/// When there are none, or their file is damaged.
pub fn stored_kind(dir: &Path) -> Result<Kind> {
    match meta::is_meta(dir) {
        true => meta::stored_kind(dir),
        false => hf::stored_kind(dir),
    }
}
