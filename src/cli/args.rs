//! The flags of each verb.

use super::eval_args::Eval;
use super::examples;
use super::model_args::{Export, Generate};
use super::prep_args::PrepData;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Train a Llama from raw text, on one CPU or GPU, or on many under torchrun.
#[derive(Debug, Parser)]
#[command(name = "llama-train", version, arg_required_else_help = true, after_help = examples::TOP)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Args)]
pub(super) struct Common {
    /// TOML file with the configuration
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Set a key of the configuration; the value is TOML, the last one wins
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// File with LLAMA_TRAIN__SECTION__KEY=value lines [default: .env, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Option<PathBuf>,
    /// Print exactly one JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Turn raw files into what training reads
    #[command(subcommand)]
    PrepData(Box<PrepData>),
    /// Train a model on text
    #[command(after_help = examples::PRETRAIN)]
    Pretrain(Training),
    /// Tune a model on conversations
    #[command(after_help = examples::SFT)]
    Sft(Training),
    /// Tune a model on preferences: pairs of a better and a worse answer
    #[command(after_help = examples::DPO)]
    Dpo(Training),
    /// Train a model to say what a teacher says
    #[command(after_help = examples::DISTILL)]
    Distill(Training),
    /// Write text with a checkpoint
    #[command(after_help = examples::GENERATE)]
    Generate(Generate),
    /// Score a checkpoint on held-out data and on benchmarks
    #[command(after_help = examples::EVAL)]
    Eval(Eval),
    /// Write a checkpoint as a Hugging Face or a Meta folder
    #[command(after_help = examples::EXPORT)]
    Export(Export),
    /// Say what a configuration means, without a device: parameters, FLOPs, steps, tokens
    #[command(after_help = examples::PLAN)]
    Plan(Plan),
    /// Measure the training speed of a configuration on random tokens
    #[command(after_help = examples::BENCH)]
    Bench(Bench),
    /// Say what this machine offers and what is missing
    #[command(after_help = examples::DOCTOR)]
    Doctor(Doctor),
    /// Draw the page of a run, or of several over each other; or write their numbers as tables
    #[command(after_help = examples::REPORT)]
    Report(Report),
    /// Write what a shell needs to complete this program's commands and flags
    #[command(after_help = examples::COMPLETIONS)]
    Completions(Completions),
}

/// Flags of the verbs that train.
#[derive(Debug, Args)]
pub(super) struct Training {
    #[command(flatten)]
    pub(super) common: Common,
    /// Start from the weights of this Hugging Face folder or checkpoint, or hf://org/name[@revision]
    #[arg(long, value_name = "FOLDER")]
    pub(super) init_from: Option<String>,
    /// Continue the run from its newest checkpoint, or from this one
    #[arg(long, value_name = "latest|FOLDER", num_args = 0..=1, default_missing_value = "latest")]
    pub(super) resume: Option<String>,
    /// Start the optimizer's moments afresh and forget the best validation loss
    #[arg(long)]
    pub(super) reset_optimizer: bool,
    /// Begin with this step in place of the one that would follow
    #[arg(long, value_name = "N")]
    pub(super) start_step: Option<u64>,
    /// Check everything, print the plan and stop
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) original: Original,
}

/// The original project's flags.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct Original {
    /// Start from this .pt file of the original project, below checkpoint.load_dir
    #[arg(long, value_name = "FILE", alias = "pretrain_checkpoint")]
    pub(super) pretrain_checkpoint: Option<PathBuf>,
    /// The same, of its instruct stage
    #[arg(long, value_name = "FILE", alias = "instruct_checkpoint")]
    pub(super) instruct_checkpoint: Option<PathBuf>,
    /// The same, of its DPO stage
    #[arg(long, value_name = "FILE", alias = "dpo_checkpoint")]
    pub(super) dpo_checkpoint: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, Args)]
pub(super) struct Report {
    #[command(flatten)]
    pub(super) common: Common,
    /// Run folders, or names of runs below run.dir
    #[arg(value_name = "RUN", required = true)]
    pub(super) runs: Vec<PathBuf>,
    /// File to write the page to [default: report.html in the run's folder; of several runs, here]
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Write metrics.csv into each folder, in place of a page
    #[arg(long, conflicts_with = "out")]
    pub(super) csv: bool,
}

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(super) shell: Shell,
    /// Print exactly one JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Bench {
    #[command(flatten)]
    pub(super) common: Common,
    /// Steps to time
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) steps: u64,
    /// Steps before them that are not timed
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) warmup: u64,
}
