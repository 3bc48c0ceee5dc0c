//! Everything that changes during a run besides weights, moments and generators.

use super::EarlyStopping;
use crate::data::LoaderState;
use serde::{Deserialize, Serialize};

/// Small, plain, the same on every rank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainState {
    /// Optimizer steps completed.
    pub step: u64,
    /// Tokens the model has read.
    pub tokens_seen: u64,
    /// Where the data stands.
    pub train_loader: LoaderState,
    /// The best validation and the patience used up.
    pub early_stopping: EarlyStopping,
    /// Steps without a finite gradient, up to now in a row.
    pub skipped_in_a_row: u64,
    /// Whether what is due after the step, a validation say, is still to be done: a signal came first.
    #[serde(default)]
    pub owed: bool,
}

impl TrainState {
    /// The state of a run that begins at `step`, with `samples_per_step` windows taken by each step before it.
    #[must_use]
    pub fn starting_at(step: u64, samples_per_step: u64, tokens_per_step: u64) -> Self {
        Self {
            step,
            tokens_seen: step * tokens_per_step,
            train_loader: LoaderState {
                samples_consumed: step * samples_per_step,
            },
            early_stopping: EarlyStopping::default(),
            skipped_in_a_row: 0,
            owed: false,
        }
    }
}
