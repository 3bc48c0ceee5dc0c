//! When a run ends, and what it came to.

use super::Signal;
use super::early_stopping::Patience;
use crate::config::Cadence;
use std::path::PathBuf;
use std::time::Duration;

/// When the run ends, and what it bears.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Optimizer steps.
    pub max_steps: u64,
    /// Largest gradient norm (0: no limit).
    pub grad_clip: f64,
    /// Steps in a row without a finite gradient.
    pub max_skipped_steps: u64,
    /// When the ranks' weights are compared.
    pub check_replicas: Cadence,
    /// When validations are due.
    pub validate: Cadence,
    /// When they have been worse for too long.
    pub patience: Patience,
}

/// Why the run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// All steps are done.
    MaxSteps,
    /// Validation stopped improving.
    EarlyStopping,
    /// A signal asked for it.
    Signal(Signal),
}

/// What a run came to.
#[derive(Debug)]
pub struct Summary {
    /// Why it ended.
    pub stopped: Stopped,
    /// Training loss of the last step, in nats per target.
    pub loss: Option<f64>,
    /// The last validation's loss.
    pub val_loss: Option<f64>,
    /// The newest checkpoint, if any was written.
    pub checkpoint: Option<PathBuf>,
    /// Time in the loop.
    pub elapsed: Duration,
}
