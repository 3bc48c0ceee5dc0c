//! Tokens without meaning, for measuring speed.

use super::sampler::split_mix;
use super::{Counts, Dataset, TokenBatch};
use crate::model::{Layout, Tokens};
use anyhow::Result;
use tch::Tensor;

/// Windows of ids that look random, and are the same each time.
#[derive(Debug, Clone, Copy)]
pub struct RandomTokens {
    /// How many windows.
    pub rows: u64,
    /// Tokens per row.
    pub seq_len: u64,
    /// Ids are below this.
    pub vocab_size: u64,
}

impl Dataset for RandomTokens {
    type Batch = TokenBatch;

    fn len(&self) -> u64 {
        self.rows
    }

    fn collate(&self, indices: &[u64]) -> Result<TokenBatch> {
        let ids = |start: u64| -> Vec<i64> {
            let positions = indices.iter().flat_map(|&row| {
                let first = row * (self.seq_len + 1) + start;
                first..first + self.seq_len
            });
            positions
                .map(|position| (split_mix(position) % self.vocab_size) as i64)
                .collect()
        };
        let (rows, columns) = (indices.len() as i64, self.seq_len as i64);
        let tensor = |ids: Vec<i64>| Tensor::from_slice(&ids).view([rows, columns]);
        Ok(TokenBatch {
            tokens: Tokens {
                ids: tensor(ids(0)),
                layout: Layout::Causal,
            },
            targets: tensor(ids(1)),
            counts: Counts {
                targets: rows * columns,
                examples: rows,
                tokens: rows * columns,
            },
        })
    }
}
