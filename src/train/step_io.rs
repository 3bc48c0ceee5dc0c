//! What is new in a step, and what it finds.

use crate::data::Counts;
use tch::Tensor;

/// What is new in each step.
pub(super) struct StepInputs<B> {
    /// Micro-batches on the device.
    pub(super) batches: Vec<B>,
    /// Of all ranks' micro-batches together.
    pub(super) counts: Counts,
    /// The learning rate: a float32 scalar on the device.
    pub(super) lr: Tensor,
}

/// What a step finds.
pub(super) struct StepOutputs {
    /// Of the means.
    pub(super) names: Vec<&'static str>,
    /// The means in their order, then the gradient's norm: fp64, on the device.
    pub(super) numbers: Tensor,
}

impl StepOutputs {
    /// Other handles on the same numbers.
    pub(super) fn share(&self) -> Self {
        Self {
            names: self.names.clone(),
            numbers: self.numbers.shallow_clone(),
        }
    }
}
