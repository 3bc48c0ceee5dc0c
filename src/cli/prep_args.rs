//! The flags of `prep-data`.

use super::args::Common;
use super::eval_args::PrepEval;
use super::examples;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(super) enum PrepData {
    /// Raw text to shards of tokens
    #[command(after_help = examples::PREP_PRETRAIN)]
    Pretrain(PrepPretrain),
    /// Conversations to shards of tokens, with a mask of what is trained on
    #[command(after_help = examples::PREP_INSTRUCT)]
    Instruct(PrepInstruct),
    /// Answers of which one is preferred to shards of tokens
    #[command(after_help = examples::PREP_PREFERENCE)]
    Preference(PrepPreference),
    /// Train a byte-level BPE tokenizer on raw text
    #[command(after_help = examples::PREP_TOKENIZER)]
    Tokenizer(PrepTokenizer),
    /// Benchmarks to token ids
    #[command(after_help = examples::PREP_EVAL)]
    Eval(PrepEval),
}

/// What every preparation reads.
#[derive(Debug, Args)]
pub(super) struct Input {
    /// Files, folders or globs (.txt .md .jsonl .json, also .gz .zst; .parquet), hf://datasets/org/name[@revision][:config/split]
    /// or python-stdlib
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(super) input: Vec<String>,
    /// File with [[source]] tables of input and weight, in place of --input
    #[arg(long, value_name = "FILE", conflicts_with = "input")]
    pub(super) mix: Option<String>,
    /// Malformed rows to skip before it is an error
    #[arg(long, value_name = "N")]
    pub(super) max_bad_rows: Option<u64>,
    /// Stop after this many documents
    #[arg(long, value_name = "N")]
    pub(super) max_documents: Option<u64>,
    /// Keep files fetched from the Hub in its cache; else each goes when it was read
    #[arg(long)]
    pub(super) keep_files: bool,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N")]
    pub(super) workers: Option<usize>,
}

/// The field of plain text.
#[derive(Debug, Args)]
pub(super) struct TextField {
    /// Field of a row that holds the text
    #[arg(long, value_name = "NAME")]
    pub(super) text_field: Option<String>,
}

/// What shards are made of, and where.
#[derive(Debug, Args)]
pub(super) struct Shards {
    /// tokenizer.json, a Llama 3 tokenizer.model, a folder that holds one, hf://org/name or tiktoken:NAME
    #[arg(long, value_name = "PATH")]
    pub(super) tokenizer: Option<String>,
    /// Folder to write to
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<String>,
    /// Take rows that are tokenized already as they are
    #[arg(long)]
    pub(super) pretokenized: bool,
    /// First part of the shards' names
    #[arg(long, value_name = "NAME")]
    pub(super) prefix: Option<String>,
    /// Tokens per shard
    #[arg(long, value_name = "N")]
    pub(super) shard_tokens: Option<u64>,
    /// Fraction of the documents for validation
    #[arg(long, value_name = "FRACTION")]
    pub(super) val_fraction: Option<f64>,
    /// Tokens for validation, in place of a fraction
    #[arg(long, value_name = "N", conflicts_with = "val_fraction")]
    pub(super) val_tokens: Option<u64>,
    /// What to do about documents that come twice: none, or exact
    #[arg(long, value_name = "HOW")]
    pub(super) dedup: Option<String>,
    /// Stop after this many tokens
    #[arg(long, value_name = "N")]
    pub(super) max_tokens: Option<u64>,
    /// Seed of the choice of validation documents
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
}

/// What holds for examples, which stay whole.
#[derive(Debug, Args)]
pub(super) struct Examples {
    /// Print the first N examples, with what is trained on marked, and write nothing
    #[arg(long, value_name = "N")]
    pub(super) inspect: Option<usize>,
    /// What becomes of examples that are longer than --seq-len allows [default: they are kept]
    #[arg(long, value_name = "drop|truncate")]
    pub(super) on_too_long: Option<String>,
    /// Tokens per row of the training that is to come, for --on-too-long [default: 1024]
    #[arg(long, value_name = "N")]
    pub(super) seq_len: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct PrepPretrain {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) input: Input,
    #[command(flatten)]
    pub(super) text: TextField,
    #[command(flatten)]
    pub(super) shards: Shards,
}

#[derive(Debug, Args)]
pub(super) struct PrepInstruct {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) input: Input,
    /// Field of a row that holds the turns, where it has another name than those that are known
    #[arg(long, value_name = "NAME")]
    pub(super) messages_field: Option<String>,
    #[command(flatten)]
    pub(super) shards: Shards,
    #[command(flatten)]
    pub(super) examples: Examples,
}

#[derive(Debug, Args)]
pub(super) struct PrepPreference {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) input: Input,
    /// Field of a row that holds what comes before the answers [default: prompt, if there is one]
    #[arg(long, value_name = "NAME")]
    pub(super) prompt_field: Option<String>,
    /// Field that holds the preferred side [default: chosen]
    #[arg(long, value_name = "NAME")]
    pub(super) chosen_field: Option<String>,
    /// Field that holds the other side [default: rejected]
    #[arg(long, value_name = "NAME")]
    pub(super) rejected_field: Option<String>,
    #[command(flatten)]
    pub(super) shards: Shards,
    #[command(flatten)]
    pub(super) examples: Examples,
}

#[derive(Debug, Args)]
pub(super) struct PrepTokenizer {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) input: Input,
    #[command(flatten)]
    pub(super) text: TextField,
    /// Tokens, special ones included
    #[arg(long, value_name = "N")]
    pub(super) vocab_size: Option<usize>,
    /// File (.json) or folder to write to
    #[arg(long, value_name = "PATH")]
    pub(super) out: PathBuf,
}
