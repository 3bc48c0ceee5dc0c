//! A shard of pairs: token ids, and where each pair's prompt, chosen and rejected answer begin.

use super::example_index::read_offsets;
use super::{PairLengths, Shard, ShardError};
use std::path::Path;

/// Two files, mapped into memory; the offsets are read.
#[derive(Debug)]
pub struct PreferenceShard {
    tokens: Shard,
    /// 3N + 1 offsets of N pairs.
    offsets: Vec<u64>,
}

/// The ids of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// What both answers follow.
    pub prompt: Vec<i64>,
    /// The better answer.
    pub chosen: Vec<i64>,
    /// The worse one.
    pub rejected: Vec<i64>,
}

impl PreferenceShard {
    /// Opens what lies beside `NAME.npy`: `NAME.index.npy`.
    ///
    /// # Errors
    /// See [`ShardError`]; also when the two do not belong together.
    pub fn open(tokens: Shard) -> Result<Self, ShardError> {
        let offsets = read_offsets(&tokens, 3)?;
        Ok(Self { tokens, offsets })
    }

    /// Its token file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.tokens.path()
    }

    /// How many pairs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() / 3
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Lengths of a pair's parts.
    #[must_use]
    pub fn lengths(&self, pair: usize) -> PairLengths {
        let length = |part| self.offsets[3 * pair + part + 1] - self.offsets[3 * pair + part];
        PairLengths {
            prompt: length(0),
            chosen: length(1),
            rejected: length(2),
        }
    }

    /// A pair's ids.
    #[must_use]
    pub fn read(&self, pair: usize) -> Pair {
        let ids = |part| {
            let (start, end) = (
                self.offsets[3 * pair + part],
                self.offsets[3 * pair + part + 1],
            );
            self.tokens.read(start, (end - start) as usize)
        };
        Pair {
            prompt: ids(0),
            chosen: ids(1),
            rejected: ids(2),
        }
    }
}
