//! A low-rank adapter that was read, whoever wrote it.

use super::fill::Fill;
use super::names::{adapter_variables, base_variables};
use crate::model::LoraOptions;
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};
use tch::{Kind, Tensor, nn};

/// Pairs of small matrices in memory, in the rotary layout of the model.
#[derive(Debug)]
pub struct Adapter {
    /// Where it was read from.
    pub(super) path: PathBuf,
    /// Which matrices it belongs to, and how it is scaled.
    pub(super) options: LoraOptions,
    /// Under the model's own names, `….lora_a` and `….lora_b`.
    pub(super) tensors: BTreeMap<String, Tensor>,
}

impl Adapter {
    /// Which matrices it belongs to, and how it is scaled.
    #[must_use]
    pub fn options(&self) -> &LoraOptions {
        &self.options
    }

    /// The adapters of a model, to be written to `path`.
    #[must_use]
    pub fn of(store: &nn::VarStore, options: LoraOptions, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            options,
            tensors: adapter_variables(store),
        }
    }

    /// Where it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills the adapters of a model.
    ///
    /// # Errors
    /// When a matrix is missing, extra or of another shape; all of them are named.
    pub fn fill(&self, store: &nn::VarStore) -> Result<()> {
        let mut fill = Fill::new(adapter_variables(store));
        for (name, tensor) in &self.tensors {
            fill.take(name, tensor)?;
        }
        fill.finish(&self.path)
    }

    /// Adds `scale · B A`, computed in fp32, to the weights of a model without adapters.
    ///
    /// # Errors
    /// When a matrix has no partner, no place in the model, or another shape.
    pub fn merge(&self, store: &nn::VarStore) -> Result<()> {
        let weights = base_variables(store);
        for (name, a) in &self.tensors {
            let Some(module) = name.strip_suffix(".lora_a") else {
                let module = name.strip_suffix(".lora_b").unwrap_or(name);
                ensure!(
                    self.tensors.contains_key(&format!("{module}.lora_a")),
                    "{}: {name}: it has no lora_a beside it",
                    self.path.display()
                );
                continue;
            };
            let add = || -> Result<()> {
                let b = self.tensors.get(&format!("{module}.lora_b"));
                let b = b.context("it has no lora_b beside it")?;
                let weight = weights.get(&format!("{module}.weight"));
                let weight = weight.context("the model has no such matrix")?;
                let [a, b] = [a, b].map(|matrix| matrix.to_kind(Kind::Float));
                let product = b.f_matmul(&a)? * self.options.scale(); // [out, in]
                let merged = weight.to_kind(Kind::Float).f_add(&product)?;
                tch::no_grad(|| weight.shallow_clone().f_copy_(&merged))?;
                Ok(())
            };
            add().with_context(|| format!("{}: {name}", self.path.display()))?;
        }
        Ok(())
    }
}

/// The targets of some matrices: `wq` of `layers.0.attention.wq.lora_a`.
pub(super) fn targets<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let target =
        |name: &'a String| Some(name.strip_suffix(".lora_a")?.rsplit('.').next()?.to_owned());
    let mut targets: Vec<String> = names.filter_map(target).collect();
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// The rank of some matrices: rows of the first A.
///
/// # Errors
/// When there is none.
pub(super) fn rank(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<i64> {
    let first = tensors.iter().find(|(name, _)| name.ends_with(".lora_a"));
    let rank = first.and_then(|(_, a)| a.size().first().copied());
    rank.filter(|&rank| rank > 0)
        .with_context(|| format!("{}: there is no adapter in it", path.display()))
}
