//! Rotary position embedding (Su et al. 2021), in the half-split layout of the Hub's checkpoints: component `j` of a
//! head is rotated together with component `j + P/2`.

use crate::config::{ModelConfig, RopeScaling};
use crate::torch::ops::{self, HeadCounts, HeadTensors};
use std::f64::consts::PI;
use tch::{Device, Kind, Tensor};

/// The frequencies of a model.
#[derive(Debug)]
pub(super) struct Rope {
    /// Radians per position [P/2], fp32.
    frequencies: Tensor,
}

/// Cosines and sines of some positions, fp32: [S, P/2] for all rows, or [B, S, P/2].
#[derive(Debug)]
pub(super) struct Rotation {
    cos: Tensor,
    sin: Tensor,
}

impl Rope {
    pub(super) fn new(config: &ModelConfig, device: Device) -> Self {
        let half = config.head_dim / 2;
        let frequency = |j: i64| {
            config
                .rope_theta
                .powf(-2.0 * j as f64 / config.head_dim as f64)
        };
        let scaled = |frequency| match &config.rope_scaling {
            Some(scaling) => scale(frequency, scaling),
            None => frequency,
        };
        let frequencies: Vec<f32> = (0..half).map(|j| scaled(frequency(j)) as f32).collect();
        Self {
            frequencies: Tensor::from_slice(&frequencies).to_device(device),
        }
    }

    /// For rows whose positions are 0, 1, 2, …
    pub(super) fn first(&self, seq_len: i64) -> Rotation {
        self.at(&Tensor::arange(
            seq_len,
            (Kind::Int64, self.frequencies.device()),
        ))
    }

    /// For these positions, of any shape.
    pub(super) fn at(&self, positions: &Tensor) -> Rotation {
        let angles = positions.to_kind(Kind::Float).unsqueeze(-1) * &self.frequencies; // [.., P/2]
        Rotation {
            cos: angles.cos(),
            sin: angles.sin(),
        }
    }
}

impl Rotation {
    /// Another handle on the same tables.
    pub(super) fn share(&self) -> Self {
        Self {
            cos: self.cos.shallow_clone(),
            sin: self.sin.shallow_clone(),
        }
    }

    /// Queries `[B, H, S, P]`, keys and values `[B, K, S, P]` of a projection `[B, S, (H + 2K)·P]`, the first two rotated.
    pub(super) fn split(&self, projected: Tensor, heads: HeadCounts) -> HeadTensors {
        ops::rotate(projected, (&self.cos, &self.sin), heads)
    }
}

/// Llama 3.1's stretching: short wavelengths stay, long ones are stretched by `factor`, those between are blended.
fn scale(frequency: f64, scaling: &RopeScaling) -> f64 {
    let turns = scaling.original_max_position_embeddings as f64 * frequency / (2.0 * PI);
    let RopeScaling {
        factor,
        low_freq_factor: low,
        high_freq_factor: high,
        ..
    } = *scaling;
    let blend = ((turns - low) / (high - low)).clamp(0.0, 1.0);
    frequency * (blend + (1.0 - blend) / factor)
}
