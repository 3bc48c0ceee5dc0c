//! The log-probability of held-out rows.

use crate::data::{Batch, Dataset, TokenBatch};
use crate::dist::{self, ProcessGroup};
use crate::loss::token_log_probs;
use crate::model::{IGNORED_TARGET, Pass, Transformer};
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// What a model makes of one row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowScore {
    /// `Σ log p(target)` over the row's trained-on tokens, in nats.
    pub sum_log_prob: f64,
    /// How many they are.
    pub num_targets: i64,
}

/// Which rows are read, and how many at once.
#[derive(Debug, Clone, Copy)]
pub struct Rows {
    /// The first so many.
    pub count: u64,
    /// Per forward pass.
    pub batch_size: u64,
}

/// Mean over all targets, and what it is a mean of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// In nats per target.
    pub mean: f64,
    /// How many targets there are.
    pub num_targets: i64,
}

impl Loss {
    /// Of some rows.
    #[must_use]
    pub fn of(rows: &[RowScore]) -> Self {
        let sum: f64 = rows.iter().map(|row| row.sum_log_prob).sum();
        let num_targets = rows.iter().map(|row| row.num_targets).sum();
        Self {
            mean: -sum / (num_targets as f64).max(1.0),
            num_targets,
        }
    }

    /// `exp` of the mean.
    #[must_use]
    pub fn perplexity(self) -> f64 {
        self.mean.exp()
    }
}

/// Scores rows of a data set. The batches are the same for any number of ranks, which take turns at them, and so is the
/// answer, on every rank.
///
/// # Errors
/// When the data cannot be read or a rank is gone.
pub fn score_rows(
    model: &Transformer,
    device: Device,
    dataset: &dyn Dataset<Batch = TokenBatch>,
    rows: Rows,
    group: &dyn ProcessGroup,
) -> Result<Vec<RowScore>> {
    let _no_grad = tch::no_grad_guard();
    let mut scores = vec![0.0; 2 * rows.count as usize]; // [rows, sum and count]
    for turn in dist::turns(rows.count, rows.batch_size, group) {
        let at = 2 * turn.start as usize;
        let indices: Vec<u64> = turn.collect();
        let batch = dataset.collate(&indices)?.to_device(device);
        let scored = score_batch(model, &batch)?;
        scores[at..at + scored.len()].copy_from_slice(&scored);
    }
    let mut all = Tensor::from_slice(&scores);
    group.all_reduce_sum(&mut all)?; // each row is zero on all ranks but one
    let all: Vec<f64> = Vec::try_from(&all)?;
    let score = |pair: &[f64]| RowScore {
        sum_log_prob: pair[0],
        num_targets: pair[1] as i64,
    };
    Ok(all.chunks_exact(2).map(score).collect())
}

/// The sum and the count of each row, one after another.
fn score_batch(model: &Transformer, batch: &TokenBatch) -> Result<Vec<f64>> {
    let hidden = model.hidden(&batch.tokens, Pass::Eval); // [B, S, D]
    let (hidden, targets) = (hidden.flatten(0, 1), batch.targets.flatten(0, 1));
    let sums = token_log_probs(&hidden, model.head(), &targets) // [B·S]
        .view_as(&batch.targets)
        .sum_dim_intlist([1].as_slice(), false, Kind::Double);
    let counts = batch.targets.ne(IGNORED_TARGET);
    let counts = counts.sum_dim_intlist([1].as_slice(), false, Kind::Double);
    Ok(Vec::try_from(
        &Tensor::stack(&[sums, counts], 1).flatten(0, 1),
    )?)
}
