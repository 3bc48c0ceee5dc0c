//! How an optimizer step is cut into micro-batches.

use crate::bad_request;
use crate::config::TrainConfig;
use anyhow::{Result, ensure};

/// `total_batch_tokens = micro_batch_size × seq_len × world_size × grad_accum_steps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPlan {
    /// Rows per forward pass and rank.
    pub micro_batch_size: u64,
    /// Tokens per row.
    pub seq_len: u64,
    /// Sequences of so many tokens in a row: 2 where it is a pair.
    pub sequences: u64,
    /// Ranks.
    pub world_size: u64,
    /// Micro-batches of each rank per optimizer step.
    pub grad_accum_steps: u64,
}

impl BatchPlan {
    /// Rows of which tokens are counted.
    ///
    /// # Errors
    /// A bad request when the division by so many ranks leaves a remainder; it names the nearest totals that work.
    pub fn new(config: &TrainConfig, world_size: u64) -> Result<Self> {
        Self::cut(
            config,
            world_size,
            config.total_batch_tokens,
            config.seq_len(),
        )
    }

    /// The same where a row is one example, and examples are counted.
    ///
    /// # Errors
    /// As those of [`Self::new`].
    pub fn of_examples(config: &TrainConfig, world_size: u64) -> Result<Self> {
        Self::cut(config, world_size, config.total_batch_examples, 1)
    }

    /// The same where an example is a pair of sequences.
    ///
    /// # Errors
    /// As those of [`Self::new`].
    pub fn of_pairs(config: &TrainConfig, world_size: u64) -> Result<Self> {
        Ok(Self {
            sequences: 2,
            ..Self::of_examples(config, world_size)?
        })
    }

    /// A step of `total` in all, of which a row is `of_a_row`. None of its numbers is 0.
    fn cut(
        config: &TrainConfig,
        world_size: u64,
        total: Option<u64>,
        of_a_row: u64,
    ) -> Result<Self> {
        ensure!(world_size > 0, "a step needs at least one rank");
        let problems = config.batch_problems(world_size);
        if let Some((key, message)) = problems.first() {
            return Err(bad_request!("{key}: {message}"));
        }
        let at_once = config.micro_batch_size * of_a_row * world_size;
        Ok(Self {
            micro_batch_size: config.micro_batch_size,
            seq_len: config.seq_len(),
            sequences: 1,
            world_size,
            grad_accum_steps: total.map_or(1, |total| total / at_once),
        })
    }

    /// Tokens of a row, at most.
    #[must_use]
    pub fn tokens_per_row(&self) -> u64 {
        self.sequences * self.seq_len
    }

    /// Rows per optimizer step, over all ranks.
    #[must_use]
    pub fn rows_per_step(&self) -> u64 {
        self.micro_batch_size * self.world_size * self.grad_accum_steps
    }

    /// Tokens per optimizer step, over all ranks.
    #[must_use]
    pub fn tokens_per_step(&self) -> u64 {
        self.rows_per_step() * self.tokens_per_row()
    }

    /// Steps of one epoch of `windows` rows; the last one wraps into the next epoch.
    #[must_use]
    pub fn steps_per_epoch(&self, windows: u64) -> u64 {
        windows.div_ceil(self.rows_per_step())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arithmetic_of_the_contract() {
        let config = TrainConfig {
            micro_batch_size: 4,
            seq_len: Some(1024),
            total_batch_tokens: Some(524_288),
            ..TrainConfig::default()
        };
        let plan = BatchPlan::new(&config, 8).unwrap();
        assert_eq!(plan.grad_accum_steps, 16);
        assert_eq!(plan.tokens_per_step(), 524_288);
        assert_eq!(plan.steps_per_epoch(513), 2);
        assert_eq!(plan.steps_per_epoch(512), 1);
    }

    #[test]
    fn a_remainder_is_refused_and_nothing_divides_by_zero() {
        let config = TrainConfig {
            micro_batch_size: 4,
            seq_len: Some(1024),
            total_batch_tokens: Some(8192),
            total_batch_examples: Some(6),
            ..TrainConfig::default()
        };
        let refused = BatchPlan::new(&config, 3).unwrap_err().to_string();
        let said = "8192 is not a multiple of micro_batch_size 4 x seq_len 1024 x world size 3 = 12288; 12288 works";
        assert_eq!(refused, format!("train.total_batch_tokens: {said}"));
        assert!(BatchPlan::of_pairs(&config, 1).is_err());
        let nothing = TrainConfig {
            micro_batch_size: 0,
            ..TrainConfig::default()
        };
        assert!(BatchPlan::new(&nothing, 1).is_err() && BatchPlan::new(&config, 0).is_err());
    }
}
