//! The places of a batch that are trained on, picked out on the CPU: a loss then reads those hidden states alone, and no
//! device is asked where they are.

use crate::model::IGNORED_TARGET;
use tch::Tensor;

/// Places in rows of tokens, and the token that each should predict.
#[derive(Debug)]
pub struct Scored {
    /// Numbers in B·S [M], int64.
    pub places: Tensor,
    /// Ids [M], int64.
    pub targets: Tensor,
}

impl Scored {
    /// Those of targets [B, S] that are not ignored; they must be on the CPU.
    #[must_use]
    pub fn of(targets: &Tensor) -> Self {
        let targets = targets.flatten(0, -1); // [B·S]
        let places = targets.ne(IGNORED_TARGET).nonzero().squeeze_dim(1);
        Self {
            targets: targets.index_select(0, &places),
            places,
        }
    }

    /// The hidden states `[B, S, D]` of the places: [M, D].
    pub fn pick(&self, hidden: &Tensor) -> Tensor {
        hidden.flatten(0, 1).index_select(0, &self.places)
    }

    /// The same with both tensors replaced.
    #[must_use]
    pub fn map(self, f: &mut dyn FnMut(Tensor) -> Tensor) -> Self {
        Self {
            places: f(self.places),
            targets: f(self.targets),
        }
    }
}
