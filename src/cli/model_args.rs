//! The flags of the verbs that use a model as it is.

use super::args::Common;
use crate::bad_request;
use anyhow::Result;
use clap::Args;
use std::io;
use std::path::PathBuf;

/// The prompt that stands for standard input.
const PIPED: &str = "-";

/// Which model is used.
#[derive(Debug, Args)]
pub(super) struct Model {
    /// A checkpoint, any Hugging Face Llama folder, Meta's, a .pt file of the original project, or hf://org/name[@revision]
    #[arg(long, value_name = "PATH")]
    pub(super) checkpoint: PathBuf,
    /// Folder with a LoRA adapter over it, as PEFT writes them, or hf://org/name[@revision]
    #[arg(long, value_name = "FOLDER")]
    pub(super) adapter: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Generate {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) model: Model,
    /// Text to continue, or - for that of standard input; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub(super) prompt: Vec<String>,
    /// Prompts are messages to answer, in the tokenizer's chat format; sft.system_prompt goes before
    #[arg(long)]
    pub(super) chat: bool,
    /// Hold a conversation on the terminal, a message a line
    #[arg(long, conflicts_with_all = ["prompt", "json"])]
    pub(super) interactive: bool,
    /// Tokens to generate per prompt
    #[arg(long, value_name = "N")]
    pub(super) max_new_tokens: Option<usize>,
    /// 0: always the most likely token
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub(super) temperature: Option<f64>,
    /// Sample from the smallest set of tokens with this much probability
    #[arg(long, value_name = "P")]
    pub(super) top_p: Option<f64>,
    /// Sample from this many most likely tokens
    #[arg(long, value_name = "K")]
    pub(super) top_k: Option<usize>,
    /// Push down tokens already present (1: off)
    #[arg(long, value_name = "X")]
    pub(super) repetition_penalty: Option<f64>,
    /// Never repeat an n-gram of this many tokens (0: off)
    #[arg(long, value_name = "N")]
    pub(super) no_repeat_ngram_size: Option<usize>,
    /// Seed of the sampling
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
}

impl Generate {
    /// The prompts; the text of standard input, without the newline at its end, for each that is `-`.
    ///
    /// # Errors
    /// A bad request when it is not UTF-8.
    pub(super) fn prompts(&self) -> Result<Vec<String>> {
        let mut prompts = self.prompt.clone();
        if prompts.iter().any(|prompt| prompt == PIPED) {
            let piped = io::read_to_string(io::stdin())
                .map_err(|error| bad_request!("--prompt -: standard input: {error}"))?;
            let piped = piped.trim_end_matches(['\r', '\n']);
            for prompt in prompts.iter_mut().filter(|prompt| *prompt == PIPED) {
                piped.clone_into(prompt);
            }
        }
        Ok(prompts)
    }
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(flatten)]
    pub(super) model: Model,
    /// Add the adapter into the weights, in place of writing it alone
    #[arg(long)]
    pub(super) merge_lora: bool,
    /// Folder to write to
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: PathBuf,
    /// Whose form
    #[arg(long, value_name = "hf|meta", default_value = "hf", value_parser = ["hf", "meta"])]
    pub(super) format: String,
    /// Kind of number [default: the checkpoint's]
    #[arg(long, value_name = "fp32|bf16|fp16", value_parser = ["fp32", "bf16", "fp16"])]
    pub(super) dtype: Option<String>,
}
