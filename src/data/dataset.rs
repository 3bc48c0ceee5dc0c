//! A numbered set of windows, examples or pairs.

use super::Batch;
use anyhow::Result;

/// Data by index: the order lives in the sampler alone.
pub trait Dataset: Send + Sync + 'static {
    /// What it collates into.
    type Batch: Batch;
    /// How many windows or examples there are.
    fn len(&self) -> u64;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The rows of these indices, on the CPU.
    ///
    /// # Errors
    /// When the data behind an index is not what the model can read.
    fn collate(&self, indices: &[u64]) -> Result<Self::Batch>;
    /// How many tokens of this index are trained on.
    ///
    /// # Errors
    /// As those of [`Self::collate`].
    fn targets(&self, index: u64) -> Result<u64> {
        let counts = self.collate(&[index])?.counts();
        Ok(counts.targets.unsigned_abs())
    }
}
