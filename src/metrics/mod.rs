//! What a run reports: records, and the sinks they go to.

mod cards;
mod console;
mod jsonl;
mod samples;
mod throughput;
pub mod wandb;

pub use cards::{CARDS, Card, peak_flops};
pub use console::ConsoleSink;
pub use jsonl::JsonlSink;
pub use samples::SamplesSink;
pub use throughput::{machine_memory_bytes, mfu, peak_memory_bytes};

use anyhow::Result;
use std::borrow::Cow;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// One optimizer step.
    Train,
    /// A validation.
    Val,
    /// Benchmarks.
    Eval,
}

impl Split {
    /// The value of `"split"` in `metrics.jsonl`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Eval => "eval",
        }
    }
}

/// Text that the model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// What it was given.
    pub prompt: String,
    /// How it went on.
    pub completion: String,
}

/// Named numbers of one step, under the field names of `metrics.jsonl`, and texts.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Optimizer updates completed.
    pub step: u64,
    /// What the numbers are about.
    pub split: Split,
    /// The numbers, in the order they are written.
    pub values: Vec<(Cow<'static, str>, f64)>,
    /// What the model wrote.
    pub samples: Vec<Sample>,
}

impl Record {
    /// The value of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| *value)
    }
}

/// A place that records go to. Rank 0 alone has sinks.
pub trait MetricSink {
    /// Takes one record.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn log(&mut self, record: &Record) -> Result<()>;

    /// The run has ended and exits with this code: nothing more comes.
    ///
    /// # Errors
    /// When what came before cannot be kept.
    fn finish(&mut self, _exit_code: i32) -> Result<()> {
        Ok(())
    }
}
