//! Next-token prediction: pretraining, and tuning on masked conversations.

use super::{LossSum, Objective, Per, Sum};
use crate::data::TokenBatch;
use crate::loss::sum_log_probs;
use crate::model::{Pass, Transformer};

/// `−Σ log p(targetᵢ | tokens up to i)` over the trained-on tokens (Bengio et al. 2003), in nats.
#[derive(Debug, Clone, Copy, Default)]
pub struct CausalLm;

impl Objective for CausalLm {
    type Batch = TokenBatch;

    fn loss_sum(&self, model: &Transformer, batch: &TokenBatch, pass: Pass) -> LossSum {
        let hidden = model.hidden(&batch.tokens, pass); // [B, S, D]
        let (hidden, targets) = (hidden.flatten(0, 1), batch.targets.flatten(0, 1));
        let value = -sum_log_probs(&hidden, model.head(), &targets);
        LossSum {
            loss: vec![Sum {
                name: "loss",
                value,
                per: Per::Target,
            }],
            metrics: Vec::new(),
        }
    }

    fn cross_entropy(&self) -> Option<&'static str> {
        Some("loss")
    }
}
