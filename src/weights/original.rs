//! The original project's checkpoints: one `.pt` file of `torch.save` with the weights under Meta's names and in Meta's
//! rotary layout, LoRA's A and B beside them, the step and the shape. Its optimizer's state is not read.

use super::adapter::{self, Adapter};
use super::fill::Fill;
use super::meta::{Params, unpaired};
use super::names::base_variables;
use super::torch_save::TorchFile;
use crate::config::ModelConfig;
use crate::model::LoraOptions;
use anyhow::{Context, Result};
use std::{collections::BTreeMap, path::Path};
use tch::{Kind, nn};

const WEIGHTS: &str = "model.";
/// The shape's dictionary: of the project's first version, and of its newest.
const SHAPES: [&str; 2] = ["config", "model_config"];
const STEP: &str = "step";
const EMBEDDING: &str = "model.tok_embeddings.weight";
/// Its parts of an adapter, and ours.
const ADAPTER: [(&str, &str); 2] = [(".A", ".lora_a"), (".B", ".lora_b")];

/// Reads the shape.
///
/// # Errors
/// When the file is damaged, or is no checkpoint of the original project.
pub(super) fn read_config(path: &Path) -> Result<ModelConfig> {
    let file = open(path)?;
    let shape = SHAPES
        .iter()
        .find(|shape| file.number(&format!("{shape}.dim")).is_some());
    let shape = shape.with_context(|| {
        format!(
            "{}: it says nothing of the model's shape (config); give the weights as a Meta folder: consolidated.00.pth \
             and params.json",
            path.display()
        )
    })?;
    let number = |name: &str| file.number(&format!("{shape}.{name}"));
    let needed = |name: &str| {
        let found = number(name).map(|number| number as i64);
        found.with_context(|| format!("{}: {shape}.{name} is missing", path.display()))
    };
    let vocab_size = file
        .read(EMBEDDING)?
        .map_or(0, |embedding| embedding.size()[0]);
    let params = Params {
        dim: needed("dim")?,
        n_layers: needed("n_layers")?,
        n_heads: needed("n_heads")?,
        n_kv_heads: number("n_kv_heads").map(|number| number as i64),
        vocab_size,
        multiple_of: number("multiple_of").map(|number| number as i64),
        ffn_dim_multiplier: number("ffn_dim_multiplier"),
        norm_eps: number("norm_eps"),
        rope_theta: number("rope_theta"),
        use_scaled_rope: false,
        rope_scaling_factor: None,
    };
    let max_seq_len = number("max_seq_len").map(|number| number as i64);
    let section = params.section(false);
    section
        .resolve(None, max_seq_len.unwrap_or(super::meta::CONTEXT))
        .with_context(|| path.display().to_string())
}

/// Optimizer steps that were made.
///
/// # Errors
/// When the file is damaged, or does not say.
pub fn step(path: &Path) -> Result<u64> {
    let step = open(path)?.number(STEP);
    let step = step.filter(|step| *step >= 0.0).map(|step| step as u64);
    step.with_context(|| format!("{}: it does not say its step", path.display()))
}

/// The kind of number that the weights are stored in.
pub(super) fn stored_kind(path: &Path) -> Result<Kind> {
    let embedding = open(path)?.read(EMBEDDING)?;
    let embedding =
        embedding.with_context(|| format!("{}: {EMBEDDING} is missing", path.display()))?;
    Ok(embedding.kind())
}

/// How many numbers the weights are at most.
pub(super) fn count_numbers(path: &Path) -> Result<u64> {
    Ok(open(path)?.count_numbers())
}

/// Fills the weights of `store`; adapters are left out.
pub(super) fn load(path: &Path, store: &nn::VarStore, config: &ModelConfig) -> Result<()> {
    let mut fill = Fill::new(base_variables(store));
    open(path)?.for_each(|name, tensor| match name.strip_prefix(WEIGHTS) {
        Some(name) if our_adapter(name).is_none() => {
            fill.take(name, &unpaired(name, tensor, config))
        }
        _ => Ok(()),
    })?;
    fill.finish(path)
}

/// The adapter, if there is one. The file does not say how it is scaled: `alpha` does.
pub(super) fn read_adapter(
    path: &Path,
    config: &ModelConfig,
    alpha: f64,
) -> Result<Option<Adapter>> {
    let mut tensors = BTreeMap::new();
    open(path)?.for_each(|name, tensor| {
        if let Some(ours) = name.strip_prefix(WEIGHTS).and_then(our_adapter) {
            // B has the rows of its matrix, and they are turned in the same order.
            let matrix = ours.replace(".lora_b", ".weight");
            tensors.insert(ours, unpaired(&matrix, tensor, config));
        }
        Ok(())
    })?;
    if tensors.is_empty() {
        return Ok(None);
    }
    Ok(Some(Adapter {
        path: path.to_owned(),
        options: LoraOptions {
            rank: adapter::rank(path, &tensors)?,
            alpha,
            dropout: 0.0,
            targets: adapter::targets(tensors.keys()),
        },
        tensors,
    }))
}

fn our_adapter(name: &str) -> Option<String> {
    ADAPTER
        .iter()
        .find_map(|(theirs, ours)| Some(format!("{}{ours}", name.strip_suffix(theirs)?)))
}

fn open(path: &Path) -> Result<TorchFile> {
    let file = TorchFile::open(path)?;
    let is_ours = file.names().any(|name| name == EMBEDDING);
    is_ours.then_some(file).with_context(|| {
        format!(
            "{}: no checkpoint of the original project: {EMBEDDING} is not in it",
            path.display()
        )
    })
}
