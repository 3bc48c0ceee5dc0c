//! `bench --profile`: what a step's time is spent on.

use crate::commands::Output;
use crate::data::RandomTokens;
use crate::objective::CausalLm;
use crate::torch::{self, Spent};
use crate::train::Trainer;
use anyhow::Result;
use serde_json::{Value, json};
use std::fmt::Write;

/// Lines of the table that people read.
const SHOWN: usize = 15;
/// Characters of a name in it: a kernel's may have thousands.
const WIDTH: usize = 60;

/// Trains some steps more, and adds what they were spent on.
pub(super) fn add(
    output: &mut Output,
    trainer: &mut Trainer<CausalLm, RandomTokens>,
    steps: u64,
) -> Result<()> {
    trainer.limits.max_steps += steps;
    let device = trainer.speed.device;
    let (outcome, spent) = torch::profile(device, || trainer.run())?;
    outcome?;
    let total: u64 = spent.iter().map(|spent| spent.nanoseconds).sum();
    let share = |spent: &Spent| spent.nanoseconds as f64 / total.max(1) as f64;
    let as_json = |spent: &Spent| -> Value {
        json!({
            "name": spent.name,
            "calls_per_step": spent.calls as f64 / steps as f64,
            "seconds_per_step": spent.nanoseconds as f64 / 1e9 / steps as f64,
            "share": share(spent),
        })
    };
    output.json["profile"] = spent.iter().map(as_json).collect();
    let what = match device.is_cuda() {
        true => "kernels",
        false => {
            "operations that libtorch sees (our own kernels' forward passes it does not), each without those it calls"
        }
    };
    // A String takes everything.
    let _ = write!(
        output.text,
        "\nof {:.4} s a step in {what}:",
        total as f64 / 1e9 / steps as f64
    );
    for spent in spent.iter().take(SHOWN) {
        let name: String = spent.name.chars().take(WIDTH).collect();
        let calls = spent.calls as f64 / steps as f64;
        let _ = write!(
            output.text,
            "\n{:5.1} %  {calls:7.1} calls  {name}",
            100.0 * share(spent)
        );
    }
    Ok(())
}
