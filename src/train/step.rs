//! One optimizer step: micro-batches, gradients averaged over the ranks, clipping, the update.

use super::Trainer;
use super::feed::Portion;
use super::step_io::{StepInputs, StepOutputs};
use super::step_report::{PendingStep, Tally};
use crate::data::{Batch, Counts, Dataset};
use crate::dist::{GradReducer, MicroBatch, ProcessGroup};
use crate::model::{Pass, Transformer};
use crate::objective::Objective;
use crate::optim::{AdamW, clip_grad_norm};
use anyhow::Result;
use tch::{Kind, Tensor};

impl<O: Objective, D: Dataset<Batch = O::Batch>> Trainer<O, D> {
    /// One optimizer step. Nothing is read back from the device.
    pub(super) fn train_step(&mut self) -> Result<PendingStep> {
        let Portion {
            batches,
            state,
            epoch,
        } = self.feed.next(&self.transfers)?;
        let counts = self.global_counts(&batches)?;
        let lr = self.schedule.lr(self.state.step);
        let inputs = StepInputs {
            batches,
            counts,
            lr: Tensor::full([0_i64; 0], lr, (Kind::Float, self.store.device())),
        };
        let mut step = StepOnDevice {
            objective: &self.objective,
            model: &self.model,
            optimizer: &mut self.optimizer,
            group: self.group.as_ref(),
            reducer: &self.reducer,
            grad_clip: self.limits.grad_clip,
        };
        let launched = self.graph.launch(inputs, &mut |inputs| step.run(inputs))?;
        let numbers = self.transfers.fetch(&launched.numbers)?;
        self.feed.send_ahead(&self.transfers);
        self.state.step += 1;
        self.state.tokens_seen += counts.tokens.unsigned_abs();
        self.state.train_loader = state;
        Ok(PendingStep {
            step: self.state.step,
            names: launched.names,
            numbers,
            lr,
            tokens: counts.tokens,
            tokens_seen: self.state.tokens_seen,
            epoch,
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

/// What a step does on the device. What changes from step to step is in its inputs, and nowhere else: it may be recorded,
/// and then runs on other inputs without being called.
struct StepOnDevice<'a, O> {
    objective: &'a O,
    model: &'a Transformer,
    optimizer: &'a mut AdamW,
    group: &'a dyn ProcessGroup,
    reducer: &'a GradReducer,
    grad_clip: f64,
}

impl<O: Objective> StepOnDevice<'_, O> {
    fn run(&mut self, inputs: &StepInputs<O::Batch>) -> Result<StepOutputs> {
        let add_in_buckets = self.reducer.adds_in_buckets(inputs.batches.len());
        match add_in_buckets {
            true => self.optimizer.zero_grads()?,
            false => self.optimizer.reset_grads()?, // the reducer has made some, and the first step is to be as the others
        }
        let mut tally = Tally::default();
        let last = inputs.batches.len() - 1;
        for (index, batch) in inputs.batches.iter().enumerate() {
            let place = match index == last {
                true => MicroBatch::Last,
                false => MicroBatch::Earlier,
            };
            self.reducer.before_forward(place)?;
            let sums = self.objective.loss_sum(self.model, batch, Pass::Train);
            // The ranks' gradients are averaged, so each counts for as many as there are.
            let loss = tally.add(sums, inputs.counts) * self.group.world_size() as f64;
            self.reducer.before_backward(place)?;
            loss.f_backward()?;
        }
        self.reducer.check()?;
        let clipped = clip_grad_norm(&self.optimizer.gradients()?, self.grad_clip)?;
        self.optimizer.step(&inputs.lr, &clipped.non_finite)?;
        if !add_in_buckets {
            self.optimizer.reset_grads()?; // their memory is free for what comes between, and for a record's own
        }
        let (names, means) = tally.finish(self.group)?;
        let norm = clipped.norm.to_kind(Kind::Double).view(1);
        Ok(StepOutputs {
            names,
            numbers: Tensor::cat(&[means, norm], 0),
        })
    }
}
