//! The loss on held-out data.

use crate::data::{Batch, Dataset};
use crate::dist::ProcessGroup;
use crate::metrics::{Record, Split};
use crate::model::{Pass, Transformer};
use crate::objective::Objective;
use crate::train::BatchPlan;
use anyhow::Result;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Reads the split from its beginning each time, so that every validation sees the same rows.
#[derive(Debug)]
pub struct Validation<D> {
    dataset: Arc<D>,
    rows: u64,
    plan: BatchPlan,
}

/// Result of a validation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ValidationLoss {
    /// Mean over the trained-on tokens, in nats.
    pub loss: f64,
    /// How many they are.
    pub num_targets: i64,
}

impl ValidationLoss {
    pub(super) fn record(&self, step: u64) -> Record {
        let values = vec![
            ("loss".into(), self.loss),
            ("perplexity".into(), self.loss.exp()),
            ("num_targets".into(), self.num_targets as f64),
        ];
        Record {
            step,
            split: Split::Val,
            values,
            samples: Vec::new(),
        }
    }
}

impl<D: Dataset> Validation<D> {
    /// Over `batches` global batches of the training batch's size (0: all rows).
    #[must_use]
    pub fn new(dataset: Arc<D>, batches: u64, plan: BatchPlan) -> Self {
        let limit = if batches == 0 {
            u64::MAX
        } else {
            batches.saturating_mul(plan.rows_per_step())
        };
        let rows = dataset.len().min(limit);
        Self {
            dataset,
            rows,
            plan,
        }
    }

    /// Whether there is nothing to validate on.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Sums the loss over the rows, dealt to the ranks by micro-batches; the value does not depend on their number.
    ///
    /// # Errors
    /// When the data cannot be read or a rank is gone.
    pub fn run<O: Objective<Batch = D::Batch>>(
        &self,
        objective: &O,
        model: &Transformer,
        device: Device,
        group: &dyn ProcessGroup,
    ) -> Result<ValidationLoss> {
        let _no_grad = tch::no_grad_guard();
        let size = self.plan.micro_batch_size;
        let mut sum = [0.0, 0.0]; // loss, targets
        let mut first = group.rank() * size;
        while first < self.rows {
            let indices: Vec<u64> = (first..self.rows.min(first + size)).collect();
            let batch = self.dataset.collate(&indices)?.to_device(device);
            let terms = objective.loss_sum(model, &batch, Pass::Eval).loss;
            sum[0] += terms
                .iter()
                .map(|term| term.value.double_value(&[]))
                .sum::<f64>();
            sum[1] += batch.counts().targets as f64;
            first += size * group.world_size();
        }
        let mut total = Tensor::from_slice(&sum).to_kind(Kind::Double);
        group.all_reduce_sum(&mut total)?;
        let num_targets = total.double_value(&[1]);
        Ok(ValidationLoss {
            loss: total.double_value(&[0]) / num_targets.max(1.0),
            num_targets: num_targets as i64,
        })
    }
}
