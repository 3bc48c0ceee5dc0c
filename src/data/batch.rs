//! What a forward pass takes: tensors, and counts known on the CPU.

use crate::model::{Branches, Documents, Layout, Tokens};
use std::ops::AddAssign;
use tch::{Device, Tensor};

/// How much a batch holds; a loss divides by the global sum of one of these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tokens that are trained on.
    pub targets: i64,
    /// Rows, conversations or pairs.
    pub examples: i64,
    /// Tokens that the model reads.
    pub tokens: i64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.targets += other.targets;
        self.examples += other.examples;
        self.tokens += other.tokens;
    }
}

/// A micro-batch of one rank.
pub trait Batch: Sized + Send + 'static {
    /// What it holds, without reading a tensor.
    fn counts(&self) -> Counts;
    /// The same batch with every tensor replaced; moving and pinning are written over this.
    fn map(self, f: &mut dyn FnMut(Tensor) -> Tensor) -> Self;

    /// The batch on a device.
    fn to_device(self, device: Device) -> Self {
        self.map(&mut |tensor| tensor.to_device(device))
    }
}

/// Rows of token ids and the id that follows each.
#[derive(Debug)]
pub struct TokenBatch {
    /// What the model reads: ids [B, S].
    pub tokens: Tokens,
    /// What it should predict: ids [B, S], -100 where nothing is trained on.
    pub targets: Tensor,
    /// What the rows hold.
    pub counts: Counts,
}

impl Batch for TokenBatch {
    fn counts(&self) -> Counts {
        self.counts
    }

    fn map(self, f: &mut dyn FnMut(Tensor) -> Tensor) -> Self {
        Self {
            tokens: map_tokens(self.tokens, f),
            targets: f(self.targets),
            counts: self.counts,
        }
    }
}

/// The same tokens with every tensor replaced.
pub(super) fn map_tokens(tokens: Tokens, f: &mut dyn FnMut(Tensor) -> Tensor) -> Tokens {
    let layout = match tokens.layout {
        Layout::Causal => Layout::Causal,
        Layout::Packed(documents) => Layout::Packed(Documents {
            positions: f(documents.positions),
            ..documents
        }),
        Layout::Branched(branches) => Layout::Branched(Branches {
            positions: f(branches.positions),
            branch: f(branches.branch),
        }),
    };
    Tokens {
        ids: f(tokens.ids),
        layout,
    }
}
