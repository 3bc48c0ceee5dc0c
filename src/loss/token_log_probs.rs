//! Log-probability of each target token.

use crate::model::{Head, IGNORED_TARGET};
use crate::torch::ops;
use tch::{Reduction, Tensor};

/// `log p(target)` for each position: hidden states `[N, D]` and ids `[N]` in, fp32 `[N]` out; 0 where the target is
/// [`IGNORED_TARGET`]. Softmax and logarithm are fp32 whatever the hidden states are.
pub fn token_log_probs(hidden: &Tensor, head: &Head, targets: &Tensor) -> Tensor {
    let logits = head.logits(hidden); // [N, V]
    -logits.cross_entropy_loss::<Tensor>(targets, None, Reduction::None, IGNORED_TARGET, 0.0)
}

/// The sum of [`token_log_probs`], whose gradients are computed at once beside it: for losses that weigh every token alike.
pub fn sum_log_probs(hidden: &Tensor, head: &Head, targets: &Tensor) -> Tensor {
    ops::sum_log_probs(hidden, &head.weight(hidden.kind()), targets)
}
