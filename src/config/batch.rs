//! Whether a step can be cut into micro-batches.

use super::validate::require;
use super::{Problem, TrainConfig};

/// Tokens at once that no machine has room for: a slip of the keyboard.
const MOST_TOKENS: u64 = 1 << 40;

impl TrainConfig {
    /// Every value of a batch that cannot be with so many ranks, by key:
    /// `total_batch_tokens = micro_batch_size × seq_len × world size × accumulated` leaves no remainder, nor do examples.
    #[must_use]
    pub fn batch_problems(&self, world_size: u64) -> Vec<Problem> {
        let mut problems = Vec::new();
        let (rows, seq_len) = (self.micro_batch_size, self.seq_len());
        for (key, value) in [("train.micro_batch_size", rows), ("train.seq_len", seq_len)] {
            require(&mut problems, key, value > 0, "must be at least 1");
        }
        let rows_at_once = rows.saturating_mul(world_size);
        let at_once = rows_at_once.saturating_mul(seq_len);
        require(
            &mut problems,
            "train.micro_batch_size",
            at_once <= MOST_TOKENS,
            format!("{at_once} tokens at once are beyond any machine; check train.seq_len as well"),
        );
        problems.extend(remainder(
            ("train.total_batch_tokens", self.total_batch_tokens),
            at_once,
            &format!("micro_batch_size {rows} x seq_len {seq_len} x world size {world_size}"),
        ));
        problems.extend(remainder(
            ("train.total_batch_examples", self.total_batch_examples),
            rows_at_once,
            &format!("micro_batch_size {rows} x world size {world_size}"),
        ));
        problems
    }
}

/// A total that is no multiple of the `product` that all ranks take at once, and which ones are nearest.
fn remainder(
    (key, total): (&'static str, Option<u64>),
    at_once: u64,
    product: &str,
) -> Option<Problem> {
    let total = total?;
    let fits = total > 0 && total.is_multiple_of(at_once);
    if at_once == 0 || fits {
        return None;
    }
    let nearest = nearest(total, at_once);
    let message = format!("{total} is not a multiple of {product} = {at_once}; {nearest}");
    Some((key, message))
}

/// Which multiples of `at_once` are nearest.
fn nearest(total: u64, at_once: u64) -> String {
    match total / at_once * at_once {
        0 => format!("{at_once} works"),
        below => format!("{below} and {} work", below.saturating_add(at_once)),
    }
}
