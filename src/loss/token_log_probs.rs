//! Log-probability of each target token.

use super::or_panic;
use super::rows_at_once::rows_at_once;
use crate::model::{Head, IGNORED_TARGET};
use crate::torch::kernels::{Operation, has_kernel};
use crate::torch::ops;
use crate::torch::{LinearRows, linear_log_probs};
use tch::{Device, Kind, Tensor};

/// `log p(target)` for each position: hidden states `[N, D]` and ids `[N]` in, fp32 `[N]` out; 0 where the target is
/// [`IGNORED_TARGET`]. Softmax and logarithm are fp32 whatever the hidden states are. Backward computes the logits again,
/// so that no more than the rows of one piece are held; the head's gradient is computed only where it is trained.
///
/// # Panics
/// As plain operations of tch do: on shapes that do not fit, or without memory.
pub fn token_log_probs(hidden: &Tensor, head: &Head, targets: &Tensor) -> Tensor {
    match targets.device() {
        Device::Cpu => of_targets_alone(hidden, head, targets),
        _ => of_rows(hidden, head, targets), // to ask which rows are ignored would wait for the device
    }
}

/// Ignored rows cost nothing.
fn of_targets_alone(hidden: &Tensor, head: &Head, targets: &Tensor) -> Tensor {
    let Some(rows) = rows_with_targets(targets) else {
        return of_rows(hidden, head, targets);
    };
    let [hidden, picked] = [hidden, targets].map(|all| all.index_select(0, &rows));
    let all = Tensor::zeros(targets.size(), (Kind::Float, targets.device()));
    all.index_copy(0, &rows, &of_rows(&hidden, head, &picked))
}

/// Where a token is trained on [M]; none where all are.
fn rows_with_targets(targets: &Tensor) -> Option<Tensor> {
    let rows = targets.ne(IGNORED_TARGET).nonzero().squeeze_dim(1);
    (rows.size() != targets.size()).then_some(rows)
}

fn of_rows(hidden: &Tensor, head: &Head, targets: &Tensor) -> Tensor {
    let rows = LinearRows {
        hidden,
        weight: head.weight(),
        at_once: rows_at_once(head),
    };
    or_panic(linear_log_probs(rows, targets))
}

/// The sum of [`token_log_probs`], for losses that weigh every token alike: its gradients are computed at once beside it,
/// which spares the second look at the logits.
///
/// # Panics
/// As plain operations of tch do: on shapes that do not fit, or without memory.
pub fn sum_log_probs(hidden: &Tensor, head: &Head, targets: &Tensor) -> Tensor {
    let by_kernel = has_kernel(Operation::SumLogProbs, hidden);
    let is_double = hidden.kind() == Kind::Double; // tests' own, and small
    if !by_kernel && !is_double {
        return token_log_probs(hidden, head, targets).sum(None);
    }
    let weight = head.weight().to_kind(hidden.kind());
    if targets.device() != Device::Cpu {
        return ops::sum_log_probs(hidden, &weight, targets);
    }
    match rows_with_targets(targets) {
        Some(rows) => {
            let [hidden, targets] = [hidden, targets].map(|all| all.index_select(0, &rows));
            ops::sum_log_probs(&hidden, &weight, &targets)
        }
        None => ops::sum_log_probs(hidden, &weight, targets),
    }
}
