//! The order of data: computed per index, so that any position can be resumed at no cost.

/// In which order a dataset's indices come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they stand.
    Sequential,
    /// Permuted, anew each epoch.
    Shuffled {
        /// Key of the permutations.
        seed: u64,
    },
}

impl Order {
    /// The index that sample number `sample` takes in a dataset of `len`; samples count on through the epochs.
    #[must_use]
    pub fn index(self, sample: u64, len: u64) -> u64 {
        let (epoch, position) = (sample / len, sample % len);
        match self {
            Self::Sequential => position,
            Self::Shuffled { seed } => Permutation::new(len, seed, epoch).apply(position),
        }
    }
}

/// A keyed permutation of `0..len`: a balanced Feistel network over the next even number of bits, walked along its
/// cycle until it lands inside (Black & Rogaway 2002, "Ciphers with arbitrary finite domains"). O(1) memory, and
/// O(1) expected time: the network's domain is less than four times `len`.
#[derive(Debug, Clone, Copy)]
struct Permutation {
    len: u64,
    half_bits: u32,
    round_keys: [u64; 6],
}

impl Permutation {
    fn new(len: u64, seed: u64, epoch: u64) -> Self {
        let bits = (u64::BITS - len.saturating_sub(1).leading_zeros()).max(2);
        let base = split_mix(split_mix(seed) ^ epoch);
        let round_keys = std::array::from_fn(|round| split_mix(base.wrapping_add(round as u64)));
        Self {
            len,
            half_bits: bits.div_ceil(2),
            round_keys,
        }
    }

    fn apply(&self, index: u64) -> u64 {
        let mut image = self.encrypt(index);
        while image >= self.len {
            image = self.encrypt(image);
        }
        image
    }

    fn encrypt(&self, value: u64) -> u64 {
        let mask = (1 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.round_keys {
            (left, right) = (right, left ^ (split_mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

/// Between the states of SplitMix64.
pub const SPLIT_MIX_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The number that SplitMix64 (Steele, Lea & Flood 2014) gives after this state.
#[must_use]
pub fn split_mix(state: u64) -> u64 {
    let value = state.wrapping_add(SPLIT_MIX_STEP);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_comes_once_an_epoch() {
        for len in [1, 2, 3, 5, 16, 17, 1000] {
            for epoch in 0..3 {
                let order = Order::Shuffled { seed: 7 };
                let mut seen: Vec<_> = (0..len)
                    .map(|position| order.index(epoch * len + position, len))
                    .collect();
                seen.sort_unstable();
                assert_eq!(
                    seen,
                    (0..len).collect::<Vec<_>>(),
                    "len {len}, epoch {epoch}"
                );
            }
        }
    }

    /// A run started on an older version must go on in the same order: these values are part of the format.
    #[test]
    fn the_first_values_are_pinned() {
        let order = Order::Shuffled { seed: 42 };
        let first: Vec<_> = (0..8).map(|sample| order.index(sample, 1000)).collect();
        let next_epoch: Vec<_> = (1000..1008)
            .map(|sample| order.index(sample, 1000))
            .collect();
        assert_eq!(first, [971, 324, 600, 460, 311, 137, 218, 112]);
        assert_eq!(next_epoch, [53, 767, 808, 868, 918, 790, 959, 523]);
    }

    #[test]
    fn sequential_wraps() {
        let indices: Vec<_> = (3..7)
            .map(|sample| Order::Sequential.index(sample, 5))
            .collect();
        assert_eq!(indices, [3, 4, 0, 1]);
    }
}
