//! One optimizer step: micro-batches, gradients averaged over the ranks, clipping, the update.

use super::Trainer;
use super::step_report::{PendingStep, Tally};
use crate::data::{Batch, Counts, Dataset};
use crate::dist::MicroBatch;
use crate::model::Pass;
use crate::objective::Objective;
use crate::optim::clip_grad_norm;
use anyhow::Result;
use tch::Tensor;

impl<O: Objective, D: Dataset<Batch = O::Batch>> Trainer<O, D> {
    /// One optimizer step. Nothing is read back from the device.
    pub(super) fn train_step(&mut self) -> Result<PendingStep> {
        let device = self.store.device();
        let batches = (0..self.plan.grad_accum_steps)
            .map(|_| self.loader.next_batch())
            .collect::<Result<Vec<_>>>()?;
        let counts = self.global_counts(&batches)?;
        match self.reducer.adds_in_buckets(batches.len()) {
            true => self.optimizer.zero_grads()?,
            false => self.optimizer.reset_grads()?,
        }
        let mut tally = Tally::default();
        let last = batches.len() - 1;
        for (index, batch) in batches.into_iter().enumerate() {
            let place = if index == last {
                MicroBatch::Last
            } else {
                MicroBatch::Earlier
            };
            self.reducer.before_forward(place)?;
            let sums = self
                .objective
                .loss_sum(&self.model, &batch.to_device(device), Pass::Train);
            // The ranks' gradients are averaged, so each counts for as many as there are.
            let loss = tally.add(sums, counts) * self.group.world_size() as f64;
            self.reducer.before_backward(place)?;
            loss.f_backward()?;
        }
        self.reducer.check()?;
        let clipped = clip_grad_norm(&self.optimizer.gradients()?, self.limits.grad_clip)?;
        let lr = self.schedule.lr(self.state.step);
        let lr_on_device = Tensor::from_slice(&[lr as f32]).squeeze().to_device(device);
        self.optimizer.step(&lr_on_device, &clipped.non_finite)?;
        self.state.step += 1;
        self.state.tokens_seen += counts.tokens.unsigned_abs();
        self.state.train_loader = self.loader.state();
        Ok(PendingStep {
            step: self.state.step,
            sums: tally.finish(self.group.as_ref())?,
            grad_norm: clipped.norm,
            lr,
            tokens: counts.tokens,
            tokens_seen: self.state.tokens_seen,
            epoch: self.loader.epoch(),
            seconds: 0.0,
        })
    }

    fn global_counts(&self, batches: &[D::Batch]) -> Result<Counts> {
        let mut local = Counts::default();
        batches.iter().for_each(|batch| local += batch.counts());
        let mut sums = Tensor::from_slice(&[local.targets, local.examples, local.tokens]);
        self.group.all_reduce_sum(&mut sums)?;
        let at = |index| sums.int64_value(&[index]);
        Ok(Counts {
            targets: at(0),
            examples: at(1),
            tokens: at(2),
        })
    }
}
