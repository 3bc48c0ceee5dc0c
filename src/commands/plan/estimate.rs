//! How long a run takes at a given part of a device's peak.

use super::Device;
use crate::config::{ModelConfig, Precision};
use crate::metrics::Card;
use crate::model::flops;
use crate::model::memory::Footprint;
use crate::train::RunPlan;
use serde::Serialize;
use std::fmt;

/// What a step computes for each token, and the formula of what its device reaches by it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    flops_per_token: f64,
    formula: &'static str,
}

impl Cost {
    /// Forward and backward of `trained`, `6N + 6Lds` or with adapters `4N + 6A + 6Lds`, and a third of `6N + 6Lds` of the
    /// model that is asked, which goes forward only.
    pub(super) fn of(trained: &Footprint, asked: Option<&ModelConfig>, seq_len: u64) -> Self {
        let shape = &trained.config;
        let (own, formula) = match &trained.lora {
            None => (
                flops::flops_per_token(shape, seq_len),
                "MFU = (6N + 6Lds) x tokens/s / peak",
            ),
            Some(_) => (
                flops::flops_per_token_adapted(shape, trained.trained_parameters(), seq_len),
                "(4N + 6A + 6Lds) x tokens/s / peak, A in adapters",
            ),
        };
        let asked = asked.map_or(0.0, |model| flops::flops_per_token_asked(model, seq_len));
        Self {
            flops_per_token: own + asked,
            formula,
        }
    }
}

/// What a device can do, as far as that is known, and the part of it that is reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peak {
    card: Option<&'static Card>,
    precision: Precision,
    reached: f64,
}

impl Peak {
    /// `reached` is above 0 and at most 1.
    pub(super) fn new(device: Device, precision: Precision, reached: f64) -> Self {
        Self {
            card: device.card(),
            precision,
            reached,
        }
    }
}

/// Hours by the formula `flops × tokens ÷ (reached × peak × ranks)`, where the device's peak and the run's length are known;
/// `flops` are those of [`Cost`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Estimate {
    mfu: f64,
    peak_flops: Option<f64>,
    /// Of one token of a step.
    flops_per_token: f64,
    /// Of the run, where its length is known.
    total_flops: Option<f64>,
    tokens_per_second: Option<f64>,
    hours: Option<f64>,
    #[serde(skip)]
    device: Option<&'static str>,
    #[serde(skip)]
    world_size: u64,
    #[serde(skip)]
    formula: &'static str,
}

impl Estimate {
    /// Of this run.
    pub(super) fn new(plan: &RunPlan, cost: Cost, peak: Peak) -> Self {
        let flops_per_token = cost.flops_per_token;
        let peak_flops = peak.card.map(|card| card.peak_flops(peak.precision));
        let together = peak_flops.map(|peak| peak * plan.world_size as f64);
        let tokens_per_second = together.map(|flops| peak.reached * flops / flops_per_token);
        let total = Some(plan.total_tokens).filter(|&tokens| tokens > 0);
        let hours = tokens_per_second
            .zip(total)
            .map(|(speed, tokens)| tokens as f64 / speed / 3600.0);
        Self {
            mfu: peak.reached,
            peak_flops,
            flops_per_token,
            total_flops: total.map(|tokens| flops_per_token * tokens as f64),
            tokens_per_second,
            hours,
            device: peak.card.map(|card| card.name),
            world_size: plan.world_size,
            formula: cost.formula,
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(flops) = self.total_flops {
            write!(
                f,
                "\ncompute {flops:.2e} FLOPs, {:.2e} a token",
                self.flops_per_token
            )?;
        }
        let (Some(device), Some(speed)) = (self.device, self.tokens_per_second) else {
            return Ok(());
        };
        let hours = self
            .hours
            .map_or_else(String::new, |hours| format!("{}, ", spelled(hours)));
        write!(
            f,
            "\ntime    {hours}{speed:.0} tokens/s on {} x {device} if {:.0} % of its peak is reached: {}",
            self.world_size,
            100.0 * self.mfu,
            self.formula
        )
    }
}

fn spelled(hours: f64) -> String {
    let minutes = (hours * 60.0).round();
    match minutes {
        ..1.0 => "less than a minute".to_owned(),
        1.0 => "1 minute".to_owned(),
        ..60.0 => format!("{minutes:.0} minutes"),
        _ if hours < 9.95 => format!("{hours:.1} hours"),
        _ if hours < 96.0 => format!("{hours:.0} hours"),
        _ => format!("{:.0} days", hours / 24.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_people_say_them() {
        for (seconds, said) in [
            (20.0, "less than a minute"),
            (61.0, "1 minute"),
            (150.0, "3 minutes"),
            (3599.0, "1.0 hours"),
            (35_999.0, "10 hours"),
            (360_000.0, "4 days"),
        ] {
            assert_eq!(spelled(seconds / 3600.0), said);
        }
    }
}
