//! The flags of each verb.

use super::eval_args::Eval;
use super::examples;
use super::model_args::{Export, Generate};
use super::prep_args::PrepData;
use crate::metrics::CARDS;
use clap::builder::PossibleValuesParser;
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
    /// Say what a configuration means, without a device: parameters, steps, tokens, memory, hours
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
    /// Take the shape of this Hugging Face folder or checkpoint, or hf://org/name[@revision]; no weights are read
    #[arg(long, value_name = "FOLDER")]
    pub(super) init_from: Option<String>,
    /// The verb that the configuration is for [default: by its data, its teacher and how its batch is counted]
    #[arg(long, value_name = "VERB", value_parser = ["pretrain", "sft", "dpo", "distill"])]
    pub(super) verb: Option<String>,
    /// What each rank runs on: a card, cuda (a GPU that is not listed) or cpu [default: run.device, where "auto" is cpu]
    #[arg(long, value_name = "DEVICE", value_parser = device_names())]
    pub(super) device: Option<String>,
    /// Memory of each rank's device, as 80GB or 79GiB, for the largest micro-batch [default: the card's]
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub(super) memory: Option<u64>,
    /// Ranks [default: WORLD_SIZE, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) world_size: Option<u64>,
    /// Part of the device's peak that is reached, for the hours; `bench` measures it
    #[arg(long, value_name = "0..1", default_value_t = 0.4, value_parser = share)]
    pub(super) mfu: f64,
}

fn device_names() -> PossibleValuesParser {
    let cards = CARDS.iter().map(|card| card.name);
    PossibleValuesParser::new(["cpu", "cuda"].into_iter().chain(cards))
}

/// A number of bytes with a unit.
fn bytes(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, f64); 4] = [
        ("GiB", 1_073_741_824.0),
        ("MiB", 1_048_576.0),
        ("GB", 1e9),
        ("MB", 1e6),
    ];
    let number = |(unit, size): &(&str, f64)| {
        let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        (number > 0.0 && number.is_finite()).then_some((number * size) as u64)
    };
    let found = UNITS.iter().find_map(number);
    found.ok_or_else(|| "a number and GB, MB, GiB or MiB, as 80GB".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok();
    let share = share.filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "a number above 0 and at most 1".to_owned())
}

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    pub(super) common: Common,
    /// Hold every kernel on run.device to torch's own operations instead; fails where one differs
    #[arg(long)]
    pub(super) kernels: bool,
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
    /// Take the shape of this Hugging Face folder or checkpoint, or hf://org/name[@revision]; no weights are read
    #[arg(long, value_name = "FOLDER")]
    pub(super) init_from: Option<String>,
    /// Steps to time
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) steps: u64,
    /// Steps before them that are not timed
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(super) warmup: u64,
    /// After them, tell where the time of three more goes: a GPU's kernels, or a CPU's operations
    #[arg(long)]
    pub(super) profile: bool,
}
