//! Micro-batches in the contract's order, read ahead by a thread.

use super::{Dataset, Order};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc,
    mpsc::{Receiver, sync_channel},
};

/// Where the data stands: global, the same on every rank, and valid for any world size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderState {
    /// Windows or examples that all ranks together have taken since the run began.
    pub samples_consumed: u64,
}

/// This rank's part of each micro-batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Rows per micro-batch of one rank.
    pub rows: u64,
    /// This rank.
    pub rank: u64,
    /// How many there are.
    pub world_size: u64,
}

/// Gives micro-batch after micro-batch without end; the data wraps, epoch after epoch.
pub struct DataLoader<D: Dataset> {
    dataset: Arc<D>,
    state: LoaderState,
    share: Share,
    source: Source<D>,
}

enum Source<D: Dataset> {
    Direct(Order),
    Ahead(Receiver<Result<D::Batch>>),
}

impl<D: Dataset> DataLoader<D> {
    /// Starts at `state`, with up to `prefetch` micro-batches read ahead (0: none). The dataset must not be empty.
    #[must_use]
    pub fn new(
        dataset: Arc<D>,
        order: Order,
        state: LoaderState,
        share: Share,
        prefetch: usize,
    ) -> Self {
        let source = if prefetch == 0 {
            Source::Direct(order)
        } else {
            Source::Ahead(read_ahead(
                Arc::clone(&dataset),
                order,
                state,
                share,
                prefetch,
            ))
        };
        Self {
            dataset,
            state,
            share,
            source,
        }
    }

    /// The next micro-batch of this rank, on the CPU.
    ///
    /// # Errors
    /// When the data cannot be read.
    pub fn next_batch(&mut self) -> Result<D::Batch> {
        let batch = match &self.source {
            Source::Direct(order) => collate(&*self.dataset, *order, self.state, self.share),
            Source::Ahead(batches) => batches
                .recv()
                .context("the thread that reads the data has ended")?,
        }?;
        self.state = advanced(self.state, self.share);
        Ok(batch)
    }

    /// The position after what was handed out, whatever was read ahead.
    #[must_use]
    pub fn state(&self) -> LoaderState {
        self.state
    }

    /// Passes over the data that are complete.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.state.samples_consumed / self.dataset.len()
    }
}

fn collate<D: Dataset>(
    dataset: &D,
    order: Order,
    state: LoaderState,
    share: Share,
) -> Result<D::Batch> {
    let first = state.samples_consumed + share.rank * share.rows;
    let samples = first..first + share.rows;
    let indices: Vec<_> = samples
        .map(|sample| order.index(sample, dataset.len()))
        .collect();
    dataset.collate(&indices)
}

fn advanced(state: LoaderState, share: Share) -> LoaderState {
    LoaderState {
        samples_consumed: state.samples_consumed + share.rows * share.world_size,
    }
}

/// The thread ends when the receiver is dropped, or after an error.
fn read_ahead<D: Dataset>(
    dataset: Arc<D>,
    order: Order,
    mut state: LoaderState,
    share: Share,
    batches: usize,
) -> Receiver<Result<D::Batch>> {
    let (sender, receiver) = sync_channel(batches);
    std::thread::spawn(move || {
        loop {
            let batch = collate(&*dataset, order, state, share);
            let failed = batch.is_err();
            if sender.send(batch).is_err() || failed {
                return;
            }
            state = advanced(state, share);
        }
    });
    receiver
}
