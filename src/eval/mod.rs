//! How good a model is: on demand, and now and then during training.

mod perplexity;
mod samples;

pub use perplexity::{Loss, RowScore, Rows, score_rows};
pub use samples::Samples;

use crate::config::Cadence;
use crate::dist::ProcessGroup;
use crate::model::Transformer;
use anyhow::Result;

/// A periodic look at the model; every rank takes part and gives the same answer.
pub trait Evaluator {
    /// When it is due.
    fn cadence(&self) -> Cadence;
    /// Named numbers for `metrics.jsonl`; none where the result is text.
    ///
    /// # Errors
    /// When the model or the data fails.
    fn evaluate(
        &mut self,
        model: &Transformer,
        group: &dyn ProcessGroup,
    ) -> Result<Vec<(&'static str, f64)>>;
}
