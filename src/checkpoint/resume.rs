//! Reading a checkpoint back.

use super::layout::{self, Check};
use super::{Checkpointer, Moments, ResumeFrom, generator_key, generators};
use crate::dist;
use crate::optim::AdamW;
use crate::torch;
use crate::weights::{ModelRecord, Pretrained, safetensors};
use anyhow::Result;
use serde::de::DeserializeOwned;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tch::nn;

/// The checkpoints below `folder`: the one that `latest` names, then those of earlier steps. Later ones belong to a
/// course that was given up for an earlier checkpoint.
///
/// # Errors
/// When the folder cannot be read.
pub fn newest_first(folder: &Path) -> Result<Vec<PathBuf>> {
    let steps = layout::steps(folder)?;
    let latest = layout::linked_step(folder, layout::LATEST).filter(|step| steps.contains(step));
    let current = steps
        .into_iter()
        .rev()
        .filter(|&step| latest.is_none_or(|latest| step <= latest));
    Ok(current.map(|step| layout::step_dir(folder, step)).collect())
}

/// The model that the run of this checkpoint is held against, where it has one.
///
/// # Errors
/// When what says so cannot be understood.
pub fn recorded_reference(checkpoint: &Path) -> Result<Option<ModelRecord>> {
    let path = checkpoint.join(layout::REFERENCE);
    if !path.exists() {
        return Ok(None);
    }
    let read = || Ok(serde_json::from_slice(&fs::read(&path)?)?);
    read().map_err(|error: anyhow::Error| error.context(format!("{}: damaged", path.display())))
}

impl Checkpointer {
    /// Loads weights, moments and generators, and returns the folder and the state. None when there is no checkpoint
    /// yet. A newest one that is damaged is named, and the one before is used. Rank 0 chooses for all.
    ///
    /// # Errors
    /// When every checkpoint is damaged, or the one asked for is missing or damaged.
    pub fn resume<S: DeserializeOwned>(
        &self,
        from: &ResumeFrom,
        store: &nn::VarStore,
        optimizer: &mut AdamW,
        moments: Moments,
    ) -> Result<Option<(PathBuf, S)>> {
        if self.group.rank() != 0 {
            let chosen = dist::broadcast_text(self.group.as_ref(), "")?;
            let dir = Some(PathBuf::from(chosen)).filter(|dir| !dir.as_os_str().is_empty());
            let restore = |dir: PathBuf| {
                let state = self.restore(&dir, Check::Sizes, store, (optimizer, moments))?;
                Ok((dir, state))
            };
            return dir.map(restore).transpose();
        }
        let found = self.restore_newest(from, store, optimizer, moments)?;
        let dir = found.as_ref().map_or(Path::new(""), |(dir, _)| dir);
        dist::broadcast_text(self.group.as_ref(), &dir.to_string_lossy())?;
        Ok(found)
    }

    fn restore_newest<S: DeserializeOwned>(
        &self,
        from: &ResumeFrom,
        store: &nn::VarStore,
        optimizer: &mut AdamW,
        moments: Moments,
    ) -> Result<Option<(PathBuf, S)>> {
        let candidates = match from {
            ResumeFrom::Path(dir) => vec![dir.clone()],
            ResumeFrom::Latest => newest_first(&self.folder)?,
        };
        let mut newest_error = None;
        for dir in candidates {
            match self.restore(&dir, Check::Whole, store, (optimizer, moments)) {
                Ok(state) => return Ok(Some((dir, state))),
                Err(error) => {
                    log::warn!(
                        "{}: this checkpoint cannot be used: {error:#}",
                        dir.display()
                    );
                    newest_error.get_or_insert(error);
                }
            }
        }
        newest_error.map_or(Ok(None), |error| {
            Err(error.context("no checkpoint of this run can be resumed"))
        })
    }

    fn restore<S: DeserializeOwned>(
        &self,
        dir: &Path,
        check: Check,
        store: &nn::VarStore,
        (optimizer, moments): (&mut AdamW, Moments),
    ) -> Result<S> {
        let state = layout::open(dir, check)?;
        let any_scale = 1.0; // adapters of ours say their own
        Pretrained::open(dir, None, any_scale)?.fill(store)?;
        let saved = safetensors::tensors(&dir.join(layout::OPTIMIZER))?;
        match moments {
            Moments::Restore => optimizer.load_state(saved)?,
            Moments::Reset => optimizer.load_remainders(saved)?,
        }
        let saved_states = safetensors::read(&dir.join(layout::RNG))?;
        for (name, device) in generators(store.device()) {
            // A rank that the saved run did not have keeps its fresh generator.
            if let Some(saved) = saved_states.get(&generator_key(name, self.group.rank())) {
                torch::set_rng_state(device, saved)?;
            }
        }
        self.tell_changes(dir);
        Ok(state)
    }

    /// A run may be continued with other settings; the difference is said, not refused.
    fn tell_changes(&self, dir: &Path) {
        let Ok(saved) = fs::read_to_string(dir.join(layout::CONFIG)) else {
            return;
        };
        let changed = self
            .identity
            .config_toml
            .lines()
            .filter(|line| !saved.lines().any(|old| old == *line));
        for line in changed.filter(|line| line.contains('=')) {
            log::info!("changed since the checkpoint: {line}");
        }
    }
}
