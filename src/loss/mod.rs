//! Losses over the vocabulary, token by token and in fp32. The logits [N, V] of all tokens are never held: they are
//! computed for some rows at a time, and again in backward.

pub mod memory;
mod rows_at_once;
mod token_divergence;
mod token_log_probs;

pub use crate::torch::DivergenceKind;
pub use token_divergence::{Likeliest, TeacherView, TokenScores, likeliest, token_divergence};
pub use token_log_probs::{sum_log_probs, token_log_probs};

use anyhow::Result;

/// These functions panic where plain operations of tch do, for the caller above all of them to catch.
fn or_panic<T>(outcome: Result<T>) -> T {
    outcome.unwrap_or_else(|error| panic!("{error:#}"))
}
