//! What is looked at now and then during training.

mod samples;

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
