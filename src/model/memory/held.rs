//! Bytes of tensors, by where the C library has them from.

use std::iter::Sum;
use std::ops::{Add, Mul};

/// Tensors from so many bytes on are the system's, and go back to it when they are dropped; what smaller ones leave stays
/// with the process for the next ones (`native/memory.cpp`). So a CPU's peak is that of the ones and that of the others
/// together, though they may not come at the same time.
const MAPPED_FROM: u64 = 32 << 20;

/// Bytes that are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// Of tensors that leave their place to others.
    pub small: u64,
    /// Of tensors that give it back.
    pub large: u64,
}

impl Held {
    /// One tensor.
    #[must_use]
    pub fn tensor(bytes: u64) -> Self {
        match bytes < MAPPED_FROM {
            true => Self {
                small: bytes,
                large: 0,
            },
            false => Self {
                small: 0,
                large: bytes,
            },
        }
    }

    /// Of all.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.small + self.large
    }

    /// The one that holds more.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        match self.bytes() < other.bytes() {
            true => other,
            false => self,
        }
    }
}

impl Add for Held {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            small: self.small + other.small,
            large: self.large + other.large,
        }
    }
}

impl Mul<u64> for Held {
    type Output = Self;

    fn mul(self, count: u64) -> Self {
        Self {
            small: self.small * count,
            large: self.large * count,
        }
    }
}

impl Sum for Held {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), Add::add)
    }
}
