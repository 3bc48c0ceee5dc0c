//! How good a model is: on demand, and now and then during training.

mod benchmarks;
mod loss_difference;
mod multiple_choice;
mod perplexity;
mod samples;

pub use benchmarks::{LOSS, task_names};
pub use loss_difference::loss_difference;
pub use multiple_choice::{
    Accuracy, BenchmarkScores, EndingScore, Estimate, EvalManifest, ItemScore, Periodic, Scoring,
    Task, TaskSource, prepare,
};
pub use perplexity::{Loss, RowScore, Rows, score_rows};
pub use samples::Samples;

use crate::config::Cadence;
use crate::dist::ProcessGroup;
use crate::metrics::Sample;
use crate::model::Transformer;
use anyhow::Result;
use std::borrow::Cow;

/// What a look at the model found: empty on ranks that do not report.
#[derive(Debug, Default)]
pub struct Findings {
    /// Named numbers for `metrics.jsonl`.
    pub values: Vec<(Cow<'static, str>, f64)>,
    /// What the model wrote.
    pub samples: Vec<Sample>,
}

impl Findings {
    /// Whether there is nothing to report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty() && self.samples.is_empty()
    }
}

/// A periodic look at the model; every rank takes part and gives the same answer.
pub trait Evaluator {
    /// When it is due.
    fn cadence(&self) -> Cadence;
    /// Looks at the model as it is now.
    ///
    /// # Errors
    /// When the model or the data fails.
    fn evaluate(&mut self, model: &Transformer, group: &dyn ProcessGroup) -> Result<Findings>;
}
