//! What a training run minimises: the whole extension point.

mod causal_lm;
mod distill;
mod dpo;
mod pair_loss;
mod reference_scores;
mod teacher_tokens;

pub use causal_lm::CausalLm;
pub use distill::{Distill, Teacher};
pub use dpo::{Dpo, Reference};
pub use reference_scores::{ReferenceCache, reference_scores};
pub use teacher_tokens::{Question, keep_teacher};

use crate::data::{Batch, Counts};
use crate::model::{Pass, Transformer};
use tch::Tensor;

/// What a sum is divided by: a global count, over ranks and micro-steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// Trained-on tokens.
    Target,
    /// Rows, conversations or pairs.
    Example,
}

impl Per {
    /// The count of this unit.
    #[must_use]
    pub fn count(self, counts: Counts) -> i64 {
        match self {
            Self::Target => counts.targets,
            Self::Example => counts.examples,
        }
    }
}

/// A sum over the units of one micro-batch: a scalar on the device.
#[derive(Debug)]
pub struct Sum {
    /// Field name in `metrics.jsonl`.
    pub name: &'static str,
    /// The sum.
    pub value: Tensor,
    /// The unit it is a sum over.
    pub per: Per,
}

/// A micro-batch's loss, as a sum of sums, and what else is worth seeing. The trainer divides each by the global
/// count of its unit, so that accumulation, ranks and padding cannot change the result.
#[derive(Debug)]
pub struct LossSum {
    /// Terms that are added up and minimised.
    pub loss: Vec<Sum>,
    /// Terms that are only logged.
    pub metrics: Vec<Sum>,
}

/// A way to train.
pub trait Objective {
    /// What it reads.
    type Batch: Batch;
    /// The loss of one micro-batch. Reads no tensor on the host, and stays connected to every trainable parameter
    /// even where the batch has no target.
    fn loss_sum(&self, model: &Transformer, batch: &Self::Batch, pass: Pass) -> LossSum;
    /// The term that is a cross-entropy in nats per target, if one is: its exponential is the perplexity.
    fn cross_entropy(&self) -> Option<&'static str>;
}
