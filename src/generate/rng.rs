//! Random numbers for sampling.

/// SplitMix64 (Steele, Lea & Flood 2014): its own stream for each row, so that a row's text depends neither on the
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
                .wrapping_add(row as u64 * 0xd1b5_4a32_d192_ed03),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let value = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number in [0, 1).
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
