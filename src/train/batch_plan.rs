//! How an optimizer step is cut into micro-batches.

use crate::config::TrainConfig;

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
    /// The plan of a checked configuration (which has seen that the division leaves no remainder).
    #[must_use]
    pub fn new(config: &TrainConfig, world_size: u64) -> Self {
        let (micro_batch_size, seq_len) = (config.micro_batch_size, config.seq_len);
        let at_once = micro_batch_size * seq_len * world_size;
        let grad_accum_steps = config.total_batch_tokens.map_or(1, |total| total / at_once);
        Self {
            micro_batch_size,
            seq_len,
            sequences: 1,
            world_size,
            grad_accum_steps,
        }
    }

    /// The same where a row is one example, and examples are counted.
    #[must_use]
    pub fn of_examples(config: &TrainConfig, world_size: u64) -> Self {
        let at_once = config.micro_batch_size * world_size;
        Self {
            grad_accum_steps: config
                .total_batch_examples
                .map_or(1, |total| total / at_once),
            micro_batch_size: config.micro_batch_size,
            seq_len: config.seq_len,
            sequences: 1,
            world_size,
        }
    }

    /// The same where an example is a pair of sequences.
    #[must_use]
    pub fn of_pairs(config: &TrainConfig, world_size: u64) -> Self {
        Self {
            sequences: 2,
            ..Self::of_examples(config, world_size)
        }
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
            seq_len: 1024,
            total_batch_tokens: Some(524_288),
            ..TrainConfig::default()
        };
        let plan = BatchPlan::new(&config, 8);
        assert_eq!(plan.grad_accum_steps, 16);
        assert_eq!(plan.tokens_per_step(), 524_288);
        assert_eq!(plan.steps_per_epoch(513), 2);
        assert_eq!(plan.steps_per_epoch(512), 1);
    }
}
