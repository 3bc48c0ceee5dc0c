//! Checkpoints: Hugging Face model folders with the rest of a run's state beside the weights.
//!
//! A folder is filled under another name, flushed to disk and renamed, so it is there whole or not at all; its state
//! file carries the size and SHA-256 of every other file, so that later damage is seen before it is trained on.

mod layout;
mod retention;

pub use retention::Retention;

use crate::bad_request;
use crate::config::ModelConfig;
use crate::optim::AdamW;
use crate::storage::{AtomicFile, create_dir_all, replace_symlink, sync_dir};
use crate::tokenizer::Tokenizer;
use crate::torch;
use crate::weights::{hf, safetensors};
use anyhow::{Context, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};
use tch::{Device, Tensor, nn};

/// Which checkpoint a run continues from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeFrom {
    /// The newest complete one of the run.
    Latest,
    /// This folder.
    Path(PathBuf),
}

/// Whether a checkpoint has the lowest validation loss so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It has; `checkpoints/best` will point to it.
    Best,
    /// It has not, or was not validated.
    Ordinary,
}

/// Whether the optimizer's moments are part of what is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moments {
    /// They are.
    Restore,
    /// They start afresh.
    Reset,
}

/// What is the same in all checkpoints of a run.
#[derive(Debug)]
pub struct RunIdentity {
    /// Shape of the model.
    pub model: ModelConfig,
    /// The tokenizer, whose files go into each checkpoint.
    pub tokenizer: Option<Arc<Tokenizer>>,
    /// The resolved configuration.
    pub config_toml: String,
}

/// Saves and restores a run.
#[derive(Debug)]
pub struct Checkpointer {
    folder: PathBuf,
    retention: Retention,
    keep_best: Keep,
    identity: RunIdentity,
}

/// Whether the best checkpoint outlives its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is kept.
    Always,
    /// It goes when it is old.
    WhileRecent,
}

impl Checkpointer {
    /// For the checkpoints below `folder`.
    #[must_use]
    pub fn new(
        folder: PathBuf,
        retention: Retention,
        keep_best: Keep,
        identity: RunIdentity,
    ) -> Self {
        Self {
            folder,
            retention,
            keep_best,
            identity,
        }
    }

    /// Writes the checkpoint of `step`, points `latest` (and `best`) at it and deletes what is superseded.
    ///
    /// # Errors
    /// When the disk is full or not writable; checkpoints written before are untouched.
    pub fn save<S: Serialize>(
        &self,
        store: &nn::VarStore,
        optimizer: &AdamW,
        step: u64,
        state: &S,
        standing: Standing,
    ) -> Result<PathBuf> {
        let dir = layout::step_dir(&self.folder, step);
        let temporary = self.folder.join(format!(".saving-{step:08}"));
        if let Err(error) = self.fill(&temporary, store, optimizer, state) {
            let _ = fs::remove_dir_all(&temporary);
            return Err(error.context(format!(
                "{}: the checkpoint of step {step} could not be saved; earlier ones are untouched, \
                 and --resume goes on from the newest",
                dir.display()
            )));
        }
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::rename(&temporary, &dir)
            .with_context(|| format!("{}: cannot rename into place", dir.display()))?;
        self.publish(&dir, standing)?;
        Ok(dir)
    }

    fn fill<S: Serialize>(
        &self,
        dir: &Path,
        store: &nn::VarStore,
        optimizer: &AdamW,
        state: &S,
    ) -> Result<()> {
        if dir.exists() {
            fs::remove_dir_all(dir)?; // left by a process that was killed
        }
        create_dir_all(dir)?;
        let special = hf::SpecialTokens {
            bos: self
                .identity
                .tokenizer
                .as_ref()
                .and_then(|tokenizer| tokenizer.bos()),
            eos: self
                .identity
                .tokenizer
                .as_ref()
                .map_or_else(Vec::new, |tokenizer| tokenizer.stop_tokens()),
        };
        hf::save(dir, store, &self.identity.model, &special)?;
        if let Some(tokenizer) = &self.identity.tokenizer {
            tokenizer.write_to(dir)?;
        }
        safetensors::write(
            &dir.join(layout::OPTIMIZER),
            &optimizer.state_tensors(),
            &[],
        )?;
        safetensors::write(
            &dir.join(layout::RNG),
            &generator_states(store.device())?,
            &[],
        )?;
        let mut config = AtomicFile::create(&dir.join(layout::CONFIG))?;
        config.write_all(self.identity.config_toml.as_bytes())?;
        config.commit()?;
        layout::seal(dir, state)
    }

    fn publish(&self, dir: &Path, standing: Standing) -> Result<()> {
        let name = Path::new(dir.file_name().unwrap_or_default());
        replace_symlink(name, &self.folder.join(layout::LATEST))?;
        if standing == Standing::Best {
            replace_symlink(name, &self.folder.join(layout::BEST))?;
        }
        sync_dir(&self.folder)?;
        self.delete_superseded()
    }

    fn delete_superseded(&self) -> Result<()> {
        let best = match self.keep_best {
            Keep::Always => self.best_step(),
            Keep::WhileRecent => None,
        };
        for step in self
            .retention
            .superseded(&layout::steps(&self.folder)?, best)
        {
            let dir = layout::step_dir(&self.folder, step);
            fs::remove_dir_all(&dir)
                .with_context(|| format!("{}: cannot delete the old checkpoint", dir.display()))?;
        }
        Ok(())
    }

    fn best_step(&self) -> Option<u64> {
        let target = fs::read_link(self.folder.join(layout::BEST)).ok()?;
        target.to_str()?.strip_prefix("step_")?.parse().ok()
    }

    /// Loads weights, moments and generators, and returns the folder and the state. None when there is no checkpoint
    /// yet. A newest one that is damaged is named, and the one before is used.
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
        let candidates = match from {
            ResumeFrom::Path(dir) if dir.is_dir() => vec![dir.clone()],
            ResumeFrom::Path(dir) => {
                return Err(bad_request!(
                    "--resume {}: there is no such checkpoint folder",
                    dir.display()
                ));
            }
            ResumeFrom::Latest => self.newest_first()?,
        };
        let mut newest_error = None;
        for dir in candidates {
            match self.restore(&dir, store, optimizer, moments) {
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

    fn newest_first(&self) -> Result<Vec<PathBuf>> {
        let steps = layout::steps(&self.folder)?;
        Ok(steps
            .into_iter()
            .rev()
            .map(|step| layout::step_dir(&self.folder, step))
            .collect())
    }

    fn restore<S: DeserializeOwned>(
        &self,
        dir: &Path,
        store: &nn::VarStore,
        optimizer: &mut AdamW,
        moments: Moments,
    ) -> Result<S> {
        let state = layout::open(dir)?;
        hf::load(dir, store, &self.identity.model)?;
        if moments == Moments::Restore {
            optimizer.load_state(safetensors::read(&dir.join(layout::OPTIMIZER))?)?;
        }
        let generators = safetensors::read(&dir.join(layout::RNG))?;
        for (name, device) in generators_of(store.device()) {
            if let Some(saved) = generators.get(name) {
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

fn generators_of(device: Device) -> Vec<(&'static str, Device)> {
    let cuda = device.is_cuda().then_some(("cuda", device));
    [("cpu", Device::Cpu)].into_iter().chain(cuda).collect()
}

fn generator_states(device: Device) -> Result<Vec<(String, Tensor)>> {
    generators_of(device)
        .into_iter()
        .map(|(name, device)| Ok((name.to_owned(), torch::rng_state(device)?)))
        .collect()
}
