//! Losses as sums over tokens, in fp32.

mod token_log_probs;

pub use token_log_probs::{sum_log_probs, token_log_probs};
