//! Token after token, over a cache.

use super::Sampling;
use super::rng::RowRng;
use crate::bad_request;
use crate::config::GenerateConfig;
use crate::model::{KvCache, Transformer};
use anyhow::Result;
use tch::{Device, Kind, Tensor};

/// Why a completion ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// The model produced a stop token (which is not part of the completion).
    StopToken,
    /// `max_new_tokens` were produced.
    Length,
}

/// What the model wrote after a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Token ids.
    pub tokens: Vec<u32>,
    /// Why there are no more.
    pub ended_by: EndedBy,
}

/// A row while it is written.
pub(super) struct Row {
    pub(super) seen: Vec<u32>,
    pub(super) rng: RowRng,
    pub(super) completion: Completion,
    pub(super) ended: bool,
}

/// Continues each prompt until a stop token or `config.max_new_tokens`; prompts may have different lengths, and a row
/// does not depend on the others.
///
/// # Errors
/// See [`tokens_needed`].
pub fn generate(
    model: &Transformer,
    prompts: &[Vec<u32>],
    config: &GenerateConfig,
    stop_tokens: &[u32],
) -> Result<Vec<Completion>> {
    let max_seq_len = model.config().max_seq_len;
    let capacity = tokens_needed(prompts, config.max_new_tokens, max_seq_len)?;
    let _no_grad = tch::no_grad_guard();
    let sampling = Sampling::from(config);
    let mut rows: Vec<Row> = prompts
        .iter()
        .enumerate()
        .map(|(index, prompt)| Row::new(prompt, config.seed, index))
        .collect();
    let mut cache = model.new_cache(prompts.len() as i64, capacity);
    let mut inputs: Vec<Vec<u32>> = prompts.to_vec();
    for _ in 0..config.max_new_tokens {
        let logits = last_logits(model, &inputs, &mut cache);
        for (row, logits) in rows.iter_mut().zip(logits) {
            let token = sampling.next_token(logits, &row.seen, &mut row.rng);
            row.take(token, stop_tokens);
        }
        if rows.iter().all(|row| row.ended) {
            break;
        }
        inputs = rows.iter().map(Row::last).collect();
    }
    Ok(rows.into_iter().map(|row| row.completion).collect())
}

impl Row {
    pub(super) fn new(prompt: &[u32], seed: u64, index: usize) -> Self {
        let completion = Completion {
            tokens: Vec::new(),
            ended_by: EndedBy::Length,
        };
        Self {
            seen: prompt.to_vec(),
            rng: RowRng::new(seed, index),
            completion,
            ended: false,
        }
    }

    /// What the model reads next.
    pub(super) fn last(&self) -> Vec<u32> {
        self.seen[self.seen.len() - 1..].to_vec()
    }

    /// Rows that have ended go on taking tokens, which nobody sees, until all have.
    pub(super) fn take(&mut self, token: u32, stop_tokens: &[u32]) {
        self.seen.push(token);
        if self.ended {
            return;
        }
        if stop_tokens.contains(&token) {
            self.ended = true;
            self.completion.ended_by = EndedBy::StopToken;
        } else {
            self.completion.tokens.push(token);
        }
    }
}

/// Tokens that the longest row may come to, held against what the model reads.
///
/// # Errors
/// A bad request when a prompt is empty, or would grow beyond `max_seq_len`.
pub fn tokens_needed(prompts: &[Vec<u32>], max_new_tokens: usize, max_seq_len: i64) -> Result<i64> {
    if let Some(index) = prompts.iter().position(Vec::is_empty) {
        return Err(bad_request!(
            "prompt {} has no token to begin with; give it at least one character",
            index + 1
        ));
    }
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let needed = i64::try_from(longest.saturating_add(max_new_tokens)).unwrap_or(i64::MAX);
    if needed > max_seq_len {
        return Err(bad_request!(
            "a prompt of {longest} tokens and generate.max_new_tokens = {max_new_tokens} make {needed}; the model reads \
             at most {max_seq_len} (max_seq_len): shorten the prompt, or lower --max-new-tokens"
        ));
    }
    Ok(needed)
}

/// The logits [V] after each row's last input.
pub(super) fn last_logits(
    model: &Transformer,
    inputs: &[Vec<u32>],
    cache: &mut KvCache,
) -> Vec<Vec<f32>> {
    let counts: Vec<i64> = inputs.iter().map(|row| row.len() as i64).collect();
    let width = counts.iter().max().copied().unwrap_or(0);
    let padded = inputs.iter().flat_map(|row| {
        let padding = width as usize - row.len();
        row.iter()
            .map(|&id| i64::from(id))
            .chain(std::iter::repeat_n(0, padding))
    });
    let ids = Tensor::from_slice(&padded.collect::<Vec<_>>())
        .view([-1, width])
        .to_device(cache.device());
    let hidden = model.extend(&ids, &counts, cache); // [B, T, D]
    let last = Tensor::from_slice(&counts).to_device(hidden.device()) - 1;
    let index = last
        .view([-1, 1, 1])
        .expand([-1, 1, hidden.size()[2]], false);
    let logits = model
        .head()
        .logits(&hidden.gather(1, &index, false).squeeze_dim(1)); // [B, V]
    let logits = logits.to_kind(Kind::Float).to_device(Device::Cpu);
    (0..inputs.len())
        .map(|row| Vec::<f32>::try_from(logits.get(row as i64)).unwrap_or_default())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tokens_than_can_be_counted_are_too_many() {
        let refused = tokens_needed(&[vec![1, 2]], usize::MAX, 512).unwrap_err();
        assert!(refused.to_string().contains("at most 512"), "{refused}");
        assert_eq!(tokens_needed(&[vec![1, 2]], 510, 512).unwrap(), 512);
    }
}
