//! The loop. It never asks which objective it is running.

use super::step_report::{PendingStep, Speed};
use super::{Feed, Limits, Signals, StepGraph, Stopped, Summary, TrainState, Validation, Verdict};
use crate::checkpoint::{Checkpointer, Standing};
use crate::config::{Cadence, CheckpointConfig};
use crate::data::Dataset;
use crate::dist::{self, GradReducer, ProcessGroup};
use crate::eval::Evaluator;
use crate::metrics::{MetricSink, Record, Split};
use crate::model::Transformer;
use crate::objective::Objective;
use crate::optim::{AdamW, Schedule};
use crate::torch::{self, Transfers};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;
use tch::nn;

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
    /// What each step trains on, without end.
    pub feed: Feed<D>,
    /// How it gets to the device, and what a step finds back.
    pub transfers: Transfers,
    /// How a step is launched.
    pub graph: StepGraph<D::Batch>,
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
    pub group: Rc<dyn ProcessGroup>,
    /// What averages the gradients over them.
    pub reducer: GradReducer,
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
pub(super) struct Progress {
    pending: Option<PendingStep>,
    loss: Option<f64>,
    val_loss: Option<f64>,
    pub(super) checkpoint: Option<(u64, PathBuf)>,
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
        let stopped = self.train_to_the_end(&mut progress);
        let stopped = stopped
            .with_context(|| format!("after step {}", self.state.step))
            .map_err(|error| self.group.explain(error))?;
        self.log_reducer_times()?;
        let checkpoint = progress.checkpoint.map(|(_, dir)| dir);
        Ok(Summary {
            stopped,
            loss: progress.loss,
            val_loss: progress.val_loss,
            checkpoint,
            elapsed: started.elapsed(),
        })
    }

    /// Whether nothing is left to do: the run ended before, and stays as it is.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let used_up = self.state.early_stopping.is_used_up(self.limits.patience);
        !self.state.owed && (used_up || self.state.step >= self.limits.max_steps)
    }

    fn train_to_the_end(&mut self, progress: &mut Progress) -> Result<Stopped> {
        self.check_replicas()?;
        if self.saving.initial && self.state.step == 0 {
            self.save(progress, Standing::Ordinary)?;
        }
        let was_finished = self.is_finished();
        let stopped = self.train(progress)?;
        if !was_finished {
            self.finish(progress, stopped)?;
        }
        Ok(stopped)
    }

    fn train(&mut self, progress: &mut Progress) -> Result<Stopped> {
        if self.state.owed {
            self.after_step(progress)?;
        }
        self.signals.working_on(self.state.step + 1);
        while self.state.step < self.limits.max_steps {
            if self.state.early_stopping.is_used_up(self.limits.patience) {
                return Ok(Stopped::EarlyStopping);
            }
            let began = Instant::now();
            let mut step = self.guarded_step()?;
            self.settle(progress)?;
            step.seconds = began.elapsed().as_secs_f64();
            progress.pending = Some(step);
            self.state.owed = self.looks_now();
            if let Some(stopped) = self.signalled()? {
                return Ok(stopped);
            }
            let pauses = self.pauses_now();
            if pauses {
                self.after_step(progress)?;
            }
            self.give_up_if_stuck(progress)?;
            if self.state.step == self.limits.max_steps {
                break;
            }
            // A signal that came in a pause does not wait for another step.
            if pauses && let Some(stopped) = self.signalled()? {
                return Ok(stopped);
            }
            self.signals.working_on(self.state.step + 1);
        }
        Ok(Stopped::MaxSteps)
    }

    /// The end that a signal to any rank asks for.
    fn signalled(&self) -> Result<Option<Stopped>> {
        let signal = self.signals.agree(self.group.as_ref())?;
        Ok(signal.map(|signal| {
            log::info!("{}: step {} is done", signal.name(), self.state.step);
            Stopped::Signal(signal)
        }))
    }

    /// Whether a validation is due after this step.
    fn validates_now(&self) -> bool {
        let (step, last_step) = (self.state.step, self.limits.max_steps);
        let due = step == last_step || self.limits.validate.is_due(step, last_step);
        due && !self.validation.is_empty()
    }

    /// Whether anything is due.
    fn pauses_now(&self) -> bool {
        let (step, last_step) = (self.state.step, self.limits.max_steps);
        let mut cadences =
            [Cadence::new(self.saving.every), self.limits.check_replicas].into_iter();
        self.looks_now() || cadences.any(|cadence| cadence.is_due(step, last_step))
    }

    /// Whether a validation is, or another look at the model.
    fn looks_now(&self) -> bool {
        let (step, last_step) = (self.state.step, self.limits.max_steps);
        let mut evaluators = self.evaluators.iter();
        self.validates_now() || evaluators.any(|other| other.cadence().is_due(step, last_step))
    }

    fn guarded_step(&mut self) -> Result<PendingStep> {
        let step = self.state.step + 1;
        torch::catch(|| self.train_step()).with_context(|| format!("step {step}: training failed"))
    }

    /// Reads the last launched step's numbers and logs them.
    pub(super) fn settle(&mut self, progress: &mut Progress) -> Result<()> {
        let Some(pending) = progress.pending.take() else {
            return Ok(());
        };
        let record = pending.read(&self.speed)?;
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
        let verdict = if self.validates_now() {
            self.settle(progress)?;
            self.validate(progress)?
        } else {
            Verdict::Worse
        };
        self.evaluate(progress)?;
        if self.limits.check_replicas.is_due(step, last_step) {
            self.check_replicas()?;
        }
        self.state.owed = false;
        if verdict == Verdict::Best {
            self.save(progress, Standing::Best)?;
        } else if Cadence::new(self.saving.every).is_due(step, last_step) {
            self.save(progress, Standing::Ordinary)?;
        }
        Ok(())
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
        let step = self.state.step;
        let result = torch::catch(validate).context("validation failed")?;
        let loss = result.loss;
        progress.val_loss = Some(loss);
        self.log(&result.record(step))?;
        let patience = self.limits.patience;
        Ok(self.state.early_stopping.observe(step, loss, patience))
    }

    fn evaluate(&mut self, progress: &mut Progress) -> Result<()> {
        let (step, last_step) = (self.state.step, self.limits.max_steps);
        for index in 0..self.evaluators.len() {
            if !self.evaluators[index].cadence().is_due(step, last_step) {
                continue;
            }
            self.settle(progress)?;
            let evaluator = &mut self.evaluators[index];
            let found = torch::catch(|| evaluator.evaluate(&self.model, self.group.as_ref()))?;
            if !found.is_empty() {
                self.log(&Record {
                    step,
                    split: Split::Eval,
                    values: found.values,
                    samples: found.samples,
                })?;
            }
        }
        Ok(())
    }

    /// Every rank must have the same weights, bit by bit.
    fn check_replicas(&self) -> Result<()> {
        let mut variables: Vec<_> = self.store.variables().into_iter().collect();
        variables.sort_by(|a, b| a.0.cmp(&b.0));
        let (names, tensors): (Vec<_>, Vec<_>) = variables.into_iter().unzip();
        let step = self.state.step;
        dist::check_replicas(self.group.as_ref(), &names, &tensors)
            .with_context(|| format!("after step {step}"))
    }
}
