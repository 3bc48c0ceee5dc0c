//! Writing a checkpoint.

use super::{AdapterIdentity, Checkpointer, Keep, Standing, generator_key, generators, layout};
use crate::optim::AdamW;
use crate::storage::{AtomicFile, create_dir_all, replace_symlink, sync_dir};
use crate::torch;
use crate::weights::hf::{self, SpecialTokens};
use crate::weights::{Adapter, peft, safetensors};
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    fs,
    io::Write,
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
        let generators = self.generator_states(store.device())?;
        if self.group.rank() != 0 {
            return Ok(dir);
        }
        let temporary = self.folder.join(format!(".saving-{step:08}"));
        if let Err(error) = self.fill(&temporary, store, optimizer, &generators, state) {
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
        generators: &[(String, Tensor)],
        state: &S,
    ) -> Result<()> {
        if dir.exists() {
            fs::remove_dir_all(dir)?; // left by a process that was killed
        }
        create_dir_all(dir)?;
        self.fill_weights(dir, store)?;
        if let Some(tokenizer) = &self.identity.tokenizer {
            tokenizer.write_to(dir)?;
        }
        safetensors::write(&dir.join(layout::OPTIMIZER), &optimizer.state_tensors())?;
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
        layout::seal(dir, state)
    }

    /// A Hugging Face folder, or the adapters alone.
    fn fill_weights(&self, dir: &Path, store: &nn::VarStore) -> Result<()> {
        if let Some(AdapterIdentity { options, base }) = &self.identity.adapter {
            let adapter = Adapter::of(store, options.clone(), dir);
            return peft::save(dir, &adapter, base);
        }
        let tokenizer = self.identity.tokenizer.as_deref();
        let special = tokenizer.map_or_else(SpecialTokens::default, SpecialTokens::of);
        hf::save(dir, store, &self.identity.model, &special, Kind::Float)
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

    fn delete_superseded(&self) -> Result<()> {
        let best = match self.keep_best {
            Keep::Always => layout::linked_step(&self.folder, layout::BEST),
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
}
