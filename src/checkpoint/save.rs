//! Writing a checkpoint.

use super::side_by_side::{self, LargeFile};
use super::{AdapterIdentity, Checkpointer, Keep, Standing, generator_key, generators, layout};
use crate::optim::AdamW;
use crate::storage::{AtomicFile, create_dir_all, exchange, replace_symlink, sync_dir};
use crate::torch;
use crate::weights::hf::{self, WeightFile};
use crate::weights::{Adapter, peft, safetensors};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    fs,
    io::Write,
    iter,
    path::{Path, PathBuf},
};
use tch::{Device, Kind, Tensor, nn};

impl Checkpointer {
    /// Writes the checkpoint of `step`, points `latest` (and `best`) at it and deletes what is superseded. Returns its
    /// folder on every rank, on others than rank 0 maybe before it is there.
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
        let temporary = self.folder.join(format!("{}{step:08}", layout::SAVING));
        if let Err(error) = self.write(&temporary, store, optimizer, state) {
            if self.group.rank() == 0 {
                let _ = fs::remove_dir_all(&temporary);
            }
            let earlier = match self.folder.join(layout::LATEST).exists() {
                true => "earlier ones are untouched, and --resume goes on from the newest",
                false => "there is no earlier one",
            };
            return Err(error.context(format!(
                "{}: the checkpoint of step {step} could not be saved; {earlier}",
                dir.display()
            )));
        }
        if self.group.rank() != 0 {
            return Ok(dir);
        }
        take_place(&temporary, &dir)?;
        self.publish(&dir, step, standing)?;
        Ok(dir)
    }

    /// Fills a folder: the large files by all ranks, the rest by rank 0.
    fn write<S: Serialize>(
        &self,
        dir: &Path,
        store: &nn::VarStore,
        optimizer: &AdamW,
        state: &S,
    ) -> Result<()> {
        let generators = self.generator_states(store.device())?;
        let weights = self.weight_files(store)?;
        let is_first = self.group.rank() == 0;
        if is_first {
            self.begin(dir, &generators)?;
            self.describe(dir, store, &weights)?;
        }
        let optimizer = LargeFile::optimizer(&dir.join(layout::OPTIMIZER), optimizer)?;
        let weights = weights.into_iter();
        let weights = weights.map(|file| LargeFile::weights(dir, file, trained_kind(store)));
        let large: Vec<LargeFile> = iter::once(Ok(optimizer))
            .chain(weights)
            .collect::<Result<_>>()?;
        if is_first {
            large.iter().try_for_each(LargeFile::create)?;
        }
        let digests = side_by_side::fill(&large, self.group.as_ref())?;
        match is_first {
            true => layout::seal(dir, state, &digests),
            false => Ok(()),
        }
    }

    /// A folder with what is small and not about the model.
    fn begin(&self, dir: &Path, generators: &[(String, Tensor)]) -> Result<()> {
        layout::unfinished(&self.folder)
            .iter()
            .for_each(|left| delete(left));
        create_dir_all(dir)?;
        if let Some(tokenizer) = &self.identity.tokenizer {
            tokenizer.write_to(dir)?;
        }
        safetensors::write(&dir.join(layout::RNG), generators)?;
        let write = |name, bytes: &[u8]| -> Result<()> {
            let mut file = AtomicFile::create(&dir.join(name))?;
            file.write_all(bytes)?;
            file.commit()
        };
        write(layout::CONFIG, self.identity.config_toml.as_bytes())?;
        if let Some(reference) = &self.identity.reference {
            write(layout::REFERENCE, &serde_json::to_vec_pretty(reference)?)?;
        }
        Ok(())
    }

    /// The weights, but for adapters, which are small.
    fn weight_files(&self, store: &nn::VarStore) -> Result<Vec<WeightFile>> {
        match self.identity.adapter {
            Some(_) => Ok(Vec::new()),
            None => hf::into_files(store, trained_kind(store)),
        }
    }

    /// What makes it a Hugging Face folder, or the adapters.
    fn describe(&self, dir: &Path, store: &nn::VarStore, weights: &[WeightFile]) -> Result<()> {
        if let Some(AdapterIdentity { options, base }) = &self.identity.adapter {
            let adapter = Adapter::of(store, options.clone(), dir);
            return peft::save(dir, &adapter, base);
        }
        hf::describe(
            dir,
            &self.identity.model,
            &self.identity.special,
            trained_kind(store),
            weights,
        )
    }

    fn publish(&self, dir: &Path, step: u64, standing: Standing) -> Result<()> {
        let name = Path::new(dir.file_name().unwrap_or_default());
        replace_symlink(name, &self.folder.join(layout::LATEST))?;
        if standing == Standing::Best {
            replace_symlink(name, &self.folder.join(layout::BEST))?;
        }
        sync_dir(&self.folder)?;
        self.delete_superseded(step)
    }

    /// Of all ranks.
    fn generator_states(&self, device: Device) -> Result<Vec<(String, Tensor)>> {
        let mut states = Vec::new();
        for (name, device) in generators(device) {
            let of_ranks = self.group.all_gather(&torch::rng_state(device)?)?; // [ranks, bytes]
            for (rank, state) in (0..).zip(of_ranks.unbind(0)) {
                states.push((generator_key(name, rank), state));
            }
        }
        Ok(states)
    }

    fn delete_superseded(&self, saved: u64) -> Result<()> {
        let best = match self.keep_best {
            Keep::Always => layout::linked_step(&self.folder, layout::BEST),
            Keep::WhileRecent => None,
        };
        let steps = layout::steps(&self.folder)?;
        for step in self.retention.superseded(&steps, saved, best) {
            delete(&layout::step_dir(&self.folder, step));
            if layout::linked_step(&self.folder, layout::BEST) == Some(step) {
                self.unlink_best();
            }
        }
        Ok(())
    }

    /// Points `best` at the checkpoint of `step`, to which a run has gone back; without that there is no best one.
    pub fn name_best(&self, step: u64) {
        let is_named = layout::linked_step(&self.folder, layout::BEST) == Some(step);
        if self.group.rank() != 0 || is_named {
            return;
        }
        let dir = layout::step_dir(&self.folder, step);
        match dir.exists() {
            true => {
                let name = Path::new(dir.file_name().unwrap_or_default());
                let linked = replace_symlink(name, &self.folder.join(layout::BEST));
                linked.unwrap_or_else(|error| log::warn!("{error:#}"));
            }
            false => self.unlink_best(),
        }
    }

    fn unlink_best(&self) {
        let _ = fs::remove_file(self.folder.join(layout::BEST)); // where there is none, all is well
    }
}

/// Gives the folder its name; one that had it before, of a course that was given up, goes.
fn take_place(temporary: &Path, dir: &Path) -> Result<()> {
    let describe = || format!("{}: cannot rename into place", dir.display());
    if !dir.exists() {
        return fs::rename(temporary, dir).with_context(describe);
    }
    exchange(temporary, dir).with_context(describe)?;
    delete(temporary);
    Ok(())
}

/// What is old may stay where it cannot be deleted: the run does not end for that.
fn delete(dir: &Path) {
    if let Err(error) = fs::remove_dir_all(dir) {
        log::warn!("{}: cannot delete what is old: {error}", dir.display());
    }
}

/// The kind of number that the weights are kept in.
fn trained_kind(store: &nn::VarStore) -> Kind {
    let weights = store.trainable_variables();
    weights.first().map_or(Kind::Float, Tensor::kind)
}
