//! How long a run takes at a given part of a device's peak.

use super::Device;
use crate::config::Precision;
use crate::train::RunPlan;
use serde::Serialize;
use std::fmt;

/// Hours by the formula `flops × tokens ÷ (mfu × peak × ranks)`, where the device's peak and the run's length are known:
/// `flops` is the model's `6N + 6Lds` a token, and a third of that of a model beside it, which goes forward only.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Estimate {
    mfu: f64,
    peak_flops: Option<f64>,
    tokens_per_second: Option<f64>,
    hours: Option<f64>,
    #[serde(skip)]
    device: Option<&'static str>,
    #[serde(skip)]
    world_size: u64,
}

impl Estimate {
    /// Of this run.
    pub(super) fn new(plan: &RunPlan, precision: Precision, device: Device, mfu: f64) -> Self {
        let card = device.card();
        let peak_flops = card.map(|card| card.peak_flops(precision));
        let together = peak_flops.map(|peak| peak * plan.world_size as f64);
        let tokens_per_second = together.map(|peak| mfu * peak / plan.flops_per_token_of_both());
        let total = Some(plan.total_tokens()).filter(|&tokens| tokens > 0);
        let hours = tokens_per_second
            .zip(total)
            .map(|(speed, tokens)| tokens as f64 / speed / 3600.0);
        Self {
            mfu,
            peak_flops,
            tokens_per_second,
            hours,
            device: card.map(|card| card.name),
            world_size: plan.world_size,
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(device), Some(speed)) = (self.device, self.tokens_per_second) else {
            return Ok(());
        };
        let hours = self
            .hours
            .map_or_else(String::new, |hours| format!("{}, ", spelled(hours)));
        write!(
            f,
            "\ntime    {hours}{speed:.0} tokens/s on {} x {device} if {:.0} % of its peak is reached: \
             MFU = (6N + 6Lds) x tokens/s / peak",
            self.world_size,
            100.0 * self.mfu
        )
    }
}

fn spelled(hours: f64) -> String {
    match hours {
        ..1.0 => format!("{:.0} minutes", (hours * 60.0).max(1.0)),
        1.0..10.0 => format!("{hours:.1} hours"),
        10.0..96.0 => format!("{hours:.0} hours"),
        _ => format!("{:.0} days", hours / 24.0),
    }
}
