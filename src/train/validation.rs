//! The loss on held-out data.

use super::BatchPlan;
use super::totals::Totals;
use crate::data::{Batch, Dataset};
use crate::dist::{self, ProcessGroup};
use crate::metrics::{Record, Split};
use crate::model::{Pass, Transformer};
use crate::objective::Objective;
use anyhow::Result;
use std::{ops::Range, sync::Arc};
use tch::Device;

/// Reads the split from its beginning each time, so that every validation sees the same rows.
#[derive(Debug)]
pub struct Validation<D> {
    dataset: Arc<D>,
    rows: u64,
    plan: BatchPlan,
}

/// Result of a validation.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidationLoss {
    /// What early stopping looks at: the mean that training minimises.
    pub loss: f64,
    /// Everything that was measured, the loss first.
    values: Vec<(&'static str, f64)>,
}

impl ValidationLoss {
    pub(super) fn record(self, step: u64) -> Record {
        let owned = |(name, value): (&'static str, f64)| (name.into(), value);
        Record {
            step,
            split: Split::Val,
            values: self.values.into_iter().map(owned).collect(),
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

    /// Means over the rows, dealt to the ranks by micro-batches; the values do not depend on their number.
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
        let score = |rows: Range<u64>, totals: &mut Totals| -> Result<()> {
            let indices: Vec<u64> = rows.collect();
            let batch = self.dataset.collate(&indices)?.to_device(device);
            let sums = objective.loss_sum(model, &batch, Pass::Eval);
            totals.add(&sums, batch.counts())
        };
        let mut totals = Totals::default();
        let mut turns = dist::turns(self.rows, size, group).peekable();
        if turns.peek().is_none() {
            score(0..self.rows.min(size), &mut totals)?; // but every rank has the same names to sum up
            totals.clear();
        }
        turns.try_for_each(|rows| score(rows, &mut totals))?;
        let means = totals.means(group)?;
        let mut values = vec![("loss", means.loss)];
        values.extend(means.terms);
        if let Some(name) = objective.cross_entropy() {
            let found = values.iter().find(|(known, _)| *known == name);
            let perplexity = found.map(|(_, value)| ("perplexity", value.exp()));
            values.extend(perplexity);
        }
        values.push(("num_targets", means.counts.targets as f64));
        Ok(ValidationLoss {
            loss: means.loss,
            values,
        })
    }
}
