//! Prompts with a better and a worse answer.

use super::shard::check_ids;
use super::{Dataset, KeptTokens, Pair, PairLengths, PreferenceBatch, PreferenceShard};
use crate::bad_request;
use crate::config::OnTooLong;
use anyhow::{Result, ensure};
use std::sync::OnceLock;

/// Pairs whose two rows fit, prompt and answer each. Of a row's L tokens the first L - 1 are read.
#[derive(Debug)]
pub struct PreferenceDataset {
    shards: Vec<PreferenceShard>,
    pairs: Vec<Place>,
    vocab_size: i64,
    too_long: usize,
    without_answer: usize,
    /// What a reference model gives the chosen and the rejected answer of each pair.
    reference: OnceLock<Vec<[f32; 2]>>,
}

/// Where a pair is, and what is used of it.
#[derive(Debug, Clone, Copy)]
struct Place {
    shard: u32,
    number: u32,
    kept: KeptTokens,
}

impl PreferenceDataset {
    /// The shards' pairs, in rows of at most `seq_len` tokens, for a model of `vocab_size` tokens. Pairs with an answer of
    /// which nothing can be predicted are passed over.
    ///
    /// # Errors
    /// A bad request when a row is too long and that is to be refused.
    pub fn new(
        shards: Vec<PreferenceShard>,
        seq_len: u64,
        vocab_size: i64,
        too_long: OnTooLong,
    ) -> Result<Self> {
        let mut data = Self {
            shards: Vec::new(),
            pairs: Vec::new(),
            vocab_size,
            too_long: 0,
            without_answer: 0,
            reference: OnceLock::new(),
        };
        for (shard, file) in shards.iter().enumerate() {
            for number in 0..file.len() {
                let lengths = file.lengths(number);
                let fits = lengths.longest_row() <= seq_len + 1;
                data.too_long += usize::from(!fits);
                let capacity = match too_long {
                    _ if fits => u64::MAX,
                    OnTooLong::Truncate => seq_len + 1,
                    OnTooLong::Drop => continue,
                    OnTooLong::Error => return Err(refusal(file, number, seq_len)),
                };
                let kept = lengths.cut(capacity);
                if has_no_answer(lengths, kept) {
                    data.without_answer += 1;
                    continue;
                }
                data.pairs.push(Place {
                    shard: shard as u32,
                    number: number as u32,
                    kept,
                });
            }
        }
        data.shards = shards;
        Ok(data)
    }

    /// How many pairs had a row that was too long.
    #[must_use]
    pub fn too_long(&self) -> usize {
        self.too_long
    }

    /// How many pairs have an answer without a token to predict.
    #[must_use]
    pub fn without_answer(&self) -> usize {
        self.without_answer
    }

    /// Gives every pair, once, what a reference model makes of its chosen and its rejected answer, in order.
    pub fn set_reference(&self, log_probs: Vec<[f32; 2]>) {
        let _ = self.reference.set(log_probs);
    }

    fn read(&self, index: u64) -> Result<Pair> {
        ensure!(
            index < self.len(),
            "pair {index} of {} was asked for",
            self.len()
        );
        let place = self.pairs[index as usize];
        let shard = &self.shards[place.shard as usize];
        let mut pair = shard.read(place.number as usize);
        for ids in [&pair.prompt, &pair.chosen, &pair.rejected] {
            check_ids(shard.path(), ids, self.vocab_size)?;
        }
        pair.prompt.drain(..pair.prompt.len() - place.kept.prompt);
        pair.chosen.truncate(place.kept.answer);
        pair.rejected.truncate(place.kept.answer);
        Ok(pair)
    }
}

/// The first token after nothing cannot be predicted.
fn has_no_answer(lengths: PairLengths, kept: KeptTokens) -> bool {
    let needed = if kept.prompt == 0 { 2 } else { 1 };
    lengths.chosen.min(lengths.rejected).min(kept.answer as u64) < needed
}

fn refusal(shard: &PreferenceShard, number: usize, seq_len: u64) -> anyhow::Error {
    bad_request!(
        "{}: pair {number} has a row of {} tokens, more than train.seq_len = {seq_len} can take (one more than it); raise \
         it, or set dpo.on_too_long to \"drop\" or \"truncate\"",
        shard.path().display(),
        shard.lengths(number).longest_row()
    )
}

impl Dataset for PreferenceDataset {
    type Batch = PreferenceBatch;

    fn len(&self) -> u64 {
        self.pairs.len() as u64
    }

    fn collate(&self, indices: &[u64]) -> Result<PreferenceBatch> {
        let pairs = indices.iter().map(|&index| self.read(index));
        let pairs = pairs.collect::<Result<Vec<_>>>()?;
        let reference = self.reference.get().map(|all| {
            let side = |side: usize| indices.iter().map(move |&index| all[index as usize][side]);
            side(0).chain(side(1)).collect::<Vec<f32>>()
        });
        Ok(PreferenceBatch::new(&pairs, reference.as_deref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(prompt: u64, chosen: u64, rejected: u64) -> PairLengths {
        PairLengths {
            prompt,
            chosen,
            rejected,
        }
    }

    #[test]
    fn an_answer_needs_a_token_that_can_be_predicted() {
        let whole = |lengths| has_no_answer(lengths, lengths.cut(u64::MAX));
        assert!(!whole(lengths(1, 1, 1)));
        assert!(whole(lengths(1, 0, 1)));
        assert!(whole(lengths(0, 1, 2)));
        assert!(!whole(lengths(0, 2, 2)));
    }
}
