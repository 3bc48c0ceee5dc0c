//! Random numbers for sampling.

use crate::data::{SPLIT_MIX_STEP, split_mix};

/// SplitMix64: its own stream for each row, so that a row's text depends neither on the
/// batch it is in nor on torch's generator, which training uses.
#[derive(Debug, Clone)]
pub(super) struct RowRng(u64);

impl RowRng {
    /// The stream of row `row` under `seed`.
    pub(super) fn new(seed: u64, row: usize) -> Self {
        let mut mixed = Self(seed);
        Self(
            mixed
                .next()
                .wrapping_add((row as u64).wrapping_mul(0xd1b5_4a32_d192_ed03)),
        )
    }

    fn next(&mut self) -> u64 {
        let next = split_mix(self.0);
        self.0 = self.0.wrapping_add(SPLIT_MIX_STEP);
        next
    }

    /// A number in [0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
