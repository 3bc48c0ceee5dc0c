//! What a training verb says at its end.

use super::Output;
use crate::tokenizer::PromptStyle;
use crate::train::{Stopped, Summary, TrainState};
use anyhow::Result;
use serde_json::json;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// The contract's JSON object, and the same in words with what to try next.
pub(super) fn output(
    run_dir: &Path,
    prompts: &PromptStyle,
    state: &TrainState,
    summary: &Summary,
    page: Option<&Path>,
) -> Result<Output> {
    let (stopped, exit_code) = match summary.stopped {
        Stopped::MaxSteps => ("max_steps", 0),
        Stopped::EarlyStopping => ("early_stopping", 0),
        Stopped::Signal(signal) => ("signal", signal.exit_code()),
    };
    let checkpoint = checkpoint(run_dir, summary);
    let json = json!({
        "run_dir": run_dir,
        "step": state.step,
        "tokens_seen": state.tokens_seen,
        "loss": summary.loss,
        "val_loss": summary.val_loss,
        "best_val_loss": state.early_stopping.best_loss,
        "checkpoint": checkpoint,
        "stopped": stopped,
        "seconds": summary.elapsed.as_secs_f64(),
    });
    let (dir, step, tokens) = (run_dir.display(), state.step, state.tokens_seen);
    let mut text = format!("{dir}: step {step} ({stopped}), {tokens} tokens");
    for (name, value) in [
        ("loss", summary.loss),
        ("val loss", summary.val_loss),
        ("best val loss", state.early_stopping.best_loss),
    ] {
        if let Some(value) = value {
            write!(text, ", {name} {value:.4}")?;
        }
    }
    write!(text, ", {:.0} s", summary.elapsed.as_secs_f64())?;
    if let Some(page) = page {
        write!(text, "\nreport: {}", page.display())?;
    }
    if let Some(checkpoint) = &checkpoint {
        let next = next_step(summary.stopped, checkpoint, prompts);
        write!(text, "\ncheckpoint: {}\nnext: {next}", checkpoint.display())?;
    }
    Ok(Output {
        json,
        text,
        exit_code,
    })
}

/// The newest one; a run that was finished already has saved none now.
fn checkpoint(run_dir: &Path, summary: &Summary) -> Option<PathBuf> {
    let folder = run_dir.join("checkpoints");
    let newest = || Some(folder.join(fs::read_link(folder.join("latest")).ok()?));
    summary.checkpoint.clone().or_else(newest)
}

/// What to do now; a command that works when pasted, as it names this program as it was started.
fn next_step(stopped: Stopped, checkpoint: &Path, prompts: &PromptStyle) -> String {
    if let Stopped::Signal(_) = stopped {
        return "the same command with --resume goes on".to_owned();
    }
    let program = std::env::args().next();
    let how = match prompts {
        PromptStyle::Text => "--prompt 'TEXT'",
        PromptStyle::Chat { .. } => "--chat --interactive",
    };
    format!(
        "{} generate --checkpoint {} {how}",
        program.as_deref().unwrap_or("llama-train"),
        checkpoint.display(),
    )
}
