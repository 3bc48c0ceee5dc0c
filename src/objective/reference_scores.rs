//! What a reference model makes of every answer, computed once and kept on disk.

use super::dpo::row_log_probs;
use crate::data::{Batch, Dataset, PreferenceDataset};
use crate::dist::{self, ProcessGroup};
use crate::model::{Pass, Transformer};
use crate::weights::safetensors;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// `log π_ref` of the chosen and the rejected answer of every pair. The batches are the same for any number of ranks,
/// which take turns at them, and so is the answer, on every rank.
///
/// # Errors
/// When the data cannot be read or a rank is gone.
pub fn reference_scores(
    reference: &Transformer,
    device: Device,
    pairs: &PreferenceDataset,
    batch_size: u64,
    group: &dyn ProcessGroup,
) -> Result<Vec<[f32; 2]>> {
    let _no_grad = tch::no_grad_guard();
    let count = pairs.len();
    let all = Tensor::zeros([count as i64, 2], (Kind::Float, Device::Cpu));
    for turn in dist::turns(count, batch_size, group) {
        let first = turn.start as i64;
        let indices: Vec<u64> = turn.collect();
        let batch = pairs.collate(&indices)?.to_device(device);
        let scores = row_log_probs(reference, &batch, Pass::Eval); // [2B], the chosen first
        let of_pairs = scores.view([2, -1]).transpose(0, 1); // [B, 2]
        all.narrow(0, first, indices.len() as i64).copy_(&of_pairs);
    }
    let mut all = all;
    group.all_reduce_sum(&mut all)?; // each pair is zero on all ranks but one
    into_pairs(&all)
}

fn into_pairs(scores: &Tensor) -> Result<Vec<[f32; 2]>> {
    let scores = Vec::<f32>::try_from(&scores.flatten(0, -1))?;
    let (pairs, _) = scores.as_chunks::<2>();
    Ok(pairs.to_vec())
}

/// The scores of both splits in one file, whose name says what they are of.
#[derive(Debug)]
pub struct ReferenceCache {
    path: PathBuf,
}

impl ReferenceCache {
    const SPLITS: [&str; 2] = ["train", "val"];

    /// In `folder`, for what `key` stands for.
    #[must_use]
    pub fn new(folder: &Path, key: &str) -> Self {
        Self {
            path: folder.join(format!("reference-{key}.safetensors")),
        }
    }

    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the scores are there.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// The scores of the train and the val split, which have so many pairs.
    ///
    /// # Errors
    /// When the file is missing or damaged.
    pub fn read(&self, lengths: [u64; 2]) -> Result<[Vec<[f32; 2]>; 2]> {
        let read = || -> Result<_> {
            let tensors = safetensors::read(&self.path)?;
            let split = |index: usize| {
                let name = Self::SPLITS[index];
                let scores = tensors.get(name).context("a split is missing")?;
                let expected = [lengths[index] as i64, 2];
                ensure!(scores.size() == expected, "{name} has another length");
                into_pairs(scores)
            };
            Ok([split(0)?, split(1)?])
        };
        let damaged = || format!("{}: damaged; delete it", self.path.display());
        read().with_context(damaged)
    }

    /// Keeps the scores.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn write(&self, scores: &[Vec<[f32; 2]>; 2]) -> Result<()> {
        let tensors = Self::SPLITS.iter().zip(scores).map(|(name, scores)| {
            let flat = Tensor::from_slice(scores.as_flattened());
            ((*name).to_owned(), flat.view([-1, 2]))
        });
        safetensors::write(&self.path, &tensors.collect::<Vec<_>>()).with_context(|| {
            format!(
                "{}: the reference's log-probabilities are kept beside the data, and cannot be written there; make the \
                 folder writable, or set dpo.cache_reference=false",
                self.path.display()
            )
        })
    }
}
