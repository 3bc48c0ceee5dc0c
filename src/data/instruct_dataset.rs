//! Conversations, one a row or several.

use super::packing::pack;
use super::shard::check_ids;
use super::{Counts, Dataset, InstructShard, TokenBatch};
use crate::bad_request;
use crate::config::OnTooLong;
use crate::model::{Documents, IGNORED_TARGET, Layout, Tokens};
use anyhow::{Result, ensure};
use tch::Tensor;

/// What a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowLayout {
    /// Whole examples, as many as fit; none sees another.
    Packed,
    /// One example, padded to the longest of its micro-batch.
    Padded,
}

/// Examples with a mask. Of an example's L tokens the first L - 1 are read, and each predicts the one after it, which is
/// a target where the mask says so.
#[derive(Debug)]
pub struct InstructDataset {
    shards: Vec<InstructShard>,
    examples: Vec<Example>,
    /// Which examples each row holds.
    rows: Vec<Vec<u32>>,
    layout: RowLayout,
    vocab_size: i64,
    /// How many were longer than a row.
    too_long: usize,
}

/// Where an example is, and how many of its tokens are used.
#[derive(Debug, Clone, Copy)]
struct Example {
    shard: u32,
    number: u32,
    tokens: u32,
}

impl Example {
    /// Tokens that the model reads of it.
    fn inputs(self) -> u32 {
        self.tokens - 1
    }
}

impl InstructDataset {
    /// Rows of at most `seq_len` tokens over the shards' examples, for a model of `vocab_size` tokens. Examples of fewer
    /// than two tokens predict nothing and are passed over, as are those whose answers are all cut off.
    ///
    /// # Errors
    /// A bad request when an example is too long and that is to be refused.
    pub fn new(
        shards: Vec<InstructShard>,
        seq_len: u64,
        vocab_size: i64,
        layout: RowLayout,
        too_long: OnTooLong,
    ) -> Result<Self> {
        let mut examples = Vec::new();
        let mut count = 0;
        for (shard, file) in shards.iter().enumerate() {
            for number in 0..file.len() {
                let length = file.length(number);
                let fits = length <= seq_len + 1;
                count += usize::from(!fits);
                let tokens = match too_long {
                    _ if fits => length,
                    OnTooLong::Truncate => seq_len + 1,
                    OnTooLong::Drop => continue,
                    OnTooLong::Error => return Err(refusal(file, number, seq_len)),
                };
                let is_cut = tokens < length;
                if tokens >= 2 && !(is_cut && file.has_no_target(number, tokens as usize)) {
                    examples.push(Example {
                        shard: shard as u32,
                        number: number as u32,
                        tokens: tokens as u32,
                    });
                }
            }
        }
        let rows = match layout {
            RowLayout::Padded => (0..examples.len() as u32)
                .map(|example| vec![example])
                .collect(),
            RowLayout::Packed => {
                let lengths: Vec<u32> = examples.iter().map(|example| example.inputs()).collect();
                pack(&lengths, seq_len as u32)
            }
        };
        Ok(Self {
            shards,
            examples,
            rows,
            layout,
            vocab_size,
            too_long: count,
        })
    }

    /// How many examples were longer than a row.
    #[must_use]
    pub fn too_long(&self) -> usize {
        self.too_long
    }

    /// How many examples are in the rows.
    #[must_use]
    pub fn examples(&self) -> usize {
        self.examples.len()
    }

    fn append(&self, example: u32, row: &mut Row) -> Result<()> {
        let example = self.examples[example as usize];
        let shard = &self.shards[example.shard as usize];
        let (ids, mask) = shard.read(example.number as usize, example.tokens as usize);
        check_ids(shard.path(), &ids, self.vocab_size)?;
        let inputs = example.inputs() as usize;
        row.ids.extend(&ids[..inputs]);
        let target = |(id, mask): (&i64, &i64)| if *mask == 0 { IGNORED_TARGET } else { *id };
        row.targets
            .extend(ids[1..].iter().zip(&mask[1..]).map(target));
        row.lengths.push(inputs as i64);
        Ok(())
    }
}

fn refusal(shard: &InstructShard, number: usize, seq_len: u64) -> anyhow::Error {
    bad_request!(
        "{}: example {number} has {} tokens, more than train.seq_len = {seq_len} can take (one more than it); raise it, or \
         set sft.on_too_long to \"drop\" or \"truncate\"",
        shard.path().display(),
        shard.length(number)
    )
}

/// A row as it is filled.
#[derive(Debug, Default)]
struct Row {
    ids: Vec<i64>,
    targets: Vec<i64>,
    /// Of its examples.
    lengths: Vec<i64>,
}

impl Row {
    /// Any id fills up, as nothing sees it and nothing is to be predicted from it.
    fn pad(&mut self, width: usize) {
        let missing = width - self.ids.len();
        self.ids.resize(width, 0);
        self.targets.resize(width, IGNORED_TARGET);
        if missing > 0 {
            self.lengths.push(missing as i64);
        }
    }
}

impl Dataset for InstructDataset {
    type Batch = TokenBatch;

    fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    fn collate(&self, indices: &[u64]) -> Result<TokenBatch> {
        let mut rows = Vec::new();
        let mut counts = Counts::default();
        for &index in indices {
            ensure!(
                index < self.len(),
                "row {index} of {} was asked for",
                self.len()
            );
            let mut row = Row::default();
            for &example in &self.rows[index as usize] {
                self.append(example, &mut row)?;
            }
            counts.examples += row.lengths.len() as i64;
            counts.tokens += row.ids.len() as i64;
            let is_target = |target: &&i64| **target != IGNORED_TARGET;
            counts.targets += row.targets.iter().filter(is_target).count() as i64;
            rows.push(row);
        }
        let width = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
        rows.iter_mut().for_each(|row| row.pad(width));
        Ok(batch(&rows, self.layout, counts))
    }
}

fn batch(rows: &[Row], layout: RowLayout, counts: Counts) -> TokenBatch {
    let stack = |part: fn(&Row) -> &Vec<i64>| {
        let all: Vec<i64> = rows.iter().flat_map(part).copied().collect();
        Tensor::from_slice(&all).view([rows.len() as i64, -1]) // [B, S]
    };
    let layout = match layout {
        RowLayout::Padded => Layout::Causal,
        RowLayout::Packed => {
            let lengths: Vec<i64> = rows.iter().flat_map(|row| row.lengths.clone()).collect();
            let positions: Vec<i64> = lengths.iter().flat_map(|&length| 0..length).collect();
            Layout::Packed(Documents {
                positions: Tensor::from_slice(&positions).view([rows.len() as i64, -1]),
                lengths,
            })
        }
    };
    TokenBatch {
        tokens: Tokens {
            ids: stack(|row| &row.ids),
            layout,
        },
        targets: stack(|row| &row.targets),
        counts,
    }
}
