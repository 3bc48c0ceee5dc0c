//! Keys and values of tokens already read.

use crate::config::ModelConfig;
use tch::{Device, Kind, Tensor};

/// One cache for all layers. Rows stand left-aligned and each has its own length, so that prompts of different lengths
/// decode side by side.
#[derive(Debug)]
pub struct KvCache {
    pub(super) layers: Vec<LayerCache>,
    lengths: Vec<i64>,
    capacity: i64,
    device: Device,
}

/// Keys and values of one layer: [B, K, capacity, P].
#[derive(Debug)]
pub(super) struct LayerCache {
    keys: Tensor,
    values: Tensor,
}

/// Where the tokens of one call go, and what they may see.
#[derive(Debug)]
pub(super) struct Slots {
    /// Positions of the new tokens in their rows [B, T].
    positions: Tensor,
    /// Cache positions read at all.
    read: i64,
    /// Whether a new token sees a cache position [B, 1, T, L].
    mask: Tensor,
}

impl KvCache {
    /// An empty cache for `rows` rows of at most `capacity` tokens, in the kind of the model's activations.
    #[must_use]
    pub fn new(config: &ModelConfig, rows: i64, capacity: i64, options: (Kind, Device)) -> Self {
        let empty = || {
            Tensor::zeros(
                [rows, config.n_kv_heads, capacity, config.head_dim],
                options,
            )
        };
        let layer = |_| LayerCache {
            keys: empty(),
            values: empty(),
        };
        Self {
            layers: (0..config.n_layers).map(layer).collect(),
            lengths: vec![0; rows as usize],
            capacity,
            device: options.1,
        }
    }

    /// Tokens in each row.
    #[must_use]
    pub fn lengths(&self) -> &[i64] {
        &self.lengths
    }

    /// Where it is kept.
    #[must_use]
    pub fn device(&self) -> Device {
        self.device
    }

    /// Forgets what comes after the first `length` tokens of each row.
    pub fn truncate(&mut self, length: i64) {
        for row in &mut self.lengths {
            *row = length.min(*row);
        }
    }

    /// The places of `width` new tokens in each row.
    pub(super) fn slots(&self, width: i64) -> Slots {
        let read = self.lengths.iter().max().copied().unwrap_or(0) + width;
        assert!(
            read <= self.capacity,
            "{read} tokens do not fit into a cache of {}",
            self.capacity
        );
        let lengths = Tensor::from_slice(&self.lengths).to_device(self.device);
        let positions = lengths.unsqueeze(1) + Tensor::arange(width, (Kind::Int64, self.device)); // [B, T]
        let columns = Tensor::arange(read, (Kind::Int64, self.device)); // [L]
        let mask = columns.le_tensor(&positions.unsqueeze(-1)).unsqueeze(1); // [B, 1, T, L]
        Slots {
            positions,
            read,
            mask,
        }
    }

    /// Takes note of how many of the new tokens each row really has; what is beyond is overwritten by the next call.
    pub(super) fn advance(&mut self, counts: &[i64]) {
        for (length, count) in self.lengths.iter_mut().zip(counts) {
            *length += count;
        }
    }
}

impl LayerCache {
    /// Puts new keys and values [B, K, T, P] into their places and returns what the call reads: [B, K, L, P].
    pub(super) fn write(
        &mut self,
        slots: &Slots,
        keys: &Tensor,
        values: &Tensor,
    ) -> (Tensor, Tensor) {
        let index = slots.positions.unsqueeze(1).unsqueeze(-1).expand_as(keys);
        let _ = self.keys.scatter_(2, &index, keys);
        let _ = self.values.scatter_(2, &index, values);
        (
            self.keys.narrow(2, 0, slots.read),
            self.values.narrow(2, 0, slots.read),
        )
    }
}

impl Slots {
    /// Positions of the new tokens [B, T].
    pub(super) fn positions(&self) -> &Tensor {
        &self.positions
    }

    pub(super) fn mask(&self) -> &Tensor {
        &self.mask
    }
}
