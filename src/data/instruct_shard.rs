//! A shard of examples: token ids, a mask of the same length, and where each example begins.

use super::example_index::read_offsets;
use super::npy::Dtype;
use super::{Shard, ShardError};
use std::path::{Path, PathBuf};

/// Where the mask of a token shard is.
#[must_use]
pub fn mask_path(tokens: &Path) -> PathBuf {
    tokens.with_extension("mask.npy")
}

/// Three files, mapped into memory; the offsets are read.
#[derive(Debug)]
pub struct InstructShard {
    tokens: Shard,
    mask: Shard,
    /// N + 1 offsets of N examples.
    offsets: Vec<u64>,
}

impl InstructShard {
    /// Opens what lies beside `NAME.npy`: `NAME.mask.npy` and `NAME.index.npy`.
    ///
    /// # Errors
    /// See [`ShardError`]; also when the three do not belong together.
    pub fn open(tokens: Shard) -> Result<Self, ShardError> {
        let mask = Shard::open_as(&mask_path(tokens.path()), &[Dtype::Uint8])?;
        let offsets = read_offsets(&tokens, 1)?;
        if mask.len() != tokens.len() {
            return Err(ShardError::Foreign {
                path: mask.path().to_owned(),
                reason: format!("{} entries for {} tokens", mask.len(), tokens.len()),
            });
        }
        Ok(Self {
            tokens,
            mask,
            offsets,
        })
    }

    /// Its token file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.tokens.path()
    }

    /// How many examples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens of an example.
    #[must_use]
    pub fn length(&self, example: usize) -> u64 {
        self.offsets[example + 1] - self.offsets[example]
    }

    /// Whether none of the first `count` tokens of an example is to be predicted; the first of all never is.
    #[must_use]
    pub fn has_no_target(&self, example: usize, count: usize) -> bool {
        let mask = self.mask.read(self.offsets[example], count);
        mask.iter().skip(1).all(|&trained| trained == 0)
    }

    /// The first `count` tokens of an example, and for each whether it is trained on (1).
    #[must_use]
    pub fn read(&self, example: usize, count: usize) -> (Vec<i64>, Vec<i64>) {
        let start = self.offsets[example];
        (self.tokens.read(start, count), self.mask.read(start, count))
    }
}
