//! `prep-data eval`: the items of benchmarks as token ids, once for all evaluations.

use super::{Output, benchmarks};
use crate::bad_request;
use crate::config::{EvalConfig, TokenizerConfig};
use crate::eval::{EvalManifest, prepare};
use crate::hub;
use crate::tokenizer::Tokenizer;
use anyhow::Result;
use indicatif::HumanCount;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What to prepare, and where.
#[derive(Debug, Clone)]
pub struct Request {
    /// `[eval]`: the benchmarks, their items, and how many of them.
    pub eval: EvalConfig,
    /// `[tokenizer]`
    pub tokenizer: TokenizerConfig,
    /// `prepare.out`
    pub out: Option<PathBuf>,
}

/// Tokenizes the benchmarks' items and writes them.
///
/// # Errors
/// A bad request when something is not named or not there; an error when a row is malformed or cannot be fetched.
pub fn run(request: &Request) -> Result<Output> {
    let Some(out) = &request.out else {
        return Err(bad_request!(
            "name the folder to write to with --out (prepare.out)"
        ));
    };
    let Some(path) = &request.tokenizer.path else {
        return Err(bad_request!(
            "which tokenizer? Name the model's with --tokenizer (tokenizer.path)"
        ));
    };
    let sources = benchmarks::find(&request.eval)?;
    if sources.is_empty() {
        return Err(bad_request!(
            "nothing to do: name benchmarks with --tasks hellaswag,mmlu (eval.tasks)"
        ));
    }
    let tokenizer = Tokenizer::load(&hub::tokenizer_dir(path)?)?;
    let tokenizer = tokenizer.with_backend(request.tokenizer.backend);
    let manifest = prepare(&sources, &tokenizer, request.eval.limit, out)?;
    Ok(output(out, &manifest))
}

fn output(out: &Path, manifest: &EvalManifest) -> Output {
    let tasks = manifest.tasks.iter().map(|(name, task)| {
        let tokens = HumanCount(task.tokens as u64);
        format!("\n  {name}: {} items, {tokens} tokens", task.items)
    });
    Output {
        text: format!("{}: prepared{}", out.display(), tasks.collect::<String>()),
        json: json!({"out": out, "tasks": manifest.tasks}),
        exit_code: 0,
    }
}
