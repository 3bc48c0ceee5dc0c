//! The loop. It never asks which objective it is running.

use super::step_report::{PendingStep, Speed, Tally};
use super::{BatchPlan, Limits, Signals, Stopped, Summary, TrainState, Validation, Verdict};
use crate::checkpoint::{Checkpointer, Standing};
use crate::config::{Cadence, CheckpointConfig};
use crate::data::{Batch, Counts, DataLoader, Dataset};
use crate::dist::ProcessGroup;
use crate::eval::Evaluator;
use crate::metrics::{MetricSink, Record, Split};
use crate::model::{Pass, Transformer};
use crate::objective::Objective;
use crate::optim::{AdamW, Schedule, clip_grad_norm};
use crate::torch;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::time::Instant;
use tch::{Tensor, nn};

/// A run of one objective over one kind of data; a wrong pairing does not compile. All parts come finished.
pub struct Trainer<O: Objective, D: Dataset<Batch = O::Batch>> {
    /// What is minimised.
    pub objective: O,
    /// The model, over `store`'s variables.
    pub model: Transformer,
    /// Its weights.
    pub store: nn::VarStore,
    /// The update.
    pub optimizer: AdamW,
    /// Its learning rate.
    pub schedule: Schedule,
    /// Micro-batches without end.
    pub loader: DataLoader<D>,
    /// Held-out data.
    pub validation: Validation<D>,
    /// What else is looked at now and then.
    pub evaluators: Vec<Box<dyn Evaluator>>,
    /// Where checkpoints go.
    pub checkpointer: Checkpointer,
    /// When.
    pub saving: CheckpointConfig,
    /// Where numbers go; empty on all ranks but 0.
    pub sinks: Vec<Box<dyn MetricSink>>,
    /// The other ranks.
    pub group: Box<dyn ProcessGroup>,
    /// How a step is cut.
    pub plan: BatchPlan,
    /// When it ends.
    pub limits: Limits,
    /// Signals that ask for an end.
    pub signals: Signals,
    /// What a token costs on this device.
    pub speed: Speed,
    /// What changes, besides weights, moments and generators.
    pub state: TrainState,
}

/// What the loop knows only while it runs.
#[derive(Default)]
struct Progress {
    pending: Option<PendingStep>,
    loss: Option<f64>,
    val_loss: Option<f64>,
    checkpoint: Option<(u64, PathBuf)>,
}

impl<O: Objective, D: Dataset<Batch = O::Batch>> Trainer<O, D> {
    /// Trains until the last step, until validation stops improving, or until a signal comes.
    ///
    /// # Errors
    /// When the device, the disk or another rank fails, or too many steps in a row have no finite gradient; what was
    /// saved before stays good.
    pub fn run(&mut self) -> Result<Summary> {
        let started = Instant::now();
        let mut progress = Progress::default();
        if self.saving.initial && self.state.step == 0 {
            self.save(&mut progress, Standing::Ordinary)?;
        }
        let first = self.state.step;
        let stopped = self.train(&mut progress)?;
        if self.state.step > first {
            self.finish(&mut progress, stopped)?;
        }
        let checkpoint = progress.checkpoint.map(|(_, dir)| dir);
        Ok(Summary {
            stopped,
            loss: progress.loss,
            val_loss: progress.val_loss,
            checkpoint,
            elapsed: started.elapsed(),
        })
    }

    fn train(&mut self, progress: &mut Progress) -> Result<Stopped> {
        while self.state.step < self.limits.max_steps {
            if self.state.early_stopping.is_used_up(self.limits.patience) {
                return Ok(Stopped::EarlyStopping);
            }
            let began = Instant::now();
            let mut step = self.guarded_step()?;
            self.settle(progress)?;
            step.seconds = began.elapsed().as_secs_f64();
            progress.pending = Some(step);
            if let Some(signal) = self.signals.received() {
                log::warn!("{}: ending after step {}", signal.name(), self.state.step);
                return Ok(Stopped::Signal(signal));
            }
            self.after_step(progress)?;
        }
        Ok(Stopped::MaxSteps)
    }

    fn guarded_step(&mut self) -> Result<PendingStep> {
        let (step, rank) = (self.state.step + 1, self.group.rank());
        torch::catch(|| self.train_step())
            .with_context(|| format!("rank {rank}, step {step}: training failed"))
    }

