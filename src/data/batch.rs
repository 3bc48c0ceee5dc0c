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
    /// The same batch with every tensor replaced; moving is written over this.
    fn map(self, f: &mut dyn FnMut(Tensor) -> Tensor) -> Self;
    /// What the operations on it depend on besides its numbers and counts: those on two batches of one shape are the same.
    /// None where the CPU decides on them by what is in the batch.
    fn shape(&self) -> Option<Vec<i64>>;

    /// The batch on a device.
    fn to_device(self, device: Device) -> Self {
        self.map(&mut |tensor| tensor.to_device(device))
    }

    /// The same batch, and handles on its tensors in the order of [`Self::map`].
    fn with_handles(self) -> (Self, Vec<Tensor>) {
        let mut tensors = Vec::new();
        let batch = self.map(&mut |tensor| {
            tensors.push(tensor.shallow_clone());
            tensor
        });
        (batch, tensors)
    }

    /// This one's places in memory with the numbers of another one of its shape.
    fn overwritten(self, by: Self) -> Self {
        let (_, numbers) = by.with_handles();
        let (batch, places) = self.with_handles();
        assert_eq!(places.len(), numbers.len(), "batches of one shape");
        for (mut place, numbers) in places.into_iter().zip(&numbers) {
            place.copy_(numbers);
        }
        batch
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

    fn shape(&self) -> Option<Vec<i64>> {
        shape_of(&self.tokens)
    }
}

/// Documents' lengths decide on what is launched for them.
pub(super) fn shape_of(tokens: &Tokens) -> Option<Vec<i64>> {
    match &tokens.layout {
        Layout::Packed(_) => None,
        Layout::Causal | Layout::Branched(_) => Some(tokens.ids.size()),
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
