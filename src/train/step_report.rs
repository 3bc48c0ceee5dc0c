//! The numbers of a step, read one step later so that the device is never waited for.

use crate::data::Counts;
use crate::dist::ProcessGroup;
use crate::metrics::{Record, Split, mfu, peak_memory_bytes};
use crate::objective::{LossSum, Sum};
use crate::torch::Fetched;
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// The running means of a step's terms: each micro-batch adds its sums, divided by the global counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    names: Vec<&'static str>,
    values: Vec<Tensor>,
}

impl Tally {
    /// Takes in a micro-batch and returns what its backward pass starts from: a scalar.
    pub(super) fn add(&mut self, sums: LossSum, counts: Counts) -> Tensor {
        let mean = |sum: &Sum| &sum.value / sum.per.count(counts).max(1) as f64;
        let mut terms: Vec<(&'static str, Tensor)> = Vec::new();
        let loss = sums
            .loss
            .iter()
            .map(mean)
            .reduce(|a, b| a + b)
            .unwrap_or_else(|| Tensor::from(0.0_f32));
        terms.push(("loss", loss.detach()));
        let named = if sums.loss.len() > 1 {
            sums.loss.as_slice()
        } else {
            &[]
        };
        terms.extend(
            named
                .iter()
                .chain(&sums.metrics)
                .map(|sum| (sum.name, mean(sum).detach())),
        );
        if self.names.is_empty() {
            (self.names, self.values) = terms.into_iter().unzip();
        } else {
            for (total, (_, term)) in self.values.iter_mut().zip(terms) {
                *total += term;
            }
        }
        loss
    }

    /// The means over all ranks, still on the device.
    pub(super) fn finish(self, group: &dyn ProcessGroup) -> Result<(Vec<&'static str>, Tensor)> {
        let mut values = Tensor::stack(&self.values, 0).to_kind(Kind::Double);
        group.all_reduce_sum(&mut values)?;
        Ok((self.names, values))
    }
}

/// What a token costs, and what the device could do.
#[derive(Debug, Clone, Copy)]
pub struct Speed {
    /// FLOPs per token of forward and backward.
    pub flops_per_token: f64,
    /// The peak FLOP/s of all ranks' devices together, where known.
    pub peak_flops: Option<f64>,
    /// This rank's device.
    pub device: Device,
    /// Arithmetic of the forward pass: "fp32", "bf16" or "fp8".
    pub precision: &'static str,
}

impl Speed {
    /// Model FLOPs utilisation at this rate, where the peak is known.
    #[must_use]
    pub fn mfu(&self, tokens_per_second: f64) -> Option<f64> {
        Some(mfu(
            self.flops_per_token,
            tokens_per_second,
            self.peak_flops?,
        ))
    }
}

/// A step that the device may still be working on.
#[derive(Debug)]
pub(super) struct PendingStep {
    pub(super) step: u64,
    /// Of the means that come first in the numbers; the gradient's norm comes after them.
    pub(super) names: Vec<&'static str>,
    pub(super) numbers: Fetched,
    pub(super) lr: f64,
    pub(super) tokens: i64,
    pub(super) tokens_seen: u64,
    pub(super) epoch: u64,
    pub(super) seconds: f64,
}

impl PendingStep {
    /// Waits for the device and gives the contract's fields.
    pub(super) fn read(&self, speed: &Speed) -> Result<Record> {
        let numbers = self.numbers.read()?;
        let tokens_per_second = self.tokens as f64 / self.seconds;
        let names = self.names.iter().copied().chain(["grad_norm"]);
        let mut values: Vec<_> = names.zip(numbers).collect();
        values.extend([
            ("lr", self.lr),
            ("tokens_seen", self.tokens_seen as f64),
            ("step_seconds", self.seconds),
            ("tokens_per_second", tokens_per_second),
        ]);
        values.extend(speed.mfu(tokens_per_second).map(|mfu| ("mfu", mfu)));
        values.extend(
            peak_memory_bytes(speed.device).map(|bytes| ("memory_peak_bytes", bytes as f64)),
        );
        values.push(("epoch", self.epoch as f64));
        let values = values.into_iter();
        Ok(Record {
            step: self.step,
            split: Split::Train,
            values: values.map(|(name, value)| (name.into(), value)).collect(),
            samples: Vec::new(),
        })
    }
}
