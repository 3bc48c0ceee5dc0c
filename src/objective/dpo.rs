//! Learning from preferences: DPO and its relatives.

use super::pair_loss::{Side, pair_loss, reward};
use super::{LossSum, Objective, Per, Sum};
use crate::config::DpoConfig;
use crate::data::PreferenceBatch;
use crate::loss::token_log_probs;
use crate::model::{Pass, Transformer};
use tch::{Kind, Tensor};

/// Where the log-probabilities come from that the policy is held against.
#[derive(Debug)]
pub enum Reference {
    /// A second model.
    Model(Box<Transformer>),
    /// The model below the adapters that are trained.
    Base,
    /// They were computed before, and each batch carries its own.
    Cached,
    /// There are none.
    None,
}

/// A loss over pairs of answers; which one, and by which formula, is in `pair_loss.rs`. Chosen and rejected answers go
/// through the model together, and only the answers' tokens through its head. Sums are over pairs.
#[derive(Debug)]
pub struct Dpo {
    config: DpoConfig,
    reference: Reference,
}

impl Dpo {
    /// The loss of `config` against a reference.
    #[must_use]
    pub fn new(config: DpoConfig, reference: Reference) -> Self {
        Self { config, reference }
    }

    fn reference_log_probs(&self, model: &Transformer, batch: &PreferenceBatch) -> Option<Tensor> {
        let _no_grad = tch::no_grad_guard();
        match &self.reference {
            Reference::Model(reference) => Some(row_log_probs(reference, batch, Pass::Eval)),
            Reference::Base => Some(row_log_probs(model, batch, Pass::Base)),
            Reference::Cached => batch.reference.as_ref().map(Tensor::shallow_clone),
            Reference::None => None,
        }
    }

    /// The chosen answers and the rejected ones.
    fn sides(&self, model: &Transformer, batch: &PreferenceBatch, pass: Pass) -> [Side; 2] {
        let log_probs = row_log_probs(model, batch, pass); // [2B]
        let log_ratios = match self.reference_log_probs(model, batch) {
            Some(reference) => &log_probs - reference,
            None => log_probs.shallow_clone(),
        };
        let pairs = batch.counts.examples;
        [0, pairs].map(|first| {
            let side = |rows: &Tensor| rows.narrow(0, first, pairs);
            Side {
                log_prob: side(&log_probs),
                log_ratio: side(&log_ratios),
                length: side(&batch.lengths),
            }
        })
    }
}

/// `log π(answer | prompt)` of each row: the sum over the answer's tokens, fp32 [2B].
pub(super) fn row_log_probs(model: &Transformer, batch: &PreferenceBatch, pass: Pass) -> Tensor {
    let hidden = model.hidden(&batch.tokens, pass); // [2B, S, D]
    let scored = &batch.scored;
    let log_probs = token_log_probs(&scored.pick(&hidden), model.head(), &scored.targets); // [M]
    let rows = Tensor::zeros(batch.lengths.size(), (Kind::Float, log_probs.device()));
    rows.index_add(0, &batch.rows, &log_probs)
}

impl Objective for Dpo {
    type Batch = PreferenceBatch;

    fn loss_sum(&self, model: &Transformer, batch: &PreferenceBatch, pass: Pass) -> LossSum {
        let [chosen, rejected] = self.sides(model, batch, pass);
        let mut loss = pair_loss(&self.config, &chosen, &rejected);
        let per_pair = |name, values: &Tensor| Sum {
            name,
            value: values.sum(None),
            per: Per::Example,
        };
        let mut metrics = Vec::new();
        if self.config.sft_weight > 0.0 {
            loss += chosen.nll() * self.config.sft_weight;
            metrics.push(per_pair("nll_loss", &chosen.nll()));
        }
        let [better, worse] = [&chosen, &rejected].map(|side| reward(&self.config, side).detach());
        let is_right = better.gt_tensor(&worse).to_kind(Kind::Float);
        metrics.extend([
            per_pair("rewards/chosen", &better),
            per_pair("rewards/rejected", &worse),
            per_pair("rewards/accuracies", &is_right),
            per_pair("rewards/margins", &(&better - &worse)),
            per_pair("logps/chosen", &chosen.log_prob),
            per_pair("logps/rejected", &rejected.log_prob),
        ]);
        LossSum {
            loss: vec![per_pair("loss", &loss)],
            metrics,
        }
    }

    fn cross_entropy(&self) -> Option<&'static str> {
        None
    }
}
