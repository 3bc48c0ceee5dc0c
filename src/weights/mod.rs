//! Weights on disk: other people's names and formats.

pub mod hf;
mod hf_config;
mod names;
pub mod safetensors;
