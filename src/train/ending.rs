//! What a run leaves: its checkpoints, and how it ends.

use super::trainer::Progress;
use super::{Stopped, Trainer};
use crate::checkpoint::Standing;
use crate::data::Dataset;
use crate::dist;
use crate::objective::Objective;
use anyhow::{Result, bail};
use std::time::Instant;

impl<O: Objective, D: Dataset<Batch = O::Batch>> Trainer<O, D> {
    pub(super) fn save(&mut self, progress: &mut Progress, standing: Standing) -> Result<()> {
        self.settle(progress)?;
        if !self.saving.save {
            return Ok(());
        }
        let (step, began) = (self.state.step, Instant::now());
        let dir =
            self.checkpointer
                .save(&self.store, &self.optimizer, step, &self.state, standing)?;
        let seconds = began.elapsed().as_secs_f64();
        log::debug!("saved {} in {seconds:.2}s", dir.display());
        progress.checkpoint = Some((step, dir));
        Ok(())
    }

    /// The same where the step is not saved already.
    fn save_once(&mut self, progress: &mut Progress) -> Result<()> {
        let saved = progress.checkpoint.as_ref();
        match saved.is_some_and(|(step, _)| *step == self.state.step) {
            true => Ok(()),
            false => self.save(progress, Standing::Ordinary),
        }
    }

    /// The count is that of the steps whose numbers were read: the last one may end the row.
    pub(super) fn give_up_if_stuck(&mut self, progress: &mut Progress) -> Result<()> {
        let most = self.limits.max_skipped_steps;
        if self.state.skipped_in_a_row < most {
            return Ok(());
        }
        self.settle(progress)?;
        if self.state.skipped_in_a_row < most {
            return Ok(());
        }
        self.save_once(progress)?;
        bail!(
            "step {}: {} steps in a row had no finite gradient (train.max_skipped_steps); the weights are those before \
             them and are saved. Lower optim.max_lr or look at the data of these steps, then start again with --resume",
            self.state.step,
            self.state.skipped_in_a_row
        )
    }

    /// The last update is logged and saved, however the run ended.
    pub(super) fn finish(&mut self, progress: &mut Progress, stopped: Stopped) -> Result<()> {
        self.settle(progress)?;
        if !matches!(stopped, Stopped::Signal(_)) || self.saving.on_signal {
            self.save_once(progress)?;
        }
        dist::barrier(self.group.as_ref())
    }

    pub(super) fn log_reducer_times(&self) -> Result<()> {
        if let Some(times) = self.reducer.times()? {
            log::debug!(
                "gradients: {} buckets; backward {:?}, communication {:?}, both at once {:?} a step",
                times.buckets,
                times.backward,
                times.communication,
                times.overlap
            );
        }
        Ok(())
    }
}
