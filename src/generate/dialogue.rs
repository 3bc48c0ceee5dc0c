//! A conversation: each turn goes on from the cache of those before.

use super::decode::{Completion, Row, last_logits, tokens_needed};
use super::sampling::Sampling;
use crate::config::GenerateConfig;
use crate::model::{KvCache, Transformer};
use anyhow::Result;

/// One conversation with a model.
pub struct Dialogue<'m> {
    model: &'m Transformer,
    config: GenerateConfig,
    stop_tokens: Vec<u32>,
    cache: KvCache,
    /// The tokens that the cache holds.
    read: Vec<u32>,
    answers: usize,
}

impl<'m> Dialogue<'m> {
    /// An empty conversation of at most the model's `max_seq_len` tokens.
    #[must_use]
    pub fn new(model: &'m Transformer, config: GenerateConfig, stop_tokens: Vec<u32>) -> Self {
        Self {
            cache: model.new_cache(1, model.config().max_seq_len),
            model,
            config,
            stop_tokens,
            read: Vec::new(),
            answers: 0,
        }
    }

    /// Answers the whole conversation so far; what it shares with the last one is not read again. `on_token` sees the
    /// answer's tokens as they come.
    ///
    /// # Errors
    /// A bad request when the conversation leaves no room for an answer; those of `on_token`.
    pub fn answer(
        &mut self,
        prompt: &[u32],
        mut on_token: impl FnMut(&[u32]) -> Result<()>,
    ) -> Result<Completion> {
        let max_seq_len = self.model.config().max_seq_len;
        tokens_needed(&[prompt.to_vec()], self.config.max_new_tokens, max_seq_len)?;
        let _no_grad = tch::no_grad_guard();
        let sampling = Sampling::from(&self.config);
        let mut row = Row::new(prompt, self.config.seed, self.answers);
        self.answers += 1;
        let mut input = self.unread(prompt);
        for _ in 0..self.config.max_new_tokens {
            self.read.extend(&input);
            let logits = last_logits(self.model, &[input], &mut self.cache);
            for logits in logits {
                let token = sampling.next_token(logits, &row.seen, &mut row.rng);
                row.take(token, &self.stop_tokens);
            }
            if row.ended {
                break;
            }
            on_token(&row.completion.tokens)?;
            input = row.last();
        }
        Ok(row.completion)
    }

    /// What of the prompt is not in the cache, which is cut back to what is; at least one token, as the model has to read
    /// something.
    fn unread(&mut self, prompt: &[u32]) -> Vec<u32> {
        let same = self.read.iter().zip(prompt).take_while(|(a, b)| a == b);
        let same = same.count().min(prompt.len() - 1);
        self.read.truncate(same);
        self.cache.truncate(same as i64);
        prompt[same..].to_vec()
    }
}
