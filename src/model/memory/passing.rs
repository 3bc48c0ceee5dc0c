//! What comes and goes while the rest is kept, and the gradients that stay.

use super::{Footprint, Held, Operations, Widths};
use crate::config::Recompute;

impl Footprint {
    /// What passes while a block's gradients are made, besides what [`Self::kept`] counts: the stream's gradient with those
    /// of gates, values and their product, and what is computed again.
    #[must_use]
    pub fn backward_of_a_block(&self, tokens: u64) -> Held {
        let hidden = self.widths().hidden;
        let (pair, single) = (self.tensor(2 * hidden, tokens), self.tensor(hidden, tokens));
        let gradients = self.stream(tokens) + pair + single;
        let again = match self.recompute {
            Recompute::None => Held::default(),
            Recompute::Selective => self.feed_forward(tokens) + self.stream(tokens),
            Recompute::Full => self.block(tokens) + self.stream(tokens),
        };
        // Without kernels adapters hold their part three times: by matrix, side by side, and added.
        let is_target = self.is_target("w1") || self.is_target("w3");
        let added = match self.operations {
            Operations::Composed if is_target => single * 2 + pair * 2,
            _ => Held::default(),
        };
        again + gradients.max(added)
    }

    /// What passes in a block where no gradient is wanted: gates, values and their product beside the stream.
    #[must_use]
    pub fn forward_of_a_block(&self, tokens: u64) -> Held {
        let hidden = self.widths().hidden;
        let inside = self.tensor(2 * hidden, tokens) + self.tensor(hidden, tokens);
        inside + self.stream(tokens) * 3
    }

    /// A matrix of the vocabulary with trained weights, or its gradient; none where adapters are trained.
    #[must_use]
    pub fn trained_matrix(&self) -> Held {
        match self.lora {
            Some(_) => Held::default(),
            None => Held::tensor(self.trained_bytes() * self.vocabulary_numbers()),
        }
    }

    /// The gradients of one block; those of matrices side by side are one tensor.
    #[must_use]
    pub fn gradients_of_a_block(&self) -> Held {
        let Widths {
            dim, q, k, hidden, ..
        } = self.widths();
        let of = |numbers: u64| Held::tensor(self.trained_bytes() * numbers);
        match &self.lora {
            Some(_) => of(self.trained_parameters() / self.layers()),
            None => {
                of((q + 2 * k) * dim)
                    + of(q * dim)
                    + of(2 * hidden * dim)
                    + of(hidden * dim)
                    + of(dim) * 2
            }
        }
    }

    /// The gradient of the last matrix of a block, which is there before any other of it.
    #[must_use]
    pub fn last_matrix(&self) -> Held {
        let [out, width] = self.matrix("w2");
        match self.lora {
            Some(_) => Held::default(),
            None => Held::tensor(self.trained_bytes() * out * width),
        }
    }
}
