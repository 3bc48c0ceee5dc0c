//! `llama-train generate`: text from any checkpoint.

use super::Output;
use super::converse::converse;
use crate::bad_request;
use crate::config::{DeviceChoice, GenerateConfig, Kernels, Precision};
use crate::dist::LaunchEnv;
use crate::generate::{Completion, EndedBy, generate, tokens_needed};
use crate::model::Transformer;
use crate::tokenizer::{PromptStyle, Tokenizer};
use crate::torch;
use crate::train::{choose_kernels, compute_kind};
use crate::weights::Pretrained;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::PathBuf;

/// What to write, and with which model.
#[derive(Debug, Clone)]
pub struct Request {
    /// A checkpoint, any Hugging Face Llama folder, Meta's, or a `.pt` file of the original project.
    pub checkpoint: PathBuf,
    /// An adapter over it.
    pub adapter: Option<PathBuf>,
    /// Scale of an adapter that does not say its own.
    pub lora_alpha: f64,
    /// Tokenizer, where none is beside the weights.
    pub tokenizer: Option<PathBuf>,
    /// Which texts to continue, and how.
    pub options: GenerateConfig,
    /// What the prompts are.
    pub style: PromptStyle,
    /// How often one is asked for.
    pub turns: Turns,
    /// On what.
    pub device: DeviceChoice,
    /// In which arithmetic.
    pub precision: Precision,
    /// `train.kernels`.
    pub kernels: Kernels,
    /// CPU threads.
    pub threads: usize,
}

/// How long it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turns {
    /// Each prompt once.
    One,
    /// Until there is no more input.
    Many,
}

/// Loads the model and continues the prompts, or holds a conversation.
///
/// # Errors
/// A bad request when there is no prompt or no model; later what the files or the device do.
pub fn run(request: &Request) -> Result<Output> {
    if request.options.prompts.is_empty() && request.turns == Turns::One {
        return Err(bad_request!(
            "no prompt: give one or more with --prompt TEXT, or set generate.prompts; or talk with --interactive"
        ));
    }
    let adapter = request.adapter.as_deref();
    let pretrained = Pretrained::open(&request.checkpoint, adapter, request.lora_alpha)?;
    let tokenizer = pretrained.tokenizer(request.tokenizer.as_deref())?;
    if request.turns == Turns::Many {
        let model = load_model(request, &pretrained)?;
        return converse(&model, &tokenizer, &request.options, &request.style);
    }
    let encode = |prompt: &String| request.style.encode(&tokenizer, prompt);
    let prompts = request.options.prompts.iter().map(encode);
    let prompts = prompts.collect::<Result<Vec<_>>>()?;
    let longest = pretrained.config().max_seq_len;
    tokens_needed(&prompts, request.options.max_new_tokens, longest)?;
    let model = load_model(request, &pretrained)?;
    let completions =
        torch::catch(|| generate(&model, &prompts, &request.options, &tokenizer.stop_tokens()))?;
    output(request, &completions, &tokenizer)
}

fn output(request: &Request, completions: &[Completion], tokenizer: &Tokenizer) -> Result<Output> {
    let (mut texts, mut values) = (Vec::new(), Vec::new());
    for (prompt, completion) in request.options.prompts.iter().zip(completions) {
        let text = tokenizer.decode(&completion.tokens)?;
        values.push(completion_json(prompt, &text, completion));
        texts.push(match request.style {
            PromptStyle::Text => format!("{prompt}{text}"),
            PromptStyle::Chat { .. } => text,
        });
    }
    Ok(Output {
        json: json!({ "completions": values }),
        text: texts.join("\n\n"),
        exit_code: 0,
    })
}

fn load_model(request: &Request, pretrained: &Pretrained) -> Result<Transformer> {
    let device = LaunchEnv::read()?.select_device(request.device)?;
    choose_kernels(request.kernels, device)?;
    torch::set_threads(request.threads, 1);
    pretrained.model(device, compute_kind(request.precision, device))
}

fn completion_json(prompt: &str, text: &str, completion: &Completion) -> Value {
    let stopped = match completion.ended_by {
        EndedBy::StopToken => "stop_token",
        EndedBy::Length => "length",
    };
    json!({ "prompt": prompt, "text": text, "tokens": completion.tokens.len(), "stopped": stopped })
}
