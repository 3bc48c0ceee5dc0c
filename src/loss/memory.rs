//! What the losses hold, beside the tensors that the model keeps: as the code of this room and of `torch/native` does.

use super::rows_at_once::{CPU_BYTES, GPU_BYTES};
use crate::model::memory::{Footprint, Held, Operations, kind_bytes};
use tch::Kind;

/// Logits that `cross_entropy.cpp` holds at once, in fp32.
const CHUNK: u64 = 24 << 20;

/// How a loss reads the logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scoring {
    /// The sum over all targets, with its gradients made beside it: [`super::sum_log_probs`] on the CPU.
    Sum,
    /// Each target's: [`super::token_log_probs`].
    Each,
    /// Beside a teacher's: [`super::token_divergence`].
    AgainstTeacher,
}

/// What the loss over some tokens takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossMemory {
    /// While it is computed, the hidden states that it reads among them.
    pub forward: Held,
    /// While its gradients are.
    pub backward: Held,
}

impl LossMemory {
    /// Of `tokens` that are scored.
    #[must_use]
    pub fn new(scoring: Scoring, model: &Footprint, tokens: u64) -> Self {
        let hidden = model.stream(tokens);
        let in_kind = Held::tensor(model.vocabulary_numbers() * kind_bytes(model.compute));
        let none = Held::default();
        let cast = if model.is_cast() { in_kind } else { none };
        let head = if model.lora.is_some() { none } else { in_kind };
        let pieces = pieces(scoring, model);
        match scoring {
            // Both gradients, the head's in the activations' kind; backward has only to scale them.
            Scoring::Sum => Self {
                forward: hidden * 2 + head + cast + pieces,
                backward: hidden + head,
            },
            Scoring::Each => Self {
                forward: hidden + cast + pieces,
                backward: hidden * 2 + model.trained_matrix() + cast * 2 + pieces,
            },
            Scoring::AgainstTeacher => Self {
                forward: hidden * 2 + cast + pieces,
                backward: hidden * 3 + model.trained_matrix() + cast * 2 + pieces,
            },
        }
    }
}

/// The logits held at once with what is made of them. Where activations are not fp32, the product is there in their kind
/// and in fp32, and the slopes in their kind again.
fn pieces(scoring: Scoring, model: &Footprint) -> Held {
    let piece = match (scoring, model.operations) {
        (Scoring::Sum, _) => CHUNK,
        (_, Operations::Fused) => CPU_BYTES.unsigned_abs(),
        (_, Operations::Composed) => GPU_BYTES.unsigned_abs(),
    };
    let other_kinds = match model.compute {
        Kind::Float => 0,
        _ => 1,
    };
    let at_once = match scoring {
        Scoring::Sum => 1,
        // Logits and their exponentials; distributions of both models, of which a piece is a quarter.
        Scoring::Each | Scoring::AgainstTeacher => 2,
    };
    Held::tensor(piece) * (at_once + other_kinds)
}
