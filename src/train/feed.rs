//! The micro-batches of each step, on the device.

use crate::data::{Batch, DataLoader, Dataset, LoaderState};
use crate::torch::Transfers;
use anyhow::{Result, ensure};

/// Hands out what a step trains on. Where copies run beside the device's work, the next step's are on their way while it
/// computes this one's.
pub struct Feed<D: Dataset> {
    loader: DataLoader<D>,
    micro_batches: u64,
    ahead: Option<Result<Portion<D::Batch>>>,
}

/// What one step trains on.
pub(super) struct Portion<B> {
    /// On the device.
    pub(super) batches: Vec<B>,
    /// Where the data stands after them.
    pub(super) state: LoaderState,
    /// Passes over the data that are complete then.
    pub(super) epoch: u64,
}

impl<D: Dataset> Feed<D> {
    pub(super) fn new(loader: DataLoader<D>, micro_batches: u64) -> Self {
        Self {
            loader,
            micro_batches,
            ahead: None,
        }
    }

    /// What the next step trains on.
    pub(super) fn next(&mut self, transfers: &Transfers) -> Result<Portion<D::Batch>> {
        let portion = match self.ahead.take() {
            Some(portion) => portion,
            None => self.read(transfers),
        }?;
        let arrive = |batch: D::Batch| {
            let (batch, tensors) = batch.with_handles();
            transfers.arrive(&tensors).map(|()| batch)
        };
        Ok(Portion {
            batches: portion
                .batches
                .into_iter()
                .map(arrive)
                .collect::<Result<_>>()?,
            ..portion
        })
    }

    /// To be called when a step has been launched. What goes wrong is said when it is handed out.
    pub(super) fn send_ahead(&mut self, transfers: &Transfers) {
        if transfers.are_beside() {
            self.ahead = Some(self.read(transfers));
        }
    }

    fn read(&mut self, transfers: &Transfers) -> Result<Portion<D::Batch>> {
        let send = |_| {
            let (batch, tensors) = self.loader.next_batch()?.with_handles();
            let mut sent = transfers.send(&tensors)?.into_iter();
            ensure!(sent.len() == tensors.len(), "a tensor was not sent");
            Ok(batch.map(&mut |tensor| sent.next().unwrap_or(tensor)))
        };
        Ok(Portion {
            batches: (0..self.micro_batches).map(send).collect::<Result<_>>()?,
            state: self.loader.state(),
            epoch: self.loader.epoch(),
        })
    }
}
