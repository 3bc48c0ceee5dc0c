//! Flags of `eval` and `prep-data eval`, and what the commands take.

use super::args::Common;
use super::assignments::Assignments;
use super::model_args::Model;
use crate::commands::{Output, eval, prep_eval};
use crate::config::Purpose;
use crate::data::Split;
use crate::eval::task_names;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

/// Which benchmarks, and where their items are.
#[derive(Debug, Args)]
pub(super) struct Benchmarks {
    /// Items of a benchmark: a file, a folder or hf://datasets/org/name, in the data set's own fields, or a folder that
    /// prep-data eval wrote [default: the benchmark's data set on the Hub]
    #[arg(long, value_name = "NAME=PATH")]
    task_data: Vec<String>,
    /// Stop after this many rows, or items of each benchmark (for MMLU, of each subject)
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

fn listed(what: &str, names: impl Iterator<Item = &'static str>) -> String {
    let names: Vec<&str> = names.collect();
    format!("{what}: {}", names.join(", "))
}

impl Benchmarks {
    fn assign(&self, tasks: &[String], flags: &mut Assignments) -> Result<()> {
        flags.list("--tasks", "eval.tasks", tasks);
        flags.value("--limit", "eval.limit", self.limit);
        flags.entries("--task-data", "eval.task_data", &self.task_data)
    }
}

#[derive(Debug, Args)]
pub(super) struct Eval {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    model: Model,
    #[arg(long, value_name = "TASK", value_delimiter = ',', help = listed("What to score", task_names()))]
    tasks: Vec<String>,
    /// Score this model on the same items, and tell the difference
    #[arg(long, value_name = "PATH")]
    compare: Option<PathBuf>,
    /// Prepared folder, for loss
    #[arg(long, value_name = "FOLDER")]
    data: Option<String>,
    /// Part of it
    #[arg(long, value_name = "train|val", default_value = "val", value_parser = ["train", "val"])]
    split: String,
    /// Tokens per row [default: 1024, or as many as the model allows]
    #[arg(long, value_name = "N")]
    seq_len: Option<u64>,
    #[command(flatten)]
    benchmarks: Benchmarks,
    /// File to write a line of JSON per row or item to
    #[arg(long, value_name = "FILE")]
    details: Option<PathBuf>,
}

impl Eval {
    pub(super) fn run(&self) -> Result<Output> {
        let mut flags = Assignments::default();
        self.benchmarks.assign(&self.tasks, &mut flags)?;
        flags.text("--data", "data.path", self.data.as_ref());
        eval::run(&eval::Request {
            config: self.common.load(flags, Purpose::Other)?,
            checkpoint: self.model.checkpoint.clone(),
            adapter: self.model.adapter.clone(),
            compare: self.compare.clone(),
            split: match self.split.as_str() {
                "train" => Split::Train,
                _ => Split::Val,
            },
            seq_len: self.seq_len,
            details: self.details.clone(),
        })
    }
}

#[derive(Debug, Args)]
pub(super) struct PrepEval {
    #[command(flatten)]
    pub(super) common: Common,
    #[arg(long, value_name = "TASK", value_delimiter = ',', help = listed("Which benchmarks", task_names().skip(1)))]
    tasks: Vec<String>,
    #[command(flatten)]
    benchmarks: Benchmarks,
    /// tokenizer.json, a Llama 3 tokenizer.model, a folder that holds one, hf://org/name or tiktoken:NAME
    #[arg(long, value_name = "PATH")]
    tokenizer: Option<String>,
    /// Folder to write to
    #[arg(long, value_name = "FOLDER")]
    out: Option<String>,
}

impl PrepEval {
    pub(super) fn run(&self) -> Result<Output> {
        let mut flags = Assignments::default();
        self.benchmarks.assign(&self.tasks, &mut flags)?;
        flags.text("--tokenizer", "tokenizer.path", self.tokenizer.as_ref());
        flags.text("--out", "prepare.out", self.out.as_ref());
        let config = self.common.load(flags, Purpose::Other)?;
        prep_eval::run(&prep_eval::Request {
            eval: config.eval,
            tokenizer: config.tokenizer,
            out: config.prepare.out,
        })
    }
}
