//! Gradients averaged over the ranks while backward still runs.

use super::{roll::Doing, watchdog::Watchdog};
use crate::torch::{Reducer, ReducerTimes};
use anyhow::Result;
use std::rc::Rc;

/// Which micro-batch of an optimizer step this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MicroBatch {
    /// Its gradients stay on this rank and add up.
    Earlier,
    /// Its backward pass averages what has added up.
    Last,
}

/// Does nothing in a job of one process.
#[derive(Debug)]
pub struct GradReducer(Option<OverRanks>);

#[derive(Debug)]
struct OverRanks {
    reducer: Reducer,
    watchdog: Rc<Watchdog>,
}

impl GradReducer {
    /// For one process.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    pub(super) fn over_ranks(reducer: Reducer, watchdog: Rc<Watchdog>) -> Self {
        Self(Some(OverRanks { reducer, watchdog }))
    }

    /// Whether the gradients of a step's micro-batches are to add up where they will be averaged, from zeros on. A single
    /// micro-batch's are written afresh, which is less to read and write; several would keep them twice.
    #[must_use]
    pub fn adds_in_buckets(&self, micro_batches: usize) -> bool {
        self.0.is_some() && micro_batches > 1
    }

    /// To be called before each forward pass.
    ///
    /// # Errors
    /// When a rank is gone.
    pub fn before_forward(&self, batch: MicroBatch) -> Result<()> {
        match (&self.0, batch) {
            (None, _) => Ok(()),
            (Some(ranks), MicroBatch::Earlier) => ranks.reducer.before_local_forward(),
            (Some(ranks), MicroBatch::Last) => ranks.reducer.before_reduced_forward(),
        }
    }

    /// To be called before each backward pass.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn before_backward(&self, batch: MicroBatch) -> Result<()> {
        match (&self.0, batch) {
            (Some(ranks), MicroBatch::Last) => {
                ranks.watchdog.note(Doing::Waiting);
                ranks.reducer.before_reduced_backward()
            }
            _ => Ok(()),
        }
    }

    /// To be called after the last backward pass of a step.
    ///
    /// # Errors
    /// Names the parameters that got no gradient, whose ranks' gradients would drift apart.
    pub fn check(&self) -> Result<()> {
        let Some(ranks) = &self.0 else {
            return Ok(());
        };
        ranks.watchdog.note(Doing::Working);
        ranks.reducer.check_reduced()
    }

    /// What the engine measured; none for one process.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub fn times(&self) -> Result<Option<ReducerTimes>> {
        let ranks = self.0.as_ref();
        ranks.map(|ranks| ranks.reducer.times()).transpose()
    }
}
