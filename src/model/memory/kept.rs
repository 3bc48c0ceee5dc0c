//! What is kept for backward.

use super::{FP32, Footprint, Held, Operations, RowKind, Widths, kind_bytes};
use crate::config::Recompute;

impl Footprint {
    /// The residual stream of `tokens`: `[N, D]`.
    #[must_use]
    pub fn stream(&self, tokens: u64) -> Held {
        self.tensor(self.config.dim.unsigned_abs(), tokens)
    }

    /// `[N, width]` in the activations' kind.
    pub(super) fn tensor(&self, width: u64, tokens: u64) -> Held {
        Held::tensor(width * kind_bytes(self.compute) * tokens)
    }

    /// What all blocks keep of `tokens` until backward.
    #[must_use]
    pub fn kept(&self, tokens: u64) -> Held {
        match self.recompute {
            // The stream's two parts between blocks; into the first goes the embedding alone.
            Recompute::Full => self.stream(tokens) * (2 * self.layers() - 1),
            _ => self.kept_by_one(tokens) * self.layers(),
        }
    }

    /// What one block does: the first, which no other's backward pass comes after.
    #[must_use]
    pub fn kept_by_one(&self, tokens: u64) -> Held {
        match self.recompute {
            Recompute::None => self.block(tokens),
            Recompute::Selective => self.attention_half(tokens),
            Recompute::Full => self.stream(tokens),
        }
    }

    /// What one block keeps where nothing is computed again.
    pub(super) fn block(&self, tokens: u64) -> Held {
        self.attention_half(tokens) + self.feed_forward(tokens)
    }

    /// A block without what is inside its feed-forward part: both norms' sums, with a factor a row; what they give, as
    /// the input of the products behind them; queries, keys and values; attention's result, and its log-sums.
    fn attention_half(&self, tokens: u64) -> Held {
        let Widths {
            dim, q, k, heads, ..
        } = self.widths();
        let norms = self.stream(tokens) * 4 + Held::tensor(FP32 * tokens) * 2;
        let turned = match self.operations {
            Operations::Fused => Held::default(), // where they stand
            Operations::Composed => self.tensor(q, tokens) + self.tensor(k, tokens),
        };
        let results = match self.rows {
            RowKind::Whole => 1,
            RowKind::Packed => 2, // by text, and put together
        };
        let attention = self.tensor(q + 2 * k, tokens) + turned + self.tensor(q, tokens) * results;
        let log_sums = Held::tensor(FP32 * heads * tokens);
        let weights = self.weight_copies([(q + 2 * k) * dim, q * dim]);
        let inputs = self.adapter_inputs(&["wq", "wk", "wv", "wo"], tokens);
        norms + attention + log_sums + inputs + weights
    }

    /// Gates and values; where there is no kernel for it, or an adapter reads it, also what comes of them.
    pub(super) fn feed_forward(&self, tokens: u64) -> Held {
        let Widths { dim, hidden, .. } = self.widths();
        let between = match self.operations {
            Operations::Fused if self.is_target("w2") => 1,
            Operations::Fused => 0,
            Operations::Composed => 2,
        };
        let weights = self.weight_copies([2 * hidden * dim, hidden * dim]);
        let inputs = self.adapter_inputs(&["w1", "w3", "w2"], tokens);
        let inside = self.tensor(2 * hidden, tokens) + self.tensor(hidden, tokens) * between;
        inside + inputs + weights
    }

    /// Copies of weights that products keep: cast to the activations' kind; without kernels the first, of matrices side
    /// by side, is a copy in any kind.
    fn weight_copies(&self, [side_by_side, single]: [u64; 2]) -> Held {
        let [side_by_side, single] = [side_by_side, single].map(|numbers| self.tensor(numbers, 1));
        match (self.is_cast(), self.operations) {
            (true, _) => side_by_side + single,
            (false, Operations::Composed) => side_by_side,
            (false, Operations::Fused) => Held::default(),
        }
    }

    /// What adapters beside these matrices keep: the `rank` numbers a token between A and B; where there is no kernel for
    /// it, also their input after dropout, and dropout's mask.
    fn adapter_inputs(&self, names: &[&str], tokens: u64) -> Held {
        let Some(lora) = &self.lora else {
            return Held::default();
        };
        let of = |name: &&&str| self.is_target(name);
        let kept = |name: &&str| {
            let [_, width] = self.matrix(name);
            let dropped = match self.operations {
                Operations::Composed if lora.dropout > 0.0 => {
                    self.tensor(width, tokens) + Held::tensor(width * tokens)
                }
                _ => Held::default(),
            };
            dropped + self.tensor(lora.rank.unsigned_abs(), tokens)
        };
        names.iter().filter(of).map(kept).sum()
    }
}
