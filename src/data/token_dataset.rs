//! Fixed windows over shards of tokens (CONTRACT: order of data).

use super::shard::check_ids;
use super::{Counts, Dataset, Shard, TokenBatch};
use crate::model::{Layout, Tokens};
use anyhow::{Result, ensure};
use tch::Tensor;

/// Window `i` of a shard is its tokens `[i·S, i·S + S]`: S inputs and their S targets, so that neighbours share one
/// token. A window never spans two shards, and a shard's tail that is too short is dropped.
#[derive(Debug)]
pub struct TokenDataset {
    shards: Vec<Shard>,
    /// Number of windows in all shards up to and including each.
    ends: Vec<u64>,
    seq_len: u64,
    vocab_size: i64,
}

impl TokenDataset {
    /// Windows of `seq_len` tokens over the shards, for a model of `vocab_size` tokens.
    #[must_use]
    pub fn new(shards: Vec<Shard>, seq_len: u64, vocab_size: i64) -> Self {
        let ends = shards
            .iter()
            .scan(0, |end, shard| {
                *end += shard.len().saturating_sub(1) / seq_len;
                Some(*end)
            })
            .collect();
        Self {
            shards,
            ends,
            seq_len,
            vocab_size,
        }
    }

    /// Appends a window's S + 1 tokens.
    fn read_window(&self, index: u64, ids: &mut Vec<i64>) -> Result<()> {
        let shard_index = self.ends.partition_point(|&end| end <= index);
        let first = if shard_index == 0 {
            0
        } else {
            self.ends[shard_index - 1]
        };
        let shard = &self.shards[shard_index];
        let window = shard.read((index - first) * self.seq_len, self.seq_len as usize + 1);
        check_ids(shard.path(), &window, self.vocab_size)?;
        ids.extend(window);
        Ok(())
    }
}

impl Dataset for TokenDataset {
    type Batch = TokenBatch;

    fn len(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    fn targets(&self, _index: u64) -> Result<u64> {
        Ok(self.seq_len)
    }

    fn collate(&self, indices: &[u64]) -> Result<TokenBatch> {
        let (rows, columns) = (indices.len() as i64, self.seq_len as i64);
        let mut ids = Vec::with_capacity(indices.len() * (self.seq_len as usize + 1));
        for &index in indices {
            ensure!(
                index < self.len(),
                "window {index} of {} was asked for",
                self.len()
            );
            self.read_window(index, &mut ids)?;
        }
        let windows = Tensor::from_slice(&ids).view([rows, columns + 1]); // [B, S + 1]
        Ok(TokenBatch {
            tokens: Tokens {
                ids: windows.narrow(1, 0, columns).contiguous(),
                layout: Layout::Causal,
            },
            targets: windows.narrow(1, 1, columns).contiguous(),
            counts: Counts {
                targets: rows * columns,
                examples: rows,
                tokens: rows * columns,
            },
        })
    }
}
