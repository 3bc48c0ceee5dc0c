//! What a run is going to do, said before it starts.

use super::BatchPlan;
use crate::config::ModelConfig;
use crate::model::flops;
use serde::Serialize;
use std::fmt;

/// Training tokens per parameter at which compute is spent best (Hoffmann et al. 2022, "Chinchilla").
const TOKENS_PER_PARAMETER: u64 = 20;

/// Sizes and lengths of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunPlan {
    /// Weights of the model, a tied one counted once.
    pub parameters: u64,
    /// Weights of a second model that is held beside it, forward only: a teacher or a reference.
    pub parameters_beside: u64,
    /// Tokens at which compute is spent best on a model of this size, where it is trained from nothing.
    pub budget_tokens: Option<u64>,
    /// Forward and backward: `6·N + 6·L·d·s`, as MFU counts them.
    pub flops_per_token: f64,
    /// Windows of the training split: rows, or pairs; 0 where it is still to be prepared.
    pub windows: u64,
    /// Tokens in them, at most.
    pub data_tokens: u64,
    /// Tokens per optimizer step, over all ranks.
    pub tokens_per_step: u64,
    /// Rows per forward pass and rank.
    pub micro_batch_size: u64,
    /// Tokens per sequence.
    pub seq_len: u64,
    /// Sequences per row: 2 where it is a pair.
    pub sequences_per_row: u64,
    /// Ranks.
    pub world_size: u64,
    /// Micro-batches per step and rank.
    pub grad_accum_steps: u64,
    /// Optimizer steps; 0 where they are an epoch of data that are still to be prepared.
    pub max_steps: u64,
    /// Tokens that the run will read, at most.
    pub total_tokens: u64,
    /// Optimizer steps of one pass over the data.
    pub steps_per_epoch: u64,
}

impl RunPlan {
    /// For a model of this shape over `windows` rows; `max_steps` of -1 is one epoch.
    #[must_use]
    pub fn new(model: &ModelConfig, batch: &BatchPlan, windows: u64, max_steps: i64) -> Self {
        let steps_per_epoch = batch.steps_per_epoch(windows);
        let max_steps = u64::try_from(max_steps).unwrap_or(steps_per_epoch);
        Self {
            parameters: flops::parameters(model),
            parameters_beside: 0,
            budget_tokens: None,
            flops_per_token: flops::flops_per_token(model, batch.seq_len),
            windows,
            data_tokens: windows * batch.tokens_per_row(),
            tokens_per_step: batch.tokens_per_step(),
            micro_batch_size: batch.micro_batch_size,
            seq_len: batch.seq_len,
            sequences_per_row: batch.sequences,
            world_size: batch.world_size,
            grad_accum_steps: batch.grad_accum_steps,
            max_steps,
            total_tokens: max_steps * batch.tokens_per_step(),
            steps_per_epoch,
        }
    }

    /// The same where a second model is held beside the first.
    #[must_use]
    pub fn beside(self, model: Option<&ModelConfig>) -> Self {
        Self {
            parameters_beside: model.map_or(0, flops::parameters),
            ..self
        }
    }

    /// The same where the model is trained from nothing.
    #[must_use]
    pub fn from_nothing(self) -> Self {
        Self {
            budget_tokens: Some(self.parameters * TOKENS_PER_PARAMETER),
            ..self
        }
    }
}

impl fmt::Display for RunPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "model   {} parameters ({})",
            grouped(self.parameters),
            short(self.parameters)
        )?;
        if self.parameters_beside > 0 {
            let beside = short(self.parameters_beside);
            writeln!(f, "beside  {beside} parameters that are only asked")?;
        }
        writeln!(f, "data    {}", self.data())?;
        writeln!(
            f,
            "step    {} tokens = {} {} x {} tokens x {} rank(s) x {} accumulated",
            short(self.tokens_per_step),
            self.micro_batch_size,
            if self.sequences_per_row == 2 {
                "pairs of 2"
            } else {
                "rows"
            },
            self.seq_len,
            self.world_size,
            self.grad_accum_steps
        )?;
        if self.max_steps == 0 {
            return write!(f, "run     one epoch");
        }
        self.fmt_length(f)
    }
}

impl RunPlan {
    fn data(&self) -> String {
        let window = match self.sequences_per_row {
            1 => self.seq_len.to_string(),
            several => format!("{several} x {}", self.seq_len),
        };
        match self.windows {
            0 => "not prepared yet".to_owned(),
            windows => format!(
                "{} tokens = {} windows x {window}; an epoch is {} steps",
                short(self.data_tokens),
                grouped(windows),
                grouped(self.steps_per_epoch)
            ),
        }
    }

    fn fmt_length(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total_tokens;
        write!(
            f,
            "run     {} steps, {} tokens",
            self.max_steps,
            short(total)
        )?;
        if self.data_tokens > 0 {
            write!(f, ", {:.2} epochs", total as f64 / self.data_tokens as f64)?;
        }
        let Some(budget) = self.budget_tokens else {
            return Ok(());
        };
        write!(
            f,
            "\nbudget  {} of the {} tokens that {TOKENS_PER_PARAMETER} per parameter would be ({:.0} %)",
            short(total),
            short(budget),
            100.0 * total as f64 / budget.max(1) as f64,
        )
    }
}

/// Thousands set apart: 1,234,567.
fn grouped(count: u64) -> String {
    match count {
        0..1000 => count.to_string(),
        _ => format!("{},{:03}", grouped(count / 1000), count % 1000),
    }
}

/// Three digits and a letter: 1.23M.
fn short(count: u64) -> String {
    const UNITS: [(f64, &str); 4] = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")];
    let value = count as f64;
    UNITS.iter().find(|(size, _)| value >= *size).map_or_else(
        || count.to_string(),
        |(size, unit)| format!("{:.2}{unit}", value / size),
    )
}
