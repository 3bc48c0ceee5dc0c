//! What a training verb says at its end.

use super::Output;
use crate::train::{Stopped, Summary, TrainState};
use anyhow::Result;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

/// The contract's JSON object, and the same in words with what to try next.
pub(super) fn output(run_dir: &Path, state: &TrainState, summary: &Summary) -> Result<Output> {
    let (stopped, exit_code) = match summary.stopped {
        Stopped::MaxSteps => ("max_steps", 0),
        Stopped::EarlyStopping => ("early_stopping", 0),
        Stopped::Signal(signal) => ("signal", signal.exit_code()),
    };
    // A run that was finished already has saved nothing now.
    let latest = run_dir.join("checkpoints/latest");
    let checkpoint = summary
        .checkpoint
        .clone()
        .or(latest.exists().then_some(latest));
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
    let mut text = format!(
        "{}: step {} ({stopped}), {} tokens",
        run_dir.display(),
        state.step,
        state.tokens_seen
    );
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
    if let Some(checkpoint) = &checkpoint {
        write!(text, "\ncheckpoint: {}\n", checkpoint.display())?;
        text.push_str(&match summary.stopped {
            Stopped::Signal(_) => "next: the same command with --resume goes on".to_owned(),
            Stopped::MaxSteps | Stopped::EarlyStopping => generate_command(checkpoint),
        });
    }
    Ok(Output {
        json,
        text,
        exit_code,
    })
}

/// A command that works when pasted: it names this program as it was started.
fn generate_command(checkpoint: &Path) -> String {
    let program = std::env::args().next();
    format!(
        "next: {} generate --checkpoint {} --prompt 'def '",
        program.as_deref().unwrap_or("llama-train"),
        checkpoint.display(),
    )
}