    /// One optimizer step. Nothing is read back from the device.
    fn train_step(&mut self) -> Result<PendingStep> {
        let device = self.store.device();
        let batches = (0..self.plan.grad_accum_steps)
            .map(|_| self.loader.next_batch())
            .collect::<Result<Vec<_>>>()?;
        let counts = self.global_counts(&batches)?;
        self.optimizer.reset_grads()?;
        let mut tally = Tally::default();
        for batch in batches {
            let sums = self
                .objective
                .loss_sum(&self.model, &batch.to_device(device), Pass::Train);
            // The ranks' gradients are averaged, so each counts for as many as there are.
            let loss = tally.add(sums, counts) * self.group.world_size() as f64;
            loss.f_backward()?;
        }
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

    /// Reads the last launched step's numbers and logs them.
    fn settle(&mut self, progress: &mut Progress) -> Result<()> {
        let Some(pending) = progress.pending.take() else {
            return Ok(());
        };
        let record = pending.read(&self.speed);
        progress.loss = record.get("loss");
        let finite = record.get("grad_norm").is_some_and(f64::is_finite);
        self.state.skipped_in_a_row = if finite {
            0
        } else {
            self.state.skipped_in_a_row + 1
        };
        if !finite {
            log::warn!(
                "step {}: the gradient is not finite; the update was skipped",
                pending.step
            );
        }
        self.log(&record)
    }

    fn log(&mut self, record: &Record) -> Result<()> {
        self.sinks.iter_mut().try_for_each(|sink| sink.log(record))
    }

    /// What is due after a step.
    fn after_step(&mut self, progress: &mut Progress) -> Result<()> {
        let (step, last_step) = (self.state.step, self.limits.max_steps);
        let validate = step == last_step || self.limits.validate.is_due(step, last_step);
        let verdict = if validate && !self.validation.is_empty() {
            self.settle(progress)?;
            self.validate(progress)?
        } else {
            Verdict::Worse
        };
        self.evaluate(progress)?;
        if verdict == Verdict::Best {
            self.save(progress, Standing::Best)?;
        } else if Cadence::new(self.saving.every).is_due(step, last_step) {
            self.save(progress, Standing::Ordinary)?;
        }
        self.give_up_if_stuck(progress)
    }

    fn validate(&mut self, progress: &mut Progress) -> Result<Verdict> {
        let validate = || {
            self.validation.run(
                &self.objective,
                &self.model,
                self.store.device(),
                self.group.as_ref(),
            )
        };
        let (step, rank) = (self.state.step, self.group.rank());
        let result = torch::catch(validate)
            .with_context(|| format!("rank {rank}, after step {step}: validation failed"))?;
        progress.val_loss = Some(result.loss);
        self.log(&result.record(step))?;
        let patience = self.limits.patience;
        Ok(self
            .state
            .early_stopping
            .observe(step, result.loss, patience))
    }

    fn evaluate(&mut self, progress: &mut Progress) -> Result<()> {
        let (step, last_step) = (self.state.step, self.limits.max_steps);
        for index in 0..self.evaluators.len() {
            if !self.evaluators[index].cadence().is_due(step, last_step) {
                continue;
            }
            self.settle(progress)?;
            let evaluator = &mut self.evaluators[index];
            let values = torch::catch(|| evaluator.evaluate(&self.model, self.group.as_ref()))?;
            if !values.is_empty() {
                self.log(&Record {
                    step,
                    split: Split::Eval,
                    values,
                })?;
            }
        }
        Ok(())
    }

    fn save(&mut self, progress: &mut Progress, standing: Standing) -> Result<()> {
        self.settle(progress)?;
        if !self.saving.save {
            return Ok(());
        }
        let step = self.state.step;
        let dir =
            self.checkpointer
                .save(&self.store, &self.optimizer, step, &self.state, standing)?;
        log::debug!("saved {}", dir.display());
        progress.checkpoint = Some((step, dir));
        Ok(())
    }

    fn give_up_if_stuck(&mut self, progress: &mut Progress) -> Result<()> {
        if self.state.skipped_in_a_row < self.limits.max_skipped_steps {
            return Ok(());
        }
        self.save(progress, Standing::Ordinary)?;
        bail!(
            "step {}: {} steps in a row had no finite gradient (train.max_skipped_steps); the weights are those before \
             them and are saved. Lower optim.max_lr or look at the data of these steps, then start again with --resume",
            self.state.step,
            self.state.skipped_in_a_row
        )
    }

    /// The last update is logged and saved, however the run ended.
    fn finish(&mut self, progress: &mut Progress, stopped: Stopped) -> Result<()> {
        self.settle(progress)?;
        let wanted = !matches!(stopped, Stopped::Signal(_)) || self.saving.on_signal;
        let saved = progress
            .checkpoint
            .as_ref()
            .is_some_and(|(step, _)| *step == self.state.step);
        if wanted && !saved {
            self.save(progress, Standing::Ordinary)?;
        }
        self.group.barrier()
    }
}
